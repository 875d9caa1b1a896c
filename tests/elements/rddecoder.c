/* rddecoder: rows, sessions, the way back, and what goes wrong. */
#include "tests/elements/rddecoder-tools.h"

/* Position 69 wants a sample, then come steps. */
GST_START_TEST (test_every_codec)
{
  static const gchar *codecs[] = { "f32", "f16", "int8", "int4" };
  static const guint32 counts[] = { 1, 5, 64, 1, 2 };

  for (guint c = 0; c < G_N_ELEMENTS (codecs); c++) {
    VirtualHead head;
    Fixture f;

    virtual_head_init (&head, 1, codecs[c], HIDDEN, 1, 0, FALSE);
    fixture_init (&f, FALSE);
    for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
      virtual_head_rows (&head, counts[i], i > 2, i == 2);
    fail_unless (expect_rows (&f, &head, 0, 73) >= 3);
    fixture_clear (&f);
    virtual_head_clear (&head);
  }
}

GST_END_TEST;

/* rdencoder and rddecoder in one process: values, metas, wishes, and the numbers of each side. */
GST_START_TEST (test_pair)
{
  static const gint32 ids[] = { 3, 99, 7 };
  GstHarness *h = gst_harness_new_parse ("rdencoder codec=f32 ! rddecoder");
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 3 * HIDDEN * 4, NULL);
  RdWishes wishes = {.mask = RD_WISH_TOP_K,.top_k = 17 }, seen;
  guint32 session = 0, epoch, position;
  gboolean found = FALSE;
  const gint32 *tokens;
  GstEvent *event;
  RdFinish finish;
  guint n;

  gst_harness_set_src_caps_str (h, "application/x-hidden-states, "
      "format=F32LE, hidden-size=8, split-layer=3, vocab-size=100");
  gst_harness_push_event (h, gst_rd_event_new_session (77, "", &wishes));
  gst_buffer_memset (buffer, 0, 0x3f, 3 * HIDDEN * 4);
  gst_buffer_add_rd_meta (buffer, 77, 4, 0, 3,
      GST_RD_META_SAMPLE | GST_RD_META_SEND_IDS, ids);
  gst_harness_push (h, gst_buffer_ref (buffer));
  GstBuffer *out = gst_harness_pull (h);
  fail_unless_equals_int ((gint) gst_buffer_get_size (out), 3 * HIDDEN * 4);
  GstRdMeta *meta = gst_buffer_get_rd_meta (out);
  fail_unless_equals_int ((gint) meta->epoch, 4);
  fail_unless_equals_int ((gint) meta->count, 3);
  fail_unless (meta->ids && meta->ids[1] == 99);
  fail_unless (meta->flags & GST_RD_META_SAMPLE);
  while (!found && (event = gst_harness_try_pull_event (h))) {
    found = gst_rd_event_parse_session (event, &session, NULL, &seen);
    gst_event_unref (event);
  }
  fail_unless (found);
  fail_unless_equals_int ((gint) seen.mask, RD_WISH_TOP_K);
  fail_unless_equals_int (seen.top_k, 17);
  fail_unless_equals_int ((gint) session, (gint) meta->session);
  rd_wishes_clear (&seen);
  /* what goes back up bears the head's own number again */
  gst_harness_push_upstream_event (h, gst_rd_event_new_tokens (session, 4, 3,
          ids, 1, RD_FINISH_NONE));
  while ((event = gst_harness_pull_upstream_event (h))
      && !gst_event_has_name (event, "rd-tokens"))
    gst_event_unref (event);
  fail_unless (event != NULL);
  fail_unless (gst_rd_event_parse_tokens (event, &session, &epoch, &position,
          &tokens, &n, &finish));
  fail_unless_equals_int ((gint) session, 77);
  gst_event_unref (event);
  gst_buffer_unref (out);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}

GST_END_TEST;

GST_START_TEST (test_caps)
{
  VirtualHead head;
  Fixture f;
  gint value;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 0, FALSE);
  fixture_init (&f, FALSE);
  virtual_head_rows (&head, 1, FALSE, FALSE);
  exchange_until (&f, &head, 1);
  GstCaps *caps = gst_pad_get_current_caps (f.h->sinkpad);
  GstStructure *s = gst_caps_get_structure (caps, 0);
  fail_unless (gst_structure_has_name (s, "application/x-hidden-states"));
  fail_unless_equals_string (gst_structure_get_string (s, "format"), "F32LE");
  fail_unless (gst_structure_get_int (s, "hidden-size", &value));
  fail_unless_equals_int (value, HIDDEN);
  fail_unless (gst_structure_get_int (s, "split-layer", &value));
  fail_unless_equals_int (value, 3);
  fail_unless_equals_string (gst_structure_get_string (s, "model-name"),
      "test");
  gst_caps_unref (caps);
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

