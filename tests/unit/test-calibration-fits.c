/* Statistics, transform and regressions of calibration against direct computations and against data made by known rules. */
#include <math.h>
#include <string.h>

#include "codec/training/fit-constants.h"
#include "codec/training/fit-readout.h"
#include "codec/training/fit-sensitivity.h"
#include "codec/training/linear.h"
#include "codec/training/statistics.h"
#include "tests/support/random-weights.h"

#define D 12
#define LENGTH 40
#define MASSIVE_AT 17           /* position in every third sequence */

/* Nearly normal: the sum of 12 uniform numbers. */
static double
normal (void)
{
  double sum = -6;

  for (guint i = 0; i < 12; i++)
    sum += g_test_rand_double ();
  return sum;
}

static void
fill_normal (double *values, gsize n)
{
  for (gsize i = 0; i < n; i++)
    values[i] = normal ();
}

static double
dot (const double *a, const double *b, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += a[i] * b[i];
  return sum;
}

static void
assert_identity (const double *a, const double *b, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    for (gsize j = 0; j < n; j++)
      st_test_near (dot (a + i * n, b + j * n, n), i == j, 1e-8);
  }
}

/* ---- statistics ---- */

typedef struct
{
  RdStatistics *statistics;
  gsize sequences;
  float *x, *features, *gradient;       /* (sequences, LENGTH, D) */
} Sample;

static gboolean
is_massive (gsize sequence, gsize position)
{
  return sequence % 3 == 2 && position == MASSIVE_AT;
}

/* States that are correlated with each other and with the features, gradients that differ in size. */
static void
fill_row (const double *mix, float *x, float *features, float *gradient)
{
  double hidden[D];

  for (gsize i = 0; i < D; i++) {
    hidden[i] = normal ();
    features[i] = (float) (hidden[i] + 0.3 * normal ());
    gradient[i] = (float) (normal () / (double) (1 + i));
  }
  for (gsize i = 0; i < D; i++)
    x[i] = (float) (5 + dot (mix + i * D, hidden, D) + 0.1 * normal ());
}

static void
sample_init (Sample * s, gsize sequences, gsize gradient_sequences,
    gboolean features)
{
  const RdStatisticsSize size = { D, LENGTH, sequences, gradient_sequences,
    features
  };
  g_autoptr (GError) error = NULL;
  double mix[D * D];

  s->sequences = sequences;
  s->x = g_new (float, sequences * LENGTH * D);
  s->features = g_new (float, sequences * LENGTH * D);
  s->gradient = g_new (float, sequences * LENGTH * D);
  s->statistics = rd_statistics_new (&size, &error);
  g_assert_no_error (error);
  fill_normal (mix, D * D);
  for (gsize i = 0; i < sequences * LENGTH; i++)
    fill_row (mix, s->x + i * D, s->features + i * D, s->gradient + i * D);
  for (gsize i = 0; i < sequences; i++) {
    const gsize at = i * LENGTH * D;

    /* the first position is always massive and never counts */
    s->x[at + 3] = 1e4f;
    if (is_massive (i, MASSIVE_AT))
      s->x[at + MASSIVE_AT * D + 5] = 2e4f;
    rd_statistics_add (s->statistics, &(RdSequence) {
        s->x + at, features ? s->features + at : NULL, s->gradient + at}
    );
  }
}

static void
sample_clear (Sample * s)
{
  rd_statistics_free (s->statistics);
  g_free (s->x);
  g_free (s->features);
  g_free (s->gradient);
}

/* Mean over ordinary rows of a[i] b[j], without means if they are NULL. Sequences that are held out or not, by @part; 2: all. */
static double
direct_moment (const Sample * s, const float *a, double mean_a, gsize i,
    const float *b, double mean_b, gsize j, guint part, gsize sequences)
{
  double sum = 0;
  gsize n = 0;

  for (gsize q = 0; q < sequences; q++) {
    if (part < 2 && rd_statistics_is_held_out (q) != (part == 1))
      continue;
    for (gsize t = 1; t < LENGTH; t++) {
      const gsize row = (q * LENGTH + t) * D;

      if (is_massive (q, t))
        continue;
      sum += (a[row + i] - mean_a) * (b ? b[row + j] - mean_b : 1);
      n++;
    }
  }
  (void) s;
  return sum / (double) n;
}

