/* The pass over the text: states by the model's first blocks, gradients by the tail. */
#include "codec/training/calibrate-private.h"

#include "codec/training/checkpoint.h"
#include "codec/training/checks.h"
#include "codec/training/linear.h"
#include "codec/training/tail.h"

#define CHECKPOINT_INTERVAL (30 * G_TIME_SPAN_SECOND)

/* Some sequences that are run at once: as many as the tail has threads. */
typedef struct
{
  RdCalibration *c;
  RdTail *tail;                 /* NULL once no gradients are needed any more */
  gsize max;                    /* sequences at once */
  gsize row;                    /* floats of one sequence */
  gint32 *ids;                  /* (length) */
  float *x, *features, *gradient;       /* (max, length, D) */
  gint64 began, saved;
  gsize first;                  /* sequences that were done before this run */
  double head_seconds, tail_seconds;    /* spent on */
  gsize head_done, tail_done;   /* sequences */
} Gather;

/* ---- set-up ---- */

/* Opened only if there is work for it: its weights in F32 are the largest thing in memory. */
static gboolean
open_tail (Gather * g, GError ** error)
{
  const RdCalibrateOptions *options = g->c->options;
  const StModelOptions range = {.first_block =
        (gint) options->split_layer,.last_block = -1,.output = TRUE,.threads = 1
  };
  const RdTailOptions tail = { options->length, options->threads,
    options->recompute
  };
  g_autoptr (StModel) model = st_model_open (options->model, &range, error);

  if (model != NULL)
    g->tail = rd_tail_new (model, &tail, error);
  if (g->tail == NULL)
    return FALSE;
  g->max = rd_tail_threads (g->tail);
  return TRUE;
}

static gboolean
take_memory (Gather * g, GError ** error)
{
  const RdStatisticsSize *size = &g->c->statistics->size;
  const gsize arrays = size->features ? 3 : 2;
  gsize n;

  g->row = size->length * size->hidden_size;
  if (g_size_checked_mul (&n, g->row, g->max * arrays))
    g->x = g_try_malloc_n (n, sizeof (float));
  if (g->x == NULL) {
    g_set_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_MEMORY,
        "cannot allocate memory for %" G_GSIZE_FORMAT " sequences of %"
        G_GSIZE_FORMAT " tokens", g->max, size->length);
    return FALSE;
  }
  g->gradient = g->x + g->max * g->row;
  g->features = size->features ? g->gradient + g->max * g->row : NULL;
  g->ids = g_new (gint32, size->length);
  return TRUE;
}

static void
gather_clear (Gather * g)
{
  rd_tail_free (g->tail);
  g_free (g->x);
  g_free (g->ids);
}

/* ---- one batch ---- */

static gboolean
run_heads (Gather * g, gsize n, GError ** error)
{
  const RdCalibration *c = g->c;
  const gint64 began = g_get_monotonic_time ();

  for (gsize i = 0; i < n; i++) {
    if (!rd_calibration_ids (c, c->statistics->done + i, g->ids, error)
        || !rd_states_run (c->states, g->ids, c->statistics->size.length,
            g->x + i * g->row, g->features ? g->features + i * g->row : NULL,
            c->options->cancel, error))
      return FALSE;
  }
  g->head_seconds += rd_seconds_since (began);
  g->head_done += n;
  return TRUE;
}

static gboolean
run_tail (Gather * g, gsize n, GError ** error)
{
  const RdCalibration *c = g->c;
  const gint64 began = g_get_monotonic_time ();
  g_autofree RdTailJob *jobs = g_new0 (RdTailJob, n);

  for (gsize i = 0; i < n; i++)
    jobs[i] = (RdTailJob) {
    .n = c->statistics->size.length,.x = g->x + i * g->row,.loss =
        RD_LOSS_SAMPLED,.seed = rd_sequence_seed (c->options->seed,
        c->statistics->done + i),.gradient = g->gradient + i * g->row};
  if (!rd_tail_run (g->tail, jobs, n, c->options->cancel, error))
    return FALSE;
  g->tail_seconds += rd_seconds_since (began);
  g->tail_done += n;
  return TRUE;
}

