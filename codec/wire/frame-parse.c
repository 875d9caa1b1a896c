#include <string.h>
#include "codec/wire/bytes.h"
#include "codec/wire/layout.h"

G_DEFINE_QUARK (rd - wire - error - quark, rd_wire_error)
     static gboolean
         parse_error (GError ** error, RdWireError code, const gchar * what)
{
  g_set_error_literal (error, RD_WIRE_ERROR, code, what);
  return FALSE;
}

static gboolean
parse_invalid (GError ** error, const gchar * what)
{
  return parse_error (error, RD_WIRE_ERROR_INVALID, what);
}

guint16
rd_session_check (const guint8 session_id[RD_SESSION_ID_BYTES],
    guint32 first_sequence)
{
  guint32 le = GUINT32_TO_LE (first_sequence);
  guint32 crc = rd_crc32c (0, session_id, RD_SESSION_ID_BYTES);

  return (guint16) (rd_crc32c (crc, &le, sizeof le) % 65535 + 1);
}

gsize
rd_frame_scan (const guint8 * data, gsize size)
{
  gsize at = 0;

  while (at < size) {
    const guint8 *p = memchr (data + at, RD_WIRE_SYNC_0, size - at);

    if (!p)
      return size;
    at = (gsize) (p - data);
    if (at + 1 == size || data[at + 1] == RD_WIRE_SYNC_1)
      return at;
    at++;
  }
  return size;
}

static gboolean
parse_records (RdReader * r, RdFrame * frame, GError ** error)
{
  guint32 size = rd_read_varint32 (r);
  const guint8 *data = rd_read_bytes (r, size);
  RdReader sub = { data, size, 0, data == NULL };

  while (!sub.bad && sub.at < sub.size) {
    guint32 tag = rd_read_varint32 (&sub);
    guint32 length = rd_read_varint32 (&sub);
    const guint8 *value = rd_read_bytes (&sub, length);

    if (!value)
      break;
    if (tag == RD_RECORD_COOKIE) {
      if (length != RD_COOKIE_BYTES || frame->has_cookie)
        return parse_invalid (error, "a cookie of the wrong size");
      frame->has_cookie = TRUE;
      memcpy (frame->cookie, value, RD_COOKIE_BYTES);
    } else if (tag % 2 == 0) {
      g_set_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_INVALID,
          "the frame needs extension record %u, which this version does not "
          "know", tag);
      return FALSE;
    }
  }
  return !sub.bad || parse_invalid (error, "damaged extension records");
}

static gboolean
check_extension (const RdFrame * frame, guint8 flags)
{
  if (flags == 0)
    return FALSE;
  if ((flags & RD_EXT_COUNT) && (frame->count < 2
          || frame->count > RD_MAX_FRAME_TOKENS))
    return FALSE;
  if (frame->truncate && !frame->has_epoch)
    return FALSE;
  if (frame->given && frame->n_ids == 0)
    return FALSE;
  if ((flags & RD_EXT_IDS)
      && frame->n_ids != frame->count + (frame->given ? 1 : 0)
      && !(frame->given && frame->n_ids == 1))
    return FALSE;
  if ((flags & RD_EXT_FRAGMENT) && (frame->fragment_total == 0
          || frame->fragment_offset >= frame->fragment_total))
    return FALSE;
  return TRUE;
}

static gboolean
parse_extension (RdReader * r, RdFrame * frame, GError ** error)
{
  guint8 flags = rd_read_u8 (r);

  if (flags & RD_EXT_COUNT)
    frame->count = rd_read_varint32 (r);
  if (flags & RD_EXT_EPOCH)
    frame->epoch = rd_read_varint32 (r);
  frame->has_epoch = (flags & RD_EXT_EPOCH) != 0;
  frame->truncate = (flags & RD_EXT_TRUNCATE) != 0;
  frame->given = (flags & RD_EXT_GIVEN) != 0;
  frame->packed = (flags & RD_EXT_PACKED) != 0;
  if ((flags & RD_EXT_IDS) && !rd_ids_parse (r, rd_read_varint32 (r), frame))
    return parse_invalid (error, "damaged token ids");
  if (flags & RD_EXT_FRAGMENT) {
    frame->fragment_offset = rd_read_varint32 (r);
    frame->fragment_total = rd_read_varint32 (r);
  }
  if (r->bad || !check_extension (frame, flags))
    return parse_invalid (error, "a damaged extension");
  return !(flags & RD_EXT_RECORDS) || parse_records (r, frame, error);
}

static gboolean
parse_states (RdReader * r, RdFrame * frame, guint8 flags, GError ** error)
{
  frame->step = (flags & RD_FLAG_STEP) != 0;
  frame->sample = (flags & RD_FLAG_SAMPLE) != 0;
  frame->payload_size = r->size - r->at;
  frame->payload = rd_read_bytes (r, frame->payload_size);
  if (frame->position > G_MAXUINT32 - frame->count)
    return parse_invalid (error, "positions beyond 32 bits");
  if (frame->fragment_total && (frame->payload_size == 0
          || frame->payload_size > frame->fragment_total -
          frame->fragment_offset))
    return parse_invalid (error, "a fragment outside its payload");
  return TRUE;
}

