/* Sequences as jobs: the original model's states and rate points; the losses of those that are held out. */
#include <string.h>

#include "codec/training/train-private.h"
#include "codec/training/wire-bits.h"

static gboolean
run_teacher (RdTraining * t, float *y, gsize n, GError ** error)
{
  st_kv_cache_truncate (t->teacher_cache, 0);
  return st_model_run (t->teacher, t->teacher_cache, y, n, ST_REGIME_PREFILL,
      t->options->cancel, error);
}

gboolean
rd_training_prepare_ids (RdTraining * t, gsize n, gsize slot, RdJointJob * job,
    GError ** error)
{
  const RdTrainOptions *options = t->options;
  const gsize row = options->length * t->hidden_size;
  const gint32 *ids = t->ids + slot * (options->length + 1);
  float *x = t->x + slot * row, *y = t->teacher_y + slot * row;
  float *features = t->features != NULL ? t->features + slot * row : NULL;

  if (!rd_states_run (t->states, ids, n, x, features, options->cancel, error))
    return FALSE;
  memcpy (y, x, n * t->hidden_size * sizeof (float));
  if (!run_teacher (t, y, n, error))
    return FALSE;
  *job = (RdJointJob) {
    .ids = ids,.x = x,.codec = {.features =
          options->set == 1 ? features : NULL,.frame =
          options->frame,.noise = options->noise
    },.target = {.n =
          n,.loss =
          options->label_weight > 0 ? RD_LOSS_MIXED : RD_LOSS_TEACHER,.labels =
          ids + 1,.teacher = y,.teacher_head =
          t->teacher_head,.label_weight =
          (float) options->label_weight,.teacher_weight =
          (float) (1 - options->label_weight)
  },.weight = 1.0};
  return TRUE;
}

gboolean
rd_training_prepare (RdTraining * t, gsize index, gsize slot, RdJointJob * job,
    GError ** error)
{
  const gsize length = t->options->length;

  return rd_corpus_sequence (t->corpus, t->options->seed, index, length + 1,
      t->ids + slot * (length + 1), NULL, error)
      && rd_training_prepare_ids (t, length, slot, job, error);
}

double
rd_training_wire_bits (const RdTraining * t, const RdTrainableJob * job,
    gsize n)
{
  return job->wire_bits + rd_wire_session_bits (&t->header, n,
      MAX (job->frame, 1));
}

/* ---- validation ---- */

/* The same for every training, so that trainings can be compared. */
static const double lambdas[RD_TRAIN_POINTS] = { 2e-4, 1.1e-3, 2.5e-3, 6e-3 };

/* The sequences of one batch, the first of which is number @first, at all points. */
static gboolean
validate_batch (RdTraining * t, gsize first, gsize n, RdTrainPoint * points,
    GError ** error)
{
  g_autofree RdJointJob *jobs = g_new0 (RdJointJob, n);

  for (gsize i = 0; i < n; i++) {
    if (!rd_training_prepare (t, first + i, i, &jobs[i], error))
      return FALSE;
    jobs[i].codec.noise = FALSE;
    jobs[i].target.loss = RD_LOSS_TEACHER;
  }
  for (guint p = 0; p < RD_TRAIN_POINTS; p++) {
    for (gsize i = 0; i < n; i++) {
      jobs[i].lambda = lambdas[p];
      jobs[i].codec.level = (float) rd_rate_level (lambdas[p]);
    }
    if (!rd_joint_run (t->joint, jobs, n, NULL, t->options->cancel, error))
      return FALSE;
    for (gsize i = 0; i < n; i++) {
      points[p].distortion += jobs[i].target.total;
      points[p].bits += rd_training_wire_bits (t, &jobs[i].codec,
          jobs[i].target.n);
    }
  }
  return TRUE;
}

gboolean
rd_training_validate (RdTraining * t, RdTrainPoint * points, GError ** error)
{
  const gsize held_out = t->options->held_out, batch = t->options->batch;
  const double tokens = (double) held_out * (double) t->options->length;

  for (guint p = 0; p < RD_TRAIN_POINTS; p++)
    points[p] = (RdTrainPoint) {
    lambdas[p], rd_rate_level (lambdas[p]), 0, 0};
  for (gsize first = 0; first < held_out; first += batch) {
    if (!validate_batch (t, first, MIN (batch, held_out - first), points,
            error))
      return FALSE;
  }
  for (guint p = 0; p < RD_TRAIN_POINTS; p++) {
    points[p].distortion /= tokens;
    points[p].bits /= tokens;
  }
  return TRUE;
}
