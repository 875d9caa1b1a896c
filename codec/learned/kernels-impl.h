/* The loops of this folder, compiled once per instruction set: define RD_TARGET, RD_VECTOR_BYTES and RD_KERNELS before. Vectors are the
 * compiler's, so every set does the same operations in the same order. */
#include <string.h>

#include "codec/learned/exp2.h"
#include "codec/learned/instruction-set.h"
#include "codec/learned/trellis.h"
#include "codec/learned/vec8.h"

/* ---- transform ---- */

typedef gfloat Vec __attribute__((vector_size (RD_VECTOR_BYTES), aligned (4), may_alias));

#define VEC_FLOATS (RD_VECTOR_BYTES / sizeof (gfloat))
#define PANEL_VECS (RD_PANEL_COLS / VEC_FLOATS)
/* Columns at a time: with RD_TILE_ROWS rows as many sums as there are registers for. */
#define VECS_AT_ONCE 2

/* Columns from @at on. */
INLINE void
multiply_columns (const RdTile * t, gsize at, gsize n_rows)
{
  Vec sum[RD_TILE_ROWS][VECS_AT_ONCE];
  const gfloat *line = t->panel + at, *x = t->x;
  const gsize row_stride = t->row_stride, line_stride = t->line_stride;

  for (gsize r = 0; r < n_rows; r++)
    for (gsize v = 0; v < VECS_AT_ONCE; v++)
      sum[r][v] = *(const Vec *) (t->y + r * t->y_stride + at + v * VEC_FLOATS);
  for (gsize i = 0; i < t->lines; i++) {
    for (gsize v = 0; v < VECS_AT_ONCE; v++) {
      Vec m = *(const Vec *) (line + v * VEC_FLOATS);

      for (gsize r = 0; r < n_rows; r++)
        sum[r][v] += m * x[r * row_stride];
    }
    line += RD_PANEL_COLS;
    x += line_stride;
  }
  for (gsize r = 0; r < n_rows; r++)
    for (gsize v = 0; v < VECS_AT_ONCE; v++)
      *(Vec *) (t->y + r * t->y_stride + at + v * VEC_FLOATS) = sum[r][v];
}

static RD_TARGET void
multiply (const RdTile * t)
{
  for (gsize v = 0; v < PANEL_VECS; v += VECS_AT_ONCE) {
    gsize at = v * VEC_FLOATS;

    /* constant numbers of rows keep the sums in registers */
    if (t->n_rows == 4)
      multiply_columns (t, at, 4);
    else if (t->n_rows == 3)
      multiply_columns (t, at, 3);
    else if (t->n_rows == 2)
      multiply_columns (t, at, 2);
    else
      multiply_columns (t, at, 1);
  }
}

static RD_TARGET void
subtract (gdouble * restrict y, const gdouble * restrict x, gdouble f, gsize n)
{
  for (gsize i = 0; i < n; i++)
    y[i] -= f * x[i];
}

/* ---- contexts ---- */

/* FORMAT.md's lg. A float of at most 24 bits is exact, and its bits are its logarithm. */
INLINE gint32
lg (gint32 x)
{
  return ((gint32) rd_float_to_bits ((gfloat) MIN (x, (1 << 24) - 1)) >> 15)
      - (127 << 8);
}

INLINE Int8
lg_8 (Int8 x)
{
  return ((Int8) to_floats (min_ints (x, (1 << 24) - 1)) >> 15) - (127 << 8);
}

INLINE gint32
clamp_scale (gint32 i)
{
  return CLAMP (i, 0, RD_LEARNED_SCALES - 1);
}

INLINE Int8
clamp_scale_8 (Int8 i)
{
  return clamp_ints (i, RD_LEARNED_SCALES - 1);
}

INLINE Int8
trellis_next_8 (Int8 state, Int8 k)
{
  Int8 b0 = state & 1, b1 = state >> 1 & 1, b2 = state >> 2;

  return (b1 ^ b0) | (b2 ^ (k & 1)) << 1 | b0 << 2;
}

/* What a context's coefficient has for all rows. */
typedef struct
{
  gint32 base, whole_weight, near_weight;
  gint32 first_table, second_table;     /* of quantiser 0, and how far those of quantiser 1 are */
  const gint32 *shift;          /* (n) */
} Coefficient;

static const gint32 no_shift[RD_BLOCK_ROWS];

