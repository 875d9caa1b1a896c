#include "codec/learned/networks.h"

#include <string.h>

#include "codec/float-bits.h"
#include "codec/learned/latents.h"
#include "codec/learned/parameters.h"

/* Tables and the encoders' network of a hyper-prior. */
static gboolean
make_latents (RdLearnedNetworks * n)
{
  if (n->n_layers == 0
      || !g_str_has_prefix (n->entropy, RD_NETWORKS_HYPERPRIOR))
    return TRUE;
  n->n_latents = n->layers[0].inputs;
  if (n->n_latents > RD_NETWORK_MAX_LATENTS)
    return FALSE;
  n->latents = g_new0 (RdLearnedTable, n->n_latents);
  n->n_analysis = rd_latents_n_values (n->layers[n->n_layers - 1].outputs,
      n->n_latents);
  n->analysis = g_try_new0 (gfloat, n->n_analysis);
  return n->analysis != NULL;
}

/* Up to 2^36, which is more than a gsize of 32 bits holds. */
guint64
rd_network_layers_weights (const RdNetworkLayer * layers, guint n_layers)
{
  guint64 total = 0;

  for (guint i = 0; i < n_layers; i++)
    total += (guint64) layers[i].inputs * layers[i].outputs;
  return total;
}

RdLearnedNetworks *
rd_learned_networks_new (const gchar * entropy, guint set,
    const RdNetworkLayer * layers, guint n_layers)
{
  g_autoptr (RdLearnedNetworks) networks = g_new0 (RdLearnedNetworks, 1);
  const guint64 n_weights = rd_network_layers_weights (layers, n_layers);
  gsize weights = 0, biases = 0;

  /* files are read into as many integers of 32 bits */
  if (n_weights > G_MAXSIZE / sizeof (gint32))
    return NULL;
  for (guint i = 0; i < n_layers; i++) {
    const guint inputs = layers[i].inputs, outputs = layers[i].outputs;

    if (inputs < 1 || inputs > RD_NETWORK_MAX_WIDTH || outputs < 1
        || outputs > RD_NETWORK_MAX_WIDTH)
      return NULL;
    biases += 2 * (gsize) outputs;
  }
  networks->entropy = g_strdup (entropy);
  networks->set = set;
  networks->n_layers = n_layers;
  networks->layers = g_memdup2 (layers, n_layers * sizeof *layers);
  networks->units = g_new0 (gint32, RD_NETWORK_UNITS);
  networks->n_weights = (gsize) n_weights;
  networks->n_biases = biases;
  networks->weights = g_try_new0 (gint16, MAX (networks->n_weights, 1));
  networks->biases = g_new0 (gint32, MAX (biases, 1));
  if (networks->weights == NULL || !make_latents (networks))
    return NULL;
  weights = biases = 0;
  for (guint i = 0; i < n_layers; i++) {
    RdNetworkLayer *layer = &networks->layers[i];

    layer->weights = networks->weights + weights;
    layer->bias = networks->biases + biases;
    layer->slope = layer->bias + layer->outputs;
    weights += (gsize) layer->inputs * layer->outputs;
    biases += 2 * (gsize) layer->outputs;
  }
  return g_steal_pointer (&networks);
}

void
rd_learned_networks_free (RdLearnedNetworks * networks)
{
  if (!networks)
    return;
  for (guint i = 0; networks->latents != NULL && i < networks->n_latents; i++)
    g_free (networks->latents[i].cumulative);
  g_free (networks->latents);
  g_free (networks->analysis);
  g_free (networks->entropy);
  g_free (networks->layers);
  g_free (networks->units);
  g_free (networks->weights);
  g_free (networks->biases);
  g_free (networks);
}

RdLearnedNetworks *
rd_learned_networks_copy (const RdLearnedNetworks * networks)
{
  RdLearnedNetworks *copy;

  if (!networks)
    return NULL;
  copy = rd_learned_networks_new (networks->entropy, networks->set,
      networks->layers, networks->n_layers);
  memcpy (copy->units, networks->units, RD_NETWORK_UNITS * sizeof (gint32));
  memcpy (copy->weights, networks->weights,
      networks->n_weights * sizeof (gint16));
  memcpy (copy->biases, networks->biases, networks->n_biases * sizeof (gint32));
  if (copy->latents == NULL)
    return copy;
  for (guint i = 0; i < networks->n_latents; i++) {
    copy->latents[i] = networks->latents[i];
    copy->latents[i].cumulative = g_memdup2 (networks->latents[i].cumulative,
        (networks->latents[i].n_values + 2) * sizeof (guint16));
  }
  if (copy->analysis != NULL)
    memcpy (copy->analysis, networks->analysis,
        networks->n_analysis * sizeof (gfloat));
  return copy;
}

static gboolean
fail (GError ** error, const gchar * what)
{
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT, "networks: %s",
      what);
  return FALSE;
}

