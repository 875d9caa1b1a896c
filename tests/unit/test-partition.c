/* Partition files: what is in them, that they run as the whole model does, and what is refused. */
#include "models/partition.h"

#include <stdio.h>
#include <string.h>

#include <glib/gstdio.h>

#include "models/gguf/gguf-writer.h"
#include "models/model.h"
#include "tests/support/test-model.h"
#include "tests/support/tiny-model.h"

#define N ST_TINY_BLOCKS

typedef struct
{
  gchar *directory;
  gchar *model_path;
  gchar *path;                  /* of a partition */
  StGguf *model;
  gchar *tokenizer_id;
} Fixture;

static void
set_up (Fixture * f, gconstpointer options)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (StTokenizer) tokenizer = NULL;

  f->directory = g_dir_make_tmp ("partition-XXXXXX", NULL);
  f->path = g_build_filename (f->directory, "part.gguf", NULL);
  f->model_path = st_tiny_model_temp (options);
  f->model = st_gguf_open (f->model_path, &error);
  g_assert_no_error (error);
  tokenizer = st_tokenizer_new (f->model, &error);
  g_assert_no_error (error);
  f->tokenizer_id = g_strdup (st_tokenizer_id (tokenizer));
}

static void
tear_down (Fixture * f, gconstpointer options)
{
  (void) options;
  st_gguf_unref (f->model);
  g_unlink (f->model_path);
  g_unlink (f->path);
  g_assert_cmpint (g_rmdir (f->directory), ==, 0);
  g_free (f->directory);
  g_free (f->model_path);
  g_free (f->path);
  g_free (f->tokenizer_id);
}

/* Cuts @source to f->path and opens that. */
static StGguf *
cut (Fixture * f, StGguf * source, guint first, guint last, gboolean tokenizer)
{
  g_autoptr (GError) error = NULL;
  StPartitionInfo info;
  StGguf *part;

  st_partition_write (source, f->tokenizer_id, first, last, -1, tokenizer,
      f->path, &info, &error);
  g_assert_no_error (error);
  part = st_gguf_open (f->path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (info.n_tensors, ==, st_gguf_n_tensors (part));
  return part;
}

static void
assert_ids (Fixture * f, StGguf * part, guint first, guint last)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (StModelIds) whole = st_model_ids_compute (f->model,
      f->tokenizer_id, &error);
  g_autoptr (StModelIds) ids = st_model_ids_compute (part, NULL, &error);
  guint a, b;

  g_assert_no_error (error);
  g_assert_cmpstr (st_model_ids_model_id (ids), ==,
      st_model_ids_model_id (whole));
  g_assert_cmpstr (st_model_ids_tokenizer_id (ids), ==, f->tokenizer_id);
  g_assert_true (st_model_ids_has_full (ids));
  g_assert_true (st_model_ids_blocks (ids, &a, &b));
  g_assert_cmpuint (a, ==, first);
  g_assert_cmpuint (b, ==, last);
  for (guint64 i = 0; i < st_gguf_n_tensors (part); i++)
    g_assert_true (st_model_ids_check (ids, part, st_gguf_tensor (part, i),
            TRUE, &error));
}

static gboolean
expected (const StTinyModelOptions * options, const gchar * name, guint first,
    guint last)
{
  guint block;

  if (sscanf (name, "blk.%u.", &block) == 1)
    return block >= first && block < last;
  if (strcmp (name, "token_embd.weight") == 0)
    return first == 0 || (last == N && !options->untied);
  if (strcmp (name, "position_embd.weight") == 0)
    return first == 0;
  g_assert_true (g_str_has_prefix (name, "output"));
  return last == N;
}

/* Every range of blocks holds exactly its tensors, with their bytes and the model's metadata and id. */
static void
test_content (Fixture * f, gconstpointer options)
{
  for (guint range = 0; range < N * (N + 1); range++) {
    const guint first = range / (N + 1), last = range % (N + 1);
    g_autoptr (StGguf) part = NULL;
    guint64 n = 0;

    if (first >= last)
      continue;
    part = cut (f, f->model, first, last, TRUE);
    for (guint64 i = 0; i < st_gguf_n_tensors (f->model); i++) {
      const StTensor *t = st_gguf_tensor (f->model, i);
      const StTensor *copy = st_gguf_find (part, t->name);

      if (!expected (options, t->name, first, last)) {
        g_assert_null (copy);
        continue;
      }
      n++;
      g_assert_nonnull (copy);
      g_assert_cmpint (copy->type, ==, t->type);
      g_assert_cmpmem (copy->ne, sizeof copy->ne, t->ne, sizeof t->ne);
      g_assert_cmpmem (copy->data, copy->size, t->data, t->size);
    }
    g_assert_cmpuint (st_gguf_n_tensors (part), ==, n);
    for (guint64 i = 0; i < st_gguf_n_entries (f->model); i++) {
      const StGgufEntry *e = st_gguf_entry (f->model, i);
      const StGgufEntry *copy = st_gguf_find_entry (part, e->key);

      g_assert_nonnull (copy);
      g_assert_cmpmem (copy->value, copy->size, e->value, e->size);
    }
    assert_ids (f, part, first, last);
  }
}

