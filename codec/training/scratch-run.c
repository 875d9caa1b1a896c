/* Steps of a training, and losses on held-out text. */
#include <math.h>
#include <string.h>

#include "codec/training/checks.h"
#include "codec/training/scratch-private.h"
#include "models/sampler.h"

#define CHECKPOINT_INTERVAL (120 * G_TIME_SPAN_SECOND)
/* Weight of a step in the loss that is told. */
#define SMOOTHING 0.05

/* Sequences of ids with the jobs for them. A sequence has one id more than positions: the label of the last. */
typedef struct
{
  gsize n, length;
  gint32 *ids;                  /* (n, length + 1) */
  RdLanguageJob *jobs;          /* (n) */
} Batch;

typedef struct
{
  RdScratch *s;
  Batch batch;
  float *gradient;
  guint32 *order;               /* sequences of one pass over the text, shuffled */
  gsize n_sequences;
  guint64 pass;                 /* that @order is of; G_MAXUINT64: none */
  RdScratchProgress progress;
  guint64 first;                /* step that this run began with */
  gint64 began, saved;
} Run;

static void
batch_init (Batch * batch, gsize n, gsize length)
{
  *batch = (Batch) {
    .n = n,.length = length,.ids = g_new (gint32, n * (length + 1)),.jobs =
        g_new0 (RdLanguageJob, n)
  };
  for (gsize i = 0; i < n; i++) {
    const gint32 *ids = batch->ids + i * (length + 1);

    batch->jobs[i] = (RdLanguageJob) {
      .ids = ids,.gate = 1.0f,.target = {.n = length,.loss =
            RD_LOSS_LABELS,.labels = ids + 1
      }
    };
  }
}

static void
batch_clear (Batch * batch)
{
  g_free (batch->ids);
  g_free (batch->jobs);
}

static double
batch_loss (const Batch * batch)
{
  double sum = 0;

  for (gsize i = 0; i < batch->n; i++)
    sum += batch->jobs[i].target.total;
  return sum / (double) (batch->n * batch->length);
}

/* ---- order of the text ---- */

/* Fisher and Yates; a function of seed and pass. */
static void
shuffle (Run * run, guint64 pass)
{
  for (gsize i = 0; i < run->n_sequences; i++) {
    const double random = st_sampler_uniform (run->s->options->seed,
        pass << 32 | i);
    const gsize other = (gsize) (random * (double) (i + 1));

    run->order[i] = run->order[other];
    run->order[other] = (guint32) i;
  }
  run->pass = pass;
}

/* Every pass over the text cuts it elsewhere. */
static gboolean
load_sequence (Run * run, guint64 number, gint32 * ids, GError ** error)
{
  const guint64 pass = number / run->n_sequences;

  if (pass != run->pass)
    shuffle (run, pass);
  return rd_corpus_sequence (run->s->corpus, run->s->options->seed + pass,
      run->order[number % run->n_sequences], run->batch.length + 1, ids, NULL,
      error);
}

/* ---- a step ---- */

/* Warm-up, then the full rate, then a cosine (Hu et al. 2024): how many steps there will be does not matter before that. */
static double
step_rate (const RdScratchOptions * options, guint64 done)
{
  const guint64 full = rd_scratch_full_steps (options);
  const RdSchedule first = { options->rate, options->rate, options->warmup,
    options->warmup
  };
  const RdSchedule last = { options->rate, 0.0, 0, options->steps - full };

  return done < full ? rd_schedule_rate (&first, done) :
      rd_schedule_rate (&last, done - full);
}

static gboolean
run_batch (Run * run, GError ** error)
{
  RdScratch *s = run->s;
  gboolean ok;

  memset (run->gradient, 0, s->state.parameters->n * sizeof (float));
  s->weights->products = s->options->products;
  ok = rd_language_run (s->language, run->batch.jobs, run->batch.n,
      run->gradient, s->options->cancel, error);
  s->weights->products = RD_PRODUCTS_F32;
  return ok;
}

static gboolean
run_step (Run * run, GError ** error)
{
  const RdScratchOptions *options = run->s->options;
  const RdParameters *parameters = run->s->state.parameters;
  const guint64 done = run->s->adamw->steps;
  Batch *batch = &run->batch;

  for (gsize i = 0; i < batch->n; i++) {
    if (!load_sequence (run, done * batch->n + i,
            batch->ids + i * (batch->length + 1), error))
      return FALSE;
  }
  if (!run_batch (run, error)) {
    g_prefix_error (error, "step %" G_GUINT64_FORMAT ": ", done + 1);
    return FALSE;
  }
  return rd_adamw_step (run->s->adamw, parameters, run->gradient,
      1.0 / (double) (batch->n * batch->length), step_rate (options, done),
      NULL, error);
}

