#include "tests/support/slope.h"

#include <math.h>
#include <string.h>

#define MOVE 1e-6               /* relative; of a few roundings, so that a corner between them shows */
#define N_MOVES 8
#define USUAL 10.0              /* sensitivity, by the scale: 98 of 100 derivatives of tiny models have less */

gdouble
st_test_slope (StTestFunction function,
    gconstpointer user_data, gdouble * value, gdouble step)
{
  static const gdouble factors[] = { 1, -8, 0, 8, -1 };
  const gdouble at = *value;
  gdouble sum = 0;

  for (gint k = -2; k <= 2; k++) {
    *value = at + k * step;
    sum += k != 0 ? factors[k + 2] * function (user_data) : 0;
  }
  *value = at;
  return sum / (12 * step);
}

gdouble
st_test_derivative (gconstpointer derivative)
{
  const StTestDerivative *d = derivative;

  return st_test_slope (d->function, d->user_data, d->value, d->step);
}

gdouble *
st_test_ones (gsize n)
{
  gdouble *ones = g_new (gdouble, n);

  for (gsize i = 0; i < n; i++)
    ones[i] = 1;
  return ones;
}

/* Root mean square of what random relative changes of @states make of the derivative, which is @start, by their size. */
static gdouble
sensitivity (StTestFunction slope, gconstpointer user_data, gdouble start,
    gdouble * states, gsize n)
{
  g_autofree gdouble *kept = g_memdup2 (states, n * sizeof (gdouble));
  gdouble squares = 0;

  for (guint r = 0; r < N_MOVES; r++) {
    gdouble change;

    for (gsize i = 0; i < n; i++)
      states[i] = kept[i] * (1 + (g_test_rand_bit ()? MOVE : -MOVE));
    change = (slope (user_data) - start) / MOVE;
    squares += change * change;
  }
  memcpy (states, kept, n * sizeof (gdouble));
  return sqrt (squares / N_MOVES);
}

gdouble
st_test_slope_error (StTestFunction slope, gconstpointer user_data,
    gdouble derivative, gdouble scale, gdouble limit, gdouble * states, gsize n)
{
  const gdouble exact = slope (user_data);
  const gdouble error = fabs (exact - derivative);

  if (error > limit * scale)
    scale = MAX (scale, sensitivity (slope, user_data, exact, states, n)
        / USUAL);
  return error / scale;
}
