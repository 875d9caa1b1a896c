/* What a row computes has the same bits whatever other rows are in the call, however a prompt is cut into calls, however many threads
 * run, and whatever floating-point mode the caller has set. */
#include "models/kernels/kernels.h"
#include "tests/support/random-weights.h"

#include <fenv.h>
#include <math.h>
#include <string.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#define MAX_ROWS 600

static void
assert_same_rows (const float *y, const float *all, gsize rows, gsize n,
    const gchar * what)
{
  for (gsize i = 0; i < rows; i++) {
    if (memcmp (y + i * n, all + i * n, n * sizeof (float)) != 0)
      g_error ("%s: row %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT " differs",
          what, i, rows);
  }
}

static void
check_products (StPool * one, StPool * two, const StMatrix * w, StRegime regime)
{
  static const gsize counts[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
    14, 15, 16, 17, 32, 64, 128, 511, 512, MAX_ROWS
  };
  const gsize k = w->cols, n = w->rows;
  g_autofree float *x = st_test_floats (MAX_ROWS * k);
  g_autofree float *all = g_new (float, MAX_ROWS * n);
  g_autofree float *y = g_new (float, MAX_ROWS * n);

  st_matmul (one, w, x, MAX_ROWS, k, all, n, regime, TRUE, NULL);
  for (guint c = 0; c < G_N_ELEMENTS (counts); c++) {
    const gsize m = counts[c], first = (MAX_ROWS - m) / 3;

    st_matmul (c % 2 ? one : two, w, x + first * k, m, k, y, n, regime, TRUE,
        NULL);
    assert_same_rows (y, all + first * n, m, n, "product");
  }
}

static void
test_products (void)
{
  static const struct
  {
    StType type;
    gsize rows, cols;
  } shapes[] = {
    {ST_TYPE_F32, 192, 576},
    {ST_TYPE_F32, 100, 1536},
    {ST_TYPE_F32, 53, 1031},
    {ST_TYPE_F16, 49, 700},
    {ST_TYPE_Q8_0, 50, 1536},
    {ST_TYPE_Q4_1, 192, 576},
    {ST_TYPE_Q4_K, 49, 1280},
    {ST_TYPE_Q6_K, 47, 768},
  };
  StPool *one = st_pool_new (1), *two = st_pool_new (2);

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    g_autofree guint8 *data =
        st_test_weights (shapes[i].type, shapes[i].rows * shapes[i].cols);
    const StMatrix w = { shapes[i].type, shapes[i].rows, shapes[i].cols, data };

    check_products (one, two, &w, ST_REGIME_PREFILL);
    check_products (one, two, &w, ST_REGIME_STEP);
  }
  st_pool_free (one);
  st_pool_free (two);
}

/* A group of matrices of different types and sizes gives what single products give. */
static void
test_group (void)
{
  static const struct
  {
    StType type;
    gsize rows;
  } parts[3] = {
    {ST_TYPE_F32, 576}, {ST_TYPE_Q4_K, 50}, {ST_TYPE_F16, 201}
  };
  const gsize cols = 768, m = 70;
  StPool *one = st_pool_new (1), *two = st_pool_new (2);
  g_autofree float *x = st_test_floats (m * cols);
  StMatrix w[3];
  StProduct products[3];
  float *single[3];

  for (guint i = 0; i < 3; i++) {
    w[i] = (StMatrix) {
    parts[i].type, parts[i].rows, cols, st_test_weights (parts[i].type,
          parts[i].rows * cols)};
    products[i] = (StProduct) {
    &w[i], g_new (float, m * w[i].rows), w[i].rows};
    single[i] = g_new (float, m * w[i].rows);
  }
  for (gint regime = 0; regime < 2; regime++) {
    for (guint i = 0; i < 3; i++)
      st_matmul (one, &w[i], x, m, cols, single[i], w[i].rows,
          (StRegime) regime, TRUE, NULL);
    for (guint threads = 1; threads <= 2; threads++) {
      st_matmul_group (threads == 1 ? one : two, products, 3, x, m, cols,
          (StRegime) regime, TRUE, NULL);
      for (guint i = 0; i < 3; i++)
        assert_same_rows (products[i].y, single[i], m, w[i].rows, "group");
    }
  }
  for (guint i = 0; i < 3; i++) {
    g_free ((gpointer) w[i].data);
    g_free (products[i].y);
    g_free (single[i]);
  }
  st_pool_free (one);
  st_pool_free (two);
}

