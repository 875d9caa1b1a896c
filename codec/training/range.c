#include "codec/training/range.h"

#include <string.h>

#include "codec/training/head.h"
#include "models/kernels/cancel.h"
#include "models/kernels/kernels.h"

struct _RdRange
{
  const RdWeights *weights;
  const RdAdapters *adapters;   /* may be NULL */
  guint first, n_layers;        /* of the weights' layers */
  gboolean output, recompute;
  const float *positions;       /* learned ones, of a range from block 0 on; else NULL */

  gsize n;                      /* of the last forward pass */
  float gate;

  RdArena arena;
  RdBlockKept *kept;            /* (n_layers), owned; with recompute they share all but x */
  RdBlockScratch block;
  RdHeadScratch head;
  float *y;                     /* (T, D) output of the last block */
  float *again;                 /* (T, D) with recompute: where a block's output goes the second time */
};

static gboolean
check_cancel (const gint * cancel, GError ** error)
{
  if (!st_cancelled (cancel))
    return TRUE;
  g_set_error_literal (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED,
      "the computation was cancelled");
  return FALSE;
}

gboolean
rd_embed (const RdWeights * weights, const gint32 * ids, gsize n, float *x,
    GError ** error)
{
  const gsize hidden = weights->config.hidden_size;

  if (weights->embedding == NULL) {
    g_set_error_literal (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "the model was opened without its embedding");
    return FALSE;
  }
  for (gsize i = 0; i < n; i++) {
    if (ids[i] < 0 || (guint) ids[i] >= weights->config.vocab_size) {
      g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
          "id %d at position %" G_GSIZE_FORMAT
          " is not in the vocabulary of %u", ids[i], i,
          weights->config.vocab_size);
      return FALSE;
    }
    memcpy (x + i * hidden, weights->embedding + (gsize) ids[i] * hidden,
        hidden * sizeof (float));
  }
  return TRUE;
}

void
rd_embed_backward (const RdWeights * weights, const gint32 * ids, gsize n,
    const float *d, const RdGradient * gradient)
{
  const gsize hidden = weights->config.hidden_size;
  float *rows =
      rd_weights_gradient (weights, weights->embedding, gradient->weights);

  for (gsize i = 0; i < n; i++)
    st_add (rows + (gsize) ids[i] * hidden, d + i * hidden, hidden);
}

static RdBlock
block_of (const RdRange * range, guint layer)
{
  return (RdBlock) {
  range->weights, range->adapters, range->first + layer, range->n, range->gate};
}

gboolean
rd_range_forward (RdRange * range, const float *x, gsize n, float gate,
    float *y, const gint * cancel, GError ** error)
{
  const gsize hidden = range->weights->config.hidden_size;
  float *first = range->n_layers > 0 ? range->kept[0].x : range->y;

  if (!rd_weights_check_length (range->weights, n, error)
      || !rd_states_check ("x", x, n, hidden, error))
    return FALSE;
  range->n = n;
  range->gate = gate;
  memcpy (first, x, n * hidden * sizeof (float));
  if (range->positions != NULL)
    st_add (first, range->positions, n * hidden);
  for (guint layer = 0; layer < range->n_layers; layer++) {
    const RdBlock block = block_of (range, layer);

    if (!check_cancel (cancel, error))
      return FALSE;
    rd_block_forward (&block, &range->kept[layer], &range->block,
        layer + 1 < range->n_layers ? range->kept[layer + 1].x : range->y);
  }
  if (y != NULL)
    memcpy (y, range->y, n * hidden * sizeof (float));
  return TRUE;
}

gboolean
rd_range_loss (RdRange * range, RdTailJob * job, float *d,
    RdGradient * gradient, const gint * cancel, GError ** error)
{
  g_return_val_if_fail (range->output && range->n > 0
      && job->n == range->n, FALSE);
  if (!rd_head_check (range->weights, job, error))
    return FALSE;
  job->total = 0;
  for (gsize first = 0; first < range->n; first += range->head.rows) {
    const gsize rows = MIN (range->head.rows, range->n - first);

    if (!check_cancel (cancel, error)
        || !rd_head_run (range->weights, &range->head, job, first, rows,
            range->y, d, gradient, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
rd_range_backward (RdRange * range, float *d, RdGradient * gradient,
    const gint * cancel, GError ** error)
{
  g_return_val_if_fail (range->n > 0, FALSE);
  for (guint layer = range->n_layers; layer-- > 0;) {
    const RdBlock block = block_of (range, layer);

    if (!check_cancel (cancel, error))
      return FALSE;
    if (range->recompute)
      rd_block_forward (&block, &range->kept[layer], &range->block,
          range->again);
    rd_block_backward (&block, &range->kept[layer], &range->block, d, gradient);
  }
  if (range->positions != NULL && gradient != NULL && gradient->weights != NULL)
    st_add (rd_weights_gradient (range->weights, range->positions,
            gradient->weights), d,
        range->n * range->weights->config.hidden_size);
  return TRUE;
}

static void
lay_out (RdRange * range)
{
  const RdWeights *weights = range->weights;
  const guint rank = range->adapters != NULL ? range->adapters->rank : 0;
  const gsize hidden = weights->config.hidden_size;
  RdArena *arena = &range->arena;

  range->y = rd_arena_take (arena, weights->max_tokens, hidden);
  rd_block_scratch_lay_out (&range->block, weights, rank, arena);
  if (range->output)
    rd_head_scratch_lay_out (&range->head, weights, arena);
  if (range->recompute)
    range->again = rd_arena_take (arena, weights->max_tokens, hidden);
  for (guint i = 0; i < range->n_layers; i++) {
    RdBlockKept *kept = &range->kept[i];

    if (i == 0 || !range->recompute)
      rd_block_kept_lay_out (kept, weights, rank, arena);
    else
      *kept = range->kept[0];
    kept->x = rd_arena_take (arena, weights->max_tokens, hidden);
  }
}

static gboolean
check_options (const RdWeights * weights, const RdRangeOptions * options,
    GError ** error)
{
  const guint first = weights->first_block, end = first + weights->n_layers;

  if (options->first_block < first || options->last_block > end
      || options->first_block > options->last_block) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "blocks %u..%u are not in the model's opened blocks %u..%u",
        options->first_block, options->last_block, first, end);
    return FALSE;
  }
  if (options->output && weights->output == NULL) {
    g_set_error_literal (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "gradients start at the output head, and the model was opened without it");
    return FALSE;
  }
  return TRUE;
}

RdRange *
rd_range_new (const RdWeights * weights, const RdAdapters * adapters,
    const RdRangeOptions * options, GError ** error)
{
  g_autoptr (RdRange) range = NULL;

  if (!check_options (weights, options, error))
    return NULL;
  range = g_new0 (RdRange, 1);
  range->weights = weights;
  range->adapters = adapters;
  range->first = options->first_block - weights->first_block;
  range->n_layers = options->last_block - options->first_block;
  range->output = options->output;
  range->recompute = options->recompute;
  if (options->first_block == 0 && range->n_layers > 0)
    range->positions = weights->positions;
  range->kept = g_new0 (RdBlockKept, range->n_layers);
  lay_out (range);
  if (!rd_arena_allocate (&range->arena, "activations", error))
    return NULL;
  lay_out (range);
  return g_steal_pointer (&range);
}

void
rd_range_free (RdRange * range)
{
  if (range == NULL)
    return;
  rd_arena_clear (&range->arena);
  g_free (range->kept);
  g_free (range);
}
