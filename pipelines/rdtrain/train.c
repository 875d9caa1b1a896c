/* rdtrain train: trains a codec and adapters of the model on text. rdtrain resume: the same, from a checkpoint that must be there. */
#include <stdlib.h>

#include "codec/training/parameters.h"
#include "pipelines/eval/interrupt.h"
#include "pipelines/eval/progress.h"
#include "pipelines/rdtrain/train-arguments.h"

static const gchar summary[] =
    "Trains the codec of a codec file CODEC on TEXT: through MODEL as it is "
    "(--adapters=none),\nor together with low-rank adapters of MODEL or all of "
    "its weights (--full-weights). Each\nsequence has a rate point of its own, "
    "so that what comes out serves all of them.\nEverything is kept in a "
    "checkpoint.";
static const gchar description[] =
    "Example, first the codec alone, then both:\n"
    "  rdtrain train --model model.gguf --start codec.gguf --text novels \\\n"
    "    --adapters none --tokens 300000 --checkpoint alone\n"
    "  rdtrain train --model model.gguf --start codec.gguf --text novels \\\n"
    "    --values alone --tokens 2000000 --checkpoint both\n\n"
    "The original model's next-token distributions are the teacher: what is "
    "made small is\nKL (teacher || trained model behind the codec) + lambda * "
    "bits per token. The checkpoint\nis written every two minutes, at the end "
    "and on Ctrl-C; rdtrain resume goes on from it\nwith the same numbers as "
    "without the stop, and rdtrain export makes a codec file of it.\n\n"
    "Exit status: 0 trained, 1 an error (the last checkpoint stays), 2 wrong "
    "usage,\n130 interrupted.";

static const gchar resume_summary[] =
    "Goes on with the training whose checkpoint is FILE. MODEL, CODEC and TEXT "
    "are what it\nbegan with; all numbers are in the checkpoint.";
static const gchar resume_description[] =
    "Exit status: 0 trained, 1 an error (the last checkpoint stays), 2 wrong "
    "usage,\n130 interrupted.";

static void
on_progress (const RdTrainProgress * progress, gpointer user_data)
{
  RdtrainTeller *teller = user_data;
  g_autofree gchar *left = NULL;
  g_autoptr (GString) line = NULL;

  if (!rdtrain_teller_due (teller))
    return;
  left = eval_progress_duration (progress->seconds_left);
  line = g_string_new (NULL);
  g_string_append_printf (line, "step %" G_GUINT64_FORMAT " of %"
      G_GUINT64_FORMAT ", %.0f tokens/s, loss %.4f, gradient %.3g; lambda: "
      "nats/BPT", progress->step, progress->steps, progress->tokens_per_second,
      progress->loss, progress->norm);
  for (guint i = 0; i < RD_TRAIN_BINS; i++) {
    const RdTrainBin *bin = &progress->bins[i];

    if (bin->n > 0)
      g_string_append_printf (line, " %.1e: %.3f/%.0f", bin->lambda,
          bin->distortion, bin->bits);
  }
  g_string_append_printf (line, "; about %s left", left);
  rdtrain_teller_progress (teller, line->str);
}

static void
on_validated (guint64 step, const RdTrainPoint * points, gpointer user_data)
{
  double mean = 0;
  g_autoptr (GString) line = g_string_new (NULL);

  g_string_append_printf (line, "validation after step %" G_GUINT64_FORMAT
      "; lambda: KL/BPT/KL + lambda BPT", step);
  for (guint i = 0; i < RD_TRAIN_POINTS; i++) {
    const RdTrainPoint *p = &points[i];
    const double j = p->distortion + p->lambda * p->bits;

    g_string_append_printf (line, "  %.1e: %.4f/%.1f/%.4f", p->lambda,
        p->distortion, p->bits, j);
    mean += j / RD_TRAIN_POINTS;
  }
  g_string_append_printf (line, "; mean %.4f", mean);
  rdtrain_tell (line->str, user_data);
}

static gboolean
train (const RdtrainTrainArguments * a, RdTrainOptions * options,
    GError ** error)
{
  g_auto (RdtrainWindows) windows = { 0 };

  if (!rdtrain_windows_load (&windows, a->windows, error))
    return FALSE;
  options->windows = windows.windows;
  options->n_windows = windows.n;
  return rd_train (options, error);
}

static int
run (RdtrainTrainArguments * a, const RdTrainOptions * parsed, gboolean resume)
{
  RdTrainOptions options = *parsed;
  g_autoptr (GError) error = NULL;
  RdtrainTeller teller;

  rdtrain_teller_init (&teller, a->quiet);
  options.progress = on_progress;
  options.validated = on_validated;
  options.tell = rdtrain_tell;
  options.user_data = &teller;
  eval_catch_interrupts ();
  if ((!resume || rdtrain_train_arguments_read (a, &options, &error))
      && train (a, &options, &error))
    return EXIT_SUCCESS;
  return rdtrain_fail (&teller, error, g_error_matches (error,
          RD_TRAINING_ERROR, RD_TRAINING_ERROR_INTERRUPTED));
}

static int
parse_and_run (gint argc, gchar ** argv, const RdtrainTrainUsage * usage)
{
  g_autoptr (GError) error = NULL;
  RdtrainTrainArguments a;
  RdTrainOptions options;
  const int status = rdtrain_train_arguments_parse (&a, argc, argv, usage,
      &options, &error) ? run (&a, &options, usage->resume) :
      rdtrain_fail_arguments (error);

  rdtrain_train_arguments_clear (&a);
  return status;
}

int
rdtrain_train (gint argc, gchar ** argv)
{
  const RdtrainTrainUsage usage = { summary, description, FALSE };

  return parse_and_run (argc, argv, &usage);
}

int
rdtrain_resume (gint argc, gchar ** argv)
{
  const RdtrainTrainUsage usage = { resume_summary, resume_description, TRUE };

  return parse_and_run (argc, argv, &usage);
}
