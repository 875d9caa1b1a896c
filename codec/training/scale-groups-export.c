/* The autoregressive networks in whole numbers. */
#include <math.h>

#include "codec/training/network-export.h"
#include "codec/training/scale-groups.h"

/* All groups add to the same sums. */
static int
in_bits (const RdScaleGroups * model)
{
  g_autofree double *sums = g_new0 (double, model->hidden);
  double weight = 0, sum = 0;

  for (guint g = 0; g + 1 < model->n_groups; g++) {
    const RdDense *layer = &model->in[g];

    weight = MAX (weight, rd_export_largest (layer));
    for (gsize o = 0; o < model->hidden; o++) {
      sums[o] += rd_export_reach (layer, o, RD_NETWORK_FEATURE_MAX,
          RD_NETWORK_ONE);
      sum = MAX (sum, sums[o]);
    }
  }
  return MIN (rd_export_bits_below (weight, G_MAXINT16),
      rd_export_bits_below (sum, RD_EXPORT_MAX_SUM));
}

RdLearnedNetworks *
rd_scale_groups_export (const RdScaleModel * base, guint set,
    float hidden_max, GError ** error)
{
  const RdScaleGroups *model = (const RdScaleGroups *) base;
  const int hidden = rd_export_bits_below ((double) hidden_max,
      RD_NETWORK_HIDDEN_MAX);
  const int in = in_bits (model);
  const guint n = model->n_groups - 1;
  RdLearnedNetworks *networks;
  RdNetworkLayer layers[2 * RD_SCALE_GROUPS];
  int out[RD_SCALE_GROUPS];

  for (guint g = 0; g < n; g++) {
    out[g] = rd_export_layer_bits (&model->out[g], RD_NETWORK_HIDDEN_MAX,
        ldexp (1, hidden));
    if (!rd_export_shape (&model->in[g], in, RD_EXPORT_FEATURE_BITS, hidden,
            &layers[2 * g], error)
        || !rd_export_shape (&model->out[g], out[g], hidden,
            RD_EXPORT_OCTAVE_BITS, &layers[2 * g + 1], error))
      return NULL;
  }
  networks = rd_export_networks_new (RD_NETWORKS_AUTOREGRESSIVE, set, layers,
      2 * n, error);
  if (networks == NULL)
    return NULL;
  for (guint g = 0; g < n; g++) {
    rd_export_layer (&model->in[g], in, RD_EXPORT_FEATURE_BITS, networks,
        2 * g);
    rd_export_layer (&model->out[g], out[g], hidden, networks, 2 * g + 1);
  }
  rd_export_units (networks->units);
  return networks;
}