GST_START_TEST (test_tensors)
{
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f32", HIDDEN, 1, 0, FALSE);
  fixture_init (&f, FALSE);
  gst_harness_set_sink_caps_str (f.h, "other/tensors, format=flexible");
  virtual_head_rows (&head, 2, FALSE, FALSE);
  exchange_until (&f, &head, 1);
  GstBuffer *buffer = gst_harness_pull (f.h);
  fail_unless_equals_int ((gint) gst_buffer_get_size (buffer),
      128 + 2 * HIDDEN * 4);
  gst_buffer_unref (buffer);
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

static GstPadProbeReturn
sleep_a_little (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  (void) pad;
  (void) info;
  (void) data;
  g_usleep (200000);
  return GST_PAD_PROBE_REMOVE;
}

/* Rows that arrive while a push lasts go on together. */
GST_START_TEST (test_rows_catch_up)
{
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 0, FALSE);
  fixture_init (&f, FALSE);
  gst_pad_add_probe (f.h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, sleep_a_little,
      NULL, NULL);
  for (guint i = 0; i < 60; i++)
    virtual_head_rows (&head, 1, FALSE, FALSE);
  fail_unless (expect_rows (&f, &head, 0, 60) < 10);
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

static gint refusals;           /* atomic: buffers that are still to be sent back by a flush */

static GstPadProbeReturn
interrupt (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  (void) pad;
  (void) data;
  if (!g_atomic_int_dec_and_test (&refusals))
    return GST_PAD_PROBE_REMOVE;
  gst_buffer_unref (GST_PAD_PROBE_INFO_BUFFER (info));
  info->data = NULL;
  GST_PAD_PROBE_INFO_FLOW_RETURN (info) = GST_FLOW_FLUSHING;
  return GST_PAD_PROBE_HANDLED;
}

/* What a flush interrupts is handed over again: the cache behind has no hole. */
GST_START_TEST (test_flush_loses_nothing)
{
  GstSegment segment;
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 0, FALSE);
  fixture_init (&f, FALSE);
  g_atomic_int_set (&refusals, 1);
  gst_pad_add_probe (f.h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, interrupt, NULL,
      NULL);
  virtual_head_rows (&head, 2, FALSE, FALSE);
  exchange (&f, &head);
  for (guint i = 0; i < 2000 && g_atomic_int_get (&refusals); i++)
    g_usleep (1000);
  fail_unless_equals_int ((gint) gst_harness_buffers_received (f.h), 0);
  gst_harness_push_event (f.h, gst_event_new_flush_start ());
  gst_harness_push_event (f.h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (f.h, gst_event_new_segment (&segment));
  virtual_head_rows (&head, 3, FALSE, FALSE);
  expect_rows (&f, &head, 0, 5);
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

/* The pair in one process, flushed in the middle of many rows: what was on its way goes on, nothing is missing. */
GST_START_TEST (test_flush_of_the_pair)
{
  GstHarness *h = gst_harness_new_parse ("rdencoder codec=f32 ! rddecoder");
  GstSegment segment;
  guint32 position = 0;

  gst_harness_set_src_caps_str (h, "application/x-hidden-states, "
      "format=F32LE, hidden-size=8, split-layer=3, vocab-size=100");
  gst_pad_add_probe (h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, sleep_a_little,
      NULL, NULL);
  for (guint i = 0; i < 30; i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, 5 * HIDDEN * 4, NULL);

    gst_buffer_memset (buffer, 0, 0x3f, 5 * HIDDEN * 4);
    gst_buffer_add_rd_meta (buffer, 1, 0, 5 * i, 5, 0, NULL);
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
    if (i == 15) {
      gst_harness_push_event (h, gst_event_new_flush_start ());
      gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
      gst_segment_init (&segment, GST_FORMAT_TIME);
      gst_harness_push_event (h, gst_event_new_segment (&segment));
    }
  }
  /* a buffer at a position that was reached before begins there again */
  while (position < 150) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless (buffer != NULL, "no rows at %u", position);
    GstRdMeta *meta = gst_buffer_get_rd_meta (buffer);
    fail_unless (meta->position <= position);
    position = meta->position + meta->count;
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}

GST_END_TEST;

/* ---- the way back ---- */

GST_START_TEST (test_loop)
{
  static const gint32 sampled[] = { 42 };
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 4000, TRUE);
  fixture_init (&f, TRUE);
  virtual_head_rows (&head, 4, FALSE, TRUE);
  exchange_until (&f, &head, 1);
  GstBuffer *buffer = gst_harness_pull (f.h);
  GstRdMeta *meta = gst_buffer_get_rd_meta (buffer);
  gst_harness_push_upstream_event (f.h, gst_rd_event_new_tokens (meta->session,
          meta->epoch, 4, sampled, 1, RD_FINISH_LENGTH));
  gst_buffer_unref (buffer);
  for (guint i = 0; i < 2000 && head.tokens->len == 0; i++) {
    exchange (&f, &head);
    g_usleep (1000);
  }
  fail_unless_equals_int ((gint) head.tokens->len, 1);
  fail_unless_equals_int (g_array_index (head.tokens, gint32, 0), 42);
  fail_unless_equals_int (head.finish, RD_FINISH_LENGTH);
  fail_unless (rd_sender_drained (head.sender));
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

/* Answers go to where the frames came from, at the port that HEADER names. */
GST_START_TEST (test_reply_address)
{
  guint8 payload[2 * HIDDEN] = { 0, };
  GByteArray *bytes = g_byte_array_new ();
  RdHeader header;
  Fixture f;

  fixture_init (&f, TRUE);
  wire_header_init (&header, 5, "f16", HIDDEN);
  header.has_feedback = TRUE;
  header.reply_port = 5001;
  header.first_sequence = 1;
  wire_append_header (bytes, 9, 1, &header);
  wire_append_states (bytes, 9, 1, 0, 1, payload, sizeof payload);
  gst_harness_push (f.h, wire_buffer (bytes->data, bytes->len, 4000));
  GstBuffer *buffer = gst_harness_pull (f.feedback);
  GstNetAddressMeta *meta = gst_buffer_get_net_address_meta (buffer);
  fail_unless (meta != NULL);
  g_autofree gchar *to =
      g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (meta->addr));
  fail_unless_equals_string (to, "127.0.0.1:5001");
  gst_buffer_unref (buffer);
  g_byte_array_unref (bytes);
  fixture_clear (&f);
}

