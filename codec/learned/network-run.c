#include "codec/learned/network-run.h"

#include <string.h>

/* From a symbol times a unit to a feature. */
#define FEATURE_SHIFT 4

G_STATIC_ASSERT (RD_NETWORK_UNIT >> FEATURE_SHIFT == RD_NETWORK_ONE);

RdNetworkRun *
rd_network_run_new (const RdLearnedNetworks * networks, gsize d)
{
  RdNetworkRun *run = g_new0 (RdNetworkRun, 1);
  const gsize width = networks->layers[0].outputs;
  const gsize largest = d / rd_networks_groups (networks) + 1;

  run->networks = networks;
  run->hidden_size = d;
  run->sums = g_new (gint32, RD_BLOCK_ROWS * width);
  run->hidden = g_new (gint16, width);
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
  g_free (run->hidden);
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
    run->hidden[o] = (gint16) CLAMP (round_shift (sums[o], in->shift), 0,
        RD_NETWORK_HIDDEN_MAX);
  }
  for (guint o = 0; o < out->outputs; o++) {
    const gint32 shift =
        round_shift (layer_sum (out, run->level, run->hidden, o), out->shift);

    run->shift[(at + o) * c->n + t] =
        CLAMP (shift, -RD_MAX_SHIFT, RD_MAX_SHIFT);
  }
}

void
rd_network_run_start (RdNetworkRun * run, const RdContext * c, guint level)
{
  const gsize first = rd_networks_group_start (run->hidden_size,
      rd_networks_groups (run->networks), 1);

  run->level = level;
  run->group = 1;
  memset (run->sums, 0,
      c->n * run->networks->layers[0].outputs * sizeof (gint32));
  memset (run->shift, 0, first * c->n * sizeof (gint32));
}

void
rd_network_run_next (RdNetworkRun * run, const RdContext * c,
    const gint32 * symbols, gsize j)
{
  const guint groups = rd_networks_groups (run->networks);

  if (run->group == groups
      || j != rd_networks_group_start (run->hidden_size, groups, run->group))
    return;
  for (gsize t = 0; t < c->n; t++)
    run_row (run, c, symbols, t);
  run->group++;
}
