#include "codec/learned/network-run.h"

#include <string.h>

#include "codec/learned/instruction-set.h"

/* From a symbol times a unit to a feature. */
#define FEATURE_SHIFT 4

G_STATIC_ASSERT (RD_NETWORK_UNIT >> FEATURE_SHIFT == RD_NETWORK_ONE);

static gsize
pad (gsize n)
{
  return (n + RD_NETWORK_COLS - 1) / RD_NETWORK_COLS * RD_NETWORK_COLS;
}

/* FALSE if there is no memory. */
static gboolean
pack (const RdNetworkLayer * layer, RdNetworkPanels * panels)
{
  const gsize line = 2 * RD_NETWORK_COLS;

  panels->layer = layer;
  panels->n_pairs = ((gsize) layer->inputs + 1) / 2;
  panels->width = pad (layer->outputs);
  panels->weights = g_try_new0 (gint16, 2 * panels->n_pairs * panels->width);
  if (!panels->weights)
    return FALSE;
  for (gsize o = 0; o < layer->outputs; o++) {
    gint16 *panel = panels->weights
        + o / RD_NETWORK_COLS * panels->n_pairs * line
        + o % RD_NETWORK_COLS * 2;

    for (gsize i = 0; i < layer->inputs; i++)
      panel[i / 2 * line + i % 2] = layer->weights[o * layer->inputs + i];
  }
  return TRUE;
}

RdPackedNetworks *
rd_packed_networks_new (const RdLearnedNetworks * networks)
{
  RdPackedNetworks *packed = g_new0 (RdPackedNetworks, 1);

  packed->networks = networks;
  packed->panels = g_new0 (RdNetworkPanels, networks->n_layers);
  for (guint i = 0; i < networks->n_layers; i++) {
    if (!pack (&networks->layers[i], &packed->panels[i])) {
      rd_packed_networks_free (packed);
      return NULL;
    }
  }
  return packed;
}

void
rd_packed_networks_free (RdPackedNetworks * packed)
{
  if (!packed)
    return;
  for (guint i = 0; i < packed->networks->n_layers; i++)
    g_free (packed->panels[i].weights);
  g_free (packed->panels);
  g_free (packed);
}

RdNetworkRun *
rd_network_run_new (const RdPackedNetworks * packed, gsize d)
{
  const RdLearnedNetworks *networks = packed->networks;
  RdNetworkRun *run = g_new0 (RdNetworkRun, 1);
  gsize width = networks->n_latents > 0 ? 2 * d : 0;

  run->networks = networks;
  run->hidden_size = d;
  run->panels = packed->panels;
  for (guint i = 0; i < networks->n_layers; i++)
    width = MAX (width, MAX (networks->layers[i].inputs,
            networks->layers[i].outputs));
  run->width = pad (width);
  run->sums = g_new (gint32, RD_BLOCK_ROWS * run->width);
  run->outputs = g_new (gint32, RD_BLOCK_ROWS * run->width);
  for (guint i = 0; i < 2; i++)
    run->inputs[i] = g_new0 (gint16, RD_BLOCK_ROWS * run->width);
  run->shift = g_new (gint32, RD_BLOCK_ROWS * d);
  return run;
}

void
rd_network_run_free (RdNetworkRun * run)
{
  if (!run)
    return;
  g_free (run->sums);
  g_free (run->outputs);
  for (guint i = 0; i < 2; i++)
    g_free (run->inputs[i]);
  g_free (run->shift);
  g_free (run);
}

static gint32
round_shift (gint32 sum, guint shift)
{
  return (sum + (1 << shift >> 1)) >> shift;
}

/* Sums of @n rows of inputs @x: @sums are added to, or begin. */
static void
run_layer (const RdNetworkRun * run, const RdNetworkPanels * panels,
    const gint16 * x, gsize n, gboolean accumulate, gint32 * sums)
{
  const RdNetworkLayer *layer = panels->layer;
  const RdLearnedKernels *kernels = rd_learned_kernels ();

  for (gsize t = 0; t < n; t++) {
    gint32 *row = sums + t * run->width;

    if (!accumulate)
      memset (row, 0, panels->width * sizeof (gint32));
    for (gsize o = 0; o < layer->outputs; o++)
      row[o] += layer->bias[o] + (gint32) run->level * layer->slope[o];
  }
  for (gsize o = 0; o < panels->width; o += RD_NETWORK_COLS) {
    for (gsize t = 0; t < n; t += RD_NETWORK_ROWS) {
      const RdNetworkTile tile = {
        panels->weights + o * 2 * panels->n_pairs, panels->n_pairs,
        x + t * run->width, run->width, sums + t * run->width + o, run->width,
        MIN (RD_NETWORK_ROWS, n - t)
      };

      kernels->network (&tile);
    }
  }
}

