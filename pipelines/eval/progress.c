/* How far a long run is. */
#include "pipelines/eval/progress.h"
#include <unistd.h>

#define TERMINAL_INTERVAL (G_TIME_SPAN_SECOND / 4)
#define LOG_INTERVAL (10 * G_TIME_SPAN_SECOND)

void
eval_progress_start (EvalProgress * progress, gdouble total, gboolean quiet)
{
  *progress = (EvalProgress) {
  .quiet = quiet,.terminal = isatty (STDERR_FILENO),.total = total,.begin =
        g_get_monotonic_time ()};
  progress->told = progress->begin;
}

gboolean
eval_progress_due (gint64 * told, gboolean terminal)
{
  const gint64 now = g_get_monotonic_time ();

  if (now - *told < (terminal ? TERMINAL_INTERVAL : LOG_INTERVAL))
    return FALSE;
  *told = now;
  return TRUE;
}

gchar *
eval_progress_duration (gdouble seconds)
{
  guint64 s = (guint64) (MAX (seconds, 0) + 0.5);

  if (s >= 3600)
    return g_strdup_printf ("%" G_GUINT64_FORMAT " h %02" G_GUINT64_FORMAT
        " min", s / 3600, s / 60 % 60);
  if (s >= 60)
    return g_strdup_printf ("%" G_GUINT64_FORMAT " min %02" G_GUINT64_FORMAT
        " s", s / 60, s % 60);
  return g_strdup_printf ("%" G_GUINT64_FORMAT " s", s);
}

void
eval_progress_step (EvalProgress * progress, gdouble tokens, const gchar * what)
{
  g_autofree gchar *left = NULL;
  gdouble seconds;

  progress->done = MIN (progress->done + tokens, progress->total);
  if (progress->quiet || progress->done <= 0
      || !eval_progress_due (&progress->told, progress->terminal))
    return;
  seconds = (gdouble) (progress->told - progress->begin) / G_TIME_SPAN_SECOND;
  left = eval_progress_duration (seconds * (progress->total - progress->done)
      / progress->done);
  g_printerr ("%s%3.0f %%, about %s left: %s%s",
      progress->terminal ? EVAL_PROGRESS_CLEAR_LINE : "",
      100 * progress->done / progress->total, left, what,
      progress->terminal ? "" : "\n");
}

void
eval_progress_end (EvalProgress * progress)
{
  if (!progress->quiet && progress->terminal)
    g_printerr (EVAL_PROGRESS_CLEAR_LINE);
}
