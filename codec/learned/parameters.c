/* Parameters in memory: release and checks that hold wherever they come from. */
#include "codec/learned/parameters-private.h"
#include "codec/float-bits.h"

gchar *
rd_set_name (const gchar * prefix, guint set, const gchar * name)
{
  return g_strdup_printf ("%sset.%u.%s", prefix, set, name);
}

const gchar *
rd_side_info_name (RdSideInfo side_info)
{
  static const gchar *const names[] = { "none", "embedding", "blocks" };

  return names[side_info];
}

guint
rd_learned_parameters_n_sets (const RdLearnedParameters * parameters)
{
  return parameters->side_info == RD_SIDE_INFO_NONE ? 1 : RD_LEARNED_SETS;
}

static void
clear_set (RdLearnedSet * set)
{
  g_free (set->mean);
  g_free (set->synthesis);
  g_free (set->analysis);
  g_free (set->readout);
  g_free (set->scale);
  g_free (set->steps);
  g_free (set->weights);
  g_free (set->token_step);
  g_free (set->strength);
}

void
rd_learned_parameters_free (RdLearnedParameters * parameters)
{
  if (!parameters)
    return;
  g_free (parameters->name);
  g_free (parameters->license);
  g_free (parameters->model_name);
  g_free (parameters->constants);
  for (guint s = 0; s < RD_LEARNED_SETS; s++)
    clear_set (&parameters->set[s]);
  for (guint i = 0; i < RD_N_TABLES; i++)
    g_free (parameters->tables[i].cumulative);
  rd_learned_adapters_free (parameters->adapters);
  rd_learned_networks_free (parameters->networks);
  g_clear_pointer (&parameters->provenance, g_hash_table_unref);
  g_free (parameters);
}

void
rd_learned_parameters_set_model_id (RdLearnedParameters * parameters,
    const gchar * hex)
{
  for (gsize i = 0; i < sizeof parameters->model_id; i++)
    parameters->model_id[i] = (guint8) (g_ascii_xdigit_value (hex[2 * i]) << 4
        | g_ascii_xdigit_value (hex[2 * i + 1]));
}

static gpointer
copy_array (gconstpointer values, gsize n)
{
  return g_memdup2 (values, n * 4);
}

/* Every array has elements of 4 bytes. */
static void
copy_set (RdLearnedSet * to, const RdLearnedSet * from, gsize d, gsize k)
{
  *to = (RdLearnedSet) {
  .mean = copy_array (from->mean, d),.synthesis =
        copy_array (from->synthesis, d * d),.analysis =
        copy_array (from->analysis, d * d),.readout =
        copy_array (from->readout, d * d),.scale =
        copy_array (from->scale, d),.steps =
        copy_array (from->steps, k * d),.weights =
        copy_array (from->weights, 2 * d),.token_step =
        copy_array (from->token_step, d + 2),.strength =
        copy_array (from->strength, k),};
}

static GHashTable *
copy_texts (GHashTable * from)
{
  GHashTable *to = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      g_free);
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, from);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_hash_table_insert (to, g_strdup (key), g_strdup (value));
  return to;
}

RdLearnedParameters *
rd_learned_parameters_copy (const RdLearnedParameters * parameters)
{
  RdLearnedParameters *copy = g_memdup2 (parameters, sizeof *parameters);
  gsize d = parameters->hidden_size;

  copy->name = g_strdup (parameters->name);
  copy->license = g_strdup (parameters->license);
  copy->model_name = g_strdup (parameters->model_name);
  copy->constants = copy_array (parameters->constants,
      parameters->n_constants * d);
  for (guint s = 0; s < RD_LEARNED_SETS; s++)
    copy_set (&copy->set[s], &parameters->set[s], d, parameters->n_knots);
  for (guint i = 0; i < RD_N_TABLES; i++)
    copy->tables[i].cumulative = g_memdup2 (parameters->tables[i].cumulative,
        (parameters->tables[i].n_values + 2) * sizeof (guint16));
  copy->adapters = rd_learned_adapters_copy (parameters->adapters,
      parameters->n_knots);
  copy->networks = rd_learned_networks_copy (parameters->networks);
  if (parameters->provenance)
    copy->provenance = copy_texts (parameters->provenance);
  return copy;
}

static gboolean
fail (GError ** error, const gchar * what)
{
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT, "%s", what);
  return FALSE;
}

