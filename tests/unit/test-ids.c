/* Model ids: what changes them and what does not, and the check of tensors against a partition's list. */
#include "models/ids.h"

#include <string.h>

#include <glib/gstdio.h>

#include "models/gguf/gguf-writer.h"
#include "models/partition.h"
#include "tests/support/tiny-model.h"

#define TOKENIZER "0123456789abcdef"
#define CHANGED "blk.2.ffn_down.weight"

static StGguf *
open_and_unlink (gchar * path)
{
  g_autoptr (GError) error = NULL;
  StGguf *gguf = st_gguf_open (path, &error);

  g_assert_no_error (error);
  g_unlink (path);
  g_free (path);
  return gguf;
}

static StGguf *
open_tiny (const StTinyModelOptions * options)
{
  return open_and_unlink (st_tiny_model_temp (options));
}

static gchar *
model_id (StGguf * gguf, const gchar * tokenizer_id)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (StModelIds) ids =
      st_model_ids_compute (gguf, tokenizer_id, &error);

  g_assert_no_error (error);
  return g_strdup (st_model_ids_model_id (ids));
}

/* Writes @gguf again with the last tensor first, the byte @flip of tensor @name changed, and by @change_metadata. */
static StGguf *
rewrite (StGguf * gguf, const gchar * name, gsize flip,
    void (*change_metadata) (StGgufWriter * writer))
{
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autofree guint8 *changed = NULL;
  g_autofree gchar *directory = g_dir_make_tmp ("ids-XXXXXX", NULL);
  gchar *path = g_build_filename (directory, "changed.gguf", NULL);
  g_autoptr (GError) error = NULL;
  StGguf *result;

  st_gguf_writer_copy_metadata (writer, gguf);
  if (change_metadata != NULL)
    change_metadata (writer);
  for (guint64 i = st_gguf_n_tensors (gguf); i-- > 0;) {
    const StTensor *t = st_gguf_tensor (gguf, i);

    if (name == NULL || strcmp (t->name, name) != 0) {
      g_assert_true (st_gguf_writer_copy_tensor (writer, gguf, t, NULL));
      continue;
    }
    changed = g_memdup2 (t->data, t->size);
    changed[flip] ^= 1;
    g_assert_true (st_gguf_writer_add_tensor (writer, name, t->type, t->n_dims,
            t->ne, changed, NULL));
  }
  st_gguf_writer_write (writer, path, &error);
  g_assert_no_error (error);
  result = open_and_unlink (path);
  g_rmdir (directory);
  return result;
}

static void
change_name (StGgufWriter * writer)
{
  st_gguf_writer_set_string (writer, "general.name", "renamed");
  st_gguf_writer_set_string (writer, "some.note", "added");
}

static void
change_architecture (StGgufWriter * writer)
{
  st_gguf_writer_set_float (writer, "llama.rope.freq_base", 20000.0f);
}

static void
test_same (void)
{
  g_autoptr (StGguf) gguf = open_tiny (NULL);
  g_autoptr (StGguf) reordered = rewrite (gguf, NULL, 0, NULL);
  g_autoptr (StGguf) renamed = rewrite (gguf, NULL, 0, change_name);
  g_autofree gchar *a = model_id (gguf, TOKENIZER);
  g_autofree gchar *b = model_id (reordered, TOKENIZER);
  g_autofree gchar *c = model_id (renamed, TOKENIZER);

  g_assert_cmpuint (strlen (a), ==, 64);
  g_assert_cmpuint (strspn (a, "0123456789abcdef"), ==, 64);
  g_assert_cmpstr (a, ==, b);
  g_assert_cmpstr (a, ==, c);
}

/* The format of the id is fixed: other versions of this program must compute the same. Computed apart by tests/support/model-id.py. */
static void
test_fixed (void)
{
  g_autoptr (StGguf) gguf = open_tiny (NULL);
  g_autofree gchar *id = model_id (gguf, TOKENIZER);

  g_assert_cmpstr (id, ==,
      "79f1cafc1d7d93fd56c3f1de6256003697b9bdeecaa343074a125d6ac87fe71e");
}

