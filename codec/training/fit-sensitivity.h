/* How sensitive the output is to a token's hidden state, predicted from its coefficients. D = hidden size. */
#pragma once
#include "codec/training/fit-transform.h"

G_BEGIN_DECLS

/** RdSensitivityData: rows to learn from. */
typedef struct
{
  gsize n, hidden_size;
  const float *coefficients;    /* (n, D) */
  const double *deviation;      /* (D) of the coefficients */
  const double *sensitivity;    /* (n) >= 0, mean about 1 */
  const guint32 *sequence;      /* (n) rows of some are held out, rd_statistics_is_held_out() */
} RdSensitivityData;

/** RdSensitivityFit: how it went. */
typedef struct
{
  double ridge;                 /* chosen on what is held out */
  double gain;                  /* what the prediction saves of the loss s exp (-p) + p against a constant, held out, in nats */
} RdSensitivityFit;

/** rd_sensitivity_of: of rows' gradients (n, D): the mean square in the space where the metric is the identity, so that the mean over rows
 * is about 1. Errors: RD_LINEAR_ERROR. */
gboolean rd_sensitivity_of (const RdMetric * metric, const float *gradients, gsize n, double *sensitivity, GError ** error);

/** rd_sensitivity_fit: @token_step (D + 2) as in a codec file: log2 of the sensitivity, linear in the coefficients, log2 of their mean
 * square over deviations, and 1. Gamma regression with a logarithmic link (McCullagh and Nelder, Generalized Linear Models, 1989) by
 * scoring, with a ridge. Errors: RD_LINEAR_ERROR. */
gboolean rd_sensitivity_fit (const RdSensitivityData * data, float *token_step, RdSensitivityFit * fit, GError ** error);

G_END_DECLS
