/* Many peers on one receiver: who is let in, who is answered, who is kept apart. */
#include <string.h>
#include "tests/unit/session-link.h"

static RdReceiverStats
stats (const Link * link)
{
  RdReceiverStats s;

  rd_receiver_stats (link->receiver, &s);
  return s;
}

/* A second head on the same receiver. */
static RdSender *
other_head (guint8 session, guint8 alias, const RdSenderConfig * config)
{
  const RdSenderConfig default_config = RD_SENDER_CONFIG_DEFAULT;
  RdHeader header;

  link_header (&header, session);
  return rd_sender_new (config ? config : &default_config, &header, alias);
}

static void
queue_rows (RdSender * sender, guint32 position, guint count, gint64 now)
{
  static const guint8 payload[4000];
  RdStates states = {.position = position,.count = count };
  GError *error = NULL;

  rd_sender_queue (sender, &states, payload, 100 * count, now, &error);
  g_assert_no_error (error);
}

/* Feeds the frames of @bytes from @peer; takes @bytes. */
static void
feed_from (Link * link, const RdPeer * peer, GBytes * bytes)
{
  RdPeer own = link->peer;

  link->peer = *peer;
  link_to_tail (link, bytes);
  link->peer = own;
}

/* One STATES frame as its bytes. */
static GBytes *
states_frame (guint8 alias, guint8 sequence, guint32 position)
{
  static const guint8 payload[100];
  RdFrame f = {.type = RD_FRAME_STATES,.alias = alias,.sequence = sequence,
    .position = position,.count = 1,.payload = payload,
    .payload_size = sizeof payload
  };
  GByteArray *out = g_byte_array_new ();

  g_assert_true (rd_frame_write (&f, NULL, NULL, out, NULL));
  return g_byte_array_free_to_bytes (out);
}

/* A full table refuses, in no more bytes than the newcomer spent, and gives up nobody. */
static void
test_full_table (void)
{
  RdReceiverConfig tail = RD_RECEIVER_CONFIG_DEFAULT;
  const RdPeer other = { {10, 0, 0, 2}, 4000, 4, 0 };
  Link link;
  RdSender *late;
  GBytes *hello, *refusal;
  RdPeer to;
  RdSenderInput input;
  RdFrame f;
  gsize spent;

  tail.max_peers = 1;
  link_open (&link, NULL, &tail);
  link_warm_up (&link, 4);
  link.now += 60 * LINK_SECOND;
  late = other_head (2, 9, NULL);
  queue_rows (late, 0, 1, link.now);
  hello = rd_sender_pull (late, link.now, NULL);
  spent = g_bytes_get_size (hello);
  feed_from (&link, &other, hello);
  refusal = rd_receiver_pull (link.receiver, link.now, &to);
  g_assert_cmpmem (&to, sizeof to, &other, sizeof other);
  g_assert_cmpuint (g_bytes_get_size (refusal), <=, spent);
  link_find (refusal, RD_FRAME_CONTROL, &f);
  rd_sender_feed (late, &f, link.now, &input);
  g_assert_nonnull (strstr (input.error, "full"));
  g_free (input.error);
  g_bytes_unref (refusal);
  rd_sender_free (late);

  link_rows (&link, 1, FALSE);
  link_to_tail (&link, link_pull_head (&link));
  link_expect_take (&link, "STATES 4 1");
  g_assert_cmpuint (rd_receiver_n_sessions (link.receiver), ==, 1);
  link_close (&link);
}

/* All sessions of one receiver are of one model, split and size. */
static void
test_other_model (void)
{
  const RdPeer other = { {10, 0, 0, 2}, 4000, 4, 0 };
  const RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  Link link;
  RdHeader header;
  RdSender *late;
  RdFrame f;
  GBytes *refusal;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  link_header (&header, 2);
  header.split_layer = 11;
  late = rd_sender_new (&config, &header, 9);
  queue_rows (late, 0, 1, link.now);
  feed_from (&link, &other, rd_sender_pull (late, link.now, NULL));
  refusal = link_pull_tail (&link);
  link_find (refusal, RD_FRAME_CONTROL, &f);
  g_assert_cmpint (f.control, ==, RD_CONTROL_ERROR);
  g_bytes_unref (refusal);
  rd_sender_free (late);
  link_close (&link);
}

