/* Networks at work on the rows of a block. Private to codec/learned. */
#pragma once
#include "codec/learned/context.h"
#include "codec/learned/networks.h"

G_BEGIN_DECLS

/** RdNetworkRun: scratch of one thread; rows are those of a context. H = width of the sums. */
typedef struct
{
  const RdLearnedNetworks *networks;
  gsize hidden_size;
  guint level;
  guint group;                  /* whose scales come next */
  gint32 *sums;                 /* (RD_BLOCK_ROWS, H) */
  gint16 *hidden[2];            /* (widest layer) of one row */
  gint16 *features;             /* (2 size of a group, of all for latents) of one row */
  gint32 *shift;                /* (D, n) 1/256 octave */
} RdNetworkRun;

/** rd_network_run_new: @networks, checked, outlive it. */
RdNetworkRun *rd_network_run_new (const RdLearnedNetworks * networks, gsize d);
void rd_network_run_free (RdNetworkRun * run);

/** rd_network_run_start: for the rows of @context, at @level, with their @latents (n_latents, n), if any. */
void rd_network_run_start (RdNetworkRun * run, const RdContext * context, guint level, const gint32 * latents);
/** rd_network_run_next: shift of coefficient @j is there; @symbols (D, n) up to j - 1. j = 0, 1, 2, ... */
void rd_network_run_next (RdNetworkRun * run, const RdContext * context, const gint32 * symbols, gsize j);
/** rd_network_run_features: for encoders: features (2 D) of row @t of @symbols (D, n). */
void rd_network_run_features (RdNetworkRun * run, const RdContext * context, const gint32 * symbols, gsize t, gfloat * features);

G_END_DECLS
