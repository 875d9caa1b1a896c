/* Layer i: h = H h + b, and but for the last one h = h + a * tanh (h); F is the logistic function of the last one's only output. H = softplus of its
 * values and a = tanh of its, so that F never falls. */
#include <math.h>

#include "codec/training/prior.h"
#include "models/sampler.h"

#define WIDTH RD_PRIOR_WIDTH
#define LAYERS RD_PRIOR_LAYERS
#define MATRICES (2 * WIDTH + (LAYERS - 2) * WIDTH * WIDTH)
#define GATES ((LAYERS - 1) * WIDTH)
#define N_VALUES (MATRICES + GATES + 1 + GATES) /* H, b, a */

/* Places of a layer among the values, and its sizes. */
typedef struct
{
  gsize h, b, a;
  gsize inputs, outputs;
  gboolean last;
} Layer;

static Layer
layer_at (gsize i)
{
  return (Layer) {
  .h = i == 0 ? 0 : WIDTH + (i - 1) * WIDTH * WIDTH,.b =
        MATRICES + i * WIDTH,.a = MATRICES + GATES + 1 + i * WIDTH,.inputs =
        i == 0 ? 1 : WIDTH,.outputs = i == LAYERS - 1 ? 1 : WIDTH,.last =
        i == LAYERS - 1,};
}

static double
softplus (double x)
{
  return x > 30 ? x : log1p (exp (x));
}

static double
sigmoid (double x)
{
  return x >= 0 ? 1 / (1 + exp (-x)) : exp (x) / (1 + exp (x));
}

static void
derive (const float *values, double *derived)
{
  for (gsize i = 0; i < N_VALUES; i++) {
    if (i < MATRICES)
      derived[i] = softplus ((double) values[i]);
    else if (i < MATRICES + GATES + 1)
      derived[i] = (double) values[i];
    else
      derived[i] = tanh ((double) values[i]);
  }
}

static void
chain (const float *values, const double *d_derived, float *gradient)
{
  for (gsize i = 0; i < N_VALUES; i++) {
    double slope = 1;

    if (i < MATRICES) {
      slope = sigmoid ((double) values[i]);
    } else if (i >= MATRICES + GATES + 1) {
      const double a = tanh ((double) values[i]);

      slope = 1 - a * a;
    }
    gradient[i] += (float) (slope * d_derived[i]);
  }
}

/* What the layers hold for one number: their inputs, and the sums before the gates. */
typedef struct
{
  double in[LAYERS + 1][WIDTH];
  double sum[LAYERS][WIDTH];
} Trace;

static double
logit (const double *derived, double x, Trace * trace)
{
  trace->in[0][0] = x;
  for (gsize i = 0; i < LAYERS; i++) {
    const Layer l = layer_at (i);

    for (gsize o = 0; o < l.outputs; o++) {
      double sum = derived[l.b + o];

      for (gsize k = 0; k < l.inputs; k++)
        sum += derived[l.h + o * l.inputs + k] * trace->in[i][k];
      trace->sum[i][o] = sum;
      trace->in[i + 1][o] = l.last ? sum : sum + derived[l.a + o] * tanh (sum);
    }
  }
  return trace->in[LAYERS][0];
}

/* Adds @d times the derivatives of the logit; returns that by its input. */
static double
logit_backward (const double *derived, const Trace * trace, double d,
    double *d_derived)
{
  double d_out[WIDTH] = { d };

  for (gsize i = LAYERS; i-- > 0;) {
    const Layer l = layer_at (i);
    double d_in[WIDTH] = { 0 };

    for (gsize o = 0; o < l.outputs; o++) {
      const double gate = l.last ? 0 : tanh (trace->sum[i][o]);
      const double d_sum = l.last ? d_out[o] :
          d_out[o] * (1 + derived[l.a + o] * (1 - gate * gate));

      for (gsize k = 0; k < l.inputs; k++)
        d_in[k] += d_sum * derived[l.h + o * l.inputs + k];
      if (d_derived == NULL)
        continue;
      if (!l.last)
        d_derived[l.a + o] += d_out[o] * gate;
      d_derived[l.b + o] += d_sum;
      for (gsize k = 0; k < l.inputs; k++)
        d_derived[l.h + o * l.inputs + k] += d_sum * trace->in[i][k];
    }
    for (gsize k = 0; k < WIDTH; k++)
      d_out[k] = d_in[k];
  }
  return d_out[0];
}

/* The logistic function is exact where it is small: both ends go to that side. */
static double
interval (const double *derived, double lower, double upper)
{
  Trace trace;
  const double low = logit (derived, lower, &trace);
  const double high = logit (derived, upper, &trace);

  return low + high > 0 ? sigmoid (-low) - sigmoid (-high) :
      sigmoid (high) - sigmoid (low);
}

static double
interval_backward (const double *derived, double lower, double upper,
    double d_p, double *d_derived)
{
  const double ends[2] = { lower, upper };
  double d_z = 0;

  for (guint i = 0; i < 2; i++) {
    Trace trace;
    const double y = logit (derived, ends[i], &trace);
    const double slope = sigmoid (y) * sigmoid (-y);

    d_z += logit_backward (derived, &trace, (i == 0 ? -d_p : d_p) * slope,
        d_derived);
  }
  return d_z;
}

/* All weights alike make a straight line; biases between tell its parts apart, and the last one puts 0 in the middle. */
static void
start (float *values, double scale, guint64 seed)
{
  const double root = pow (scale, 1.0 / LAYERS);
  double derived[N_VALUES];
  Trace trace;

  for (gsize i = 0; i < N_VALUES; i++)
    values[i] = 0;
  for (gsize i = 0; i < LAYERS; i++) {
    const Layer l = layer_at (i);

    for (gsize j = 0; j < l.outputs * l.inputs; j++)
      values[l.h + j] = (float) log (expm1 (1 / (root * (double) l.outputs)));
    for (gsize j = 0; j < l.outputs && !l.last; j++)
      values[l.b + j] = (float) (st_sampler_uniform (seed, l.b + j) - 0.5);
  }
  derive (values, derived);
  values[layer_at (LAYERS - 1).b] = (float) -logit (derived, 0, &trace);
}

const RdPriorClass rd_prior_factorized = {
  "factorized", N_VALUES, N_VALUES, start, derive, interval, interval_backward,
  chain
};
