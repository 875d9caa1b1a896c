/* Codec files to parameters. The GGUF reader has checked that everything lies within the file; here is what a codec file adds. */
#include "codec/learned/parameters-private.h"

#include <string.h>
#include <sys/stat.h>

#define READ_BYTES 65536

static gboolean
fail (GError ** error, gint code, const StGguf * gguf, const gchar * format,
    ...)
G_GNUC_PRINTF (4, 5);

     static gboolean
         fail (GError ** error, gint code, const StGguf * gguf,
    const gchar * format, ...)
{
  g_autofree gchar *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, RD_CODEC_ERROR, code, "codec file %s: %s",
      st_gguf_path (gguf), what);
  return FALSE;
}

static gboolean
read_uint (const StGguf * gguf, const gchar * key, guint min, guint max,
    guint * value, GError ** error)
{
  guint64 v;

  if (!st_gguf_get_uint (gguf, key, &v))
    return fail (error, RD_CODEC_ERROR_INPUT, gguf, "no number %s", key);
  if (v < min || v > max)
    return fail (error, RD_CODEC_ERROR_INPUT, gguf, "%s is %" G_GUINT64_FORMAT
        ", not %u to %u", key, v, min, max);
  *value = (guint) v;
  return TRUE;
}

/* An array of exactly @n integers that fit 32 bits; NULL after an error. */
static gint32 *
read_array (const StGguf * gguf, const gchar * key, gsize n, GError ** error)
{
  guint64 length = st_gguf_array_length (gguf, key);
  g_autofree gint32 *values = NULL;

  if (length != n) {
    fail (error, RD_CODEC_ERROR_INPUT, gguf,
        "%s has %" G_GUINT64_FORMAT " numbers instead of %" G_GSIZE_FORMAT,
        key, length, n);
    return NULL;
  }
  values = g_new (gint32, MAX (n, 1));
  for (gsize i = 0; i < n; i++) {
    gint64 v;

    if (!st_gguf_array_int (gguf, key, i, &v) || v < G_MININT32
        || v > G_MAXINT32) {
      fail (error, RD_CODEC_ERROR_INPUT, gguf,
          "number %" G_GSIZE_FORMAT " of %s is not an integer of 32 bits", i,
          key);
      return NULL;
    }
    values[i] = (gint32) v;
  }
  return g_steal_pointer (&values);
}

/* A tensor of @rows times @cols floats; *@values stays NULL if there is none. */
static gboolean
read_tensor (const StGguf * gguf, const gchar * name, gsize rows, gsize cols,
    gfloat ** values, GError ** error)
{
  const StTensor *tensor = st_gguf_find (gguf, name);
  const StTypeTraits *traits;

  if (!tensor)
    return TRUE;
  if (tensor->ne[0] != cols || tensor->ne[1] != rows || tensor->ne[2] != 1
      || tensor->ne[3] != 1)
    return fail (error, RD_CODEC_ERROR_INPUT, gguf,
        "tensor %s is not %" G_GSIZE_FORMAT " x %" G_GSIZE_FORMAT, name, rows,
        cols);
  traits = st_type_traits (tensor->type);
  if (!traits || (tensor->type != ST_TYPE_F32 && tensor->type != ST_TYPE_F16))
    return fail (error, RD_CODEC_ERROR_INPUT, gguf,
        "tensor %s is neither F32 nor F16", name);
  *values = g_try_malloc_n (rows * cols, sizeof (gfloat));
  if (!*values)
    return fail (error, RD_CODEC_ERROR_INPUT, gguf, "no memory for tensor %s",
        name);
  traits->to_float (tensor->data, *values, rows * cols);
  return TRUE;
}

static gboolean
read_set_tensor (const StGguf * gguf, guint set, const gchar * name,
    gsize rows, gsize cols, gfloat ** values, GError ** error)
{
  g_autofree gchar *full = rd_set_name ("", set, name);

  return read_tensor (gguf, full, rows, cols, values, error);
}

static gint32 *
read_set_array (const StGguf * gguf, guint set, const gchar * name, gsize n,
    GError ** error)
{
  g_autofree gchar *key = rd_set_name (RD_KEY (""), set, name);

  return read_array (gguf, key, n, error);
}

static void
read_strength (const StGguf * gguf, guint s, RdLearnedParameters * p)
{
  g_autofree gchar *key = rd_set_name (RD_KEY (""), s, "token_step.strength");

  if (st_gguf_array_length (gguf, key) != p->n_knots)
    return;
  p->set[s].strength = g_new0 (gfloat, p->n_knots);
  for (guint i = 0; i < p->n_knots; i++) {
    gdouble v = 0;

    st_gguf_array_float (gguf, key, i, &v);
    p->set[s].strength[i] = (gfloat) v;
  }
}

