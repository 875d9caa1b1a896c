/* Damaged GGUF files: an error, or a file whose every part lies inside of it. What opens is read through all getters, its model id is
 * computed and its tensors are checked. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/gguf/gguf.h"
#include "models/ids.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/gguf-bytes.h"

#define N_SEEDS 3
#define LIST_TENSORS 2
#define LIST_ID \
  "10e98361a1d19c74aa82b2f2d9c14c109e5c5161394d083f03e84bf479dd87f3"

static void
assert_inside (const guint8 * part, gsize n, const guint8 * map, gsize size)
{
  g_assert_true (part >= map && n <= size);
  g_assert_cmpuint (part - map, <=, size - n);
}

static void
read_array (StGguf * gguf, const StGgufEntry * e, const guint8 * map,
    gsize size)
{
  gsize len;
  gint64 number;
  gdouble real;

  for (guint64 i = 0; i < e->n; i++) {
    const gchar *text = st_gguf_array_string (gguf, e->key, i, &len);

    g_assert_true ((text != NULL) == (e->element_type == ST_GGUF_STRING));
    if (text != NULL)
      assert_inside ((const guint8 *) text, len, map, size);
    st_gguf_array_int (gguf, e->key, i, &number);
    st_gguf_array_float (gguf, e->key, i, &real);
  }
  g_assert_null (st_gguf_array_string (gguf, e->key, e->n, &len));
  g_assert_false (st_gguf_array_int (gguf, e->key, e->n, &number));
}

static void
read_entries (StGguf * gguf, const guint8 * map, gsize size)
{
  guint64 u;
  gint64 s;
  gdouble real;
  gboolean flag;

  for (guint64 i = 0; i < st_gguf_n_entries (gguf); i++) {
    const StGgufEntry *e = st_gguf_entry (gguf, i);

    g_assert_true (st_gguf_find_entry (gguf, e->key) == e);
    assert_inside (e->value, e->size, map, size);
    st_gguf_get_uint (gguf, e->key, &u);
    st_gguf_get_int (gguf, e->key, &s);
    st_gguf_get_float (gguf, e->key, &real);
    st_gguf_get_bool (gguf, e->key, &flag);
    g_assert_true ((st_gguf_get_string (gguf, e->key) != NULL)
        == (e->type == ST_GGUF_STRING));
    if (e->type == ST_GGUF_ARRAY)
      read_array (gguf, e, map, size);
  }
}

static void
read_tensors (StGguf * gguf, const guint8 * map, gsize size)
{
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const StTensor *t = st_gguf_tensor (gguf, i);
    const StTypeTraits *traits = st_type_traits (t->type);
    g_autofree float *row = g_new (float, traits->block_size);

    g_assert_true (st_gguf_find (gguf, t->name) == t);
    g_assert_cmpuint (t->size, ==, st_type_row_bytes (t->type, t->ne[0])
        * t->ne[1] * t->ne[2] * t->ne[3]);
    assert_inside (t->data, t->size, map, size);
    traits->to_float (t->data, row, traits->block_size);
  }
}

static void
check_ids (StGguf * gguf)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (StModelIds) ids = st_model_ids_compute (gguf, NULL, &error);

  if (ids == NULL) {
    g_assert_nonnull (error);
    return;
  }
  g_assert_cmpuint (strlen (st_model_ids_model_id (ids)), ==, 64);
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    g_autoptr (GError) check = NULL;

    if (!st_model_ids_check (ids, gguf, st_gguf_tensor (gguf, i),
            st_model_ids_has_full (ids), &check))
      g_assert_nonnull (check);
  }
}

void
fuzz_one (const guint8 * data, gsize size)
{
  int fd = memfd_create ("fuzz-gguf", MFD_CLOEXEC);
  g_autofree gchar *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = NULL;

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (write (fd, data, size), ==, (gssize) size);
  gguf = st_gguf_open (path, &error);
  close (fd);
  if (gguf == NULL) {
    g_assert_true (error->domain == ST_GGUF_ERROR);
    return;
  }
  g_assert_no_error (error);
  if (st_gguf_n_entries (gguf) > 0) {
    /* The mapping begins where the first value would be without what is before it: header, name and type of its key. */
    const StGgufEntry *first = st_gguf_entry (gguf, 0);
    const guint8 *map = first->value - 24 - 8 - strlen (first->key) - 4;

    g_assert_cmpmem (map, size, data, size);
    read_entries (gguf, map, size);
    read_tensors (gguf, map, size);
  }
  check_ids (gguf);
}

