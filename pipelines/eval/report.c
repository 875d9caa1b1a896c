/* Results as text and CSV. */
#include "pipelines/eval/report.h"
#include <math.h>
#include <string.h>

/* ---- text ---- */

static void
append_cell (GString * out, gint width, const gchar * format, gdouble value)
{
  gchar text[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append_printf (out, " %*s", width, isnan (value) ? "-" :
      g_ascii_formatd (text, sizeof text, format, value));
}

/* "0.0523 [0.0481, 0.0567]" */
static void
append_interval (GString * out, const gchar * format, const EvalInterval * i)
{
  gchar low[G_ASCII_DTOSTR_BUF_SIZE], high[G_ASCII_DTOSTR_BUF_SIZE];

  append_cell (out, 9, format, i->value);
  if (isnan (i->low)) {
    g_string_append_printf (out, " %21s", "");
    return;
  }
  g_ascii_formatd (low, sizeof low, format, i->low);
  g_ascii_formatd (high, sizeof high, format, i->high);
  g_autofree gchar *text = g_strdup_printf ("[%s, %s]", low, high);
  g_string_append_printf (out, " %-21s", text);
}

static void
append_head (const EvalResults * results, GString * out, gint domain)
{
  g_string_append_printf (out, "%s\n%-28s %7s %8s %8s",
      domain < 0 ? "all domains" : eval_results_domain (results, domain),
      "curve", "quality", "wire", "payload");
  if (eval_results_have (results, EVAL_IDEAL_BPT))
    g_string_append_printf (out, " %8s", "ideal");
  g_string_append_printf (out, " %9s %-21s %8s %7s", "KL", "", "ppl/ref",
      "top-1");
  if (domain < 0)
    g_string_append_printf (out, " %9s %9s %7s %8s", "enc us/t", "dec us/t",
        "words", "first");
  g_string_append_c (out, '\n');
}

static void
append_row (const EvalResults * results, GString * out, guint index,
    gint domain)
{
  const EvalResult *r = &g_array_index (results->results, EvalResult, index);
  const EvalPoint *point = r->point;
  const EvalInterval *f =
      eval_results_figure (results, index, domain, (EvalMetric) 0);
  g_autofree gchar *name = g_strconcat (point->variant->curve,
      point->variant->spec->kind == EVAL_ELEMENTS ? "" : " *", NULL);

  if (isnan (f[EVAL_WIRE_BPT].value))
    return;
  g_string_append_printf (out, "%-28s", name);
  append_cell (out, 7, "%g", point->variant->value);
  append_cell (out, 8, "%.1f", f[EVAL_WIRE_BPT].value);
  append_cell (out, 8, "%.1f", f[EVAL_PAYLOAD_BPT].value);
  if (eval_results_have (results, EVAL_IDEAL_BPT))
    append_cell (out, 8, "%.1f", f[EVAL_IDEAL_BPT].value);
  append_interval (out, "%.3g", &f[EVAL_KL]);
  append_cell (out, 8, "%.4f", f[EVAL_PPL_RATIO].value);
  append_cell (out, 7, "%.4f", f[EVAL_TOP1].value);
  if (domain < 0) {
    append_cell (out, 9, "%.2f", point->encode_ns / 1000);
    append_cell (out, 9, "%.2f", point->decode_ns / 1000);
    append_cell (out, 7, "%.3f", r->words[0].value);
    append_cell (out, 8, "%.0f", eval_results_first_bits (r));
  }
  if (point->n_windows < results->n_windows)
    g_string_append_printf (out, "  (%u of %u windows)", point->n_windows,
        results->n_windows);
  g_string_append_c (out, '\n');
}

static void
append_table (const EvalResults * results, GString * out, gint domain)
{
  append_head (results, out, domain);
  for (guint i = 0; i < results->results->len; i++)
    append_row (results, out, i, domain);
  if (domain < 0 && results->results->len > 0) {
    gchar text[G_ASCII_DTOSTR_BUF_SIZE];
    gdouble ppl = eval_results_figure (results, 0, domain, EVAL_PPL_REF)->value;

    g_string_append_printf (out, "wire, payload, ideal: bits a token but the "
        "first (first: bits of that one); *: computed, not sent; perplexity "
        "without a codec: %s\n", g_ascii_formatd (text, sizeof text, "%.2f",
            ppl));
  }
}

static void
append_curves (const EvalResults * results, GString * out)
{
  for (guint i = 0; i < results->at->len; i++) {
    const EvalCurveAt *at = &g_array_index (results->at, EvalCurveAt, i);

    if (i == 0)
      g_string_append_printf (out, "\n%-28s %-12s %7s %9s\n", "curve", "domain",
          "at KL", "wire");
    g_string_append_printf (out, "%-28s %-12s", at->curve,
        eval_results_domain (results, at->domain));
    append_cell (out, 7, "%g", at->kl);
    append_interval (out, "%.1f", &at->bpt);
    g_string_append_c (out, '\n');
  }
  for (guint i = 0; i < results->bd->len; i++) {
    const EvalBdRate *bd = &g_array_index (results->bd, EvalBdRate, i);
    EvalInterval percent = { 100 * bd->rate.value, 100 * bd->rate.low,
      100 * bd->rate.high
    };

    if (i == 0)
      g_string_append (out, "\nBD-rate, % of wire bits at the same KL\n");
    g_string_append_printf (out, "%s against %s, %s:", bd->test, bd->anchor,
        eval_results_domain (results, bd->domain));
    append_interval (out, "%.2f", &percent);
    g_string_append_c (out, '\n');
  }
}

static void
append_words (const EvalResults * results, GString * out)
{
  for (gint d = EVAL_ALL_DOMAINS;
      d < (gint) eval_results_n_word_domains (results); d++) {
    g_string_append_printf (out, "\nlast words, %s\n%-28s %7s",
        eval_results_word_domain (results, d), "without codec", "");
    append_interval (out, "%.3f", &results->words_ref[d + 1]);
    g_string_append_c (out, '\n');
    for (guint i = 0; i < results->results->len; i++) {
      const EvalResult *r = &g_array_index (results->results, EvalResult, i);

      if (isnan (r->words[d + 1].value))
        continue;
      g_string_append_printf (out, "%-28s", eval_results_curve (results, i));
      append_cell (out, 7, "%g", r->point->variant->value);
      append_interval (out, "%.3f", &r->words[d + 1]);
      g_string_append_printf (out, " of %u\n", eval_results_n_words (results, r,
              d));
    }
  }
}

gchar *
eval_report_text (const EvalResults * results)
{
  GString *out = g_string_new (NULL);

  for (gint d = EVAL_ALL_DOMAINS; d < (gint) results->domains->len; d++) {
    if (d > EVAL_ALL_DOMAINS)
      g_string_append_c (out, '\n');
    append_table (results, out, d);
  }
  if (results->word_domains)
    append_words (results, out);
  append_curves (results, out);
  return g_string_free (out, FALSE);
}

/* ---- CSV ---- */

/* A field, quoted if it has to be. */
static void
append_text (GString * out, const gchar * text)
{
  if (!strpbrk (text, ",\"\r\n")) {
    g_string_append (out, text);
    return;
  }
  g_string_append_c (out, '"');
  for (; *text; text++) {
    if (*text == '"')
      g_string_append_c (out, '"');
    g_string_append_c (out, *text);
  }
  g_string_append_c (out, '"');
}

static void
append_number (GString * out, gdouble value)
{
  gchar text[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append_c (out, ',');
  if (!isnan (value))
    g_string_append (out, g_ascii_formatd (text, sizeof text, "%.8g", value));
}

static void
append_numbers (GString * out, const EvalInterval * i)
{
  append_number (out, i->value);
  append_number (out, i->low);
  append_number (out, i->high);
}

static void
append_names (GString * out, const gchar * name)
{
  g_string_append_printf (out, ",%s,%s_low,%s_high", name, name, name);
}

static void
append_line (const EvalResults * results, GString * out, guint index,
    gint domain)
{
  const EvalResult *r = &g_array_index (results->results, EvalResult, index);
  const EvalPoint *point = r->point;
  const EvalVariant *variant = point->variant;

  append_text (out, variant->curve);
  g_string_append_c (out, ',');
  append_text (out, variant->spec->name);
  append_number (out, variant->value);
  append_number (out, variant->frame_tokens ? variant->frame_tokens : NAN);
  g_string_append (out, variant->spec->kind == EVAL_ELEMENTS ? ",0," : ",1,");
  append_text (out, eval_results_domain (results, domain));
  append_number (out, point->n_windows);
  for (guint m = 0; m < EVAL_N_METRICS; m++)
    if (eval_results_have (results, (EvalMetric) m))
      append_numbers (out, eval_results_figure (results, index, domain,
              (EvalMetric) m));
  if (domain < 0) {
    append_number (out, eval_results_first_bits (r));
    append_number (out, point->encode_ns);
    append_number (out, point->decode_ns);
    append_number (out, eval_results_n_words (results, r, EVAL_ALL_DOMAINS));
    append_numbers (out, &r->words[0]);
  } else {
    g_string_append (out, ",,,,,,,");
  }
  g_string_append_c (out, '\n');
}

gchar *
eval_report_csv (const EvalResults * results)
{
  GString *out = g_string_new ("curve,codec,quality,frame_tokens,computed,"
      "domain,windows");

  for (guint m = 0; m < EVAL_N_METRICS; m++)
    if (eval_results_have (results, (EvalMetric) m))
      append_names (out, eval_metric_name ((EvalMetric) m));
  g_string_append (out, ",first_position_bits,encode_ns_per_token,"
      "decode_ns_per_token,last_words");
  append_names (out, "last_word_accuracy");
  g_string_append_c (out, '\n');
  for (guint i = 0; i < results->results->len; i++)
    for (gint d = EVAL_ALL_DOMAINS; d < (gint) results->domains->len; d++)
      append_line (results, out, i, d);
  return g_string_free (out, FALSE);
}
