/* The backward functions of the training core against central finite differences of the same operation in double precision. */
#include <math.h>
#include <string.h>

#include "codec/training/loss.h"
#include "codec/training/ops.h"
#include "models/kernels/kernels.h"
#include "tests/support/double-llama.h"
#include "tests/support/random-weights.h"

#define STEP 1e-5

/* An operation of double inputs x, which may be several arrays in a row; @user holds sizes and what is constant. */
typedef double (*Objective) (const double *x, gconstpointer user);

/* @gradient (n) of @objective at @x; every @stride-th coordinate is looked at. Tolerance relative to the largest derivative, and
 * the rounding of numbers near 1, which probabilities are differences of. */
static void
check_gradient (Objective objective, gconstpointer user, const float *x,
    gsize n, const float *gradient, gsize stride)
{
  g_autofree double *at = g_new (double, n);
  double largest = 0;

  for (gsize i = 0; i < n; i++) {
    at[i] = x[i];
    largest = MAX (largest, fabs ((double) gradient[i]));
  }
  g_assert_cmpfloat (largest, >, 0);
  for (gsize i = 0; i < n; i += stride) {
    double up, down;

    at[i] = x[i] + STEP;
    up = objective (at, user);
    at[i] = x[i] - STEP;
    down = objective (at, user);
    at[i] = x[i];
    st_test_near (gradient[i], (up - down) / (2 * STEP), 2e-5 * largest + 2e-7);
  }
}

static double
weigh (const double *y, const float *d_y, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += y[i] * d_y[i];
  return sum;
}

static double *
to_double (const float *x, gsize n)
{
  double *copy = g_new (double, n);

  for (gsize i = 0; i < n; i++)
    copy[i] = x[i];
  return copy;
}

typedef struct
{
  gsize t, n, k;
  const float *w, *d_y;
  const double *frequency;
  gsize heads, kv_heads, dim, rope_dim;
} Sizes;

static double
linear_objective (const double *x, gconstpointer user)
{
  const Sizes *s = user;
  g_autofree double *w = to_double (s->w, s->n * s->k);
  g_autofree double *y = g_new (double, s->t * s->n);

  st_double_linear (x, w, s->t, s->n, s->k, y);
  return weigh (y, s->d_y, s->t * s->n);
}

static void
test_linear (void)
{
  const gsize shapes[][3] = { {1, 1, 1}, {3, 5, 7}, {8, 16, 4}, {5, 1, 9} };

  for (gsize i = 0; i < G_N_ELEMENTS (shapes); i++) {
    const gsize t = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
    g_autofree float *x = st_test_floats (t * k);
    g_autofree float *w = st_test_floats (n * k);
    g_autofree float *d_y = st_test_floats (t * n);
    g_autofree float *d_x = g_new (float, t * k);
    g_autofree float *twice = g_new (float, t * k);
    const Sizes sizes = {.t = t,.n = n,.k = k,.w = w,.d_y = d_y };

    rd_linear_backward (d_y, w, t, n, k, FALSE, d_x);
    check_gradient (linear_objective, &sizes, x, t * k, d_x, 1);
    memcpy (twice, d_x, t * k * sizeof (float));
    rd_linear_backward (d_y, w, t, n, k, TRUE, twice);
    for (gsize j = 0; j < t * k; j++)
      st_test_near (twice[j], 2.0 * d_x[j], 1e-5);
  }
}

/* Inputs are the weights here. */
static double
linear_weight_objective (const double *w, gconstpointer user)
{
  const Sizes *s = user;
  g_autofree double *x = to_double (s->w, s->t * s->k);
  g_autofree double *y = g_new (double, s->t * s->n);

  st_double_linear (x, w, s->t, s->n, s->k, y);
  return weigh (y, s->d_y, s->t * s->n);
}

