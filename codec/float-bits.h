/* Floats as their bits: indifferent to the floating-point mode, and plain integer SIMD for the compiler. Private to codec/. */
#pragma once
#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

#define RD_FLOAT_INFINITY_BITS 0x7f800000u      /* magnitude bits from here on are infinity and NaN */

static inline guint32
rd_float_to_bits (gfloat x)
{
  guint32 bits;

  memcpy (&bits, &x, sizeof bits);
  return bits;
}

static inline gfloat
rd_float_from_bits (guint32 bits)
{
  gfloat x;

  memcpy (&x, &bits, sizeof x);
  return x;
}

static inline guint32
rd_float_abs_bits (gfloat x)
{
  return rd_float_to_bits (x) & 0x7fffffffu;
}

/** Magnitude bits of the largest of @n values; NaN counts as larger than infinity. 0 if there are none. */
static inline guint32
rd_float_max_abs_bits (const gfloat * x, gsize n)
{
  guint32 max = 0;

  for (gsize i = 0; i < n; i++)
    max = MAX (max, rd_float_abs_bits (x[i]));
  return max;
}

G_END_DECLS
