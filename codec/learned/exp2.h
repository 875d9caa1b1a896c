/* Powers of two whose exponents are whole numbers of 1/256 (FORMAT.md section 3). */
#pragma once
#include "codec/float-bits.h"

G_BEGIN_DECLS

#define RD_MAX_LOG_STEP 16384

/** The F32 nearest to 2^(i / 256): the lower 23 bits of its representation. */
extern const gint32 rd_exp2_mantissa[256];

/** rd_exp2_step: the step of logarithm @log_step. */
static inline gfloat
rd_exp2_step (gint32 log_step)
{
  gint32 s = CLAMP (log_step, -RD_MAX_LOG_STEP, RD_MAX_LOG_STEP);

  return rd_float_from_bits ((guint32) ((s >> 8) + 127) << 23
      | (guint32) rd_exp2_mantissa[s & 255]);
}

G_END_DECLS
