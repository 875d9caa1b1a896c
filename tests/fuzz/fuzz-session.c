/* RdReceiver and RdSender under arbitrary frames, calls and clocks: the input is a program of small commands. Frames are made well (their
 * checksums too), so that damage reaches the meaning. */
#include <string.h>
#include "codec/session/receiver.h"
#include "codec/session/sender.h"
#include "tests/fuzz/fuzz.h"

#define HOLD (16u << 10)
#define MAX_FRAME (32u << 10)
#define MAX_PEERS 3u
/* what one session may store: held, waiting for HEADER, queued, half a payload, each a frame over its limit */
#define SESSION_LIMIT (4 * HOLD + 2 * MAX_FRAME)
#define MAX_PULLS 2000

typedef struct
{
  const guint8 *data;
  gsize size, at;
  gint64 now;
  RdReceiver *receiver;
  RdSender *sender;
  guint16 check, instance;
  guint8 sequence;
  RdDelivery delivery;
  gboolean delivered;
} Run;

static guint8
byte (Run * run)
{
  return run->at < run->size ? run->data[run->at++] : 0;
}

static guint32
number (Run * run)
{
  guint8 b = byte (run);

  /* mostly small, sometimes anything */
  if (b < 200)
    return b;
  return (guint32) byte (run) << 24 | (guint32) byte (run) << 16
      | (guint32) byte (run) << 8 | byte (run);
}

static void
make_header (guint8 which, guint32 first, RdHeader * header)
{
  memset (header, 0, sizeof *header);
  memset (header->session_id, 1 + which % 5, sizeof header->session_id);
  memset (header->model_id, which / 64, sizeof header->model_id);
  strcpy (header->codec, "f16");
  header->hidden_size = 8;
  header->vocab_size = 1000;
  header->has_feedback = which % 7 != 0;
  header->first_sequence = first;
}

/* Gives a copy of exact size to the parser and what it finds to one end. */
static void
deliver (Run * run, GByteArray * bytes, gboolean to_tail)
{
  g_autofree guint8 *exact = g_memdup2 (bytes->data, bytes->len);
  RdPeer peer = { {127, 0, 0, 1}, 1000, 4, 0 };
  RdSenderInput input;
  RdFrame f;

  if (!rd_frame_parse (exact, bytes->len, MAX_FRAME, &f, NULL))
    return;
  peer.port = (guint16) (1000 + f.alias / 4);
  if (to_tail) {
    rd_receiver_feed (run->receiver, &peer, &f, run->now);
  } else {
    rd_sender_feed (run->sender, &f, run->now, &input);
    g_free (input.error);
  }
}

static void
send_header (Run * run)
{
  RdFrame f = {.type = RD_FRAME_HEADER,.alias = byte (run) % 8 };
  g_autoptr (GByteArray) out = g_byte_array_new ();
  RdHeader header;

  make_header (byte (run), number (run), &header);
  header.next_sequence = header.first_sequence + byte (run);
  if (rd_frame_write (&f, &header, NULL, out, NULL))
    deliver (run, out, TRUE);
}

static void
send_states (Run * run)
{
  static const guint8 payload[4096];
  g_autoptr (GByteArray) out = g_byte_array_new ();
  gint32 ids[9];
  RdFrame f = {.type = RD_FRAME_STATES,.alias = byte (run) % 8,
    .sequence = byte (run),.position = number (run),.payload = payload
  };
  guint8 flags = byte (run);
  guint i;

  f.count = 1 + byte (run) % 8;
  f.step = flags & 1;
  f.sample = flags >> 1 & 1;
  f.has_epoch = flags >> 2 & 1;
  f.truncate = f.has_epoch && (flags >> 3 & 1);
  f.epoch = f.has_epoch ? number (run) : 0;
  f.n_ids = flags & 16 ? f.count : 0;
  f.given = (flags & 48) == 48;
  f.n_ids += f.given ? 1 : 0;
  for (i = 0; i < f.n_ids; i++)
    ids[i] = (gint32) (byte (run) * 5u);
  f.payload_size = (gsize) byte (run) * 16;
  if (flags & 64) {
    f.fragment_offset = number (run);
    f.fragment_total = number (run);
  }
  if (rd_frame_write (&f, NULL, ids, out, NULL))
    deliver (run, out, TRUE);
}

