/* Code of this folder that is compiled once per instruction set. The entropy coder's choice (ST_KERNELS, tests) counts here, too. */
#pragma once
#include "codec/entropy/rans-private.h"

G_BEGIN_DECLS

#define RD_PANEL_COLS 32
#define RD_TILE_ROWS 4

/** RdTile: a part of a product. Element i of row r of the left factor is x[r * row_stride + i * line_stride]. */
typedef struct
{
  const gfloat *panel;          /* (lines, RD_PANEL_COLS) of the matrix */
  gsize lines;
  const gfloat *x;
  gsize row_stride, line_stride;
  gfloat *y;                    /* RD_PANEL_COLS columns of rows that are y_stride apart */
  gsize y_stride;
  gsize n_rows;                 /* 1 .. RD_TILE_ROWS */
} RdTile;

#define RD_NETWORK_COLS 16
#define RD_NETWORK_ROWS 4

/** RdNetworkTile: a part of a layer in whole numbers: inputs come in pairs, the two of row r at x[r * x_stride + 2 p]. No sum of theirs passes 32 bits. */
typedef struct
{
  const gint16 *panel;          /* (n_pairs, RD_NETWORK_COLS, 2) weights of as many outputs */
  gsize n_pairs;
  const gint16 *x;
  gsize x_stride;
  gint32 *sum;                  /* RD_NETWORK_COLS outputs of rows that are sum_stride apart */
  gsize sum_stride;
  gsize n_rows;                 /* 1 .. RD_NETWORK_ROWS */
} RdNetworkTile;

struct _RdContext;
struct _RdTrellis;

typedef struct
{
  /* Adds the products of @tile to y. */
  void (*multiply) (const RdTile * tile);
  /* y -= f x */
  void (*subtract) (gdouble * y, const gdouble * x, gdouble f, gsize n);
  /* rd_context_next(), rd_dequantise() */
  void (*context_next) (struct _RdContext * context, const gint32 * symbols, gsize j, guint16 * tables);
  gboolean (*dequantise) (const struct _RdContext * context, const gint32 * symbols, gfloat * coefficients);
  /* rd_trellis_steps(), rd_trellis_run() */
  guint (*steps) (const struct _RdTrellis * trellis, const gfloat * coefficients, gsize n, gfloat * value);
  void (*trellis_run) (const struct _RdTrellis * trellis, const gfloat * value, gint32 * symbols);
  /* Adds the products of @tile to its sums. */
  void (*network) (const RdNetworkTile * tile);
} RdLearnedKernels;

extern const RdLearnedKernels rd_learned_kernels_c, rd_learned_kernels_avx2, rd_learned_kernels_avx512;

const RdLearnedKernels *rd_learned_kernels (void);

G_END_DECLS