static gboolean
read_set (const StGguf * gguf, guint s, RdLearnedParameters * p,
    GError ** error)
{
  RdLearnedSet *set = &p->set[s];
  gsize d = p->hidden_size;

  read_strength (gguf, s, p);
  return read_set_tensor (gguf, s, "mean", 1, d, &set->mean, error)
      && read_set_tensor (gguf, s, "synthesis", d, d, &set->synthesis, error)
      && read_set_tensor (gguf, s, "analysis", d, d, &set->analysis, error)
      && (s == 0
      || read_set_tensor (gguf, s, "readout", d, d, &set->readout, error))
      && read_set_tensor (gguf, s, "token_step", 1, d + 2, &set->token_step,
      error)
      && (set->scale = read_set_array (gguf, s, "scale", d, error))
      && (set->steps = read_set_array (gguf, s, "steps", p->n_knots * d, error))
      && (set->weights = read_set_array (gguf, s, "weights", 2 * d, error));
}

static gboolean
read_table (const StGguf * gguf, const gint32 * min, const gint32 * count,
    const gint32 * golomb, gsize * at, RdLearnedTable * table, guint index,
    GError ** error)
{
  const gchar *key = RD_KEY ("tables.cumulative");

  if (count[index] < 1 || count[index] > (gint32) RD_TABLE_MAX_VALUES)
    return fail (error, RD_CODEC_ERROR_INPUT, gguf,
        "table %u has %d values, not 1 to %u", index, count[index],
        RD_TABLE_MAX_VALUES);
  table->min = min[index];
  table->n_values = (guint) count[index];
  table->golomb = (guint) golomb[index];
  table->cumulative = g_new0 (guint16, table->n_values + 2);
  for (guint i = 0; i < table->n_values + 2; i++) {
    gint64 v;

    if (!st_gguf_array_int (gguf, key, (*at)++, &v) || v < 0
        || v > (gint64) RD_TABLE_TOTAL)
      return fail (error, RD_CODEC_ERROR_INPUT, gguf,
          "table %u has no frequency of 0 to %u in place %u of %s", index,
          RD_TABLE_TOTAL, i, key);
    table->cumulative[i] = (guint16) v;
  }
  return TRUE;
}

static gboolean
read_tables (const StGguf * gguf, RdLearnedParameters * p, GError ** error)
{
  g_autofree gint32 *min = NULL, *count = NULL, *golomb = NULL, *magnitude =
      NULL;
  gsize at = 0;

  min = read_array (gguf, RD_KEY ("tables.min"), RD_N_TABLES, error);
  count = min ? read_array (gguf, RD_KEY ("tables.count"), RD_N_TABLES,
      error) : NULL;
  golomb = count ? read_array (gguf, RD_KEY ("tables.golomb"), RD_N_TABLES,
      error) : NULL;
  magnitude = golomb ? read_array (gguf, RD_KEY ("tables.magnitude"),
      2 * RD_LEARNED_SCALES, error) : NULL;
  if (!magnitude)
    return FALSE;
  memcpy (p->magnitude, magnitude, sizeof p->magnitude);
  for (guint i = 0; i < RD_N_TABLES; i++)
    if (!read_table (gguf, min, count, golomb, &at, &p->tables[i], i, error))
      return FALSE;
  return st_gguf_array_length (gguf, RD_KEY ("tables.cumulative")) == at
      || fail (error, RD_CODEC_ERROR_INPUT, gguf, "%s has more numbers than the"
      " %" G_GSIZE_FORMAT " of its tables", RD_KEY ("tables.cumulative"), at);
}

static gboolean
read_model_id (const StGguf * gguf, RdLearnedParameters * p, GError ** error)
{
  const gchar *hex = st_gguf_get_string (gguf, RD_KEY ("model.id"));
  gsize n = hex ? strlen (hex) : 0;

  if (n == 0)
    return TRUE;
  for (gsize i = 0; i < n; i++)
    if (n != 2 * sizeof p->model_id || !g_ascii_isxdigit (hex[i]))
      return fail (error, RD_CODEC_ERROR_INPUT, gguf,
          "%s is not 64 hexadecimal digits", RD_KEY ("model.id"));
  rd_learned_parameters_set_model_id (p, hex);
  return TRUE;
}

