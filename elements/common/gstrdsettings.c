/* Properties that transformerhead and transformertail share. */
#include "elements/common/gstrdsettings.h"
#include "elements/common/gstrdenum.h"
#include <string.h>

#define DEFAULT_CONTEXT_SIZE 0
#define DEFAULT_THREADS 0
#define DEFAULT_MAX_SESSIONS 16
#define DEFAULT_CACHE_TYPE GST_RD_CACHE_F32
#define DEFAULT_DETERMINISTIC TRUE
#define DEFAULT_VERIFY GST_RD_VERIFY_SAMPLED
#define DEFAULT_MODEL_CHECK GST_RD_MODEL_CHECK_STRICT

enum
{
  PROP_MODEL = GST_RD_SETTINGS_FIRST,
  PROP_LAYERS,
  PROP_CODEC,
  PROP_CONTEXT_SIZE,
  PROP_THREADS,
  PROP_MAX_SESSIONS,
  PROP_CACHE_TYPE,
  PROP_DETERMINISTIC,
  PROP_VERIFY,
  PROP_MODEL_CHECK,
};
G_STATIC_ASSERT (PROP_MODEL_CHECK + 1 == GST_RD_SETTINGS_END);

/* *INDENT-OFF* */
GST_RD_ENUM_TYPE (gst_rd_cache_type_get_type, "GstRdCacheType",
    {GST_RD_CACHE_F32, "32-bit floats", "f32"},
    {GST_RD_CACHE_F16, "16-bit floats, half the memory", "f16"})
GST_RD_ENUM_TYPE (gst_rd_verify_get_type, "GstRdVerify",
    {GST_RD_VERIFY_SAMPLED, "Compare samples of every tensor that is used", "sampled"},
    {GST_RD_VERIFY_FULL, "Compare every byte of them", "full"})
GST_RD_ENUM_TYPE (gst_rd_model_check_get_type, "GstRdModelCheck",
    {GST_RD_MODEL_CHECK_STRICT, "The stream must come from the same model file", "strict"},
    {GST_RD_MODEL_CHECK_ARCHITECTURE, "Sizes must agree (the same model in another type)", "architecture"})
/* *INDENT-ON* */

void
gst_rd_settings_init (GstRdSettings * settings)
{
  memset (settings, 0, sizeof *settings);
  settings->context_size = DEFAULT_CONTEXT_SIZE;
  settings->threads = DEFAULT_THREADS;
  settings->max_sessions = DEFAULT_MAX_SESSIONS;
  settings->cache_type = DEFAULT_CACHE_TYPE;
  settings->deterministic = DEFAULT_DETERMINISTIC;
  settings->verify = DEFAULT_VERIFY;
  settings->model_check = DEFAULT_MODEL_CHECK;
}

void
gst_rd_settings_clear (GstRdSettings * settings)
{
  g_clear_pointer (&settings->model, g_free);
  g_clear_pointer (&settings->layers, g_free);
  g_clear_pointer (&settings->codec, g_free);
}

void
gst_rd_settings_copy (GstRdSettings * dst, const GstRdSettings * src)
{
  *dst = *src;
  dst->model = g_strdup (src->model);
  dst->layers = g_strdup (src->layers);
  dst->codec = g_strdup (src->codec);
}

void
gst_rd_settings_install (GObjectClass * klass)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_READY;

  g_object_class_install_property (klass, PROP_MODEL,
      g_param_spec_string ("model", "Model",
          "Path of the GGUF file (a whole model or a partition of it)", NULL,
          flags));
  g_object_class_install_property (klass, PROP_LAYERS,
      g_param_spec_string ("layers", "Layers",
          "Blocks to run: a-b (blocks a to b-1) or all; unset = what "
          "split-layer or the stream says", NULL, flags));
  g_object_class_install_property (klass, PROP_CODEC,
      g_param_spec_string ("codec", "Codec",
          "Path of the codec file of rdencoder and rddecoder: if it carries "
          "adapters of the model, both parts have to run with them; other "
          "codecs change nothing", NULL, flags));
  g_object_class_install_property (klass, PROP_CONTEXT_SIZE,
      g_param_spec_uint ("context-size", "Context size",
          "Positions a session can hold (0 = what the model was trained for); "
          "never more than a model with learned ones (GPT-2) has", 0,
          G_MAXINT, DEFAULT_CONTEXT_SIZE, flags));
  g_object_class_install_property (klass, PROP_THREADS,
      g_param_spec_uint ("threads", "Threads",
          "Threads that compute (0 = one a CPU)", 0, 1024, DEFAULT_THREADS,
          flags));
  g_object_class_install_property (klass, PROP_MAX_SESSIONS,
      g_param_spec_uint ("max-sessions", "Maximum sessions",
          "Sessions (key/value caches) at a time; more are refused", 1, 65536,
          DEFAULT_MAX_SESSIONS, flags));
  g_object_class_install_property (klass, PROP_CACHE_TYPE,
      g_param_spec_enum ("cache-type", "Cache type",
          "Type of the cached keys and values", gst_rd_cache_type_get_type (),
          DEFAULT_CACHE_TYPE, flags));
  g_object_class_install_property (klass, PROP_DETERMINISTIC,
      g_param_spec_boolean ("deterministic", "Deterministic",
          "Results do not depend on how the tokens were grouped, so that "
          "replay and restart give the same text; false allows faster "
          "prefill", DEFAULT_DETERMINISTIC, flags));
  g_object_class_install_property (klass, PROP_VERIFY,
      g_param_spec_enum ("verify", "Verify",
          "How much of the tensors is compared with the model's hash list",
          gst_rd_verify_get_type (), DEFAULT_VERIFY, flags));
  g_object_class_install_property (klass, PROP_MODEL_CHECK,
      g_param_spec_enum ("model-check", "Model check",
          "What must agree with the stream's model",
          gst_rd_model_check_get_type (), DEFAULT_MODEL_CHECK, flags));
  gst_type_mark_as_plugin_api (gst_rd_cache_type_get_type (), 0);
  gst_type_mark_as_plugin_api (gst_rd_verify_get_type (), 0);
  gst_type_mark_as_plugin_api (gst_rd_model_check_get_type (), 0);
}