/* Adds to @reach (outputs) how large the sums of a layer may be, for inputs of up to @max. */
static void
add_reach (const RdNetworkLayer * layer, gint64 max, gint64 * reach)
{
  const gint16 *w = layer->weights;

  for (guint o = 0; o < layer->outputs; o++) {
    gint64 sum = ABS ((gint64) layer->bias[o])
        + (RD_LEARNED_LEVELS - 1) * ABS ((gint64) layer->slope[o]);

    for (guint i = 0; i < layer->inputs; i++, w++)
      sum += max * ABS ((gint64) (*w));
    reach[o] += sum;
  }
}

/* With what is added for rounding, sums are below 2^31. */
static gboolean
check_reach (const RdNetworkLayer * layer, const gint64 * reach,
    GError ** error)
{
  for (guint o = 0; o < layer->outputs; o++) {
    if (reach[o] >= (G_GINT64_CONSTANT (1) << 31) -
        (G_GINT64_CONSTANT (1) << RD_NETWORK_MAX_RIGHT_SHIFT))
      return fail (error, "a sum may be larger than 32 bits hold");
  }
  return layer->shift <= RD_NETWORK_MAX_RIGHT_SHIFT
      || fail (error, "a sum is shifted by more than 30 bits");
}

static gboolean
check_chain (const RdLearnedNetworks * n, gsize d, GError ** error)
{
  if (n->n_layers < 1 || n->n_layers > RD_NETWORK_MAX_LAYERS
      || n->layers[n->n_layers - 1].outputs != d)
    return fail (error, "the last layer does not go with the hidden size");
  for (guint i = 1; i < n->n_layers; i++) {
    if (n->layers[i].inputs != n->layers[i - 1].outputs)
      return fail (error, "a layer's shape does not go with the one before");
  }
  if (rd_float_max_abs_bits (n->analysis, n->n_analysis)
      >= RD_FLOAT_INFINITY_BITS)
    return fail (error, "the analysis holds NaN or infinity");
  for (guint i = 0; i < n->n_latents; i++) {
    if (n->latents[i].cumulative == NULL)
      return fail (error, "a latent has no table");
  }
  for (guint i = 0; i < n->n_layers; i++) {
    const RdNetworkLayer *layer = &n->layers[i];
    g_autofree gint64 *reach = g_new0 (gint64, layer->outputs);

    add_reach (layer, i == 0 ? RD_NETWORK_LATENT_MAX : RD_NETWORK_HIDDEN_MAX,
        reach);
    if (!check_reach (layer, reach, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_shapes (const RdLearnedNetworks * n, gsize d, GError ** error)
{
  const guint groups = rd_networks_groups (n);

  if (n->n_layers < 2 || n->n_layers > RD_NETWORK_MAX_LAYERS
      || n->n_layers % 2 != 0 || groups > d)
    return fail (error, "the number of layers is not twice that of the groups "
        "behind the first");
  for (guint g = 0; g + 1 < groups; g++) {
    const RdNetworkLayer *in = &n->layers[2 * g], *out = in + 1;
    const gsize from = rd_networks_group_start (d, groups, g);
    const gsize to = rd_networks_group_start (d, groups, g + 1);
    const gsize next = rd_networks_group_start (d, groups, g + 2);

    if (in->inputs != 2 * (to - from) || out->outputs != next - to
        || in->outputs != n->layers[0].outputs || out->inputs != in->outputs)
      return fail (error, "a layer's shape does not go with the hidden size "
          "and the other layers");
  }
  return TRUE;
}

gboolean
rd_learned_networks_check (const RdLearnedNetworks * n, guint hidden_size,
    guint n_sets, GError ** error)
{
  g_autofree gint64 *sums = NULL, *reach = NULL;

  if (n->n_latents == 0
      && g_strcmp0 (n->entropy, RD_NETWORKS_AUTOREGRESSIVE) != 0)
    return fail (error, "the entropy model is not one that is known");
  if (n->set >= n_sets)
    return fail (error, "they are for a set that is not there");
  for (guint i = 0; i < RD_NETWORK_UNITS; i++) {
    if (n->units[i] < 0 || n->units[i] > RD_NETWORK_MAX_UNIT)
      return fail (error, "a unit is not between 0 and 16384");
  }
  if (n->n_latents > 0)
    return check_chain (n, hidden_size, error);
  if (!check_shapes (n, hidden_size, error))
    return FALSE;
  sums = g_new0 (gint64, n->layers[0].outputs);
  reach = g_new (gint64, hidden_size);
  for (guint i = 0; i < n->n_layers; i += 2) {
    const RdNetworkLayer *in = &n->layers[i], *out = in + 1;

    memset (reach, 0, hidden_size * sizeof *reach);
    add_reach (in, RD_NETWORK_FEATURE_MAX, sums);
    add_reach (out, RD_NETWORK_HIDDEN_MAX, reach);
    if (!check_reach (in, sums, error) || !check_reach (out, reach, error))
      return FALSE;
  }
  return TRUE;
}
