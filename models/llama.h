/* The llama architecture: its keys and tensors in a GGUF file, and the forward pass of a range of blocks. Used by model.c;
 * codec/training reads the weights. */
#pragma once
#include "models/kv-cache.h"
#include "models/model.h"

G_BEGIN_DECLS

/** StLlamaMatrix: the matrices of a block, those with the same input next to each other. */
typedef enum
{
  ST_LLAMA_Q, ST_LLAMA_K, ST_LLAMA_V,
  ST_LLAMA_O,
  ST_LLAMA_GATE, ST_LLAMA_UP,
  ST_LLAMA_DOWN,
  ST_LLAMA_MATRICES
} StLlamaMatrix;
#define ST_LLAMA_GROUP_MAX 3    /* matrices with the same input */

/** Name of @matrix in a GGUF file ("attn_q") and its shape. */
const gchar *st_llama_matrix_name (StLlamaMatrix matrix);
void st_llama_matrix_shape (const StModelConfig * config, StLlamaMatrix matrix, gsize * outputs, gsize * inputs);

/** StLlamaBlock: weights of one block; D = hidden size, Q = n_heads * head_dim, K = n_kv_heads * head_dim, F = ff size. */
typedef struct
{
  float *attn_norm;             /* (D), owned */
  float *ffn_norm;              /* (D), owned */
  StMatrix q;                   /* (Q, D) */
  StMatrix k, v;                /* (K, D) */
  StMatrix o;                   /* (D, Q) */
  StMatrix gate, up;            /* (F, D) */
  StMatrix down;                /* (D, F) */
  const StModelAdapter *adapters[ST_LLAMA_MATRICES];    /* NULL: none */
} StLlamaBlock;

typedef struct
{
  guint first_block;
  guint n_layers;               /* blocks of the range */
  StLlamaBlock *blocks;         /* n_layers, owned */
  gboolean has_embedding;
  StMatrix embedding;           /* (vocab, D) */
  gboolean has_output;
  float *output_norm;           /* (D), owned */
  StMatrix output;              /* (vocab, D); the embedding if the file ties them */
  double *rope_frequency;       /* (rope_dim / 2), radians a position, owned */
  guint64 used_bytes;           /* in the file's own types */
  GPtrArray *used;              /* StTensor * in @gguf, each once */
  gsize adapter_rank;           /* the largest, 0 without adapters */
} StLlamaWeights;

/** st_llama_config_read: reads and checks the keys of architecture llama; strings stay owned by @gguf. */
gboolean st_llama_config_read (StGguf * gguf, StModelConfig * config, GError ** error);

/** st_llama_weights_read: finds and checks every tensor that the range of @options needs, and nothing else. Zeroed @weights is
 * filled; clear it with st_llama_weights_clear() also after an error. */
gboolean st_llama_weights_read (StGguf * gguf, const StModelConfig * config, const StModelOptions * options,
    StLlamaWeights * weights, GError ** error);
void st_llama_weights_clear (StLlamaWeights * weights);
/** st_llama_weights_adapt: gives the blocks their adapters, which must stay. Errors: RANGE for one of a matrix that the whole model does not have,
 * DAMAGED for one of another shape. */
gboolean st_llama_weights_adapt (StLlamaWeights * weights, const StModelConfig * config, const StModelAdapters * adapters, GError ** error);
/** st_model_weights: the weights of the model's range, owned by @model. */
const StLlamaWeights *st_model_weights (const StModel * model);

/** StLlamaScratch: intermediate rows of one chunk. Zeroed at first; grows with st_llama_scratch_reserve(). */
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
  float *low;                   /* (rows, ST_LLAMA_GROUP_MAX * rank) A x of the adapters of a group */
} StLlamaScratch;

/** st_llama_chunk_rows: rows that one chunk may have, so that scratch memory stays bounded. At least 64. @rank: of the adapters, 0 = none. */
gsize st_llama_chunk_rows (const StModelConfig * config, gsize rank);
gboolean st_llama_scratch_reserve (StLlamaScratch * scratch, const StModelConfig * config, gsize rank, gsize rows, GError ** error);
void st_llama_scratch_clear (StLlamaScratch * scratch);

/** StLlamaRun: what the forward functions share. */
typedef struct
{
  const StModelConfig *config;
  const StLlamaWeights *weights;
  StLlamaScratch *scratch;
  StPool *pool;
  gboolean deterministic;
  const gint *cancel;           /* may be NULL */
  const float *gates;           /* (m) factor of the adapters of each row, or NULL: 1 */
} StLlamaRun;

/** st_llama_products: as st_matmul_group() for @n <= ST_LLAMA_GROUP_MAX matrices, with what the adapters of each (NULL: none) add. */
void st_llama_products (const StLlamaRun * run, const StProduct * products, const StModelAdapter * const *adapters, gsize n,
    const float *x, gsize m, StRegime regime);

/** st_llama_forward: x (m x D, in place) through the blocks, m <= scratch rows, at positions @first ...; keys and values go to @cache,
 * whose length stays. FALSE if cancelled. */
gboolean st_llama_forward (const StLlamaRun * run, StKvCache * cache, gsize first, float *x, gsize m, StRegime regime);
/** st_llama_logits: logits (m x vocab) of x (m x D, not changed), m <= scratch rows. FALSE if cancelled. */
gboolean st_llama_logits (const StLlamaRun * run, const float *x, gsize m, StRegime regime, float *logits);

G_END_DECLS
