#include "tests/elements/tail-tools.h"
#include <string.h>

static gboolean
upstream_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  StTail *tail = g_object_get_data (G_OBJECT (pad), "tail");

  (void) parent;
  if (GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_UPSTREAM && tail->takes)
    g_queue_push_tail (&tail->events, event);
  else
    gst_event_unref (event);
  return tail->takes;
}

void
st_tail_start (StTail * tail, const gchar * model, const gchar * more)
{
  g_autofree gchar *setup = g_strdup_printf ("model=(string)%s,"
      "temperature=(float)0%s%s", model, *more ? "," : "", more);

  memset (tail, 0, sizeof *tail);
  g_queue_init (&tail->events);
  tail->takes = TRUE;
  tail->h = st_harness ("transformertail", setup, &tail->element);
  tail->bus = gst_bus_new ();
  gst_element_set_bus (tail->element, tail->bus);
  g_object_set_data (G_OBJECT (tail->h->srcpad), "tail", tail);
  gst_pad_set_event_function (tail->h->srcpad, upstream_event);
  gst_harness_set_src_caps (tail->h, st_tiny_ids_caps ());
}

void
st_tail_stop (StTail * tail)
{
  gst_bus_set_flushing (tail->bus, TRUE);
  gst_harness_teardown (tail->h);
  gst_object_unref (tail->bus);
  g_queue_clear_full (&tail->events, (GDestroyNotify) gst_event_unref);
}

GstFlowReturn
st_tail_send (StTail * tail, const gint32 * ids, guint n, GstRdMetaFlags flags)
{
  guint32 position = tail->position;

  tail->position += n;
  return gst_harness_push (tail->h, st_ids_buffer (ids, n, TRUE, 1, 0,
          position, flags));
}

GstFlowReturn
st_tail_send_text (StTail * tail, const gchar * text, GstRdMetaFlags flags)
{
  g_autoptr (GArray) ids = st_encode (text);

  return st_tail_send (tail, (gint32 *) ids->data, ids->len, flags);
}

/* The next token that the tail sent up; -1 if it sent none, or a finish alone. */
gint32
st_tail_pop_token (StTail * tail, RdFinish * finish)
{
  GstEvent *event = g_queue_pop_head (&tail->events);
  guint32 session, epoch, position;
  const gint32 *ids;
  gint32 id = -1;
  guint n;

  *finish = RD_FINISH_NONE;
  if (!event)
    return -1;
  fail_unless (gst_rd_event_parse_tokens (event, &session, &epoch, &position,
          &ids, &n, finish));
  assert_equals_int (position, tail->position);
  if (n)
    id = ids[0];
  gst_event_unref (event);
  return id;
}

/* Plays the source until the answer is finished. */
RdFinish
st_tail_finish_answer (StTail * tail, guint * n)
{
  RdFinish finish = RD_FINISH_NONE;

  *n = 0;
  while (finish == RD_FINISH_NONE) {
    gint32 id = st_tail_pop_token (tail, &finish);

    if (id >= 0)
      (*n)++;
    fail_unless (id >= 0 || finish != RD_FINISH_NONE, "no token");
    fail_unless (*n < 1000);
    if (finish == RD_FINISH_NONE)
      assert_equals_int (st_tail_send (tail, &id, 1,
              GST_RD_META_STEP | GST_RD_META_SAMPLE), GST_FLOW_OK);
  }
  return finish;
}

/* All text so far: ends the stream. */
gchar *
st_tail_all_text (StTail * tail)
{
  GString *text = g_string_new (NULL);
  GstBuffer *buffer;
  gboolean eos = FALSE;

  gst_harness_push_event (tail->h, gst_event_new_eos ());
  while (!eos) {
    GstEvent *event = gst_harness_pull_event (tail->h);

    fail_unless (event != NULL);
    eos = GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
  while ((buffer = gst_harness_try_pull (tail->h))) {
    GstMapInfo map;

    gst_buffer_map (buffer, &map, GST_MAP_READ);
    fail_unless (g_utf8_validate ((gchar *) map.data, (gssize) map.size, NULL));
    g_string_append_len (text, (gchar *) map.data, (gssize) map.size);
    gst_buffer_unmap (buffer, &map);
    gst_buffer_unref (buffer);
  }
  return g_string_free (text, FALSE);
}

gchar *
st_tail_expected (const gchar * path, const gchar * prompt, guint n)
{
  g_autoptr (GArray) ids = st_encode (prompt);

  return st_expected_text (path, (gint32 *) ids->data, ids->len, n);
}

GstStructure *
st_tail_pop_message (StTail * tail, const gchar * name)
{
  GstMessage *message;

  while ((message = gst_bus_pop_filtered (tail->bus, GST_MESSAGE_ELEMENT))) {
    GstStructure *s = gst_structure_copy (gst_message_get_structure (message));

    gst_message_unref (message);
    if (gst_structure_has_name (s, name))
      return s;
    gst_structure_free (s);
  }
  return NULL;
}
