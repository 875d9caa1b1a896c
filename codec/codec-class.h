/* What a codec implements; private to codec/. codec.c checks sizes that every codec shares, guards the floating-point mode and calls this. */
#pragma once
#include "codec/codec.h"

G_BEGIN_DECLS

typedef struct
{
  /* Bytes that n tokens need at most; n > 0. 0 on overflow. */
  gsize (*bound) (const RdCodec * codec, gsize n);
  /* All values of @x are finite, n > 0, rd_codec_bound() bytes can be appended to @out. Leaves @out as it was on an error. */
    gboolean (*encode) (RdCodec * codec, const RdRows * rows, const gfloat * x, gboolean allow_pack, GByteArray * out,
      gboolean * packed, GError ** error);
  /* Whether @size bytes can hold @n tokens; n > 0. */
    gboolean (*check) (const RdCodec * codec, gsize n, gsize size, gboolean packed, GError ** error);
  /* check() was TRUE. */
    gboolean (*decode) (RdCodec * codec, const RdRows * rows, const guint8 * payload, gsize size, gboolean packed, gfloat * x, GError ** error);
  void (*free) (RdCodec * codec);
  /* Optional. */
  void (*set) (RdCodec * codec, const RdSettings * settings);
  const RdCodecInfo *(*info) (const RdCodec * codec);
    gboolean (*needs_features) (const RdCodec * codec, const guint8 * payload, gsize size, gboolean packed);
  /* Level of codec files: of the next payload, and of one; -1: it is none. */
  gint (*level) (const RdCodec * codec);
  gint (*payload_level) (const RdCodec * codec, const guint8 * payload, gsize size, gboolean packed);
  /* Ideal length of a payload's symbols; negative if it is damaged. */
    gdouble (*ideal_bits) (RdCodec * codec, const RdRows * rows, const guint8 * payload, gsize size);
} RdCodecClass;

/* First member of every codec's own struct. */
struct _RdCodec
{
  const RdCodecClass *klass;
  const gchar *id;              /* as in HEADER; lives as long as the codec */
  guint hidden_size;
  gfloat limit;                 /* largest magnitude that is carried without clipping */
  guint64 clipped;
};

G_END_DECLS
