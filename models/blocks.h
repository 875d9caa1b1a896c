/* A range of blocks: its tensors in a GGUF file, and its forward pass. Used by model.c; codec/training reads the weights. */
#pragma once
#include "models/family.h"
#include "models/kv-cache.h"
#include "models/model.h"

G_BEGIN_DECLS

/** StBlockMatrix: the matrices of a block, those with the same input next to each other. Only gated families have ST_BLOCK_GATE. */
typedef enum
{
  ST_BLOCK_Q, ST_BLOCK_K, ST_BLOCK_V,
  ST_BLOCK_O,
  ST_BLOCK_GATE, ST_BLOCK_UP,
  ST_BLOCK_DOWN,
  ST_BLOCK_MATRICES
} StBlockMatrix;
#define ST_BLOCK_GROUP_MAX 3    /* matrices with the same input */

/** Name of @matrix in a GGUF file ("attn_q"; also where the file has its rows in attn_qkv) and its shape: no outputs if the family has none
 * such. */
const gchar *st_block_matrix_name (StBlockMatrix matrix);
void st_block_matrix_shape (const StModelConfig * config, StBlockMatrix matrix, gsize * outputs, gsize * inputs);

/** StNorm: (D) each, owned. */
typedef struct
{
  float *weight;
  float *bias;                  /* NULL: none */
} StNorm;

/** StBlock: weights of one block; D = hidden size, Q = n_heads * head_dim, K = n_kv_heads * head_dim, F = ff size. */
typedef struct
{
  StNorm attn_norm, ffn_norm;
  StMatrix matrices[ST_BLOCK_MATRICES]; /* q (Q, D); k, v (K, D); o (D, Q); gate, up (F, D); down (D, F) */
  float *biases[ST_BLOCK_MATRICES];     /* (outputs), owned; NULL: none */
  const StModelAdapter *adapters[ST_BLOCK_MATRICES];    /* NULL: none */
} StBlock;

typedef struct
{
  guint first_block;
  guint n_layers;               /* blocks of the range */
  StBlock *blocks;         /* n_layers, owned */
  gboolean has_embedding;
  StMatrix embedding;           /* (vocab, D) */
  StMatrix positions;           /* (context, D), of a range from block 0 on of a family with learned ones; else no data */
  gboolean has_output;
  StNorm output_norm;
  StMatrix output;              /* (vocab, D); the embedding if the file ties them */
  double *rope_frequency;       /* (rope_dim / 2), radians a position, owned */
  guint64 used_bytes;           /* in the file's own types */
  GPtrArray *used;              /* StTensor * in @gguf, each once */
  gsize adapter_rank;           /* the largest, 0 without adapters */
} StWeights;

/** st_weights_read: finds and checks every tensor that the range of @options needs, and nothing else. Zeroed @weights is
 * filled; clear it with st_weights_clear() also after an error. */
gboolean st_weights_read (StGguf * gguf, const StModelConfig * config, const StModelOptions * options,
    StWeights * weights, GError ** error);
void st_weights_clear (StWeights * weights);
/** st_weights_adapt: gives the blocks their adapters, which must stay. Errors: RANGE for one of a matrix that the whole model does not have,
 * DAMAGED for one of another shape. */
gboolean st_weights_adapt (StWeights * weights, const StModelConfig * config, const StModelAdapters * adapters, GError ** error);
/** st_model_weights: the weights of the model's range, owned by @model. */
const StWeights *st_model_weights (const StModel * model);

/** StScratch: intermediate rows of one chunk. Zeroed at first; grows with st_scratch_reserve(). */
typedef struct
{
  gsize rows;
  float *memory;
  float *norm;                  /* (rows, D) normalised input, then a product's output */
  float *q;                     /* (rows, Q) */
  float *k, *v;                 /* (rows, K) */
  float *attention;             /* (rows, Q) */
  float *gate, *up;             /* (rows, F) */
  float *cosines, *sines;       /* (rows, rope_dim / 2) */
  float *low;                   /* (rows, ST_BLOCK_GROUP_MAX * rank) A x of the adapters of a group */
} StScratch;

/** st_chunk_rows: rows that one chunk may have, so that scratch memory stays bounded. At least 64. @rank: of the adapters, 0 = none. */
gsize st_chunk_rows (const StModelConfig * config, gsize rank);
gboolean st_scratch_reserve (StScratch * scratch, const StModelConfig * config, gsize rank, gsize rows, GError ** error);
void st_scratch_clear (StScratch * scratch);

/** StRun: what the forward functions share. */
typedef struct
{
  const StModelConfig *config;
  const StWeights *weights;
  StScratch *scratch;
  StPool *pool;
  gboolean deterministic;
  const gint *cancel;           /* may be NULL */
  const float *gates;           /* (m) factor of the adapters of each row, or NULL: 1 */
} StRun;

/** st_products: as st_matmul_group() for @n <= ST_BLOCK_GROUP_MAX matrices, with what the adapters of each (NULL: none) add. */
void st_products (const StRun * run, const StProduct * products, const StModelAdapter * const *adapters, gsize n,
    const float *x, gsize m, StRegime regime);

/** st_forward: x (m x D, in place) through the blocks, m <= scratch rows, at positions @first ...; keys and values go to @cache,
 * whose length stays. FALSE if cancelled. */
gboolean st_forward (const StRun * run, StKvCache * cache, gsize first, float *x, gsize m, StRegime regime);
/** st_logits: logits (m x vocab) of x (m x D, not changed), m <= scratch rows. FALSE if cancelled. */
gboolean st_logits (const StRun * run, const float *x, gsize m, StRegime regime, float *logits);

G_END_DECLS
