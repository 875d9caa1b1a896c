#include "codec/simple/quantize.h"
#include "codec/float-bits.h"
#include "codec/simple/half.h"


/* Adding and subtracting 1.5 * 2^23 rounds |x| < 2^22 to an integer, ties to even: one rounding in float arithmetic, and SIMD. */
#define ROUND_MAGIC 12582912.0f
/* The largest float s with finite 127 * s. */
#define INT8_SCALE_MAX 0x1.020406p+121f
#define INT4_CODES 16

gsize
rd_int8_row_bytes (gsize n)
{
  return sizeof (gfloat) + n;
}

gsize
rd_int4_row_bytes (gsize n)
{
  return (n + RD_INT4_GROUP - 1) / RD_INT4_GROUP * 2 + (n + 1) / 2;
}

static gfloat
max_abs (const gfloat * x, gsize n)
{
  return rd_float_from_bits (rd_float_max_abs_bits (x, n));
}

static void
write_float (guint8 * bytes, gfloat x)
{
  guint32 bits = GUINT32_TO_LE (rd_float_to_bits (x));

  memcpy (bytes, &bits, sizeof bits);
}

static gfloat
read_float (const guint8 * bytes)
{
  guint32 bits;

  memcpy (&bits, bytes, sizeof bits);
  return rd_float_from_bits (GUINT32_FROM_LE (bits));
}

static gint
quantize (gfloat x, gfloat scale, gfloat min, gfloat max)
{
  gfloat r = x / scale;

  r = r < min ? min : r;
  r = r > max ? max : r;
  return (gint) ((gfloat) (r + ROUND_MAGIC) - ROUND_MAGIC);
}

void
rd_int8_encode_row (const gfloat * x, guint8 * bytes, gsize n)
{
  gfloat scale = MIN (max_abs (x, n) / 127.0f, INT8_SCALE_MAX);
  gint8 *q = (gint8 *) bytes + sizeof (gfloat);

  write_float (bytes, scale);
  if (scale == 0) {
    memset (q, 0, n);
    return;
  }
  for (gsize i = 0; i < n; i++)
    q[i] = (gint8) quantize (x[i], scale, -127, 127);
}

gboolean
rd_int8_decode_row (const guint8 * bytes, gfloat * x, gsize n)
{
  gfloat scale = read_float (bytes);
  const gint8 *q = (const gint8 *) bytes + sizeof (gfloat);
  gint min = 0;

  /* written so that NaN fails too; the sign bit of a zero is no scale either */
  if (!(scale >= 0 && scale <= INT8_SCALE_MAX) || bytes[3] > 0x7f)
    return FALSE;
  for (gsize i = 0; i < n; i++) {
    min = MIN (min, q[i]);
    x[i] = (gfloat) q[i] * scale;
  }
  return min >= -127;
}

/* The value of largest magnitude, the first of equals. */
static gfloat
extreme (const gfloat * x, gsize n)
{
  gfloat max = max_abs (x, n);
  gsize i = 0;

  while (x[i] != max && x[i] != -max)
    i++;
  return x[i];
}

/* 32 values of one group to 4-bit codes, one a byte. */
static guint16
quantize_group (const gfloat * x, gsize n, guint8 * codes)
{
  gfloat e = extreme (x, n);
  /* the extreme becomes code -8: all sixteen codes are used */
  guint16 half = e == 0 ? 0 : rd_half_from_float (e / -8.0f);
  gfloat scale = rd_half_to_float (half);

  memset (codes, 8, RD_INT4_GROUP);
  if (scale == 0)
    return 0;
  for (gsize i = 0; i < n; i++)
    codes[i] = (guint8) (quantize (x[i], scale, -8, 7) + 8);
  return half;
}

void
rd_int4_encode_row (const gfloat * x, guint8 * bytes, gsize n)
{
  gsize groups = (n + RD_INT4_GROUP - 1) / RD_INT4_GROUP;
  guint8 *nibbles = bytes + 2 * groups;
  guint8 codes[RD_INT4_GROUP];

  for (gsize g = 0; g < groups; g++) {
    gsize begin = g * RD_INT4_GROUP, count = MIN (n - begin, RD_INT4_GROUP);
    guint16 half = quantize_group (x + begin, count, codes);

    bytes[2 * g] = half & 0xff;
    bytes[2 * g + 1] = half >> 8;
    for (gsize i = 0; i < (count + 1) / 2; i++)
      nibbles[begin / 2 + i] = codes[2 * i] | (guint8) (codes[2 * i + 1] << 4);
  }
}

static void
dequantize_group (const guint8 * nibbles, gfloat scale, gfloat * x, gsize n)
{
  gfloat table[INT4_CODES];

  for (gint q = 0; q < INT4_CODES; q++)
    table[q] = (gfloat) (q - 8) * scale;
  for (gsize i = 0; i + 1 < n; i += 2) {
    x[i] = table[nibbles[i / 2] & 15];
    x[i + 1] = table[nibbles[i / 2] >> 4];
  }
  if (n % 2)
    x[n - 1] = table[nibbles[n / 2] & 15];
}

gboolean
rd_int4_decode_row (const guint8 * bytes, gfloat * x, gsize n)
{
  gsize groups = (n + RD_INT4_GROUP - 1) / RD_INT4_GROUP;
  const guint8 *nibbles = bytes + 2 * groups;

  /* the half byte after an odd row's end is always code 0 */
  if (n % 2 && nibbles[n / 2] >> 4 != 8)
    return FALSE;
  for (gsize g = 0; g < groups; g++) {
    gsize begin = g * RD_INT4_GROUP, count = MIN (n - begin, RD_INT4_GROUP);
    guint16 half = bytes[2 * g] | (guint16) (bytes[2 * g + 1] << 8);

    if ((half & RD_HALF_INFINITY) == RD_HALF_INFINITY)
      return FALSE;
    dequantize_group (nibbles + begin / 2, rd_half_to_float (half), x + begin,
        count);
  }
  return TRUE;
}
