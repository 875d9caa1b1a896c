/* Steps: a batch, its gradient, the optimiser; what is told and saved between them. */
#include <math.h>
#include <string.h>

#include "codec/training/checks.h"
#include "codec/training/train-private.h"

#define CHECKPOINT_INTERVAL (2 * 60 * G_TIME_SPAN_SECOND)
/* Of the peak, at the end of the cosine. */
#define FLOOR 0.1
/* Share of what was before in a running mean, after each sequence of a bin and after each step. */
#define KEEP_BIN 0.98
#define KEEP_LOSS 0.98

typedef struct
{
  RdTraining *t;
  RdSchedule schedule;
  RdJointJob *jobs;             /* (batch) */
  RdTrainProgress progress;
  guint64 first;                /* steps done before this run */
  gint64 began, saved;
  gint64 aside;                 /* of the time since then, not spent on steps */
} Loop;

/* ---- checkpoints ---- */

static gboolean
save (Loop * loop, GError ** error)
{
  const RdTrainState state = rd_training_state (loop->t);
  const gint64 began = g_get_monotonic_time ();
  const gboolean ok = rd_train_state_write (loop->t->options->checkpoint,
      &state, error);

  loop->saved = g_get_monotonic_time ();
  loop->aside += loop->saved - began;
  return ok;
}

/* A state that is left behind is one between two steps, even if the run ends in the middle of one. */
static gboolean
fail_interrupted (Loop * loop, GError ** error)
{
  const RdTraining *t = loop->t;

  if (!save (loop, error))
    return FALSE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_INTERRUPTED,
      "interrupted after %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
      " steps; %s has what was done, rdtrain resume goes on", t->adamw->steps,
      t->options->steps, t->options->checkpoint);
  return FALSE;
}

/* ---- what is told ---- */

static void
mix_into (double *mean, guint64 n, double keep, double value)
{
  /* The first values count alike: 1 / n until that is below what a value adds later. */
  const double share = MAX (1 - keep, 1.0 / (double) n);

  *mean += share * (value - *mean);
}

/* Returns the sequence's part of the batch's loss. */
static double
count_job (Loop * loop, const RdJointJob * job)
{
  const double tokens = (double) job->target.n;
  RdTrainBin *bin = &loop->progress.bins[rd_rates_place (&loop->t->rates,
          job->lambda, RD_TRAIN_BINS)];

  bin->n++;
  mix_into (&bin->distortion, bin->n, KEEP_BIN, job->target.total / tokens);
  mix_into (&bin->bits, bin->n, KEEP_BIN, rd_training_wire_bits (loop->t,
          &job->codec, job->target.n) / tokens);
  return job->weight * (job->target.total
      + job->lambda * job->codec.rate_bits) / tokens;
}

static void
report (Loop * loop)
{
  const RdTrainOptions *options = loop->t->options;
  RdTrainProgress *progress = &loop->progress;
  const double done = (double) (progress->step - loop->first);
  const double seconds =
      MAX (rd_seconds_since (loop->began + loop->aside), 1e-6);

  progress->tokens_per_second =
      done * (double) (options->batch * options->length) / seconds;
  progress->seconds_left =
      (double) (progress->steps - progress->step) * seconds / done;
  if (options->progress != NULL)
    options->progress (progress, options->user_data);
}

static gboolean
validate (Loop * loop, GError ** error)
{
  const RdTrainOptions *options = loop->t->options;
  const gint64 began = g_get_monotonic_time ();
  RdTrainPoint points[RD_TRAIN_POINTS];

  if (!rd_training_validate (loop->t, points, error)) {
    g_prefix_error (error, "validation after step %" G_GUINT64_FORMAT ": ",
        loop->t->adamw->steps);
    return FALSE;
  }
  if (options->validated != NULL)
    options->validated (loop->t->adamw->steps, points, options->user_data);
  loop->aside += g_get_monotonic_time () - began;
  return TRUE;
}

static gboolean
wants_validation (const Loop * loop)
{
  const RdTrainOptions *options = loop->t->options;
  const guint64 done = loop->t->adamw->steps;

  return done == 0 || done == options->steps
      || (options->validate_every > 0 && done % options->validate_every == 0);
}

/* ---- steps ---- */

