/* Statistics in a file, so that an interrupted run goes on with the same bits. For one machine: numbers as they are in memory. */
#pragma once
#include "codec/training/statistics.h"

G_BEGIN_DECLS

#define RD_CHECKPOINT_ERROR (rd_checkpoint_error_quark ())
GQuark rd_checkpoint_error_quark (void);
typedef enum
{
  RD_CHECKPOINT_ERROR_OTHER,    /* made with other settings, the message says which; another kind of file */
  RD_CHECKPOINT_ERROR_DAMAGED,  /* truncated, changed */
} RdCheckpointError;

/** rd_checkpoint_write: the whole new file or what was there before (a temporary file beside it, renamed). @settings: text that says what
 * the statistics are of. Errors: G_FILE_ERROR, with the path. */
gboolean rd_checkpoint_write (const gchar * path, const gchar * settings, const RdStatistics * statistics, GError ** error);
/** rd_checkpoint_read: into fresh @statistics of the same size. On an error they are undefined. Errors:
 * RD_CHECKPOINT_ERROR; G_FILE_ERROR. */
gboolean rd_checkpoint_read (const gchar * path, const gchar * settings, RdStatistics * statistics, GError ** error);
/** rd_checkpoint_settings: those of the checkpoint at @path; freed by the caller. Errors as above. */
gchar *rd_checkpoint_settings (const gchar * path, GError ** error);

G_END_DECLS
