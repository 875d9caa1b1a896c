/* Models and KV caches: what is refused and how, cancellation, memory. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "models/gguf/gguf-writer.h"
#include "models/kv-cache.h"
#include "tests/support/model-tools.h"
#include "tests/support/tiny-model.h"

/* Variant: the tiny model with something changed; unset members change nothing. */
typedef struct
{
  gboolean gpt2;                /* of the tiny model of that family */
  const gchar *uint_key;
  guint32 uint_value;
  const gchar *float_key;
  float float_value;
  const gchar *string_key, *string_value;
  const gchar *without_prefix;  /* tensors to leave out */
  const gchar *add;             /* F32 tensor to add, of ... */
  guint64 add_size;             /* ... so many values, all ... */
  float add_value;
} Variant;

static gchar *
make_variant (const Variant * variant)
{
  const StTinyModelOptions options = {.gpt2 = variant->gpt2 };
  g_autofree gchar *original = st_tiny_model_temp (&options);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = st_gguf_open (original, &error);
  g_autofree float *values = g_new (float, variant->add_size + 1);
  gchar *path = g_strconcat (original, ".variant.gguf", NULL);

  g_assert_no_error (error);
  st_gguf_writer_copy_metadata (writer, gguf);
  if (variant->uint_key != NULL)
    st_gguf_writer_set_uint32 (writer, variant->uint_key, variant->uint_value);
  if (variant->float_key != NULL)
    st_gguf_writer_set_float (writer, variant->float_key, variant->float_value);
  if (variant->string_key != NULL)
    st_gguf_writer_set_string (writer, variant->string_key,
        variant->string_value);
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const StTensor *tensor = st_gguf_tensor (gguf, i);

    if (variant->without_prefix == NULL
        || !g_str_has_prefix (tensor->name, variant->without_prefix))
      st_gguf_writer_copy_tensor (writer, gguf, tensor, &error);
    g_assert_no_error (error);
  }
  for (guint64 i = 0; i < variant->add_size; i++)
    values[i] = variant->add_value;
  if (variant->add != NULL)
    st_gguf_writer_add_tensor (writer, variant->add, ST_TYPE_F32, 1,
        &variant->add_size, values, &error);
  g_assert_no_error (error);
  st_gguf_writer_write (writer, path, &error);
  g_assert_no_error (error);
  g_unlink (original);
  return path;
}

