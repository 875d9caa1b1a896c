/* transformertail: sampling, finish reasons, given tokens, wishes, sessions, flushes, bad input. */
#include <math.h>
#include <string.h>
#include "tests/elements/tail-tools.h"

GST_START_TEST (greedy_text_until_max_tokens)
{
  g_autofree gchar *want = st_tail_expected (st_tiny_path (), "Hello", 20);
  GstStructure *turn;
  guint n;
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "max-tokens=20");
  st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
  assert_equals_int (st_tail_finish_answer (&tail, &n), RD_FINISH_LENGTH);
  assert_equals_int (n, 20);
  turn = st_tail_pop_message (&tail, "transformertail-turn");
  fail_unless (turn != NULL);
  assert_equals_string (gst_structure_get_string (turn, "finish"), "length");
  fail_unless (gst_structure_get_uint (turn, "tokens", &n) && n == 20);
  gst_structure_free (turn);
  g_autofree gchar *text = st_tail_all_text (&tail);
  assert_equals_string (text, want);
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (the_end_of_the_text)
{
  gboolean ended = FALSE;

  /* The weights are random: one of these prompts ends within 300 tokens. */
  for (gchar c = 'a'; c <= 'z' && !ended; c++) {
    const gchar prompt[] = { c, 0 };
    guint n;
    StTail tail;

    st_tail_start (&tail, st_tiny_ending_path (), "max-tokens=300");
    st_tail_send_text (&tail, prompt, GST_RD_META_SAMPLE);
    if (st_tail_finish_answer (&tail, &n) == RD_FINISH_EOS) {
      g_autofree gchar *want =
          st_tail_expected (st_tiny_ending_path (), prompt, n - 1);
      g_autofree gchar *text = st_tail_all_text (&tail);

      assert_equals_string (text, want);
      ended = TRUE;
    }
    st_tail_stop (&tail);
    if (!ended)
      continue;
    st_tail_start (&tail, st_tiny_ending_path (),
        "max-tokens=300,ignore-eos=true");
    st_tail_send_text (&tail, prompt, GST_RD_META_SAMPLE);
    assert_equals_int (st_tail_finish_answer (&tail, &n), RD_FINISH_LENGTH);
    st_tail_stop (&tail);
  }
  fail_unless (ended);
}

GST_END_TEST;

GST_START_TEST (a_stop_string_across_tokens)
{
  g_autofree gchar *all = st_tail_expected (st_tiny_path (), "Hello", 40);
  const gchar *stop = all + 7;
  g_autofree gchar *three = g_strndup (stop, 3);
  g_autofree gchar *want = g_strndup (all, strstr (all, three) - all);
  guint n;
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "max-tokens=40");
  g_autofree gchar *escaped = g_strescape (three, NULL);
  g_autofree gchar *list = g_strdup_printf ("never|%s", escaped);
  g_object_set (tail.element, "stop", list, NULL);
  st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
  assert_equals_int (st_tail_finish_answer (&tail, &n), RD_FINISH_STOP);
  fail_unless (n < 40);
  g_autofree gchar *text = st_tail_all_text (&tail);
  assert_equals_string (text, want);
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (wishes_of_the_session)
{
  gchar *stops[] = { (gchar *) "unlikely", NULL };
  RdWishes wishes = {.mask = RD_WISH_MAX_TOKENS | RD_WISH_STOP,
    .max_tokens = 5,.stop = stops
  };

  for (guint i = 0; i < 3; i++) {
    const guint lengths[] = { 5, 3, 9 };
    guint n;
    StTail tail;

    st_tail_start (&tail, st_tiny_path (), i == 1 ? "max-tokens=3" :
        "max-tokens=9");
    g_object_set (tail.element, "allow-client-sampling", i != 2, NULL);
    gst_harness_push_event (tail.h, gst_rd_event_new_session (1, "", &wishes));
    st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
    st_tail_finish_answer (&tail, &n);
    assert_equals_int (n, lengths[i]);
    st_tail_stop (&tail);
  }
}

GST_END_TEST;

