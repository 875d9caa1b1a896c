/* rddecoder: coded frames to hidden states, and the tail's end of the way back. */
/**
 * SECTION:element-rddecoder
 * @title: rddecoder
 * @short_description: decodes hidden states and owns the tail's end of a session
 *
 * Decodes the frames of rdencoder, one session or many, into hidden states. It
 * takes datagrams straight from udpsrc, and byte streams behind rdparse. With
 * the request pad `feedback` linked it acknowledges what has arrived, asks for
 * what is missing, and sends back the tokens that transformertail samples;
 * buffers on it carry a #GstNetAddressMeta, so that dynudpsink answers each
 * head. Without it the tokens run up the pipeline as events, which is all that
 * a pipeline in one process needs.
 *
 * A stream that was made with rdencoder's token-side-info also takes `model`:
 * the first blocks of the model run here on the tokens that the tail sampled
 * or that came with the frames.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 udpsrc port=5000 ! rddecoder name=d ! transformertail model=model.gguf ! fdsink sync=false async=false  d.feedback ! udpsink host=127.0.0.1 port=5001 sync=false async=false
 * ]| The tail of a split model over UDP.
 * |[
 * gst-launch-1.0 filesrc location=states.rds ! rdparse ! rddecoder ! fakesink dump=true
 * ]| Decode a recording.
 *
 * Since: 0.1
 */
#include "elements/rddecoder/gstrddecoder-private.h"
#include "elements/common/gstrdpair.h"
#include "elements/common/gstrdsettings.h"

GST_DEBUG_CATEGORY (gst_rd_decoder_debug);
#define GST_CAT_DEFAULT gst_rd_decoder_debug

#define DEFAULT_NUM_SESSIONS -1
#define DEFAULT_MAX_PEERS 16
#define DEFAULT_SESSION_TIMEOUT 60000
#define DEFAULT_LOSS_POLICY GST_RD_LOSS_POLICY_STALL
#define DEFAULT_LINGER 2000
#define DEFAULT_MAX_ERRORS 10
#define DEFAULT_MAX_FRAME_BYTES RD_WIRE_DEFAULT_MAX_FRAME

enum
{
  PROP_0,
  PROP_CODEC,
  PROP_MODEL,
  PROP_NUM_SESSIONS,
  PROP_MAX_PEERS,
  PROP_SESSION_TIMEOUT,
  PROP_LOSS_POLICY,
  PROP_LINGER,
  PROP_MAX_ERRORS,
  PROP_MAX_FRAME_BYTES,
  PROP_STATS,
};

#define gst_rd_decoder_parent_class parent_class
G_DEFINE_FINAL_TYPE (GstRdDecoder, gst_rd_decoder, GST_TYPE_ELEMENT)
/* MARGINAL: decodebin finds it, and parsebin knows that parsed states are ready for a decoder. */
    GST_ELEMENT_REGISTER_DEFINE (rddecoder, "rddecoder", GST_RANK_MARGINAL,
    GST_TYPE_RD_DECODER)
     static GstStaticPadTemplate sink_template =
         GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_RD_STATES_MEDIA));
     static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_RD_HIDDEN_STATES_MEDIA ", format = (string) F32LE; "
        GST_RD_TENSORS_MEDIA ", format = (string) flexible"));
     static GstStaticPadTemplate feedback_template =
         GST_STATIC_PAD_TEMPLATE ("feedback",
    GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS (GST_RD_FEEDBACK_CAPS));

GType
gst_rd_loss_policy_get_type (void)
{
  static const GEnumValue values[] = {
    {GST_RD_LOSS_POLICY_STALL, "Ask again and wait, for a bounded time",
        "stall"},
    {GST_RD_LOSS_POLICY_RESET, "End the session", "reset"},
    {0, NULL, NULL},
  };
  static GType type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstRdLossPolicy",
            values));
  return type;
}

/* ---- pads ---- */

static gboolean
gst_rd_decoder_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstRdDecoder *self = GST_RD_DECODER (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  gst_rd_decoder_set_flushing (self, !active);
  if (active)
    return gst_pad_start_task (pad, gst_rd_decoder_loop, pad, NULL);
  return gst_pad_stop_task (pad);
}

static GstPad *
gst_rd_decoder_request_new_pad (GstElement * element, GstPadTemplate * templ,
    const gchar * name, const GstCaps * caps)
{
  GstRdDecoder *self = GST_RD_DECODER (element);
  GstPad *pad;

  (void) caps;
  if (!gst_rd_feedback_is_free (element, &self->feedback))
    return NULL;
  pad = gst_rd_decoder_feedback_new (templ, name);
  gst_rd_feedback_add (element, &self->feedback, pad);
  return pad;
}

