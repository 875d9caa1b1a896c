/* rdencoder: hidden states to coded frames, and the head's end of the way back. */
/**
 * SECTION:element-rdencoder
 * @title: rdencoder
 * @short_description: encodes hidden states and owns the head's end of a session
 *
 * Encodes hidden states into frames that any transport can carry. With the
 * request pad `feedback` linked to what comes back from
 * rddecoder's `feedback` pad, at most `window-bytes` are under way, what
 * is lost is sent again, and the sampled tokens go upstream as events. Without
 * it the frames are just pushed.
 *
 * Nothing of the text is sent but what the hidden states tell (which is
 * much: whoever holds the model can recover it). With a codec file that
 * predicts states from tokens, `token-side-info=all` makes frames a good
 * deal smaller and sends the token ids of the prompt with them, so that
 * the tail sees the text as it is; `generated` uses only the tokens that
 * the tail has sampled itself. Both need `model` here and at rddecoder.
 *
 * ## How many bits a token gets
 *
 * Codec files have a `quality` from 0 to 100. `rate-control` says who chooses
 * it: `constant-quality` the application, by `quality`, or by
 * `target-bits-per-token` if a session shall have that mean (within 3 % over
 * 256 tokens, headers included); `constant-bitrate` the link: as good as
 * `bitrate` (bits per second, all sessions together) allows. `lossless` gives
 * hidden states that come back bit-exact; a stream that begins so takes `f32`
 * instead of the other built-in codecs. Without `lossless`, a `bitrate` other
 * than 0 is always a ceiling: no `vbv-buf-capacity` milliseconds of running
 * time have more, but for one frame. The lowest quality that follows from all
 * of this is used. At quality 0 frames go out even if they are too many, and
 * an element message `rdencoder-bitrate-exceeded` (session, bitrate,
 * vbv-buf-capacity) is posted once each time that begins. No token waits for
 * the sake of a rate.
 *
 * These properties, `pack`, `frame-tokens` and `max-payload-size` may change
 * while the element plays and count from the next buffer on. Presets `low`,
 * `medium`, `high` and `lossless` come with the element (see #GstPreset).
 *
 * ## Statistics
 *
 * The property `stats` is a structure `rdencoder-stats`: `tokens`, `bytes`,
 * `bits-per-token` and `payload-bits-per-token` since the start,
 * `recent-bits-per-token` and `recent-payload-bits-per-token` of the last
 * second or two, `quality` of the last frame, `trial-encodes` (frames encoded
 * again to meet a rate or to fit a datagram), `ns-per-token` (encoding,
 * trials included), `clipped-values` and more. The same structure is posted
 * as element message at the end of each session (with the field `session`,
 * for that session), and every `stats-interval` milliseconds while tokens
 * come (without it, for all of them).
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 tokensrc model=model.gguf prompt="Once upon a time" ! transformerhead model=model.gguf split-layer=10 ! rdencoder name=e ! udpsink host=127.0.0.1 port=5000 sync=false async=false  udpsrc port=5001 ! e.feedback
 * ]| The head of a split model over UDP.
 * |[
 * gst-launch-1.0 tokensrc model=model.gguf location=text.txt ! transformerhead model=model.gguf split-layer=10 ! rdencoder codec=int8 ! filesink location=states.rds
 * ]| Record coded states.
 * |[
 * gst-launch-1.0 -m tokensrc model=model.gguf prompt="Once upon a time" ! transformerhead model=model.gguf split-layer=10 ! rdencoder codec=model-split10.gguf rate-control=constant-bitrate bitrate=20000 stats-interval=500 name=e ! udpsink host=127.0.0.1 port=5000 sync=false async=false  udpsrc port=5001 ! e.feedback
 * ]| At most 20 kbit/s, with figures twice a second.
 *
 * Since: 0.1
 */
#include "elements/rdencoder/gstrdencoder-private.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdframes.h"
#include "elements/common/gstrdpair.h"
#include "elements/common/gstrdsettings.h"
#include <string.h>

GST_DEBUG_CATEGORY (gst_rd_encoder_debug);
#define GST_CAT_DEFAULT gst_rd_encoder_debug

