/* The network that makes latents of a token's coefficients: projections D -> D / 2 -> D / 4 -> D / 8 -> latents with a transformer block behind each but the last.
 * Encoders alone run it. T rows; rows of a window see those before them. */
#pragma once
#include "codec/training/dense.h"

G_BEGIN_DECLS

#define RD_ANALYSIS_BLOCKS 3

/** RdAnalysisBlock: x + attention (norm (x)), then x + down (ReLU (up (norm (x)))). W = width. */
typedef struct
{
  gsize width, heads;
  float *norm[2];               /* (W) */
  float *q, *k, *v, *o;         /* (W, W) */
  RdDense up, down;             /* W -> 2 W -> W */
} RdAnalysisBlock;

typedef struct
{
  RdDense in[RD_ANALYSIS_BLOCKS + 1];   /* the last one makes the latents */
  RdAnalysisBlock blocks[RD_ANALYSIS_BLOCKS];
} RdAnalysis;

/** RdAnalysisKept: of one block. (T, W) each. */
typedef struct
{
  float *x, *q, *k, *v, *attention, *middle;
  float *normed[2];
  float *up;                    /* (T, 2 W) */
  float *y;
} RdAnalysisKept;

/** RdAnalysisScratch: (T, W) of the widest block. */
typedef struct
{
  RdAnalysisKept kept[RD_ANALYSIS_BLOCKS];
  float *d[2], *part, *d_q, *d_k, *d_v;
  float *d_up;                  /* (T, 2 W) */
  float *scores, *d_scores;     /* (RD_ATTENTION_ROWS, RD_SCALE_WINDOW) */
} RdAnalysisScratch;

/** rd_analysis_lay_out: for @inputs features, a hidden size @hidden_size and @outputs latents. */
void rd_analysis_lay_out (RdAnalysis * analysis, gsize hidden_size, gsize inputs, gsize outputs, RdArena * arena);
/** rd_analysis_start: latents of standard deviation about @deviation. */
void rd_analysis_start (const RdAnalysis * analysis, guint64 seed, float deviation);
/** rd_analysis_follow: after rd_analysis_start(), for inputs that are features and their magnitudes in turn: latent b becomes gain[b] times what the mean
 * magnitude of the b-th of as many bands as there are latents is above the usual one; blocks add nothing. @usual: (2, outputs), at two @levels, as RdDensePass
 * has it. The narrowest block is as wide as there are latents, at least. */
void rd_analysis_follow (const RdAnalysis * analysis, const float *usual, const float levels[2], const float *gain);
void rd_analysis_parameters (const RdAnalysis * analysis, RdParameters * parameters);
void rd_analysis_scratch_lay_out (RdAnalysisScratch * scratch, const RdAnalysis * analysis, gsize t, RdArena * arena);

/** rd_analysis_forward: z (T, outputs) from x (T, inputs); windows of @window rows, at most RD_SCALE_WINDOW. */
void rd_analysis_forward (const RdAnalysis * analysis, const RdDensePass * rows, gsize window, const float *x, RdAnalysisScratch * scratch,
    float *z);
/** rd_analysis_backward: from d_z (T, outputs), with what forward left. d_x (T, inputs) =. */
void rd_analysis_backward (const RdAnalysis * analysis, const RdDensePass * rows, gsize window, const float *x, RdAnalysisScratch * scratch,
    float *d_z, float *d_x);

G_END_DECLS
