/**
 * SECTION:element-transformerhead
 * @title: transformerhead
 * @short_description: runs the first blocks of a language model
 *
 * Runs the embedding and the blocks before `split-layer` of a model (or any
 * range with `layers`) over token ids, and sends the hidden states on. With
 * hidden states on its sink pad and `layers=a-b` it is a middle partition.
 *
 * Each session has its own key/value cache. A buffer at a position that is
 * stored already truncates the cache to it; a buffer beyond the end is an
 * error. When the context is full, the source is told by the event that also
 * carries tokens, and ends the turn.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 -q tokensrc model=m.gguf prompt="Once upon a time" ! transformerhead model=m.gguf split-layer=10 ! transformertail model=m.gguf ! fdsink
 * ]|
 * The whole model in one process, cut before block 10.
 *
 * Since: 0.1
 */
#include "elements/transformerhead/gsttransformerhead.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdprocess.h"

GST_DEBUG_CATEGORY_STATIC (transformerhead_debug);
#define GST_CAT_DEFAULT transformerhead_debug

#define DEFAULT_SPLIT_LAYER -1

enum
{
  PROP_SPLIT_LAYER = GST_RD_SETTINGS_END,
  PROP_STATS,
};

struct _GstTransformerHead
{
  GstElement parent;
  GstPad *sinkpad, *srcpad;

  /* properties, under the object lock */
  GstRdSettings settings;
  gint split_layer;
  gboolean dirty;               /* settings have changed since the model was opened */

  /* streaming thread */
  GstRdPartition partition;
  GstRdInput input;
  GstRdStateInfo output;
  GstEvent *held_segment;       /* waits for the caps of the first rows */
  guint fixed_rows;             /* static tensors: rows that downstream insists on, 0 = any */
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_RD_TOKEN_IDS_CAPS "; " GST_RD_HIDDEN_STATES_CAPS "; "
        GST_RD_TENSORS_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_RD_HIDDEN_STATES_CAPS "; " GST_RD_TENSORS_CAPS));

#define gst_transformer_head_parent_class parent_class
/* *INDENT-OFF* */
G_DEFINE_TYPE (GstTransformerHead, gst_transformer_head, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE (transformerhead, "transformerhead", GST_RANK_NONE,
    GST_TYPE_TRANSFORMER_HEAD)
/* *INDENT-ON* */

/* ---- negotiation of the source pad ---- */

static GstCaps *
offered_caps (GstTransformerHead * self)
{
  const StModelConfig *config = st_model_config (self->partition.model);
  GstRdStateInfo info = {
    .layout = GST_RD_LAYOUT_HIDDEN_STATES,
    .hidden_size = config->hidden_size,
    .split_layer = self->partition.last,
    .vocab_size = config->vocab_size,
  };
  GValue formats = G_VALUE_INIT, format = G_VALUE_INIT;

  g_strlcpy (info.model_id, st_model_id (self->partition.model),
      sizeof info.model_id);
  st_name_copy (info.model_name, sizeof info.model_name, config->name);
  g_strlcpy (info.adapters, gst_rd_partition_adapters (&self->partition),
      sizeof info.adapters);
  GstCaps *caps = gst_rd_state_info_to_caps (&info);
  g_value_init (&formats, GST_TYPE_LIST);
  g_value_init (&format, G_TYPE_STRING);
  g_value_set_static_string (&format, "F32LE");
  gst_value_list_append_value (&formats, &format);
  g_value_set_static_string (&format, "F16LE");
  gst_value_list_append_and_take_value (&formats, &format);
  gst_caps_set_value (caps, "format", &formats);
  g_value_unset (&formats);
  gst_caps_append (caps, gst_caps_from_string (GST_RD_TENSORS_CAPS));
  return caps;
}

static GstCaps *
fixate (GstTransformerHead * self, GstCaps * caps)
{
  GstStructure *s;

  caps = gst_caps_make_writable (gst_caps_truncate (caps));
  s = gst_caps_get_structure (caps, 0);
  self->fixed_rows = 0;
  if (!gst_structure_has_name (s, GST_RD_TENSORS_MEDIA))
    return gst_caps_fixate (caps);
  if (gst_structure_has_field (s, "framerate"))
    gst_structure_fixate_field_nearest_fraction (s, "framerate", 0, 1);
  else
    gst_structure_set (s, "framerate", GST_TYPE_FRACTION, 0, 1, NULL);
  caps = gst_caps_fixate (caps);
  s = gst_caps_get_structure (caps, 0);
  if (gst_structure_has_field (s, "dimensions")
      || g_strcmp0 (gst_structure_get_string (s, "format"), "flexible") == 0)
    return caps;
  /* The rows are known when there are some: follow_rows() makes the caps. */
  self->output.layout = GST_RD_LAYOUT_TENSORS_STATIC;
  self->output.format = g_strcmp0 (gst_structure_get_string (s, "types"),
      "float16") == 0 ? GST_RD_F16 : GST_RD_F32;
  self->output.rows = 0;
  gst_clear_caps (&caps);
  return NULL;
}

/* The level that the first rows are going to be coded with; later ones come as events. */
static void
ask_level (GstTransformerHead * self)
{
  GstQuery *query = gst_rd_query_new_level ();
  guint level;

  if (gst_pad_peer_query (self->srcpad, query)
      && gst_rd_query_parse_level (query, &level))
    gst_rd_partition_set_level (&self->partition, (gint) MIN (level, G_MAXINT));
  gst_query_unref (query);
}

/* Chooses what downstream likes best of what this element can send. */
static gboolean
negotiate (GstTransformerHead * self)
{
  const StModelConfig *config = st_model_config (self->partition.model);
  g_autoptr (GstCaps) offered = offered_caps (self);
  g_autoptr (GError) error = NULL;
  GstCaps *caps = gst_pad_peer_query_caps (self->srcpad, offered);

  ask_level (self);
  if (gst_caps_is_empty (caps)) {
    g_autofree gchar *text = gst_caps_to_string (offered);

    gst_caps_unref (caps);
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("Downstream takes none of what block %d of %s sends.",
            self->partition.last, config->name), ("offered: %s", text));
    return FALSE;
  }
  caps = fixate (self, caps);
  if (!caps)
    return TRUE;
  if (!gst_rd_state_info_from_caps (&self->output, caps, &error)
      || (self->output.hidden_size
          && self->output.hidden_size != config->hidden_size)) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("Downstream wants rows of %u, %s has rows of %u.",
            self->output.hidden_size, config->name, config->hidden_size),
        ("%s", error ? error->message : "dimensions differ"));
    gst_caps_unref (caps);
    return FALSE;
  }
  if (self->output.layout == GST_RD_LAYOUT_TENSORS_STATIC)
    self->fixed_rows = self->output.rows;
  gboolean good = gst_pad_push_event (self->srcpad, gst_event_new_caps (caps));
  gst_caps_unref (caps);
  return good;
}

