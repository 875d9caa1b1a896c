/* Vectors of 16 floats: AVX-512 F, BW, VL, DQ. */
#pragma once
#include <immintrin.h>

#define VL 16
typedef __m512 vf;
typedef __m512i vi;

#define v_load(p) _mm512_loadu_ps (p)
#define v_store(p, v) _mm512_storeu_ps (p, v)
#define v_set1(x) _mm512_set1_ps (x)
#define v_zero() _mm512_setzero_ps ()
#define v_add(a, b) _mm512_add_ps (a, b)
#define v_sub(a, b) _mm512_sub_ps (a, b)
#define v_mul(a, b) _mm512_mul_ps (a, b)
#define v_div(a, b) _mm512_div_ps (a, b)
#define v_fma(a, b, c) _mm512_fmadd_ps (a, b, c)
/* The second operand where one is NaN. */
#define v_max(a, b) _mm512_max_ps (a, b)
#define v_min(a, b) _mm512_min_ps (a, b)
#define v_round(v) _mm512_roundscale_ps (v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define v_ldexp(v, n) _mm512_scalef_ps (v, n)
/* v, but 0 where x < low. */
#define v_zero_below(v, x, low) \
  _mm512_maskz_mov_ps (_mm512_cmp_ps_mask (x, low, _CMP_NLT_UQ), v)

#define v_mask(n) ((__mmask16) ((1u << (n)) - 1))
#define v_load_n(p, n) _mm512_maskz_loadu_ps (v_mask (n), p)
#define v_store_n(p, v, n) _mm512_mask_storeu_ps (p, v_mask (n), v)
/* v in the first n lanes, other in the rest. */
#define v_first_n(v, other, n) _mm512_mask_mov_ps (other, v_mask (n), v)

static inline float
v_sum (vf v)
{
  const __m256 a = _mm256_add_ps (_mm512_castps512_ps256 (v),
      _mm512_extractf32x8_ps (v, 1));
  const __m128 b = _mm_add_ps (_mm256_castps256_ps128 (a),
      _mm256_extractf128_ps (a, 1));
  const __m128 c = _mm_add_ps (b, _mm_movehl_ps (b, b));

  return _mm_cvtss_f32 (_mm_add_ss (c, _mm_movehdup_ps (c)));
}

/* The sums of four vectors to y[0..3], each added in the order of v_sum. */
static inline void
v_sum4_store (vf v0, vf v1, vf v2, vf v3, float *y)
{
  const vf v[4] = { v0, v1, v2, v3 };
  __m128 b[4], c0, c1;

  for (int i = 0; i < 4; i++) {
    const __m256 a = _mm256_add_ps (_mm512_castps512_ps256 (v[i]),
        _mm512_extractf32x8_ps (v[i], 1));

    b[i] = _mm_add_ps (_mm256_castps256_ps128 (a),
        _mm256_extractf128_ps (a, 1));
  }
  c0 = _mm_add_ps (_mm_unpacklo_ps (b[0], b[1]), _mm_unpackhi_ps (b[0], b[1]));
  c1 = _mm_add_ps (_mm_unpacklo_ps (b[2], b[3]), _mm_unpackhi_ps (b[2], b[3]));
  _mm_storeu_ps (y, _mm_add_ps (_mm_movelh_ps (c0, c1),
          _mm_movehl_ps (c1, c0)));
}

#define v_sum4 v_sum4_store

#define v_largest(v) _mm512_reduce_max_ps (v)

/* Integers: widening loads of VL bytes, and what unpacking nibbles takes. */
#define vi_load_u8(p) _mm512_cvtepu8_epi32 (_mm_loadu_si128 ((const __m128i *) (p)))
#define vi_load_i8(p) _mm512_cvtepi8_epi32 (_mm_loadu_si128 ((const __m128i *) (p)))
#define vi_set1(x) _mm512_set1_epi32 (x)
#define vi_and(a, b) _mm512_and_si512 (a, b)
#define vi_or(a, b) _mm512_or_si512 (a, b)
#define vi_sub(a, b) _mm512_sub_epi32 (a, b)
#define vi_shl(v, bits) _mm512_slli_epi32 (v, bits)
#define vi_shr(v, bits) _mm512_srli_epi32 (v, bits)
#define vi_shr_each(v, bits) _mm512_srlv_epi32 (v, bits)
#define vi_lane() _mm512_setr_epi32 (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define vi_to_float(v) _mm512_cvtepi32_ps (v)
#define v_load_half(p) _mm512_cvtph_ps (_mm256_loadu_si256 ((const __m256i *) (p)))
#define v_store_half(p, v) _mm256_storeu_si256 ((__m256i *) (p), \
    _mm512_cvtps_ph (v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))
#define v_load_bf16(p) _mm512_castsi512_ps (_mm512_slli_epi32 ( \
    _mm512_cvtepu16_epi32 (_mm256_loadu_si256 ((const __m256i *) (p))), 16))

/* The 32-bit words at p, p + stride, ... in the first n lanes. */
static inline vi
vi_gather_n (const void *p, int stride, gsize n)
{
  const vi at = _mm512_mullo_epi32 (vi_lane (), _mm512_set1_epi32 (stride));

  return _mm512_mask_i32gather_epi32 (_mm512_setzero_si512 (), v_mask (n), at,
      p, 1);
}

/* The half-precision number in the lower 16 bits of each lane. */
#define v_from_half(v) _mm512_cvtph_ps (_mm512_cvtepi32_epi16 (v))
/* Each lane's entry of a table of 16, by the lane's lower 4 bits. */
#define v_lookup(table, v) _mm512_permutexvar_ps (v, table)

/* Transposes 16 vectors of 16 in place. */
static inline void
v_transpose (vf r[VL])
{
  vf t[VL];

  for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_ps (r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps (r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 4; i++) {
    const __m512d a = _mm512_castps_pd (t[4 * i]);
    const __m512d b = _mm512_castps_pd (t[4 * i + 1]);
    const __m512d c = _mm512_castps_pd (t[4 * i + 2]);
    const __m512d d = _mm512_castps_pd (t[4 * i + 3]);

    r[4 * i] = _mm512_castpd_ps (_mm512_unpacklo_pd (a, c));
    r[4 * i + 1] = _mm512_castpd_ps (_mm512_unpackhi_pd (a, c));
    r[4 * i + 2] = _mm512_castpd_ps (_mm512_unpacklo_pd (b, d));
    r[4 * i + 3] = _mm512_castpd_ps (_mm512_unpackhi_pd (b, d));
  }
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_f32x4 (r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4 (r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_f32x4 (r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4 (r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; i++) {
    r[i] = _mm512_shuffle_f32x4 (t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_f32x4 (t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_f32x4 (t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_f32x4 (t[i + 4], t[i + 12], 0xdd);
  }
}
