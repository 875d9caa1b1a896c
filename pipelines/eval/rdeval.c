/* rdeval: what a codec of hidden states costs in bits, and what it costs the model. */
#include <errno.h>
#include <gst/gst.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "codec/wire/frame.h"
#include "pipelines/eval/error.h"
#include "pipelines/eval/interrupt.h"
#include "pipelines/eval/plot.h"
#include "pipelines/eval/report.h"
#include "pipelines/eval/speed.h"

#define EXIT_USAGE 2
#define EXIT_INTERRUPTED 130
#define DEFAULT_FRAME_TOKENS "64"
#define DEFAULT_RESAMPLES 2000
#define DEFAULT_SEED 1
#define DEFAULT_ROUNDS 9
#define MIN_KL 1e-12

static const gchar summary[] =
    "Sends the hidden states of test texts through rdencoder and rddecoder, "
    "runs the rest\nof the model on what comes out, and reports rate (bits a "
    "token) and distortion (KL to\nthe uncompressed model, perplexity, top-1 "
    "agreement) with 95 % intervals, by domain.\n\n" "SPEC is " EVAL_SPEC_HELP
    ".\nSETTING: pack, nopack, quality=LIST (rounding: step=LIST), "
    "frame-tokens=LIST,\nsend-ids, label=TEXT, or PROPERTY=VALUE of the two "
    "elements.";
static const gchar description[] =
    "Example:\n"
    "  rdeval --model m.gguf --split 10 --testset tests/data/rd-testset.json\n"
    "    --baselines --codec x.gguf:quality=20,40,60 --at-kl 0.05,0.2\n"
    "    --bd-rate rounding,x --json out.json --plot out.svg\n\n"
    "Exit status: 0 measured, 1 an error (what was measured before is "
    "reported), 2 wrong\nusage, 130 interrupted (the same).";

typedef struct
{
  gchar *model, *reference, *testset, *last_words, *frame_tokens, *at_kl;
  gchar *json, *csv, *plot;
  gchar **codecs, **bd_rates;
  gint split, windows, passages, threads, seed, resamples, rounds;
  gboolean baselines, speed, quiet;

  GArray *frame_sizes;          /* guint */
  GArray *kls;                  /* gdouble */
  GPtrArray *specs;             /* EvalSpec */
  GPtrArray *variants;          /* EvalVariant, of all specs */
  GPtrArray *owned;             /* GPtrArray, the owners of variants */
} Options;

/* ---- options ---- */

static void
options_clear (Options * o)
{
  g_clear_pointer (&o->owned, g_ptr_array_unref);
  g_clear_pointer (&o->variants, g_ptr_array_unref);
  g_clear_pointer (&o->specs, g_ptr_array_unref);
  g_clear_pointer (&o->frame_sizes, g_array_unref);
  g_clear_pointer (&o->kls, g_array_unref);
  g_strfreev (o->codecs);
  g_strfreev (o->bd_rates);
  g_free (o->model);
  g_free (o->reference);
  g_free (o->testset);
  g_free (o->last_words);
  g_free (o->frame_tokens);
  g_free (o->at_kl);
  g_free (o->json);
  g_free (o->csv);
  g_free (o->plot);
}

