/* A range of a model's blocks with the activations of one sequence: forward, loss, and back to its input and to all that is trained.
 *
 * A head is the embedding and a range from block 0, a tail a range to the last block with the output head. Both at once, one after the
 * other on the same thread, carry a gradient through whatever stands between them. */
#pragma once
#include "codec/training/block.h"
#include "codec/training/tail.h"

G_BEGIN_DECLS

/** RdRangeOptions: blocks [first_block, last_block) of the model, all of them in the weights. */
typedef struct
{
  guint first_block, last_block;
  gboolean output;              /* rd_range_loss() will be called: memory for some rows of logits */
  gboolean recompute;           /* as in RdTailOptions */
} RdRangeOptions;

/** RdRange: the activations; a thread has its own. Weights and adapters are shared. */
typedef struct _RdRange RdRange;

/** rd_range_new: @weights and @adapters (may be NULL; of the same model) outlive the range. Errors (ST_MODEL_ERROR): RANGE for blocks or an
 * output head that @weights do not have, MEMORY. */
RdRange *rd_range_new (const RdWeights * weights, const RdAdapters * adapters, const RdRangeOptions * options, GError ** error);
void rd_range_free (RdRange * range);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdRange, rd_range_free)

/** rd_embed: x (n, D) = embeddings of @ids, whatever their positions: a range from block 0 on adds learned positions, as st_model_run() does. Errors (ST_MODEL_ERROR): RANGE if @weights have none; INPUT for an id out of the vocabulary. */
gboolean rd_embed (const RdWeights * weights, const gint32 * ids, gsize n, float *x, GError ** error);
/** rd_embed_backward: adds d (n, D), the derivative by those embeddings, to @gradient->weights. The ids are those of rd_embed(). */
void rd_embed_backward (const RdWeights * weights, const gint32 * ids, gsize n, const float *d, const RdGradient * gradient);

/** rd_range_forward: y (n, D; may be x, or NULL) behind the last block, from x (n, D) at positions 0 .. n - 1. The range keeps what the functions
 * below need until the next call. @gate: factor of the adapters, usually 1. Errors (ST_MODEL_ERROR): INPUT for n and values that are not
 * finite; CANCELLED. */
gboolean rd_range_forward (RdRange * range, const float *x, gsize n, float gate, float *y, const gint * cancel, GError ** error);
/** rd_range_loss: loss of the sequence that rd_range_forward() left: @job has its n and what describes the loss, and gets losses, labels and
 * total. @d (n, D; NULL: no derivative): by y. @gradient (may be NULL): of norm and head. Errors as above. */
gboolean rd_range_loss (RdRange * range, RdTailJob * job, float *d, RdGradient * gradient, const gint * cancel, GError ** error);
/** rd_range_backward: d (n, D): in by y, out by x. @gradient (NULL: nothing but d): derivatives by what is trained are added. Error CANCELLED. */
gboolean rd_range_backward (RdRange * range, float *d, RdGradient * gradient, const gint * cancel, GError ** error);

G_END_DECLS
