/* Contexts of FORMAT.md section 3: which table codes which symbol. All rows of a block go in step, so a row's contexts need no lag. */
#pragma once
#include "codec/learned/parameters.h"

G_BEGIN_DECLS

#define RD_BLOCK_ROWS 64u
#define RD_SCALE_BIAS 1552      /* index 0 is 2^-6 steps, and half an index for rounding */
#define RD_CONTEXT_WHOLE 48
#define RD_CONTEXT_NEAR 32
#define RD_TRELLIS_STATES 8
#define RD_MAX_SHIFT 4096
#define RD_LEARNED_MAX_SYMBOL (1 << 22)

/** RdContext: of up to RD_BLOCK_ROWS rows. */
typedef struct _RdContext
{
  gsize n;                      /* rows, padded */
  gsize hidden_size;
  gboolean scalar;
  const gint32 *base;           /* (D) scale less step, 1/256 octave, for a token step of 0 */
  const gint32 *log_step;       /* (D) for rd_dequantise() alone */
  const gint32 *weights;        /* (2, D) */
  const gint32 *magnitude;      /* (RD_LEARNED_SCALES) */
  const gint32 *shift;          /* (D, n) what networks add to nominal scales, 1/256 octave, |shift| <= RD_MAX_SHIFT; NULL: nothing */
  gint32 offset[RD_BLOCK_ROWS]; /* token steps, 1/256 octave */
  gint32 whole[RD_BLOCK_ROWS], whole_mean[RD_BLOCK_ROWS];
  gint32 near[RD_BLOCK_ROWS], near_mean[RD_BLOCK_ROWS];
  gint32 expected[RD_BLOCK_ROWS];
  gint32 state[RD_BLOCK_ROWS];  /* of the trellis */
} RdContext;

/** rd_context_start: all but what the caller sets (n .. offset). */
void rd_context_start (RdContext * context);
/** rd_context_next: @symbols of coefficient @j - 1 (not read for 0) in, @tables of coefficient @j out. j = 0, 1, 2, ... */
void rd_context_next (RdContext * context, const gint32 * symbols, gsize j, guint16 * tables);

/** rd_dequantise: @symbols of all coefficients to @coefficients, (D, n) each. FALSE if a magnitude is above RD_LEARNED_MAX_SYMBOL. */
gboolean rd_dequantise (const RdContext * context, const gint32 * symbols, gfloat * coefficients);

/** rd_trellis_next: the state after a symbol of magnitude @k. */
static inline gint32
rd_trellis_next (gint32 state, gint32 k)
{
  gint32 b0 = state & 1, b1 = state >> 1 & 1, b2 = state >> 2;

  return (b1 ^ b0) | (b2 ^ (k & 1)) << 1 | b0 << 2;
}

G_END_DECLS
