/* Tokens per second of a whole model: prefill of a prompt into an empty cache, then single-token steps with logits, which is what
 * llama-bench's pp and tg measure. Prints one line of JSON. See compare-llama-cpp for the comparison. */
#include <stdlib.h>

#include "models/blocks.h"

typedef struct
{
  gint threads, prompt, steps, repeat, rank;
  gboolean fast, f16;
} Settings;

static void
fail (const GError * error)
{
  g_printerr ("bench-model: %s\n", error->message);
  exit (1);
}

/* Adapters of every matrix of every block; their values do not matter to the time. */
static StModelAdapters *
make_adapters (const StModelConfig * config, gsize rank)
{
  StModelAdapters *adapters = st_model_adapters_new ();

  for (guint i = 0; i < config->n_blocks * ST_BLOCK_MATRICES; i++) {
    g_autofree gchar *name = g_strdup_printf ("blk.%u.%s.weight",
        i / ST_BLOCK_MATRICES, st_block_matrix_name (i % ST_BLOCK_MATRICES));
    g_autofree float *values = NULL;
    gsize outputs, inputs;

    st_block_matrix_shape (config, i % ST_BLOCK_MATRICES, &outputs, &inputs);
    if (outputs == 0)
      continue;
    values = g_new (float, rank * MAX (outputs, inputs));
    for (gsize k = 0; k < rank * MAX (outputs, inputs); k++)
      values[k] = (float) (k % 7) / 512 - 3.0f / 512;
    st_model_adapters_add (adapters, name, inputs, outputs, rank, 1, values,
        values);
  }
  return adapters;
}

static void
run (StModel * model, StKvCache * cache, const gint32 * ids, gsize n,
    StRegime regime, float *x, float *logits)
{
  g_autoptr (GError) error = NULL;
  gsize hidden = st_model_config (model)->hidden_size;

  if (!st_model_embed (model, ids, n, x, &error)
      || !st_model_run (model, cache, x, n, regime, NULL, &error)
      || !st_model_logits (model, x + (n - 1) * hidden, 1, regime, logits, NULL,
          &error))
    fail (error);
}

static gdouble
seconds_since (gint64 start)
{
  return (gdouble) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
}

/* Best of the repetitions: what disturbs a run only makes it slower. */
static void
measure (StModel * model, StKvCache * cache, const Settings * s,
    gdouble * prefill, gdouble * decode)
{
  const StModelConfig *config = st_model_config (model);
  g_autofree gint32 *ids = g_new (gint32, MAX (s->prompt, s->steps));
  g_autofree float *x = g_new (float, (gsize) s->prompt * config->hidden_size);
  g_autofree float *logits = g_new (float, config->vocab_size);

  for (gint i = 0; i < MAX (s->prompt, s->steps); i++)
    ids[i] = (gint32) ((guint) i * 7919u % config->vocab_size);
  *prefill = *decode = 0;
  for (gint r = 0; r < s->repeat; r++) {
    gint64 start = g_get_monotonic_time ();

    st_kv_cache_truncate (cache, 0);
    run (model, cache, ids, (gsize) s->prompt, ST_REGIME_PREFILL, x, logits);
    *prefill = MAX (*prefill, s->prompt / seconds_since (start));
    st_kv_cache_truncate (cache, 0);
    start = g_get_monotonic_time ();
    for (gint i = 0; i < s->steps; i++)
      run (model, cache, &ids[i], 1, ST_REGIME_STEP, x, logits);
    *decode = MAX (*decode, s->steps / seconds_since (start));
  }
}

int
main (int argc, char **argv)
{
  Settings s = { 1, 512, 64, 3, 0, FALSE, FALSE };
  const GOptionEntry entries[] = {
    {"threads", 't', 0, G_OPTION_ARG_INT, &s.threads, "Threads (0: all)", "N"},
    {"prompt", 'p', 0, G_OPTION_ARG_INT, &s.prompt, "Ids of the prompt", "N"},
    {"steps", 'n', 0, G_OPTION_ARG_INT, &s.steps, "Single-token steps", "N"},
    {"repeat", 'r', 0, G_OPTION_ARG_INT, &s.repeat,
        "Repetitions, the best is printed", "N"},
    {"rank", 0, 0, G_OPTION_ARG_INT, &s.rank,
        "Adapters of that rank beside every matrix (0: none)", "R"},
    {"fast", 'f', 0, G_OPTION_ARG_NONE, &s.fast,
        "deterministic=false: OpenBLAS in prefill", NULL},
    {"f16", 0, 0, G_OPTION_ARG_NONE, &s.f16, "KV cache of F16", NULL},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL}
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("MODEL.gguf");
  StModelOptions options = {.last_block = -1,.embed = TRUE,.output = TRUE };
  g_autoptr (StModel) model = NULL;
  g_autoptr (GError) error = NULL;
  StKvCache *cache;
  gdouble prefill, decode;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    fail (error);
  if (argc != 2 || s.threads < 0 || s.rank < 0 || s.prompt < 1 || s.steps < 1
      || s.repeat < 1) {
    g_autofree gchar *help = g_option_context_get_help (context, TRUE, NULL);

    g_printerr ("%s", help);
    return 2;
  }
  options.threads = (guint) s.threads;
  options.deterministic = !s.fast;
  model = st_model_open (argv[1], &options, &error);
  if (model == NULL)
    fail (error);
  if (s.rank > 0) {
    g_autoptr (StModelAdapters) adapters =
        make_adapters (st_model_config (model), (gsize) s.rank);

    if (!st_model_adapt (model, adapters, &error))
      fail (error);
  }
  cache =
      st_kv_cache_new (model, (guint) MAX (s.prompt, s.steps),
      s.f16 ? ST_TYPE_F16 : ST_TYPE_F32, &error);
  if (cache == NULL)
    fail (error);
  measure (model, cache, &s, &prefill, &decode);
  g_print
      ("{\"kernels\": \"%s\", \"threads\": %d, \"deterministic\": %s, \"prefill\": %.2f, \"decode\": %.2f}\n",
      st_kernels_name (), s.threads, s.fast ? "false" : "true", prefill,
      decode);
  st_kv_cache_free (cache);
  return 0;
}
