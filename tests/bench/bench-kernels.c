/* Kernels against OpenBLAS at the shapes of SmolLM2-135M, one thread. Times are the thread's processor time and the best of interleaved
 * rounds, so that what else the machine does hits both sides alike. Prints only; nothing is asserted about time. Argument: rounds
 * (default 10). */
#include "models/kernels/kernels.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "models/kernels/openblas.h"

typedef struct
{
  const gchar *name;
  gsize rows, cols;
  guint count;                  /* in a block of the model */
} Shape;

static const Shape shapes[] = {
  {"q, o 576x576", 576, 576, 2},
  {"k, v 192x576", 192, 576, 2},
  {"gate, up 1536x576", 1536, 576, 2},
  {"down 576x1536", 576, 1536, 1},
};

static guint rounds = 10;

static void *
aligned (gsize bytes)
{
  void *p = NULL;

  if (posix_memalign (&p, 64, bytes) != 0)
    exit (1);
  return p;
}

static float *
random_floats (gsize n)
{
  float *p = aligned (n * sizeof (float));

  for (gsize i = 0; i < n; i++)
    p[i] = (float) g_random_double_range (-1, 1);
  return p;
}

/* Seconds of this thread. */
static gdouble
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &t);
  return (gdouble) t.tv_sec + (gdouble) t.tv_nsec * 1e-9;
}

/* What one round runs, enough times to take a few milliseconds. */
typedef struct
{
  StPool *pool;
  StMatrix w;
  float *x, *y;
  gsize m;
  StRegime regime;
  guint repeats;
} Product;

static gdouble
time_own (const Product * p)
{
  const gdouble start = now ();

  for (guint i = 0; i < p->repeats; i++)
    st_matmul (p->pool, &p->w, p->x, p->m, p->w.cols, p->y, p->w.rows,
        p->regime, TRUE, NULL);
  return (now () - start) / p->repeats;
}

static gdouble
time_blas (const Product * p)
{
  const gdouble start = now ();
  const blasint n = (blasint) p->w.rows, k = (blasint) p->w.cols;

  for (guint i = 0; i < p->repeats; i++) {
    if (p->regime == ST_REGIME_STEP)
      cblas_sgemv (CblasRowMajor, CblasNoTrans, n, k, 1.0f, p->w.data, k, p->x,
          1, 0.0f, p->y, 1);
    else
      cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, (blasint) p->m, n,
          k, 1.0f, p->x, k, p->w.data, k, 0.0f, p->y, n);
  }
  return (now () - start) / p->repeats;
}

/* Best times of both, alternating. */
static void
interleave (const Product * p, gdouble * own, gdouble * blas)
{
  *own = *blas = G_MAXDOUBLE;
  for (guint r = 0; r < rounds; r++) {
    *own = MIN (*own, time_own (p));
    *blas = MIN (*blas, time_blas (p));
  }
}

static void
bench_prefill (StPool * pool, gsize m)
{
  gdouble total_own = 0, total_blas = 0;

  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++) {
    const gsize n = shapes[s].rows, k = shapes[s].cols;
    const gdouble flops = 2.0 * (gdouble) (n * k * m);
    float *w = random_floats (n * k);
    Product p = { pool, {ST_TYPE_F32, n, k, w}, random_floats (m * k),
    aligned (m * n * sizeof (float)), m, ST_REGIME_PREFILL,
    (guint) CLAMP (4e8 / flops, 1, 1000)
    };
    gdouble own, blas;

    interleave (&p, &own, &blas);
    g_print ("prefill m=%-4" G_GSIZE_FORMAT " %-18s own %7.1f GFLOP/s, "
        "sgemm %7.1f, ratio %.2f\n", m, shapes[s].name, flops / own * 1e-9,
        flops / blas * 1e-9, blas / own);
    total_own += own * shapes[s].count;
    total_blas += blas * shapes[s].count;
    free (w);
    free (p.x);
    free (p.y);
  }
  g_print ("prefill m=%-4" G_GSIZE_FORMAT
      " a block of 7 products: ratio %.2f\n", m, total_blas / total_own);
}

/* Prefill from stored weights of another type, against the same product from F32 weights. */
static void
bench_stored (StPool * pool, StType type)
{
  const gsize n = 1536, k = 1536, m = 512;
  const gsize bytes = st_type_row_bytes (type, k) * n;
  guint8 *stored = aligned (bytes);
  float *w = random_floats (n * k), *x = random_floats (m * k);
  float *y = aligned (m * n * sizeof (float));
  Product p = { pool, {type, n, k, stored}, x, y, m, ST_REGIME_PREFILL, 1 };
  Product plain = { pool, {ST_TYPE_F32, n, k, w}, x, y, m, ST_REGIME_PREFILL,
  1
  };
  gdouble best = G_MAXDOUBLE, best_plain = G_MAXDOUBLE;

  memset (stored, 0x35, bytes);
  for (guint r = 0; r < rounds; r++) {
    best = MIN (best, time_own (&p));
    best_plain = MIN (best_plain, time_own (&plain));
  }
  g_print ("prefill m=%-4" G_GSIZE_FORMAT " %-5s %7.1f GFLOP/s, ratio to F32 "
      "weights %.2f\n", m, st_type_traits (type)->name,
      2.0 * (gdouble) (n * k * m) / best * 1e-9, best_plain / best);
  free (stored);
  free (w);
  free (x);
  free (y);
}

