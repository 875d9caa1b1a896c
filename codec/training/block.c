#include "codec/training/block.h"

#include <string.h>

#include "codec/training/norm.h"
#include "codec/training/ops.h"
#include "models/family.h"
#include "models/kernels/kernels.h"

void
rd_block_scratch_lay_out (RdBlockScratch * scratch, const RdWeights * weights,
    guint rank, RdArena * arena)
{
  const gsize t = weights->max_tokens;
  const gsize queries = rd_weights_queries (weights);
  const gsize keys = rd_weights_keys (weights);
  const gsize rows = MIN (t, RD_ATTENTION_ROWS);

  for (guint i = 0; i < 2; i++) {
    scratch->narrow[i] = rd_arena_take (arena, t, weights->config.hidden_size);
    scratch->wide[i] = rd_arena_take (arena, t, weights->config.ff_size);
  }
  scratch->d_q = rd_arena_take (arena, t, queries);
  scratch->d_out = rd_arena_take (arena, t, queries);
  scratch->d_k = rd_arena_take (arena, t, keys);
  scratch->d_v = rd_arena_take (arena, t, keys);
  scratch->scores = rd_arena_take (arena, rows, t);
  scratch->d_scores = rd_arena_take (arena, rows, t);
  scratch->d_low = rd_arena_take (arena, t, (gsize) RD_GROUP_MAX * rank);
}

void
rd_block_kept_lay_out (RdBlockKept * kept, const RdWeights * weights,
    guint rank, RdArena * arena)
{
  const gsize t = weights->max_tokens;
  const gsize queries = rd_weights_queries (weights);
  const gsize keys = rd_weights_keys (weights);
  const gsize ff = weights->config.ff_size;

  kept->middle = rd_arena_take (arena, t, weights->config.hidden_size);
  kept->q = rd_arena_take (arena, t, queries);
  kept->k = rd_arena_take (arena, t, keys);
  kept->v = rd_arena_take (arena, t, keys);
  kept->attention = rd_arena_take (arena, t, queries);
  if (weights->config.family->gated)
    kept->gate = rd_arena_take (arena, t, ff);
  kept->up = rd_arena_take (arena, t, ff);
  for (guint i = 0; i < RD_N_GROUPS; i++)
    kept->low[i] = rd_arena_take (arena, t, (gsize) RD_GROUP_MAX * rank);
}

static RdAttention
attention_of (const RdBlock * block, const RdBlockKept * kept,
    const RdBlockScratch * scratch)
{
  const StModelConfig *config = &block->weights->config;

  return (RdAttention) {
  .t = block->t,.n_heads = config->n_heads,.n_kv_heads =
        config->n_kv_heads,.head_dim = config->head_dim,.q = kept->q,.k =
        kept->k,.v = kept->v,.scores = scratch->scores,.d_scores =
        scratch->d_scores,};
}

/* Queries and keys, forward with the sines and backward with the negated ones. */
static void
rotate (const RdBlock * block, const float *sines, float *q, float *k)
{
  const RdWeights *weights = block->weights;
  const StModelConfig *config = &weights->config;

  rd_rope (q, weights->cosines, sines, block->t, config->n_heads,
      config->head_dim, config->rope_dim);
  rd_rope (k, weights->cosines, sines, block->t, config->n_kv_heads,
      config->head_dim, config->rope_dim);
}

/* act (T, F): what the last matrix multiplies. */
static void
activate (const RdBlock * block, const RdBlockKept * kept, float *act)
{
  const StModelConfig *config = &block->weights->config;
  const gsize f = block->t * config->ff_size;

  if (config->family->gated) {
    memcpy (act, kept->gate, f * sizeof (float));
    st_swiglu (act, kept->up, f);
  } else {
    memcpy (act, kept->up, f * sizeof (float));
    st_gelu (act, f);
  }
}

static RdAdapterPass
adapters_of (const RdBlock * block, RdGroup group)
{
  return (RdAdapterPass) {
  block->adapters, block->weights->first_block + block->layer, group,
        block->gate, block->t};
}