/* Opening blocks [first, last) fails with @code and a message that has @part in it. */
static void
assert_refused (const gchar * path, gint first, gint last, StModelError code,
    const gchar * part)
{
  StModelOptions options = {.first_block = first,.last_block = last,.embed =
        first == 0,.output = last < 0,.threads = 1
  };
  g_autoptr (GError) error = NULL;
  StModel *model = st_model_open (path, &options, &error);

  g_assert_null (model);
  g_test_message ("%s", error->message);
  g_assert_error (error, ST_MODEL_ERROR, (gint) code);
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_refused (void)
{
  const struct
  {
    Variant variant;
    StModelError code;
    const gchar *part;
  } cases[] = {
    {{.string_key = "general.architecture",.string_value =
                "mamba"}, ST_MODEL_ERROR_UNSUPPORTED,
        "architecture 'mamba' is not supported; supported: llama, gpt2"},
    {{.string_key = "llama.rope.scaling.type",.string_value =
                "yarn"}, ST_MODEL_ERROR_UNSUPPORTED, "rope scaling 'yarn'"},
    {{.uint_key = "llama.expert_count",.uint_value =
                8}, ST_MODEL_ERROR_UNSUPPORTED, "experts"},
    {{.add = "blk.1.attn_q.bias",.add_size =
                64}, ST_MODEL_ERROR_UNSUPPORTED, "'blk.1.attn_q.bias'"},
    {{.uint_key = "llama.attention.value_length",.uint_value =
                8}, ST_MODEL_ERROR_UNSUPPORTED, "values of 8"},
    {{.without_prefix = "blk.2.ffn_up"}, ST_MODEL_ERROR_DAMAGED,
        "'blk.2.ffn_up.weight' is missing"},
    {{.uint_key = "llama.feed_forward_length",.uint_value =
                96}, ST_MODEL_ERROR_DAMAGED, "'blk.0.ffn_gate.weight'"},
    {{.uint_key = "llama.block_count",.uint_value =
                0}, ST_MODEL_ERROR_DAMAGED, "llama.block_count = 0"},
    {{.uint_key = "llama.embedding_length",.uint_value =
                0xffffffff}, ST_MODEL_ERROR_DAMAGED, "llama.embedding_length"},
    {{.uint_key = "llama.attention.head_count",.uint_value =
                7}, ST_MODEL_ERROR_DAMAGED, "7 heads do not divide"},
    {{.uint_key = "llama.attention.head_count_kv",.uint_value =
                3}, ST_MODEL_ERROR_DAMAGED, "cannot share 3"},
    {{.uint_key = "llama.rope.dimension_count",.uint_value =
                18}, ST_MODEL_ERROR_DAMAGED, "rope.dimension_count = 18"},
    {{.float_key = "llama.rope.freq_base",.float_value =
                -1}, ST_MODEL_ERROR_DAMAGED, "rope.freq_base"},
    {{.add = "rope_freqs.weight",.add_size = 8,.add_value =
                0}, ST_MODEL_ERROR_DAMAGED, "rope_freqs.weight"},
    {{.add = "rope_freqs.weight",.add_size = 7,.add_value =
                1}, ST_MODEL_ERROR_DAMAGED, "rope_freqs.weight"},
    {{.without_prefix =
                "token_embd"}, ST_MODEL_ERROR_RANGE, "no token embedding"},
    {{.without_prefix = "output_norm"}, ST_MODEL_ERROR_RANGE, "no output head"},
    {{.without_prefix =
                "blk.2."}, ST_MODEL_ERROR_RANGE, "holds blocks: 0 to 1, 3;"},
    {{.uint_key = "llama.block_count",.uint_value =
                5}, ST_MODEL_ERROR_RANGE, "block 4 is not in this file"},
    {{.gpt2 = TRUE,.without_prefix = "position_embd"}, ST_MODEL_ERROR_RANGE,
        "no position embedding"},
    {{.gpt2 = TRUE,.uint_key = "gpt2.context_length",.uint_value = 500},
        ST_MODEL_ERROR_DAMAGED, "'position_embd.weight' is 64 x 512"},
    {{.gpt2 = TRUE,.without_prefix = "blk.1.attn_qkv.bias"},
        ST_MODEL_ERROR_DAMAGED, "'blk.1.attn_qkv.bias' is missing"},
    {{.gpt2 = TRUE,.without_prefix = "output_norm.bias"},
        ST_MODEL_ERROR_DAMAGED, "'output_norm.bias' is missing"},
    {{.gpt2 = TRUE,.uint_key = "gpt2.attention.head_count_kv",.uint_value = 2},
        ST_MODEL_ERROR_DAMAGED, "'blk.0.attn_qkv.weight' is 64 x 192"},
    {{.gpt2 = TRUE,.uint_key = "gpt2.attention.head_count",.uint_value = 5},
        ST_MODEL_ERROR_DAMAGED, "5 heads do not divide"},
    {{.gpt2 = TRUE,.float_key = "gpt2.attention.layer_norm_epsilon",
            .float_value = 0}, ST_MODEL_ERROR_DAMAGED, "layer_norm_epsilon"},
    {{.gpt2 = TRUE,.add = "blk.2.attn_q.weight",.add_size = 64},
        ST_MODEL_ERROR_UNSUPPORTED, "not part of a plain gpt2 block"},
    {{.gpt2 = TRUE,.add = "blk.2.ffn_gate.weight",.add_size = 64},
        ST_MODEL_ERROR_UNSUPPORTED, "'blk.2.ffn_gate.weight'"},
    {{.gpt2 = TRUE,.string_key = "general.architecture",.string_value =
                "llama"}, ST_MODEL_ERROR_DAMAGED, "llama.block_count"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = make_variant (&cases[i].variant);

    assert_refused (path, 0, -1, cases[i].code, cases[i].part);
    g_unlink (path);
  }
}

static void
test_ranges (void)
{
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autoptr (StModel) whole = st_test_open_blocks (path, 0, -1, 1);
  g_autoptr (StModel) middle = st_test_open_blocks (path, 1, 3, 1);
  g_autoptr (GError) error = NULL;
  float x[ST_TINY_HIDDEN] = { 0 }, logits[ST_TINY_VOCAB];

  assert_refused (path, 3, 2, ST_MODEL_ERROR_RANGE, "from 3 to before 2");
  assert_refused (path, 0, 5, ST_MODEL_ERROR_RANGE, "the model has 4");
  assert_refused (path, -1, 2, ST_MODEL_ERROR_RANGE, "from -1");
  g_assert_cmpuint (st_model_first_block (middle), ==, 1);
  g_assert_cmpuint (st_model_n_layers (middle), ==, 2);
  g_assert_cmpuint (st_model_n_layers (whole), ==, ST_TINY_BLOCKS);
  g_assert_cmpuint (st_model_config (middle)->hidden_size, ==, ST_TINY_HIDDEN);
  g_assert_cmpuint (st_model_config (middle)->vocab_size, ==, ST_TINY_VOCAB);
  g_assert_cmpuint (st_model_used_bytes (middle), <,
      st_model_used_bytes (whole));
  g_assert_cmpuint (strlen (st_model_id (whole)), ==, 64);
  g_assert_cmpstr (st_model_id (middle), ==, st_model_id (whole));
  g_assert_nonnull (st_model_tokenizer (whole));
  g_assert_nonnull (st_model_chat_template (whole));

  g_assert_false (st_model_embed (middle, (gint32[]) {
          5}, 1, x, &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE);
  g_clear_error (&error);
  g_assert_false (st_model_logits (middle, x, 1, ST_REGIME_STEP, logits, NULL,
          &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE);
  g_unlink (path);
}

static void
test_file_errors (void)
{
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  StModelOptions options = {.last_block = -1,.embed = TRUE,.output =
        TRUE,.threads = 1
  };
  g_autoptr (GError) error = NULL;

  g_assert_null (st_model_open ("/nonexistent/model.gguf", &options, &error));
  g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO);
  g_clear_error (&error);
  g_assert_cmpint (truncate (path, 30000), ==, 0);
  g_assert_null (st_model_open (path, &options, &error));
  g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_FORMAT);
  g_unlink (path);
}

static void
test_input (void)
{
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  const gint32 bad[] = { -1, ST_TINY_VOCAB, G_MAXINT32, G_MININT32 };
  StTestChain chain;
  float x[4 * ST_TINY_HIDDEN] = { 0 };
  g_autoptr (GError) error = NULL;

  st_test_chain_open (&chain, path, NULL, 1, 6, ST_TYPE_F32);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    gint32 ids[] = { 3, bad[i] };

    g_assert_false (st_model_embed (chain.parts[0], ids, 2, x, &error));
    g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT);
    g_clear_error (&error);
  }
  st_test_chain_run (&chain, (gint32[]) {
      3, 4, 5, 6}
      , 4, ST_REGIME_PREFILL, x);
  g_assert_false (st_model_run (chain.parts[0], chain.caches[0], x, 3,
          ST_REGIME_STEP, NULL, &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CONTEXT);
  g_test_message ("%s", error->message);
  g_assert_cmpuint (st_kv_cache_length (chain.caches[0]), ==, 4);
  g_assert_false (st_kv_cache_truncate (chain.caches[0], 5));
  g_assert_cmpuint (st_kv_cache_length (chain.caches[0]), ==, 4);
  st_test_chain_run (&chain, (gint32[]) {
      3, 4}
      , 2, ST_REGIME_PREFILL, x);
  g_assert_cmpuint (st_kv_cache_length (chain.caches[0]), ==, 6);
  st_test_chain_close (&chain);
  g_unlink (path);
}

static void
test_cache_errors (void)
{
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autoptr (StModel) model = st_test_open_blocks (path, 0, -1, 1);
  g_autoptr (GError) error = NULL;
  StKvCache *cache;

  g_assert_null (st_kv_cache_new (model, 64, ST_TYPE_Q8_0, &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_UNSUPPORTED);
  g_clear_error (&error);
  g_assert_null (st_kv_cache_new (model, G_MAXUINT32, ST_TYPE_F32, &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CONTEXT);
  g_clear_error (&error);
  cache = st_kv_cache_new (model, 0, ST_TYPE_F32, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (st_kv_cache_capacity (cache), ==, ST_TINY_CONTEXT);
  st_kv_cache_free (cache);
}

/* There are no more positions than learned ones, whatever a cache is asked to hold; rotations go on for ever. */
static void
test_learned_positions (void)
{
  const StTinyModelOptions options = {.gpt2 = TRUE };
  g_autofree gchar *path = st_tiny_model_temp (&options);
  g_autofree float *x = g_new0 (float, (ST_TINY_POSITIONS + 1)
      * ST_TINY_HIDDEN);
  g_autoptr (GError) error = NULL;
  StTestChain chain;

  st_test_chain_open (&chain, path, (gint[]) {
      2, 0}, 1, 4 * ST_TINY_POSITIONS, ST_TYPE_F32);
  for (guint i = 0; i < chain.n_parts; i++) {
    g_assert_cmpuint (st_kv_cache_capacity (chain.caches[i]), ==,
        ST_TINY_POSITIONS);
    g_assert_false (st_model_run (chain.parts[i], chain.caches[i], x,
            ST_TINY_POSITIONS + 1, ST_REGIME_PREFILL, NULL, &error));
    g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CONTEXT);
    g_clear_error (&error);
    st_model_run (chain.parts[i], chain.caches[i], x, ST_TINY_POSITIONS,
        ST_REGIME_PREFILL, NULL, &error);
    g_assert_no_error (error);
  }
  st_test_chain_close (&chain);
  g_unlink (path);
}

/* Sizes that a file may claim are checked before they are reserved. */
static void
test_cache_overflow (void)
{
  Variant variant = {.uint_key = "llama.context_length",.uint_value = G_MAXINT32
  };
  g_autofree gchar *path = make_variant (&variant);
  g_autoptr (StModel) model = st_test_open_blocks (path, 0, -1, 1);
  g_autoptr (GError) error = NULL;
  StKvCache *cache = st_kv_cache_new (model, 0, ST_TYPE_F32, &error);

  /* 2^31 positions of 1 KiB: the address space has room or has not; either way it is an answer. */
  if (cache == NULL)
    g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_MEMORY);
  else
    g_assert_cmpuint (st_kv_cache_capacity (cache), ==, G_MAXINT32);
  st_kv_cache_free (cache);
  g_unlink (path);
}

static gsize
resident_bytes (StKvCache * cache)
{
  gsize page = (gsize) sysconf (_SC_PAGESIZE);
  gsize bytes =
      (gsize) st_kv_cache_capacity (cache) * st_kv_cache_position_bytes (cache);
  g_autofree guchar *pages = g_malloc0 (bytes / page + 1);
  gsize resident = 0;

  g_assert_cmpint (mincore ((gpointer) st_kv_cache_keys (cache, 0), bytes,
          pages), ==, 0);
  for (gsize i = 0; i < (bytes + page - 1) / page; i++)
    resident += (pages[i] & 1) * page;
  return resident;
}

/* Memory follows the positions that are stored, and goes back on truncation. */
static void
test_cache_memory (void)
{
  const guint n = 2500, planes = 2 * ST_TINY_BLOCKS * ST_TINY_KV_HEADS;
  const gsize slack = 2 * planes * (gsize) sysconf (_SC_PAGESIZE);
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autofree float *x = g_new0 (float, n * ST_TINY_HIDDEN);
  g_autofree gint32 *ids = g_new0 (gint32, n);
  StTestChain chain;
  gsize position;

  st_test_chain_open (&chain, path, NULL, 1, ST_TINY_CONTEXT, ST_TYPE_F32);
  position = st_kv_cache_position_bytes (chain.caches[0]);
  g_assert_cmpuint (position, ==,
      2 * ST_TINY_BLOCKS * ST_TINY_KV_HEADS * ST_TINY_HEAD_DIM * 4);
  g_assert_cmpuint (resident_bytes (chain.caches[0]), ==, 0);
  st_test_chain_run (&chain, ids, n, ST_REGIME_PREFILL, x);
  g_assert_cmpuint (resident_bytes (chain.caches[0]), >=, n * position);
  g_assert_cmpuint (resident_bytes (chain.caches[0]), <=, n * position + slack);
  st_test_chain_truncate (&chain, 300);
  g_assert_cmpuint (resident_bytes (chain.caches[0]), >=, 300 * position);
  g_assert_cmpuint (resident_bytes (chain.caches[0]), <=,
      300 * position + slack);
  st_test_chain_truncate (&chain, 0);
  st_test_chain_close (&chain);
  g_unlink (path);
}

typedef struct
{
  StTestChain *chain;
  float *x;
  gsize n;
  gint cancel;
  gint64 ended;
} Job;

static gpointer
run_until_cancelled (gpointer data)
{
  Job *job = data;
  g_autoptr (GError) error = NULL;
  gboolean ok =
      st_model_run (job->chain->parts[0], job->chain->caches[0], job->x, job->n,
      ST_REGIME_PREFILL, &job->cancel,
      &error);

  job->ended = g_get_monotonic_time ();
  if (!ok)
    g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED);
  return GINT_TO_POINTER (ok);
}

/* A cancelled run leaves the cache as it was, also while it waits for another caller. */
static void
test_cancel (void)
{
  const gsize n = 4000;
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autofree float *x = g_new0 (float, n * ST_TINY_HIDDEN);
  g_autofree float *before = g_new0 (float, 20 * ST_TINY_HIDDEN);
  g_autofree float *after = g_new0 (float, 20 * ST_TINY_HIDDEN);
  gint32 ids[20];
  StTestChain chain;
  Job job = {.chain = &chain,.x = x,.n = n,.cancel = 1 };

  for (gint i = 0; i < 20; i++)
    ids[i] = ST_TINY_BYTE_TOKEN + 3 * i;
  for (gsize i = 0; i < n * ST_TINY_HIDDEN; i++)
    x[i] = (float) (i % 7) - 3.0f;
  st_test_chain_open (&chain, path, NULL, 1, 4096, ST_TYPE_F32);
  st_test_chain_run (&chain, ids, 20, ST_REGIME_PREFILL, before);
  st_test_chain_run (&chain, ids, 20, ST_REGIME_PREFILL, before);
  st_test_chain_truncate (&chain, 20);

  g_assert_false (run_until_cancelled (&job));
  g_assert_cmpuint (st_kv_cache_length (chain.caches[0]), ==, 20);
  for (guint delay = 1; delay <= 50; delay *= 7) {
    GThread *thread;
    gint64 set;

    job.cancel = 0;
    thread = g_thread_new ("job", run_until_cancelled, &job);
    g_usleep (delay * 1000);
    set = g_get_monotonic_time ();
    g_atomic_int_set (&job.cancel, 1);
    if (g_thread_join (thread) != NULL) {
      st_test_chain_truncate (&chain, 20);
      continue;
    }
    g_test_message ("cancelled after %u ms, returned %.1f ms later", delay,
        (double) (job.ended - set) / 1000);
    g_assert_cmpuint (st_kv_cache_length (chain.caches[0]), ==, 20);
  }
  st_test_chain_run (&chain, ids, 20, ST_REGIME_PREFILL, after);
  g_assert_cmpmem (after, 20 * ST_TINY_HIDDEN * sizeof (float), before,
      20 * ST_TINY_HIDDEN * sizeof (float));
  st_test_chain_close (&chain);
  g_unlink (path);
}

static void
final_states (const gchar * path, float *x)
{
  const gint32 ids[] = { 10, 20, 30, 40, 50 };
  StTestChain chain;

  st_test_chain_open (&chain, path, NULL, 1, 16, ST_TYPE_F32);
  st_test_chain_run (&chain, ids, G_N_ELEMENTS (ids), ST_REGIME_PREFILL, x);
  st_test_chain_close (&chain);
}

/* Linear scaling by 2 and rotation factors of 2 are the same rotation, and not the plain one. */
static void
test_rope_scaling (void)
{
  Variant factors = {.add = "rope_freqs.weight",.add_size = 8,.add_value = 2 };
  Variant linear = {.string_key = "llama.rope.scaling.type",.string_value =
        "linear",
    .float_key = "llama.rope.scaling.factor",.float_value = 2
  };
  g_autofree gchar *plain_path = st_tiny_model_temp (NULL);
  g_autofree gchar *factors_path = make_variant (&factors);
  g_autofree gchar *linear_path = make_variant (&linear);
  guint differing = 0;
  float plain[5 * ST_TINY_HIDDEN], by_factors[5 * ST_TINY_HIDDEN],
      by_scale[5 * ST_TINY_HIDDEN];

  final_states (plain_path, plain);
  final_states (factors_path, by_factors);
  final_states (linear_path, by_scale);
  g_assert_cmpmem (by_factors, sizeof (by_factors), by_scale,
      sizeof (by_scale));
  for (guint i = 0; i < G_N_ELEMENTS (plain); i++)
    differing += plain[i] != by_scale[i];
  g_assert_cmpuint (differing, >, 0);
  g_unlink (plain_path);
  g_unlink (factors_path);
  g_unlink (linear_path);
}

static void
test_name (void)
{
  /* of 2, 3 and 4 bytes, and none */
  static const gchar *const ends[] = { "\303\251", "\342\202\254",
    "\360\237\231\202", "\303"
  };
  gchar name[64];

  st_name_copy (name, sizeof (name), "short");
  g_assert_cmpstr (name, ==, "short");
  for (gsize n = 56; n < 68; n++) {
    g_autofree gchar *start = g_strnfill (n, 'a');

    for (guint i = 0; i < G_N_ELEMENTS (ends); i++) {
      g_autofree gchar *whole = g_strconcat (start, ends[i], NULL);
      const gsize size = i < 3 ? i + 2 : strlen ("\357\277\275");

      st_name_copy (name, sizeof (name), whole);
      g_assert_true (g_utf8_validate (name, -1, NULL));
      g_assert_cmpuint (strlen (name), ==, MIN (n + size < 64 ? n + size : n,
              63));
      if (i < 3)
        g_assert_true (g_str_has_prefix (whole, name));
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/refused", test_refused);
  g_test_add_func ("/model/ranges", test_ranges);
  g_test_add_func ("/model/file-errors", test_file_errors);
  g_test_add_func ("/model/input", test_input);
  g_test_add_func ("/model/cache-errors", test_cache_errors);
  g_test_add_func ("/model/learned-positions", test_learned_positions);
  g_test_add_func ("/model/cache-overflow", test_cache_overflow);
  g_test_add_func ("/model/cache-memory", test_cache_memory);
  g_test_add_func ("/model/cancel", test_cancel);
  g_test_add_func ("/model/name", test_name);
  g_test_add_func ("/model/rope-scaling", test_rope_scaling);
  return g_test_run ();
}
