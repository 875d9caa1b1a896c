/* Dispatch of the loops that are compiled once per instruction set. */
#include "codec/learned/context.h"
#include "codec/learned/instruction-set.h"
#include "codec/learned/trellis.h"

#include <string.h>

const RdLearnedKernels *
rd_learned_kernels (void)
{
#ifdef RD_RANS_X86
  const RdRansKernels *set = rd_rans_kernels ();

  if (set == &rd_rans_kernels_avx512)
    return &rd_learned_kernels_avx512;
  if (set == &rd_rans_kernels_avx2)
    return &rd_learned_kernels_avx2;
#endif
  return &rd_learned_kernels_c;
}

void
rd_context_start (RdContext * c)
{
  memset (c->expected, 0, sizeof c->expected);
  memset (c->state, 0, sizeof c->state);
  for (gsize t = 0; t < c->n; t++) {
    c->whole[t] = c->whole_mean[t] = RD_CONTEXT_WHOLE;
    c->near[t] = c->near_mean[t] = RD_CONTEXT_NEAR;
  }
}

void
rd_context_next (RdContext * context, const gint32 * symbols, gsize j,
    guint16 * tables)
{
  rd_learned_kernels ()->context_next (context, symbols, j, tables);
}

gboolean
rd_dequantise (const RdContext * context, const gint32 * symbols,
    gfloat * coefficients)
{
  return rd_learned_kernels ()->dequantise (context, symbols, coefficients);
}

guint
rd_trellis_steps (const RdTrellis * trellis, const gfloat * coefficients,
    gsize n, gfloat * value)
{
  return rd_learned_kernels ()->steps (trellis, coefficients, n, value);
}

void
rd_trellis_run (const RdTrellis * trellis, const gfloat * value,
    gint32 * symbols)
{
  rd_learned_kernels ()->trellis_run (trellis, value, symbols);
}
