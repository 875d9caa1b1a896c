/* The autoregressive networks in whole numbers. A layer's weights are multiplied by the largest power of two that keeps them within 16 bits and its sums within 32. */
#include <math.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/learned/parameters.h"
#include "codec/training/scale-groups.h"

#define FEATURE_BITS 8          /* RD_NETWORK_ONE */
#define OCTAVE_BITS 8           /* of a codec file's logarithms */
#define MAX_BITS 14             /* more than weights need */
/* Sums with their rounding, RD_NETWORK_MAX_RIGHT_SHIFT. */
#define MAX_SUM ((double) (1 << 30) - 65536)
/* What a scalar step is in steps of the trellis, whose symbol 1 is 2 of them. */
#define SCALAR_STEP (170.0 / 256)

typedef struct
{
  int in, out[RD_SCALE_GROUPS - 1];     /* bits of the weights behind the point */
  int hidden;                   /* of hidden values */
} Bits;

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

/* How large the sum of an output may be, in units of a weight of 1 times an input of 1; inputs reach @max and 1 is @one. */
static double
reach (const RdDense * layer, gsize o, double max, double one)
{
  double sum = 0;

  for (gsize i = 0; i < layer->inputs; i++)
    sum += fabs ((double) layer->w[o * layer->inputs + i]);
  return max * sum + one * (fabs (level_bias (layer, o))
      + (RD_LEARNED_LEVELS - 1) * fabs (level_slope (layer, o)))
      /* rounding of each */
      + 1;
}

static double
largest_weight (const RdDense * layer)
{
  double largest = 0;

  for (gsize i = 0; i < layer->outputs * layer->inputs; i++)
    largest = MAX (largest, fabs ((double) layer->w[i]));
  return largest;
}

/* Bits that keep @value below @bound. */
static int
bits_below (double value, double bound)
{
  return value > 0 ? (int) CLAMP (floor (log2 (bound / value)), -MAX_BITS,
      MAX_BITS) : MAX_BITS;
}

static int
in_bits (const RdScaleGroups * model)
{
  g_autofree double *sums = g_new0 (double, model->hidden);
  double weight = 0, sum = 0;

  for (guint g = 0; g + 1 < model->n_groups; g++) {
    const RdDense *layer = &model->in[g];

    weight = MAX (weight, largest_weight (layer));
    for (gsize o = 0; o < model->hidden; o++) {
      sums[o] += reach (layer, o, RD_NETWORK_FEATURE_MAX, RD_NETWORK_ONE);
      sum = MAX (sum, sums[o]);
    }
  }
  return MIN (bits_below (weight, G_MAXINT16), bits_below (sum, MAX_SUM));
}

static int
out_bits (const RdDense * layer, int hidden)
{
  double sum = 0;

  for (gsize o = 0; o < layer->outputs; o++)
    sum = MAX (sum, reach (layer, o, RD_NETWORK_HIDDEN_MAX, exp2 (hidden)));
  return MIN (bits_below (largest_weight (layer), G_MAXINT16),
      bits_below (sum, MAX_SUM));
}

static void
find_bits (const RdScaleGroups * model, float hidden_max, Bits * bits)
{
  bits->hidden = bits_below (hidden_max, RD_NETWORK_HIDDEN_MAX);
  bits->in = in_bits (model);
  for (guint g = 0; g + 1 < model->n_groups; g++)
    bits->out[g] = out_bits (&model->out[g], bits->hidden);
}

/* Sums have @bits more than weights. */
static void
put_layer (const RdDense * from, int weight_bits, int bits,
    gint16 * weights, gint32 * biases)
{
  for (gsize i = 0; i < from->outputs * from->inputs; i++)
    weights[i] = (gint16) lrint (ldexp ((double) from->w[i], weight_bits));
  for (gsize o = 0; o < from->outputs; o++) {
    biases[o] =
        (gint32) lrint (ldexp (level_bias (from, o), weight_bits + bits));
    biases[from->outputs + o] =
        (gint32) lrint (ldexp (level_slope (from, o), weight_bits + bits));
  }
}

/* One over a symbol's scale and half a step, as networks saw it in training. */
static void
put_units (gint32 * units)
{
  const double step = exp2 (SCALAR_STEP);

  for (guint i = 0; i < RD_LEARNED_SCALES; i++) {
    const double scale = exp2 ((double) i / 8 - 6);

    units[i] = (gint32) lrint (RD_NETWORK_UNIT / (scale + 0.5));
    units[RD_LEARNED_SCALES + i] =
        (gint32) lrint (RD_NETWORK_UNIT * (2 / step) / (scale / step + 0.5));
  }
}

/* Shifts that the file cannot have are of no use to anybody. */
static gboolean
set_shifts (const RdScaleGroups * model, const Bits * bits,
    RdNetworkLayer * layers, GError ** error)
{
  for (guint g = 0; g + 1 < model->n_groups; g++) {
    const int in = bits->in + FEATURE_BITS - bits->hidden;
    const int out = bits->out[g] + bits->hidden - OCTAVE_BITS;

    if (in < 0 || out < 0 || in > (int) RD_NETWORK_MAX_RIGHT_SHIFT
        || out > (int) RD_NETWORK_MAX_RIGHT_SHIFT) {
      g_set_error_literal (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
          "networks have weights or hidden values that do not fit into "
          "16 bits");
      return FALSE;
    }
    layers[2 * g] = (RdNetworkLayer) {
    .inputs = (guint) model->in[g].inputs,.outputs =
          (guint) model->hidden,.shift = (guint) in};
    layers[2 * g + 1] = (RdNetworkLayer) {
    .inputs = (guint) model->hidden,.outputs =
          (guint) model->out[g].outputs,.shift = (guint) out};
  }
  return TRUE;
}

RdLearnedNetworks *
rd_scale_groups_export (const RdScaleModel * base, guint set,
    float hidden_max, GError ** error)
{
  const RdScaleGroups *model = (const RdScaleGroups *) base;
  g_autoptr (RdLearnedNetworks) networks = NULL;
  RdNetworkLayer layers[2 * RD_SCALE_GROUPS];
  gint16 *weights;
  gint32 *biases;
  Bits bits;

  find_bits (model, hidden_max, &bits);
  if (!set_shifts (model, &bits, layers, error))
    return NULL;
  networks = rd_learned_networks_new (RD_NETWORKS_AUTOREGRESSIVE, set, layers,
      2 * (model->n_groups - 1));
  weights = networks->weights;
  biases = networks->biases;
  for (guint g = 0; g + 1 < model->n_groups; g++) {
    const RdDense *in = &model->in[g], *out = &model->out[g];

    put_layer (in, bits.in, FEATURE_BITS, weights, biases);
    weights += in->outputs * in->inputs;
    biases += 2 * in->outputs;
    put_layer (out, bits.out[g], bits.hidden, weights, biases);
    weights += out->outputs * out->inputs;
    biases += 2 * out->outputs;
  }
  put_units (networks->units);
  return g_steal_pointer (&networks);
}
