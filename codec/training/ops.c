/* Products, RMS norm (Zhang and Sennrich 2019) and rotary positions (Su et al. 2021). */
#include "codec/training/ops.h"

#include <math.h>

#include "models/kernels/kernels.h"

void
rd_linear_by (RdProducts products, const float *x, const float *w, gsize t,
    gsize n, gsize k, gboolean accumulate, float *y)
{
  const RdProduct product = {.left = {x, k, FALSE, t},.right =
      {w, k, FALSE, n},.depth = k,.accumulate = accumulate,.c = y,.stride = n
  };

  rd_product (products, &product);
}

void
rd_linear_backward_by (RdProducts products, const float *d_y, const float *w,
    gsize t, gsize n, gsize k, gboolean accumulate, float *d_x)
{
  const RdProduct product = {.left = {d_y, n, FALSE, t},.right =
      {w, k, TRUE, k},.depth = n,.accumulate = accumulate,.c = d_x,.stride = k
  };

  rd_product (products, &product);
}

void
rd_linear_backward_weight_by (RdProducts products, const float *d_y,
    const float *x, gsize t, gsize n, gsize k, float *d_w)
{
  const RdProduct product = {.left = {d_y, n, TRUE, n},.right =
      {x, k, TRUE, k},.depth = t,.accumulate = TRUE,.c = d_w,.stride = k
  };

  rd_product (products, &product);
}

void
rd_linear (const float *x, const float *w, gsize t, gsize n, gsize k,
    gboolean accumulate, float *y)
{
  rd_linear_by (RD_PRODUCTS_F32, x, w, t, n, k, accumulate, y);
}

void
rd_linear_backward (const float *d_y, const float *w, gsize t, gsize n,
    gsize k, gboolean accumulate, float *d_x)
{
  rd_linear_backward_by (RD_PRODUCTS_F32, d_y, w, t, n, k, accumulate, d_x);
}

void
rd_linear_backward_weight (const float *d_y, const float *x, gsize t, gsize n,
    gsize k, float *d_w)
{
  rd_linear_backward_weight_by (RD_PRODUCTS_F32, d_y, x, t, n, k, d_w);
}

void
rd_norm (const float *x, const float *weight, gsize t, gsize d, float eps,
    float *y)
{
  for (gsize i = 0; i < t; i++)
    st_rms_norm (x + i * d, weight, d, eps, y + i * d);
}

/* 1 / sqrt (mean (x^2) + eps), from the sum of squares. */
static double
norm_scale (double squares, gsize d, float eps)
{
  return 1.0 / sqrt (squares / (double) d + (double) eps);
}

/* With r = 1 / sqrt (mean (x^2) + eps) and y = r * x * w: d_x = r * w * d_y - x * r^3 * mean (w * d_y * x). */
void
rd_norm_backward (const float *x, const float *weight, const float *d_y,
    gsize t, gsize d, float eps, gboolean accumulate, float *d_x)
{
  for (gsize row = 0; row < t; row++, x += d, d_y += d, d_x += d) {
    double squares = 0, along = 0, r;
    float scale, shift;

    for (gsize i = 0; i < d; i++) {
      squares += (double) x[i] * x[i];
      along += (double) x[i] * weight[i] * d_y[i];
    }
    r = norm_scale (squares, d, eps);
    scale = (float) r;
    shift = (float) (r * r * r * along / (double) d);
    for (gsize i = 0; i < d; i++) {
      const float change = scale * weight[i] * d_y[i] - shift * x[i];

      d_x[i] = accumulate ? d_x[i] + change : change;
    }
  }
}

/* d_w = sum over the rows of d_y * r * x. */
void
rd_norm_backward_weight (const float *x, const float *d_y, gsize t, gsize d,
    float eps, float *d_weight)
{
  for (gsize row = 0; row < t; row++, x += d, d_y += d) {
    double squares = 0;
    float scale;

    for (gsize i = 0; i < d; i++)
      squares += (double) x[i] * x[i];
    scale = (float) norm_scale (squares, d, eps);
    for (gsize i = 0; i < d; i++)
      d_weight[i] += scale * x[i] * d_y[i];
  }
}

void
rd_rope (float *x, const float *cosines, const float *sines, gsize t,
    gsize n_heads, gsize head_dim, gsize rope_dim)
{
  const gsize pairs = rope_dim / 2;

  for (gsize i = 0; i < t; i++)
    st_rope (x + i * n_heads * head_dim, n_heads, head_dim, rope_dim,
        cosines + i * pairs, sines + i * pairs, TRUE);
}
