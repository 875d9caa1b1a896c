/* Results as text, CSV, JSON and plots, from points made by hand. */
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "pipelines/eval/error.h"
#include "pipelines/eval/plot.h"
#include "pipelines/eval/report.h"
#include "pipelines/eval/speed.h"

#define POSITIONS 129           /* two blocks behind the first position */

typedef struct
{
  GPtrArray *domains, *word_domains, *specs, *variants, *points;
} Fixture;

static void
fill (EvalPoint * point, guint domain, gdouble bits, gdouble kl, gdouble ideal)
{
  EvalSum sums[POSITIONS] = { {0}, };

  sums[0].frame_bits = 4000;
  for (guint p = 1; p < POSITIONS; p++)
    sums[p] = (EvalSum) {
    .positions = 1,.kl = kl,.agree = p % 4 > 0,.targets = 1,.nll =
        3 + kl,.nll_ref = 3,.frame_bits = bits + (p > 64),.payload_bits =
        bits - 2,.header_bits = 1,.ideal_bits = ideal};
  eval_blocks_add (point->blocks, domain, sums, POSITIONS);
  eval_sum_add (&point->first, &sums[0]);
  point->n_windows++;
}

static EvalPoint *
add_points (Fixture * f, const gchar * text)
{
  g_autoptr (GArray) sizes = g_array_new (FALSE, FALSE, sizeof (guint));
  const guint size = 64;
  g_autoptr (GError) error = NULL;

  g_array_append_val (sizes, size);
  EvalSpec *spec = eval_spec_parse (text, sizes, &error);
  g_assert_no_error (error);
  g_ptr_array_add (f->specs, spec);
  GPtrArray *variants = eval_spec_expand (spec);
  g_ptr_array_add (f->variants, variants);
  for (guint i = 0; i < variants->len; i++)
    g_ptr_array_add (f->points, eval_point_new (g_ptr_array_index (variants, i),
            f->domains->len, f->word_domains->len));
  return g_ptr_array_index (f->points, f->points->len - variants->len);
}

static void
set_up (Fixture * f, gconstpointer data)
{
  static const gdouble rates[] = { 400, 800, 1600 }, kls[] = { .4, .1, .02 };
  const gboolean ideal = data != NULL;

  f->domains = g_ptr_array_new ();
  g_ptr_array_add (f->domains, (gpointer) "a");
  g_ptr_array_add (f->domains, (gpointer) "b, \"quoted\"");
  f->word_domains = g_ptr_array_new ();
  g_ptr_array_add (f->word_domains, (gpointer) "novels");
  g_ptr_array_add (f->word_domains, (gpointer) "psalms");
  f->specs = g_ptr_array_new_with_free_func ((GDestroyNotify) eval_spec_free);
  f->variants =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);
  f->points = g_ptr_array_new_with_free_func ((GDestroyNotify) eval_point_free);
  add_points (f, "one.gguf:quality=10,20,30");
  add_points (f, "two.gguf:quality=10,20,30");
  for (guint i = 0; i < f->points->len; i++)
    for (guint d = 0; d < 2; d++)
      fill (g_ptr_array_index (f->points, i), d,
          rates[i % 3] * (i < 3 ? 1 : 0.5), kls[i % 3],
          ideal ? 123 : (gdouble) NAN);
  EvalPoint *lossless = add_points (f, "f32:nopack");
  fill (lossless, 0, 18432, 0, NAN);
  lossless->encode_ns = 2500;
  lossless->hits[0] = (EvalHits) {
  10, 4};
  add_points (f, "int8");
}

static void
tear_down (Fixture * f, gconstpointer data)
{
  (void) data;
  g_ptr_array_unref (f->points);
  g_ptr_array_unref (f->variants);
  g_ptr_array_unref (f->specs);
  g_ptr_array_unref (f->domains);
  g_ptr_array_unref (f->word_domains);
}

static EvalResults *
make_results (const Fixture * f)
{
  const EvalResampling how = { 1, 50 };
  const EvalHits hits[] = { {10, 5}, {20, 20} };
  EvalResults *results = eval_results_new (f->points, f->domains,
      f->word_domains, hits, &how);
  g_autoptr (GError) error = NULL;

  results->model = "m.gguf";
  results->model_id = "00ff";
  results->testset = "t.json";
  results->split = 3;
  results->n_windows = 2;
  eval_results_add_at (results, 0.2);
  g_assert_true (eval_results_add_bd (results, "one", "two", &error));
  g_assert_no_error (error);
  return results;
}

