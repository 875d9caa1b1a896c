/* Losses of a model's tail and their gradient by the hidden states it starts from.
 *
 * The tail is what an StModel opened with first_block = k and output = TRUE holds: blocks k to the end, final norm, output head. Its
 * weights are frozen; gradients are those of activations. */
#pragma once
#include "codec/training/weights.h"

G_BEGIN_DECLS

typedef enum
{
  RD_LOSS_SAMPLED,              /* -log p of a label drawn from the tail's own distribution: gradients have the Fisher metric as second moment */
  RD_LOSS_LABELS,               /* -log p of given labels */
  RD_LOSS_TEACHER,              /* KL (teacher || p) in nats, the teacher given by its last hidden states */
  RD_LOSS_MIXED,                /* label_weight * -log p of given labels + teacher_weight * KL (teacher || p) */
} RdLoss;

/** RdTailJob: one sequence from position 0 on; D = hidden size. Zero it, set what is wanted. The arrays are the caller's. */
typedef struct
{
  gsize n;                      /* positions, 1 .. max_tokens */
  const float *x;               /* (n, D) hidden states before block first_block */
  RdLoss loss;
  guint64 seed;                 /* SAMPLED: with the position all that a random number depends on */
  const gint32 *labels;         /* LABELS, MIXED: (n), the token that follows each position */
  const float *teacher;         /* TEACHER, MIXED: (n, D) hidden states behind the last block, as st_model_run() or @y gives them */
  const RdWeights *teacher_head;        /* TEACHER, MIXED: norm and output head that make the teacher's distribution; NULL: the tail's own */
  float label_weight, teacher_weight;   /* MIXED */

  gint32 *sampled;              /* SAMPLED: (n) out, the labels that were drawn, or NULL */
  float *y;                     /* (n, D) out, hidden states behind the last block, or NULL */
  float *gradient;              /* (n, D) out, derivative of @total by x, or NULL: nothing is propagated back. May be @x */
  gdouble *losses;              /* (n) out, or NULL */
  gdouble total;                /* out: sum of all positions' losses */
} RdTailJob;

/** RdTailOptions: all zero but max_tokens is usual. */
typedef struct
{
  gsize max_tokens;             /* longest sequence, 1 .. the model's context */
  guint threads;                /* 0 = all CPUs; each takes whole jobs and has activations of its own */
  gboolean recompute;           /* keep blocks' inputs only and run each block again in the backward pass: a seventh of the memory for 20
                                 * blocks, 4/5 of the speed */
} RdTailOptions;

typedef struct _RdTail RdTail;

/** rd_tail_new: converts the weights of @model to F32 (referenced, read once) and reserves memory for @options->threads sequences: each
 * max_tokens * (layers * (2 D + 2 Q + 2 K + 2 F) + ...) floats. Sets OpenBLAS to one thread. Used by one caller at a time.
 * Errors (ST_MODEL_ERROR): RANGE without output head, INPUT for max_tokens, MEMORY. */
RdTail *rd_tail_new (StModel * model, const RdTailOptions * options, GError ** error);
void rd_tail_free (RdTail * tail);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdTail, rd_tail_free)

/** rd_tail_threads: how many jobs run at once. */
guint rd_tail_threads (const RdTail * tail);

/** rd_tail_run: runs @n_jobs jobs. A job's results have the same bits whatever the other jobs and the number of threads (one machine and
 * build). @cancel is polled at every block, may be NULL. After an error the jobs' outputs are undefined. Errors (ST_MODEL_ERROR): INPUT
 * names the job, and position and channel of a value that is not finite or a label outside of the vocabulary; CANCELLED. */
gboolean rd_tail_run (RdTail * tail, RdTailJob * jobs, gsize n_jobs, const gint * cancel, GError ** error);

G_END_DECLS
