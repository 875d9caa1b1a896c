#include "codec/training/loss.h"

#include <math.h>

#include "models/kernels/kernels.h"

gdouble
rd_loss_label (float *logits, gsize v, gint32 label)
{
  const gdouble logit = logits[label];
  const gdouble sum = st_softmax (logits, v);

  logits[label] -= 1.0f;
  return sum - logit;
}

/* Rounding may leave @uniform above the sum of all probabilities: the last id that can be drawn stands. */
static gsize
draw (const float *probabilities, gsize v, gdouble uniform)
{
  gdouble sum = 0;
  gsize id = 0;

  for (gsize i = 0; i < v; i++) {
    if (!(probabilities[i] > 0.0f))
      continue;
    id = i;
    sum += probabilities[i];
    if (sum > uniform)
      break;
  }
  return id;
}

gdouble
rd_loss_sampled (float *logits, gsize v, gdouble uniform, gint32 * label)
{
  gdouble loss;
  gsize id;

  st_softmax (logits, v);
  id = draw (logits, v, uniform);
  loss = -log ((gdouble) logits[id]);
  logits[id] -= 1.0f;
  *label = (gint32) id;
  return loss;
}

/* Log-ratios of the probabilities come first and lose the common offset of the logits in double precision: a small divergence is then
 * neither the difference of two large numbers nor below their rounding. */
gdouble
rd_loss_divergence (float *logits, float *teacher, gsize v, float *scratch)
{
  const gdouble offset = st_log_sum_exp (teacher, v) - st_log_sum_exp (logits,
      v);
  gdouble loss = 0;

  for (gsize i = 0; i < v; i++)
    scratch[i] = (float) ((gdouble) teacher[i] - logits[i] - offset);
  st_softmax (teacher, v);
  st_softmax (logits, v);
  for (gsize i = 0; i < v; i++) {
    loss += (gdouble) teacher[i] * scratch[i];
    logits[i] -= teacher[i];
  }
  return loss;
}

gdouble
rd_loss_mixed (float *logits, float *teacher, gsize v, gint32 label,
    float label_weight, float teacher_weight, float *scratch)
{
  const gdouble loss = st_log_sum_exp (logits, v) - logits[label];
  const gdouble divergence = rd_loss_divergence (logits, teacher, v, scratch);

  for (gsize i = 0; i < v; i++)
    logits[i] = teacher_weight * logits[i]
        + label_weight * (logits[i] + teacher[i]);
  logits[label] -= label_weight;
  return (gdouble) label_weight *loss + (gdouble) teacher_weight *divergence;
}
