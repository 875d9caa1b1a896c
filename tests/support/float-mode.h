/* Floating-point modes that a calling thread may have set: rounding, flush to zero, denormals are zero. */
#pragma once
#include <fenv.h>
#include <glib.h>

G_BEGIN_DECLS

#define RD_FLUSH_BITS 0x8040u   /* of MXCSR: flush to zero, denormals are zero */

static const gint rd_roundings[] = {
  FE_TONEAREST,
#if defined (FE_UPWARD) && defined (FE_DOWNWARD) && defined (FE_TOWARDZERO)
  FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO,
#endif
};

#define RD_N_FLOAT_MODES (2 * G_N_ELEMENTS (rd_roundings))

/* Where the CPU has them (valgrind's has not). */
static inline guint32
rd_flush_mode (void)
{
#ifdef __SSE__
  return __builtin_ia32_stmxcsr () & RD_FLUSH_BITS;
#else
  return 0;
#endif
}

/** rd_float_mode_enter: sets mode @i < RD_N_FLOAT_MODES; 0 is the default. Returns what rd_float_mode_leave() wants to know. */
static inline guint32
rd_float_mode_enter (guint i)
{
  fesetround (rd_roundings[i / 2]);
#ifdef __SSE__
  __builtin_ia32_ldmxcsr ((__builtin_ia32_stmxcsr () & ~RD_FLUSH_BITS) | (i % 2 ? RD_FLUSH_BITS : 0));
#endif
  return rd_flush_mode ();
}

/** rd_float_mode_leave: sets the default; FALSE if mode @i was not set any more. */
static inline gboolean
rd_float_mode_leave (guint i, guint32 flush)
{
  gboolean kept = fegetround () == rd_roundings[i / 2] && rd_flush_mode () == flush;

#ifdef __SSE__
  __builtin_ia32_ldmxcsr (__builtin_ia32_stmxcsr () & ~RD_FLUSH_BITS);
#endif
  fesetround (FE_TONEAREST);
  return kept;
}

G_END_DECLS