/* One layer's cache and queries for @m positions; rows are computed by calls of @chunk positions. */
typedef struct
{
  StAttention a;
  gsize m;
  float *q;
} Layer;

static void
run_chunks (StPool * pool, const Layer * layer, gsize chunk, StRegime regime,
    float *out)
{
  const gsize width = layer->a.n_heads * layer->a.head_dim;

  for (gsize first = 0; first < layer->m; first += chunk) {
    StAttention a = layer->a;

    a.first = first;
    a.m = MIN (chunk, layer->m - first);
    a.q = layer->q + first * width;
    a.out = out + first * width;
    st_attention (pool, &a, regime, NULL);
  }
}

static void
check_attention (StType type, gsize heads, gsize kv_heads, gsize dim, gsize m)
{
  static const gsize chunks[] = { 1, 7, 13, 64, 200, 512 };
  const gsize width = heads * dim, n = kv_heads * m * dim;
  g_autofree float *k = st_test_floats (n);
  g_autofree float *v = st_test_floats (n);
  g_autofree float *q = st_test_floats (m * width);
  g_autofree float *all = g_new (float, m * width);
  g_autofree float *out = g_new (float, m * width);
  /* A large scale makes the running maximum jump and old sums vanish. */
  Layer layer = { {heads, kv_heads, dim, 0, 0, type, k, v, m, NULL, width, NULL,
      width, 5.0f}, m, q
  };
  StPool *one = st_pool_new (1), *two = st_pool_new (2);

  for (gsize i = 0; type == ST_TYPE_F16 && i < n; i++) {
    ((guint16 *) k)[i] = st_float_to_half (k[i]);
    ((guint16 *) v)[i] = st_float_to_half (v[i]);
  }
  for (gint regime = 0; regime < 2; regime++) {
    run_chunks (one, &layer, m, (StRegime) regime, all);
    for (guint c = 0; c < G_N_ELEMENTS (chunks); c++) {
      run_chunks (c % 2 ? one : two, &layer, chunks[c], (StRegime) regime, out);
      assert_same_rows (out, all, m, width, "attention");
    }
  }
  st_pool_free (one);
  st_pool_free (two);
}

static void
test_attention (void)
{
  check_attention (ST_TYPE_F32, 9, 3, 64, 520);
  check_attention (ST_TYPE_F16, 4, 1, 80, 200);
  check_attention (ST_TYPE_F32, 2, 2, 20, 150);
}

/* Everything once, with input small enough for subnormal results. */
static void
run_everything (StPool * pool, const float *x, float *out)
{
  const gsize n = 64;
  const StMatrix w = { ST_TYPE_F32, n, n, x };
  StAttention a = { 1, 1, n, 0, n, ST_TYPE_F32, x, x + n * n, n, x, n,
    out + 2 * n * n, n, 0.3f
  };
  gdouble sum;

  st_matmul (pool, &w, x + n * n, n, n, out, n, ST_REGIME_PREFILL, TRUE, NULL);
  st_matmul (pool, &w, x + n * n, n, n, out + n * n, n, ST_REGIME_STEP, TRUE,
      NULL);
  st_attention (pool, &a, ST_REGIME_PREFILL, NULL);
  out += 3 * n * n;
  st_rms_norm (x, x + n, n, 1e-20f, out);
  memcpy (out + n, x, n * sizeof (float));
  st_rope (out + n, 1, n, n, x + n, x + 2 * n, TRUE);
  memcpy (out + 2 * n, x, n * sizeof (float));
  st_swiglu (out + 2 * n, x + n, n);
  memcpy (out + 3 * n, x, n * sizeof (float));
  st_add (out + 3 * n, x + n, n);
  st_get_row (&w, 3, out + 4 * n);
  st_layer_norm (x, x + n, x + 2 * n, n, 1e-20f, out + 5 * n);
  memcpy (out + 6 * n, x, n * sizeof (float));
  st_gelu (out + 6 * n, n);
  /* As it is: a conversion here would round in the caller's mode. */
  sum = st_log_sum_exp (x, n);
  memcpy (out + 7 * n, &sum, sizeof sum);
}

