/* rddecoder: the end of sessions, several sessions, and what goes wrong. */
#include "tests/elements/rddecoder-tools.h"

/* ---- ends ---- */

GST_START_TEST (test_num_sessions)
{
  gboolean feedback_eos = FALSE;
  GstEvent *event;
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 4000, TRUE);
  fixture_init (&f, TRUE);
  g_object_set (f.d, "num-sessions", 1, NULL);
  virtual_head_rows (&head, 4, FALSE, FALSE);
  exchange_until (&f, &head, 1);
  rd_sender_end (head.sender, g_get_monotonic_time ());
  exchange_until_ended (&f, &head, 1);
  for (guint i = 0; i < 2000 && !feedback_eos; i++) {
    exchange (&f, &head);
    look_at_events (&f);
    while ((event = gst_harness_try_pull_event (f.feedback))) {
      feedback_eos = feedback_eos || GST_EVENT_TYPE (event) == GST_EVENT_EOS;
      fail_unless (!feedback_eos || f.eos, "EOS on feedback comes last");
      gst_event_unref (event);
    }
    g_usleep (1000);
  }
  fail_unless (feedback_eos);
  gboolean clean = FALSE;
  fail_unless (rd_sender_ended (head.sender, &clean) && clean);
  GstMessage *message = gst_bus_pop_filtered (f.bus, GST_MESSAGE_ELEMENT);
  fail_unless (message && gst_message_has_name (message, "rddecoder-stats"));
  gst_message_unref (message);
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

/* The stream ends inside a session (a cut recording, ctrl-C): what was there comes out, and the head is told. */
GST_START_TEST (test_eos_inside_a_session)
{
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 4000, TRUE);
  fixture_init (&f, TRUE);
  virtual_head_rows (&head, 4, FALSE, FALSE);
  exchange_until (&f, &head, 1);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  exchange_until_ended (&f, &head, 1);
  for (guint i = 0; i < 1000 && !(f.eos && head.error); i++) {
    exchange (&f, &head);
    look_at_events (&f);
    g_usleep (1000);
  }
  fail_unless (f.eos);
  fail_unless (head.error && strstr (head.error, "stopped"));
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

GST_START_TEST (test_two_sessions)
{
  VirtualHead a, b;
  GstRdMeta *meta;
  GstBuffer *buffer;
  guint32 first, second;
  Fixture f;

  virtual_head_init (&a, 1, "f16", HIDDEN, 1, 4000, TRUE);
  virtual_head_init (&b, 2, "int8", HIDDEN, 1, 4001, TRUE);
  fixture_init (&f, TRUE);
  virtual_head_rows (&a, 3, FALSE, FALSE);
  exchange_until (&f, &a, 1);
  buffer = gst_harness_pull (f.h);
  first = gst_buffer_get_rd_meta (buffer)->session;
  gst_buffer_unref (buffer);
  virtual_head_rows (&b, 2, FALSE, FALSE);
  exchange_until (&f, &b, 2);
  buffer = gst_harness_pull (f.h);
  meta = gst_buffer_get_rd_meta (buffer);
  second = meta->session;
  fail_unless_equals_int ((gint) meta->position, 0);
  fail_unless (first != second);
  check_rows (&b, buffer, 0, 2);
  gst_buffer_unref (buffer);
  virtual_head_rows (&a, 1, TRUE, FALSE);
  exchange_until (&f, &a, 3);
  buffer = gst_harness_pull (f.h);
  fail_unless_equals_int ((gint) gst_buffer_get_rd_meta (buffer)->session,
      (gint) first);
  gst_buffer_unref (buffer);
  fixture_clear (&f);
  virtual_head_clear (&a);
  virtual_head_clear (&b);
}

GST_END_TEST;

/* ---- what goes wrong ---- */

