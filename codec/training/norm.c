#include "codec/training/norm.h"

#include "codec/training/ops.h"
#include "models/family.h"

void
rd_norm_forward (const RdWeights * weights, const RdNorm * norm,
    const float *x, gsize t, float *y)
{
  const StModelConfig *config = &weights->config;

  if (config->family->layer_norm)
    rd_layer_norm (x, norm->weight, norm->bias, t, config->hidden_size,
        config->norm_eps, y);
  else
    rd_norm (x, norm->weight, t, config->hidden_size, config->norm_eps, y);
}

static void
add_gradient (const RdWeights * weights, const RdNorm * norm, const float *x,
    const float *d_y, gsize t, float *gradient)
{
  const gsize hidden = weights->config.hidden_size;
  const float eps = weights->config.norm_eps;
  float *d_weight = rd_weights_gradient (weights, norm->weight, gradient);

  if (weights->config.family->layer_norm)
    rd_layer_norm_backward_weight (x, d_y, t, hidden, eps, d_weight);
  else
    rd_norm_backward_weight (x, d_y, t, hidden, eps, d_weight);
  if (norm->bias != NULL)
    rd_bias_backward_weight (d_y, t, hidden,
        rd_weights_gradient (weights, norm->bias, gradient));
}

void
rd_norm_back (const RdWeights * weights, const RdNorm * norm, const float *x,
    const float *d_y, gsize t, gboolean accumulate, float *d_x, float *gradient)
{
  const StModelConfig *config = &weights->config;

  if (gradient != NULL)
    add_gradient (weights, norm, x, d_y, t, gradient);
  if (config->family->layer_norm)
    rd_layer_norm_backward (x, norm->weight, d_y, t, config->hidden_size,
        config->norm_eps, accumulate, d_x);
  else
    rd_norm_backward (x, norm->weight, d_y, t, config->hidden_size,
        config->norm_eps, accumulate, d_x);
}
