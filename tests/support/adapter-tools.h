/* Codec files with adapters for a model at hand. */
#pragma once
#include "models/model.h"
#include "tests/support/learned-tools.h"

G_BEGIN_DECLS

/** rd_test_adapt: gives @parameters random adapters of every matrix of a model of @config, as rd_test_adapters() makes them. */
void rd_test_adapt (RdLearnedParameters * parameters, const StModelConfig * config, guint rank, gdouble size, guint32 seed);

/** rd_test_adapted_file: writes a codec file for the model at @model cut before block @split: adapters as above (none, version 1, if @rank is
 * 0). Returns its path; unlink and free. */
gchar *rd_test_adapted_file (const gchar * model, guint split, guint rank, gdouble size, guint32 seed);

G_END_DECLS