/* Takes the symbol of a row's last coefficient. */
INLINE void
take_symbol (RdContext * c, gsize t, gint32 symbol)
{
  gint32 k = symbol < 0 ? -symbol : symbol;
  gint32 a = MIN (k, 255) * 16, e = c->expected[t];

  c->whole[t] += a;
  c->whole_mean[t] += e;
  c->near[t] += a - (c->near[t] >> 5);
  c->near_mean[t] += e - (c->near_mean[t] >> 5);
  c->state[t] = rd_trellis_next (c->state[t], k);
}

INLINE void
take_symbols_8 (RdContext * c, gsize t, const gint32 * symbols)
{
  Int8 k = abs_ints (load_ints (symbols));
  Int8 a = min_ints (k, 255) << 4, e = load_ints (c->expected + t);
  Int8 near = load_ints (c->near + t), near_mean =
      load_ints (c->near_mean + t);

  store_ints (c->whole + t, load_ints (c->whole + t) + a);
  store_ints (c->whole_mean + t, load_ints (c->whole_mean + t) + e);
  store_ints (c->near + t, near + a - (near >> 5));
  store_ints (c->near_mean + t, near_mean + e - (near_mean >> 5));
  store_ints (c->state + t, trellis_next_8 (load_ints (c->state + t), k));
}

INLINE guint16
give_table (RdContext * c, gsize t, const Coefficient * coefficient)
{
  gint32 nominal = coefficient->base - c->offset[t] + coefficient->shift[t];
  gint32 correction =
      coefficient->whole_weight * (lg (c->whole[t]) - lg (c->whole_mean[t]))
      + coefficient->near_weight * (lg (c->near[t]) - lg (c->near_mean[t]));

  c->expected[t] = c->magnitude[clamp_scale (nominal >> 5)];
  return (guint16) (coefficient->first_table
      + coefficient->second_table * (c->state[t] & 1)
      + clamp_scale ((nominal + (correction >> 6)) >> 5));
}

INLINE void
give_tables_8 (RdContext * c, gsize t, const Coefficient * coefficient,
    guint16 * tables)
{
  Int8 nominal = coefficient->base - load_ints (c->offset + t)
      + load_ints (coefficient->shift + t);
  Int8 correction = coefficient->whole_weight
      * (lg_8 (load_ints (c->whole + t)) - lg_8 (load_ints (c->whole_mean +
              t)))
      + coefficient->near_weight * (lg_8 (load_ints (c->near + t))
      - lg_8 (load_ints (c->near_mean + t)));
  Int8 second = -(load_ints (c->state + t) & 1) & coefficient->second_table;
  Int8 table = coefficient->first_table + second
      + clamp_scale_8 ((nominal + (correction >> 6)) >> 5);

  store_ints (c->expected + t, gather_ints (c->magnitude,
          clamp_scale_8 (nominal >> 5)));
  *(Short8Memory *) tables = __builtin_convertvector (table, Short8Memory);
}

/* Takes the symbols of coefficient j - 1, unless j is 0, and gives the tables of coefficient j. */
static RD_TARGET void
context_next (RdContext * c, const gint32 * symbols, gsize j, guint16 * tables)
{
  const Coefficient coefficient = {
    .base = c->base[j] + RD_SCALE_BIAS,.whole_weight = c->weights[j],
    .near_weight = c->weights[c->hidden_size + j],
    .first_table = c->scalar ? RD_TABLE_SCALAR : RD_TABLE_TRELLIS_0,
    .second_table = c->scalar ? 0 : RD_LEARNED_SCALES,
    .shift = c->shift ? c->shift + j * c->n : no_shift,
  };
  gsize t = 0;

  for (; t + LANES <= c->n; t += LANES) {
    if (j > 0)
      take_symbols_8 (c, t, symbols + t);
    give_tables_8 (c, t, &coefficient, tables + t);
  }
  for (; t < c->n; t++) {
    if (j > 0)
      take_symbol (c, t, symbols[t]);
    tables[t] = give_table (c, t, &coefficient);
  }
}

/* ---- values ---- */

/* The steps of these logarithms, which files keep within -13500 .. 13500. */
INLINE Vec8
exp2_8 (Int8 log_step)
{
  return (Vec8) (((log_step >> 8) + 127) << 23
      | gather_ints (rd_exp2_mantissa, log_step & 255));
}

/* Twice the symbols, less their sign in quantiser 1. */
INLINE Int8
double_symbols_8 (Int8 symbol, Int8 state)
{
  Int8 sign = (symbol < 0) - (symbol > 0);

  return 2 * symbol - (-(state & 1) & sign);
}