static void
test_again (Fixture * f, gconstpointer options)
{
  g_autoptr (StGguf) tail = cut (f, f->model, 1, N, FALSE);
  g_autoptr (StGguf) middle = cut (f, tail, 2, 3, TRUE);
  g_autoptr (GError) error = NULL;

  (void) options;
  g_assert_cmpuint (st_gguf_n_tensors (middle), ==, 9);
  assert_ids (f, middle, 2, 3);
  g_assert_false (st_partition_write (tail, NULL, 0, 2, -1, TRUE, f->path, NULL,
          &error));
  g_assert_error (error, ST_PARTITION_ERROR, ST_PARTITION_ERROR_RANGE);
  g_assert_nonnull (strstr (error->message, "1-4"));
  g_clear_error (&error);
  g_assert_false (st_partition_write (middle, NULL, 2, N, -1, TRUE, f->path,
          NULL, &error));
  g_assert_error (error, ST_PARTITION_ERROR, ST_PARTITION_ERROR_RANGE);
}

static void
test_no_tokenizer (Fixture * f, gconstpointer options)
{
  g_autoptr (StGguf) part = cut (f, f->model, 1, 2, FALSE);
  guint64 vocab = 0;

  (void) options;
  for (guint64 i = 0; i < st_gguf_n_entries (part); i++)
    g_assert_false (g_str_has_prefix (st_gguf_entry (part, i)->key,
            "tokenizer."));
  g_assert_true (st_gguf_get_uint (part, ST_SPLIT_KEY_VOCAB_SIZE, &vocab));
  g_assert_cmpuint (vocab, ==, ST_TINY_VOCAB);
  assert_ids (f, part, 1, 2);
}

static StModel *
open_model (const gchar * path, guint first, guint last)
{
  const StModelOptions options = {.first_block = (gint) first,
    .last_block = (gint) last,.embed = first == 0,.output = last == N,
    .threads = 1,.deterministic = TRUE,.verify_full = TRUE
  };
  g_autoptr (GError) error = NULL;
  StModel *model = st_model_open (path, &options, &error);

  g_assert_no_error (error);
  return model;
}

/* Runs the prompt through @model and, where it has the output head, gives the logits of the last row. */
static void
run (StModel * model, const gint32 * ids, gsize n, float *x, float *logits)
{
  g_autoptr (GError) error = NULL;
  StKvCache *cache = st_kv_cache_new (model, 64, ST_TYPE_F32, &error);

  if (ids != NULL)
    g_assert_true (st_model_embed (model, ids, n, x, &error));
  g_assert_true (st_model_run (model, cache, x, n, ST_REGIME_PREFILL, NULL,
          &error));
  if (logits != NULL)
    g_assert_true (st_model_logits (model, x + (n - 1) * ST_TINY_HIDDEN, 1,
            ST_REGIME_PREFILL, logits, NULL, &error));
  st_kv_cache_free (cache);
}

/* Head, middle and tail from their own files give the whole model's logits, bit for bit, under the same id. */
static void
test_runs (Fixture * f, gconstpointer options)
{
  static const guint cuts[] = { 0, 1, 3, N };
  static const gint32 ids[] = { 1, 50, 60, 300, 77, 12 };
  float x[G_N_ELEMENTS (ids) * ST_TINY_HIDDEN];
  float whole[ST_TINY_VOCAB] = { 0 }, parts[ST_TINY_VOCAB] = { 0 };
  StModel *model = open_model (f->model_path, 0, N);
  g_autofree gchar *id = g_strdup (st_model_id (model));

  (void) options;
  run (model, ids, G_N_ELEMENTS (ids), x, whole);
  st_model_unref (model);
  for (guint i = 0; i + 1 < G_N_ELEMENTS (cuts); i++) {
    const guint first = cuts[i], last = cuts[i + 1];
    const gboolean end = first == 0 || last == N;
    g_autoptr (StGguf) part = cut (f, f->model, first, last, end);

    model = open_model (f->path, first, last);
    g_assert_cmpstr (st_model_id (model), ==, id);
    g_assert_cmpint (st_model_tokenizer (model) != NULL, ==, end);
    run (model, first == 0 ? ids : NULL, G_N_ELEMENTS (ids), x,
        last == N ? parts : NULL);
    st_model_unref (model);
  }
  g_assert_cmpmem (parts, sizeof parts, whole, sizeof whole);
}

