#include "codec/training/joint.h"

#include <math.h>

#include "codec/training/batch.h"
#include "codec/training/range.h"

/* What a thread has. */
typedef struct
{
  RdRange *head;                /* NULL without one */
  RdRange *tail;
  RdTrainablePass *pass;
  float *x, *y, *d;             /* (T, D) before the codec, behind it, derivative by either */
} Context;

struct _RdJoint
{
  RdJointOptions options;
  gint32 *knots;                /* (n_knots) */
  float *gates;                 /* (n_knots) */
  RdParameters parameters;
  gsize adapters_at, gates_at, weights_at, codec_at;    /* in the gradient */
  RdBatch *batch;
  Context *contexts;            /* (threads) */
};

/* One call of rd_joint_run(). */
typedef struct
{
  RdJoint *joint;
  RdJointJob *jobs;
  const gint *cancel;
} Run;

/* ---- the gate of a rate point ---- */

/* Between knots[i] and knots[i + 1], the second of which counts @share. */
typedef struct
{
  guint i;
  float share;
} Place;

static Place
place_of (const RdJoint * joint, float level)
{
  const guint last = joint->options.n_knots - 1;
  Place place = { 0, 0.0f };

  if (level <= (float) joint->knots[0])
    return place;
  while (place.i < last && level >= (float) joint->knots[place.i + 1])
    place.i++;
  if (place.i < last)
    place.share = (level - (float) joint->knots[place.i])
        / (float) (joint->knots[place.i + 1] - joint->knots[place.i]);
  return place;
}

/* 1 where there are no adapters. */
static float
job_gate (const RdJoint * joint, float level)
{
  const Place place = place_of (joint, level);

  if (joint->options.adapters == NULL)
    return 1.0f;
  if (place.share == 0.0f)
    return joint->gates[place.i];
  return (1.0f - place.share) * joint->gates[place.i]
      + place.share * joint->gates[place.i + 1];
}

static void
gate_backward (const RdJoint * joint, float level, gdouble d_gate,
    float *gradient)
{
  const Place place = place_of (joint, level);
  float *gates = gradient + joint->gates_at;

  gates[place.i] += (float) ((1.0 - place.share) * d_gate);
  if (place.share > 0.0f)
    gates[place.i + 1] += (float) (place.share * d_gate);
}

/* ---- one sequence ---- */

static gboolean
run_codec (const Context * context, RdTrainableJob * job, GError ** error)
{
  const RdTrainableClass *klass = context->pass->trainable->klass;

  if (!klass->forward (context->pass, job, error))
    return FALSE;
  if (isfinite (job->bits) && isfinite (job->rate_bits))
    return TRUE;
  g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
      "the codec's bits are not finite: its parameters have diverged");
  return FALSE;
}

/* x (n, D) = hidden states before the codec. */
static gboolean
head_forward (const RdJoint * joint, const Context * context,
    const gint32 * ids, gsize n, float gate, float *x, const gint * cancel,
    GError ** error)
{
  return rd_weights_check_length (joint->options.weights, n, error)
      && rd_embed (joint->options.weights, ids, n, x, error)
      && rd_range_forward (context->head, x, n, gate, x, cancel, error);
}

static gboolean
forward (const Run * run, const Context * context, RdJointJob * job, float gate,
    GError ** error)
{
  const RdJointOptions *options = &run->joint->options;
  const gsize n = job->target.n;

  job->codec.n = n;
  job->codec.x = job->x;
  job->codec.y = context->y;
  if (options->head) {
    job->codec.x = context->x;
    if (!head_forward (run->joint, context, job->ids, n, gate, context->x,
            run->cancel, error))
      return FALSE;
  } else if (!rd_weights_check_length (options->weights, n, error)) {
    return FALSE;
  }
  return run_codec (context, &job->codec, error)
      && rd_range_forward (context->tail, context->y, n, gate, job->target.y,
      run->cancel, error);
}