gboolean
gst_rd_settings_set (GstRdSettings * settings, guint id, const GValue * value)
{
  switch (id) {
    case PROP_MODEL:
      g_free (settings->model);
      settings->model = g_value_dup_string (value);
      break;
    case PROP_LAYERS:
      g_free (settings->layers);
      settings->layers = g_value_dup_string (value);
      break;
    case PROP_CODEC:
      g_free (settings->codec);
      settings->codec = g_value_dup_string (value);
      break;
    case PROP_CONTEXT_SIZE:
      settings->context_size = g_value_get_uint (value);
      break;
    case PROP_THREADS:
      settings->threads = g_value_get_uint (value);
      break;
    case PROP_MAX_SESSIONS:
      settings->max_sessions = g_value_get_uint (value);
      break;
    case PROP_CACHE_TYPE:
      settings->cache_type = g_value_get_enum (value);
      break;
    case PROP_DETERMINISTIC:
      settings->deterministic = g_value_get_boolean (value);
      break;
    case PROP_VERIFY:
      settings->verify = g_value_get_enum (value);
      break;
    case PROP_MODEL_CHECK:
      settings->model_check = g_value_get_enum (value);
      break;
    default:
      return FALSE;
  }
  return TRUE;
}

gboolean
gst_rd_settings_get (const GstRdSettings * settings, guint id, GValue * value)
{
  switch (id) {
    case PROP_MODEL:
      g_value_set_string (value, settings->model);
      break;
    case PROP_LAYERS:
      g_value_set_string (value, settings->layers);
      break;
    case PROP_CODEC:
      g_value_set_string (value, settings->codec);
      break;
    case PROP_CONTEXT_SIZE:
      g_value_set_uint (value, settings->context_size);
      break;
    case PROP_THREADS:
      g_value_set_uint (value, settings->threads);
      break;
    case PROP_MAX_SESSIONS:
      g_value_set_uint (value, settings->max_sessions);
      break;
    case PROP_CACHE_TYPE:
      g_value_set_enum (value, settings->cache_type);
      break;
    case PROP_DETERMINISTIC:
      g_value_set_boolean (value, settings->deterministic);
      break;
    case PROP_VERIFY:
      g_value_set_enum (value, settings->verify);
      break;
    case PROP_MODEL_CHECK:
      g_value_set_enum (value, settings->model_check);
      break;
    default:
      return FALSE;
  }
  return TRUE;
}

gboolean
gst_rd_settings_have_model (const GstRdSettings * settings, GError ** error)
{
  if (settings->model && settings->model[0])
    return TRUE;
  g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "no model is set; set model to the path of a GGUF file");
  return FALSE;
}

gboolean
gst_rd_property_settable (GstElement * element, GParamSpec * pspec)
{
  GstState limit = GST_STATE_READY, state;

  if (pspec->flags & GST_PARAM_MUTABLE_PLAYING)
    limit = GST_STATE_PLAYING;
  else if (pspec->flags & GST_PARAM_MUTABLE_PAUSED)
    limit = GST_STATE_PAUSED;
  GST_OBJECT_LOCK (element);
  state = GST_STATE (element);
  GST_OBJECT_UNLOCK (element);
  if (state <= limit)
    return TRUE;
  GST_ELEMENT_WARNING (element, LIBRARY, SETTINGS,
      ("\"%s\" cannot be changed in state %s; the old value stays.",
          pspec->name, gst_element_state_get_name (state)),
      ("it can be set in %s and below", gst_element_state_get_name (limit)));
  return FALSE;
}

gboolean
gst_rd_parse_layers (const gchar * text, gint * first, gint * last,
    GError ** error)
{
  guint64 a, b;

  if (strcmp (text, "all") == 0) {
    *first = 0;
    *last = -1;
    return TRUE;
  }
  g_auto (GStrv) parts = g_strsplit (text, "-", 2);
  if (g_strv_length (parts) != 2
      || !g_ascii_string_to_unsigned (parts[0], 10, 0, G_MAXINT, &a, NULL)
      || !g_ascii_string_to_unsigned (parts[1], 10, 1, G_MAXINT, &b, NULL)
      || a >= b) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "layers=\"%s\" is neither a-b (blocks a to b-1, a < b) nor all", text);
    return FALSE;
  }
  *first = (gint) a;
  *last = (gint) b;
  return TRUE;
}
