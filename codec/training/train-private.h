/* The parts of a training: set-up, batches, validation, the loop. */
#pragma once
#include "codec/training/joint.h"
#include "codec/training/states.h"
#include "codec/training/train-rates.h"
#include "codec/training/train-state.h"
#include "codec/training/train.h"
#include "codec/wire/frame.h"

G_BEGIN_DECLS

/** RdTraining: what all parts work with. T = length, D = hidden size. */
typedef struct
{
  const RdTrainOptions *options;
  RdLearnedParameters *start;
  RdStates *states;             /* of the model as it was: states before the split, features */
  StModel *teacher;             /* its blocks behind */
  StKvCache *teacher_cache;
  RdCorpus *corpus;
  gsize n_sequences;            /* of the corpus that are trained on; those that are held out come before */
  RdRates rates;

  RdWeights *weights;
  RdAdapters *adapters;         /* or NULL */
  RdTrainable *codec;
  RdJoint *joint;
  gboolean head;                /* it has one: something is trained before the split */
  RdWeights *teacher_head;      /* output norm and head of the model as it was; NULL: @weights are those */
  RdAdamW *adamw;
  gchar *settings;              /* all that the result depends on */

  gsize hidden_size;
  RdHeader header;              /* as that of a session with the codec */
  gint32 *ids;                  /* (batch, T + 1) */
  float *x, *teacher_y, *features;      /* (batch, T, D); features NULL if the start has none */
  float *gradient;
} RdTraining;

/** rd_training_open: reads and checks all that the options name, and makes everything at its start. Clear it even if this fails. */
gboolean rd_training_open (RdTraining * t, const RdTrainOptions * options, GError ** error);
void rd_training_clear (RdTraining * t);
/** rd_training_state: what a checkpoint holds. */
RdTrainState rd_training_state (const RdTraining * t);
/** rd_training_load: everything as it is in the checkpoint, which must be of the same settings. */
gboolean rd_training_load (RdTraining * t, GError ** error);
/** rd_training_tell: a line for the user. */
void rd_training_tell (const RdTraining * t, const gchar * format, ...) G_GNUC_PRINTF (2, 3);

/** rd_train_settings: all that the result depends on, as a text; freed by the caller. */
gchar *rd_train_settings (const RdTraining * t);

/** rd_training_prepare: ids, states, features and the teacher's states of sequence @index of the corpus to place @slot of the batch;
 * fills in all of @job but lambda, level, seed and weight. */
gboolean rd_training_prepare (RdTraining * t, gsize index, gsize slot, RdJointJob * job, GError ** error);
/** rd_training_prepare_ids: the same of the first @n ids that are in that place already; mixed losses need one more. */
gboolean rd_training_prepare_ids (RdTraining * t, gsize n, gsize slot, RdJointJob * job, GError ** error);
/** rd_training_wire_bits: estimate of what the session of @n tokens is that a job was, in frames of @frame: HEADER and END, too. */
double rd_training_wire_bits (const RdTraining * t, const RdTrainableJob * job, gsize n);
/** rd_training_validate: losses of the held-out sequences at RD_TRAIN_POINTS rate points. */
gboolean rd_training_validate (RdTraining * t, RdTrainPoint * points, GError ** error);
/** rd_training_loop: from the optimiser's step on to the last. */
gboolean rd_training_loop (RdTraining * t, GError ** error);

G_END_DECLS
