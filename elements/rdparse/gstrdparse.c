/* rdparse: bytes to frames. */
/**
 * SECTION:element-rdparse
 * @title: rdparse
 * @short_description: finds the frames in a stream of coded states
 *
 * Turns any byte stream or any datagrams that carry frames of the codec pair
 * into buffers of one frame each, and sets caps from the HEADER frames in the
 * stream: `application/x-rd-states` on the way to rddecoder,
 * `application/x-rd-feedback` on the way back to rdencoder. A frame is pushed
 * as soon as its last byte is in.
 *
 * Buffers that carry a #GstNetAddressMeta, as those of udpsrc do, or whose caps
 * say `stream-format=packet`, are datagrams: no frame continues from one to the
 * next, and an incomplete rest is dropped and counted. The address stays on the
 * frames.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 udpsrc port=5000 ! rdparse ! rddecoder ! transformertail model=model.gguf ! fdsink
 * ]| Decode coded states that arrive over UDP.
 * |[
 * gst-launch-1.0 filesrc location=states.rds ! rdparse ! rddecoder ! fakesink dump=true
 * ]| Decode a recording.
 *
 * Since: 0.1
 */
#include "elements/rdparse/gstrdparse.h"
#include "codec/wire/frame.h"
#include "elements/common/gstrdcaps.h"
#include "elements/common/gstrdframes.h"
#include <gst/net/gstnetaddressmeta.h>
#include <string.h>

GST_DEBUG_CATEGORY_STATIC (rd_parse_debug);
#define GST_CAT_DEFAULT rd_parse_debug

#define DEFAULT_MAX_FRAME_BYTES RD_WIRE_DEFAULT_MAX_FRAME
/* GstBaseParse gives up on a stream that skips 2 MiB at once. */
#define MAX_SKIP (1u << 20)

enum
{
  PROP_0,
  PROP_MAX_FRAME_BYTES,
  PROP_STATS,
};

struct _GstRdParse
{
  GstBaseParse parent;

  GstPadChainFunction base_chain;
  guint max_frame_bytes;        /* object lock */

  /* streaming thread */
  gboolean packet_caps;
  gboolean datagram;            /* what is parsed now is one datagram */
  gboolean dropped_some;        /* of this datagram */
  gboolean rest;                /* bytes of an incomplete frame wait for more */
  gboolean version_told;
  GSocketAddress *address;      /* sender of the datagram */

  /* object lock */
  guint64 frames, bytes, dropped_bytes, dropped_datagrams, damaged;
};

G_DEFINE_FINAL_TYPE (GstRdParse, gst_rd_parse, GST_TYPE_BASE_PARSE)
    GST_ELEMENT_REGISTER_DEFINE (rdparse, "rdparse", GST_RANK_PRIMARY,
    GST_TYPE_RD_PARSE)
     static GstStaticPadTemplate sink_template =
         GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_RD_STATES_MEDIA "; " GST_RD_FEEDBACK_MEDIA));

     static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_RD_STATES_MEDIA ", stream-format = (string) packet, "
        "alignment = (string) frame, version = (int) 1; "
        GST_RD_FEEDBACK_CAPS));

/* Frames only the tail sends; KEEPALIVE and ERROR may be either's. */
     static gboolean is_way_back (const RdFrame * frame)
{
  if (frame->type == RD_FRAME_TOKENS)
    return TRUE;
  if (frame->type != RD_FRAME_CONTROL)
    return FALSE;
  switch (frame->control) {
    case RD_CONTROL_ACK:
    case RD_CONTROL_REPLAY:
    case RD_CONTROL_KEY:
    case RD_CONTROL_WORKING:
    case RD_CONTROL_END_ACK:
      return TRUE;
    default:
      return FALSE;
  }
}

static GstCaps *
states_caps (const RdHeader * header)
{
  GstCaps *caps = gst_caps_new_simple (GST_RD_STATES_MEDIA,
      "stream-format", G_TYPE_STRING, "packet",
      "alignment", G_TYPE_STRING, "frame",
      "version", G_TYPE_INT, RD_WIRE_VERSION, NULL);

  if (header)
    gst_rd_states_caps_set_header (caps, header);
  return caps;
}

