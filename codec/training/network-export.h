/* Layers in whole numbers: weights times a power of two, the largest one that keeps them within 16 bits and their sums within 32. Private to scale-*.c. */
#pragma once
#include "codec/learned/networks.h"
#include "codec/training/dense.h"

G_BEGIN_DECLS

#define RD_EXPORT_FEATURE_BITS 8        /* RD_NETWORK_ONE */
#define RD_EXPORT_OCTAVE_BITS 8 /* of a codec file's logarithms */
/* Of sums: half a unit for the rounding of each weight, times inputs of up to 4095, has room above. */
#define RD_EXPORT_MAX_SUM ((double) ((1 << 30) - (1 << 25)))

/** rd_export_bits_below: bits behind the point, 14 at most, that keep @value below @bound. */
int rd_export_bits_below (double value, double bound);
/** rd_export_reach: how large the sum of output @o may be for weights without bits behind the point; inputs reach @max and 1 is @one. */
double rd_export_reach (const RdDense * layer, gsize o, double max, double one);
double rd_export_largest (const RdDense * layer);
/** rd_export_layer_bits: of a layer's weights, for inputs as above. */
int rd_export_layer_bits (const RdDense * layer, double max, double one);

/** rd_export_shape: @layer for weights of @bits on inputs of @input_bits and outputs of @output_bits. INPUT error (RD_CODEC_ERROR) for a shift that files
 * cannot have. */
gboolean rd_export_shape (const RdDense * from, int bits, int input_bits, int output_bits, RdNetworkLayer * layer, GError ** error);
/** rd_export_networks_new: rd_learned_networks_new(); INPUT error (RD_CODEC_ERROR) for sizes that networks cannot have, or memory. */
RdLearnedNetworks *rd_export_networks_new (const gchar * entropy, guint set, const RdNetworkLayer * layers, guint n_layers, GError ** error);
/** rd_export_layer: weights and biases of layer @i of @networks. */
void rd_export_layer (const RdDense * from, int bits, int input_bits, RdLearnedNetworks * networks, guint i);
/** rd_export_units: one over a symbol's scale and half a step, as networks saw it in training. */
void rd_export_units (gint32 * units);

G_END_DECLS
