/* Gradients of a whole tail against central finite differences of a forward pass in double precision. */
#include <math.h>

#include "tests/support/double-llama.h"
#include "tests/support/model-tools.h"
#include "tests/support/random-weights.h"
#include "tests/support/slope.h"
#include "tests/support/test-model.h"
#include "tests/support/training-tools.h"

#define D ST_TINY_HIDDEN
#define STEP 1e-5

/* A tail in double precision and its widths. */
typedef struct
{
  StDoubleTail *tail;
  gsize hidden, vocab;
} Exact;

static Exact
exact_new (StModel * model)
{
  const StModelConfig *config = st_model_config (model);

  return (Exact) {
  st_double_tail_new (model), config->hidden_size, config->vocab_size};
}

/* The loss of @job at @x in double precision, from the labels it has or has drawn. */
static double
double_loss (const Exact * exact, const RdTailJob * job, const double *x)
{
  const gsize n = job->n, v = exact->vocab;
  const gint32 *labels =
      job->loss == RD_LOSS_SAMPLED ? job->sampled : job->labels;
  g_autofree double *y = g_new (double, n * exact->hidden);
  g_autofree double *logp = g_new (double, n * v);
  g_autofree double *teacher = NULL;
  const double label_weight = job->loss == RD_LOSS_MIXED ? job->label_weight :
      job->loss != RD_LOSS_TEACHER;
  const double teacher_weight = job->loss == RD_LOSS_MIXED ?
      job->teacher_weight : job->loss == RD_LOSS_TEACHER;
  double sum = 0;

  st_double_tail_run (exact->tail, x, n, y);
  st_double_tail_head (exact->tail, y, n, logp);
  for (gsize i = 0; label_weight > 0 && i < n; i++)
    sum -= label_weight * logp[i * v + (gsize) labels[i]];
  if (!(teacher_weight > 0))
    return sum;
  teacher = g_new (double, n * v);
  for (gsize i = 0; i < n * exact->hidden; i++)
    y[i] = job->teacher[i];
  st_double_tail_head (exact->tail, y, n, teacher);
  for (gsize i = 0; i < n * v; i++)
    sum += teacher_weight * exp (teacher[i]) * (teacher[i] - logp[i]);
  return sum;
}

/* A derivative of the loss at x (n, D) along direction (n, D). */
typedef struct
{
  const Exact *exact;
  const RdTailJob *job;
  double *x, *direction;
} Derivative;

static Derivative
derivative_new (const Exact * exact, const RdTailJob * job)
{
  const gsize size = job->n * exact->hidden;
  Derivative d = { exact, job, g_new (double, size), g_new0 (double, size) };

  for (gsize i = 0; i < size; i++)
    d.x[i] = job->x[i];
  return d;
}

static void
derivative_clear (Derivative * d)
{
  g_free (d->x);
  g_free (d->direction);
}

static double
slope (gconstpointer user_data)
{
  const Derivative *d = user_data;
  const gsize size = d->job->n * d->exact->hidden;
  g_autofree double *x = g_new (double, size);
  double up, down;

  for (gsize i = 0; i < size; i++)
    x[i] = d->x[i] + STEP * d->direction[i];
  up = double_loss (d->exact, d->job, x);
  for (gsize i = 0; i < size; i++)
    x[i] = d->x[i] - STEP * d->direction[i];
  down = double_loss (d->exact, d->job, x);
  return (up - down) / (2 * STEP);
}

/* The error along coordinate @i, relative to the largest derivative. */
static double
error_at (Derivative * d, gsize i, double largest, double limit)
{
  double error;

  d->direction[i] = 1;
  error = st_test_slope_error (slope, d, d->job->gradient[i], largest, limit,
      d->x, d->job->n * d->exact->hidden);
  d->direction[i] = 0;
  return error;
}

/* The error along a random direction over all positions, relative to the gradient's length. */
static double
error_along (Derivative * d, double limit)
{
  const gsize size = d->job->n * d->exact->hidden;
  double along = 0, squares = 0;

  for (gsize i = 0; i < size; i++) {
    const double g = d->job->gradient[i];

    d->direction[i] = g_test_rand_double_range (-1, 1);
    along += d->direction[i] * g;
    squares += g * g;
  }
  return st_test_slope_error (slope, d, along, sqrt (squares), limit, d->x,
      size);
}