static gboolean
parse_options (Options * o, int *argc, char ***argv, GError ** error)
{
  const GOptionEntry entries[] = {
    {"model", 'm', 0, G_OPTION_ARG_FILENAME, &o->model,
        "The whole model (GGUF)", "FILE"},
    {"reference", 0, 0, G_OPTION_ARG_FILENAME, &o->reference,
          "The model that codec files are compared with, if theirs was trained "
          "with them (the model)",
        "FILE"},
    {"split", 's', 0, G_OPTION_ARG_INT, &o->split, "Cut before this block",
        "K"},
    {"testset", 't', 0, G_OPTION_ARG_FILENAME, &o->testset,
        "Windows of token ids (JSON)", "FILE"},
    {"windows", 0, 0, G_OPTION_ARG_INT, &o->windows,
        "At most N windows of each domain", "N"},
    {"codec", 'c', 0, G_OPTION_ARG_STRING_ARRAY, &o->codecs,
        "A codec to measure; may be given again", "SPEC"},
    {"baselines", 'b', 0, G_OPTION_ARG_NONE, &o->baselines,
        "Measure also f16, int8 and int4 with and without zstd, plain "
          "rounding, and the ids", NULL},
    {"frame-tokens", 0, 0, G_OPTION_ARG_STRING, &o->frame_tokens,
        "Tokens of a frame (" DEFAULT_FRAME_TOKENS ")", "LIST"},
    {"last-words", 0, 0, G_OPTION_ARG_FILENAME, &o->last_words,
        "Passages whose last word is to be guessed (JSON lines)", "FILE"},
    {"passages", 0, 0, G_OPTION_ARG_INT, &o->passages,
          "At most N of each of their domains",
        "N"},
    {"at-kl", 0, 0, G_OPTION_ARG_STRING, &o->at_kl,
        "Tell what every curve costs at these KL", "LIST"},
    {"bd-rate", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->bd_rates,
          "Compare two curves: BD-rate of B against A; may be given again",
        "A,B"},
    {"json", 0, 0, G_OPTION_ARG_FILENAME, &o->json, "Write all results",
        "FILE"},
    {"csv", 0, 0, G_OPTION_ARG_FILENAME, &o->csv, "Write a table", "FILE"},
    {"plot", 0, 0, G_OPTION_ARG_FILENAME, &o->plot,
        "Draw the curves: .svg, .png (with gnuplot), .gp (its script)", "FILE"},
    {"speed", 0, 0, G_OPTION_ARG_NONE, &o->speed,
          "Measure nothing but speed: one window, one thread, codecs in turn",
        NULL},
    {"rounds", 0, 0, G_OPTION_ARG_INT, &o->rounds, "Rounds of --speed", "N"},
    {"threads", 0, 0, G_OPTION_ARG_INT, &o->threads,
        "Threads of the model; 0 = all CPUs", "N"},
    {"seed", 0, 0, G_OPTION_ARG_INT, &o->seed, "Seed of the intervals", "N"},
    {"resamples", 0, 0, G_OPTION_ARG_INT, &o->resamples,
        "Bootstrap draws of an interval; 0 = no intervals", "N"},
    {"quiet", 'q', 0, G_OPTION_ARG_NONE, &o->quiet, "Show no progress", NULL},
    {NULL}
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  g_option_context_set_summary (context, summary);
  g_option_context_set_description (context, description);
  return g_option_context_parse (context, argc, argv, error);
}

static gboolean
check_number (const gchar * name, gint value, gint min, gint max,
    GError ** error)
{
  if (value >= min && value <= max)
    return TRUE;
  g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
      "--%s=%d: use %d to %d", name, value, min, max);
  return FALSE;
}

/* A long run should not end at a folder that is not there. */
static gboolean
check_output (const gchar * path, GError ** error)
{
  g_autofree gchar *folder = path ? g_path_get_dirname (path) : NULL;

  if (!path || g_access (folder, W_OK) == 0)
    return TRUE;
  g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
      "%s cannot be written: %s", path, g_strerror (errno));
  return FALSE;
}

static gboolean
check_options (Options * o, int argc, GError ** error)
{
  if (!o->model || !o->testset || o->split < 0 || argc != 1
      || (!o->codecs && !o->baselines)) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
        "needs --model, --split, --testset, and --codec or --baselines");
    return FALSE;
  }
  if (o->reference && o->speed) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
        "--speed compares nothing: without --reference");
    return FALSE;
  }
  for (guint i = 0; o->bd_rates && o->bd_rates[i]; i++) {
    g_auto (GStrv) pair = g_strsplit (o->bd_rates[i], ",", -1);

    if (g_strv_length (pair) != 2 || !*pair[0] || !*pair[1]) {
      g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
          "--bd-rate=%s: needs the names of two curves, A,B", o->bd_rates[i]);
      return FALSE;
    }
  }
  return check_number ("windows", o->windows, 0, G_MAXINT, error)
      && check_number ("passages", o->passages, 0, G_MAXINT, error)
      && check_number ("threads", o->threads, 0, 1024, error)
      && check_number ("seed", o->seed, 0, G_MAXINT, error)
      && check_number ("resamples", o->resamples, 0, 1000000, error)
      && check_number ("rounds", o->rounds, 1, 1000000, error)
      && check_output (o->json, error) && check_output (o->csv, error)
      && check_output (o->plot, error)
      && (!o->plot || eval_plot_check (o->plot, error));
}

static guint
largest (const GArray * counts)
{
  guint most = 1;

  for (guint i = 0; i < counts->len; i++)
    most = MAX (most, g_array_index (counts, guint, i));
  return most;
}

