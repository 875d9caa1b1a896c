/* Every function of every instruction set against plain double-precision code, on random and edge input, with canaries around what is
 * written; then the drivers (products, attention) of the set that is in use. */
#include "models/kernels/isa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CANARY 12345.678f

static const StType all_types[] = { ST_TYPE_F32, ST_TYPE_F16, ST_TYPE_BF16,
  ST_TYPE_Q8_0, ST_TYPE_Q4_0, ST_TYPE_Q4_1, ST_TYPE_Q5_0, ST_TYPE_Q5_1,
  ST_TYPE_Q4_K, ST_TYPE_Q5_K, ST_TYPE_Q6_K
};

static float
uniform (void)
{
  return (float) g_test_rand_double_range (-1, 1);
}

static float *
uniform_floats (gsize n)
{
  float *p = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    p[i] = uniform ();
  return p;
}

static void
assert_near (gdouble value, gdouble expected, gdouble limit)
{
  if (!(fabs (value - expected) <= limit))
    g_error ("%.9g is not within %.3g of %.9g", value, limit, expected);
}

/* Random blocks whose scales are finite and of ordinary size. */
static guint8 *
random_blocks (StType type, gsize n)
{
  const StTypeTraits *t = st_type_traits (type);
  const gsize bytes = st_type_row_bytes (type, n);
  guint8 *p = g_malloc (bytes);

  if (type == ST_TYPE_F32) {
    for (gsize i = 0; i < n; i++)
      ((float *) p)[i] = uniform ();
    return p;
  }
  for (gsize i = 0; i < bytes; i++)
    p[i] = (guint8) g_test_rand_int_range (0, 256);
  for (gsize b = 0; b < n / t->block_size; b++) {
    guint8 *block = p + b * t->block_bytes;
    const gsize at = type == ST_TYPE_Q6_K ? t->block_bytes - 2 : 0;
    const guint16 h = st_float_to_half (uniform () * 0.1f);

    if (type == ST_TYPE_BF16) {
      block[1] = (guint8) ((block[1] & 0x80) | 0x3e);
      continue;
    }
    memcpy (block + at, &h, 2);
    if (type == ST_TYPE_Q4_1 || type == ST_TYPE_Q5_1 || type == ST_TYPE_Q4_K ||
        type == ST_TYPE_Q5_K)
      memcpy (block + 2, &h, 2);
  }
  return p;
}

static void
test_dequantise (gconstpointer data)
{
  const StIsa *isa = data;

  for (guint t = 0; t < G_N_ELEMENTS (all_types); t++) {
    const StTypeTraits *traits = st_type_traits (all_types[t]);

    for (gsize blocks = 1; blocks < 70; blocks += 1 + blocks / 9) {
      const gsize n = blocks * traits->block_size;
      g_autofree guint8 *src = random_blocks (all_types[t], n);
      g_autofree float *plain = g_new (float, n);
      g_autofree float *out = g_new (float, n + 1);

      out[n] = CANARY;
      traits->to_float (src, plain, n);
      isa->dequantise (all_types[t], src, out, n);
      g_assert_cmpmem (out, n * sizeof (float), plain, n * sizeof (float));
      g_assert_cmpfloat (out[n], ==, CANARY);
    }
  }
}

/* Every half and every bfloat16, NaN included: the hardware's conversion must be the plain one. */
static void
test_all_halves (gconstpointer data)
{
  const StIsa *isa = data;
  g_autofree guint16 *src = g_new (guint16, 65536);
  g_autofree float *out = g_new (float, 65536);
  g_autofree float *plain = g_new (float, 65536);

  for (guint i = 0; i < 65536; i++)
    src[i] = (guint16) i;
  for (guint t = 0; t < 2; t++) {
    const StType type = t ? ST_TYPE_BF16 : ST_TYPE_F16;

    isa->dequantise (type, src, out, 65536);
    st_type_traits (type)->to_float (src, plain, 65536);
    g_assert_cmpmem (out, 65536 * 4, plain, 65536 * 4);
  }
}