static void
exchange_until_error (Fixture * f, VirtualHead * head, const gchar * part)
{
  for (guint i = 0; i < 3000 && !head->error; i++) {
    exchange (f, head);
    g_usleep (1000);
  }
  fail_unless (head->error != NULL, "the head was not told");
  fail_unless (strstr (head->error, part) != NULL, "\"%s\" does not say \"%s\"",
      head->error, part);
}

GST_START_TEST (test_second_model_is_refused)
{
  VirtualHead a, b;
  GstBuffer *buffer;
  Fixture f;

  virtual_head_init (&a, 1, "f16", HIDDEN, 1, 4000, TRUE);
  virtual_head_init (&b, 2, "f16", 2 * HIDDEN, 1, 4001, TRUE);
  fixture_init (&f, TRUE);
  virtual_head_rows (&a, 3, FALSE, FALSE);
  exchange_until (&f, &a, 1);
  while ((buffer = gst_harness_try_pull (f.feedback)))
    gst_buffer_unref (buffer);
  virtual_head_rows (&b, 2, FALSE, FALSE);
  exchange_until_error (&f, &b, "split 3 (16 values)");
  /* the first one goes on */
  virtual_head_rows (&a, 1, TRUE, FALSE);
  exchange_until (&f, &a, 2);
  fixture_clear (&f);
  virtual_head_clear (&a);
  virtual_head_clear (&b);
}

GST_END_TEST;

GST_START_TEST (test_downstream_refuses)
{
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 4000, TRUE);
  fixture_init (&f, TRUE);
  gst_harness_set_sink_caps_str (f.h,
      "application/x-hidden-states, hidden-size=576");
  g_object_set (f.d, "num-sessions", 1, NULL);
  virtual_head_rows (&head, 3, FALSE, FALSE);
  exchange_until_error (&f, &head, "8 values a token");
  expect_message (&f, GST_MESSAGE_ERROR, "8 values a token");
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

GST_START_TEST (test_error_of_the_tail_goes_back)
{
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 4000, TRUE);
  fixture_init (&f, TRUE);
  virtual_head_rows (&head, 3, FALSE, FALSE);
  exchange_until (&f, &head, 1);
  GstBuffer *buffer = gst_harness_pull (f.h);
  fail_unless (gst_harness_push_upstream_event (f.h,
          gst_rd_event_new_error (gst_buffer_get_rd_meta (buffer)->session,
              "no room for another cache")));
  gst_buffer_unref (buffer);
  exchange_until_error (&f, &head, "no room for another cache");
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

GST_START_TEST (test_unknown_codec)
{
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 4000, TRUE);
  rd_sender_free (head.sender);
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  g_strlcpy (head.header.codec, "rdcodec-x", sizeof head.header.codec);
  head.sender = rd_sender_new (&config, &head.header, 1);
  fixture_init (&f, TRUE);
  virtual_head_rows (&head, 3, FALSE, FALSE);
  exchange_until_error (&f, &head, "rdcodec-x");
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

/* A payload that does not decode costs its session; more of them than max-errors cost the element. */
GST_START_TEST (test_max_errors)
{
  guint8 payload[3] = { 1, 2, 3 };
  Fixture f;

  fixture_init (&f, FALSE);
  g_object_set (f.d, "max-errors", 1, NULL);
  for (guint i = 0; i < 2; i++) {
    GByteArray *bytes = g_byte_array_new ();
    RdHeader header;

    wire_header_init (&header, (guint8) (5 + i), "f16", HIDDEN);
    header.first_sequence = 1;
    wire_append_header (bytes, (guint8) i, 1, &header);
    wire_append_states (bytes, (guint8) i, 1, 0, 1, payload, sizeof payload);
    gst_harness_push (f.h, wire_buffer (bytes->data, bytes->len, 4000));
    g_byte_array_unref (bytes);
    expect_message (&f, i ? GST_MESSAGE_ERROR : GST_MESSAGE_WARNING, "f16");
  }
  fixture_clear (&f);
}

GST_END_TEST;

