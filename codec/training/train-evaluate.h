/* What a training has reached, on texts of a test set: hidden states behind the last block, estimated bits, time. D = hidden size. */
#pragma once
#include "codec/training/train.h"

G_BEGIN_DECLS

#define RD_TRAIN_MAX_FRAMES 8

/** RdTrainResult: one text at one rate point. The arrays are the callee's until it returns. */
typedef struct
{
  gsize text, point;
  double level;
  const float *y;               /* (n, D) behind the last block of the trained model with the codec in it */
  const float *reference;       /* (n, D) of the original model without a codec */
  double bits[RD_TRAIN_MAX_FRAMES];     /* ideal code length of all rows, rounded, for each frame size; of texts that get them */
  double wire_bits[RD_TRAIN_MAX_FRAMES];        /* estimate of what a session with them is on the wire, everything counted */
  double head_seconds;          /* processor time of the blocks before the codec, for all rows */
  double codec_seconds[RD_TRAIN_MAX_FRAMES];    /* and of codec and estimate, both ways */
} RdTrainResult;

/** RdTrainEvaluation: what is evaluated. The arrays are the caller's. */
typedef struct
{
  const RdIds *texts;           /* (n_texts), each of 2 ids to the length of the training's sequences */
  gsize n_texts;
  gsize n_coded;                /* the first of them get bits and times, the others hidden states alone */
  const double *lambdas;        /* (n_lambdas) rate points */
  gsize n_lambdas;
  const gsize *frames;          /* (n_frames, 1 .. RD_TRAIN_MAX_FRAMES) tokens of a frame */
  gsize n_frames;
  /* Called for each text at each point, text by text. FALSE ends it with the error. */
    gboolean (*done) (const RdTrainResult * result, gpointer user_data, GError ** error);
  gpointer user_data;
} RdTrainEvaluation;

/** rd_train_evaluate: of the training that @options describes, as far as its checkpoint is. Errors as of rd_train(); RD_TRAINING_ERROR_OPTIONS
 * for texts of another length, numbers out of range, and a training of all weights, whose model has an output head of its own. */
gboolean rd_train_evaluate (const RdTrainOptions * options, const RdTrainEvaluation * evaluation, GError ** error);

G_END_DECLS
