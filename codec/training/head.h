/* Final norm and output head: losses and their derivatives by the last hidden states and by weights, a few positions at a time, so that
 * never all logits are in memory. */
#pragma once
#include "codec/training/block.h"
#include "codec/training/tail.h"

G_BEGIN_DECLS

typedef struct
{
  gsize rows;                   /* positions at a time */
  float *norm;                  /* (rows, D) */
  float *logits, *teacher;      /* (rows, V) */
  float *difference;            /* (V) */
} RdHeadScratch;

void rd_head_scratch_lay_out (RdHeadScratch * scratch, const RdWeights * weights, RdArena * arena);

/** rd_head_check: whether @job's labels and teacher are such that losses come out of them. Error ST_MODEL_ERROR_INPUT names position and
 * channel. */
gboolean rd_head_check (const RdWeights * weights, const RdTailJob * job, GError ** error);
/** rd_states_check: whether all of x (n, D) are finite; the error calls it @what. */
gboolean rd_states_check (const gchar * what, const float *x, gsize n, gsize hidden, GError ** error);

/** rd_head_run: positions [first, first + rows) of @job, rows <= scratch->rows: writes their losses and sampled labels, adds to its total.
 * y (n, D): hidden states behind the last block; d (n, D) or NULL: the derivative by y; @gradient (may be NULL, read with @d only): the
 * derivatives by norm and head are added to it. Error ST_MODEL_ERROR_INPUT if a loss is not finite. */
gboolean rd_head_run (const RdWeights * weights, const RdHeadScratch * scratch, RdTailJob * job, gsize first, gsize rows, const float *y,
    float *d, const RdGradient * gradient, GError ** error);

G_END_DECLS
