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
st_double_layer_norm (const double *x, const double *weight,
    const double *bias, gsize t, gsize d, double eps, double *y)
{
  for (gsize i = 0; i < t; i++) {
    double mean = 0, sum = 0;

    for (gsize j = 0; j < d; j++)
      mean += x[i * d + j] / (double) d;
    for (gsize j = 0; j < d; j++)
      sum += (x[i * d + j] - mean) * (x[i * d + j] - mean);
    for (gsize j = 0; j < d; j++)
      y[i * d + j] = (x[i * d + j] - mean) / sqrt (sum / (double) d + eps)
          * weight[j] + bias[j];
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
st_double_gelu (const double *x, gsize n, double *y)
{
  for (gsize i = 0; i < n; i++) {
    const double inner = sqrt (2 / G_PI) * (x[i] + 0.044715 * x[i] * x[i]
        * x[i]);

    y[i] = x[i] / 2 * (1 + tanh (inner));
  }
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

/* NULL where the family has none. */
typedef struct
{
  double *weight, *bias;
} Pair;

/* In the order of part_names. */
enum
{
  ATTN_NORM, FFN_NORM, Q, K, V, O, GATE, UP, DOWN, N_PARTS
};
#define FIRST_MATRIX Q

static const gchar *const part_names[N_PARTS] = { "attn_norm", "ffn_norm",
  "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"
};

struct _StDoubleTail
{
  StModel *model;
  const StModelConfig *config;
  const double *frequency;
  guint n_layers;
    Pair (*blocks)[N_PARTS];
  double *positions;            /* of a tail from block 0 on, or NULL */
  Pair output_norm;
  double *output;
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

static Pair
from_norm (const StNorm * norm, gsize n)
{
  return (Pair) {
  from_vector (norm->weight, n), norm->bias ? from_vector (norm->bias, n) :
        NULL};
}

static void
from_block (const StBlock * from, gsize hidden, Pair * to)
{
  to[ATTN_NORM] = from_norm (&from->attn_norm, hidden);
  to[FFN_NORM] = from_norm (&from->ffn_norm, hidden);
  for (guint m = 0; m < ST_BLOCK_MATRICES; m++) {
    const StMatrix *matrix = &from->matrices[m];

    if (matrix->rows > 0)
      to[FIRST_MATRIX + m].weight = from_matrix (matrix);
    if (from->biases[m] != NULL)
      to[FIRST_MATRIX + m].bias = from_vector (from->biases[m], matrix->rows);
  }
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
  tail->blocks = g_malloc0_n (tail->n_layers + 1, sizeof (*tail->blocks));
  for (guint i = 0; i < tail->n_layers; i++)
    from_block (&weights->blocks[i], config->hidden_size, tail->blocks[i]);
  if (weights->positions.data != NULL)
    tail->positions = from_matrix (&weights->positions);
  tail->output_norm = from_norm (&weights->output_norm, config->hidden_size);
  tail->output = from_matrix (&weights->output);
  return tail;
}

static void
clear_pair (Pair * pair)
{
  g_free (pair->weight);
  g_free (pair->bias);
}

void
st_double_tail_free (StDoubleTail * tail)
{
  for (guint i = 0; i < tail->n_layers * N_PARTS; i++)
    clear_pair (&tail->blocks[i / N_PARTS][i % N_PARTS]);
  g_free (tail->blocks);
  g_free (tail->positions);
  clear_pair (&tail->output_norm);
  g_free (tail->output);
  st_model_unref (tail->model);
  g_free (tail);
}

/* The array of @pair that @suffix names, or NULL: the bias has @rows values, the weight @cols times as many. */
static double *
pair_array (const Pair * pair, const gchar * suffix, gsize rows, gsize cols,
    gsize * n)
{
  *n = rows;
  if (strcmp (suffix, ".bias") == 0)
    return pair->bias;
  *n = rows * cols;
  return strcmp (suffix, ".weight") == 0 ? pair->weight : NULL;
}

static double *
block_array (const StDoubleTail * tail, guint layer, const gchar * name,
    gsize * n)
{
  const gchar *suffix = strchr (name, '.');

  for (guint i = 0; suffix != NULL && i < N_PARTS; i++) {
    gsize rows = tail->config->hidden_size, cols = 1;

    if (strlen (part_names[i]) != (gsize) (suffix - name)
        || !g_str_has_prefix (name, part_names[i]))
      continue;
    if (i >= FIRST_MATRIX)
      st_block_matrix_shape (tail->config, i - FIRST_MATRIX, &rows, &cols);
    return pair_array (&tail->blocks[layer][i], suffix, rows, cols, n);
  }
  return NULL;
}

double *
st_double_tail_find (const StDoubleTail * tail, const gchar * name, gsize * n)
{
  const guint first = st_model_first_block (tail->model);
  const gsize hidden = tail->config->hidden_size;

  if (g_str_has_prefix (name, "output_norm."))
    return pair_array (&tail->output_norm, strchr (name, '.'), hidden, 1, n);
  *n = hidden * tail->config->vocab_size;
  if (strcmp (name, "output.weight") == 0)
    return tail->output;
  *n = hidden * tail->config->context_length;
  if (strcmp (name, "position_embd.weight") == 0)
    return tail->positions;
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
normalise (const StDoubleTail * tail, const Pair * norm, const double *x,
    gsize t, double *y)
{
  const gsize d = tail->config->hidden_size;
  const double eps = (double) tail->config->norm_eps;

  if (norm->bias != NULL)
    st_double_layer_norm (x, norm->weight, norm->bias, t, d, eps, y);
  else
    st_double_norm (x, norm->weight, t, d, eps, y);
}

static void
multiply (const Pair * w, const double *x, gsize t, gsize n, gsize k, double *y)
{
  st_double_linear (x, w->weight, t, n, k, y);
  for (gsize i = 0; w->bias != NULL && i < t * n; i++)
    y[i] += w->bias[i % n];
}

static void
run_attention (const StDoubleTail * tail, const Pair * w, gsize t, double *x)
{
  const StModelConfig *c = tail->config;
  const gsize d = c->hidden_size, queries = (gsize) c->n_heads * c->head_dim;
  const gsize keys = (gsize) c->n_kv_heads * c->head_dim;
  g_autofree double *norm = g_new (double, t * d);
  g_autofree double *q = g_new (double, t * queries);
  g_autofree double *k = g_new (double, t * keys);
  g_autofree double *v = g_new (double, t * keys);
  g_autofree double *out = g_new (double, t * queries);

  normalise (tail, &w[ATTN_NORM], x, t, norm);
  multiply (&w[Q], norm, t, queries, d, q);
  multiply (&w[K], norm, t, keys, d, k);
  multiply (&w[V], norm, t, keys, d, v);
  st_double_rope (q, tail->frequency, t, c->n_heads, c->head_dim, c->rope_dim);
  st_double_rope (k, tail->frequency, t, c->n_kv_heads, c->head_dim,
      c->rope_dim);
  st_double_attention (q, k, v, t, c->n_heads, c->n_kv_heads, c->head_dim, out);
  multiply (&w[O], out, t, d, queries, norm);
  add (x, norm, t * d);
}

static void
run_feed_forward (const StDoubleTail * tail, const Pair * w, gsize t, double *x)
{
  const StModelConfig *c = tail->config;
  const gsize d = c->hidden_size, f = c->ff_size;
  g_autofree double *norm = g_new (double, t * d);
  g_autofree double *gate = g_new (double, t * f);
  g_autofree double *up = g_new (double, t * f);

  normalise (tail, &w[FFN_NORM], x, t, norm);
  multiply (&w[UP], norm, t, f, d, up);
  if (w[GATE].weight != NULL) {
    multiply (&w[GATE], norm, t, f, d, gate);
    st_double_swiglu (gate, up, t * f, up);
  } else {
    st_double_gelu (up, t * f, up);
  }
  multiply (&w[DOWN], up, t, d, f, norm);
  add (x, norm, t * d);
}

void
st_double_tail_run_blocks (const StDoubleTail * tail, guint first, guint last,
    const double *x, gsize t, double *y)
{
  const gsize n = t * tail->config->hidden_size;

  memmove (y, x, n * sizeof (double));
  if (first == 0 && last > 0 && tail->positions != NULL)
    add (y, tail->positions, n);
  for (guint i = first; i < last; i++) {
    run_attention (tail, tail->blocks[i], t, y);
    run_feed_forward (tail, tail->blocks[i], t, y);
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

  normalise (tail, &tail->output_norm, y, t, norm);
  st_double_linear (norm, tail->output, t, v, d, logp);
  for (gsize i = 0; i < t; i++)
    st_double_log_softmax (logp + i * v, v);
}
