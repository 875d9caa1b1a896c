/* Inside of the pool: what the kernels need beyond st_pool_run(). */
#pragma once
#include "models/kernels/kernels.h"

G_BEGIN_DECLS

/** StPoolFunc: work item @index of a run; @worker (below st_pool_threads()) is the thread that does it, 0 the caller. */
typedef void (*StPoolFunc) (gsize index, guint worker, gpointer user_data);

/** st_pool_run_workers: as st_pool_run(), and tells which worker runs an item. */
void st_pool_run_workers (StPool * pool, gsize n, StPoolFunc func,
    gpointer user_data);

/** st_pool_scratch: at least @n floats, 64-byte aligned, kept until the next call for the same @slot or st_pool_free().
 * Slots 0 .. st_pool_threads() - 1 belong to the workers, slot st_pool_threads() to the caller for what all of them share. */
float *st_pool_scratch (StPool * pool, guint slot, gsize n);

G_END_DECLS
