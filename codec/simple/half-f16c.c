/* Half precision by the F16C instructions of x86. The rounding is in the instruction, and MXCSR's flush to zero does not reach these. */
#include "codec/simple/half-f16c.h"
#include "codec/simple/half.h"

#ifdef RD_HAVE_F16C
#include <immintrin.h>

__attribute__((target ("avx,f16c")))
     void rd_half_from_floats_f16c (const gfloat * x, guint8 * bytes, gsize n)
{
  const __m256 max = _mm256_set1_ps (RD_HALF_MAX);
  const __m256 min = _mm256_set1_ps (-RD_HALF_MAX);

  for (gsize i = 0; i < n; i += 8) {
    /* the second operand is returned when one is NaN */
    __m256 v = _mm256_min_ps (max, _mm256_loadu_ps (x + i));
    v = _mm256_max_ps (min, v);
    _mm_storeu_si128 ((__m128i *) (bytes + 2 * i),
        _mm256_cvtps_ph (v, _MM_FROUND_TO_NEAREST_INT));
  }
}

__attribute__((target ("avx,f16c")))
    gboolean
rd_half_to_floats_f16c (const guint8 * bytes, gfloat * x, gsize n)
{
  const __m128i exponent = _mm_set1_epi16 (RD_HALF_INFINITY);
  __m128i bad = _mm_setzero_si128 ();

  for (gsize i = 0; i < n; i += 8) {
    __m128i h = _mm_loadu_si128 ((const __m128i *) (bytes + 2 * i));
    __m128i e = _mm_and_si128 (h, exponent);
    bad = _mm_or_si128 (bad, _mm_cmpeq_epi16 (e, exponent));
    _mm256_storeu_ps (x + i, _mm256_cvtph_ps (h));
  }
  return _mm_movemask_epi8 (bad) == 0;
}
#endif
