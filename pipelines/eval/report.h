/* Results as text, CSV and JSON. */
#pragma once
#include "pipelines/eval/results.h"

G_BEGIN_DECLS

/** Tables for people: one for all domains together, one for each, then what curves have at a KL, then BD-rates. Free it. */
gchar *eval_report_text (const EvalResults * results);
/** A line for each point and domain; the first line has the names. Figures that were not measured are empty, columns that no point has
 * are left out. Free it. */
gchar *eval_report_csv (const EvalResults * results);
/** The same and the rest (README.md beside this file). Free it. */
gchar *eval_report_json (const EvalResults * results);

G_END_DECLS
