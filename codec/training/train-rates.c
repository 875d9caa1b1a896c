#include "codec/training/train-rates.h"

#include <math.h>

#include "models/sampler.h"

#define MAX_LEVEL 127.0
/* Random numbers of their own, apart from those of noise. */
#define SEED_LAMBDA G_GUINT64_CONSTANT (0x6c616d626461)

/* At these levels the calibrated codec of SmolLM2-135M (split before block 10) loses as much KL for the last bit as lambda says. */
static const struct
{
  double level, lambda;
} measured[] = {
  {24, .0101}, {32, .0031}, {40, .0011}, {48, .0004}, {56, .00016},
  {64, 7.6e-5}, {72, 4e-5},
};

double
rd_rate_level (double lambda)
{
  guint i = 1;
  double share;

  while (i + 1 < G_N_ELEMENTS (measured) && lambda < measured[i].lambda)
    i++;
  share = log (measured[i - 1].lambda / lambda)
      / log (measured[i - 1].lambda / measured[i].lambda);
  return CLAMP (measured[i - 1].level
      + share * (measured[i].level - measured[i - 1].level), 0.0, MAX_LEVEL);
}

/* The parts of a step's sequences start with a random one, so that no part keeps to a place in the order of the text. */
double
rd_rates_draw (const RdRates * rates, guint64 counter)
{
  const guint64 seed = rates->seed ^ SEED_LAMBDA;
  const guint64 step = counter / rates->batch;
  const gsize first = (gsize) (st_sampler_uniform (~seed, step)
      * (double) rates->batch);
  const gsize part = ((gsize) (counter % rates->batch) + first) % rates->batch;
  const double place = ((double) part + st_sampler_uniform (seed, counter))
      / (double) rates->batch;

  return rates->min * pow (rates->max / rates->min, place);
}

guint
rd_rates_place (const RdRates * rates, double lambda, guint n)
{
  const double range = log (rates->max / rates->min);
  const double place = range > 0 ? log (lambda / rates->min) / range : 0;

  return (guint) CLAMP (place * n, 0.0, n - 1.0);
}

/* A trained codec's KL + lambda * bits grows with the square root of lambda (measured: .29 at 2e-4, .63 at 1.1e-3, 1.5 at 6e-3). Divided by
 * that, a gain of one per cent counts the same at every rate, and steps of few bits do not drown those of many. 1 at lambda = .001. */
double
rd_rate_weight (double lambda)
{
  return sqrt (1e-3 / lambda);
}