static void
seed_values (GByteArray * b)
{
  static const guint8 zero[8] = { 0 };

  gb_header (b, 3, 0, 14);
  for (guint type = ST_GGUF_UINT8; type <= ST_GGUF_FLOAT64; type++) {
    static const guint8 widths[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    g_autofree gchar *name = g_strdup_printf ("key.%u", type);

    if (type == ST_GGUF_ARRAY)
      continue;
    gb_key (b, name, type);
    if (type == ST_GGUF_STRING)
      gb_string (b, "some text");
    else
      gb_bytes (b, zero, widths[type]);
  }
  gb_array (b, "words", ST_GGUF_STRING, 3);
  gb_string (b, "a");
  gb_string (b, "");
  gb_string (b, "longer");
  gb_array (b, "numbers", ST_GGUF_INT16, 3);
  gb_bytes (b, zero, 6);
}

static void
seed_tensors (GByteArray * b)
{
  gb_header (b, 2, 3, 3);
  gb_key (b, "general.architecture", ST_GGUF_STRING);
  gb_string (b, "llama");
  gb_key_u32 (b, "general.alignment", 32);
  gb_key_u32 (b, "llama.block_count", 1);
  gb_tensor (b, "token_embd.weight", 32, 4, ST_TYPE_Q4_1, 0);
  gb_tensor (b, "blk.0.attn_norm.weight", 8, 1, ST_TYPE_F32, 96);
  gb_tensor (b, "blk.0.attn_q.weight", 256, 1, ST_TYPE_Q6_K, 128);
  gb_data (b, 128 + 210);
}

/* A partition with the list of a model whose hashes are all zero, under the id that this gives. */
static void
seed_list (GByteArray * b)
{
  static const guint8 zeros[LIST_TENSORS * ST_HASH_BYTES] = { 0 };

  gb_header (b, 3, 1, 10);
  gb_key (b, "general.architecture", ST_GGUF_STRING);
  gb_string (b, "llama");
  gb_key (b, ST_SPLIT_KEY_MODEL_ID, ST_GGUF_STRING);
  gb_string (b, LIST_ID);
  gb_key (b, ST_SPLIT_KEY_TOKENIZER_ID, ST_GGUF_STRING);
  gb_string (b, "");
  gb_key_u32 (b, ST_SPLIT_KEY_FIRST_BLOCK, 0);
  gb_key_u32 (b, ST_SPLIT_KEY_LAST_BLOCK, 1);
  gb_array (b, ST_SPLIT_KEY_NAMES, ST_GGUF_STRING, LIST_TENSORS);
  gb_string (b, "blk.0.attn_norm.weight");
  gb_string (b, "blk.1.attn_norm.weight");
  gb_array (b, ST_SPLIT_KEY_TYPES, ST_GGUF_UINT32, LIST_TENSORS);
  gb_bytes (b, zeros, LIST_TENSORS * 4);
  gb_array (b, ST_SPLIT_KEY_SHAPES, ST_GGUF_UINT64,
      LIST_TENSORS * ST_GGUF_MAX_DIMS);
  for (guint i = 0; i < LIST_TENSORS * ST_GGUF_MAX_DIMS; i++)
    gb_u64 (b, i % ST_GGUF_MAX_DIMS == 0 ? 8 : 1);
  gb_array (b, ST_SPLIT_KEY_HASHES, ST_GGUF_UINT8, sizeof zeros);
  gb_bytes (b, zeros, sizeof zeros);
  gb_array (b, ST_SPLIT_KEY_FULL_HASHES, ST_GGUF_UINT8, sizeof zeros);
  gb_bytes (b, zeros, sizeof zeros);
  gb_tensor (b, "blk.0.attn_norm.weight", 8, 1, ST_TYPE_F32, 0);
  gb_data (b, 32);
}

GBytes *
fuzz_seed (guint i)
{
  static void (*const build[N_SEEDS]) (GByteArray *) = {
    seed_values, seed_tensors, seed_list
  };
  GByteArray *b;

  if (i >= N_SEEDS)
    return NULL;
  b = g_byte_array_new ();
  build[i] (b);
  return g_byte_array_free_to_bytes (b);
}
