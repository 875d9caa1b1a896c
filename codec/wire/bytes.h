/* Reading and writing of the fields of frames: bounds are checked here and nowhere else. Private to codec/wire. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** RdReader: a cursor. A read beyond the end or a malformed field sets `bad` and gives zero; the caller checks `bad` once at the end. */
typedef struct
{
  const guint8 *data;
  gsize size, at;
  gboolean bad;
} RdReader;

/** RdVarint: what rd_varint_decode() found. */
typedef enum { RD_VARINT_OK, RD_VARINT_SHORT, RD_VARINT_BAD } RdVarint;

/** rd_varint_decode: base-128, lowest group first, at most @bits (32 or 64) bits, shortest form only. *used: its bytes. */
RdVarint rd_varint_decode (const guint8 * data, gsize size, guint bits, guint64 * value, gsize * used);
/** rd_varint_append: the shortest form, at most 10 bytes. */
void rd_varint_append (GByteArray * out, guint64 value);
gsize rd_varint_size (guint64 value);

guint8 rd_read_u8 (RdReader * reader);
guint64 rd_read_le (RdReader * reader, guint bytes);
guint32 rd_read_varint32 (RdReader * reader);
guint64 rd_read_varint64 (RdReader * reader);
/** rd_read_bytes: @n bytes in place, NULL (and `bad`) if there are not so many. */
const guint8 *rd_read_bytes (RdReader * reader, gsize n);

void rd_append_u8 (GByteArray * out, guint8 value);
void rd_append_le (GByteArray * out, guint64 value, guint bytes);

G_END_DECLS
