/* Stored weights to float with vectors, and floats to half precision. Compiled once for each instruction set.
 *
 * Every value equals that of the type's plain to_float bit for bit: a scale times a small integer is exact in single precision, so
 * fusing the addition of the minimum rounds once, as the plain code does. Blocks are read as bytes. */
#include "models/kernels/isa-impl.h"

#include <string.h>

#if VL == 4
void ST_ISA (dequantise) (StType type, const void *src, float *dst, gsize n)
{
  st_type_traits (type)->to_float (src, dst, n);
}
#else

#define AHEAD 4096              /* bytes between what is converted and what is fetched */
#define QK 32                   /* elements of a simple block */
#define QK_K 256                /* elements of a K-quant block */

/* Scales and minima of as many simple blocks as a vector has lanes: converted together, because one at a time they would cost more than
 * all the rest. Blocks without a minimum get garbage there. */
typedef struct
{
  float d[VL];
  float m[VL];
} Scales;

V_INLINE void
load_scales (Scales * s, const guint8 * b, gint stride, gsize n)
{
  const vi words = vi_gather_n (b, stride, n);

  v_store (s->d, v_from_half (words));
  v_store (s->m, v_from_half (vi_shr (words, 16)));
}

/* Fetches what comes after @bytes bytes at @b, a fixed distance ahead: rows that follow one another are read as one stream, and on its
 * own the hardware runs too little ahead of it. The address may lie beyond the matrix; nothing is read then. */
V_INLINE void
fetch_ahead (const guint8 * b, const guint bytes)
{
  for (guint i = 0; i < bytes; i += 64)
    __builtin_prefetch ((const void *) ((guintptr) b + i + AHEAD));
}

V_INLINE guint32
u32_at (const guint8 * p)
{
  guint32 v;

  memcpy (&v, p, sizeof v);
  return v;
}

/* Bit @first + lane of @bits, as 0 or 1 << @to. */
V_INLINE vi
spread_bits (guint32 bits, guint first, guint to)
{
  const vi shift = vi_or (vi_lane (), vi_set1 ((int) first));
  const vi bit = vi_and (vi_shr_each (vi_set1 ((int) bits), shift),
      vi_set1 (1));

  return vi_shl (bit, to);
}

V_INLINE void
store_scaled (float *dst, vi q, vf d)
{
  v_store (dst, v_mul (d, vi_to_float (q)));
}

V_INLINE void
store_affine (float *dst, vi q, vf d, vf m)
{
  v_store (dst, v_fma (d, vi_to_float (q), m));
}

/* (q - bias) * d, or q * d + m where there is no bias. */
V_INLINE vf
weight (vi q, const int bias, vf d, vf m)
{
  if (bias != 0)
    return v_mul (d, vi_to_float (vi_sub (q, vi_set1 (bias))));
  return v_fma (d, vi_to_float (q), m);
}

/* 32 weights of four bits: the lower nibbles, then the upper ones. */
V_INLINE void
store_nibbles (float *dst, const guint8 * qs, const int bias, vf d, vf m)
{
#ifdef v_lookup
  const vf table = weight (vi_lane (), bias, d, m);
  const vi q = vi_load_u8 (qs);

  v_store (dst, v_lookup (table, q));
  v_store (dst + QK / 2, v_lookup (table, vi_shr (q, 4)));
#else
  for (guint j = 0; j < QK / 2; j += VL) {
    const vi q = vi_load_u8 (qs + j);

    v_store (dst + j, weight (vi_and (q, vi_set1 (15)), bias, d, m));
    v_store (dst + j + QK / 2, weight (vi_shr (q, 4), bias, d, m));
  }
#endif
}

/* 32 weights of five bits, the fifth ones in @high. */
V_INLINE void
store_five_bits (float *dst, const guint8 * qs, guint32 high, const int bias,
    vf d, vf m)
{
  const vi mask = vi_set1 (15);

  for (guint j = 0; j < QK / 2; j += VL) {
    const vi q = vi_load_u8 (qs + j);
    const vi low = vi_or (vi_and (q, mask), spread_bits (high, j, 4));
    const vi up = vi_or (vi_shr (q, 4), spread_bits (high, j + QK / 2, 4));

    v_store (dst + j, weight (low, bias, d, m));
    v_store (dst + j + QK / 2, weight (up, bias, d, m));
  }
}

