/* The static codec as a function: against the codec of files, and its gradients against central finite differences of a second one in double
 * precision. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/static-private.h"
#include "models/model.h"
#include "tests/support/learned-tools.h"
#include "tests/support/random-weights.h"
#include "tests/support/slope.h"

#define D 16
#define N 24
#define RAW_ROW 5
#define LEVEL 61.3f
#define LAMBDA 0.05
#define STEP 1e-5

/* ---- a second one ---- */

/* What is given of a symbol: where its value was, what the decoder had, and derivatives there. */
typedef struct
{
  double value, scale;
  double used, slope;           /* what the decoder has of the value; its derivative */
  double by_value, by_scale;    /* derivatives of the bits, rounded */
  double table;                 /* log2 scale of the table, under noise */
  gboolean clamped;
} Given;

/* A job, its loss (weights of y, and LAMBDA), and what the loss takes as given: decisions, symbols and tables. */
typedef struct
{
  RdStatic *codec;
  RdTrainablePass *pass;
  RdTrainableJob job;
  RdParameters parameters;
  double *values, *x;           /* in double precision */
  const double *features;
  float *weights;               /* (N, D) of y */
  Given given[N * D];
} Fixture;

static double
laplace_bits (double v, double log_scale)
{
  const double a = G_SQRT2 / exp2 (log_scale), m = fabs (v);

  if (m >= 0.5)
    return MIN (a * m / G_LN2 - log2 (sinh (a / 2)), -log2 (1e-9));
  return -log2 (1 - 0.5 * (exp (a * (v - 0.5)) + exp (-a * (v + 0.5))));
}

/* log2 of the step and of the nominal scale of coefficient @j of row @t. */
static void
logarithms (const Fixture * f, gsize t, gsize j, double *step, double *scale)
{
  const RdLearnedParameters *p = f->codec->start;
  const RdStaticLayout *at = &f->codec->layout;
  const RdStaticPass *pass = (const RdStaticPass *) f->pass;
  const double *steps = f->values + at->steps + j;
  const double level = (double) f->job.level;
  guint k = 0;

  while ((double) p->knots[k + 1] <= level)
    k++;
  *step = (p->coarsest + 170) / 256.0 - level / 16 + steps[k * D]
      + (steps[(k + 1) * D] - steps[k * D]) * (level - p->knots[k])
      / (p->knots[k + 1] - p->knots[k]) + pass->token_step[t] / 8.0;
  *scale = f->values[at->scale + j] - *step;
}

/* Row @t of what rows begin with. */
static void
starts (const Fixture * f, gsize t, double *start)
{
  const RdStatic *codec = f->codec;
  const RdStaticPass *pass = (const RdStaticPass *) f->pass;
  const double *mean = f->values + codec->layout.mean;
  const double *readout = f->values + codec->layout.readout;

  for (gsize i = 0; i < D; i++) {
    if (pass->mode[t] > 0) {
      start[i] = (double) codec->start->constants[(pass->mode[t] - 1) * D + i];
      continue;
    }
    start[i] = mean[i];
    for (gsize c = 0; c < D && codec->set == 1; c++)
      start[i] += (double) f->job.features[t * D + c]
          * (double) codec->feature[c] * readout[c * D + i];
    start[i] *= (double) codec->error[i];
  }
}

/* Value of coefficient @j in steps. */
static double
analyse (const Fixture * f, gsize t, gsize j, const double *start,
    double log_step)
{
  const RdStatic *codec = f->codec;
  const double *analysis = f->values + codec->layout.analysis;
  double sum = 0;

  for (gsize i = 0; i < D; i++)
    sum += (f->x[t * D + i] - start[i]) * (double) codec->channel[i]
        * analysis[i * D + j];
  return sum * (double) codec->unit / exp2 (log_step);
}

