/* Arrays that are trained, in a fixed order as one vector: gradients and the optimiser's moments are laid out alike. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_TRAINING_ERROR (rd_training_error_quark ())
GQuark rd_training_error_quark (void);
typedef enum
{
  RD_TRAINING_ERROR_OPTIONS,    /* numbers that nothing can be trained with */
  RD_TRAINING_ERROR_DIVERGED,   /* a loss or gradient that is not finite */
  RD_TRAINING_ERROR_OTHER,      /* a checkpoint of another configuration; the message says what differs */
  RD_TRAINING_ERROR_DAMAGED,    /* a checkpoint that is not whole */
  RD_TRAINING_ERROR_CHECKPOINT, /* one is there already */
  RD_TRAINING_ERROR_INTERRUPTED,        /* the checkpoint is written */
  RD_TRAINING_ERROR_NO_CHECKPOINT,      /* a file of another kind */
} RdTrainingError;

/** RdParameter: one array. */
typedef struct
{
  gchar *name;                  /* unique, a tensor's in a file */
  float *values;                /* (n), its owner's, which outlives the list */
  gsize n;
  gsize offset;                 /* of its part of the vector */
  gboolean decay;               /* whether weight decay applies */
  float rate;                   /* factor of the learning rate */
} RdParameter;

/** RdParameters: zeroed at first. */
typedef struct
{
  GArray *list;                 /* of RdParameter */
  gsize n;                      /* floats of the vector */
} RdParameters;

/** RD_PARAMETER_NAME_MAX: bytes of a name. */
#define RD_PARAMETER_NAME_MAX 48

/** rd_parameters_add: appends @n > 0 floats at @values under @name (copied). Returns their offset in the vector. */
gsize rd_parameters_add (RdParameters * parameters, const gchar * name, float *values, gsize n, gboolean decay, float rate);
void rd_parameters_clear (RdParameters * parameters);

static inline const RdParameter *
rd_parameters_get (const RdParameters * parameters, guint i)
{
  return &g_array_index (parameters->list, RdParameter, i);
}

static inline guint
rd_parameters_count (const RdParameters * parameters)
{
  return parameters->list != NULL ? parameters->list->len : 0;
}

G_END_DECLS