/* Every exponent and sign with many mantissas, so ties, overflow, subnormals, infinities and NaN. */
static void
test_to_half (gconstpointer data)
{
  const StIsa *isa = data;
  const gsize n = 512 * 67;
  g_autofree float *src = g_new (float, n);
  g_autofree guint16 *out = g_new (guint16, n + 1);

  for (gsize i = 0; i < n; i++) {
    const gsize k = i % 67;
    const guint32 mantissa = k < 24 ? 1u << k : k < 48 ? 0x1800u << (k - 24) :
        g_test_rand_bit ()? (guint32) g_test_rand_int () : 0x1000u *
        (guint32) k;

    const guint32 bits = (guint32) (i / 67) << 23 | (mantissa & 0x7fffff);

    memcpy (&src[i], &bits, sizeof bits);
  }
  out[n] = 4711;
  isa->to_half (src, out, n);
  for (gsize i = 0; i < n; i++)
    g_assert_cmphex (out[i], ==, st_float_to_half (src[i]));
  g_assert_cmphex (out[n], ==, 4711);
  isa->to_half (src + 3, out, 21);
  for (gsize i = 0; i < 21; i++)
    g_assert_cmphex (out[i], ==, st_float_to_half (src[i + 3]));
}

static void
test_tile (gconstpointer data)
{
  const StIsa *isa = data;
  static const gsize depths[] = { 0, 1, 2, 7, 64, 131 };

  for (gsize rows = 1; rows <= isa->tile_rows; rows++) {
    for (gsize vectors = 1; vectors <= ST_MAX_VECTORS; vectors++) {
      for (guint d = 0; d < G_N_ELEMENTS (depths); d++) {
        const gsize k = depths[d], lanes = vectors * isa->lanes;
        const gsize ldw = k + 3, ldx = lanes + 1, ldc = lanes + 2;
        g_autofree float *w = uniform_floats (rows * ldw);
        g_autofree float *x = uniform_floats (k * ldx + 1);
        g_autofree float *c = uniform_floats (rows * ldc);
        g_autofree float *single = g_memdup2 (c, rows * ldc * sizeof (float));
        g_autofree float *before = g_memdup2 (c, rows * ldc * sizeof (float));
        const gboolean accumulate = (rows + k) % 2;

        isa->tile[rows - 1][vectors - 1] (w, ldw, x, ldx, k, c, ldc,
            accumulate, NULL, 64);
        for (gsize r = 0; r < rows; r++) {
          for (gsize v = 0; v < vectors; v++)
            isa->tile[0][0] (w + r * ldw, ldw, x + v * isa->lanes, ldx, k,
                single + r * ldc + v * isa->lanes, ldc, accumulate, NULL, 0);
          for (gsize l = 0; l < ldc; l++) {
            gdouble sum = accumulate || l >= lanes ? before[r * ldc + l] : 0;

            for (gsize i = 0; i < k && l < lanes; i++)
              sum += (gdouble) w[r * ldw + i] * x[i * ldx + l];
            assert_near (c[r * ldc + l], sum, 1e-6 * (gdouble) (k + 1));
          }
        }
        /* The largest tile and the smallest give the same bits. */
        g_assert_cmpmem (c, rows * ldc * sizeof (float), single,
            rows * ldc * sizeof (float));
      }
    }
  }
}

static void
check_transpose (const StIsa * isa, gsize rows, gsize cols, gsize width)
{
  const gsize lds = cols + 2, ldd = width + 3;
  g_autofree float *src = uniform_floats (rows * lds);
  g_autofree float *dst = g_new (float, cols * ldd);

  for (gsize i = 0; i < cols * ldd; i++)
    dst[i] = CANARY;
  isa->transpose (src, lds, rows, cols, dst, ldd, width);
  for (gsize c = 0; c < cols; c++) {
    for (gsize r = 0; r < ldd; r++) {
      const float expected = r < rows ? src[r * lds + c] :
          r < width ? 0.0f : CANARY;

      g_assert_cmpfloat (dst[c * ldd + r], ==, expected);
    }
  }
}

