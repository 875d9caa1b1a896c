#include "codec/training/tail.h"

#include <math.h>
#include <string.h>

#include "codec/training/block.h"
#include "codec/training/head.h"
#include "models/kernels/cancel.h"
#include "models/kernels/fpmode.h"

/* Activations of one sequence: a thread has its own. */
typedef struct
{
  RdArena arena;
  RdBlockKept *kept;            /* (n_layers), owned; with recompute they share all but x */
  RdBlockScratch block;
  RdHeadScratch head;
  float *y;                     /* (T, D) output of the last block */
} Context;

struct _RdTail
{
  RdWeights *weights;
  gboolean recompute;
  guint n_contexts;
  Context *contexts;
  StPool *pool;
};

/* One call of rd_tail_run(). */
typedef struct
{
  RdTail *tail;
  RdTailJob *jobs;
  gsize n_jobs;
  const gint *cancel;
  gint next;                    /* first job that nobody has taken */
  gint failed;
  GError **errors;              /* (n_contexts) */
} Run;

static gboolean
set_input_error (GError ** error, gsize job, const gchar * format, ...)
G_GNUC_PRINTF (3, 4);

     static gboolean
         set_input_error (GError ** error, gsize job, const gchar * format, ...)
{
  g_autofree gchar *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
      "job %" G_GSIZE_FORMAT ": %s", job, text);
  return FALSE;
}

/* A value that no loss comes out of, before anything is computed. */
static gboolean
check_finite (gsize job, const gchar * what, const float *x, gsize n,
    gsize hidden, GError ** error)
{
  for (gsize i = 0; i < n * hidden; i++) {
    if (!isfinite (x[i]))
      return set_input_error (error, job,
          "%s holds %g at position %" G_GSIZE_FORMAT ", channel %"
          G_GSIZE_FORMAT, what, (gdouble) x[i], i / hidden, i % hidden);
  }
  return TRUE;
}

static gboolean
check_labels (gsize index, const RdTailJob * job, guint vocab, GError ** error)
{
  for (gsize i = 0; i < job->n; i++) {
    if (job->labels[i] < 0 || (guint) job->labels[i] >= vocab)
      return set_input_error (error, index,
          "label %d at position %" G_GSIZE_FORMAT
          " is not in the vocabulary of %u", job->labels[i], i, vocab);
  }
  return TRUE;
}

static gboolean
check_job (const RdWeights * weights, gsize index, const RdTailJob * job,
    GError ** error)
{
  const gsize hidden = weights->config.hidden_size;

  g_return_val_if_fail (job->x != NULL, FALSE);
  g_return_val_if_fail (job->loss != RD_LOSS_LABELS
      || job->labels != NULL, FALSE);
  g_return_val_if_fail (job->loss != RD_LOSS_TEACHER
      || job->teacher != NULL, FALSE);
  if (job->n == 0 || job->n > weights->max_tokens)
    return set_input_error (error, index,
        "%" G_GSIZE_FORMAT " positions are not in 1..%" G_GSIZE_FORMAT, job->n,
        weights->max_tokens);
  return check_finite (index, "x", job->x, job->n, hidden, error)
      && (job->loss != RD_LOSS_LABELS
      || check_labels (index, job, weights->config.vocab_size, error))
      && (job->loss != RD_LOSS_TEACHER
      || check_finite (index, "teacher", job->teacher, job->n, hidden, error));
}

static gboolean
check_cancel (const Run * run, GError ** error)
{
  if (!st_cancelled (run->cancel))
    return TRUE;
  g_set_error_literal (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED,
      "the computation was cancelled");
  return FALSE;
}

static gboolean
forward (const Run * run, const RdTailJob * job, Context * context, float *y,
    GError ** error)
{
  const RdWeights *weights = run->tail->weights;
  const gsize bytes = job->n * weights->config.hidden_size * sizeof (float);
  const guint n_layers = weights->n_layers;

  memcpy (n_layers > 0 ? context->kept[0].x : y, job->x, bytes);
  for (guint layer = 0; layer < n_layers; layer++) {
    if (!check_cancel (run, error))
      return FALSE;
    rd_block_forward (weights, layer, job->n, &context->kept[layer],
        &context->block, layer + 1 < n_layers ? context->kept[layer + 1].x : y);
  }
  return TRUE;
}

static gboolean
head (const Run * run, RdTailJob * job, const Context * context,
    const float *y, GError ** error)
{
  job->total = 0;
  for (gsize first = 0; first < job->n; first += context->head.rows) {
    const gsize rows = MIN (context->head.rows, job->n - first);

    if (!check_cancel (run, error)
        || !rd_head_run (run->tail->weights, &context->head, job, first, rows,
            y, job->gradient, error))
      return FALSE;
  }
  return TRUE;
}