static void
report (const Gather * g)
{
  const RdStatistics *s = g->c->statistics;
  const RdCalibrateOptions *options = g->c->options;
  const double tokens = (double) (s->done - g->first) * (double) s->size.length;
  RdCalibrateProgress progress = { s->done, s->size.sequences,
    tokens / MAX (rd_seconds_since (g->began), 1e-6), 0
  };

  if (options->progress == NULL)
    return;
  progress.seconds_left = (double) (s->size.sequences - s->done)
      * g->head_seconds / (double) g->head_done;
  if (s->done < s->size.gradient_sequences)
    progress.seconds_left +=
        (double) (s->size.gradient_sequences - s->done) * g->tail_seconds
        / (double) g->tail_done;
  options->progress (&progress, options->user_data);
}

static gboolean
save (Gather * g, GError ** error)
{
  g->saved = g_get_monotonic_time ();
  return rd_checkpoint_write (g->c->checkpoint, g->c->settings,
      g->c->statistics, error);
}

static gboolean
run_batch (Gather * g, GError ** error)
{
  RdStatistics *s = g->c->statistics;
  const gboolean gradients = rd_statistics_wants_gradient (s, s->done);
  const gsize left = (gradients ? s->size.gradient_sequences :
      s->size.sequences) - s->done;
  const gsize n = MIN (left, g->max);

  if (!run_heads (g, n, error) || (gradients && !run_tail (g, n, error)))
    return FALSE;
  for (gsize i = 0; i < n; i++) {
    const RdSequence sequence = { g->x + i * g->row,
      g->features ? g->features + i * g->row : NULL, g->gradient + i * g->row
    };

    rd_statistics_add (s, &sequence);
  }
  report (g);
  return TRUE;
}

/* ---- the pass ---- */

static gboolean
fail_interrupted (Gather * g, GError ** error)
{
  const RdStatistics *s = g->c->statistics;

  if (!save (g, error))
    return FALSE;
  g_set_error (error, RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_INTERRUPTED,
      "interrupted after %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
      " sequences; %s has what was done, --resume goes on", s->done,
      s->size.sequences, g->c->checkpoint);
  return FALSE;
}

static gboolean
run_batches (Gather * g, GError ** error)
{
  RdStatistics *s = g->c->statistics;

  while (s->done < s->size.sequences) {
    g_autoptr (GError) problem = NULL;

    if (!run_batch (g, &problem)) {
      if (g_error_matches (problem, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED))
        return fail_interrupted (g, error);
      g_propagate_error (error, g_steal_pointer (&problem));
      return FALSE;
    }
    if (s->done >= s->size.gradient_sequences)
      g_clear_pointer (&g->tail, rd_tail_free);
    if (g_get_monotonic_time () - g->saved >= CHECKPOINT_INTERVAL
        && !save (g, error))
      return FALSE;
  }
  return save (g, error);
}

static gboolean
fail_there (const RdCalibration * c, GError ** error)
{
  g_autofree gchar *settings = rd_checkpoint_settings (c->checkpoint, error);

  if (settings != NULL)
    g_set_error (error, RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_CHECKPOINT,
        "%s is there from an earlier run: --resume goes on from it; to start "
        "anew remove it", c->checkpoint);
  return FALSE;
}

static gboolean
load_checkpoint (RdCalibration * c, GError ** error)
{
  if (!g_file_test (c->checkpoint, G_FILE_TEST_EXISTS))
    return TRUE;
  if (!c->options->resume)
    return fail_there (c, error);
  if (!rd_checkpoint_read (c->checkpoint, c->settings, c->statistics, error))
    return FALSE;
  rd_calibration_tell (c, "going on from %s: %" G_GSIZE_FORMAT " of %"
      G_GSIZE_FORMAT " sequences are done", c->checkpoint, c->statistics->done,
      c->statistics->size.sequences);
  return TRUE;
}

gboolean
rd_calibration_gather (RdCalibration * c, GError ** error)
{
  Gather g = {.c = c,.max = 1 };
  gboolean ok;

  if (!load_checkpoint (c, error))
    return FALSE;
  if (c->statistics->done == c->statistics->size.sequences)
    return TRUE;
  g.first = c->statistics->done;
  ok = (!rd_statistics_wants_gradient (c->statistics, g.first)
      || open_tail (&g, error)) && take_memory (&g, error);
  g.began = g.saved = g_get_monotonic_time ();
  ok = ok && run_batches (&g, error);
  gather_clear (&g);
  return ok;
}
