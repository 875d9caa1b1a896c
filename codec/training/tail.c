#include "codec/training/tail.h"

#include "codec/training/batch.h"
#include "codec/training/head.h"
#include "codec/training/range.h"

struct _RdTail
{
  RdWeights *weights;
  RdBatch *batch;
  RdRange **ranges;             /* (threads), owned */
};

/* One call of rd_tail_run(). */
typedef struct
{
  RdTail *tail;
  RdTailJob *jobs;
  const gint *cancel;
} Run;

static gboolean
check_job (const RdWeights * weights, gsize index, const RdTailJob * job,
    GError ** error)
{
  g_return_val_if_fail (job->x != NULL, FALSE);
  if (rd_weights_check_length (weights, job->n, error)
      && rd_states_check ("x", job->x, job->n, weights->config.hidden_size,
          error) && rd_head_check (weights, job, error))
    return TRUE;
  g_prefix_error (error, "job %" G_GSIZE_FORMAT ": ", index);
  return FALSE;
}

static gboolean
run_job (gsize index, guint thread, float *gradient, gpointer user_data,
    GError ** error)
{
  const Run *run = user_data;
  RdTailJob *job = &run->jobs[index];
  RdRange *range = run->tail->ranges[thread];

  (void) gradient;
  return rd_range_forward (range, job->x, job->n, 1.0f, job->y, run->cancel,
      error)
      && rd_range_loss (range, job, job->gradient, NULL, run->cancel, error)
      && (job->gradient == NULL || rd_range_backward (range, job->gradient,
          NULL, run->cancel, error));
}

gboolean
rd_tail_run (RdTail * tail, RdTailJob * jobs, gsize n_jobs, const gint * cancel,
    GError ** error)
{
  Run run = { tail, jobs, cancel };

  for (gsize i = 0; i < n_jobs; i++) {
    if (!check_job (tail->weights, i, &jobs[i], error))
      return FALSE;
  }
  return rd_batch_run (tail->batch, n_jobs, run_job, &run, NULL, error);
}

RdTail *
rd_tail_new (StModel * model, const RdTailOptions * options, GError ** error)
{
  const guint first = st_model_first_block (model);
  const RdRangeOptions range = { first, first + st_model_n_layers (model), TRUE,
    options->recompute
  };
  g_autoptr (RdTail) tail = g_new0 (RdTail, 1);

  tail->weights = rd_weights_new (model, options->max_tokens, error);
  if (tail->weights == NULL)
    return NULL;
  tail->batch = rd_batch_new (options->threads, 0, error);
  if (tail->batch == NULL)
    return NULL;
  tail->ranges = g_new0 (RdRange *, rd_batch_threads (tail->batch));
  for (guint i = 0; i < rd_batch_threads (tail->batch); i++) {
    tail->ranges[i] = rd_range_new (tail->weights, NULL, &range, error);
    if (tail->ranges[i] == NULL)
      return NULL;
  }
  return g_steal_pointer (&tail);
}

void
rd_tail_free (RdTail * tail)
{
  if (tail == NULL)
    return;
  for (guint i = 0; tail->ranges != NULL
      && i < rd_batch_threads (tail->batch); i++)
    rd_range_free (tail->ranges[i]);
  g_free (tail->ranges);
  rd_batch_free (tail->batch);
  rd_weights_free (tail->weights);
  g_free (tail);
}

guint
rd_tail_threads (const RdTail * tail)
{
  return rd_batch_threads (tail->batch);
}