/* An address that has not echoed its cookie gets no more bytes than it sent, whatever happens. */
static void
test_amplification (void)
{
  Link link;
  RdReceiverStats s;
  GBytes *bytes;
  guint i;

  link_open (&link, NULL, NULL);
  link_rows (&link, 1, TRUE);
  link_to_tail (&link, link_pull_head (&link));
  link_expect_take (&link, "BEGIN");
  link_expect_take (&link, "STATES 0 1");
  for (i = 0; i < 400; i++) {
    rd_receiver_tokens (link.receiver, link.delivery.session, 0, 1 + i,
        (const gint32[]) { 1 }, 1, RD_FINISH_NONE, link.now);
    rd_receiver_busy (link.receiver, link.delivery.session, TRUE, link.now);
    link.now += LINK_SECOND;
    while ((bytes = link_pull_tail (&link)))
      g_bytes_unref (bytes);
  }
  s = stats (&link);
  g_assert_cmpuint (s.bytes_sent, <=, s.bytes);
  g_assert_cmpuint (s.bytes_sent, >, 0);
  g_assert_cmpint (rd_receiver_deadline (link.receiver), >, link.now);
  link_close (&link);
}

/* Frames of another address never reach a session, even with its alias, numbers and id. */
static void
test_foreign (void)
{
  const RdPeer other = { {10, 0, 0, 66}, 4000, 4, 0 };
  Link link;
  GBytes *next;
  RdFrame f;

  link_open (&link, NULL, NULL);
  link_rows (&link, 2, FALSE);
  next = link_pull_head (&link);
  link_to_tail (&link, g_bytes_ref (next));
  /* a copy of its HEADER and frame, from elsewhere */
  feed_from (&link, &other, next);
  g_assert_cmpuint (stats (&link).foreign, >=, 1);
  link_expect_take (&link, "BEGIN");
  link_expect_take (&link, "STATES 0 2");
  link_expect_take (&link, "-");
  link_settle (&link);
  link_rows (&link, 1, FALSE);
  next = link_pull_head (&link);
  link_find (next, RD_FRAME_STATES, &f);
  feed_from (&link, &other, states_frame (9, (guint8) f.sequence, 2));
  link_expect_take (&link, "-");
  g_assert_cmpuint (stats (&link).foreign, >=, 2);
  link_to_tail (&link, next);
  link_expect_take (&link, "STATES 2 1");
  g_assert_cmpuint (rd_receiver_n_sessions (link.receiver), ==, 1);
  link_close (&link);
}

/* Two heads with the same alias, and two sessions of one head: each has its own order, window and tokens. */
static void
test_several_sessions (void)
{
  const RdPeer other = { {10, 0, 0, 2}, 4000, 4, 0 };
  Link link;
  RdSender *second = other_head (2, 9, NULL), *third = other_head (3, 10, NULL);
  guint32 numbers[3];
  guint i;
  RdPeer to;
  GBytes *bytes;

  link_open (&link, NULL, NULL);
  link_rows (&link, 2, FALSE);
  link_to_tail (&link, link_pull_head (&link));
  queue_rows (second, 0, 3, link.now);
  feed_from (&link, &other, rd_sender_pull (second, link.now, NULL));
  queue_rows (third, 0, 4, link.now);
  link_to_tail (&link, rd_sender_pull (third, link.now, NULL));
  g_assert_cmpuint (rd_receiver_n_sessions (link.receiver), ==, 3);
  for (i = 0; i < 3; i++) {
    link_expect_take (&link, "BEGIN");
    numbers[i] = link.delivery.session;
  }
  g_assert_true (numbers[0] != numbers[1] && numbers[1] != numbers[2]);
  link_expect_take (&link, "STATES 0 2");
  g_assert_cmpuint (link.delivery.session, ==, numbers[0]);
  link_expect_take (&link, "STATES 0 3");
  g_assert_cmpuint (link.delivery.session, ==, numbers[1]);
  link_expect_take (&link, "STATES 0 4");
  g_assert_cmpuint (link.delivery.session, ==, numbers[2]);

  while ((bytes = link_pull_tail (&link)))
    g_bytes_unref (bytes);
  rd_receiver_tokens (link.receiver, numbers[1], 0, 3, (const gint32[]) { 1 },
      1, RD_FINISH_NONE, link.now);
  bytes = rd_receiver_pull (link.receiver, link.now, &to);
  g_assert_cmpmem (&to, sizeof to, &other, sizeof other);
  g_bytes_unref (bytes);
  rd_sender_free (second);
  rd_sender_free (third);
  link_close (&link);
}

