/* Products of values in bfloat16 in plain C: the bits of the tiles. */
#include "codec/training/product-private.h"

#include <string.h>

#define EXPONENT 0x7f800000u
#define SIGN 0x80000000u

static guint32
bits_of (float value)
{
  guint32 bits;

  memcpy (&bits, &value, sizeof (bits));
  return bits;
}

static float
from_bits (guint32 bits)
{
  float value;

  memcpy (&value, &bits, sizeof (value));
  return value;
}

/* Denormal values become zeros of their sign. */
static float
flush (float value)
{
  const guint32 bits = bits_of (value);

  return from_bits ((bits & EXPONENT) != 0 ? bits : bits & SIGN);
}

/* To the nearest, ties to even. */
static guint16
to_bf16 (float value)
{
  const guint32 bits = bits_of (flush (value));

  if (value != value)
    return (guint16) (bits >> 16 | 0x40);
  return (guint16) ((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void
nothing (void)
{
}

static guint16
value_at (const RdOperand * factor, gsize depth, gsize line, gsize k)
{
  if (line >= factor->lines || k >= depth)
    return 0;
  return to_bf16 (factor->values[factor->across ? k * factor->stride + line :
          line * factor->stride + k]);
}

static void
pack (const RdOperand * factor, gsize depth, gsize line, gsize k,
    gboolean by_pairs, guint16 * tile)
{
  for (gsize i = 0; i < RD_TILE_LINES; i++) {
    for (gsize j = 0; j < RD_TILE_DEPTH; j++) {
      const gsize at = by_pairs ? j / 2 * RD_TILE_DEPTH + 2 * i + j % 2 :
          i * RD_TILE_DEPTH + j;

      tile[at] = value_at (factor, depth, line + i, k + j);
    }
  }
}

/* c (16 values) += one line of the left factor times a tile of the right one. */
static void
multiply_line (const guint16 * left, const guint16 * right, float *c)
{
  float first[RD_TILE_LINES] = { 0 }, second[RD_TILE_LINES] = { 0 };

  for (gsize pair = 0; pair < RD_TILE_PAIRS; pair++) {
    const float a = from_bits ((guint32) left[2 * pair] << 16);
    const float b = from_bits ((guint32) left[2 * pair + 1] << 16);
    const guint16 *row = right + pair * RD_TILE_DEPTH;

    for (gsize i = 0; i < RD_TILE_LINES; i++) {
      first[i] = flush (first[i] + a * from_bits ((guint32) row[2 * i] << 16));
      second[i] = flush (second[i]
          + b * from_bits ((guint32) row[2 * i + 1] << 16));
    }
  }
  for (gsize i = 0; i < RD_TILE_LINES; i++)
    c[i] = flush (flush (c[i]) + flush (first[i] + second[i]));
}

static void
multiply (const guint16 * left, const guint16 * right, gsize steps,
    gboolean accumulate, float *c, gsize stride)
{
  for (gsize i = 0; i < RD_PANEL_LINES; i++, c += stride) {
    const gsize line = i / RD_TILE_LINES * RD_TILE_VALUES
        + i % RD_TILE_LINES * RD_TILE_DEPTH;

    if (!accumulate)
      memset (c, 0, RD_PANEL_LINES * sizeof (float));
    for (gsize tile = 0; tile < 2 * steps; tile++)
      multiply_line (left + tile / 2 * 2 * RD_TILE_VALUES + line,
          right + tile * RD_TILE_VALUES, c + tile % 2 * RD_TILE_LINES);
  }
}

const RdProductKernels rd_product_kernels_c = {
  "c", nothing, nothing, pack, multiply
};
