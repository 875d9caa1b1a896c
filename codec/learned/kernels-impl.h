/* The loops of this folder, compiled once per instruction set: define RD_TARGET and RD_KERNELS before. Vectors are the compiler's, so every
 * set does the same operations in the same order. */
#include "codec/learned/context.h"
#include "codec/learned/instruction-set.h"
#include "codec/learned/trellis.h"

#include <string.h>

/* ---- transform ---- */

typedef gfloat Vec __attribute__((vector_size (RD_VECTOR_BYTES), aligned (4), may_alias));

#define VEC_FLOATS (RD_VECTOR_BYTES / sizeof (gfloat))
#define PANEL_VECS (RD_PANEL_COLS / VEC_FLOATS)
/* Columns at a time: as many accumulators as there are registers for. */
#define VECS_AT_ONCE (RD_VECTOR_BYTES == 16 ? 2 : 2)

static inline RD_TARGET __attribute__((always_inline)) void
tile_columns (const gfloat * panel, gsize rows, const gfloat * x, gsize ldx,
    gfloat * y, gsize n_rows)
{
  Vec sum[RD_TILE_ROWS][VECS_AT_ONCE];

  for (gsize r = 0; r < n_rows; r++)
    for (gsize v = 0; v < VECS_AT_ONCE; v++)
      sum[r][v] = *(const Vec *) (y + r * RD_PANEL_COLS + v * VEC_FLOATS);
  for (gsize i = 0; i < rows; i++) {
    const gfloat *line = panel + i * RD_PANEL_COLS;

    for (gsize v = 0; v < VECS_AT_ONCE; v++) {
      Vec m = *(const Vec *) (line + v * VEC_FLOATS);

      for (gsize r = 0; r < n_rows; r++)
        sum[r][v] += m * x[r * ldx + i];
    }
  }
  for (gsize r = 0; r < n_rows; r++)
    for (gsize v = 0; v < VECS_AT_ONCE; v++)
      *(Vec *) (y + r * RD_PANEL_COLS + v * VEC_FLOATS) = sum[r][v];
}

