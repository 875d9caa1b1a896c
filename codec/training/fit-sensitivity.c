#include "codec/training/fit-sensitivity.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "codec/training/linear.h"
#include "codec/training/statistics.h"

#define CHUNK 512               /* rows at a time */
#define MAX_STEPS 60
#define MAX_HALVINGS 30
/* A constant is there before anything is learnt, and is no part of the ridge. */
#define FREE_RIDGE 1e-9

gboolean
rd_sensitivity_of (const RdMetric * metric, const float *gradients, gsize n,
    double *sensitivity, GError ** error)
{
  const gsize hidden = metric->n;
  g_autofree double *in = rd_linear_new (CHUNK, hidden, "gradients", error);
  g_autofree double *out = rd_linear_new (CHUNK, hidden, "gradients", error);
  const double scale = metric->unit * metric->unit / (double) hidden;

  if (in == NULL || out == NULL)
    return FALSE;
  for (gsize first = 0; first < n; first += CHUNK) {
    const gsize rows = MIN (CHUNK, n - first);

    for (gsize i = 0; i < rows * hidden; i++)
      in[i] = gradients[first * hidden + i];
    rd_linear_product (in, metric->inverse, rows, hidden, hidden, FALSE, out);
    for (gsize i = 0; i < rows; i++)
      sensitivity[first + i] = scale * cblas_ddot ((blasint) hidden,
          out + i * hidden, 1, out + i * hidden, 1);
  }
  return TRUE;
}

/* ---- one regression ---- */

/* Which rows a sum goes over. */
typedef enum
{
  PART_FIT,
  PART_HELD_OUT,
  PART_ALL,
} Part;

typedef struct
{
  const RdSensitivityData *data;
  gsize n;                      /* D + 2 */
  double *rows;                 /* (CHUNK, n) predictors */
  double *target;               /* (CHUNK) */
} Work;

static void
fill_row (const RdSensitivityData * data, gsize index, double *row)
{
  const gsize hidden = data->hidden_size;
  const float *coefficients = data->coefficients + index * hidden;
  double sum = 0;

  for (gsize j = 0; j < hidden; j++) {
    row[j] = coefficients[j] / data->deviation[j];
    sum += row[j] * row[j];
  }
  row[hidden] = log (MAX (sum / (double) hidden, 1e-12));
  row[hidden + 1] = 1;
}

/* The next rows of @part from *@at on. Returns how many, 0 at the end. */
static gsize
next_chunk (Work * work, Part part, gsize * at)
{
  const RdSensitivityData *data = work->data;
  gsize n = 0;

  for (; *at < data->n && n < CHUNK; ++*at) {
    if (part != PART_ALL && (part == PART_HELD_OUT)
        != rd_statistics_is_held_out (data->sequence[*at]))
      continue;
    work->target[n] = data->sensitivity[*at];
    fill_row (data, *at, work->rows + n++ * work->n);
  }
  return n;
}

static gsize
sum_gram (Work * work, Part part, double *gram)
{
  gsize at = 0, n, total = 0;

  while ((n = next_chunk (work, part, &at)) > 0) {
    rd_linear_gram (work->rows, n, work->n, gram);
    total += n;
  }
  return total;
}

/* Mean of s exp (-p) + p over @part, and, unless NULL, the sum of (s exp (-p) - 1) times the predictors. */
static double
evaluate (Work * work, Part part, const double *weights, double *slope)
{
  const blasint cols = (blasint) work->n;
  double p[CHUNK], loss = 0;
  gsize at = 0, n, total = 0;

  if (slope != NULL)
    memset (slope, 0, work->n * sizeof (double));
  while ((n = next_chunk (work, part, &at)) > 0) {
    cblas_dgemv (CblasRowMajor, CblasNoTrans, (blasint) n, cols, 1, work->rows,
        cols, weights, 1, 0, p, 1);
    for (gsize i = 0; i < n; i++) {
      const double ratio = work->target[i] * exp (-p[i]);

      loss += ratio + p[i];
      p[i] = ratio - 1;
    }
    if (slope != NULL)
      cblas_dgemv (CblasRowMajor, CblasTrans, (blasint) n, cols, 1, work->rows,
          cols, p, 1, 1, slope, 1);
    total += n;
  }
  return loss / (double) MAX (total, 1);
}

static double
penalty (const Work * work, const double *weights, double ridge)
{
  double sum = 0;

  for (gsize i = 0; i < work->n - 1; i++)
    sum += weights[i] * weights[i];
  return ridge / 2 * sum;
}

