/* A hyper-prior for codec files: layers in whole numbers, tables for densities, and the encoders' network as it is. */
#include <math.h>
#include <string.h>

#include "codec/learned/latents.h"
#include "codec/learned/parameters.h"
#include "codec/training/network-export.h"
#include "codec/training/scale-latent.h"

/* What is less likely is left to the escape. */
#define RARE (1.0 / (4 * RD_TABLE_TOTAL))
#define COUNT_BITS 40
#define REACH RD_NETWORK_LATENT_MAX

/* ---- tables ---- */

static gboolean
put_table (const RdScaleLatent * model, gsize channel, RdLearnedTable * table,
    GError ** error)
{
  const RdPriorClass *prior = model->prior;
  const double *derived = model->derived + channel * prior->n_derived;
  guint64 counts[2 * REACH + 2];
  gint32 low = REACH, high = -REACH;
  double rest = 1;
  guint n = 0;

  for (gint32 z = -REACH; z <= REACH; z++) {
    if (prior->interval (derived, z - 0.5, z + 0.5) < RARE)
      continue;
    low = MIN (low, z);
    high = z;
  }
  if (low > high)
    low = high = 0;
  for (gint32 z = low; z <= high; z++) {
    const double p = prior->interval (derived, z - 0.5, z + 0.5);

    counts[n++] = (guint64) ldexp (MAX (p, 0), COUNT_BITS) + 1;
    rest -= p;
  }
  counts[n] = (guint64) ldexp (MAX (rest, 0), COUNT_BITS) + 1;
  *table = (RdLearnedTable) {
  low, n, 0, g_new (guint16, n + 2)};
  return rd_cumulative_from_counts (counts, n + 1, table->cumulative, error);
}

/* ---- the encoders' network ---- */

/* With a row for each input. */
static float *
put_matrix (const float *w, gsize inputs, gsize outputs, float *to)
{
  for (gsize i = 0; i < inputs; i++)
    for (gsize o = 0; o < outputs; o++)
      *to++ = w[o * inputs + i];
  return to;
}

static float *
put_floats (const float *from, gsize n, float *to)
{
  memcpy (to, from, n * sizeof (float));
  return to + n;
}

static float *
put_dense (const RdDense * layer, float *to)
{
  to = put_matrix (layer->w, layer->inputs, layer->outputs, to);
  to = put_floats (layer->b, layer->outputs, to);
  return put_floats (layer->slope, layer->outputs, to);
}

static float *
put_block (const RdAnalysisBlock * block, float *to)
{
  const gsize w = block->width;

  to = put_floats (block->norm[0], w, to);
  to = put_floats (block->norm[1], w, to);
  to = put_matrix (block->q, w, w, to);
  to = put_matrix (block->k, w, w, to);
  to = put_matrix (block->v, w, w, to);
  to = put_matrix (block->o, w, w, to);
  return put_dense (&block->down, put_dense (&block->up, to));
}

static void
put_analysis (const RdAnalysis * analysis, float *to)
{
  for (guint i = 0; i <= RD_ANALYSIS_BLOCKS; i++) {
    to = put_dense (&analysis->in[i], to);
    if (i < RD_ANALYSIS_BLOCKS)
      to = put_block (&analysis->blocks[i], to);
  }
}

/* ---- all of it ---- */

RdLearnedNetworks *
rd_scale_latent_export (const RdScaleModel * base, guint set,
    float hidden_max, GError ** error)
{
  const RdScaleLatent *model = (const RdScaleLatent *) base;
  g_autofree gchar *name =
      g_strconcat (RD_NETWORKS_HYPERPRIOR, model->prior->name, NULL);
  g_autoptr (RdLearnedNetworks) networks = NULL;
  RdNetworkLayer layers[RD_LATENT_LAYERS];
  int bits[RD_LATENT_LAYERS], in[RD_LATENT_LAYERS + 1] = { 0 };

  for (guint i = 0; i < RD_LATENT_LAYERS; i++) {
    const gboolean last = i + 1 == RD_LATENT_LAYERS;

    bits[i] = rd_export_layer_bits (&model->synthesis[i],
        i == 0 ? RD_NETWORK_LATENT_MAX : RD_NETWORK_HIDDEN_MAX,
        ldexp (1, in[i]));
    /* no more than the sums have */
    in[i + 1] = last ? RD_EXPORT_OCTAVE_BITS : MIN (bits[i] + in[i],
        rd_export_bits_below ((double) hidden_max, RD_NETWORK_HIDDEN_MAX));
    if (!rd_export_shape (&model->synthesis[i], bits[i], in[i], in[i + 1],
            &layers[i], error))
      return NULL;
  }
  networks = rd_export_networks_new (name, set, layers, RD_LATENT_LAYERS,
      error);
  if (networks == NULL)
    return NULL;
  for (guint i = 0; i < RD_LATENT_LAYERS; i++)
    rd_export_layer (&model->synthesis[i], bits[i], in[i], networks, i);
  for (guint c = 0; c < model->n_latents; c++) {
    if (!put_table (model, c, &networks->latents[c], error))
      return NULL;
  }
  g_assert (networks->n_analysis ==
      rd_latents_n_values (base->hidden_size, model->n_latents));
  put_analysis (&model->analysis, networks->analysis);
  rd_export_units (networks->units);
  return g_steal_pointer (&networks);
}
