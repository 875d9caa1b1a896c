/* Rate-distortion plots, drawn by gnuplot. */
#include "pipelines/eval/plot.h"
#include <gio/gio.h>
#include <math.h>
#include <string.h>
#include "pipelines/eval/error.h"

#define PANEL_WIDTH 640
#define PANEL_HEIGHT 480
#define RANGE_MARGIN 1.3

gboolean
eval_plot_check (const gchar * path, GError ** error)
{
  g_autofree gchar *gnuplot = NULL;

  if (g_str_has_suffix (path, ".gp"))
    return TRUE;
  if (!g_str_has_suffix (path, ".svg") && !g_str_has_suffix (path, ".png")) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
        "--plot %s: the name has to end in .svg, .png or .gp", path);
    return FALSE;
  }
  gnuplot = g_find_program_in_path ("gnuplot");
  if (!gnuplot)
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_TOOL,
        "--plot %s: no gnuplot here; install gnuplot-nox, or let the name end "
        "in .gp to get the script for it", path);
  return gnuplot != NULL;
}

/* ---- the script ---- */

/* In single quotes, as gnuplot reads them; no control characters. */
static void
append_quoted (GString * out, const gchar * text)
{
  g_string_append_c (out, '\'');
  for (; *text; text++) {
    if (*text == '\'')
      g_string_append_c (out, '\'');
    g_string_append_c (out, g_ascii_iscntrl (*text) ? ' ' : *text);
  }
  g_string_append_c (out, '\'');
}