static void
test_modes (void)
{
  const gsize n = 64, total = 3 * n * n + 7 * n + 2;
  static const int roundings[] = { FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };

  for (guint threads = 1; threads <= 2; threads++) {
    StPool *pool = st_pool_new (threads);
    g_autofree float *x = st_test_floats (2 * n * n);
    g_autofree float *plain = g_new0 (float, total);
    g_autofree float *out = g_new0 (float, total);
    guint subnormal = 0;

    for (gsize i = 0; i < 2 * n * n; i++)
      x[i] *= i % 3 == 0 ? 3e-20f : i % 3 == 1 ? 1e-19f : 0x1p-130f;
    run_everything (pool, x, plain);
    for (gsize i = 0; i < total; i++)
      subnormal += fpclassify (plain[i]) == FP_SUBNORMAL;
    g_assert_cmpuint (subnormal, >, 100);

    for (guint i = 0; i < G_N_ELEMENTS (roundings); i++) {
      fesetround (roundings[i]);
      run_everything (pool, x, out);
      g_assert_cmpint (fegetround (), ==, roundings[i]);
      fesetround (FE_TONEAREST);
      g_assert_cmpmem (out, total * 4, plain, total * 4);
    }
#ifdef __SSE__
    /* Flush-to-zero and denormals-are-zero. */
    _mm_setcsr (_mm_getcsr () | 0x8040);
    run_everything (pool, x, out);
    g_assert_cmphex (_mm_getcsr () & 0x8040, ==, 0x8040);
    _mm_setcsr (_mm_getcsr () & ~0x8040u);
    g_assert_cmpmem (out, total * 4, plain, total * 4);
#endif
    st_pool_free (pool);
  }
}

typedef struct
{
  StPool *pool;
  const StMatrix *w;
  const float *x;
  float *y;
} Job;

static gpointer
repeat_product (gpointer data)
{
  const Job *job = data;

  for (guint i = 0; i < 50; i++)
    st_matmul (job->pool, job->w, job->x, 33, job->w->cols, job->y,
        job->w->rows, i % 2 ? ST_REGIME_STEP : ST_REGIME_PREFILL, TRUE, NULL);
  return NULL;
}

/* Two pools of different sizes at work at the same time in one process. */
static void
test_two_pools (void)
{
  const gsize rows = 192, cols = 576, m = 33;
  g_autofree float *weights = st_test_floats (rows * cols);
  g_autofree float *x = st_test_floats (m * cols);
  g_autofree float *y = g_new (float, 2 * m * rows);
  const StMatrix w = { ST_TYPE_F32, rows, cols, weights };
  Job jobs[2];
  GThread *threads[2];

  for (guint i = 0; i < 2; i++) {
    jobs[i] = (Job) {
    st_pool_new (1 + 2 * i), &w, x, y + i * m * rows};
    threads[i] = g_thread_new ("job", repeat_product, &jobs[i]);
  }
  for (guint i = 0; i < 2; i++) {
    g_thread_join (threads[i]);
    st_pool_free (jobs[i].pool);
  }
  assert_same_rows (y, y + m * rows, m, rows, "two pools");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/invariance-kernels/products", test_products);
  g_test_add_func ("/invariance-kernels/group", test_group);
  g_test_add_func ("/invariance-kernels/attention", test_attention);
  g_test_add_func ("/invariance-kernels/modes", test_modes);
  g_test_add_func ("/invariance-kernels/two-pools", test_two_pools);
  return g_test_run ();
}