/* Static tensors say how many rows a buffer has. If downstream does not insist
 * on a number, the caps follow the buffers. */
static gboolean
follow_rows (GstTransformerHead * self, gsize n)
{
  if (self->output.layout != GST_RD_LAYOUT_TENSORS_STATIC || self->fixed_rows
      || self->output.rows == n)
    return TRUE;
  self->output.hidden_size =
      st_model_config (self->partition.model)->hidden_size;
  self->output.rows = (guint) n;
  g_autoptr (GstCaps) caps = gst_rd_state_info_to_caps (&self->output);
  if (!gst_pad_push_event (self->srcpad, gst_event_new_caps (caps)))
    return FALSE;
  if (self->held_segment)
    gst_pad_push_event (self->srcpad, g_steal_pointer (&self->held_segment));
  return TRUE;
}

/* A segment must not overtake the first caps. */
static gboolean
forward_segment (GstTransformerHead * self, GstEvent * event)
{
  event = gst_rd_time_segment (event);
  if (self->output.layout != GST_RD_LAYOUT_TENSORS_STATIC || self->output.rows)
    return gst_pad_push_event (self->srcpad, event);
  gst_event_replace (&self->held_segment, event);
  gst_event_unref (event);
  return TRUE;
}

/* ---- rows ---- */

static GstFlowReturn
push_rows (GstTransformerHead * self, GstBuffer * input,
    const GstRdSession * session, const GstRdRows * rows, gsize from, gsize n)
{
  guint hidden = st_model_config (self->partition.model)->hidden_size;
  gboolean last = from + n == rows->n;
  GstRdMetaFlags flags = rows->flags;
  GstBuffer *buffer = gst_rd_state_info_write (&self->output,
      rows->x + from * hidden, n, hidden);

  if (!buffer) {
    GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
        ("No memory for %" G_GSIZE_FORMAT " rows.", n), (NULL));
    return GST_FLOW_ERROR;
  }
  if (!last)
    flags &= ~(GST_RD_META_SAMPLE | GST_RD_META_GIVEN);
  gst_buffer_copy_into (buffer, input, GST_BUFFER_COPY_FLAGS
      | GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  GstRdMeta *meta = gst_buffer_add_rd_meta (buffer, session->number,
      rows->epoch, rows->position + (guint32) from, (guint32) n, flags,
      rows->ids ? rows->ids + from : NULL);
  if (meta && last)
    meta->given_id = rows->given_id;
  if (meta && rows->levels)
    meta->levels = g_memdup2 (rows->levels + from, n);
  return gst_pad_push (self->srcpad, buffer);
}