/* Sequence numbers go on through all steps; text that is used up begins anew with other rate points. */
static gboolean
make_batch (Loop * loop, GError ** error)
{
  RdTraining *t = loop->t;
  const RdTrainOptions *options = t->options;

  for (gsize i = 0; i < options->batch; i++) {
    const guint64 counter = t->adamw->steps * options->batch + i;
    RdJointJob *job = &loop->jobs[i];

    if (!rd_training_prepare (t, options->held_out
            + (gsize) (counter % t->n_sequences), i, job, error))
      return FALSE;
    job->lambda = rd_rates_draw (&t->rates, counter);
    job->weight = rd_rate_weight (job->lambda);
    job->codec.level = (float) rd_rate_level (job->lambda);
    job->codec.seed = rd_sequence_seed (options->seed, counter);
  }
  return TRUE;
}

/* Adds to the gradient. */
static gboolean
run_jobs (Loop * loop, GError ** error)
{
  RdTraining *t = loop->t;
  gboolean ok;

  t->weights->products = t->options->products;
  ok = rd_joint_run (t->joint, loop->jobs, t->options->batch, t->gradient,
      t->options->cancel, error);
  t->weights->products = RD_PRODUCTS_F32;
  return ok;
}

static gboolean
run_step (Loop * loop, GError ** error)
{
  RdTraining *t = loop->t;
  const RdTrainOptions *options = t->options;
  const RdParameters *parameters = rd_joint_parameters (t->joint);
  const double tokens = (double) (options->batch * options->length);
  const double rate = rd_schedule_rate (&loop->schedule, t->adamw->steps);
  double loss = 0;

  memset (t->gradient, 0, parameters->n * sizeof (float));
  if (!make_batch (loop, error) || !run_jobs (loop, error)) {
    g_prefix_error (error, "step %" G_GUINT64_FORMAT ": ", t->adamw->steps + 1);
    return FALSE;
  }
  if (!rd_adamw_step (t->adamw, parameters, t->gradient, 1.0 / tokens,
          rate, &loop->progress.norm, error))
    return FALSE;
  rd_joint_stepped (t->joint);
  loop->progress.step = t->adamw->steps;
  for (gsize i = 0; i < options->batch; i++)
    loss += count_job (loop, &loop->jobs[i]);
  mix_into (&loop->progress.loss, loop->progress.step - loop->first,
      KEEP_LOSS, loss / (double) options->batch);
  return TRUE;
}

/* The checkpoint is left as it is: what led to values that are not finite is younger. Takes @problem. */
static gboolean
fail_step (Loop * loop, GError * problem, GError ** error)
{
  if (g_error_matches (problem, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED)) {
    g_error_free (problem);
    return fail_interrupted (loop, error);
  }
  rd_propagate_step_error (error, problem, loop->t->options->checkpoint);
  return FALSE;
}

static gboolean
run_steps (Loop * loop, GError ** error)
{
  RdTraining *t = loop->t;
  /* also what was interrupted in a validation: where that was done, it is done once more */
  gboolean validated = FALSE;

  for (;;) {
    GError *problem = NULL;

    if (!validated && wants_validation (loop) && !validate (loop, &problem))
      return fail_step (loop, problem, error);
    if (t->adamw->steps >= t->options->steps)
      return save (loop, error);
    if (!run_step (loop, &problem))
      return fail_step (loop, problem, error);
    validated = FALSE;
    report (loop);
    if (g_get_monotonic_time () - loop->saved >= CHECKPOINT_INTERVAL
        && !save (loop, error))
      return FALSE;
  }
}

static void
start_progress (Loop * loop)
{
  const RdRates *rates = &loop->t->rates;

  loop->progress.step = loop->first;
  loop->progress.steps = loop->t->options->steps;
  for (guint i = 0; i < RD_TRAIN_BINS; i++)
    loop->progress.bins[i].lambda = rates->min * pow (rates->max / rates->min,
        (i + 0.5) / RD_TRAIN_BINS);
}

gboolean
rd_training_loop (RdTraining * t, GError ** error)
{
  const RdTrainOptions *options = t->options;
  Loop loop = {.t = t,.schedule = {options->rate, FLOOR * options->rate,
      options->warmup, options->steps},.first = t->adamw->steps
  };
  gboolean ok;

  loop.jobs = g_new0 (RdJointJob, options->batch);
  loop.began = loop.saved = g_get_monotonic_time ();
  start_progress (&loop);
  ok = run_steps (&loop, error);
  g_free (loop.jobs);
  return ok;
}
