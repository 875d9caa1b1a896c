#include "codec/training/head.h"

#include <math.h>

#include "codec/training/loss.h"
#include "codec/training/norm.h"
#include "codec/training/ops.h"
#include "models/kernels/kernels.h"
#include "models/sampler.h"

/* Floats of logits in memory: 32 MiB, and the most rows that make a product faster. */
#define LOGITS (gsize) (8 << 20)
#define MAX_ROWS 128

void
rd_head_scratch_lay_out (RdHeadScratch * scratch, const RdWeights * weights,
    RdArena * arena)
{
  const gsize vocab = weights->config.vocab_size;

  scratch->rows = CLAMP (LOGITS / vocab, 1, MIN (MAX_ROWS,
          weights->max_tokens));
  scratch->norm =
      rd_arena_take (arena, scratch->rows, weights->config.hidden_size);
  scratch->logits = rd_arena_take (arena, scratch->rows, vocab);
  scratch->teacher = rd_arena_take (arena, scratch->rows, vocab);
  scratch->difference = rd_arena_take (arena, 1, vocab);
}

gboolean
rd_states_check (const gchar * what, const float *x, gsize n, gsize hidden,
    GError ** error)
{
  for (gsize i = 0; i < n * hidden; i++) {
    if (isfinite (x[i]))
      continue;
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
        "%s holds %g at position %" G_GSIZE_FORMAT ", channel %"
        G_GSIZE_FORMAT, what, (gdouble) x[i], i / hidden, i % hidden);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_labels (const RdTailJob * job, guint vocab, GError ** error)
{
  for (gsize i = 0; i < job->n; i++) {
    if (job->labels[i] >= 0 && (guint) job->labels[i] < vocab)
      continue;
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
        "label %d at position %" G_GSIZE_FORMAT
        " is not in the vocabulary of %u", job->labels[i], i, vocab);
    return FALSE;
  }
  return TRUE;
}

gboolean
rd_head_check (const RdWeights * weights, const RdTailJob * job,
    GError ** error)
{
  const gboolean labels = job->loss == RD_LOSS_LABELS
      || job->loss == RD_LOSS_MIXED;
  const gboolean teacher = job->loss == RD_LOSS_TEACHER
      || job->loss == RD_LOSS_MIXED;

  g_return_val_if_fail (!labels || job->labels != NULL, FALSE);
  g_return_val_if_fail (!teacher || job->teacher != NULL, FALSE);
  return (!labels || check_labels (job, weights->config.vocab_size, error))
      && (!teacher || rd_states_check ("teacher", job->teacher, job->n,
          weights->config.hidden_size, error));
}

/* logits (rows, V) of final hidden states x (rows, D). */
static void
logits_of (const RdWeights * weights, const RdHeadScratch * scratch,
    const float *x, gsize rows, float *logits)
{
  const gsize hidden = weights->config.hidden_size;

  rd_norm_forward (weights, &weights->output_norm, x, rows, scratch->norm);
  rd_linear_by (weights->products, scratch->norm, weights->output, rows,
      weights->config.vocab_size, hidden, FALSE, logits);
}

/* The loss of @position, whose logits are row @row of the scratch and become their derivative. */
static gdouble
loss_at (const RdTailJob * job, const RdHeadScratch * scratch, gsize vocab,
    gsize position, gsize row)
{
  float *logits = scratch->logits + row * vocab;
  gint32 label;
  gdouble loss;

  switch (job->loss) {
    case RD_LOSS_LABELS:
      return rd_loss_label (logits, vocab, job->labels[position]);
    case RD_LOSS_TEACHER:
      return rd_loss_divergence (logits, scratch->teacher + row * vocab, vocab,
          scratch->difference);
    case RD_LOSS_MIXED:
      return rd_loss_mixed (logits, scratch->teacher + row * vocab, vocab,
          job->labels[position], job->label_weight, job->teacher_weight,
          scratch->difference);
    case RD_LOSS_SAMPLED:
    default:
      loss = rd_loss_sampled (logits, vocab,
          st_sampler_uniform (job->seed, position), &label);
      if (job->sampled != NULL)
        job->sampled[position] = label;
      return loss;
  }
}

static gboolean
add_losses (const RdWeights * weights, const RdHeadScratch * scratch,
    RdTailJob * job, gsize first, gsize rows, GError ** error)
{
  for (gsize row = 0; row < rows; row++) {
    const gdouble loss =
        loss_at (job, scratch, weights->config.vocab_size, first + row, row);

    if (!isfinite (loss)) {
      g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
          "the loss at position %" G_GSIZE_FORMAT " is not finite: the weights "
          "of the model are damaged", first + row);
      return FALSE;
    }
    if (job->losses != NULL)
      job->losses[first + row] = loss;
    job->total += loss;
  }
  return TRUE;
}

/* scratch->logits, the derivative by the logits, becomes d (rows, D), that by y. */
static void
head_backward (const RdWeights * weights, const RdHeadScratch * scratch,
    gsize rows, const float *y, float *d, const RdGradient * gradient)
{
  const gsize hidden = weights->config.hidden_size;
  const gsize vocab = weights->config.vocab_size;
  float *values = gradient != NULL ? gradient->weights : NULL;

  if (values != NULL)
    rd_linear_backward_weight_by (weights->products, scratch->logits,
        scratch->norm, rows, vocab, hidden, rd_weights_gradient (weights,
            weights->output, values));
  rd_linear_backward_by (weights->products, scratch->logits, weights->output,
      rows, vocab, hidden, FALSE, scratch->norm);
  rd_norm_back (weights, &weights->output_norm, y, scratch->norm, rows, FALSE,
      d, values);
}

gboolean
rd_head_run (const RdWeights * weights, const RdHeadScratch * scratch,
    RdTailJob * job, gsize first, gsize rows, const float *y, float *d,
    const RdGradient * gradient, GError ** error)
{
  const gsize at = first * weights->config.hidden_size;

  if (job->loss == RD_LOSS_TEACHER || job->loss == RD_LOSS_MIXED)
    logits_of (job->teacher_head ? job->teacher_head : weights, scratch,
        job->teacher + at, rows, scratch->teacher);
  logits_of (weights, scratch, y + at, rows, scratch->logits);
  if (!add_losses (weights, scratch, job, first, rows, error))
    return FALSE;
  if (d != NULL)
    head_backward (weights, scratch, rows, y + at, d + at, gradient);
  return TRUE;
}
