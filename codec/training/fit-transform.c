#include "codec/training/fit-transform.h"

#include <math.h>
#include <string.h>

#include "codec/training/linear.h"

/* Entries of a synthesis are below the inverse root's norm, and that is put here: F16 has 10 octaves above 1 and 24 below. */
#define LARGEST_ENTRY_LOG2 10
/* Variance of a direction that the data does not have, as part of the largest one. */
#define LEAST_VARIANCE 1e-12
/* A trellis of 8 states has the squared error of a uniform quantiser of this many of its steps (of two it loses nothing but gains 1 dB in
 * granularity; measured with the quantiser of codec/learned at 1 to 3 bits a coefficient). */
#define TRELLIS_STEPS 1.6
#define CHUNK 512               /* rows at a time */

/* ---- metric ---- */

/* matrix = vectors^T diag (values^power) vectors, for rows of vectors. */
static gboolean
compose (const double *vectors, const double *values, double power, gsize n,
    double *matrix, GError ** error)
{
  g_autofree double *scaled = rd_linear_new (n, n, "a root", error);

  if (scaled == NULL)
    return FALSE;
  for (gsize i = 0; i < n; i++) {
    const double factor = pow (values[i], power / 2);

    for (gsize j = 0; j < n; j++)
      scaled[i * n + j] = factor * vectors[i * n + j];
  }
  rd_linear_gram (scaled, n, n, matrix);
  rd_linear_mirror (matrix, n);
  return TRUE;
}

/* The gradients' second moment about 0, shrunk; FALSE if it is 0. */
static gboolean
shrink (const RdMoments * gradients, double shrinkage, double *metric)
{
  const gsize n = gradients->width;
  double trace = 0;

  for (gsize i = 0; i < n; i++) {
    for (gsize j = i; j < n; j++)
      metric[i * n + j] = (1 - shrinkage) * gradients->square[i * n + j]
          / (double) gradients->n;
    trace += gradients->square[i * n + i] / (double) gradients->n;
  }
  for (gsize i = 0; i < n; i++)
    metric[i * n + i] += shrinkage * trace / (double) n;
  rd_linear_mirror (metric, n);
  return trace > 0;
}

static gboolean
fill_metric (RdMetric * metric, const RdMoments * gradients, double shrinkage,
    GError ** error)
{
  const gsize n = metric->n;
  g_autofree double *vectors = rd_linear_new (n, n, "a metric", error);
  g_autofree double *values = g_new (double, n);

  if (vectors == NULL)
    return FALSE;
  if (!shrink (gradients, shrinkage, vectors)) {
    g_set_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_FAILED,
        "all gradients are zero: the output does not depend on the hidden "
        "states");
    return FALSE;
  }
  if (!rd_linear_eigen (vectors, n, values, "the gradients' second moment",
          error))
    return FALSE;
  metric->unit = exp2 (-floor (log2 (values[n - 1]) / 2) - LARGEST_ENTRY_LOG2);
  for (gsize i = 0; i < n; i++)
    values[i] *= metric->unit * metric->unit;
  return compose (vectors, values, 0.5, n, metric->root, error)
      && compose (vectors, values, -0.5, n, metric->inverse, error);
}

RdMetric *
rd_metric_new (const RdMoments * gradients, double shrinkage, GError ** error)
{
  g_autoptr (RdMetric) metric = g_new0 (RdMetric, 1);
  const gsize n = gradients->width;

  metric->n = n;
  metric->root = rd_linear_new (n, n, "a metric", error);
  if (metric->root != NULL)
    metric->inverse = rd_linear_new (n, n, "a metric", error);
  if (metric->inverse == NULL
      || !fill_metric (metric, gradients, shrinkage, error))
    return NULL;
  return g_steal_pointer (&metric);
}

void
rd_metric_free (RdMetric * metric)
{
  if (metric == NULL)
    return;
  g_free (metric->root);
  g_free (metric->inverse);
  g_free (metric);
}

/* ---- transform ---- */

