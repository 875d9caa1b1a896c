#include "codec/training/network-export.h"

#include <math.h>

#include "codec/learned/parameters.h"

#define MAX_BITS 14             /* more than weights need */
/* What a scalar step is in steps of the trellis, whose symbol 1 is 2 of them. */
#define SCALAR_STEP (170.0 / 256)

static double
level_bias (const RdDense * layer, gsize o)
{
  return (double) layer->b[o] - (double) layer->slope[o];
}

static double
level_slope (const RdDense * layer, gsize o)
{
  return (double) layer->slope[o] / 64;
}

double
rd_export_reach (const RdDense * layer, gsize o, double max, double one)
{
  double sum = 0;

  for (gsize i = 0; i < layer->inputs; i++)
    sum += fabs ((double) layer->w[o * layer->inputs + i]);
  return max * sum + one * (fabs (level_bias (layer, o))
      + (RD_LEARNED_LEVELS - 1) * fabs (level_slope (layer, o)))
      /* rounding of each */
      + 1;
}

double
rd_export_largest (const RdDense * layer)
{
  double largest = 0;

  for (gsize i = 0; i < layer->outputs * layer->inputs; i++)
    largest = MAX (largest, fabs ((double) layer->w[i]));
  return largest;
}

int
rd_export_bits_below (double value, double bound)
{
  return value > 0 ? (int) CLAMP (floor (log2 (bound / value)), -MAX_BITS,
      MAX_BITS) : MAX_BITS;
}

int
rd_export_layer_bits (const RdDense * layer, double max, double one)
{
  double sum = 0;

  for (gsize o = 0; o < layer->outputs; o++)
    sum = MAX (sum, rd_export_reach (layer, o, max, one));
  return MIN (rd_export_bits_below (rd_export_largest (layer), G_MAXINT16),
      rd_export_bits_below (sum, RD_EXPORT_MAX_SUM));
}

gboolean
rd_export_shape (const RdDense * from, int bits, int input_bits,
    int output_bits, RdNetworkLayer * layer, GError ** error)
{
  const int shift = bits + input_bits - output_bits;

  *layer = (RdNetworkLayer) {
  .inputs = (guint) from->inputs,.outputs = (guint) from->outputs,.shift =
        (guint) shift};
  if (shift >= 0 && shift <= (int) RD_NETWORK_MAX_RIGHT_SHIFT)
    return TRUE;
  g_set_error_literal (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
      "networks have weights or hidden values that do not fit into 16 bits");
  return FALSE;
}

RdLearnedNetworks *
rd_export_networks_new (const gchar * entropy, guint set,
    const RdNetworkLayer * layers, guint n_layers, GError ** error)
{
  RdLearnedNetworks *networks =
      rd_learned_networks_new (entropy, set, layers, n_layers);

  if (networks == NULL)
    g_set_error_literal (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "networks are too large for a codec file or for memory");
  return networks;
}

/* Sums have the bits of both. */
void
rd_export_layer (const RdDense * from, int bits, int input_bits,
    RdLearnedNetworks * networks, guint i)
{
  const RdNetworkLayer *layer = &networks->layers[i];
  gint16 *weights = networks->weights + (layer->weights - networks->weights);
  gint32 *biases = networks->biases + (layer->bias - networks->biases);

  for (gsize k = 0; k < from->outputs * from->inputs; k++)
    weights[k] = (gint16) lrint (ldexp ((double) from->w[k], bits));
  for (gsize o = 0; o < from->outputs; o++) {
    biases[o] =
        (gint32) lrint (ldexp (level_bias (from, o), bits + input_bits));
    biases[from->outputs + o] =
        (gint32) lrint (ldexp (level_slope (from, o), bits + input_bits));
  }
}

void
rd_export_units (gint32 * units)
{
  const double step = exp2 (SCALAR_STEP);

  for (guint i = 0; i < RD_LEARNED_SCALES; i++) {
    const double scale = exp2 ((double) i / 8 - 6);

    units[i] = (gint32) lrint (RD_NETWORK_UNIT / (scale + 0.5));
    units[RD_LEARNED_SCALES + i] =
        (gint32) lrint (RD_NETWORK_UNIT * (2 / step) / (scale / step + 0.5));
  }
}