static void
test_transpose (gconstpointer data)
{
  const StIsa *isa = data;

  for (gsize rows = 1; rows < 40; rows += 1 + rows / 8) {
    for (gsize cols = 1; cols < 40; cols += 1 + cols / 8) {
      check_transpose (isa, rows, cols, rows);
      check_transpose (isa, rows, cols,
          (rows + isa->lanes - 1) / isa->lanes * isa->lanes);
    }
  }
}

static void
test_dot (gconstpointer data)
{
  const StIsa *isa = data;

  for (gsize k = 1; k < 600; k += 1 + k / 6) {
    for (gsize m = 1; m <= 9; m++) {
      const gsize rows = 1 + (k + m) % 9, ldx = k + 1, ldy = rows + 1;
      g_autofree float *w = uniform_floats (rows * k);
      g_autofree float *x = uniform_floats (m * ldx);
      g_autofree float *y = g_new (float, m * ldy);

      for (gsize i = 0; i < m * ldy; i++)
        y[i] = CANARY;
      isa->dot (w, k, rows, x, ldx, m, k, y, ldy);
      for (gsize i = 0; i < m; i++) {
        for (gsize r = 0; r < rows; r++) {
          gdouble sum = 0;

          for (gsize j = 0; j < k; j++)
            sum += (gdouble) w[r * k + j] * x[i * ldx + j];
          assert_near (y[i * ldy + r], sum, 1e-6 * sqrt ((gdouble) k) * 4);
        }
        g_assert_cmpfloat (y[i * ldy + rows], ==, CANARY);
      }
    }
  }
}

static void
test_rms_norm (gconstpointer data)
{
  const StIsa *isa = data;

  for (gsize n = 1; n < 600; n += 1 + n / 5) {
    g_autofree float *x = uniform_floats (n);
    g_autofree float *weight = uniform_floats (n);
    g_autofree float *y = g_new (float, n + 1);
    gdouble sum = 0;

    y[n] = CANARY;
    isa->rms_norm (x, weight, n, 1e-5f, y);
    for (gsize i = 0; i < n; i++)
      sum += (gdouble) x[i] * x[i];
    for (gsize i = 0; i < n; i++)
      assert_near (y[i], x[i] / sqrt (sum / (gdouble) n + 1e-5) * weight[i],
          2e-6);
    g_assert_cmpfloat (y[n], ==, CANARY);
    isa->rms_norm (x, weight, n, 1e-5f, x);
    g_assert_cmpmem (x, n * sizeof (float), y, n * sizeof (float));
  }
}

static void
test_rope (gconstpointer data)
{
  const StIsa *isa = data;
  const gsize heads = 3, dim = 20, rope_dim = 14;
  g_autofree float *cos_table = uniform_floats (rope_dim / 2);
  g_autofree float *sin_table = uniform_floats (rope_dim / 2);

  for (gint interleaved = 0; interleaved < 2; interleaved++) {
    g_autofree float *x = uniform_floats (heads * dim);
    g_autofree float *old = g_memdup2 (x, heads * dim * sizeof (float));

    isa->rope (x, heads, dim, rope_dim, cos_table, sin_table, interleaved);
    for (gsize h = 0; h < heads; h++) {
      for (gsize i = 0; i < rope_dim / 2; i++) {
        const gsize a = h * dim + (interleaved ? 2 * i : i);
        const gsize b = interleaved ? a + 1 : a + rope_dim / 2;

        assert_near (x[a], (gdouble) old[a] * cos_table[i] -
            (gdouble) old[b] * sin_table[i], 1e-6);
        assert_near (x[b], (gdouble) old[a] * sin_table[i] +
            (gdouble) old[b] * cos_table[i], 1e-6);
      }
      for (gsize i = rope_dim; i < dim; i++)
        g_assert_cmpfloat (x[h * dim + i], ==, old[h * dim + i]);
    }
  }
}

