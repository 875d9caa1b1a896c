/**
 * SECTION:element-tokensrc
 * @title: tokensrc
 * @short_description: text to token ids, and the source's side of a conversation
 *
 * Sends the token ids of `prompt` (or of the file `location`) in chunks, then
 * each token that the tail samples and sends back, until the answer is
 * finished. With a `text` pad the turns of a conversation come from there,
 * separated by `turn-delimiter`; the stream ends when that input does and the
 * last answer is complete. The request pad `answer` gives the answers' text.
 * Only the tokenizer and the metadata of `model` are read.
 *
 * The sampling properties are announced to the tail if they are set; a seed
 * always is.
 *
 * With `window-tokens` the text is sent in windows that each begin at
 * position 0, to be scored by `transformertail task=score`.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 -q tokensrc model=m.gguf prompt="Once upon a time" max-tokens=50 ! transformerhead model=m.gguf split-layer=10 ! transformertail model=m.gguf ! fdsink
 * ]|
 * Continues a text.
 * |[
 * gst-launch-1.0 -q fdsrc ! t.text  tokensrc name=t model=m.gguf ! transformerhead model=m.gguf split-layer=10 ! transformertail model=m.gguf turn-delimiter='\\n' ! fdsink
 * ]|
 * A conversation: every line typed is a turn.
 *
 * Since: 0.1
 */
#include "elements/tokensrc/gsttokensrc-private.h"
#include "elements/common/gstrdcaps.h"
#include "elements/common/gstrdprocess.h"
#include "elements/common/gstrdsettings.h"
#include <string.h>

GST_DEBUG_CATEGORY (tokensrc_debug);
#define GST_CAT_DEFAULT tokensrc_debug

#define DEFAULT_CHUNK_TOKENS 64
#define DEFAULT_TURN_DELIMITER "\\n"
#define DEFAULT_ADD_BOS GST_RD_ADD_BOS_AUTO
#define DEFAULT_IS_LIVE TRUE
#define DEFAULT_NUM_BUFFERS -1

enum
{
  PROP_0,
  PROP_MODEL,
  PROP_PROMPT,
  PROP_LOCATION,
  PROP_CHAT_TEMPLATE,
  PROP_SYSTEM,
  PROP_TURN_DELIMITER,
  PROP_CHUNK_TOKENS,
  PROP_WINDOW_TOKENS,
  PROP_WINDOW_STRIDE,
  PROP_ADD_BOS,
  PROP_SEND_IDS,
  PROP_IS_LIVE,
  PROP_NUM_BUFFERS,
  PROP_SAMPLING,                /* the first of GST_RD_SAMPLING_COUNT */
};

static GstStaticPadTemplate text_template = GST_STATIC_PAD_TEMPLATE ("text",
    GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS (GST_RD_TEXT_CAPS));
static GstStaticPadTemplate answer_template =
GST_STATIC_PAD_TEMPLATE ("answer", GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS (GST_RD_TEXT_CAPS));

#define gst_token_src_parent_class parent_class
/* *INDENT-OFF* */
G_DEFINE_TYPE (GstTokenSrc, gst_token_src, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE (tokensrc, "tokensrc", GST_RANK_NONE,
    GST_TYPE_TOKEN_SRC)
/* *INDENT-ON* */

void
gst_token_src_settings_clear (GstTokenSrcSettings * s)
{
  g_clear_pointer (&s->model, g_free);
  g_clear_pointer (&s->prompt, g_free);
  g_clear_pointer (&s->location, g_free);
  g_clear_pointer (&s->chat_template, g_free);
  g_clear_pointer (&s->system, g_free);
  g_clear_pointer (&s->turn_delimiter, g_free);
}

void
gst_token_src_settings_copy (GstTokenSrcSettings * dst,
    const GstTokenSrcSettings * src)
{
  *dst = *src;
  dst->model = g_strdup (src->model);
  dst->prompt = g_strdup (src->prompt);
  dst->location = g_strdup (src->location);
  dst->chat_template = g_strdup (src->chat_template);
  dst->system = g_strdup (src->system);
  dst->turn_delimiter = g_strdup (src->turn_delimiter);
}

/* ---- states ---- */

static gboolean
open_model (GstTokenSrc * self)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *path = NULL;

  GST_OBJECT_LOCK (self);
  path = g_strdup (self->settings.model);
  self->dirty = FALSE;
  GST_OBJECT_UNLOCK (self);
  gst_rd_prompt_close (&self->prompt);
  if (gst_rd_prompt_open (&self->prompt, path, &error))
    return TRUE;
  gst_rd_prompt_close (&self->prompt);
  gst_rd_post_error (GST_ELEMENT (self), error);
  return FALSE;
}

