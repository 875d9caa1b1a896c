/* Code of this folder that is compiled once per instruction set. The entropy coder's choice (ST_KERNELS, tests) counts here, too. */
#pragma once
#include "codec/entropy/rans-private.h"

G_BEGIN_DECLS

/** RdTransformTile: adds to @n_rows (up to RD_TILE_ROWS) rows of y, RD_PANEL_COLS columns each, the products of x with a panel. */
typedef void (*RdTransformTile) (const gfloat * panel, gsize rows, const gfloat * x, gsize ldx, gfloat * y, gsize n_rows);

struct _RdContext;
struct _RdTrellis;

typedef struct
{
  RdTransformTile tile;
  void (*context_next) (struct _RdContext * context, const gint32 * symbols, gsize j, guint16 * tables);
  /* y -= f x */
  void (*subtract) (gdouble * y, const gdouble * x, gdouble f, gsize n);
  void (*trellis_run) (struct _RdTrellis * trellis, const gfloat * value, gint32 * symbols);
} RdLearnedKernels;

extern const RdLearnedKernels rd_learned_kernels_c, rd_learned_kernels_avx2, rd_learned_kernels_avx512;

const RdLearnedKernels *rd_learned_kernels (void);

#define RD_PANEL_COLS 32
#define RD_TILE_ROWS 4

G_END_DECLS
