/* The network with which encoders make the latents of a hyper-prior: floats, for decoders never run it. Private to codec/learned and codec/training.
 *
 * Its numbers, in the order of a file: for i = 0 .. 3 a projection from width i to width i + 1, widths being 2 D, D / 2, D / 4, D / 8 (8 at least) and the number
 * of latents: matrix, bias, slope; behind each but the last a block of that width W: two norms (W), the matrices of query, key, value and output (W x W), a layer to
 * 2 W and one back, each matrix, bias, slope. Matrices have a row for each input. */
#pragma once
#include "codec/learned/networks.h"

G_BEGIN_DECLS

#define RD_LATENTS_BLOCKS 3
#define RD_LATENTS_EPSILON 1e-5f

/** rd_latents_width: width @i, 0 .. RD_LATENTS_BLOCKS. */
static inline gsize
rd_latents_width (gsize hidden_size, guint i)
{
  return i == 0 ? 2 * hidden_size : MAX (hidden_size >> i, 8);
}

/** rd_latents_heads: of the attention of a block. */
static inline gsize
rd_latents_heads (gsize width)
{
  return width % 4 == 0 ? 4 : 1;
}

/** rd_latents_n_values: numbers of the network. */
gsize rd_latents_n_values (gsize d, gsize n_latents);

/** RdLatents: the network made ready; immutable. */
typedef struct _RdLatents RdLatents;

/** rd_latents_new: of @networks with latents, which outlive it. NULL if there is no memory. */
RdLatents *rd_latents_new (const RdLearnedNetworks * networks, gsize d);
void rd_latents_free (RdLatents * latents);

/** rd_latents_run: z (n, latents) of @features (n, 2 D) of one block's rows at @level. */
void rd_latents_run (const RdLatents * latents, const gfloat * features, gsize n, guint level, gfloat * z);

G_END_DECLS
