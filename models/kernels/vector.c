/* Dot products and the functions of one row: norm, rotation, activation, softmax. Compiled once for each instruction set. */
#include "models/kernels/isa-impl.h"

#define DOT_AHEAD 2048          /* floats between what is multiplied and what is fetched */
#define DOT_CHAINS 4            /* sums of a dot product: vector i goes to sum i % 4 */
/* Rows of w at once, so that the sums stay in registers. */
#if VL == 16
#define DOT_ROWS 4
#else
#define DOT_ROWS 2
#endif

/* @rows rows of w by one row of x. However many are done at once, each product is summed in the same order. */
V_INLINE void
dot_rows (const guint rows, const gboolean fetch, const float *w, gsize ldw,
    const float *x, gsize k, float *y)
{
  vf acc[DOT_ROWS][DOT_CHAINS];
  gsize i = 0;

#pragma GCC unroll 4
  for (guint r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (guint c = 0; c < DOT_CHAINS; c++)
      acc[r][c] = v_zero ();

  for (; i + DOT_CHAINS * VL <= k; i += DOT_CHAINS * VL) {
#pragma GCC unroll 4
    for (guint c = 0; c < DOT_CHAINS; c++) {
      const vf xv = v_load (x + i + c * VL);

#pragma GCC unroll 4
      for (guint r = 0; r < rows; r++) {
        const float *wp = w + r * ldw + i + c * VL;

        if (fetch)
          __builtin_prefetch (wp + DOT_AHEAD);
        acc[r][c] = v_fma (v_load (wp), xv, acc[r][c]);
      }
    }
  }
#pragma GCC unroll 4
  for (guint c = 0; c < DOT_CHAINS && i < k; c++, i += VL) {
    const gsize left = MIN (k - i, VL);
    const vf xv = v_load_n (x + i, left);

#pragma GCC unroll 4
    for (guint r = 0; r < rows; r++)
      acc[r][c] = v_fma (v_load_n (w + r * ldw + i, left), xv, acc[r][c]);
  }

#pragma GCC unroll 4
  for (guint r = 0; r < rows; r++)
    acc[r][0] = v_add (v_add (acc[r][0], acc[r][1]),
        v_add (acc[r][2], acc[r][3]));
#ifdef v_sum4
  if (rows == 4) {
    v_sum4 (acc[0][0], acc[1][0], acc[2][0], acc[3][0], y);
    return;
  }
#endif
#pragma GCC unroll 4
  for (guint r = 0; r < rows; r++)
    y[r] = v_sum (acc[r][0]);
}

void
ST_ISA (dot) (const float *w, gsize ldw, gsize rows, const float *x,
    gsize ldx, gsize m, gsize k, float *y, gsize ldy)
{
  gsize r = 0;

  /* The rows of w come from memory with the first row of x, from the cache with the others. */
  for (; r + DOT_ROWS <= rows; r += DOT_ROWS) {
    dot_rows (DOT_ROWS, TRUE, w + r * ldw, ldw, x, k, y + r);
    for (gsize i = 1; i < m; i++)
      dot_rows (DOT_ROWS, FALSE, w + r * ldw, ldw, x + i * ldx, k,
          y + i * ldy + r);
  }
  for (; r < rows; r++) {
    for (gsize i = 0; i < m; i++)
      dot_rows (1, FALSE, w + r * ldw, ldw, x + i * ldx, k, y + i * ldy + r);
  }
}

static void
rms_norm (const float *x, const float *weight, gsize n, float eps, float *y)
{
  float sum, scale;

  dot_rows (1, FALSE, x, n, x, n, &sum);
  scale = 1.0f / sqrtf (sum / (float) n + eps);
  for (gsize i = 0; i < n; i++)
    y[i] = x[i] * scale * weight[i];
}

static float
sum_of (const float *x, gsize n)
{
  vf total = v_zero ();
  gsize i = 0;

  for (; i + VL <= n; i += VL)
    total = v_add (total, v_load (x + i));
  if (i < n)
    total = v_add (total, v_load_n (x + i, n - i));
  return v_sum (total);
}

/* The variance is that of the differences from the mean, which cancel nothing. */
static void
layer_norm (const float *x, const float *weight, const float *bias, gsize n,
    float eps, float *y)
{
  const float mean = sum_of (x, n) / (float) n;
  float sum, scale;

  for (gsize i = 0; i < n; i++)
    y[i] = x[i] - mean;
  dot_rows (1, FALSE, y, n, y, n, &sum);
  scale = 1.0f / sqrtf (sum / (float) n + eps);
  for (gsize i = 0; i < n; i++)
    y[i] = y[i] * scale * weight[i] + bias[i];
}

static void
rope (float *x, gsize n_heads, gsize head_dim, gsize rope_dim,
    const float *cos_table, const float *sin_table, gboolean interleaved)
{
  const gsize half = rope_dim / 2;

  for (gsize h = 0; h < n_heads; h++, x += head_dim) {
    for (gsize i = 0; i < half; i++) {
      float *a = interleaved ? x + 2 * i : x + i;
      float *b = interleaved ? a + 1 : a + half;
      const float va = *a, vb = *b;

      *a = va * cos_table[i] - vb * sin_table[i];
      *b = va * sin_table[i] + vb * cos_table[i];
    }
  }
}

/* Columns at once, in vectors: enough chains to hide the latency of one. */
#define ADD_CHAINS 4

static void
add_rows (float *y, const float *w, gsize ldw, const float *factors, gsize k,
    gsize n)
{
  gsize j = 0;

  for (; j + ADD_CHAINS * VL <= n; j += ADD_CHAINS * VL) {
    vf acc[ADD_CHAINS];

#pragma GCC unroll 4
    for (guint c = 0; c < ADD_CHAINS; c++)
      acc[c] = v_load (y + j + c * VL);
    for (gsize i = 0; i < k; i++) {
      const vf factor = v_set1 (factors[i]);

#pragma GCC unroll 4
      for (guint c = 0; c < ADD_CHAINS; c++)
        acc[c] = v_fma (v_load (w + i * ldw + j + c * VL), factor, acc[c]);
    }
#pragma GCC unroll 4
    for (guint c = 0; c < ADD_CHAINS; c++)
      v_store (y + j + c * VL, acc[c]);
  }
  for (; j < n; j += VL) {
    const gsize left = MIN (n - j, VL);
    vf acc = v_load_n (y + j, left);

    for (gsize i = 0; i < k; i++)
      acc = v_fma (v_load_n (w + i * ldw + j, left), v_set1 (factors[i]), acc);
    v_store_n (y + j, acc, left);
  }
}

V_INLINE vf
swiglu_vector (vf gate, vf up)
{
  const vf one = v_set1 (1.0f);
  const vf e = v_exp (v_sub (v_zero (), gate));

  return v_mul (v_div (gate, v_add (one, e)), up);
}

static void
swiglu (float *gate, const float *up, gsize n)
{
  gsize i = 0;

  for (; i + VL <= n; i += VL)
    v_store (gate + i, swiglu_vector (v_load (gate + i), v_load (up + i)));
  if (i < n)
    v_store_n (gate + i, swiglu_vector (v_load_n (gate + i, n - i),
            v_load_n (up + i, n - i)), n - i);
}

/* d becomes the derivative by gate, *d_up the one by up: with s the sigmoid of gate, silu = gate * s and silu' = s + silu * (1 - s). */
V_INLINE vf
swiglu_backward_vector (vf gate, vf up, vf d, vf * d_up)
{
  const vf one = v_set1 (1.0f);
  const vf s = v_div (one, v_add (one, v_exp (v_sub (v_zero (), gate))));
  const vf silu = v_mul (gate, s);

  *d_up = v_mul (d, silu);
  return v_mul (v_mul (d, up), v_add (s, v_mul (silu, v_sub (one, s))));
}

static void
swiglu_backward (const float *gate, const float *up, gsize n, float *d,
    float *d_up)
{
  vf other;
  gsize i = 0;

  for (; i + VL <= n; i += VL) {
    v_store (d + i, swiglu_backward_vector (v_load (gate + i), v_load (up + i),
            v_load (d + i), &other));
    v_store (d_up + i, other);
  }
  if (i < n) {
    v_store_n (d + i, swiglu_backward_vector (v_load_n (gate + i, n - i),
            v_load_n (up + i, n - i), v_load_n (d + i, n - i), &other), n - i);
    v_store_n (d_up + i, other, n - i);
  }
}

/* 1 + tanh (u) is twice the sigmoid s of 2 u = 2 sqrt (2 / pi) (x + 0.044715 x^3): gelu = x * s. */
#define GELU_LINEAR 1.5957691216057308f
#define GELU_CUBIC 0.07135481282553225f

V_INLINE vf
gelu_sigmoid (vf x)
{
  const vf one = v_set1 (1.0f);
  const vf slope = v_fma (v_mul (x, x), v_set1 (GELU_CUBIC),
      v_set1 (GELU_LINEAR));

  return v_div (one, v_add (one, v_exp (v_sub (v_zero (), v_mul (x, slope)))));
}

static void
gelu (float *x, gsize n)
{
  gsize i = 0;

  for (; i + VL <= n; i += VL) {
    const vf v = v_load (x + i);

    v_store (x + i, v_mul (v, gelu_sigmoid (v)));
  }
  if (i < n) {
    const vf v = v_load_n (x + i, n - i);

    v_store_n (x + i, v_mul (v, gelu_sigmoid (v)), n - i);
  }
}

/* gelu' = s + gelu * (1 - s) * (2 u)'. */
V_INLINE vf
gelu_backward_vector (vf x, vf d)
{
  const vf s = gelu_sigmoid (x);
  const vf slope = v_fma (v_mul (x, x), v_set1 (3.0f * GELU_CUBIC),
      v_set1 (GELU_LINEAR));
  const vf bend = v_mul (v_mul (v_mul (x, s), v_sub (v_set1 (1.0f), s)), slope);

  return v_mul (d, v_add (s, bend));
}

static void
gelu_backward (const float *x, gsize n, float *d)
{
  gsize i = 0;

  for (; i + VL <= n; i += VL)
    v_store (d + i, gelu_backward_vector (v_load (x + i), v_load (d + i)));
  if (i < n)
    v_store_n (d + i, gelu_backward_vector (v_load_n (x + i, n - i),
            v_load_n (d + i, n - i)), n - i);
}

static void
add (float *x, const float *y, gsize n)
{
  for (gsize i = 0; i < n; i++)
    x[i] += y[i];
}

static void
scale (float *dst, const float *src, gsize n, float factor)
{
  for (gsize i = 0; i < n; i++)
    dst[i] = src[i] * factor;
}

V_INLINE float
maximum (const float *x, gsize n)
{
  const vf lowest = v_set1 (-INFINITY);
  vf max = lowest;
  gsize i = 0;

  for (; i + VL <= n; i += VL)
    max = v_max (max, v_load (x + i));
  if (i < n)
    max = v_max (max, v_first_n (v_load_n (x + i, n - i), lowest, n - i));
  return v_largest (max);
}

static gdouble
log_sum_exp (const float *logits, gsize n)
{
  const float max = maximum (logits, n);
  gdouble sums[VL] = { 0 };

  for (gsize i = 0; i < n; i += VL) {
    const gsize here = MIN (n - i, VL);
    float e[VL];

    v_store (e, v_exp (v_sub (v_load_n (logits + i, here), v_set1 (max))));
    for (gsize l = 0; l < here; l++)
      sums[l] += e[l];
  }
  for (gsize l = 1; l < VL; l++)
    sums[0] += sums[l];
  return max + log (sums[0]);
}

static float
softmax (float *scores, gsize n, float *max, float *sum)
{
  const float top = MAX (*max, maximum (scores, n));
  const vf shift = v_set1 (top);
  vf total = v_zero ();
  float before[VL];
  gsize i = 0;

  v_store (before, v_exp (v_set1 (*max - top)));
  for (; i + VL <= n; i += VL) {
    const vf e = v_exp (v_sub (v_load (scores + i), shift));

    v_store (scores + i, e);
    total = v_add (total, e);
  }
  if (i < n) {
    const vf e = v_first_n (v_exp (v_sub (v_load_n (scores + i, n - i), shift)),
        v_zero (), n - i);

    v_store_n (scores + i, e, n - i);
    total = v_add (total, e);
  }
  *sum = *sum * before[0] + v_sum (total);
  *max = top;
  return before[0];
}

const StIsa ST_ISA (isa) = {
  .name = ST_ISA_NAME,
  .lanes = VL,
  .tile_rows = TILE_ROWS,
  .tile = ST_ISA (tiles),
  .transpose = ST_ISA (transpose),
  .dequantise = ST_ISA (dequantise),
  .to_half = ST_ISA (to_half),
  .dot = ST_ISA (dot),
  .rms_norm = rms_norm,
  .layer_norm = layer_norm,
  .rope = rope,
  .add_rows = add_rows,
  .swiglu = swiglu,
  .swiglu_backward = swiglu_backward,
  .gelu = gelu,
  .gelu_backward = gelu_backward,
  .add = add,
  .scale = scale,
  .log_sum_exp = log_sum_exp,
  .softmax = softmax,
};