static void
send_control (Run * run)
{
  static const guint8 text[40] = "some text \xff\x80 that is not all UTF-8";
  g_autoptr (GByteArray) out = g_byte_array_new ();
  guint8 which = byte (run);
  gboolean to_tail = which & 1;
  RdHeader header;
  RdFrame f = {.type = RD_FRAME_CONTROL,.alias = byte (run) % 8,
    .control = which / 2 % 10,.sequence = byte (run),.position = number (run),
    .epoch = number (run),.value = number (run),.aux = number (run),
    .payload = text,.payload_size = byte (run) % sizeof text,
    .instance = run->instance
  };

  if (to_tail) {
    make_header (byte (run), number (run), &header);
    f.check = rd_session_check (header.session_id, header.first_sequence);
  } else {
    f.alias = 1;
    f.check = run->check;
    if (which & 128)
      f.instance = (guint16) (1 + byte (run) % 4);
    if (which & 64)
      f.sequence = run->sequence;
  }
  if (rd_frame_write (&f, NULL, NULL, out, NULL))
    deliver (run, out, to_tail);
}

static void
send_tokens (Run * run)
{
  g_autoptr (GByteArray) out = g_byte_array_new ();
  gint32 ids[4] = { 1, 2, 3, 4 };
  RdFrame f = {.type = RD_FRAME_TOKENS,.alias = 1,.check = run->check,
    .instance = run->instance,.sequence = byte (run),.position = number (run),
    .ack_position = number (run),.epoch = number (run),.n_ids = byte (run) % 5,
    .finish = byte (run) % 5,.value = number (run)
  };

  if (rd_frame_write (&f, NULL, ids, out, NULL))
    deliver (run, out, FALSE);
}

static void
queue (Run * run)
{
  static const guint8 payload[4096];
  static const gint32 ids[300];
  RdStates states = {.epoch = number (run),.position = number (run),
    .count = 1 + byte (run)
  };
  guint8 flags = byte (run);

  states.step = flags & 1;
  states.sample = flags >> 1 & 1;
  states.given = flags >> 2 & 1;
  states.ids = flags & 8 ? ids : NULL;
  if (rd_sender_can_queue (run->sender, 16u * byte (run)))
    rd_sender_queue (run->sender, &states, payload, 16u * byte (run), run->now,
        NULL);
}

/* Pulling comes to an end, and what comes out is well-formed; the sender's frames may go to the receiver. */
static void
pull (Run * run, gboolean connect)
{
  GBytes *bytes;
  gboolean key;
  RdPeer to;
  guint n = 0;

  while ((bytes = rd_sender_pull (run->sender, run->now, &key))) {
    gsize size;
    const guint8 *data = g_bytes_get_data (bytes, &size);
    RdFrame f;

    while (size) {
      g_assert_true (rd_frame_parse (data, size, G_MAXUINT32, &f, NULL));
      if (connect) {
        g_autoptr (GByteArray) one = g_byte_array_new ();

        g_byte_array_append (one, data, (guint) f.size);
        deliver (run, one, TRUE);
      }
      if (f.type == RD_FRAME_CONTROL)
        run->check = f.check;
      run->sequence = (guint8) f.sequence;
      data += f.size;
      size -= f.size;
    }
    g_bytes_unref (bytes);
    n++;
    g_assert_cmpuint (n, <, MAX_PULLS);
  }
  while ((bytes = rd_receiver_pull (run->receiver, run->now, &to))) {
    g_autoptr (GByteArray) one = g_bytes_unref_to_array (bytes);

    if (connect)
      deliver (run, one, FALSE);
    n++;
    g_assert_cmpuint (n, <, MAX_PULLS);
  }
}

static void
work (Run * run, guint8 what)
{
  static const gint32 ids[3] = { 7, 8, 9 };
  RdDelivery *d = &run->delivery;

  if (!run->delivered) {
    run->delivered = rd_receiver_next (run->receiver, run->now, d);
    if (run->delivered && d->type == RD_DELIVERY_STATES)
      rd_receiver_busy (run->receiver, d->session, TRUE, run->now);
    return;
  }
  if (what & 1)
    rd_receiver_tokens (run->receiver, d->session, d->epoch, d->position + 1,
        ids, what % 4, what / 4 % 5, run->now);
  if (what == 255)
    rd_receiver_error (run->receiver, d->session, "an error", run->now);
  rd_receiver_busy (run->receiver, d->session, FALSE, run->now);
  rd_receiver_taken (run->receiver, d, run->now);
  run->delivered = FALSE;
}

