/* rdencoder: frames, sessions, the window, the way back, and what goes wrong. */
#include "elements/gstrdencoder.h"
#include "elements/gstrdevents.h"
#include "elements/gstrdmeta.h"
#include "tests/support/virtual-tail.h"
#include "tests/support/wire-frames.h"
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <string.h>

#define HIDDEN 8
#define CAPS "application/x-hidden-states, format=F32LE, hidden-size=8, split-layer=3, vocab-size=100, model-name=test"
#define FEEDBACK "application/x-rd-feedback, version=1"

typedef struct
{
  GstHarness *h;                /* sink and src of the encoder */
  GstHarness *feedback;         /* or NULL */
  GstBus *bus;
} Fixture;

static void
fixture_init (Fixture * f, const gchar * launch, gboolean feedback)
{
  memset (f, 0, sizeof *f);
  f->h = gst_harness_new_parse (launch);
  f->bus = gst_bus_new ();
  gst_element_set_bus (f->h->element, f->bus);
  if (feedback) {
    GstElement *e = gst_bin_get_by_name (GST_BIN (f->h->element), "e");

    f->feedback = gst_harness_new_with_element (e, "feedback", NULL);
    gst_harness_set_src_caps_str (f->feedback, FEEDBACK);
    gst_object_unref (e);
  }
  gst_harness_set_src_caps_str (f->h, CAPS);
}

static void
fixture_clear (Fixture * f)
{
  gst_element_set_bus (f->h->element, NULL);
  gst_object_unref (f->bus);
  if (f->feedback)
    gst_harness_teardown (f->feedback);
  gst_harness_teardown (f->h);
}

static GstBuffer *
make_rows (guint32 session, guint32 epoch, guint32 position, guint32 n,
    GstRdMetaFlags flags)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, n * HIDDEN * 4, NULL);
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (guint i = 0; i < n * HIDDEN; i++)
    GST_WRITE_FLOAT_LE (map.data + 4 * i,
        (gfloat) ((gint) (i * 29 + position) % 17 - 8) / 4);
  gst_buffer_unmap (buffer, &map);
  gst_buffer_add_rd_meta (buffer, session, epoch, position, n, flags, NULL);
  return buffer;
}

/* The first error or warning on the bus, waited for. */
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

/* The custom event @name from upstream's view, waited for. */
static GstEvent *
wait_upstream (Fixture * f, const gchar * name)
{
  for (guint i = 0; i < 20; i++) {
    GstEvent *event = gst_harness_pull_upstream_event (f->h);

    if (event && gst_event_has_name (event, name))
      return event;
    if (event)
      gst_event_unref (event);
  }
  fail ("no %s", name);
  return NULL;
}

static void
drain_until (Fixture * f, VirtualTail * tail, guint32 position)
{
  gint64 until = g_get_monotonic_time () + 5 * G_USEC_PER_SEC;

  while (tail->next_position < position) {
    fail_unless (g_get_monotonic_time () < until, "only %u of %u rows came",
        tail->next_position, position);
    virtual_tail_exchange (tail, f->h, f->feedback);
    g_usleep (500);
  }
}

GST_START_TEST (test_caps)
{
  Fixture f;
  gint value;

  fixture_init (&f, "rdencoder codec=int8", FALSE);
  gst_harness_push (f.h, make_rows (1, 0, 0, 1, 0));
  gst_buffer_unref (gst_harness_pull (f.h));
  GstCaps *caps = gst_pad_get_current_caps (f.h->sinkpad);
  GstStructure *s = gst_caps_get_structure (caps, 0);
  fail_unless (gst_structure_has_name (s, "application/x-rd-states"));
  fail_unless_equals_string (gst_structure_get_string (s, "stream-format"),
      "packet");
  fail_unless_equals_string (gst_structure_get_string (s, "codec"), "int8");
  fail_unless (gst_structure_get_int (s, "hidden-size", &value));
  fail_unless_equals_int (value, HIDDEN);
  fail_unless (gst_structure_get_int (s, "split-layer", &value));
  fail_unless_equals_int (value, 3);
  gst_caps_unref (caps);
  fixture_clear (&f);
}