static void
append_number (GString * out, gdouble value)
{
  gchar text[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append_printf (out, " %s", g_ascii_formatd (text, sizeof text,
          "%.6g", value));
}

/* Value and interval; the value alone where there is none. A logarithmic axis has no place for 0. */
static void
append_interval (GString * out, const EvalInterval * i)
{
  append_number (out, i->value);
  append_number (out, i->low > 0 ? i->low : i->value);
  append_number (out, i->high > 0 ? i->high : i->value);
}

static gboolean
is_lossless (const EvalResults * results, guint index, gint domain)
{
  return eval_results_figure (results, index, domain, EVAL_KL)->value <= 0;
}

/* A block of data for each curve; returns how many points of @curve it has. */
static guint
append_data (const EvalResults * results, GString * out, gint domain,
    const gchar * curve, guint number)
{
  guint n = 0;

  g_string_append_printf (out, "$curve%u << END\n", number);
  for (guint i = 0; i < results->results->len; i++) {
    if (!g_str_equal (eval_results_curve (results, i), curve)
        || !(eval_results_figure (results, i, domain, EVAL_KL)->value > 0))
      continue;
    append_interval (out, eval_results_figure (results, i, domain,
            EVAL_WIRE_BPT));
    append_interval (out, eval_results_figure (results, i, domain, EVAL_KL));
    g_string_append_c (out, '\n');
    n++;
  }
  g_string_append (out, "END\n");
  return n;
}

static void
append_lossless (const EvalResults * results, GString * out, gint domain)
{
  g_string_append (out, "unset arrow\nunset label\n");
  for (guint i = 0; i < results->results->len; i++) {
    gdouble bpt =
        eval_results_figure (results, i, domain, EVAL_WIRE_BPT)->value;

    if (!is_lossless (results, i, domain) || !(bpt > 0))
      continue;
    g_string_append (out, "set arrow from");
    append_number (out, bpt);
    g_string_append (out, ", graph 0 to");
    append_number (out, bpt);
    g_string_append (out, ", graph 1 nohead dashtype 2 linecolor 'gray40'\n"
        "set label ");
    append_quoted (out, eval_results_curve (results, i));
    g_string_append (out, " at");
    append_number (out, bpt);
    g_string_append (out, ", graph 0.02 rotate by 90 offset 0.7, 0 textcolor "
        "'gray40'\n");
  }
}

/* All panels have the same one: lines at lossless points do not count for the automatic one. */
static void
append_range (const EvalResults * results, GString * out)
{
  gdouble low = INFINITY, high = 0;

  for (guint i = 0; i < results->results->len; i++)
    for (gint d = EVAL_ALL_DOMAINS; d < (gint) results->domains->len; d++) {
      gdouble bpt = eval_results_figure (results, i, d, EVAL_WIRE_BPT)->value;

      if (bpt > 0) {
        low = MIN (low, bpt);
        high = MAX (high, bpt);
      }
    }
  g_string_append (out, "\nset xrange [");
  append_number (out, high > 0 ? low / RANGE_MARGIN : 1);
  g_string_append (out, " :");
  append_number (out, high > 0 ? high * RANGE_MARGIN : 10);
  g_string_append (out, " ]\n");
}

static void
append_panel (const EvalResults * results, GString * out, gint domain)
{
  g_autoptr (GPtrArray) names = eval_results_curves (results);
  GString *plots = g_string_new (NULL);

  append_lossless (results, out, domain);
  for (guint c = 0; c < names->len; c++) {
    const gchar *name = g_ptr_array_index (names, c);
    guint n = append_data (results, out, domain, name, c);

    if (n == 0)
      continue;
    g_string_append_printf (plots, "%s $curve%u using 1:4:2:3:5:6 with "
        "xyerror%s linetype %u pointtype %u title ",
        plots->len ? "," : "", c, n > 1 ? "lines" : "bars", c + 1, c + 1);
    append_quoted (plots, name);
  }
  g_string_append (out, "set title ");
  append_quoted (out, eval_results_domain (results, domain));
  if (plots->len > 0)
    g_string_append_printf (out, "\nplot%s\n", plots->str);
  else
    g_string_append (out, "\nset multiplot next\n");
  g_string_free (plots, TRUE);
}

gchar *
eval_plot_script (const EvalResults * results, const gchar * path)
{
  const guint panels = results->domains->len + 1, columns = panels > 1 ? 2 : 1;
  const guint rows = (panels + columns - 1) / columns;
  GString *out = g_string_new (NULL);

  g_string_append_printf (out,
      "set terminal %s noenhanced size %u, %u\nset output ",
      g_str_has_suffix (path, ".png") ? "pngcairo" : "svg background 'white'",
      columns * PANEL_WIDTH, rows * PANEL_HEIGHT);
  append_quoted (out, path);
  append_range (results, out);
  g_string_append_printf (out, "set logscale xy\nset grid\n"
      "set format '%%g'\nset key outside bottom center horizontal\n"
      "set bars small\n"
      "set xlabel 'bits a token on the wire'\n"
      "set ylabel 'KL to the uncompressed model, nats'\n"
      "set multiplot layout %u, %u\n", rows, columns);
  for (gint d = EVAL_ALL_DOMAINS; d < (gint) results->domains->len; d++)
    append_panel (results, out, d);
  g_string_append (out, "unset multiplot\nunset output\n");
  return g_string_free (out, FALSE);
}

gboolean
eval_plot_write (const EvalResults * results, const gchar * path,
    GError ** error)
{
  g_autofree gchar *script = NULL, *said = NULL, *complaint = NULL;
  g_autoptr (GSubprocess) gnuplot = NULL;

  if (g_str_has_suffix (path, ".gp")) {
    g_autofree gchar *stem = g_strndup (path, strlen (path) - strlen (".gp"));
    g_autofree gchar *svg = g_strconcat (stem, ".svg", NULL);

    script = eval_plot_script (results, svg);
    return g_file_set_contents (path, script, -1, error);
  }
  script = eval_plot_script (results, path);
  gnuplot = g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE |
      G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE,
      error, "gnuplot", NULL);
  if (!gnuplot || !g_subprocess_communicate_utf8 (gnuplot, script, NULL,
          &said, &complaint, error))
    return FALSE;
  if (g_subprocess_get_successful (gnuplot))
    return TRUE;
  g_set_error (error, EVAL_ERROR, EVAL_ERROR_TOOL,
      "gnuplot cannot draw %s: %s", path, g_strstrip (complaint));
  return FALSE;
}
