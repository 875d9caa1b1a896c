/* Ids in frames: packed bits or entropy-coded, whichever is smaller. */
#include "codec/wire/bytes.h"
#include "codec/wire/layout.h"

/* Value of the width byte that says: coded. */
#define CODED 32
/* Fewer ids are never smaller when coded: the length and the start of the stream cost more than what they save. */
#define MIN_CODED 3

/* Bits that the largest of @n ids needs (at least 1), 0 if one is negative. */
static guint
width_of (const gint32 * ids, guint32 n)
{
  guint32 all = 1, i;

  for (i = 0; i < n; i++) {
    if (ids[i] < 0)
      return 0;
    all |= (guint32) ids[i];
  }
  return g_bit_storage (all);
}

static gsize
packed_size (guint32 n, guint bits)
{
  return (gsize) (((guint64) n * bits + 7) / 8);
}

static void
append_packed (GByteArray * out, const gint32 * ids, guint32 n, guint bits)
{
  guint filled = 0;
  guint64 pending = 0;
  guint32 i;

  rd_append_u8 (out, (guint8) bits);
  for (i = 0; i < n; i++) {
    pending |= (guint64) (guint32) ids[i] << filled;
    for (filled += bits; filled >= 8; filled -= 8, pending >>= 8)
      rd_append_u8 (out, (guint8) pending);
  }
  if (filled)
    rd_append_u8 (out, (guint8) pending);
}

gboolean
rd_ids_append (const gint32 * ids, guint32 n, GByteArray * out)
{
  g_autoptr (GByteArray) coded = g_byte_array_new ();
  guint bits = width_of (ids, n);

  if (!bits)
    return FALSE;
  rd_varint_append (out, n);
  if (n < MIN_CODED || !rd_id_code_append (ids, n, coded)
      || coded->len + rd_varint_size (coded->len) >= packed_size (n, bits)) {
    append_packed (out, ids, n, bits);
    return TRUE;
  }
  rd_append_u8 (out, CODED);
  rd_varint_append (out, coded->len);
  g_byte_array_append (out, coded->data, coded->len);
  return TRUE;
}

gsize
rd_frame_ids_size (const gint32 * ids, guint32 n)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  if (n)
    rd_ids_append (ids, n, bytes);
  return bytes->len;
}

/* Bits above the last id are zero so that there is one spelling. */
static gboolean
is_packed (const RdFrame * frame)
{
  guint rest = (guint) ((guint64) frame->n_ids * frame->id_bits % 8);

  return rest == 0 || frame->ids[frame->ids_size - 1] >> rest == 0;
}

gboolean
rd_ids_parse (RdReader * r, guint32 n, RdFrame * frame)
{
  frame->n_ids = n;
  frame->id_bits = rd_read_u8 (r);
  if (r->bad || n == 0 || n > RD_MAX_FRAME_TOKENS + 1 || frame->id_bits < 1
      || frame->id_bits > CODED)
    return FALSE;
  frame->ids_size = frame->id_bits == CODED ? rd_read_varint32 (r)
      : (guint32) packed_size (n, frame->id_bits);
  frame->ids = rd_read_bytes (r, frame->ids_size);
  if (!frame->ids)
    return FALSE;
  return frame->id_bits == CODED ? rd_id_code_read (frame->ids,
      frame->ids_size, n, NULL) : is_packed (frame);
}

static gint32
read_packed (const RdFrame * frame, guint32 i)
{
  guint64 bit = (guint64) i * frame->id_bits;
  const guint8 *p = frame->ids + bit / 8;
  guint shift = bit % 8, have;
  guint64 v = 0;

  for (have = 0; have < shift + frame->id_bits; have += 8)
    v |= (guint64) * p++ << have;
  return (gint32) (v >> shift & ((G_GUINT64_CONSTANT (1) << frame->id_bits) -
          1));
}

void
rd_frame_ids (const RdFrame * frame, gint32 * ids)
{
  guint32 i;

  if (frame->id_bits == CODED) {
    rd_id_code_read (frame->ids, frame->ids_size, frame->n_ids, ids);
    return;
  }
  for (i = 0; i < frame->n_ids; i++)
    ids[i] = read_packed (frame, i);
}

guint32
rd_frame_n_row_ids (const RdFrame * frame)
{
  return frame->given ? frame->n_ids - 1 : frame->n_ids;
}

gint32
rd_frame_given_id (const RdFrame * frame)
{
  g_autofree gint32 *ids = NULL;

  if (!frame->given)
    return -1;
  ids = g_new (gint32, frame->n_ids);
  rd_frame_ids (frame, ids);
  return ids[frame->n_ids - 1];
}
