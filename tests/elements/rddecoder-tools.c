#include "tests/elements/rddecoder-tools.h"

void
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

void
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

gchar *
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

void
expect_message (Fixture * f, GstMessageType type, const gchar * part)
{
  g_autofree gchar *text = wait_message (f, type);

  fail_unless (strstr (text, part) != NULL, "\"%s\" does not say \"%s\"", text,
      part);
}

/* Everything the head has to send now goes in, everything that comes back goes to it. */
void
exchange (Fixture * f, VirtualHead * head)
{
  GstBuffer *buffer;

  while ((buffer = virtual_head_pull (head)))
    gst_harness_push (f->h, buffer);
  while (f->feedback && (buffer = gst_harness_try_pull (f->feedback)))
    virtual_head_feed (head, buffer);
}

/* Exchanges until @count buffers of rows have left the decoder. */
void
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

void
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

void
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
void
check_rows (VirtualHead * head, GstBuffer * buffer, guint32 position, guint32 n)
{
  GstRdMeta *meta = gst_buffer_get_rd_meta (buffer);
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  gfloat x[128 * HIDDEN], y[128 * HIDDEN];
  RdRows rows = {.n = n,.position = position };
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
guint
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
