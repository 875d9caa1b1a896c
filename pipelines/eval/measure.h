/* The measurement: every text through every codec, and through the model behind it. */
#pragma once
#include "pipelines/eval/interval.h"
#include "pipelines/eval/link.h"
#include "pipelines/eval/run.h"

G_BEGIN_DECLS

/** EvalPoint: one codec at one quality, and what was found. */
typedef struct
{
  const EvalVariant *variant;
  EvalBlocks *blocks;
  guint n_windows;              /* measured so far */
  EvalSum first;                /* sum over the windows' first positions: bits only */
  gdouble encode_ns, decode_ns; /* a token; NAN = not timed */
  EvalHits *hits;               /* last words, by domain of the passages */
} EvalPoint;

/** A point without results. */
EvalPoint *eval_point_new (const EvalVariant * variant, guint n_domains, guint n_word_domains);
void eval_point_free (EvalPoint * point);

/** The link that @variant asks for. */
EvalLink *eval_run_link (EvalRun * run, const EvalVariant * variant, guint threads, GError ** error);

/** eval_run_measure: measures @n_points points whose codecs are likely to give the same rows now and then (one codec in several frame
 * sizes): the model runs once for what is equal. On an error or when cancelled the points keep what whole windows gave. */
gboolean eval_run_measure (EvalRun * run, EvalPoint ** points, guint n_points, GError ** error);

G_END_DECLS