#define DEFAULT_CODEC "f16"
#define DEFAULT_PACK TRUE
#define DEFAULT_MAX_PAYLOAD_SIZE 1400
#define DEFAULT_FRAME_TOKENS 64
#define DEFAULT_WINDOW_BYTES 65536
#define DEFAULT_PEER_TIMEOUT 10000
#define DEFAULT_REPLAY_BYTES 0
#define DEFAULT_REPLY_PORT 0
#define DEFAULT_LINGER 2000
#define DEFAULT_SESSION_TIMEOUT 60000

enum
{
  PROP_0,
  PROP_CODEC,
  PROP_PACK,
  PROP_MAX_PAYLOAD_SIZE,
  PROP_FRAME_TOKENS,
  PROP_KEY_INT_MAX,
  PROP_WINDOW_BYTES,
  PROP_PEER_TIMEOUT,
  PROP_REPLAY_BYTES,
  PROP_REPLY_PORT,
  PROP_LINGER,
  PROP_SESSION_TIMEOUT,
  PROP_STATS,
};

#define gst_rd_encoder_parent_class parent_class
G_DEFINE_FINAL_TYPE_WITH_CODE (GstRdEncoder, gst_rd_encoder, GST_TYPE_ELEMENT,
    G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
    GST_ELEMENT_REGISTER_DEFINE (rdencoder, "rdencoder", GST_RANK_NONE,
    GST_TYPE_RD_ENCODER)
     static GstStaticPadTemplate sink_template =
         GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_RD_HIDDEN_STATES_CAPS "; " GST_RD_TENSORS_CAPS));
     static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_RD_STATES_MEDIA ", stream-format = (string) packet, "
        "alignment = (string) frame, version = (int) 1"));
     static GstStaticPadTemplate feedback_template =
         GST_STATIC_PAD_TEMPLATE ("feedback",
    GST_PAD_SINK, GST_PAD_REQUEST,
    GST_STATIC_CAPS (GST_RD_FEEDBACK_CAPS));

/* ---- events on the source pad ---- */

/* In one process the tail's events come straight up the pipeline, with the number that rddecoder gave the session. */
     static gboolean pass_upstream (GstRdEncoder * self, GstEvent * event)
{
  guint8 id[RD_SESSION_ID_BYTES];
  guint32 number = GST_RD_ALL_SESSIONS, unused, epoch, position;
  const gint32 *ids;
  RdFinish finish;
  guint n_ids;

  if (gst_rd_event_get_wire_session (event, id)) {
    g_mutex_lock (&self->lock);
    GstRdEncoderSession *session = gst_rd_encoder_find_id (self, id);
    if (session)
      number = session->number;
    if (session && gst_rd_event_parse_tokens (event, &unused, &epoch,
            &position, &ids, &n_ids, &finish))
      gst_rd_past_tokens (&session->told, epoch, position, ids, n_ids);
    g_mutex_unlock (&self->lock);
    if (!session) {
      gst_event_unref (event);
      return TRUE;
    }
    event = gst_rd_event_set_session (event, number);
  }
  return gst_pad_push_event (self->sinkpad, event);
}

static gboolean
gst_rd_encoder_src_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstRdEncoder *self = GST_RD_ENCODER (parent);

  (void) pad;
  if (gst_event_has_name (event, "GstForceKeyUnit")) {
    g_mutex_lock (&self->lock);
    gst_rd_encoder_force_key (self);
    g_cond_broadcast (&self->cond);
    g_mutex_unlock (&self->lock);
    gst_event_unref (event);
    return TRUE;
  }
  /* A state that was dropped for being late would be a hole in the cache. */
  if (GST_EVENT_TYPE (event) == GST_EVENT_QOS) {
    gst_event_unref (event);
    return TRUE;
  }
  return pass_upstream (self, event);
}

/* ---- pads ---- */

static gboolean
gst_rd_encoder_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstRdEncoder *self = GST_RD_ENCODER (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  gst_rd_encoder_set_flushing (self, !active);
  if (active)
    return gst_pad_start_task (pad, gst_rd_encoder_loop, pad, NULL);
  return gst_pad_stop_task (pad);
}

static GstPad *
gst_rd_encoder_request_new_pad (GstElement * element, GstPadTemplate * templ,
    const gchar * name, const GstCaps * caps)
{
  GstRdEncoder *self = GST_RD_ENCODER (element);
  GstPad *pad;

  (void) caps;
  if (!gst_rd_feedback_is_free (element, &self->feedback))
    return NULL;
  pad = gst_rd_encoder_feedback_new (templ, name);
  gst_pad_set_active (pad, TRUE);
  gst_rd_feedback_add (element, &self->feedback, pad);
  return pad;
}