static void
test_linear_weight (void)
{
  const gsize shapes[][3] = { {1, 1, 1}, {3, 5, 7}, {8, 16, 4}, {5, 1, 9} };

  for (gsize i = 0; i < G_N_ELEMENTS (shapes); i++) {
    const gsize t = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
    g_autofree float *x = st_test_floats (t * k);
    g_autofree float *w = st_test_floats (n * k);
    g_autofree float *d_y = st_test_floats (t * n);
    g_autofree float *d_w = g_new0 (float, n * k);
    const Sizes sizes = {.t = t,.n = n,.k = k,.w = x,.d_y = d_y };

    rd_linear_backward_weight (d_y, x, t, n, k, d_w);
    check_gradient (linear_weight_objective, &sizes, w, n * k, d_w, 1);
    rd_linear_backward_weight (d_y, x, t, n, k, d_w);
    for (gsize j = 0; j < n * k; j++)
      d_w[j] *= 0.5f;
    check_gradient (linear_weight_objective, &sizes, w, n * k, d_w, 1);
  }
}

static double
norm_objective (const double *x, gconstpointer user)
{
  const Sizes *s = user;
  g_autofree double *w = to_double (s->w, s->n);
  g_autofree double *y = g_new (double, s->t * s->n);

  st_double_norm (x, w, s->t, s->n, 1e-5, y);
  return weigh (y, s->d_y, s->t * s->n);
}

static void
test_norm (void)
{
  const gsize shapes[][2] = { {1, 2}, {4, 7}, {3, 64}, {2, 577} };

  for (gsize i = 0; i < G_N_ELEMENTS (shapes); i++) {
    const gsize t = shapes[i][0], d = shapes[i][1];
    g_autofree float *x = st_test_floats (t * d);
    g_autofree float *w = st_test_floats (d);
    g_autofree float *d_y = st_test_floats (t * d);
    g_autofree float *d_x = g_new (float, t * d);
    g_autofree float *sum = st_test_floats (t * d);
    g_autofree float *old = g_memdup2 (sum, t * d * sizeof (float));
    const Sizes sizes = {.t = t,.n = d,.w = w,.d_y = d_y };

    rd_norm_backward (x, w, d_y, t, d, 1e-5f, FALSE, d_x);
    check_gradient (norm_objective, &sizes, x, t * d, d_x, 1);
    rd_norm_backward (x, w, d_y, t, d, 1e-5f, TRUE, sum);
    for (gsize j = 0; j < t * d; j++)
      g_assert_cmpfloat (sum[j], ==, old[j] + d_x[j]);
    rd_norm_backward (x, w, d_y, t, d, 1e-5f, FALSE, d_y);
    g_assert_cmpmem (d_y, t * d * sizeof (float), d_x, t * d * sizeof (float));
  }
}

static double
norm_weight_objective (const double *w, gconstpointer user)
{
  const Sizes *s = user;
  g_autofree double *x = to_double (s->w, s->t * s->n);
  g_autofree double *y = g_new (double, s->t * s->n);

  st_double_norm (x, w, s->t, s->n, 1e-5, y);
  return weigh (y, s->d_y, s->t * s->n);
}

static void
test_norm_weight (void)
{
  const gsize shapes[][2] = { {1, 2}, {4, 7}, {3, 64}, {2, 577} };

  for (gsize i = 0; i < G_N_ELEMENTS (shapes); i++) {
    const gsize t = shapes[i][0], d = shapes[i][1];
    g_autofree float *x = st_test_floats (t * d);
    g_autofree float *w = st_test_floats (d);
    g_autofree float *d_y = st_test_floats (t * d);
    g_autofree float *d_w = g_new0 (float, d);
    const Sizes sizes = {.t = t,.n = d,.w = x,.d_y = d_y };

    rd_norm_backward_weight (x, d_y, t, d, 1e-5f, d_w);
    check_gradient (norm_weight_objective, &sizes, w, d, d_w, 1);
    rd_norm_backward_weight (x, d_y, t, d, 1e-5f, d_w);
    for (gsize j = 0; j < d; j++)
      d_w[j] *= 0.5f;
    check_gradient (norm_weight_objective, &sizes, w, d, d_w, 1);
  }
}

/* Inputs in a row: x, weight, bias. */
static double
layer_norm_objective (const double *x, gconstpointer user)
{
  const Sizes *s = user;
  const gsize n = s->t * s->n;
  g_autofree double *y = g_new (double, n);

  st_double_layer_norm (x, x + n, x + n + s->n, s->t, s->n, 1e-5, y);
  return weigh (y, s->d_y, n);
}