/* y[i] = or += the products of x with a group's matrices. */
static void
multiply (const RdBlock * block, RdGroup group, const float *x, float *low,
    gboolean accumulate, float *const *y)
{
  const RdBlockWeights *w = &block->weights->blocks[block->layer];
  const guint first = rd_group_first[group];

  for (guint m = first; m < rd_group_first[group + 1]; m++) {
    gsize outputs, inputs;

    if (w->matrices[m] == NULL)
      continue;
    rd_matrix_shape (&block->weights->config, m, &outputs, &inputs);
    rd_linear_by (block->weights->products, x, w->matrices[m], block->t,
        outputs, inputs, accumulate, y[m - first]);
    if (w->biases[m] != NULL)
      rd_bias (w->biases[m], block->t, outputs, y[m - first]);
  }
  if (block->adapters != NULL) {
    const RdAdapterPass pass = adapters_of (block, group);

    rd_adapters_forward (&pass, x, low, y);
  }
}

void
rd_block_forward (const RdBlock * block, RdBlockKept * kept,
    const RdBlockScratch * scratch, float *y)
{
  const RdWeights *weights = block->weights;
  const RdBlockWeights *w = &weights->blocks[block->layer];
  const gsize d = block->t * weights->config.hidden_size;
  const RdAttention attention = attention_of (block, kept, scratch);
  float *const qkv[] = { kept->q, kept->k, kept->v };
  float *const gate_up[] = { kept->gate, kept->up };
  float *norm = scratch->narrow[0], *act = scratch->wide[0];

  rd_norm_forward (weights, &w->attn_norm, kept->x, block->t, norm);
  multiply (block, RD_GROUP_QKV, norm, kept->low[RD_GROUP_QKV], FALSE, qkv);
  rotate (block, weights->sines, kept->q, kept->k);
  rd_attention (&attention, kept->attention);
  memcpy (kept->middle, kept->x, d * sizeof (float));
  multiply (block, RD_GROUP_O, kept->attention, kept->low[RD_GROUP_O], TRUE,
      &kept->middle);

  rd_norm_forward (weights, &w->ffn_norm, kept->middle, block->t, norm);
  multiply (block, RD_GROUP_GATE_UP, norm, kept->low[RD_GROUP_GATE_UP], FALSE,
      gate_up);
  activate (block, kept, act);
  memcpy (y, kept->middle, d * sizeof (float));
  multiply (block, RD_GROUP_DOWN, act, kept->low[RD_GROUP_DOWN], TRUE, &y);
}

/* A block on its way back. */
typedef struct
{
  const RdBlock *block;
  const RdBlockKept *kept;
  const RdBlockScratch *scratch;
  RdGradient *gradient;         /* may be NULL */
} Backward;

/* Where derivatives by weights are added to, or NULL. */
static float *
weights_gradient (const Backward * b)
{
  return b->gradient != NULL ? b->gradient->weights : NULL;
}

/* d_y by the outputs of matrix @m (which has some), and x, its input: derivatives by its values and biases. */
static void
add_gradient (const Backward * b, guint m, const float *x, const float *d_y)
{
  const RdWeights *weights = b->block->weights;
  const RdBlockWeights *w = &weights->blocks[b->block->layer];
  float *gradient = weights_gradient (b);
  gsize outputs, inputs;

  if (gradient == NULL)
    return;
  rd_matrix_shape (&weights->config, m, &outputs, &inputs);
  rd_linear_backward_weight_by (weights->products, d_y, x, b->block->t, outputs,
      inputs, rd_weights_gradient (weights, w->matrices[m], gradient));
  if (w->biases[m] != NULL)
    rd_bias_backward_weight (d_y, b->block->t, outputs,
        rd_weights_gradient (weights, w->biases[m], gradient));
}