/* Writes the model without tensors and keys whose name begins with @without, and with one more tensor. */
static StGguf *
write_variant (Fixture * f, const gchar * without, const gchar * with)
{
  static const guint64 ne[] = { 8 };
  static const float values[8] = { 1 };
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GError) error = NULL;
  StGguf *variant;

  st_gguf_writer_copy_metadata (writer, f->model);
  if (without != NULL)
    st_gguf_writer_remove_prefix (writer, without);
  for (guint64 i = 0; i < st_gguf_n_tensors (f->model); i++) {
    const StTensor *t = st_gguf_tensor (f->model, i);

    if (without == NULL || !g_str_has_prefix (t->name, without))
      g_assert_true (st_gguf_writer_copy_tensor (writer, f->model, t, NULL));
  }
  if (with != NULL)
    g_assert_true (st_gguf_writer_add_tensor (writer, with, ST_TYPE_F32, 1, ne,
            values, NULL));
  g_assert_true (st_gguf_writer_write (writer, f->path, NULL));
  variant = st_gguf_open (f->path, &error);
  g_assert_no_error (error);
  return variant;
}

/* A middle part has neither embedding nor tokenizer, and many models no key for the size of their vocabulary. */
static void
test_vocab_size (Fixture * f, gconstpointer options)
{
  g_autoptr (StGguf) variant = write_variant (f, "llama.vocab_size", NULL);
  g_autoptr (StGguf) middle = cut (f, variant, 1, 2, FALSE);
  StModel *model = open_model (f->path, 1, 2);

  (void) options;
  g_assert_cmpuint (st_model_config (model)->vocab_size, ==, ST_TINY_VOCAB);
  st_model_unref (model);
}

/* The end of the model and, for a predictor, its first blocks: either range runs as in the whole model, and nothing between them is there. */
static void
test_predictor (Fixture * f, gconstpointer options)
{
  static const gint32 ids[] = { 5, 77, 102, 9 };
  float x[G_N_ELEMENTS (ids) * ST_TINY_HIDDEN], whole[sizeof x / sizeof *x];
  g_autoptr (GError) error = NULL;
  StModelOptions wanted = {.last_block = 1,.embed = TRUE,.threads = 1,
    .verify_full = TRUE
  };

  (void) options;
  for (gint predictor = 0; predictor < 2; predictor++) {
    StModel *model;

    wanted.last_block = predictor;
    g_assert_true (st_partition_write (f->model, f->tokenizer_id, 2, N,
            predictor, FALSE, f->path, NULL, &error));
    g_assert_no_error (error);
    for (guint part = 0; part < 2; part++) {
      float *to = part == 0 ? x : whole;
      StKvCache *cache;

      model = st_model_open (part == 0 ? f->path : f->model_path, &wanted,
          &error);
      g_assert_no_error (error);
      cache = st_kv_cache_new (model, 16, ST_TYPE_F32, NULL);
      g_assert_true (st_model_embed (model, ids, G_N_ELEMENTS (ids), to, NULL));
      g_assert_true (st_model_run (model, cache, to, G_N_ELEMENTS (ids),
              ST_REGIME_PREFILL, NULL, NULL));
      st_kv_cache_free (cache);
      st_model_unref (model);
    }
    g_assert_cmpmem (x, sizeof x, whole, sizeof whole);
    model = open_model (f->path, 2, N);
    st_model_unref (model);
    wanted.last_block = predictor + 1;
    g_assert_null (st_model_open (f->path, &wanted, &error));
    g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE);
    g_clear_error (&error);
  }
  g_assert_false (st_partition_write (f->model, f->tokenizer_id, 2, N, N + 1,
          FALSE, f->path, NULL, &error));
  g_assert_error (error, ST_PARTITION_ERROR, ST_PARTITION_ERROR_RANGE);
}

/* A tensor that is of neither end goes into every part. */
static void
test_shared_tensor (Fixture * f, gconstpointer options)
{
  g_autoptr (StGguf) variant = write_variant (f, NULL, "rope_freqs.weight");
  g_autoptr (StGguf) middle = cut (f, variant, 1, 2, TRUE);

  (void) options;
  g_assert_nonnull (st_gguf_find (middle, "rope_freqs.weight"));
  g_assert_cmpuint (st_gguf_n_tensors (middle), ==, 10);
}