static void
test_statistics (void)
{
  Sample s;
  double mean[2 * D], covariance[4 * D * D];

  sample_init (&s, 13, 7, TRUE);
  g_assert_cmpuint (s.statistics->done, ==, 13);
  g_assert_cmpuint (s.statistics->n_massive, ==, 4);
  g_assert_cmpfloat (s.statistics->massive[2 * D + 5], ==, 2e4f);
  g_assert_cmpuint (s.statistics->states[0].n, ==, 11 * (LENGTH - 1) - 4);
  g_assert_cmpuint (s.statistics->states[1].n, ==, 2 * (LENGTH - 1));
  g_assert_cmpuint (s.statistics->gradients.n, ==, 7 * (LENGTH - 1) - 2);
  for (guint part = 0; part < 2; part++) {
    rd_moments_center (&s.statistics->states[part], mean, covariance);
    for (gsize i = 0; i < 2 * D; i++) {
      const float *a = i < D ? s.x : s.features;

      st_test_near (mean[i], direct_moment (&s, a, 0, i % D, NULL, 0, 0, part,
              13), 1e-9);
      for (gsize j = 0; j < 2 * D; j++)
        st_test_near (covariance[i * 2 * D + j], direct_moment (&s, a,
                mean[i], i % D, j < D ? s.x : s.features, mean[j], j % D, part,
                13), 1e-9);
    }
  }
  for (gsize i = 0; i < D; i++)
    st_test_near (s.statistics->gradients.square[i]
        / (double) s.statistics->gradients.n, direct_moment (&s, s.gradient, 0,
            0, s.gradient, 0, i, 2, 7), 1e-9);
  sample_clear (&s);
}

/* What is kept are the ordinary rows of sequences with gradients, in order. */
static void
test_kept_rows (void)
{
  Sample s;
  gsize n = 0;

  sample_init (&s, 6, 4, TRUE);
  for (gsize q = 0; q < 4; q++) {
    for (gsize t = 1; t < LENGTH; t++) {
      const gsize row = (q * LENGTH + t) * D, bytes = D * sizeof (float);
      const RdRowsKept *kept = &s.statistics->kept;

      if (is_massive (q, t))
        continue;
      g_assert_cmpuint (kept->sequence[n], ==, q);
      g_assert_cmpmem (kept->x + n * D, bytes, s.x + row, bytes);
      g_assert_cmpmem (kept->features + n * D, bytes, s.features + row, bytes);
      g_assert_cmpmem (kept->gradient + n * D, bytes, s.gradient + row, bytes);
      n++;
    }
  }
  g_assert_cmpuint (s.statistics->kept.n, ==, n);
  sample_clear (&s);
}

/* ---- linear algebra ---- */

static void
test_eigen (void)
{
  g_autoptr (GError) error = NULL;
  double rows[3 * D * D], matrix[D * D] = { 0 }, vectors[D * D], values[D];

  fill_normal (rows, G_N_ELEMENTS (rows));
  rd_linear_gram (rows, 3 * D, D, matrix);
  rd_linear_mirror (matrix, D);
  memcpy (vectors, matrix, sizeof (matrix));
  g_assert_true (rd_linear_eigen (vectors, D, values, "a test", &error));
  assert_identity (vectors, vectors, D);
  for (gsize i = 0; i < D; i++) {
    double image[D];

    g_assert_cmpfloat (values[i], <=, i > 0 ? values[i - 1] : INFINITY);
    for (gsize j = 0; j < D; j++)
      image[j] = dot (matrix + j * D, vectors + i * D, D);
    for (gsize j = 0; j < D; j++)
      st_test_near (image[j], values[i] * vectors[i * D + j], 1e-8);
  }
  matrix[7] = NAN;
  g_assert_false (rd_linear_eigen (matrix, D, values, "a test", &error));
  g_assert_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "a test: row 0, column 7"));
}

