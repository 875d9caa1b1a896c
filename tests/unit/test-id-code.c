/* Ids in frames: both forms at their limits, damage, and what the coded form costs on text that its tables were not fitted to. */
#include <json-glib/json-glib.h>
#include <string.h>
#include "codec/wire/layout.h"
#include "tests/support/test-model.h"

#define MAX_FRAME (1u << 24)
#define GOAL_BITS 11.5

/* Writes @ids as TOKENS, reads them again and compares; returns the bytes that they took. */
static gsize
check_ids (const gint32 * ids, guint32 n)
{
  RdFrame f = {.type = RD_FRAME_TOKENS,.n_ids = n }, g;
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autofree gint32 *again = g_new (gint32, n);
  GError *error = NULL;

  rd_frame_write (&f, NULL, ids, out, &error);
  g_assert_no_error (error);
  rd_frame_parse (out->data, out->len, MAX_FRAME, &g, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g.n_ids, ==, n);
  rd_frame_ids (&g, again);
  g_assert_cmpmem (again, n * sizeof *ids, ids, n * sizeof *ids);
  return rd_frame_ids_size (ids, n);
}

static void
test_random (void)
{
  gint32 ids[300];

  for (guint round = 0; round < 2000; round++) {
    guint32 n = (guint32) g_test_rand_int_range (1, G_N_ELEMENTS (ids) + 1);
    guint bits = (guint) g_test_rand_int_range (1, 32);

    for (guint32 i = 0; i < n; i++)
      ids[i] = (gint32) ((guint32) g_test_rand_int () >> (32 - bits));
    /* never longer than packed, of 31 bits at the most */
    g_assert_cmpuint (check_ids (ids, n), <=, 3 + ((gsize) n * bits + 7) / 8);
  }
}

/* Every id alone between two others: in a range, at its ends, beyond them. */
static void
test_every_id (void)
{
  for (gint32 id = 0; id < 70000; id++) {
    const gint32 ids[] = { 260, id, 28, id, 260 };
    gint32 again[G_N_ELEMENTS (ids)];
    g_autoptr (GByteArray) out = g_byte_array_new ();

    g_assert_true (rd_id_code_append (ids, G_N_ELEMENTS (ids), out));
    g_assert_true (rd_id_code_read (out->data, out->len, G_N_ELEMENTS (ids),
            again));
    g_assert_cmpmem (again, sizeof again, ids, sizeof ids);
  }
}

/* The cheapest ids and the largest: the bound on their number lets the longest frame through, and what cannot be coded is packed. */
static void
test_limits (void)
{
  const guint32 n = RD_MAX_FRAME_TOKENS;
  g_autofree gint32 *ids = g_new (gint32, n);
  const gint32 values[] = { 0, 260, 28, 65535, (1 << 24) - 1, 1 << 24,
    G_MAXINT32
  };
  g_autoptr (GByteArray) out = g_byte_array_new ();

  for (guint v = 0; v < G_N_ELEMENTS (values); v++) {
    for (guint32 i = 0; i < n; i++)
      ids[i] = values[v];
    check_ids (ids, n);
  }
  g_assert_false (rd_id_code_append (ids, n, out));
  g_assert_cmpuint (out->len, ==, 0);
  /* one id is as small as it can be */
  ids[0] = 49151;
  g_assert_cmpuint (check_ids (ids, 1), ==, 4);
}

/* What is cut off or changed is refused or gives ids (a checksum is the frame's work), and few bytes do not stand for many. */
static void
test_damage (void)
{
  const gint32 ids[] = { 504, 2085, 436, 260, 1143, 314, 1194, 28, 284, 260,
    40000, 30, 70000, 284, 504, 2085
  };
  gint32 again[G_N_ELEMENTS (ids)];
  const guint32 n = G_N_ELEMENTS (ids);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  guint refused = 0;

  g_assert_true (rd_id_code_append (ids, n, out));
  for (guint size = 0; size < out->len; size++) {
    g_autofree guint8 *exact = g_memdup2 (out->data, size);

    refused += !rd_id_code_read (exact, size, n, again);
  }
  g_assert_cmpuint (refused, >=, out->len / 2);
  for (guint bit = 0; bit < 8 * out->len; bit++) {
    out->data[bit / 8] ^= (guint8) (1 << bit % 8);
    if (rd_id_code_read (out->data, out->len, n, again)) {
      for (guint32 i = 0; i < n; i++)
        g_assert_cmpint (again[i], >=, 0);
    }
    out->data[bit / 8] ^= (guint8) (1 << bit % 8);
  }
  g_assert_false (rd_id_code_read (out->data, 8, 8 * (8 + 4) + 8, NULL));
}

/* Frames of 64 ids of the test set, all bytes of the ids counted. */
static void
test_cost (void)
{
  g_autofree gchar *path = st_test_data_path ("rd-testset.json");
  g_autoptr (JsonParser) parser = json_parser_new ();
  GError *error = NULL;
  gsize bytes = 0, n = 0;
  gint32 ids[64];

  json_parser_load_from_file (parser, path, &error);
  g_assert_no_error (error);
  JsonArray *windows =
      json_object_get_array_member (json_node_get_object (json_parser_get_root
          (parser)), "windows");
  for (guint w = 0; w < json_array_get_length (windows); w++) {
    JsonArray *all =
        json_object_get_array_member (json_array_get_object_element (windows,
            w), "ids");

    for (guint at = 0; at < json_array_get_length (all); at += 64) {
      for (guint i = 0; i < 64; i++)
        ids[i] = (gint32) json_array_get_int_element (all, at + i);
      bytes += check_ids (ids, 64);
      n += 64;
    }
  }
  gdouble bits = 8.0 * (gdouble) bytes / (gdouble) n;
  g_test_message ("%.3f bits an id", bits);
  g_assert_cmpfloat (bits, <=, GOAL_BITS);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/id-code/random", test_random);
  g_test_add_func ("/id-code/every-id", test_every_id);
  g_test_add_func ("/id-code/limits", test_limits);
  g_test_add_func ("/id-code/damage", test_damage);
  g_test_add_func ("/id-code/cost", test_cost);
  return g_test_run ();
}
