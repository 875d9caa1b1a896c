/* Networks that move scales, and their gradients, against the same networks in double precision and finite differences of those. */
#include <math.h>
#include <string.h>

#include "codec/training/arena.h"
#include "codec/training/scale-model.h"
#include "models/sampler.h"
#include "tests/support/double-llama.h"
#include "tests/support/random-weights.h"
#include "tests/support/slope.h"

#define N 7
#define D 40
#define FRAME 3
#define STEP 2e-6
#define N_STEPS 4
#define LIMIT 1e-4              /* of relative errors of derivatives */
#define LAMBDA 0.3
#define LEVEL 40
#define LATENTS (rd_scale_latents (D))

/* ---- in double precision ---- */

typedef struct
{
  RdScaleModel *model;
  const RdPriorClass *prior;    /* NULL: groups */
  RdParameters parameters;
  double *values;               /* (parameters.n) */
  double *derived;              /* (LATENTS, n_derived) of the densities, whose own derivatives are another test's */
  RdScalePass *pass;
  RdScaleJob job;
  double *symbol, *nominal;     /* (N, D) */
  float *weights;               /* (N, D) of the shifts in the objective */
} Fixture;

static const double *
find (const Fixture * f, const gchar * name)
{
  for (guint i = 0; i < f->parameters.list->len; i++) {
    const RdParameter *p = rd_parameters_get (&f->parameters, i);

    if (strcmp (p->name, name) == 0)
      return f->values + p->offset;
  }
  g_error ("no parameter %s", name);
}

static const double *
find_part (const Fixture * f, const gchar * prefix, guint i,
    const gchar * suffix)
{
  g_autofree gchar *name = g_strdup_printf ("%s.%u.%s", prefix, i, suffix);

  return find (f, name);
}

/* Adds W x + b + level * slope. */
static void
dense (const Fixture * f, const gchar * prefix, guint i, const gchar * part,
    const double *x, gsize n, gsize k, double *y)
{
  g_autofree gchar *weight = g_strconcat (part, "weight", NULL);
  g_autofree gchar *bias = g_strconcat (part, "bias", NULL);
  g_autofree gchar *slope = g_strconcat (part, "slope", NULL);
  const double *b = find_part (f, prefix, i, bias);
  const double *s = find_part (f, prefix, i, slope);
  g_autofree double *product = g_new (double, N * n);

  st_double_linear (x, find_part (f, prefix, i, weight), N, n, k, product);
  for (gsize r = 0; r < N * n; r++)
    y[r] += product[r] + b[r % n] + (LEVEL / 64.0 - 1) * s[r % n];
}

static void
relu (double *y, gsize n)
{
  for (gsize i = 0; i < n; i++)
    y[i] = MAX (y[i], 0);
}

static void
features (const Fixture * f, gsize from, gsize to, double *out)
{
  for (gsize t = 0; t < N; t++) {
    for (gsize j = from; j < to; j++) {
      const double unit = exp2 (f->nominal[t * D + j]) + 0.5;
      const double value = f->symbol[t * D + j] / unit;

      *out++ = CLAMP (value, -4, 4);
      *out++ = MIN (fabs (value), 4);
    }
  }
}

static void
groups_shift (const Fixture * f, double *shift)
{
  double sum[N * D / 2] = { 0 };

  memset (shift, 0, N * D * sizeof *shift);
  for (guint g = 0; g < 15; g++) {
    const gsize from = D * g / 16, to = D * (g + 1) / 16;
    const gsize next = D * (g + 2) / 16;
    double in[N * D], hidden[N * D / 2], out[N * D] = { 0 };

    features (f, from, to, in);
    dense (f, "groups", g, "in.", in, D / 2, 2 * (to - from), sum);
    memcpy (hidden, sum, sizeof hidden);
    relu (hidden, N * D / 2);
    dense (f, "groups", g, "out.", hidden, next - to, D / 2, out);
    for (gsize t = 0; t < N; t++)
      memcpy (shift + t * D + to, out + t * (next - to),
          (next - to) * sizeof *shift);
  }
}

