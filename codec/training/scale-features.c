#include <math.h>

#include "codec/training/scale-model.h"

/* A symbol over its standard deviation and half a step: about 1 or below at every rate. */
static float
inverse_unit (float nominal)
{
  return 1 / (exp2f (nominal) + 0.5f);
}

void
rd_scale_features (const RdScaleJob * job, gsize d, gsize from, gsize to,
    float *out)
{
  for (gsize t = 0; t < job->n; t++) {
    for (gsize j = from; j < to; j++) {
      const float value = job->symbol[t * d + j]
          * inverse_unit (job->nominal[t * d + j]);

      out[0] = CLAMP (value, -RD_SCALE_FEATURE_MAX, RD_SCALE_FEATURE_MAX);
      out[1] = fabsf (out[0]);
      out += 2;
    }
  }
}

void
rd_scale_features_backward (const RdScaleJob * job, gsize d, gsize from,
    gsize to, const float *d_out, const RdScaleGradient * gradient)
{
  for (gsize t = 0; t < job->n; t++) {
    for (gsize j = from; j < to; j++, d_out += 2) {
      const gsize i = t * d + j;
      const float inverse = inverse_unit (job->nominal[i]);
      const float value = job->symbol[i] * inverse;
      const float d_value = d_out[0] + (value < 0 ? -d_out[1] : d_out[1]);

      if (fabsf (value) >= RD_SCALE_FEATURE_MAX)
        continue;
      gradient->d_symbol[i] += d_value * inverse;
      /* 1 / (s + 1/2) falls with log2 s by ln 2 s / (s + 1/2)^2 */
      gradient->d_nominal[i] -= d_value * value * (float) G_LN2
          * (1 - 0.5f * inverse);
    }
  }
}

void
rd_scale_note_hidden (RdScalePass * pass, const float *hidden, gsize n)
{
  float largest = pass->hidden_max;

  for (gsize i = 0; i < n; i++)
    largest = MAX (largest, hidden[i]);
  pass->hidden_max = largest;
}