static GstFlowReturn
send_rows (GstTransformerHead * self, GstBuffer * input,
    const GstRdSession * session, const GstRdRows * rows)
{
  gsize piece = self->fixed_rows ? self->fixed_rows : rows->n;
  GstFlowReturn flow = GST_FLOW_OK;

  if (rows->n % piece != 0) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("Downstream takes tensors of %" G_GSIZE_FORMAT " rows, a buffer has "
            "%" G_GSIZE_FORMAT "; use a tensor of 1 row, or flexible ones.",
            piece, rows->n), (NULL));
    return GST_FLOW_NOT_NEGOTIATED;
  }
  if (!follow_rows (self, rows->n))
    return GST_FLOW_NOT_NEGOTIATED;
  for (gsize i = 0; i < rows->n && flow == GST_FLOW_OK; i += piece)
    flow = push_rows (self, input, session, rows, i, piece);
  return flow;
}

static GstFlowReturn
gst_transformer_head_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer)
{
  GstTransformerHead *self = GST_TRANSFORMER_HEAD (parent);
  g_autoptr (GstBuffer) owned = buffer;
  GstRdSession *session = NULL;
  GstFlowReturn flow = GST_FLOW_OK;
  GstRdRows rows;

  if (self->input.configured && gst_pad_check_reconfigure (self->srcpad)
      && !negotiate (self))
    return GST_FLOW_NOT_NEGOTIATED;
  if (gst_rd_process (GST_ELEMENT (self), pad, &self->partition, &self->input,
          owned, &session, &rows, &flow) != GST_RD_RAN)
    return flow;
  flow = send_rows (self, owned, session, &rows);
  gst_rd_rows_clear (&rows);
  return flow;
}

/* ---- events ---- */

static gboolean
set_caps (GstTransformerHead * self, GstPad * pad, GstEvent * event)
{
  GError *error = NULL;
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  if (!gst_rd_input_set_caps (&self->input, caps, &error)
      || !gst_rd_partition_check (&self->partition, &self->input, &error)) {
    gst_rd_refuse_caps (GST_ELEMENT (self), pad, &self->input, error);
    return FALSE;
  }
  gst_pad_check_reconfigure (self->srcpad);
  return negotiate (self);
}

static void
truncate_session (GstTransformerHead * self, GstEvent * event)
{
  guint32 number, epoch, position;
  GstRdSession *session;

  if (!gst_rd_event_parse_cancel (event, &number, &epoch, &position))
    return;
  session = gst_rd_partition_find (&self->partition, number);
  if (session)
    gst_rd_partition_truncate (session, epoch, position);
}

static void
drop_rest (GstTransformerHead * self)
{
  gsize rest = gst_rd_input_flush (&self->input);

  if (rest)
    GST_ELEMENT_WARNING (self, STREAM, FORMAT,
        ("The stream ended inside a row: its last %" G_GSIZE_FORMAT
            " bytes were dropped.", rest), (NULL));
}

static gboolean
gst_transformer_head_sink_event (GstPad * pad, GstObject * parent,
    GstEvent * event)
{
  GstTransformerHead *self = GST_TRANSFORMER_HEAD (parent);
  guint32 number;
  gboolean good;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      good = set_caps (self, pad, event);
      gst_event_unref (event);
      return good;
    case GST_EVENT_SEGMENT:
      return forward_segment (self, event);
    case GST_EVENT_FLUSH_START:
      gst_rd_partition_cancel (&self->partition, TRUE);
      break;
    case GST_EVENT_FLUSH_STOP:
      gst_rd_partition_cancel (&self->partition, FALSE);
      gst_rd_input_flush (&self->input);
      gst_event_replace (&self->held_segment, NULL);
      break;
    case GST_EVENT_EOS:
      drop_rest (self);
      break;
    case GST_EVENT_CUSTOM_DOWNSTREAM:
      truncate_session (self, event);
      if (gst_rd_event_parse_session_end (event, &number))
        gst_rd_partition_end (&self->partition, number);
      break;
    default:
      break;
  }
  return gst_pad_event_default (pad, parent, event);
}

/* rdencoder's level decides on the adapters' gate, here and in the parts before this one. */
static gboolean
gst_transformer_head_src_event (GstPad * pad, GstObject * parent,
    GstEvent * event)
{
  GstTransformerHead *self = GST_TRANSFORMER_HEAD (parent);
  guint level;

  if (gst_rd_event_parse_level (event, &level))
    gst_rd_partition_set_level (&self->partition, (gint) MIN (level, G_MAXINT));
  return gst_pad_event_default (pad, parent, event);
}

/* ---- states ---- */

