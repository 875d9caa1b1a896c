/* What an instruction set provides for products of values in bfloat16, and the layout that it works on.
 *
 * Factors are packed in tiles of RD_TILE_LINES lines by RD_TILE_DEPTH values, as pairs of values with consecutive k: a tile of the left factor is
 * [line][pair], one of the right factor [pair][line]. A panel is two tiles of lines, next to each other for each step of k. What a factor does not have
 * is zero.
 *
 * The order of sums is that of the instruction TDPBF16PS: over the 16 pairs of a tile one chain of the first elements' products and one of the
 * second ones', from zero on; their sum is added to what is there. Denormal values, on either side, are zero. (Intel 64 and IA-32 Architectures
 * Software Developer's Manual, volume 2, TDPBF16PS) */
#pragma once
#include "codec/training/product.h"

G_BEGIN_DECLS

#define RD_TILE_LINES 16
#define RD_TILE_PAIRS 16
#define RD_TILE_DEPTH (2 * RD_TILE_PAIRS)
/* Values of a tile. */
#define RD_TILE_VALUES (RD_TILE_LINES * RD_TILE_DEPTH)
#define RD_PANEL_LINES (2 * RD_TILE_LINES)

typedef struct
{
  const gchar *name;
  /* Around the calls of a product on one thread. */
  void (*begin) (void);
  void (*end) (void);
  /* tile = RD_TILE_LINES lines from @line on and RD_TILE_DEPTH values from @k on of @factor, of which there are @depth; by @pairs: [pair][line]. */
  void (*pack) (const RdOperand * factor, gsize depth, gsize line, gsize k, gboolean by_pairs, guint16 * tile);
  /* c (32, 32; row stride @stride) = or += left * right, panels of @steps tiles each. */
  void (*multiply) (const guint16 * left, const guint16 * right, gsize steps, gboolean accumulate, float *c, gsize stride);
} RdProductKernels;

extern const RdProductKernels rd_product_kernels_c;
/** rd_product_kernels_amx: NULL if this compiler, CPU or kernel does not have them. */
const RdProductKernels *rd_product_kernels_amx (void);

/** rd_product_bf16: rd_product() by @kernels. */
void rd_product_bf16 (const RdProductKernels * kernels, const RdProduct * product);

G_END_DECLS
