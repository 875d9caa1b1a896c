#include "codec/training/train-evaluate.h"

#include <string.h>
#include <time.h>

#include "codec/training/checks.h"
#include "codec/training/train-private.h"

typedef struct
{
  RdTraining t;
  const RdTrainEvaluation *what;
  RdTrainablePass *pass;        /* for bits and times of single frame sizes */
  float *x, *y, *decoded;       /* (length, D) */
  RdTrainResult result;
} Evaluation;

static double
processor_seconds (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

/* ---- one text at one rate point ---- */

static gboolean
run_head (Evaluation * e, const RdJointJob * job, GError ** error)
{
  RdTraining *t = &e->t;
  const gsize n = job->target.n;
  const double began = processor_seconds ();
  const gboolean ok = t->head ? rd_joint_head (t->joint, job->ids, n,
      job->codec.level, e->x, t->options->cancel, error) :
      rd_states_run (t->states, job->ids, n, e->x, NULL, t->options->cancel,
      error);

  e->result.head_seconds = processor_seconds () - began;
  return ok;
}

static gboolean
run_frames (Evaluation * e, const RdJointJob * job, GError ** error)
{
  for (gsize f = 0; f < e->what->n_frames; f++) {
    RdTrainableJob codec = job->codec;
    double began;

    codec.n = job->target.n;
    codec.x = e->x;
    codec.y = e->decoded;
    codec.frame = e->what->frames[f];
    began = processor_seconds ();
    if (!e->t.codec->klass->forward (e->pass, &codec, error))
      return FALSE;
    e->result.codec_seconds[f] = processor_seconds () - began;
    e->result.bits[f] = codec.bits;
    e->result.wire_bits[f] = rd_training_wire_bits (&e->t, &codec, codec.n);
  }
  return TRUE;
}

static gboolean
run_point (Evaluation * e, RdJointJob * job, gsize point, GError ** error)
{
  RdTraining *t = &e->t;

  job->lambda = e->what->lambdas[point];
  e->result.level = rd_rate_level (job->lambda);
  e->result.point = point;
  job->codec.level = (float) e->result.level;
  job->target.y = e->y;
  return rd_joint_run (t->joint, job, 1, NULL, t->options->cancel, error)
      && (e->result.text >= e->what->n_coded || (run_head (e, job, error)
          && run_frames (e, job, error)))
      && e->what->done (&e->result, e->what->user_data, error);
}

static gboolean
run_text (Evaluation * e, gsize text, GError ** error)
{
  RdTraining *t = &e->t;
  const RdIds *ids = &e->what->texts[text];
  RdJointJob job;

  memcpy (t->ids, ids->ids, ids->n * sizeof (gint32));
  if (!rd_training_prepare_ids (t, ids->n, 0, &job, error))
    return FALSE;
  job.codec.noise = FALSE;
  job.target.loss = RD_LOSS_TEACHER;
  e->result.text = text;
  e->result.reference = job.target.teacher;
  e->result.y = e->y;
  for (gsize i = 0; i < e->what->n_lambdas; i++) {
    if (!run_point (e, &job, i, error))
      return FALSE;
  }
  return TRUE;
}

/* ---- the whole ---- */

static gboolean
check (const RdTrainOptions * options, const RdTrainEvaluation * what,
    GError ** error)
{
  if (options->full_weights) {
    g_set_error_literal (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        "all weights of the model are trained: export it, and measure it with "
        "rdeval --reference");
    return FALSE;
  }
  if (!rd_check_number ("frame sizes", what->n_frames, 1, RD_TRAIN_MAX_FRAMES,
          error))
    return FALSE;
  for (gsize i = 0; i < what->n_frames; i++) {
    if (!rd_check_number ("tokens of a frame", what->frames[i], 1,
            options->length, error))
      return FALSE;
  }
  for (gsize i = 0; i < what->n_texts; i++) {
    if (!rd_check_number ("ids of a text", what->texts[i].n, 2,
            options->length, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
open_all (Evaluation * e, const RdTrainOptions * options, GError ** error)
{
  RdTraining *t = &e->t;
  gsize n;

  if (!rd_training_open (t, options, error) || !rd_training_load (t, error))
    return FALSE;
  n = options->length * t->hidden_size;
  e->x = g_new (float, n);
  e->y = g_new (float, n);
  e->decoded = g_new (float, n);
  e->pass = t->codec->klass->pass_new (t->codec, options->length, error);
  return e->pass != NULL;
}

static gboolean
run (Evaluation * e, const RdTrainOptions * options, GError ** error)
{
  if (!check (options, e->what, error) || !open_all (e, options, error))
    return FALSE;
  for (gsize i = 0; i < e->what->n_texts; i++) {
    if (!run_text (e, i, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
rd_train_evaluate (const RdTrainOptions * options,
    const RdTrainEvaluation * evaluation, GError ** error)
{
  Evaluation e = {.what = evaluation };
  const gboolean ok = run (&e, options, error);

  if (e.pass != NULL)
    e.t.codec->klass->pass_free (e.pass);
  rd_training_clear (&e.t);
  g_free (e.x);
  g_free (e.y);
  g_free (e.decoded);
  return ok;
}