/* exp through swiglu with up = 1 and through softmax: relative error over the whole range, then what stands at the edges. */
static void
test_exp (gconstpointer data)
{
  const StIsa *isa = data;
  gdouble worst = 0;

  for (gdouble v = -87; v < 0; v += 0.0137) {
    float scores[2] = { 0.0f, (float) v }, max = -INFINITY, sum = 0;
    const gdouble expected = exp ((gdouble) scores[1]);

    isa->softmax (scores, 2, &max, &sum);
    g_assert_cmpfloat (scores[0], ==, 1.0f);
    worst = MAX (worst, fabs (scores[1] / expected - 1));
  }
  g_test_message ("%s: largest relative error of exp %.3g", isa->name, worst);
  g_assert_cmpfloat (worst, <, 2.5e-7);
}

static void
test_softmax (gconstpointer data)
{
  const StIsa *isa = data;

  for (gsize n = 1; n <= 64; n++) {
    g_autofree float *scores = uniform_floats (n + 1);
    g_autofree float *old = g_memdup2 (scores, n * sizeof (float));
    float max = n % 2 ? 0.5f : -INFINITY, sum = n % 2 ? 2.0f : 0.0f;
    const gdouble old_max = max, old_sum = sum;
    gdouble top = max, total;
    float factor;

    scores[n] = CANARY;
    for (gsize i = 0; i < n; i++)
      top = MAX (top, old[i]);
    total = old_sum * exp (old_max - top);
    factor = isa->softmax (scores, n, &max, &sum);
    for (gsize i = 0; i < n; i++) {
      assert_near (scores[i], exp (old[i] - top), 1e-6);
      total += exp (old[i] - top);
    }
    g_assert_cmpfloat (max, ==, (float) top);
    assert_near (factor, exp (old_max - top), 1e-6);
    assert_near (sum, total, 1e-5);
    g_assert_cmpfloat (scores[n], ==, CANARY);
  }
}

static void
test_swiglu (gconstpointer data)
{
  const StIsa *isa = data;
  float gate[5] = { 0.0f, -INFINITY, 200.0f, -200.0f, NAN };
  const float up[5] = { 3.0f, 0.0f, 2.0f, 2.0f, 1.0f };

  for (gsize n = 1; n < 70; n++) {
    g_autofree float *g = uniform_floats (n + 1);
    g_autofree float *u = uniform_floats (n);
    g_autofree float *old = NULL;

    for (gsize i = 0; i < n; i++)
      g[i] *= 20;
    g[n] = CANARY;
    old = g_memdup2 (g, n * sizeof (float));
    isa->swiglu (g, u, n);
    for (gsize i = 0; i < n; i++)
      assert_near (g[i], old[i] / (1 + exp (-(gdouble) old[i])) * u[i], 1e-5);
    g_assert_cmpfloat (g[n], ==, CANARY);
    /* A value's bits do not depend on where it stands. */
    for (gsize i = 0; i < n; i++) {
      isa->swiglu (&old[i], &u[i], 1);
      g_assert_cmpmem (&old[i], sizeof (float), &g[i], sizeof (float));
    }
  }
  isa->swiglu (gate, up, 5);
  g_assert_cmpfloat (gate[0], ==, 0.0f);
  g_assert_cmpfloat (gate[2], ==, 400.0f);
  assert_near (gate[3], 0, 1e-30);
  g_assert_true (isnan (gate[4]));
}

static void
test_simple (gconstpointer data)
{
  const StIsa *isa = data;

  for (gsize n = 1; n < 70; n++) {
    g_autofree float *x = uniform_floats (n + 1);
    g_autofree float *y = uniform_floats (n);
    g_autofree float *z = g_new (float, n + 1);
    gdouble top = -INFINITY, total = 0;

    x[n] = z[n] = CANARY;
    isa->scale (z, x, n, 3.0f);
    for (gsize i = 0; i < n; i++)
      g_assert_cmpfloat (z[i], ==, x[i] * 3.0f);
    isa->add (z, y, n);
    for (gsize i = 0; i < n; i++)
      g_assert_cmpfloat (z[i], ==, x[i] * 3.0f + y[i]);
    g_assert_cmpfloat (z[n], ==, CANARY);
    for (gsize i = 0; i < n; i++)
      top = MAX (top, x[i]);
    for (gsize i = 0; i < n; i++)
      total += exp (x[i] - top);
    assert_near (isa->log_sum_exp (x, n), top + log (total), 1e-6);
  }
}

