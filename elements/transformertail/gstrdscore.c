/* How well a model predicts a text. */
#include "elements/transformertail/gstrdscore.h"
#include "models/kernels/kernels.h"
#include <math.h>

gdouble
gst_rd_score_row (GstRdScore * score, const gfloat * logits, guint n,
    guint target)
{
  gdouble ll = (gdouble) logits[target] - st_log_sum_exp (logits, n);
  guint best = 0;

  for (guint i = 1; i < n; i++) {
    if (logits[i] > logits[best])
      best = i;
  }
  score->nll -= ll;
  score->tokens++;
  score->top1 += best == target;
  return ll;
}

void
gst_rd_score_add (GstRdScore * score, const GstRdScore * other)
{
  score->nll += other->nll;
  score->tokens += other->tokens;
  score->top1 += other->top1;
  score->windows += other->windows;
}

gdouble
gst_rd_score_mean (const GstRdScore * score)
{
  return score->tokens ? score->nll / (gdouble) score->tokens : 0;
}

gdouble
gst_rd_score_perplexity (const GstRdScore * score)
{
  return score->tokens ? exp (gst_rd_score_mean (score)) : 0;
}

gdouble
gst_rd_score_top1 (const GstRdScore * score)
{
  return score->tokens ? (gdouble) score->top1 / (gdouble) score->tokens : 0;
}
