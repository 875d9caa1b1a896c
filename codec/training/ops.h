/* Operations of blocks over the rows of one sequence, forward and backward. T rows (tokens); matrices are row-major, weights
 * (outputs, inputs). d_ names the derivative of the loss by what follows. Backward functions give derivatives by activations, those with
 * _weight in their name by weights. */
#pragma once
#include "codec/training/product.h"

G_BEGIN_DECLS

/** rd_linear_by: y (T, N) = or (@accumulate) += x (T, K) w^T, w (N, K). */
void rd_linear_by (RdProducts products, const float *x, const float *w, gsize t, gsize n, gsize k, gboolean accumulate, float *y);
/** rd_linear_backward_by: d_x (T, K) = or += d_y (T, N) w, w (N, K). */
void rd_linear_backward_by (RdProducts products, const float *d_y, const float *w, gsize t, gsize n, gsize k, gboolean accumulate, float *d_x);
/** rd_linear_backward_weight_by: d_w (N, K) += d_y^T (N, T) x (T, K). */
void rd_linear_backward_weight_by (RdProducts products, const float *d_y, const float *x, gsize t, gsize n, gsize k, float *d_w);
/** The same by RD_PRODUCTS_F32. */
void rd_linear (const float *x, const float *w, gsize t, gsize n, gsize k, gboolean accumulate, float *y);
void rd_linear_backward (const float *d_y, const float *w, gsize t, gsize n, gsize k, gboolean accumulate, float *d_x);
void rd_linear_backward_weight (const float *d_y, const float *x, gsize t, gsize n, gsize k, float *d_w);

/** rd_norm: y (T, D) = RMS norm of x (T, D) times weight (D). */
void rd_norm (const float *x, const float *weight, gsize t, gsize d, float eps, float *y);
/** rd_norm_backward: d_x (T, D) = or += from d_y (T, D). d_x may be d_y if not accumulated. */
void rd_norm_backward (const float *x, const float *weight, const float *d_y, gsize t, gsize d, float eps, gboolean accumulate, float *d_x);
/** rd_norm_backward_weight: d_weight (D) += from d_y (T, D). */
void rd_norm_backward_weight (const float *x, const float *d_y, gsize t, gsize d, float eps, float *d_weight);

/** rd_layer_norm: y (T, D) = LayerNorm of x (T, D) times weight (D) plus bias (D). */
void rd_layer_norm (const float *x, const float *weight, const float *bias, gsize t, gsize d, float eps, float *y);
/** rd_layer_norm_backward: d_x (T, D) = or += from d_y (T, D). d_x may be d_y if not accumulated. */
void rd_layer_norm_backward (const float *x, const float *weight, const float *d_y, gsize t, gsize d, float eps, gboolean accumulate,
    float *d_x);
/** rd_layer_norm_backward_weight: d_weight (D) += from d_y (T, D). The derivative by the bias is rd_bias_backward_weight(). */
void rd_layer_norm_backward_weight (const float *x, const float *d_y, gsize t, gsize d, float eps, float *d_weight);

/** rd_bias: y (T, N) += bias (N) in each row. */
void rd_bias (const float *bias, gsize t, gsize n, float *y);
/** rd_bias_backward_weight: d_bias (N) += the rows of d_y (T, N). */
void rd_bias_backward_weight (const float *d_y, gsize t, gsize n, float *d_bias);

/** rd_rope: rotates x (T, n_heads * head_dim) in place, pairs (2i, 2i + 1), by the rows of cosines and sines (T, rope_dim / 2). The
 * backward pass is the same with the sines negated. */
void rd_rope (float *x, const float *cosines, const float *sines, gsize t, gsize n_heads, gsize head_dim, gsize rope_dim);

/** RdAttention: causal attention of T positions, query head h over key and value head h / (n_heads / n_kv_heads).
 * Q = n_heads * head_dim, K = n_kv_heads * head_dim. */
typedef struct
{
  gsize t, n_heads, n_kv_heads, head_dim;
  const float *q;               /* (T, Q) */
  const float *k, *v;           /* (T, K) */
  float *scores, *d_scores;     /* (RD_ATTENTION_ROWS, T) scratch; d_scores backward only */
} RdAttention;

/** RD_ATTENTION_ROWS: query positions whose scores are in memory at once. */
#define RD_ATTENTION_ROWS 128

/** rd_attention: out (T, Q). */
void rd_attention (const RdAttention * attention, float *out);
/** rd_attention_backward: d_q (T, Q), d_k and d_v (T, K) from d_out (T, Q). Computes the scores again. */
void rd_attention_backward (const RdAttention * attention, const float *d_out, float *d_q, float *d_k, float *d_v);

G_END_DECLS
