#include "tests/elements/rdencoder-tools.h"

void
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

void
fixture_clear (Fixture * f)
{
  gst_element_set_bus (f->h->element, NULL);
  gst_object_unref (f->bus);
  if (f->feedback)
    gst_harness_teardown (f->feedback);
  gst_harness_teardown (f->h);
}

GstBuffer *
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

/* The custom event @name from upstream's view, waited for. */
GstEvent *
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

void
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
