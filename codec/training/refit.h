/* Scales, contexts and tables of a codec whose transforms or hidden states have changed. D = hidden size. */
#pragma once
#include "codec/learned/parameters.h"

G_BEGIN_DECLS

/** RdRefitData: sequences of the text to be fitted to, 9 at least for each level to have one. */
typedef struct
{
  gsize sequences, length;      /* tokens of each */
  /* x (length, D) of sequence @index, as it is when a codec is used at @level, and with side information @features (length, D; else NULL). */
    gboolean (*states) (gsize index, guint level, float *x, float *features, gpointer user_data, GError ** error);
  gpointer user_data;
  guint threads;                /* 0 = all CPUs; no matter for the result */
  const gint *cancel;           /* polled; may be NULL */
} RdRefitData;

/** rd_refit: sets the scales of all sets of @parameters to the standard deviations of coefficients, and context weights, tables and mean
 * magnitudes to what the encoder makes of the sequences with both quantisers at many levels. All else stays, networks and
 * the scales that they go with, too. Errors: those of @states;
 * RD_CODEC_ERROR, RD_ENTROPY_ERROR; ST_MODEL_ERROR_CANCELLED, ST_MODEL_ERROR_MEMORY. */
gboolean rd_refit (const RdRefitData * data, RdLearnedParameters * parameters, GError ** error);

G_END_DECLS
