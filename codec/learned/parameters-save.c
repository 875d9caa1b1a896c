/* Parameters to codec files. */
#include "codec/learned/parameters-private.h"
#include "models/gguf/gguf-writer.h"

typedef struct
{
  StGgufWriter *writer;
  GPtrArray *tensors;           /* guint16 arrays to be kept until the file is written */
} Output;

/* Rounds @values to what F16 can hold and adds them as such. */
static gboolean
add_half (Output * o, const gchar * name, gsize rows, gsize cols,
    gfloat * values, GError ** error)
{
  const guint64 ne[2] = { cols, rows };
  guint16 *half = g_new (guint16, rows * cols);

  g_ptr_array_add (o->tensors, half);
  for (gsize i = 0; i < rows * cols; i++) {
    half[i] = st_float_to_half (values[i]);
    values[i] = st_half_to_float (half[i]);
  }
  return st_gguf_writer_add_tensor (o->writer, name, ST_TYPE_F16, 2, ne, half,
      error);
}

static gboolean
add_set_half (Output * o, guint set, const gchar * name, gsize d,
    gfloat * values, GError ** error)
{
  g_autofree gchar *full = rd_set_name ("", set, name);

  return !values || add_half (o, full, d, d, values, error);
}

static gboolean
add_set_floats (Output * o, guint set, const gchar * name, guint64 n,
    const gfloat * values, GError ** error)
{
  g_autofree gchar *full = rd_set_name ("", set, name);

  return !values || st_gguf_writer_add_tensor (o->writer, full, ST_TYPE_F32,
      1, &n, values, error);
}

static void
set_array (Output * o, guint set, const gchar * name, StGgufValueType type,
    gconstpointer values, gsize n)
{
  g_autofree gchar *key = rd_set_name (RD_KEY (""), set, name);

  st_gguf_writer_set_array (o->writer, key, type, values, n);
}

static gboolean
add_set (Output * o, RdLearnedParameters * p, guint s, GError ** error)
{
  RdLearnedSet *set = &p->set[s];
  gsize d = p->hidden_size;

  set_array (o, s, "scale", ST_GGUF_INT32, set->scale, d);
  set_array (o, s, "steps", ST_GGUF_INT32, set->steps, p->n_knots * d);
  set_array (o, s, "weights", ST_GGUF_INT32, set->weights, 2 * d);
  if (set->strength)
    set_array (o, s, "token_step.strength", ST_GGUF_FLOAT32, set->strength,
        p->n_knots);
  return add_set_floats (o, s, "mean", d, set->mean, error)
      && add_set_half (o, s, "synthesis", d, set->synthesis, error)
      && add_set_half (o, s, "analysis", d, set->analysis, error)
      && add_set_half (o, s, "readout", d, set->readout, error)
      && add_set_floats (o, s, "token_step", d + 2, set->token_step, error);
}

static gboolean
add_adapter (Output * o, RdLearnedAdapter * adapter, GError ** error)
{
  g_autofree gchar *a = g_strconcat (adapter->name, RD_ADAPTER_A, NULL);
  g_autofree gchar *b = g_strconcat (adapter->name, RD_ADAPTER_B, NULL);

  return add_half (o, a, adapter->rank, adapter->inputs, adapter->a, error)
      && add_half (o, b, adapter->outputs, adapter->rank, adapter->b, error);
}

static gboolean
add_adapters (Output * o, RdLearnedParameters * p, GError ** error)
{
  RdLearnedAdapters *adapters = p->adapters;

  if (!adapters)
    return TRUE;
  st_gguf_writer_set_float (o->writer, RD_KEY_ADAPTER_ALPHA, adapters->alpha);
  st_gguf_writer_set_array (o->writer, RD_KEY_ADAPTER_GATE, ST_GGUF_FLOAT32,
      adapters->gates, p->n_knots);
  for (guint i = 0; i < adapters->list->len; i++)
    if (!add_adapter (o, rd_learned_adapters_get (adapters, i), error))
      return FALSE;
  return TRUE;
}

