#include "codec/training/head.h"

#include <math.h>

#include "codec/training/loss.h"
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

/* logits (rows, V) of final hidden states x (rows, D). */
static void
logits_of (const RdWeights * weights, const RdHeadScratch * scratch,
    const float *x, gsize rows, float *logits)
{
  const gsize hidden = weights->config.hidden_size;

  rd_norm (x, weights->output_norm, rows, hidden, weights->config.rms_eps,
      scratch->norm);
  rd_linear (scratch->norm, weights->output, rows, weights->config.vocab_size,
      hidden, FALSE, logits);
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

gboolean
rd_head_run (const RdWeights * weights, const RdHeadScratch * scratch,
    RdTailJob * job, gsize first, gsize rows, const float *y, float *d,
    GError ** error)
{
  const gsize hidden = weights->config.hidden_size;
  const gsize at = first * hidden;

  if (job->loss == RD_LOSS_TEACHER)
    logits_of (weights, scratch, job->teacher + at, rows, scratch->teacher);
  logits_of (weights, scratch, y + at, rows, scratch->logits);
  if (!add_losses (weights, scratch, job, first, rows, error))
    return FALSE;
  if (d == NULL)
    return TRUE;
  rd_linear_backward (scratch->logits, weights->output, rows,
      weights->config.vocab_size, hidden, FALSE, scratch->norm);
  rd_norm_backward (y + at, weights->output_norm, scratch->norm, rows, hidden,
      weights->config.rms_eps, FALSE, d + at);
  return TRUE;
}