static void
test_reply_port (void)
{
  const RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  Link link;
  RdHeader header;
  RdPeer to;
  GBytes *bytes;

  link_open (&link, NULL, NULL);
  rd_sender_free (link.sender);
  link_header (&header, 1);
  header.reply_port = 5001;
  link.sender = rd_sender_new (&config, &header, 9);
  link_rows (&link, 1, FALSE);
  link_to_tail (&link, link_pull_head (&link));
  bytes = rd_receiver_pull (link.receiver, link.now, &to);
  g_assert_nonnull (bytes);
  g_assert_cmpuint (to.port, ==, 5001);
  g_bytes_unref (bytes);
  link_close (&link);
}

/* A head that was started anew with the same address and alias: the old session ends, a late HEADER of it changes nothing. */
static void
test_succession (void)
{
  Link link;
  GBytes *late;
  RdSender *next;

  link_open (&link, NULL, NULL);
  link_rows (&link, 2, FALSE);
  late = g_bytes_ref (link_pull_head (&link));
  link_to_tail (&link, g_bytes_ref (late));
  link_settle (&link);
  link_rows (&link, 1, FALSE);
  link_settle (&link);

  next = other_head (2, 9, NULL);
  queue_rows (next, 0, 3, link.now);
  link.now += 2 * LINK_SECOND;
  link_to_tail (&link, rd_sender_pull (next, link.now, NULL));
  link_expect_take (&link, "END: The head has begun another session");
  link_expect_take (&link, "BEGIN");
  link_expect_take (&link, "STATES 0 3");
  link_to_tail (&link, late);
  link_expect_take (&link, "-");
  g_assert_cmpuint (rd_receiver_n_sessions (link.receiver), ==, 1);
  g_bytes_unref (late);
  rd_sender_free (next);
  link_close (&link);
}

/* Garbage costs a bounded number of bytes and entries. */
static void
test_bounds (void)
{
  RdReceiverConfig tail = RD_RECEIVER_CONFIG_DEFAULT;
  Link link;
  GBytes *bytes;
  guint i;

  tail.max_peers = 4;
  tail.hold_bytes = 8192;
  link_open (&link, NULL, &tail);
  link_warm_up (&link, 4);
  for (i = 0; i < 3000; i++) {
    RdPeer peer = { {10, 1, (guint8) (i >> 8), (guint8) i}, 9, 4, 0 };

    feed_from (&link, &peer, states_frame ((guint8) i, 1, i));
    feed_from (&link, &link.peer, states_frame (9, (guint8) i, 1000 + i));
    while ((bytes = link_pull_tail (&link)))
      g_bytes_unref (bytes);
    g_assert_cmpuint (rd_receiver_queued_bytes (link.receiver), <=,
        6 * (8192 + 1024));
  }
  g_assert_cmpuint (stats (&link).dropped, >, 100);
  link_close (&link);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/receiver-table/full-table", test_full_table);
  g_test_add_func ("/receiver-table/other-model", test_other_model);
  g_test_add_func ("/receiver-table/amplification", test_amplification);
  g_test_add_func ("/receiver-table/foreign", test_foreign);
  g_test_add_func ("/receiver-table/several-sessions", test_several_sessions);
  g_test_add_func ("/receiver-table/reply-port", test_reply_port);
  g_test_add_func ("/receiver-table/succession", test_succession);
  g_test_add_func ("/receiver-table/bounds", test_bounds);
  return g_test_run ();
}