static void
report (Run * run)
{
  const RdScratchOptions *options = run->s->options;
  RdScratchProgress *p = &run->progress;
  const double loss = batch_loss (&run->batch);
  const double seconds = rd_seconds_since (run->began);
  double steps;

  p->done = run->s->adamw->steps;
  steps = (double) (p->done - run->first);
  p->loss = steps > 1 ? p->loss + SMOOTHING * (loss - p->loss) : loss;
  p->tokens_per_second =
      steps * (double) (options->batch * options->length) / MAX (seconds, 1e-6);
  p->seconds_left = seconds / steps * (double) (p->steps - p->done);
  if (options->progress != NULL)
    options->progress (p, options->user_data);
}

/* ---- checkpoints ---- */

static gboolean
save (Run * run, GError ** error)
{
  run->saved = g_get_monotonic_time ();
  rd_scratch_mark (run->s);
  return rd_train_state_write (run->s->checkpoint, &run->s->state, error);
}

static gboolean
fail_interrupted (Run * run, GError ** error)
{
  if (!save (run, error))
    return FALSE;
  g_set_error (error, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_INTERRUPTED,
      "interrupted after %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
      " steps; %s has what was done, --resume goes on", run->s->adamw->steps,
      run->s->options->steps, run->s->checkpoint);
  return FALSE;
}

static gboolean
run_steps (Run * run, GError ** error)
{
  while (run->s->adamw->steps < run->s->options->steps) {
    g_autoptr (GError) problem = NULL;

    if (!run_step (run, &problem)) {
      if (g_error_matches (problem, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED))
        return fail_interrupted (run, error);
      rd_propagate_step_error (error, g_steal_pointer (&problem),
          run->s->checkpoint);
      return FALSE;
    }
    report (run);
    if (g_get_monotonic_time () - run->saved >= CHECKPOINT_INTERVAL
        && !save (run, error))
      return FALSE;
  }
  return save (run, error);
}

gboolean
rd_scratch_steps (RdScratch * s, GError ** error)
{
  const RdScratchOptions *options = s->options;
  Run run = {.s = s,.first = s->adamw->steps,.pass = G_MAXUINT64 };
  gboolean ok;

  if (s->adamw->steps >= options->steps)
    return TRUE;
  batch_init (&run.batch, options->batch, options->length);
  run.gradient = g_new (float, s->state.parameters->n);
  run.n_sequences = rd_corpus_n_sequences (s->corpus, options->length + 1);
  run.order = g_new0 (guint32, run.n_sequences);
  run.progress.steps = options->steps;
  run.began = run.saved = g_get_monotonic_time ();
  ok = run_steps (&run, error);
  batch_clear (&run.batch);
  g_free (run.gradient);
  g_free (run.order);
  return ok;
}

/* ---- held-out text ---- */

/* Bytes of text that the labels stand for. */
static gsize
count_bytes (const RdScratch * s, const Batch * batch)
{
  StTokenizer *tokenizer = st_model_tokenizer (s->model);
  gsize sum = 0;

  for (gsize i = 0; i < batch->n; i++) {
    for (gsize j = 0; j < batch->length; j++) {
      gsize len;

      st_tokenizer_piece (tokenizer, batch->jobs[i].target.labels[j], &len);
      sum += len;
    }
  }
  return sum;
}

static gboolean
measure_batch (const RdScratch * s, RdLanguage * language, Batch * batch,
    RdScratchLoss * loss, GError ** error)
{
  for (gsize i = 0; i < batch->n; i++) {
    if (!rd_corpus_sequence (s->held_out, 0, i, batch->length + 1,
            batch->ids + i * (batch->length + 1), NULL, error))
      return FALSE;
  }
  if (!rd_language_run (language, batch->jobs, batch->n, NULL,
          s->options->cancel, error))
    return FALSE;
  loss->nats = batch_loss (batch);
  loss->tokens = batch->n * batch->length;
  loss->bits_per_byte = loss->nats / G_LN2 * (double) loss->tokens
      / (double) count_bytes (s, batch);
  return TRUE;
}

gboolean
rd_scratch_measure (const RdScratch * s, RdWeights * weights,
    RdScratchLoss * loss, GError ** error)
{
  const RdLanguageOptions options = {.weights = weights,.train_weights =
        TRUE,.threads = s->options->threads
  };
  g_autoptr (RdLanguage) language = rd_language_new (&options, error);
  Batch batch;
  gboolean ok;

  if (language == NULL)
    return FALSE;
  batch_init (&batch, MIN (s->options->held_out_sequences,
          rd_corpus_n_sequences (s->held_out, s->options->length + 1)),
      s->options->length);
  ok = measure_batch (s, language, &batch, loss, error);
  batch_clear (&batch);
  return ok;
}