static gboolean
read_side_info (const StGguf * gguf, RdLearnedParameters * p, GError ** error)
{
  const gchar *name = st_gguf_get_string (gguf, RD_KEY ("side_info"));

  for (guint i = RD_SIDE_INFO_NONE; i <= RD_SIDE_INFO_BLOCKS; i++) {
    if (g_strcmp0 (name, rd_side_info_name (i)) != 0)
      continue;
    p->side_info = i;
    return i != RD_SIDE_INFO_BLOCKS
        || read_uint (gguf, RD_KEY ("side_info.blocks"), 0, 1024, &p->n_blocks,
        error);
  }
  return fail (error, RD_CODEC_ERROR_INPUT, gguf,
      "%s is '%.32s', not none, embedding or blocks", RD_KEY ("side_info"),
      name ? name : "");
}

static gboolean
read_knots (const StGguf * gguf, RdLearnedParameters * p, GError ** error)
{
  const gchar *key = RD_KEY ("knots");
  guint64 n = st_gguf_array_length (gguf, key);
  g_autofree gint32 *knots = NULL;

  if (n < 2 || n > RD_LEARNED_MAX_KNOTS)
    return fail (error, RD_CODEC_ERROR_INPUT, gguf, "%s has %" G_GUINT64_FORMAT
        " numbers, not 2 to %u", key, n, RD_LEARNED_MAX_KNOTS);
  p->n_knots = (guint) n;
  knots = read_array (gguf, key, n, error);
  if (!knots)
    return FALSE;
  memcpy (p->knots, knots, n * sizeof *knots);
  return TRUE;
}

static gboolean
read_constants (const StGguf * gguf, RdLearnedParameters * p, GError ** error)
{
  const StTensor *tensor = st_gguf_find (gguf, RD_TENSOR_CONSTANTS);

  if (!tensor)
    return TRUE;
  if (tensor->ne[1] > RD_LEARNED_MAX_CONSTANTS)
    return fail (error, RD_CODEC_ERROR_INPUT, gguf, "more than %u constants",
        RD_LEARNED_MAX_CONSTANTS);
  p->n_constants = (guint) tensor->ne[1];
  return read_tensor (gguf, RD_TENSOR_CONSTANTS, p->n_constants,
      p->hidden_size, &p->constants, error);
}

static void
read_texts (const StGguf * gguf, RdLearnedParameters * p)
{
  gsize prefix = strlen (RD_KEY_PROVENANCE);

  p->name = g_strdup (st_gguf_get_string (gguf, RD_KEY_NAME));
  p->license = g_strdup (st_gguf_get_string (gguf, RD_KEY_LICENSE));
  p->model_name = g_strdup (st_gguf_get_string (gguf, RD_KEY ("model.name")));
  for (guint64 i = 0; i < st_gguf_n_entries (gguf); i++) {
    const gchar *key = st_gguf_entry (gguf, i)->key;
    const gchar *text = g_str_has_prefix (key, RD_KEY_PROVENANCE) ?
        st_gguf_get_string (gguf, key) : NULL;

    if (!text)
      continue;
    if (!p->provenance)
      p->provenance = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
          g_free);
    g_hash_table_insert (p->provenance, g_strdup (key + prefix),
        g_strdup (text));
  }
}

static gboolean
read_version (const StGguf * gguf, guint64 * version, GError ** error)
{
  const gchar *architecture = st_gguf_get_string (gguf, RD_KEY_ARCHITECTURE);

  if (g_strcmp0 (architecture, RD_ARCHITECTURE) != 0)
    return fail (error, RD_CODEC_ERROR_UNKNOWN, gguf,
        "its architecture is '%.32s', not '%s': a codec file is wanted here",
        architecture ? architecture : "", RD_ARCHITECTURE);
  *version = 0;
  st_gguf_get_uint (gguf, RD_KEY ("version"), version);
  if (*version < RD_LEARNED_VERSION || *version > RD_LEARNED_VERSION_NETWORKS)
    return fail (error, RD_CODEC_ERROR_UNKNOWN, gguf,
        "it has version %" G_GUINT64_FORMAT
        " of the format, this program knows versions %d to %d", *version,
        RD_LEARNED_VERSION, RD_LEARNED_VERSION_NETWORKS);
  return TRUE;
}

/* Version 2 has adapters, version 1 has none, version 3 may. */
static gboolean
read_adapters (const StGguf * gguf, guint64 version, RdLearnedParameters * p,
    GError ** error)
{
  gboolean ok;

  if (version == RD_LEARNED_VERSION || (version == RD_LEARNED_VERSION_NETWORKS
          && !st_gguf_find_entry (gguf, RD_KEY_ADAPTER_ALPHA))) {
    ok = rd_learned_adapters_refuse (gguf, error);
  } else {
    p->adapters = rd_learned_adapters_load (gguf, p->hidden_size, p->n_knots,
        error);
    ok = p->adapters != NULL;
  }
  if (!ok)
    g_prefix_error (error, "codec file %s: ", st_gguf_path (gguf));
  return ok;
}