static void
test_incomplete (Fixture * f, gconstpointer options)
{
  static const struct
  {
    const gchar *without;
    guint first, last;
  } cases[] = {
    {"token_embd.weight", 0, 2},
    {"output_norm.weight", 2, N},
    {"blk.1.", 0, 2},
  };
  g_autofree gchar *out = g_build_filename (f->directory, "out.gguf", NULL);

  (void) options;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (StGguf) variant = write_variant (f, cases[i].without, NULL);
    g_autoptr (GError) error = NULL;

    g_assert_false (st_partition_write (variant, f->tokenizer_id,
            cases[i].first, cases[i].last, -1, TRUE, out, NULL, &error));
    g_assert_error (error, ST_PARTITION_ERROR, ST_PARTITION_ERROR_MODEL);
    g_assert_nonnull (strstr (error->message, cases[i].without));
    g_assert_false (g_file_test (out, G_FILE_TEST_EXISTS));
  }
}

static void
test_layers (void)
{
  static const struct
  {
    const gchar *text;
    guint first, last;
  } good[] = {
    {"0-10", 0, 10}, {"10-30", 10, 30}, {"29-30", 29, 30}, {"all", 0, 30},
    {NULL, 0, 30},
  };
  static const gchar *const bad[] = { "", "10", "-", "10-", "-10", "5-5",
    "6-5", "0-31", "0-10-20", "a-b", "0x1-5", "+1-5", "0-99999999999999999999",
    " 0-1", "0 - 1", "ALL"
  };
  guint first, last;

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    g_assert_true (st_partition_parse_layers (good[i].text, 30, &first, &last,
            NULL));
    g_assert_cmpuint (first, ==, good[i].first);
    g_assert_cmpuint (last, ==, good[i].last);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (st_partition_parse_layers (bad[i], 30, &first, &last,
            &error));
    g_assert_error (error, ST_PARTITION_ERROR, ST_PARTITION_ERROR_RANGE);
    g_assert_nonnull (strstr (error->message, bad[i]));
  }
}

/* The real model: both halves carry its id, and their tensors agree with the list. */
static void
test_real (void)
{
  g_autofree gchar *path = st_test_model_path ();
  g_autofree gchar *directory = NULL;
  Fixture f = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (StTokenizer) tokenizer = NULL;
  guint n_blocks;

  if (path == NULL) {
    g_test_skip ("the real model is not there (see ST_TEST_MODEL)");
    return;
  }
  directory = g_dir_make_tmp ("partition-XXXXXX", NULL);
  f.path = g_build_filename (directory, "part.gguf", NULL);
  f.model = st_gguf_open (path, &error);
  g_assert_no_error (error);
  tokenizer = st_tokenizer_new (f.model, &error);
  g_assert_no_error (error);
  f.tokenizer_id = g_strdup (st_tokenizer_id (tokenizer));
  g_assert_true (st_partition_n_blocks (f.model, &n_blocks, &error));
  for (guint part = 0; part < 2; part++) {
    const guint first = part == 0 ? 0 : 10, last = part == 0 ? 10 : n_blocks;
    g_autoptr (StGguf) gguf = cut (&f, f.model, first, last, TRUE);

    assert_ids (&f, gguf, first, last);
  }
  g_unlink (f.path);
  g_rmdir (directory);
  st_gguf_unref (f.model);
  g_free (f.path);
  g_free (f.tokenizer_id);
}

int
main (int argc, char **argv)
{
  static const StTinyModelOptions tied = { 0 };
  static const StTinyModelOptions untied = {.type = ST_TYPE_Q8_0,
    .untied = TRUE
  };
  static const StTinyModelOptions gpt2 = {.gpt2 = TRUE };
  static const struct
  {
    const gchar *path;
    const StTinyModelOptions *options;
    void (*test) (Fixture *, gconstpointer);
  } tests[] = {
    {"/partition/content/tied", &tied, test_content},
    {"/partition/content/untied", &untied, test_content},
    {"/partition/content/gpt2", &gpt2, test_content},
    {"/partition/again", &tied, test_again},
    {"/partition/no-tokenizer", &tied, test_no_tokenizer},
    {"/partition/runs/tied", &tied, test_runs},
    {"/partition/runs/untied", &untied, test_runs},
    {"/partition/runs/gpt2", &gpt2, test_runs},
    {"/partition/vocab-size", &tied, test_vocab_size},
    {"/partition/predictor/tied", &tied, test_predictor},
    {"/partition/predictor/untied", &untied, test_predictor},
    {"/partition/predictor/gpt2", &gpt2, test_predictor},
    {"/partition/shared-tensor", &tied, test_shared_tensor},
    {"/partition/incomplete", &tied, test_incomplete},
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, Fixture, tests[i].options, set_up,
        tests[i].test, tear_down);
  g_test_add_func ("/partition/layers", test_layers);
  g_test_add_func ("/partition/real", test_real);
  return g_test_run ();
}
