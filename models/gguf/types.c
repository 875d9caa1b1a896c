/* Tensor element types of GGUF files and their exact conversion to float.
 *
 * Block layouts follow the GGUF specification (ggml docs/gguf.md) and the tables of its public Python package. Each value is
 * built with the same single-precision operations in the same order as there, so results agree bit for bit; the library is
 * compiled without contraction, which would fuse d * q + m. Blocks are read as bytes: a mapped tensor need not be aligned. */
#include "models/gguf/types.h"

#include <string.h>

#if G_BYTE_ORDER != G_LITTLE_ENDIAN
#error "GGUF tensors are little-endian and are used in place"
#endif

#define QK 32                   /* elements of a simple block */
#define QK_K 256                /* elements of a K-quant block */

typedef union
{
  guint32 bits;
  float value;
} FloatBits;

typedef struct
{
  guint8 d[2];
  guint8 qs[QK / 2];
} BlockQ4_0;

typedef struct
{
  guint8 d[2];
  guint8 m[2];
  guint8 qs[QK / 2];
} BlockQ4_1;

typedef struct
{
  guint8 d[2];
  guint8 qh[4];                 /* fifth bits */
  guint8 qs[QK / 2];
} BlockQ5_0;

typedef struct
{
  guint8 d[2];
  guint8 m[2];
  guint8 qh[4];
  guint8 qs[QK / 2];
} BlockQ5_1;

typedef struct
{
  guint8 d[2];
  gint8 qs[QK];
} BlockQ8_0;

typedef struct
{
  guint8 d[2];
  guint8 dmin[2];
  guint8 scales[12];            /* 8 scales and 8 minima of 6 bits */
  guint8 qs[QK_K / 2];
} BlockQ4_K;

typedef struct
{
  guint8 d[2];
  guint8 dmin[2];
  guint8 scales[12];
  guint8 qh[QK_K / 8];
  guint8 qs[QK_K / 2];
} BlockQ5_K;

typedef struct
{
  guint8 ql[QK_K / 2];          /* lower 4 bits */
  guint8 qh[QK_K / 4];          /* upper 2 bits */
  gint8 scales[QK_K / 16];
  guint8 d[2];
} BlockQ6_K;

G_STATIC_ASSERT (sizeof (BlockQ4_0) == 18);
G_STATIC_ASSERT (sizeof (BlockQ4_1) == 20);
G_STATIC_ASSERT (sizeof (BlockQ5_0) == 22);
G_STATIC_ASSERT (sizeof (BlockQ5_1) == 24);
G_STATIC_ASSERT (sizeof (BlockQ8_0) == 34);
G_STATIC_ASSERT (sizeof (BlockQ4_K) == 144);
G_STATIC_ASSERT (sizeof (BlockQ5_K) == 176);
G_STATIC_ASSERT (sizeof (BlockQ6_K) == 210);

float
st_half_to_float (guint16 h)
{
  const guint32 sign = (guint32) (h & 0x8000) << 16;
  const guint32 exponent = (h >> 10) & 0x1f;
  const guint32 mantissa = h & 0x3ff;
  FloatBits f;

  if (exponent == 0) {
    /* Zero and subnormals: mantissa * 2^-24 is exact in single precision. */
    f.value = 0x1p-24f * (float) mantissa;
    f.bits |= sign;
  } else if (exponent == 0x1f) {
    f.bits = sign | 0x7f800000 | (mantissa << 13);
    if (mantissa != 0)
      f.bits |= 0x400000;       /* quiet, as conversion instructions do */
  } else {
    f.bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
  }
  return f.value;
}

guint16
st_float_to_half (float value)
{
  FloatBits f = {.value = value };
  const guint16 sign = (guint16) ((f.bits >> 16) & 0x8000);
  const guint32 magnitude = f.bits & 0x7fffffff;
  guint32 rounded, shift, half;

  if (magnitude > 0x7f800000)
    return (guint16) (sign | 0x7e00 | ((magnitude >> 13) & 0x1ff));
  if (magnitude >= 0x477ff000)  /* 65520 and more round to infinity */
    return (guint16) (sign | 0x7c00);
  if (magnitude <= 0x33000000)  /* 2^-25 and less round to zero */
    return sign;
  if (magnitude >= 0x38800000) {
    rounded = magnitude - (112u << 23);
    rounded += 0xfff + ((rounded >> 13) & 1);
    return (guint16) (sign | (rounded >> 13));
  }
  /* Subnormal: the mantissa with its hidden bit, in units of 2^-24. */
  shift = 126 - (magnitude >> 23);
  half = (magnitude & 0x7fffff) | 0x800000;
  rounded = half >> shift;
  half &= (1u << shift) - 1;
  if (half > (1u << (shift - 1)) ||
      (half == (1u << (shift - 1)) && (rounded & 1) != 0))
    rounded++;
  return (guint16) (sign | rounded);
}