static void
transformer_block (const Fixture * f, guint i, gsize w, double *x)
{
  double normed[N * D], q[N * D], k[N * D], v[N * D], out[N * D];
  double up[N * 2 * D] = { 0 };

  st_double_norm (x, find_part (f, "analysis", i, "norm.0"), N, w, 1e-5,
      normed);
  st_double_linear (normed, find_part (f, "analysis", i, "q"), N, w, w, q);
  st_double_linear (normed, find_part (f, "analysis", i, "k"), N, w, w, k);
  st_double_linear (normed, find_part (f, "analysis", i, "v"), N, w, w, v);
  for (gsize from = 0; from < N; from += FRAME)
    st_double_attention (q + from * w, k + from * w, v + from * w,
        MIN (FRAME, N - from), w % 4 ? 1 : 4, w % 4 ? 1 : 4, w % 4 ? w : w / 4,
        out + from * w);
  st_double_linear (out, find_part (f, "analysis", i, "o"), N, w, w, normed);
  for (gsize r = 0; r < N * w; r++)
    x[r] += normed[r];
  st_double_norm (x, find_part (f, "analysis", i, "norm.1"), N, w, 1e-5,
      normed);
  dense (f, "analysis", i, "up.", normed, 2 * w, w, up);
  relu (up, N * 2 * w);
  dense (f, "analysis", i, "down.", up, w, 2 * w, x);
}

/* Under noise. Returns bits. */
static double
latent_shift (const Fixture * f, double *shift)
{
  double x[N * 2 * D], y[N * 2 * D], bits = 0;
  gsize width = 2 * D;

  features (f, 0, D, x);
  for (guint i = 0; i < 4; i++) {
    const gsize next = i < 3 ? MAX ((gsize) D >> (i + 1), (gsize) 8) : LATENTS;

    memset (y, 0, sizeof y);
    dense (f, "analysis", i, "in.", x, next, width, y);
    if (i < 3)
      transformer_block (f, i, next, y);
    memcpy (x, y, sizeof x);
    width = next;
  }
  for (gsize i = 0; i < N * LATENTS; i++) {
    x[i] += st_sampler_uniform (f->job.seed, i) - 0.5;
    bits += rd_prior_bits (f->prior,
        f->derived + i % LATENTS * f->prior->n_derived, x[i]);
  }
  for (guint i = 0; i < 4; i++) {
    const gsize next = MAX ((gsize) D >> (3 - i), (gsize) 8);
    const gchar *const none = "";

    memset (y, 0, sizeof y);
    dense (f, "synthesis", i, none, x, next, width, y);
    if (i < 3)
      relu (y, N * next);
    memcpy (x, y, sizeof x);
    width = next;
  }
  memcpy (shift, x, N * D * sizeof *shift);
  return bits;
}

static double
exact (const Fixture * f, double *shift)
{
  if (f->prior != NULL)
    return latent_shift (f, shift);
  groups_shift (f, shift);
  return 0;
}

static double
objective (gconstpointer user_data)
{
  const Fixture *f = user_data;
  double shift[N * D], sum;

  sum = LAMBDA * exact (f, shift);
  for (gsize i = 0; i < N * D; i++)
    sum += (double) f->weights[i] * shift[i];
  return sum;
}

/* ---- fixture ---- */

static RdScaleModel *
model_new (const RdPriorClass * prior, guint64 seed)
{
  g_autoptr (GError) error = NULL;
  RdScaleModel *model = prior != NULL ?
      rd_scale_latent_new (D, prior, seed, &error) :
      rd_scale_groups_new (D, seed, &error);

  g_assert_no_error (error);
  return model;
}

/* Copies of what @floats hold. */
static double *
widen (const float *floats, gsize n)
{
  double *doubles = g_new (double, n);

  for (gsize i = 0; i < n; i++)
    doubles[i] = (double) floats[i];
  return doubles;
}

/* Moves every parameter away from its start, so that nothing is 0. */
static void
disturb (const RdParameters * parameters)
{
  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    const RdParameter *p = rd_parameters_get (parameters, i);

    for (gsize k = 0; k < p->n; k++)
      p->values[k] += (float) (0.2 * (st_sampler_uniform (i, k) - 0.5));
  }
}

static void
derive (Fixture * f)
{
  const RdParameter *p = rd_parameters_get (&f->parameters,
      f->parameters.list->len - 1);

  if (f->prior == NULL)
    return;
  f->derived = g_new (double, LATENTS * f->prior->n_derived);
  for (gsize c = 0; c < LATENTS; c++)
    f->prior->derive (p->values + c * f->prior->n_values,
        f->derived + c * f->prior->n_derived);
}