static void
set_tables (StGgufWriter * writer, const RdLearnedParameters * p)
{
  gint32 min[RD_N_TABLES];
  guint32 count[RD_N_TABLES], golomb[RD_N_TABLES];
  g_autoptr (GArray) cumulative = g_array_new (FALSE, FALSE, sizeof (guint16));

  for (guint i = 0; i < RD_N_TABLES; i++) {
    const RdLearnedTable *table = &p->tables[i];

    min[i] = table->min;
    count[i] = table->n_values;
    golomb[i] = table->golomb;
    g_array_append_vals (cumulative, table->cumulative, table->n_values + 2);
  }
  st_gguf_writer_set_array (writer, RD_KEY ("tables.min"), ST_GGUF_INT32, min,
      RD_N_TABLES);
  st_gguf_writer_set_array (writer, RD_KEY ("tables.count"), ST_GGUF_UINT32,
      count, RD_N_TABLES);
  st_gguf_writer_set_array (writer, RD_KEY ("tables.golomb"), ST_GGUF_UINT32,
      golomb, RD_N_TABLES);
  st_gguf_writer_set_array (writer, RD_KEY ("tables.cumulative"),
      ST_GGUF_UINT16, cumulative->data, cumulative->len);
  st_gguf_writer_set_array (writer, RD_KEY ("tables.magnitude"),
      ST_GGUF_UINT32, p->magnitude, 2 * RD_LEARNED_SCALES);
}

static void
set_texts (StGgufWriter * writer, const RdLearnedParameters * p)
{
  g_autoptr (GList) keys = NULL;
  GString *hex = g_string_new (NULL);
  gboolean any = TRUE;

  for (guint i = 0; i < sizeof p->model_id; i++) {
    g_string_append_printf (hex, "%02x", p->model_id[i]);
    any = any && p->model_id[i] == 0;
  }
  st_gguf_writer_set_string (writer, RD_KEY_ARCHITECTURE, RD_ARCHITECTURE);
  if (p->name)
    st_gguf_writer_set_string (writer, RD_KEY_NAME, p->name);
  if (p->license)
    st_gguf_writer_set_string (writer, RD_KEY_LICENSE, p->license);
  st_gguf_writer_set_string (writer, RD_KEY ("model.id"), any ? "" : hex->str);
  st_gguf_writer_set_string (writer, RD_KEY ("model.name"),
      p->model_name ? p->model_name : "");
  st_gguf_writer_set_string (writer, RD_KEY ("side_info"),
      rd_side_info_name (p->side_info));
  if (p->provenance)
    keys = g_list_sort (g_hash_table_get_keys (p->provenance),
        (GCompareFunc) g_strcmp0);
  for (const GList * k = keys; k; k = k->next) {
    g_autofree gchar *key = g_strconcat (RD_KEY_PROVENANCE, k->data, NULL);

    st_gguf_writer_set_string (writer, key, g_hash_table_lookup (p->provenance,
            k->data));
  }
  g_string_free (hex, TRUE);
}

static void
set_numbers (StGgufWriter * writer, const RdLearnedParameters * p)
{
  st_gguf_writer_set_uint32 (writer, RD_KEY ("version"),
      p->networks ? RD_LEARNED_VERSION_NETWORKS :
      p->adapters ? RD_LEARNED_VERSION_ADAPTERS : RD_LEARNED_VERSION);
  st_gguf_writer_set_uint32 (writer, RD_KEY ("split_layer"), p->split_layer);
  st_gguf_writer_set_uint32 (writer, RD_KEY ("hidden_size"), p->hidden_size);
  if (p->side_info == RD_SIDE_INFO_BLOCKS)
    st_gguf_writer_set_uint32 (writer, RD_KEY ("side_info.blocks"),
        p->n_blocks);
  st_gguf_writer_set_int32 (writer, RD_KEY ("level.coarsest"), p->coarsest);
  st_gguf_writer_set_float (writer, RD_KEY ("trellis.lambda"), p->lambda);
  st_gguf_writer_set_array (writer, RD_KEY ("knots"), ST_GGUF_INT32, p->knots,
      p->n_knots);
}

gboolean
rd_learned_parameters_save (RdLearnedParameters * p, const gchar * path,
    GError ** error)
{
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GPtrArray) tensors = g_ptr_array_new_with_free_func (g_free);
  const guint64 shape[2] = { p->hidden_size, p->n_constants };
  Output o = { writer, tensors };

  if (!rd_learned_parameters_check (p, error))
    return FALSE;
  set_texts (writer, p);
  set_numbers (writer, p);
  set_tables (writer, p);
  if (p->networks)
    rd_learned_networks_save (p->networks, writer);
  if (p->n_constants > 0
      && !st_gguf_writer_add_tensor (writer, RD_TENSOR_CONSTANTS, ST_TYPE_F32,
          2, shape, p->constants, error))
    return FALSE;
  for (guint s = 0; s < rd_learned_parameters_n_sets (p); s++)
    if (!add_set (&o, p, s, error))
      return FALSE;
  return add_adapters (&o, p, error)
      && (!p->networks || p->networks->n_latents == 0
      || add_half (&o, RD_TENSOR_LATENTS, 1, p->networks->n_analysis,
          p->networks->analysis, error))
      && rd_learned_parameters_check (p, error)
      && st_gguf_writer_write (writer, path, error);
}
