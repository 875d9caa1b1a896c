/* With x = tanh ((z - t) / s) and waves a_0 .. a_59, the density of x is |sum of a_k e^(i pi k x)|^2, which is a Fourier series whose coefficients c_n are
 * the autocorrelation of the waves, over 2 c_0. Its integral has closed form. */
#include <math.h>
#include <string.h>

#include "codec/training/prior.h"

#define WAVES RD_PRIOR_FREQUENCIES
/* Values: real parts, imaginary parts, log s, t. */
#define LOG_SCALE (2 * WAVES)
#define OFFSET (LOG_SCALE + 1)
#define N_VALUES (OFFSET + 1)
/* Derived: c_n / c_0 for n = 1 .. 59, real and imaginary parts in turn, then 1 / s, t. */
#define RATIO(n) (2 * ((n) - 1))
#define INVERSE RATIO (WAVES)
#define SHIFT (INVERSE + 1)
#define N_DERIVED (SHIFT + 1)

/* c_n = sum of a_(k + n) conj (a_k) */
static void
correlate (const float *a, gsize n, double *real, double *imaginary)
{
  const float *b = a + WAVES;

  *real = *imaginary = 0;
  for (gsize k = 0; k + n < WAVES; k++) {
    *real += (double) a[k + n] * a[k] + (double) b[k + n] * b[k];
    *imaginary +=(double) b[k + n] * a[k] - (double) a[k + n] * b[k];
  }
}

static void
derive (const float *values, double *derived)
{
  double total, none;

  correlate (values, 0, &total, &none);
  for (gsize n = 1; n < WAVES; n++) {
    double *ratio = derived + RATIO (n);

    correlate (values, n, &ratio[0], &ratio[1]);
    ratio[0] /= total;
    ratio[1] /= total;
  }
  derived[INVERSE] = exp (-(double) values[LOG_SCALE]);
  derived[SHIFT] = (double) values[OFFSET];
}

/* Adds the derivatives by the waves of d . c_n. */
static void
correlate_backward (const float *a, gsize n, const double d[2], float *gradient)
{
  const float *b = a + WAVES;
  float *d_a = gradient, *d_b = gradient + WAVES;

  for (gsize k = 0; k + n < WAVES; k++) {
    d_a[k + n] += (float) (d[0] * a[k] - d[1] * b[k]);
    d_a[k] += (float) (d[0] * a[k + n] + d[1] * b[k + n]);
    d_b[k + n] += (float) (d[0] * b[k] + d[1] * a[k]);
    d_b[k] += (float) (d[0] * b[k + n] - d[1] * a[k + n]);
  }
}

static void
chain (const float *values, const double *d_derived, float *gradient)
{
  double total, none, d_total[2] = { 0 };

  correlate (values, 0, &total, &none);
  for (gsize n = 1; n < WAVES; n++) {
    const double *d_ratio = d_derived + RATIO (n);
    const double d[2] = { d_ratio[0] / total, d_ratio[1] / total };
    double real, imaginary;

    correlate (values, n, &real, &imaginary);
    d_total[0] -= (d[0] * real + d[1] * imaginary) /total;
    correlate_backward (values, n, d, gradient);
  }
  correlate_backward (values, 0, d_total, gradient);
  gradient[LOG_SCALE] -= (float) (d_derived[INVERSE]
      * exp (-(double) values[LOG_SCALE]));
  gradient[OFFSET] += (float) d_derived[SHIFT];
}

/* e^(i pi n x) for n = 1 .. 59, one rotation after another. */
static void
waves (double x, double wave[2 * WAVES])
{
  const double c = cos (G_PI * x), s = sin (G_PI * x);

  wave[0] = c;
  wave[1] = s;
  for (gsize i = 2; i < 2 * (WAVES - 1); i += 2) {
    wave[i] = wave[i - 2] * c - wave[i - 1] * s;
    wave[i + 1] = wave[i - 2] * s + wave[i - 1] * c;
  }
}

static double
map (const double *derived, double z)
{
  return tanh ((z - derived[SHIFT]) * derived[INVERSE]);
}

/* The integral of a wave over i pi n: real part of ratio * (u - l) / (i pi n). */
static double
interval (const double *derived, double lower, double upper)
{
  const double low = map (derived, lower), high = map (derived, upper);
  double l[2 * WAVES], u[2 * WAVES], sum = (high - low) / 2;

  waves (low, l);
  waves (high, u);
  for (gsize n = 1; n < WAVES; n++) {
    const gsize i = RATIO (n);

    sum += (derived[i] * (u[i + 1] - l[i + 1])
        + derived[i + 1] * (u[i] - l[i])) / (G_PI * (double) n);
  }
  return sum;
}

/* One end: @d by F there. */
static double
end_backward (const double *derived, double z, double d, double *d_derived)
{
  const double x = map (derived, z);
  double wave[2 * WAVES], density = 0.5, d_map;

  waves (x, wave);
  for (gsize n = 1; n < WAVES; n++) {
    const gsize i = RATIO (n);

    density += derived[i] * wave[i] - derived[i + 1] * wave[i + 1];
    if (d_derived == NULL)
      continue;
    d_derived[i] += d * wave[i + 1] / (G_PI * (double) n);
    d_derived[i + 1] += d * wave[i] / (G_PI * (double) n);
  }
  d_map = d * density * (1 - x * x);
  if (d_derived != NULL) {
    d_derived[INVERSE] += d_map * (z - derived[SHIFT]);
    d_derived[SHIFT] -= d_map * derived[INVERSE];
  }
  return d_map * derived[INVERSE];
}

static double
interval_backward (const double *derived, double lower, double upper,
    double d_p, double *d_derived)
{
  return end_backward (derived, upper, d_p, d_derived)
      + end_backward (derived, lower, -d_p, d_derived);
}

/* One wave alone is a constant density of x, and (1 + tanh (z / s)) / 2 is the logistic function of 2 z / s. */
static void
start (float *values, double scale, guint64 seed)
{
  (void) seed;
  memset (values, 0, N_VALUES * sizeof (float));
  values[0] = 1;
  values[LOG_SCALE] = (float) log (2 * scale);
}

const RdPriorClass rd_prior_fourier = {
  "fourier", N_VALUES, N_DERIVED, start, derive, interval, interval_backward,
  chain
};