/* Every @stride-th coordinate, and random directions. */
static void
check_gradient (const Exact * exact, const RdTailJob * job, gsize stride,
    double limit)
{
  const gsize size = job->n * exact->hidden;
  Derivative d = derivative_new (exact, job);
  double largest = 0, worst = 0;

  for (gsize i = 0; i < size; i++)
    largest = MAX (largest, fabs ((double) job->gradient[i]));
  g_assert_cmpfloat (largest, >, 1e-3);
  for (gsize i = 0; i < size; i += stride)
    worst = MAX (worst, error_at (&d, i, largest, limit));
  for (guint r = 0; r < 2; r++)
    worst = MAX (worst, error_along (&d, limit));
  derivative_clear (&d);
  g_test_message ("loss %d, %" G_GSIZE_FORMAT
      " positions: largest relative error %.3g", (gint) job->loss, job->n,
      worst);
  g_assert_cmpfloat (worst, <, limit);
}

/* All losses of @model at x (n, D) and for a teacher (n, D). */
static void
check_losses (StModel * model, const float *x, const float *teacher, gsize n,
    gsize stride, double limit)
{
  const Exact exact = exact_new (model);
  const gsize size = n * exact.hidden;
  g_autoptr (RdTail) tail = rd_test_tail (model, n, 1, FALSE);
  g_autofree float *gradient = g_new (float, size);
  g_autofree double *at = g_new (double, size);
  g_autofree gint32 *labels = g_new (gint32, n);
  g_autofree gint32 *sampled = g_new (gint32, n);

  for (gsize i = 0; i < size; i++)
    at[i] = x[i];
  for (gsize i = 0; i < n; i++)
    labels[i] = g_test_rand_int_range (0, (gint32) exact.vocab);
  for (guint loss = RD_LOSS_SAMPLED; loss <= RD_LOSS_MIXED; loss++) {
    RdTailJob job = {.n = n,.x = x,.loss = (RdLoss) loss,.seed = 5,.labels =
          labels,.teacher = teacher,.label_weight = 0.6f,.teacher_weight =
          1.3f,.sampled = sampled,.gradient = gradient
    };

    rd_test_run (tail, &job, 1);
    /* single precision through blocks whose states reach 20 000; the kernels' order of sums differs between machines */
    st_test_near (job.total, double_loss (&exact, &job, at), 5e-5 * (double) n);
    check_gradient (&exact, &job, stride, limit);
  }
  st_double_tail_free (exact.tail);
}

static void
check_tiny (const StTinyModelOptions * options, gint first, gsize n,
    gsize stride)
{
  g_autoptr (StModel) model = rd_test_tiny (options, first);
  g_autofree float *x = st_test_floats (n * D);
  g_autofree float *teacher = st_test_floats (n * D);

  check_losses (model, x, teacher, n, stride, 2e-5);
}

static void
test_gradient (void)
{
  const StTinyModelOptions usual = { 0 };
  const StTinyModelOptions untied = {.untied = TRUE,.seed = 3 };
  const StTinyModelOptions quantised = {.type = ST_TYPE_Q8_0,.seed = 4 };
  const StTinyModelOptions gpt2 = {.gpt2 = TRUE,.type = ST_TYPE_F16,.seed = 5 };

  check_tiny (&usual, 1, 6, 1);
  check_tiny (&usual, 0, 1, 1);
  check_tiny (&untied, 2, 9, 3);
  check_tiny (&quantised, 2, 5, 3);
  check_tiny (&gpt2, 0, 6, 1);
  check_tiny (&gpt2, 1, 9, 3);
  /* No block at all: the head alone. */
  check_tiny (&usual, ST_TINY_BLOCKS, 3, 1);
  check_tiny (&gpt2, ST_TINY_BLOCKS, 3, 1);
}

/* More positions than the head and the attention take at a time. */
static void
test_gradient_long (void)
{
  const StTinyModelOptions usual = { 0 };

  check_tiny (&usual, 3, 131, 997);
}

/* Real weights, and real hidden states with the massive activations of the first position. */
static void
test_gradient_real (void)
{
  const gsize n = 4;
  g_autofree gchar *path = st_test_model_path ();
  g_autoptr (StModel) model = NULL;
  g_autofree float *x = NULL;
  g_autofree float *teacher = NULL;

  if (path == NULL) {
    g_test_skip ("the real model is not there");
    return;
  }
  x = rd_test_states (path, 28, n);
  teacher = rd_test_states (path, 29, n);
  model = st_test_open_blocks (path, 28, -1, 0);
  check_losses (model, x, teacher, n, 769, 2e-4);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/gradient/tiny", test_gradient);
  g_test_add_func ("/training/gradient/long", test_gradient_long);
  g_test_add_func ("/training/gradient/real", test_gradient_real);
  return g_test_run ();
}