static void
fixture_init (Fixture * f, const RdPriorClass * prior, gboolean noise)
{
  g_autoptr (GError) error = NULL;
  float *symbol = st_test_floats (N * D), *nominal = st_test_floats (N * D);

  *f = (Fixture) {
  .model = model_new (prior, 3),.prior = prior};
  f->model->klass->parameters (f->model, &f->parameters);
  disturb (&f->parameters);
  f->model->klass->stepped (f->model);
  f->values = g_new (double, f->parameters.n);
  for (guint i = 0; i < f->parameters.list->len; i++) {
    const RdParameter *p = rd_parameters_get (&f->parameters, i);

    for (gsize k = 0; k < p->n; k++)
      f->values[p->offset + k] = (double) p->values[k];
  }
  derive (f);
  f->pass = f->model->klass->pass_new (f->model, N, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < N * D; i++) {
    symbol[i] *= 5;
    nominal[i] *= 3;
    if (!noise)
      symbol[i] = roundf (symbol[i]);
  }
  f->symbol = widen (symbol, N * D);
  f->nominal = widen (nominal, N * D);
  f->weights = st_test_floats (N * D);
  f->job = (RdScaleJob) {
  .n = N,.frame = FRAME,.symbol = symbol,.nominal = nominal,.level =
        LEVEL,.noise = noise,.seed = 11,.shift = g_new0 (float, N * D)};
}

static void
fixture_clear (Fixture * f)
{
  f->model->klass->pass_free (f->pass);
  f->model->klass->free (f->model);
  rd_parameters_clear (&f->parameters);
  g_free (f->values);
  g_free (f->derived);
  g_free (f->symbol);
  g_free (f->nominal);
  g_free (f->weights);
  g_free ((float *) f->job.symbol);
  g_free ((float *) f->job.nominal);
  g_free (f->job.shift);
}

static void
forward (Fixture * f)
{
  f->model->klass->forward (f->pass, &f->job);
}

/* ---- tests ---- */

static const RdPriorClass *const priors[] = {
  NULL, &rd_prior_factorized, &rd_prior_fourier
};

/* A ReLU's corner between the ends of a difference is seen where shorter steps give something else: the first that a shorter one agrees with. */
static double
slope (gconstpointer user_data)
{
  StTestDerivative derivative = *(const StTestDerivative *) user_data;
  double at = st_test_derivative (&derivative);

  for (guint i = 0; i < N_STEPS; i++) {
    derivative.step /= 8;
    const double closer = st_test_derivative (&derivative);
    const gboolean agrees = fabs (closer - at) <= 1e-5 * fabs (closer) + 1e-6;

    at = closer;
    if (agrees)
      break;
  }
  return at;
}

/* @got (n) at its largest and at @tries other places. A ReLU whose input is 0 but for rounding may spoil one of them. */
static void
check_differences (const Fixture * f, const gchar * name, const float *got,
    double *values, gsize n, guint tries)
{
  guint good = 0, done = 0;
  gsize largest = 0;

  for (gsize i = 0; i < n; i++) {
    if (fabsf (got[i]) > fabsf (got[largest]))
      largest = i;
  }
  const double scale = fabs ((double) got[largest]);
  g_assert_cmpfloat (scale, >, 0);
  for (guint i = 0; i <= tries; i++, done++) {
    const gsize at = i == 0 ? largest :
        (gsize) g_test_rand_int_range (0, (gint32) n);
    const StTestDerivative derivative = { objective, f, values + at, STEP };
    const double error = st_test_slope_error (slope, &derivative,
        (double) got[at], scale + 1e-2, LIMIT, f->symbol, N * D);

    if (error <= LIMIT)
      good++;
    else
      g_test_message ("%s %" G_GSIZE_FORMAT ": relative error %g", name, at,
          error);
  }
  g_assert_cmpuint (good + 1, >=, done);
}

static void
test_gradient (gconstpointer data)
{
  const RdPriorClass *prior = priors[GPOINTER_TO_UINT (data)];
  g_autofree float *d_symbol = g_new0 (float, N * D);
  g_autofree float *d_nominal = g_new0 (float, N * D);
  g_autofree float *gradient = NULL;
  double shift[N * D], bits;
  Fixture f;

  fixture_init (&f, prior, TRUE);
  gradient = g_new0 (float, f.parameters.n);
  RdScaleGradient g = { LAMBDA, f.weights, d_symbol, d_nominal, gradient };
  forward (&f);
  bits = exact (&f, shift);
  st_test_near (f.job.bits, bits, 1e-5 * bits);
  g_assert_cmpfloat (f.job.bits, ==, f.job.rate_bits);
  for (gsize i = 0; i < N * D; i++)
    st_test_near (f.job.shift[i], shift[i], 2e-5);
  f.model->klass->backward (f.pass, &f.job, &g);
  for (guint i = 0; i < f.parameters.list->len; i++) {
    const RdParameter *p = rd_parameters_get (&f.parameters, i);

    /* of single precision, and tested apart */
    if (!g_str_has_prefix (p->name, "prior."))
      check_differences (&f, p->name, gradient + p->offset,
          f.values + p->offset, p->n, 2);
  }
  check_differences (&f, "symbol", d_symbol, f.symbol, N * D, 25);
  check_differences (&f, "nominal", d_nominal, f.nominal, N * D, 25);
  fixture_clear (&f);
}

