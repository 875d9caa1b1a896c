/* The norms of a model, whatever its family has. */
#pragma once
#include "codec/training/weights.h"

G_BEGIN_DECLS

/** rd_norm_forward: y (T, D) of x (T, D) by @norm of @weights. */
void rd_norm_forward (const RdWeights * weights, const RdNorm * norm, const float *x, gsize t, float *y);
/** rd_norm_back: d_x (T, D) = or (@accumulate) += from d_y (T, D); adds the derivatives by @norm to @gradient (n_values of @weights; NULL: none). d_x
 * may be d_y if not accumulated. */
void rd_norm_back (const RdWeights * weights, const RdNorm * norm, const float *x, const float *d_y, gsize t, gboolean accumulate,
    float *d_x, float *gradient);

G_END_DECLS
