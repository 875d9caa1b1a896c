/* Losses of a whole model with a codec between two of its blocks, and their gradient by the codec and by low-rank adapters or the
 * weights of the model on both sides of it. D = hidden size. */
#pragma once
#include "codec/training/adapters.h"
#include "codec/training/tail.h"
#include "codec/training/trainable.h"

G_BEGIN_DECLS

/** RdJointOptions: what is trained. The objects are the caller's and outlive the RdJoint. */
typedef struct
{
  RdWeights *weights;           /* blocks split_layer to the end and the output head; with @head all blocks and the embedding */
  gboolean train_weights;       /* all of them; else they are frozen. Needs @head */
  RdAdapters *adapters;         /* of the whole model; NULL: none */
  RdTrainable *codec;
  guint split_layer;            /* the codec stands before this block */
  gboolean head;                /* the head runs, too, from ids; else jobs bring the states before the codec */
  float codec_rate;             /* factor of the learning rate of all of the codec's parameters */
  float gate_rate;              /* and of the gates' */
  guint n_knots;                /* 1 .. : adapters have a gate at each of these rate points, 1 at first */
  const gint32 *knots;          /* (n_knots) levels, ascending; between them the gate is interpolated linearly, beyond it is constant */
  guint threads;                /* 0 = all CPUs; each takes whole sequences */
  gboolean recompute;           /* as in RdTailOptions */
} RdJointOptions;

/** RdJointJob: one sequence from position 0 on. */
typedef struct
{
  const gint32 *ids;            /* (n) with a head, else not read */
  const float *x;               /* (n, D) hidden states before split_layer, without a head */
  RdTrainableJob codec;         /* features, level, frame, noise and seed are read, bits and rate_bits written; the rest is the object's */
  RdTailJob target;             /* n and all that describes the loss; results are written but gradients */
  double lambda;                /* nats a bit */
  double weight;                /* of the sequence in the gradient, usually 1 */
} RdJointJob;

typedef struct _RdJoint RdJoint;

/** rd_joint_new: reserves activations, a pass of the codec and a gradient for each thread. Errors (ST_MODEL_ERROR): RANGE for blocks,
 * embedding or output head that @weights do not have, MEMORY; those of the codec. With weights that are trained jobs should bring the
 * teacher's output head (target.teacher_head): the model's own one moves. */
RdJoint *rd_joint_new (const RdJointOptions * options, GError ** error);
void rd_joint_free (RdJoint * joint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdJoint, rd_joint_free)

/** rd_joint_parameters: what is trained: adapters and "adapter.gate" (n_knots) if there are adapters, the weights if they are trained, then
 * the codec. Owned by @joint. */
const RdParameters *rd_joint_parameters (const RdJoint * joint);
/** rd_joint_gates: (n_knots) factors of the adapters. Owned by @joint; the optimiser changes them. */
float *rd_joint_gates (RdJoint * joint);

/** rd_joint_run: losses and bits of @n_jobs sequences; adds to @gradient (as long as the parameters; NULL: losses alone) the derivative of the
 * sum over the sequences of weight * (target.total + lambda * codec.rate_bits). The same bits for any number of threads. Errors as of
 * rd_tail_run(), those of the codec, and INPUT for bits that are not finite. */
gboolean rd_joint_run (RdJoint * joint, RdJointJob * jobs, gsize n_jobs, float *gradient, const gint * cancel, GError ** error);

/** rd_joint_head: x (n, D) hidden states before the codec of @ids (n) at @level, by the head. Errors as above. */
gboolean rd_joint_head (RdJoint * joint, const gint32 * ids, gsize n, float level, float *x, const gint * cancel, GError ** error);

/** rd_joint_stepped: to be called after each change of the parameters. */
void rd_joint_stepped (RdJoint * joint);

G_END_DECLS