static void
test_solve (void)
{
  g_autoptr (GError) error = NULL;
  double rows[3 * D * D], matrix[D * D] = { 0 }, factor[D * D], x[2 * D];
  double y[2 * D];

  fill_normal (rows, G_N_ELEMENTS (rows));
  rd_linear_gram (rows, 3 * D, D, matrix);
  memcpy (factor, matrix, sizeof (matrix));
  rd_linear_mirror (matrix, D);
  fill_normal (x, 2 * D);
  rd_linear_product (x, matrix, 2, D, D, FALSE, y);
  g_assert_true (rd_linear_factor (factor, D, "a test", &error));
  rd_linear_solve (factor, D, y, 2);
  for (gsize i = 0; i < 2 * D; i++)
    st_test_near (y[i], x[i], 1e-8);
  memset (matrix, 0, sizeof (matrix));
  g_assert_false (rd_linear_factor (matrix, D, "zeros", &error));
  g_assert_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_FAILED);
}

/* ---- transform ---- */

/* unit^2 x^T G x with the shrunk second moment of the gradients. */
static double
metric_of (const RdMoments * gradients, const RdMetric * metric,
    const double *x)
{
  const double n = (double) gradients->n;
  double sum = 0, trace = 0, square = 0;

  for (gsize i = 0; i < D; i++) {
    for (gsize j = 0; j < D; j++)
      sum += x[i] * x[j] * gradients->square[MIN (i, j) * D + MAX (i, j)] / n;
    trace += gradients->square[i * D + i] / n;
    square += x[i] * x[i];
  }
  return metric->unit * metric->unit * ((1 - RD_METRIC_SHRINKAGE) * sum
      + RD_METRIC_SHRINKAGE * trace / D * square);
}

static void
check_transform (const RdStatistics * s, const RdMetric * metric,
    const RdTransform * transform, const double *covariance)
{
  double half[D * D], moved[D * D], x[D], c[D];

  assert_identity (transform->analysis, transform->synthesis, D);
  rd_linear_product (transform->analysis, covariance, D, D, D, FALSE, half);
  rd_linear_product (half, transform->analysis, D, D, D, TRUE, moved);
  for (gsize i = 0; i < D; i++) {
    g_assert_cmpfloat (transform->variance[i], <=,
        i > 0 ? transform->variance[i - 1] : INFINITY);
    for (gsize j = 0; j < D; j++)
      st_test_near (moved[i * D + j] / transform->variance[0], i == j ?
          transform->variance[i] / transform->variance[0] : 0, 1e-9);
  }
  fill_normal (x, D);
  for (gsize i = 0; i < D; i++)
    c[i] = dot (transform->analysis + i * D, x, D);
  st_test_near (dot (c, c, D) / metric_of (&s->gradients, metric, x), 1, 1e-9);
}

static void
check_store (const RdTransform * transform, const double *mean)
{
  gfloat m[D] = { 0 }, synthesis[D * D] = { 0 };
  gint32 scale[D] = { 0 };
  RdLearnedSet set = {.mean = m,.synthesis = synthesis,.scale = scale };

  rd_transform_store (transform, mean, &set);
  for (gsize i = 0; i < D; i++) {
    st_test_near (exp2 (scale[i] / 128.0) / transform->variance[i], 1, 0.01);
    g_assert_cmpfloat (m[i], ==, (gfloat) mean[i]);
    for (gsize j = 0; j < D; j++) {
      g_assert_cmpfloat (synthesis[i * D + j], ==,
          (gfloat) transform->synthesis[i * D + j]);
      g_assert_cmpfloat (fabsf (synthesis[i * D + j]), <, 1024);
    }
  }
}

static void
test_transform (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RdMetric) metric = NULL;
  g_autoptr (RdTransform) transform = NULL;
  double mean[D], covariance[D * D], before = 0;
  float x[3 * D], c[3 * D];
  Sample s;

  sample_init (&s, 10, 10, FALSE);
  rd_moments_center (&s.statistics->states[0], mean, covariance);
  metric = rd_metric_new (&s.statistics->gradients, RD_METRIC_SHRINKAGE,
      &error);
  g_assert_no_error (error);
  assert_identity (metric->root, metric->inverse, D);
  transform = rd_transform_new (metric, covariance, &error);
  g_assert_no_error (error);
  check_transform (s.statistics, metric, transform, covariance);
  check_store (transform, mean);
  for (gsize i = 0; i < 3 * D; i++)
    x[i] = (float) i;
  g_assert_true (rd_transform_apply (transform, x, 3, c, &error));
  for (gsize i = 0; i < D; i++) {
    double sum = 0;

    for (gsize j = 0; j < D; j++)
      sum += transform->analysis[i * D + j] * x[2 * D + j];
    st_test_near (c[2 * D + i], sum, 1e-5 * (1 + fabs (sum)));
  }
  /* a divergence four times as large allows about twice the step, as long as it is small */
  for (guint i = 0; i < 3; i++) {
    const double step = rd_transform_step (transform, metric,
        1e-6 * (1u << (2 * i)));

    if (i > 0)
      st_test_near (step - before, 256, 1.5);
    before = step;
  }
  sample_clear (&s);
}

