#include "codec/training/weights.h"

#include <math.h>
#include <string.h>

#include "models/blocks.h"

const guint8 rd_group_first[RD_N_GROUPS + 1] = {
  RD_MATRIX_Q, RD_MATRIX_O, RD_MATRIX_GATE, RD_MATRIX_DOWN, RD_N_MATRICES
};

G_STATIC_ASSERT (RD_MATRIX_DOWN == (int) ST_BLOCK_DOWN
    && RD_N_MATRICES == (int) ST_BLOCK_MATRICES);

void
rd_matrix_shape (const StModelConfig * config, RdMatrix matrix,
    gsize * outputs, gsize * inputs)
{
  st_block_matrix_shape (config, (StBlockMatrix) matrix, outputs, inputs);
}

const gchar *
rd_matrix_name (RdMatrix matrix)
{
  return st_block_matrix_name ((StBlockMatrix) matrix);
}

gchar *
rd_matrix_full_name (guint block, RdMatrix matrix)
{
  return g_strdup_printf ("blk.%u.%s.weight", block, rd_matrix_name (matrix));
}

/* Whether the embedding is the output matrix, too. */
static gboolean
is_tied (const StWeights * from)
{
  return from->has_embedding && from->has_output
      && from->output.data == from->embedding.data;
}

static void
lay_out (RdWeights * weights, const StWeights * from)
{
  RdArena *arena = &weights->arena;
  const gsize hidden = weights->config.hidden_size;
  const gsize vocab = weights->config.vocab_size;
  const gsize pairs = weights->config.rope_dim / 2;

  for (guint i = 0; i < weights->n_layers; i++) {
    RdBlockWeights *block = &weights->blocks[i];

    block->attn_norm = rd_arena_take (arena, 1, hidden);
    block->ffn_norm = rd_arena_take (arena, 1, hidden);
    for (guint m = 0; m < RD_N_MATRICES; m++) {
      gsize outputs, inputs;

      rd_matrix_shape (&weights->config, m, &outputs, &inputs);
      block->matrices[m] = rd_arena_take (arena, outputs, inputs);
    }
  }
  if (from->has_embedding)
    weights->embedding = rd_arena_take (arena, vocab, hidden);
  if (from->has_output) {
    weights->output_norm = rd_arena_take (arena, 1, hidden);
    weights->output = is_tied (from) ? weights->embedding :
        rd_arena_take (arena, vocab, hidden);
  }
  weights->n_values = arena->n;
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
convert_block (const StBlock * from, gsize hidden, RdBlockWeights * to)
{
  const StMatrix *matrices[RD_N_MATRICES] = { &from->q, &from->k, &from->v,
    &from->o, &from->gate, &from->up, &from->down
  };

  memcpy (to->attn_norm, from->attn_norm, hidden * sizeof (float));
  memcpy (to->ffn_norm, from->ffn_norm, hidden * sizeof (float));
  for (guint m = 0; m < RD_N_MATRICES; m++)
    convert (matrices[m], to->matrices[m]);
}

static void
convert_ends (const StWeights * from, RdWeights * to)
{
  if (from->has_embedding)
    convert (&from->embedding, to->embedding);
  if (!from->has_output)
    return;
  memcpy (to->output_norm, from->output_norm,
      to->config.hidden_size * sizeof (float));
  if (!is_tied (from))
    convert (&from->output, to->output);
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

static gboolean
check_tokens (const StModel * model, gsize max_tokens, GError ** error)
{
  const guint context_length = st_model_config (model)->context_length;

  if (max_tokens > 0 && max_tokens <= context_length)
    return TRUE;
  g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
      "sequences of %" G_GSIZE_FORMAT " positions are not in the model's 1..%u",
      max_tokens, context_length);
  return FALSE;
}

RdWeights *
rd_weights_new (StModel * model, gsize max_tokens, GError ** error)
{
  const StWeights *from = st_model_weights (model);
  g_autoptr (RdWeights) weights = NULL;

  if (!check_tokens (model, max_tokens, error))
    return NULL;
  weights = g_new0 (RdWeights, 1);
  weights->model = st_model_ref (model);
  weights->config = *st_model_config (model);
  weights->first_block = from->first_block;
  weights->n_layers = from->n_layers;
  weights->blocks = g_new0 (RdBlockWeights, from->n_layers);
  weights->max_tokens = max_tokens;
  lay_out (weights, from);
  if (!rd_arena_allocate (&weights->arena, "weights in F32", error))
    return NULL;
  lay_out (weights, from);
  memset (weights->arena.memory, 0, weights->n_values * sizeof (float));
  for (guint i = 0; i < from->n_layers; i++)
    convert_block (&from->blocks[i], weights->config.hidden_size,
        &weights->blocks[i]);
  convert_ends (from, weights);
  fill_rotations (weights, from->rope_frequency);
  return g_steal_pointer (&weights);
}

static void
add_array (RdParameters * parameters, const gchar * name, float *values,
    gsize n, gboolean decay)
{
  g_autofree gchar *full = g_strconcat (name, ".weight", NULL);

  rd_parameters_add (parameters, full, values, rd_arena_padded (n), decay,
      1.0f);
}

static void
add_block (const RdWeights * weights, guint layer, RdParameters * parameters)
{
  const guint number = weights->first_block + layer;
  const RdBlockWeights *block = &weights->blocks[layer];
  g_autofree gchar *attn_norm = g_strdup_printf ("blk.%u.attn_norm", number);
  g_autofree gchar *ffn_norm = g_strdup_printf ("blk.%u.ffn_norm", number);

  add_array (parameters, attn_norm, block->attn_norm,
      weights->config.hidden_size, FALSE);
  add_array (parameters, ffn_norm, block->ffn_norm,
      weights->config.hidden_size, FALSE);
  for (guint m = 0; m < RD_N_MATRICES; m++) {
    g_autofree gchar *name =
        g_strdup_printf ("blk.%u.%s", number, rd_matrix_name (m));
    gsize outputs, inputs;

    rd_matrix_shape (&weights->config, m, &outputs, &inputs);
    add_array (parameters, name, block->matrices[m], outputs * inputs, TRUE);
  }
}

/* In the order of the arena: the vector's offsets are those of the memory. */
gboolean
rd_weights_check_length (const RdWeights * weights, gsize n, GError ** error)
{
  if (n > 0 && n <= weights->max_tokens)
    return TRUE;
  g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
      "%" G_GSIZE_FORMAT " positions are not in 1..%" G_GSIZE_FORMAT, n,
      weights->max_tokens);
  return FALSE;
}

gsize
rd_weights_parameters (const RdWeights * weights, RdParameters * parameters)
{
  const gsize hidden = weights->config.hidden_size;
  const gsize table = hidden * weights->config.vocab_size;
  const gsize offset = parameters->n;

  for (guint i = 0; i < weights->n_layers; i++)
    add_block (weights, i, parameters);
  if (weights->embedding != NULL)
    add_array (parameters, "token_embd", weights->embedding, table, TRUE);
  if (weights->output != NULL) {
    add_array (parameters, "output_norm", weights->output_norm, hidden, FALSE);
    if (weights->output != weights->embedding)
      add_array (parameters, "output", weights->output, table, TRUE);
  }
  g_assert (parameters->n - offset == weights->n_values);
  return offset;
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