/* What the pads behind take. */
static void
get_allowed (GstRdParse * self, gboolean * states, gboolean * back)
{
  GstPad *pad = GST_BASE_PARSE_SRC_PAD (self);
  g_autoptr (GstCaps) allowed = gst_pad_get_allowed_caps (pad);

  *states = *back = FALSE;
  for (guint i = 0; allowed && i < gst_caps_get_size (allowed); i++) {
    GstStructure *s = gst_caps_get_structure (allowed, i);

    *states = *states || gst_structure_has_name (s, GST_RD_STATES_MEDIA);
    *back = *back || gst_structure_has_name (s, GST_RD_FEEDBACK_MEDIA);
  }
}

/* It decides where a frame alone does not. A stray frame of the other kind is left to the element behind, which ignores it: refused caps
 * would end the pipeline for a datagram that anybody can send. */
static gboolean
wants_way_back (GstRdParse * self, const RdFrame * frame)
{
  gboolean states, back;

  get_allowed (self, &states, &back);
  return states == back ? is_way_back (frame) : back;
}

/* Caps before the first frame, and anew when a HEADER says something else. */
static gboolean
update_caps (GstRdParse * self, const RdFrame * frame)
{
  GstPad *pad = GST_BASE_PARSE_SRC_PAD (self);
  gboolean known = gst_pad_has_current_caps (pad);
  g_autoptr (GstCaps) caps = NULL;

  if (frame->type == RD_FRAME_HEADER && !wants_way_back (self, frame)) {
    RdHeader header = { 0, };
    g_autoptr (GError) error = NULL;

    if (rd_frame_parse_header (frame, &header, &error))
      caps = states_caps (&header);
    else
      GST_WARNING_OBJECT (self, "HEADER not understood: %s", error->message);
    rd_header_clear (&header);
  }
  if (!caps && known)
    return TRUE;
  if (!caps && wants_way_back (self, frame))
    caps = gst_caps_from_string (GST_RD_FEEDBACK_CAPS);
  else if (!caps)
    caps = states_caps (NULL);
  if (known) {
    g_autoptr (GstCaps) current = gst_pad_get_current_caps (pad);

    if (current && gst_caps_is_equal (current, caps))
      return TRUE;
  }
  return gst_pad_set_caps (pad, caps);
}

static void
note_damage (GstRdParse * self, const GError * error)
{
  GST_LOG_OBJECT (self, "no frame here: %s", error->message);
  GST_OBJECT_LOCK (self);
  self->damaged++;
  GST_OBJECT_UNLOCK (self);
  if (g_error_matches (error, RD_WIRE_ERROR, RD_WIRE_ERROR_VERSION)
      && !self->version_told) {
    self->version_told = TRUE;
    GST_ELEMENT_WARNING (self, STREAM, FORMAT, ("A frame that cannot be read "
            "arrived: %s. Use the same release on both sides.",
            error->message), (NULL));
  }
}

/* Offset of the first frame in @data and TRUE; FALSE if there is none, or not yet (@whole: nothing more will come; else frame->size is the
 * length that was announced, 0 if unknown). */
static gboolean
find_frame (GstRdParse * self, const guint8 * data, gsize size,
    gboolean whole, gsize * start, RdFrame * frame)
{
  gsize at = 0;
  guint max;

  GST_OBJECT_LOCK (self);
  max = self->max_frame_bytes;
  GST_OBJECT_UNLOCK (self);
  for (;;) {
    g_autoptr (GError) error = NULL;

    memset (frame, 0, sizeof *frame);
    at += rd_frame_scan (data + at, size - at);
    *start = at;
    if (at >= size)
      return FALSE;
    if (rd_frame_parse (data + at, size - at, max, frame, &error))
      return TRUE;
    if (!whole
        && g_error_matches (error, RD_WIRE_ERROR, RD_WIRE_ERROR_TRUNCATED))
      return FALSE;
    note_damage (self, error);
    at++;
  }
}

static void
count_dropped (GstRdParse * self, gsize bytes)
{
  GST_OBJECT_LOCK (self);
  self->dropped_bytes += bytes;
  if (self->datagram && !self->dropped_some)
    self->dropped_datagrams++;
  self->dropped_some = TRUE;
  GST_OBJECT_UNLOCK (self);
}