static void
test_changed (void)
{
  const StTinyModelOptions seed = {.seed = 1 }, f16 = {.type = ST_TYPE_F16 };
  const StTinyModelOptions untied = {.untied = TRUE };
  g_autoptr (StGguf) gguf = open_tiny (NULL);
  const gsize size = st_gguf_find (gguf, CHANGED)->size;
  StGguf *others[] = {
    open_tiny (&seed), open_tiny (&f16), open_tiny (&untied),
    rewrite (gguf, CHANGED, 0, NULL), rewrite (gguf, CHANGED, 63, NULL),
    rewrite (gguf, CHANGED, (size - 64) / 3, NULL),
    rewrite (gguf, CHANGED, (size - 64) / 3 * 2 + 63, NULL),
    rewrite (gguf, CHANGED, size - 1, NULL),
    rewrite (gguf, "blk.0.attn_norm.weight", 100, NULL),
    rewrite (gguf, NULL, 0, change_architecture),
  };
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal,
      g_free, NULL);

  g_assert_true (g_hash_table_add (seen, model_id (gguf, TOKENIZER)));
  g_assert_true (g_hash_table_add (seen, model_id (gguf, "another")));
  g_assert_true (g_hash_table_add (seen, model_id (gguf, NULL)));
  for (guint i = 0; i < G_N_ELEMENTS (others); i++) {
    g_assert_true (g_hash_table_add (seen, model_id (others[i], TOKENIZER)));
    st_gguf_unref (others[i]);
  }
}

static void
test_no_architecture (void)
{
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autoptr (StGguf) gguf = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (st_gguf_writer_write (writer, path, NULL));
  gguf = st_gguf_open (path, NULL);
  g_unlink (path);
  g_assert_null (st_model_ids_compute (gguf, NULL, &error));
  g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_MISSING);
}

/* A partition with the last block of the tiny model. */
static StGguf *
make_partition (void)
{
  g_autoptr (StGguf) gguf = open_tiny (NULL);
  g_autoptr (GError) error = NULL;
  gchar *path = NULL;

  g_close (g_file_open_tmp ("part-XXXXXX", &path, NULL), NULL);
  st_partition_write (gguf, TOKENIZER, 2, ST_TINY_BLOCKS, -1, TRUE, path, NULL,
      &error);
  g_assert_no_error (error);
  return open_and_unlink (path);
}

static void
test_check (void)
{
  g_autoptr (StGguf) whole = open_tiny (NULL);
  g_autoptr (StGguf) part = make_partition ();
  const gsize size = st_gguf_find (part, CHANGED)->size;
  /* A change in a sample is always found, one beside the samples by the full hash. */
  static const struct
  {
    gboolean full, found;
  } cases[] = { {FALSE, TRUE}, {TRUE, TRUE}, {FALSE, FALSE}, {TRUE, TRUE} };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (StGguf) changed =
        rewrite (part, CHANGED, i < 2 ? size - 1 : 100, NULL);
    g_autoptr (GError) error = NULL;
    g_autoptr (StModelIds) ids = st_model_ids_compute (changed, TOKENIZER,
        &error);

    g_assert_no_error (error);
    g_assert_true (st_model_ids_check (ids, changed,
            st_gguf_find (changed, "blk.3.attn_q.weight"), cases[i].full,
            &error));
    g_assert_cmpint (st_model_ids_check (ids, changed,
            st_gguf_find (changed, CHANGED), cases[i].full, &error), ==,
        !cases[i].found);
    if (cases[i].found) {
      g_assert_error (error, ST_IDS_ERROR, ST_IDS_ERROR_MISMATCH);
      g_assert_nonnull (strstr (error->message, CHANGED));
    }
  }
}

static void
test_check_whole (void)
{
  g_autoptr (StGguf) gguf = open_tiny (NULL);
  g_autoptr (StModelIds) ids = st_model_ids_compute (gguf, TOKENIZER, NULL);
  const StTensor *t = st_gguf_find (gguf, CHANGED);
  StTensor stranger = *t, reshaped = *t;
  g_autoptr (GError) error = NULL;
  guint first, last;

  g_assert_false (st_model_ids_blocks (ids, &first, &last));
  g_assert_true (st_model_ids_check (ids, gguf, t, FALSE, &error));
  g_assert_false (st_model_ids_check (ids, gguf, t, TRUE, &error));
  g_assert_error (error, ST_IDS_ERROR, ST_IDS_ERROR_LIST);
  g_clear_error (&error);
  g_assert_true (st_model_ids_add_full (ids, gguf, &error));
  g_assert_true (st_model_ids_check (ids, gguf, t, TRUE, &error));
  stranger.name = "blk.9.ffn_down.weight";
  g_assert_false (st_model_ids_check (ids, gguf, &stranger, FALSE, &error));
  g_assert_error (error, ST_IDS_ERROR, ST_IDS_ERROR_MISMATCH);
  g_assert_nonnull (strstr (error->message, stranger.name));
  g_clear_error (&error);
  reshaped.ne[1]++;
  g_assert_false (st_model_ids_check (ids, gguf, &reshaped, FALSE, &error));
  g_assert_error (error, ST_IDS_ERROR, ST_IDS_ERROR_MISMATCH);
}

