/* Rate-distortion curves: monotone cubic interpolation, the rate at a distortion, the difference between two curves. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** EvalCurve: @n measured points, in any order. Only those with a positive rate and distortion count (a lossless point has no place
 * on a logarithmic scale), and of points of equal distortion the cheapest. */
typedef struct
{
  const gdouble *rate;          /* bits a token */
  const gdouble *distortion;    /* KL */
  guint n;
} EvalCurve;

/** eval_pchip_slopes: derivatives of the monotone piecewise cubic through (x[i], y[i]), x increasing, @n at least 2: weighted harmonic
 * means inside (Fritsch and Butland 1984), three-point formula at the ends, as scipy's PchipInterpolator. */
void eval_pchip_slopes (const gdouble * x, const gdouble * y, guint n, gdouble * slopes);
/** eval_pchip_integral: integral of that curve from @from to @to, both within x[0] .. x[n - 1]. */
gdouble eval_pchip_integral (const gdouble * x, const gdouble * y, guint n, gdouble from, gdouble to);

/** eval_rate_at: rate at a distortion, linear between neighbours in log rate over log distortion; NAN outside of the curve. */
gdouble eval_rate_at (const EvalCurve * curve, gdouble distortion);

/** eval_bd_rate: mean difference of the log rates of @test and @anchor over the distortions that both have (Bjontegaard's, with pchip,
 * log rate as a function of log distortion), as a share: -0.1 = @test needs 10 % fewer bits. NAN if a curve has fewer than two points or
 * they do not overlap. */
gdouble eval_bd_rate (const EvalCurve * anchor, const EvalCurve * test);

G_END_DECLS
