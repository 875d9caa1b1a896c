#include "pipelines/rdtrain/tool.h"

#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipelines/eval/progress.h"

void
rdtrain_teller_init (RdtrainTeller * teller, gboolean quiet)
{
  setlocale (LC_NUMERIC, "C");
  *teller = (RdtrainTeller) {
  .quiet = quiet,.terminal = isatty (STDERR_FILENO)};
}

gboolean
rdtrain_teller_due (RdtrainTeller * teller)
{
  return !teller->quiet && eval_progress_due (&teller->told, teller->terminal);
}

void
rdtrain_teller_progress (const RdtrainTeller * teller, const gchar * line)
{
  g_printerr ("%s%s%s", teller->terminal ? EVAL_PROGRESS_CLEAR_LINE : "", line,
      teller->terminal ? "" : "\n");
}

void
rdtrain_tell (const gchar * line, gpointer user_data)
{
  const RdtrainTeller *teller = user_data;

  if (!teller->quiet)
    g_printerr ("%s%s\n", teller->terminal ? EVAL_PROGRESS_CLEAR_LINE : "",
        line);
}

int
rdtrain_fail (const RdtrainTeller * teller, const GError * error,
    gboolean interrupted)
{
  g_printerr ("%s%s: %s\n", teller->terminal ? EVAL_PROGRESS_CLEAR_LINE : "",
      g_get_prgname (), error->message);
  return interrupted ? RDTRAIN_EXIT_INTERRUPTED : EXIT_FAILURE;
}

GOptionContext *
rdtrain_context (const GOptionEntry * entries, const gchar * summary,
    const gchar * description)
{
  GOptionContext *context = g_option_context_new ("");

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_summary (context, summary);
  g_option_context_set_description (context, description);
  return context;
}

int
rdtrain_fail_arguments (const GError * error)
{
  g_printerr ("%s: %s (see %s --help)\n", g_get_prgname (), error->message,
      g_get_prgname ());
  return RDTRAIN_EXIT_USAGE;
}

gboolean
rdtrain_fail_usage (GError ** error, const gchar * message)
{
  g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
      message);
  return FALSE;
}

gboolean
rdtrain_parse_products (const gchar * name, RdProducts * products,
    GError ** error)
{
  *products = RD_PRODUCTS_F32;
  return name == NULL || rd_products_by_name (name, products)
      || rdtrain_fail_usage (error, "--products is f32 or bf16");
}

gboolean
rdtrain_parse_type (const gchar * name, StType * type, GError ** error)
{
  static const StType types[] = { ST_TYPE_F16, ST_TYPE_Q8_0, ST_TYPE_F32 };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    if (name == NULL || g_ascii_strcasecmp (name,
            st_type_traits (types[i])->name) == 0) {
      *type = types[i];
      return TRUE;
    }
  }
  return rdtrain_fail_usage (error, "--type is F16, Q8_0 or F32");
}

gboolean
rdtrain_windows_load (RdtrainWindows * windows, const gchar * path,
    GError ** error)
{
  if (path == NULL)
    return TRUE;
  windows->testset = eval_testset_load (path, G_MAXINT32, G_MAXINT32, 0, error);
  if (windows->testset == NULL)
    return FALSE;
  windows->n = windows->testset->texts->len;
  windows->windows = g_new (RdIds, windows->n);
  for (guint i = 0; i < windows->n; i++) {
    const EvalText *text = g_ptr_array_index (windows->testset->texts, i);

    windows->windows[i] = (RdIds) {
    text->ids, text->n};
  }
  return TRUE;
}

void
rdtrain_windows_clear (RdtrainWindows * windows)
{
  g_clear_pointer (&windows->testset, eval_testset_free);
  g_clear_pointer (&windows->windows, g_free);
  windows->n = 0;
}