static void
test_layer_norm (void)
{
  const gsize shapes[][2] = { {1, 3}, {4, 7}, {3, 64}, {2, 577} };

  for (gsize i = 0; i < G_N_ELEMENTS (shapes); i++) {
    const gsize t = shapes[i][0], d = shapes[i][1], n = t * d;
    g_autofree float *x = st_test_floats (n + 2 * d);
    g_autofree float *d_y = st_test_floats (n);
    g_autofree float *gradient = g_new0 (float, n + 2 * d);
    g_autofree float *y = g_new (float, n);
    g_autofree double *exact = NULL;
    g_autofree double *expected = g_new (double, n);
    g_autofree float *sum = st_test_floats (n);
    g_autofree float *old = g_memdup2 (sum, n * sizeof (float));
    const Sizes sizes = {.t = t,.n = d,.d_y = d_y };

    /* Rows far from constant: near that the derivative grows without bound. */
    for (gsize row = 0; row < t; row++) {
      x[row * d] += 2.0f;
      x[row * d + 1] -= 2.0f;
    }
    exact = to_double (x, n + 2 * d);
    rd_layer_norm (x, x + n, x + n + d, t, d, 1e-5f, y);
    st_double_layer_norm (exact, exact + n, exact + n + d, t, d, 1e-5,
        expected);
    for (gsize j = 0; j < n; j++)
      st_test_near (y[j], expected[j], 4e-6);
    rd_layer_norm_backward (x, x + n, d_y, t, d, 1e-5f, FALSE, gradient);
    rd_layer_norm_backward_weight (x, d_y, t, d, 1e-5f, gradient + n);
    rd_bias_backward_weight (d_y, t, d, gradient + n + d);
    check_gradient (layer_norm_objective, &sizes, x, n + 2 * d, gradient, 1);

    rd_layer_norm_backward (x, x + n, d_y, t, d, 1e-5f, TRUE, sum);
    for (gsize j = 0; j < n; j++)
      g_assert_cmpfloat (sum[j], ==, old[j] + gradient[j]);
    rd_layer_norm_backward (x, x + n, d_y, t, d, 1e-5f, FALSE, d_y);
    g_assert_cmpmem (d_y, n * sizeof (float), gradient, n * sizeof (float));
  }
}

/* Derivatives by weight and bias are added to what is there. */
static void
test_vectors_accumulate (void)
{
  const gsize t = 5, d = 19;
  g_autofree float *x = st_test_floats (t * d);
  g_autofree float *d_y = st_test_floats (t * d);
  g_autofree float *once = g_new0 (float, 2 * d);
  g_autofree float *twice = g_new0 (float, 2 * d);
  g_autofree float *y = g_memdup2 (d_y, t * d * sizeof (float));

  for (guint i = 0; i < 3; i++) {
    float *to = i == 0 ? once : twice;

    rd_layer_norm_backward_weight (x, d_y, t, d, 1e-5f, to);
    rd_bias_backward_weight (d_y, t, d, to + d);
  }
  for (gsize j = 0; j < 2 * d; j++)
    st_test_near (twice[j], 2.0 * once[j], 1e-5);
  rd_bias (x, t, d, y);
  for (gsize j = 0; j < t * d; j++)
    g_assert_cmpfloat (y[j], ==, d_y[j] + x[j % d]);
}

static double
gelu_objective (const double *x, gconstpointer user)
{
  const Sizes *s = user;
  g_autofree double *y = g_new (double, s->n);

  st_double_gelu (x, s->n, y);
  return weigh (y, s->d_y, s->n);
}

static void
test_gelu (void)
{
  for (gsize n = 1; n < 70; n += 1 + n / 3) {
    g_autofree float *x = st_test_floats (n);
    g_autofree float *d_y = st_test_floats (n);
    g_autofree float *d = g_memdup2 (d_y, n * sizeof (float));
    const Sizes sizes = {.n = n,.d_y = d_y };

    /* Where the derivative is not nearly 0, which is as much as one value alone could have. */
    for (gsize i = 0; i < n; i++)
      x[i] = x[i] * 3.0f + 1.5f;
    d_y[0] = d[0] = 1.0f;
    x[0] = fabsf (x[0]);
    st_gelu_backward (x, n, d);
    check_gradient (gelu_objective, &sizes, x, n, d, 1);
  }
}

