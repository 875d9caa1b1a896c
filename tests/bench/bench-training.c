/* Tokens per second of losses and gradients through a model's tail, beside the bare matrix products of the same sizes by OpenBLAS: what
 * no implementation over it can be faster than. Prints one line of JSON. */
#include <cblas.h>
#include <stdlib.h>

#include "models/kernels/openblas.h"
#include "tests/support/training-tools.h"

typedef struct
{
  gint split, tokens, threads, repeat;
  gboolean recompute;
} Settings;

static void
fail (const GError * error)
{
  g_printerr ("bench-training: %s\n", error->message);
  exit (1);
}

static gdouble
seconds_since (gint64 start)
{
  return (gdouble) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
}

/* Forward and backward product of @n x @k weights for @rows rows. */
static void
products (gsize rows, gsize n, gsize k)
{
  static float *memory;
  static gsize size;
  const blasint m = (blasint) rows, ni = (blasint) n, ki = (blasint) k;
  const gsize needed = rows * n + n * k + rows * k;
  float *y, *w, *x;

  if (needed > size) {
    memory = g_renew (float, memory, needed);
    for (gsize i = size; i < needed; i++)
      memory[i] = (float) (i % 17) * 0.01f;
    size = needed;
  }
  y = memory;
  w = y + rows * n;
  x = w + n * k;
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, m, ni, ki, 1.0f, x, ki,
      w, ki, 0.0f, y, ni);
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, m, ki, ni, 1e-3f, y,
      ni, w, ki, 0.0f, x, ki);
}

/* One thread, attention and everything else left out. */
static gdouble
bare_products (StModel * model, gsize tokens)
{
  const StModelConfig *c = st_model_config (model);
  const gsize queries = (gsize) c->n_heads * c->head_dim;
  const gsize keys = (gsize) c->n_kv_heads * c->head_dim;
  const gint64 start = g_get_monotonic_time ();

  for (guint i = 0; i < st_model_n_layers (model); i++) {
    products (tokens, queries, c->hidden_size);
    products (tokens, keys, c->hidden_size);
    products (tokens, keys, c->hidden_size);
    products (tokens, c->hidden_size, queries);
    products (tokens, c->ff_size, c->hidden_size);
    products (tokens, c->ff_size, c->hidden_size);
    products (tokens, c->hidden_size, c->ff_size);
  }
  products (tokens, c->vocab_size, c->hidden_size);
  return (gdouble) tokens / seconds_since (start);
}

/* The best of the repetitions: what disturbs a run only makes it slower. Both take turns. */
static void
measure (RdTail * tail, StModel * model, const Settings * s, const float *x,
    gdouble * rate, gdouble * bare)
{
  const guint threads = rd_tail_threads (tail);
  const gsize size = (gsize) s->tokens * st_model_config (model)->hidden_size;
  g_autofree RdTailJob *jobs = g_new0 (RdTailJob, threads);
  g_autofree float *gradients = g_new (float, threads * size);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < threads; i++)
    jobs[i] = (RdTailJob) {
    .n = (gsize) s->tokens,.x = x,.seed = i,.gradient = gradients + i * size};
  *rate = *bare = 0;
  for (gint r = 0; r < s->repeat; r++) {
    const gint64 start = g_get_monotonic_time ();

    if (!rd_tail_run (tail, jobs, threads, NULL, &error))
      fail (error);
    *rate = MAX (*rate, threads * s->tokens / seconds_since (start));
    *bare = MAX (*bare, bare_products (model, (gsize) s->tokens));
  }
}

int
main (int argc, char **argv)
{
  Settings s = { 10, 512, 1, 3, FALSE };
  const GOptionEntry entries[] = {
    {"split", 's', 0, G_OPTION_ARG_INT, &s.split, "First block of the tail",
        "K"},
    {"tokens", 'n', 0, G_OPTION_ARG_INT, &s.tokens, "Positions a sequence",
        "N"},
    {"threads", 't', 0, G_OPTION_ARG_INT, &s.threads, "Threads (0: all)", "N"},
    {"repeat", 'r', 0, G_OPTION_ARG_INT, &s.repeat,
        "Repetitions, the best is printed", "N"},
    {"recompute", 0, 0, G_OPTION_ARG_NONE, &s.recompute,
        "Keep blocks' inputs only", NULL},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL}
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("MODEL.gguf");
  StModelOptions options = {.last_block = -1,.output = TRUE,.threads = 1 };
  RdTailOptions tail_options = { 0 };
  g_autoptr (StModel) model = NULL;
  g_autoptr (RdTail) tail = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree float *x = NULL;
  gdouble rate, bare;

  st_openblas_restart (argv);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    fail (error);
  if (argc != 2 || s.split < 1 || s.tokens < 1 || s.threads < 0 || s.repeat < 1) {
    g_autofree gchar *help = g_option_context_get_help (context, TRUE, NULL);

    g_printerr ("%s", help);
    return 2;
  }
  x = rd_test_states (argv[1], s.split, (gsize) s.tokens);
  options.first_block = s.split;
  model = st_model_open (argv[1], &options, &error);
  if (model == NULL)
    fail (error);
  tail_options.max_tokens = (gsize) s.tokens;
  tail_options.threads = (guint) s.threads;
  tail_options.recompute = s.recompute;
  tail = rd_tail_new (model, &tail_options, &error);
  if (tail == NULL)
    fail (error);
  measure (tail, model, &s, x, &rate, &bare);
  g_print
      ("{\"threads\": %u, \"tokens\": %d, \"recompute\": %s, \"tokens_per_second\": %.1f, \"per_thread\": %.1f, \"bare_products\": %.1f}\n",
      rd_tail_threads (tail), s.tokens, s.recompute ? "true" : "false", rate,
      rate / rd_tail_threads (tail), bare);
  return 0;
}
