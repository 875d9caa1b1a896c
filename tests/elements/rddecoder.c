/* rddecoder: rows, sessions, the way back, and what goes wrong. */
#include "elements/gstrddecoder.h"
#include "elements/gstrdencoder.h"
#include "elements/gstrdevents.h"
#include "elements/gstrdmeta.h"
#include "tests/support/virtual-head.h"
#include "tests/support/wire-frames.h"
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <gst/net/gstnetaddressmeta.h>
#include <string.h>

#define HIDDEN 8
#define STATES "application/x-rd-states, stream-format=packet"

typedef struct
{
  GstElement *d;
  GstHarness *h;                /* sink and src of the decoder */
  GstHarness *feedback;         /* or NULL */
  GstBus *bus;
  guint ended;                  /* rd-session-end events seen */
  gboolean eos;
} Fixture;

static void
fixture_init (Fixture * f, gboolean feedback)
{
  memset (f, 0, sizeof *f);
  f->d = gst_element_factory_make ("rddecoder", NULL);
  f->bus = gst_bus_new ();
  g_object_set (f->d, "linger", 100, NULL);
  gst_element_set_bus (f->d, f->bus);
  if (feedback) {
    f->feedback = gst_harness_new_with_element (f->d, NULL, "feedback");
    gst_harness_set_sink_caps_str (f->feedback, "application/x-rd-feedback");
  }
  f->h = gst_harness_new_with_element (f->d, "sink", "src");
  gst_harness_set_src_caps_str (f->h, STATES);
}

static void
fixture_clear (Fixture * f)
{
  gst_element_set_state (f->d, GST_STATE_NULL);
  gst_element_set_bus (f->d, NULL);
  gst_object_unref (f->bus);
  if (f->feedback)
    gst_harness_teardown (f->feedback);
  gst_harness_teardown (f->h);
  gst_object_unref (f->d);
}

static gchar *
wait_message (Fixture * f, GstMessageType type)
{
  g_autoptr (GError) error = NULL;
  GstMessage *message =
      gst_bus_timed_pop_filtered (f->bus, 5 * GST_SECOND, type);

  fail_unless (message != NULL, "no message");
  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, NULL);
  else
    gst_message_parse_warning (message, &error, NULL);
  gst_message_unref (message);
  return g_strdup (error->message);
}

static void
expect_message (Fixture * f, GstMessageType type, const gchar * part)
{
  g_autofree gchar *text = wait_message (f, type);

  fail_unless (strstr (text, part) != NULL, "\"%s\" does not say \"%s\"", text,
      part);
}

/* Everything the head has to send now goes in, everything that comes back goes to it. */
static void
exchange (Fixture * f, VirtualHead * head)
{
  GstBuffer *buffer;

  while ((buffer = virtual_head_pull (head)))
    gst_harness_push (f->h, buffer);
  while (f->feedback && (buffer = gst_harness_try_pull (f->feedback)))
    virtual_head_feed (head, buffer);
}

/* Exchanges until @count buffers of rows have left the decoder. */
static void
exchange_until (Fixture * f, VirtualHead * head, guint count)
{
  gint64 until = g_get_monotonic_time () + 5 * G_USEC_PER_SEC;

  while (gst_harness_buffers_received (f->h) < count) {
    fail_unless (g_get_monotonic_time () < until, "%u of %u buffers came",
        gst_harness_buffers_received (f->h), count);
    exchange (f, head);
    g_usleep (500);
  }
}

static void
look_at_events (Fixture * f)
{
  GstEvent *event;
  guint32 session;

  while ((event = gst_harness_try_pull_event (f->h))) {
    if (gst_rd_event_parse_session_end (event, &session))
      f->ended++;
    f->eos = f->eos || GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
}

static void
exchange_until_ended (Fixture * f, VirtualHead * head, guint count)
{
  gint64 until = g_get_monotonic_time () + 5 * G_USEC_PER_SEC;

  while (f->ended < count) {
    fail_unless (g_get_monotonic_time () < until, "%u of %u sessions ended",
        f->ended, count);
    exchange (f, head);
    look_at_events (f);
    g_usleep (500);
  }
}

/* The rows of @buffer are what the head made, to the last bit of what its codec keeps. */
static void
check_rows (VirtualHead * head, GstBuffer * buffer, guint32 position, guint32 n)
{
  GstRdMeta *meta = gst_buffer_get_rd_meta (buffer);
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  gfloat x[128 * HIDDEN], y[128 * HIDDEN];
  RdRows rows = { n, position, NULL };
  gboolean packed;

  fail_unless (meta != NULL);
  fail_unless_equals_int ((gint) meta->position, (gint) position);
  fail_unless_equals_int ((gint) meta->count, (gint) n);
  fail_unless_equals_int ((gint) gst_buffer_get_size (buffer),
      (gint) (4 * n * HIDDEN));
  for (guint i = 0; i < n; i++)
    for (guint k = 0; k < HIDDEN; k++)
      x[i * HIDDEN + k] = virtual_head_value (position + i, k);
  fail_unless (rd_codec_encode (head->codec, &rows, x, FALSE, payload,
          &packed, NULL));
  fail_unless (rd_codec_decode (head->codec, &rows, payload->data,
          payload->len, packed, y, NULL));
  fail_unless (gst_buffer_memcmp (buffer, 0, y, 4 * n * HIDDEN) == 0);
}

/* ---- rows ---- */

/* Exchanges and checks rows until position @end; how many buffers they came in. A sample is wanted only at the end of a buffer. */
static guint
expect_rows (Fixture * f, VirtualHead * head, guint32 begin, guint32 end)
{
  gint64 until = g_get_monotonic_time () + 5 * G_USEC_PER_SEC;
  guint n = 0;

  while (begin < end) {
    fail_unless (g_get_monotonic_time () < until, "no rows at %u", begin);
    exchange (f, head);
    GstBuffer *buffer = gst_harness_try_pull (f->h);
    if (!buffer) {
      g_usleep (500);
      continue;
    }
    GstRdMeta *meta = gst_buffer_get_rd_meta (buffer);
    check_rows (head, buffer, begin, meta->count);
    begin += meta->count;
    fail_unless (((meta->flags & GST_RD_META_STEP) != 0) == (begin > 70));
    fail_unless (((meta->flags & GST_RD_META_SAMPLE) != 0) == (begin == 70));
    gst_buffer_unref (buffer);
    n++;
  }
  fail_unless_equals_int ((gint) begin, (gint) end);
  return n;
}

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
  Fixture f;

  virtual_head_init (&a, 1, "f16", HIDDEN, 1, 4000, TRUE);
  virtual_head_init (&b, 2, "f16", 2 * HIDDEN, 1, 4001, TRUE);
  fixture_init (&f, TRUE);
  virtual_head_rows (&a, 3, FALSE, FALSE);
  exchange_until (&f, &a, 1);
  while (gst_harness_try_pull (f.feedback));
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

GST_CHECK_MAIN (rddecoder);
