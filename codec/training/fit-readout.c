#include "codec/training/fit-readout.h"

#include <cblas.h>
#include <string.h>

#include "codec/training/linear.h"

/* Features without any variance do not make the equations singular. */
#define LEAST_RIDGE 1e-9

/* Centered moments of states x and features f. */
typedef struct
{
  gsize n;                      /* D */
  double *mean;                 /* (2 D) of x, of f */
  double *both;                 /* (2 D, 2 D) covariance */
} Centered;

static void
centered_clear (Centered * c)
{
  g_clear_pointer (&c->mean, g_free);
  g_clear_pointer (&c->both, g_free);
}

static gboolean
centered_init (Centered * c, const RdMoments * moments, GError ** error)
{
  const gsize width = moments->width;

  c->n = width / 2;
  c->mean = g_new0 (double, width);
  c->both = rd_linear_new (width, width, "a prediction", error);
  if (c->both == NULL)
    return FALSE;
  rd_moments_center (moments, c->mean, c->both);
  return TRUE;
}

/* matrix^T (row x: weights of all features) = the solution of (Cff + ridge) W = Cfx. */
static gboolean
solve (const Centered * c, double ridge, double *transposed, GError ** error)
{
  const gsize n = c->n, width = 2 * n;
  g_autofree double *features = rd_linear_new (n, n, "a prediction", error);
  double trace = 0;

  if (features == NULL)
    return FALSE;
  for (gsize i = 0; i < n; i++) {
    memcpy (features + i * n, c->both + (n + i) * width + n,
        n * sizeof (double));
    memcpy (transposed + i * n, c->both + i * width + n, n * sizeof (double));
    trace += features[i * n + i];
  }
  for (gsize i = 0; i < n; i++)
    features[i * n + i] += MAX (ridge * trace / (double) n, LEAST_RIDGE);
  if (!rd_linear_factor (features, n, "the features' covariance", error))
    return FALSE;
  rd_linear_solve (features, n, transposed, n);
  return TRUE;
}

/* Cxx - W^T Cfx - (W^T Cfx)^T + W^T Cff W: of x - f W. */
static gboolean
find_rest (const Centered * c, const double *transposed, double *rest,
    GError ** error)
{
  const gsize n = c->n, width = 2 * n;
  const blasint size = (blasint) n, wide = (blasint) width;
  g_autofree double *part = rd_linear_new (n, n, "a prediction", error);

  if (part == NULL)
    return FALSE;
  for (gsize i = 0; i < n; i++)
    memcpy (rest + i * n, c->both + i * width, n * sizeof (double));
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, size, size, size, 1,
      transposed, size, c->both + n * width, wide, 0, part, size);
  for (gsize i = 0; i < n; i++) {
    for (gsize j = 0; j < n; j++)
      rest[i * n + j] -= part[i * n + j] + part[j * n + i];
  }
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, size, size, size, 1,
      transposed, size, c->both + n * width + n, wide, 0, part, size);
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasTrans, size, size, size, 1,
      part, size, transposed, size, 1, rest, size);
  return TRUE;
}

/* trace (root rest root): the mean squared error where the metric is the identity. */
static double
weigh (const RdMetric * metric, const double *rest, gboolean wide)
{
  const gsize n = metric->n, stride = wide ? 2 * n : n;
  g_autofree double *half = g_new (double, n * n);
  double sum = 0;

  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint) n,
      (blasint) n, (blasint) n, 1, metric->root, (blasint) n, rest,
      (blasint) stride, 0, half, (blasint) n);
  for (gsize i = 0; i < n; i++)
    sum += cblas_ddot ((blasint) n, half + i * n, 1, metric->root + i * n, 1);
  return sum;
}

static gboolean
choose_ridge (RdReadout * readout, const RdMetric * metric,
    const Centered * fitting, const Centered * held_out, GError ** error)
{
  static const double ridges[] = { 1, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6 };
  const double whole = weigh (metric, held_out->both, TRUE);
  double best = whole;

  readout->ridge = ridges[0];
  for (guint i = 0; i < G_N_ELEMENTS (ridges); i++) {
    double left;

    if (!solve (fitting, ridges[i], readout->matrix, error)
        || !find_rest (held_out, readout->matrix, readout->covariance, error))
      return FALSE;
    left = weigh (metric, readout->covariance, FALSE);
    if (left > best)
      break;
    best = left;
    readout->ridge = ridges[i];
  }
  readout->explained = whole > 0 ? 1 - best / whole : 0;
  return TRUE;
}

static void
transpose (double *matrix, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    for (gsize j = i + 1; j < n; j++) {
      const double value = matrix[i * n + j];

      matrix[i * n + j] = matrix[j * n + i];
      matrix[j * n + i] = value;
    }
  }
}

static gboolean
fit_all (RdReadout * readout, const Centered * all, GError ** error)
{
  const gsize n = readout->n;

  if (!solve (all, readout->ridge, readout->matrix, error)
      || !find_rest (all, readout->matrix, readout->covariance, error))
    return FALSE;
  transpose (readout->matrix, n);
  memcpy (readout->mean, all->mean, n * sizeof (double));
  cblas_dgemv (CblasRowMajor, CblasTrans, (blasint) n, (blasint) n, -1,
      readout->matrix, (blasint) n, all->mean + n, 1, 1, readout->mean, 1);
  return TRUE;
}

static gboolean
fill (RdReadout * readout, const RdMetric * metric,
    const RdStatistics * statistics, GError ** error)
{
  Centered parts[2] = { {0}, {0} }, whole = { 0 };
  RdMoments all;
  gboolean ok;

  ok = rd_moments_init (&all, statistics->states[0].width, error);
  if (ok) {
    rd_moments_merge (&all, &statistics->states[0]);
    rd_moments_merge (&all, &statistics->states[1]);
  }
  ok = ok && centered_init (&parts[0], &statistics->states[0], error)
      && centered_init (&parts[1], &statistics->states[1], error)
      && choose_ridge (readout, metric, &parts[0], &parts[1], error);
  centered_clear (&parts[0]);
  centered_clear (&parts[1]);
  ok = ok && centered_init (&whole, &all, error)
      && fit_all (readout, &whole, error);
  centered_clear (&whole);
  rd_moments_clear (&all);
  return ok;
}

RdReadout *
rd_readout_new (const RdMetric * metric, const RdStatistics * statistics,
    GError ** error)
{
  g_autoptr (RdReadout) readout = g_new0 (RdReadout, 1);
  const gsize n = metric->n;

  g_return_val_if_fail (statistics->size.features, NULL);
  readout->n = n;
  readout->mean = g_new0 (double, n);
  readout->matrix = rd_linear_new (n, n, "a prediction", error);
  if (readout->matrix != NULL)
    readout->covariance = rd_linear_new (n, n, "a prediction", error);
  if (readout->covariance == NULL || !fill (readout, metric, statistics, error))
    return NULL;
  return g_steal_pointer (&readout);
}

void
rd_readout_free (RdReadout * readout)
{
  if (readout == NULL)
    return;
  g_free (readout->mean);
  g_free (readout->matrix);
  g_free (readout->covariance);
  g_free (readout);
}