/* d_x from d_y[i] of a group's matrices, and what x, their input, is needed for: derivatives by weights. */
static void
multiply_backward (const Backward * b, RdGroup group, const float *x,
    const float *const *d_y, float *d_x)
{
  const RdWeights *weights = b->block->weights;
  const RdBlockWeights *w = &weights->blocks[b->block->layer];
  const guint first = rd_group_first[group];
  gboolean accumulate = FALSE;

  for (guint m = first; m < rd_group_first[group + 1]; m++) {
    const float *d = d_y[m - first];
    gsize outputs, inputs;

    if (w->matrices[m] == NULL)
      continue;
    rd_matrix_shape (&weights->config, m, &outputs, &inputs);
    rd_linear_backward_by (weights->products, d, w->matrices[m], b->block->t,
        outputs, inputs, accumulate, d_x);
    add_gradient (b, m, x, d);
    accumulate = TRUE;
  }
  if (b->block->adapters != NULL) {
    const RdAdapterPass pass = adapters_of (b->block, group);

    rd_adapters_backward (&pass, x, b->kept->low[group], d_y,
        b->scratch->d_low, d_x, b->gradient);
  }
}

/* The second half: d by the output becomes d by kept->middle. */
static void
feed_forward_backward (const Backward * b, float *d)
{
  const RdWeights *weights = b->block->weights;
  const RdBlockWeights *w = &weights->blocks[b->block->layer];
  const gsize f = b->block->t * weights->config.ff_size;
  const gboolean gated = weights->config.family->gated;
  const RdBlockKept *kept = b->kept;
  float *d_norm = b->scratch->narrow[0], *norm = b->scratch->narrow[1];
  float *d_act = b->scratch->wide[0], *act = b->scratch->wide[1];
  const float *const d_out[] = { d };
  /* With a gate, d_act becomes the derivative by it, and the one by up takes the place of act; else d_act becomes the one by up. */
  const float *const d_gate_up[] = { gated ? d_act : NULL,
    gated ? act : d_act
  };

  if (b->gradient != NULL) {
    activate (b->block, kept, act);
    rd_norm_forward (weights, &w->ffn_norm, kept->middle, b->block->t, norm);
  }
  multiply_backward (b, RD_GROUP_DOWN, act, d_out, d_act);
  if (gated)
    st_swiglu_backward (kept->gate, kept->up, f, d_act, act);
  else
    st_gelu_backward (kept->up, f, d_act);
  multiply_backward (b, RD_GROUP_GATE_UP, norm, d_gate_up, d_norm);
  rd_norm_back (weights, &w->ffn_norm, kept->middle, d_norm, b->block->t, TRUE,
      d, weights_gradient (b));
}

/* The first half: d by kept->middle becomes d by kept->x. */
static void
attention_backward (const Backward * b, float *d)
{
  const RdWeights *weights = b->block->weights;
  const RdBlockWeights *w = &weights->blocks[b->block->layer];
  const RdBlockScratch *s = b->scratch;
  const RdAttention attention = attention_of (b->block, b->kept, s);
  float *d_norm = s->narrow[0], *norm = s->narrow[1];
  const float *const d_out[] = { d };
  const float *const d_qkv[] = { s->d_q, s->d_k, s->d_v };

  multiply_backward (b, RD_GROUP_O, b->kept->attention, d_out, s->d_out);
  rd_attention_backward (&attention, s->d_out, s->d_q, s->d_k, s->d_v);
  rotate (b->block, weights->back_sines, s->d_q, s->d_k);
  if (b->gradient != NULL)
    rd_norm_forward (weights, &w->attn_norm, b->kept->x, b->block->t, norm);
  multiply_backward (b, RD_GROUP_QKV, norm, d_qkv, d_norm);
  rd_norm_back (weights, &w->attn_norm, b->kept->x, d_norm, b->block->t, TRUE,
      d, weights_gradient (b));
}

void
rd_block_backward (const RdBlock * block, const RdBlockKept * kept,
    const RdBlockScratch * scratch, float *d, RdGradient * gradient)
{
  const Backward b = { block, kept, scratch, gradient };

  feed_forward_backward (&b, d);
  attention_backward (&b, d);
}
