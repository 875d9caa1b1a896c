/* A plain forward pass of llama and GPT-2 blocks in double precision, written from the formulas: what float results and gradients by finite
 * differences are compared with. Row-major; T rows; weights (outputs, inputs). */
#pragma once
#include "models/model.h"

G_BEGIN_DECLS

/** y (T, N) = x (T, K) w^T (N, K). */
void st_double_linear (const double *x, const double *w, gsize t, gsize n, gsize k, double *y);
/** y (T, D) = x / sqrt (mean (x^2) + eps) * weight (D). */
void st_double_norm (const double *x, const double *weight, gsize t, gsize d, double eps, double *y);
/** y (T, D) = (x - mean (x)) / sqrt (variance (x) + eps) * weight (D) + bias (D). */
void st_double_layer_norm (const double *x, const double *weight, const double *bias, gsize t, gsize d, double eps, double *y);
/** Rotates pairs (2i, 2i + 1) of the first @rope_dim of each head of x (T, heads * head_dim) by row * frequency[i]. */
void st_double_rope (double *x, const double *frequency, gsize t, gsize heads, gsize head_dim, gsize rope_dim);
/** Causal attention: q and out (T, heads * head_dim), k and v (T, kv_heads * head_dim). */
void st_double_attention (const double *q, const double *k, const double *v, gsize t, gsize heads, gsize kv_heads, gsize head_dim,
    double *out);
/** y[i] = silu (gate[i]) * up[i]. */
void st_double_swiglu (const double *gate, const double *up, gsize n, double *y);
/** y[i] = x[i] / 2 (1 + tanh (sqrt (2 / pi) (x[i] + 0.044715 x[i]^3))). */
void st_double_gelu (const double *x, gsize n, double *y);
/** Log-probabilities of @n logits, in place. */
void st_double_log_softmax (double *logits, gsize n);

/** StDoubleTail: blocks and output head of an StModel that was opened with them. */
typedef struct _StDoubleTail StDoubleTail;
StDoubleTail *st_double_tail_new (StModel * model);
void st_double_tail_free (StDoubleTail * tail);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (StDoubleTail, st_double_tail_free)
/** Array of the tail by its tensor's name in a GGUF file (of a tied output matrix: output.weight), and how long it is; NULL if there is
 * none. May be changed. */
double *st_double_tail_find (const StDoubleTail * tail, const gchar * name, gsize * n);
/** y (T, D) behind the last block, from x (T, D) at positions 0 ..., to which block 0 of a model adds learned ones; y may be x. */
void st_double_tail_run (const StDoubleTail * tail, const double *x, gsize t, double *y);
/** The same through blocks @first .. @last - 1 of the tail alone, counted from its own first. */
void st_double_tail_run_blocks (const StDoubleTail * tail, guint first, guint last, const double *x, gsize t, double *y);
/** logp (T, V): next-token log-probabilities of y (T, D). */
void st_double_tail_head (const StDoubleTail * tail, const double *y, gsize t, double *logp);

G_END_DECLS
