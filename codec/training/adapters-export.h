/* Trained adapters to what a codec file holds, and back to train on. */
#pragma once
#include "codec/learned/adapters.h"
#include "codec/training/adapters.h"

G_BEGIN_DECLS

/** rd_adapters_export: copies of all of @adapters under the names of their matrices, with gates 1 at each of @n_knots knots. What does not
 * change anything yet (U zero) goes along: its rank is told by it. @rank: that of @adapters, or that of rd_adapters_reduce(). */
RdLearnedAdapters *rd_adapters_export (const RdAdapters * adapters, guint rank, guint n_knots);

/** rd_adapters_import: adapters of the same matrices, rank and values. Errors (RD_TRAINING_ERROR_OPTIONS): a block or shape that the model
 * of @config does not have, ranks that differ from matrix to matrix; ST_MODEL_ERROR_MEMORY. */
RdAdapters *rd_adapters_import (const RdLearnedAdapters * from, const StModelConfig * config, GError ** error);

G_END_DECLS