float
st_bf16_to_float (guint16 h)
{
  const FloatBits f = {.bits = (guint32) h << 16 };
  return f.value;
}

static inline float
read_half (const guint8 * bytes)
{
  return st_half_to_float ((guint16) (bytes[0] | bytes[1] << 8));
}

static inline guint32
read_u32 (const guint8 * bytes)
{
  guint32 v;
  memcpy (&v, bytes, sizeof v);
  return v;
}

static void
f32_to_float (const void *src, float *dst, gsize n)
{
  memcpy (dst, src, n * sizeof *dst);
}

static void
f16_to_float (const void *src, float *dst, gsize n)
{
  const guint8 *bytes = src;

  for (gsize i = 0; i < n; i++)
    dst[i] = read_half (bytes + 2 * i);
}

static void
bf16_to_float (const void *src, float *dst, gsize n)
{
  const guint8 *bytes = src;

  for (gsize i = 0; i < n; i++)
    dst[i] =
        st_bf16_to_float ((guint16) (bytes[2 * i] | bytes[2 * i + 1] << 8));
}

static void
q4_0_to_float (const void *src, float *dst, gsize n)
{
  const BlockQ4_0 *b = src;

  for (gsize i = 0; i < n / QK; i++, b++, dst += QK) {
    const float d = read_half (b->d);
    for (guint j = 0; j < QK / 2; j++) {
      dst[j] = d * (float) ((b->qs[j] & 15) - 8);
      dst[j + QK / 2] = d * (float) ((b->qs[j] >> 4) - 8);
    }
  }
}

static void
q4_1_to_float (const void *src, float *dst, gsize n)
{
  const BlockQ4_1 *b = src;

  for (gsize i = 0; i < n / QK; i++, b++, dst += QK) {
    const float d = read_half (b->d);
    const float m = read_half (b->m);
    for (guint j = 0; j < QK / 2; j++) {
      dst[j] = d * (float) (b->qs[j] & 15) + m;
      dst[j + QK / 2] = d * (float) (b->qs[j] >> 4) + m;
    }
  }
}

/* Element @j (below 16) of a five-bit block, or element @j + 16 where @upper is 1. */
static inline gint
five_bits (const guint8 * qs, guint32 qh, guint j, guint upper)
{
  const guint low = upper ? qs[j] >> 4 : qs[j] & 15;
  return (gint) (low | ((qh >> (j + upper * QK / 2)) & 1) << 4);
}

static void
q5_0_to_float (const void *src, float *dst, gsize n)
{
  const BlockQ5_0 *b = src;

  for (gsize i = 0; i < n / QK; i++, b++, dst += QK) {
    const float d = read_half (b->d);
    const guint32 qh = read_u32 (b->qh);
    for (guint j = 0; j < QK / 2; j++) {
      dst[j] = d * (float) (five_bits (b->qs, qh, j, 0) - 16);
      dst[j + QK / 2] = d * (float) (five_bits (b->qs, qh, j, 1) - 16);
    }
  }
}

static void
q5_1_to_float (const void *src, float *dst, gsize n)
{
  const BlockQ5_1 *b = src;

  for (gsize i = 0; i < n / QK; i++, b++, dst += QK) {
    const float d = read_half (b->d);
    const float m = read_half (b->m);
    const guint32 qh = read_u32 (b->qh);
    for (guint j = 0; j < QK / 2; j++) {
      dst[j] = d * (float) five_bits (b->qs, qh, j, 0) + m;
      dst[j + QK / 2] = d * (float) five_bits (b->qs, qh, j, 1) + m;
    }
  }
}

static void
q8_0_to_float (const void *src, float *dst, gsize n)
{
  const BlockQ8_0 *b = src;

  for (gsize i = 0; i < n / QK; i++, b++, dst += QK) {
    const float d = read_half (b->d);
    for (guint j = 0; j < QK; j++)
      dst[j] = d * (float) b->qs[j];
  }
}

/* Scale and minimum of sub-block @j (0..7): the last four keep their upper two bits beside the first four. */
static inline void
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

static void
q4_k_to_float (const void *src, float *dst, gsize n)
{
  const BlockQ4_K *b = src;

  for (gsize i = 0; i < n / QK_K; i++, b++) {
    const float d = read_half (b->d);
    const float dmin = read_half (b->dmin);
    for (guint j = 0; j < 8; j++, dst += 32) {
      const guint8 *qs = b->qs + 32 * (j / 2);
      guint scale, min;
      float ds, dm;

      k_scale_min (b->scales, j, &scale, &min);
      ds = d * (float) scale;
      dm = dmin * (float) min;
      for (guint l = 0; l < 32; l++)
        dst[l] = ds * (float) ((qs[l] >> (4 * (j & 1))) & 15) - dm;
    }
  }
}

