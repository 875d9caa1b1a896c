/* The encoder's search for symbols (FORMAT.md sections 3 and 5). */
#pragma once
#include "codec/learned/context.h"

G_BEGIN_DECLS

#define RD_TRELLIS_COSTS 64

/** RdTrellis: a search over the coefficients of one row. Contexts follow the best path so far, an estimate of what the decoder will have. */
typedef struct _RdTrellis
{
  gsize hidden_size;
  const gfloat *bits[2];        /* of the two quantisers: (RD_LEARNED_SCALES, RD_TRELLIS_COSTS) lambda times bits of a magnitude */
  const gint32 *base, *weights, *magnitude;     /* as in RdContext */
  gint32 offset;
  gint32 *kept;                 /* (D, RD_TRELLIS_STATES), 32-byte aligned scratch */
} RdTrellis;

/** rd_trellis_run: magnitudes @value (D), in steps, to magnitudes of @symbols (D). */
void rd_trellis_run (RdTrellis * trellis, const gfloat * value, gint32 * symbols);

G_END_DECLS
