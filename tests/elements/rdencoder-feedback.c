/* rdencoder: what comes back, and what goes wrong. */
#include "tests/elements/rdencoder-tools.h"

GST_START_TEST (test_tokens_go_upstream)
{
  static const gint32 sampled[] = { 42 };
  guint32 session, epoch, position;
  const gint32 *ids;
  VirtualTail tail;
  RdFinish finish;
  Fixture f;
  guint n;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e ! identity", TRUE);
  gst_harness_push (f.h, make_rows (5, 2, 0, 3, GST_RD_META_SAMPLE));
  drain_until (&f, &tail, 3);
  fail_unless (tail.header.has_feedback);
  rd_receiver_tokens (tail.receiver, tail.session, 2, 3, sampled, 1,
      RD_FINISH_STOP, g_get_monotonic_time ());
  virtual_tail_exchange (&tail, f.h, f.feedback);
  GstEvent *event = wait_upstream (&f, "rd-tokens");
  fail_unless (gst_rd_event_parse_tokens (event, &session, &epoch, &position,
          &ids, &n, &finish));
  fail_unless_equals_int ((gint) session, 5);
  fail_unless_equals_int ((gint) epoch, 2);
  fail_unless_equals_int ((gint) position, 3);
  fail_unless_equals_int ((gint) n, 1);
  fail_unless_equals_int (ids[0], 42);
  fail_unless_equals_int (finish, RD_FINISH_STOP);
  gst_event_unref (event);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

GST_START_TEST (test_error_from_the_tail)
{
  guint32 session;
  const gchar *text;
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e ! identity", TRUE);
  gst_harness_push (f.h, make_rows (5, 0, 0, 3, 0));
  drain_until (&f, &tail, 3);
  rd_receiver_error (tail.receiver, tail.session, "tail holds another model",
      g_get_monotonic_time ());
  virtual_tail_exchange (&tail, f.h, f.feedback);
  GstEvent *event = wait_upstream (&f, "rd-error");
  fail_unless (gst_rd_event_parse_error (event, &session, &text));
  fail_unless_equals_int ((gint) session, 5);
  fail_unless (strstr (text, "tail holds another model") != NULL);
  gst_event_unref (event);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

static gboolean
refuse_custom (GstPad * pad, GstObject * parent, GstEvent * event)
{
  gboolean custom = GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_UPSTREAM;

  (void) pad;
  (void) parent;
  gst_event_unref (event);
  return !custom;
}

/* Where nobody upstream takes it, the application reads it. */
GST_START_TEST (test_error_without_taker)
{
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e ! identity", TRUE);
  gst_pad_set_event_function (f.h->srcpad, refuse_custom);
  gst_harness_push (f.h, make_rows (5, 0, 0, 3, 0));
  drain_until (&f, &tail, 3);
  rd_receiver_error (tail.receiver, tail.session, "tail holds another model",
      g_get_monotonic_time ());
  virtual_tail_exchange (&tail, f.h, f.feedback);
  expect_message (&f, GST_MESSAGE_ERROR, "tail holds another model");
  fail_unless_equals_int (gst_harness_push (f.h, make_rows (5, 0, 3, 1, 0)),
      GST_FLOW_ERROR);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

GST_START_TEST (test_peer_timeout)
{
  Fixture f;

  fixture_init (&f, "rdencoder name=e peer-timeout=300 ! identity", TRUE);
  gst_pad_set_event_function (f.h->srcpad, refuse_custom);
  gst_harness_push (f.h, make_rows (1, 0, 0, 3, 0));
  expect_message (&f, GST_MESSAGE_ERROR, "rddecoder.feedback");
  fixture_clear (&f);
}

GST_END_TEST;

/* An end that nobody confirms: a warning, and EOS all the same. */
GST_START_TEST (test_linger)
{
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e linger=200 ! identity", TRUE);
  gst_harness_push (f.h, make_rows (1, 0, 0, 3, 0));
  drain_until (&f, &tail, 3);
  virtual_tail_exchange (&tail, f.h, f.feedback);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  expect_message (&f, GST_MESSAGE_WARNING, "did not confirm the end");
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

/* EOS on feedback (gst-launch -e): nothing is awaited, and nothing of it goes downstream by itself. */
GST_START_TEST (test_feedback_eos)
{
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e ! identity", TRUE);
  gst_harness_push (f.h, make_rows (1, 0, 0, 3, 0));
  gst_harness_push_event (f.feedback, gst_event_new_eos ());
  gst_harness_push_event (f.h, gst_event_new_eos ());
  expect_message (&f, GST_MESSAGE_WARNING, "did not confirm the end");
  fail_unless (gst_bus_pop_filtered (f.bus, GST_MESSAGE_ERROR) == NULL);
  virtual_tail_exchange (&tail, f.h, NULL);
  fail_unless_equals_int ((gint) tail.n_ended, 1);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

/* EOS on feedback alone: the tail or the connection is gone. */
GST_START_TEST (test_feedback_lost)
{
  Fixture f;

  fixture_init (&f, "rdencoder name=e peer-timeout=300 ! identity", TRUE);
  gst_pad_set_event_function (f.h->srcpad, refuse_custom);
  gst_harness_push (f.h, make_rows (1, 0, 0, 3, 0));
  gst_harness_push_event (f.feedback, gst_event_new_eos ());
  expect_message (&f, GST_MESSAGE_ERROR, "way back has ended");
  fixture_clear (&f);
}

GST_END_TEST;

GST_START_TEST (test_unparsed_feedback)
{
  Fixture f;

  fixture_init (&f, "rdencoder name=e ! identity", FALSE);
  GstElement *e = gst_bin_get_by_name (GST_BIN (f.h->element), "e");
  f.feedback = gst_harness_new_with_element (e, "feedback", NULL);
  gst_object_unref (e);
  gst_harness_push_event (f.feedback, gst_event_new_stream_start ("x"));
  GstSegment segment;
  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_harness_push_event (f.feedback, gst_event_new_segment (&segment));
  fail_unless_equals_int (gst_pad_push (f.feedback->srcpad,
          wire_buffer ("abc", 3, 0)), GST_FLOW_ERROR);
  expect_message (&f, GST_MESSAGE_ERROR, "rdparse");
  fixture_clear (&f);
}

GST_END_TEST;

/* Datagrams need no parser, and garbage in them is survived. */
GST_START_TEST (test_datagrams_on_feedback)
{
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e ! identity", TRUE);
  gst_harness_push (f.h, make_rows (1, 0, 0, 3, 0));
  for (guint i = 0; i < 100; i++) {
    guint8 garbage[64];

    for (guint k = 0; k < sizeof garbage; k++)
      garbage[k] = (guint8) g_random_int ();
    garbage[0] = RD_WIRE_SYNC_0;
    garbage[1] = RD_WIRE_SYNC_1;
    fail_unless_equals_int (gst_harness_push (f.feedback, wire_buffer (garbage,
                1 + i % 64, 4000)), GST_FLOW_OK);
  }
  drain_until (&f, &tail, 3);
  fail_unless (gst_bus_pop_filtered (f.bus, GST_MESSAGE_ERROR) == NULL);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

/* ---- bad input ---- */

GST_START_TEST (test_not_finite)
{
  GstBuffer *buffer = make_rows (1, 0, 0, 1, 0);
  GstMapInfo map;
  Fixture f;

  fixture_init (&f, "rdencoder", FALSE);
  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  GST_WRITE_FLOAT_LE (map.data + 8, NAN);
  gst_buffer_unmap (buffer, &map);
  fail_unless_equals_int (gst_harness_push (f.h, buffer), GST_FLOW_ERROR);
  expect_message (&f, GST_MESSAGE_ERROR, "position 0");
  fixture_clear (&f);
}

GST_END_TEST;

/* The tail hears of it before the application does. */
GST_START_TEST (test_gap)
{
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e ! identity", TRUE);
  gst_harness_push (f.h, make_rows (1, 0, 0, 2, 0));
  drain_until (&f, &tail, 2);
  fail_unless_equals_int (gst_harness_push (f.h, make_rows (1, 0, 5, 2, 0)),
      GST_FLOW_ERROR);
  expect_message (&f, GST_MESSAGE_ERROR, "gap");
  virtual_tail_exchange (&tail, f.h, NULL);
  fail_unless_equals_int ((gint) tail.n_ended, 1);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

GST_START_TEST (test_model_changes)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string
      ("application/x-hidden-states, format=F32LE, hidden-size=16");
  Fixture f;

  fixture_init (&f, "rdencoder", FALSE);
  gst_harness_push (f.h, make_rows (1, 0, 0, 2, 0));
  gst_harness_push_event (f.h, gst_event_new_caps (caps));
  expect_message (&f, GST_MESSAGE_ERROR, "changed inside a stream");
  fixture_clear (&f);
}

GST_END_TEST;

static void
expect_refused_codec (const gchar * codec, const gchar * part)
{
  GstElement *e = gst_element_factory_make ("rdencoder", NULL);
  GstBus *bus = gst_bus_new ();
  g_autoptr (GError) error = NULL;

  g_object_set (e, "codec", codec, NULL);
  gst_element_set_bus (e, bus);
  fail_unless_equals_int (gst_element_set_state (e, GST_STATE_READY),
      GST_STATE_CHANGE_FAILURE);
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  gst_message_parse_error (message, &error, NULL);
  fail_unless (strstr (error->message, part) != NULL, "%s", error->message);
  gst_message_unref (message);
  gst_element_set_bus (e, NULL);
  gst_object_unref (bus);
  gst_element_set_state (e, GST_STATE_NULL);
  gst_object_unref (e);
}

GST_START_TEST (test_unknown_codec)
{
  expect_refused_codec ("f17", "unknown codec 'f17'");
  expect_refused_codec ("no/such/file.gguf", "no/such/file.gguf");
}

GST_END_TEST;

GST_START_TEST (test_set_while_playing)
{
  g_autofree gchar *codec = NULL;
  Fixture f;

  fixture_init (&f, "rdencoder name=e ! identity", FALSE);
  GstElement *e = gst_bin_get_by_name (GST_BIN (f.h->element), "e");
  g_object_set (e, "codec", "int4", NULL);
  expect_message (&f, GST_MESSAGE_WARNING, "codec");
  g_object_get (e, "codec", &codec, NULL);
  fail_unless_equals_string (codec, "f16");
  gst_object_unref (e);
  fixture_clear (&f);
}

GST_END_TEST;

/* A key frame when one is asked for, from either side. */
GST_START_TEST (test_force_key_unit)
{
  VirtualTail tail;
  GstBuffer *buffer;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e ! identity", TRUE);
  gst_harness_push (f.h, make_rows (1, 0, 0, 1, 0));
  drain_until (&f, &tail, 1);
  g_usleep (20000);
  virtual_tail_exchange (&tail, f.h, f.feedback);
  for (guint i = 1; i < 4; i++) {
    GstStructure *s = gst_structure_new_empty ("GstForceKeyUnit");

    if (i == 2)
      gst_harness_push_upstream_event (f.h,
          gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM, s));
    else if (i == 3)
      gst_harness_push_event (f.h,
          gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM, s));
    else
      gst_structure_free (s);
    gboolean key = FALSE;

    gst_harness_push (f.h, make_rows (1, 0, i, 1, 0));
    while (tail.next_position <= i) {
      buffer = gst_harness_pull (f.h);
      key = key || GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_HEADER);
      virtual_tail_feed (&tail, buffer);
    }
    fail_unless (key == (i > 1), "row %u", i);
    virtual_tail_exchange (&tail, f.h, f.feedback);
  }
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

static Suite *
rdencoder_feedback_suite (void)
{
  Suite *s = suite_create ("rdencoder-feedback");
  TCase *tc = tcase_create ("general");

  GST_ELEMENT_REGISTER (rdencoder, NULL);
  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 60);
  tcase_add_test (tc, test_tokens_go_upstream);
  tcase_add_test (tc, test_error_from_the_tail);
  tcase_add_test (tc, test_error_without_taker);
  tcase_add_test (tc, test_peer_timeout);
  tcase_add_test (tc, test_linger);
  tcase_add_test (tc, test_feedback_eos);
  tcase_add_test (tc, test_feedback_lost);
  tcase_add_test (tc, test_unparsed_feedback);
  tcase_add_test (tc, test_datagrams_on_feedback);
  tcase_add_test (tc, test_not_finite);
  tcase_add_test (tc, test_gap);
  tcase_add_test (tc, test_model_changes);
  tcase_add_test (tc, test_unknown_codec);
  tcase_add_test (tc, test_set_while_playing);
  tcase_add_test (tc, test_force_key_unit);
  return s;
}

GST_CHECK_MAIN (rdencoder_feedback);
