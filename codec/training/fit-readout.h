/* Prediction of hidden states from features that both sides have. D = hidden size. */
#pragma once
#include "codec/training/fit-transform.h"
#include "codec/training/statistics.h"

G_BEGIN_DECLS

/** RdReadout: state = mean + sum over f of feature_f * matrix_f. */
typedef struct
{
  gsize n;                      /* D */
  double ridge;                 /* as part of the features' mean variance; chosen on sequences that are held out */
  double explained;             /* part of the variance under the metric that is predicted, held out */
  double *mean;                 /* (D) */
  double *matrix;               /* (D, D) row f: what feature f adds */
  double *covariance;           /* (D, D) of what is left */
} RdReadout;

/** rd_readout_new: ridge regression on @statistics with features. Errors: RD_LINEAR_ERROR. */
RdReadout *rd_readout_new (const RdMetric * metric, const RdStatistics * statistics, GError ** error);
void rd_readout_free (RdReadout * readout);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdReadout, rd_readout_free)

G_END_DECLS
