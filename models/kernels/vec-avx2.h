/* Vectors of 8 floats: AVX2, FMA, F16C. */
#pragma once
#include <immintrin.h>

#define VL 8
typedef __m256 vf;
typedef __m256i vi;

#define v_load(p) _mm256_loadu_ps (p)
#define v_store(p, v) _mm256_storeu_ps (p, v)
#define v_set1(x) _mm256_set1_ps (x)
#define v_zero() _mm256_setzero_ps ()
#define v_add(a, b) _mm256_add_ps (a, b)
#define v_sub(a, b) _mm256_sub_ps (a, b)
#define v_mul(a, b) _mm256_mul_ps (a, b)
#define v_div(a, b) _mm256_div_ps (a, b)
#define v_fma(a, b, c) _mm256_fmadd_ps (a, b, c)
/* The second operand where one is NaN. */
#define v_max(a, b) _mm256_max_ps (a, b)
#define v_min(a, b) _mm256_min_ps (a, b)
#define v_round(v) _mm256_round_ps (v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
/* v, but 0 where x < low. */
#define v_zero_below(v, x, low) \
  _mm256_and_ps (_mm256_cmp_ps (x, low, _CMP_NLT_UQ), v)

/* v * 2^n for n in -126 .. 127. */
static inline vf
v_ldexp (vf v, vf n)
{
  const vi e = _mm256_add_epi32 (_mm256_cvtps_epi32 (n),
      _mm256_set1_epi32 (127));

  return _mm256_mul_ps (v, _mm256_castsi256_ps (_mm256_slli_epi32 (e, 23)));
}

static inline vi
v_mask (gsize n)
{
  return _mm256_cmpgt_epi32 (_mm256_set1_epi32 ((int) n),
      _mm256_setr_epi32 (0, 1, 2, 3, 4, 5, 6, 7));
}

#define v_load_n(p, n) _mm256_maskload_ps (p, v_mask (n))
#define v_store_n(p, v, n) _mm256_maskstore_ps (p, v_mask (n), v)
/* v in the first n lanes, other in the rest. */
#define v_first_n(v, other, n) \
  _mm256_blendv_ps (other, v, _mm256_castsi256_ps (v_mask (n)))

static inline float
v_sum (vf v)
{
  const __m128 b = _mm_add_ps (_mm256_castps256_ps128 (v),
      _mm256_extractf128_ps (v, 1));
  const __m128 c = _mm_add_ps (b, _mm_movehl_ps (b, b));

  return _mm_cvtss_f32 (_mm_add_ss (c, _mm_movehdup_ps (c)));
}

static inline float
v_largest (vf v)
{
  const __m128 b = _mm_max_ps (_mm256_castps256_ps128 (v),
      _mm256_extractf128_ps (v, 1));
  const __m128 c = _mm_max_ps (b, _mm_movehl_ps (b, b));

  return _mm_cvtss_f32 (_mm_max_ss (c, _mm_movehdup_ps (c)));
}

/* Integers: widening loads of VL bytes, and what unpacking nibbles takes. */
#define vi_load_u8(p) _mm256_cvtepu8_epi32 (_mm_loadl_epi64 ((const __m128i *) (p)))
#define vi_load_i8(p) _mm256_cvtepi8_epi32 (_mm_loadl_epi64 ((const __m128i *) (p)))
#define vi_set1(x) _mm256_set1_epi32 (x)
#define vi_and(a, b) _mm256_and_si256 (a, b)
#define vi_or(a, b) _mm256_or_si256 (a, b)
#define vi_sub(a, b) _mm256_sub_epi32 (a, b)
#define vi_shl(v, bits) _mm256_slli_epi32 (v, bits)
#define vi_shr(v, bits) _mm256_srli_epi32 (v, bits)
#define vi_shr_each(v, bits) _mm256_srlv_epi32 (v, bits)
#define vi_lane() _mm256_setr_epi32 (0, 1, 2, 3, 4, 5, 6, 7)
#define vi_to_float(v) _mm256_cvtepi32_ps (v)
#define v_load_half(p) _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) (p)))
#define v_store_half(p, v) _mm_storeu_si128 ((__m128i *) (p), \
    _mm256_cvtps_ph (v, _MM_FROUND_TO_NEAREST_INT))
#define v_load_bf16(p) _mm256_castsi256_ps (_mm256_slli_epi32 ( \
    _mm256_cvtepu16_epi32 (_mm_loadu_si128 ((const __m128i *) (p))), 16))

/* The 32-bit words at p, p + stride, ... in the first n lanes. */
static inline vi
vi_gather_n (const void *p, int stride, gsize n)
{
  const vi at = _mm256_mullo_epi32 (vi_lane (), _mm256_set1_epi32 (stride));

  return _mm256_mask_i32gather_epi32 (_mm256_setzero_si256 (), p, at,
      v_mask (n), 1);
}

/* The half-precision number in the lower 16 bits of each lane. */
static inline vf
v_from_half (vi v)
{
  const vi low = _mm256_and_si256 (v, _mm256_set1_epi32 (0xffff));
  const vi packed = _mm256_permute4x64_epi64 (_mm256_packus_epi32 (low, low),
      0x08);

  return _mm256_cvtph_ps (_mm256_castsi256_si128 (packed));
}

/* Transposes 8 vectors of 8 in place. */
static inline void
v_transpose (vf r[VL])
{
  vf t[VL];

  for (int i = 0; i < 4; i++) {
    t[2 * i] = _mm256_unpacklo_ps (r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps (r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 2; i++) {
    r[4 * i] = _mm256_shuffle_ps (t[4 * i], t[4 * i + 2], 0x44);
    r[4 * i + 1] = _mm256_shuffle_ps (t[4 * i], t[4 * i + 2], 0xee);
    r[4 * i + 2] = _mm256_shuffle_ps (t[4 * i + 1], t[4 * i + 3], 0x44);
    r[4 * i + 3] = _mm256_shuffle_ps (t[4 * i + 1], t[4 * i + 3], 0xee);
  }
  for (int i = 0; i < 4; i++) {
    t[i] = _mm256_permute2f128_ps (r[i], r[i + 4], 0x20);
    t[i + 4] = _mm256_permute2f128_ps (r[i], r[i + 4], 0x31);
  }
  for (int i = 0; i < VL; i++)
    r[i] = t[i];
}