static void
test_results (Fixture * f, gconstpointer data)
{
  g_autoptr (EvalResults) results = make_results (f);
  g_autoptr (GError) error = NULL;
  const EvalInterval *kl =
      eval_results_figure (results, 1, EVAL_ALL_DOMAINS, EVAL_KL);

  (void) data;
  /* the point without windows is not there */
  g_assert_cmpuint (results->results->len, ==, 7);
  g_assert_cmpfloat_with_epsilon (kl->value, 0.1, 1e-12);
  g_assert_cmpfloat_with_epsilon (kl->low, 0.1, 1e-12);
  g_assert_cmpfloat_with_epsilon (eval_results_figure (results, 1, 0,
          EVAL_WIRE_BPT)->value, 801.5, 1e-9);
  g_assert_cmpfloat_with_epsilon (eval_results_figure (results, 1, 1,
          EVAL_PPL_RATIO)->value, exp (0.1), 1e-9);
  /* three domains for each of two curves */
  g_assert_cmpuint (results->at->len, ==, 6);
  const EvalCurveAt *at = &g_array_index (results->at, EvalCurveAt, 0);
  g_assert_cmpfloat_with_epsilon (at->bpt.value, exp ((log (401.5) +
              log (801.5)) / 2), 1e-6);
  g_assert_cmpuint (results->bd->len, ==, 3);
  const EvalBdRate *bd = &g_array_index (results->bd, EvalBdRate, 0);
  g_assert_cmpfloat_with_epsilon (bd->rate.value, -0.5, 0.005);
  g_assert_cmpfloat (bd->rate.low, <=, bd->rate.value);
  g_assert_false (eval_results_add_bd (results, "one", "three", &error));
  g_assert_nonnull (strstr (error->message, "\"three\"; there are one, two, "
          "f32:nopack"));
}

static void
test_text (Fixture * f, gconstpointer data)
{
  g_autoptr (EvalResults) results = make_results (f);
  g_autofree gchar *text = eval_report_text (results);

  (void) data;
  g_test_message ("%s", text);
  g_assert_nonnull (strstr (text, "all domains\ncurve"));
  g_assert_nonnull (strstr (text, "\nb, \"quoted\"\ncurve"));
  g_assert_nonnull (strstr (text, "(1 of 2 windows)"));
  g_assert_nonnull (strstr (text, "two against one, all:"));
  g_assert_nonnull (strstr (text, "last words, psalms\nwithout codec"));
  g_assert_nonnull (strstr (text, "of 10\n"));
  g_assert_null (strstr (text, "ideal  "));
  g_assert_null (strstr (text, "nan"));
}

/* Fields of a line without quotes. */
static guint
n_fields (const gchar * line)
{
  g_auto (GStrv) fields = g_strsplit (line, ",", -1);

  return g_strv_length (fields);
}

static void
test_csv (Fixture * f, gconstpointer data)
{
  g_autoptr (EvalResults) results = make_results (f);
  g_autofree gchar *csv = eval_report_csv (results);
  g_auto (GStrv) lines = g_strsplit (csv, "\n", -1);

  (void) data;
  g_test_message ("%s", csv);
  /* names, 7 points in 3 domains, and the end */
  g_assert_cmpuint (g_strv_length (lines), ==, 1 + 21 + 1);
  g_assert_true (g_str_has_prefix (lines[0], "curve,codec,quality,frame_tokens,"
          "computed,domain,windows,wire_bpt,wire_bpt_low,wire_bpt_high,"));
  g_assert_null (strstr (lines[0], "ideal_bpt"));
  g_assert_true (g_str_has_prefix (lines[1],
          "one,one.gguf,10,64,0,all,2,401.5,"));
  g_assert_cmpuint (n_fields (lines[1]), ==, n_fields (lines[0]));
  g_assert_cmpuint (n_fields (lines[2]), ==, n_fields (lines[0]));
  g_assert_nonnull (strstr (lines[3], ",\"b, \"\"quoted\"\"\",2,"));
  g_assert_nonnull (strstr (lines[19], ",4000,2500,,10,0.4,"));
  g_assert_null (strstr (csv, "nan"));
}

static void
test_ideal (Fixture * f, gconstpointer data)
{
  g_autoptr (EvalResults) results = make_results (f);
  g_autofree gchar *csv = eval_report_csv (results);
  g_autofree gchar *text = eval_report_text (results);

  (void) data;
  g_assert_nonnull (strstr (csv, ",ideal_bpt,ideal_bpt_low,ideal_bpt_high,"));
  g_assert_nonnull (strstr (csv, ",123,123,123,"));
  g_assert_nonnull (strstr (text, "   ideal "));
}

