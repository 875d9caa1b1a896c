/* Plain C kernels. */
#include "models/kernels/kernels.h"
#include "models/kernels/pool.h"

#include <math.h>

typedef struct
{
  const StMatrix *w;
  const float *x;
  gsize m, ldx;
  float *y;
  gsize ldy;
  const gint *cancel;
  StPool *pool;
} Product;

static gboolean
cancelled (const gint * cancel)
{
  return cancel != NULL && __atomic_load_n (cancel, __ATOMIC_RELAXED) != 0;
}

static void
product_row (gsize index, guint worker, gpointer user_data)
{
  const Product *p = user_data;
  const gsize k = p->w->cols;
  float *row;

  if (index % 64 == 0 && cancelled (p->cancel))
    return;
  row = st_pool_scratch (p->pool, worker, k);
  st_get_row (p->w, index, row);
  for (gsize i = 0; i < p->m; i++) {
    const float *x = p->x + i * p->ldx;
    float sums[8] = { 0 };
    gsize j = 0;

    for (; j + 8 <= k; j += 8)
      for (guint l = 0; l < 8; l++)
        sums[l] += x[j + l] * row[j + l];
    for (; j < k; j++)
      sums[0] += x[j] * row[j];
    p->y[i * p->ldy + index] = ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
        ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  }
}

void
st_matmul (StPool * pool, const StMatrix * w, const float *x, gsize m,
    gsize ldx, float *y, gsize ldy, StRegime regime, gboolean deterministic,
    const gint * cancel)
{
  Product p = { w, x, m, ldx, y, ldy, cancel, pool };

  (void) regime;
  (void) deterministic;
  st_pool_run_workers (pool, w->rows, product_row, &p);
}

void
st_get_row (const StMatrix * w, gsize row, float *dst)
{
  const gsize bytes = st_type_row_bytes (w->type, w->cols);

  st_type_traits (w->type)->to_float ((const guint8 *) w->data + row * bytes,
      dst, w->cols);
}

void
st_rms_norm (const float *x, const float *weight, gsize n, float eps, float *y)
{
  double sum = 0;
  float scale;

  for (gsize i = 0; i < n; i++)
    sum += (double) x[i] * x[i];
  scale = (float) (1.0 / sqrt (sum / (double) n + eps));
  for (gsize i = 0; i < n; i++)
    y[i] = x[i] * scale * weight[i];
}

void
st_rope (float *x, gsize n_heads, gsize head_dim, gsize rope_dim,
    const float *cos_table, const float *sin_table, gboolean interleaved)
{
  const gsize half = rope_dim / 2;

  for (gsize h = 0; h < n_heads; h++, x += head_dim) {
    for (gsize i = 0; i < half; i++) {
      float *a = interleaved ? x + 2 * i : x + i;
      float *b = interleaved ? x + 2 * i + 1 : x + i + half;
      const float va = *a, vb = *b;

      *a = va * cos_table[i] - vb * sin_table[i];
      *b = va * sin_table[i] + vb * cos_table[i];
    }
  }
}

void
st_swiglu (float *gate, const float *up, gsize n)
{
  for (gsize i = 0; i < n; i++)
    gate[i] = gate[i] / (1.0f + expf (-gate[i])) * up[i];
}

void
st_add (float *x, const float *y, gsize n)
{
  for (gsize i = 0; i < n; i++)
    x[i] += y[i];
}

gdouble
st_log_sum_exp (const float *logits, gsize n)
{
  float max = -INFINITY;
  gdouble sum = 0;

  for (gsize i = 0; i < n; i++)
    max = MAX (max, logits[i]);
  for (gsize i = 0; i < n; i++)
    sum += exp ((gdouble) logits[i] - max);
  return max + log (sum);
}

static float
cached (const StAttention * a, const void *base, gsize head, gsize pos, gsize d)
{
  const gsize i = (head * a->capacity + pos) * a->head_dim + d;

  return a->cache_type == ST_TYPE_F16 ?
      st_half_to_float (((const guint16 *) base)[i]) :
      ((const float *) base)[i];
}

typedef struct
{
  StPool *pool;
  const StAttention *a;
  const gint *cancel;
} Attention;

static void
attention_head (gsize head, guint worker, gpointer user_data)
{
  const Attention *job = user_data;
  const StAttention *a = job->a;
  const gsize kv = head / (a->n_heads / a->n_kv_heads);
  float *scores = st_pool_scratch (job->pool, worker, a->first + a->m);

  for (gsize i = 0; i < a->m && !cancelled (job->cancel); i++) {
    const gsize n = a->first + i + 1;
    const float *q = a->q + i * a->ldq + head * a->head_dim;
    float *out = a->out + i * a->ldo + head * a->head_dim;
    float max = -INFINITY, sum = 0;

    for (gsize p = 0; p < n; p++) {
      float dot = 0;
      for (gsize d = 0; d < a->head_dim; d++)
        dot += q[d] * cached (a, a->k, kv, p, d);
      scores[p] = dot * a->scale;
      max = MAX (max, scores[p]);
    }
    for (gsize p = 0; p < n; p++)
      sum += scores[p] = expf (scores[p] - max);
    for (gsize d = 0; d < a->head_dim; d++) {
      float v = 0;
      for (gsize p = 0; p < n; p++)
        v += scores[p] * cached (a, a->v, kv, p, d);
      out[d] = v / sum;
    }
  }
}

void
st_attention (StPool * pool, const StAttention * a, StRegime regime,
    const gint * cancel)
{
  Attention job = { pool, a, cancel };

  (void) regime;
  st_pool_run_workers (pool, a->n_heads, attention_head, &job);
}

const gchar *
st_kernels_name (void)
{
  return "c";
}
