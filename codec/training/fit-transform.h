/* The transform of a codec: decorrelates hidden states under the metric of the output's sensitivity. D = hidden size. */
#pragma once
#include "codec/learned/parameters.h"
#include "codec/training/moments.h"

G_BEGIN_DECLS

/** RdMetric: what a difference of a hidden state costs. With G the second moment of the gradients of sampled losses, the divergence of the
 * next-token distributions behind a difference d is about d^T G d / 2 nats (Amari, Natural gradient works efficiently in learning, 1998). */
typedef struct
{
  gsize n;                      /* D */
  double unit;                  /* the roots are those of unit^2 G: stored numbers keep within the range of F16 */
  double *root, *inverse;       /* (D, D) square root of the metric, and its inverse; symmetric */
} RdMetric;

/** RD_METRIC_SHRINKAGE: how much of the metric is a multiple of the identity with the same trace, because few gradients leave directions
 * without any. */
#define RD_METRIC_SHRINKAGE 0.02

/** rd_metric_new: from gradients, n >= 1. Errors: RD_LINEAR_ERROR. */
RdMetric *rd_metric_new (const RdMoments * gradients, double shrinkage, GError ** error);
void rd_metric_free (RdMetric * metric);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdMetric, rd_metric_free)

/** RdTransform: coefficients that are uncorrelated and count alike. */
typedef struct
{
  gsize n;                      /* D */
  double *variance;             /* (D) of the coefficients, descending; never 0 */
  double *analysis;             /* (D, D) row j: what coefficient j is made of */
  double *synthesis;            /* (D, D) row j: the direction of coefficient j */
} RdTransform;

/** rd_transform_new: for states with @covariance (D, D). Errors: RD_LINEAR_ERROR. */
RdTransform *rd_transform_new (const RdMetric * metric, const double *covariance, GError ** error);
void rd_transform_free (RdTransform * transform);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdTransform, rd_transform_free)

/** rd_transform_apply: coefficients (n, D) of @n @differences (n, D) from the mean; may be the same array. Error RD_LINEAR_ERROR_MEMORY. */
gboolean rd_transform_apply (const RdTransform * transform, const float *differences, gsize n, float *coefficients, GError ** error);

/** rd_transform_step: the trellis' step, as a logarithm in 1/256 octave, at which the divergence is about @divergence nats: each coefficient
 * loses what a step makes of it, or all it has (reverse water-filling: Cover and Thomas, Elements of Information Theory, 10.3). */
gint32 rd_transform_step (const RdTransform * transform, const RdMetric * metric, double divergence);

/** rd_transform_store: @mean, synthesis and scales to @set, whose arrays are allocated. */
void rd_transform_store (const RdTransform * transform, const double *mean, RdLearnedSet * set);

G_END_DECLS
