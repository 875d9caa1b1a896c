#include "codec/training/dense.h"

#include <math.h>

#include "codec/training/ops.h"
#include "models/sampler.h"

void
rd_dense_lay_out (RdDense * layer, RdArena * arena)
{
  layer->w = rd_arena_take (arena, layer->outputs, layer->inputs);
  layer->b = rd_arena_take (arena, layer->outputs, 1);
  layer->slope = rd_arena_take (arena, layer->outputs, 1);
}

void
rd_dense_start (const RdDense * layer, guint64 seed, guint64 stream, float gain)
{
  const double limit = (double) gain * sqrt (6.0 / (double) layer->inputs);

  for (gsize i = 0; i < layer->outputs * layer->inputs; i++)
    layer->w[i] = (float) (limit * (2 * st_sampler_uniform (seed,
                (stream << 32) + i) - 1));
}

void
rd_dense_parameters (const RdDense * layer, const gchar * name,
    RdParameters * parameters)
{
  const gsize n = rd_arena_padded (layer->outputs);
  g_autofree gchar *weight = g_strconcat (name, ".weight", NULL);
  g_autofree gchar *bias = g_strconcat (name, ".bias", NULL);
  g_autofree gchar *slope = g_strconcat (name, ".slope", NULL);

  rd_parameters_add (parameters, weight, layer->w,
      rd_arena_padded (layer->outputs * layer->inputs), TRUE, 1.0f);
  rd_parameters_add (parameters, bias, layer->b, n, FALSE, 1.0f);
  rd_parameters_add (parameters, slope, layer->slope, n, FALSE, 1.0f);
}

void
rd_relu (float *y, gsize n)
{
  for (gsize i = 0; i < n; i++)
    y[i] = y[i] > 0 ? y[i] : 0;
}

void
rd_relu_backward (const float *y, gsize n, float *d_y)
{
  for (gsize i = 0; i < n; i++)
    d_y[i] = y[i] > 0 ? d_y[i] : 0;
}

static void
bias_backward (const float *d_y, gsize t, gsize n, float level, float *d_b,
    float *d_slope)
{
  for (gsize i = 0; i < t; i++, d_y += n) {
    for (gsize j = 0; j < n; j++) {
      d_b[j] += d_y[j];
      d_slope[j] += level * d_y[j];
    }
  }
}

void
rd_dense_forward (const RdDense * layer, const RdDensePass * pass,
    const float *x, gboolean accumulate, float *y)
{
  const gsize n = layer->outputs;

  for (gsize i = 0; i < pass->t; i++) {
    for (gsize j = 0; j < n; j++)
      y[i * n + j] = (accumulate ? y[i * n + j] : 0) + layer->b[j]
          + pass->level * layer->slope[j];
  }
  rd_linear (x, layer->w, pass->t, n, layer->inputs, TRUE, y);
  if (layer->relu)
    rd_relu (y, pass->t * n);
}

void
rd_dense_backward (const RdDense * layer, const RdDensePass * pass,
    const float *x, const float *y, float *d_y, float *d_x)
{
  const gsize n = layer->outputs, k = layer->inputs;

  if (layer->relu)
    rd_relu_backward (y, pass->t * n, d_y);
  if (pass->gradient != NULL) {
    rd_linear_backward_weight (d_y, x, pass->t, n, k,
        rd_arena_gradient (pass->arena, layer->w, pass->gradient));
    bias_backward (d_y, pass->t, n, pass->level,
        rd_arena_gradient (pass->arena, layer->b, pass->gradient),
        rd_arena_gradient (pass->arena, layer->slope, pass->gradient));
  }
  if (d_x != NULL)
    rd_linear_backward (d_y, layer->w, pass->t, n, k, FALSE, d_x);
}
