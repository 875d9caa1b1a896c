/* What was measured, with intervals. */
#include "pipelines/eval/results.h"
#include <math.h>
#include "pipelines/eval/curve.h"
#include "pipelines/eval/error.h"

static void
result_clear (gpointer data)
{
  g_free (((EvalResult *) data)->figures);
  g_free (((EvalResult *) data)->words);
}

static EvalHits
hits_in (const EvalHits * hits, guint n_domains, gint domain)
{
  EvalHits sum = { 0, 0 };

  for (guint d = 0; d < n_domains; d++)
    if (domain < 0 || d == (guint) domain) {
      sum.n += hits[d].n;
      sum.right += hits[d].right;
    }
  return sum;
}

/* All passages, then each domain. */
static EvalInterval *
word_figures (const EvalHits * hits, guint n_domains)
{
  EvalInterval *figures = g_new (EvalInterval, (gsize) n_domains + 1);

  for (gint d = EVAL_ALL_DOMAINS; d < (gint) n_domains; d++) {
    EvalHits sum = hits_in (hits, n_domains, d);

    figures[d + 1] = eval_wilson (sum.right, sum.n);
  }
  return figures;
}

static void
add_result (EvalResults * results, const EvalPoint * point)
{
  const gint n_domains = (gint) results->domains->len;
  guint index = results->results->len;

  g_array_set_size (results->results, index + 1);
  EvalResult *result = &g_array_index (results->results, EvalResult, index);
  result->point = point;
  result->words =
      word_figures (point->hits, eval_results_n_word_domains (results));
  result->figures = g_new (EvalInterval,
      (gsize) (n_domains + 1) * EVAL_N_METRICS);
  for (gint d = EVAL_ALL_DOMAINS; d < n_domains; d++)
    for (guint m = 0; m < EVAL_N_METRICS; m++)
      result->figures[(gsize) (d + 1) * EVAL_N_METRICS + m] =
          eval_bootstrap_metric (point->blocks, d, (EvalMetric) m,
          &results->resampling);
}

EvalResults *
eval_results_new (const GPtrArray * points, GPtrArray * domains,
    GPtrArray * word_domains, const EvalHits * hits,
    const EvalResampling * resampling)
{
  EvalResults *results = g_new0 (EvalResults, 1);

  results->domains = domains;
  results->word_domains = word_domains;
  results->words_ref =
      word_figures (hits, eval_results_n_word_domains (results));
  results->resampling = *resampling;
  results->results = g_array_new (FALSE, FALSE, sizeof (EvalResult));
  g_array_set_clear_func (results->results, result_clear);
  results->at = g_array_new (FALSE, FALSE, sizeof (EvalCurveAt));
  results->bd = g_array_new (FALSE, FALSE, sizeof (EvalBdRate));
  for (guint i = 0; i < points->len; i++) {
    const EvalPoint *point = g_ptr_array_index (points, i);

    if (point->n_windows > 0)
      add_result (results, point);
  }
  return results;
}

void
eval_results_free (EvalResults * results)
{
  g_array_unref (results->results);
  g_array_unref (results->at);
  g_array_unref (results->bd);
  g_free (results->words_ref);
  g_free (results);
}

const gchar *
eval_results_domain (const EvalResults * results, gint domain)
{
  return domain < 0 ? "all" : g_ptr_array_index (results->domains,
      (guint) domain);
}

const gchar *
eval_results_word_domain (const EvalResults * results, gint domain)
{
  return domain < 0 ? "all" : g_ptr_array_index (results->word_domains,
      (guint) domain);
}

guint
eval_results_n_word_domains (const EvalResults * results)
{
  return results->word_domains ? results->word_domains->len : 0;
}

guint
eval_results_n_words (const EvalResults * results, const EvalResult * result,
    gint domain)
{
  return hits_in (result->point->hits, eval_results_n_word_domains (results),
      domain).n;
}

const EvalInterval *
eval_results_figure (const EvalResults * results, guint index, gint domain,
    EvalMetric metric)
{
  const EvalResult *result = &g_array_index (results->results, EvalResult,
      index);

  return &result->figures[(gsize) (domain + 1) * EVAL_N_METRICS + metric];
}

gdouble
eval_results_first_bits (const EvalResult * result)
{
  return result->point->first.frame_bits / result->point->n_windows;
}

