/* Floating-point mode (rounding, flush-to-zero) around the kernels: results must not depend on what the calling thread has set. */
#pragma once
#include <glib.h>

#ifdef __SSE__
#include <xmmintrin.h>

typedef guint32 StFpMode;

/** st_fp_enter: sets the default mode (nearest, no flush-to-zero, exceptions masked) and returns the one before. */
static inline StFpMode
st_fp_enter (void)
{
  const StFpMode before = _mm_getcsr ();

  _mm_setcsr (0x1f80);
  return before;
}

/** st_fp_leave: restores what st_fp_enter() returned. */
static inline void
st_fp_leave (StFpMode before)
{
  _mm_setcsr (before);
}
#else
#include <fenv.h>

typedef fenv_t StFpMode;

static inline StFpMode
st_fp_enter (void)
{
  StFpMode before;

  fegetenv (&before);
  fesetenv (FE_DFL_ENV);
  return before;
}

static inline void
st_fp_leave (StFpMode before)
{
  fesetenv (&before);
}
#endif
