/* Tables and context weights of a codec, fitted to the symbols that it makes of rows at all levels, in rounds. D = hidden size. */
#pragma once
#include "codec/training/fit-tables.h"

G_BEGIN_DECLS

/** RdEntropyData: rows to be coded. */
typedef struct
{
  gsize n;
  const float *x;               /* (n, D) */
  const float *features;        /* (n, D) with side information */
  RdModeCounts modes;
  gsize chunk;                  /* rows of chunk i are coded at level rd_entropy_level (i); 0: few enough that all levels have some */
  guint threads;                /* 0 = all CPUs */
  const gint *cancel;           /* polled; may be NULL */
  void (*progress) (guint round, guint rounds, double bits_per_row, gpointer user_data);        /* may be NULL */
  gpointer user_data;
} RdEntropyData;

/** RD_ENTROPY_LEVELS: how many levels there are. */
#define RD_ENTROPY_LEVELS 9u
/** rd_entropy_level: the level that chunk @i of the rows is coded at. */
guint rd_entropy_level (gsize i);

/** rd_entropy_fit: sets tables, mean magnitudes and context weights of @parameters, in which all else is set (context weights to what to begin
 * with). Any number of threads gives the same. Errors: RD_ENTROPY_ERROR, RD_CODEC_ERROR; ST_MODEL_ERROR_CANCELLED. */
gboolean rd_entropy_fit (const RdEntropyData * data, RdLearnedParameters * parameters, GError ** error);

G_END_DECLS
