/* How far a long run is, on standard error. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** EVAL_PROGRESS_CLEAR_LINE: what a terminal begins its line anew with. */
#define EVAL_PROGRESS_CLEAR_LINE "\r\033[K"

typedef struct
{
  gboolean quiet, terminal;
  gdouble total, done;          /* tokens */
  gint64 begin, told;           /* monotonic time */
} EvalProgress;

/** @total: work to do, in tokens. A terminal gets one line that changes, everything else a line every ten seconds. */
void eval_progress_start (EvalProgress * progress, gdouble total, gboolean quiet);
/** @tokens more are done, at @what. */
void eval_progress_step (EvalProgress * progress, gdouble tokens, const gchar * what);
void eval_progress_end (EvalProgress * progress);
/** eval_progress_due: whether progress is to be told now, which @told (monotonic time of the last time) then says: at most four times a second on a
 * terminal, else every ten seconds. */
gboolean eval_progress_due (gint64 * told, gboolean terminal);
/** "2 min 05 s"; free it. */
gchar *eval_progress_duration (gdouble seconds);

G_END_DECLS
