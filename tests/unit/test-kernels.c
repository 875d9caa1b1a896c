/* Every function of every instruction set against plain double-precision code, on random and edge input, with canaries around what is
 * written. */
#include "models/kernels/isa.h"
#include "tests/support/random-weights.h"

#include <math.h>
#include <string.h>

#define CANARY 12345.678f

static void
test_dequantise (gconstpointer data)
{
  const StIsa *isa = data;

  for (guint t = 0; t < G_N_ELEMENTS (st_test_types); t++) {
    const StTypeTraits *traits = st_type_traits (st_test_types[t]);

    for (gsize blocks = 1; blocks < 70; blocks += 1 + blocks / 9) {
      const gsize n = blocks * traits->block_size;
      g_autofree guint8 *src = st_test_weights (st_test_types[t], n);
      g_autofree float *plain = g_new (float, n);
      g_autofree float *out = g_new (float, n + 1);

      out[n] = CANARY;
      traits->to_float (src, plain, n);
      isa->dequantise (st_test_types[t], src, out, n);
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
        g_autofree float *w = st_test_floats (rows * ldw);
        g_autofree float *x = st_test_floats (k * ldx + 1);
        g_autofree float *c = st_test_floats (rows * ldc);
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
            st_test_near (c[r * ldc + l], sum, 1e-6 * (gdouble) (k + 1));
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
  g_autofree float *src = st_test_floats (rows * lds);
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
      g_autofree float *w = st_test_floats (rows * k);
      g_autofree float *x = st_test_floats (m * ldx);
      g_autofree float *y = g_new (float, m * ldy);

      for (gsize i = 0; i < m * ldy; i++)
        y[i] = CANARY;
      isa->dot (w, k, rows, x, ldx, m, k, y, ldy);
      for (gsize i = 0; i < m; i++) {
        for (gsize r = 0; r < rows; r++) {
          gdouble sum = 0;

          for (gsize j = 0; j < k; j++)
            sum += (gdouble) w[r * k + j] * x[i * ldx + j];
          st_test_near (y[i * ldy + r], sum, 1e-6 * sqrt ((gdouble) k) * 4);
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
    g_autofree float *x = st_test_floats (n);
    g_autofree float *weight = st_test_floats (n);
    g_autofree float *y = g_new (float, n + 1);
    gdouble sum = 0;

    y[n] = CANARY;
    isa->rms_norm (x, weight, n, 1e-5f, y);
    for (gsize i = 0; i < n; i++)
      sum += (gdouble) x[i] * x[i];
    for (gsize i = 0; i < n; i++)
      st_test_near (y[i], x[i] / sqrt (sum / (gdouble) n + 1e-5) * weight[i],
          2e-6);
    g_assert_cmpfloat (y[n], ==, CANARY);
    isa->rms_norm (x, weight, n, 1e-5f, x);
    g_assert_cmpmem (x, n * sizeof (float), y, n * sizeof (float));
  }
}

/* Values far from 0: a variance as mean of squares minus square of the mean would have few bits left. */
static void
test_layer_norm (gconstpointer data)
{
  const StIsa *isa = data;

  for (gsize n = 2; n < 600; n += 1 + n / 5) {
    g_autofree float *x = st_test_floats (n);
    g_autofree float *weight = st_test_floats (n);
    g_autofree float *bias = st_test_floats (n);
    g_autofree float *y = g_new (float, n + 1);
    const float offset = n % 2 ? 100.0f : 0.0f;
    gdouble mean = 0, sum = 0;

    y[n] = CANARY;
    for (gsize i = 0; i < n; i++) {
      x[i] += offset;
      mean += x[i] / (gdouble) n;
    }
    for (gsize i = 0; i < n; i++)
      sum += (x[i] - mean) * (x[i] - mean);
    isa->layer_norm (x, weight, bias, n, 1e-2f, y);
    for (gsize i = 0; i < n; i++)
      st_test_near (y[i], (x[i] - mean) / sqrt (sum / (gdouble) n + 1e-2)
          * weight[i] + bias[i], n % 2 ? 3e-4 : 4e-6);
    g_assert_cmpfloat (y[n], ==, CANARY);
    isa->layer_norm (x, weight, bias, n, 1e-2f, x);
    g_assert_cmpmem (x, n * sizeof (float), y, n * sizeof (float));
  }
}

static void
test_rope (gconstpointer data)
{
  const StIsa *isa = data;
  const gsize heads = 3, dim = 20, rope_dim = 14;
  g_autofree float *cos_table = st_test_floats (rope_dim / 2);
  g_autofree float *sin_table = st_test_floats (rope_dim / 2);

  for (gint interleaved = 0; interleaved < 2; interleaved++) {
    g_autofree float *x = st_test_floats (heads * dim);
    g_autofree float *old = g_memdup2 (x, heads * dim * sizeof (float));

    isa->rope (x, heads, dim, rope_dim, cos_table, sin_table, interleaved);
    for (gsize h = 0; h < heads; h++) {
      for (gsize i = 0; i < rope_dim / 2; i++) {
        const gsize a = h * dim + (interleaved ? 2 * i : i);
        const gsize b = interleaved ? a + 1 : a + rope_dim / 2;

        st_test_near (x[a], (gdouble) old[a] * cos_table[i] -
            (gdouble) old[b] * sin_table[i], 1e-6);
        st_test_near (x[b], (gdouble) old[a] * sin_table[i] +
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

  for (gint i = 1; i < 6350; i++) {
    float scores[2] = { 0.0f, -0.0137f * (float) i };
    float max = -INFINITY, sum = 0;
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
    g_autofree float *scores = st_test_floats (n + 1);
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
      st_test_near (scores[i], exp (old[i] - top), 1e-6);
      total += exp (old[i] - top);
    }
    g_assert_cmpfloat (max, ==, (float) top);
    st_test_near (factor, exp (old_max - top), 1e-6);
    st_test_near (sum, total, 1e-5);
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
    g_autofree float *g = st_test_floats (n + 1);
    g_autofree float *u = st_test_floats (n);
    g_autofree float *old = NULL;

    for (gsize i = 0; i < n; i++)
      g[i] *= 20;
    g[n] = CANARY;
    old = g_memdup2 (g, n * sizeof (float));
    isa->swiglu (g, u, n);
    for (gsize i = 0; i < n; i++)
      st_test_near (g[i], old[i] / (1 + exp (-(gdouble) old[i])) * u[i], 1e-5);
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
  st_test_near (gate[3], 0, 1e-30);
  g_assert_true (isnan (gate[4]));
}

static void
test_swiglu_backward (gconstpointer data)
{
  const StIsa *isa = data;
  const float gate[] = { 0.0f, 200.0f, -200.0f }, ones[] = { 1, 1, 1 };
  float by_gate[] = { 1, 1, 1 }, by_up[3];

  for (gsize n = 1; n < 70; n++) {
    g_autofree float *g = st_test_floats (n);
    g_autofree float *u = st_test_floats (n);
    g_autofree float *d = st_test_floats (n + 1);
    g_autofree float *d_up = g_new (float, n + 1);
    g_autofree float *old = g_memdup2 (d, n * sizeof (float));

    for (gsize i = 0; i < n; i++)
      g[i] *= 20;
    d[n] = d_up[n] = CANARY;
    isa->swiglu_backward (g, u, n, d, d_up);
    for (gsize i = 0; i < n; i++) {
      const gdouble s = 1 / (1 + exp (-(gdouble) g[i]));

      st_test_near (d_up[i], old[i] * g[i] * s, 1e-5);
      st_test_near (d[i], old[i] * u[i] * (s + g[i] * s * (1 - s)), 1e-6);
    }
    g_assert_cmpfloat (d[n], ==, CANARY);
    g_assert_cmpfloat (d_up[n], ==, CANARY);
  }
  isa->swiglu_backward (gate, ones, 3, by_gate, by_up);
  g_assert_cmpfloat (by_gate[0], ==, 0.5f);
  g_assert_cmpfloat (by_gate[1], ==, 1.0f);
  st_test_near (by_gate[2], 0, 1e-30);
  g_assert_cmpfloat (by_up[1], ==, 200.0f);
}

#define GELU_SCALE 0.79788456080286535588       /* sqrt (2 / pi) */

static void
test_gelu (gconstpointer data)
{
  const StIsa *isa = data;
  float edges[] = { 0.0f, 200.0f, -200.0f, 3e30f, -3e30f, NAN };

  for (gsize n = 1; n < 70; n++) {
    g_autofree float *x = st_test_floats (n + 1);
    g_autofree float *old = NULL;

    for (gsize i = 0; i < n; i++)
      x[i] *= 6;
    x[n] = CANARY;
    old = g_memdup2 (x, n * sizeof (float));
    isa->gelu (x, n);
    for (gsize i = 0; i < n; i++) {
      const gdouble v = old[i];

      st_test_near (x[i], 0.5 * v * (1 + tanh (GELU_SCALE * (v
                      + 0.044715 * v * v * v))), 1e-6);
    }
    g_assert_cmpfloat (x[n], ==, CANARY);
    /* A value's bits do not depend on where it stands. */
    for (gsize i = 0; i < n; i++) {
      isa->gelu (&old[i], 1);
      g_assert_cmpmem (&old[i], sizeof (float), &x[i], sizeof (float));
    }
  }
  isa->gelu (edges, 6);
  g_assert_cmpfloat (edges[0], ==, 0.0f);
  g_assert_cmpfloat (edges[1], ==, 200.0f);
  st_test_near (edges[2], 0, 1e-30);
  g_assert_cmpfloat (edges[3], ==, 3e30f);
  st_test_near (edges[4], 0, 1e-6);
  g_assert_true (isnan (edges[5]));
}

static void
test_gelu_backward (gconstpointer data)
{
  const StIsa *isa = data;
  const float edges[] = { 0.0f, 200.0f, -200.0f };
  float d_edges[] = { 1, 1, 1 };

  for (gsize n = 1; n < 70; n++) {
    g_autofree float *x = st_test_floats (n);
    g_autofree float *d = st_test_floats (n + 1);
    g_autofree float *old = g_memdup2 (d, n * sizeof (float));

    for (gsize i = 0; i < n; i++)
      x[i] *= 6;
    d[n] = CANARY;
    isa->gelu_backward (x, n, d);
    for (gsize i = 0; i < n; i++) {
      const gdouble v = x[i];
      const gdouble t = tanh (GELU_SCALE * (v + 0.044715 * v * v * v));
      const gdouble slope = GELU_SCALE * (1 + 3 * 0.044715 * v * v);

      st_test_near (d[i], old[i] * (0.5 * (1 + t) + 0.5 * v * (1 - t * t)
              * slope), 5e-6);
    }
    g_assert_cmpfloat (d[n], ==, CANARY);
  }
  isa->gelu_backward (edges, 3, d_edges);
  g_assert_cmpfloat (d_edges[0], ==, 0.5f);
  g_assert_cmpfloat (d_edges[1], ==, 1.0f);
  st_test_near (d_edges[2], 0, 1e-30);
}

static void
test_simple (gconstpointer data)
{
  const StIsa *isa = data;

  for (gsize n = 1; n < 70; n++) {
    g_autofree float *x = st_test_floats (n + 1);
    g_autofree float *y = st_test_floats (n);
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
    st_test_near (isa->log_sum_exp (x, n), top + log (total), 1e-6);
  }
}

static void
test_log_sum_exp_edges (gconstpointer data)
{
  const StIsa *isa = data;
  g_autofree float *x = g_new (float, 49153);

  for (gsize i = 0; i < 49153; i++)
    x[i] = 5.0f;
  st_test_near (isa->log_sum_exp (x, 49153), 5 + log (49153.0), 1e-6);
  for (gsize i = 1; i < 49153; i++)
    x[i] = -INFINITY;
  st_test_near (isa->log_sum_exp (x, 49153), 5, 1e-9);
  x[7] = 20000.0f;
  st_test_near (isa->log_sum_exp (x, 49153), 20000, 1e-9);
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
    {"layer-norm", test_layer_norm},
    {"rope", test_rope},
    {"exp", test_exp},
    {"softmax", test_softmax},
    {"swiglu", test_swiglu},
    {"swiglu-backward", test_swiglu_backward},
    {"gelu", test_gelu},
    {"gelu-backward", test_gelu_backward},
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
  return g_test_run ();
}
