/* A model before its training. */
#pragma once
#include "codec/training/bpe.h"
#include "codec/training/weights.h"

G_BEGIN_DECLS

/** RdScratchShape: sizes of the model; D = hidden size. Output head and embedding are one matrix. */
typedef struct
{
  guint hidden_size, n_blocks, n_heads, n_kv_heads, ff_size;
  guint context_length, vocabulary;
  const gchar *family;          /* "llama", "gpt2"; NULL: llama */
} RdScratchShape;

/** rd_scratch_shape_check: a known family, heads that divide D, of an even number of dimensions where positions rotate them, kv heads that divide
 * the heads (gpt2: as many), rows of whole blocks of @type, which is F32, F16 or Q8_0. Error RD_TRAINING_ERROR_OPTIONS. */
gboolean rd_scratch_shape_check (const RdScratchShape * shape, StType type, GError ** error);

/** rd_scratch_model_begin: writes a model whose weights are all zero, and opens it. The file is removed again: @path is for it alone.
 * @name: general.name. Errors: of writing and of opening. */
StModel *rd_scratch_model_begin (const RdScratchShape * shape, const RdBpe * bpe, const gchar * name, const gchar * path, GError ** error);

/** rd_scratch_model_fill: norms 1, biases 0, matrices normal with deviation 0.02, those whose output is added to the hidden state with 0.02 / sqrt (2 *
 * blocks) (Radford et al. 2019), a function of @seed and the shape. @weights: a whole model's. */
void rd_scratch_model_fill (RdWeights * weights, guint64 seed);

/** rd_scratch_model_grow: lets filled @weights begin as @from, a smaller whole model with the same vocabulary and heads of the same size: it
 * gives the same logits up to what the norms' epsilon changes (at learned positions that both have). Of what is new, that which reads hidden states stays as it was filled, and that which
 * adds to them is zero. A LayerNorm's mean is one over all channels: where there are such, the hidden size stays. Error RD_TRAINING_ERROR_OPTIONS,
 * and @weights are as they were. */
gboolean rd_scratch_model_grow (RdWeights * weights, const RdWeights * from, GError ** error);

G_END_DECLS
