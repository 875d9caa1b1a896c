#include "codec/training/wire-bits.h"

#include "codec/entropy/rans.h"
#include "codec/session/sender.h"
#include "codec/wire/bytes.h"

/* A state x is from 2^15 to 2^31, its logarithm as likely anywhere between: 3 or 4 bytes, 5 bits more than the 23 that it holds. */
#define STATE_BITS 5.0
/* A lane's start: 2^15, or 65536 + w for a word w that has not to be stored. */
#define START_BITS 15.0
#define HIDDEN_BITS 0.557       /* log2 (1 + w / 65536) on the average */
#define WORD_BITS 16.0
/* Without lanes the start is a binary fraction, which is 2 bits longer than what it is worth. */
#define FRACTION_BITS 2.0
#define FLAGS_BITS 16.0         /* level, and flags for SCALAR */

double
rd_wire_stream_bits (guint lanes, gsize n_symbols, double end_bits)
{
  double hidden;

  if (rd_rans_main_symbols (lanes, n_symbols) == 0)
    return STATE_BITS + FRACTION_BITS;
  hidden = MIN ((double) (guint64) (end_bits / WORD_BITS), lanes - 1.0);
  return lanes * STATE_BITS + hidden * HIDDEN_BITS
      + (lanes - hidden) * START_BITS;
}

double
rd_wire_payload_bits (const double *block_bits, gsize n_blocks,
    gboolean lengths)
{
  double bits = FLAGS_BITS;

  for (gsize i = 0; i < n_blocks; i++) {
    if (lengths || i + 1 < n_blocks)
      bits += 8.0 * (double) rd_varint_size ((guint64) (block_bits[i] / 8));
  }
  return bits;
}

static gsize
frame_size (const RdFrame * frame, const RdHeader * header)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  const gboolean written = rd_frame_write (frame, header, NULL, bytes, NULL);

  g_assert (written);
  return bytes->len;
}

/* The length of the body is written once more with the payload in it. */
double
rd_wire_frame_bits (gsize position, gsize n, double payload_bits)
{
  const RdFrame frame = {.type = RD_FRAME_STATES,.position =
        (guint32) position,.count = (guint32) n
  };
  const gsize body = n > 1 ? 1 + rd_varint_size (n) : 0;
  const gsize with = body + (gsize) (payload_bits / 8);

  return 8.0 * (double) (frame_size (&frame, NULL) - rd_varint_size (body)
      + rd_varint_size (with));
}

double
rd_wire_session_bits (const RdHeader * header, gsize n, gsize frame)
{
  const RdFrame key = {.type = RD_FRAME_HEADER }, end = {.type =
        RD_FRAME_CONTROL,.control = RD_CONTROL_END,.position =
        (guint32) n,.aux = n + 1
  };
  gsize keys = 1, since = 0;

  for (gsize at = 0; at < n; at += frame) {
    if (since >= RD_SENDER_KEY_INT_MAX) {
      keys++;
      since = 0;
    }
    since += frame;
  }
  return 8.0 * (double) (keys * frame_size (&key, header)
      + frame_size (&end, NULL));
}