static GstFlowReturn
finish (GstRdParse * self, GstBaseParseFrame * bframe, const RdFrame * frame)
{
  GstBuffer *out = gst_buffer_copy_region (bframe->buffer,
      GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS |
      GST_BUFFER_COPY_MEMORY, 0, frame->size);

  if (frame->type == RD_FRAME_HEADER)
    GST_BUFFER_FLAG_SET (out, GST_BUFFER_FLAG_HEADER);
  else
    GST_BUFFER_FLAG_SET (out, GST_BUFFER_FLAG_DELTA_UNIT);
  if (self->address)
    gst_buffer_add_net_address_meta (out, self->address);
  bframe->out_buffer = out;
  GST_OBJECT_LOCK (self);
  self->frames++;
  self->bytes += frame->size;
  GST_OBJECT_UNLOCK (self);
  return gst_base_parse_finish_frame (GST_BASE_PARSE (self), bframe,
      (gint) frame->size);
}

static GstFlowReturn
gst_rd_parse_handle_frame (GstBaseParse * parse, GstBaseParseFrame * bframe,
    gint * skipsize)
{
  GstRdParse *self = GST_RD_PARSE (parse);
  gboolean whole = self->datagram || GST_BASE_PARSE_DRAINING (parse);
  gboolean negotiated = TRUE;
  RdFrame frame;
  GstMapInfo map;
  gsize start;

  if (!gst_buffer_map (bframe->buffer, &map, GST_MAP_READ)) {
    GST_ELEMENT_ERROR (self, RESOURCE, READ,
        ("A buffer of coded states cannot be read."), (NULL));
    return GST_FLOW_ERROR;
  }
  gboolean found = find_frame (self, map.data, map.size, whole, &start, &frame);
  gsize size = map.size;
  if (found && start == 0)
    negotiated = update_caps (self, &frame);
  gst_buffer_unmap (bframe->buffer, &map);

  gst_base_parse_set_min_frame_size (parse, 1);
  self->rest = !found && start < size;
  if (start > 0) {
    *skipsize = (gint) MIN (start, MAX_SKIP);
    count_dropped (self, (gsize) * skipsize);
    return GST_FLOW_OK;
  }
  if (!found) {
    /* A datagram of no bytes, or a frame whose rest is still to come. */
    if (frame.size > size && frame.size <= G_MAXUINT)
      gst_base_parse_set_min_frame_size (parse, (guint) frame.size);
    return GST_FLOW_OK;
  }
  if (!negotiated)
    return GST_PAD_IS_FLUSHING (GST_BASE_PARSE_SRC_PAD (parse)) ?
        GST_FLOW_FLUSHING : GST_FLOW_NOT_NEGOTIATED;
  return finish (self, bframe, &frame);
}

static GstFlowReturn
gst_rd_parse_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstRdParse *self = GST_RD_PARSE (parent);
  GstNetAddressMeta *meta = gst_buffer_get_net_address_meta (buffer);

  self->datagram = meta != NULL || self->packet_caps;
  self->dropped_some = FALSE;
  g_clear_object (&self->address);
  self->address = meta ? g_object_ref (meta->addr) : NULL;
  if (self->datagram && gst_buffer_get_size (buffer) == 0) {
    gst_buffer_unref (buffer);
    return GST_FLOW_OK;
  }
  if (self->datagram && self->rest) {
    /* The base class throws away what waits when it sees a discontinuity. */
    buffer = gst_buffer_make_writable (buffer);
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
    gst_base_parse_set_min_frame_size (GST_BASE_PARSE (self), 1);
    self->rest = FALSE;
  }
  return self->base_chain (pad, parent, buffer);
}

static gboolean
gst_rd_parse_set_sink_caps (GstBaseParse * parse, GstCaps * caps)
{
  GstRdParse *self = GST_RD_PARSE (parse);
  const gchar *format =
      gst_structure_get_string (gst_caps_get_structure (caps, 0),
      "stream-format");

  self->packet_caps = g_strcmp0 (format, "packet") == 0;
  return TRUE;
}

