/* The llama architecture: its keys and tensors in a GGUF file, and the forward pass of a range of blocks. Used by model.c;
 * codec/training reads the weights. */
#pragma once
#include "models/kv-cache.h"
#include "models/model.h"

G_BEGIN_DECLS

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
} StLlamaWeights;

/** st_llama_config_read: reads and checks the keys of architecture llama; strings stay owned by @gguf. */
gboolean st_llama_config_read (StGguf * gguf, StModelConfig * config, GError ** error);

/** st_llama_weights_read: finds and checks every tensor that the range of @options needs, and nothing else. Zeroed @weights is
 * filled; clear it with st_llama_weights_clear() also after an error. */
gboolean st_llama_weights_read (StGguf * gguf, const StModelConfig * config, const StModelOptions * options,
    StLlamaWeights * weights, GError ** error);
void st_llama_weights_clear (StLlamaWeights * weights);
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
} StLlamaScratch;

/** st_llama_chunk_rows: rows that one chunk may have, so that scratch memory stays bounded. At least 64. */
gsize st_llama_chunk_rows (const StModelConfig * config);
gboolean st_llama_scratch_reserve (StLlamaScratch * scratch, const StModelConfig * config, gsize rows, GError ** error);
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
} StLlamaRun;

/** st_llama_forward: x (m x D, in place) through the blocks, m <= scratch rows, at positions @first ...; keys and values go to @cache,
 * whose length stays. FALSE if cancelled. */
gboolean st_llama_forward (const StLlamaRun * run, StKvCache * cache, gsize first, float *x, gsize m, StRegime regime);
/** st_llama_logits: logits (m x vocab) of x (m x D, not changed), m <= scratch rows. FALSE if cancelled. */
gboolean st_llama_logits (const StLlamaRun * run, const float *x, gsize m, StRegime regime, float *logits);

G_END_DECLS
