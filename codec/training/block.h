/* One block over the rows of a sequence, forward with what the backward pass needs, and backward. */
#pragma once
#include "codec/training/adapters.h"

G_BEGIN_DECLS

/** RdBlockKept: activations of one block. Normalised inputs are not kept: they are cheap to compute again. */
typedef struct
{
  float *x;                     /* (T, D) input */
  float *middle;                /* (T, D) behind the attention, input of the second half */
  float *q;                     /* (T, Q) rotated */
  float *k, *v;                 /* (T, K); k rotated */
  float *attention;             /* (T, Q) before the output matrix */
  float *gate, *up;             /* (T, F); without a gate in the family nothing of it */
  float *low[RD_N_GROUPS];      /* (T, RD_GROUP_MAX * r) inside of the adapters; without adapters nothing */
} RdBlockKept;

/** RdBlockScratch: what blocks leave behind no trace in. */
typedef struct
{
  float *narrow[2];             /* (T, D) */
  float *wide[2];               /* (T, F) */
  float *d_q, *d_out;           /* (T, Q) */
  float *d_k, *d_v;             /* (T, K) */
  float *scores, *d_scores;     /* (RD_ATTENTION_ROWS, T) */
  float *d_low;                 /* (T, RD_GROUP_MAX * r) */
} RdBlockScratch;

/** RdBlock: one block and the sequence that runs through it. */
typedef struct
{
  const RdWeights *weights;
  const RdAdapters *adapters;   /* NULL: none */
  guint layer;                  /* of @weights */
  gsize t;                      /* rows */
  float gate;                   /* factor of the adapters */
} RdBlock;

/** rd_block_scratch_lay_out, rd_block_kept_lay_out: for max_tokens rows, @rank 0 without adapters. Kept is all but @x. */
void rd_block_scratch_lay_out (RdBlockScratch * scratch, const RdWeights * weights, guint rank, RdArena * arena);
void rd_block_kept_lay_out (RdBlockKept * kept, const RdWeights * weights, guint rank, RdArena * arena);

/** rd_block_forward: y (T, D) of kept->x, which is filled already; fills the rest of @kept. */
void rd_block_forward (const RdBlock * block, RdBlockKept * kept, const RdBlockScratch * scratch, float *y);
/** rd_block_backward: d (T, D): in by the block's output, out by its input. @gradient NULL: only that. */
void rd_block_backward (const RdBlock * block, const RdBlockKept * kept, const RdBlockScratch * scratch, float *d, RdGradient * gradient);

G_END_DECLS