static void
drop_hashes (StGgufWriter * writer)
{
  st_gguf_writer_remove_prefix (writer, ST_SPLIT_KEY_HASHES);
}

static void
shorten_types (StGgufWriter * writer)
{
  static const guint32 type = ST_TYPE_F32;

  st_gguf_writer_set_array (writer, ST_SPLIT_KEY_TYPES, ST_GGUF_UINT32, &type,
      1);
}

static void
disorder_names (StGgufWriter * writer)
{
  const gchar *names[2 + 9 * ST_TINY_BLOCKS];

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    names[i] = "same";
  st_gguf_writer_set_strings (writer, ST_SPLIT_KEY_NAMES, names,
      G_N_ELEMENTS (names));
}

static void
empty_names (StGgufWriter * writer)
{
  st_gguf_writer_set_strings (writer, ST_SPLIT_KEY_NAMES, NULL, 0);
}

static void
other_id (StGgufWriter * writer)
{
  st_gguf_writer_set_string (writer, ST_SPLIT_KEY_MODEL_ID, "00");
}

static void
other_tokenizer (StGgufWriter * writer)
{
  st_gguf_writer_set_string (writer, ST_SPLIT_KEY_TOKENIZER_ID, "00");
}

static void
drop_tokenizer_id (StGgufWriter * writer)
{
  st_gguf_writer_remove_prefix (writer, ST_SPLIT_KEY_TOKENIZER_ID);
}

static void
no_blocks (StGgufWriter * writer)
{
  st_gguf_writer_set_uint32 (writer, ST_SPLIT_KEY_FIRST_BLOCK, 4);
}

static void
test_damaged_list (void)
{
  static const struct
  {
    void (*damage) (StGgufWriter * writer);
    StIdsError code;
    const gchar *message;
  } cases[] = {
    {drop_hashes, ST_IDS_ERROR_LIST, "missing or differ in length"},
    {shorten_types, ST_IDS_ERROR_LIST, "missing or differ in length"},
    {empty_names, ST_IDS_ERROR_LIST, "missing or differ in length"},
    {disorder_names, ST_IDS_ERROR_LIST, "not in order"},
    {other_id, ST_IDS_ERROR_LIST, "does not give the model id"},
    {change_architecture, ST_IDS_ERROR_LIST, "does not give the model id"},
    {other_tokenizer, ST_IDS_ERROR_MISMATCH, "tokenizer"},
    {drop_tokenizer_id, ST_IDS_ERROR_LIST, "tokenizer id or blocks"},
    {no_blocks, ST_IDS_ERROR_LIST, "tokenizer id or blocks"},
  };
  g_autoptr (StGguf) part = make_partition ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (StGguf) damaged = rewrite (part, NULL, 0, cases[i].damage);
    g_autoptr (GError) error = NULL;

    g_assert_null (st_model_ids_compute (damaged, TOKENIZER, &error));
    g_test_message ("%s", error->message);
    g_assert_error (error, ST_IDS_ERROR, (gint) cases[i].code);
    g_assert_nonnull (strstr (error->message, cases[i].message));
  }
}

/* A partition without a tokenizer gives the stored id; with a foreign one it is refused. */
static void
test_partition_tokenizer (void)
{
  g_autoptr (StGguf) part = make_partition ();
  g_autoptr (StModelIds) ids = st_model_ids_compute (part, NULL, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpstr (st_model_ids_tokenizer_id (ids), ==, TOKENIZER);
  g_assert_null (st_model_ids_compute (part, "foreign", &error));
  g_assert_error (error, ST_IDS_ERROR, ST_IDS_ERROR_MISMATCH);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ids/same", test_same);
  g_test_add_func ("/ids/fixed", test_fixed);
  g_test_add_func ("/ids/changed", test_changed);
  g_test_add_func ("/ids/no-architecture", test_no_architecture);
  g_test_add_func ("/ids/check", test_check);
  g_test_add_func ("/ids/check-whole", test_check_whole);
  g_test_add_func ("/ids/damaged-list", test_damaged_list);
  g_test_add_func ("/ids/partition-tokenizer", test_partition_tokenizer);
  return g_test_run ();
}
