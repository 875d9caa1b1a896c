/* What codecs that only tests have share. A program that is linked with such a codec (-Wl,--wrap=rd_codec_new) finds it under its names; all others
 * are as they were. */
#pragma once
#include "codec/codec-class.h"

G_BEGIN_DECLS

typedef struct
{
  RdCodec parent;
  RdSettings settings;          /* as they were set */
  RdCodecInfo info;
} TestCodec;

/** test_codec_new: of @klass, which takes what follows for its `free`, `set` and `info`. Made for @hidden_size values of any model. */
RdCodec *test_codec_new (const RdCodecClass * klass, const gchar * id, guint hidden_size);
void test_codec_free (RdCodec * codec);
void test_codec_set (RdCodec * codec, const RdSettings * settings);
const RdCodecInfo *test_codec_info (const RdCodec * codec);

RdCodec *__real_rd_codec_new (const gchar * name, guint hidden_size, GError ** error);
/** What rd_codec_new() is: the codec of the test, or what it really is. */
RdCodec *__wrap_rd_codec_new (const gchar * name, guint hidden_size, GError ** error);

G_END_DECLS
