/* The encoder's search for symbols (FORMAT.md sections 3 and 5), of eight rows at a time. */
#pragma once
#include "codec/learned/context.h"

G_BEGIN_DECLS

#define RD_TRELLIS_COSTS 64
#define RD_TRELLIS_ROWS 8
/* Beyond this many steps a row goes as it is: the format allows 2^22. */
#define RD_MAX_STEPS 0x1p20f

/** RdTrellis: what the search knows of its rows. Contexts follow the best path so far, an estimate of what the decoder will have. */
typedef struct _RdTrellis
{
  gsize hidden_size;
  const gfloat *bits[2];        /* of the two quantisers: (RD_LEARNED_SCALES, RD_TRELLIS_COSTS) lambda times bits of a magnitude */
  const gint32 *log_step;       /* (D) for a token step of 0 */
  const gint32 *base, *weights, *magnitude;     /* as in RdContext */
  gint32 offset[RD_TRELLIS_ROWS];       /* token steps, 1/256 octave */
  gint32 *decisions;            /* (D, RD_TRELLIS_ROWS) scratch */
} RdTrellis;

/** rd_trellis_steps: @value (D, RD_TRELLIS_ROWS) = @coefficients (@n, D) in steps; rows that are not there repeat the first one. Returns a
 * mask of the rows in which all are below RD_MAX_STEPS. */
guint rd_trellis_steps (const RdTrellis * trellis, const gfloat * coefficients, gsize n, gfloat * value);
/** rd_trellis_run: @value (D, RD_TRELLIS_ROWS) to @symbols of the same shape. What a row becomes depends on that row alone. */
void rd_trellis_run (const RdTrellis * trellis, const gfloat * value, gint32 * symbols);

G_END_DECLS