static void
q5_k_to_float (const void *src, float *dst, gsize n)
{
  const BlockQ5_K *b = src;

  for (gsize i = 0; i < n / QK_K; i++, b++) {
    const float d = read_half (b->d);
    const float dmin = read_half (b->dmin);
    for (guint j = 0; j < 8; j++, dst += 32) {
      const guint8 *qs = b->qs + 32 * (j / 2);
      guint scale, min;
      float ds, dm;

      k_scale_min (b->scales, j, &scale, &min);
      ds = d * (float) scale;
      dm = dmin * (float) min;
      for (guint l = 0; l < 32; l++) {
        const guint low = (qs[l] >> (4 * (j & 1))) & 15u;
        const guint high = (b->qh[l] >> j) & 1u;
        dst[l] = ds * (float) (low | high << 4) - dm;
      }
    }
  }
}

static void
q6_k_to_float (const void *src, float *dst, gsize n)
{
  const BlockQ6_K *b = src;

  for (gsize i = 0; i < n / QK_K; i++, b++) {
    const float d = read_half (b->d);
    for (guint half = 0; half < 2; half++, dst += 128) {
      const guint8 *ql = b->ql + 64 * half;
      const guint8 *qh = b->qh + 32 * half;
      const gint8 *scales = b->scales + 8 * half;

      for (guint e = 0; e < 128; e++) {
        const guint l = e % 32, group = e / 32, sub = e / 16;
        const guint low = (ql[l + 32 * (group & 1)] >> (4 * (group / 2))) & 15u;
        const guint high = (qh[l] >> (2 * group)) & 3u;
        dst[e] = d * (float) scales[sub] *
            (float) ((gint) (low | high << 4) - 32);
      }
    }
  }
}

const StTypeTraits *
st_type_traits (StType type)
{
  static const StTypeTraits traits[] = {
    [ST_TYPE_F32] = {"F32", 1, 4, f32_to_float},
    [ST_TYPE_F16] = {"F16", 1, 2, f16_to_float},
    [ST_TYPE_Q4_0] = {"Q4_0", QK, sizeof (BlockQ4_0), q4_0_to_float},
    [ST_TYPE_Q4_1] = {"Q4_1", QK, sizeof (BlockQ4_1), q4_1_to_float},
    [ST_TYPE_Q5_0] = {"Q5_0", QK, sizeof (BlockQ5_0), q5_0_to_float},
    [ST_TYPE_Q5_1] = {"Q5_1", QK, sizeof (BlockQ5_1), q5_1_to_float},
    [ST_TYPE_Q8_0] = {"Q8_0", QK, sizeof (BlockQ8_0), q8_0_to_float},
    [ST_TYPE_Q4_K] = {"Q4_K", QK_K, sizeof (BlockQ4_K), q4_k_to_float},
    [ST_TYPE_Q5_K] = {"Q5_K", QK_K, sizeof (BlockQ5_K), q5_k_to_float},
    [ST_TYPE_Q6_K] = {"Q6_K", QK_K, sizeof (BlockQ6_K), q6_k_to_float},
    [ST_TYPE_BF16] = {"BF16", 1, 2, bf16_to_float},
  };

  if ((guint) type >= G_N_ELEMENTS (traits) || traits[type].name == NULL)
    return NULL;
  return &traits[type];
}

gsize
st_type_row_bytes (StType type, gsize n)
{
  const StTypeTraits *t = st_type_traits (type);
  gsize bytes;

  if (t == NULL || n % t->block_size != 0 ||
      !g_size_checked_mul (&bytes, n / t->block_size, t->block_bytes))
    return 0;
  return bytes;
}

static void
f16_from_float (const float *src, guint8 * dst, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    const guint16 half = st_float_to_half (src[i]);

    memcpy (dst + 2 * i, &half, sizeof half);
  }
}

static void
q8_0_block (const float *src, BlockQ8_0 * b)
{
  float max = 0.0f, d;
  guint16 half;

  for (guint j = 0; j < QK; j++)
    max = MAX (max, ABS (src[j]));
  half = st_float_to_half (max / 127.0f);
  d = st_half_to_float (half);
  memcpy (b->d, &half, sizeof half);
  for (guint j = 0; j < QK; j++) {
    const float q = d > 0.0f ? src[j] / d : 0.0f;

    b->qs[j] = (gint8) CLAMP (q < 0.0f ? q - 0.5f : q + 0.5f, -127.0f, 127.0f);
  }
}

gboolean
st_type_from_float (StType type, const float *src, void *dst, gsize n)
{
  BlockQ8_0 *blocks = dst;

  if (st_type_row_bytes (type, n) == 0)
    return FALSE;
  switch (type) {
    case ST_TYPE_F32:
      memcpy (dst, src, n * sizeof *src);
      return TRUE;
    case ST_TYPE_F16:
      f16_from_float (src, dst, n);
      return TRUE;
    case ST_TYPE_Q8_0:
      for (gsize i = 0; i < n / QK; i++)
        q8_0_block (src + i * QK, blocks + i);
      return TRUE;
    default:
      return FALSE;
  }
}