static void
test_json (Fixture * f, gconstpointer data)
{
  g_autoptr (EvalResults) results = make_results (f);
  g_autofree gchar *json = eval_report_json (results);
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) root = json_from_string (json, &error);

  (void) data;
  g_assert_no_error (error);
  JsonObject *top = json_node_get_object (root);
  g_assert_cmpstr (json_object_get_string_member (top, "model"), ==, "m.gguf");
  g_assert_cmpint (json_object_get_int_member (top, "split"), ==, 3);
  JsonArray *points = json_object_get_array_member (top, "points");
  g_assert_cmpuint (json_array_get_length (points), ==, 7);
  JsonObject *last = json_array_get_object_element (points, 6);
  g_assert_false (json_object_has_member (last, "quality"));
  g_assert_false (json_object_has_member (last, "decode_ns_per_token"));
  JsonObject *words =
      json_object_get_object_member (json_object_get_object_member (last,
          "last_words"), "novels");
  g_assert_cmpint (json_object_get_int_member (words, "passages"), ==, 10);
  g_assert_cmpfloat (json_object_get_double_member
      (json_object_get_object_member (words, "accuracy"), "value"), ==, 0.4);
  g_assert_cmpfloat (json_object_get_double_member (last,
          "first_position_bits"), ==, 4000);
  JsonObject *domains = json_object_get_object_member (last, "domains");
  g_assert_cmpuint (json_object_get_size (domains), ==, 3);
  JsonObject *kl =
      json_object_get_object_member (json_object_get_object_member (domains,
          "a"), "kl");
  g_assert_cmpfloat (json_object_get_double_member (kl, "value"), ==, 0);
  /* nothing was measured there */
  g_assert_cmpuint (json_object_get_size (json_object_get_object_member
          (domains, "b, \"quoted\"")), ==, 0);
  g_assert_cmpuint (json_array_get_length (json_object_get_array_member (top,
              "at_kl")), ==, 6);
  g_assert_cmpuint (json_array_get_length (json_object_get_array_member (top,
              "bd_rate")), ==, 3);
}

static void
test_script (Fixture * f, gconstpointer data)
{
  g_autoptr (EvalResults) results = make_results (f);
  g_autofree gchar *script = eval_plot_script (results, "it's.png");

  (void) data;
  g_test_message ("%s", script);
  g_assert_nonnull (strstr (script, "set terminal pngcairo"));
  g_assert_nonnull (strstr (script, "set output 'it''s.png'"));
  g_assert_nonnull (strstr (script, "set title 'b, \"quoted\"'"));
  g_assert_nonnull (strstr (script, "title 'one', $curve1"));
  /* the lossless point is a line, and in one domain only */
  g_assert_nonnull (strstr (script, "set label 'f32:nopack' at 18433.5,"));
}

static void
test_plot (Fixture * f, gconstpointer data)
{
  g_autoptr (EvalResults) results = make_results (f);
  g_autofree gchar *folder = g_dir_make_tmp ("eval-XXXXXX", NULL);
  g_autofree gchar *svg = g_build_filename (folder, "plot.svg", NULL);
  g_autofree gchar *script = g_build_filename (folder, "plot.gp", NULL);
  g_autofree gchar *gnuplot = g_find_program_in_path ("gnuplot");
  g_autofree gchar *content = NULL;
  g_autoptr (GError) error = NULL;

  (void) data;
  g_assert_false (eval_plot_check ("plot.pdf", &error));
  g_assert_error (error, EVAL_ERROR, EVAL_ERROR_OPTION);
  g_clear_error (&error);
  g_assert_true (eval_plot_check (script, &error));
  g_assert_true (eval_plot_write (results, script, &error));
  g_assert_true (g_file_get_contents (script, &content, NULL, NULL));
  g_assert_nonnull (strstr (content, svg));
  g_unlink (script);
  if (gnuplot) {
    g_clear_pointer (&content, g_free);
    g_assert_true (eval_plot_check (svg, &error));
    g_assert_true (eval_plot_write (results, svg, &error));
    g_assert_no_error (error);
    g_assert_true (g_file_get_contents (svg, &content, NULL, NULL));
    g_assert_nonnull (strstr (content, ">two<"));
    g_assert_nonnull (strstr (content, "</svg>"));
    g_unlink (svg);
    g_assert_false (eval_plot_write (results, "/no/such/folder/x.svg", &error));
    g_assert_error (error, EVAL_ERROR, EVAL_ERROR_TOOL);
  } else {
    g_assert_false (eval_plot_check (svg, &error));
    g_test_message ("without gnuplot: %s", error->message);
  }
  g_rmdir (folder);
}

static void
test_duration (void)
{
  static const struct
  {
    gdouble seconds;
    const gchar *text;
  } cases[] = {
    {0, "0 s"}, {59.4, "59 s"}, {59.6, "1 min 00 s"}, {3725, "1 h 02 min"}
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *text = eval_progress_duration (cases[i].seconds);

    g_assert_cmpstr (text, ==, cases[i].text);
  }
}

#define IDEAL ((gconstpointer) 1)

static void
add (const gchar * path, void (*test) (Fixture *, gconstpointer),
    gconstpointer data)
{
  g_test_add (path, Fixture, data, set_up, test, tear_down);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/eval-report/results", test_results, NULL);
  add ("/eval-report/text", test_text, NULL);
  add ("/eval-report/csv", test_csv, NULL);
  add ("/eval-report/ideal", test_ideal, IDEAL);
  add ("/eval-report/json", test_json, NULL);
  add ("/eval-report/script", test_script, NULL);
  add ("/eval-report/plot", test_plot, NULL);
  g_test_add_func ("/eval-report/duration", test_duration);
  return g_test_run ();
}
