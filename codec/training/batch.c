#include "codec/training/batch.h"

#include <string.h>

#include "codec/training/arena.h"
#include "models/kernels/fpmode.h"
#include "models/kernels/kernels.h"

struct _RdBatch
{
  gsize n_values;
  StPool *pool;
  RdArena arena;
  float **gradients;            /* (threads), in the arena */
  GMutex lock;
  GCond turned;
};

/* One call of rd_batch_run(). */
typedef struct
{
  RdBatch *batch;
  gsize n_jobs;
  RdBatchFunc func;
  gpointer user_data;
  float *total;
  gint next;                    /* first job that nobody has taken */
  gint failed;
  gsize turn;                   /* job whose gradient is added next; under the lock */
  gsize failed_job;             /* the first one that failed, and its error; under the lock */
  GError *error;
} Run;

/* Waits until all jobs before have added theirs. FALSE if one never will. */
static gboolean
wait_for_turn (Run * run, gsize job)
{
  RdBatch *batch = run->batch;

  g_mutex_lock (&batch->lock);
  while (run->turn != job && !g_atomic_int_get (&run->failed))
    g_cond_wait (&batch->turned, &batch->lock);
  g_mutex_unlock (&batch->lock);
  return !g_atomic_int_get (&run->failed);
}

static void
end_turn (Run * run)
{
  RdBatch *batch = run->batch;

  g_mutex_lock (&batch->lock);
  run->turn++;
  g_cond_broadcast (&batch->turned);
  g_mutex_unlock (&batch->lock);
}

/* Takes @error. All jobs before a failed one have been taken and end: which error remains does not depend on the threads. */
static void
fail (Run * run, gsize job, GError * error)
{
  RdBatch *batch = run->batch;

  g_prefix_error (&error, "job %" G_GSIZE_FORMAT ": ", job);
  g_mutex_lock (&batch->lock);
  if (run->error == NULL || job < run->failed_job) {
    g_clear_error (&run->error);
    run->error = error;
    run->failed_job = job;
  } else {
    g_error_free (error);
  }
  g_atomic_int_set (&run->failed, 1);
  g_cond_broadcast (&batch->turned);
  g_mutex_unlock (&batch->lock);
}

static gboolean
run_job (Run * run, gsize job, guint thread, GError ** error)
{
  const gsize n = run->batch->n_values;
  float *gradient = NULL;

  if (run->total == NULL)
    return run->func (job, thread, NULL, run->user_data, error);
  gradient = run->batch->gradients[thread];
  memset (gradient, 0, n * sizeof (float));
  if (!run->func (job, thread, gradient, run->user_data, error))
    return FALSE;
  if (!wait_for_turn (run, job))
    return TRUE;
  st_add (run->total, gradient, n);
  end_turn (run);
  return TRUE;
}

/* One thread: jobs until there are none left or one failed. */
static void
work (gsize index, gpointer user_data)
{
  Run *run = user_data;
  const StFpMode mode = st_fp_enter ();

  while (!g_atomic_int_get (&run->failed)) {
    const gsize job = (gsize) g_atomic_int_add (&run->next, 1);
    GError *error = NULL;

    if (job >= run->n_jobs)
      break;
    if (!run_job (run, job, (guint) index, &error))
      fail (run, job, error);
  }
  st_fp_leave (mode);
}

gboolean
rd_batch_run (RdBatch * batch, gsize n_jobs, RdBatchFunc func,
    gpointer user_data, float *total, GError ** error)
{
  Run run = {.batch = batch,.n_jobs = n_jobs,.func = func,.user_data =
        user_data,.total = total
  };

  g_return_val_if_fail (n_jobs <= G_MAXINT / 2, FALSE);
  st_pool_run (batch->pool, rd_batch_threads (batch), work, &run);
  if (run.error == NULL)
    return TRUE;
  g_propagate_error (error, run.error);
  return FALSE;
}

static void
lay_out (RdBatch * batch)
{
  for (guint i = 0; i < rd_batch_threads (batch); i++)
    batch->gradients[i] = rd_arena_take (&batch->arena, 1, batch->n_values);
}

RdBatch *
rd_batch_new (guint threads, gsize n_values, GError ** error)
{
  g_autoptr (RdBatch) batch = g_new0 (RdBatch, 1);

  g_mutex_init (&batch->lock);
  g_cond_init (&batch->turned);
  batch->n_values = n_values;
  batch->pool = st_pool_new (threads);
  batch->gradients = g_new0 (float *, rd_batch_threads (batch));
  lay_out (batch);
  if (!rd_arena_allocate (&batch->arena, "gradients", error))
    return NULL;
  lay_out (batch);
  st_blas_one_thread ();
  return g_steal_pointer (&batch);
}

void
rd_batch_free (RdBatch * batch)
{
  if (batch == NULL)
    return;
  st_pool_free (batch->pool);
  rd_arena_clear (&batch->arena);
  g_free (batch->gradients);
  g_mutex_clear (&batch->lock);
  g_cond_clear (&batch->turned);
  g_free (batch);
}

guint
rd_batch_threads (const RdBatch * batch)
{
  return st_pool_threads (batch->pool);
}
