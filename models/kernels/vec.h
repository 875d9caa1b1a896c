/* One vector type per instruction set, under one set of names, so that each kernel is written once and compiled for each.
 *
 * vf holds VL floats, vi VL 32-bit integers. v_load_n and v_store_n handle the first n lanes (0 < n <= VL) and read or write no
 * others; lanes not loaded are zero. v_fma is fused where the instruction set fuses. Tails always go through the same vector
 * operations as full vectors, so a value's result does not depend on where in an array it stands. */
#pragma once
#include <glib.h>
#include <math.h>

#if defined (ST_ISA_AVX512)
#include "models/kernels/vec-avx512.h"
#define ST_ISA(name) st_avx512_##name
#define ST_ISA_NAME "avx512"
#elif defined (ST_ISA_AVX2)
#include "models/kernels/vec-avx2.h"
#define ST_ISA(name) st_avx2_##name
#define ST_ISA_NAME "avx2"
#else
#include "models/kernels/vec-c.h"
#define ST_ISA(name) st_c_##name
#define ST_ISA_NAME "c"
#endif

#define V_INLINE static inline __attribute__ ((always_inline))

/* exp: n = round (x / ln 2), then a polynomial in x - n ln 2 (Cephes expf), within 2 ulp. 0 below the smallest normal result, at most
 * 2^127.5 above; exp (0) is exactly 1; NaN stays NaN. */
V_INLINE vf
v_exp (vf x)
{
  const vf low = v_set1 (-87.33654f), high = v_set1 (88.37626f);
  const vf clamped = v_min (high, v_max (low, x));
  const vf n = v_round (v_mul (clamped, v_set1 (1.44269504088896341f)));
  vf r, p;

  r = v_fma (n, v_set1 (-0.693359375f), clamped);
  r = v_fma (n, v_set1 (2.12194440e-4f), r);
  p = v_set1 (1.9875691500e-4f);
  p = v_fma (p, r, v_set1 (1.3981999507e-3f));
  p = v_fma (p, r, v_set1 (8.3334519073e-3f));
  p = v_fma (p, r, v_set1 (4.1665795894e-2f));
  p = v_fma (p, r, v_set1 (1.6666665459e-1f));
  p = v_fma (p, r, v_set1 (5.0000001201e-1f));
  p = v_add (v_fma (p, v_mul (r, r), r), v_set1 (1.0f));
  return v_zero_below (v_ldexp (p, n), x, low);
}
