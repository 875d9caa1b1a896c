/* rdtrain calibrate: fits a codec to a model that stays as it is. */
#include <stdlib.h>
#include <string.h>

#include "codec/training/calibrate.h"
#include "codec/training/checks.h"
#include "pipelines/eval/interrupt.h"
#include "pipelines/eval/progress.h"
#include "pipelines/rdtrain/tool.h"

static const gchar summary[] =
    "Fits a codec to the hidden states of MODEL before block K on TEXT and "
    "writes it to\nOUTPUT, a codec file for rdencoder and rddecoder. TEXT is a "
    "file or a folder with\nfiles *.txt (and folders of such); --text may be "
    "given several times. What is coded\nlater should be of the same kind; "
    "what is measured later must not be in it.";
static const gchar description[] =
    "Example:\n"
    "  rdtrain calibrate --model model.gguf --split 10 --text novels --text "
    "manuals \\\n    --exclude-windows tests/data/rd-testset.json --output "
    "rdcodec-model-split10.gguf\n\n"
    "A pass over the text takes the states' moments and, for the first "
    "sequences, how\nsensitive the output is to them; then transform, steps "
    "and tables are fitted. An\ninterrupted run (Ctrl-C) leaves OUTPUT"
    ".checkpoint, from which --resume goes on with\nthe same result. The same "
    "model, text and options give the same file on one machine.\n\n"
    "Exit status: 0 written, 1 an error (OUTPUT is left as it was), 2 wrong "
    "usage,\n130 interrupted.";

/* What the command line says. */
typedef struct
{
  gchar *model, *output, *side_info, *windows, *sources, *checkpoint;
  gchar **texts;
  gint split, sequences, gradient_sequences, length, threads;
  gint64 seed;
  gdouble lambda;
  gboolean resume, keep, recompute, quiet;
} Arguments;

static void
on_progress (const RdCalibrateProgress * progress, gpointer user_data)
{
  RdtrainTeller *teller = user_data;
  g_autofree gchar *left = NULL;
  g_autofree gchar *line = NULL;

  if (!rdtrain_teller_due (teller))
    return;
  left = eval_progress_duration (progress->seconds_left);
  line = g_strdup_printf ("%" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
      " sequences, %.0f tokens/s, about %s left", progress->done,
      progress->sequences, progress->tokens_per_second, left);
  rdtrain_teller_progress (teller, line);
}

/* ---- arguments ---- */

/* none, embedding or blocks=N. */
static gboolean
parse_side_info (const gchar * text, RdCalibrateOptions * options,
    GError ** error)
{
  static const gchar blocks[] = "blocks=";
  guint64 n;

  options->side_info = RD_SIDE_INFO_NONE;
  if (text == NULL || strcmp (text, "none") == 0)
    return TRUE;
  options->side_info = RD_SIDE_INFO_EMBEDDING;
  if (strcmp (text, "embedding") == 0)
    return TRUE;
  options->side_info = RD_SIDE_INFO_BLOCKS;
  if (g_str_has_prefix (text, blocks)
      && g_ascii_string_to_unsigned (text + strlen (blocks), 10, 1, 1024, &n,
          NULL)) {
    options->n_blocks = (guint) n;
    return TRUE;
  }
  return rdtrain_fail_usage (error,
      "--side-info is none, embedding or blocks=N (N from 1)");
}

static gboolean
check_files (const Arguments * a, GError ** error)
{
  const RdOptionFiles files[] = {
    {"--output", a->output, NULL, TRUE},
    {"--checkpoint", a->checkpoint, NULL, TRUE},
    {"--model", a->model, NULL, FALSE},
    {"--exclude-windows", a->windows, NULL, FALSE},
    {"--text", NULL, (const gchar * const *) a->texts, FALSE},
  };

  return rd_check_files (files, G_N_ELEMENTS (files), error);
}

static gboolean
check_arguments (const Arguments * a, gint argc, GError ** error)
{
  if (argc != 1 || a->model == NULL || a->output == NULL || a->texts == NULL)
    return rdtrain_fail_usage (error,
        "needs --model=MODEL, --split=K, --text=TEXT and --output=OUTPUT, and "
        "no other arguments");
  if (a->split < 1)
    return rdtrain_fail_usage (error, "--split=K: K is at least 1");
  if (a->sequences < 1 || a->gradient_sequences < 1 || a->length < 1
      || a->threads < 0 || a->seed < 0)
    return rdtrain_fail_usage (error,
        "numbers of sequences and tokens are at least "
        "1, --threads and --seed at least 0");
  return check_files (a, error);
}