GST_START_TEST (no_tokens_at_all)
{
  RdFinish finish;
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "max-tokens=0");
  st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
  assert_equals_int (st_tail_pop_token (&tail, &finish), -1);
  assert_equals_int (finish, RD_FINISH_LENGTH);
  g_autofree gchar *text = st_tail_all_text (&tail);
  assert_equals_string (text, "");
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (seeds_decide)
{
  gchar *texts[3] = { NULL };
  const guint64 seeds[] = { 5, 5, 6 };

  for (guint i = 0; i < 3; i++) {
    RdWishes wishes = {.mask = RD_WISH_SEED | RD_WISH_TEMPERATURE,
      .seed = seeds[i],.temperature = 1.5f
    };
    guint n;
    StTail tail;

    st_tail_start (&tail, st_tiny_path (), "max-tokens=30");
    gst_harness_push_event (tail.h, gst_rd_event_new_session (1, "", &wishes));
    st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
    st_tail_finish_answer (&tail, &n);
    texts[i] = st_tail_all_text (&tail);
    st_tail_stop (&tail);
  }
  assert_equals_string (texts[0], texts[1]);
  fail_if (strcmp (texts[0], texts[2]) == 0);
  for (guint i = 0; i < 3; i++)
    g_free (texts[i]);
}

GST_END_TEST;

GST_START_TEST (text_is_whole_characters)
{
  /* So hot that the bytes are random: single bytes of longer characters, and bytes that are none. */
  RdWishes wishes = {.mask = RD_WISH_SEED | RD_WISH_TEMPERATURE
        | RD_WISH_TOP_K | RD_WISH_TOP_P | RD_WISH_MIN_P,
    .seed = 1,.temperature = 100,.top_k = 0,.top_p = 1,.min_p = 0
  };
  guint n, high = 0;
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "max-tokens=400,ignore-eos=true");
  gst_harness_push_event (tail.h, gst_rd_event_new_session (1, "", &wishes));
  st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
  st_tail_finish_answer (&tail, &n);
  assert_equals_int (n, 400);
  /* Checks every buffer. */
  g_autofree gchar *text = st_tail_all_text (&tail);
  for (const gchar * c = text; *c; c++)
    high += (guchar) * c >= 0x80;
  fail_unless (high > 20);
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (two_turns)
{
  guint n;
  RdFinish finish;
  StTail tail;

  st_tail_start (&tail, st_tiny_path (),
      "max-tokens=4,turn-delimiter=(string)\"\\\\n--\\\\n\"");
  st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
  gint32 last = -1;
  for (n = 0, finish = RD_FINISH_NONE; finish == RD_FINISH_NONE; n++) {
    last = st_tail_pop_token (&tail, &finish);
    if (finish == RD_FINISH_NONE)
      st_tail_send (&tail, &last, 1, GST_RD_META_STEP | GST_RD_META_SAMPLE);
  }
  st_tail_send (&tail, &last, 1, GST_RD_META_STEP);
  st_tail_send_text (&tail, "more", GST_RD_META_SAMPLE);
  st_tail_finish_answer (&tail, &n);
  assert_equals_int (n, 4);
  g_autofree gchar *text = st_tail_all_text (&tail);
  g_auto (GStrv) parts = g_strsplit (text, "\n--\n", 0);
  assert_equals_int (g_strv_length (parts), 3);
  g_autofree gchar *want = st_tail_expected (st_tiny_path (), "Hello", 4);
  assert_equals_string (parts[0], want);
  assert_equals_string (parts[2], "");
  st_tail_stop (&tail);
}

GST_END_TEST;

/* After a restart of the tail the rows come again, with the tokens that followed them: these are taken, not sampled, and their text
 * comes with the first token that is sampled anew. */
