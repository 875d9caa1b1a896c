/* Tokens per second of whole training steps of a language model: gradients of adapters on every matrix (or of all weights), clipping and
 * AdamW. Prints one line of JSON. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/training/adamw.h"
#include "codec/training/language.h"
#include "tests/support/model-tools.h"

typedef struct
{
  gint rank, tokens, threads, repeat;
  gboolean recompute;
  gchar *products;
} Settings;

static void
fail (const GError * error)
{
  g_printerr ("bench-train-step: %s\n", error->message);
  exit (1);
}

/* Seconds of a clock, and of the processor for the whole process: the latter also where others use the machine. */
typedef struct
{
  gdouble wall, cpu;
} Time;

static Time
now (void)
{
  return (Time) {
  (gdouble) g_get_monotonic_time () / G_USEC_PER_SEC,
        (gdouble) clock () / CLOCKS_PER_SEC};
}

/* One sequence for each thread. Tokens a second. */
static Time
step (RdLanguage * language, RdAdamW * adamw, RdLanguageJob * jobs, gsize n,
    float *gradient)
{
  const RdParameters *parameters = rd_language_parameters (language);
  const Time start = now ();
  g_autoptr (GError) error = NULL;
  gsize tokens = 0;
  Time end;

  for (gsize i = 0; i < parameters->n; i++)
    gradient[i] = 0;
  for (gsize i = 0; i < n; i++)
    tokens += jobs[i].target.n;
  if (!rd_language_run (language, jobs, n, gradient, NULL, &error)
      || !rd_adamw_step (adamw, parameters, gradient, 1.0 / (double) tokens,
          1e-4, NULL, &error))
    fail (error);
  end = now ();
  return (Time) {
  (gdouble) tokens / (end.wall - start.wall),
        (gdouble) tokens / (end.cpu - start.cpu)};
}

/* The best of the repetitions, in which all kinds of products of the set @kinds take turns: what disturbs a run only makes it slower. */
static void
measure (RdLanguage * language, RdWeights * weights, const Settings * s,
    guint kinds, Time * best)
{
  const guint threads = (guint) s->threads, vocab = weights->config.vocab_size;
  const RdAdamWOptions options = RD_ADAMW_OPTIONS_DEFAULT;
  const gsize n = (gsize) s->tokens, size =
      rd_language_parameters (language)->n;
  g_autoptr (GError) error = NULL;
  g_autoptr (RdAdamW) adamw = rd_adamw_new (size, &options, &error);
  g_autofree gint32 *ids = g_new (gint32, n + 1);
  g_autofree float *gradient = g_new (float, size);
  g_autofree RdLanguageJob *jobs = g_new0 (RdLanguageJob, threads);

  if (adamw == NULL)
    fail (error);
  for (gsize i = 0; i <= n; i++)
    ids[i] = (gint32) (i * 7919 % vocab);
  for (guint i = 0; i < threads; i++)
    jobs[i] = (RdLanguageJob) {
    .ids = ids,.gate = 1.0f,.target = {.n = n,.loss = RD_LOSS_LABELS,.labels =
          ids + 1
    }
    };
  for (guint r = 0; r < (guint) s->repeat * RD_N_PRODUCTS; r++) {
    const guint kind = r % RD_N_PRODUCTS;
    Time rate;

    if ((kinds >> kind & 1) == 0)
      continue;
    weights->products = (RdProducts) kind;
    rate = step (language, adamw, jobs, threads, gradient);
    best[kind] = (Time) {
    MAX (best[kind].wall, rate.wall), MAX (best[kind].cpu, rate.cpu)};
  }
}

/* Set of 1 << RdProducts; 0 for another name. */
static guint
kinds_of (const gchar * name)
{
  RdProducts kind;

  if (name == NULL)
    return 1 << RD_PRODUCTS_F32;
  if (strcmp (name, "both") == 0)
    return (1 << RD_N_PRODUCTS) - 1;
  return rd_products_by_name (name, &kind) ? 1u << kind : 0;
}

static void
print (const Settings * s, const RdLanguage * language, guint kind, Time rate)
{
  g_print
      ("{\"threads\": %d, \"tokens\": %d, \"rank\": %d, \"recompute\": %s, \"products\": \"%s\", \"parameters\": %"
      G_GSIZE_FORMAT
      ", \"tokens_per_second\": %.1f, \"tokens_per_cpu_second\": %.1f}\n",
      s->threads, s->tokens, s->rank, s->recompute ? "true" : "false",
      rd_products_name ((RdProducts) kind),
      rd_language_parameters (language)->n, rate.wall, rate.cpu);
}

static RdAdapters *
make_adapters (const StModelConfig * config, gint rank)
{
  g_autofree guint8 *sets = g_malloc (config->n_blocks);
  const RdAdaptersOptions options = { (guint) rank, (float) rank, 1, sets };
  g_autoptr (GError) error = NULL;
  RdAdapters *adapters;

  for (guint i = 0; i < config->n_blocks; i++)
    sets[i] = RD_ADAPTERS_ALL;
  adapters = rd_adapters_new (config, &options, &error);
  if (adapters == NULL)
    fail (error);
  return adapters;
}

int
main (int argc, char **argv)
{
  Settings s = { 16, 512, 1, 3, FALSE, NULL };
  const GOptionEntry entries[] = {
    {"rank", 'k', 0, G_OPTION_ARG_INT, &s.rank,
        "Rank of the adapters; 0: train all weights", "R"},
    {"tokens", 'n', 0, G_OPTION_ARG_INT, &s.tokens, "Positions a sequence",
        "N"},
    {"threads", 't', 0, G_OPTION_ARG_INT, &s.threads, "Threads", "N"},
    {"repeat", 'r', 0, G_OPTION_ARG_INT, &s.repeat,
        "Repetitions, the best is printed", "N"},
    {"recompute", 0, 0, G_OPTION_ARG_NONE, &s.recompute,
        "Keep blocks' inputs only", NULL},
    {"products", 'p', 0, G_OPTION_ARG_STRING, &s.products,
        "f32, bf16, or both in turns (f32)", "HOW"},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL}
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("MODEL.gguf");
  g_autoptr (StModel) model = NULL;
  g_autoptr (RdWeights) weights = NULL;
  g_autoptr (RdAdapters) adapters = NULL;
  g_autoptr (RdLanguage) language = NULL;
  g_autoptr (GError) error = NULL;
  RdLanguageOptions options = { 0 };
  Time best[RD_N_PRODUCTS] = { {0, 0} };

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    fail (error);
  if (argc != 2 || s.rank < 0 || s.tokens < 1 || s.threads < 1 || s.repeat < 1
      || kinds_of (s.products) == 0) {
    g_autofree gchar *help = g_option_context_get_help (context, TRUE, NULL);

    g_printerr ("%s", help);
    return 2;
  }
  model = st_test_open_blocks (argv[1], 0, -1, 1);
  weights = rd_weights_new (model, (gsize) s.tokens, &error);
  if (weights == NULL)
    fail (error);
  if (s.rank > 0)
    adapters = make_adapters (st_model_config (model), s.rank);
  options = (RdLanguageOptions) {
  weights, adapters, s.rank == 0, (guint) s.threads, s.recompute};
  language = rd_language_new (&options, &error);
  if (language == NULL)
    fail (error);
  measure (language, weights, &s, kinds_of (s.products), best);
  for (guint i = 0; i < RD_N_PRODUCTS; i++) {
    if (kinds_of (s.products) >> i & 1)
      print (&s, language, i, best[i]);
  }
  g_free (s.products);
  return 0;
}
