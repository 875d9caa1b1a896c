/* Sums over positions and the figures made of them. */
#include "pipelines/eval/sums.h"
#include <math.h>

void
eval_sum_add (EvalSum * sum, const EvalSum * other)
{
  sum->positions += other->positions;
  sum->kl += other->kl;
  sum->agree += other->agree;
  sum->targets += other->targets;
  sum->nll += other->nll;
  sum->nll_ref += other->nll_ref;
  sum->frame_bits += other->frame_bits;
  sum->payload_bits += other->payload_bits;
  sum->id_bits += other->id_bits;
  sum->header_bits += other->header_bits;
  sum->control_bits += other->control_bits;
  sum->ideal_bits += other->ideal_bits;
}

static const gchar *const names[EVAL_N_METRICS] = {
  [EVAL_WIRE_BPT] = "wire_bpt",
  [EVAL_PAYLOAD_BPT] = "payload_bpt",
  [EVAL_IDEAL_BPT] = "ideal_bpt",
  [EVAL_ID_BPT] = "id_bpt",
  [EVAL_HEADER_BPT] = "header_bpt",
  [EVAL_KL] = "kl",
  [EVAL_PPL] = "perplexity",
  [EVAL_PPL_REF] = "reference_perplexity",
  [EVAL_PPL_RATIO] = "perplexity_ratio",
  [EVAL_TOP1] = "top1_agreement",
};

const gchar *
eval_metric_name (EvalMetric metric)
{
  return names[metric];
}

gdouble
eval_metric_value (EvalMetric metric, const EvalSum * sum)
{
  const gdouble n = sum->positions;

  if (n <= 0)
    return NAN;
  switch (metric) {
    case EVAL_WIRE_BPT:
      return (sum->frame_bits + sum->header_bits + sum->control_bits) / n;
    case EVAL_PAYLOAD_BPT:
      return sum->payload_bits / n;
    case EVAL_IDEAL_BPT:
      return sum->ideal_bits / n;
    case EVAL_ID_BPT:
      return sum->id_bits / n;
    case EVAL_HEADER_BPT:
      return sum->header_bits / n;
    case EVAL_KL:
      return sum->kl / n;
    case EVAL_PPL:
      return exp (sum->nll / sum->targets);
    case EVAL_PPL_REF:
      return exp (sum->nll_ref / sum->targets);
    case EVAL_PPL_RATIO:
      return exp ((sum->nll - sum->nll_ref) / sum->targets);
    case EVAL_TOP1:
      return sum->agree / n;
    case EVAL_N_METRICS:
      break;
  }
  return NAN;
}
