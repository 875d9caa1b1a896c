/* How well a model predicts a text: log-likelihoods, perplexity, top-1. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  gdouble nll;                   /* sum of negative log-likelihoods, nats */
  guint64 tokens;                /* that were scored */
  guint64 top1;                  /* of them, how often the most likely token was the right one */
  guint64 windows;
} GstRdScore;

/** gst_rd_score_row: log-likelihood of @target under @logits (@n of them), added to @score. Of equal logits the lowest id counts as the
 * most likely. @target must be below @n. */
gdouble gst_rd_score_row (GstRdScore * score, const gfloat * logits, guint n, guint target);
void gst_rd_score_add (GstRdScore * score, const GstRdScore * other);
gdouble gst_rd_score_mean (const GstRdScore * score);
gdouble gst_rd_score_perplexity (const GstRdScore * score);
gdouble gst_rd_score_top1 (const GstRdScore * score);

G_END_DECLS
