/* Rate-distortion plots, drawn by gnuplot. */
#pragma once
#include "pipelines/eval/results.h"

G_BEGIN_DECLS

/** eval_plot_check: whether a plot can be written to @path, whose ending says what it is: .svg or .png (needs gnuplot), or .gp (the
 * script for gnuplot). An error says what to do. */
gboolean eval_plot_check (const gchar * path, GError ** error);
/** The script that draws to @path: KL over wire bits a token, both logarithmic, all domains and each one in panels; a lossless point is
 * a vertical line. Free it. */
gchar *eval_plot_script (const EvalResults * results, const gchar * path);
/** Draws, or writes the script if @path ends in .gp. */
gboolean eval_plot_write (const EvalResults * results, const gchar * path, GError ** error);

G_END_DECLS
