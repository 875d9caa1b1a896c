/* Results as JSON. */
#include <json-glib/json-glib.h>
#include <math.h>
#include "pipelines/eval/report.h"

static void
add_text (JsonBuilder * b, const gchar * name, const gchar * text)
{
  json_builder_set_member_name (b, name);
  json_builder_add_string_value (b, text ? text : "");
}

static void
add_count (JsonBuilder * b, const gchar * name, guint count)
{
  json_builder_set_member_name (b, name);
  json_builder_add_int_value (b, count);
}

/* JSON has no NAN: what was not measured is left out. */
static void
add_number (JsonBuilder * b, const gchar * name, gdouble value)
{
  if (isnan (value))
    return;
  json_builder_set_member_name (b, name);
  json_builder_add_double_value (b, value);
}

static void
add_interval (JsonBuilder * b, const gchar * name, const EvalInterval * i)
{
  if (isnan (i->value))
    return;
  json_builder_set_member_name (b, name);
  json_builder_begin_object (b);
  add_number (b, "value", i->value);
  add_number (b, "low", i->low);
  add_number (b, "high", i->high);
  json_builder_end_object (b);
}

static void
add_domains (JsonBuilder * b, const EvalResults * results, guint index)
{
  json_builder_set_member_name (b, "domains");
  json_builder_begin_object (b);
  for (gint d = EVAL_ALL_DOMAINS; d < (gint) results->domains->len; d++) {
    json_builder_set_member_name (b, eval_results_domain (results, d));
    json_builder_begin_object (b);
    for (guint m = 0; m < EVAL_N_METRICS; m++)
      add_interval (b, eval_metric_name ((EvalMetric) m),
          eval_results_figure (results, index, d, (EvalMetric) m));
    json_builder_end_object (b);
  }
  json_builder_end_object (b);
}

static void
add_words (JsonBuilder * b, const EvalResults * results, const EvalResult * r)
{
  json_builder_set_member_name (b, "last_words");
  json_builder_begin_object (b);
  for (gint d = EVAL_ALL_DOMAINS;
      d < (gint) eval_results_n_word_domains (results); d++) {
    json_builder_set_member_name (b, eval_results_word_domain (results, d));
    json_builder_begin_object (b);
    add_count (b, "passages", eval_results_n_words (results, r, d));
    add_interval (b, "accuracy", &r->words[d + 1]);
    add_interval (b, "accuracy_without_codec", &results->words_ref[d + 1]);
    json_builder_end_object (b);
  }
  json_builder_end_object (b);
}

static void
add_point (JsonBuilder * b, const EvalResults * results, guint index)
{
  const EvalResult *r = &g_array_index (results->results, EvalResult, index);
  const EvalVariant *variant = r->point->variant;

  json_builder_begin_object (b);
  add_text (b, "curve", variant->curve);
  add_text (b, "codec", variant->spec->name);
  add_number (b, "quality", variant->value);
  if (variant->frame_tokens)
    add_count (b, "frame_tokens", variant->frame_tokens);
  json_builder_set_member_name (b, "computed");
  json_builder_add_boolean_value (b, variant->spec->kind != EVAL_ELEMENTS);
  add_count (b, "windows", r->point->n_windows);
  add_number (b, "first_position_bits", eval_results_first_bits (r));
  add_number (b, "encode_ns_per_token", r->point->encode_ns);
  add_number (b, "decode_ns_per_token", r->point->decode_ns);
  if (results->word_domains)
    add_words (b, results, r);
  add_domains (b, results, index);
  json_builder_end_object (b);
}

static void
add_curves (JsonBuilder * b, const EvalResults * results)
{
  json_builder_set_member_name (b, "at_kl");
  json_builder_begin_array (b);
  for (guint i = 0; i < results->at->len; i++) {
    const EvalCurveAt *at = &g_array_index (results->at, EvalCurveAt, i);

    json_builder_begin_object (b);
    add_text (b, "curve", at->curve);
    add_text (b, "domain", eval_results_domain (results, at->domain));
    add_number (b, "kl", at->kl);
    add_interval (b, "wire_bpt", &at->bpt);
    json_builder_end_object (b);
  }
  json_builder_end_array (b);
  json_builder_set_member_name (b, "bd_rate");
  json_builder_begin_array (b);
  for (guint i = 0; i < results->bd->len; i++) {
    const EvalBdRate *bd = &g_array_index (results->bd, EvalBdRate, i);

    json_builder_begin_object (b);
    add_text (b, "anchor", bd->anchor);
    add_text (b, "test", bd->test);
    add_text (b, "domain", eval_results_domain (results, bd->domain));
    add_interval (b, "rate", &bd->rate);
    json_builder_end_object (b);
  }
  json_builder_end_array (b);
}

gchar *
eval_report_json (const EvalResults * results)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;

  json_builder_begin_object (b);
  add_text (b, "model", results->model);
  add_text (b, "model_id", results->model_id);
  if (results->reference) {
    add_text (b, "reference", results->reference);
    add_text (b, "reference_id", results->reference_id);
  }
  add_count (b, "split", results->split);
  add_text (b, "testset", results->testset);
  add_count (b, "windows", results->n_windows);
  add_count (b, "seed", results->resampling.seed);
  add_count (b, "resamples", results->resampling.n);
  json_builder_set_member_name (b, "points");
  json_builder_begin_array (b);
  for (guint i = 0; i < results->results->len; i++)
    add_point (b, results, i);
  json_builder_end_array (b);
  add_curves (b, results);
  json_builder_end_object (b);
  root = json_builder_get_root (b);
  return json_to_string (root, TRUE);
}
