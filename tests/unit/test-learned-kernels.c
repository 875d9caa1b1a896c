/* The loops of codec/learned that are compiled once per instruction set, against plain ones written from FORMAT.md and against each other. */
#include "codec/learned/instruction-set.h"
#include "codec/learned/model.h"

#include <math.h>
#include <string.h>

#define MAX_HIDDEN 700
#define CANARY 0x5a

typedef struct
{
  const gchar *name;
  const RdLearnedKernels *kernels;
} Set;

static Set sets[3];
static guint n_sets;

static void
find_sets (void)
{
  static const gchar *const names[] = { "c", "avx2", "avx512" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (rd_rans_force_instruction_set (names[i]))
      sets[n_sets++] = (Set) {
      names[i], rd_learned_kernels ()};
  g_assert_true (rd_rans_force_instruction_set (NULL));
}

static void
assert_canary (gconstpointer data, gsize n)
{
  const guint8 *p = data;

  for (gsize i = 0; i < n; i++)
    g_assert_cmphex (p[i], ==, CANARY);
}

/* ---- products ---- */

static gfloat
draw_float (GRand * rand)
{
  static const gfloat edges[] = { 0, -0.f, 0x1p-149f, -0x1p-130f, 1e30f, 1 };
  guint pick = (guint) g_rand_int_range (rand, 0, 40);

  return pick < G_N_ELEMENTS (edges) ? edges[pick]
      : (gfloat) g_rand_double_range (rand, -4, 4);
}

static void
check_tile (const Set * set, GRand * rand, gsize lines, gsize n,
    gboolean by_lines)
{
  gsize gap = (gsize) g_rand_int_range (rand, 0, 3);
  gsize row_stride = by_lines ? 1 : lines + gap;
  gsize line_stride = by_lines ? n + gap : 1;
  gsize y_stride = RD_PANEL_COLS + gap, size = (RD_TILE_ROWS + 1) * y_stride;
  g_autofree gfloat *panel = g_new (gfloat, lines * RD_PANEL_COLS + 1);
  g_autofree gfloat *x = g_new (gfloat, (lines + gap) * (n + gap) + 1);
  g_autofree gfloat *y = g_new (gfloat, size);
  g_autofree gfloat *expected = g_new (gfloat, size);
  const RdTile tile = { panel, lines, x, row_stride, line_stride, y, y_stride,
    n
  };

  for (gsize i = 0; i < lines * RD_PANEL_COLS; i++)
    panel[i] = draw_float (rand);
  for (gsize i = 0; i < (lines + gap) * (n + gap); i++)
    x[i] = draw_float (rand);
  memset (y, CANARY, size * sizeof *y);
  for (gsize t = 0; t < n; t++)
    for (gsize c = 0; c < RD_PANEL_COLS; c++)
      y[t * y_stride + c] = draw_float (rand);
  memcpy (expected, y, size * sizeof *y);
  for (gsize t = 0; t < n; t++)
    for (gsize i = 0; i < lines; i++)
      for (gsize c = 0; c < RD_PANEL_COLS; c++) {
        volatile gfloat product = x[t * row_stride + i * line_stride]
            * panel[i * RD_PANEL_COLS + c];
        expected[t * y_stride + c] += product;
      }
  set->kernels->multiply (&tile);
  if (memcmp (y, expected, size * sizeof *y) != 0)
    g_error ("%s: %u rows, %u lines", set->name, (guint) n, (guint) lines);
}

static void
test_tile (void)
{
  static const gsize lines[] = { 0, 1, 2, 3, 31, 32, 33, 576 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  for (guint s = 0; s < n_sets; s++)
    for (guint i = 0; i < G_N_ELEMENTS (lines); i++)
      for (gsize n = 1; n <= RD_TILE_ROWS; n++)
        for (guint round = 0; round < 6; round++)
          check_tile (&sets[s], rand, lines[i], n, round & 1);
}

/* rd_packed_matrix_apply() over sizes that fill panels and tiles or do not. */
static void
test_matrix (void)
{
  static const gsize sizes[] = { 1, 5, 31, 32, 33, 64, 65, 300 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (2);

  for (guint a = 0; a < G_N_ELEMENTS (sizes); a++)
    for (guint b = 0; b < G_N_ELEMENTS (sizes); b++) {
      gsize rows = sizes[a], cols = sizes[b], n = 1 + (a * 5 + b) % 9;
      g_autofree gfloat *m = g_new (gfloat, rows * cols);
      g_autofree gfloat *again = g_new (gfloat, rows * cols);
      g_autofree gfloat *x = g_new (gfloat, n * rows);
      g_autofree gfloat *y = g_new0 (gfloat, n * cols);
      const RdFactor factor = { x, n, rows, 1 };

      for (gsize i = 0; i < rows * cols; i++)
        m[i] = draw_float (rand);
      for (gsize i = 0; i < n * rows; i++)
        x[i] = draw_float (rand);
      RdPackedMatrix *matrix = rd_packed_matrix_new (m, rows, cols);
      rd_packed_matrix_unpack (matrix, again);
      g_assert_cmpmem (again, rows * cols * 4, m, rows * cols * 4);
      rd_packed_matrix_apply (matrix, &factor, y);
      for (gsize t = 0; t < n; t++)
        for (gsize c = 0; c < cols; c++) {
          gfloat sum = 0;
          for (gsize r = 0; r < rows; r++) {
            volatile gfloat product = x[t * rows + r] * m[r * cols + c];
            sum += product;
          }
          g_assert_cmphex (memcmp (&y[t * cols + c], &sum, 4), ==, 0);
        }
      rd_packed_matrix_free (matrix);
    }
}

static void
test_inverse (void)
{
  static const gfloat singular[] = { 1, 2, 2, 4 };
  static const gfloat tiny[] = { 0x1p-100f, 0, 0, 0x1p-120f };
  static const gfloat too_small[] = { 0x1p-149f };
  static const gfloat permutation[] = { 0, 2, 0, 0, 0, 4, 1, 0, 0 };
  static const gfloat expected[] = { 0, 0, 1, 0.5f, 0, 0, 0, 0.25f, 0 };
  gfloat out[9];

  g_assert_false (rd_matrix_invert (singular, 2, out));
  g_assert_false (rd_matrix_invert (too_small, 1, out));
  g_assert_true (rd_matrix_invert (tiny, 1, out));
  g_assert_cmpfloat (out[0], ==, 0x1p+100f);
  g_assert_true (rd_matrix_invert (tiny, 2, out));
  g_assert_cmpfloat (out[3], ==, 0x1p+120f);
  g_assert_true (rd_matrix_invert (permutation, 3, out));
  g_assert_cmpmem (out, sizeof out, expected, sizeof expected);
}

static void
test_inverse_everywhere (void)
{
  enum
  { N = 150 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  g_autofree gfloat *m = g_new (gfloat, N * N);
  g_autofree gfloat *inverse = g_new (gfloat, N * N);
  g_autofree gfloat *first = g_new0 (gfloat, N * N);

  for (guint i = 0; i < N * N; i++)
    m[i] = (gfloat) g_rand_double_range (rand, -1, 1);
  for (guint s = 0; s < n_sets; s++) {
    g_assert_true (rd_rans_force_instruction_set (sets[s].name));
    g_assert_true (rd_matrix_invert (m, N, inverse));
    if (s == 0)
      memcpy (first, inverse, N * N * sizeof *m);
    g_assert_cmpmem (inverse, N * N * 4, first, N * N * 4);
  }
  g_assert_true (rd_rans_force_instruction_set (NULL));
  for (guint r = 0; r < N; r++)
    for (guint c = 0; c < N; c++) {
      gdouble sum = 0;
      for (guint k = 0; k < N; k++)
        sum += (gdouble) m[r * N + k] * first[k * N + c];
      g_assert_cmpfloat_with_epsilon (sum, r == c, 1e-3);
    }
}

static void
test_exp2 (void)
{
  for (gint32 log = -17000; log < 17000; log += 7) {
    gint32 limited = CLAMP (log, -16384, 16384);

    g_assert_cmpfloat (rd_exp2_step (log), ==, (gfloat) exp2 (limited / 256.0));
  }
}

/* ---- contexts ---- */

/* As FORMAT.md has it. */
static gint32
plain_lg (gint32 x)
{
  gint64 v = MIN (x, (1 << 24) - 1);
  gint32 p = 0;

  while (v >> (p + 1))
    p++;
  return 256 * p + (gint32) ((v << (24 - p)) >> 16) - 256;
}

static gint32
plain_scale (gint32 i)
{
  return i < 0 ? 0 : i > 111 ? 111 : i;
}

static gint32
plain_correction (const gint32 * weights, gsize d, gsize j, gint32 whole,
    gint32 whole_mean, gint32 near, gint32 near_mean)
{
  return (weights[j] * (plain_lg (whole) - plain_lg (whole_mean))
      + weights[d + j] * (plain_lg (near) - plain_lg (near_mean))) >> 6;
}

typedef struct
{
  gint32 base[MAX_HIDDEN], weights[2 * MAX_HIDDEN];
  gint32 magnitude[RD_LEARNED_SCALES];
  gfloat bits[2 * RD_LEARNED_SCALES * RD_TRELLIS_COSTS];
  /* of the trellis, and something behind them */
  gfloat value[(MAX_HIDDEN + 1) * RD_TRELLIS_ROWS];
  gint32 symbols[(MAX_HIDDEN + 1) * RD_TRELLIS_ROWS];
  gint32 expected[MAX_HIDDEN * RD_TRELLIS_ROWS];
} Tables;

static void
fill_tables (Tables * t, GRand * rand)
{
  gint32 reach = 1 << g_rand_int_range (rand, 4, 14);

  for (guint j = 0; j < MAX_HIDDEN; j++)
    t->base[j] = g_rand_int_range (rand, -reach, reach);
  for (guint j = 0; j < 2 * MAX_HIDDEN; j++)
    t->weights[j] = g_rand_int_range (rand, -128, 128);
  for (guint i = 0; i < RD_LEARNED_SCALES; i++)
    t->magnitude[i] = g_rand_int_range (rand, 0, 4081);
  for (guint i = 0; i < G_N_ELEMENTS (t->bits); i++)
    t->bits[i] = (gfloat) g_rand_double_range (rand, 0, 4);
}

static gint32
draw_symbol (GRand * rand)
{
  gint32 reach = 1 << g_rand_int_range (rand, 0, 25);

  return g_rand_int_range (rand, -reach, reach + 1);
}

#define STEPS 80

static void
check_context (const Set * set, Tables * t, gsize n, gboolean scalar,
    gboolean with_shift, GRand * rand)
{
  gint32 shift[STEPS * RD_BLOCK_ROWS] = { 0 };
  RdContext c = {.n = n,.hidden_size = MAX_HIDDEN,.scalar = scalar,
    .base = t->base,.weights = t->weights,.magnitude = t->magnitude,
    .shift = with_shift ? shift : NULL
  };
  gint32 symbols[RD_BLOCK_ROWS];
  guint16 tables[RD_BLOCK_ROWS + 16];
  gint32 whole[RD_BLOCK_ROWS], whole_mean[RD_BLOCK_ROWS], near[RD_BLOCK_ROWS],
      near_mean[RD_BLOCK_ROWS], state[RD_BLOCK_ROWS] = { 0 };

  for (guint r = 0; r < RD_BLOCK_ROWS; r++) {
    c.offset[r] = 32 * g_rand_int_range (rand, -32, 32);
    whole[r] = whole_mean[r] = 48;
    near[r] = near_mean[r] = 32;
  }
  for (gsize i = 0; with_shift && i < STEPS * n; i++)
    shift[i] = g_rand_int_range (rand, -RD_MAX_SHIFT, RD_MAX_SHIFT + 1);
  rd_context_start (&c);
  for (gsize j = 0; j < STEPS; j++) {
    memset (tables, CANARY, sizeof tables);
    set->kernels->context_next (&c, symbols, j, tables);
    assert_canary (tables + n, (RD_BLOCK_ROWS + 16 - n) * sizeof *tables);
    for (gsize r = 0; r < n; r++) {
      gint32 nominal = t->base[j] - c.offset[r] + shift[j * n + r];
      gint32 index = plain_scale ((nominal + 1552 + plain_correction
              (t->weights, MAX_HIDDEN, j, whole[r], whole_mean[r], near[r],
                  near_mean[r])) >> 5);
      gint32 table = scalar ? index : 112 + index + 112 * (state[r] & 1);

      g_assert_cmpint (tables[r], ==, table);
      symbols[r] = draw_symbol (rand);
      gint32 k = ABS (symbols[r]), a = MIN (k, 255) * 16;
      gint32 e = t->magnitude[plain_scale ((nominal + 1552) >> 5)];
      gint32 b0 = state[r] & 1, b1 = state[r] >> 1 & 1, b2 = state[r] >> 2;
      whole[r] += a;
      whole_mean[r] += e;
      near[r] += a - (near[r] >> 5);
      near_mean[r] += e - (near_mean[r] >> 5);
      state[r] = (b1 ^ b0) | (b2 ^ (k & 1)) << 1 | b0 << 2;
    }
  }
}

static void
test_contexts (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (4);
  g_autofree Tables *t = g_new0 (Tables, 1);

  for (guint s = 0; s < n_sets; s++)
    for (gsize n = 1; n <= RD_BLOCK_ROWS; n += n < 18 ? 1 : 7)
      for (guint round = 0; round < 8; round++) {
        fill_tables (t, rand);
        check_context (&sets[s], t, n, round & 1, round & 2, rand);
      }
}

/* Sums as large as 16384 symbols of the largest magnitude make them, beyond what a logarithm looks at. */
static void
test_context_limits (void)
{
  g_autofree Tables *t = g_new0 (Tables, 1);
  gint32 symbols[RD_BLOCK_ROWS];
  guint16 tables[RD_BLOCK_ROWS], first[RD_BLOCK_ROWS];

  for (guint j = 0; j < MAX_HIDDEN; j++)
    t->base[j] = t->weights[j] = 127;
  for (guint i = 0; i < RD_LEARNED_SCALES; i++)
    t->magnitude[i] = 0;
  for (guint s = 0; s < n_sets; s++) {
    RdContext c = {.n = 16,.hidden_size = MAX_HIDDEN,.base = t->base,
      .weights = t->weights,.magnitude = t->magnitude
    };

    for (guint r = 0; r < RD_BLOCK_ROWS; r++)
      symbols[r] = r & 1 ? RD_SYMBOL_MAX : -RD_SYMBOL_MAX;
    rd_context_start (&c);
    for (gsize j = 0; j < RD_LEARNED_MAX_HIDDEN; j++)
      sets[s].kernels->context_next (&c, symbols, MIN (j, 1), tables);
    g_assert_cmpint (c.whole[3], ==, 48 + 255 * 16 * 16383);
    if (s == 0)
      memcpy (first, tables, sizeof first);
    g_assert_cmpmem (tables, 16 * sizeof *tables, first, 16 * sizeof *first);
    g_assert_cmpint (tables[0] % 112, ==, 111);
  }
}

/* ---- trellis ---- */

typedef struct
{
  gfloat cost[8];
  gint32 k[MAX_HIDDEN][8];
  guint8 from[MAX_HIDDEN][8];
} Paths;

/* The cheapest symbol of quantiser q with parity p for a magnitude v. */
static gint32
plain_symbol (const gfloat * bits, gint32 q, gint32 p, gfloat v, gfloat * cost)
{
  gfloat first = q ? (p ? 1 : -1) : (p ? 2 : 0);
  gfloat m = (v - first) * 0.25f + 0.5f;
  gint32 whole = m > 0 ? (gint32) m : 0, k = 2 * whole + p;
  gfloat value = k == 0 ? 0 : (gfloat) (4 * whole) + first;
  gfloat zero = v * v + bits[0];

  *cost = (v - value) * (v - value) + bits[MIN (k, RD_TRELLIS_COSTS - 1)];
  if (p == 0 && zero < *cost) {
    *cost = zero;
    return 0;
  }
  return k;
}

static guint
plain_step (Paths * paths, const gfloat * const bits[2], gsize j, gfloat v)
{
  gfloat next[8] = { 0 };
  guint best = 0;
  gboolean reached[8] = { FALSE };

  for (gint32 s = 0; s < 8; s++)
    for (gint32 p = 0; p < 2; p++) {
      gfloat cost;
      gint32 k = plain_symbol (bits[s & 1], s & 1, p, v, &cost);
      gint32 to = rd_trellis_next (s, k);

      cost += paths->cost[s];
      if (!reached[to] || cost < next[to]) {
        reached[to] = TRUE;
        next[to] = cost;
        paths->k[j][to] = k;
        paths->from[j][to] = (guint8) s;
      }
    }
  memcpy (paths->cost, next, sizeof next);
  for (guint s = 1; s < 8; s++)
    if (next[s] < next[best])
      best = s;
  return best;
}

static void
plain_trellis (const RdTrellis * t, gsize row, const gfloat * value,
    gint32 * symbols, Paths * paths)
{
  gsize d = t->hidden_size;
  gint32 whole = 48, whole_mean = 48, near = 32, near_mean = 32;
  guint best = 0;

  for (guint s = 0; s < 8; s++)
    paths->cost[s] = s ? 1e30f : 0;
  for (gsize j = 0; j < d; j++) {
    gint32 nominal = t->base[j] - t->offset[row];
    gint32 scale = plain_scale ((nominal + 1552 + plain_correction (t->weights,
                d, j, whole, whole_mean, near, near_mean)) >> 5);
    const gfloat *const bits[2] = { t->bits[0] + scale * RD_TRELLIS_COSTS,
      t->bits[1] + scale * RD_TRELLIS_COSTS
    };

    best = plain_step (paths, bits, j,
        fabsf (value[j * RD_TRELLIS_ROWS + row]));
    gint32 a = MIN (paths->k[j][best], 255) * 16;
    gint32 e = t->magnitude[plain_scale ((nominal + 1552) >> 5)];
    whole += a;
    whole_mean += e;
    near += a - (near >> 5);
    near_mean += e - (near_mean >> 5);
  }
  for (gsize j = d; j-- > 0;) {
    gint32 k = paths->k[j][best];

    symbols[j * RD_TRELLIS_ROWS + row] =
        value[j * RD_TRELLIS_ROWS + row] < 0 ? -k : k;
    best = paths->from[j][best];
  }
}

static void
fill_values (Tables * t, gsize d, GRand * rand)
{
  for (gsize r = 0; r < RD_TRELLIS_ROWS; r++) {
    gdouble reach = exp2 (g_rand_double_range (rand, -3, 19));

    for (gsize j = 0; j < d; j++) {
      gfloat *v = &t->value[j * RD_TRELLIS_ROWS + r];

      *v = (gfloat) g_rand_double_range (rand, -reach, reach);
      if (g_rand_int_range (rand, 0, 6) == 0)
        *v = (gfloat) g_rand_int_range (rand, -9, 9) / 2;
    }
  }
}

/* Each lane as if it were alone. */
static void
check_trellis (Tables * t, gsize d, GRand * rand)
{
  g_autofree Paths *paths = g_new (Paths, 1);
  RdTrellis trellis = {.hidden_size = d,.base = t->base,.weights = t->weights,
    .bits = {t->bits, t->bits + RD_LEARNED_SCALES * RD_TRELLIS_COSTS},
    .magnitude = t->magnitude,
    .decisions = g_new (gint32, d * RD_TRELLIS_ROWS)
  };

  for (gsize r = 0; r < RD_TRELLIS_ROWS; r++)
    trellis.offset[r] = 32 * g_rand_int_range (rand, -32, 32);
  fill_values (t, d, rand);
  for (gsize r = 0; r < RD_TRELLIS_ROWS; r++)
    plain_trellis (&trellis, r, t->value, t->expected, paths);
  for (guint s = 0; s < n_sets; s++) {
    memset (t->symbols, CANARY, sizeof t->symbols);
    sets[s].kernels->trellis_run (&trellis, t->value, t->symbols);
    assert_canary (t->symbols + d * RD_TRELLIS_ROWS,
        sizeof t->symbols - d * RD_TRELLIS_ROWS * 4);
    g_assert_cmpmem (t->symbols, d * RD_TRELLIS_ROWS * 4, t->expected,
        d * RD_TRELLIS_ROWS * 4);
  }
  g_free (trellis.decisions);
}

static void
test_trellis (void)
{
  static const gsize sizes[] = { 1, 2, 3, 8, 31, 64, 576, MAX_HIDDEN };
  g_autoptr (GRand) rand = g_rand_new_with_seed (6);
  g_autofree Tables *t = g_new0 (Tables, 1);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint round = 0; round < 10; round++) {
      fill_tables (t, rand);
      check_trellis (t, sizes[i], rand);
    }
}

/* ---- steps and values ---- */

static void
check_steps (const Set * set, Tables * t, gsize d, gsize n, GRand * rand)
{
  RdTrellis trellis = {.hidden_size = d,.log_step = t->base };
  g_autofree gfloat *c = g_new (gfloat, n * d);
  guint expected = 0, mask;

  for (gsize r = 0; r < RD_TRELLIS_ROWS; r++)
    trellis.offset[r] = 32 * g_rand_int_range (rand, -32, 32);
  for (gsize i = 0; i < n * d; i++)
    c[i] = (gfloat) g_rand_double_range (rand, -100, 100);
  if (n > 3) {
    c[d + d / 2] = NAN;
    c[3 * d] = -INFINITY;
  }
  memset (t->value, CANARY, sizeof t->value);
  mask = set->kernels->steps (&trellis, c, n, t->value);
  assert_canary (t->value + d * RD_TRELLIS_ROWS,
      sizeof t->value - d * RD_TRELLIS_ROWS * 4);
  for (gsize r = 0; r < n; r++) {
    gboolean good = TRUE;

    for (gsize j = 0; j < d; j++) {
      gfloat v = c[r * d + j] * rd_exp2_step (-(t->base[j]
              + trellis.offset[r]));
      good = good && fabsf (v) < 0x1p20f;
      if (!isnan (v))
        g_assert_cmpfloat (v, ==, t->value[j * RD_TRELLIS_ROWS + r]);
    }
    expected |= (guint) good << r;
  }
  g_assert_cmphex (mask & ((1u << n) - 1), ==, expected);
}

static void
test_steps (void)
{
  static const gsize sizes[] = { 1, 7, 64, MAX_HIDDEN };
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  g_autofree Tables *t = g_new0 (Tables, 1);

  for (guint s = 0; s < n_sets; s++)
    for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
      for (gsize n = 1; n <= RD_TRELLIS_ROWS; n++)
        for (guint round = 0; round < 8; round++) {
          fill_tables (t, rand);
          check_steps (&sets[s], t, sizes[i], n, rand);
        }
}

/* As FORMAT.md has it. */
static gfloat
plain_value (gint32 symbol, gint32 * state, gboolean scalar, gint32 log_step)
{
  gint32 k = ABS (symbol), sign = (symbol > 0) - (symbol < 0);
  gint32 b0 = *state & 1, b1 = *state >> 1 & 1, b2 = *state >> 2;
  gint32 r = scalar ? symbol : b0 ? 2 * symbol - sign : 2 * symbol;

  *state = (b1 ^ b0) | (b2 ^ (k & 1)) << 1 | b0 << 2;
  return (gfloat) r *rd_exp2_step (log_step);
}

static void
check_dequantise (const Set * set, Tables * t, gsize n, gboolean scalar,
    gint32 reach, GRand * rand)
{
  enum
  { D = 60 };
  RdContext c = {.n = n,.hidden_size = D,.scalar = scalar,
    .log_step = t->base
  };
  g_autofree gint32 *symbols = g_new (gint32, n * D);
  g_autofree gfloat *out = g_new (gfloat, n * D + 8);
  gint32 states[RD_BLOCK_ROWS] = { 0 }, max = 0;

  for (gsize r = 0; r < n; r++)
    c.offset[r] = 32 * g_rand_int_range (rand, -32, 32);
  for (gsize i = 0; i < n * D; i++) {
    symbols[i] = g_rand_int_range (rand, -reach, reach + 1);
    max = MAX (max, ABS (symbols[i]));
  }
  memset (out, CANARY, (n * D + 8) * sizeof *out);
  g_assert_cmpint (set->kernels->dequantise (&c, symbols, out), ==,
      max <= RD_LEARNED_MAX_SYMBOL);
  assert_canary (out + n * D, 8 * sizeof *out);
  for (gsize j = 0; j < D; j++)
    for (gsize r = 0; r < n; r++) {
      gfloat value = plain_value (symbols[j * n + r], &states[r], scalar,
          t->base[j] + c.offset[r]);

      g_assert_cmpfloat (out[j * n + r], ==, value);
    }
}

static void
test_dequantise (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (8);
  g_autofree Tables *t = g_new0 (Tables, 1);

  for (guint s = 0; s < n_sets; s++)
    for (gsize n = 1; n <= RD_BLOCK_ROWS; n += n < 8 ? 1 : 8)
      for (guint round = 0; round < 12; round++) {
        fill_tables (t, rand);
        check_dequantise (&sets[s], t, n, round & 1, round < 6 ? 3
            : round < 10 ? RD_LEARNED_MAX_SYMBOL : RD_SYMBOL_MAX, rand);
      }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  find_sets ();
  g_test_add_func ("/learned/kernels/tile", test_tile);
  g_test_add_func ("/learned/kernels/matrix", test_matrix);
  g_test_add_func ("/learned/kernels/inverse", test_inverse);
  g_test_add_func ("/learned/kernels/inverse-everywhere",
      test_inverse_everywhere);
  g_test_add_func ("/learned/kernels/exp2", test_exp2);
  g_test_add_func ("/learned/kernels/contexts", test_contexts);
  g_test_add_func ("/learned/kernels/context-limits", test_context_limits);
  g_test_add_func ("/learned/kernels/trellis", test_trellis);
  g_test_add_func ("/learned/kernels/steps", test_steps);
  g_test_add_func ("/learned/kernels/dequantise", test_dequantise);
  return g_test_run ();
}
