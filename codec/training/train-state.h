/* The state of a training in a file: what is trained, the optimiser's moments and steps, counters. A GGUF file of F32 tensors, for one
 * machine: a training that is continued gives the bits of one that was never interrupted. */
#pragma once
#include "codec/training/adamw.h"

G_BEGIN_DECLS

#define RD_TRAIN_STATE_COUNTERS 8

typedef struct
{
  const gchar *settings;        /* text that says what is trained and how; must be the same to go on */
  const RdParameters *parameters;       /* their values are read or written */
  RdAdamW *adamw;               /* of the same parameters */
  guint64 counters[RD_TRAIN_STATE_COUNTERS];    /* the caller's: random numbers are functions of (seed, counter) */
} RdTrainState;

/** rd_train_state_write: @path is the whole new file or what was there before, whatever happens. Errors: ST_GGUF_ERROR_IO, with the path. */
gboolean rd_train_state_write (const gchar * path, const RdTrainState * state, GError ** error);
/** rd_train_state_read: into the parameters' values, the optimiser and the counters; on an error nothing has changed. Errors: ST_GGUF_ERROR;
 * RD_TRAINING_ERROR: OTHER says what differs; DAMAGED; NO_CHECKPOINT. */
gboolean rd_train_state_read (const gchar * path, RdTrainState * state, GError ** error);
/** rd_train_state_settings: those of the checkpoint at @path; freed by the caller. Errors: ST_GGUF_ERROR; RD_TRAINING_ERROR DAMAGED, NO_CHECKPOINT. */
gchar *rd_train_state_settings (const gchar * path, GError ** error);
/** rd_train_state_read_values: values of those @parameters that the checkpoint at @path, of whatever training, has under the same name and of
 * the same size; the others stay. @n (out): how many arrays those were. Errors: ST_GGUF_ERROR; RD_TRAINING_ERROR: DAMAGED, NO_CHECKPOINT, OTHER if there
 * are none. */
gboolean rd_train_state_read_values (const gchar * path, const RdParameters * parameters, gsize * n, GError ** error);
/** rd_train_state_advise: for trainings that would begin in the file's place: adds to an error DAMAGED that they do once it is removed. */
void rd_train_state_advise (GError ** error);
/** rd_train_state_refuse: FALSE, with the error @domain, @code of a training that was not told to go on from the checkpoint that is there at @path; with
 * those of rd_train_state_settings() if that is none, or damaged. */
gboolean rd_train_state_refuse (const gchar * path, GQuark domain, gint code, GError ** error);

G_END_DECLS