static void
test_log_sum_exp_edges (gconstpointer data)
{
  const StIsa *isa = data;
  g_autofree float *x = g_new (float, 49153);

  for (gsize i = 0; i < 49153; i++)
    x[i] = 5.0f;
  assert_near (isa->log_sum_exp (x, 49153), 5 + log (49153.0), 1e-6);
  for (gsize i = 1; i < 49153; i++)
    x[i] = -INFINITY;
  assert_near (isa->log_sum_exp (x, 49153), 5, 1e-9);
  x[7] = 20000.0f;
  assert_near (isa->log_sum_exp (x, 49153), 20000, 1e-9);
}

/* Products of every type, odd shapes, both regimes and both modes against double precision. */
static void
check_product (StPool * pool, StType type, gsize rows, gsize cols, gsize m)
{
  const gsize ldx = cols + 3, ldy = rows + 2;
  g_autofree guint8 *w = random_blocks (type, rows * cols);
  const StMatrix matrix = { type, rows, cols, w };
  g_autofree float *x = uniform_floats (m * ldx);
  g_autofree float *y = g_new (float, m * ldy);
  g_autofree float *row = g_new (float, cols);

  for (gint mode = 0; mode < 3; mode++) {
    for (gsize i = 0; i < m * ldy; i++)
      y[i] = CANARY;
    st_matmul (pool, &matrix, x, m, ldx, y, ldy, mode == 0 ? ST_REGIME_STEP :
        ST_REGIME_PREFILL, mode < 2, NULL);
    for (gsize r = 0; r < rows; r++) {
      st_get_row (&matrix, r, row);
      for (gsize i = 0; i < m; i++) {
        gdouble sum = 0, size = 0;

        for (gsize j = 0; j < cols; j++) {
          sum += (gdouble) row[j] * x[i * ldx + j];
          size += fabs ((gdouble) row[j] * x[i * ldx + j]);
        }
        assert_near (y[i * ldy + r], sum, 2e-6 * size + 1e-12);
      }
    }
    for (gsize i = 0; i < m; i++)
      for (gsize r = rows; r < ldy; r++)
        g_assert_cmpfloat (y[i * ldy + r], ==, CANARY);
  }
}

static void
test_products (void)
{
  static const gsize rows[] = { 1, 5, 47, 48, 49, 100 };
  static const gsize counts[] = { 1, 2, 7, 16, 33, 70 };
  StPool *pool = st_pool_new (2);

  for (guint t = 0; t < G_N_ELEMENTS (all_types); t++) {
    const gsize unit = st_type_traits (all_types[t])->block_size;

    for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
      check_product (pool, all_types[t], rows[i], unit * (1 + 3 * i),
          counts[(i + t) % G_N_ELEMENTS (counts)]);
  }
  check_product (pool, ST_TYPE_F32, 50, 577, 5);
  check_product (pool, ST_TYPE_F32, 50, 1024, 40);
  check_product (pool, ST_TYPE_F32, 60, 1500, 600);
  check_product (pool, ST_TYPE_F16, 13, 1303, 5);
  st_pool_free (pool);
}

/* A file may put F32 data at any byte. */
static void
test_misaligned (void)
{
  const gsize rows = 20, cols = 36, m = 3;
  StPool *pool = st_pool_new (1);
  g_autofree guint8 *bytes = g_malloc (rows * cols * 4 + 1);
  g_autofree float *w = uniform_floats (rows * cols);
  g_autofree float *x = uniform_floats (m * cols);
  g_autofree float *y = g_new (float, m * rows);
  g_autofree float *z = g_new (float, m * rows);

  memcpy (bytes + 1, w, rows * cols * 4);
  for (gint regime = 0; regime < 2; regime++) {
    st_matmul (pool, &(StMatrix) {
        ST_TYPE_F32, rows, cols, w}
        , x, m, cols, y, rows, (StRegime) regime, TRUE, NULL);
    st_matmul (pool, &(StMatrix) {
        ST_TYPE_F32, rows, cols, bytes + 1}
        , x, m, cols, z, rows, (StRegime) regime, TRUE, NULL);
    g_assert_cmpmem (y, m * rows * 4, z, m * rows * 4);
  }
  st_pool_free (pool);
}

