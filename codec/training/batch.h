/* Jobs over threads, and the sum of what they contribute to a gradient, in the order of the jobs: the same bits for any number of
 * threads. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** RdBatchFunc: job @job on thread @thread (below rd_batch_threads(); two jobs of a run have the same one only one after the other).
 * @gradient: zeros that the job adds to; NULL if nothing is summed. Must give the same results whatever other jobs there are. */
typedef gboolean (*RdBatchFunc) (gsize job, guint thread, float *gradient, gpointer user_data, GError ** error);

typedef struct _RdBatch RdBatch;

/** rd_batch_new: @threads 0 = all CPUs; @n_values floats of a gradient, of which each thread has one of its own. Sets OpenBLAS to one
 * thread. Used by one caller at a time. Error ST_MODEL_ERROR_MEMORY. */
RdBatch *rd_batch_new (guint threads, gsize n_values, GError ** error);
void rd_batch_free (RdBatch * batch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdBatch, rd_batch_free)
guint rd_batch_threads (const RdBatch * batch);

/** rd_batch_run: runs @n_jobs jobs and adds their gradients to @total (n_values; NULL: nothing is summed). Threads take jobs in order, and
 * wait for their turn to add. An error ends the run; that of the first job that failed is told, prefixed with its job, and @total is undefined. */
gboolean rd_batch_run (RdBatch * batch, gsize n_jobs, RdBatchFunc func, gpointer user_data, float *total, GError ** error);

G_END_DECLS
