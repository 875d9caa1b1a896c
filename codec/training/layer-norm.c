/* LayerNorm (Ba et al. 2016), and biases. */
#include <math.h>

#include "codec/training/ops.h"
#include "models/kernels/kernels.h"

void
rd_layer_norm (const float *x, const float *weight, const float *bias,
    gsize t, gsize d, float eps, float *y)
{
  for (gsize i = 0; i < t; i++)
    st_layer_norm (x + i * d, weight, bias, d, eps, y + i * d);
}

/* Mean of a row, and 1 / sqrt (variance + eps). */
static double
row_scale (const float *x, gsize d, float eps, double *mean)
{
  double sum = 0, squares = 0;

  for (gsize i = 0; i < d; i++)
    sum += (double) x[i];
  *mean = sum / (double) d;
  for (gsize i = 0; i < d; i++)
    squares += ((double) x[i] - *mean) * ((double) x[i] - *mean);
  return 1.0 / sqrt (squares / (double) d + (double) eps);
}

/* With n = r * (x - mean), r = 1 / sqrt (variance + eps), y = n * w + b and g = w * d_y: d_x = r * (g - mean (g) - n * mean (g * n)). */
void
rd_layer_norm_backward (const float *x, const float *weight, const float *d_y,
    gsize t, gsize d, float eps, gboolean accumulate, float *d_x)
{
  for (gsize row = 0; row < t; row++, x += d, d_y += d, d_x += d) {
    double mean, sum = 0, along = 0;
    const double r = row_scale (x, d, eps, &mean);

    for (gsize i = 0; i < d; i++) {
      const double g = (double) weight[i] * d_y[i];

      sum += g;
      along += g * r * ((double) x[i] - mean);
    }
    sum /= (double) d;
    along /= (double) d;
    for (gsize i = 0; i < d; i++) {
      const double n = r * ((double) x[i] - mean);
      const float change =
          (float) (r * ((double) weight[i] * d_y[i] - sum - n * along));

      d_x[i] = accumulate ? d_x[i] + change : change;
    }
  }
}

void
rd_layer_norm_backward_weight (const float *x, const float *d_y, gsize t,
    gsize d, float eps, float *d_weight)
{
  for (gsize row = 0; row < t; row++, x += d, d_y += d) {
    double mean;
    const double r = row_scale (x, d, eps, &mean);

    for (gsize i = 0; i < d; i++)
      d_weight[i] += (float) (r * ((double) x[i] - mean)) * d_y[i];
  }
}

void
rd_bias (const float *bias, gsize t, gsize n, float *y)
{
  for (gsize i = 0; i < t; i++)
    st_add (y + i * n, bias, n);
}

void
rd_bias_backward_weight (const float *d_y, gsize t, gsize n, float *d_bias)
{
  for (gsize i = 0; i < t; i++)
    st_add (d_bias, d_y + i * n, n);
}
