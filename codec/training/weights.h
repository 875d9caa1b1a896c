/* A model's blocks and output head in F32, as the training core multiplies with them. Read-only once made: all threads share it. */
#pragma once
#include "codec/training/arena.h"
#include "models/model.h"

G_BEGIN_DECLS

/** RdBlockWeights: one block; D = hidden size, Q = n_heads * head_dim, K = n_kv_heads * head_dim, F = ff size; row-major. */
typedef struct
{
  float *attn_norm, *ffn_norm;  /* (D) */
  float *q;                     /* (Q, D) */
  float *k, *v;                 /* (K, D) */
  float *o;                     /* (D, Q) */
  float *gate, *up;             /* (F, D) */
  float *down;                  /* (D, F) */
} RdBlockWeights;

typedef struct
{
  StModel *model;               /* owns the strings of @config; referenced */
  StModelConfig config;
  guint n_layers;
  RdBlockWeights *blocks;       /* (n_layers), owned */
  float *output_norm;           /* (D) */
  float *output;                /* (V, D), V = vocabulary; the embedding if the model ties them */
  gsize max_tokens;
  /* Rotations of positions 0 .. max_tokens - 1; @back_sines are negated: they turn gradients back. (max_tokens, rope_dim / 2) each. */
  float *cosines, *sines, *back_sines;
  RdArena arena;
} RdWeights;

/** rd_weights_new: converts the blocks of @model's range and its output head. Error ST_MODEL_ERROR_RANGE if it has no output head. */
RdWeights *rd_weights_new (StModel * model, gsize max_tokens, GError ** error);
void rd_weights_free (RdWeights * weights);

/** Widths Q and K of queries and of keys and values. */
static inline gsize
rd_weights_queries (const RdWeights * weights)
{
  return (gsize) weights->config.n_heads * weights->config.head_dim;
}

static inline gsize
rd_weights_keys (const RdWeights * weights)
{
  return (gsize) weights->config.n_kv_heads * weights->config.head_dim;
}

G_END_DECLS
