#include "codec/simple/pack.h"
#include "codec/codec.h"

#include <string.h>
#include <zstd.h>

#define ZSTD_LEVEL 3
#define MAGIC_BYTES 4           /* of every zstd frame: not sent */
#define MAX_VARINT_BYTES 9

static const guint8 zstd_magic[MAGIC_BYTES] = { 0x28, 0xb5, 0x2f, 0xfd };

struct _RdPacker
{
  ZSTD_CCtx *cctx;
  ZSTD_DCtx *dctx;
  GByteArray *planes;           /* all planes one after the other */
  GByteArray *frame;            /* one zstd frame with its magic number */
  GByteArray *data;             /* planes put together again */
  GByteArray *packed;
};

RdPacker *
rd_packer_new (void)
{
  RdPacker *packer = g_new0 (RdPacker, 1);

  packer->cctx = ZSTD_createCCtx ();
  packer->dctx = ZSTD_createDCtx ();
  if (!packer->cctx || !packer->dctx)
    g_error ("out of memory");  /* as g_malloc() does */
  ZSTD_CCtx_setParameter (packer->cctx, ZSTD_c_compressionLevel, ZSTD_LEVEL);
  ZSTD_CCtx_setParameter (packer->cctx, ZSTD_c_contentSizeFlag, 0);
  packer->planes = g_byte_array_new ();
  packer->frame = g_byte_array_new ();
  packer->data = g_byte_array_new ();
  packer->packed = g_byte_array_new ();
  return packer;
}

void
rd_packer_free (RdPacker * packer)
{
  ZSTD_freeCCtx (packer->cctx);
  ZSTD_freeDCtx (packer->dctx);
  g_byte_array_unref (packer->planes);
  g_byte_array_unref (packer->frame);
  g_byte_array_unref (packer->data);
  g_byte_array_unref (packer->packed);
  g_free (packer);
}

static void
split (const guint8 * data, gsize size, guint planes, guint8 * out)
{
  gsize n = size / planes;

  for (guint p = 0; p < planes; p++) {
    for (gsize i = 0; i < n; i++)
      out[p * n + i] = data[i * planes + p];
  }
}

static void
join (const guint8 * data, gsize size, guint planes, guint8 * out)
{
  gsize n = size / planes;

  for (guint p = 0; p < planes; p++) {
    for (gsize i = 0; i < n; i++)
      out[i * planes + p] = data[p * n + i];
  }
}

static void
append_varint (GByteArray * out, gsize value)
{
  guint8 bytes[MAX_VARINT_BYTES];
  guint n = 0;

  while (value >= 0x80) {
    bytes[n++] = (value & 0x7f) | 0x80;
    value >>= 7;
  }
  bytes[n++] = (guint8) value;
  g_byte_array_append (out, bytes, n);
}

/* Bytes used, 0 if there is no number. */
static gsize
read_varint (const guint8 * bytes, gsize size, gsize * value)
{
  *value = 0;
  for (gsize n = 0; n < size && n < MAX_VARINT_BYTES; n++) {
    *value |= (gsize) (bytes[n] & 0x7f) << (7 * n);
    if (bytes[n] < 0x80)
      return n + 1;
  }
  return 0;
}

/* Appends one plane: its length compressed and the zstd frame, or 0 and the plane itself. */
static void
pack_plane (RdPacker * packer, const guint8 * plane, gsize n, GByteArray * out)
{
  GByteArray *frame = packer->frame;
  gsize used;

  g_byte_array_set_size (frame, ZSTD_compressBound (n));
  used = ZSTD_compress2 (packer->cctx, frame->data, frame->len, plane, n);
  if (ZSTD_isError (used) || used - MAGIC_BYTES >= n) {
    append_varint (out, 0);
    g_byte_array_append (out, plane, n);
    return;
  }
  append_varint (out, used - MAGIC_BYTES);
  g_byte_array_append (out, frame->data + MAGIC_BYTES, used - MAGIC_BYTES);
}

const GByteArray *
rd_packer_pack (RdPacker * packer, const guint8 * data, gsize size,
    guint planes)
{
  GByteArray *packed = packer->packed;
  gsize n = size / planes;

  g_byte_array_set_size (packed, 0);
  g_byte_array_set_size (packer->planes, size);
  split (data, size, planes, packer->planes->data);
  for (guint p = 0; p < planes; p++)
    pack_plane (packer, packer->planes->data + p * n, n, packed);
  if (packed->len < size && packed->len >= size / RD_CODEC_MAX_PACK_RATIO)
    return packed;
  return NULL;
}

/* One plane of @n bytes from the zstd frame @bytes, which lacks its magic number. */
static gboolean
unpack_frame (RdPacker * packer, const guint8 * bytes, gsize size,
    guint8 * plane, gsize n, GError ** error)
{
  GByteArray *frame = packer->frame;
  gsize used;

  g_byte_array_set_size (frame, 0);
  g_byte_array_append (frame, zstd_magic, MAGIC_BYTES);
  g_byte_array_append (frame, bytes, size);
  /* one frame and nothing behind it; what it makes is bounded by the room there is */
  used = ZSTD_findFrameCompressedSize (frame->data, frame->len);
  if (!ZSTD_isError (used) && used != frame->len) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD,
        "damaged payload: bytes behind the zstd frame");
    return FALSE;
  }
  used = ZSTD_decompressDCtx (packer->dctx, plane, n, frame->data, frame->len);
  if (!ZSTD_isError (used) && used == n)
    return TRUE;
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD,
      "damaged payload: %s", ZSTD_isError (used) ? ZSTD_getErrorName (used)
      : "the zstd frame is too short");
  return FALSE;
}

/* Bytes of @payload used for one plane, 0 on an error. */
static gsize
unpack_plane (RdPacker * packer, const guint8 * payload, gsize size,
    guint8 * plane, gsize n, GError ** error)
{
  gsize length, used = read_varint (payload, size, &length);
  gsize stored = length ? length : n;

  if (used == 0 || stored > size - used || length >= n) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD,
        "damaged payload: a plane's length does not fit");
    return 0;
  }
  if (length == 0)
    memcpy (plane, payload + used, n);
  else if (!unpack_frame (packer, payload + used, length, plane, n, error))
    return 0;
  return used + stored;
}

const guint8 *
rd_packer_unpack (RdPacker * packer, const guint8 * payload,
    gsize payload_size, guint planes, gsize size, GError ** error)
{
  gsize n = size / planes, at = 0;

  g_byte_array_set_size (packer->planes, size);
  for (guint p = 0; p < planes; p++) {
    gsize used = unpack_plane (packer, payload + at, payload_size - at,
        packer->planes->data + p * n, n, error);
    if (used == 0)
      return NULL;
    at += used;
  }
  if (at != payload_size) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD,
        "damaged payload: %" G_GSIZE_FORMAT " bytes too many",
        payload_size - at);
    return NULL;
  }
  if (planes == 1)
    return packer->planes->data;
  g_byte_array_set_size (packer->data, size);
  join (packer->planes->data, size, planes, packer->data->data);
  return packer->data->data;
}
