#include "codec/wire/bytes.h"
#include "codec/wire/layout.h"

static gboolean
write_invalid (GError ** error, const gchar * what)
{
  g_set_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_INVALID,
      "Cannot write a frame: %s", what);
  return FALSE;
}

static gboolean
check_states (const RdFrame * frame, const gint32 * ids, GError ** error)
{
  guint32 extra = frame->given ? 1 : 0;

  if (frame->count == 0 || frame->count > RD_MAX_FRAME_TOKENS)
    return write_invalid (error, "the number of rows is out of range");
  if (frame->position > G_MAXUINT32 - frame->count)
    return write_invalid (error, "positions beyond 32 bits");
  if (frame->truncate && !frame->has_epoch)
    return write_invalid (error, "TRUNCATE without an epoch");
  if (frame->n_ids ? !ids : frame->given)
    return write_invalid (error, "ids are missing");
  if (frame->n_ids && frame->n_ids != frame->count + extra
      && !(extra && frame->n_ids == 1))
    return write_invalid (error, "the number of ids does not fit the rows");
  if (frame->fragment_total ? frame->payload_size == 0
      || frame->fragment_offset > frame->fragment_total
      || frame->payload_size > frame->fragment_total - frame->fragment_offset
      : frame->fragment_offset != 0)
    return write_invalid (error, "a fragment outside its payload");
  return TRUE;
}

static void
append_records (GByteArray * out, const RdFrame * frame)
{
  rd_varint_append (out, 2 + RD_COOKIE_BYTES);
  rd_append_u8 (out, RD_RECORD_COOKIE);
  rd_append_u8 (out, RD_COOKIE_BYTES);
  g_byte_array_append (out, frame->cookie, RD_COOKIE_BYTES);
}

static guint8
extension_flags (const RdFrame * frame)
{
  gboolean feedback = frame->type == RD_FRAME_TOKENS
      || frame->type == RD_FRAME_CONTROL;

  if (feedback && frame->has_cookie)
    return RD_EXT_RECORDS;
  if (frame->type != RD_FRAME_STATES)
    return 0;
  return (frame->count > 1 ? RD_EXT_COUNT : 0)
      | (frame->has_epoch ? RD_EXT_EPOCH : 0)
      | (frame->truncate ? RD_EXT_TRUNCATE : 0)
      | (frame->given ? RD_EXT_GIVEN : 0)
      | (frame->packed ? RD_EXT_PACKED : 0)
      | (frame->n_ids ? RD_EXT_IDS : 0)
      | (frame->fragment_total ? RD_EXT_FRAGMENT : 0);
}

static gboolean
append_extension (GByteArray * out, const RdFrame * frame, guint8 flags,
    const gint32 * ids, GError ** error)
{
  rd_append_u8 (out, flags);
  if (flags & RD_EXT_COUNT)
    rd_varint_append (out, frame->count);
  if (flags & RD_EXT_EPOCH)
    rd_varint_append (out, frame->epoch);
  if ((flags & RD_EXT_IDS) && !rd_ids_append (ids, frame->n_ids, out))
    return write_invalid (error, "a token id is negative");
  if (flags & RD_EXT_FRAGMENT) {
    rd_varint_append (out, frame->fragment_offset);
    rd_varint_append (out, frame->fragment_total);
  }
  if (flags & RD_EXT_RECORDS)
    append_records (out, frame);
  return TRUE;
}

static gboolean
append_tokens (GByteArray * out, const RdFrame * frame, const gint32 * ids,
    GError ** error)
{
  gint64 delta = (gint64) frame->ack_position - (gint64) frame->position;

  if (frame->n_ids > RD_MAX_FRAME_TOKENS || (frame->n_ids && !ids))
    return write_invalid (error, "the number of ids is out of range");
  if (frame->position > G_MAXUINT32 - frame->n_ids)
    return write_invalid (error, "positions beyond 32 bits");
  if ((guint) frame->finish > RD_FINISH_CONTEXT)
    return write_invalid (error, "an unknown finish");
  rd_append_le (out, frame->check, 2);
  rd_append_le (out, frame->instance, 2);
  rd_varint_append (out, frame->epoch);
  rd_varint_append (out, delta < 0 ? (guint64) - delta * 2 - 1
      : (guint64) delta * 2);
  rd_varint_append (out, frame->value);
  rd_append_u8 (out, (guint8) frame->finish);
  if (frame->n_ids == 0)
    rd_varint_append (out, 0);
  else if (!rd_ids_append (ids, frame->n_ids, out))
    return write_invalid (error, "a token id is negative");
  return TRUE;
}

