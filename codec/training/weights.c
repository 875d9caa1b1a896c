#include "codec/training/weights.h"

#include <math.h>
#include <string.h>

#include "models/llama.h"

static void
lay_out (RdWeights * weights)
{
  RdArena *arena = &weights->arena;
  const gsize hidden = weights->config.hidden_size;
  const gsize ff = weights->config.ff_size;
  const gsize queries = rd_weights_queries (weights);
  const gsize keys = rd_weights_keys (weights);
  const gsize pairs = weights->config.rope_dim / 2;

  for (guint i = 0; i < weights->n_layers; i++) {
    RdBlockWeights *block = &weights->blocks[i];

    block->attn_norm = rd_arena_take (arena, 1, hidden);
    block->ffn_norm = rd_arena_take (arena, 1, hidden);
    block->q = rd_arena_take (arena, queries, hidden);
    block->k = rd_arena_take (arena, keys, hidden);
    block->v = rd_arena_take (arena, keys, hidden);
    block->o = rd_arena_take (arena, hidden, queries);
    block->gate = rd_arena_take (arena, ff, hidden);
    block->up = rd_arena_take (arena, ff, hidden);
    block->down = rd_arena_take (arena, hidden, ff);
  }
  weights->output_norm = rd_arena_take (arena, 1, hidden);
  weights->output = rd_arena_take (arena, weights->config.vocab_size, hidden);
  weights->cosines = rd_arena_take (arena, weights->max_tokens, pairs);
  weights->sines = rd_arena_take (arena, weights->max_tokens, pairs);
  weights->back_sines = rd_arena_take (arena, weights->max_tokens, pairs);
}

static void
convert (const StMatrix * matrix, float *dst)
{
  for (gsize row = 0; row < matrix->rows; row++)
    st_get_row (matrix, row, dst + row * matrix->cols);
}

static void
convert_block (const StLlamaBlock * from, gsize hidden, RdBlockWeights * to)
{
  memcpy (to->attn_norm, from->attn_norm, hidden * sizeof (float));
  memcpy (to->ffn_norm, from->ffn_norm, hidden * sizeof (float));
  convert (&from->q, to->q);
  convert (&from->k, to->k);
  convert (&from->v, to->v);
  convert (&from->o, to->o);
  convert (&from->gate, to->gate);
  convert (&from->up, to->up);
  convert (&from->down, to->down);
}

static void
fill_rotations (RdWeights * weights, const double *frequency)
{
  const gsize pairs = weights->config.rope_dim / 2;

  for (gsize position = 0; position < weights->max_tokens; position++) {
    for (gsize i = 0; i < pairs; i++) {
      const double angle = (double) position * frequency[i];
      const gsize at = position * pairs + i;

      weights->cosines[at] = (float) cos (angle);
      weights->sines[at] = (float) sin (angle);
      weights->back_sines[at] = -weights->sines[at];
    }
  }
}

RdWeights *
rd_weights_new (StModel * model, gsize max_tokens, GError ** error)
{
  const StLlamaWeights *from = st_model_weights (model);
  RdWeights *weights;

  if (!from->has_output) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "gradients start at the output head, and the model was opened without it");
    return NULL;
  }
  weights = g_new0 (RdWeights, 1);
  weights->model = st_model_ref (model);
  weights->config = *st_model_config (model);
  weights->n_layers = from->n_layers;
  weights->blocks = g_new0 (RdBlockWeights, from->n_layers);
  weights->max_tokens = max_tokens;
  lay_out (weights);
  if (!rd_arena_allocate (&weights->arena, "weights in F32", error)) {
    rd_weights_free (weights);
    return NULL;
  }
  lay_out (weights);
  for (guint i = 0; i < from->n_layers; i++)
    convert_block (&from->blocks[i], weights->config.hidden_size,
        &weights->blocks[i]);
  memcpy (weights->output_norm, from->output_norm,
      weights->config.hidden_size * sizeof (float));
  convert (&from->output, weights->output);
  fill_rotations (weights, from->rope_frequency);
  return weights;
}

void
rd_weights_free (RdWeights * weights)
{
  if (weights == NULL)
    return;
  rd_arena_clear (&weights->arena);
  g_free (weights->blocks);
  st_model_unref (weights->model);
  g_free (weights);
}
