/* Golden payloads of codec files, versions 1 and 3: decoded to the same bytes for ever, on every instruction set and in every floating-point mode. */
#include "codec/entropy/rans.h"
#include "tests/support/float-mode.h"
#include "tests/support/golden-payloads.h"

#include <string.h>

static const gchar *const sets[] = { "c", "avx2", "avx512" };

static void
check (RdCodec * codec, const RdGolden * g)
{
  gsize bytes = g->n * g->hidden_size * sizeof (gfloat);
  g_autofree gfloat *x = g_malloc (bytes);
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = g->n,.features = g->features };

  memset (x, 0x55, bytes);
  rd_codec_decode (codec, &rows, g->payload, g->size, FALSE, x, &error);
  g_assert_no_error (error);
  if (memcmp (x, g->rows, bytes) != 0)
    g_error ("%s: other values on %s", g->name, rd_rans_instruction_set ());
  g_assert_cmpint (rd_codec_needs_features (codec, g->payload, g->size, FALSE),
      ==, g->features != NULL);
  gdouble ideal = rd_codec_ideal_bits (codec, &rows, g->payload, g->size);
  g_assert_cmpfloat (ideal, >, 0);
}

static RdCodec *
open_codec (const RdGolden * g)
{
  g_autoptr (GError) error = NULL;
  RdCodec *codec = rd_codec_new (g->codec_path, g->hidden_size, &error);

  g_assert_no_error (error);
  return codec;
}

static void
test_instruction_sets (void)
{
  g_autoptr (GPtrArray) all = rd_golden_load_all ();

  for (guint i = 0; i < G_N_ELEMENTS (sets); i++) {
    if (!rd_rans_force_instruction_set (sets[i]))
      continue;
    for (guint c = 0; c < all->len; c++) {
      g_autoptr (RdCodec) codec = open_codec (all->pdata[c]);

      check (codec, all->pdata[c]);
    }
  }
  g_assert_true (rd_rans_force_instruction_set (NULL));
}

/* Neither the mode in which a codec file is read nor that in which payloads are decoded matters, nor what was decoded before. */
static void
test_floating_point_modes (void)
{
  g_autoptr (GPtrArray) all = rd_golden_load_all ();

  for (guint mode = 0; mode < RD_N_FLOAT_MODES; mode++) {
    guint32 flush = rd_float_mode_enter (mode);
    g_autoptr (RdCodec) codec = NULL;
    const gchar *path = "";

    for (guint c = 0; c < all->len; c++) {
      const RdGolden *g = all->pdata[c];

      if (strcmp (path, g->codec_path) != 0) {
        rd_codec_free (codec);
        codec = open_codec (g);
        path = g->codec_path;
      }
      check (codec, g);
    }
    g_assert_true (rd_float_mode_leave (mode, flush));
  }
}

/* The id in HEADER is made of the file's bytes. */
static void
test_id (void)
{
  g_autofree gchar *path = rd_golden_codec_path ("d5");
  g_autoptr (RdCodec) codec = rd_codec_new (path, 0, NULL);
  g_autofree gchar *contents = NULL, *hash = NULL, *id = NULL;
  gsize size;

  g_assert_true (g_file_get_contents (path, &contents, &size, NULL));
  hash = g_compute_checksum_for_data (G_CHECKSUM_SHA256,
      (const guchar *) contents, size);
  id = g_strdup_printf ("rd1-%.40s", hash);
  g_assert_cmpstr (rd_codec_id (codec), ==, id);
}

static void
test_info (void)
{
  g_autofree gchar *path = rd_golden_codec_path ("d33");
  g_autofree gchar *other = rd_golden_codec_path ("d64");
  g_autoptr (RdCodec) codec = rd_codec_new (path, 33, NULL);
  g_autoptr (RdCodec) embedding = rd_codec_new (other, 0, NULL);
  const RdCodecInfo *info = rd_codec_info (codec);
  static const guint8 any[32], id[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
    0xcd, 0xef, 0x01
  };

  g_assert_cmpmem (info->model_id, 32, any, 32);
  g_assert_cmpstr (info->model_name, ==, "none");
  g_assert_cmpuint (info->split_layer, ==, 7);
  g_assert_cmpuint (info->hidden_size, ==, 33);
  g_assert_cmpint (info->side_info, ==, RD_SIDE_INFO_BLOCKS);
  g_assert_cmpuint (info->n_blocks, ==, 2);
  info = rd_codec_info (embedding);
  g_assert_cmpmem (info->model_id, sizeof id, id, sizeof id);
  g_assert_cmpint (info->side_info, ==, RD_SIDE_INFO_EMBEDDING);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/learned/golden/instruction-sets", test_instruction_sets);
  g_test_add_func ("/learned/golden/floating-point-modes",
      test_floating_point_modes);
  g_test_add_func ("/learned/golden/id", test_id);
  g_test_add_func ("/learned/golden/info", test_info);
  return g_test_run ();
}
