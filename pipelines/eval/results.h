/* What was measured, with intervals, ready to be printed, stored and drawn. */
#pragma once
#include "pipelines/eval/interval.h"
#include "pipelines/eval/measure.h"

G_BEGIN_DECLS

/** EvalResult: one point. */
typedef struct
{
  const EvalPoint *point;
  EvalInterval *figures;        /* (domains + 1, EVAL_N_METRICS): all domains together, then each */
  EvalInterval *words;          /* last-word accuracy: all passages, then each of their domains; NAN where there were none */
} EvalResult;

/** EvalCurveAt: wire bits a token of a curve at a KL. */
typedef struct
{
  const gchar *curve;
  gint domain;                  /* or EVAL_ALL_DOMAINS */
  gdouble kl;
  EvalInterval bpt;
} EvalCurveAt;

/** EvalBdRate: mean difference in wire bits a token at the same KL, as a share. */
typedef struct
{
  const gchar *anchor, *test;
  gint domain;
  EvalInterval rate;
} EvalBdRate;

typedef struct
{
  const gchar *model, *model_id, *testset;      /* for the record; not owned */
  const gchar *reference, *reference_id;        /* what is compared with, if that is another model; or NULL */
  guint split;
  guint n_windows;              /* of the test set: points of an interrupted run have fewer */
  GPtrArray *domains;           /* gchar: of the windows; not owned */
  GPtrArray *word_domains;      /* gchar: of the passages; not owned, NULL without passages */
  EvalInterval *words_ref;      /* last-word accuracy without a codec, as in EvalResult */
  EvalResampling resampling;
  GArray *results;              /* EvalResult */
  GArray *at;                   /* EvalCurveAt */
  GArray *bd;                   /* EvalBdRate */
} EvalResults;

/** eval_results_new: figures of those @points (EvalPoint, which have to live as long) that have measured anything. @domains and
 * @word_domains: names of the windows' domains, and of the passages' (NULL if there are none), whose @hits are those without a codec. */
EvalResults *eval_results_new (const GPtrArray * points, GPtrArray * domains, GPtrArray * word_domains, const EvalHits * hits,
    const EvalResampling * resampling);
void eval_results_free (EvalResults * results);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvalResults, eval_results_free)

/** Name of a domain, and of a domain of passages; "all" for EVAL_ALL_DOMAINS. */
const gchar *eval_results_domain (const EvalResults * results, gint domain);
const gchar *eval_results_word_domain (const EvalResults * results, gint domain);
guint eval_results_n_word_domains (const EvalResults * results);
/** Name of the curve that result @index belongs to. */
const gchar *eval_results_curve (const EvalResults * results, guint index);
/** The figure of result @index. */
const EvalInterval *eval_results_figure (const EvalResults * results, guint index, gint domain, EvalMetric metric);
/** How many passages the result has seen in a domain of theirs, or in all. */
guint eval_results_n_words (const EvalResults * results, const EvalResult * result, gint domain);
/** Mean bits of the first position of a text, its frame and all in it. */
gdouble eval_results_first_bits (const EvalResult * result);
/** TRUE if any result has the figure. */
gboolean eval_results_have (const EvalResults * results, EvalMetric metric);
/** Names of the curves, each once, in order; free the array, not the names. */
GPtrArray *eval_results_curves (const EvalResults * results);

/** Adds what every curve of at least two points has at @kl, in every domain. */
void eval_results_add_at (EvalResults * results, gdouble kl);
/** Adds the difference of two curves in every domain. FALSE if there is no such curve: the error names those that there are. */
gboolean eval_results_add_bd (EvalResults * results, const gchar * anchor, const gchar * test, GError ** error);

G_END_DECLS