static GstStateChangeReturn
gst_token_src_change_state (GstElement * element, GstStateChange transition)
{
  GstTokenSrc *self = GST_TOKEN_SRC (element);
  GstStateChangeReturn result;
  gboolean dirty, live;

  GST_OBJECT_LOCK (self);
  dirty = self->dirty;
  live = self->settings.is_live;
  GST_OBJECT_UNLOCK (self);
  if (transition == GST_STATE_CHANGE_NULL_TO_READY
      || (transition == GST_STATE_CHANGE_READY_TO_PAUSED && dirty)) {
    if (!open_model (self))
      return GST_STATE_CHANGE_FAILURE;
  }
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    gst_token_src_set_text_flushing (self, FALSE);
  } else if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED) {
    gst_token_src_set_playing (self, FALSE);
  } else if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    gst_token_src_set_text_flushing (self, TRUE);
    gst_token_src_set_flushing (self, TRUE);
  }
  result = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (result == GST_STATE_CHANGE_FAILURE)
    return result;
  if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING)
    gst_token_src_set_playing (self, TRUE);
  else if (transition == GST_STATE_CHANGE_READY_TO_NULL)
    gst_rd_prompt_close (&self->prompt);
  else if (live && (transition == GST_STATE_CHANGE_READY_TO_PAUSED
          || transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED))
    result = GST_STATE_CHANGE_NO_PREROLL;
  return result;
}

/* ---- object ---- */

static gchar **
string_setting (GstTokenSrcSettings * s, guint id)
{
  switch (id) {
    case PROP_MODEL:
      return &s->model;
    case PROP_PROMPT:
      return &s->prompt;
    case PROP_LOCATION:
      return &s->location;
    case PROP_CHAT_TEMPLATE:
      return &s->chat_template;
    case PROP_SYSTEM:
      return &s->system;
    case PROP_TURN_DELIMITER:
      return &s->turn_delimiter;
    default:
      return NULL;
  }
}

