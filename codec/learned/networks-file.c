/* Networks from and to a codec file. Errors do not name the file: the caller does. */
#include "codec/learned/latents.h"
#include "codec/learned/parameters-private.h"

#include <string.h>

static gboolean
fail (GError ** error, const gchar * key, const gchar * what)
{
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT, "%s %s", key, what);
  return FALSE;
}

/* @n integers between @min and @max into @values. */
static gboolean
read_integers (const StGguf * gguf, const gchar * key, gsize n, gint64 min,
    gint64 max, gint32 * values, GError ** error)
{
  if (st_gguf_array_length (gguf, key) != n)
    return fail (error, key, "has not as many numbers as it should");
  for (gsize i = 0; i < n; i++) {
    gint64 v;

    if (!st_gguf_array_int (gguf, key, i, &v) || v < min || v > max)
      return fail (error, key, "has a number that is out of range");
    values[i] = (gint32) v;
  }
  return TRUE;
}

/* Inputs, outputs and shift of each layer. */
static gboolean
read_layers (const StGguf * gguf, RdNetworkLayer * layers, guint * n_layers,
    GError ** error)
{
  const guint64 n = st_gguf_array_length (gguf, RD_KEY_NETWORK_LAYERS) / 3;
  gint32 numbers[3 * RD_NETWORK_MAX_LAYERS];

  if (n < 1 || n > RD_NETWORK_MAX_LAYERS)
    return fail (error, RD_KEY_NETWORK_LAYERS,
        "is not there, or has too many numbers");
  if (!read_integers (gguf, RD_KEY_NETWORK_LAYERS, 3 * n, 0,
          RD_NETWORK_MAX_WIDTH, numbers, error))
    return FALSE;
  for (guint i = 0; i < n; i++)
    layers[i] = (RdNetworkLayer) {
    .inputs = (guint) numbers[3 * i],.outputs =
        (guint) numbers[3 * i + 1],.shift = (guint) numbers[3 * i + 2]};
  *n_layers = (guint) n;
  return TRUE;
}

static gboolean
read_weights (const StGguf * gguf, RdLearnedNetworks * n, GError ** error)
{
  const gchar *key = RD_KEY_NETWORK_WEIGHTS;
  g_autofree gint32 *wide = g_try_new (gint32, n->n_weights);

  if (wide == NULL)
    return fail (error, key, "does not fit into memory");
  if (!read_integers (gguf, key, n->n_weights, G_MININT16, G_MAXINT16, wide,
          error))
    return FALSE;
  for (gsize i = 0; i < n->n_weights; i++)
    n->weights[i] = (gint16) wide[i];
  return TRUE;
}

static gboolean
read_table (const StGguf * gguf, const gint32 * numbers, gsize * at,
    RdLearnedTable * table, GError ** error)
{
  const gchar *key = RD_KEY_LATENTS ("cumulative");

  *table = (RdLearnedTable) {
  numbers[0], (guint) numbers[1], (guint) numbers[2],
        g_new0 (guint16, (gsize) numbers[1] + 2)};
  for (guint i = 0; i < table->n_values + 2; i++) {
    gint64 v;

    if (!st_gguf_array_int (gguf, key, (*at)++, &v) || v < 0
        || v > (gint64) RD_TABLE_TOTAL)
      return fail (error, key, "has a number that is out of range");
    table->cumulative[i] = (guint16) v;
  }
  return TRUE;
}

/* Tables of a hyper-prior's latents: smallest value, number of values, order of the escape. */
static gboolean
read_latents (const StGguf * gguf, RdLearnedNetworks * n, GError ** error)
{
  const gchar *keys[] = { RD_KEY_LATENTS ("min"), RD_KEY_LATENTS ("count"),
    RD_KEY_LATENTS ("golomb")
  };
  const gint64 lowest[] = { G_MININT32, 1, 0 };
  const gint64 highest[] = { G_MAXINT32, RD_TABLE_MAX_VALUES,
    RD_TABLE_MAX_GOLOMB
  };
  gint32 numbers[3][RD_NETWORK_MAX_LATENTS];
  gsize at = 0;

  for (guint i = 0; i < 3; i++) {
    if (!read_integers (gguf, keys[i], n->n_latents, lowest[i], highest[i],
            numbers[i], error))
      return FALSE;
  }
  for (guint i = 0; i < n->n_latents; i++) {
    const gint32 one[] = { numbers[0][i], numbers[1][i], numbers[2][i] };

    if (!read_table (gguf, one, &at, &n->latents[i], error))
      return FALSE;
  }
  return st_gguf_array_length (gguf, RD_KEY_LATENTS ("cumulative")) == at
      || fail (error, RD_KEY_LATENTS ("cumulative"),
      "has more numbers than the tables");
}

static gboolean
check_analysis (const StGguf * gguf, gsize n, GError ** error)
{
  const StTensor *tensor = st_gguf_find (gguf, RD_TENSOR_LATENTS);

  return (tensor != NULL && (tensor->type == ST_TYPE_F32
          || tensor->type == ST_TYPE_F16) && tensor->ne[0] == n
      && tensor->ne[1] == 1 && tensor->ne[2] == 1 && tensor->ne[3] == 1)
      || fail (error, "tensor " RD_TENSOR_LATENTS,
      "is not there, or not of the right size and type");
}

