#include "tests/support/adapter-tools.h"

#include "models/blocks.h"

void
rd_test_adapt (RdLearnedParameters * parameters, const StModelConfig * config,
    guint rank, gdouble size, guint32 seed)
{
  const guint all = config->n_blocks * ST_BLOCK_MATRICES;
  g_autofree RdTestMatrix *matrices = g_new (RdTestMatrix, all);
  guint n = 0;
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < all; i++) {
    gchar *name = g_strdup_printf ("blk.%u.%s.weight", i / ST_BLOCK_MATRICES,
        st_block_matrix_name (i % ST_BLOCK_MATRICES));
    gsize outputs, inputs;

    st_block_matrix_shape (config, i % ST_BLOCK_MATRICES, &outputs, &inputs);
    g_ptr_array_add (names, name);
    if (outputs > 0)
      matrices[n++] = (RdTestMatrix) {
      name, (guint) inputs, (guint) outputs};
  }
  rd_test_adapters (parameters, matrices, n, rank, size, seed);
}

gchar *
rd_test_adapted_file (const gchar * model, guint split, guint rank,
    gdouble size, guint32 seed)
{
  const StModelOptions options = {.threads = 1 };
  g_autoptr (GError) error = NULL;
  g_autoptr (StModel) opened = st_model_open (model, &options, &error);
  g_autoptr (RdLearnedParameters) p = NULL;

  g_assert_no_error (error);
  p = rd_test_parameters (st_model_config (opened)->hidden_size,
      RD_SIDE_INFO_NONE, 0);
  p->split_layer = split;
  rd_learned_parameters_set_model_id (p, st_model_id (opened));
  g_free (p->model_name);
  p->model_name = g_strdup (st_model_config (opened)->name);
  if (rank > 0)
    rd_test_adapt (p, st_model_config (opened), rank, size, seed);
  return rd_test_save (p);
}
