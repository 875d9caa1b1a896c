/* A source pad with its own task and a bounded queue. */
#include "elements/common/gstrdoutput.h"

#define MAX_ITEMS 256
#define MAX_BYTES (16u << 20)

static void
clear_items (GstRdOutput * o)
{
  GstMiniObject *item;

  while ((item = g_queue_pop_head (&o->items)))
    gst_mini_object_unref (item);
  o->bytes = 0;
}

static gsize
item_bytes (GstMiniObject * item)
{
  return GST_IS_BUFFER (item) ? gst_buffer_get_size (GST_BUFFER (item)) : 0;
}

static void
append (GstRdOutput * o, GstMiniObject * item)
{
  o->bytes += item_bytes (item);
  g_queue_push_tail (&o->items, item);
  g_cond_broadcast (&o->changed);
}

/* The next item, or NULL when flushing. */
static GstMiniObject *
wait_item (GstRdOutput * o)
{
  GstMiniObject *item = NULL;

  g_mutex_lock (&o->lock);
  while (!o->flushing && g_queue_is_empty (&o->items))
    g_cond_wait (&o->changed, &o->lock);
  if (!o->flushing) {
    item = g_queue_pop_head (&o->items);
    o->bytes -= item_bytes (item);
    g_cond_broadcast (&o->changed);
  }
  g_mutex_unlock (&o->lock);
  return item;
}

static void
output_loop (gpointer data)
{
  GstRdOutput *o = data;
  GstMiniObject *item = wait_item (o);
  gboolean eos;

  if (!item) {
    gst_pad_pause_task (o->pad);
    return;
  }
  if (GST_IS_BUFFER (item)) {
    GstFlowReturn flow = gst_pad_push (o->pad, GST_BUFFER (item));

    g_mutex_lock (&o->lock);
    o->flow = flow;
    g_cond_broadcast (&o->changed);
    g_mutex_unlock (&o->lock);
    return;
  }
  eos = GST_EVENT_TYPE (item) == GST_EVENT_EOS;
  gst_pad_push_event (o->pad, GST_EVENT (item));
  if (eos)
    gst_pad_pause_task (o->pad);
}

static void
set_flushing (GstRdOutput * o, gboolean flushing)
{
  g_mutex_lock (&o->lock);
  o->flushing = flushing;
  if (!flushing)
    o->flow = GST_FLOW_OK;
  clear_items (o);
  g_cond_broadcast (&o->changed);
  g_mutex_unlock (&o->lock);
}

static gboolean
activate_mode (GstPad * pad, GstObject * parent, GstPadMode mode,
    gboolean active)
{
  GstRdOutput *o = gst_pad_get_element_private (pad);

  (void) parent;
  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  set_flushing (o, !active);
  if (active)
    return gst_pad_start_task (pad, output_loop, o, NULL);
  gboolean stopped = gst_pad_stop_task (pad);
  g_mutex_lock (&o->lock);
  o->started = FALSE;
  g_mutex_unlock (&o->lock);
  return stopped;
}

GstRdOutput *
gst_rd_output_new (GstPad * pad, GstCaps * caps)
{
  GstRdOutput *o = g_new0 (GstRdOutput, 1);

  g_atomic_ref_count_init (&o->refs);
  o->pad = gst_object_ref (pad);
  o->caps = caps;
  o->flushing = TRUE;
  gst_segment_init (&o->segment, GST_FORMAT_TIME);
  g_mutex_init (&o->lock);
  g_cond_init (&o->changed);
  g_queue_init (&o->items);
  gst_pad_set_element_private (pad, o);
  gst_pad_set_activatemode_function (pad, activate_mode);
  gst_pad_use_fixed_caps (pad);
  return o;
}

void
gst_rd_output_unref (GstRdOutput * o)
{
  if (!g_atomic_ref_count_dec (&o->refs))
    return;
  clear_items (o);
  gst_clear_caps (&o->caps);
  gst_object_unref (o->pad);
  g_mutex_clear (&o->lock);
  g_cond_clear (&o->changed);
  g_free (o);
}

