/* The curve of bits over quality. */
#include "codec/rate/model.h"

#include <math.h>

#define STEP (100.0 / (RD_RATE_KNOTS - 1))
/* Octaves from one knot to the next: a codec's sizes always rise, and never faster than this. */
#define MIN_RISE 0.01
#define MAX_RISE 2.0
/* A first guess: 8 octaves of quantiser step; in the middle the step is as large as an average coefficient. */
#define OCTAVES 8.0
#define LEARN_RATE 0.02
#define LEARN_WIDTH 15.0

void
rd_rate_model_init (RdRateModel * model, guint values)
{
  for (guint i = 0; i < RD_RATE_KNOTS; i++) {
    gdouble finer = OCTAVES * (i * STEP - 50) / 100;
    gdouble bits = 0.5 * log2 (1 + pow (4, finer));

    model->knot[i] = log2 (MAX (values, 1) * bits);
  }
}

gdouble
rd_rate_model_at (const RdRateModel * model, gdouble quality)
{
  gdouble x = CLAMP (quality, 0, 100) / STEP;
  guint i = (guint) x;

  if (i >= RD_RATE_KNOTS - 1)
    return model->knot[RD_RATE_KNOTS - 1];
  return model->knot[i] + (x - i) * (model->knot[i + 1] - model->knot[i]);
}

gdouble
rd_rate_model_find (const RdRateModel * model, gdouble level)
{
  guint i = 0;

  if (level <= model->knot[0])
    return 0;
  if (level >= model->knot[RD_RATE_KNOTS - 1])
    return 100;
  while (level >= model->knot[i + 1])
    i++;
  return STEP * (i + (level - model->knot[i]) / (model->knot[i + 1]
          - model->knot[i]));
}

/* Whatever was learned, the curve rises from knot to knot. */
static void
keep_rising (RdRateModel * model)
{
  for (guint i = 1; i < RD_RATE_KNOTS; i++) {
    gdouble below = model->knot[i - 1];

    model->knot[i] = CLAMP (model->knot[i], below + MIN_RISE, below + MAX_RISE);
  }
}

/* How much of a change between @low and @high has reached @knot. */
static gdouble
share_at (guint knot, gdouble low, gdouble high)
{
  return CLAMP ((knot * STEP - low) / (high - low), 0, 1);
}

void
rd_rate_model_pair (RdRateModel * model, gdouble quality, gdouble level,
    gdouble other, gdouble other_level)
{
  gdouble low = MIN (quality, other), high = MAX (quality, other);
  gdouble rise = quality < other ? other_level - level : level - other_level;
  gdouble had = rd_rate_model_at (model, high) - rd_rate_model_at (model, low);
  RdRateModel shares;

  /* what a change of the knots by their shares makes of the rise between the two */
  for (guint i = 0; i < RD_RATE_KNOTS; i++)
    shares.knot[i] = share_at (i, low, high);
  gdouble gain = rd_rate_model_at (&shares, high)
      - rd_rate_model_at (&shares, low);
  for (guint i = 0; i < RD_RATE_KNOTS; i++)
    model->knot[i] += (rise - had) / gain * shares.knot[i];
  keep_rising (model);
}

void
rd_rate_model_learn (RdRateModel * model, gdouble quality, gdouble error)
{
  for (guint i = 0; i < RD_RATE_KNOTS; i++) {
    gdouble distance = fabs (i * STEP - quality) / LEARN_WIDTH;

    if (distance < 1)
      model->knot[i] += LEARN_RATE * (1 - distance) * error;
  }
  keep_rising (model);
}