/* Numbers of a set of @n each: all there, and none out of range. */
static gboolean
check_integers (guint set, const gchar * name, const gint32 * values,
    gsize n, gint32 min, gint32 max, GError ** error)
{
  for (gsize i = 0; values && i < n; i++) {
    if (values[i] >= min && values[i] <= max)
      continue;
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "set.%u.%s has %d as number %" G_GSIZE_FORMAT
        ", which is not between %d and %d", set, name, values[i], i, min, max);
    return FALSE;
  }
  if (values)
    return TRUE;
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
      "set.%u.%s is missing", set, name);
  return FALSE;
}

static gboolean
check_floats (guint set, const gchar * name, const gfloat * values, gsize n,
    gboolean needed, GError ** error)
{
  if (!values && !needed)
    return TRUE;
  if (values && rd_float_max_abs_bits (values, n) < RD_FLOAT_INFINITY_BITS)
    return TRUE;
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
      values ? "set.%u.%s holds NaN or infinity" : "set.%u.%s is missing", set,
      name);
  return FALSE;
}

static gboolean
check_set (const RdLearnedParameters * p, guint s, GError ** error)
{
  const RdLearnedSet *set = &p->set[s];
  gsize d = p->hidden_size, k = p->n_knots;

  return check_floats (s, "mean", set->mean, d, TRUE, error)
      && check_floats (s, "synthesis", set->synthesis, d * d, TRUE, error)
      && check_floats (s, "analysis", set->analysis, d * d, FALSE, error)
      && check_floats (s, "readout", set->readout, d * d, s == 1, error)
      && check_integers (s, "scale", set->scale, d, -RD_LEARNED_MAX_STEP,
      RD_LEARNED_MAX_STEP, error)
      && check_integers (s, "steps", set->steps, k * d,
      -RD_LEARNED_MAX_OFFSET, RD_LEARNED_MAX_OFFSET, error)
      && check_integers (s, "weights", set->weights, 2 * d, -128, 127, error)
      && check_floats (s, "token_step", set->token_step, d + 2, FALSE, error)
      && check_floats (s, "token_step.strength", set->strength, k,
      set->token_step != NULL, error);
}

static gboolean
check_knots (const RdLearnedParameters * p, GError ** error)
{
  if (p->n_knots < 2 || p->n_knots > RD_LEARNED_MAX_KNOTS)
    return fail (error, "the number of knots is not between 2 and 16");
  if (p->knots[0] != 0 || p->knots[p->n_knots - 1] != RD_LEARNED_LEVELS - 1)
    return fail (error, "the knots do not begin with 0 and end with 127");
  for (guint i = 1; i < p->n_knots; i++)
    if (p->knots[i] <= p->knots[i - 1])
      return fail (error, "the knots are not in ascending order");
  return TRUE;
}

static gboolean
check_magnitudes (const RdLearnedParameters * p, GError ** error)
{
  for (guint i = 0; i < 2 * RD_LEARNED_SCALES; i++) {
    gint32 m = p->magnitude[i / RD_LEARNED_SCALES][i % RD_LEARNED_SCALES];

    if (m < 0 || m > (gint32) RD_LEARNED_MAX_MAGNITUDE)
      return fail (error, "a mean magnitude is not between 0 and 4080");
  }
  return TRUE;
}

gboolean
rd_learned_parameters_check (const RdLearnedParameters * p, GError ** error)
{
  gsize n_constants = (gsize) p->n_constants * p->hidden_size;

  if (p->hidden_size < 1 || p->hidden_size > RD_LEARNED_MAX_HIDDEN)
    return fail (error, "the hidden size is not between 1 and 16384");
  if (p->coarsest < -RD_LEARNED_MAX_STEP || p->coarsest > RD_LEARNED_MAX_STEP)
    return fail (error, "the coarsest step is out of range");
  if (p->n_constants > RD_LEARNED_MAX_CONSTANTS)
    return fail (error, "there are more than 8 constants");
  if (n_constants
      && rd_float_max_abs_bits (p->constants,
          n_constants) >= RD_FLOAT_INFINITY_BITS)
    return fail (error, "constants hold NaN or infinity");
  if (!(p->lambda >= 0 && p->lambda <= 1))
    return fail (error, "trellis.lambda is not between 0 and 1");
  if (!check_knots (p, error) || !check_magnitudes (p, error))
    return FALSE;
  for (guint s = 0; s < rd_learned_parameters_n_sets (p); s++)
    if (!check_set (p, s, error))
      return FALSE;
  if (p->adapters && !rd_learned_adapters_check (p->adapters, p->hidden_size,
          p->n_knots, error))
    return FALSE;
  return !p->networks || rd_learned_networks_check (p->networks,
      p->hidden_size, rd_learned_parameters_n_sets (p), error);
}