static gboolean
parse_tokens (RdReader * r, RdFrame * frame, GError ** error)
{
  guint64 zigzag;
  gint64 ack;
  guint32 n;

  frame->check = (guint16) rd_read_le (r, 2);
  frame->instance = (guint16) rd_read_le (r, 2);
  frame->epoch = rd_read_varint32 (r);
  zigzag = rd_read_varint64 (r);
  frame->value = rd_read_varint64 (r);
  frame->finish = rd_read_u8 (r);
  n = rd_read_varint32 (r);
  if (r->bad || zigzag > G_GUINT64_CONSTANT (0x1ffffffff)
      || (guint) frame->finish > RD_FINISH_CONTEXT || n > RD_MAX_FRAME_TOKENS
      || frame->position > G_MAXUINT32 - n)
    return parse_invalid (error, "damaged TOKENS");
  ack = (gint64) frame->position + (zigzag & 1 ? -(gint64) (zigzag / 2) - 1
      : (gint64) (zigzag / 2));
  if (ack < 0 || ack > G_MAXUINT32)
    return parse_invalid (error, "TOKENS acknowledges no position");
  frame->ack_position = (guint32) ack;
  if ((n && !rd_ids_parse (r, n, frame)) || r->at != r->size)
    return parse_invalid (error, "damaged ids in TOKENS");
  return TRUE;
}

static gboolean
parse_control (RdReader * r, RdFrame * frame, GError ** error)
{
  frame->control = rd_read_u8 (r);
  frame->check = (guint16) rd_read_le (r, 2);
  frame->instance = (guint16) rd_read_le (r, 2);
  frame->epoch = rd_read_varint32 (r);
  frame->value = rd_read_varint64 (r);
  frame->aux = rd_read_varint64 (r);
  frame->payload_size = r->size - r->at;
  frame->payload = rd_read_bytes (r, frame->payload_size);
  if (r->bad || frame->payload_size > RD_MAX_CONTROL_TEXT)
    return parse_invalid (error, "damaged CONTROL");
  return TRUE;
}

static gboolean
parse_body (RdReader * r, RdFrame * frame, guint8 flags, GError ** error)
{
  frame->count = 1;
  if ((flags & RD_FLAG_EXTENDED) && !parse_extension (r, frame, error))
    return FALSE;
  switch (frame->type) {
    case RD_FRAME_STATES:
      return parse_states (r, frame, flags, error);
    case RD_FRAME_TOKENS:
      return parse_tokens (r, frame, error);
    case RD_FRAME_CONTROL:
      return parse_control (r, frame, error);
    case RD_FRAME_HEADER:
    default:
      frame->payload_size = r->size - r->at;
      frame->payload = rd_read_bytes (r, frame->payload_size);
      return TRUE;
  }
}

/* Sync, version, position and length. *body: where the body starts; frame->size is set once it is known. */
static gboolean
parse_prefix (const guint8 * data, gsize size, gsize max_frame,
    RdFrame * frame, gsize * body, GError ** error)
{
  static const guint8 sync[2] = { RD_WIRE_SYNC_0, RD_WIRE_SYNC_1 };
  guint64 position = 0, length = 0;
  gsize at = 5, used;
  RdVarint got;

  if (size > 0 && memcmp (data, sync, MIN (size, 2)) != 0)
    return parse_error (error, RD_WIRE_ERROR_SYNC, "no frame starts here");
  if (size > 2 && data[2] >> RD_VTF_VERSION_SHIFT != RD_WIRE_VERSION) {
    g_set_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_VERSION,
        "the frame has version %u, this program knows version %u",
        (guint) data[2] >> RD_VTF_VERSION_SHIFT, (guint) RD_WIRE_VERSION);
    return FALSE;
  }
  if (size < RD_WIRE_MIN_FRAME - 4)
    goto truncated;
  got = rd_varint_decode (data + at, size - at, 32, &position, &used);
  if (got == RD_VARINT_OK) {
    at += used;
    got = rd_varint_decode (data + at, size - at, 32, &length, &used);
  }
  if (got == RD_VARINT_SHORT)
    goto truncated;
  if (got == RD_VARINT_BAD)
    return parse_invalid (error, "a damaged position or length");
  at += used;
  if (length > G_MAXUINT32 - at - 4 || length + at + 4 > max_frame)
    return parse_invalid (error, "the declared length is above the limit");
  frame->position = (guint32) position;
  frame->size = at + (gsize) length + 4;
  *body = at;
  return TRUE;

truncated:
  return parse_error (error, RD_WIRE_ERROR_TRUNCATED, "more bytes are needed");
}

gboolean
rd_frame_parse (const guint8 * data, gsize size, gsize max_frame,
    RdFrame * frame, GError ** error)
{
  RdReader r = { data, 0, 0, FALSE }, sum;
  gsize end;

  memset (frame, 0, sizeof *frame);
  if (!parse_prefix (data, size, max_frame, frame, &r.at, error))
    return FALSE;
  if (size < frame->size)
    return parse_error (error, RD_WIRE_ERROR_TRUNCATED,
        "more bytes are needed");
  end = frame->size - 4;
  sum = (RdReader) {
  data, frame->size, end, FALSE};
  if (rd_read_le (&sum, 4) != rd_crc32c (0, data, end))
    return parse_error (error, RD_WIRE_ERROR_CRC, "the checksum is wrong");
  r.size = end;
  frame->type = data[2] >> RD_VTF_TYPE_SHIFT & RD_VTF_TYPE_MASK;
  frame->alias = data[3];
  frame->sequence = data[4];
  return parse_body (&r, frame, data[2], error);
}