/* In the metric's own space the coefficients are the principal components. */
static gboolean
fill_transform (RdTransform * transform, const RdMetric * metric,
    const double *covariance, GError ** error)
{
  const gsize n = transform->n;
  g_autofree double *half = rd_linear_new (n, n, "a transform", error);
  g_autofree double *vectors = rd_linear_new (n, n, "a transform", error);

  if (half == NULL || vectors == NULL)
    return FALSE;
  rd_linear_product (metric->root, covariance, n, n, n, FALSE, half);
  rd_linear_product (half, metric->root, n, n, n, FALSE, vectors);
  if (!rd_linear_eigen (vectors, n, transform->variance,
          "the states' covariance", error))
    return FALSE;
  if (!(transform->variance[0] > 0)) {
    g_set_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_FAILED,
        "all hidden states are the same");
    return FALSE;
  }
  for (gsize i = 0; i < n; i++)
    transform->variance[i] = MAX (transform->variance[i],
        LEAST_VARIANCE * transform->variance[0]);
  rd_linear_product (vectors, metric->root, n, n, n, FALSE,
      transform->analysis);
  rd_linear_product (vectors, metric->inverse, n, n, n, FALSE,
      transform->synthesis);
  return TRUE;
}

RdTransform *
rd_transform_new (const RdMetric * metric, const double *covariance,
    GError ** error)
{
  g_autoptr (RdTransform) transform = g_new0 (RdTransform, 1);
  const gsize n = metric->n;

  transform->n = n;
  transform->variance = g_new0 (double, n);
  transform->analysis = rd_linear_new (n, n, "a transform", error);
  if (transform->analysis != NULL)
    transform->synthesis = rd_linear_new (n, n, "a transform", error);
  if (transform->synthesis == NULL
      || !fill_transform (transform, metric, covariance, error))
    return NULL;
  return g_steal_pointer (&transform);
}

void
rd_transform_free (RdTransform * transform)
{
  if (transform == NULL)
    return;
  g_free (transform->variance);
  g_free (transform->analysis);
  g_free (transform->synthesis);
  g_free (transform);
}

gboolean
rd_transform_apply (const RdTransform * transform, const float *differences,
    gsize n, float *coefficients, GError ** error)
{
  const gsize hidden = transform->n;
  g_autofree double *in = rd_linear_new (CHUNK, hidden, "coefficients", error);
  g_autofree double *out = rd_linear_new (CHUNK, hidden, "coefficients", error);

  if (in == NULL || out == NULL)
    return FALSE;
  for (gsize first = 0; first < n; first += CHUNK) {
    const gsize rows = MIN (CHUNK, n - first), at = first * hidden;

    for (gsize i = 0; i < rows * hidden; i++)
      in[i] = differences[at + i];
    rd_linear_product (in, transform->analysis, rows, hidden, hidden, TRUE,
        out);
    for (gsize i = 0; i < rows * hidden; i++)
      coefficients[at + i] = (float) out[i];
  }
  return TRUE;
}

/* In nats, for a step of 2^@step. */
static double
find_divergence (const RdTransform * transform, const RdMetric * metric,
    double step)
{
  const double width = TRELLIS_STEPS * exp2 (step);
  double sum = 0;

  for (gsize i = 0; i < transform->n; i++)
    sum += MIN (width * width / 12, transform->variance[i]);
  return sum / (2 * metric->unit * metric->unit);
}

gint32
rd_transform_step (const RdTransform * transform, const RdMetric * metric,
    double divergence)
{
  gint32 low = -RD_LEARNED_MAX_STEP, high = RD_LEARNED_MAX_STEP;

  while (high - low > 1) {
    const gint32 middle = low + (high - low) / 2;

    if (find_divergence (transform, metric, middle / 256.0) < divergence)
      low = middle;
    else
      high = middle;
  }
  return low;
}

void
rd_transform_store (const RdTransform * transform, const double *mean,
    RdLearnedSet * set)
{
  const gsize n = transform->n;

  for (gsize i = 0; i < n; i++) {
    const double scale = 256 * log2 (sqrt (transform->variance[i]));

    set->mean[i] = (float) mean[i];
    set->scale[i] = (gint32) CLAMP (rint (scale), -RD_LEARNED_MAX_STEP,
        RD_LEARNED_MAX_STEP);
  }
  for (gsize i = 0; i < n * n; i++)
    set->synthesis[i] = (float) transform->synthesis[i];
}