static void
read_analysis (const StGguf * gguf, RdLearnedNetworks * n)
{
  const StTensor *tensor = st_gguf_find (gguf, RD_TENSOR_LATENTS);

  st_type_traits (tensor->type)->to_float (tensor->data, n->analysis,
      n->n_analysis);
}

/* That the file has all that memory is about to be taken for. */
static gboolean
check_sizes (const StGguf * gguf, const gchar * entropy,
    const RdNetworkLayer * layers, guint n_layers, GError ** error)
{
  if (rd_network_layers_weights (layers, n_layers)
      != st_gguf_array_length (gguf, RD_KEY_NETWORK_WEIGHTS))
    return fail (error, RD_KEY_NETWORK_WEIGHTS,
        "has not as many numbers as the layers");
  return !g_str_has_prefix (entropy, RD_NETWORKS_HYPERPRIOR)
      || check_analysis (gguf,
      rd_latents_n_values (layers[n_layers - 1].outputs, layers[0].inputs),
      error);
}

RdLearnedNetworks *
rd_learned_networks_load (const StGguf * gguf, GError ** error)
{
  const gchar *entropy = st_gguf_get_string (gguf, RD_KEY_ENTROPY);
  RdNetworkLayer layers[RD_NETWORK_MAX_LAYERS];
  g_autoptr (RdLearnedNetworks) networks = NULL;
  guint64 set = G_MAXUINT64;
  guint n_layers = 0;

  if (entropy == NULL || !st_gguf_get_uint (gguf, RD_KEY_NETWORK_SET, &set)
      || set > G_MAXUINT16) {
    fail (error, RD_KEY_ENTROPY, "or " RD_KEY_NETWORK_SET " is not there");
    return NULL;
  }
  if (!read_layers (gguf, layers, &n_layers, error)
      || !check_sizes (gguf, entropy, layers, n_layers, error))
    return NULL;
  networks = rd_learned_networks_new (entropy, (guint) set, layers, n_layers);
  if (networks == NULL) {
    fail (error, RD_KEY_NETWORK_LAYERS,
        "has a layer of no inputs or outputs or too many latents, or memory is "
        "short");
    return NULL;
  }
  if (!read_integers (gguf, RD_KEY_NETWORK_UNITS, RD_NETWORK_UNITS,
          0, RD_NETWORK_MAX_UNIT, networks->units, error)
      || !read_integers (gguf, RD_KEY_NETWORK_BIASES, networks->n_biases,
          -G_MAXINT32, G_MAXINT32, networks->biases, error)
      || !read_weights (gguf, networks, error)
      || (networks->n_latents > 0 && !read_latents (gguf, networks, error)))
    return NULL;
  if (networks->n_latents > 0)
    read_analysis (gguf, networks);
  return g_steal_pointer (&networks);
}

static void
save_latents (const RdLearnedNetworks * n, StGgufWriter * writer)
{
  gint32 min[RD_NETWORK_MAX_LATENTS];
  guint32 count[RD_NETWORK_MAX_LATENTS], golomb[RD_NETWORK_MAX_LATENTS];
  g_autoptr (GArray) cumulative = g_array_new (FALSE, FALSE, sizeof (guint16));

  for (guint i = 0; i < n->n_latents; i++) {
    min[i] = n->latents[i].min;
    count[i] = n->latents[i].n_values;
    golomb[i] = n->latents[i].golomb;
    g_array_append_vals (cumulative, n->latents[i].cumulative, count[i] + 2);
  }
  st_gguf_writer_set_array (writer, RD_KEY_LATENTS ("min"), ST_GGUF_INT32,
      min, n->n_latents);
  st_gguf_writer_set_array (writer, RD_KEY_LATENTS ("count"), ST_GGUF_UINT32,
      count, n->n_latents);
  st_gguf_writer_set_array (writer, RD_KEY_LATENTS ("golomb"), ST_GGUF_UINT32,
      golomb, n->n_latents);
  st_gguf_writer_set_array (writer, RD_KEY_LATENTS ("cumulative"),
      ST_GGUF_UINT16, cumulative->data, cumulative->len);
}

void
rd_learned_networks_save (const RdLearnedNetworks * n, StGgufWriter * writer)
{
  guint32 numbers[3 * RD_NETWORK_MAX_LAYERS];

  for (guint i = 0; i < n->n_layers; i++) {
    numbers[3 * i] = n->layers[i].inputs;
    numbers[3 * i + 1] = n->layers[i].outputs;
    numbers[3 * i + 2] = n->layers[i].shift;
  }
  st_gguf_writer_set_string (writer, RD_KEY_ENTROPY, n->entropy);
  st_gguf_writer_set_uint32 (writer, RD_KEY_NETWORK_SET, n->set);
  st_gguf_writer_set_array (writer, RD_KEY_NETWORK_LAYERS, ST_GGUF_UINT32,
      numbers, 3 * n->n_layers);
  st_gguf_writer_set_array (writer, RD_KEY_NETWORK_UNITS, ST_GGUF_UINT32,
      n->units, RD_NETWORK_UNITS);
  st_gguf_writer_set_array (writer, RD_KEY_NETWORK_BIASES, ST_GGUF_INT32,
      n->biases, n->n_biases);
  st_gguf_writer_set_array (writer, RD_KEY_NETWORK_WEIGHTS, ST_GGUF_INT16,
      n->weights, n->n_weights);
  if (n->n_latents > 0)
    save_latents (n, writer);
}
