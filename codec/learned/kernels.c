/* Dispatch of the loops that are compiled once per instruction set. */
#include "codec/learned/context.h"
#include "codec/learned/instruction-set.h"
#include "codec/learned/trellis.h"

#include <string.h>

const RdLearnedKernels *
rd_learned_kernels (void)
{
#ifdef RD_RANS_X86
  const gchar *set = rd_rans_instruction_set ();

  if (g_str_equal (set, "avx512"))
    return &rd_learned_kernels_avx512;
  if (g_str_equal (set, "avx2"))
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

void
rd_trellis_run (RdTrellis * trellis, const gfloat * value, gint32 * symbols)
{
  rd_learned_kernels ()->trellis_run (trellis, value, symbols);
}
