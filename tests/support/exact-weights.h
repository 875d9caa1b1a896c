/* Values of weights in double precision. */
#pragma once
#include "codec/training/parameters.h"
#include "tests/support/double-llama.h"

G_BEGIN_DECLS

/** Sets those arrays of @exact that @parameters name from @values (parameters->n). @tied: the embedding is the output matrix, too. Returns
 * the embedding; NULL if it is none of the parameters. */
const double *rd_test_load_weights (const StDoubleTail * exact, const RdParameters * parameters, const double *values, gboolean tied);

G_END_DECLS