static void
set_setting (GstTokenSrc * self, guint id, const GValue * value,
    GParamSpec * pspec)
{
  gchar **string = string_setting (&self->settings, id);

  if (string) {
    g_free (*string);
    *string = g_value_dup_string (value);
    self->dirty |= id == PROP_MODEL;
    return;
  }
  switch (id) {
    case PROP_CHUNK_TOKENS:
      self->settings.chunk_tokens = g_value_get_uint (value);
      break;
    case PROP_WINDOW_TOKENS:
      self->settings.window_tokens = g_value_get_uint (value);
      break;
    case PROP_WINDOW_STRIDE:
      self->settings.window_stride = g_value_get_uint (value);
      break;
    case PROP_ADD_BOS:
      self->settings.add_bos = g_value_get_enum (value);
      break;
    case PROP_IS_LIVE:
      self->settings.is_live = g_value_get_boolean (value);
      break;
    case PROP_NUM_BUFFERS:
      self->settings.num_buffers = g_value_get_int (value);
      break;
    case PROP_SEND_IDS:
      self->settings.send_ids = g_value_get_boolean (value);
      break;
    default:
      if (!gst_rd_sampling_set (&self->sampling, PROP_SAMPLING, id, value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID (self, id, pspec);
      break;
  }
}

static void
gst_token_src_set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstTokenSrc *self = GST_TOKEN_SRC (object);

  if (!gst_rd_property_settable (GST_ELEMENT (self), pspec))
    return;
  GST_OBJECT_LOCK (self);
  set_setting (self, id, value, pspec);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_token_src_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTokenSrc *self = GST_TOKEN_SRC (object);
  gchar **string;

  GST_OBJECT_LOCK (self);
  string = string_setting (&self->settings, id);
  if (string)
    g_value_set_string (value, *string);
  else if (id == PROP_CHUNK_TOKENS)
    g_value_set_uint (value, self->settings.chunk_tokens);
  else if (id == PROP_WINDOW_TOKENS)
    g_value_set_uint (value, self->settings.window_tokens);
  else if (id == PROP_WINDOW_STRIDE)
    g_value_set_uint (value, self->settings.window_stride);
  else if (id == PROP_ADD_BOS)
    g_value_set_enum (value, self->settings.add_bos);
  else if (id == PROP_IS_LIVE)
    g_value_set_boolean (value, self->settings.is_live);
  else if (id == PROP_NUM_BUFFERS)
    g_value_set_int (value, self->settings.num_buffers);
  else if (id == PROP_SEND_IDS)
    g_value_set_boolean (value, self->settings.send_ids);
  else if (!gst_rd_sampling_get (&self->sampling, PROP_SAMPLING, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_token_src_finalize (GObject * object)
{
  GstTokenSrc *self = GST_TOKEN_SRC (object);

  gst_token_src_stream_stop (self);
  gst_rd_prompt_close (&self->prompt);
  gst_rd_turns_clear (&self->turns);
  gst_rd_sampling_clear (&self->sampling);
  gst_token_src_settings_clear (&self->settings);
  g_clear_pointer (&self->answer, gst_rd_output_unref);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
install_string (GObjectClass * klass, guint id, const gchar * name,
    const gchar * nick, const gchar * blurb, const gchar * value)
{
  g_object_class_install_property (klass, id,
      g_param_spec_string (name, nick, blurb, value, G_PARAM_READWRITE
          | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY));
}

static void
install_properties (GObjectClass * klass)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_READY;

  install_string (klass, PROP_MODEL, "model", "Model",
      "Path of the GGUF file; only its tokenizer and metadata are read", NULL);
  install_string (klass, PROP_PROMPT, "prompt", "Prompt",
      "Text to begin with; without a chat format, names of special tokens in "
      "it are those tokens", NULL);
  install_string (klass, PROP_LOCATION, "location", "Location",
      "File to read the prompt from (byte for byte, a final newline too), or "
      "the text to be scored", NULL);
  install_string (klass, PROP_CHAT_TEMPLATE, "chat-template", "Chat template",
      "Chat format by name, auto (the model's), or none; unset = auto with a "
      "text pad, none without", NULL);
  install_string (klass, PROP_SYSTEM, "system", "System text",
      "System text of the chat format (unset = the format's own, empty = "
      "none)", NULL);
  install_string (klass, PROP_TURN_DELIMITER, "turn-delimiter",
      "Turn delimiter",
      "What ends a turn on the text pad and is put behind an answer on the "
      "answer pad; \\n, \\t and \\\\ are understood (empty = one buffer, one "
      "turn)", DEFAULT_TURN_DELIMITER);
  g_object_class_install_property (klass, PROP_CHUNK_TOKENS,
      g_param_spec_uint ("chunk-tokens", "Chunk tokens",
          "Prompt tokens in a buffer at most, so that all elements work at the "
          "same time", 1, RD_MAX_FRAME_TOKENS, DEFAULT_CHUNK_TOKENS, flags));
  g_object_class_install_property (klass, PROP_WINDOW_TOKENS,
      g_param_spec_uint ("window-tokens", "Window tokens",
          "Send the text in windows of so many tokens, each from position 0, "
          "to be scored (0 = as a prompt)", 0, G_MAXINT, 0, flags));
  g_object_class_install_property (klass, PROP_WINDOW_STRIDE,
      g_param_spec_uint ("window-stride", "Window stride",
          "Tokens from the beginning of a window to that of the next (0 = "
          "window-tokens)", 0, G_MAXINT, 0, flags));
  g_object_class_install_property (klass, PROP_ADD_BOS,
      g_param_spec_enum ("add-bos", "Add BOS",
          "Whether text begins with the model's BOS token (of a window it "
          "replaces the first token)", gst_rd_add_bos_get_type (),
          DEFAULT_ADD_BOS, flags));
  g_object_class_install_property (klass, PROP_SEND_IDS,
      g_param_spec_boolean ("send-ids", "Send ids",
          "Let the prompt's token ids travel to the tail, which can then read "
          "the text (needed for scoring; penalties then count the prompt)",
          FALSE, flags));
  g_object_class_install_property (klass, PROP_IS_LIVE,
      g_param_spec_boolean ("is-live", "Is live",
          "Run in PLAYING only, by the clock; false for scoring a file",
          DEFAULT_IS_LIVE, flags));
  g_object_class_install_property (klass, PROP_NUM_BUFFERS,
      g_param_spec_int ("num-buffers", "Number of buffers",
          "Buffers to send before EOS (-1 = no limit)", -1, G_MAXINT,
          DEFAULT_NUM_BUFFERS, flags));
  gst_rd_sampling_install (klass, PROP_SAMPLING, TRUE);
  gst_type_mark_as_plugin_api (gst_rd_add_bos_get_type (), 0);
}

static void
gst_token_src_class_init (GstTokenSrcClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (tokensrc_debug, "tokensrc", 0, "Text to token ids");
  object_class->set_property = gst_token_src_set_property;
  object_class->get_property = gst_token_src_get_property;
  object_class->finalize = gst_token_src_finalize;
  element_class->change_state = gst_token_src_change_state;
  element_class->request_new_pad = gst_token_src_request_pad;
  element_class->release_pad = gst_token_src_release_pad;
  element_class->send_event = gst_token_src_send_event;

  install_properties (object_class);
  gst_element_class_add_static_pad_template (element_class,
      &gst_token_src_src_template);
  gst_element_class_add_static_pad_template (element_class, &text_template);
  gst_element_class_add_static_pad_template (element_class, &answer_template);
  gst_element_class_set_static_metadata (element_class, "Token source",
      "Source/Text", "Turns text into token ids, and sends what the tail "
      "samples back into the model", "gst-split-transformer");
}

static void
gst_token_src_init (GstTokenSrc * self)
{
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  g_queue_init (&self->received);
  gst_rd_turns_init (&self->turns);
  gst_rd_sampling_init (&self->sampling);
  gst_rd_conversation_init (&self->conversation, DEFAULT_CHUNK_TOKENS);
  self->settings.turn_delimiter = g_strdup (DEFAULT_TURN_DELIMITER);
  self->settings.chunk_tokens = DEFAULT_CHUNK_TOKENS;
  self->settings.add_bos = DEFAULT_ADD_BOS;
  self->settings.is_live = DEFAULT_IS_LIVE;
  self->settings.num_buffers = DEFAULT_NUM_BUFFERS;
  GST_OBJECT_FLAG_SET (self, GST_ELEMENT_FLAG_SOURCE);
  gst_token_src_add_src_pad (self);
}