static gboolean
open_model (GstTransformerHead * self)
{
  g_autoptr (GError) error = NULL;
  GstRdSettings settings;
  gint first = 0, last;
  gboolean good;

  GST_OBJECT_LOCK (self);
  gst_rd_settings_copy (&settings, &self->settings);
  last = self->split_layer;
  self->dirty = FALSE;
  GST_OBJECT_UNLOCK (self);
  good = gst_rd_settings_have_model (&settings, &error);
  if (good && settings.layers)
    good = gst_rd_parse_layers (settings.layers, &first, &last, &error);
  else if (good && last < 0)
    good = gst_rd_default_split (settings.model, &first, &last, &error);
  good = good && gst_rd_partition_open (&self->partition, &settings, first,
      last, first == 0, FALSE, &error);
  gst_rd_settings_clear (&settings);
  if (!good)
    gst_rd_post_error (GST_ELEMENT (self), error);
  return good;
}

static GstStateChangeReturn
gst_transformer_head_change_state (GstElement * element,
    GstStateChange transition)
{
  GstTransformerHead *self = GST_TRANSFORMER_HEAD (element);
  GstStateChangeReturn result;
  gboolean dirty;

  GST_OBJECT_LOCK (self);
  dirty = self->dirty;
  GST_OBJECT_UNLOCK (self);
  if (transition == GST_STATE_CHANGE_NULL_TO_READY
      || (transition == GST_STATE_CHANGE_READY_TO_PAUSED && dirty)) {
    if (!open_model (self))
      return GST_STATE_CHANGE_FAILURE;
  }
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    gst_rd_partition_cancel (&self->partition, FALSE);
  else if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    gst_rd_partition_cancel (&self->partition, TRUE);
  result = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    gst_event_replace (&self->held_segment, NULL);
    gst_rd_partition_end_all (&self->partition);
    gst_rd_partition_set_level (&self->partition, -1);
    gst_rd_input_reset (&self->input);
  } else if (transition == GST_STATE_CHANGE_READY_TO_NULL) {
    gst_rd_partition_close (&self->partition);
  }
  return result;
}

/* ---- object ---- */

static void
gst_transformer_head_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec)
{
  GstTransformerHead *self = GST_TRANSFORMER_HEAD (object);

  if (!gst_rd_property_settable (GST_ELEMENT (self), pspec))
    return;
  GST_OBJECT_LOCK (self);
  self->dirty = TRUE;
  if (id == PROP_SPLIT_LAYER)
    self->split_layer = g_value_get_int (value);
  else if (!gst_rd_settings_set (&self->settings, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_transformer_head_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTransformerHead *self = GST_TRANSFORMER_HEAD (object);

  if (id == PROP_STATS) {
    GstStructure *stats = gst_structure_new_empty ("transformerhead-stats");

    gst_rd_partition_stats (&self->partition, stats);
    g_value_take_boxed (value, stats);
    return;
  }
  GST_OBJECT_LOCK (self);
  if (id == PROP_SPLIT_LAYER)
    g_value_set_int (value, self->split_layer);
  else if (!gst_rd_settings_get (&self->settings, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_transformer_head_finalize (GObject * object)
{
  GstTransformerHead *self = GST_TRANSFORMER_HEAD (object);

  gst_rd_partition_clear (&self->partition);
  gst_rd_input_clear (&self->input);
  gst_rd_settings_clear (&self->settings);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_transformer_head_class_init (GstTransformerHeadClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (transformerhead_debug, "transformerhead", 0,
      "First blocks of a language model");
  object_class->set_property = gst_transformer_head_set_property;
  object_class->get_property = gst_transformer_head_get_property;
  object_class->finalize = gst_transformer_head_finalize;
  element_class->change_state = gst_transformer_head_change_state;

  gst_rd_settings_install (object_class);
  g_object_class_install_property (object_class, PROP_SPLIT_LAYER,
      g_param_spec_int ("split-layer", "Split layer",
          "Block before which the model is cut: embedding and the blocks "
          "below it run here (-1 = the blocks of a partition file, half of a "
          "whole model)", -1, G_MAXINT, DEFAULT_SPLIT_LAYER,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
          | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Tokens run and their speed", GST_TYPE_STRUCTURE,
          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class,
      "Transformer head", "Filter/Converter/Text",
      "Runs the first blocks of a language model on token ids or hidden "
      "states", "gst-split-transformer");
}

static void
gst_transformer_head_init (GstTransformerHead * self)
{
  gst_rd_settings_init (&self->settings);
  self->split_layer = DEFAULT_SPLIT_LAYER;
  gst_rd_partition_init (&self->partition, NULL);
  gst_rd_input_init (&self->input);
  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_transformer_head_chain);
  gst_pad_set_event_function (self->sinkpad, gst_transformer_head_sink_event);
  gst_element_add_pad (GST_ELEMENT (self), self->sinkpad);
  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_event_function (self->srcpad, gst_transformer_head_src_event);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
}