/* One simple block of each type. */
V_INLINE void
q4_0_block (const guint8 * b, float *dst, vf d, vf m)
{
  store_nibbles (dst, b + 2, 8, d, m);
}

V_INLINE void
q4_1_block (const guint8 * b, float *dst, vf d, vf m)
{
  store_nibbles (dst, b + 4, 0, d, m);
}

V_INLINE void
q5_0_block (const guint8 * b, float *dst, vf d, vf m)
{
  store_five_bits (dst, b + 6, u32_at (b + 2), 16, d, m);
}

V_INLINE void
q5_1_block (const guint8 * b, float *dst, vf d, vf m)
{
  store_five_bits (dst, b + 8, u32_at (b + 4), 0, d, m);
}

V_INLINE void
q8_0_block (const guint8 * b, float *dst, vf d, vf m)
{
  (void) m;
  for (guint j = 0; j < QK; j += VL)
    store_scaled (dst + j, vi_load_i8 (b + 2 + j), d);
}

#define SIMPLE(name, bytes) \
static void \
name (const guint8 * b, float *dst, gsize n) \
{ \
  Scales s; \
\
  for (gsize blocks = n / QK; blocks > 0;) { \
    const gsize here = MIN (blocks, VL); \
\
    load_scales (&s, b, bytes, here); \
    for (gsize i = 0; i < here; i++, b += bytes, dst += QK) { \
      fetch_ahead (b, bytes); \
      name##_block (b, dst, v_set1 (s.d[i]), v_set1 (s.m[i])); \
    } \
    blocks -= here; \
  } \
}

SIMPLE (q4_0, 18)
    SIMPLE (q4_1, 20)
    SIMPLE (q5_0, 22)
    SIMPLE (q5_1, 24)
    SIMPLE (q8_0, 34)
/* Scale and minimum of sub-block @j (0..7): the last four keep their upper two bits beside the first four. */
     V_INLINE void
         k_scale_min (const guint8 * s, guint j, guint * scale, guint * min)
{
  if (j < 4) {
    *scale = s[j] & 63;
    *min = s[j + 4] & 63;
  } else {
    *scale = (s[j + 4] & 15u) | (s[j - 4] >> 6) << 4;
    *min = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
  }
}

/* Q4_K (no @high plane) and Q5_K: pairs of sub-blocks share 32 bytes of nibbles. */
V_INLINE void
k_quant (const guint8 * b, const guint8 * high, const guint8 * qs, float *dst)
{
  const float d = _cvtsh_ss ((guint16) (b[0] | b[1] << 8));
  const float dmin = _cvtsh_ss ((guint16) (b[2] | b[3] << 8));
  const vi mask = vi_set1 (15), one = vi_set1 (1);

  fetch_ahead (b, high != NULL ? 176 : 144);
  for (guint j = 0; j < 8; j += 2, qs += 32, dst += 64) {
    guint scale[2], min[2];
    vf ds[2], dm[2];

    for (guint s = 0; s < 2; s++) {
      k_scale_min (b + 4, j + s, &scale[s], &min[s]);
      ds[s] = v_set1 (d * (float) scale[s]);
      dm[s] = v_set1 (-(dmin * (float) min[s]));
    }
    for (guint l = 0; l < 32; l += VL) {
      const vi q = vi_load_u8 (qs + l);
      vi low = vi_and (q, mask), up = vi_shr (q, 4);

      if (high != NULL) {
        const vi h = vi_shr_each (vi_load_u8 (high + l), vi_set1 ((int) j));

        low = vi_or (low, vi_shl (vi_and (h, one), 4));
        up = vi_or (up, vi_shl (vi_and (vi_shr (h, 1), one), 4));
      }
      store_affine (dst + l, low, ds[0], dm[0]);
      store_affine (dst + 32 + l, up, ds[1], dm[1]);
    }
  }
}

static void
q4_k (const guint8 * b, float *dst, gsize n)
{
  for (gsize i = 0; i < n; i += QK_K, b += 144)
    k_quant (b, NULL, b + 16, dst + i);
}