static void
gst_rd_encoder_release_pad (GstElement * element, GstPad * pad)
{
  gst_rd_feedback_release (element, &GST_RD_ENCODER (element)->feedback, pad);
}

/* ---- states ---- */

static void
reset (GstRdEncoder * self)
{
  g_mutex_lock (&self->lock);
  gst_rd_encoder_clear (self);
  g_queue_clear_full (&self->events, (GDestroyNotify) gst_event_unref);
  g_queue_clear_full (&self->held, (GDestroyNotify) gst_event_unref);
  self->eos = self->feedback_closed = FALSE;
  self->result = GST_FLOW_OK;
  g_mutex_unlock (&self->lock);
  g_clear_pointer (&self->unsent, g_bytes_unref);
  gst_rd_input_flush (&self->input);
  self->input.configured = self->have_segment = FALSE;
  gst_rd_encoder_side_close (self);
  g_clear_pointer (&self->codec, rd_codec_free);
  self->told_level = -1;
  g_clear_pointer (&self->rate, rd_rate_free);
  self->rate_warnings = 0;
  self->stats_posted = 0;
}

static gboolean
check_codec (GstRdEncoder * self)
{
  g_autofree gchar *name = NULL;
  g_autoptr (GError) error = NULL;

  GST_OBJECT_LOCK (self);
  name = g_strdup (self->codec_name);
  GST_OBJECT_UNLOCK (self);
  /* the stream's hidden size is not known yet; a codec file says its own */
  g_autoptr (RdCodec) codec = rd_codec_new (name,
      rd_codec_is_builtin (name) ? 1 : 0, &error);
  if (codec)
    return TRUE;
  GST_ELEMENT_ERROR (self, LIBRARY, SETTINGS, ("%s", error->message), (NULL));
  return FALSE;
}

