/* Properties of rdencoder that say how states are coded: how many bits a token gets, and whose token ids help. */
#include "elements/rdencoder/gstrdencoder-private.h"
#include "elements/common/gstrdenum.h"
#include <string.h>

#define DEFAULT_RATE_CONTROL GST_RD_RATE_CONSTANT_QUALITY
#define DEFAULT_BITS_PER_TOKEN 0
#define DEFAULT_BITRATE 0
#define DEFAULT_VBV 1000
#define DEFAULT_STATS_INTERVAL 0
#define DEFAULT_TOKEN_SIDE_INFO GST_RD_TOKEN_SIDE_INFO_NONE

enum
{
  PROP_RATE_CONTROL = GST_RD_ENCODER_CODING_FIRST,
  PROP_QUALITY,
  PROP_TARGET_BITS_PER_TOKEN,
  PROP_BITRATE,
  PROP_VBV_BUF_CAPACITY,
  PROP_COMPLEXITY,
  PROP_STATS_INTERVAL,
  PROP_MODEL,
  PROP_TOKEN_SIDE_INFO,
};

/* *INDENT-OFF* */
GST_RD_ENUM_TYPE (gst_rd_rate_control_get_type, "GstRdRateControl",
    {GST_RD_RATE_CONSTANT_QUALITY, "As quality or target-bits-per-token says", "constant-quality"},
    {GST_RD_RATE_CONSTANT_BITRATE, "As good as bitrate allows", "constant-bitrate"},
    {GST_RD_RATE_LOSSLESS, "Hidden states come back bit-exact", "lossless"})
/* *INDENT-ON* */

void
gst_rd_encoder_coding_init (GstRdEncoder * self)
{
  GstRdEncoderRate *rate = &self->rate_settings;

  memset (rate, 0, sizeof *rate);
  rate->control = DEFAULT_RATE_CONTROL;
  rate->quality = RD_QUALITY_DEFAULT;
  rate->bits_per_token = DEFAULT_BITS_PER_TOKEN;
  rate->bitrate = DEFAULT_BITRATE;
  rate->vbv = DEFAULT_VBV;
  rate->complexity = RD_COMPLEXITY_DEFAULT;
  rate->stats_interval = DEFAULT_STATS_INTERVAL;
  self->token_side_info = DEFAULT_TOKEN_SIDE_INFO;
}

static void
install_side_info (GObjectClass * klass)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_READY;

  g_object_class_install_property (klass, PROP_MODEL,
      g_param_spec_string ("model", "Model",
          "Path of the model's GGUF file, or a part of it with its first blocks "
          "(rdpartition --with-predictor); only token-side-info needs it", NULL,
          flags));
  g_object_class_install_property (klass, PROP_TOKEN_SIDE_INFO,
      g_param_spec_enum ("token-side-info", "Token side information",
          "Whose token ids help to code the states, if the codec file can use "
          "them. \"all\" sends the prompt's token ids: whoever receives the "
          "stream can read the text (as whoever holds the model could from the "
          "states)", GST_TYPE_RD_TOKEN_SIDE_INFO, DEFAULT_TOKEN_SIDE_INFO,
          flags));
  gst_type_mark_as_plugin_api (GST_TYPE_RD_TOKEN_SIDE_INFO, 0);
}

