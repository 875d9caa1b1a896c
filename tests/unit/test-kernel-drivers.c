/* Products, attention and the pool, with the instruction set in use, against plain double-precision code. */
#include "models/kernels/kernels.h"
#include "tests/support/random-weights.h"

#include <math.h>
#include <string.h>

#define CANARY 12345.678f

/* Products of every type, odd shapes, both regimes and both modes against double precision. */
static void
check_product (StPool * pool, StType type, gsize rows, gsize cols, gsize m)
{
  const gsize ldx = cols + 3, ldy = rows + 2;
  g_autofree guint8 *w = st_test_weights (type, rows * cols);
  const StMatrix matrix = { type, rows, cols, w };
  g_autofree float *x = st_test_floats (m * ldx);
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
        st_test_near (y[i * ldy + r], sum, 2e-6 * size + 1e-12);
      }
    }
    for (gsize i = 0; i < m; i++)
      for (gsize r = rows; r < ldy; r++)
        g_assert_cmpfloat (y[i * ldy + r], ==, CANARY);
  }
}

/* What is added to y, beside double precision; a row alone gets the same bits. */
static void
check_outer (StPool * pool, StType type, gsize rank, gsize cols, gsize m)
{
  const gsize ldx = rank + 3, ldy = cols + 2;
  g_autofree guint8 *w = st_test_weights (type, rank * cols);
  const StMatrix matrix = { type, rank, cols, w };
  g_autofree float *x = st_test_floats (m * ldx);
  g_autofree float *old = st_test_floats (m * ldy);
  g_autofree float *y = g_memdup2 (old, m * ldy * sizeof (float));
  g_autofree float *alone = g_memdup2 (old, m * ldy * sizeof (float));
  g_autofree float *row = g_new (float, rank * cols);

  for (gsize k = 0; k < rank; k++)
    st_get_row (&matrix, k, row + k * cols);
  st_add_outer (pool, &matrix, x, m, ldx, y, ldy, NULL);
  for (gsize i = 0; i < m; i++) {
    for (gsize j = 0; j < cols; j++) {
      gdouble sum = old[i * ldy + j], size = fabs (sum);

      for (gsize k = 0; k < rank; k++) {
        sum += (gdouble) x[i * ldx + k] * row[k * cols + j];
        size += fabs ((gdouble) x[i * ldx + k] * row[k * cols + j]);
      }
      st_test_near (y[i * ldy + j], sum, 2e-6 * size + 1e-12);
    }
    st_add_outer (pool, &matrix, x + i * ldx, 1, ldx, alone + i * ldy, ldy,
        NULL);
  }
  g_assert_cmpmem (y, m * ldy * sizeof (float), alone,
      m * ldy * sizeof (float));
}

static void
test_outer (void)
{
  static const StType types[] = { ST_TYPE_F32, ST_TYPE_F16, ST_TYPE_BF16 };
  StPool *pool = st_pool_new (2);

  for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
    check_outer (pool, types[t], 1, 1, 1);
    check_outer (pool, types[t], 16, 576, 33);
    check_outer (pool, types[t], 5, 67, 16);
    check_outer (pool, types[t], 9, 1543, 5);
  }
  st_pool_free (pool);
}

static void
test_products (void)
{
  static const gsize rows[] = { 1, 5, 47, 48, 49, 100 };
  static const gsize counts[] = { 1, 2, 7, 16, 33, 70 };
  StPool *pool = st_pool_new (2);

  for (guint t = 0; t < G_N_ELEMENTS (st_test_types); t++) {
    const gsize unit = st_type_traits (st_test_types[t])->block_size;

    for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
      check_product (pool, st_test_types[t], rows[i], unit * (1 + 3 * i),
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
  g_autofree float *w = st_test_floats (rows * cols);
  g_autofree float *x = st_test_floats (m * cols);
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
    st_test_near (out[d], v / sum, 5e-6);
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
  g_autofree guint8 *k = st_test_weights (ST_TYPE_F32, n);
  g_autofree guint8 *v = st_test_weights (ST_TYPE_F32, n);
  g_autofree float *q = st_test_floats (m * (width + 1));
  g_autofree float *out = st_test_floats (m * (width + 2));
  StAttention a = { heads, kv_heads, dim, first, m, type, k, v, capacity, q,
    width + 1, out, width + 2, 1.5f
  };

  for (gsize i = 0; type == ST_TYPE_F16 && i < n; i++) {
    ((guint16 *) k)[i] =
        st_float_to_half ((float) g_test_rand_double_range (-1, 1));
    ((guint16 *) v)[i] =
        st_float_to_half ((float) g_test_rand_double_range (-1, 1));
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
  g_autofree float *k = st_test_floats (m * dim);
  g_autofree float *v = st_test_floats (m * dim);
  g_autofree float *q = st_test_floats (m * dim);
  g_autofree float *out = st_test_floats (m * dim);
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
  g_autofree float *w = st_test_floats (n * 1000);
  g_autofree float *x = st_test_floats (m * 1000);
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

/* A wish that cannot be met is said, and the best set is used. */
static void
test_unknown_set (void)
{
  if (g_test_subprocess ()) {
    g_setenv ("ST_KERNELS", "mmx", TRUE);
    g_print ("using %s\n", st_kernels_name ());
    return;
  }
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("*ST_KERNELS=mmx*not one of*");
  g_test_trap_assert_stdout ("*using *");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernel-drivers/products", test_products);
  g_test_add_func ("/kernel-drivers/outer", test_outer);
  g_test_add_func ("/kernel-drivers/misaligned", test_misaligned);
  g_test_add_func ("/kernel-drivers/attention", test_attention);
  g_test_add_func ("/kernel-drivers/attention-causal", test_attention_causal);
  g_test_add_func ("/kernel-drivers/cancel", test_cancel);
  g_test_add_func ("/kernel-drivers/pool", test_pool);
  g_test_add_func ("/kernel-drivers/unknown-set", test_unknown_set);
  return g_test_run ();
}
