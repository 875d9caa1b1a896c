/* Larger models that begin as smaller ones (in the manner of Net2Net, Chen et al. 2016, with zeros in place of copies). */
#include <math.h>
#include <string.h>

#include "codec/training/scratch-model.h"
#include "models/family.h"

/* ---- what can grow ---- */

static gboolean
fail (GError ** error, const gchar * what, guint from, guint to)
{
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "a model with %s %u does not grow to one with %u", what, from, to);
  return FALSE;
}

static gboolean
check_family (const StModelConfig * from, const StModelConfig * to,
    GError ** error)
{
  if (from->family != to->family) {
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        "a model of the %s family does not grow to one of the %s family",
        from->architecture, to->architecture);
    return FALSE;
  }
  if (!to->family->layer_norm || from->hidden_size == to->hidden_size)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "a model of the %s family grows in blocks and feed-forward size alone: "
      "its norms take the mean over a hidden size of %u, not %u",
      to->architecture, from->hidden_size, to->hidden_size);
  return FALSE;
}

/* Query head h shares its keys with the same heads as before. */
static gboolean
check_sizes (const StModelConfig * from, const StModelConfig * to,
    GError ** error)
{
  if (from->hidden_size > to->hidden_size)
    return fail (error, "hidden size", from->hidden_size, to->hidden_size);
  if (from->n_blocks > to->n_blocks)
    return fail (error, "blocks", from->n_blocks, to->n_blocks);
  if (from->ff_size > to->ff_size)
    return fail (error, "feed-forward size", from->ff_size, to->ff_size);
  if (from->n_heads > to->n_heads)
    return fail (error, "heads", from->n_heads, to->n_heads);
  if (from->head_dim != to->head_dim)
    return fail (error, "heads of size", from->head_dim, to->head_dim);
  if (from->n_heads * to->n_kv_heads != to->n_heads * from->n_kv_heads)
    return fail (error, "heads for each of keys and values",
        from->n_heads / from->n_kv_heads, to->n_heads / to->n_kv_heads);
  return TRUE;
}

static gboolean
check_vocabulary (const RdWeights * from, const RdWeights * to, GError ** error)
{
  if (strcmp (st_tokenizer_id (st_model_tokenizer (from->model)),
          st_tokenizer_id (st_model_tokenizer (to->model))) == 0)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "a model with %u tokens of vocabulary grows only where the text and the "
      "size give the same vocabulary; this one has %u, or others",
      from->config.vocab_size, to->config.vocab_size);
  return FALSE;
}

static gboolean
check (const RdWeights * from, const RdWeights * to, GError ** error)
{
  if (from->embedding == NULL || from->output != from->embedding) {
    g_set_error_literal (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        "the model to grow from has not one matrix for embedding and output");
    return FALSE;
  }
  return check_family (&from->config, &to->config, error)
      && check_vocabulary (from, to, error)
      && check_sizes (&from->config, &to->config, error);
}

/* ---- growing ---- */

/* The first rows and columns of @to are those of @from; the rest stays, or is zero. */
static void
grow_matrix (const float *from, gsize from_rows, gsize from_cols, float *to,
    gsize rows, gsize cols, gboolean zero)
{
  if (zero)
    memset (to, 0, rows * cols * sizeof (float));
  for (gsize row = 0; row < from_rows; row++)
    memcpy (to + row * cols, from + row * from_cols,
        from_cols * sizeof (float));
}

/* The first of @n biases are the @from_n of @from, if there are such; the rest stays, or is zero. */
static void
grow_bias (const float *from, gsize from_n, float *to, gsize n, gboolean zero)
{
  if (to != NULL)
    grow_matrix (from, from != NULL ? 1 : 0, from_n, to, 1, n, zero);
}

/* The mean square that a norm divides by is over more channels, of which the new ones are zero. */
static void
grow_norm (const RdNorm * from, gsize from_n, const RdNorm * to, gsize n)
{
  const float factor = (float) sqrt ((double) from_n / (double) n);

  for (gsize i = 0; i < from_n; i++)
    to->weight[i] = factor * from->weight[i];
  grow_bias (from->bias, from_n, to->bias, n, FALSE);
}

static gboolean
is_added (RdMatrix matrix)
{
  return matrix == RD_MATRIX_O || matrix == RD_MATRIX_DOWN;
}

static void
grow_block (const RdWeights * from, const RdWeights * to, guint number)
{
  const RdBlockWeights *old = &from->blocks[number];
  const RdBlockWeights *block = &to->blocks[number];
  const gsize n = from->config.hidden_size;

  grow_norm (&old->attn_norm, n, &block->attn_norm, to->config.hidden_size);
  grow_norm (&old->ffn_norm, n, &block->ffn_norm, to->config.hidden_size);
  for (guint m = 0; m < RD_N_MATRICES; m++) {
    gsize from_rows, from_cols, rows, cols;

    rd_matrix_shape (&from->config, m, &from_rows, &from_cols);
    rd_matrix_shape (&to->config, m, &rows, &cols);
    grow_matrix (old->matrices[m], from_rows, from_cols, block->matrices[m],
        rows, cols, is_added (m));
    grow_bias (old->biases[m], from_rows, block->biases[m], rows, is_added (m));
  }
}

/* A block that adds nothing. */
static void
silence_block (const RdWeights * weights, guint number)
{
  const RdBlockWeights *block = &weights->blocks[number];

  for (guint m = 0; m < RD_N_MATRICES; m++) {
    gsize rows, cols;

    if (!is_added (m))
      continue;
    rd_matrix_shape (&weights->config, m, &rows, &cols);
    grow_matrix (NULL, 0, 0, block->matrices[m], rows, cols, TRUE);
    grow_bias (NULL, 0, block->biases[m], rows, TRUE);
  }
}

/* Positions beyond those of the smaller model stay. */
static void
grow_positions (const RdWeights * from, const RdWeights * to)
{
  const gsize old = from->config.context_length, n = to->config.context_length;

  if (to->positions != NULL)
    grow_matrix (from->positions, MIN (old, n), from->config.hidden_size,
        to->positions, n, to->config.hidden_size, FALSE);
}

gboolean
rd_scratch_model_grow (RdWeights * weights, const RdWeights * from,
    GError ** error)
{
  const gsize hidden = weights->config.hidden_size;
  const gsize from_hidden = from->config.hidden_size;

  if (!check (from, weights, error))
    return FALSE;
  for (guint i = 0; i < weights->n_layers; i++) {
    if (i < from->n_layers)
      grow_block (from, weights, i);
    else
      silence_block (weights, i);
  }
  grow_matrix (from->embedding, from->config.vocab_size, from_hidden,
      weights->embedding, weights->config.vocab_size, hidden, TRUE);
  grow_positions (from, weights);
  grow_norm (&from->output_norm, from_hidden, &weights->output_norm, hidden);
  return TRUE;
}