static void
install_rate (GObjectClass * klass)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | GST_PARAM_MUTABLE_PLAYING;

  g_object_class_install_property (klass, PROP_RATE_CONTROL,
      g_param_spec_enum ("rate-control", "Rate control",
          "What decides how many bits a token gets",
          gst_rd_rate_control_get_type (), DEFAULT_RATE_CONTROL, flags));
  g_object_class_install_property (klass, PROP_QUALITY,
      g_param_spec_double ("quality", "Quality",
          "0 (coarsest) to 100 (finest), of codec files; the built-in codecs "
          "have one quality each", 0, 100, RD_QUALITY_DEFAULT, flags));
  g_object_class_install_property (klass, PROP_TARGET_BITS_PER_TOKEN,
      g_param_spec_double ("target-bits-per-token", "Target bits per token",
          "Mean of a session, in bits per token on the wire, headers included; "
          "takes the place of quality. 0 = none", 0, 1e9,
          DEFAULT_BITS_PER_TOKEN, flags));
  g_object_class_install_property (klass, PROP_BITRATE,
      g_param_spec_uint ("bitrate", "Bitrate",
          "Ceiling for all sessions together, in bits per second, held over "
          "vbv-buf-capacity whatever rate-control says (but lossless). 0 = "
          "none", 0, G_MAXUINT, DEFAULT_BITRATE, flags));
  g_object_class_install_property (klass, PROP_VBV_BUF_CAPACITY,
      g_param_spec_uint ("vbv-buf-capacity", "VBV buffer capacity",
          "Running time over which bitrate is a ceiling, in milliseconds",
          RD_RATE_MIN_WINDOW_MS, RD_RATE_MAX_WINDOW_MS, DEFAULT_VBV, flags));
  g_object_class_install_property (klass, PROP_COMPLEXITY,
      g_param_spec_uint ("complexity", "Complexity",
          "Effort of codec files to find smaller frames, 0 (fastest) to 10", 0,
          RD_COMPLEXITY_MAX, RD_COMPLEXITY_DEFAULT, flags));
  g_object_class_install_property (klass, PROP_STATS_INTERVAL,
      g_param_spec_uint ("stats-interval", "Statistics interval",
          "Post the statistics as element message rdencoder-stats, at most "
          "every so many milliseconds while tokens come; 0 = only at the end "
          "of a session", 0, G_MAXINT, DEFAULT_STATS_INTERVAL, flags));
  gst_type_mark_as_plugin_api (gst_rd_rate_control_get_type (), 0);
}

void
gst_rd_encoder_coding_install (GObjectClass * klass)
{
  install_rate (klass);
  install_side_info (klass);
}

gboolean
gst_rd_encoder_coding_set (GstRdEncoder * self, guint id, const GValue * value)
{
  GstRdEncoderRate *rate = &self->rate_settings;

  switch (id) {
    case PROP_RATE_CONTROL:
      rate->control = g_value_get_enum (value);
      break;
    case PROP_QUALITY:
      rate->quality = g_value_get_double (value);
      break;
    case PROP_TARGET_BITS_PER_TOKEN:
      rate->bits_per_token = g_value_get_double (value);
      break;
    case PROP_BITRATE:
      rate->bitrate = g_value_get_uint (value);
      break;
    case PROP_VBV_BUF_CAPACITY:
      rate->vbv = g_value_get_uint (value);
      break;
    case PROP_COMPLEXITY:
      rate->complexity = g_value_get_uint (value);
      break;
    case PROP_STATS_INTERVAL:
      rate->stats_interval = g_value_get_uint (value);
      break;
    case PROP_MODEL:
      g_free (self->model);
      self->model = g_value_dup_string (value);
      break;
    case PROP_TOKEN_SIDE_INFO:
      self->token_side_info = g_value_get_enum (value);
      break;
    default:
      return FALSE;
  }
  return TRUE;
}

gboolean
gst_rd_encoder_coding_get (const GstRdEncoder * self, guint id, GValue * value)
{
  const GstRdEncoderRate *rate = &self->rate_settings;

  switch (id) {
    case PROP_RATE_CONTROL:
      g_value_set_enum (value, rate->control);
      break;
    case PROP_QUALITY:
      g_value_set_double (value, rate->quality);
      break;
    case PROP_TARGET_BITS_PER_TOKEN:
      g_value_set_double (value, rate->bits_per_token);
      break;
    case PROP_BITRATE:
      g_value_set_uint (value, rate->bitrate);
      break;
    case PROP_VBV_BUF_CAPACITY:
      g_value_set_uint (value, rate->vbv);
      break;
    case PROP_COMPLEXITY:
      g_value_set_uint (value, rate->complexity);
      break;
    case PROP_STATS_INTERVAL:
      g_value_set_uint (value, rate->stats_interval);
      break;
    case PROP_MODEL:
      g_value_set_string (value, self->model);
      break;
    case PROP_TOKEN_SIDE_INFO:
      g_value_set_enum (value, self->token_side_info);
      break;
    default:
      return FALSE;
  }
  return TRUE;
}
