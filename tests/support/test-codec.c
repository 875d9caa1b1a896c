/* What codecs that only tests have share. */
#include "tests/support/test-codec.h"
#include <float.h>

RdCodec *
test_codec_new (const RdCodecClass * klass, const gchar * id, guint hidden_size)
{
  TestCodec *codec = g_new0 (TestCodec, 1);

  codec->parent.klass = klass;
  codec->parent.id = g_intern_string (id);
  codec->parent.hidden_size = hidden_size;
  codec->parent.limit = FLT_MAX;
  codec->settings.quality = RD_QUALITY_DEFAULT;
  codec->info.hidden_size = hidden_size;
  codec->info.model_name = codec->parent.id;
  return &codec->parent;
}

void
test_codec_free (RdCodec * codec)
{
  g_free (codec);
}

void
test_codec_set (RdCodec * codec, const RdSettings * settings)
{
  ((TestCodec *) codec)->settings = *settings;
}

const RdCodecInfo *
test_codec_info (const RdCodec * codec)
{
  return &((const TestCodec *) codec)->info;
}
