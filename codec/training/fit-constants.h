/* States that stand for massive activations (Sun et al., Massive Activations in Large Language Models, 2024). D = hidden size. */
#pragma once
#include "codec/training/fit-transform.h"

G_BEGIN_DECLS

/** rd_constants_fit: up to @max means of @rows (n, D), n >= 1, by k-means in the space where the metric is the identity (Lloyd 1982, begun as
 * Arthur and Vassilvitskii's k-means++, 2007, with random numbers that @seed gives). @constants: (max, D) out, @counts (max): rows of each,
 * most first. Returns how many there are, 0 after an error (RD_LINEAR_ERROR). */
guint rd_constants_fit (const RdMetric * metric, const float *rows, gsize n, guint max, guint64 seed, float *constants, gsize * counts,
    GError ** error);

G_END_DECLS
