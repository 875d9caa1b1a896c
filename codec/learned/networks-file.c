/* Networks from and to a codec file. Errors do not name the file: the caller does. */
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

RdLearnedNetworks *
rd_learned_networks_load (const StGguf * gguf, GError ** error)
{
  const gchar *entropy = st_gguf_get_string (gguf, RD_KEY_ENTROPY);
  RdNetworkLayer layers[RD_NETWORK_MAX_LAYERS];
  g_autoptr (RdLearnedNetworks) networks = NULL;
  guint64 set = G_MAXUINT64;
  guint n_layers;

  if (entropy == NULL || !st_gguf_get_uint (gguf, RD_KEY_NETWORK_SET, &set)
      || set > G_MAXUINT16) {
    fail (error, RD_KEY_ENTROPY, "or " RD_KEY_NETWORK_SET " is not there");
    return NULL;
  }
  if (!read_layers (gguf, layers, &n_layers, error))
    return NULL;
  /* no more is allocated than the file holds */
  gsize total = 0;
  for (guint i = 0; i < n_layers; i++)
    total += (gsize) layers[i].inputs * layers[i].outputs;
  if (total != st_gguf_array_length (gguf, RD_KEY_NETWORK_WEIGHTS)) {
    fail (error, RD_KEY_NETWORK_WEIGHTS,
        "has not as many numbers as the layers");
    return NULL;
  }
  networks = rd_learned_networks_new (entropy, (guint) set, layers, n_layers);
  if (networks == NULL) {
    fail (error, RD_KEY_NETWORK_LAYERS,
        "has a layer of no inputs or outputs, or memory is short");
    return NULL;
  }
  if (!read_integers (gguf, RD_KEY_NETWORK_UNITS, RD_NETWORK_UNITS,
          0, RD_NETWORK_MAX_UNIT, networks->units, error)
      || !read_integers (gguf, RD_KEY_NETWORK_BIASES, networks->n_biases,
          -G_MAXINT32, G_MAXINT32, networks->biases, error)
      || !read_weights (gguf, networks, error))
    return NULL;
  return g_steal_pointer (&networks);
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
}
