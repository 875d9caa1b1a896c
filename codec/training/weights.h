/* A model's blocks, embedding and output head in F32, as the training core multiplies with them. All threads share it: only an
 * optimiser's step changes it, between two runs. */
#pragma once
#include "codec/training/arena.h"
#include "codec/training/parameters.h"
#include "codec/training/product.h"
#include "models/model.h"

G_BEGIN_DECLS

/** RdMatrix: the matrices of a block; D = hidden size, Q = n_heads * head_dim, K = n_kv_heads * head_dim, F = ff size. Row-major
 * (outputs, inputs). */
typedef enum
{
  RD_MATRIX_Q,                  /* (Q, D) */
  RD_MATRIX_K, RD_MATRIX_V,     /* (K, D) */
  RD_MATRIX_O,                  /* (D, Q) */
  RD_MATRIX_GATE, RD_MATRIX_UP, /* (F, D); only gated families have a gate */
  RD_MATRIX_DOWN,               /* (D, F) */
  RD_N_MATRICES
} RdMatrix;

/** RdGroup: matrices with the same input, next to each other in RdMatrix. */
typedef enum
{
  RD_GROUP_QKV,
  RD_GROUP_O,
  RD_GROUP_GATE_UP,
  RD_GROUP_DOWN,
  RD_N_GROUPS
} RdGroup;

#define RD_GROUP_MAX 3
/** rd_group_first: matrices rd_group_first[g] .. rd_group_first[g + 1] - 1 are group g. */
extern const guint8 rd_group_first[RD_N_GROUPS + 1];

/** Shape of @matrix, no outputs if the family has none such, and its name in a GGUF file ("attn_q"). */
void rd_matrix_shape (const StModelConfig * config, RdMatrix matrix, gsize * outputs, gsize * inputs);
const gchar *rd_matrix_name (RdMatrix matrix);
/** rd_matrix_full_name: the same of block @block of the model ("blk.3.attn_q.weight"); free it. */
gchar *rd_matrix_full_name (guint block, RdMatrix matrix);
/** rd_matrices_of: the set of 1 << RdMatrix that the blocks of the family have. */
guint rd_matrices_of (const StModelConfig * config);

/** RdNorm: (D) each; @bias is NULL in families without. */
typedef struct
{
  float *weight, *bias;
} RdNorm;

typedef struct
{
  RdNorm attn_norm, ffn_norm;
  float *matrices[RD_N_MATRICES];       /* NULL: the family has none such */
  float *biases[RD_N_MATRICES]; /* (outputs); NULL: none */
} RdBlockWeights;

typedef struct
{
  StModel *model;               /* owns the strings of @config; referenced */
  StModelConfig config;
  guint first_block;            /* of the model */
  guint n_layers;
  RdBlockWeights *blocks;       /* (n_layers), owned */
  float *embedding;             /* (V, D), V = vocabulary; NULL if the model was opened without */
  float *positions;             /* (context, D) learned ones; NULL if the family has none or block 0 is not among the blocks */
  RdNorm output_norm;           /* NULL if the model was opened without output head */
  float *output;                /* (V, D); @embedding if it is there and the model ties them; NULL without output head */
  gsize n_values;               /* floats of all of the above, which begin the arena's memory, zeros between them included */
  gsize max_tokens;
  RdProducts products;          /* how activations and gradients are multiplied with them; may be set between two runs */
  /* Rotations of positions 0 .. max_tokens - 1; @back_sines are negated: they turn gradients back. (max_tokens, rope_dim / 2) each. */
  float *cosines, *sines, *back_sines;
  RdArena arena;
} RdWeights;

/** rd_weights_new: converts what @model was opened with. Errors (ST_MODEL_ERROR): INPUT for @max_tokens, which are 1 .. the model's
 * context; MEMORY. */
RdWeights *rd_weights_new (StModel * model, gsize max_tokens, GError ** error);
void rd_weights_free (RdWeights * weights);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdWeights, rd_weights_free)

/** rd_weights_check_length: whether a sequence of @n positions is not too long (nor empty) for them. Error ST_MODEL_ERROR_INPUT. */
gboolean rd_weights_check_length (const RdWeights * weights, gsize n, GError ** error);

/** rd_weights_parameters: appends all arrays, n_values floats, to @parameters, under their names in a GGUF file. Weight decay is for
 * matrices. Returns the offset of the first. */
gsize rd_weights_parameters (const RdWeights * weights, RdParameters * parameters);

/** rd_weights_gradient: where the derivative by @array of @weights is in a vector of n_values floats. */
static inline float *
rd_weights_gradient (const RdWeights * weights, const float *array, float *gradient)
{
  return gradient + (array - weights->arena.memory);
}

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
