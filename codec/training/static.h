/* The codec of codec files (codec/learned/FORMAT.md) with its scalar quantiser as a function that can be trained: transforms both ways, mean, prediction,
 * steps and scales of one set. D = hidden size, K = knots of the steps. */
#pragma once
#include "codec/learned/parameters.h"
#include "codec/training/trainable.h"

G_BEGIN_DECLS

#define RD_STATIC_NAME "static"

/** RdStatic: begins with RdTrainable. Passes share it; between two steps of an optimiser it does not change. */
typedef struct _RdStatic RdStatic;

/** rd_static_new: from a calibrated codec's parameters (copied), for rows of set @set: 0 without features, 1 with them. Trained are, each in
 * units in which it is about 1 or a change of 1e-3 matters little: "analysis" (D, D), "synthesis" (D, D), "mean" (D), "scale" (D) and "steps" (K, D), both
 * in octaves, and of set 1 "readout" (D, D); names begin with "static.". Tables, context weights, constants and token steps are those of @start; networks are dropped. Errors:
 * RD_CODEC_ERROR_INPUT for a set that is not there and bad parameters; ST_MODEL_ERROR_MEMORY. Freed by klass->free(). */
RdStatic *rd_static_new (const RdLearnedParameters * start, guint set, GError ** error);

/** rd_static_export: the trained arrays to their set of @parameters, a copy of what training started from; rd_refit() does the rest. Networks are
 * dropped. */
void rd_static_export (const RdStatic * codec, RdLearnedParameters * parameters);

static inline RdTrainable *
rd_static_trainable (RdStatic * codec)
{
  return (RdTrainable *) codec;
}

G_END_DECLS