/* Bits but for a constant. */
static double
rate (const Fixture * f, gsize place, double value, double scale)
{
  const RdStaticPass *pass = (const RdStaticPass *) f->pass;
  const Given *g = &f->given[place];

  if (f->job.noise)
    return laplace_bits (value + (double) pass->noise[place], g->table
        + (g->clamped ? 0 : scale - g->scale));
  return g->by_value * (value - g->value) + g->by_scale * (scale - g->scale);
}

static double
loss (gconstpointer user_data)
{
  const Fixture *f = user_data;
  const RdStatic *codec = f->codec;
  const RdStaticPass *pass = (const RdStaticPass *) f->pass;
  const double *synthesis = f->values + codec->layout.synthesis;
  double sum = 0, y[D], start[D], log_step, scale;

  /* the RAW row's part, large as it is, is exact */
  for (gsize t = 0; t < N; t++) {
    if (pass->mode[t] > (gint32) codec->start->n_constants)
      continue;
    starts (f, t, start);
    memcpy (y, start, sizeof (y));
    for (gsize j = 0; j < D; j++) {
      logarithms (f, t, j, &log_step, &scale);
      const double value = analyse (f, t, j, start, log_step);
      const Given *g = &f->given[t * D + j];
      const double coefficient = (g->used + g->slope * (value - g->value))
          * exp2 (log_step) * (double) codec->coefficient[j];

      for (gsize i = 0; i < D; i++)
        y[i] += coefficient * synthesis[j * D + i] * (double) codec->error[i];
      sum += LAMBDA * rate (f, t * D + j, value, scale);
    }
    for (gsize i = 0; i < D; i++)
      sum += (double) f->weights[t * D + i] * y[i];
  }
  return sum;
}

static double
table_bits (const Fixture * f, gint table, gint32 k)
{
  const RdTables *tables = f->codec->model->tables;

  return (rd_tables_bits (tables, (gsize) table, k)
      + rd_tables_bits (tables, (gsize) table, -k)) / 2;
}

/* The formulas of static-rate.c for rounded values. */
static void
round_given (const Fixture * f, Given * g, gint table)
{
  const double m = fabs (g->value), variance = exp2 (2 * g->table);
  const gint32 k = (gint32) floor (m + 0.5);
  const gint32 below = k > 0 && m - k < 0 ? k - 1 : k;
  const double decay = MIN (MIN (sqrt (2 / variance),
          0.5 * (below + 0.5) / variance), 5);

  g->used = copysign (k, g->value);
  g->slope = fabs (m - below - 0.5) < 0.25 ?
      2 * exp (decay * (m - below - 0.5)) : 0;
  g->by_value = copysign (g->slope, g->value)
      * (table_bits (f, table, below + 1) - table_bits (f, table, below));
  g->by_scale = table < 2 || table > 109 ? 0 :
      2 * (table_bits (f, table + 2, k) - table_bits (f, table - 2, k));
}

static void
freeze (Fixture * f)
{
  const RdStaticPass *pass = (const RdStaticPass *) f->pass;
  double start[D], log_step;

  for (gsize t = 0; t < N; t++) {
    if (t == RAW_ROW)
      continue;
    starts (f, t, start);
    for (gsize j = 0; j < D; j++) {
      const gint table = pass->tables[j * RD_BLOCK_ROWS + t];
      Given *g = &f->given[t * D + j];

      logarithms (f, t, j, &log_step, &g->scale);
      g->value = analyse (f, t, j, start, log_step);
      g->table = table / 8.0 - 6;
      g->clamped = table == 0 || table == RD_LEARNED_SCALES - 1;
      g->slope = 1;
      g->used = g->value + (double) pass->noise[t * D + j];
      if (!f->job.noise)
        round_given (f, g, table);
    }
  }
}

/* ---- gradients ---- */