/* The densities' part is the sum of what each latent adds, of whole ones where they are rounded. */
static void
test_gradient_prior (gconstpointer data)
{
  const RdPriorClass *prior = priors[1 + (GPOINTER_TO_UINT (data) & 1)];
  const gboolean noise = GPOINTER_TO_UINT (data) >> 1;
  g_autofree float *scratch = g_new0 (float, 2 * N * D);
  g_autofree float *once = NULL, *gradient = NULL;
  const RdParameter *p;
  double bits, up, down;
  Fixture f;

  fixture_init (&f, prior, noise);
  gradient = g_new0 (float, f.parameters.n);
  RdScaleGradient g = { LAMBDA, f.weights, scratch, scratch + N * D, gradient };
  forward (&f);
  bits = f.job.bits;
  f.model->klass->backward (f.pass, &f.job, &g);
  once = g_memdup2 (gradient, f.parameters.n * sizeof (float));
  f.model->klass->backward (f.pass, &f.job, &g);
  for (gsize i = 0; i < f.parameters.n; i++)
    st_test_near (gradient[i], 2.0 * once[i], 1e-5 * (1 + fabsf (once[i])));
  p = rd_parameters_get (&f.parameters, f.parameters.list->len - 1);
  for (gsize i = 0; i < p->n; i += 37) {
    const float before = p->values[i];

    p->values[i] = before + 0x1p-10f;
    f.model->klass->stepped (f.model);
    forward (&f);
    up = f.job.bits;
    p->values[i] = before - 0x1p-10f;
    f.model->klass->stepped (f.model);
    forward (&f);
    down = f.job.bits;
    p->values[i] = before;
    st_test_near (once[p->offset + i], LAMBDA * (up - down) * 512,
        1e-3 + 1e-3 * fabsf (once[p->offset + i]));
  }
  f.model->klass->stepped (f.model);
  forward (&f);
  g_assert_cmpfloat (f.job.bits, ==, bits);
  g_assert_true (noise == (f.job.bits == f.job.rate_bits));
  fixture_clear (&f);
}

/* Of NARROW coefficients, fewer than its layers' hidden values, in a pass for so many tokens. */
#define NARROW 4

static float *
narrow_gradient (gsize max_tokens, const float *values, gsize * n)
{
  RdScaleModel *model = rd_scale_latent_new (NARROW, priors[1], 3, NULL);
  RdScalePass *pass = model->klass->pass_new (model, max_tokens, NULL);
  RdParameters parameters = { 0 };
  float shift[N * NARROW], d_symbol[N * NARROW] = { 0 };
  float d_nominal[N * NARROW] = { 0 };
  RdScaleJob job = {.n = N,.frame = FRAME,.symbol = values,.nominal =
        values,.level = LEVEL,.noise = TRUE,.seed = 11,.shift = shift
  };
  RdScaleGradient g = { LAMBDA, values, d_symbol, d_nominal, NULL };

  model->klass->parameters (model, &parameters);
  disturb (&parameters);
  model->klass->stepped (model);
  g.parameters = g_new0 (float, parameters.n);
  *n = parameters.n;
  model->klass->forward (pass, &job);
  model->klass->backward (pass, &job, &g);
  model->klass->pass_free (pass);
  model->klass->free (model);
  rd_parameters_clear (&parameters);
  return g.parameters;
}

/* Room for more tokens changes nothing: there was enough for those that came. */
static void
test_narrow (void)
{
  g_autofree float *values = st_test_floats (N * NARROW);
  g_autofree float *just = NULL, *more = NULL;
  gsize n;

  just = narrow_gradient (N, values, &n);
  more = narrow_gradient (4 * N, values, &n);
  g_assert_cmpmem (just, n * sizeof (float), more, n * sizeof (float));
}

