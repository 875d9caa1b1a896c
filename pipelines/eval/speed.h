/* How fast codecs are: one window again and again, the codecs in turn, one thread. */
#pragma once
#include "pipelines/eval/measure.h"

G_BEGIN_DECLS

/** EvalSpeed: nanoseconds a token, one value a round. */
typedef struct
{
  const EvalVariant *variant;
  GArray *encode, *decode;      /* gdouble */
} EvalSpeed;

typedef struct
{
  GArray *speeds;               /* EvalSpeed */
  GArray *head;                 /* gdouble: ns a token of the model's head (prefill) in the same rounds */
  guint hidden;
} EvalSpeeds;

/** eval_run_speed: sends the first window of @run (opened with one thread) through each of @variants (EvalVariant) in each of @rounds
 * rounds, after one that does not count. Variants without a clock are left out. *speeds is set, also on an error or when cancelled: it
 * then has the rounds that were complete. */
gboolean eval_run_speed (EvalRun * run, const GPtrArray * variants, guint rounds, EvalSpeeds ** speeds, GError ** error);
void eval_speeds_free (EvalSpeeds * speeds);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvalSpeeds, eval_speeds_free)

/** Medians as a table, and as JSON. Free them. */
gchar *eval_speeds_text (EvalSpeeds * speeds);
gchar *eval_speeds_json (EvalSpeeds * speeds);

G_END_DECLS
