/* Densities of latents against what their papers say, computed the long way. */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "codec/training/prior.h"
#include "models/sampler.h"
#include "tests/support/random-weights.h"
#include "tests/support/slope.h"

#define STEP 1e-4
#define PARTS 800               /* of an integral */
#define MAX_VALUES 256

static const RdPriorClass *const priors[] = {
  &rd_prior_factorized, &rd_prior_fourier
};

/* ---- the long way ---- */

/* F of Balle et al. 2018: all matrices, then all biases, then all gates. */
static double
factorized_logit (const double *values, double x)
{
  const gsize w = RD_PRIOR_WIDTH, layers = RD_PRIOR_LAYERS;
  const double *matrix = values, *bias = values + 2 * w + (layers - 2) * w * w;
  const double *gate = bias + (layers - 1) * w + 1;
  double in[RD_PRIOR_WIDTH] = { x };
  gsize inputs = 1;

  for (gsize i = 0; i < layers; i++) {
    const gsize outputs = i + 1 < layers ? w : 1;
    double out[RD_PRIOR_WIDTH] = { 0 };

    for (gsize o = 0; o < outputs; o++) {
      out[o] = *bias++;
      for (gsize k = 0; k < inputs; k++)
        out[o] += log (1 + exp (*matrix++)) * in[k];
      if (i + 1 < layers)
        out[o] += tanh (*gate++) * tanh (out[o]);
    }
    memcpy (in, out, sizeof in);
    inputs = outputs;
  }
  return in[0];
}

static double
factorized_interval (const double *values, double lower, double upper)
{
  return 1 / (1 + exp (-factorized_logit (values, upper)))
      - 1 / (1 + exp (-factorized_logit (values, lower)));
}

/* Density of tanh ((z - t) / s) by its definition, integrated by Simpson's rule. */
static double
fourier_density (const double *values, double x)
{
  const complex double wave = cexp (I * G_PI * x);
  complex double sum = 0, power = 1;
  double total = 0;

  for (gsize k = 0; k < RD_PRIOR_FREQUENCIES; k++) {
    const complex double a = values[k] + I * values[RD_PRIOR_FREQUENCIES + k];

    sum += a * power;
    power *= wave;
    total += creal (a * conj (a));
  }
  return creal (sum * conj (sum)) / (2 * total);
}

static double
fourier_interval (const double *values, double lower, double upper)
{
  const double scale = exp (values[2 * RD_PRIOR_FREQUENCIES]);
  const double offset = values[2 * RD_PRIOR_FREQUENCIES + 1];
  const double a = tanh ((lower - offset) / scale);
  const double b = tanh ((upper - offset) / scale);
  double sum = 0;

  for (guint i = 0; i <= PARTS; i++)
    sum += (i == 0 || i == PARTS ? 1 : 2 + 2 * (i % 2))
        * fourier_density (values, a + (b - a) * i / PARTS);
  return sum * (b - a) / (3 * PARTS);
}

static double
exact_bits (const RdPriorClass * prior, const double *values, double z)
{
  return -log2 (prior == &rd_prior_fourier ?
      fourier_interval (values, z - 0.5, z + 0.5) :
      factorized_interval (values, z - 0.5, z + 0.5));
}

/* ---- tests ---- */

/* Values as training might leave them. */
static void
fill (const RdPriorClass * prior, guint64 seed, float *values, double *derived)
{
  g_assert_cmpuint (prior->n_values, <=, MAX_VALUES);
  g_assert_cmpuint (prior->n_derived, <=, MAX_VALUES);
  prior->start (values, 0.7, seed);
  for (gsize i = 0; i < prior->n_values; i++)
    values[i] += (float) (0.6 * (st_sampler_uniform (seed, i) - 0.5))
        / (prior == &rd_prior_fourier ? 1 + (float) (i % 60) / 4 : 1);
  prior->derive (values, derived);
}