static gdouble
cache_value (const StAttention * a, const void *base, gsize kv, gsize pos,
    gsize d)
{
  const gsize i = (kv * a->capacity + pos) * a->head_dim + d;

  return a->cache_type == ST_TYPE_F16 ?
      st_half_to_float (((const guint16 *) base)[i]) :
      ((const float *) base)[i];
}

static void
check_attention_row (const StAttention * a, gsize i, gsize head)
{
  const gsize kv = head / (a->n_heads / a->n_kv_heads);
  const gsize n = a->first + i + 1;
  const float *q = a->q + i * a->ldq + head * a->head_dim;
  const float *out = a->out + i * a->ldo + head * a->head_dim;
  g_autofree gdouble *p = g_new (gdouble, n);
  gdouble top = -INFINITY, sum = 0;

  for (gsize k = 0; k < n; k++) {
    p[k] = 0;
    for (gsize d = 0; d < a->head_dim; d++)
      p[k] += q[d] * cache_value (a, a->k, kv, k, d);
    p[k] *= a->scale;
    top = MAX (top, p[k]);
  }
  for (gsize k = 0; k < n; k++)
    sum += p[k] = exp (p[k] - top);
  for (gsize d = 0; d < a->head_dim; d++) {
    gdouble v = 0;

    for (gsize k = 0; k < n; k++)
      v += p[k] * cache_value (a, a->v, kv, k, d);
    assert_near (out[d], v / sum, 5e-6);
  }
}

/* What is in the cache beyond the last row is NaN: nothing may come of it. */
static void
check_attention (StPool * pool, StType type, gsize heads, gsize kv_heads,
    gsize dim, gsize first, gsize m)
{
  const gsize capacity = first + m + 70, n = kv_heads * capacity * dim;
  const gsize width = heads * dim;
  const gsize size = type == ST_TYPE_F16 ? 2 : 4;
  g_autofree guint8 *k = random_blocks (ST_TYPE_F32, n);
  g_autofree guint8 *v = random_blocks (ST_TYPE_F32, n);
  g_autofree float *q = uniform_floats (m * (width + 1));
  g_autofree float *out = uniform_floats (m * (width + 2));
  StAttention a = { heads, kv_heads, dim, first, m, type, k, v, capacity, q,
    width + 1, out, width + 2, 1.5f
  };

  for (gsize i = 0; type == ST_TYPE_F16 && i < n; i++) {
    ((guint16 *) k)[i] = st_float_to_half (uniform ());
    ((guint16 *) v)[i] = st_float_to_half (uniform ());
  }
  for (gsize h = 0; h < kv_heads; h++) {
    const gsize from = (h * capacity + first + m) * dim * size;
    const gsize to = (h + 1) * capacity * dim * size;

    memset (k + from, 0xff, to - from);
    memset (v + from, 0xff, to - from);
  }
  for (gint regime = 0; regime < 2; regime++) {
    st_attention (pool, &a, (StRegime) regime, NULL);
    for (gsize i = 0; i < m; i++)
      for (gsize h = 0; h < heads; h++)
        check_attention_row (&a, i, h);
  }
}

static void
test_attention (void)
{
  StPool *pool = st_pool_new (2);

  check_attention (pool, ST_TYPE_F32, 9, 3, 64, 0, 150);
  check_attention (pool, ST_TYPE_F16, 9, 3, 64, 100, 70);
  check_attention (pool, ST_TYPE_F32, 4, 4, 40, 63, 3);
  check_attention (pool, ST_TYPE_F16, 8, 2, 80, 128, 1);
  check_attention (pool, ST_TYPE_F16, 16, 1, 20, 5, 66);
  check_attention (pool, ST_TYPE_F32, 6, 2, 7, 0, 1);
  st_pool_free (pool);
}

