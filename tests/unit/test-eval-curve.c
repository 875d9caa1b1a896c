/* Interpolation and BD-rate against scipy 1.10: PchipInterpolator, its derivative and integral. */
#include <math.h>
#include "pipelines/eval/curve.h"

#define MAX_KNOTS 6

typedef struct
{
  const gchar *name;
  guint n;
  gdouble x[MAX_KNOTS], y[MAX_KNOTS], slopes[MAX_KNOTS];
  gdouble whole;                /* integral over all */
  gdouble from, to, part;
} Pchip;

static const Pchip cases[] = {
  {"monotone", 5, {0, 1, 2.5, 3, 5}, {0, 2, 2.5, 4, 4.25},
      {2.66666666666667, 0.6, 0.692307692307692, 0.294117647058824, 0},
      14.5112493715435, 1.5, 4.5, 10.1613261283413},
  {"turning", 6, {-1, 0, 0.5, 2, 2.25, 4}, {1, 3, 2, 2, 5, -1},
      {4.66666666666667, 0, 0, 0, 0, -10.2857142857143},
      13.6388888888889, 0.5, 3.5, 9.44169096209913},
  {"flat end", 4, {0, 1, 2, 3}, {0, 0.1, 5, 5.2},
      {0, 0.196, 0.384313725490196, 0},
      7.7, 0.9, 2.7, 6.11729351176471},
  {"steep end", 3, {0, 1, 4}, {0, 1, -30}, {3, 0, -18.8333333333333},
      -28.625, 1.2, 3.6, -19.0222222222222},
  {"three", 3, {0, 0.1, 3}, {0, 2, 2.1},
      {20.6655172413793, 0.0997838017628472, 0},
      6.13206992560181, 0.9, 2.7, 3.75830122574568},
  {"two", 2, {1, 3}, {2, -1}, {-1.5, -1.5}, 1, 1.6, 2.8, 0.24},
};

static void
test_pchip (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    const Pchip *c = &cases[i];
    gdouble slopes[MAX_KNOTS];

    g_test_message ("%s", c->name);
    eval_pchip_slopes (c->x, c->y, c->n, slopes);
    for (guint k = 0; k < c->n; k++)
      g_assert_cmpfloat_with_epsilon (slopes[k], c->slopes[k], 1e-12);
    g_assert_cmpfloat_with_epsilon (eval_pchip_integral (c->x, c->y, c->n,
            c->x[0], c->x[c->n - 1]), c->whole, 1e-11);
    g_assert_cmpfloat_with_epsilon (eval_pchip_integral (c->x, c->y, c->n,
            c->from, c->to), c->part, 1e-11);
  }
}

/* in no order; the points without a place on logarithmic axes and the dearer of two of equal KL must not matter */
static const gdouble rates_a[] = { 733.5, 1664.4, 1339.3, 1001.5, 489.0 };
static const gdouble kls_a[] = { .169, .0133, .0309, .0681, .376 };
static const gdouble rates_b[] =
    { 9216, 1500, 1100, 800, 600, 380, 250, 900, 0 };
static const gdouble kls_b[] = { 0, .011, .029, .07, .14, .36, .8, .07, .5 };

static const EvalCurve a = { rates_a, kls_a, G_N_ELEMENTS (rates_a) };
static const EvalCurve b = { rates_b, kls_b, G_N_ELEMENTS (rates_b) };

static void
test_bd_rate (void)
{
  g_assert_cmpfloat_with_epsilon (eval_bd_rate (&a, &b), -0.211194367486,
      1e-11);
  g_assert_cmpfloat_with_epsilon (eval_bd_rate (&b, &a), 0.267739426268, 1e-11);
  g_assert_cmpfloat (eval_bd_rate (&a, &a), ==, 0);
}

static void
test_no_bd_rate (void)
{
  const gdouble far_kls[] = { 1, 2 }, far_rates[] = { 10, 5 };
  const EvalCurve far = { far_rates, far_kls, 2 };
  const EvalCurve point = { rates_a, kls_a, 1 }, empty = { NULL, NULL, 0 };

  g_assert_true (isnan (eval_bd_rate (&a, &far)));
  g_assert_true (isnan (eval_bd_rate (&a, &point)));
  g_assert_true (isnan (eval_bd_rate (&empty, &a)));
}

static void
test_rate_at (void)
{
  g_assert_cmpfloat_with_epsilon (eval_rate_at (&a, 0.05), 1122.02395463, 1e-7);
  g_assert_cmpfloat_with_epsilon (eval_rate_at (&a, 0.0133), 1664.4, 1e-9);
  g_assert_cmpfloat_with_epsilon (eval_rate_at (&b, 0.07), 800, 1e-9);
  g_assert_true (isnan (eval_rate_at (&a, 0.01)));
  g_assert_true (isnan (eval_rate_at (&a, 0.4)));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/eval-curve/pchip", test_pchip);
  g_test_add_func ("/eval-curve/bd-rate", test_bd_rate);
  g_test_add_func ("/eval-curve/no-bd-rate", test_no_bd_rate);
  g_test_add_func ("/eval-curve/rate-at", test_rate_at);
  return g_test_run ();
}