static GstStateChangeReturn
gst_rd_encoder_change_state (GstElement * element, GstStateChange transition)
{
  GstRdEncoder *self = GST_RD_ENCODER (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !check_codec (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    reset (self);
  /* Whoever waits for room holds the stream lock that the base class is about to take. */
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    gst_rd_encoder_set_flushing (self, TRUE);
  result = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  return result;
}

/* ---- object ---- */

static void
gst_rd_encoder_set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstRdEncoder *self = GST_RD_ENCODER (object);

  if (!gst_rd_property_settable (GST_ELEMENT (self), pspec))
    return;
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_CODEC:
      g_free (self->codec_name);
      self->codec_name = g_value_dup_string (value);
      if (!self->codec_name)
        self->codec_name = g_strdup (DEFAULT_CODEC);
      break;
    case PROP_PACK:
      self->pack = g_value_get_boolean (value);
      break;
    case PROP_MAX_PAYLOAD_SIZE:
      self->max_payload_size = g_value_get_uint (value);
      break;
    case PROP_FRAME_TOKENS:
      self->frame_tokens = g_value_get_uint (value);
      break;
    case PROP_KEY_INT_MAX:
      self->key_int_max = g_value_get_uint (value);
      break;
    case PROP_WINDOW_BYTES:
      self->window_bytes = g_value_get_uint (value);
      break;
    case PROP_PEER_TIMEOUT:
      self->peer_timeout = g_value_get_uint (value);
      break;
    case PROP_REPLAY_BYTES:
      self->replay_bytes = g_value_get_uint64 (value);
      break;
    case PROP_REPLY_PORT:
      self->reply_port = g_value_get_uint (value);
      break;
    case PROP_LINGER:
      self->linger = g_value_get_uint (value);
      break;
    case PROP_SESSION_TIMEOUT:
      self->session_timeout = g_value_get_uint (value);
      break;
    default:
      if (!gst_rd_encoder_coding_set (self, id, value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_rd_encoder_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstRdEncoder *self = GST_RD_ENCODER (object);

  if (id == PROP_STATS) {
    g_value_take_boxed (value, gst_rd_encoder_stats (self));
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_CODEC:
      g_value_set_string (value, self->codec_name);
      break;
    case PROP_PACK:
      g_value_set_boolean (value, self->pack);
      break;
    case PROP_MAX_PAYLOAD_SIZE:
      g_value_set_uint (value, self->max_payload_size);
      break;
    case PROP_FRAME_TOKENS:
      g_value_set_uint (value, self->frame_tokens);
      break;
    case PROP_KEY_INT_MAX:
      g_value_set_uint (value, self->key_int_max);
      break;
    case PROP_WINDOW_BYTES:
      g_value_set_uint (value, self->window_bytes);
      break;
    case PROP_PEER_TIMEOUT:
      g_value_set_uint (value, self->peer_timeout);
      break;
    case PROP_REPLAY_BYTES:
      g_value_set_uint64 (value, self->replay_bytes);
      break;
    case PROP_REPLY_PORT:
      g_value_set_uint (value, self->reply_port);
      break;
    case PROP_LINGER:
      g_value_set_uint (value, self->linger);
      break;
    case PROP_SESSION_TIMEOUT:
      g_value_set_uint (value, self->session_timeout);
      break;
    default:
      if (!gst_rd_encoder_coding_get (self, id, value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_rd_encoder_finalize (GObject * object)
{
  GstRdEncoder *self = GST_RD_ENCODER (object);

  g_queue_clear_full (&self->events, (GDestroyNotify) gst_event_unref);
  g_queue_clear_full (&self->held, (GDestroyNotify) gst_event_unref);
  g_ptr_array_unref (self->sessions);
  g_clear_pointer (&self->unsent, g_bytes_unref);
  g_byte_array_unref (self->payload);
  gst_rd_input_clear (&self->input);
  gst_rd_encoder_side_close (self);
  g_hash_table_unref (self->pasts);
  rd_codec_free (self->codec);
  rd_rate_free (self->rate);
  g_free (self->codec_name);
  g_free (self->model);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
install_uint (GObjectClass * klass, guint id, const gchar * name,
    const gchar * nick, const gchar * blurb, guint max, guint value)
{
  gint changeable = id == PROP_FRAME_TOKENS || id == PROP_MAX_PAYLOAD_SIZE ?
      GST_PARAM_MUTABLE_PLAYING : GST_PARAM_MUTABLE_READY;

  g_object_class_install_property (klass, id,
      g_param_spec_uint (name, nick, blurb, 0, max, value,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | changeable));
}

static void
install_properties (GObjectClass * klass)
{
  g_object_class_install_property (klass, PROP_CODEC,
      g_param_spec_string ("codec", "Codec",
          "How hidden states are coded: f32, f16, int8, int4 or the path of a "
          "codec file",
          DEFAULT_CODEC, G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
          GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (klass, PROP_PACK,
      g_param_spec_boolean ("pack", "Pack",
          "Pack a frame with zstd where that makes it smaller", DEFAULT_PACK,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
          GST_PARAM_MUTABLE_PLAYING));
  install_uint (klass, PROP_MAX_PAYLOAD_SIZE, "max-payload-size",
      "Maximum payload size",
      "Longest buffer to send, in bytes: what a datagram holds; a longer "
      "token is cut. Holds for what is encoded from then on. 0 = no limit, for "
      "byte streams such as tcp", G_MAXINT, DEFAULT_MAX_PAYLOAD_SIZE);
  install_uint (klass, PROP_FRAME_TOKENS, "frame-tokens", "Frame tokens",
      "Most tokens in one frame; a token never waits for a later one. 0 = 1",
      RD_MAX_FRAME_TOKENS, DEFAULT_FRAME_TOKENS);
  install_uint (klass, PROP_KEY_INT_MAX, "key-int-max", "Key interval",
      "Most tokens from one HEADER to the next; 0 = only where one is needed",
      G_MAXINT, RD_SENDER_KEY_INT_MAX);
  install_uint (klass, PROP_WINDOW_BYTES, "window-bytes", "Window",
      "Most bytes of a session under way without acknowledgement (only with "
      "feedback linked)", G_MAXINT, DEFAULT_WINDOW_BYTES);
  install_uint (klass, PROP_PEER_TIMEOUT, "peer-timeout", "Peer timeout",
      "Silence after which a session is given up while an answer is awaited, "
      "in milliseconds; 0 = wait for ever", G_MAXINT, DEFAULT_PEER_TIMEOUT);
  g_object_class_install_property (klass, PROP_REPLAY_BYTES,
      g_param_spec_uint64 ("replay-bytes", "Replay memory",
          "Bytes of coded states kept for a tail that restarts; 0 = as many as "
          "the session has", 0, G_MAXINT64, DEFAULT_REPLAY_BYTES,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
          GST_PARAM_MUTABLE_READY));
  install_uint (klass, PROP_REPLY_PORT, "reply-port", "Reply port",
      "Port on which this side listens for the way back, told to the tail for "
      "rddecoder.feedback ! dynudpsink; 0 = the port the frames come from",
      65535, DEFAULT_REPLY_PORT);
  install_uint (klass, PROP_LINGER, "linger", "Linger",
      "How long the end of a session waits to be acknowledged, in "
      "milliseconds", G_MAXINT, DEFAULT_LINGER);
  install_uint (klass, PROP_SESSION_TIMEOUT, "session-timeout",
      "Session timeout",
      "rddecoder's session-timeout, in milliseconds: an idle session says four "
      "times in it that it is alive; 0 = never", G_MAXINT,
      DEFAULT_SESSION_TIMEOUT);
  g_object_class_install_property (klass, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Counts since the start, over all sessions: tokens, bytes, "
          "bits-per-token (of everything sent), payload-bits-per-token, "
          "raw-bits-per-token (16 bits a value), recent-bits-per-token (last "
          "second or two), quality, trial-encodes, ns-per-token, ...",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void
gst_rd_encoder_class_init (GstRdEncoderClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_rd_encoder_debug, "rdencoder", 0,
      "encoder of hidden states");
  object_class->set_property = gst_rd_encoder_set_property;
  object_class->get_property = gst_rd_encoder_get_property;
  object_class->finalize = gst_rd_encoder_finalize;
  install_properties (object_class);
  gst_rd_encoder_coding_install (object_class);
  element_class->change_state = gst_rd_encoder_change_state;
  element_class->request_new_pad = gst_rd_encoder_request_new_pad;
  element_class->release_pad = gst_rd_encoder_release_pad;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_add_static_pad_template (element_class, &feedback_template);
  gst_element_class_set_static_metadata (element_class,
      "Hidden states encoder", "Codec/Encoder/Tensor",
      "Encodes hidden states and owns the head's end of a session",
      "gst-split-transformer");
}

static void
gst_rd_encoder_init (GstRdEncoder * self)
{
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  g_queue_init (&self->events);
  g_queue_init (&self->held);
  self->sessions = gst_rd_encoder_sessions_new ();
  self->payload = g_byte_array_new ();
  self->told_level = -1;
  self->pasts = gst_rd_encoder_pasts_new ();
  gst_rd_input_init (&self->input);
  self->next_alias = g_random_int ();
  self->ending_number = GST_RD_ALL_SESSIONS;

  self->codec_name = g_strdup (DEFAULT_CODEC);
  self->pack = DEFAULT_PACK;
  self->max_payload_size = DEFAULT_MAX_PAYLOAD_SIZE;
  self->frame_tokens = DEFAULT_FRAME_TOKENS;
  self->key_int_max = RD_SENDER_KEY_INT_MAX;
  self->window_bytes = DEFAULT_WINDOW_BYTES;
  self->peer_timeout = DEFAULT_PEER_TIMEOUT;
  self->linger = DEFAULT_LINGER;
  self->session_timeout = DEFAULT_SESSION_TIMEOUT;
  gst_rd_encoder_coding_init (self);

  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_rd_encoder_chain);
  gst_pad_set_event_function (self->sinkpad, gst_rd_encoder_sink_event);
  gst_pad_set_query_function (self->sinkpad, gst_rd_encoder_sink_query);
  gst_pad_set_iterate_internal_links_function (self->sinkpad,
      gst_rd_links_straight);
  gst_element_add_pad (GST_ELEMENT (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_event_function (self->srcpad, gst_rd_encoder_src_event);
  gst_pad_set_activatemode_function (self->srcpad,
      gst_rd_encoder_src_activate_mode);
  gst_pad_set_iterate_internal_links_function (self->srcpad,
      gst_rd_links_straight);
  gst_pad_use_fixed_caps (self->srcpad);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
}