/* Where derivatives by what is trained of the model go. */
static RdGradient
model_gradient (const RdJoint * joint, float *gradient)
{
  const RdJointOptions *options = &joint->options;

  return (RdGradient) {
  .adapters = options->adapters ? gradient + joint->adapters_at :
        NULL,.weights =
        options->train_weights ? gradient + joint->weights_at : NULL};
}

/* @parts: output norm and head have added theirs. */
static gboolean
backward (const Run * run, const Context * context, const RdJointJob * job,
    float *gradient, RdGradient * parts, GError ** error)
{
  const RdJoint *joint = run->joint;
  const RdJointOptions *options = &joint->options;

  if (!rd_range_backward (context->tail, context->d, parts, run->cancel, error))
    return FALSE;
  context->pass->trainable->klass->backward (context->pass, &job->codec,
      job->lambda, context->d, gradient + joint->codec_at);
  if (options->head && !rd_range_backward (context->head, context->d, parts,
          run->cancel, error))
    return FALSE;
  if (options->train_weights)
    rd_embed_backward (options->weights, job->ids, job->target.n, context->d,
        parts);
  if (options->adapters != NULL)
    gate_backward (joint, job->codec.level, parts->gate, gradient);
  /* All of it is of this sequence alone. */
  if (job->weight != 1.0) {
    for (gsize i = 0; i < joint->parameters.n; i++)
      gradient[i] *= (float) job->weight;
  }
  return TRUE;
}

static gboolean
run_job (gsize index, guint thread, float *gradient, gpointer user_data,
    GError ** error)
{
  const Run *run = user_data;
  const Context *context = &run->joint->contexts[thread];
  RdJointJob *job = &run->jobs[index];
  const float gate = job_gate (run->joint, job->codec.level);
  RdGradient parts = { 0 };

  if (gradient != NULL)
    parts = model_gradient (run->joint, gradient);
  return forward (run, context, job, gate, error)
      && rd_range_loss (context->tail, &job->target,
      gradient != NULL ? context->d : NULL, &parts, run->cancel, error)
      && (gradient == NULL || backward (run, context, job, gradient, &parts,
          error));
}

gboolean
rd_joint_run (RdJoint * joint, RdJointJob * jobs, gsize n_jobs, float *gradient,
    const gint * cancel, GError ** error)
{
  Run run = { joint, jobs, cancel };

  return rd_batch_run (joint->batch, n_jobs, run_job, &run, gradient, error);
}

/* ---- the head alone ---- */

typedef struct
{
  RdJoint *joint;
  const gint32 *ids;
  gsize n;
  float gate;
  float *x;
  const gint *cancel;
} HeadRun;

static gboolean
run_head (gsize index, guint thread, float *gradient, gpointer user_data,
    GError ** error)
{
  const HeadRun *run = user_data;

  (void) index;
  (void) gradient;
  return head_forward (run->joint, &run->joint->contexts[thread], run->ids,
      run->n, run->gate, run->x, run->cancel, error);
}

gboolean
rd_joint_head (RdJoint * joint, const gint32 * ids, gsize n, float level,
    float *x, const gint * cancel, GError ** error)
{
  HeadRun run = { joint, ids, n, job_gate (joint, level), x, cancel };

  g_return_val_if_fail (joint->options.head, FALSE);
  return rd_batch_run (joint->batch, 1, run_head, &run, NULL, error);
}

/* ---- set-up ---- */