GST_END_TEST;

/* One way: every frame leaves at once, END and EOS at the end. */
GST_START_TEST (test_one_way)
{
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder codec=f32 frame-tokens=5 max-payload-size=0",
      FALSE);
  for (guint i = 0; i < 200; i++)
    fail_unless_equals_int (gst_harness_push (f.h, make_rows (1, 0, 12 * i, 12,
                0)), GST_FLOW_OK);
  drain_until (&f, &tail, 2400);
  fail_unless_equals_int ((gint) tail.counts->len, 600);
  fail_unless_equals_int ((gint) g_array_index (tail.counts, guint32, 0), 5);
  fail_unless_equals_int ((gint) g_array_index (tail.counts, guint32, 2), 2);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  for (;;) {
    GstEvent *event = gst_harness_pull_event (f.h);
    gboolean eos = GST_EVENT_TYPE (event) == GST_EVENT_EOS;

    gst_event_unref (event);
    if (eos)
      break;
  }
  virtual_tail_exchange (&tail, f.h, NULL);
  fail_unless_equals_int ((gint) tail.n_ended, 1);
  GstMessage *message = gst_bus_pop_filtered (f.bus, GST_MESSAGE_ELEMENT);
  fail_unless (message && gst_message_has_name (message, "rdencoder-stats"));
  gst_message_unref (message);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

/* No buffer is longer than max-payload-size, whatever a token needs. */
GST_START_TEST (test_max_payload_size)
{
  static const guint sizes[] = { 120, 300, 1400 };

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++) {
    g_autofree gchar *launch =
        g_strdup_printf ("rdencoder codec=f32 pack=false max-payload-size=%u",
        sizes[s]);
    VirtualTail tail;
    GstBuffer *buffer;
    Fixture f;
    guint seen = 0;

    virtual_tail_init (&tail);
    fixture_init (&f, launch, FALSE);
    gst_harness_push (f.h, make_rows (1, 0, 0, 100, 0));
    while (tail.next_position < 100) {
      buffer = gst_harness_pull (f.h);
      fail_unless (buffer != NULL);
      /* HEADER cannot be cut */
      if (!GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_HEADER)) {
        fail_unless (gst_buffer_get_size (buffer) <= sizes[s]);
        seen++;
      }
      virtual_tail_feed (&tail, buffer);
    }
    fail_unless (seen > 0);
    fixture_clear (&f);
    virtual_tail_clear (&tail);
  }
}

GST_END_TEST;

