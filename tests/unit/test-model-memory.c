/* What a partition touches and keeps in memory. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tests/support/model-tools.h"
#include "tests/support/test-model.h"
#include "tests/support/tiny-model.h"

/* Whether a range with embedding and output head as given uses the tensor called @name, in a file with a tied output. */
static gboolean
is_used (const gchar * name, gint first, gint last, gboolean output)
{
  if (g_str_has_prefix (name, "blk.")) {
    gint64 block = g_ascii_strtoll (name + 4, NULL, 10);

    return block >= first && block < last;
  }
  if (g_str_equal (name, "output_norm.weight"))
    return output;
  g_assert_cmpstr (name, ==, "token_embd.weight");
  return first == 0 || output;
}

/* Makes all tensors that the range does not use unreadable, but for pages at their borders; returns the bytes. */
static gsize
forbid_others (StModel * model, gint first, gint last, gboolean output)
{
  StGguf *gguf = st_model_gguf (model);
  guintptr page = (guintptr) sysconf (_SC_PAGESIZE);
  gsize forbidden = 0;

  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const StTensor *tensor = st_gguf_tensor (gguf, i);
    guintptr start = ((guintptr) tensor->data + page - 1) / page * page;
    guintptr end = ((guintptr) tensor->data + tensor->size) / page * page;

    if (is_used (tensor->name, first, last, output) || start >= end)
      continue;
    g_assert_cmpint (mprotect ((gpointer) start, end - start, PROT_NONE), ==,
        0);
    forbidden += end - start;
  }
  return forbidden;
}

static void
check_range (const gchar * path, gint first, gint last)
{
  g_autoptr (StModel) model = st_test_open_blocks (path, first, last, 1);
  const StModelConfig *config = st_model_config (model);
  gint end = last < 0 ? (gint) config->n_blocks : last;
  g_autofree float *x = g_new0 (float, 70 * config->hidden_size);
  g_autofree float *logits = g_new (float, config->vocab_size);
  g_autoptr (GError) error = NULL;
  StKvCache *cache = st_kv_cache_new (model, 128, ST_TYPE_F32, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (forbid_others (model, first, end, last < 0), >, 0);
  if (first == 0)
    st_model_embed (model, (gint32[]) {
        5, 6, 7}
      , 3, x, &error);
  g_assert_no_error (error);
  st_model_run (model, cache, x, 70, ST_REGIME_PREFILL, NULL, &error);
  g_assert_no_error (error);
  st_model_run (model, cache, x, 1, ST_REGIME_STEP, NULL, &error);
  g_assert_no_error (error);
  if (last < 0) {
    st_model_logits (model, x, 1, ST_REGIME_PREFILL, logits, NULL, &error);
    g_assert_no_error (error);
    st_model_logits (model, x, 1, ST_REGIME_STEP, logits, NULL, &error);
    g_assert_no_error (error);
  }
  st_kv_cache_free (cache);
}

static void
test_other_tensors_tiny (void)
{
  const StTinyModelOptions options = {.type = ST_TYPE_F32 };
  g_autofree gchar *path = st_tiny_model_temp (&options);

  check_range (path, 0, 2);
  check_range (path, 1, 3);
  check_range (path, 2, -1);
  g_unlink (path);
}

static void
test_other_tensors_real (void)
{
  g_autofree gchar *path = st_test_model_path ();

  if (path == NULL) {
    g_test_skip ("the model is not there: set ST_TEST_MODEL");
    return;
  }
  check_range (path, 0, 10);
  check_range (path, 10, 20);
  check_range (path, 20, -1);
}

static gsize
resident_memory (void)
{
  gsize total, resident;
  FILE *file = fopen ("/proc/self/statm", "r");

  g_assert_nonnull (file);
  g_assert_cmpint (fscanf (file, "%" G_GSIZE_FORMAT " %" G_GSIZE_FORMAT, &total,
          &resident), ==, 2);
  fclose (file);
  return resident * (gsize) sysconf (_SC_PAGESIZE);
}

/* A range's resident memory: at most 1.15 times its tensors, the KV cache and 64 MB. */
static void
check_resident (const gchar * path, gint first, gint last)
{
  const gsize n = 512;
  gsize before = resident_memory (), after, limit, cache_bytes;
  g_autoptr (StModel) model = st_test_open_blocks (path, first, last, 2);
  const StModelConfig *config = st_model_config (model);
  g_autofree float *x = g_new0 (float, n * config->hidden_size);
  g_autofree float *logits = g_new (float, config->vocab_size);
  g_autoptr (GError) error = NULL;
  StKvCache *cache = st_kv_cache_new (model, 0, ST_TYPE_F32, &error);

  g_assert_no_error (error);
  st_model_run (model, cache, x, n, ST_REGIME_PREFILL, NULL, &error);
  g_assert_no_error (error);
  st_model_run (model, cache, x, 1, ST_REGIME_STEP, NULL, &error);
  g_assert_no_error (error);
  if (last < 0)
    st_model_logits (model, x, 1, ST_REGIME_PREFILL, logits, NULL, &error);
  g_assert_no_error (error);
  after = resident_memory ();
  cache_bytes = st_kv_cache_length (cache) * st_kv_cache_position_bytes (cache);
  limit = st_model_used_bytes (model) * 115 / 100 + cache_bytes + (64u << 20);
  g_test_message
      ("blocks from %d to %d: tensors %.1f MB, cache %.1f MB, resident %.1f MB, limit %.1f MB",
      first, last, (double) st_model_used_bytes (model) / 1e6,
      (double) cache_bytes / 1e6, (double) after / 1e6 - (double) before / 1e6,
      (double) limit / 1e6);
  g_assert_cmpuint (after, <=, before + limit);
  st_kv_cache_free (cache);
}

static void
test_resident (void)
{
  g_autofree gchar *path = st_test_model_path ();

  if (path == NULL) {
    g_test_skip ("the model is not there: set ST_TEST_MODEL");
    return;
  }
  check_resident (path, 0, 10);
  check_resident (path, 10, 20);
  check_resident (path, 20, -1);
  check_resident (path, 0, -1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model-memory/other-tensors-tiny", test_other_tensors_tiny);
  g_test_add_func ("/model-memory/other-tensors-real", test_other_tensors_real);
  g_test_add_func ("/model-memory/resident", test_resident);
  return g_test_run ();
}
