/* f32, f16, int8, int4: rows of fixed size one after the other, packed by zstd where that is smaller. FORMAT.md is the specification. */
#include "codec/simple/simple.h"
#include "codec/float-bits.h"
#include "codec/simple/half.h"
#include "codec/simple/pack.h"
#include "codec/simple/quantize.h"

#include <float.h>
#include <string.h>

/* Payloads stay below this: sizes are 32 bits wide in GByteArray and doubled nowhere. */
#define MAX_PAYLOAD (G_MAXUINT32 / 4)

typedef struct
{
  const gchar *name;
  guint planes;                 /* byte planes that zstd sees */
  gfloat limit;
    gsize (*row_bytes) (gsize n);
  void (*encode_row) (const gfloat * x, guint8 * bytes, gsize n);
    gboolean (*decode_row) (const guint8 * bytes, gfloat * x, gsize n);
} SimpleFormat;

typedef struct
{
  RdCodec codec;
  const SimpleFormat *format;
  gsize row_bytes;
  RdPacker *packer;
} SimpleCodec;

static gsize
f32_row_bytes (gsize n)
{
  return 4 * n;
}

static void
f32_encode_row (const gfloat * x, guint8 * bytes, gsize n)
{
#if G_BYTE_ORDER == G_LITTLE_ENDIAN
  memcpy (bytes, x, 4 * n);
#else
  for (gsize i = 0; i < n; i++) {
    guint32 bits = GUINT32_TO_LE (rd_float_to_bits (x[i]));
    memcpy (bytes + 4 * i, &bits, sizeof bits);
  }
#endif
}

static gboolean
f32_decode_row (const guint8 * bytes, gfloat * x, gsize n)
{
  guint32 max = 0;

  for (gsize i = 0; i < n; i++) {
    guint32 bits;
    memcpy (&bits, bytes + 4 * i, sizeof bits);
    bits = GUINT32_FROM_LE (bits);
    memcpy (x + i, &bits, sizeof bits);
    max = MAX (max, bits & 0x7fffffffu);
  }
  return max < RD_FLOAT_INFINITY_BITS;
}

static gsize
f16_row_bytes (gsize n)
{
  return 2 * n;
}

static const SimpleFormat formats[] = {
  {"f32", 4, FLT_MAX, f32_row_bytes, f32_encode_row, f32_decode_row},
  {"f16", 2, RD_HALF_MAX, f16_row_bytes, rd_half_from_floats,
      rd_half_to_floats},
  {"int8", 1, FLT_MAX, rd_int8_row_bytes, rd_int8_encode_row,
      rd_int8_decode_row},
  {"int4", 1, 8 * RD_HALF_MAX, rd_int4_row_bytes, rd_int4_encode_row,
      rd_int4_decode_row},
};

static const SimpleFormat *
find_format (const gchar * name)
{
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    if (strcmp (formats[i].name, name) == 0)
      return &formats[i];
  }
  return NULL;
}

const gchar *
rd_simple_names (void)
{
  return "f32, f16, int8, int4";
}

gboolean
rd_simple_find (const gchar * name)
{
  return find_format (name) != NULL;
}

static gsize
simple_bound (const RdCodec * codec, gsize n)
{
  gsize row_bytes = ((const SimpleCodec *) codec)->row_bytes;

  return n > MAX_PAYLOAD / row_bytes ? 0 : n * row_bytes;
}

static gboolean
simple_encode (RdCodec * codec, const RdRows * rows, const gfloat * x,
    gboolean allow_pack, GByteArray * out, gboolean * packed,
    G_GNUC_UNUSED GError ** error)
{
  SimpleCodec *self = (SimpleCodec *) codec;
  gsize begin = out->len, size = rows->n * self->row_bytes;
  const GByteArray *smaller;

  g_byte_array_set_size (out, begin + size);
  for (gsize r = 0; r < rows->n; r++) {
    self->format->encode_row (x + r * codec->hidden_size,
        out->data + begin + r * self->row_bytes, codec->hidden_size);
  }
  if (!allow_pack)
    return TRUE;
  smaller = rd_packer_pack (self->packer, out->data + begin, size,
      self->format->planes);
  if (smaller) {
    g_byte_array_set_size (out, begin);
    g_byte_array_append (out, smaller->data, smaller->len);
    *packed = TRUE;
  }
  return TRUE;
}

static gboolean
simple_check (const RdCodec * codec, gsize n, gsize size, gboolean packed,
    GError ** error)
{
  gsize raw = simple_bound (codec, n);
  gboolean fits = packed ? size < raw && size >= raw / RD_CODEC_MAX_PACK_RATIO
      : size == raw;

  if (!fits) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD,
        "damaged payload: %" G_GSIZE_FORMAT " bytes of %s%s cannot be %"
        G_GSIZE_FORMAT " tokens of %u values (%" G_GSIZE_FORMAT
        " bytes unpacked)", size, packed ? "packed " : "", codec->id, n,
        codec->hidden_size, raw);
  }
  return fits;
}

static gboolean
simple_decode (RdCodec * codec, const RdRows * rows, const guint8 * payload,
    gsize size, gboolean packed, gfloat * x, GError ** error)
{
  SimpleCodec *self = (SimpleCodec *) codec;

  if (packed) {
    payload = rd_packer_unpack (self->packer, payload, size,
        self->format->planes, rows->n * self->row_bytes, error);
    if (!payload)
      return FALSE;
  }
  for (gsize r = 0; r < rows->n; r++) {
    if (self->format->decode_row (payload + r * self->row_bytes,
            x + r * codec->hidden_size, codec->hidden_size))
      continue;
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD,
        "damaged payload: row %" G_GSIZE_FORMAT " is no %s", r, codec->id);
    return FALSE;
  }
  return TRUE;
}

static void
simple_free (RdCodec * codec)
{
  SimpleCodec *self = (SimpleCodec *) codec;

  rd_packer_free (self->packer);
  g_free (self);
}

static const RdCodecClass simple_class = {
  .bound = simple_bound,.encode = simple_encode,.check = simple_check,
  .decode = simple_decode,.free = simple_free,
};

RdCodec *
rd_simple_new (const gchar * name, guint hidden_size)
{
  const SimpleFormat *format = find_format (name);
  SimpleCodec *self = g_new0 (SimpleCodec, 1);

  self->codec.klass = &simple_class;
  self->codec.id = format->name;
  self->codec.hidden_size = hidden_size;
  self->codec.limit = format->limit;
  self->format = format;
  self->row_bytes = format->row_bytes (hidden_size);
  self->packer = rd_packer_new ();
  return &self->codec;
}
