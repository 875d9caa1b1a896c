/* Models from partition files: the same model id and the same bits as from the whole file. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "models/ids.h"
#include "models/partition.h"
#include "tests/support/model-tools.h"
#include "tests/support/tiny-model.h"

#define N_PARTS 3
#define N_IDS 40

static const guint borders[N_PARTS + 1] = { 0, 1, 3, ST_TINY_BLOCKS };

typedef struct
{
  gchar *whole;
  gchar *parts[N_PARTS];        /* only the first carries the tokenizer */
} Files;

static void
set_up (Files * files, gconstpointer data)
{
  const StTinyModelOptions options = {.untied = GPOINTER_TO_INT (data) };
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = NULL;
  g_autoptr (StTokenizer) tokenizer = NULL;

  files->whole = st_tiny_model_temp (&options);
  gguf = st_gguf_open (files->whole, &error);
  g_assert_no_error (error);
  tokenizer = st_tokenizer_new (gguf, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < N_PARTS; i++) {
    files->parts[i] = g_strdup_printf ("%s.part%u", files->whole, i);
    st_partition_write (gguf, st_tokenizer_id (tokenizer), borders[i],
        borders[i + 1], -1, i == 0, files->parts[i], NULL, &error);
    g_assert_no_error (error);
  }
}

static void
tear_down (Files * files, gconstpointer data)
{
  (void) data;
  for (guint i = 0; i < N_PARTS; i++) {
    g_unlink (files->parts[i]);
    g_free (files->parts[i]);
  }
  g_unlink (files->whole);
  g_free (files->whole);
}

static StModel *
open_part (const Files * files, guint part, gboolean verify_full,
    GError ** error)
{
  StModelOptions options = {
    .first_block = (gint) borders[part],
    .last_block = part + 1 < N_PARTS ? (gint) borders[part + 1] : -1,
    .embed = part == 0,
    .output = part + 1 == N_PARTS,
    .threads = 1,
    .deterministic = TRUE,
    .verify_full = verify_full,
  };

  return st_model_open (files->parts[part], &options, error);
}

static void
test_same_bits (Files * files, gconstpointer data)
{
  g_autofree float *expected_logits = g_new (float, N_IDS * ST_TINY_VOCAB);
  g_autofree float *logits = g_new (float, N_IDS * ST_TINY_VOCAB);
  const gint32 prompt[] = { 70, 80, 90, 100, 110 };
  gint32 expected[N_IDS], answer[N_IDS];
  StTestChain whole, chain = {.n_parts = N_PARTS,.hidden =
        ST_TINY_HIDDEN,.vocab = ST_TINY_VOCAB
  };

  (void) data;
  st_test_chain_open (&whole, files->whole, NULL, 1, 64, ST_TYPE_F16);
  for (guint i = 0; i < N_PARTS; i++) {
    g_autoptr (GError) error = NULL;

    chain.parts[i] = open_part (files, i, TRUE, &error);
    g_assert_no_error (error);
    chain.caches[i] = st_kv_cache_new (chain.parts[i], 64, ST_TYPE_F16, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (st_model_id (chain.parts[i]), ==,
        st_model_id (whole.parts[0]));
    g_assert_cmpuint (st_model_config (chain.parts[i])->vocab_size, ==,
        ST_TINY_VOCAB);
    g_assert_true ((st_model_tokenizer (chain.parts[i]) != NULL) == (i == 0));
  }
  st_test_chain_greedy (&whole, prompt, G_N_ELEMENTS (prompt), expected, N_IDS,
      expected_logits);
  st_test_chain_greedy (&chain, prompt, G_N_ELEMENTS (prompt), answer, N_IDS,
      logits);
  g_assert_cmpmem (answer, sizeof (answer), expected, sizeof (expected));
  g_assert_cmpmem (logits, N_IDS * ST_TINY_VOCAB * sizeof (float),
      expected_logits, N_IDS * ST_TINY_VOCAB * sizeof (float));
  st_test_chain_close (&chain);
  st_test_chain_close (&whole);
}

static void
assert_not_held (const gchar * path, gint first, gint last, const gchar * part)
{
  StModelOptions options = {.first_block = first,.last_block = last,.embed =
        first == 0,.output = last < 0,.threads = 1
  };
  g_autoptr (GError) error = NULL;

  g_assert_null (st_model_open (path, &options, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE);
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_not_held (Files * files, gconstpointer data)
{
  (void) data;
  assert_not_held (files->parts[0], 0, 2,
      "holds blocks: 0; the whole model has 4");
  assert_not_held (files->parts[1], 0, 3, "block 0 is not in this file");
  assert_not_held (files->parts[1], 1, -1, "block 3 is not in this file");
}

/* Changes one byte of @name's data in the file, @offset bytes from its start. */
static void
change_byte (const gchar * path, const gchar * name, gsize offset)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = st_gguf_open (path, &error);
  const StTensor *tensor;
  guint8 byte;
  int fd = g_open (path, O_RDWR, 0);

  g_assert_no_error (error);
  g_assert_cmpint (fd, >=, 0);
  tensor = st_gguf_find (gguf, name);
  g_assert_nonnull (tensor);
  g_assert_cmpuint (offset, <, tensor->size);
  g_assert_cmpint (pread (fd, &byte, 1, (off_t) (tensor->offset + offset)), ==,
      1);
  byte ^= 1;
  g_assert_cmpint (pwrite (fd, &byte, 1, (off_t) (tensor->offset + offset)), ==,
      1);
  close (fd);
}

static void
test_damaged (Files * files, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (StModel) model = NULL;

  (void) data;
  /* Between the samples only the full hash sees it. */
  change_byte (files->parts[1], "blk.1.ffn_up.weight", 2000);
  model = open_part (files, 1, FALSE, &error);
  g_assert_no_error (error);
  g_assert_nonnull (model);
  g_assert_null (open_part (files, 1, TRUE, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, ST_IDS_ERROR, ST_IDS_ERROR_MISMATCH);
  g_assert_nonnull (strstr (error->message, "blk.1.ffn_up.weight"));
  g_clear_error (&error);
  /* The first bytes are always looked at. */
  change_byte (files->parts[2], "blk.3.attn_q.weight", 0);
  g_assert_null (open_part (files, 2, FALSE, &error));
  g_assert_error (error, ST_IDS_ERROR, ST_IDS_ERROR_MISMATCH);
}

int
main (int argc, char **argv)
{
  const struct
  {
    const gchar *name;
    void (*test) (Files * files, gconstpointer data);
  } tests[] = {
    {"same-bits", test_same_bits}, {"not-held", test_not_held}, {"damaged",
        test_damaged},
  };

  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++) {
    for (gint untied = 0; untied < 2; untied++) {
      g_autofree gchar *path =
          g_strdup_printf ("/model-partition/%s/%s", untied ? "untied" : "tied",
          tests[i].name);

      g_test_add (path, Files, GINT_TO_POINTER (untied), set_up, tests[i].test,
          tear_down);
    }
  }
  return g_test_run ();
}
