/* The learned codec behind the interface of codecs. */
#include "codec/learned/learned.h"
#include "codec/codec-class.h"
#include "codec/float-bits.h"
#include "codec/learned/coder.h"
#include "codec/simple/pack.h"

#include <math.h>
#include <string.h>

#define LEVEL_MASK (RD_LEARNED_LEVELS - 1)
#define EXTENDED 0x80

enum
{
  FLAG_SCALAR = 1 << 0,
  FLAG_FEATURES = 1 << 1,
  FLAG_LOSSLESS = 1 << 2,
  FLAG_LENGTHS = 1 << 3,
  FLAG_PLANES = 1 << 4,
  FLAGS_ALL = 0x1f
};

typedef struct
{
  RdCodec codec;
  const RdLearnedModel *model;
  RdCoder *coder;
  RdCodecInfo info;
  RdPacker *packer;
  guint level;
  gboolean scalar, lossless;
} LearnedCodec;

/* ---- settings ---- */

static void
learned_set (RdCodec * codec, const RdSettings * settings)
{
  LearnedCodec *self = (LearnedCodec *) codec;

  self->level = rd_codec_quality_level (settings->quality);
  self->scalar = settings->complexity <= RD_LEARNED_SCALAR_COMPLEXITY;
  self->lossless = settings->lossless;
}

static gint
learned_level (const RdCodec * codec)
{
  const LearnedCodec *self = (const LearnedCodec *) codec;

  return self->lossless ? RD_LEARNED_LEVELS - 1 : (gint) self->level;
}

static const RdCodecInfo *
learned_info (const RdCodec * codec)
{
  return &((const LearnedCodec *) codec)->info;
}

/* ---- sizes ---- */

/* A value beyond a table takes at most about 60 bits; whatever needs more than its 32 goes RAW only if it cannot be coded at all. */
static gsize
learned_bound (const RdCodec * codec, gsize n)
{
  const LearnedCodec *self = (const LearnedCodec *) codec;
  const RdLearnedNetworks *networks = self->model->p->networks;
  gsize row = (gsize) codec->hidden_size + 4, bound;

  if (networks)
    row += networks->n_latents;
  return n <= RD_LEARNED_MAX_ROWS && g_size_checked_mul (&bound, n, 8 * row)
      && g_size_checked_add (&bound, bound, 64) ? bound : 0;
}

static gboolean
learned_check (const RdCodec * codec, gsize n, gsize size, gboolean packed,
    GError ** error)
{
  gsize blocks = (n + RD_BLOCK_ROWS - 1) / RD_BLOCK_ROWS;

  (void) codec;
  if (!packed && size > blocks)
    return TRUE;
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD,
      packed ? "%" G_GSIZE_FORMAT " tokens in %" G_GSIZE_FORMAT
      " bytes: payloads of codec files are not packed" : "%" G_GSIZE_FORMAT
      " tokens do not fit a payload of %" G_GSIZE_FORMAT " bytes", n, size);
  return FALSE;
}

/* ---- encoder ---- */

static void
encode_lossless (LearnedCodec * self, const gfloat * x, gsize n,
    GByteArray * out)
{
  gsize values = n * self->codec.hidden_size;
  g_autoptr (GByteArray) bytes = g_byte_array_sized_new ((guint) values * 4);
  const GByteArray *planes;

  for (gsize i = 0; i < values; i++)
    rd_append_le (bytes, rd_float_to_bits (x[i]), 4);
  planes = rd_packer_pack (self->packer, bytes->data, bytes->len, 4);
  rd_append_u8 (out, EXTENDED);
  rd_append_u8 (out, FLAG_LOSSLESS | (planes ? FLAG_PLANES : 0));
  g_byte_array_append (out, planes ? planes->data : bytes->data,
      planes ? planes->len : bytes->len);
}

/* Blocks into @body; the last one's length is taken out again where it need not be told. */
static gboolean
encode_blocks (LearnedCodec * self, const RdRows * rows, const gfloat * x,
    GByteArray * body, guint * flags, GError ** error)
{
  gsize n_raw = 0, last = 0;

  for (gsize t = 0; t < rows->n; t += RD_BLOCK_ROWS) {
    last = body->len;
    if (!rd_coder_encode (self->coder, rows, x, t,
            MIN (RD_BLOCK_ROWS, rows->n - t), body, &n_raw, error))
      return FALSE;
  }
  if (n_raw > 0) {
    *flags |= FLAG_LENGTHS;
  } else {
    guint64 length;
    gsize used;

    rd_varint_decode (body->data + last, body->len - last, 64, &length, &used);
    g_byte_array_remove_range (body, (guint) last, (guint) used);
  }
  return TRUE;
}