/* Rows of all modes, parameters off their start. */
static void
fixture_init (Fixture * f, guint set, gboolean noise)
{
  g_autoptr (RdLearnedParameters) p = rd_test_parameters (D, set == 1 ?
      RD_SIDE_INFO_EMBEDDING : RD_SIDE_INFO_NONE, 2);
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  g_autoptr (GError) error = NULL;
  float *x = rd_test_rows (N, D, 5);

  memset (f, 0, sizeof (*f));
  for (gsize i = 0; i < D; i++)
    x[RAW_ROW * D + i] = 1e9f;
  f->codec = rd_static_new (p, set, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (f->codec->base.klass->parameters (&f->codec->base,
          &f->parameters), ==, 0);
  g_assert_cmpuint (f->parameters.n, ==, f->codec->layout.n);
  f->values = g_new (double, f->parameters.n);
  for (gsize i = 0; i < f->parameters.n; i++) {
    f->codec->values[i] *= (float) g_rand_double_range (rand, 0.9, 1.1);
    f->codec->values[i] += (float) g_rand_double_range (rand, -0.05, 0.05);
    f->values[i] = (double) f->codec->values[i];
  }
  f->x = g_new (double, N * D);
  for (gsize i = 0; i < N * D; i++)
    f->x[i] = (double) x[i];
  f->weights = st_test_floats (N * D);
  f->job = (RdTrainableJob) {
  .n = N,.x = x,.features = set == 1 ? st_test_floats (N * D) : NULL,.level =
        LEVEL,.frame = N,.noise = noise,.seed = 9,.y = g_new (float, N * D)};
  f->pass = f->codec->base.klass->pass_new (&f->codec->base, N, &error);
  g_assert_no_error (error);
  f->codec->base.klass->forward (f->pass, &f->job, &error);
  g_assert_no_error (error);
  freeze (f);
}

static void
fixture_clear (Fixture * f)
{
  f->codec->base.klass->pass_free (f->pass);
  f->codec->base.klass->free (&f->codec->base);
  rd_parameters_clear (&f->parameters);
  g_free ((float *) f->job.x);
  g_free ((float *) f->job.features);
  g_free (f->job.y);
  g_free (f->values);
  g_free (f->x);
  g_free (f->weights);
}

/* @got (n) against differences by @values, relative to the largest. */
static void
check_differences (const Fixture * f, const gchar * name, const float *got,
    double *values, gsize n)
{
  g_autofree double *expected = g_new (double, n);
  double largest = 0, worst = 0;

  for (gsize i = 0; i < n; i++) {
    expected[i] = st_test_slope (loss, f, values + i,
        STEP * MAX (1, fabs (values[i])));
    largest = MAX (largest, fabs (expected[i]));
  }
  for (gsize i = 0; i < n; i++)
    worst = MAX (worst, fabs ((double) got[i] - expected[i]));
  g_test_message ("%s: largest %g, error %g", name, largest, worst);
  g_assert_cmpfloat (largest, >, 0);
  g_assert_cmpfloat (worst, <=, 2e-5 * largest);
}

static void
test_gradient (gconstpointer data)
{
  const guint which = GPOINTER_TO_UINT (data);
  Fixture f;
  g_autofree float *gradient = NULL, *d = NULL;

  fixture_init (&f, which & 1, which >> 1);
  const RdStaticPass *pass = (const RdStaticPass *) f.pass;
  gradient = g_new0 (float, f.parameters.n);
  d = g_memdup2 (f.weights, N * D * sizeof (float));
  g_assert_cmpint (pass->mode[RAW_ROW], ==, 3);
  g_assert_cmpint (pass->mode[8], ==, 1);
  g_assert_cmpint (pass->mode[0], ==, 0);
  f.codec->base.klass->backward (f.pass, &f.job, LAMBDA, d, gradient);
  for (guint i = 0; i < f.parameters.list->len; i++) {
    const RdParameter *p = rd_parameters_get (&f.parameters, i);

    check_differences (&f, p->name, gradient + p->offset,
        f.values + p->offset, p->n);
  }
  check_differences (&f, "x", d, f.x, RAW_ROW * D);
  check_differences (&f, "x behind", d + (RAW_ROW + 1) * D,
      f.x + (RAW_ROW + 1) * D, (N - RAW_ROW - 1) * D);
  for (gsize i = RAW_ROW * D; i < (RAW_ROW + 1) * D; i++) {
    g_assert_cmpfloat (d[i], ==, f.weights[i]);
    g_assert_cmpfloat (f.job.y[i], ==, f.job.x[i]);
  }
  fixture_clear (&f);
}

/* Without a gradient, derivatives by the rows are the same; gradients add up; another pass gives the same bits. */
static void
test_again (void)
{
  g_autofree float *once = NULL, *twice = NULL, *d = NULL, *alone = NULL;
  g_autoptr (GError) error = NULL;
  const gsize bytes = N * D * sizeof (float);
  RdTrainablePass *other;
  RdTrainableJob job;
  Fixture f;

  fixture_init (&f, 1, FALSE);
  once = g_new0 (float, f.parameters.n);
  twice = g_new0 (float, f.parameters.n);
  d = g_memdup2 (f.weights, bytes);
  rd_static_backward (f.pass, &f.job, LAMBDA, d, once);
  job = f.job;
  job.y = g_new (float, N * D);
  other = rd_static_pass_new (&f.codec->base, 2 * N, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 2; i++) {
    g_free (alone);
    alone = g_memdup2 (f.weights, bytes);
    g_assert_true (rd_static_forward (other, &job, &error));
    rd_static_backward (other, &job, LAMBDA, alone, i ? twice : NULL);
    g_assert_cmpmem (alone, bytes, d, bytes);
  }
  g_assert_cmpmem (once, f.parameters.n * sizeof (float), twice,
      f.parameters.n * sizeof (float));
  g_assert_cmpmem (job.y, bytes, f.job.y, bytes);
  g_assert_cmpfloat (job.rate_bits, ==, f.job.rate_bits);
  rd_static_pass_free (other);
  g_free (job.y);
  fixture_clear (&f);
}

/* ---- rounding ---- */

/* Rows whose coefficients have Laplace distributions of the scales of @p. */
static float *
laplace_rows (const RdLearnedParameters * p, gsize n)
{
  const gsize d = p->hidden_size;
  const RdLearnedSet *set = &p->set[0];
  g_autoptr (GRand) rand = g_rand_new_with_seed (4);
  float *x = g_new (float, n * d);

  for (gsize t = 0; t < n; t++) {
    memcpy (x + t * d, set->mean, d * sizeof (float));
    for (gsize j = 0; j < d; j++) {
      const double u = g_rand_double_range (rand, -0.9999, 0.9999);
      const double c = -copysign (log (1 - fabs (u)), u) * M_SQRT1_2
          * exp2 (set->scale[j] / 256.0);

      for (gsize i = 0; i < d; i++)
        x[t * d + i] += (float) c *set->synthesis[j * d + i];
    }
  }
  return x;
}

/* Bits with all steps @octaves wider, and their derivative by that. */
static double
bits_at (RdStatic * codec, RdTrainablePass * pass, RdTrainableJob * job,
    float octaves, double *slope)
{
  const gsize n = codec->start->n_knots * codec->base.hidden_size;
  float *steps = codec->values + codec->layout.steps;
  g_autofree float *d = g_new0 (float, job->n * codec->base.hidden_size);
  g_autofree float *gradient = g_new0 (float, codec->layout.n);

  for (gsize i = 0; i < n; i++)
    steps[i] += octaves;
  g_assert_true (rd_static_forward (pass, job, NULL));
  g_assert_cmpfloat (job->rate_bits, ==, job->bits);
  rd_static_backward (pass, job, 1, d, gradient);
  *slope = 0;
  for (gsize i = 0; i < n; i++) {
    steps[i] -= octaves;
    *slope += (double) gradient[codec->layout.steps + i];
  }
  return job->bits;
}

/* On the average of many rows the derivative is that of the bits of rounded values, at coarse levels, too. */
static void
test_rounding (void)
{
  const guint hidden = 32;
  const gsize n = 1500;
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (hidden, RD_SIDE_INFO_NONE, 0);
  g_autoptr (GError) error = NULL;
  g_autofree float *x = laplace_rows (p, n), *y = g_new (float, n * hidden);

  /* steps of tokens are whole numbers */
  g_clear_pointer (&p->set[0].token_step, g_free);
  g_clear_pointer (&p->set[0].strength, g_free);
  RdStatic *codec = rd_static_new (p, 0, &error);
  g_assert_no_error (error);
  RdTrainablePass *pass = rd_static_pass_new (&codec->base, n, &error);
  g_assert_no_error (error);
  for (guint level = 0; level <= 96; level += 16) {
    RdTrainableJob job = {.n = n,.x = x,.level = (float) level,.frame = n,.y = y
    };
    double slope;
    const double finer = bits_at (codec, pass, &job, -0.15f, &slope);
    const double wider = bits_at (codec, pass, &job, 0.15f, &slope);
    const double expected = (wider - finer) / 0.3;

    bits_at (codec, pass, &job, 0, &slope);
    g_test_message ("level %u: %.0f for an octave, derivative %.0f", level,
        expected, slope);
    st_test_near (slope, expected, 0.1 * fabs (expected));
  }
  rd_static_pass_free (pass);
  codec->base.klass->free (&codec->base);
}

/* ---- the codec of files ---- */

/* Payload and decoded rows (@y) under @p at @level; returns the payload's bits. */
static double
code (RdLearnedParameters * p, const RdTrainableJob * job, guint level,
    float *y)
{
  const RdSettings settings = {.quality =
        level * 100.0 / (RD_LEARNED_LEVELS - 1),.complexity =
        RD_LEARNED_SCALAR_COMPLEXITY
  };
  const RdRows rows = {.n = job->n,.features = job->features };

  return rd_test_payload_bits (p, &rows, job->x, &settings, y);
}

/* Rows whose values are the same but for rounding: a value half way between two symbols may become either. */
static gsize
count_same (const float *a, const float *b, gsize n, gsize d)
{
  gsize same = 0;

  for (gsize t = 0; t < n; t++) {
    double error = 0, size = 0;

    for (gsize i = t * d; i < (t + 1) * d; i++) {
      error = MAX (error, fabs ((double) a[i] - (double) b[i]));
      size = MAX (size, fabs ((double) b[i]));
    }
    same += error <= 1e-5 * size;
  }
  return same;
}

/* Matrices as a file has them, in F16, and an analysis, the transpose, among them. */
static void
as_stored (RdLearnedParameters * p, guint set)
{
  const gsize d = p->hidden_size;
  g_autofree gchar *path = NULL;

  p->set[set].analysis = g_new (gfloat, d * d);
  for (gsize i = 0; i < d * d; i++)
    p->set[set].analysis[i] = p->set[set].synthesis[i % d * d + i / d];
  path = rd_test_save (p);
  g_unlink (path);
}

static void
test_codec (gconstpointer data)
{
  /* where steps between knots need no rounding */
  static const guint levels[] = { 0, 25, 50, 88, 127 };
  const guint set = GPOINTER_TO_UINT (data), hidden = 64;
  const gsize n = 300;
  g_autoptr (RdLearnedParameters) p = rd_test_parameters (hidden, set == 1 ?
      RD_SIDE_INFO_EMBEDDING : RD_SIDE_INFO_NONE, 3);
  g_autofree float *x = rd_test_rows (n, hidden, 7), *features =
      st_test_floats (n * hidden), *y = g_new (float, n * hidden);
  g_autofree float *decoded = g_new (float, n * hidden);
  g_autoptr (GError) error = NULL;

  as_stored (p, set);
  RdStatic *codec = rd_static_new (p, set, &error);
  g_assert_no_error (error);
  RdTrainablePass *pass = rd_static_pass_new (&codec->base, n, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    RdTrainableJob job = {.n = n,.x = x,.features =
          set == 1 ? features : NULL,.level = (float) levels[i],.frame = n,.y =
          y
    };
    g_autoptr (RdLearnedParameters) out = rd_learned_parameters_copy (p);

    rd_static_export (codec, out);
    g_assert_true (rd_static_forward (pass, &job, &error));
    const double bits = code (out, &job, levels[i], decoded);
    g_test_message ("level %u: %.0f bits, %.0f expected, %.0f with noise",
        levels[i], bits, job.bits, job.rate_bits);
    g_assert_cmpuint (count_same (y, decoded, n, hidden), >=, n - 3);
    st_test_near (job.bits, bits, 0.02 * bits);
  }
  rd_static_pass_free (pass);
  codec->base.klass->free (&codec->base);
}

/* ---- the rest ---- */

static void
test_bounds (void)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (D, RD_SIDE_INFO_NONE, 1);
  g_autoptr (RdLearnedParameters) out = NULL;
  g_autoptr (GError) error = NULL;
  RdStatic *codec = rd_static_new (p, 0, &error);

  g_assert_no_error (error);
  codec->values[codec->layout.steps + 1] = 9;
  codec->values[codec->layout.scale + 2] = -1e9f;
  codec->base.klass->stepped (&codec->base);
  out = rd_learned_parameters_copy (p);
  rd_static_export (codec, out);
  g_assert_cmpint (out->set[0].steps[1], ==, RD_LEARNED_MAX_OFFSET);
  g_assert_cmpint (out->set[0].scale[2], ==, -RD_LEARNED_MAX_STEP);
  g_assert_true (rd_learned_parameters_check (out, &error));
  codec->base.klass->free (&codec->base);
}