GST_START_TEST (given_tokens)
{
  g_autofree gchar *want = st_tail_expected (st_tiny_path (), "Hello", 10);
  g_autoptr (GArray) prompt = st_encode ("Hello");
  gint32 ids[10];
  RdFinish finish;
  guint n;
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "max-tokens=10");
  st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
  for (guint i = 0; i < 10; i++) {
    ids[i] = st_tail_pop_token (&tail, &finish);
    if (i < 9)
      st_tail_send (&tail, &ids[i], 1, GST_RD_META_STEP | GST_RD_META_SAMPLE);
  }
  st_tail_stop (&tail);

  st_tail_start (&tail, st_tiny_path (), "max-tokens=10");
  for (guint i = 0; i < 6; i++) {
    GstRdMetaFlags flags = GST_RD_META_SAMPLE | (i ? GST_RD_META_STEP : 0);
    const gint32 *rows = i ? &ids[i - 1] : (const gint32 *) prompt->data;
    guint count = i ? 1 : prompt->len;
    GstBuffer *buffer;

    if (i < 5)
      flags |= GST_RD_META_GIVEN;
    buffer = st_ids_buffer (rows, count, TRUE, 1, 0, tail.position, flags);
    gst_buffer_get_rd_meta (buffer)->given_id = i < 5 ? ids[i] : -1;
    tail.position += count;
    assert_equals_int (gst_harness_push (tail.h, buffer), GST_FLOW_OK);
    assert_equals_int (g_queue_get_length (&tail.events), i < 5 ? 0 : 1);
    fail_unless (i == 5 || gst_harness_buffers_in_queue (tail.h) == 0);
  }
  st_tail_finish_answer (&tail, &n);
  /* 5 were given, the length counts them. */
  assert_equals_int (n, 5);
  g_autofree gchar *text = st_tail_all_text (&tail);
  assert_equals_string (text, want);
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (nobody_takes_the_token)
{
  GstMessage *message;
  GError *error;
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "max-tokens=10");
  tail.takes = FALSE;
  assert_equals_int (st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE),
      GST_FLOW_ERROR);
  message = gst_bus_pop_filtered (tail.bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL);
  gst_message_parse_error (message, &error, NULL);
  fail_unless (strstr (error->message, "rddecoder") != NULL);
  g_error_free (error);
  gst_message_unref (message);
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (a_stream_without_requests_gets_one_token)
{
  g_autofree gchar *want = st_tail_expected (st_tiny_path (), "Hello", 1);
  g_autoptr (GArray) ids = st_encode ("Hello");
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "");
  tail.takes = FALSE;
  gst_harness_push (tail.h, st_ids_buffer ((gint32 *) ids->data, ids->len,
          FALSE, 0, 0, 0, 0));
  g_autofree gchar *text = st_tail_all_text (&tail);
  assert_equals_string (text, want);
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (a_full_context_ends_the_answer)
{
  g_autofree gchar *want = st_tail_expected (st_tiny_path (), "abcd", 5);
  g_autoptr (GArray) ids = st_encode ("abcd");
  GstEvent *event;
  guint32 session, epoch, position;
  const gint32 *none;
  RdFinish finish;
  guint n;
  StTail tail;

  assert_equals_int (ids->len, 4);
  st_tail_start (&tail, st_tiny_path (), "context-size=8");
  st_tail_send_text (&tail, "abcd", GST_RD_META_SAMPLE);
  for (guint i = 0; i < 5; i++) {
    gint32 id = st_tail_pop_token (&tail, &finish);

    assert_equals_int (finish, RD_FINISH_NONE);
    assert_equals_int (st_tail_send (&tail, &id, 1,
            GST_RD_META_STEP | GST_RD_META_SAMPLE), GST_FLOW_OK);
  }
  event = g_queue_pop_head (&tail.events);
  fail_unless (gst_rd_event_parse_tokens (event, &session, &epoch, &position,
          &none, &n, &finish));
  assert_equals_int (finish, RD_FINISH_CONTEXT);
  assert_equals_int (n, 0);
  assert_equals_int (position, 8);
  gst_event_unref (event);
  g_autofree gchar *text = st_tail_all_text (&tail);
  assert_equals_string (text, want);
  st_tail_stop (&tail);
}

GST_END_TEST;

/* ---- sessions, flushes, bad input ---- */

