/* Adapters of a range of blocks: which matrix has one, and their part of the products. As everything of the forward pass this keeps a
 * row's result independent of the rows beside it. */
#include "models/blocks.h"

/* The adapter of a matrix with that shape, if there is one: it must fit, also where this range does not use it. */
static gboolean
find_adapter (const StModelConfig * config, const StModelAdapters * adapters,
    const gchar * name, gsize outputs, gsize inputs,
    const StModelAdapter ** found, GError ** error)
{
  *found = st_model_adapters_find (adapters, name);
  if (*found == NULL || ((*found)->a.cols == inputs
          && (*found)->b.cols == outputs))
    return TRUE;
  g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_DAMAGED,
      "the adapter of '%s' is for %" G_GSIZE_FORMAT " inputs and %"
      G_GSIZE_FORMAT " outputs, %s has %" G_GSIZE_FORMAT " and %"
      G_GSIZE_FORMAT, name, (*found)->a.cols, (*found)->b.cols, config->name,
      inputs, outputs);
  return FALSE;
}

/* Every adapter must be of a matrix that the whole model has. */
static gboolean
check_all_known (const StModelConfig * config,
    const StModelAdapters * adapters, GHashTable * known, GError ** error)
{
  for (guint i = 0; i < st_model_adapters_count (adapters); i++) {
    const gchar *name = st_model_adapters_name (adapters, i);

    if (g_hash_table_contains (known, name))
      continue;
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "there is an adapter of '%s', but %s has no such matrix in its %u"
        " blocks", name, config->name, config->n_blocks);
    return FALSE;
  }
  return TRUE;
}

gboolean
st_weights_adapt (StWeights * weights,
    const StModelConfig * config, const StModelAdapters * adapters,
    GError ** error)
{
  g_autoptr (GHashTable) known =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint block = 0; block < config->n_blocks; block++) {
    for (guint matrix = 0; matrix < ST_BLOCK_MATRICES; matrix++) {
      const StModelAdapter *found;
      gsize outputs, inputs;
      gchar *name;

      st_block_matrix_shape (config, matrix, &outputs, &inputs);
      if (outputs == 0)
        continue;
      name = g_strdup_printf ("blk.%u.%s.weight", block,
          st_block_matrix_name (matrix));
      g_hash_table_add (known, name);
      if (!find_adapter (config, adapters, name, outputs, inputs, &found,
              error))
        return FALSE;
      if (block >= weights->first_block
          && block - weights->first_block < weights->n_layers)
        weights->blocks[block - weights->first_block].adapters[matrix] = found;
    }
  }
  weights->adapter_rank = st_model_adapters_rank (adapters);
  return check_all_known (config, adapters, known, error);
}

/* @low (m, width): A x of all adapters of a group, each times its scale and each row's gate. */
static void
scale_rows (const StRun * run, const StModelAdapter * const *adapters,
    gsize n, float *low, gsize m)
{
  for (gsize row = 0; row < m; row++) {
    const float gate = run->gates != NULL ? run->gates[row] : 1.0f;

    for (gsize i = 0; i < n; i++) {
      const gsize rank = adapters[i] != NULL ? adapters[i]->a.rows : 0;

      for (gsize k = 0; k < rank; k++)
        *low++ *= gate * adapters[i]->scale;
    }
  }
}

static void
add_adapters (const StRun * run, const StProduct * products,
    const StModelAdapter * const *adapters, gsize n, gsize m, gsize width)
{
  const float *part = run->scratch->low;

  scale_rows (run, adapters, n, run->scratch->low, m);
  for (gsize i = 0; i < n; i++) {
    if (adapters[i] == NULL)
      continue;
    st_add_outer (run->pool, &adapters[i]->b, part, m, width, products[i].y,
        products[i].ldy, run->cancel);
    part += adapters[i]->a.rows;
  }
}

void
st_products (const StRun * run, const StProduct * products,
    const StModelAdapter * const *adapters, gsize n, const float *x, gsize m,
    StRegime regime)
{
  StProduct all[2 * ST_BLOCK_GROUP_MAX] = { {NULL, NULL, 0} };
  gsize n_all = n, width = 0;

  g_assert (n <= ST_BLOCK_GROUP_MAX);
  for (gsize i = 0; i < n; i++) {
    all[i] = products[i];
    if (adapters[i] != NULL)
      width += adapters[i]->a.rows;
  }
  /* The adapters' A beside the matrices: they share the preparation of x. */
  for (gsize i = 0, at = 0; i < n; i++) {
    if (adapters[i] == NULL)
      continue;
    all[n_all++] = (StProduct) {
    &adapters[i]->a, run->scratch->low + at, width};
    at += adapters[i]->a.rows;
  }
  st_matmul_group (run->pool, all, n_all, x, m, products[0].w->cols, regime,
      run->deterministic, run->cancel);
  if (width > 0)
    add_adapters (run, products, adapters, n, m, width);
}