/* Weights of one type, several times larger than the caches in all. */
static void
bench_step (StPool * pool, StType type, gsize rows, gsize cols, gsize m)
{
  const gsize bytes = st_type_row_bytes (type, cols) * rows;
  guint8 *w = aligned (bytes);
  Product p = { pool, {type, rows, cols, w}, random_floats (m * cols),
  aligned (m * rows * sizeof (float)), m, ST_REGIME_STEP, 1
  };
  gdouble own, blas = 0;

  if (type == ST_TYPE_F32)
    for (gsize i = 0; i < rows * cols; i++)
      ((float *) w)[i] = (float) g_random_double ();
  else
    memset (w, 0x35, bytes);
  if (type == ST_TYPE_F32 && m == 1)
    interleave (&p, &own, &blas);
  else {
    own = G_MAXDOUBLE;
    for (guint r = 0; r < rounds; r++)
      own = MIN (own, time_own (&p));
  }
  g_print ("step    m=%-4" G_GSIZE_FORMAT " %-5s %" G_GSIZE_FORMAT "x%"
      G_GSIZE_FORMAT ": %6.1f GB/s, %6.2f Gweights/s", m,
      st_type_traits (type)->name, rows, cols, (gdouble) bytes / own * 1e-9,
      (gdouble) (rows * cols) / own * 1e-9);
  if (blas > 0)
    g_print (", ratio to sgemv %.2f", blas / own);
  g_print ("\n");
  free (w);
  free (p.x);
  free (p.y);
}

static void
bench_attention (StPool * pool, gsize first, gsize m, StRegime regime,
    StType type)
{
  const gsize heads = 9, kv = 3, dim = 64, capacity = first + m;
  const gsize bytes = kv * capacity * dim * (type == ST_TYPE_F16 ? 2 : 4);
  float *q = random_floats (m * heads * dim);
  float *out = aligned (m * heads * dim * sizeof (float));
  void *k = aligned (bytes), *v = aligned (bytes);
  StAttention a = { heads, kv, dim, first, m, type, k, v, capacity, q,
    heads * dim, out, heads * dim, 0.125f
  };
  gdouble best = G_MAXDOUBLE, pairs;

  memset (k, 0x33, bytes);
  memset (v, 0x33, bytes);
  for (guint r = 0; r < rounds; r++) {
    const gdouble start = now ();

    for (guint i = 0; i < 8; i++)
      st_attention (pool, &a, regime, NULL);
    best = MIN (best, (now () - start) / 8);
  }
  pairs = (gdouble) heads *((gdouble) m * (gdouble) first +
      0.5 * (gdouble) m * (gdouble) (m + 1));
  g_print ("attention %s %s positions %" G_GSIZE_FORMAT " + %" G_GSIZE_FORMAT
      ": %.1f us, %.1f GFLOP/s\n", regime == ST_REGIME_STEP ? "step" :
      "prefill", st_type_traits (type)->name, first, m, best * 1e6,
      pairs * (gdouble) dim * 4 / best * 1e-9);
  free (q);
  free (out);
  free (k);
  free (v);
}

int
main (int argc, char **argv)
{
  static const StType types[] = { ST_TYPE_F32, ST_TYPE_F16, ST_TYPE_BF16,
    ST_TYPE_Q8_0, ST_TYPE_Q4_0, ST_TYPE_Q4_1, ST_TYPE_Q5_0, ST_TYPE_Q5_1,
    ST_TYPE_Q4_K, ST_TYPE_Q5_K, ST_TYPE_Q6_K
  };
  StPool *pool;

  st_openblas_restart (argv);
  pool = st_pool_new (1);
  if (argc > 1)
    rounds = (guint) CLAMP (atoi (argv[1]), 1, 1000);
  openblas_set_num_threads (1);
  g_print ("kernels %s, OpenBLAS %s\n", st_kernels_name (),
      openblas_get_corename ());
  bench_prefill (pool, 512);
  bench_prefill (pool, 64);
  bench_prefill (pool, 7);
  for (guint t = 1; t < G_N_ELEMENTS (types); t++)
    bench_stored (pool, types[t]);
  for (guint t = 0; t < G_N_ELEMENTS (types); t++)
    bench_step (pool, types[t], 24576, 1536, 1);
  bench_step (pool, ST_TYPE_F32, 65536, 576, 1);
  bench_step (pool, ST_TYPE_Q4_1, 65536, 576, 1);
  bench_step (pool, ST_TYPE_Q4_1, 65536, 576, 4);
  bench_attention (pool, 0, 512, ST_REGIME_PREFILL, ST_TYPE_F32);
  bench_attention (pool, 1536, 512, ST_REGIME_PREFILL, ST_TYPE_F16);
  bench_attention (pool, 511, 1, ST_REGIME_STEP, ST_TYPE_F32);
  bench_attention (pool, 2047, 1, ST_REGIME_STEP, ST_TYPE_F16);
  st_pool_free (pool);
  return 0;
}
