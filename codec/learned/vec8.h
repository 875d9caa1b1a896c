/* Eight lanes at a time, as every instruction set does them: for kernels-impl.h, which defines RD_TARGET and RD_VECTOR_BYTES before. */
#pragma once
#include "codec/entropy/rans-private.h"

#ifdef RD_RANS_X86
#include <immintrin.h>
#endif

#define LANES 8
#define INLINE static inline RD_TARGET __attribute__((always_inline))

typedef gfloat Vec8 __attribute__((vector_size (32)));
typedef gint32 Int8 __attribute__((vector_size (32)));
/* in memory */
typedef gfloat Vec8Memory __attribute__((vector_size (32), aligned (4), may_alias));
typedef gint32 Int8Memory __attribute__((vector_size (32), aligned (4), may_alias));
typedef guint16 Short8Memory __attribute__((vector_size (16), aligned (2), may_alias));

INLINE Int8
load_ints (const gint32 * p)
{
  return *(const Int8Memory *) p;
}

INLINE void
store_ints (gint32 * p, Int8 x)
{
  *(Int8Memory *) p = x;
}

/* a where the mask is set, else b */
INLINE Int8
select_ints (Int8 mask, Int8 a, Int8 b)
{
  return (mask & a) | (~mask & b);
}

INLINE Vec8
select_floats (Int8 mask, Vec8 a, Vec8 b)
{
  return (Vec8) select_ints (mask, (Int8) a, (Int8) b);
}

INLINE Int8
min_ints (Int8 a, gint32 b)
{
  return select_ints (a < b, a, b - (Int8) { 0 });
}

INLINE Int8
clamp_ints (Int8 x, gint32 max)
{
  return min_ints (select_ints (x > 0, x, (Int8) { 0 }), max);
}

INLINE Int8
abs_ints (Int8 x)
{
  Int8 negative = x < 0;

  return (x ^ negative) - negative;
}

INLINE Int8
to_ints (Vec8 x)
{
  return __builtin_convertvector (x, Int8);
}

INLINE Vec8
to_floats (Int8 x)
{
  return __builtin_convertvector (x, Vec8);
}

/* table[index] of each lane */
INLINE Int8
gather_ints (const gint32 * table, Int8 index)
{
#if RD_VECTOR_BYTES >= 32
  return (Int8) _mm256_i32gather_epi32 (table, (__m256i) index, 4);
#else
  Int8 x = { 0 };

  for (guint i = 0; i < LANES; i++)
    x[i] = table[index[i]];
  return x;
#endif
}

INLINE Vec8
gather_floats (const gfloat * table, Int8 index)
{
#if RD_VECTOR_BYTES >= 32
  return (Vec8) _mm256_i32gather_ps (table, (__m256i) index, 4);
#else
  Vec8 x = { 0 };

  for (guint i = 0; i < LANES; i++)
    x[i] = table[index[i]];
  return x;
#endif
}