/* Specs and the points they stand for. */
static gboolean
expand_options (Options * o, GError ** error)
{
  o->frame_sizes = eval_parse_counts ("--frame-tokens", o->frame_tokens ?
      o->frame_tokens : DEFAULT_FRAME_TOKENS, RD_MAX_FRAME_TOKENS, error);
  if (!o->frame_sizes)
    return FALSE;
  if (o->at_kl) {
    o->kls = eval_parse_doubles ("--at-kl", o->at_kl, MIN_KL, error);
    if (!o->kls)
      return FALSE;
  }
  o->specs = g_ptr_array_new_with_free_func ((GDestroyNotify) eval_spec_free);
  o->variants = g_ptr_array_new ();
  o->owned =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);
  if (o->baselines)
    eval_spec_add_baselines (o->specs, largest (o->frame_sizes));
  for (guint i = 0; o->codecs && o->codecs[i]; i++) {
    EvalSpec *spec = eval_spec_parse (o->codecs[i], o->frame_sizes, error);

    if (!spec)
      return FALSE;
    g_ptr_array_add (o->specs, spec);
  }
  for (guint i = 0; i < o->specs->len; i++) {
    GPtrArray *variants = eval_spec_expand (g_ptr_array_index (o->specs, i));

    g_ptr_array_add (o->owned, variants);
    g_ptr_array_extend (o->variants, variants, NULL, NULL);
  }
  return TRUE;
}

/* ---- results ---- */

static gboolean
write_file (const gchar * path, gchar * content, GError ** error)
{
  g_autofree gchar *owned = content;

  return g_file_set_contents (path, owned, -1, error);
}

static gboolean
add_comparisons (const Options * o, EvalResults * results, GError ** error)
{
  for (guint i = 0; o->kls && i < o->kls->len; i++)
    eval_results_add_at (results, g_array_index (o->kls, gdouble, i));
  for (guint i = 0; o->bd_rates && o->bd_rates[i]; i++) {
    gchar *comma = strchr (o->bd_rates[i], ',');

    /* both names stay where they are while the results live */
    *comma = '\0';
    if (!eval_results_add_bd (results, o->bd_rates[i], comma + 1, error))
      return FALSE;
  }
  return TRUE;
}

/* Everything that was measured. A name that is wrong costs its comparison only. */
static gboolean
report (const Options * o, const EvalRun * run, const GPtrArray * points,
    GError ** error)
{
  const EvalResampling resampling = { (guint) o->seed, (guint) o->resamples };
  g_autoptr (EvalResults) results =
      eval_results_new (points, run->testset->domains,
      run->passages ? run->passages->domains : NULL, run->hits, &resampling);
  g_autoptr (GError) problem = NULL;
  g_autofree gchar *text = NULL;

  results->model = o->model;
  results->model_id = st_model_id (run->model.head);
  if (o->reference) {
    results->model_id = st_model_id (run->trained.head);
    results->reference = o->reference;
    results->reference_id = st_model_id (run->model.head);
  }
  results->testset = o->testset;
  results->split = run->model.split;
  results->n_windows = run->testset->texts->len;
  add_comparisons (o, results, &problem);
  text = eval_report_text (results);
  g_print ("%s", text);
  if ((o->json && !write_file (o->json, eval_report_json (results), error))
      || (o->csv && !write_file (o->csv, eval_report_csv (results), error))
      || (o->plot && !eval_plot_write (results, o->plot, error)))
    return FALSE;
  if (!problem)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

/* ---- measuring ---- */

/* Distributions over the same ids, states of the same size. */
static gboolean
check_alike (const Options * o, const EvalRun * run, GError ** error)
{
  const StModelConfig *a = run->model.config, *b = run->trained.config;
  StTokenizer *from = st_model_tokenizer (run->model.head);
  StTokenizer *to = st_model_tokenizer (run->trained.head);

  if (a->vocab_size == b->vocab_size && a->hidden_size == b->hidden_size
      && a->context_length == b->context_length && (!from || !to
          || strcmp (st_tokenizer_id (from), st_tokenizer_id (to)) == 0))
    return TRUE;
  g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
      "--reference: %s has another tokenizer or other sizes than %s",
      o->reference, o->model);
  return FALSE;
}

static gboolean
load_models (const Options * o, EvalRun * run, GError ** error)
{
  const guint threads = o->speed ? 1 : (guint) o->threads;

  if (!o->reference)
    return eval_model_open (&run->model, o->model, o->split, threads,
        &eval_interrupted, error);
  return eval_model_open (&run->model, o->reference, o->split, threads,
      &eval_interrupted, error)
      && eval_model_open (&run->trained, o->model, o->split, threads,
      &eval_interrupted, error) && check_alike (o, run, error);
}

