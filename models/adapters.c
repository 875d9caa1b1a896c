#include "models/adapters.h"

#include <string.h>

struct _StModelAdapters
{
  gatomicrefcount refs;
  GHashTable *table;            /* name -> StModelAdapter */
  GPtrArray *names;             /* the table's, in order */
  gsize rank;
  guint64 bytes;
};

static void
free_adapter (gpointer data)
{
  StModelAdapter *adapter = data;

  g_free ((gpointer) adapter->a.data);
  g_free ((gpointer) adapter->b.data);
  g_free (adapter);
}

StModelAdapters *
st_model_adapters_new (void)
{
  StModelAdapters *adapters = g_new0 (StModelAdapters, 1);

  g_atomic_ref_count_init (&adapters->refs);
  adapters->table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      free_adapter);
  adapters->names = g_ptr_array_new ();
  return adapters;
}

StModelAdapters *
st_model_adapters_ref (StModelAdapters * adapters)
{
  g_atomic_ref_count_inc (&adapters->refs);
  return adapters;
}

void
st_model_adapters_unref (StModelAdapters * adapters)
{
  if (!g_atomic_ref_count_dec (&adapters->refs))
    return;
  g_ptr_array_unref (adapters->names);
  g_hash_table_unref (adapters->table);
  g_free (adapters);
}

/* Halves of @n values; NULL if a value is not one. A step's products are bound by the bytes that they read. */
static guint16 *
to_halves (const float *values, gsize n)
{
  guint16 *halves = g_new (guint16, n);

  for (gsize i = 0; i < n; i++) {
    halves[i] = st_float_to_half (values[i]);
    if (st_half_to_float (halves[i]) != values[i]) {
      g_free (halves);
      return NULL;
    }
  }
  return halves;
}

static void
store (StMatrix * matrix, gsize rows, gsize cols, const float *values)
{
  matrix->rows = rows;
  matrix->cols = cols;
  matrix->type = ST_TYPE_F16;
  matrix->data = to_halves (values, rows * cols);
  if (matrix->data != NULL)
    return;
  matrix->type = ST_TYPE_F32;
  matrix->data = g_memdup2 (values, rows * cols * sizeof (float));
}

static guint64
bytes_of (const StMatrix * matrix)
{
  return (guint64) st_type_row_bytes (matrix->type, matrix->cols)
      * matrix->rows;
}

void
st_model_adapters_add (StModelAdapters * adapters, const gchar * name,
    gsize inputs, gsize outputs, gsize rank, float alpha, const float *a,
    const float *b)
{
  StModelAdapter *adapter = g_new (StModelAdapter, 1);
  g_autofree float *transposed = g_new (float, rank * outputs);
  gchar *key = g_strdup (name);

  g_assert (rank > 0 && !g_hash_table_contains (adapters->table, name));
  store (&adapter->a, rank, inputs, a);
  for (gsize i = 0; i < rank * outputs; i++)
    transposed[i % rank * outputs + i / rank] = b[i];
  store (&adapter->b, rank, outputs, transposed);
  adapter->scale = alpha / (float) rank;
  adapters->rank = MAX (adapters->rank, rank);
  adapters->bytes += bytes_of (&adapter->a) + bytes_of (&adapter->b);
  g_hash_table_insert (adapters->table, key, adapter);
  g_ptr_array_add (adapters->names, key);
}

const StModelAdapter *
st_model_adapters_find (const StModelAdapters * adapters, const gchar * name)
{
  return g_hash_table_lookup (adapters->table, name);
}

guint
st_model_adapters_count (const StModelAdapters * adapters)
{
  return adapters->names->len;
}

const gchar *
st_model_adapters_name (const StModelAdapters * adapters, guint index)
{
  return g_ptr_array_index (adapters->names, index);
}

gsize
st_model_adapters_rank (const StModelAdapters * adapters)
{
  return adapters->rank;
}

guint64
st_model_adapters_bytes (const StModelAdapters * adapters)
{
  return adapters->bytes;
}