static gboolean
make_context (const RdJoint * joint, Context * context, GError ** error)
{
  const RdJointOptions *options = &joint->options;
  const RdWeights *weights = options->weights;
  const gsize floats = weights->max_tokens * weights->config.hidden_size;
  const RdRangeOptions head = { 0, options->split_layer, FALSE,
    options->recompute
  };
  const RdRangeOptions tail = { options->split_layer,
    weights->first_block + weights->n_layers, TRUE, options->recompute
  };

  if (options->head) {
    context->head = rd_range_new (weights, options->adapters, &head, error);
    if (context->head == NULL)
      return FALSE;
  }
  context->tail = rd_range_new (weights, options->adapters, &tail, error);
  if (context->tail == NULL)
    return FALSE;
  context->pass = options->codec->klass->pass_new (options->codec,
      weights->max_tokens, error);
  context->x = g_new (float, floats);
  context->y = g_new (float, floats);
  context->d = g_new (float, floats);
  return context->pass != NULL;
}

static gboolean
make_contexts (RdJoint * joint, GError ** error)
{
  const guint threads = rd_batch_threads (joint->batch);

  joint->contexts = g_new0 (Context, threads);
  for (guint i = 0; i < threads; i++) {
    if (!make_context (joint, &joint->contexts[i], error))
      return FALSE;
  }
  return TRUE;
}

static void
scale_rates (const RdJoint * joint, guint first, float factor)
{
  for (guint i = first; i < rd_parameters_count (&joint->parameters); i++)
    g_array_index (joint->parameters.list, RdParameter, i).rate *= factor;
}

static void
collect_parameters (RdJoint * joint)
{
  const RdJointOptions *options = &joint->options;
  RdParameters *parameters = &joint->parameters;
  guint n;

  if (options->adapters != NULL) {
    joint->adapters_at = rd_adapters_parameters (options->adapters, parameters);
    joint->gates_at = rd_parameters_add (parameters, "adapter.gate",
        joint->gates, options->n_knots, FALSE, options->gate_rate);
  }
  if (options->train_weights)
    joint->weights_at = rd_weights_parameters (options->weights, parameters);
  n = rd_parameters_count (parameters);
  joint->codec_at = options->codec->klass->parameters (options->codec,
      parameters);
  scale_rates (joint, n, options->codec_rate);
}

RdJoint *
rd_joint_new (const RdJointOptions * options, GError ** error)
{
  g_autoptr (RdJoint) joint = NULL;

  g_return_val_if_fail (options->n_knots >= 1, NULL);
  g_return_val_if_fail (options->head || !options->train_weights, NULL);
  if (options->head && options->weights->embedding == NULL) {
    g_set_error_literal (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "the model was opened without its embedding");
    return NULL;
  }
  joint = g_new0 (RdJoint, 1);
  joint->options = *options;
  joint->knots = g_memdup2 (options->knots, options->n_knots * sizeof (gint32));
  joint->gates = g_new (float, options->n_knots);
  for (guint i = 0; i < options->n_knots; i++)
    joint->gates[i] = 1.0f;
  collect_parameters (joint);
  joint->batch = rd_batch_new (options->threads, joint->parameters.n, error);
  if (joint->batch == NULL || !make_contexts (joint, error))
    return NULL;
  return g_steal_pointer (&joint);
}

static void
context_clear (Context * context)
{
  rd_range_free (context->head);
  rd_range_free (context->tail);
  if (context->pass != NULL)
    context->pass->trainable->klass->pass_free (context->pass);
  g_free (context->x);
  g_free (context->y);
  g_free (context->d);
}

void
rd_joint_free (RdJoint * joint)
{
  if (joint == NULL)
    return;
  for (guint i = 0; joint->contexts != NULL
      && i < rd_batch_threads (joint->batch); i++)
    context_clear (&joint->contexts[i]);
  g_free (joint->contexts);
  rd_batch_free (joint->batch);
  rd_parameters_clear (&joint->parameters);
  g_free (joint->knots);
  g_free (joint->gates);
  g_free (joint);
}

const RdParameters *
rd_joint_parameters (const RdJoint * joint)
{
  return &joint->parameters;
}

float *
rd_joint_gates (RdJoint * joint)
{
  return joint->gates;
}

void
rd_joint_stepped (RdJoint * joint)
{
  joint->options.codec->klass->stepped (joint->options.codec);
}