static void
q5_k (const guint8 * b, float *dst, gsize n)
{
  for (gsize i = 0; i < n; i += QK_K, b += 176)
    k_quant (b, b + 16, b + 48, dst + i);
}

static void
q6_k (const guint8 * b, float *dst, gsize n)
{
  const vi mask = vi_set1 (15), three = vi_set1 (3), bias = vi_set1 (32);

  for (gsize i = 0; i < n; i += QK_K, b += 210) {
    const float d = _cvtsh_ss ((guint16) (b[208] | b[209] << 8));

    fetch_ahead (b, 210);
    for (guint half = 0; half < 2; half++) {
      const guint8 *ql = b + 64 * half, *qh = b + 128 + 32 * half;
      const gint8 *scales = (const gint8 *) b + 192 + 8 * half;
      float *out = dst + i + 128 * half;

      for (guint l = 0; l < 32; l += VL) {
        const vi q0 = vi_load_u8 (ql + l), q1 = vi_load_u8 (ql + 32 + l);
        const vi h = vi_load_u8 (qh + l);
        const vi q[4] = {
          vi_or (vi_and (q0, mask), vi_shl (vi_and (h, three), 4)),
          vi_or (vi_and (q1, mask), vi_shl (vi_and (vi_shr (h, 2), three), 4)),
          vi_or (vi_shr (q0, 4), vi_shl (vi_and (vi_shr (h, 4), three), 4)),
          vi_or (vi_shr (q1, 4), vi_shl (vi_shr (h, 6), 4)),
        };

        for (guint g = 0; g < 4; g++) {
          const gint8 scale = scales[2 * g + l / 16];

          store_scaled (out + 32 * g + l, vi_sub (q[g], bias),
              v_set1 (d * (float) scale));
        }
      }
    }
  }
}

/* n is a multiple of VL here. */
static void
f16 (const guint8 * b, float *dst, gsize n)
{
  for (gsize i = 0; i < n; i += VL) {
    fetch_ahead (b + 2 * i, 2 * VL);
    v_store (dst + i, v_load_half (b + 2 * i));
  }
}

static void
bf16 (const guint8 * b, float *dst, gsize n)
{
  for (gsize i = 0; i < n; i += VL) {
    fetch_ahead (b + 2 * i, 2 * VL);
    v_store (dst + i, v_load_bf16 (b + 2 * i));
  }
}

void ST_ISA (dequantise) (StType type, const void *src, float *dst, gsize n)
{
  const StTypeTraits * traits = st_type_traits (type);
  const gsize vectors = n / VL * VL;

  switch (type) {
    case ST_TYPE_F32:
      memcpy (dst, src, n * sizeof (float));
      return;
    case ST_TYPE_F16:
      f16 (src, dst, vectors);
      break;
    case ST_TYPE_BF16:
      bf16 (src, dst, vectors);
      break;
    case ST_TYPE_Q4_0:
      q4_0 (src, dst, n);
      return;
    case ST_TYPE_Q4_1:
      q4_1 (src, dst, n);
      return;
    case ST_TYPE_Q5_0:
      q5_0 (src, dst, n);
      return;
    case ST_TYPE_Q5_1:
      q5_1 (src, dst, n);
      return;
    case ST_TYPE_Q8_0:
      q8_0 (src, dst, n);
      return;
    case ST_TYPE_Q4_K:
      q4_k (src, dst, n);
      return;
    case ST_TYPE_Q5_K:
      q5_k (src, dst, n);
      return;
    case ST_TYPE_Q6_K:
      q6_k (src, dst, n);
      return;
  }
  /* The conversions of single elements are exact, so the plain ones may do the rest. */
  traits->to_float ((const guint8 *) src + 2 * vectors, dst + vectors,
      n - vectors);
}
#endif

void ST_ISA (to_half) (const float *src, guint16 * dst, gsize n)
{
  gsize i = 0;

#ifdef v_store_half
  for (; i + VL <= n; i += VL)
    v_store_half (dst + i, v_load (src + i));
#endif
  for (; i < n; i++)
    dst[i] = st_float_to_half (src[i]);
}
