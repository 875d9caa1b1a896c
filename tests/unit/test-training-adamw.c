/* The optimiser against its formulas in double precision, clipping, the learning rate's course, and what is refused. */
#include <math.h>
#include <string.h>

#include "codec/training/adamw.h"
#include "models/model.h"
#include "tests/support/random-weights.h"

#define N 37
#define N_STEPS 12

/* AdamW as in the paper, with one value of everything. */
typedef struct
{
  double x, mean, square;
} Exact;

static void
exact_step (Exact * e, const RdAdamWOptions * o, double g, double rate,
    gboolean decay, guint step)
{
  e->mean = o->beta1 * e->mean + (1 - o->beta1) * g;
  e->square = o->beta2 * e->square + (1 - o->beta2) * g * g;
  if (decay)
    e->x -= rate * o->weight_decay * e->x;
  e->x -= rate * e->mean / (1 - pow (o->beta1, step))
      / (sqrt (e->square / (1 - pow (o->beta2, step))) + o->epsilon);
}

/* Two arrays, the second without decay and with half the rate, over steps with and without clipping. */
static void
check_steps (const RdAdamWOptions * options)
{
  g_autoptr (GError) error = NULL;
  g_autofree float *x = st_test_floats (2 * N);
  RdParameters parameters = { 0 };
  g_autoptr (RdAdamW) adamw = NULL;
  Exact exact[2 * N] = { {0} };

  rd_parameters_add (&parameters, "a", x, N, TRUE, 1.0f);
  g_assert_cmpuint (rd_parameters_add (&parameters, "b", x + N, N, FALSE,
          0.5f), ==, N);
  adamw = rd_adamw_new (parameters.n, options, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < 2 * N; i++)
    exact[i].x = x[i];
  for (guint step = 1; step <= N_STEPS; step++) {
    const double rate = 0.01 * step, scale = 1.0 / step;
    g_autofree float *gradient = st_test_floats (2 * N);
    double squares = 0, norm, factor = scale;
    g_autofree float *before = g_memdup2 (gradient, sizeof (float) * 2 * N);

    for (gsize i = 0; i < 2 * N; i++)
      squares += pow (scale * gradient[i], 2);
    if (options->clip > 0 && sqrt (squares) > options->clip)
      factor *= options->clip / sqrt (squares);
    g_assert_true (rd_adamw_step (adamw, &parameters, gradient, scale, rate,
            &norm, &error));
    st_test_near (norm, sqrt (squares), 1e-6 * sqrt (squares));
    for (gsize i = 0; i < 2 * N; i++) {
      exact_step (&exact[i], options, factor * before[i],
          i < N ? rate : 0.5 * rate, i < N, step);
      st_test_near (x[i], exact[i].x, 2e-5);
    }
  }
  g_assert_cmpuint (adamw->steps, ==, N_STEPS);
  rd_parameters_clear (&parameters);
}

static void
test_steps (void)
{
  const RdAdamWOptions usual = RD_ADAMW_OPTIONS_DEFAULT;
  const RdAdamWOptions decayed = { 0.8, 0.99, 1e-3, 0.1, 0.0 };
  const RdAdamWOptions clipped = { 0.9, 0.95, 1e-8, 0.01, 0.05 };

  check_steps (&usual);
  check_steps (&decayed);
  check_steps (&clipped);
}

static void
test_not_finite (void)
{
  const RdAdamWOptions options = RD_ADAMW_OPTIONS_DEFAULT;
  const float bad[] = { NAN, INFINITY, -INFINITY };
  g_autofree float *x = st_test_floats (2 * N);
  g_autofree float *before = g_memdup2 (x, sizeof (float) * 2 * N);
  g_autofree float *gradient = st_test_floats (2 * N);
  RdParameters parameters = { 0 };
  g_autoptr (RdAdamW) adamw = rd_adamw_new (2 * N, &options, NULL);

  rd_parameters_add (&parameters, "first", x, N, TRUE, 1.0f);
  rd_parameters_add (&parameters, "second", x + N, N, TRUE, 1.0f);
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    gradient[N + 3] = bad[i];
    g_assert_false (rd_adamw_step (adamw, &parameters, gradient, 1, 1, NULL,
            &error));
    g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_DIVERGED);
    g_assert_nonnull (strstr (error->message,
            "step 1: the gradient of second is not finite"));
    g_assert_cmpmem (x, sizeof (float) * 2 * N, before, sizeof (float) * 2 * N);
    g_assert_cmpuint (adamw->steps, ==, 0);
    for (gsize j = 0; j < 2 * N; j++)
      g_assert_true (adamw->mean[j] == 0 && adamw->square[j] == 0);
  }
  rd_parameters_clear (&parameters);
}

static void
test_bad_options (void)
{
  const RdAdamWOptions bad[] = {
    {1.0, 0.95, 1e-8, 0, 1}, {0.9, 1.0, 1e-8, 0, 1}, {-0.1, 0.95, 1e-8, 0, 1},
    {0.9, 0.95, 0, 0, 1}, {0.9, 0.95, 1e-8, -1, 1}, {0.9, 0.95, 1e-8, 0, -1},
    {NAN, 0.95, 1e-8, 0, 1}, {0.9, 0.95, 1e-8, 0, NAN},
  };
  const RdAdamWOptions good = RD_ADAMW_OPTIONS_DEFAULT;

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (rd_adamw_new (N, &bad[i], &error));
    g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
  }
  {
    g_autoptr (GError) error = NULL;

    g_assert_null (rd_adamw_new (G_MAXSIZE / 8, &good, &error));
    g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_MEMORY);
  }
}

static void
test_schedule (void)
{
  const RdSchedule s = { 1e-3, 1e-4, 10, 110 };
  const RdSchedule none = { 1e-3, 1e-4, 0, 0 };

  g_assert_cmpfloat_with_epsilon (rd_schedule_rate (&s, 0), 1e-4, 1e-12);
  g_assert_cmpfloat_with_epsilon (rd_schedule_rate (&s, 4), 5e-4, 1e-12);
  g_assert_cmpfloat_with_epsilon (rd_schedule_rate (&s, 9), 1e-3, 1e-12);
  g_assert_cmpfloat_with_epsilon (rd_schedule_rate (&s, 10), 1e-3, 1e-12);
  g_assert_cmpfloat_with_epsilon (rd_schedule_rate (&s, 60), 5.5e-4, 1e-12);
  g_assert_cmpfloat_with_epsilon (rd_schedule_rate (&s, 110), 1e-4, 1e-12);
  g_assert_cmpfloat_with_epsilon (rd_schedule_rate (&s, G_MAXUINT64), 1e-4,
      1e-12);
  g_assert_cmpfloat_with_epsilon (rd_schedule_rate (&none, 0), 1e-4, 1e-12);
  for (guint64 i = 10; i < 110; i++)
    g_assert_cmpfloat (rd_schedule_rate (&s, i + 1), <, rd_schedule_rate (&s,
            i));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/adamw/steps", test_steps);
  g_test_add_func ("/training/adamw/not-finite", test_not_finite);
  g_test_add_func ("/training/adamw/bad-options", test_bad_options);
  g_test_add_func ("/training/adamw/schedule", test_schedule);
  return g_test_run ();
}