GST_START_TEST (test_unparsed)
{
  GstHarness *h = gst_harness_new ("rddecoder");
  GstBus *bus = gst_bus_new ();
  g_autoptr (GError) error = NULL;

  gst_element_set_bus (h->element, bus);
  gst_harness_set_src_caps_str (h,
      "application/x-rd-states, stream-format=byte-stream");
  fail_unless_equals_int (gst_harness_push (h, wire_buffer ("abc", 3, 0)),
      GST_FLOW_ERROR);
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  gst_message_parse_error (message, &error, NULL);
  fail_unless (strstr (error->message, "rdparse") != NULL);
  gst_message_unref (message);
  gst_element_set_bus (h->element, NULL);
  gst_object_unref (bus);
  gst_harness_teardown (h);
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

/* The head listens, but nothing leads to it. */
GST_START_TEST (test_nobody_takes_tokens)
{
  static const gint32 sampled[] = { 42 };
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 4000, TRUE);
  fixture_init (&f, FALSE);
  gst_pad_set_event_function (f.h->srcpad, refuse_custom);
  virtual_head_rows (&head, 3, FALSE, TRUE);
  exchange_until (&f, &head, 1);
  GstBuffer *buffer = gst_harness_pull (f.h);
  fail_if (gst_harness_push_upstream_event (f.h,
          gst_rd_event_new_tokens (gst_buffer_get_rd_meta (buffer)->session, 0,
              3, sampled, 1, RD_FINISH_NONE)));
  gst_buffer_unref (buffer);
  expect_message (&f, GST_MESSAGE_ERROR, "d.feedback");
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

/* Garbage of every kind into an element that works: it goes on working. */
GST_START_TEST (test_garbage)
{
  VirtualHead head;
  GstBuffer *buffer;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 4000, TRUE);
  fixture_init (&f, TRUE);
  virtual_head_rows (&head, 2, FALSE, FALSE);
  exchange_until (&f, &head, 1);
  for (guint i = 0; i < 300; i++) {
    GByteArray *bytes = g_byte_array_new ();
    guint16 port = i % 2 ? 4000 : 4777;
    RdHeader header;

    wire_header_init (&header, (guint8) (i + 9), "f16", i + 1);
    wire_append_header (bytes, 1, i, &header);
    wire_append_control (bytes, (guint8) i, RD_CONTROL_END);
    for (guint k = 0; k < 5; k++)
      bytes->data[g_random_int_range (0, (gint) bytes->len)] ^=
          (guint8) g_random_int ();
    fail_unless_equals_int (gst_harness_push (f.h, wire_buffer (bytes->data,
                (gsize) g_random_int_range (0, (gint) bytes->len), port)),
        GST_FLOW_OK);
    g_byte_array_unref (bytes);
  }
  while ((buffer = gst_harness_try_pull (f.feedback)))
    virtual_head_feed (&head, buffer);
  virtual_head_rows (&head, 3, FALSE, FALSE);
  exchange_until (&f, &head, 2);
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

static Suite *
rddecoder_sessions_suite (void)
{
  Suite *s = suite_create ("rddecoder-sessions");
  TCase *tc = tcase_create ("general");

  GST_ELEMENT_REGISTER (rddecoder, NULL);
  GST_ELEMENT_REGISTER (rdencoder, NULL);
  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 60);
  tcase_add_test (tc, test_num_sessions);
  tcase_add_test (tc, test_eos_inside_a_session);
  tcase_add_test (tc, test_two_sessions);
  tcase_add_test (tc, test_second_model_is_refused);
  tcase_add_test (tc, test_downstream_refuses);
  tcase_add_test (tc, test_error_of_the_tail_goes_back);
  tcase_add_test (tc, test_unknown_codec);
  tcase_add_test (tc, test_max_errors);
  tcase_add_test (tc, test_unparsed);
  tcase_add_test (tc, test_nobody_takes_tokens);
  tcase_add_test (tc, test_garbage);
  return s;
}

GST_CHECK_MAIN (rddecoder_sessions);
