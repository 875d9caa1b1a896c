#include "tests/support/double-llama.h"

#include <math.h>
#include <string.h>

#include "models/blocks.h"

void
st_double_linear (const double *x, const double *w, gsize t, gsize n, gsize k,
    double *y)
{
  for (gsize i = 0; i < t; i++) {
    for (gsize j = 0; j < n; j++) {
      double sum = 0;

      for (gsize l = 0; l < k; l++)
        sum += x[i * k + l] * w[j * k + l];
      y[i * n + j] = sum;
    }
  }
}

void
st_double_norm (const double *x, const double *weight, gsize t, gsize d,
    double eps, double *y)
{
  for (gsize i = 0; i < t; i++) {
    double sum = 0;

    for (gsize j = 0; j < d; j++)
      sum += x[i * d + j] * x[i * d + j];
    for (gsize j = 0; j < d; j++)
      y[i * d + j] = x[i * d + j] / sqrt (sum / (double) d + eps) * weight[j];
  }
}

void
st_double_rope (double *x, const double *frequency, gsize t, gsize heads,
    gsize head_dim, gsize rope_dim)
{
  for (gsize i = 0; i < t; i++) {
    for (gsize h = 0; h < heads; h++, x += head_dim) {
      for (gsize p = 0; p < rope_dim / 2; p++) {
        const double angle = (double) i * frequency[p];
        const double a = x[2 * p], b = x[2 * p + 1];

        x[2 * p] = a * cos (angle) - b * sin (angle);
        x[2 * p + 1] = a * sin (angle) + b * cos (angle);
      }
    }
  }
}

static double
dot (const double *a, const double *b, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += a[i] * b[i];
  return sum;
}

void
st_double_attention (const double *q, const double *k, const double *v,
    gsize t, gsize heads, gsize kv_heads, gsize head_dim, double *out)
{
  const gsize ldq = heads * head_dim, ldk = kv_heads * head_dim;
  g_autofree double *scores = g_new (double, t);

  for (gsize i = 0; i < t; i++) {
    for (gsize h = 0; h < heads; h++) {
      const gsize at = i * ldq + h * head_dim;
      const gsize kv = h / (heads / kv_heads) * head_dim;

      for (gsize j = 0; j <= i; j++)
        scores[j] =
            dot (q + at, k + j * ldk + kv, head_dim) / sqrt ((double) head_dim);
      st_double_log_softmax (scores, i + 1);
      for (gsize c = 0; c < head_dim; c++)
        out[at + c] = 0;
      for (gsize j = 0; j <= i; j++) {
        for (gsize c = 0; c < head_dim; c++)
          out[at + c] += exp (scores[j]) * v[j * ldk + kv + c];
      }
    }
  }
}

void
st_double_swiglu (const double *gate, const double *up, gsize n, double *y)
{
  for (gsize i = 0; i < n; i++)
    y[i] = gate[i] / (1 + exp (-gate[i])) * up[i];
}

void
st_double_log_softmax (double *logits, gsize n)
{
  double max = -INFINITY, sum = 0;

  for (gsize i = 0; i < n; i++)
    max = MAX (max, logits[i]);
  for (gsize i = 0; i < n; i++)
    sum += exp (logits[i] - max);
  for (gsize i = 0; i < n; i++)
    logits[i] -= max + log (sum);
}

typedef struct
{
  double *attn_norm, *ffn_norm, *q, *k, *v, *o, *gate, *up, *down;
} Block;

struct _StDoubleTail
{
  StModel *model;
  const StModelConfig *config;
  const double *frequency;
  guint n_layers;
  Block *blocks;
  double *output_norm, *output;
};

static double *
from_matrix (const StMatrix * matrix)
{
  g_autofree float *row = g_new (float, matrix->cols);
  double *copy = g_new (double, matrix->rows * matrix->cols);

  for (gsize r = 0; r < matrix->rows; r++) {
    st_get_row (matrix, r, row);
    for (gsize c = 0; c < matrix->cols; c++)
      copy[r * matrix->cols + c] = row[c];
  }
  return copy;
}

static double *
from_vector (const float *vector, gsize n)
{
  const StMatrix matrix = { ST_TYPE_F32, 1, n, vector };

  return from_matrix (&matrix);
}

StDoubleTail *
st_double_tail_new (StModel * model)
{
  const StWeights *weights = st_model_weights (model);
  const StModelConfig *config = st_model_config (model);
  StDoubleTail *tail = g_new0 (StDoubleTail, 1);

  g_assert_true (weights->has_output);
  tail->model = st_model_ref (model);
  tail->config = config;
  tail->frequency = weights->rope_frequency;
  tail->n_layers = weights->n_layers;
  tail->blocks = g_new (Block, tail->n_layers);
  for (guint i = 0; i < tail->n_layers; i++) {
    const StBlock *from = &weights->blocks[i];

    tail->blocks[i] = (Block) {
      from_vector (from->attn_norm, config->hidden_size),
          from_vector (from->ffn_norm, config->hidden_size),
          from_matrix (&from->q), from_matrix (&from->k),
          from_matrix (&from->v), from_matrix (&from->o),
          from_matrix (&from->gate), from_matrix (&from->up),
          from_matrix (&from->down)
    };
  }
  tail->output_norm = from_vector (weights->output_norm, config->hidden_size);
  tail->output = from_matrix (&weights->output);
  return tail;
}