static double
rope_objective (const double *x, gconstpointer user)
{
  const Sizes *s = user;
  const gsize n = s->t * s->heads * s->dim;
  g_autofree double *y = g_memdup2 (x, n * sizeof (double));

  st_double_rope (y, s->frequency, s->t, s->heads, s->dim, s->rope_dim);
  return weigh (y, s->d_y, n);
}

static void
test_rope (void)
{
  const gsize shapes[][4] = { {1, 1, 2, 2}, {5, 3, 6, 4}, {7, 2, 16, 16} };
  const double frequency[] = { 1, 0.5, 0.3, 0.1, 0.07, 0.02, 0.01, 0.003 };

  for (gsize i = 0; i < G_N_ELEMENTS (shapes); i++) {
    const gsize t = shapes[i][0], heads = shapes[i][1], dim = shapes[i][2];
    const gsize rope_dim = shapes[i][3], pairs = rope_dim / 2;
    const gsize n = t * heads * dim;
    g_autofree float *x = st_test_floats (n);
    g_autofree float *d_y = st_test_floats (n);
    g_autofree float *d_x = g_memdup2 (d_y, n * sizeof (float));
    g_autofree float *cosines = g_new (float, t * pairs);
    g_autofree float *sines = g_new (float, t * pairs);
    const Sizes sizes = {.t = t,.heads = heads,.dim = dim,.rope_dim =
          rope_dim,.d_y = d_y,.frequency = frequency
    };

    for (gsize j = 0; j < t * pairs; j++) {
      const gsize position = j / pairs;
      const double angle = (double) position * frequency[j % pairs];

      cosines[j] = (float) cos (angle);
      sines[j] = (float) -sin (angle);
    }
    rd_rope (d_x, cosines, sines, t, heads, dim, rope_dim);
    check_gradient (rope_objective, &sizes, x, n, d_x, 1);
  }
}

static double
swiglu_objective (const double *x, gconstpointer user)
{
  const Sizes *s = user;
  g_autofree double *y = g_new (double, s->n);

  st_double_swiglu (x, x + s->n, s->n, y);
  return weigh (y, s->d_y, s->n);
}

static void
test_swiglu (void)
{
  for (gsize n = 1; n < 70; n += 1 + n / 3) {
    g_autofree float *x = st_test_floats (2 * n);
    g_autofree float *d_y = st_test_floats (n);
    g_autofree float *d = g_new (float, 2 * n);
    const Sizes sizes = {.n = n,.d_y = d_y };

    for (gsize i = 0; i < n; i++)
      x[i] *= 6.0f;
    memcpy (d, d_y, n * sizeof (float));
    st_swiglu_backward (x, x + n, n, d, d + n);
    check_gradient (swiglu_objective, &sizes, x, 2 * n, d, 1);
  }
}

/* Inputs in a row: q, k, v. */
static double
attention_objective (const double *x, gconstpointer user)
{
  const Sizes *s = user;
  const gsize n_q = s->t * s->heads * s->dim, n_k = s->t * s->kv_heads * s->dim;
  g_autofree double *out = g_new (double, n_q);

  st_double_attention (x, x + n_q, x + n_q + n_k, s->t, s->heads, s->kv_heads,
      s->dim, out);
  return weigh (out, s->d_y, n_q);
}

static void
check_attention (gsize t, gsize heads, gsize kv_heads, gsize dim, gsize stride)
{
  const gsize n_q = t * heads * dim, n_k = t * kv_heads * dim;
  const gsize n = n_q + 2 * n_k;
  g_autofree float *x = st_test_floats (n);
  g_autofree float *d_y = st_test_floats (n_q);
  g_autofree float *d = g_new (float, n);
  g_autofree float *out = g_new (float, n_q);
  g_autofree float *scores = g_new (float, 2 * RD_ATTENTION_ROWS * t);
  g_autofree double *exact = to_double (x, n);
  g_autofree double *expected = g_new (double, n_q);
  const Sizes sizes = {.t = t,.heads = heads,.kv_heads = kv_heads,.dim =
        dim,.d_y = d_y
  };
  const RdAttention attention = {.t = t,.n_heads = heads,.n_kv_heads =
        kv_heads,.head_dim = dim,.q = x,.k = x + n_q,.v = x + n_q + n_k,
    .scores = scores,.d_scores = scores + RD_ATTENTION_ROWS * t
  };

  for (gsize i = 0; i < n_q + n_k; i++)
    exact[i] = x[i] *= 2.0f;
  rd_attention (&attention, out);
  st_double_attention (exact, exact + n_q, exact + n_q + n_k, t, heads,
      kv_heads, dim, expected);
  for (gsize i = 0; i < n_q; i++)
    st_test_near (out[i], expected[i], 2e-6);
  rd_attention_backward (&attention, d_y, d, d + n_q, d + n_q + n_k);
  check_gradient (attention_objective, &sizes, x, n, d, stride);
}