static gboolean
learned_encode (RdCodec * codec, const RdRows * rows, const gfloat * x,
    gboolean allow_pack, GByteArray * out, gboolean * packed, GError ** error)
{
  LearnedCodec *self = (LearnedCodec *) codec;
  g_autoptr (GByteArray) body = g_byte_array_new ();
  gboolean features = rows->features && self->info.side_info;
  guint flags = (self->scalar ? FLAG_SCALAR : 0)
      | (features ? FLAG_FEATURES : 0);
  RdRows own = *rows;

  (void) allow_pack;
  *packed = FALSE;
  if (self->lossless) {
    encode_lossless (self, x, rows->n, out);
    return TRUE;
  }
  if (!features)
    own.features = NULL;
  if (!rd_coder_set_encoder (self->coder, features ? 1 : 0, self->level,
          self->scalar, error)
      || !encode_blocks (self, &own, x, body, &flags, error))
    return FALSE;
  rd_append_u8 (out, (guint8) (self->level | (flags ? EXTENDED : 0)));
  if (flags)
    rd_append_u8 (out, (guint8) flags);
  g_byte_array_append (out, body->data, body->len);
  return TRUE;
}

/* ---- decoder ---- */

/* First bytes of a payload; FALSE if there are none such. */
static gboolean
read_start (RdReader * reader, guint * level, guint * flags)
{
  guint8 first = rd_read_u8 (reader);

  *level = first & LEVEL_MASK;
  *flags = first & EXTENDED ? rd_read_u8 (reader) : 0;
  if (reader->bad || (first & EXTENDED && *flags == 0)
      || *flags & ~(guint) FLAGS_ALL)
    return FALSE;
  if (*flags & FLAG_LOSSLESS)
    return *level == 0 && !(*flags & ~(guint) (FLAG_LOSSLESS | FLAG_PLANES));
  return !(*flags & FLAG_PLANES);
}

static gboolean
learned_needs_features (const RdCodec * codec, const guint8 * payload,
    gsize size, gboolean packed)
{
  RdReader reader = { payload, size, 0, FALSE };
  guint level, flags;

  (void) codec;
  return !packed && read_start (&reader, &level, &flags)
      && flags & FLAG_FEATURES;
}

static gint
learned_payload_level (const RdCodec * codec, const guint8 * payload,
    gsize size, gboolean packed)
{
  RdReader reader = { payload, size, 0, FALSE };
  guint level, flags;

  (void) codec;
  if (packed || !read_start (&reader, &level, &flags))
    return -1;
  return flags & FLAG_LOSSLESS ? RD_LEARNED_LEVELS - 1 : (gint) level;
}

static gboolean
decode_lossless (LearnedCodec * self, gsize n, RdReader * reader,
    gboolean planes, gfloat * x, GError ** error)
{
  gsize values = n * self->codec.hidden_size, left = reader->size - reader->at;
  const guint8 *bytes = reader->data + reader->at;

  if (planes) {
    if (left >= values * 4 || left < values * 4 / RD_CODEC_MAX_PACK_RATIO)
      return rd_coder_damaged (error, "its size is not that of packed rows");
    bytes = rd_packer_unpack (self->packer, bytes, left, 4, values * 4, error);
    if (!bytes)
      return FALSE;
    left = values * 4;
  }
  if (left != values * 4)
    return rd_coder_damaged (error, "its size is not that of its rows");
  RdReader floats = { bytes, left, 0, FALSE };
  for (gsize i = 0; i < values; i++)
    x[i] = rd_float_from_bits ((guint32) rd_read_le (&floats, 4));
  return rd_float_max_abs_bits (x, values) < RD_FLOAT_INFINITY_BITS
      || rd_coder_damaged (error, "a value is not finite");
}

static gboolean
decode_blocks (LearnedCodec * self, const RdRows * rows, RdReader * reader,
    gboolean lengths, gfloat * x, gdouble * bits, GError ** error)
{
  for (gsize t = 0; t < rows->n; t += RD_BLOCK_ROWS) {
    gboolean last = t + RD_BLOCK_ROWS >= rows->n;
    RdBlock block = {
      .rows = rows,.from = t,.n = MIN (RD_BLOCK_ROWS, rows->n - t),
      .reader = reader,.may_be_raw = lengths,
      .x = x + t * self->codec.hidden_size,.bits = bits,
    };

    block.length = last && !lengths ? reader->size - reader->at :
        rd_read_varint32 (reader);
    if (reader->bad)
      return rd_coder_damaged (error, "it ends before a block");
    if (!rd_coder_decode (self->coder, &block, error))
      return FALSE;
  }
  return reader->at == reader->size
      || rd_coder_damaged (error, "bytes are left behind the last row");
}