static void
gst_rd_decoder_release_pad (GstElement * element, GstPad * pad)
{
  gst_rd_feedback_release (element, &GST_RD_DECODER (element)->feedback, pad);
}

/* ---- states ---- */

static void
reset (GstRdDecoder * self)
{
  g_mutex_lock (&self->lock);
  gst_rd_decoder_clear (self);
  GST_OBJECT_LOCK (self);
  self->use_max_frame = self->max_frame_bytes;
  GST_OBJECT_UNLOCK (self);
  g_mutex_unlock (&self->lock);
  g_clear_pointer (&self->predictor, gst_rd_predictor_free);
  g_atomic_int_set (&self->cancel, FALSE);
  self->stream_started = self->have_caps = FALSE;
}

static GstStateChangeReturn
gst_rd_decoder_change_state (GstElement * element, GstStateChange transition)
{
  GstRdDecoder *self = GST_RD_DECODER (element);

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    reset (self);
  /* Whoever waits for room holds the stream lock that the base class is about to take. */
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    /* A flush does not do this: the rows are acknowledged and would be lost. */
    g_atomic_int_set (&self->cancel, TRUE);
    gst_rd_decoder_set_flushing (self, TRUE);
  }
  return GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
}

/* ---- object ---- */

static void
gst_rd_decoder_set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstRdDecoder *self = GST_RD_DECODER (object);

  if (!gst_rd_property_settable (GST_ELEMENT (self), pspec))
    return;
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_CODEC:
      g_free (self->codec_name);
      self->codec_name = g_value_dup_string (value);
      break;
    case PROP_MODEL:
      g_free (self->model);
      self->model = g_value_dup_string (value);
      break;
    case PROP_NUM_SESSIONS:
      self->num_sessions = g_value_get_int (value);
      break;
    case PROP_MAX_PEERS:
      self->max_peers = g_value_get_uint (value);
      break;
    case PROP_SESSION_TIMEOUT:
      self->session_timeout = g_value_get_uint (value);
      break;
    case PROP_LOSS_POLICY:
      self->loss_policy = g_value_get_enum (value);
      break;
    case PROP_LINGER:
      self->linger = g_value_get_uint (value);
      break;
    case PROP_MAX_ERRORS:
      self->max_errors = g_value_get_int (value);
      break;
    case PROP_MAX_FRAME_BYTES:
      self->max_frame_bytes = g_value_get_uint (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
  /* num-sessions may be reached already */
  g_mutex_lock (&self->lock);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

static void
gst_rd_decoder_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstRdDecoder *self = GST_RD_DECODER (object);

  if (id == PROP_STATS) {
    g_mutex_lock (&self->lock);
    g_value_take_boxed (value, gst_rd_decoder_stats (self, NULL));
    g_mutex_unlock (&self->lock);
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_CODEC:
      g_value_set_string (value, self->codec_name);
      break;
    case PROP_MODEL:
      g_value_set_string (value, self->model);
      break;
    case PROP_NUM_SESSIONS:
      g_value_set_int (value, self->num_sessions);
      break;
    case PROP_MAX_PEERS:
      g_value_set_uint (value, self->max_peers);
      break;
    case PROP_SESSION_TIMEOUT:
      g_value_set_uint (value, self->session_timeout);
      break;
    case PROP_LOSS_POLICY:
      g_value_set_enum (value, self->loss_policy);
      break;
    case PROP_LINGER:
      g_value_set_uint (value, self->linger);
      break;
    case PROP_MAX_ERRORS:
      g_value_set_int (value, self->max_errors);
      break;
    case PROP_MAX_FRAME_BYTES:
      g_value_set_uint (value, self->max_frame_bytes);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_rd_decoder_finalize (GObject * object)
{
  GstRdDecoder *self = GST_RD_DECODER (object);

  rd_receiver_free (self->receiver);
  gst_clear_buffer (&self->pending);
  g_ptr_array_unref (self->sessions);
  gst_rd_predictor_free (self->predictor);
  g_free (self->codec_name);
  g_free (self->model);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

#define READY_FLAGS (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)
#define PLAYING_FLAGS (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)

static void
install_properties (GObjectClass * klass)
{
  g_object_class_install_property (klass, PROP_CODEC,
      g_param_spec_string ("codec", "Codec file",
          "Codec file for streams that are not coded with f32, f16, int8 or "
          "int4", NULL, READY_FLAGS));
  g_object_class_install_property (klass, PROP_MODEL,
      g_param_spec_string ("model", "Model",
          "Path of the model's GGUF file, or a part of it with its first blocks "
          "(rdpartition --with-predictor), for streams that use token side "
          "information", NULL, READY_FLAGS));
  g_object_class_install_property (klass, PROP_NUM_SESSIONS,
      g_param_spec_int ("num-sessions", "Number of sessions",
          "Sessions after which the stream ends; -1 = serve for ever", -1,
          G_MAXINT, DEFAULT_NUM_SESSIONS, PLAYING_FLAGS));
  g_object_class_install_property (klass, PROP_MAX_PEERS,
      g_param_spec_uint ("max-peers", "Maximum peers",
          "Most sessions at a time; more are refused", 1, 65535,
          DEFAULT_MAX_PEERS, READY_FLAGS));
  g_object_class_install_property (klass, PROP_SESSION_TIMEOUT,
      g_param_spec_uint ("session-timeout", "Session timeout",
          "Silence of a head after which its session ends, in milliseconds "
          "(only with feedback linked); give rdencoder the same. 0 = never", 0,
          G_MAXINT, DEFAULT_SESSION_TIMEOUT, READY_FLAGS));
  g_object_class_install_property (klass, PROP_LOSS_POLICY,
      g_param_spec_enum ("loss-policy", "Loss policy",
          "What to do about positions that do not arrive",
          GST_TYPE_RD_LOSS_POLICY, DEFAULT_LOSS_POLICY, READY_FLAGS));
  g_object_class_install_property (klass, PROP_LINGER,
      g_param_spec_uint ("linger", "Linger",
          "How long the end of a session is acknowledged again, in "
          "milliseconds", 0, G_MAXINT, DEFAULT_LINGER, READY_FLAGS));
  g_object_class_install_property (klass, PROP_MAX_ERRORS,
      g_param_spec_int ("max-errors", "Maximum errors",
          "Sessions that may fail for a payload that cannot be decoded before "
          "the element fails; -1 = any number", -1, G_MAXINT,
          DEFAULT_MAX_ERRORS, PLAYING_FLAGS));
  g_object_class_install_property (klass, PROP_MAX_FRAME_BYTES,
      g_param_spec_uint ("max-frame-bytes", "Maximum frame size",
          "Longest frame that is believed, in bytes", RD_WIRE_MIN_FRAME,
          G_MAXINT, DEFAULT_MAX_FRAME_BYTES, READY_FLAGS));
  g_object_class_install_property (klass, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Counts since the start, over all sessions: tokens, bytes, "
          "bits-per-token (of everything received), payload-bits-per-token, "
          "raw-bits-per-token (16 bits a value), duplicates, holes, ...",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void
gst_rd_decoder_class_init (GstRdDecoderClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_rd_decoder_debug, "rddecoder", 0,
      "decoder of hidden states");
  object_class->set_property = gst_rd_decoder_set_property;
  object_class->get_property = gst_rd_decoder_get_property;
  object_class->finalize = gst_rd_decoder_finalize;
  install_properties (object_class);
  element_class->change_state = gst_rd_decoder_change_state;
  element_class->request_new_pad = gst_rd_decoder_request_new_pad;
  element_class->release_pad = gst_rd_decoder_release_pad;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_add_static_pad_template (element_class, &feedback_template);
  gst_element_class_set_static_metadata (element_class,
      "Hidden states decoder", "Codec/Decoder/Tensor",
      "Decodes hidden states and owns the tail's end of a session",
      "gst-split-transformer");
  gst_type_mark_as_plugin_api (GST_TYPE_RD_LOSS_POLICY, 0);
}

static void
gst_rd_decoder_init (GstRdDecoder * self)
{
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->sessions = gst_rd_decoder_sessions_new ();
  self->shutdown = self->feedback_idle = TRUE;
  self->num_sessions = DEFAULT_NUM_SESSIONS;
  self->max_peers = DEFAULT_MAX_PEERS;
  self->session_timeout = DEFAULT_SESSION_TIMEOUT;
  self->loss_policy = DEFAULT_LOSS_POLICY;
  self->linger = DEFAULT_LINGER;
  self->max_errors = DEFAULT_MAX_ERRORS;
  self->max_frame_bytes = self->use_max_frame = DEFAULT_MAX_FRAME_BYTES;

  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_rd_decoder_chain);
  gst_pad_set_event_function (self->sinkpad, gst_rd_decoder_sink_event);
  gst_pad_set_query_function (self->sinkpad, gst_rd_decoder_sink_query);
  gst_pad_set_iterate_internal_links_function (self->sinkpad,
      gst_rd_links_straight);
  gst_element_add_pad (GST_ELEMENT (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_event_function (self->srcpad, gst_rd_decoder_src_event);
  gst_pad_set_activatemode_function (self->srcpad,
      gst_rd_decoder_src_activate_mode);
  gst_pad_set_iterate_internal_links_function (self->srcpad,
      gst_rd_links_straight);
  gst_pad_use_fixed_caps (self->srcpad);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
}