gboolean
eval_results_have (const EvalResults * results, EvalMetric metric)
{
  for (guint i = 0; i < results->results->len; i++)
    if (!isnan (eval_results_figure (results, i, EVAL_ALL_DOMAINS,
                metric)->value))
      return TRUE;
  return FALSE;
}

/* ---- curves ---- */

const gchar *
eval_results_curve (const EvalResults * results, guint index)
{
  return g_array_index (results->results, EvalResult,
      index).point->variant->curve;
}

GPtrArray *
eval_results_curves (const EvalResults * results)
{
  GPtrArray *names = g_ptr_array_new ();

  for (guint i = 0; i < results->results->len; i++) {
    const gchar *name = eval_results_curve (results, i);

    if (!g_ptr_array_find_with_equal_func (names, name, g_str_equal, NULL))
      g_ptr_array_add (names, (gpointer) name);
  }
  return names;
}

/* Appends the blocks of a curve's points; returns how many points it has. */
static guint
collect (const EvalResults * results, const gchar * curve, GPtrArray * sets)
{
  guint n = 0;

  for (guint i = 0; i < results->results->len; i++)
    if (g_str_equal (eval_results_curve (results, i), curve)) {
      g_ptr_array_add (sets, g_array_index (results->results, EvalResult,
              i).point->blocks);
      n++;
    }
  return n;
}

/* Rates, then distortions, of n sums; @curve points into @values. */
static void
make_curve (const EvalSum * sums, guint n, gdouble * values, EvalCurve * curve)
{
  for (guint i = 0; i < n; i++) {
    values[i] = eval_metric_value (EVAL_WIRE_BPT, &sums[i]);
    values[n + i] = eval_metric_value (EVAL_KL, &sums[i]);
  }
  *curve = (EvalCurve) {
  .rate = values,.distortion = values + n,.n = n};
}

static gdouble
rate_statistic (const EvalSum * sums, guint n, gpointer user_data)
{
  g_autofree gdouble *values = g_new (gdouble, 2 * n);
  EvalCurve curve;

  make_curve (sums, n, values, &curve);
  return eval_rate_at (&curve, *(gdouble *) user_data);
}

/* The first sums are the anchor's. */
static gdouble
bd_statistic (const EvalSum * sums, guint n, gpointer user_data)
{
  g_autofree gdouble *values = g_new (gdouble, 2 * n);
  guint n_anchor = *(guint *) user_data;
  EvalCurve anchor, test;

  make_curve (sums, n_anchor, values, &anchor);
  make_curve (sums + n_anchor, n - n_anchor, values + 2 * n_anchor, &test);
  return eval_bd_rate (&anchor, &test);
}

void
eval_results_add_at (EvalResults * results, gdouble kl)
{
  g_autoptr (GPtrArray) names = eval_results_curves (results);

  for (guint c = 0; c < names->len; c++) {
    EvalCurveAt at = {.curve = g_ptr_array_index (names, c),.kl = kl };
    g_autoptr (GPtrArray) sets = g_ptr_array_new ();

    if (collect (results, at.curve, sets) < 2)
      continue;
    for (at.domain = EVAL_ALL_DOMAINS;
        at.domain < (gint) results->domains->len; at.domain++) {
      at.bpt = eval_bootstrap ((EvalBlocks **) sets->pdata, sets->len,
          at.domain, rate_statistic, &kl, &results->resampling);
      g_array_append_val (results->at, at);
    }
  }
}

gboolean
eval_results_add_bd (EvalResults * results, const gchar * anchor,
    const gchar * test, GError ** error)
{
  g_autoptr (GPtrArray) sets = g_ptr_array_new ();
  EvalBdRate bd = {.anchor = anchor,.test = test };
  guint n_anchor = collect (results, anchor, sets);
  guint n_test = collect (results, test, sets);

  if (!n_anchor || !n_test) {
    g_autoptr (GPtrArray) names = eval_results_curves (results);

    g_ptr_array_add (names, NULL);
    g_autofree gchar *list = g_strjoinv (", ", (gchar **) names->pdata);
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
        "--bd-rate: no curve \"%s\"; there are %s", n_anchor ? test : anchor,
        list);
    return FALSE;
  }
  for (bd.domain = EVAL_ALL_DOMAINS; bd.domain < (gint) results->domains->len;
      bd.domain++) {
    bd.rate = eval_bootstrap ((EvalBlocks **) sets->pdata, sets->len,
        bd.domain, bd_statistic, &n_anchor, &results->resampling);
    g_array_append_val (results->bd, bd);
  }
  return TRUE;
}
