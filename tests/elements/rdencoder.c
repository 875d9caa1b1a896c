/* rdencoder: frames, sessions, the window, the way back, and what goes wrong. */
#include "elements/common/gstrdcaps.h"
#include "tests/elements/rdencoder-tools.h"

/* A new element has the values that its properties call their defaults. */
GST_START_TEST (test_defaults)
{
  GstElement *e = gst_element_factory_make ("rdencoder", NULL);
  guint n;
  g_autofree GParamSpec **specs =
      g_object_class_list_properties (G_OBJECT_GET_CLASS (e), &n);

  for (guint i = 0; i < n; i++) {
    GValue value = G_VALUE_INIT;

    if (specs[i]->owner_type != G_OBJECT_TYPE (e)
        || !(specs[i]->flags & G_PARAM_WRITABLE))
      continue;
    g_value_init (&value, specs[i]->value_type);
    g_object_get_property (G_OBJECT (e), specs[i]->name, &value);
    fail_unless (g_param_value_defaults (specs[i], &value), "%s",
        specs[i]->name);
    g_value_unset (&value);
  }
  gst_object_unref (e);
}

GST_END_TEST;

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

/* Rows as NNStreamer's tensors, the size of a row in the caps or only in the buffer. */
GST_START_TEST (test_tensors)
{
  static const gchar *caps[] = {
    "other/tensors, format=static, num_tensors=1, types=float32, "
        "dimensions=(string)8:3, framerate=0/1",
    "other/tensors, format=flexible, framerate=0/1"
  };

  for (guint i = 0; i < G_N_ELEMENTS (caps); i++) {
    GstRdStateInfo info = { 0, };
    gfloat x[3 * HIDDEN] = { 0, };
    VirtualTail tail;
    Fixture f;

    virtual_tail_init (&tail);
    fixture_init (&f, "rdencoder codec=f32", FALSE);
    gst_harness_set_src_caps_str (f.h, caps[i]);
    g_autoptr (GstCaps) parsed = gst_caps_from_string (caps[i]);
    fail_unless (gst_rd_state_info_from_caps (&info, parsed, NULL));
    for (guint k = 0; k < 4; k++)
      fail_unless_equals_int (gst_harness_push (f.h,
              gst_rd_state_info_write (&info, x, 3, HIDDEN)), GST_FLOW_OK);
    drain_until (&f, &tail, 12);
    fail_unless_equals_int ((gint) tail.header.hidden_size, HIDDEN);
    /* a buffer that is no tensor of that size */
    fail_unless_equals_int (gst_harness_push (f.h, gst_buffer_new_memdup (x,
                33)), GST_FLOW_ERROR);
    expect_message (&f, GST_MESSAGE_ERROR, "33 bytes");
    fixture_clear (&f);
    virtual_tail_clear (&tail);
  }
}

GST_END_TEST;

/* rd-session-end ends one session, the others go on. */
GST_START_TEST (test_session_end)
{
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder", FALSE);
  gst_harness_push (f.h, make_rows (1, 0, 0, 2, 0));
  gst_harness_push (f.h, make_rows (2, 0, 0, 5, 0));
  gst_harness_push_event (f.h, gst_rd_event_new_session_end (1));
  for (guint i = 0; tail.n_ended < 1 && i < 2000; i++) {
    virtual_tail_exchange (&tail, f.h, NULL);
    g_usleep (1000);
  }
  fail_unless_equals_int ((gint) tail.n_ended, 1);
  fail_unless_equals_int ((gint) tail.n_begun, 2);
  tail.next_position = 0;
  gst_harness_push (f.h, make_rows (2, 0, 5, 2, 0));
  drain_until (&f, &tail, 7);
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

static Suite *
rdencoder_suite (void)
{
  Suite *s = suite_create ("rdencoder");
  TCase *tc = tcase_create ("general");

  GST_ELEMENT_REGISTER (rdencoder, NULL);
  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 60);
  tcase_add_test (tc, test_defaults);
  tcase_add_test (tc, test_caps);
  tcase_add_test (tc, test_one_way);
  tcase_add_test (tc, test_max_payload_size);
  tcase_add_test (tc, test_wishes_in_header);
  tcase_add_test (tc, test_tensors);
  tcase_add_test (tc, test_session_end);
  tcase_add_test (tc, test_without_meta);
  tcase_add_test (tc, test_window);
  tcase_add_test (tc, test_two_sessions);
  tcase_add_test (tc, test_flush_with_full_window);
  tcase_add_test (tc, test_stop_with_full_window);
  tcase_add_test (tc, test_flush_keeps_positions);
  return s;
}

GST_CHECK_MAIN (rdencoder);
