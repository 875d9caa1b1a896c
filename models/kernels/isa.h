/* What one instruction set provides: the loops that are worth writing with its vectors. The drivers (matmul.c, attention.c) are
 * compiled once and call through this table, so that blocks, orders and edges are the same for all of them. */
#pragma once
#include "models/kernels/kernels.h"

#if defined (__x86_64__) || defined (__i386__)
#define ST_HAVE_X86
#endif

G_BEGIN_DECLS

/** ST_MAX_VECTORS: lanes of a tile in vectors. */
#define ST_MAX_VECTORS 2

/** StTile: c (rows x lanes, row stride ldc) = or += w (rows x k, row stride ldw) * x (k x lanes, row stride ldx).
 * Every element is one chain of multiply-adds over ascending k, whatever tile it is in. Meanwhile the memory at @ahead is fetched into
 * the cache, @ahead_step bytes for each k; it may be any address. */
typedef void (*StTile) (const float *w, gsize ldw, const float *x, gsize ldx,
    gsize k, float *c, gsize ldc, gboolean accumulate, const guint8 * ahead,
    gsize ahead_step);

typedef struct
{
  const gchar *name;
  gsize lanes;                  /* floats a vector */
  gsize tile_rows;              /* rows of the largest tile */
  /* tile[r - 1][v - 1] makes r rows by v vectors, 1 <= r <= tile_rows. */
  const StTile (*tile)[ST_MAX_VECTORS];

  /* dst[c * ldd + r] = src[r * lds + c] for rows x cols of src; rows up to @width (multiple of lanes, or rows) become zeros. */
  void (*transpose) (const float *src, gsize lds, gsize rows, gsize cols,
      float *dst, gsize ldd, gsize width);
  /* n elements (whole blocks) to float, the same bits as the type's to_float. */
  void (*dequantise) (StType type, const void *src, float *dst, gsize n);
  /* n floats to half precision, to nearest even, the same bits as st_float_to_half(). */
  void (*to_half) (const float *src, guint16 * dst, gsize n);
  /* y[i * ldy + r] = dot product of row r of w and row i of x, each over k in one fixed order. */
  void (*dot) (const float *w, gsize ldw, gsize rows, const float *x,
      gsize ldx, gsize m, gsize k, float *y, gsize ldy);

  void (*rms_norm) (const float *x, const float *weight, gsize n, float eps,
      float *y);
  void (*layer_norm) (const float *x, const float *weight, const float *bias,
      gsize n, float eps, float *y);
  void (*rope) (float *x, gsize n_heads, gsize head_dim, gsize rope_dim,
      const float *cos_table, const float *sin_table, gboolean interleaved);
  void (*swiglu) (float *gate, const float *up, gsize n);
  /* See st_swiglu_backward(). */
  void (*swiglu_backward) (const float *gate, const float *up, gsize n,
      float *d, float *d_up);
  void (*gelu) (float *x, gsize n);
  void (*gelu_backward) (const float *x, gsize n, float *d);
  void (*add) (float *x, const float *y, gsize n);
  /* y (n) += sum of factors[i] * w[i * ldw ...] (n), i < k: each element one chain of multiply-adds over ascending i. */
  void (*add_rows) (float *y, const float *w, gsize ldw, const float *factors, gsize k, gsize n);
  void (*scale) (float *dst, const float *src, gsize n, float factor);
  gdouble (*log_sum_exp) (const float *logits, gsize n);
  /* scores = exp (scores - new maximum); updates the running @max and @sum of the row and returns the factor exp (old - new maximum)
   * that what was summed before has to be multiplied with. */
  float (*softmax) (float *scores, gsize n, float *max, float *sum);
} StIsa;

extern const StIsa st_c_isa;
#ifdef ST_HAVE_X86
extern const StIsa st_avx2_isa;
extern const StIsa st_avx512_isa;
#endif

/** st_isa: the instruction set in use, chosen once. */
const StIsa *st_isa (void);
/** st_isa_supported: every set that this CPU runs, best first, ended by NULL (tests compare them). */
const StIsa *const *st_isa_supported (void);

G_END_DECLS
