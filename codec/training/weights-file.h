/* Trained weights as a model file. */
#pragma once
#include "codec/training/weights.h"

G_BEGIN_DECLS

/** rd_weights_save: writes the model that @weights (a whole model's) were made of with their values: matrices as @type (F32, F16 or Q8_0),
 * vectors and learned positions as F32; metadata, tokenizer included, and tensors that are not trained are copied. @notes: key, value, key ..., NULL, strings that
 * are set beside them. Errors: RD_TRAINING_ERROR_OPTIONS for a matrix whose rows are no whole blocks of @type; those of writing. */
gboolean rd_weights_save (const RdWeights * weights, StType type, const gchar * const *notes, const gchar * path, GError ** error);

/** rd_weights_reload: values of @model, a file that rd_weights_save() made of them, in place of what @weights hold: what rounding left of
 * them. Error ST_MODEL_ERROR_MEMORY. */
gboolean rd_weights_reload (RdWeights * weights, StModel * model, GError ** error);

G_END_DECLS
