/* Adapters of a lower rank: smaller files. */
#pragma once
#include "codec/training/adapters.h"

G_BEGIN_DECLS

/** rd_adapters_reduce: U V of each matrix becomes the nearest product of rank @rank, 1 .. that of @adapters (Eckart and Young 1936). The arrays keep
 * their sizes: columns of U and rows of V from @rank on are 0, those before are in the order of singular values, rows of V of unit length.
 * Errors: RD_TRAINING_ERROR_OPTIONS for @rank; RD_LINEAR_ERROR names the matrix, which then is what it was. */
gboolean rd_adapters_reduce (RdAdapters * adapters, guint rank, GError ** error);

G_END_DECLS