GstRdOutput *
gst_rd_output_get (GstElement * owner, GstRdOutput ** slot)
{
  GstRdOutput *o;

  GST_OBJECT_LOCK (owner);
  o = *slot;
  if (o)
    g_atomic_ref_count_inc (&o->refs);
  GST_OBJECT_UNLOCK (owner);
  return o;
}

void
gst_rd_output_put (GstElement * owner, GstRdOutput ** slot,
    GstRdOutput * output)
{
  GstRdOutput *old;

  GST_OBJECT_LOCK (owner);
  old = *slot;
  *slot = output;
  GST_OBJECT_UNLOCK (owner);
  g_clear_pointer (&old, gst_rd_output_unref);
}

void
gst_rd_output_interrupt (GstRdOutput * o)
{
  set_flushing (o, TRUE);
}

/* With the lock. */
static void
start_unlocked (GstRdOutput * o)
{
  if (o->started || o->flushing || !o->caps)
    return;
  g_autofree gchar *id = gst_pad_create_stream_id (o->pad,
      GST_ELEMENT (GST_OBJECT_PARENT (o->pad)), GST_PAD_NAME (o->pad));
  o->started = TRUE;
  append (o, GST_MINI_OBJECT (gst_event_new_stream_start (id)));
  append (o, GST_MINI_OBJECT (gst_event_new_caps (o->caps)));
  append (o, GST_MINI_OBJECT (gst_event_new_segment (&o->segment)));
  append (o, GST_MINI_OBJECT (gst_event_new_gap (o->segment.start, 0)));
}

void
gst_rd_output_set_caps (GstRdOutput * o, GstCaps * caps)
{
  g_mutex_lock (&o->lock);
  gst_caps_take (&o->caps, caps);
  if (o->started && !o->flushing)
    append (o, GST_MINI_OBJECT (gst_event_new_caps (caps)));
  g_mutex_unlock (&o->lock);
}

void
gst_rd_output_start (GstRdOutput * o, const GstSegment * segment)
{
  g_mutex_lock (&o->lock);
  if (segment)
    o->segment = *segment;
  if (o->started && segment && !o->flushing)
    append (o, GST_MINI_OBJECT (gst_event_new_segment (&o->segment)));
  start_unlocked (o);
  g_mutex_unlock (&o->lock);
}

GstFlowReturn
gst_rd_output_push (GstRdOutput * o, GstMiniObject * item)
{
  GstFlowReturn flow;

  g_mutex_lock (&o->lock);
  start_unlocked (o);
  if (o->flow == GST_FLOW_NOT_LINKED && gst_pad_is_linked (o->pad))
    o->flow = GST_FLOW_OK;
  while (!o->flushing && o->flow == GST_FLOW_OK
      && (g_queue_get_length (&o->items) >= MAX_ITEMS || o->bytes >= MAX_BYTES))
    g_cond_wait (&o->changed, &o->lock);
  flow = o->flushing ? GST_FLOW_FLUSHING : o->flow;
  if (flow == GST_FLOW_OK)
    append (o, item);
  g_mutex_unlock (&o->lock);
  if (flow != GST_FLOW_OK)
    gst_mini_object_unref (item);
  return flow;
}

void
gst_rd_output_eos (GstRdOutput * o)
{
  g_mutex_lock (&o->lock);
  start_unlocked (o);
  if (!o->flushing)
    append (o, GST_MINI_OBJECT (gst_event_new_eos ()));
  g_mutex_unlock (&o->lock);
}

void
gst_rd_output_flush (GstRdOutput * o, GstEvent * event)
{
  gboolean start = GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START;

  if (!GST_PAD_IS_ACTIVE (o->pad)) {
    gst_event_unref (event);
    return;
  }
  if (start) {
    set_flushing (o, TRUE);
    gst_pad_push_event (o->pad, event);
    gst_pad_pause_task (o->pad);
  } else {
    gst_pad_push_event (o->pad, event);
    set_flushing (o, FALSE);
    /* The segment goes with a flush. */
    g_mutex_lock (&o->lock);
    if (o->started)
      append (o, GST_MINI_OBJECT (gst_event_new_segment (&o->segment)));
    g_mutex_unlock (&o->lock);
    gst_pad_start_task (o->pad, output_loop, o, NULL);
  }
}
