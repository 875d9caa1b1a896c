/* What frames cost beside their payload: for cutting at a datagram's size, and for rate control. */
#include "codec/session/sender-private.h"

/* Bytes of a STATES frame besides ids and payload: at the most (sync to length, every extension field, checksum), and usually. */
#define MOST_OVERHEAD 48
#define OVERHEAD 13
#define MIN_FRAGMENT 64
#define ID_BYTES 4              /* at the most */

gsize
rd_sender_payload_room (gsize max_payload_size, guint count, gboolean ids)
{
  gsize used = MOST_OVERHEAD + (ids ? ID_BYTES * ((gsize) count + 1) : 0);

  if (!max_payload_size)
    return G_MAXSIZE;
  return max_payload_size > used + MIN_FRAGMENT ? max_payload_size - used
      : MIN_FRAGMENT;
}

static gsize
header_size (const RdSender * s)
{
  RdFrame f = {.type = RD_FRAME_HEADER,.alias = s->alias };
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  return rd_frame_write (&f, &s->header, NULL, bytes, NULL) ? bytes->len : 0;
}

gsize
rd_sender_overhead (const RdSender * s, guint count, const gint32 * ids,
    gsize * once)
{
  *once = rd_sender_needs_header (s, FALSE, s->chain->len) ?
      header_size (s) : 0;
  return OVERHEAD + (ids ? rd_frame_ids_size (ids, count) : 0);
}

void
rd_sender_committed (const RdSender * s, guint64 * bytes, guint64 * tokens)
{
  *bytes = s->stats.bytes;
  *tokens = s->stats.tokens;
  for (guint i = s->chain->len; i-- > s->sent;) {
    const RdRecord *r = rd_sender_record (s, i);

    /* what has to go out anew is counted when it does */
    if (r->n_sent)
      return;
    *bytes += r->size + OVERHEAD;
    if (r->ids)
      *bytes += rd_frame_ids_size (r->ids, r->count);
    if (rd_sender_needs_header (s, r->truncate, i))
      *bytes += header_size (s);
    *tokens += r->fragment_offset ? 0 : r->count;
  }
}
