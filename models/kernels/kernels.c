/* The kernels of one row: the chosen instruction set in the default floating-point mode. */
#include "models/kernels/fpmode.h"
#include "models/kernels/isa.h"

#include <math.h>

void
st_get_row (const StMatrix * w, gsize row, float *dst)
{
  const gsize bytes = st_type_row_bytes (w->type, w->cols);
  const StFpMode mode = st_fp_enter ();

  st_isa ()->dequantise (w->type, (const guint8 *) w->data + row * bytes, dst,
      w->cols);
  st_fp_leave (mode);
}

void
st_floats_to_half (const float *src, guint16 * dst, gsize n)
{
  const StFpMode mode = st_fp_enter ();

  st_isa ()->to_half (src, dst, n);
  st_fp_leave (mode);
}

void
st_rms_norm (const float *x, const float *weight, gsize n, float eps, float *y)
{
  const StFpMode mode = st_fp_enter ();

  st_isa ()->rms_norm (x, weight, n, eps, y);
  st_fp_leave (mode);
}

void
st_layer_norm (const float *x, const float *weight, const float *bias, gsize n,
    float eps, float *y)
{
  const StFpMode mode = st_fp_enter ();

  st_isa ()->layer_norm (x, weight, bias, n, eps, y);
  st_fp_leave (mode);
}

void
st_rope (float *x, gsize n_heads, gsize head_dim, gsize rope_dim,
    const float *cos_table, const float *sin_table, gboolean interleaved)
{
  const StFpMode mode = st_fp_enter ();

  st_isa ()->rope (x, n_heads, head_dim, rope_dim, cos_table, sin_table,
      interleaved);
  st_fp_leave (mode);
}

void
st_swiglu (float *gate, const float *up, gsize n)
{
  const StFpMode mode = st_fp_enter ();

  st_isa ()->swiglu (gate, up, n);
  st_fp_leave (mode);
}

void
st_swiglu_backward (const float *gate, const float *up, gsize n, float *d,
    float *d_up)
{
  const StFpMode mode = st_fp_enter ();

  st_isa ()->swiglu_backward (gate, up, n, d, d_up);
  st_fp_leave (mode);
}

void
st_gelu (float *x, gsize n)
{
  const StFpMode mode = st_fp_enter ();

  st_isa ()->gelu (x, n);
  st_fp_leave (mode);
}

void
st_gelu_backward (const float *x, gsize n, float *d)
{
  const StFpMode mode = st_fp_enter ();

  st_isa ()->gelu_backward (x, n, d);
  st_fp_leave (mode);
}

void
st_add (float *x, const float *y, gsize n)
{
  const StFpMode mode = st_fp_enter ();

  st_isa ()->add (x, y, n);
  st_fp_leave (mode);
}

gdouble
st_log_sum_exp (const float *logits, gsize n)
{
  const StFpMode mode = st_fp_enter ();
  const gdouble sum = st_isa ()->log_sum_exp (logits, n);

  st_fp_leave (mode);
  return sum;
}

gdouble
st_softmax (float *logits, gsize n)
{
  const StFpMode mode = st_fp_enter ();
  float max = -INFINITY, sum = 0.0f;

  st_isa ()->softmax (logits, n, &max, &sum);
  st_isa ()->scale (logits, logits, n, 1.0f / sum);
  st_fp_leave (mode);
  return (gdouble) max + log ((gdouble) sum);
}
