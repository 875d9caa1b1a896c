/* What rdencoder and rddecoder have in common. */
#include "elements/common/gstrdpair.h"

GstClockTime
gst_rd_running_time (GstElement * element)
{
  g_autoptr (GstClock) clock = gst_element_get_clock (element);

  if (!clock)
    return GST_CLOCK_TIME_NONE;
  GstClockTime now = gst_clock_get_time (clock);
  GstClockTime base = gst_element_get_base_time (element);
  return now > base ? now - base : 0;
}

GstIterator *
gst_rd_links_straight (GstPad * pad, GstObject * parent)
{
  g_autoptr (GstPad) other = gst_element_get_static_pad (GST_ELEMENT (parent),
      GST_PAD_IS_SINK (pad) ? "src" : "sink");
  GValue value = G_VALUE_INIT;

  g_value_init (&value, GST_TYPE_PAD);
  g_value_set_object (&value, other);
  GstIterator *iterator = gst_iterator_new_single (GST_TYPE_PAD, &value);
  g_value_unset (&value);
  return iterator;
}

GstIterator *
gst_rd_links_none (GstPad * pad, GstObject * parent)
{
  (void) pad;
  (void) parent;
  return NULL;
}

gdouble
gst_rd_bits_per_token (guint64 bytes, guint64 tokens)
{
  return tokens ? 8.0 * (gdouble) bytes / (gdouble) tokens : 0;
}

void
gst_rd_cond_wait (GCond * cond, GMutex * lock, gint64 deadline)
{
  if (deadline == G_MAXINT64)
    g_cond_wait (cond, lock);
  else
    g_cond_wait_until (cond, lock, deadline);
}

gboolean
gst_rd_feedback_is_free (GstElement * element, GstPad ** feedback)
{
  GST_OBJECT_LOCK (element);
  gboolean taken = *feedback != NULL;
  GST_OBJECT_UNLOCK (element);
  if (taken)
    GST_WARNING_OBJECT (element, "there is one feedback pad only");
  return !taken;
}

void
gst_rd_feedback_add (GstElement * element, GstPad ** feedback, GstPad * pad)
{
  GST_OBJECT_LOCK (element);
  *feedback = pad;
  GST_OBJECT_UNLOCK (element);
  gst_element_add_pad (element, pad);
}

void
gst_rd_feedback_release (GstElement * element, GstPad ** feedback, GstPad * pad)
{
  GST_OBJECT_LOCK (element);
  if (*feedback == pad)
    *feedback = NULL;
  GST_OBJECT_UNLOCK (element);
  gst_pad_set_active (pad, FALSE);
  gst_element_remove_pad (element, pad);
}
