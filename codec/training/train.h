/* Trains a codec, alone through a frozen model or together with low-rank adapters or all weights of the model, on text. */
#pragma once
#include "codec/learned/parameters.h"
#include "codec/training/corpus.h"
#include "codec/training/product.h"
#include "codec/training/trainable.h"

G_BEGIN_DECLS

#define RD_TRAIN_BINS 4
#define RD_TRAIN_POINTS 4

/** RdTrainBin: means of sequences whose lambda is in one part of the range, the last ones counting most. */
typedef struct
{
  guint64 n;                    /* sequences so far; without any the rest means nothing */
  double lambda;                /* geometric middle of the part */
  double distortion;            /* nats a token: KL to the teacher, mixed with the loss of labels if that is trained on */
  double bits;                  /* a token, estimate for the wire; HEADER and END, too */
} RdTrainBin;

/** RdTrainProgress: after a step. */
typedef struct
{
  guint64 step, steps;          /* done, of */
  double tokens_per_second;
  double seconds_left;
  double loss;                  /* weighted nats a token, the last ones counting most */
  double norm;                  /* of the last gradient before clipping */
  RdTrainBin bins[RD_TRAIN_BINS];
} RdTrainProgress;

/** RdTrainPoint: what validation found at one rate point; per token. */
typedef struct
{
  double lambda, level;
  double distortion;            /* KL to the teacher, nats */
  double bits;                  /* estimate for the wire, rounded as a codec does it; HEADER and END, too */
} RdTrainPoint;

/** RdTrainOptions: what is NULL or 0 without an own note is not there. */
typedef struct
{
  const gchar *model;           /* path of a GGUF file with all blocks */
  const gchar *start;           /* path of a codec file for it: split, features, knots, what the codec starts from */
  const gchar *const *texts;    /* NULL-terminated: files and folders, as rd_corpus_new() takes them */
  const RdIds *windows;         /* of test sets: text with RD_CORPUS_OVERLAP consecutive ids of them is refused */
  gsize n_windows;

  /* The entropy model, as rd_trainable_new_by_name() makes it, for rows of set @set of the start: 1 for rows with features. */
  const gchar *entropy_model;
  RdTrainable *(*codec_new) (const gchar * name, const RdLearnedParameters * start, guint set, guint64 seed, GError ** error);
  guint set;
  gboolean noise;               /* as in RdTrainableJob */
  gsize frame;                  /* tokens */

  guint8 matrices;              /* set of 1 << RdMatrix that get adapters; 0: the model stays as it is */
  guint first_block, last_block;        /* blocks with adapters: from, to before; last 0: to the end */
  guint rank;
  float alpha;
  gboolean full_weights;        /* all of the model's weights are trained, without adapters; the start must be without side information */

  guint64 steps;
  gsize batch, length;          /* sequences of a step, tokens of a sequence */
  gsize held_out;               /* sequences that are validated on and never trained on */
  guint64 validate_every;       /* steps; 0: before the first and behind the last */
  double lambda_min, lambda_max;        /* nats a bit; drawn between, uniform in the logarithm */
  double label_weight;          /* 0 .. 1, of the text's own next token; the rest is of the teacher's distribution */
  double rate, codec_rate;      /* peak learning rates of adapters or weights, and of the codec */
  guint64 warmup;               /* steps */
  RdProducts products;          /* of the steps, with the matrices of the model; validation, evaluation and export are in F32 */
  guint64 seed;                 /* everything random depends on it alone */

  guint threads;                /* 0 = all CPUs; no matter for the result */
  gboolean recompute;           /* as in RdTailOptions; no matter for the result */
  const gchar *checkpoint;      /* path */
  gboolean resume;              /* goes on from the checkpoint if there is one */
  const gchar *values;          /* path of another training's checkpoint: values of the same name and size are started from */

  const gint *cancel;           /* polled; may be NULL */
  void (*progress) (const RdTrainProgress * progress, gpointer user_data);
  void (*validated) (guint64 step, const RdTrainPoint * points, gpointer user_data);    /* RD_TRAIN_POINTS of them */
  void (*tell) (const gchar * line, gpointer user_data);        /* a line about what was found */
  gpointer user_data;
} RdTrainOptions;

/** Usual numbers. */
#define RD_TRAIN_BATCH 4
#define RD_TRAIN_LENGTH 256
#define RD_TRAIN_FRAME 64
#define RD_TRAIN_HELD_OUT 8
#define RD_TRAIN_VALIDATE_EVERY 200
#define RD_TRAIN_RANK 16
#define RD_TRAIN_RATE 4e-4
#define RD_TRAIN_WEIGHTS_RATE 1e-4
#define RD_TRAIN_CODEC_RATE 2e-4
#define RD_TRAIN_LAMBDA_MIN 1.5e-4
#define RD_TRAIN_LAMBDA_MAX 8e-3

/** rd_train: trains up to options->steps and leaves all of it in the checkpoint, which is also written every two minutes and when cancelled.
 * One model, start, text, options and machine always give the same numbers, interrupted or not. Errors: RD_TRAINING_ERROR (INTERRUPTED when cancelled,
 * DIVERGED names the step and keeps the last good checkpoint, OTHER, CHECKPOINT, DAMAGED and NO_CHECKPOINT for a file that does not fit); RD_CODEC_ERROR for the start;
 * those of reading model and text; ST_MODEL_ERROR for a step that fails otherwise, which is named, too. */
gboolean rd_train (const RdTrainOptions * options, GError ** error);
/** rd_train_options_read: numbers and choices of the training whose checkpoint is at @path; paths and what is no matter for the result stay as
 * they are, entropy_model and codec_new too: @codec (out) is the name of the entropy model, to be freed. Errors: ST_GGUF_ERROR; RD_TRAINING_ERROR DAMAGED, NO_CHECKPOINT, OTHER
 * for a training of something else. */
gboolean rd_train_options_read (RdTrainOptions * options, const gchar * path, gchar ** codec, GError ** error);

G_END_DECLS