/* Version 3 has networks, the others have none. */
static gboolean
read_networks (const StGguf * gguf, guint64 version, RdLearnedParameters * p,
    GError ** error)
{
  if (version != RD_LEARNED_VERSION_NETWORKS)
    return !st_gguf_find_entry (gguf, RD_KEY_ENTROPY)
        || fail (error, RD_CODEC_ERROR_INPUT, gguf, "it has %s, which is not "
        "for version %" G_GUINT64_FORMAT, RD_KEY_ENTROPY, version);
  p->networks = rd_learned_networks_load (gguf, error);
  if (!p->networks)
    g_prefix_error (error, "codec file %s: ", st_gguf_path (gguf));
  return p->networks != NULL;
}

static gboolean
read_rates (const StGguf * gguf, RdLearnedParameters * p, GError ** error)
{
  gdouble lambda;
  gint64 coarsest;

  if (!st_gguf_get_int (gguf, RD_KEY ("level.coarsest"), &coarsest))
    return fail (error, RD_CODEC_ERROR_INPUT, gguf, "no number %s",
        RD_KEY ("level.coarsest"));
  if (!st_gguf_get_float (gguf, RD_KEY ("trellis.lambda"), &lambda))
    return fail (error, RD_CODEC_ERROR_INPUT, gguf, "no number %s",
        RD_KEY ("trellis.lambda"));
  p->lambda = (gfloat) lambda;
  p->coarsest = (gint32) CLAMP (coarsest, G_MININT32, G_MAXINT32);
  return TRUE;
}

/* Hashes the file piece by piece: it may be any large file that was named by mistake, but by now it is known to be a codec file. */
static gboolean
make_id (const StGguf * gguf, RdLearnedParameters * p, GError ** error)
{
  g_autoptr (GChecksum) hash = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 bytes[READ_BYTES];
  struct stat st;

  if (fstat (st_gguf_fd (gguf), &st) != 0)
    return fail (error, RD_CODEC_ERROR_UNKNOWN, gguf, "cannot be read");
  for (goffset at = 0; at < st.st_size; at += READ_BYTES) {
    gsize n = (gsize) MIN (READ_BYTES, st.st_size - at);

    if (!st_gguf_read (gguf, (guint64) at, bytes, n, NULL))
      return fail (error, RD_CODEC_ERROR_UNKNOWN, gguf, "cannot be read");
    g_checksum_update (hash, bytes, (gssize) n);
  }
  g_snprintf (p->id, sizeof p->id, RD_LEARNED_ID_PREFIX "%s",
      g_checksum_get_string (hash));
  return TRUE;
}

static gboolean
read_all (const StGguf * gguf, RdLearnedParameters * p, GError ** error)
{
  guint64 version;

  if (!read_version (gguf, &version, error))
    return FALSE;
  read_texts (gguf, p);
  if (!read_rates (gguf, p, error) || !read_model_id (gguf, p, error)
      || !read_uint (gguf, RD_KEY ("split_layer"), 0, G_MAXUINT16,
          &p->split_layer, error)
      || !read_uint (gguf, RD_KEY ("hidden_size"), 1, RD_LEARNED_MAX_HIDDEN,
          &p->hidden_size, error)
      || !read_side_info (gguf, p, error) || !read_knots (gguf, p, error)
      || !read_constants (gguf, p, error) || !read_tables (gguf, p, error))
    return FALSE;
  for (guint s = 0; s < rd_learned_parameters_n_sets (p); s++)
    if (!read_set (gguf, s, p, error))
      return FALSE;
  return read_adapters (gguf, version, p, error)
      && read_networks (gguf, version, p, error) && make_id (gguf, p, error);
}

RdLearnedParameters *
rd_learned_parameters_load (const gchar * path, GError ** error)
{
  g_autoptr (RdLearnedParameters) p = g_new0 (RdLearnedParameters, 1);
  g_autoptr (GError) unreadable = NULL;
  g_autoptr (StGguf) gguf = st_gguf_open (path, &unreadable);

  if (!gguf) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_UNKNOWN,
        "codec file %s", unreadable->message);
    return NULL;
  }
  if (!read_all (gguf, p, error))
    return NULL;
  if (!rd_learned_parameters_check (p, error)) {
    g_prefix_error (error, "codec file %s: ", path);
    return NULL;
  }
  return g_steal_pointer (&p);
}