static void
test_start (void)
{
  float values[MAX_VALUES];
  double derived[MAX_VALUES];

  for (gsize p = 0; p < G_N_ELEMENTS (priors); p++) {
    for (guint i = 0; i < 5; i++) {
      const double scale = 0.1 * pow (3, i);

      priors[p]->start (values, scale, 5);
      priors[p]->derive (values, derived);
      for (gint k = -8; k <= 8; k++) {
        const double z = 0.5 * k;

        st_test_near (priors[p]->interval (derived, z - 0.5, z + 0.5),
            1 / (1 + exp (-(z + 0.5) / scale))
            - 1 / (1 + exp (-(z - 0.5) / scale)), 1e-6);
      }
    }
  }
}

/* Whole numbers share 1 between them, and none has less than nothing. */
static void
test_sums_to_one (void)
{
  float values[MAX_VALUES];
  double derived[MAX_VALUES];

  for (gsize p = 0; p < G_N_ELEMENTS (priors); p++) {
    for (guint64 seed = 0; seed < 20; seed++) {
      double sum = 0;

      fill (priors[p], seed, values, derived);
      for (gint z = -200; z <= 200; z++) {
        const double share = priors[p]->interval (derived, z - 0.5, z + 0.5);

        g_assert_cmpfloat (share, >=, -1e-14);
        g_assert_cmpfloat (rd_prior_bits (priors[p], derived, z), >=, 0);
        g_assert_cmpfloat (rd_prior_bits (priors[p], derived, z), <, 30);
        sum += share;
      }
      st_test_near (sum, 1, 1e-9);
    }
  }
}

typedef struct
{
  const RdPriorClass *prior;
  double *values, z;
} Bits;

static double
bits_of (gconstpointer user_data)
{
  const Bits *bits = user_data;

  return exact_bits (bits->prior, bits->values, bits->z);
}

/* Bits, and their derivatives, of fourth order. */
static void
test_gradient (void)
{
  float values[MAX_VALUES];
  double derived[MAX_VALUES], exact[MAX_VALUES] = { 0 };

  for (gsize c = 0; c < 12; c++) {
    const RdPriorClass *prior = priors[c % 2];
    const double z = 0.37 * (double) c - 1.9;
    double d_derived[MAX_VALUES] = { 0 };
    float gradient[MAX_VALUES] = { 0 };
    Bits bits = { prior, exact, z };

    fill (prior, c, values, derived);
    for (gsize i = 0; i < prior->n_values; i++)
      exact[i] = (double) values[i];
    st_test_near (rd_prior_bits (prior, derived, z), exact_bits (prior, exact,
            z), 1e-8);
    st_test_near (rd_prior_bits_backward (prior, derived, z, 1.5, d_derived),
        1.5 * st_test_slope (bits_of, &bits, &bits.z, STEP), 1e-6);
    st_test_near (rd_prior_bits_backward (prior, derived, z, 1.5, NULL),
        1.5 * st_test_slope (bits_of, &bits, &bits.z, STEP), 1e-6);
    prior->chain (values, d_derived, gradient);
    for (gsize i = 0; i < prior->n_values; i++) {
      const double slope = 1.5 * st_test_slope (bits_of, &bits, &exact[i],
          STEP / 2);

      st_test_near (gradient[i], slope, 2e-6 * (1 + fabs (slope)));
    }
  }
}

/* What is next to impossible costs the floor, and is still drawn back. */
static void
test_floor (void)
{
  float values[MAX_VALUES];
  double derived[MAX_VALUES];

  for (gsize p = 0; p < G_N_ELEMENTS (priors); p++) {
    priors[p]->start (values, 0.2, 1);
    priors[p]->derive (values, derived);
    st_test_near (rd_prior_bits (priors[p], derived, 9), -log2 (1e-9), 1e-9);
    g_assert_cmpfloat (rd_prior_bits_backward (priors[p], derived, 5, 1, NULL),
        >, 0);
    g_assert_cmpfloat (rd_prior_bits_backward (priors[p], derived, -5, 1,
            NULL), <, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/prior/start", test_start);
  g_test_add_func ("/training/prior/sums-to-one", test_sums_to_one);
  g_test_add_func ("/training/prior/gradient", test_gradient);
  g_test_add_func ("/training/prior/floor", test_floor);
  return g_test_run ();
}
