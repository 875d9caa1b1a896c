/* The codec interface: lookup by name, checks that every codec shares, and a fixed floating-point mode around the codecs. */
#include "codec/codec.h"
#include "codec/codec-class.h"
#include "codec/float-bits.h"
#include "codec/learned/learned.h"
#include "codec/simple/simple.h"

#include <fenv.h>
#include <math.h>
#include <string.h>

G_DEFINE_QUARK (rd_codec_error_quark, rd_codec_error)
     static gboolean is_path (const gchar * name)
{
  return strchr (name, G_DIR_SEPARATOR) || g_str_has_suffix (name, ".gguf");
}

static RdCodec *
open_file (const gchar * path, guint hidden_size, GError ** error)
{
  fenv_t env;
  RdCodec *codec;

  fegetenv (&env);
  fesetenv (FE_DFL_ENV);
  codec = rd_learned_new (path, hidden_size, error);
  fesetenv (&env);
  return codec;
}

RdCodec *
rd_codec_new (const gchar * name, guint hidden_size, GError ** error)
{
  gboolean path = name && !rd_codec_is_builtin (name) && is_path (name);

  if ((hidden_size == 0 && rd_codec_is_builtin (name))
      || hidden_size > RD_CODEC_MAX_HIDDEN_SIZE) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "hidden size %u is not between 1 and %u", hidden_size,
        RD_CODEC_MAX_HIDDEN_SIZE);
    return NULL;
  }
  if (path)
    return open_file (name, hidden_size, error);
  if (!rd_codec_is_builtin (name)) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_UNKNOWN,
        "unknown codec '%.64s': use one of %s, or the path of a codec file",
        name ? name : "", rd_simple_names ());
    return NULL;
  }
  return rd_simple_new (name, hidden_size);
}

void
rd_codec_free (RdCodec * codec)
{
  if (codec)
    codec->klass->free (codec);
}

const gchar *
rd_codec_id (const RdCodec * codec)
{
  return codec->id;
}

gboolean
rd_codec_is_builtin (const gchar * id)
{
  return id && rd_simple_find (id);
}

const RdCodecInfo *
rd_codec_info (const RdCodec * codec)
{
  return codec->klass->info ? codec->klass->info (codec) : NULL;
}

guint
rd_codec_quality_level (gdouble quality)
{
  return (guint) CLAMP (lround (quality * (RD_CODEC_LEVELS - 1) / 100), 0,
      RD_CODEC_LEVELS - 1);
}

gint
rd_codec_level (const RdCodec * codec)
{
  return codec->klass->level ? codec->klass->level (codec) : -1;
}

gint
rd_codec_payload_level (const RdCodec * codec, const guint8 * payload,
    gsize size, gboolean packed)
{
  return codec->klass->payload_level ?
      codec->klass->payload_level (codec, payload, size, packed) : -1;
}

gboolean
rd_codec_needs_features (const RdCodec * codec, const guint8 * payload,
    gsize size, gboolean packed)
{
  return codec->klass->needs_features
      && codec->klass->needs_features (codec, payload, size, packed);
}

void
rd_codec_set (RdCodec * codec, const RdSettings * settings)
{
  if (codec->klass->set)
    codec->klass->set (codec, settings);
}

guint64
rd_codec_clipped (const RdCodec * codec)
{
  return codec->clipped;
}

gsize
rd_codec_bound (const RdCodec * codec, gsize n)
{
  return n ? codec->klass->bound (codec, n) : 0;
}

static void
set_not_finite (const RdCodec * codec, const RdRows * rows, const gfloat * x,
    GError ** error)
{
  gsize i = 0;

  while (rd_float_abs_bits (x[i]) < RD_FLOAT_INFINITY_BITS)
    i++;
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
      "%s in row %" G_GSIZE_FORMAT " (position %" G_GUINT64_FORMAT
      "), channel %" G_GSIZE_FORMAT " of the hidden states",
      rd_float_abs_bits (x[i]) == RD_FLOAT_INFINITY_BITS ? "infinity" : "NaN",
      i / codec->hidden_size,
      (guint64) rows->position + i / codec->hidden_size,
      i % codec->hidden_size);
}

/* FALSE if a value is not finite. Counts what the codec is going to clip. */
static gboolean
check_values (RdCodec * codec, const RdRows * rows, const gfloat * x,
    GError ** error)
{
  gsize n = rows->n * codec->hidden_size;
  guint32 max = rd_float_max_abs_bits (x, n), limit =
      rd_float_abs_bits (codec->limit);

  if (max >= RD_FLOAT_INFINITY_BITS) {
    set_not_finite (codec, rows, x, error);
    return FALSE;
  }
  if (max > limit) {
    for (gsize i = 0; i < n; i++)
      codec->clipped += rd_float_abs_bits (x[i]) > limit;
  }
  return TRUE;
}

gboolean
rd_codec_encode (RdCodec * codec, const RdRows * rows, const gfloat * x,
    gboolean allow_pack, GByteArray * out, gboolean * packed, GError ** error)
{
  gsize bound = rd_codec_bound (codec, rows->n);
  fenv_t env;
  gboolean ok;

  *packed = FALSE;
  /* GByteArray counts in 32 bits and aborts when it overflows */
  if (bound == 0 || bound > G_MAXUINT32 / 2 - out->len) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "%" G_GSIZE_FORMAT " tokens of %u values do not make one payload",
        rows->n, codec->hidden_size);
    return FALSE;
  }
  if (!check_values (codec, rows, x, error))
    return FALSE;
  fegetenv (&env);
  fesetenv (FE_DFL_ENV);
  ok = codec->klass->encode (codec, rows, x, allow_pack, out, packed, error);
  fesetenv (&env);
  return ok;
}

gboolean
rd_codec_check (const RdCodec * codec, gsize n, gsize size, gboolean packed,
    GError ** error)
{
  if (rd_codec_bound (codec, n) == 0) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD,
        "a payload cannot hold %" G_GSIZE_FORMAT " tokens", n);
    return FALSE;
  }
  return codec->klass->check (codec, n, size, packed, error);
}

gboolean
rd_codec_decode (RdCodec * codec, const RdRows * rows, const guint8 * payload,
    gsize size, gboolean packed, gfloat * x, GError ** error)
{
  fenv_t env;
  gboolean ok;

  if (!rd_codec_check (codec, rows->n, size, packed, error))
    return FALSE;
  fegetenv (&env);
  fesetenv (FE_DFL_ENV);
  ok = codec->klass->decode (codec, rows, payload, size, packed, x, error);
  fesetenv (&env);
  return ok;
}

gdouble
rd_codec_ideal_bits (RdCodec * codec, const RdRows * rows,
    const guint8 * payload, gsize size)
{
  fenv_t env;
  gdouble bits;

  if (!codec->klass->ideal_bits)
    return 8. * (gdouble) size;
  if (!rd_codec_check (codec, rows->n, size, FALSE, NULL))
    return -1;
  fegetenv (&env);
  fesetenv (FE_DFL_ENV);
  bits = codec->klass->ideal_bits (codec, rows, payload, size);
  fesetenv (&env);
  return bits;
}