static gboolean
decode (LearnedCodec * self, const RdRows * rows, const guint8 * payload,
    gsize size, gfloat * x, gdouble * bits, GError ** error)
{
  RdReader reader = { payload, size, 0, FALSE };
  RdRows own = *rows;
  guint level, flags;

  if (!read_start (&reader, &level, &flags))
    return rd_coder_damaged (error,
        "its first bytes are not those of a codec file's");
  if (flags & FLAG_LOSSLESS)
    return decode_lossless (self, rows->n, &reader,
        (flags & FLAG_PLANES) != 0, x, error);
  if (flags & FLAG_FEATURES && !self->info.side_info)
    return rd_coder_damaged (error,
        "it is predicted, and this codec file cannot");
  if (flags & FLAG_FEATURES && !rows->features) {
    g_set_error_literal (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD,
        "the payload uses token side information, which is not known here");
    return FALSE;
  }
  if (!(flags & FLAG_FEATURES))
    own.features = NULL;
  rd_coder_set (self->coder, flags & FLAG_FEATURES ? 1 : 0, level,
      (flags & FLAG_SCALAR) != 0);
  return decode_blocks (self, &own, &reader, (flags & FLAG_LENGTHS) != 0, x,
      bits, error);
}

static gboolean
learned_decode (RdCodec * codec, const RdRows * rows, const guint8 * payload,
    gsize size, gboolean packed, gfloat * x, GError ** error)
{
  (void) packed;
  return decode ((LearnedCodec *) codec, rows, payload, size, x, NULL, error);
}

static gdouble
learned_ideal_bits (RdCodec * codec, const RdRows * rows,
    const guint8 * payload, gsize size)
{
  gsize n = rows->n * codec->hidden_size;
  g_autofree gfloat *x = g_new (gfloat, n), *none = g_new0 (gfloat, n);
  RdRows own = *rows;
  gdouble bits = 0;

  /* symbols and tables do not depend on features */
  own.features = none;
  if (!decode ((LearnedCodec *) codec, &own, payload, size, x, &bits, NULL))
    return -1;
  return bits > 0 ? bits : 8. * (gdouble) size;
}

/* ---- life ---- */

static void
learned_free (RdCodec * codec)
{
  LearnedCodec *self = (LearnedCodec *) codec;

  rd_coder_free (self->coder);
  rd_learned_model_close (self->model);
  rd_packer_free (self->packer);
  g_free (self);
}

static const RdCodecClass learned_class = {
  .bound = learned_bound,.encode = learned_encode,.check = learned_check,
  .decode = learned_decode,.free = learned_free,.set = learned_set,
  .info = learned_info,.needs_features = learned_needs_features,
  .level = learned_level,.payload_level = learned_payload_level,
  .ideal_bits = learned_ideal_bits,
};

static void
set_info (LearnedCodec * self)
{
  const RdLearnedParameters *p = self->model->p;

  memcpy (self->info.model_id, p->model_id, sizeof p->model_id);
  self->info.model_name = p->model_name ? p->model_name : "";
  self->info.split_layer = p->split_layer;
  self->info.hidden_size = p->hidden_size;
  self->info.side_info = p->side_info;
  self->info.n_blocks = p->n_blocks;
  self->info.adapters = self->model->adapters;
}

RdCodec *
rd_learned_new (const gchar * path, guint hidden_size, GError ** error)
{
  static const RdSettings defaults = { RD_QUALITY_DEFAULT,
    RD_COMPLEXITY_DEFAULT, FALSE
  };
  const RdLearnedModel *model = rd_learned_model_open (path, error);
  LearnedCodec *self;

  if (!model)
    return NULL;
  if (hidden_size != 0 && model->p->hidden_size != hidden_size) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "codec file %s is for hidden states of %u values, not of %u", path,
        model->p->hidden_size, hidden_size);
    rd_learned_model_close (model);
    return NULL;
  }
  self = g_new0 (LearnedCodec, 1);
  self->model = model;
  self->coder = rd_coder_new (model);
  self->packer = rd_packer_new ();
  self->codec.klass = &learned_class;
  self->codec.id = model->p->id;
  self->codec.hidden_size = model->p->hidden_size;
  self->codec.limit = G_MAXFLOAT;
  set_info (self);
  learned_set (&self->codec, &defaults);
  return &self->codec;
}
