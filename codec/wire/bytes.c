#include "codec/wire/bytes.h"

RdVarint
rd_varint_decode (const guint8 * data, gsize size, guint bits, guint64 * value,
    gsize * used)
{
  guint64 v = 0;
  guint shift = 0;
  gsize i;

  for (i = 0; i < size && shift < bits; i++, shift += 7) {
    guint64 group = data[i] & 0x7f;

    if (shift + 7 > bits && group >> (bits - shift))
      return RD_VARINT_BAD;
    v |= group << shift;
    if (!(data[i] & 0x80)) {
      /* a last group of zero would be a second spelling of the same number */
      if (i > 0 && group == 0)
        return RD_VARINT_BAD;
      *value = v;
      *used = i + 1;
      return RD_VARINT_OK;
    }
  }
  return shift < bits ? RD_VARINT_SHORT : RD_VARINT_BAD;
}

gsize
rd_varint_size (guint64 value)
{
  gsize n = 1;

  while (value >>= 7)
    n++;
  return n;
}

void
rd_varint_append (GByteArray * out, guint64 value)
{
  guint8 buf[10];
  guint n = 0;

  do {
    buf[n++] = (value & 0x7f) | (value > 0x7f ? 0x80 : 0);
    value >>= 7;
  } while (value);
  g_byte_array_append (out, buf, n);
}

const guint8 *
rd_read_bytes (RdReader * reader, gsize n)
{
  const guint8 *at = reader->data + reader->at;

  if (reader->bad || n > reader->size - reader->at) {
    reader->bad = TRUE;
    return NULL;
  }
  reader->at += n;
  return at;
}

guint64
rd_read_le (RdReader * reader, guint bytes)
{
  const guint8 *at = rd_read_bytes (reader, bytes);
  guint64 v = 0;
  guint i;

  if (!at)
    return 0;
  for (i = 0; i < bytes; i++)
    v |= (guint64) at[i] << (8 * i);
  return v;
}

guint8
rd_read_u8 (RdReader * reader)
{
  return (guint8) rd_read_le (reader, 1);
}

static guint64
rd_read_varint (RdReader * reader, guint bits)
{
  guint64 v = 0;
  gsize used = 0;

  if (reader->bad)
    return 0;
  if (rd_varint_decode (reader->data + reader->at, reader->size - reader->at,
          bits, &v, &used) != RD_VARINT_OK) {
    reader->bad = TRUE;
    return 0;
  }
  reader->at += used;
  return v;
}

guint32
rd_read_varint32 (RdReader * reader)
{
  return (guint32) rd_read_varint (reader, 32);
}

guint64
rd_read_varint64 (RdReader * reader)
{
  return rd_read_varint (reader, 64);
}

void
rd_append_u8 (GByteArray * out, guint8 value)
{
  g_byte_array_append (out, &value, 1);
}

void
rd_append_le (GByteArray * out, guint64 value, guint bytes)
{
  guint8 buf[8];
  guint i;

  for (i = 0; i < bytes; i++)
    buf[i] = (guint8) (value >> (8 * i));
  g_byte_array_append (out, buf, bytes);
}