GST_START_TEST (sessions_do_not_mix)
{
  g_autoptr (GArray) a = st_encode ("Hello");
  g_autoptr (GArray) b = st_encode ("World");
  g_autofree gchar *alone = st_tail_expected (st_tiny_path (), "World", 1);
  GstBuffer *buffer;
  gchar got[8] = "";
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "max-tokens=1");
  gst_harness_push (tail.h, st_ids_buffer ((gint32 *) a->data, a->len, TRUE,
          1, 0, 0, 0));
  gst_harness_push (tail.h, st_ids_buffer ((gint32 *) b->data, b->len, TRUE,
          2, 0, 0, GST_RD_META_SAMPLE));
  buffer = gst_harness_pull (tail.h);
  assert_equals_int (gst_buffer_get_rd_meta (buffer)->session, 2);
  gst_buffer_extract (buffer, 0, got, 7);
  assert_equals_string (got, alone);
  gst_buffer_unref (buffer);
  gst_harness_push_event (tail.h, gst_rd_event_new_session_end (2));
  /* Session 2 is gone: this is a new one of that number, with a hole. */
  gst_harness_push (tail.h, st_ids_buffer ((gint32 *) b->data, 1, TRUE, 2, 0,
          b->len, 0));
  GstEvent *event = g_queue_peek_tail (&tail.events);
  fail_unless (gst_event_has_name (event, "rd-error"));
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (a_flush_drops_the_answer_and_keeps_the_cache)
{
  g_autofree gchar *want = st_tail_expected (st_tiny_path (), "Hello", 1);
  RdFinish finish;
  gint32 id;
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "max-tokens=9");
  st_tail_send_text (&tail, "Hello", GST_RD_META_SAMPLE);
  id = st_tail_pop_token (&tail, &finish);
  gst_buffer_unref (gst_harness_pull (tail.h));
  gst_harness_push_event (tail.h, gst_event_new_flush_start ());
  gst_harness_push_event (tail.h, gst_event_new_flush_stop (TRUE));
  GstSegment segment;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (tail.h, gst_event_new_segment (&segment));
  /* The last row again, in a new epoch: the same token follows. */
  g_autoptr (GArray) ids = st_encode ("Hello");
  guint last = ids->len - 1;
  gst_harness_push (tail.h, st_ids_buffer (&g_array_index (ids, gint32, last),
          1, TRUE, 1, 1, last, GST_RD_META_SAMPLE));
  assert_equals_int (st_tail_pop_token (&tail, &finish), id);
  GstBuffer *buffer = gst_harness_pull (tail.h);
  gchar got[8] = "";
  gst_buffer_extract (buffer, 0, got, 7);
  assert_equals_string (got, want);
  gst_buffer_unref (buffer);
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (another_tokenizer_is_refused)
{
  const gchar *text;
  guint32 session;
  StTail tail;

  st_tail_start (&tail, st_tiny_path (), "");
  gst_harness_push_event (tail.h, gst_rd_event_new_session (1,
          "0123456789abcdef", NULL));
  fail_unless (gst_rd_event_parse_error (g_queue_peek_head (&tail.events),
          &session, &text));
  assert_equals_int (session, 1);
  fail_unless (strstr (text, "0123456789ab") != NULL);
  st_tail_stop (&tail);
}

GST_END_TEST;

GST_START_TEST (hidden_states_that_are_not_numbers)
{
  GstElement *element;
  g_autofree gchar *setup =
      g_strdup_printf ("model=(string)%s", st_tiny_path ());
  GstHarness *h = st_harness ("transformertail", setup, &element);
  gfloat x[ST_TINY_HIDDEN];
  GstEvent *event;
  const gchar *text;
  guint32 session;
  GstBuffer *buffer;

  gst_harness_set_src_caps_str (h, "application/x-hidden-states,"
      "format=F32LE,hidden-size=64,split-layer=2");
  for (guint i = 0; i < ST_TINY_HIDDEN; i++)
    x[i] = NAN;
  buffer = gst_buffer_new_memdup (x, sizeof x);
  gst_buffer_add_rd_meta (buffer, 1, 0, 0, 1, GST_RD_META_SAMPLE, NULL);
  assert_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  event = st_pull_custom (h, "rd-error", TRUE);
  fail_unless (event != NULL);
  fail_unless (gst_rd_event_parse_error (event, &session, &text));
  fail_unless (strstr (text, "not numbers") != NULL);
  gst_event_unref (event);
  gst_harness_teardown (h);
}

GST_END_TEST;

static Suite *
tail_suite (void)
{
  Suite *suite = suite_create ("transformertail");
  TCase *tc = tcase_create ("all");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, greedy_text_until_max_tokens);
  tcase_add_test (tc, the_end_of_the_text);
  tcase_add_test (tc, a_stop_string_across_tokens);
  tcase_add_test (tc, wishes_of_the_session);
  tcase_add_test (tc, no_tokens_at_all);
  tcase_add_test (tc, seeds_decide);
  tcase_add_test (tc, text_is_whole_characters);
  tcase_add_test (tc, two_turns);
  tcase_add_test (tc, given_tokens);
  tcase_add_test (tc, nobody_takes_the_token);
  tcase_add_test (tc, a_stream_without_requests_gets_one_token);
  tcase_add_test (tc, a_full_context_ends_the_answer);
  tcase_add_test (tc, sessions_do_not_mix);
  tcase_add_test (tc, a_flush_drops_the_answer_and_keeps_the_cache);
  tcase_add_test (tc, another_tokenizer_is_refused);
  tcase_add_test (tc, hidden_states_that_are_not_numbers);
  return suite;
}

int
main (int argc, char **argv)
{
  st_elements_init (&argc, &argv);
  return st_elements_run (tail_suite (), "transformertail");
}
