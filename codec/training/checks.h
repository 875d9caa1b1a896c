/* What is checked before something takes hours, and how it tells of itself. */
#pragma once
#include <stdarg.h>

#include "codec/training/corpus.h"
#include "models/model.h"

G_BEGIN_DECLS

/** rd_check_number: whether @value is in @min .. @max. Error RD_TRAINING_ERROR_OPTIONS, which calls it @what. */
gboolean rd_check_number (const gchar * what, gsize value, gsize min, gsize max, GError ** error);
/** rd_check_range: the same for numbers that are not whole; NaN is in no range. */
gboolean rd_check_range (const gchar * what, double value, double min, double max, GError ** error);
/** rd_check_folder: whether a file can be written at @path: into a folder, and in place of a regular file if there is something. Error
 * G_FILE_ERROR names the one or the other. */
gboolean rd_check_folder (const gchar * path, GError ** error);
/** RdOptionFiles: the files that an option of a command names. */
typedef struct
{
  const gchar *option;          /* as "--output" */
  const gchar *path;            /* NULL: not given */
  const gchar *const *paths;    /* NULL-terminated, in place of @path: of an option that may be given several times; or NULL */
  gboolean written;             /* @path is; the others are read */
} RdOptionFiles;

/** rd_check_files: whether each file that is written is named by one option alone, whatever its path looks like and whether or not it is there yet.
 * Error RD_TRAINING_ERROR_OPTIONS names two options and the file. */
gboolean rd_check_files (const RdOptionFiles * files, gsize n, GError ** error);
/** rd_check_corpus: reads @texts with the tokenizer of @model, and refuses them if they have RD_CORPUS_OVERLAP consecutive ids in common with
 * any of the @n_windows. Errors: those of rd_corpus_new(); RD_CORPUS_ERROR TOKENIZER if @model has none,
 * TEXT names the place, or a window of another vocabulary. */
RdCorpus *rd_check_corpus (StModel * model, const gchar * const *texts, const RdIds * windows, gsize n_windows, GError ** error);
/** rd_check_windows: whether all ids are in a vocabulary of @vocab: windows of another one would overlap with nothing. Error RD_CORPUS_ERROR_TEXT. */
gboolean rd_check_windows (const RdIds * windows, gsize n_windows, guint vocab, GError ** error);

/** RdTell: a line for the user. */
typedef void (*RdTell) (const gchar * line, gpointer user_data);
/** rd_tell_va: calls @tell, if there is one, with the line that @format makes of @args. */
void rd_tell_va (RdTell tell, gpointer user_data, const gchar * format, va_list args) G_GNUC_PRINTF (3, 0);

/** rd_propagate_step_error: @problem of a step (taken). What is not finite becomes RD_TRAINING_ERROR_DIVERGED,
 * other errors stay what they are. Said is, too, that @checkpoint stays as it is, if there is one. */
void rd_propagate_step_error (GError ** error, GError * problem, const gchar * checkpoint);

/** rd_seconds_since: @time is of g_get_monotonic_time(). */
static inline double
rd_seconds_since (gint64 time)
{
  return (double) (g_get_monotonic_time () - time) / (double) G_TIME_SPAN_SECOND;
}

G_END_DECLS
