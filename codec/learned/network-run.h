/* Networks at work on the rows of a block. Private to codec/learned. */
#pragma once
#include "codec/learned/context.h"
#include "codec/learned/networks.h"

G_BEGIN_DECLS

/** RdNetworkPanels: a layer's weights as kernels take them: RD_NETWORK_COLS outputs at a time, pairs of inputs, zeros where there are no more. */
typedef struct
{
  const RdNetworkLayer *layer;
  gsize n_pairs;
  gsize width;                  /* outputs, padded */
  gint16 *weights;              /* (width / RD_NETWORK_COLS, n_pairs, RD_NETWORK_COLS, 2) owned */
} RdNetworkPanels;

/** RdPackedNetworks: the layers of networks. Immutable. */
typedef struct
{
  const RdLearnedNetworks *networks;
  RdNetworkPanels *panels;      /* (n_layers) owned */
} RdPackedNetworks;

/** rd_packed_networks_new: of @networks, checked, which outlive it. NULL if there is no memory. */
RdPackedNetworks *rd_packed_networks_new (const RdLearnedNetworks * networks);
void rd_packed_networks_free (RdPackedNetworks * packed);

/** RdNetworkRun: scratch of one thread; rows are those of a context. */
typedef struct
{
  const RdLearnedNetworks *networks;
  const RdNetworkPanels *panels;        /* (n_layers) */
  gsize hidden_size;
  guint level;
  guint group;                  /* whose scales come next */
  gsize width;                  /* of rows in the arrays that follow: that of the widest layer, padded */
  gint32 *sums;                 /* (RD_BLOCK_ROWS, width) autoregressive: of all groups so far */
  gint32 *outputs;              /* (RD_BLOCK_ROWS, width) of one layer */
  gint16 *inputs[2];            /* (RD_BLOCK_ROWS, width) of one layer, and of the next */
  gint32 *shift;                /* (D, n) 1/256 octave */
} RdNetworkRun;

/** rd_network_run_new: @packed outlives it. */
RdNetworkRun *rd_network_run_new (const RdPackedNetworks * packed, gsize d);
void rd_network_run_free (RdNetworkRun * run);

/** rd_network_run_start: for the rows of @context, at @level, with their @latents (n_latents, n), if any. */
void rd_network_run_start (RdNetworkRun * run, const RdContext * context, guint level, const gint32 * latents);
/** rd_network_run_next: shift of coefficient @j is there; @symbols (D, n) up to j - 1. j = 0, 1, 2, ... */
void rd_network_run_next (RdNetworkRun * run, const RdContext * context, const gint32 * symbols, gsize j);
/** rd_network_run_features: for encoders: features (2 D) of row @t of @symbols (D, n). */
void rd_network_run_features (RdNetworkRun * run, const RdContext * context, const gint32 * symbols, gsize t, gfloat * features);

G_END_DECLS