/* Tries @step whole, then halves of it, until the loss falls. */
static gboolean
descend (Work * work, Part part, double ridge, const double *step,
    double *weights, double *loss)
{
  g_autofree double *tried = g_new0 (double, work->n);
  double factor = 1;

  for (guint i = 0; i < MAX_HALVINGS; i++, factor /= 2) {
    double found;

    for (gsize j = 0; j < work->n; j++)
      tried[j] = weights[j] + factor * step[j];
    found = evaluate (work, part, tried, NULL) + penalty (work, tried, ridge);
    if (found < *loss) {
      memcpy (weights, tried, work->n * sizeof (double));
      *loss = found;
      return TRUE;
    }
  }
  return FALSE;
}

/* The best weights under a ridge, from those in @weights on. @gram: of @total rows of the part. */
static gboolean
regress (Work * work, Part part, const double *gram, gsize total, double ridge,
    double *weights, GError ** error)
{
  const gsize n = work->n;
  g_autofree double *factor = g_memdup2 (gram, n * n * sizeof (double));
  g_autofree double *step = g_new (double, n);
  double loss = evaluate (work, part, weights, NULL)
      + penalty (work, weights, ridge);

  for (gsize i = 0; i < n; i++)
    factor[i * n + i] += (double) total *(i < n - 1 ? ridge : FREE_RIDGE);
  if (!rd_linear_factor (factor, n, "the prediction of sensitivities", error))
    return FALSE;
  for (guint i = 0; i < MAX_STEPS; i++) {
    const double before = loss;

    evaluate (work, part, weights, step);
    for (gsize j = 0; j < n - 1; j++)
      step[j] -= (double) total *ridge * weights[j];
    rd_linear_solve (factor, n, step, 1);
    if (!descend (work, part, ridge, step, weights, &loss)
        || before - loss < 1e-7)
      break;
  }
  return TRUE;
}

/* ---- choice of the ridge ---- */

static gboolean
choose (Work * work, double *weights, RdSensitivityFit * fit, GError ** error)
{
  static const double ridges[] = { 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001 };
  const gsize n = work->n;
  g_autofree double *gram = rd_linear_new (n, n, "sensitivities", error);
  g_autofree double *tried = g_new0 (double, n);
  double best = evaluate (work, PART_HELD_OUT, tried, NULL);
  const double constant = best;
  gsize total;

  if (gram == NULL)
    return FALSE;
  total = sum_gram (work, PART_FIT, gram);
  fit->ridge = ridges[0];
  for (guint i = 0; i < G_N_ELEMENTS (ridges); i++) {
    double loss;

    if (!regress (work, PART_FIT, gram, total, ridges[i], tried, error))
      return FALSE;
    loss = evaluate (work, PART_HELD_OUT, tried, NULL);
    if (loss > best)
      break;
    best = loss;
    fit->ridge = ridges[i];
    memcpy (weights, tried, n * sizeof (double));
  }
  fit->gain = constant - best;
  return TRUE;
}

static gboolean
fit_all (Work * work, double *weights, RdSensitivityFit * fit, GError ** error)
{
  const gsize n = work->n;
  g_autofree double *gram = rd_linear_new (n, n, "sensitivities", error);
  gsize total;

  if (gram == NULL || !choose (work, weights, fit, error))
    return FALSE;
  total = sum_gram (work, PART_ALL, gram);
  return regress (work, PART_ALL, gram, total, fit->ridge, weights, error);
}

gboolean
rd_sensitivity_fit (const RdSensitivityData * data, float *token_step,
    RdSensitivityFit * fit, GError ** error)
{
  const gsize hidden = data->hidden_size, n = hidden + 2;
  g_autofree double *weights = g_new0 (double, n);
  g_autofree double *rows = rd_linear_new (CHUNK, n, "predictors", error);
  double target[CHUNK];
  Work work = { data, n, rows, target };

  if (rows == NULL || !fit_all (&work, weights, fit, error))
    return FALSE;
  for (gsize j = 0; j < hidden; j++)
    token_step[j] = (float) (weights[j] / data->deviation[j] / G_LN2);
  /* log2 (s) = ln (s) / ln 2, and ln (m) = ln 2 log2 (m) */
  token_step[hidden] = (float) weights[hidden];
  token_step[hidden + 1] = (float) (weights[hidden + 1] / G_LN2);
  return TRUE;
}
