/* Rate points: which level and weight belong to a lambda, and how lambdas are drawn. */
#include <math.h>

#include "codec/training/train-rates.h"
#include "tests/support/random-weights.h"

static void
test_rates (void)
{
  const RdRates rates = { 1e-4, 1e-2, 4, 3 };
  guint counts[8] = { 0 };

  st_test_near (rd_rate_level (.0011), 40, 1e-9);
  st_test_near (rd_rate_level (.00016), 56, 1e-9);
  st_test_near (rd_rate_level (sqrt (.0011 * .0004)), 44, 1e-9);
  g_assert_cmpfloat (rd_rate_level (.05), <, 24);
  g_assert_cmpfloat (rd_rate_level (1e-5), >, 72);
  g_assert_cmpfloat (rd_rate_level (1.0), ==, 0);
  g_assert_cmpfloat (rd_rate_level (1e-9), ==, 127);
  st_test_near (rd_rate_weight (4e-3), 0.5 * rd_rate_weight (1e-3), 1e-12);
  for (guint64 step = 0; step < 500; step++) {
    guint parts = 0;

    for (guint i = 0; i < 4; i++) {
      const double lambda = rd_rates_draw (&rates, 4 * step + i);

      g_assert_cmpfloat (lambda, >=, rates.min);
      g_assert_cmpfloat (lambda, <=, rates.max);
      parts |= 1u << rd_rates_place (&rates, lambda, 4);
      counts[rd_rates_place (&rates, lambda, 8)]++;
      g_assert_cmpfloat (lambda, ==, rd_rates_draw (&rates, 4 * step + i));
    }
    g_assert_cmpuint (parts, ==, 0xf);
  }
  /* 250 each, of a deviation of 11 */
  for (guint i = 0; i < 8; i++)
    st_test_near (counts[i], 250, 55);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/train/rates", test_rates);
  return g_test_run ();
}
