/* One llama block over the rows of a sequence, forward with what the backward pass needs, and backward. */
#pragma once
#include "codec/training/weights.h"

G_BEGIN_DECLS

/** RdBlockKept: activations of one block. Normalised inputs are not kept: they are cheap to compute again. */
typedef struct
{
  float *x;                     /* (T, D) input */
  float *middle;                /* (T, D) behind the attention, input of the second half */
  float *q;                     /* (T, Q) rotated */
  float *k, *v;                 /* (T, K); k rotated */
  float *attention;             /* (T, Q) before the output matrix */
  float *gate, *up;             /* (T, F) */
} RdBlockKept;

/** RdBlockScratch: what blocks leave behind no trace in. */
typedef struct
{
  float *narrow;                /* (T, D) */
  float *wide[2];               /* (T, F) */
  float *d_q, *d_out;           /* (T, Q) */
  float *d_k, *d_v;             /* (T, K) */
  float *scores, *d_scores;     /* (RD_ATTENTION_ROWS, T) */
} RdBlockScratch;

void rd_block_scratch_lay_out (RdBlockScratch * scratch, const RdWeights * weights, RdArena * arena);
/** rd_block_kept_lay_out: all but @x. */
void rd_block_kept_lay_out (RdBlockKept * kept, const RdWeights * weights, RdArena * arena);

/** rd_block_forward: y (T, D) of kept->x, which is filled already; fills the rest of @kept. */
void rd_block_forward (const RdWeights * weights, guint layer, gsize t, RdBlockKept * kept, const RdBlockScratch * scratch, float *y);
/** rd_block_backward: d (T, D): in by the block's output, out by its input. */
void rd_block_backward (const RdWeights * weights, guint layer, gsize t, const RdBlockKept * kept, const RdBlockScratch * scratch, float *d);

G_END_DECLS