static void
test_attention (void)
{
  check_attention (1, 1, 1, 1, 1);
  check_attention (2, 2, 2, 3, 1);
  check_attention (7, 6, 2, 5, 1);
  check_attention (5, 4, 1, 8, 1);
  check_attention (9, 3, 3, 16, 1);
  /* More than one set of rows, the last one ragged. */
  check_attention (RD_ATTENTION_ROWS, 1, 1, 2, 11);
  check_attention (RD_ATTENTION_ROWS + 1, 2, 1, 3, 13);
  check_attention (2 * RD_ATTENTION_ROWS + 37, 2, 1, 3, 67);
}

typedef struct
{
  gsize v;
  gint32 label;
  const float *teacher;
} Target;

static double
label_objective (const double *x, gconstpointer user)
{
  const Target *target = user;
  g_autofree double *logp = g_memdup2 (x, target->v * sizeof (double));

  st_double_log_softmax (logp, target->v);
  return -logp[target->label];
}

static double
divergence_objective (const double *x, gconstpointer user)
{
  const Target *target = user;
  const gsize v = target->v;
  g_autofree double *logp = g_memdup2 (x, v * sizeof (double));
  g_autofree double *teacher = to_double (target->teacher, v);
  double sum = 0;

  st_double_log_softmax (logp, v);
  st_double_log_softmax (teacher, v);
  for (gsize i = 0; i < v; i++)
    sum += exp (teacher[i]) * (teacher[i] - logp[i]);
  return sum;
}

static void
test_label_loss (void)
{
  for (gsize v = 2; v < 400; v += 1 + v / 2) {
    g_autofree float *logits = st_test_floats (v);
    g_autofree float *d = g_memdup2 (logits, v * sizeof (float));
    g_autofree double *exact = to_double (logits, v);
    const Target target = {.v = v,.label =
          (gint32) g_test_rand_int_range (0, (gint32) v)
    };

    st_test_near (rd_loss_label (d, v, target.label), label_objective (exact,
            &target), 2e-6);
    check_gradient (label_objective, &target, logits, v, d, 1);
  }
}

static void
test_divergence (void)
{
  for (gsize v = 2; v < 400; v += 1 + v / 2) {
    g_autofree float *logits = st_test_floats (v);
    g_autofree float *d = g_memdup2 (logits, v * sizeof (float));
    g_autofree float *teacher = st_test_floats (v);
    g_autofree float *consumed = g_memdup2 (teacher, v * sizeof (float));
    g_autofree float *scratch = g_new (float, v);
    g_autofree double *exact = to_double (logits, v);
    const Target target = {.v = v,.teacher = teacher };

    st_test_near (rd_loss_divergence (d, consumed, v, scratch),
        divergence_objective (exact, &target), 2e-6);
    check_gradient (divergence_objective, &target, logits, v, d, 1);
  }
}

static double
mixed_objective (const double *x, gconstpointer user)
{
  return 0.3 * label_objective (x, user) + 1.7 * divergence_objective (x, user);
}

static void
test_mixed_loss (void)
{
  for (gsize v = 2; v < 400; v += 1 + v / 2) {
    g_autofree float *logits = st_test_floats (v);
    g_autofree float *d = g_memdup2 (logits, v * sizeof (float));
    g_autofree float *teacher = st_test_floats (v);
    g_autofree float *consumed = g_memdup2 (teacher, v * sizeof (float));
    g_autofree float *scratch = g_new (float, v);
    g_autofree double *exact = to_double (logits, v);
    const Target target = {.v = v,.teacher = teacher,.label =
          (gint32) g_test_rand_int_range (0, (gint32) v)
    };

    st_test_near (rd_loss_mixed (d, consumed, v, target.label, 0.3f, 1.7f,
            scratch), mixed_objective (exact, &target), 2e-6);
    check_gradient (mixed_objective, &target, logits, v, d, 1);
  }
}