/* At first nothing moves, and latents cost little. */
static void
test_start (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (priors); i++) {
    RdScaleModel *fresh;
    RdScalePass *pass;
    Fixture f;

    fixture_init (&f, priors[i], FALSE);
    /* scales of coefficients as they are: symbols are half a step to 8 steps */
    for (gsize k = 0; k < N * D; k++)
      ((float *) f.job.nominal)[k] = fabsf (f.job.nominal[k]);
    fresh = model_new (priors[i], 5);
    pass = fresh->klass->pass_new (fresh, N, NULL);
    fresh->klass->forward (pass, &f.job);
    for (gsize k = 0; k < N * D; k++)
      g_assert_cmpfloat (f.job.shift[k], ==, 0);
    g_assert_cmpfloat (f.job.bits, <, 25 * N);
    fresh->klass->pass_free (pass);
    fresh->klass->free (fresh);
    fixture_clear (&f);
  }
}

/* What a decoder does not have yet changes nothing: later groups; and other frames' rows never do. */
static void
test_order (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (priors); i++) {
    g_autofree float *before = NULL;
    float *symbol;
    Fixture f;

    fixture_init (&f, priors[i], FALSE);
    symbol = (float *) f.job.symbol;
    forward (&f);
    before = g_memdup2 (f.job.shift, N * D * sizeof (float));
    for (gsize k = 0; k < D; k++)
      symbol[FRAME * D + k] += 2;
    forward (&f);
    g_assert_cmpmem (f.job.shift, FRAME * D * sizeof (float), before,
        FRAME * D * sizeof (float));
    g_assert_cmpmem (f.job.shift + 2 * FRAME * D, D * sizeof (float),
        before + 2 * FRAME * D, D * sizeof (float));
    for (gsize k = 0; k < D; k++)
      symbol[FRAME * D + k] -= 2;
    for (gsize j = 0; j < D && priors[i] == NULL; j++) {
      const float was = symbol[j];

      symbol[j] = was == 0;
      forward (&f);
      symbol[j] = was;
      /* D = 40 has groups of 2 and 3 */
      g_assert_cmpmem (f.job.shift, (j + 1) * sizeof (float), before,
          (j + 1) * sizeof (float));
      if (j + 3 < D)
        g_assert_cmpint (memcmp (f.job.shift, before, D * sizeof (float)), !=,
            0);
    }
    fixture_clear (&f);
  }
}

/* Models of hardly any channels, and of fewer than groups. */
static void
test_small (void)
{
  for (gsize d = 1; d < 20; d += 3) {
    for (guint i = 0; i < 2; i++) {
      RdScaleModel *model = i == 0 ? rd_scale_groups_new (d, 1, NULL) :
          rd_scale_latent_new (d, &rd_prior_fourier, 1, NULL);
      RdScalePass *pass = model->klass->pass_new (model, 2, NULL);
      g_autofree float *x = st_test_floats (8 * d);
      g_autofree float *y = g_new0 (float, 2 * d);
      RdParameters parameters = { 0 };
      RdScaleJob job = {.n = 2,.frame = 64,.symbol = x,.nominal =
            x + 2 * d,.level = 127,.shift = y
      };
      RdScaleGradient g = { 1, y, x + 4 * d, x + 6 * d, NULL };

      model->klass->parameters (model, &parameters);
      g_assert_cmpuint (parameters.n, >=, d > 1 || i == 1);
      disturb (&parameters);
      model->klass->stepped (model);
      model->klass->forward (pass, &job);
      model->klass->backward (pass, &job, &g);
      for (gsize k = 0; k < 2 * d; k++)
        g_assert_true (isfinite (y[k]));
      rd_parameters_clear (&parameters);
      model->klass->pass_free (pass);
      model->klass->free (model);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/training/scale/gradient/groups",
      GUINT_TO_POINTER (0), test_gradient);
  g_test_add_data_func ("/training/scale/gradient/factorized",
      GUINT_TO_POINTER (1), test_gradient);
  g_test_add_data_func ("/training/scale/gradient/fourier",
      GUINT_TO_POINTER (2), test_gradient);
  g_test_add_data_func ("/training/scale/prior/factorized-rounding",
      GUINT_TO_POINTER (0), test_gradient_prior);
  g_test_add_data_func ("/training/scale/prior/fourier-rounding",
      GUINT_TO_POINTER (1), test_gradient_prior);
  g_test_add_data_func ("/training/scale/prior/factorized-noise",
      GUINT_TO_POINTER (2), test_gradient_prior);
  g_test_add_data_func ("/training/scale/prior/fourier-noise",
      GUINT_TO_POINTER (3), test_gradient_prior);
  g_test_add_func ("/training/scale/start", test_start);
  g_test_add_func ("/training/scale/order", test_order);
  g_test_add_func ("/training/scale/small", test_small);
  g_test_add_func ("/training/scale/narrow", test_narrow);
  return g_test_run ();
}