static RD_TARGET void
tile (const gfloat * panel, gsize rows, const gfloat * x, gsize ldx,
    gfloat * y, gsize n_rows)
{
  for (gsize v = 0; v < PANEL_VECS; v += VECS_AT_ONCE) {
    gsize at = v * VEC_FLOATS;

    /* constant numbers of rows keep the sums in registers */
    if (n_rows == RD_TILE_ROWS)
      tile_columns (panel + at, rows, x, ldx, y + at, RD_TILE_ROWS);
    else
      for (gsize r = 0; r < n_rows; r++)
        tile_columns (panel + at, rows, x + r * ldx, ldx,
            y + r * RD_PANEL_COLS + at, 1);
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
static inline RD_TARGET __attribute__((always_inline)) gint32
lg (gint32 x)
{
  union
  {
    gfloat f;
    gint32 i;
  } u;

  u.f = (gfloat) MIN (x, (1 << 24) - 1);
  return (u.i >> 15) - (127 << 8);
}

static inline RD_TARGET __attribute__((always_inline)) gint32
clamp_scale (gint32 i)
{
  return MAX (0, MIN (i, RD_LEARNED_SCALES - 1));
}

/* Takes the symbols of coefficient j - 1, unless j is 0, and gives the tables of coefficient j. */
static RD_TARGET void
context_next (RdContext * c, const gint32 * restrict symbols, gsize j,
    guint16 * restrict tables)
{
  const gint32 base = c->base[j] + RD_SCALE_BIAS;
  const gint32 whole_weight = c->weights[j], near_weight =
      c->weights[c->hidden_size + j];
  const gint32 *magnitude = c->magnitude;
  const gint32 first_table = c->scalar ? RD_TABLE_SCALAR : RD_TABLE_TRELLIS_0;
  const gint32 second = c->scalar ? 0 : RD_LEARNED_SCALES;
  gint32 *restrict whole = c->whole, *restrict whole_mean = c->whole_mean;
  gint32 *restrict near = c->near, *restrict near_mean = c->near_mean;
  gint32 *restrict expected = c->expected, *restrict state = c->state;
  const gint32 *restrict offset = c->offset;

  if (j > 0)
    for (gsize t = 0; t < c->n; t++) {
      gint32 k = symbols[t] < 0 ? -symbols[t] : symbols[t];
      gint32 a = MIN (k, 255) * 16, e = expected[t], s = state[t];

      whole[t] += a;
      whole_mean[t] += e;
      near[t] += a - (near[t] >> 5);
      near_mean[t] += e - (near_mean[t] >> 5);
      state[t] = rd_trellis_next (s, k);
    }
  for (gsize t = 0; t < c->n; t++) {
    gint32 nominal = base - offset[t];
    gint32 correction = whole_weight * (lg (whole[t]) - lg (whole_mean[t]))
        + near_weight * (lg (near[t]) - lg (near_mean[t]));

    expected[t] = magnitude[clamp_scale (nominal >> 5)];
    tables[t] = (guint16) (first_table + second * (state[t] & 1)
        + clamp_scale ((nominal + (correction >> 6)) >> 5));
  }
}

/* ---- trellis ---- */

typedef gfloat Vec8 __attribute__((vector_size (32)));
typedef gint32 Int8 __attribute__((vector_size (32)));

#define SELECT(mask, a, b) (((mask) & (a)) | (~(mask) & (b)))
#define SHUFFLE(v, a, b, c, d, e, f, g, h) __builtin_shufflevector (v, v, a, b, c, d, e, f, g, h)

/* The best symbol of each (quantiser, parity) for a magnitude, and its cost: distortion in squares of a step, and lambda times bits. */
typedef struct
{
  gfloat cost[4];
  gint32 k[4];
} Branches;

static inline RD_TARGET __attribute__((always_inline)) void
find_branches (const RdTrellis * trellis, gfloat v, gint32 scale,
    Branches * b)
{
  /* values of quantiser 0, even and odd symbols, and of quantiser 1: 4 m + first */
  static const gfloat first[4] = { 0, 2, -1, 1 };

  for (guint i = 0; i < 4; i++) {
    const gfloat *bits = trellis->bits[(i >> 1)] + scale * RD_TRELLIS_COSTS;
    gfloat m = (v - first[i]) * 0.25f + 0.5f;
    gint32 whole = m > 0 ? (gint32) m : 0;
    gint32 k = 2 * whole + (gint32) (i & 1);
    gfloat value = k == 0 ? 0 : (gfloat) (4 * whole) + first[i];
    gfloat cost = (v - value) * (v - value)
        + bits[MIN (k, RD_TRELLIS_COSTS - 1)];
    gfloat zero = v * v + bits[0];

    if (!(i & 1) && zero < cost) {
      k = 0;
      cost = zero;
    }
    b->cost[i] = cost;
    b->k[i] = k;
  }
}

/* The Viterbi algorithm over one row. value: (D) magnitudes in steps. */
static RD_TARGET void
trellis_run (RdTrellis * trellis, const gfloat * value, gint32 * symbols)
{
  const gsize d = trellis->hidden_size;
  const gint32 *magnitude = trellis->magnitude;
  gint32 whole = RD_CONTEXT_WHOLE, whole_mean = RD_CONTEXT_WHOLE;
  gint32 near = RD_CONTEXT_NEAR, near_mean = RD_CONTEXT_NEAR;
  Vec8 cost = { 0, 1e30f, 1e30f, 1e30f, 1e30f, 1e30f, 1e30f, 1e30f };
  Int8 *kept = (Int8 *) trellis->kept;
  guint best = 0;

  for (gsize j = 0; j < d; j++) {
    gint32 nominal = trellis->base[j] + RD_SCALE_BIAS - trellis->offset;
    gint32 correction = trellis->weights[j] * (lg (whole) - lg (whole_mean))
        + trellis->weights[d + j] * (lg (near) - lg (near_mean));
    Branches b;

    find_branches (trellis, value[j],
        clamp_scale ((nominal + (correction >> 6)) >> 5), &b);
    /* Next state n comes from (n2, n2 xor n0, 0) by parity n1, or from (n2, n2 xor n0, 1) by the other; bit 2 of n names the quantiser. */
    const gfloat *c = b.cost;
    const gint32 *k = b.k;
    Vec8 from_0 = SHUFFLE (cost, 0, 2, 0, 2, 3, 1, 3, 1)
        + (Vec8) { c[0], c[0], c[1], c[1], c[2], c[2], c[3], c[3] };
    Vec8 from_1 = SHUFFLE (cost, 4, 6, 4, 6, 7, 5, 7, 5)
        + (Vec8) { c[1], c[1], c[0], c[0], c[3], c[3], c[2], c[2] };
    Int8 k_0 = { k[0], k[0], k[1], k[1], k[2], k[2], k[3], k[3] };
    Int8 k_1 = { k[1], k[1], k[0], k[0], k[3], k[3], k[2], k[2] };
    Int8 second = from_1 < from_0;

    cost = (Vec8) SELECT (second, (Int8) from_1, (Int8) from_0);
    /* the symbol, and whether the second predecessor won, in one number */
    kept[j] = (SELECT (second, k_1, k_0) << 1) - second;
    best = 0;
    for (guint s = 1; s < RD_TRELLIS_STATES; s++)
      best = cost[s] < cost[best] ? s : best;
    gint32 a = MIN (kept[j][best] >> 1, 255) * 16;
    gint32 e = magnitude[clamp_scale (nominal >> 5)];
    whole += a;
    whole_mean += e;
    near += a - (near >> 5);
    near_mean += e - (near_mean >> 5);
  }
  for (gsize j = d; j-- > 0;) {
    gint32 entry = kept[j][best];

    symbols[j] = entry >> 1;
    best = (best >> 2 & 1) | ((best >> 2 ^ best) & 1) << 1 |
        (guint) (entry & 1) << 2;
  }
}

const RdLearnedKernels RD_KERNELS =
    { tile, context_next, subtract, trellis_run };