static RD_TARGET gboolean
dequantise (const RdContext * c, const gint32 * symbols, gfloat * coefficients)
{
  gint32 state[RD_BLOCK_ROWS] = { 0 };
  Int8 worst = { 0 };
  gint32 max = 0;

  for (gsize j = 0; j < c->hidden_size; j++) {
    const gint32 *line = symbols + j * c->n;
    gfloat *out = coefficients + j * c->n;
    gsize t = 0;

    for (; t + LANES <= c->n; t += LANES) {
      Int8 symbol = load_ints (line + t), k = abs_ints (symbol), r = symbol;
      Int8 s = load_ints (state + t);

      worst |= k;
      if (!c->scalar) {
        r = double_symbols_8 (symbol, s);
        store_ints (state + t, trellis_next_8 (s, k));
      }
      *(Vec8Memory *) (out + t) = to_floats (r)
          * exp2_8 (c->log_step[j] + load_ints (c->offset + t));
    }
    for (; t < c->n; t++) {
      gint32 symbol = line[t], k = symbol < 0 ? -symbol : symbol, r = symbol;

      max |= k;
      if (!c->scalar) {
        r = 2 * symbol - (state[t] & 1) * ((symbol > 0) - (symbol < 0));
        state[t] = rd_trellis_next (state[t], k);
      }
      out[t] = (gfloat) r *rd_exp2_step (c->log_step[j] + c->offset[t]);
    }
  }
  for (gsize i = 0; i < LANES; i++)
    max |= worst[i];
  return max <= RD_LEARNED_MAX_SYMBOL;
}

/* ---- networks ---- */

typedef gint32 IntVec __attribute__((vector_size (RD_VECTOR_BYTES), aligned (4), may_alias));
typedef gint16 ShortVec __attribute__((vector_size (RD_VECTOR_BYTES), aligned (2), may_alias));

#define VEC_INTS (RD_VECTOR_BYTES / sizeof (gint32))
#define NETWORK_VECS (RD_NETWORK_COLS / VEC_INTS)

/* For each output its two weights times the pair of inputs that @pair has in its halves. */
INLINE IntVec
multiply_pairs (const gint16 * weights, gint32 pair)
{
  const IntVec x = pair - (IntVec) { 0 };
#if RD_VECTOR_BYTES == 64
  return (IntVec) _mm512_madd_epi16 (_mm512_loadu_si512 (weights), (__m512i) x);
#elif RD_VECTOR_BYTES == 32
  return (IntVec) _mm256_madd_epi16 (_mm256_loadu_si256 ((const __m256i *)
          weights), (__m256i) x);
#elif defined (RD_RANS_X86)
  return (IntVec) _mm_madd_epi16 (_mm_loadu_si128 ((const __m128i *) weights),
      (__m128i) x);
#else
  const ShortVec inputs = (ShortVec) x;
  IntVec sum = { 0 };

  for (gsize i = 0; i < VEC_INTS; i++)
    sum[i] = (gint32) weights[2 * i] * inputs[2 * i]
        + (gint32) weights[2 * i + 1] * inputs[2 * i + 1];
  return sum;
#endif
}

INLINE void
network_rows (const RdNetworkTile * t, gsize n_rows)
{
  IntVec sum[RD_NETWORK_ROWS][NETWORK_VECS];
  const gint16 *panel = t->panel;

  for (gsize r = 0; r < n_rows; r++)
    for (gsize v = 0; v < NETWORK_VECS; v++)
      sum[r][v] = *(const IntVec *) (t->sum + r * t->sum_stride + v * VEC_INTS);
  for (gsize p = 0; p < t->n_pairs; p++, panel += 2 * RD_NETWORK_COLS)
    for (gsize r = 0; r < n_rows; r++) {
      gint32 pair;

      memcpy (&pair, t->x + r * t->x_stride + 2 * p, sizeof pair);
      for (gsize v = 0; v < NETWORK_VECS; v++)
        sum[r][v] += multiply_pairs (panel + v * 2 * VEC_INTS, pair);
    }
  for (gsize r = 0; r < n_rows; r++)
    for (gsize v = 0; v < NETWORK_VECS; v++)
      *(IntVec *) (t->sum + r * t->sum_stride + v * VEC_INTS) = sum[r][v];
}

static RD_TARGET void
network (const RdNetworkTile * t)
{
  /* constant numbers of rows keep the sums in registers */
  if (t->n_rows == 4)
    network_rows (t, 4);
  else if (t->n_rows == 3)
    network_rows (t, 3);
  else if (t->n_rows == 2)
    network_rows (t, 2);
  else
    network_rows (t, 1);
}

#include "codec/learned/trellis-impl.h"

const RdLearnedKernels RD_KERNELS = {
  multiply, subtract, context_next, dequantise, steps, trellis_run,
  network
};