/* A vocabulary of real size, large logits with a large common offset, and a divergence far below the rounding of its terms. */
static void
test_small_divergence (void)
{
  const gsize v = 49152;
  g_autofree float *logits = st_test_floats (v);
  g_autofree float *teacher = g_new (float, v);
  g_autofree float *consumed = NULL;
  g_autofree float *scratch = g_new (float, v);
  g_autofree double *exact = NULL;
  Target target = {.v = v,.teacher = teacher };
  double expected;

  for (gsize i = 0; i < v; i++) {
    logits[i] = logits[i] * 8.0f;
    teacher[i] = logits[i] * 1.001f + 30.0f;
  }
  exact = to_double (logits, v);
  consumed = g_memdup2 (teacher, v * sizeof (float));
  expected = divergence_objective (exact, &target);
  g_test_message ("divergence %.3g", expected);
  g_assert_cmpfloat (expected, <, 1e-5);
  st_test_near (rd_loss_divergence (logits, consumed, v, scratch), expected,
      0.02 * expected);
}

/* Drawn labels are as frequent as they are probable, and the derivative is that of the label. */
static void
test_sampled_loss (void)
{
  const gsize v = 7;
  const guint n = 20000;
  g_autofree float *logits = st_test_floats (v);
  g_autofree float *d = g_new (float, v);
  g_autofree float *same = g_new (float, v);
  g_autofree double *logp = to_double (logits, v);
  guint counts[7] = { 0 };

  st_double_log_softmax (logp, v);
  for (guint i = 0; i < n; i++) {
    gint32 label = -1;
    double loss;

    memcpy (d, logits, v * sizeof (float));
    memcpy (same, logits, v * sizeof (float));
    loss = rd_loss_sampled (d, v, (i + 0.5) / n, &label);
    g_assert_cmpint (label, >=, 0);
    g_assert_cmpint (label, <, (gint32) v);
    st_test_near (loss, -logp[label], 2e-6);
    rd_loss_label (same, v, label);
    g_assert_cmpmem (d, v * sizeof (float), same, v * sizeof (float));
    counts[label]++;
  }
  for (gsize i = 0; i < v; i++)
    st_test_near (counts[i], n * exp (logp[i]), 1.5);
}

/* The ends of the range, and probabilities of exactly 0, which are never drawn. */
static void
test_sampled_edges (void)
{
  const float logits[] = { -1e4f, 0.0f, -1e4f, 1.0f, -1e4f };
  const double uniforms[] = { 0, 0.9999999999999999 };
  const gint32 expected[] = { 1, 3 };

  for (gsize i = 0; i < G_N_ELEMENTS (uniforms); i++) {
    float d[G_N_ELEMENTS (logits)];
    gint32 label = -1;

    memcpy (d, logits, sizeof (logits));
    g_assert_true (isfinite (rd_loss_sampled (d, G_N_ELEMENTS (logits),
                uniforms[i], &label)));
    g_assert_cmpint (label, ==, expected[i]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/ops/linear", test_linear);
  g_test_add_func ("/training/ops/linear-weight", test_linear_weight);
  g_test_add_func ("/training/ops/norm", test_norm);
  g_test_add_func ("/training/ops/norm-weight", test_norm_weight);
  g_test_add_func ("/training/ops/layer-norm", test_layer_norm);
  g_test_add_func ("/training/ops/vectors-accumulate", test_vectors_accumulate);
  g_test_add_func ("/training/ops/gelu", test_gelu);
  g_test_add_func ("/training/ops/rope", test_rope);
  g_test_add_func ("/training/ops/swiglu", test_swiglu);
  g_test_add_func ("/training/ops/attention", test_attention);
  g_test_add_func ("/training/loss/label", test_label_loss);
  g_test_add_func ("/training/loss/divergence", test_divergence);
  g_test_add_func ("/training/loss/mixed", test_mixed_loss);
  g_test_add_func ("/training/loss/small-divergence", test_small_divergence);
  g_test_add_func ("/training/loss/sampled", test_sampled_loss);
  g_test_add_func ("/training/loss/sampled-edges", test_sampled_edges);
  return g_test_run ();
}