static gboolean
append_control (GByteArray * out, const RdFrame * frame, GError ** error)
{
  if ((guint) frame->control > RD_CONTROL_KEEPALIVE)
    return write_invalid (error, "an unknown CONTROL subtype");
  if (frame->payload_size > RD_MAX_CONTROL_TEXT)
    return write_invalid (error, "a CONTROL payload over 512 bytes");
  rd_append_u8 (out, (guint8) frame->control);
  rd_append_le (out, frame->check, 2);
  rd_append_le (out, frame->instance, 2);
  rd_varint_append (out, frame->epoch);
  rd_varint_append (out, frame->value);
  rd_varint_append (out, frame->aux);
  if (frame->payload_size)
    g_byte_array_append (out, frame->payload, (guint) frame->payload_size);
  return TRUE;
}

/* everything between the length and the checksum */
static gboolean
append_body (GByteArray * out, const RdFrame * frame, const RdHeader * header,
    const gint32 * ids, GError ** error)
{
  guint8 flags = extension_flags (frame);

  if (flags && !append_extension (out, frame, flags, ids, error))
    return FALSE;
  switch (frame->type) {
    case RD_FRAME_HEADER:
      if (!header)
        return write_invalid (error, "HEADER without its contents");
      return rd_header_append (header, out, error);
    case RD_FRAME_STATES:
      if (frame->payload_size)
        g_byte_array_append (out, frame->payload, (guint) frame->payload_size);
      return TRUE;
    case RD_FRAME_TOKENS:
      return append_tokens (out, frame, ids, error);
    case RD_FRAME_CONTROL:
      return append_control (out, frame, error);
    default:
      return write_invalid (error, "an unknown type");
  }
}

static guint8
vtf_byte (const RdFrame * frame)
{
  guint8 flags = extension_flags (frame) ? RD_FLAG_EXTENDED : 0;

  if (frame->type == RD_FRAME_STATES)
    flags |= (frame->step ? RD_FLAG_STEP : 0)
        | (frame->sample ? RD_FLAG_SAMPLE : 0);
  return (guint8) (RD_WIRE_VERSION << RD_VTF_VERSION_SHIFT
      | (guint) frame->type << RD_VTF_TYPE_SHIFT | flags);
}

gboolean
rd_frame_write (const RdFrame * frame, const RdHeader * header,
    const gint32 * ids, GByteArray * out, GError ** error)
{
  g_autoptr (GByteArray) body = NULL;
  gsize start = out->len;
  guint8 head[5];

  if ((guint) frame->type > RD_FRAME_CONTROL)
    return write_invalid (error, "an unknown type");
  if (frame->type == RD_FRAME_STATES && !check_states (frame, ids, error))
    return FALSE;
  if (frame->payload_size > G_MAXINT32)
    return write_invalid (error, "a payload over 2 GiB");

  body = g_byte_array_new ();
  if (!append_body (body, frame, header, ids, error))
    return FALSE;

  head[0] = RD_WIRE_SYNC_0;
  head[1] = RD_WIRE_SYNC_1;
  head[2] = vtf_byte (frame);
  head[3] = frame->alias;
  head[4] = (guint8) frame->sequence;
  g_byte_array_append (out, head, sizeof head);
  rd_varint_append (out, frame->position);
  rd_varint_append (out, body->len);
  g_byte_array_append (out, body->data, body->len);
  rd_append_le (out, rd_crc32c (0, out->data + start, out->len - start), 4);
  return TRUE;
}
