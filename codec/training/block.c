#include "codec/training/block.h"

#include <string.h>

#include "codec/training/ops.h"
#include "models/kernels/kernels.h"

void
rd_block_scratch_lay_out (RdBlockScratch * scratch, const RdWeights * weights,
    RdArena * arena)
{
  const gsize t = weights->max_tokens;
  const gsize queries = rd_weights_queries (weights);
  const gsize keys = rd_weights_keys (weights);
  const gsize rows = MIN (t, RD_ATTENTION_ROWS);

  scratch->narrow = rd_arena_take (arena, t, weights->config.hidden_size);
  scratch->wide[0] = rd_arena_take (arena, t, weights->config.ff_size);
  scratch->wide[1] = rd_arena_take (arena, t, weights->config.ff_size);
  scratch->d_q = rd_arena_take (arena, t, queries);
  scratch->d_out = rd_arena_take (arena, t, queries);
  scratch->d_k = rd_arena_take (arena, t, keys);
  scratch->d_v = rd_arena_take (arena, t, keys);
  scratch->scores = rd_arena_take (arena, rows, t);
  scratch->d_scores = rd_arena_take (arena, rows, t);
}

void
rd_block_kept_lay_out (RdBlockKept * kept, const RdWeights * weights,
    RdArena * arena)
{
  const gsize t = weights->max_tokens;
  const gsize queries = rd_weights_queries (weights);
  const gsize keys = rd_weights_keys (weights);

  kept->middle = rd_arena_take (arena, t, weights->config.hidden_size);
  kept->q = rd_arena_take (arena, t, queries);
  kept->k = rd_arena_take (arena, t, keys);
  kept->v = rd_arena_take (arena, t, keys);
  kept->attention = rd_arena_take (arena, t, queries);
  kept->gate = rd_arena_take (arena, t, weights->config.ff_size);
  kept->up = rd_arena_take (arena, t, weights->config.ff_size);
}

static RdAttention
attention_of (const RdWeights * weights, gsize t, const RdBlockKept * kept,
    const RdBlockScratch * scratch)
{
  return (RdAttention) {
  .t = t,.n_heads = weights->config.n_heads,.n_kv_heads =
        weights->config.n_kv_heads,.head_dim = weights->config.head_dim,.q =
        kept->q,.k = kept->k,.v = kept->v,.scores =
        scratch->scores,.d_scores = scratch->d_scores,};
}

/* Queries and keys, forward with the sines and backward with the negated ones. */
static void
rotate (const RdWeights * weights, gsize t, const float *sines, float *q,
    float *k)
{
  const StModelConfig *config = &weights->config;

  rd_rope (q, weights->cosines, sines, t, config->n_heads, config->head_dim,
      config->rope_dim);
  rd_rope (k, weights->cosines, sines, t, config->n_kv_heads,
      config->head_dim, config->rope_dim);
}

void
rd_block_forward (const RdWeights * weights, guint layer, gsize t,
    RdBlockKept * kept, const RdBlockScratch * scratch, float *y)
{
  const RdBlockWeights *w = &weights->blocks[layer];
  const gsize d = weights->config.hidden_size, f = weights->config.ff_size;
  const gsize queries = rd_weights_queries (weights);
  const gsize keys = rd_weights_keys (weights);
  const float eps = weights->config.rms_eps;
  const RdAttention attention = attention_of (weights, t, kept, scratch);
  float *norm = scratch->narrow, *act = scratch->wide[0];

  rd_norm (kept->x, w->attn_norm, t, d, eps, norm);
  rd_linear (norm, w->q, t, queries, d, FALSE, kept->q);
  rd_linear (norm, w->k, t, keys, d, FALSE, kept->k);
  rd_linear (norm, w->v, t, keys, d, FALSE, kept->v);
  rotate (weights, t, weights->sines, kept->q, kept->k);
  rd_attention (&attention, kept->attention);
  memcpy (kept->middle, kept->x, t * d * sizeof (float));
  rd_linear (kept->attention, w->o, t, d, queries, TRUE, kept->middle);

  rd_norm (kept->middle, w->ffn_norm, t, d, eps, norm);
  rd_linear (norm, w->gate, t, f, d, FALSE, kept->gate);
  rd_linear (norm, w->up, t, f, d, FALSE, kept->up);
  memcpy (act, kept->gate, t * f * sizeof (float));
  st_swiglu (act, kept->up, t * f);
  memcpy (y, kept->middle, t * d * sizeof (float));
  rd_linear (act, w->down, t, d, f, TRUE, y);
}

/* The second half: d by the output becomes d by kept->middle. */
static void
feed_forward_backward (const RdWeights * weights, const RdBlockWeights * w,
    gsize t, const RdBlockKept * kept, const RdBlockScratch * scratch, float *d)
{
  const gsize hidden = weights->config.hidden_size;
  const gsize f = weights->config.ff_size;
  float *d_gate = scratch->wide[0], *d_up = scratch->wide[1];
  float *d_norm = scratch->narrow;

  rd_linear_backward (d, w->down, t, hidden, f, FALSE, d_gate);
  st_swiglu_backward (kept->gate, kept->up, t * f, d_gate, d_up);
  rd_linear_backward (d_gate, w->gate, t, f, hidden, FALSE, d_norm);
  rd_linear_backward (d_up, w->up, t, f, hidden, TRUE, d_norm);
  rd_norm_backward (kept->middle, w->ffn_norm, d_norm, t, hidden,
      weights->config.rms_eps, TRUE, d);
}

/* The first half: d by kept->middle becomes d by kept->x. */
static void
attention_backward (const RdWeights * weights, const RdBlockWeights * w,
    gsize t, const RdBlockKept * kept, const RdBlockScratch * scratch, float *d)
{
  const gsize hidden = weights->config.hidden_size;
  const gsize queries = rd_weights_queries (weights);
  const gsize keys = rd_weights_keys (weights);
  const RdAttention attention = attention_of (weights, t, kept, scratch);
  float *d_norm = scratch->narrow;

  rd_linear_backward (d, w->o, t, hidden, queries, FALSE, scratch->d_out);
  rd_attention_backward (&attention, scratch->d_out, scratch->d_q,
      scratch->d_k, scratch->d_v);
  rotate (weights, t, weights->back_sines, scratch->d_q, scratch->d_k);
  rd_linear_backward (scratch->d_q, w->q, t, queries, hidden, FALSE, d_norm);
  rd_linear_backward (scratch->d_k, w->k, t, keys, hidden, TRUE, d_norm);
  rd_linear_backward (scratch->d_v, w->v, t, keys, hidden, TRUE, d_norm);
  rd_norm_backward (kept->x, w->attn_norm, d_norm, t, hidden,
      weights->config.rms_eps, TRUE, d);
}

void
rd_block_backward (const RdWeights * weights, guint layer, gsize t,
    const RdBlockKept * kept, const RdBlockScratch * scratch, float *d)
{
  const RdBlockWeights *w = &weights->blocks[layer];

  feed_forward_backward (weights, w, t, kept, scratch, d);
  attention_backward (weights, w, t, kept, scratch, d);
}
