#include "codec/learned/network-run.h"

#include <string.h>

/* From a symbol times a unit to a feature. */
#define FEATURE_SHIFT 4

G_STATIC_ASSERT (RD_NETWORK_UNIT >> FEATURE_SHIFT == RD_NETWORK_ONE);

RdNetworkRun *
rd_network_run_new (const RdLearnedNetworks * networks, gsize d)
{
  RdNetworkRun *run = g_new0 (RdNetworkRun, 1);
  const gsize largest = networks->n_latents > 0 ? d :
      d / rd_networks_groups (networks) + 1;
  gsize width = networks->layers[0].inputs;

  for (guint i = 0; i < networks->n_layers; i++)
    width = MAX (width, networks->layers[i].outputs);

  run->networks = networks;
  run->hidden_size = d;
  run->sums = g_new (gint32, RD_BLOCK_ROWS * width);
  for (guint i = 0; i < 2; i++)
    run->hidden[i] = g_new (gint16, width);
  run->features = g_new (gint16, 2 * largest);
  run->shift = g_new (gint32, RD_BLOCK_ROWS * d);
  return run;
}

void
rd_network_run_free (RdNetworkRun * run)
{
  if (!run)
    return;
  g_free (run->sums);
  for (guint i = 0; i < 2; i++)
    g_free (run->hidden[i]);
  g_free (run->features);
  g_free (run->shift);
  g_free (run);
}

static gint32
dot (const gint16 * restrict a, const gint16 * restrict b, gsize n)
{
  gint32 sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += (gint32) a[i] * b[i];
  return sum;
}

static gint32
layer_sum (const RdNetworkLayer * layer, guint level, const gint16 * x, gsize o)
{
  return layer->bias[o] + (gint32) level *layer->slope[o]
  + dot (layer->weights + o * layer->inputs, x, layer->inputs);
}

static gint32
round_shift (gint32 sum, guint shift)
{
  return (sum + (1 << shift >> 1)) >> shift;
}

/* Shift of coefficient @j in row @t from output @o of a layer. */
static void
set_shift (RdNetworkRun * run, const RdContext * c,
    const RdNetworkLayer * layer, const gint16 * x, gsize o, gsize j, gsize t)
{
  const gint32 shift =
      round_shift (layer_sum (layer, run->level, x, o), layer->shift);

  run->shift[j * c->n + t] = CLAMP (shift, -RD_MAX_SHIFT, RD_MAX_SHIFT);
}

/* Features of row @t: coefficients @from .. @to - 1. */
static void
make_features (const RdNetworkRun * run, const RdContext * c,
    const gint32 * symbols, gsize from, gsize to, gsize t)
{
  const gint32 *units = run->networks->units
      + (c->scalar ? 0 : RD_LEARNED_SCALES);
  gint16 *out = run->features;

  for (gsize j = from; j < to; j++) {
    const gint32 scale = (c->base[j] - c->offset[t] + RD_SCALE_BIAS) >> 5;
    const gint32 unit = units[CLAMP (scale, 0, RD_LEARNED_SCALES - 1)];
    const gint32 k = CLAMP (symbols[j * c->n + t], -RD_NETWORK_SYMBOL_MAX,
        RD_NETWORK_SYMBOL_MAX);
    const gint32 f = CLAMP (round_shift (k * unit, FEATURE_SHIFT),
        -RD_NETWORK_FEATURE_MAX, RD_NETWORK_FEATURE_MAX);

    *out++ = (gint16) f;
    *out++ = (gint16) ABS (f);
  }
}

static void
run_row (RdNetworkRun * run, const RdContext * c, const gint32 * symbols,
    gsize t)
{
  const RdLearnedNetworks *n = run->networks;
  const guint groups = rd_networks_groups (n), g = run->group;
  const RdNetworkLayer *in = &n->layers[2 * (g - 1)], *out = in + 1;
  const gsize d = run->hidden_size;
  const gsize at = rd_networks_group_start (d, groups, g);
  gint32 *sums = run->sums + t * in->outputs;

  make_features (run, c, symbols, rd_networks_group_start (d, groups, g - 1),
      at, t);
  for (guint o = 0; o < in->outputs; o++) {
    sums[o] += layer_sum (in, run->level, run->features, o);
    run->hidden[0][o] = (gint16) CLAMP (round_shift (sums[o], in->shift), 0,
        RD_NETWORK_HIDDEN_MAX);
  }
  for (guint o = 0; o < out->outputs; o++) {
    set_shift (run, c, out, run->hidden[0], o, at + o, t);
  }
}

/* One layer after the other, from the latents of row @t. */
static void
run_latents (RdNetworkRun * run, const RdContext * c, const gint32 * latents,
    gsize t)
{
  const RdLearnedNetworks *n = run->networks;
  const guint last = n->n_layers - 1;

  for (guint i = 0; i < n->n_latents; i++)
    run->hidden[0][i] = (gint16) CLAMP (latents[i * c->n + t],
        -RD_NETWORK_LATENT_MAX, RD_NETWORK_LATENT_MAX);
  for (guint i = 0; i < last; i++) {
    const RdNetworkLayer *layer = &n->layers[i];

    for (guint o = 0; o < layer->outputs; o++) {
      const gint32 sum = layer_sum (layer, run->level, run->hidden[i % 2], o);

      run->hidden[(i + 1) % 2][o] =
          (gint16) CLAMP (round_shift (sum, layer->shift), 0,
          RD_NETWORK_HIDDEN_MAX);
    }
  }
  for (guint o = 0; o < n->layers[last].outputs; o++)
    set_shift (run, c, &n->layers[last], run->hidden[last % 2], o, o, t);
}

void
rd_network_run_start (RdNetworkRun * run, const RdContext * c, guint level,
    const gint32 * latents)
{
  const gsize first = rd_networks_group_start (run->hidden_size,
      rd_networks_groups (run->networks), 1);

  run->level = level;
  run->group = 1;
  if (run->networks->n_latents > 0) {
    for (gsize t = 0; t < c->n; t++)
      run_latents (run, c, latents, t);
    return;
  }
  memset (run->sums, 0,
      c->n * run->networks->layers[0].outputs * sizeof (gint32));
  memset (run->shift, 0, first * c->n * sizeof (gint32));
}

void
rd_network_run_next (RdNetworkRun * run, const RdContext * c,
    const gint32 * symbols, gsize j)
{
  const guint groups = rd_networks_groups (run->networks);

  if (run->networks->n_latents > 0 || run->group == groups
      || j != rd_networks_group_start (run->hidden_size, groups, run->group))
    return;
  for (gsize t = 0; t < c->n; t++)
    run_row (run, c, symbols, t);
  run->group++;
}

void
rd_network_run_features (RdNetworkRun * run, const RdContext * c,
    const gint32 * symbols, gsize t, gfloat * features)
{
  make_features (run, c, symbols, 0, run->hidden_size, t);
  for (gsize i = 0; i < 2 * run->hidden_size; i++)
    features[i] = (gfloat) run->features[i] / RD_NETWORK_ONE;
}
