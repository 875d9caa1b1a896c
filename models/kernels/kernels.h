/* Compute kernels of the transformer. Every kernel is batch invariant: what it computes for one row has the same bits whatever other
 * rows are in the call and however many threads run it (one machine, one build). SIMD behind run-time dispatch, plain C twins. */
#pragma once
#include <glib.h>
#include "models/gguf/types.h"

G_BEGIN_DECLS

/** StRegime: which of the two summation orders a token's products use (see the design notes in README of models/). */
typedef enum
{
  ST_REGIME_PREFILL,            /* prompt tokens: blocked products over many rows */
  ST_REGIME_STEP,               /* generated tokens: products bound by memory, straight from the stored weights */
} StRegime;

/** StMatrix: a weight matrix as stored, @rows outputs by @cols inputs, row-major, any StType. */
typedef struct
{
  StType type;
  gsize rows;
  gsize cols;
  const void *data;
} StMatrix;

/** StPool: a fixed set of worker threads; one per model, used by one caller at a time. */
typedef struct _StPool StPool;
/** @threads 0 = number of online CPUs. */
StPool *st_pool_new (guint threads);
void st_pool_free (StPool * pool);
guint st_pool_threads (const StPool * pool);
/** st_pool_run: calls @func (index, user_data) for every index below @n, split over the threads, and waits. */
void st_pool_run (StPool * pool, gsize n, void (*func) (gsize index, gpointer user_data), gpointer user_data);

/** st_matmul: y (m x w->rows, row stride ldy) = x (m x w->cols, row stride ldx) * w^T.
 * @cancel (may be NULL) is polled atomically: non-zero makes it return early with y undefined.
 * @deterministic FALSE takes OpenBLAS in the prefill regime (of use where there are no vector kernels for the CPU). */
void st_matmul (StPool * pool, const StMatrix * w, const float *x, gsize m, gsize ldx,
    float *y, gsize ldy, StRegime regime, gboolean deterministic, const gint * cancel);

/** StProduct: one matrix of a group and where its outputs go (row stride @ldy). */
typedef struct
{
  const StMatrix *w;
  float *y;
  gsize ldy;
} StProduct;

/** st_matmul_group: as st_matmul() for @n matrices with the same w->cols and the same @x (queries, keys and values of a layer), whose
 * preparation they share. The bits are those of single products. */
void st_matmul_group (StPool * pool, const StProduct * products, gsize n,
    const float *x, gsize m, gsize ldx, StRegime regime,
    gboolean deterministic, const gint * cancel);

/** st_add_outer: y (m x w->cols, row stride ldy) += x (m x w->rows, row stride ldx) * w, for a matrix w of few rows, as stored in F32, F16 or BF16.
 * One order of summation for both regimes. @cancel as in st_matmul(). */
void st_add_outer (StPool * pool, const StMatrix * w, const float *x, gsize m, gsize ldx, float *y, gsize ldy, const gint * cancel);

/** st_get_row: dequantises row @row of @w (the embedding of a token) to @dst (w->cols floats). */
void st_get_row (const StMatrix * w, gsize row, float *dst);

/** st_floats_to_half: st_float_to_half() of each of @n floats (for the KV cache). */
void st_floats_to_half (const float *src, guint16 * dst, gsize n);

/** st_rms_norm: y = x / sqrt (mean (x^2) + eps) * weight, one row of @n. y may be x. */
void st_rms_norm (const float *x, const float *weight, gsize n, float eps, float *y);

/** st_layer_norm: y = (x - mean (x)) / sqrt (variance (x) + eps) * weight + bias, one row of @n (Ba et al. 2016). y may be x. */
void st_layer_norm (const float *x, const float *weight, const float *bias, gsize n, float eps, float *y);

/** st_rope: rotates @n_heads heads of @head_dim at @x in place by cos/sin (head_dim / 2 each, for this row's position).
 * @interleaved: pairs (2i, 2i+1) as in GGUF llama files; else (i, i + dim/2). */
void st_rope (float *x, gsize n_heads, gsize head_dim, gsize rope_dim, const float *cos_table, const float *sin_table,
    gboolean interleaved);

/** st_swiglu: gate[i] = silu (gate[i]) * up[i]. */
void st_swiglu (float *gate, const float *up, gsize n);
/** st_gelu: x[i] = gelu (x[i]) in its form with tanh (Hendrycks and Gimpel 2016), which GPT-2 has. */
void st_gelu (float *x, gsize n);
/** st_add: x[i] += y[i]. */
void st_add (float *x, const float *y, gsize n);
/** st_swiglu_backward: derivatives of out = st_swiglu (gate, up). @d: in by out, out by gate. @d_up: out, by up. For training. */
void st_swiglu_backward (const float *gate, const float *up, gsize n, float *d, float *d_up);
/** st_gelu_backward: @d: in by st_gelu (x), out by x. For training. */
void st_gelu_backward (const float *x, gsize n, float *d);
/** st_log_sum_exp: log-sum-exp of @n logits (double accumulators, fixed order). */
gdouble st_log_sum_exp (const float *logits, gsize n);
/** st_softmax: @n logits become probabilities, in place. Returns their log-sum-exp (of a float sum). For training. */
gdouble st_softmax (float *logits, gsize n);
/** st_blas_one_thread: holds OpenBLAS to one thread in the whole process. Callers bring threads of their own. */
void st_blas_one_thread (void);

/** StAttention: one layer's causal attention of @m new rows at positions @first .. @first + m - 1, whose keys and values are already in
 * the cache. Cache layout: k and v are [n_kv_heads][capacity][head_dim], F32 or F16. q and out are m x (n_heads * head_dim). */
typedef struct
{
  gsize n_heads, n_kv_heads, head_dim;
  gsize first, m;
  StType cache_type;            /* ST_TYPE_F32 or ST_TYPE_F16 */
  const void *k;
  const void *v;
  gsize capacity;               /* positions between two kv heads */
  const float *q;
  gsize ldq;
  float *out;
  gsize ldo;
  float scale;                  /* 1 / sqrt (head_dim) */
} StAttention;
void st_attention (StPool * pool, const StAttention * a, StRegime regime, const gint * cancel);

/** st_kernels_name: "avx512", "avx2" or "c", what run-time dispatch chose. The environment variable ST_KERNELS forces one. */
const gchar *st_kernels_name (void);

G_END_DECLS
