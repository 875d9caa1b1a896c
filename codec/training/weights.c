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

guint
rd_matrices_of (const StModelConfig * config)
{
  guint set = 0;

  for (guint m = 0; m < RD_N_MATRICES; m++) {
    gsize outputs, inputs;

    rd_matrix_shape (config, m, &outputs, &inputs);
    set |= (guint) (outputs > 0) << m;
  }
  return set;
}

/* Whether the embedding is the output matrix, too. */
static gboolean
is_tied (const StWeights * from)
{
  return from->has_embedding && from->has_output
      && from->output.data == from->embedding.data;
}

/* An array of the weights, and what it is made of. */
typedef struct
{
  const gchar *name;            /* in a GGUF file */
  float **values;
  StMatrix from;
} Array;

/* Called for all arrays in the order of the arena. */
typedef void (*Visit) (RdWeights * weights, const Array * array,
    gpointer user_data);

typedef struct
{
  RdWeights *weights;
  Visit visit;
  gpointer user_data;
} Visitor;

static void
visit_matrix (const Visitor * v, const gchar * name, const StMatrix * from,
    float **values)
{
  g_autofree gchar *full = g_strconcat (name, ".weight", NULL);
  const Array array = { full, values, *from };

  v->visit (v->weights, &array, v->user_data);
}

/* @suffix: ".weight" or ".bias". */
static void
visit_vector (const Visitor * v, const gchar * name, const gchar * suffix,
    const float *from, gsize n, float **values)
{
  g_autofree gchar *full = g_strconcat (name, suffix, NULL);
  const Array array = { full, values, {ST_TYPE_F32, 1, n, from} };

  if (from != NULL)
    v->visit (v->weights, &array, v->user_data);
}

static void
visit_norm (const Visitor * v, const gchar * name, const StNorm * from,
    RdNorm * norm)
{
  const gsize hidden = v->weights->config.hidden_size;

  visit_vector (v, name, ".weight", from->weight, hidden, &norm->weight);
  visit_vector (v, name, ".bias", from->bias, hidden, &norm->bias);
}

static void
visit_block (const Visitor * v, guint layer, const StBlock * from)
{
  const guint number = v->weights->first_block + layer;
  RdBlockWeights *block = &v->weights->blocks[layer];
  g_autofree gchar *attn_norm = g_strdup_printf ("blk.%u.attn_norm", number);
  g_autofree gchar *ffn_norm = g_strdup_printf ("blk.%u.ffn_norm", number);

  visit_norm (v, attn_norm, &from->attn_norm, &block->attn_norm);
  visit_norm (v, ffn_norm, &from->ffn_norm, &block->ffn_norm);
  for (guint m = 0; m < RD_N_MATRICES; m++) {
    const StMatrix *matrix = &from->matrices[m];
    g_autofree gchar *name =
        g_strdup_printf ("blk.%u.%s", number, rd_matrix_name (m));

    if (matrix->rows == 0)
      continue;
    visit_matrix (v, name, matrix, &block->matrices[m]);
    visit_vector (v, name, ".bias", from->biases[m], matrix->rows,
        &block->biases[m]);
  }
}

static void
visit_all (RdWeights * weights, Visit visit, gpointer user_data)
{
  const StWeights *from = st_model_weights (weights->model);
  const Visitor v = { weights, visit, user_data };

  for (guint i = 0; i < weights->n_layers; i++)
    visit_block (&v, i, &from->blocks[i]);
  if (from->has_embedding)
    visit_matrix (&v, "token_embd", &from->embedding, &weights->embedding);
  if (from->positions.data != NULL)
    visit_matrix (&v, "position_embd", &from->positions, &weights->positions);
  if (!from->has_output)
    return;
  visit_norm (&v, "output_norm", &from->output_norm, &weights->output_norm);
  if (!is_tied (from))
    visit_matrix (&v, "output", &from->output, &weights->output);
}

static void
take (RdWeights * weights, const Array * array, gpointer unused)
{
  (void) unused;
  *array->values = rd_arena_take (&weights->arena, array->from.rows,
      array->from.cols);
}

static void
lay_out (RdWeights * weights)
{
  RdArena *arena = &weights->arena;
  const gsize pairs = weights->config.rope_dim / 2;

  visit_all (weights, take, NULL);
  if (is_tied (st_model_weights (weights->model)))
    weights->output = weights->embedding;
  weights->n_values = arena->n;
  weights->cosines = rd_arena_take (arena, weights->max_tokens, pairs);
  weights->sines = rd_arena_take (arena, weights->max_tokens, pairs);
  weights->back_sines = rd_arena_take (arena, weights->max_tokens, pairs);
}

static void
convert (RdWeights * weights, const Array * array, gpointer unused)
{
  const StMatrix *from = &array->from;

  (void) weights;
  (void) unused;
  for (gsize row = 0; row < from->rows; row++)
    st_get_row (from, row, *array->values + row * from->cols);
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
  lay_out (weights);
  if (!rd_arena_allocate (&weights->arena, "weights in F32", error))
    return NULL;
  lay_out (weights);
  memset (weights->arena.memory, 0, weights->n_values * sizeof (float));
  visit_all (weights, convert, NULL);
  fill_rotations (weights, from->rope_frequency);
  return g_steal_pointer (&weights);
}

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

/* Matrices decay, vectors do not. */
static void
add_parameter (RdWeights * weights, const Array * array, gpointer parameters)
{
  (void) weights;
  rd_parameters_add (parameters, array->name, *array->values,
      rd_arena_padded (array->from.rows * array->from.cols),
      array->from.rows > 1, 1.0f);
}

/* In the order of the arena: the vector's offsets are those of the memory. */
gsize
rd_weights_parameters (const RdWeights * weights, RdParameters * parameters)
{
  const gsize offset = parameters->n;

  visit_all ((RdWeights *) weights, add_parameter, parameters);
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
