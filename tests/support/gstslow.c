#include "tests/support/gstslow.h"

struct _GstSlow
{
  GstElement parent;
  GstPad *sinkpad, *srcpad;

  GMutex lock;
  GCond wake;
  gboolean flushing;            /* under lock, as the following */
  gdouble factor;
  guint64 ns_per_row;
  gsize row_bytes;              /* 0: a buffer counts as one row */
};

enum
{
  PROP_0,
  PROP_FACTOR,
  PROP_NS_PER_ROW,
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

G_DEFINE_FINAL_TYPE (GstSlow, gst_slow, GST_TYPE_ELEMENT)
    GST_ELEMENT_REGISTER_DEFINE (testslow, "testslow", GST_RANK_NONE, GST_TYPE_SLOW)
/* Sleeps for so many microseconds, or until a flush or the end of streaming. */
     static void take_time (GstSlow * self, gint64 duration)
{
  gint64 end = g_get_monotonic_time () + duration;

  g_mutex_lock (&self->lock);
  while (!self->flushing && g_cond_wait_until (&self->wake, &self->lock, end));
  g_mutex_unlock (&self->lock);
}

static void
set_flushing (GstSlow * self, gboolean flushing)
{
  g_mutex_lock (&self->lock);
  self->flushing = flushing;
  g_cond_broadcast (&self->wake);
  g_mutex_unlock (&self->lock);
}

static GstFlowReturn
gst_slow_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstSlow *self = GST_SLOW (parent);
  gsize size = gst_buffer_get_size (buffer);

  (void) pad;
  g_mutex_lock (&self->lock);
  gsize rows = self->row_bytes ? size / self->row_bytes : 1;
  gint64 duration = (gint64) (rows * self->ns_per_row / 1000);
  gdouble factor = self->factor;
  g_mutex_unlock (&self->lock);
  take_time (self, duration);

  gint64 begin = g_get_monotonic_time ();
  GstFlowReturn result = gst_pad_push (self->srcpad, buffer);
  gint64 spent = g_get_monotonic_time () - begin;
  take_time (self, (gint64) ((factor - 1) * (gdouble) spent));
  return result;
}

static void
use_caps (GstSlow * self, GstCaps * caps)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  const gchar *format = gst_structure_get_string (s, "format");
  gint hidden_size = 0;

  gst_structure_get_int (s, "hidden-size", &hidden_size);
  g_mutex_lock (&self->lock);
  self->row_bytes = (gsize) MAX (hidden_size, 0)
      * (g_strcmp0 (format, "F16LE") == 0 ? 2 : 4);
  g_mutex_unlock (&self->lock);
}

static gboolean
gst_slow_sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstSlow *self = GST_SLOW (parent);
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:
      set_flushing (self, TRUE);
      break;
    case GST_EVENT_FLUSH_STOP:
      set_flushing (self, FALSE);
      break;
    case GST_EVENT_CAPS:
      gst_event_parse_caps (event, &caps);
      use_caps (self, caps);
      break;
    default:
      break;
  }
  return gst_pad_event_default (pad, parent, event);
}

static GstStateChangeReturn
gst_slow_change_state (GstElement * element, GstStateChange transition)
{
  GstSlow *self = GST_SLOW (element);

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    set_flushing (self, FALSE);
  else if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    set_flushing (self, TRUE);
  return GST_ELEMENT_CLASS (gst_slow_parent_class)->change_state (element,
      transition);
}

static void
gst_slow_set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstSlow *self = GST_SLOW (object);

  g_mutex_lock (&self->lock);
  switch (id) {
    case PROP_FACTOR:
      self->factor = g_value_get_double (value);
      break;
    case PROP_NS_PER_ROW:
      self->ns_per_row = g_value_get_uint64 (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  g_mutex_unlock (&self->lock);
}

static void
gst_slow_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstSlow *self = GST_SLOW (object);

  g_mutex_lock (&self->lock);
  switch (id) {
    case PROP_FACTOR:
      g_value_set_double (value, self->factor);
      break;
    case PROP_NS_PER_ROW:
      g_value_set_uint64 (value, self->ns_per_row);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  g_mutex_unlock (&self->lock);
}

static void
gst_slow_finalize (GObject * object)
{
  GstSlow *self = GST_SLOW (object);

  g_mutex_clear (&self->lock);
  g_cond_clear (&self->wake);
  G_OBJECT_CLASS (gst_slow_parent_class)->finalize (object);
}

static void
gst_slow_class_init (GstSlowClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_PLAYING;

  object_class->set_property = gst_slow_set_property;
  object_class->get_property = gst_slow_get_property;
  object_class->finalize = gst_slow_finalize;
  element_class->change_state = gst_slow_change_state;
  g_object_class_install_property (object_class, PROP_FACTOR,
      g_param_spec_double ("factor", "Factor",
          "How many times slower what follows becomes", 1, 1000, 1, flags));
  g_object_class_install_property (object_class, PROP_NS_PER_ROW,
      g_param_spec_uint64 ("ns-per-row", "Nanoseconds per row",
          "Time taken for each row of hidden states", 0, GST_SECOND, 0, flags));
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Slow machine",
      "Generic", "Passes buffers on and takes its time (for tests)",
      "gst-split-transformer");
}

static void
gst_slow_init (GstSlow * self)
{
  g_mutex_init (&self->lock);
  g_cond_init (&self->wake);
  self->flushing = TRUE;
  self->factor = 1;
  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_chain_function (self->sinkpad, gst_slow_chain);
  gst_pad_set_event_function (self->sinkpad, gst_slow_sink_event);
  GST_PAD_SET_PROXY_CAPS (self->sinkpad);
  GST_PAD_SET_PROXY_CAPS (self->srcpad);
  gst_element_add_pad (GST_ELEMENT (self), self->sinkpad);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
}