static gboolean
load (const Options * o, EvalRun * run, GError ** error)
{
  guint max_ids;

  if (!load_models (o, run, error))
    return FALSE;
  max_ids = run->model.config->context_length;
  run->testset = eval_testset_load (o->testset, run->model.config->vocab_size,
      max_ids, (guint) o->windows, error);
  if (!run->testset)
    return FALSE;
  if (o->last_words && !o->speed) {
    const EvalText *first = eval_run_text (run, 0);
    StTokenizer *tokenizer = st_model_tokenizer (run->model.head);

    if (!tokenizer) {
      g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
          "--last-words: %s has no tokenizer", o->model);
      return FALSE;
    }
    run->passages = eval_last_words_load (o->last_words, tokenizer,
        first->ids[0], max_ids, (guint) o->passages, error);
    if (!run->passages)
      return FALSE;
  }
  return TRUE;
}

/* Every codec starts once before the long work: wrong names and values are told at once. */
static gboolean
try_codecs (const Options * o, EvalRun * run, GError ** error)
{
  for (guint i = 0; i < o->variants->len; i++) {
    const EvalVariant *variant = g_ptr_array_index (o->variants, i);
    EvalLink *link;

    if (variant->spec->kind != EVAL_ELEMENTS)
      continue;
    link = eval_run_link (run, variant, 0, error);
    if (!link)
      return FALSE;
    eval_link_free (link);
  }
  return TRUE;
}

static const gchar *
codec_of (const GPtrArray * points, guint index)
{
  const EvalPoint *point = g_ptr_array_index (points, index);

  return point->variant->spec->name;
}

/* The points of one codec after the other. */
static gboolean
measure_all (EvalRun * run, GPtrArray * points, GError ** error)
{
  for (guint from = 0, end; from < points->len; from = end) {
    for (end = from + 1; end < points->len
        && strcmp (codec_of (points, end), codec_of (points, from)) == 0;
        end++);
    if (!eval_run_measure (run, (EvalPoint **) points->pdata + from, end - from,
            error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
measure (const Options * o, EvalRun * run, GError ** error)
{
  g_autoptr (GPtrArray) points =
      g_ptr_array_new_with_free_func ((GDestroyNotify) eval_point_free);
  g_autoptr (GError) problem = NULL;

  if (!try_codecs (o, run, error) || !eval_run_load (run,
          (guint) o->threads, o->quiet, o->variants->len, error))
    return FALSE;
  for (guint i = 0; i < o->variants->len; i++)
    g_ptr_array_add (points,
        eval_point_new (g_ptr_array_index (o->variants, i),
            run->testset->domains->len, eval_run_n_word_domains (run)));
  measure_all (run, points, &problem);
  eval_progress_end (&run->progress);
  if (!report (o, run, points, error))
    return FALSE;
  if (!problem)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

static gboolean
measure_speed (const Options * o, EvalRun * run, GError ** error)
{
  g_autoptr (EvalSpeeds) speeds = NULL;
  g_autofree gchar *text = NULL;
  gboolean good;

  /* one window is enough */
  g_ptr_array_set_size (run->testset->texts, 1);
  if (!eval_run_load (run, 1, TRUE, 0, error))
    return FALSE;
  good = eval_run_speed (run, o->variants, (guint) o->rounds, &speeds, error);
  if (speeds->head->len > 0) {
    text = eval_speeds_text (speeds);
    g_print ("%s", text);
  }
  return good && (!o->json
      || write_file (o->json, eval_speeds_json (speeds), error));
}

int
main (int argc, char **argv)
{
  Options o = {.split = -1,.seed = DEFAULT_SEED,.rounds = DEFAULT_ROUNDS,
    .resamples = DEFAULT_RESAMPLES
  };
  g_autoptr (GError) error = NULL;
  EvalRun run = { 0, };
  int status = EXIT_SUCCESS;

  setlocale (LC_ALL, "");
  if (!parse_options (&o, &argc, &argv, &error)
      || !check_options (&o, argc, &error) || !expand_options (&o, &error)) {
    g_printerr ("rdeval: %s (see rdeval --help)\n", error->message);
    options_clear (&o);
    return EXIT_USAGE;
  }
  /* figures have points, whatever the user's language */
  setlocale (LC_NUMERIC, "C");
  eval_catch_interrupts ();
  if (!load (&o, &run, &error) || !(o.speed ? measure_speed (&o, &run, &error)
          : measure (&o, &run, &error))) {
    eval_progress_end (&run.progress);
    g_printerr ("rdeval: %s\n", error->message);
    status =
        g_atomic_int_get (&eval_interrupted) ? EXIT_INTERRUPTED : EXIT_FAILURE;
  }
  eval_run_clear (&run);
  options_clear (&o);
  return status;
}