void
st_double_tail_free (StDoubleTail * tail)
{
  for (guint i = 0; i < tail->n_layers; i++) {
    Block *block = &tail->blocks[i];
    double *arrays[] = { block->attn_norm, block->ffn_norm, block->q,
      block->k, block->v, block->o, block->gate, block->up, block->down
    };

    for (gsize j = 0; j < G_N_ELEMENTS (arrays); j++)
      g_free (arrays[j]);
  }
  g_free (tail->blocks);
  g_free (tail->output_norm);
  g_free (tail->output);
  st_model_unref (tail->model);
  g_free (tail);
}

/* Array @part of a block, in the order of the struct, and its length. */
static double *
block_array (const StDoubleTail * tail, guint layer, const gchar * part,
    gsize * n)
{
  const StModelConfig *c = tail->config;
  const Block *b = &tail->blocks[layer];
  const gsize d = c->hidden_size, f = c->ff_size;
  const gsize queries = (gsize) c->n_heads * c->head_dim;
  const gsize keys = (gsize) c->n_kv_heads * c->head_dim;
  const struct
  {
    const gchar *name;
    double *array;
    gsize n;
  } arrays[] = {
    {"attn_norm.weight", b->attn_norm, d}, {"ffn_norm.weight", b->ffn_norm, d},
    {"attn_q.weight", b->q, queries * d}, {"attn_k.weight", b->k, keys * d},
    {"attn_v.weight", b->v, keys * d}, {"attn_output.weight", b->o,
        queries * d},
    {"ffn_gate.weight", b->gate, f * d}, {"ffn_up.weight", b->up, f * d},
    {"ffn_down.weight", b->down, f * d},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (arrays); i++) {
    if (strcmp (arrays[i].name, part) == 0) {
      *n = arrays[i].n;
      return arrays[i].array;
    }
  }
  return NULL;
}

double *
st_double_tail_find (const StDoubleTail * tail, const gchar * name, gsize * n)
{
  const guint first = st_model_first_block (tail->model);

  *n = tail->config->hidden_size;
  if (strcmp (name, "output_norm.weight") == 0)
    return tail->output_norm;
  *n *= tail->config->vocab_size;
  if (strcmp (name, "output.weight") == 0)
    return tail->output;
  for (guint layer = 0; layer < tail->n_layers; layer++) {
    g_autofree gchar *prefix = g_strdup_printf ("blk.%u.", first + layer);

    if (g_str_has_prefix (name, prefix))
      return block_array (tail, layer, name + strlen (prefix), n);
  }
  return NULL;
}

static void
add (double *x, const double *y, gsize n)
{
  for (gsize i = 0; i < n; i++)
    x[i] += y[i];
}

static void
run_attention (const StDoubleTail * tail, const Block * w, gsize t, double *x)
{
  const StModelConfig *c = tail->config;
  const gsize d = c->hidden_size, queries = (gsize) c->n_heads * c->head_dim;
  const gsize keys = (gsize) c->n_kv_heads * c->head_dim;
  g_autofree double *norm = g_new (double, t * d);
  g_autofree double *q = g_new (double, t * queries);
  g_autofree double *k = g_new (double, t * keys);
  g_autofree double *v = g_new (double, t * keys);
  g_autofree double *out = g_new (double, t * queries);

  st_double_norm (x, w->attn_norm, t, d, (double) c->rms_eps, norm);
  st_double_linear (norm, w->q, t, queries, d, q);
  st_double_linear (norm, w->k, t, keys, d, k);
  st_double_linear (norm, w->v, t, keys, d, v);
  st_double_rope (q, tail->frequency, t, c->n_heads, c->head_dim, c->rope_dim);
  st_double_rope (k, tail->frequency, t, c->n_kv_heads, c->head_dim,
      c->rope_dim);
  st_double_attention (q, k, v, t, c->n_heads, c->n_kv_heads, c->head_dim, out);
  st_double_linear (out, w->o, t, d, queries, norm);
  add (x, norm, t * d);
}

static void
run_feed_forward (const StDoubleTail * tail, const Block * w, gsize t,
    double *x)
{
  const StModelConfig *c = tail->config;
  const gsize d = c->hidden_size, f = c->ff_size;
  g_autofree double *norm = g_new (double, t * d);
  g_autofree double *gate = g_new (double, t * f);
  g_autofree double *up = g_new (double, t * f);

  st_double_norm (x, w->ffn_norm, t, d, (double) c->rms_eps, norm);
  st_double_linear (norm, w->gate, t, f, d, gate);
  st_double_linear (norm, w->up, t, f, d, up);
  st_double_swiglu (gate, up, t * f, gate);
  st_double_linear (gate, w->down, t, d, f, norm);
  add (x, norm, t * d);
}

void
st_double_tail_run_blocks (const StDoubleTail * tail, guint first, guint last,
    const double *x, gsize t, double *y)
{
  memmove (y, x, t * tail->config->hidden_size * sizeof (double));
  for (guint i = first; i < last; i++) {
    run_attention (tail, &tail->blocks[i], t, y);
    run_feed_forward (tail, &tail->blocks[i], t, y);
  }
}

void
st_double_tail_run (const StDoubleTail * tail, const double *x, gsize t,
    double *y)
{
  st_double_tail_run_blocks (tail, 0, tail->n_layers, x, t, y);
}

void
st_double_tail_head (const StDoubleTail * tail, const double *y, gsize t,
    double *logp)
{
  const gsize d = tail->config->hidden_size, v = tail->config->vocab_size;
  g_autofree double *norm = g_new (double, t * d);

  st_double_norm (y, tail->output_norm, t, d, (double) tail->config->rms_eps,
      norm);
  st_double_linear (norm, tail->output, t, v, d, logp);
  for (gsize i = 0; i < t; i++)
    st_double_log_softmax (logp + i * v, v);
}