static void
test_no_gradients (void)
{
  g_autoptr (GError) error = NULL;
  RdMoments none;

  g_assert_true (rd_moments_init (&none, D, NULL));
  none.n = 10;
  g_assert_null (rd_metric_new (&none, RD_METRIC_SHRINKAGE, &error));
  g_assert_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_FAILED);
  rd_moments_clear (&none);
}

/* ---- readout ---- */

static void
test_readout (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RdMetric) metric = NULL;
  g_autoptr (RdReadout) readout = NULL;
  double rest[D * D] = { 0 };
  gsize n = 0;
  Sample s;

  sample_init (&s, 40, 10, TRUE);
  metric = rd_metric_new (&s.statistics->gradients, RD_METRIC_SHRINKAGE,
      &error);
  readout = rd_readout_new (metric, s.statistics, &error);
  g_assert_no_error (error);
  g_test_message ("explained %.3f, ridge %g", readout->explained,
      readout->ridge);
  /* features are the states' causes with a tenth of noise in their variance */
  g_assert_cmpfloat (readout->explained, >, 0.85);
  g_assert_cmpfloat (readout->explained, <, 0.97);
  for (gsize q = 0; q < 40; q++) {
    for (gsize t = 1; t < LENGTH; t++) {
      const gsize row = (q * LENGTH + t) * D;
      double left[D];

      if (is_massive (q, t))
        continue;
      for (gsize i = 0; i < D; i++) {
        left[i] = s.x[row + i] - readout->mean[i];
        for (gsize f = 0; f < D; f++)
          left[i] -= s.features[row + f] * readout->matrix[f * D + i];
      }
      rd_linear_gram (left, 1, D, rest);
      n++;
    }
  }
  for (gsize i = 0; i < D; i++) {
    for (gsize j = i; j < D; j++)
      st_test_near (rest[i * D + j] / (double) n,
          readout->covariance[i * D + j], 1e-6);
  }
  sample_clear (&s);
}

/* ---- sensitivities ---- */

#define ROWS 8000

typedef struct
{
  float coefficients[ROWS * D];
  double sensitivity[ROWS];
  guint32 sequence[ROWS];
} Tokens;

/* ln s = 0.4 z_0 - 0.2 z_3 + @by_energy ln (mean z^2) + 0.1, times a random number of mean 1 that is exponentially distributed. */
static void
fill_tokens (Tokens * t, const double *deviation, double by_energy)
{
  for (gsize i = 0; i < ROWS; i++) {
    const double size = exp (0.5 * normal ());
    double z[D], energy = 0;

    for (gsize j = 0; j < D; j++) {
      z[j] = size * normal ();
      t->coefficients[i * D + j] = (float) (z[j] * deviation[j]);
      energy += z[j] * z[j] / D;
    }
    t->sequence[i] = (guint32) (i / 100);
    t->sensitivity[i] = -log (1 - g_test_rand_double ())
        * exp (0.4 * z[0] - 0.2 * z[3] + by_energy * log (energy) + 0.1);
  }
}

static void
test_sensitivity (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree Tokens *tokens = g_new (Tokens, 1);
  double deviation[D];
  gfloat step[D + 2];
  RdSensitivityFit fit;
  RdSensitivityData data = { ROWS, D, tokens->coefficients, deviation,
    tokens->sensitivity, tokens->sequence
  };

  for (gsize i = 0; i < D; i++)
    deviation[i] = 3.0 / (double) (1 + i);
  fill_tokens (tokens, deviation, 0.7);
  g_assert_true (rd_sensitivity_fit (&data, step, &fit, &error));
  g_assert_no_error (error);
  g_test_message ("gain %.3f, ridge %g", fit.gain, fit.ridge);
  g_assert_cmpfloat (fit.gain, >, 0.2);
  for (gsize i = 0; i < D; i++)
    st_test_near (step[i] * deviation[i] * G_LN2,
        i == 0 ? 0.4 : i == 3 ? -0.2 : 0, 0.1);
  st_test_near (step[D], 0.7, 0.15);
  st_test_near (step[D + 1] * G_LN2, 0.1, 0.15);
  /* nothing to learn: nothing but the constant */
  for (gsize i = 0; i < ROWS; i++)
    tokens->sensitivity[i] = 2;
  g_assert_true (rd_sensitivity_fit (&data, step, &fit, &error));
  for (gsize i = 0; i <= D; i++)
    st_test_near (step[i], 0, 1e-3);
  st_test_near (step[D + 1], 1, 1e-3);
}

