/* Losses of one position's next-token distribution, and their derivatives by its logits. V = vocabulary. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** rd_loss_label: -log p (label), @label < @v. @logits (V) become the derivative p - 1[label]. */
gdouble rd_loss_label (float *logits, gsize v, gint32 label);
/** rd_loss_sampled: the same for a label drawn from the distribution itself: the first id at which the cumulative distribution in
 * order of ids passes @uniform in [0, 1). */
gdouble rd_loss_sampled (float *logits, gsize v, gdouble uniform, gint32 * label);
/** rd_loss_divergence: KL (teacher || p) in nats. @logits (V) become the derivative p - p_teacher, @teacher (V), which comes in as
 * logits, its probabilities. @scratch (V). */
gdouble rd_loss_divergence (float *logits, float *teacher, gsize v, float *scratch);
/** rd_loss_mixed: @label_weight * -log p (label) + @teacher_weight * KL (teacher || p). Arrays as of rd_loss_divergence(). */
gdouble rd_loss_mixed (float *logits, float *teacher, gsize v, gint32 label, float label_weight, float teacher_weight, float *scratch);

G_END_DECLS
