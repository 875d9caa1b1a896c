/* Sizes of the head's frames: what they cost beside their payload, tokens that do not fit a datagram, a limit that changes. */
#include "tests/unit/session-link.h"

#include <string.h>

#define TOKEN_BYTES (8192 * 4)  /* hidden size 8192 as floats */

static guint8
pattern (gsize i, guint token)
{
  return (guint8) ((i * 2654435761u >> 13) + token);
}

/* Queues one token of @size bytes. */
static void
queue_token (Link * link, gsize size)
{
  g_autofree guint8 *payload = g_malloc (size);
  RdStates states = {.position = link->position,.count = 1,.step = TRUE };
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < size; i++)
    payload[i] = pattern (i, link->position);
  rd_sender_queue (link->sender, &states, payload, size, link->now, &error);
  g_assert_no_error (error);
  link->position++;
}

/* Takes what is there and compares it; returns the number of tokens. */
static guint
take_tokens (Link * link, gsize size)
{
  RdDelivery d;
  guint n = 0;

  while (rd_receiver_next (link->receiver, link->now, &d)) {
    if (d.type == RD_DELIVERY_STATES && d.frame.payload_size == size) {
      for (gsize i = 0; i < size; i++)
        g_assert_cmpuint (d.frame.payload[i], ==, pattern (i, d.position));
      n++;
    }
    rd_receiver_taken (link->receiver, &d, link->now);
  }
  return n;
}

/* Everything that the head has to say now; every @lose-th buffer with STATES is lost. Counts them. */
static void
carry (Link * link, guint lose, gsize limit, guint * count)
{
  GBytes *bytes;

  while ((bytes = link_pull_head (link))) {
    g_autofree gchar *names = link_names (g_bytes_ref (bytes));

    g_assert_cmpuint (g_bytes_get_size (bytes), <=, limit);
    if (strstr (names, "STATES") && ++*count && lose && *count % lose == 0)
      g_bytes_unref (bytes);
    else
      link_to_tail (link, bytes);
  }
  while ((bytes = link_pull_tail (link)))
    link_to_head (link, bytes);
}

/* A token of 32 KiB crosses in datagrams, whole, with loss and with a window that is smaller than it. */
static void
test_fragments (void)
{
  static const gsize windows[] = { 65536, 16384, 4096 };
  static const guint losses[] = { 0, 7, 3 };

  for (guint w = 0; w < G_N_ELEMENTS (windows); w++)
    for (guint l = 0; l < G_N_ELEMENTS (losses); l++) {
      RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
      guint got = 0, count = 0;
      Link link;

      config.window_bytes = windows[w];
      config.max_payload_size = 1400;
      link_open (&link, &config, NULL);
      for (guint i = 0; i < 4; i++)
        queue_token (&link, TOKEN_BYTES);
      for (guint i = 0; i < 5000 && got < 4; i++, link.now += 5 * LINK_MS) {
        carry (&link, losses[l], 1400, &count);
        got += take_tokens (&link, TOKEN_BYTES);
      }
      g_assert_cmpuint (got, ==, 4);
      link_close (&link);
    }
}

/* A limit that changes holds for what is queued afterwards, larger or smaller. */
static void
test_limit_changes (void)
{
  static const gsize limits[] = { 0, 1400, 400, 9000 };
  static const guint buffers[] = { 1, 25, 94, 4 };
  Link link;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 2);
  for (guint i = 0; i < G_N_ELEMENTS (limits); i++) {
    gsize limit = limits[i] ? limits[i] : G_MAXSIZE;
    guint n = 0;

    rd_sender_set_max_payload_size (link.sender, limits[i]);
    queue_token (&link, TOKEN_BYTES);
    for (; !rd_sender_drained (link.sender); link.now += 25 * LINK_MS)
      carry (&link, 0, limit, &n);
    g_assert_cmpuint (take_tokens (&link, TOKEN_BYTES), ==, 1);
    carry (&link, 0, limit, &n);
    g_assert_cmpuint (n, ==, buffers[i]);
  }
  link_close (&link);
}

/* Rows that fit as rd_sender_payload_room() says are not cut, one byte more is. */
static void
test_room (void)
{
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  gsize room = rd_sender_payload_room (1000, 1, FALSE);
  Link link;

  g_assert_cmpuint (rd_sender_payload_room (0, 5, TRUE), ==, G_MAXSIZE);
  g_assert_cmpuint (rd_sender_payload_room (1000, 8, TRUE), <, room);
  g_assert_cmpuint (rd_sender_payload_room (1, 1000, TRUE), >, 0);
  config.max_payload_size = 1000;
  link_open (&link, &config, NULL);
  link_warm_up (&link, 2);
  queue_token (&link, room);
  link_expect_head (&link, "STATES");
  link_expect_head (&link, "-");
  queue_token (&link, room + 1);
  link_expect_head (&link, "STATES");
  link_expect_head (&link, "STATES");
  link_expect_head (&link, "-");
  link_close (&link);
}

/* What is said of a frame before it is queued, while it waits and after it went out differs by a few bytes at most. */
static void
expect_cost (Link * link, guint count, gboolean known)
{
  guint64 before, waiting, after, tokens, tokens_before;
  gsize once, overhead = rd_sender_overhead (link->sender, count, NULL, &once);
  GBytes *bytes;

  rd_sender_committed (link->sender, &before, &tokens_before);
  g_assert_cmpuint (once > 0, ==, !known);
  link_rows (link, count, FALSE);
  rd_sender_committed (link->sender, &waiting, &tokens);
  g_assert_cmpuint (tokens - tokens_before, ==, count);
  g_assert_cmpuint (waiting - before, ==, 100 * count + overhead + once);
  while ((bytes = link_pull_head (link)))
    link_to_tail (link, bytes);
  rd_sender_committed (link->sender, &after, &tokens);
  g_assert_cmpuint (tokens - tokens_before, ==, count);
  g_assert_cmpint (ABS ((gint64) (after - waiting)), <=, 8);
}

static void
test_cost (void)
{
  Link link;

  link_open (&link, NULL, NULL);
  expect_cost (&link, 4, FALSE);
  link_warm_up (&link, 4);
  expect_cost (&link, 1, TRUE);
  expect_cost (&link, 64, TRUE);
  rd_sender_force_key (link.sender);
  expect_cost (&link, 1, FALSE);
  link_close (&link);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sender-size/fragments", test_fragments);
  g_test_add_func ("/sender-size/limit-changes", test_limit_changes);
  g_test_add_func ("/sender-size/room", test_room);
  g_test_add_func ("/sender-size/cost", test_cost);
  return g_test_run ();
}
