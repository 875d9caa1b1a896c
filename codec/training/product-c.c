/* Products of values in bfloat16 in plain C: the bits of the tiles. */
#include "codec/float-bits.h"
#include "codec/training/product-private.h"

#define EXPONENT 0x7f800000u
#define SIGN 0x80000000u

/* Denormal values become zeros of their sign. */
static float
flush (float value)
{
  const guint32 bits = rd_float_to_bits (value);

  return rd_float_from_bits ((bits & EXPONENT) != 0 ? bits : bits & SIGN);
}

/* To the nearest, ties to even. */
static guint16
to_bf16 (float value)
{
  const guint32 bits = rd_float_to_bits (flush (value));

  if (value != value)
    return (guint16) (bits >> 16 | 0x40);
  return (guint16) ((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void
nothing (void)
{
}

static guint16
value_at (const RdOperand * operand, gsize depth, gsize line, gsize k)
{
  if (line >= operand->lines || k >= depth)
    return 0;
  return to_bf16 (operand->values[operand->across ? k * operand->stride + line :
          line * operand->stride + k]);
}

static void
pack (const RdOperand * operand, gsize depth, gsize line, gsize k,
    gboolean by_pairs, guint16 * tile)
{
  for (gsize i = 0; i < RD_TILE_LINES; i++) {
    for (gsize j = 0; j < RD_TILE_DEPTH; j++) {
      const gsize at = by_pairs ? j / 2 * RD_TILE_DEPTH + 2 * i + j % 2 :
          i * RD_TILE_DEPTH + j;

      tile[at] = value_at (operand, depth, line + i, k + j);
    }
  }
}

/* c (16 values) += one line of the left factor times a tile of the right one. */
static void
multiply_line (const guint16 * left, const guint16 * right, float *c)
{
  float first[RD_TILE_LINES] = { 0 }, second[RD_TILE_LINES] = { 0 };

  for (gsize pair = 0; pair < RD_TILE_PAIRS; pair++) {
    const float a = rd_float_from_bits ((guint32) left[2 * pair] << 16);
    const float b = rd_float_from_bits ((guint32) left[2 * pair + 1] << 16);
    const guint16 *row = right + pair * RD_TILE_DEPTH;

    for (gsize i = 0; i < RD_TILE_LINES; i++) {
      first[i] =
          flush (first[i] +
          a * rd_float_from_bits ((guint32) row[2 * i] << 16));
      second[i] = flush (second[i]
          + b * rd_float_from_bits ((guint32) row[2 * i + 1] << 16));
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