/* The gradient is carried back in place. */
static gboolean
backward (const Run * run, const RdTailJob * job, Context * context,
    GError ** error)
{
  const RdWeights *weights = run->tail->weights;

  for (guint layer = weights->n_layers; layer-- > 0;) {
    if (!check_cancel (run, error))
      return FALSE;
    if (run->tail->recompute)
      rd_block_forward (weights, layer, job->n, &context->kept[layer],
          &context->block, context->y);
    rd_block_backward (weights, layer, job->n, &context->kept[layer],
        &context->block, job->gradient);
  }
  return TRUE;
}

static gboolean
run_job (const Run * run, RdTailJob * job, Context * context, GError ** error)
{
  float *y = job->y != NULL ? job->y : context->y;

  return forward (run, job, context, y, error)
      && head (run, job, context, y, error)
      && (job->gradient == NULL || backward (run, job, context, error));
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
    if (run_job (run, &run->jobs[job], &run->tail->contexts[index], &error))
      continue;
    g_prefix_error (&error, "job %" G_GSIZE_FORMAT ": ", job);
    run->errors[index] = error;
    g_atomic_int_set (&run->failed, 1);
  }
  st_fp_leave (mode);
}

gboolean
rd_tail_run (RdTail * tail, RdTailJob * jobs, gsize n_jobs, const gint * cancel,
    GError ** error)
{
  g_autofree GError **errors = g_new0 (GError *, tail->n_contexts);
  Run run = {.tail = tail,.jobs = jobs,.n_jobs = n_jobs,.cancel = cancel,
    .errors = errors
  };
  gboolean ok = TRUE;

  g_return_val_if_fail (n_jobs <= G_MAXINT / 2, FALSE);
  for (gsize i = 0; i < n_jobs; i++) {
    if (!check_job (tail->weights, i, &jobs[i], error))
      return FALSE;
  }
  st_pool_run (tail->pool, tail->n_contexts, work, &run);
  for (guint i = 0; i < tail->n_contexts; i++) {
    if (errors[i] == NULL)
      continue;
    if (ok)
      g_propagate_error (error, errors[i]);
    else
      g_error_free (errors[i]);
    ok = FALSE;
  }
  return ok;
}

static void
lay_out (const RdTail * tail, Context * context)
{
  const RdWeights *weights = tail->weights;
  const gsize hidden = weights->config.hidden_size;
  RdArena *arena = &context->arena;

  context->y = rd_arena_take (arena, weights->max_tokens, hidden);
  rd_block_scratch_lay_out (&context->block, weights, arena);
  rd_head_scratch_lay_out (&context->head, weights, arena);
  for (guint i = 0; i < weights->n_layers; i++) {
    RdBlockKept *kept = &context->kept[i];

    if (i == 0 || !tail->recompute)
      rd_block_kept_lay_out (kept, weights, arena);
    else
      *kept = context->kept[0];
    kept->x = rd_arena_take (arena, weights->max_tokens, hidden);
  }
}

static gboolean
make_contexts (RdTail * tail, GError ** error)
{
  tail->contexts = g_new0 (Context, tail->n_contexts);
  for (guint i = 0; i < tail->n_contexts; i++) {
    Context *context = &tail->contexts[i];

    context->kept = g_new0 (RdBlockKept, tail->weights->n_layers);
    lay_out (tail, context);
    if (!rd_arena_allocate (&context->arena, "activations", error))
      return FALSE;
    lay_out (tail, context);
  }
  return TRUE;
}

RdTail *
rd_tail_new (StModel * model, const RdTailOptions * options, GError ** error)
{
  const guint context_length = st_model_config (model)->context_length;
  g_autoptr (RdTail) tail = NULL;

  if (options->max_tokens == 0 || options->max_tokens > context_length) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
        "sequences of %" G_GSIZE_FORMAT
        " positions are not in the model's 1..%u", options->max_tokens,
        context_length);
    return NULL;
  }
  tail = g_new0 (RdTail, 1);
  tail->recompute = options->recompute;
  tail->weights = rd_weights_new (model, options->max_tokens, error);
  if (tail->weights == NULL)
    return NULL;
  tail->pool = st_pool_new (options->threads);
  tail->n_contexts = st_pool_threads (tail->pool);
  if (!make_contexts (tail, error))
    return NULL;
  st_blas_one_thread ();
  return g_steal_pointer (&tail);
}

void
rd_tail_free (RdTail * tail)
{
  if (tail == NULL)
    return;
  for (guint i = 0; tail->contexts != NULL && i < tail->n_contexts; i++) {
    rd_arena_clear (&tail->contexts[i].arena);
    g_free (tail->contexts[i].kept);
  }
  g_free (tail->contexts);
  g_clear_pointer (&tail->pool, st_pool_free);
  rd_weights_free (tail->weights);
  g_free (tail);
}

guint
rd_tail_threads (const RdTail * tail)
{
  return tail->n_contexts;
}