static void
test_refusals (void)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (D, RD_SIDE_INFO_NONE, 1);
  g_autoptr (GError) error = NULL;
  float x[2 * D] = { 0 }, y[2 * D];

  g_assert_null (rd_static_new (p, 1, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_clear_error (&error);
  RdStatic *codec = rd_static_new (p, 0, &error);
  RdTrainablePass *pass = rd_static_pass_new (&codec->base, 2, &error);
  RdTrainableJob jobs[] = { {.n = 3,.x = x,.level = 5,.y = y},
  {.n = 2,.x = x,.level = 128,.y = y}, {.n = 2,.x = x,.level = 5,.y = y}
  };
  x[D + 3] = INFINITY;
  for (guint i = 0; i < G_N_ELEMENTS (jobs); i++) {
    g_assert_false (rd_static_forward (pass, &jobs[i], &error));
    g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT);
    g_clear_error (&error);
  }
  x[D + 3] = 1;
  g_assert_true (rd_static_forward (pass, &jobs[2], &error));
  rd_static_pass_free (pass);
  codec->base.klass->free (&codec->base);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/training/static/gradient/rounding",
      GUINT_TO_POINTER (0), test_gradient);
  g_test_add_data_func ("/training/static/gradient/rounding-features",
      GUINT_TO_POINTER (1), test_gradient);
  g_test_add_data_func ("/training/static/gradient/noise",
      GUINT_TO_POINTER (2), test_gradient);
  g_test_add_data_func ("/training/static/gradient/noise-features",
      GUINT_TO_POINTER (3), test_gradient);
  g_test_add_func ("/training/static/rounding", test_rounding);
  g_test_add_func ("/training/static/again", test_again);
  g_test_add_data_func ("/training/static/codec", GUINT_TO_POINTER (0),
      test_codec);
  g_test_add_data_func ("/training/static/codec-features",
      GUINT_TO_POINTER (1), test_codec);
  g_test_add_func ("/training/static/bounds", test_bounds);
  g_test_add_func ("/training/static/refusals", test_refusals);
  return g_test_run ();
}
