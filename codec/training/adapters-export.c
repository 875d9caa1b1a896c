#include "codec/training/adapters-export.h"

#include <string.h>

/* The first @to of @from columns. */
static float *
first_columns (const float *values, gsize rows, gsize from, gsize to)
{
  float *columns = g_new (float, rows * to);

  for (gsize i = 0; i < rows; i++)
    memcpy (columns + i * to, values + i * from, to * sizeof (float));
  return columns;
}

RdLearnedAdapters *
rd_adapters_export (const RdAdapters * adapters, guint rank, guint n_knots)
{
  RdLearnedAdapters *to = rd_learned_adapters_new (adapters->scale
      * (float) rank, n_knots);

  for (guint block = 0; block < adapters->config.n_blocks; block++) {
    for (guint matrix = 0; matrix < RD_N_MATRICES; matrix++) {
      g_autofree gchar *name = rd_matrix_full_name (block, matrix);
      g_autofree float *columns = NULL;
      gsize outputs, inputs;
      float *u, *v;

      if (!rd_adapters_find (adapters, block, matrix, &u, &v))
        continue;
      rd_matrix_shape (&adapters->config, matrix, &outputs, &inputs);
      columns = first_columns (u, outputs, adapters->rank, rank);
      rd_learned_adapters_add (to, name, (guint) inputs, (guint) outputs, rank,
          v, columns);
    }
  }
  return to;
}

/* Every adapter by name; NULL after an error. */
static GHashTable *
collect (const RdLearnedAdapters * from, GError ** error)
{
  g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
  const guint rank = rd_learned_adapters_get (from, 0)->rank;

  for (guint i = 0; i < from->list->len; i++) {
    RdLearnedAdapter *adapter = rd_learned_adapters_get (from, i);

    if (adapter->rank != rank) {
      g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
          "the adapter of %s has rank %u, that of %s rank %u: all must have"
          " the same to be trained", adapter->name, adapter->rank,
          rd_learned_adapters_get (from, 0)->name, rank);
      return NULL;
    }
    g_hash_table_insert (table, adapter->name, adapter);
  }
  return g_steal_pointer (&table);
}

/* Marks the matrix of @block in @set if @table has it. */
static gboolean
find_shape (GHashTable * table, const StModelConfig * config, guint block,
    RdMatrix matrix, guint8 * set, GError ** error)
{
  g_autofree gchar *name = rd_matrix_full_name (block, matrix);
  const RdLearnedAdapter *adapter = g_hash_table_lookup (table, name);
  gsize outputs, inputs;

  if (adapter == NULL)
    return TRUE;
  rd_matrix_shape (config, matrix, &outputs, &inputs);
  if (adapter->inputs != inputs || adapter->outputs != outputs) {
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        "the adapter of %s is for %u inputs and %u outputs, the model has %"
        G_GSIZE_FORMAT " and %" G_GSIZE_FORMAT, name, adapter->inputs,
        adapter->outputs, inputs, outputs);
    return FALSE;
  }
  *set |= (guint8) (1 << matrix);
  return TRUE;
}

static gboolean
find_shapes (GHashTable * table, const StModelConfig * config, guint8 * sets,
    GError ** error)
{
  guint found = 0;

  for (guint block = 0; block < config->n_blocks; block++) {
    for (guint matrix = 0; matrix < RD_N_MATRICES; matrix++) {
      if (!find_shape (table, config, block, matrix, &sets[block], error))
        return FALSE;
      found += sets[block] >> matrix & 1;
    }
  }
  if (found == g_hash_table_size (table))
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "only %u of %u adapters belong to a matrix of the model's %u blocks",
      found, g_hash_table_size (table), config->n_blocks);
  return FALSE;
}

static void
copy_values (GHashTable * table, RdAdapters * to)
{
  for (guint block = 0; block < to->config.n_blocks; block++) {
    for (guint matrix = 0; matrix < RD_N_MATRICES; matrix++) {
      g_autofree gchar *name = rd_matrix_full_name (block, matrix);
      const RdLearnedAdapter *from = g_hash_table_lookup (table, name);
      float *u, *v;

      if (!rd_adapters_find (to, block, matrix, &u, &v))
        continue;
      memcpy (v, from->a, (gsize) from->rank * from->inputs * sizeof (float));
      memcpy (u, from->b, (gsize) from->outputs * from->rank * sizeof (float));
    }
  }
}

RdAdapters *
rd_adapters_import (const RdLearnedAdapters * from,
    const StModelConfig * config, GError ** error)
{
  g_autofree guint8 *sets = g_new0 (guint8, config->n_blocks);
  RdAdaptersOptions options = {.alpha = from->alpha,.matrices = sets };
  g_autoptr (GHashTable) table = collect (from, error);
  RdAdapters *adapters;

  if (table == NULL || !find_shapes (table, config, sets, error))
    return NULL;
  options.rank = rd_learned_adapters_get (from, 0)->rank;
  adapters = rd_adapters_new (config, &options, error);
  if (adapters != NULL)
    copy_values (table, adapters);
  return adapters;
}