GST_END_TEST;

/* A loss is asked for and filled; duplicates are taken once. */
GST_START_TEST (test_loss_and_duplicates)
{
  GstBuffer *buffer;
  VirtualHead head;
  guint n = 0;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 4000, TRUE);
  fixture_init (&f, TRUE);
  for (guint i = 0; i < 40; i++) {
    virtual_head_rows (&head, 1, TRUE, FALSE);
    while ((buffer = virtual_head_pull (&head))) {
      if (n % 3 == 1) {
        gst_buffer_unref (buffer);
      } else {
        gst_harness_push (f.h, gst_buffer_copy (buffer));
        gst_harness_push (f.h, buffer);
      }
      n++;
    }
  }
  exchange_until (&f, &head, 40);
  for (guint i = 0; i < 40; i++) {
    buffer = gst_harness_pull (f.h);
    check_rows (&head, buffer, i, 1);
    gst_buffer_unref (buffer);
  }
  fail_unless (gst_harness_try_pull (f.h) == NULL);
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

static GstPadProbeReturn
sleep_long (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  (void) pad;
  (void) info;
  (void) data;
  g_usleep (1300000);
  return GST_PAD_PROBE_REMOVE;
}

/* While a push takes long the head hears that somebody is at work. */
GST_START_TEST (test_working)
{
  gboolean working = FALSE;
  GstBuffer *buffer;
  VirtualHead head;
  Fixture f;

  virtual_head_init (&head, 1, "f16", HIDDEN, 1, 4000, TRUE);
  fixture_init (&f, TRUE);
  gst_pad_add_probe (f.h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, sleep_long, NULL,
      NULL);
  virtual_head_rows (&head, 4, FALSE, TRUE);
  while ((buffer = virtual_head_pull (&head)))
    gst_harness_push (f.h, buffer);
  for (guint i = 0; i < 3000 && !working; i++) {
    while ((buffer = gst_harness_try_pull (f.feedback))) {
      GstMapInfo map;
      RdFrame frame;

      gst_buffer_map (buffer, &map, GST_MAP_READ);
      working = working || (rd_frame_parse (map.data, map.size, map.size,
              &frame, NULL) && frame.type == RD_FRAME_CONTROL
          && frame.control == RD_CONTROL_WORKING);
      gst_buffer_unmap (buffer, &map);
      gst_buffer_unref (buffer);
    }
    g_usleep (1000);
  }
  fail_unless (working);
  fixture_clear (&f);
  virtual_head_clear (&head);
}

GST_END_TEST;

static Suite *
rddecoder_suite (void)
{
  Suite *s = suite_create ("rddecoder");
  TCase *tc = tcase_create ("general");

  GST_ELEMENT_REGISTER (rddecoder, NULL);
  GST_ELEMENT_REGISTER (rdencoder, NULL);
  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 60);
  tcase_add_test (tc, test_every_codec);
  tcase_add_test (tc, test_pair);
  tcase_add_test (tc, test_caps);
  tcase_add_test (tc, test_tensors);
  tcase_add_test (tc, test_rows_catch_up);
  tcase_add_test (tc, test_flush_loses_nothing);
  tcase_add_test (tc, test_flush_of_the_pair);
  tcase_add_test (tc, test_loop);
  tcase_add_test (tc, test_reply_address);
  tcase_add_test (tc, test_loss_and_duplicates);
  tcase_add_test (tc, test_working);
  return s;
}

GST_CHECK_MAIN (rddecoder);