static gboolean
set_options (const Arguments * a, RdCalibrateOptions * options, GError ** error)
{
  *options = (RdCalibrateOptions) {
  .model = a->model,.split_layer = (guint) a->split,.texts =
        (const gchar * const *) a->texts,.output = a->output,.sequences =
        (gsize) a->sequences,.gradient_sequences =
        (gsize) a->gradient_sequences,.length = (gsize) a->length,.seed =
        (guint64) a->seed,.lambda = a->lambda,.sources = a->sources,.threads =
        (guint) a->threads,.recompute = a->recompute,.checkpoint =
        a->checkpoint,.resume = a->resume,.keep_checkpoint = a->keep,.cancel =
        &eval_interrupted,.progress = on_progress,.tell = rdtrain_tell,};
  return parse_side_info (a->side_info, options, error);
}

/* ---- the command ---- */

static gboolean
calibrate (const Arguments * a, RdCalibrateOptions * options, GError ** error)
{
  g_auto (RdtrainWindows) windows = { 0 };

  if (!rdtrain_windows_load (&windows, a->windows, error))
    return FALSE;
  options->windows = windows.windows;
  options->n_windows = windows.n;
  return rd_calibrate (options, error);
}

static GOptionContext *
make_context (Arguments * a)
{
  const GOptionEntry entries[] = {
    {"model", 'm', 0, G_OPTION_ARG_FILENAME, &a->model,
        "Language model (GGUF) with all its blocks", "MODEL"},
    {"split", 'k', 0, G_OPTION_ARG_INT, &a->split,
        "Hidden states before block K", "K"},
    RDTRAIN_ENTRY_TEXTS (&a->texts),
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &a->output, "Codec file",
        "OUTPUT"},
    RDTRAIN_ENTRY_WINDOWS (&a->windows),
    {"side-info", 0, 0, G_OPTION_ARG_STRING, &a->side_info,
          "none, or prediction from what both sides know of the token: "
          "embedding, or blocks=N, the state behind the first N blocks",
        "WHAT"},
    {"sequences", 0, 0, G_OPTION_ARG_INT, &a->sequences,
        "Sequences for the states' moments (240)", "N"},
    {"gradient-sequences", 0, 0, G_OPTION_ARG_INT, &a->gradient_sequences,
        "How many of them get gradients, too (80)", "N"},
    {"length", 0, 0, G_OPTION_ARG_INT, &a->length,
        "Tokens of a sequence (512)", "N"},
    RDTRAIN_ENTRY_SEED (&a->seed),
    {"lambda", 0, 0, G_OPTION_ARG_DOUBLE, &a->lambda,
        "Weight of a bit against a squared error of one step (0.03)", "X"},
    {"sources", 0, 0, G_OPTION_ARG_STRING, &a->sources,
        "For the codec file: what the texts are, and their licences", "TEXT"},
    RDTRAIN_ENTRY_THREADS (&a->threads),
    {"recompute", 0, 0, G_OPTION_ARG_NONE, &a->recompute,
        "A seventh of the memory for gradients, in 5/4 of the time", NULL},
    {"checkpoint", 0, 0, G_OPTION_ARG_FILENAME, &a->checkpoint,
        "Where an interrupted run is kept (OUTPUT.checkpoint)", "FILE"},
    RDTRAIN_ENTRY_RESUME (&a->resume),
    {"keep-checkpoint", 0, 0, G_OPTION_ARG_NONE, &a->keep,
        "Keep it when the codec file is written", NULL},
    RDTRAIN_ENTRY_QUIET (&a->quiet),
    {NULL}
  };

  return rdtrain_context (entries, summary, description);
}

static void
arguments_clear (Arguments * a)
{
  g_free (a->model);
  g_free (a->output);
  g_free (a->side_info);
  g_free (a->windows);
  g_free (a->sources);
  g_free (a->checkpoint);
  g_strfreev (a->texts);
}

static int
run (gint argc, gchar ** argv, Arguments * a)
{
  g_autoptr (GOptionContext) context = make_context (a);
  g_autoptr (GError) error = NULL;
  RdtrainTeller teller;
  RdCalibrateOptions options;

  if (!g_option_context_parse (context, &argc, &argv, &error)
      || !check_arguments (a, argc, &error)
      || !set_options (a, &options, &error))
    return rdtrain_fail_arguments (error);
  rdtrain_teller_init (&teller, a->quiet);
  options.user_data = &teller;
  eval_catch_interrupts ();
  if (calibrate (a, &options, &error))
    return EXIT_SUCCESS;
  return rdtrain_fail (&teller, error, g_error_matches (error,
          RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_INTERRUPTED));
}

int
rdtrain_calibrate (gint argc, gchar ** argv)
{
  Arguments arguments = {.sequences = RD_CALIBRATE_SEQUENCES,
    .gradient_sequences = RD_CALIBRATE_GRADIENT_SEQUENCES,
    .length = RD_CALIBRATE_LENGTH,.lambda = RD_CALIBRATE_LAMBDA
  };
  const int status = run (argc, argv, &arguments);

  arguments_clear (&arguments);
  return status;
}