/* The mean over the gradients that the metric is made of is 1, but for the shrinkage. */
static void
test_sensitivity_of (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RdMetric) metric = NULL;
  g_autofree double *sensitivity = NULL;
  double sum = 0;
  gsize n;
  Sample s;

  sample_init (&s, 20, 20, FALSE);
  n = s.statistics->kept.n;
  sensitivity = g_new (double, n);
  metric = rd_metric_new (&s.statistics->gradients, 1e-9, &error);
  g_assert_no_error (error);
  g_assert_true (rd_sensitivity_of (metric, s.statistics->kept.gradient, n,
          sensitivity, &error));
  for (gsize i = 0; i < n; i++)
    sum += sensitivity[i];
  st_test_near (sum / (double) n, 1, 1e-6);
  sample_clear (&s);
}

/* ---- constants ---- */

#define POINTS 300

static void
test_constants (void)
{
  static const gsize sizes[] = { 180, 90, 30 };
  g_autoptr (GError) error = NULL;
  g_autoptr (RdMetric) metric = NULL;
  g_autofree float *rows = g_new (float, POINTS * D);
  float constants[8 * D], again[8 * D];
  gsize counts[8], at = 0;
  RdMoments same;

  /* every direction counts alike */
  g_assert_true (rd_moments_init (&same, D, NULL));
  same.n = 1;
  for (gsize i = 0; i < D; i++)
    same.square[i * D + i] = 1;
  metric = rd_metric_new (&same, RD_METRIC_SHRINKAGE, &error);
  rd_moments_clear (&same);
  for (guint k = 0; k < G_N_ELEMENTS (sizes); k++) {
    for (gsize i = 0; i < sizes[k]; i++, at++) {
      for (gsize j = 0; j < D; j++)
        rows[at * D + j] = (float) ((j == k ? 1e4 : 0) + normal ());
    }
  }
  g_assert_cmpuint (rd_constants_fit (metric, rows, POINTS, 8, 1, constants,
          counts, &error), ==, 3);
  for (guint k = 0; k < 3; k++) {
    g_assert_cmpuint (counts[k], ==, sizes[k]);
    for (gsize j = 0; j < D; j++)
      st_test_near (constants[k * D + j], j == k ? 1e4 : 0, 1);
  }
  g_assert_cmpuint (rd_constants_fit (metric, rows, POINTS, 8, 1, again,
          counts, &error), ==, 3);
  g_assert_cmpmem (constants, 3 * D * sizeof (float), again,
      3 * D * sizeof (float));
  g_assert_cmpuint (rd_constants_fit (metric, rows, POINTS, 2, 1, again,
          counts, &error), ==, 2);
  /* equal rows make one constant */
  for (gsize i = D; i < POINTS * D; i++)
    rows[i] = rows[i % D];
  g_assert_cmpuint (rd_constants_fit (metric, rows, POINTS, 8, 1, again,
          counts, &error), ==, 1);
  g_assert_cmpmem (again, D * sizeof (float), rows, D * sizeof (float));
  g_assert_no_error (error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/calibration/statistics", test_statistics);
  g_test_add_func ("/calibration/kept-rows", test_kept_rows);
  g_test_add_func ("/calibration/eigen", test_eigen);
  g_test_add_func ("/calibration/solve", test_solve);
  g_test_add_func ("/calibration/transform", test_transform);
  g_test_add_func ("/calibration/no-gradients", test_no_gradients);
  g_test_add_func ("/calibration/readout", test_readout);
  g_test_add_func ("/calibration/sensitivity", test_sensitivity);
  g_test_add_func ("/calibration/sensitivity-of", test_sensitivity_of);
  g_test_add_func ("/calibration/constants", test_constants);
  return g_test_run ();
}
