/* Trains a small language model of a family that the project has, vocabulary included, from nothing on text. */
#pragma once
#include "codec/training/adamw.h"
#include "codec/training/corpus.h"
#include "codec/training/product.h"
#include "codec/training/scratch-model.h"

G_BEGIN_DECLS

#define RD_SCRATCH_ERROR (rd_scratch_error_quark ())
GQuark rd_scratch_error_quark (void);
typedef enum
{
  RD_SCRATCH_ERROR_CHECKPOINT,  /* one is there already */
  RD_SCRATCH_ERROR_INTERRUPTED, /* the checkpoint is written; the message says whether the model is, too */
} RdScratchError;

typedef struct
{
  guint64 done, steps;
  double loss;                  /* nats a token, of the last steps */
  double tokens_per_second;     /* of this run */
  double seconds_left;
} RdScratchProgress;

/** RdScratchOptions: what is NULL or 0 without an own note is not there. */
typedef struct
{
  RdScratchShape shape;
  const gchar *name;            /* general.name */
  const gchar *const *texts;    /* NULL-terminated, as for rd_corpus_new() */
  const gchar *const *held_out; /* likewise; losses are told on it, nothing is trained with it */
  gsize held_out_sequences;     /* of it, at most, evenly spread */
  const gchar *const *excluded; /* NULL-terminated UTF-8 texts: RD_CORPUS_OVERLAP tokens of one in @texts are an error */
  const gchar *grow;            /* path of a smaller model that the training begins with, as rd_scratch_model_grow() takes it */
  const gchar *output;          /* path of the model */
  StType type;                  /* of its matrices: F32, F16, Q8_0 */
  const gchar *license, *sources;       /* for the file: its licence, what the texts are */
  guint64 steps;
  gsize length;                 /* tokens of a sequence, 2 .. the context */
  gsize batch;                  /* sequences a step */
  double rate;                  /* learning rate */
  guint64 warmup;               /* steps in which it grows */
  double decay;                 /* part of @steps, the last ones, in which it goes down to 0 along a cosine: 0 .. 1 */
  double weight_decay;
  RdProducts products;          /* of the steps, with the matrices of the model; losses on held-out text are in F32 */
  guint64 seed;
  guint threads;                /* 0 = all CPUs; no more than @batch are of use */
  const gchar *checkpoint;      /* path; NULL: that of the output with ".checkpoint" behind it */
  gboolean resume;              /* goes on from the checkpoint if there is one */
  gboolean keep_checkpoint;     /* else it is removed in the end */

  const gint *cancel;           /* polled; may be NULL */
  void (*progress) (const RdScratchProgress * progress, gpointer user_data);
  void (*tell) (const gchar * line, gpointer user_data);        /* a line about what was found */
  gpointer user_data;
} RdScratchOptions;

/** rd_scratch_train: learns the vocabulary, trains and writes the model. The same text and options give the same file on one machine and
 * build, for any number of threads, interrupted or not; a run that goes on may have another @steps and @decay than the one before as long as
 * the rate goes down under neither. A cancelled run leaves a checkpoint, and the model if only the held-out loss
 * is missing; a checkpoint is written every two minutes, too.
 * Errors: RD_SCRATCH_ERROR, RD_TRAINING_ERROR (a loss that is not finite names its step; the last checkpoint stays), RD_CORPUS_ERROR; of
 * reading and writing. */
gboolean rd_scratch_train (const RdScratchOptions * options, GError ** error);

G_END_DECLS
