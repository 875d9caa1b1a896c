/* transformertail: scoring, and the request pads tokens and logits. */
#include <math.h>
#include <string.h>
#include "tests/elements/tail-tools.h"

/* ---- score ---- */

GST_START_TEST (scores_are_those_of_the_model)
{
  const gint cuts[] = { 0 };
  g_autoptr (GArray) ids = st_encode ("The quick brown fox jumps over it");
  gint32 *p = (gint32 *) ids->data;
  guint n = ids->len, from = 5, windows = 0;
  g_autofree gfloat *x = g_new (gfloat, n * ST_TINY_HIDDEN);
  g_autofree gfloat *logits = g_new (gfloat, n * ST_TINY_VOCAB);
  StTestChain chain;
  gdouble nll = 0, mean;
  GstStructure *s;
  StTail tail;

  st_test_chain_open (&chain, st_tiny_path (), cuts, 1, 0, ST_TYPE_F32);
  st_test_chain_run (&chain, p, n, ST_REGIME_PREFILL, x);
  st_test_chain_logits (&chain, x, n, ST_REGIME_PREFILL, logits);
  st_test_chain_close (&chain);
  for (guint i = from; i + 1 < n; i++) {
    const gfloat *row = logits + i * ST_TINY_VOCAB;
    gdouble sum = 0;

    for (guint j = 0; j < ST_TINY_VOCAB; j++)
      sum += exp ((gdouble) row[j]);
    nll += log (sum) - (gdouble) row[p[i + 1]];
  }

  /* The same text twice, in chunks of three: two windows. */
  st_tail_start (&tail, st_tiny_path (), "task=(string)score,score-from=5");
  for (guint w = 0; w < 2; w++) {
    for (guint i = 0; i < n; i += 3)
      gst_harness_push (tail.h, st_ids_buffer (p + i, MIN (3, n - i), TRUE, 1,
              w, i, GST_RD_META_SEND_IDS));
  }
  g_autofree gchar *text = st_tail_all_text (&tail);
  assert_equals_string (text, "");
  while ((s = st_tail_pop_message (&tail, "transformertail-score"))) {
    guint64 tokens, count;
    gdouble perplexity;
    const GValue *list;

    windows++;
    gst_structure_get (s, "tokens", G_TYPE_UINT64, &tokens, "windows",
        G_TYPE_UINT64, &count, "mean-nll", G_TYPE_DOUBLE, &mean,
        "perplexity", G_TYPE_DOUBLE, &perplexity, NULL);
    list = gst_structure_get_value (s, "log-likelihoods");
    assert_equals_uint64 (count, windows);
    assert_equals_uint64 (tokens, windows * (n - 1 - from));
    assert_equals_int (gst_value_array_get_size (list), n - 1 - from);
    fail_unless (fabs (mean - nll / (n - 1 - from)) < 1e-5);
    fail_unless (fabs (perplexity - exp (mean)) < 1e-9);
    gst_structure_free (s);
  }
  assert_equals_int (windows, 2);
  g_object_get (tail.element, "stats", &s, NULL);
  fail_unless (gst_structure_get_double (s, "mean-nll", &mean));
  fail_unless (fabs (mean - nll / (n - 1 - from)) < 1e-5);
  gst_structure_free (s);
  st_tail_stop (&tail);
}

GST_END_TEST;

/* ---- request pads ---- */

GST_START_TEST (ids_and_logits)
{
  GstHarness *tokens, *logits;
  GstBuffer *buffer;
  gint32 id, up;
  RdFinish finish;
  gfloat row[ST_TINY_VOCAB];
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "max-tokens=3");
  tokens = gst_harness_new_with_element (tail.element, NULL, "tokens");
  logits = gst_harness_new_with_element (tail.element, NULL, "logits");
  st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
  up = st_tail_pop_token (&tail, &finish);
  buffer = gst_harness_pull (tokens);
  assert_equals_int (gst_buffer_extract (buffer, 0, &id, 4), 4);
  assert_equals_int (id, up);
  gst_buffer_unref (buffer);
  buffer = gst_harness_pull (logits);
  assert_equals_int (gst_buffer_extract (buffer, 0, row, sizeof row),
      sizeof row);
  assert_equals_int (st_test_argmax (row, ST_TINY_VOCAB), up);
  gst_buffer_unref (buffer);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (logits->sinkpad);
  g_autofree gchar *text = gst_caps_to_string (caps);
  assert_equals_string (text, "other/tensors, format=(string)static, "
      "num_tensors=(int)1, framerate=(fraction)0/1, "
      "dimensions=(string)320:1, types=(string)float32");
  gst_harness_teardown (tokens);
  gst_harness_teardown (logits);
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (pads_come_and_go)
{
  RdFinish finish;
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "max-tokens=50");
  st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
  for (guint i = 0; i < 20; i++) {
    gint32 id = st_tail_pop_token (&tail, &finish);
    GstPad *pad = gst_element_request_pad_simple (tail.element,
        i % 2 ? "tokens" : "logits");

    fail_unless (pad != NULL);
    assert_equals_int (st_tail_send (&tail, &id, 1,
            GST_RD_META_STEP | GST_RD_META_SAMPLE), GST_FLOW_OK);
    gst_element_release_request_pad (tail.element, pad);
    gst_object_unref (pad);
  }
  g_autofree gchar *want = st_tail_expected (st_tiny_path (), "Hello", 21);
  g_autofree gchar *text = st_tail_all_text (&tail);
  assert_equals_string (text, want);
  st_tail_stop (&tail);
}

GST_END_TEST;

static Suite *
tasks_suite (void)
{
  Suite *suite = suite_create ("transformertail-tasks");
  TCase *tc = tcase_create ("all");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, scores_are_those_of_the_model);
  tcase_add_test (tc, ids_and_logits);
  tcase_add_test (tc, pads_come_and_go);
  return suite;
}

int
main (int argc, char **argv)
{
  st_elements_init (&argc, &argv);
  return st_elements_run (tasks_suite (), "transformertail-tasks");
}