static void
touch_sender (Run * run)
{
  switch (byte (run) % 6) {
    case 0:
      rd_sender_force_key (run->sender);
      break;
    case 1:
      rd_sender_cancel (run->sender, number (run), number (run), run->now);
      break;
    case 2:
      rd_sender_end (run->sender, run->now);
      break;
    case 3:
      rd_sender_feedback_closed (run->sender, run->now);
      break;
    default:
      run->instance = (guint16) (1 + byte (run) % 3);
      break;
  }
}

static void
command (Run * run)
{
  switch (byte (run) % 10) {
    case 0:
      send_header (run);
      break;
    case 1:
    case 2:
      send_states (run);
      break;
    case 3:
      send_control (run);
      break;
    case 4:
      send_tokens (run);
      break;
    case 5:
      queue (run);
      break;
    case 6:
      pull (run, byte (run) & 1);
      break;
    case 7:
      work (run, byte (run));
      break;
    case 8:
      run->now += (gint64) number (run) * 1000;
      break;
    default:
      touch_sender (run);
      break;
  }
}

void
fuzz_one (const guint8 * data, gsize size)
{
  RdReceiverConfig tail = RD_RECEIVER_CONFIG_DEFAULT;
  RdSenderConfig head = RD_SENDER_CONFIG_DEFAULT;
  Run run = {.data = data,.size = size,.instance = 1,.now = 1000000 };
  RdHeader header;

  tail.seed = 7;
  tail.hold_bytes = HOLD;
  tail.max_frame_bytes = MAX_FRAME;
  tail.max_peers = MAX_PEERS;
  tail.session_timeout = 30 * G_USEC_PER_SEC;
  run.receiver = rd_receiver_new (&tail);
  make_header (byte (&run), 0, &header);
  head.has_feedback = byte (&run) % 4 != 0;
  head.max_payload_size = 10u * byte (&run);
  head.replay_bytes = 100u * byte (&run);
  head.keepalive = G_USEC_PER_SEC;
  run.sender = rd_sender_new (&head, &header, 1);
  run.check = rd_session_check (header.session_id, 0x01010101);
  while (run.at < size) {
    command (&run);
    /* OVER sessions wait for the task; the table is bounded all the same */
    g_assert_cmpuint (rd_receiver_queued_bytes (run.receiver), <=,
        4 * (MAX_PEERS + 1) * SESSION_LIMIT);
  }
  rd_sender_free (run.sender);
  rd_receiver_free (run.receiver);
}

static void
put (GByteArray * out, guint n, const guint8 * bytes)
{
  g_byte_array_append (out, bytes, n);
}

/* A session that works: rows are queued, cross over, are decoded and answered. */
static void
put_session (GByteArray * out, GRand * rand)
{
  guint8 position = 0, epoch = 0;
  guint i;

  /* session id, way back, payload size, replay bytes */
  put (out, 4, (const guint8[]) { 1, 1, g_rand_boolean (rand) ? 40 : 0, 0 });
  for (i = 0; i < 12; i++) {
    guint8 count = (guint8) g_rand_int_range (rand, 0, 8);

    if (i && g_rand_int_range (rand, 0, 4) == 0) {
      epoch++;
      position /= 2;
    }
    put (out, 7, (const guint8[]) { 5, epoch, position, count, 3, 0, 60 });
    put (out, 2, (const guint8[]) { 6, 1 });
    put (out, 8, (const guint8[]) { 7, 0, 7, 0, 7, 1, 7, 0 });
    put (out, 4, (const guint8[]) { 6, 1, 8, 15 });
    position = (guint8) (position + count + 1);
    if (position > 190)
      break;
  }
  put (out, 8, (const guint8[]) { 9, 2, 6, 1, 7, 0, 6, 1 });
}

GBytes *
fuzz_seed (guint i)
{
  GRand *rand;
  GByteArray *out;
  guint n;

  if (i >= 40)
    return NULL;
  rand = g_rand_new_with_seed (i);
  out = g_byte_array_new ();
  if (i < 20)
    put_session (out, rand);
  for (n = 0; i >= 20 && n < 400; n++) {
    guint8 b = (guint8) g_rand_int (rand);

    /* most commands and fields are small numbers */
    if (n % 3)
      b %= 16;
    g_byte_array_append (out, &b, 1);
  }
  g_rand_free (rand);
  return g_byte_array_free_to_bytes (out);
}