GST_START_TEST (test_wishes_in_header)
{
  RdWishes wishes = {.mask = RD_WISH_TEMPERATURE | RD_WISH_SEED
        | RD_WISH_STOP,.temperature = 0.5f,.seed = 77
  };
  gchar *stop[] = { (gchar *) "###", NULL };
  VirtualTail tail;
  Fixture f;

  wishes.stop = stop;
  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder reply-port=5001", FALSE);
  gst_harness_push_event (f.h, gst_rd_event_new_session (9, "", &wishes));
  gst_harness_push (f.h, make_rows (9, 0, 0, 2, 0));
  drain_until (&f, &tail, 2);
  fail_unless_equals_int ((gint) tail.header.wishes.mask, (gint) wishes.mask);
  fail_unless (tail.header.wishes.temperature == 0.5f);
  fail_unless (tail.header.wishes.seed == 77);
  fail_unless_equals_string (tail.header.wishes.stop[0], "###");
  fail_unless_equals_int (tail.header.reply_port, 5001);
  fail_unless (!tail.header.has_feedback);
  fail_unless_equals_string (tail.header.model_name, "test");
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

/* Without a meta: positions go on, a row may be cut anywhere, a discontinuity begins a new session. */
GST_START_TEST (test_without_meta)
{
  VirtualTail tail;
  guint8 zeros[7 * HIDDEN * 4] = { 0, };
  GstBuffer *buffer;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder", FALSE);
  buffer = gst_buffer_new_memdup (zeros, 50);
  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  gst_harness_push (f.h, buffer);
  gst_harness_push (f.h, gst_buffer_new_memdup (zeros, sizeof zeros - 50));
  drain_until (&f, &tail, 7);
  fail_unless_equals_int ((gint) tail.n_begun, 1);
  buffer = gst_buffer_new_memdup (zeros, 3 * HIDDEN * 4);
  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  gst_harness_push (f.h, buffer);
  gst_harness_push (f.h, gst_buffer_new_memdup (zeros, 10));
  gst_harness_push_event (f.h, gst_event_new_eos ());
  expect_message (&f, GST_MESSAGE_WARNING, "inside a row");
  for (guint i = 0; tail.n_ended < 2 && i < 2000; i++) {
    virtual_tail_exchange (&tail, f.h, NULL);
    g_usleep (1000);
  }
  fail_unless_equals_int ((gint) tail.n_begun, 2);
  fail_unless_equals_int ((gint) tail.n_ended, 2);
  fail_unless_equals_int ((gint) tail.next_position, 3);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

/* ---- with a way back ---- */

typedef struct
{
  Fixture *f;
  guint n;
  GstFlowReturn result;
  gint done;                    /* atomic */
} Pusher;

static gpointer
push_many (gpointer data)
{
  Pusher *pusher = data;

  for (guint i = 0; i < pusher->n && pusher->result == GST_FLOW_OK; i++)
    pusher->result = gst_harness_push (pusher->f->h, make_rows (1, 0, i, 1,
            GST_RD_META_STEP));
  g_atomic_int_set (&pusher->done, 1);
  return NULL;
}

/* Lets a thread push until the window is full and nothing moves any more. */
static GThread *
fill_window (Fixture * f, Pusher * pusher)
{
  guint before = G_MAXUINT, now = 0;

  *pusher = (Pusher) {
  f, 500, GST_FLOW_OK, 0};
  GThread *thread = g_thread_new ("pusher", push_many, pusher);
  while (now != before || now == 0) {
    before = now;
    g_usleep (50000);
    now = gst_harness_buffers_received (f->h);
  }
  fail_unless (!g_atomic_int_get (&pusher->done));
  return thread;
}

GST_START_TEST (test_window)
{
  VirtualTail tail;
  GstBuffer *buffer;
  Pusher pusher;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e window-bytes=8192 ! identity", TRUE);
  GThread *thread = fill_window (&f, &pusher);
  /* every datagram counts as 1 KiB at least */
  while ((buffer = gst_harness_try_pull (f.h)))
    virtual_tail_feed (&tail, buffer);
  fail_unless (tail.next_position <= 8);
  drain_until (&f, &tail, 500);
  g_thread_join (thread);
  fail_unless_equals_int (pusher.result, GST_FLOW_OK);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

/* A full window holds back its own session only. */
GST_START_TEST (test_two_sessions)
{
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e window-bytes=4096 ! identity", TRUE);
  gst_harness_push (f.h, make_rows (2, 0, 0, 1, 0));
  drain_until (&f, &tail, 1);
  virtual_tail_exchange (&tail, f.h, f.feedback);
  for (guint i = 0; i < 50; i++)
    gst_harness_push (f.h, make_rows (1, 0, i, 1, GST_RD_META_STEP));
  /* session 1 gets no answers, session 2 does */
  tail.next_position = 0;
  gst_harness_push (f.h, make_rows (2, 0, 1, 3, GST_RD_META_STEP));
  drain_until (&f, &tail, 50);
  fail_unless_equals_int ((gint) tail.n_begun, 2);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

GST_START_TEST (test_flush_with_full_window)
{
  Pusher pusher;
  Fixture f;

  fixture_init (&f, "rdencoder name=e window-bytes=4096 ! identity", TRUE);
  GThread *thread = fill_window (&f, &pusher);
  gint64 start = g_get_monotonic_time ();
  gst_harness_push_event (f.h, gst_event_new_flush_start ());
  g_thread_join (thread);
  fail_unless (g_get_monotonic_time () - start < 100000);
  fail_unless_equals_int (pusher.result, GST_FLOW_FLUSHING);
  /* after it the session goes on where it was cut off */
  gst_harness_push_event (f.h, gst_event_new_flush_stop (TRUE));
  fixture_clear (&f);
}

GST_END_TEST;

GST_START_TEST (test_stop_with_full_window)
{
  Pusher pusher;
  Fixture f;

  fixture_init (&f, "rdencoder name=e window-bytes=4096 ! identity", TRUE);
  GThread *thread = fill_window (&f, &pusher);
  gint64 start = g_get_monotonic_time ();
  gst_element_set_state (f.h->element, GST_STATE_READY);
  fail_unless (g_get_monotonic_time () - start < 100000);
  g_thread_join (thread);
  fail_unless_equals_int (pusher.result, GST_FLOW_FLUSHING);
  fixture_clear (&f);
}

GST_END_TEST;

/* What was sent before a flush stays, positions go on. */
GST_START_TEST (test_flush_keeps_positions)
{
  GstSegment segment;
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder name=e ! identity", TRUE);
  gst_harness_push (f.h, make_rows (1, 0, 0, 20, 0));
  drain_until (&f, &tail, 20);
  gst_harness_push_event (f.h, gst_event_new_flush_start ());
  gst_harness_push_event (f.h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (f.h, gst_event_new_segment (&segment));
  gst_harness_push_event (f.h, gst_rd_event_new_session (1, "", NULL));
  gst_harness_push_event (f.h, gst_rd_event_new_cancel (1, 1, 15));
  gst_harness_push (f.h, make_rows (1, 1, 15, 10, 0));
  drain_until (&f, &tail, 25);
  fail_unless_equals_int ((gint) tail.n_begun, 1);
  fail_unless_equals_int ((gint) tail.n_cancelled, 1);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

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

GST_START_TEST (test_unknown_codec)
{
  GstElement *e = gst_element_factory_make ("rdencoder", NULL);
  GstBus *bus = gst_bus_new ();
  g_autoptr (GError) error = NULL;

  g_object_set (e, "codec", "f17", NULL);
  gst_element_set_bus (e, bus);
  fail_unless_equals_int (gst_element_set_state (e, GST_STATE_READY),
      GST_STATE_CHANGE_FAILURE);
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  gst_message_parse_error (message, &error, NULL);
  fail_unless (strstr (error->message, "f17") != NULL);
  gst_message_unref (message);
  gst_element_set_bus (e, NULL);
  gst_object_unref (bus);
  gst_element_set_state (e, GST_STATE_NULL);
  gst_object_unref (e);
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
rdencoder_suite (void)
{
  Suite *s = suite_create ("rdencoder");
  TCase *tc = tcase_create ("general");

  GST_ELEMENT_REGISTER (rdencoder, NULL);
  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 60);
  tcase_add_test (tc, test_caps);
  tcase_add_test (tc, test_one_way);
  tcase_add_test (tc, test_max_payload_size);
  tcase_add_test (tc, test_wishes_in_header);
  tcase_add_test (tc, test_without_meta);
  tcase_add_test (tc, test_window);
  tcase_add_test (tc, test_two_sessions);
  tcase_add_test (tc, test_flush_with_full_window);
  tcase_add_test (tc, test_stop_with_full_window);
  tcase_add_test (tc, test_flush_keeps_positions);
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

GST_CHECK_MAIN (rdencoder);
