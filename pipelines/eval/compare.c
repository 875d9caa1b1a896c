/* Next-token distributions against the uncompressed model's. Each row is one thread's work, so the sums do not depend on their number. */
#include "pipelines/eval/compare.h"
#include <math.h>
#include <string.h>
#include "models/kernels/kernels.h"

struct _EvalReference
{
  StPool *pool;
  guint vocab;
  float *logits;                /* (rows, vocab) */
  gdouble *p;                   /* (rows, vocab) probabilities */
  gdouble *lse;                 /* (rows) log-sum-exp of the logits */
  gint32 *best;                 /* (rows) */
};

/* What the rows of one call share. */
typedef struct
{
  EvalReference *reference;
  const float *logits;
  const gint32 *targets;
  EvalRow *rows;
} Job;

EvalReference *
eval_reference_new (guint vocab, guint max_rows, guint threads)
{
  EvalReference *reference = g_new0 (EvalReference, 1);
  gsize values = (gsize) vocab * max_rows;

  reference->pool = st_pool_new (threads);
  reference->vocab = vocab;
  reference->logits = g_new (float, values);
  reference->p = g_new (gdouble, values);
  reference->lse = g_new (gdouble, max_rows);
  reference->best = g_new (gint32, max_rows);
  return reference;
}

void
eval_reference_free (EvalReference * reference)
{
  st_pool_free (reference->pool);
  g_free (reference->logits);
  g_free (reference->p);
  g_free (reference->lse);
  g_free (reference->best);
  g_free (reference);
}

gint32
eval_argmax (const float *values, guint n)
{
  guint best = 0;

  for (guint i = 1; i < n; i++)
    if (values[i] > values[best])
      best = i;
  return (gint32) best;
}

static void
set_row (gsize index, gpointer user_data)
{
  EvalReference *reference = user_data;
  const guint n = reference->vocab;
  const float *logits = reference->logits + index * n;
  gdouble *p = reference->p + index * n;
  gdouble lse = st_log_sum_exp (logits, n);

  for (guint i = 0; i < n; i++)
    p[i] = exp (logits[i] - lse);
  reference->lse[index] = lse;
  reference->best[index] = eval_argmax (logits, n);
}

void
eval_reference_set (EvalReference * reference, const float *logits, guint n)
{
  memcpy (reference->logits, logits,
      sizeof (float) * (gsize) n * reference->vocab);
  st_pool_run (reference->pool, n, set_row, reference);
}

static void
compare_row (gsize index, gpointer user_data)
{
  const Job *job = user_data;
  const EvalReference *reference = job->reference;
  const guint n = reference->vocab;
  const float *ref = reference->logits + index * n;
  const float *coded = job->logits + index * n;
  const gdouble *p = reference->p + index * n;
  const gint32 target = job->targets[index];
  gdouble lse = st_log_sum_exp (coded, n), difference = 0;
  EvalRow *row = &job->rows[index];

  for (guint i = 0; i < n; i++)
    difference += p[i] * ((gdouble) ref[i] - (gdouble) coded[i]);
  row->kl = difference - (reference->lse[index] - lse);
  row->agree = eval_argmax (coded, n) == reference->best[index];
  row->nll = target < 0 ? 0 : lse - coded[target];
  row->nll_ref = target < 0 ? 0 : reference->lse[index] - ref[target];
}

void
eval_reference_compare (EvalReference * reference, const float *logits,
    guint n, const gint32 * targets, EvalRow * rows)
{
  Job job = { reference, logits, targets, rows };

  st_pool_run (reference->pool, n, compare_row, &job);
}

void
eval_reference_self (EvalReference * reference, guint n,
    const gint32 * targets, EvalRow * rows)
{
  for (guint i = 0; i < n; i++) {
    const float *ref = reference->logits + (gsize) i * reference->vocab;

    rows[i].kl = 0;
    rows[i].agree = TRUE;
    rows[i].nll = targets[i] < 0 ? 0 : reference->lse[i] - ref[targets[i]];
    rows[i].nll_ref = rows[i].nll;
  }
}