/* What the next layer takes. */
static void
make_inputs (const RdNetworkRun * run, const RdNetworkLayer * layer,
    const gint32 * sums, gsize n, gint16 * x)
{
  for (gsize t = 0; t < n; t++) {
    const gint32 *row = sums + t * run->width;
    gint16 *to = x + t * run->width;

    for (gsize o = 0; o < layer->outputs; o++)
      to[o] = (gint16) CLAMP (round_shift (row[o], layer->shift), 0,
          RD_NETWORK_HIDDEN_MAX);
  }
}

/* Shifts of the coefficients from @first on, which the layer gives. */
static void
make_shifts (const RdNetworkRun * run, const RdNetworkLayer * layer, gsize n,
    gsize first)
{
  for (gsize o = 0; o < layer->outputs; o++) {
    gint32 *line = run->shift + (first + o) * n;

    for (gsize t = 0; t < n; t++) {
      const gint32 shift =
          round_shift (run->outputs[t * run->width + o], layer->shift);

      line[t] = CLAMP (shift, -RD_MAX_SHIFT, RD_MAX_SHIFT);
    }
  }
}

/* Features of row @t: coefficients @from .. @to - 1. */
static void
make_features (const RdNetworkRun * run, const RdContext * c,
    const gint32 * symbols, gsize from, gsize to, gsize t, gint16 * out)
{
  const gint32 *units = run->networks->units
      + (c->scalar ? 0 : RD_LEARNED_SCALES);

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

/* From the symbols of the group before. */
static void
run_group (RdNetworkRun * run, const RdContext * c, const gint32 * symbols)
{
  const RdLearnedNetworks *n = run->networks;
  const guint groups = rd_networks_groups (n), g = run->group;
  const RdNetworkPanels *in = &run->panels[2 * (g - 1)], *out = in + 1;
  const gsize d = run->hidden_size;
  const gsize from = rd_networks_group_start (d, groups, g - 1);
  const gsize at = rd_networks_group_start (d, groups, g);

  for (gsize t = 0; t < c->n; t++)
    make_features (run, c, symbols, from, at, t,
        run->inputs[0] + t * run->width);
  run_layer (run, in, run->inputs[0], c->n, TRUE, run->sums);
  make_inputs (run, in->layer, run->sums, c->n, run->inputs[1]);
  run_layer (run, out, run->inputs[1], c->n, FALSE, run->outputs);
  make_shifts (run, out->layer, c->n, at);
}

/* One layer after the other. */
static void
run_latents (RdNetworkRun * run, const RdContext * c, const gint32 * latents)
{
  const RdLearnedNetworks *n = run->networks;
  const guint last = n->n_layers - 1;

  for (gsize t = 0; t < c->n; t++)
    for (guint i = 0; i < n->n_latents; i++)
      run->inputs[0][t * run->width + i] =
          (gint16) CLAMP (latents[i * c->n + t], -RD_NETWORK_LATENT_MAX,
          RD_NETWORK_LATENT_MAX);
  for (guint i = 0; i <= last; i++) {
    run_layer (run, &run->panels[i], run->inputs[i % 2], c->n, FALSE,
        run->outputs);
    if (i < last)
      make_inputs (run, &n->layers[i], run->outputs, c->n,
          run->inputs[(i + 1) % 2]);
  }
  make_shifts (run, &n->layers[last], c->n, 0);
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
    run_latents (run, c, latents);
    return;
  }
  memset (run->sums, 0, c->n * run->width * sizeof (gint32));
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
  run_group (run, c, symbols);
  run->group++;
}

void
rd_network_run_features (RdNetworkRun * run, const RdContext * c,
    const gint32 * symbols, gsize t, gfloat * features)
{
  make_features (run, c, symbols, 0, run->hidden_size, t, run->inputs[0]);
  for (gsize i = 0; i < 2 * run->hidden_size; i++)
    features[i] = (gfloat) run->inputs[0][i] / RD_NETWORK_ONE;
}