static GstCaps *
gst_rd_parse_get_sink_caps (GstBaseParse * parse, GstCaps * filter)
{
  GstCaps *caps = gst_pad_get_pad_template_caps (GST_BASE_PARSE_SINK_PAD
      (parse));

  if (filter) {
    GstCaps *both =
        gst_caps_intersect_full (filter, caps, GST_CAPS_INTERSECT_FIRST);

    gst_caps_unref (caps);
    caps = both;
  }
  return caps;
}

static gboolean
gst_rd_parse_start (GstBaseParse * parse)
{
  GstRdParse *self = GST_RD_PARSE (parse);

  self->packet_caps = self->datagram = self->rest = FALSE;
  self->version_told = FALSE;
  GST_OBJECT_LOCK (self);
  self->frames = self->bytes = self->dropped_bytes = 0;
  self->dropped_datagrams = self->damaged = 0;
  GST_OBJECT_UNLOCK (self);
  gst_base_parse_set_min_frame_size (parse, 1);
  return TRUE;
}

static gboolean
gst_rd_parse_stop (GstBaseParse * parse)
{
  g_clear_object (&GST_RD_PARSE (parse)->address);
  return TRUE;
}

static void
gst_rd_parse_set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstRdParse *self = GST_RD_PARSE (object);

  if (id == PROP_MAX_FRAME_BYTES) {
    GST_OBJECT_LOCK (self);
    self->max_frame_bytes = g_value_get_uint (value);
    GST_OBJECT_UNLOCK (self);
  } else {
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
gst_rd_parse_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstRdParse *self = GST_RD_PARSE (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_MAX_FRAME_BYTES:
      g_value_set_uint (value, self->max_frame_bytes);
      break;
    case PROP_STATS:
      g_value_take_boxed (value, gst_structure_new ("rdparse-stats",
              "frames", G_TYPE_UINT64, self->frames,
              "bytes", G_TYPE_UINT64, self->bytes,
              "dropped-bytes", G_TYPE_UINT64, self->dropped_bytes,
              "dropped-datagrams", G_TYPE_UINT64, self->dropped_datagrams,
              "damaged", G_TYPE_UINT64, self->damaged, NULL));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_rd_parse_class_init (GstRdParseClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseParseClass *parse_class = GST_BASE_PARSE_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (rd_parse_debug, "rdparse", 0,
      "frames of coded states");
  object_class->set_property = gst_rd_parse_set_property;
  object_class->get_property = gst_rd_parse_get_property;
  g_object_class_install_property (object_class, PROP_MAX_FRAME_BYTES,
      g_param_spec_uint ("max-frame-bytes", "Maximum frame size",
          "Longest frame that is believed, in bytes; a longer announced length "
          "is taken for garbage", RD_WIRE_MIN_FRAME, G_MAXINT,
          DEFAULT_MAX_FRAME_BYTES, G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
          GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Counts since the start: frames, bytes, dropped-bytes, "
          "dropped-datagrams (those with bytes that are no frame), damaged "
          "(sync words with no frame behind)", GST_TYPE_STRUCTURE,
          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  parse_class->start = gst_rd_parse_start;
  parse_class->stop = gst_rd_parse_stop;
  parse_class->handle_frame = gst_rd_parse_handle_frame;
  parse_class->set_sink_caps = gst_rd_parse_set_sink_caps;
  parse_class->get_sink_caps = gst_rd_parse_get_sink_caps;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Coded states parser",
      "Codec/Parser", "Finds the frames in a stream of coded states",
      "gst-split-transformer");
}

static void
gst_rd_parse_init (GstRdParse * self)
{
  GstBaseParse *parse = GST_BASE_PARSE (self);
  GstPad *sink = GST_BASE_PARSE_SINK_PAD (self);

  self->max_frame_bytes = DEFAULT_MAX_FRAME_BYTES;
  self->base_chain = GST_PAD_CHAINFUNC (sink);
  gst_pad_set_chain_function (sink, gst_rd_parse_chain);
  gst_base_parse_set_syncable (parse, FALSE);
  gst_base_parse_set_has_timing_info (parse, FALSE);
  gst_base_parse_set_infer_ts (parse, FALSE);
  gst_base_parse_set_pts_interpolation (parse, FALSE);
  GST_PAD_SET_ACCEPT_INTERSECT (sink);
  GST_PAD_SET_ACCEPT_TEMPLATE (sink);
}
