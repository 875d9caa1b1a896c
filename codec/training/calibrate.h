/* Makes a codec file for a model and a split from text. */
#pragma once
#include "codec/codec.h"
#include "codec/training/corpus.h"

G_BEGIN_DECLS

#define RD_CALIBRATE_ERROR (rd_calibrate_error_quark ())
GQuark rd_calibrate_error_quark (void);
typedef enum
{
  RD_CALIBRATE_ERROR_TEXT,      /* the text holds too little */
  RD_CALIBRATE_ERROR_CHECKPOINT,        /* one is there already */
  RD_CALIBRATE_ERROR_INTERRUPTED,       /* the checkpoint is written */
} RdCalibrateError;

/** RdCalibrateProgress: how far the pass over the text is. */
typedef struct
{
  gsize done, sequences;
  double tokens_per_second;
  double seconds_left;
} RdCalibrateProgress;

/** RdCalibrateOptions: what is NULL or 0 without an own note is not there. */
typedef struct
{
  const gchar *model;           /* path of a GGUF file with all blocks */
  guint split_layer;            /* states before this block */
  const gchar *const *texts;    /* NULL-terminated: files and folders, as rd_corpus_new() takes them */
  const gchar *output;          /* path of the codec file */
  RdSideInfo side_info;         /* what a second set of rows is predicted from */
  guint n_blocks;               /* of RD_SIDE_INFO_BLOCKS */

  gsize sequences;              /* that moments are taken of */
  gsize gradient_sequences;     /* the first of them: gradients, too */
  gsize length;                 /* tokens of a sequence */
  guint64 seed;                 /* everything random depends on it alone */
  double lambda;                /* of the codec file */

  const RdIds *windows;         /* of test sets: text with RD_CORPUS_OVERLAP consecutive ids of them is refused */
  gsize n_windows;
  const gchar *sources;         /* for the file: what the texts are, and their licences */

  guint threads;                /* 0 = all CPUs; no matter for the result */
  gboolean recompute;           /* as in RdTailOptions: less memory, more time */
  const gchar *checkpoint;      /* path; NULL: that of the output with ".checkpoint" behind it */
  gboolean resume;              /* goes on from the checkpoint if there is one */
  gboolean keep_checkpoint;     /* else it is removed in the end */

  const gint *cancel;           /* polled; may be NULL */
  void (*progress) (const RdCalibrateProgress * progress, gpointer user_data);
  void (*tell) (const gchar * line, gpointer user_data);        /* a line about what was found */
  gpointer user_data;
} RdCalibrateOptions;

/** Usual numbers. */
#define RD_CALIBRATE_SEQUENCES 240
#define RD_CALIBRATE_GRADIENT_SEQUENCES 80
#define RD_CALIBRATE_LENGTH 512
#define RD_CALIBRATE_LAMBDA 0.03
#define RD_CALIBRATE_MAX_LENGTH 8192

/** rd_calibrate: writes the codec file; one model, text, options and machine always give the same bytes, interrupted or not. A cancelled run leaves
 * a checkpoint; one is written every half a minute, too. Errors: RD_CALIBRATE_ERROR; RD_TRAINING_ERROR_OPTIONS; those of reading model and text, of the checkpoint and
 * of the fits. */
gboolean rd_calibrate (const RdCalibrateOptions * options, GError ** error);

G_END_DECLS
