/* Rate-distortion curves. */
#include "pipelines/eval/curve.h"
#include <math.h>
#include <stdlib.h>

/* ---- monotone cubic interpolation ---- */

/* Derivative at an end from the two intervals there, the first of them next to it. */
static gdouble
end_slope (gdouble h0, gdouble h1, gdouble m0, gdouble m1)
{
  gdouble d = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1);

  if (d * m0 <= 0)
    return 0;
  if (m0 * m1 <= 0 && fabs (d) > 3 * fabs (m0))
    return 3 * m0;
  return d;
}

static gdouble
inner_slope (gdouble h0, gdouble h1, gdouble m0, gdouble m1)
{
  gdouble w0 = 2 * h1 + h0, w1 = h1 + 2 * h0;

  if (m0 * m1 <= 0)
    return 0;
  return (w0 + w1) / (w0 / m0 + w1 / m1);
}

void
eval_pchip_slopes (const gdouble * x, const gdouble * y, guint n,
    gdouble * slopes)
{
  g_autofree gdouble *h = g_new (gdouble, n), *m = g_new (gdouble, n);

  for (guint i = 0; i + 1 < n; i++) {
    h[i] = x[i + 1] - x[i];
    m[i] = (y[i + 1] - y[i]) / h[i];
  }
  if (n == 2) {
    slopes[0] = slopes[1] = m[0];
    return;
  }
  slopes[0] = end_slope (h[0], h[1], m[0], m[1]);
  for (guint i = 1; i + 1 < n; i++)
    slopes[i] = inner_slope (h[i - 1], h[i], m[i - 1], m[i]);
  slopes[n - 1] = end_slope (h[n - 2], h[n - 3], m[n - 2], m[n - 3]);
}

/* Integral of the Hermite cubic of one interval of width h from its begin to the share t of it. */
static gdouble
integral_to (gdouble t, gdouble h, const gdouble y[2], const gdouble d[2])
{
  gdouble t2 = t * t, t3 = t2 * t, t4 = t2 * t2;

  return h * ((t4 / 2 - t3 + t) * y[0] + (t3 - t4 / 2) * y[1]
      + h * ((t4 / 4 - 2 * t3 / 3 + t2 / 2) * d[0] + (t4 / 4 - t3 / 3) * d[1]));
}

gdouble
eval_pchip_integral (const gdouble * x, const gdouble * y, guint n,
    gdouble from, gdouble to)
{
  g_autofree gdouble *d = g_new (gdouble, n);
  gdouble sum = 0;

  eval_pchip_slopes (x, y, n, d);
  for (guint i = 0; i + 1 < n; i++) {
    gdouble h = x[i + 1] - x[i];
    gdouble a = CLAMP ((from - x[i]) / h, 0, 1);
    gdouble b = CLAMP ((to - x[i]) / h, 0, 1);

    sum += integral_to (b, h, y + i, d + i) - integral_to (a, h, y + i, d + i);
  }
  return sum;
}

/* ---- curves ---- */

typedef struct
{
  gdouble x, y;                 /* log distortion, log rate */
} LogPoint;

static gint
compare_points (gconstpointer a, gconstpointer b)
{
  const LogPoint *p = a, *q = b;

  if (p->x != q->x)
    return p->x < q->x ? -1 : 1;
  return p->y < q->y ? -1 : p->y > q->y;
}

/* The points that count by increasing distortion, in arrays that the caller frees; returns how many. */
static guint
log_points (const EvalCurve * curve, gdouble ** x, gdouble ** y)
{
  g_autofree LogPoint *points = g_new (LogPoint, curve->n);
  guint n = 0, kept = 0;

  *x = *y = NULL;
  if (curve->n == 0)
    return 0;
  for (guint i = 0; i < curve->n; i++)
    if (curve->rate[i] > 0 && curve->distortion[i] > 0)
      points[n++] = (LogPoint) {
      log (curve->distortion[i]), log (curve->rate[i])};
  qsort (points, n, sizeof *points, compare_points);
  *x = g_new (gdouble, n);
  *y = g_new (gdouble, n);
  for (guint i = 0; i < n; i++) {
    if (i > 0 && points[i].x == points[i - 1].x)
      continue;
    (*x)[kept] = points[i].x;
    (*y)[kept++] = points[i].y;
  }
  return kept;
}

gdouble
eval_rate_at (const EvalCurve * curve, gdouble distortion)
{
  g_autofree gdouble *x = NULL, *y = NULL;
  guint n = log_points (curve, &x, &y);
  gdouble at = log (distortion);

  for (guint i = 0; i + 1 < n; i++)
    if (at >= x[i] && at <= x[i + 1])
      return exp (y[i] + (at - x[i]) / (x[i + 1] - x[i]) * (y[i + 1] - y[i]));
  return NAN;
}

gdouble
eval_bd_rate (const EvalCurve * anchor, const EvalCurve * test)
{
  g_autofree gdouble *xa = NULL, *ya = NULL, *xt = NULL, *yt = NULL;
  guint na = log_points (anchor, &xa, &ya), nt = log_points (test, &xt, &yt);
  gdouble from, to, area;

  if (na < 2 || nt < 2)
    return NAN;
  from = MAX (xa[0], xt[0]);
  to = MIN (xa[na - 1], xt[nt - 1]);
  if (from >= to)
    return NAN;
  area = eval_pchip_integral (xt, yt, nt, from, to)
      - eval_pchip_integral (xa, ya, na, from, to);
  return expm1 (area / (to - from));
}