/* A later token whose key and value are not finite must not reach an earlier row of the same call. */
static void
test_attention_causal (void)
{
  const gsize dim = 64, m = 90;
  StPool *pool = st_pool_new (1);
  g_autofree float *k = uniform_floats (m * dim);
  g_autofree float *v = uniform_floats (m * dim);
  g_autofree float *q = uniform_floats (m * dim);
  g_autofree float *out = uniform_floats (m * dim);
  StAttention a = { 1, 1, dim, 0, m, ST_TYPE_F32, k, v, m, q, dim, out, dim,
    0.125f
  };

  for (gsize d = 0; d < dim; d++) {
    k[70 * dim + d] = NAN;
    v[70 * dim + d] = INFINITY;
  }
  for (gint regime = 0; regime < 2; regime++) {
    st_attention (pool, &a, (StRegime) regime, NULL);
    for (gsize i = 0; i < 70; i++)
      check_attention_row (&a, i, 0);
    g_assert_false (isfinite (out[70 * dim]));
  }
  st_pool_free (pool);
}

/* A flag that is set stops the work at once. */
static void
test_cancel (void)
{
  const gsize n = 4096, m = 512;
  const gint cancel = 1;
  StPool *pool = st_pool_new (1);
  g_autofree float *w = uniform_floats (n * 1000);
  g_autofree float *x = uniform_floats (m * 1000);
  g_autofree float *y = g_new0 (float, m * n);
  const StMatrix matrix = { ST_TYPE_F32, n, 1000, w };

  for (gint mode = 0; mode < 3; mode++) {
    st_matmul (pool, &matrix, x, m, 1000, y, n, mode == 0 ? ST_REGIME_STEP :
        ST_REGIME_PREFILL, mode < 2, &cancel);
    for (gsize i = 0; i < m * n; i++)
      g_assert_cmpfloat (y[i], ==, 0.0f);
  }
  st_pool_free (pool);
}

static void
count_item (gsize index, gpointer data)
{
  __atomic_fetch_add (&((guint *) data)[index], 1, __ATOMIC_RELAXED);
}

/* Every index exactly once, for any number of threads, many times over. */
static void
test_pool (void)
{
  for (guint threads = 1; threads <= 5; threads++) {
    StPool *pool = st_pool_new (threads);
    guint counts[37] = { 0 };

    g_assert_cmpuint (st_pool_threads (pool), ==, threads);
    for (guint round = 0; round < 300; round++)
      st_pool_run (pool, round % 38, count_item, counts);
    for (guint i = 0; i < 37; i++) {
      guint expected = 0;

      for (guint round = 0; round < 300; round++)
        expected += round % 38 > i;
      g_assert_cmpuint (counts[i], ==, expected);
    }
    st_pool_free (pool);
  }
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const gchar *name;
    GTestDataFunc func;
  } tests[] = {
    {"dequantise", test_dequantise},
    {"all-halves", test_all_halves},
    {"to-half", test_to_half},
    {"tile", test_tile},
    {"transpose", test_transpose},
    {"dot", test_dot},
    {"rms-norm", test_rms_norm},
    {"rope", test_rope},
    {"exp", test_exp},
    {"softmax", test_softmax},
    {"swiglu", test_swiglu},
    {"simple", test_simple},
    {"log-sum-exp-edges", test_log_sum_exp_edges},
  };

  g_test_init (&argc, &argv, NULL);
  for (StIsa const *const *isa = st_isa_supported (); *isa != NULL; isa++) {
    for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
      g_autofree gchar *path = g_strdup_printf ("/kernels/%s/%s",
          (*isa)->name, tests[i].name);

      g_test_add_data_func (path, *isa, tests[i].func);
    }
  }
  g_test_add_func ("/kernels/products", test_products);
  g_test_add_func ("/kernels/misaligned", test_misaligned);
  g_test_add_func ("/kernels/attention", test_attention);
  g_test_add_func ("/kernels/attention-causal", test_attention_causal);
  g_test_add_func ("/kernels/cancel", test_cancel);
  g_test_add_func ("/kernels/pool", test_pool);
  return g_test_run ();
}
