/* Rules of the tail's end that a simulation does not show. */
#include <string.h>
#include "tests/unit/session-link.h"

static RdReceiverStats
stats (const Link * link)
{
  RdReceiverStats s;

  rd_receiver_stats (link->receiver, &s);
  return s;
}

/* Frames that come before HEADER are kept, HEADER is asked for. */
static void
test_early_frames (void)
{
  Link link;
  GBytes *key, *whole;
  g_autoptr (GBytes) header = NULL;
  g_autoptr (GBytes) states = NULL;
  RdFrame f;

  link_open (&link, NULL, NULL);
  link_rows (&link, 2, FALSE);
  whole = link_pull_head (&link);
  link_find (whole, RD_FRAME_HEADER, &f);
  header = g_bytes_new_from_bytes (whole, 0, f.size);
  states = g_bytes_new_from_bytes (whole, f.size, g_bytes_get_size (whole) -
      f.size);
  g_bytes_unref (whole);

  link_to_tail (&link, g_bytes_ref (states));
  link_expect_take (&link, "-");
  key = link_pull_tail (&link);
  link_find (key, RD_FRAME_CONTROL, &f);
  g_assert_cmpint (f.control, ==, RD_CONTROL_KEY);
  g_assert_cmpuint (f.check, ==, 0);
  g_assert_cmpuint (f.aux, ==, 1);
  /* not more than came */
  g_assert_cmpuint (g_bytes_get_size (key), <, g_bytes_get_size (states));
  g_bytes_unref (key);
  link_to_tail (&link, g_bytes_ref (header));
  link_expect_take (&link, "BEGIN");
  link_expect_take (&link, "STATES 0 2");
  link_close (&link);
}

static void
test_order (void)
{
  Link link;
  GBytes *frames[6];
  guint i;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  for (i = 0; i < 6; i++) {
    link_rows (&link, 1, FALSE);
    frames[i] = link_pull_head (&link);
  }
  /* a hole is told at once, and filled in any order */
  link_to_tail (&link, g_bytes_ref (frames[0]));
  link_to_tail (&link, g_bytes_ref (frames[5]));
  link_expect_tail (&link, "REPLAY");
  link_expect_tail (&link, "-");
  link_to_tail (&link, g_bytes_ref (frames[3]));
  link_to_tail (&link, g_bytes_ref (frames[3]));
  link_to_tail (&link, g_bytes_ref (frames[2]));
  link_expect_take (&link, "STATES 4 1");
  link_expect_take (&link, "-");
  link_to_tail (&link, g_bytes_ref (frames[1]));
  link_to_tail (&link, g_bytes_ref (frames[0]));
  link_to_tail (&link, g_bytes_ref (frames[4]));
  for (i = 5; i < 10; i++) {
    g_autofree gchar *expected = g_strdup_printf ("STATES %u 1", i);

    link_expect_take (&link, expected);
  }
  link_expect_take (&link, "-");
  g_assert_cmpuint (stats (&link).duplicates, ==, 2);
  g_assert_cmpuint (stats (&link).holes, ==, 1);
  for (i = 0; i < 6; i++)
    g_bytes_unref (frames[i]);
  link_close (&link);
}

static void
test_stall_is_bounded (void)
{
  Link link;
  GBytes *bytes;
  guint replays = 0, errors = 0;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  link_rows (&link, 1, FALSE);
  link_expect_head (&link, "STATES");
  link_rows (&link, 1, FALSE);
  link_to_tail (&link, link_pull_head (&link));
  while (rd_receiver_deadline (link.receiver) < link.now + 11 * LINK_SECOND) {
    link.now = MAX (link.now, rd_receiver_deadline (link.receiver));
    while ((bytes = link_pull_tail (&link))) {
      g_autofree gchar *names = link_names (bytes);

      replays += strcmp (names, "REPLAY") == 0;
      errors += strcmp (names, "ERROR") == 0;
    }
    if (errors)
      break;
  }
  g_assert_cmpuint (errors, ==, 1);
  g_assert_cmpuint (replays, >, 5);
  g_assert_cmpuint (replays, <, 60);
  link_expect_take (&link, "END: The rows from position 4 of epoch 0 on were "
      "lost and did not come when asked for");
  link_close (&link);
}

static void
test_loss_reset (void)
{
  RdReceiverConfig tail = RD_RECEIVER_CONFIG_DEFAULT;
  Link link;

  tail.loss_policy = RD_LOSS_RESET;
  link_open (&link, NULL, &tail);
  link_warm_up (&link, 4);
  link_rows (&link, 1, FALSE);
  link_expect_head (&link, "STATES");
  link_rows (&link, 1, FALSE);
  link_to_tail (&link, link_pull_head (&link));
  link.now += 101 * LINK_MS;
  link_expect_tail (&link, "ERROR");
  g_assert_cmpuint (rd_receiver_n_sessions (link.receiver), ==, 1);
  link_close (&link);
}

/* Without a way back nothing is sent and nothing can be asked for. */
static void
test_one_way (void)
{
  RdReceiverConfig tail = RD_RECEIVER_CONFIG_DEFAULT;
  RdSenderConfig head = RD_SENDER_CONFIG_DEFAULT;
  Link link;

  tail.has_feedback = FALSE;
  head.has_feedback = FALSE;
  link_open (&link, &head, &tail);
  link_rows (&link, 2, TRUE);
  link_to_tail (&link, link_pull_head (&link));
  link_expect_take (&link, "BEGIN");
  link_expect_take (&link, "STATES 0 2");
  rd_receiver_tokens (link.receiver, link.delivery.session, 0, 2,
      (const gint32[]) { 1 }, 1, RD_FINISH_NONE, link.now);
  link.now += LINK_SECOND;
  link_expect_tail (&link, "-");
  link_rows (&link, 1, TRUE);
  link_expect_head (&link, "STATES");
  link_rows (&link, 1, TRUE);
  link_to_tail (&link, link_pull_head (&link));
  link_expect_take (&link, "-");
  g_assert_cmpint (rd_receiver_deadline (link.receiver), ==, link.now +
      LINK_SECOND);
  link.now += LINK_SECOND;
  link_expect_take (&link, "END: The rows from position 2 of epoch 0 on were "
      "lost, and there is no way back to ask for them");
  g_assert_true (rd_receiver_quiet (link.receiver, link.now));
  link_close (&link);
}

static void
test_one_way_end (void)
{
  RdReceiverConfig tail = RD_RECEIVER_CONFIG_DEFAULT;
  RdSenderConfig head = RD_SENDER_CONFIG_DEFAULT;
  Link link;

  tail.has_feedback = FALSE;
  head.has_feedback = FALSE;
  head.max_payload_size = 1400;
  link_open (&link, &head, &tail);
  link_rows (&link, 2, TRUE);
  rd_sender_end (link.sender, link.now);
  while (!rd_sender_ended (link.sender, NULL)) {
    GBytes *bytes = link_pull_head (&link);

    if (bytes)
      link_to_tail (&link, bytes);
    else
      link.now = rd_sender_deadline (link.sender);
  }
  link_expect_take (&link, "BEGIN");
  link_expect_take (&link, "STATES 0 2");
  link_expect_take (&link, "END");
  link_expect_take (&link, "-");
  g_assert_cmpuint (rd_receiver_n_ended (link.receiver), ==, 1);
  link_close (&link);
}

static void
test_errors (void)
{
  Link link;
  g_autofree gchar *taken = NULL;
  g_autofree gchar *text = g_strnfill (600, 'x');

  /* the tail gives up: the head is told, and told again when it goes on */
  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  rd_receiver_error (link.receiver, link.delivery.session, "the tail holds "
      "split 10, the stream was made for split 15", link.now);
  link_expect_tail (&link, "ERROR");
  link_expect_tail (&link, "-");
  link_rows (&link, 1, FALSE);
  link_to_tail (&link, link_pull_head (&link));
  link_to_head (&link, link_pull_tail (&link));
  g_assert_cmpstr (link.input.error, ==, "the tail holds split 10, the stream "
      "was made for split 15");
  g_clear_pointer (&link.input.error, g_free);
  link_expect_head (&link, "-");
  g_assert_false (rd_receiver_quiet (link.receiver, link.now));
  g_assert_true (rd_receiver_quiet (link.receiver, link.now + 2 * LINK_SECOND));
  link_close (&link);

  /* the head gives up; what came before is still delivered */
  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  link_rows (&link, 1, FALSE);
  link_to_tail (&link, link_pull_head (&link));
  rd_sender_error (link.sender, text, link.now);
  link_to_tail (&link, link_pull_head (&link));
  link_expect_head (&link, "-");
  link_expect_take (&link, "STATES 4 1");
  taken = link_take (&link);
  g_assert_true (g_str_has_prefix (taken, "END: The head says: xxx"));
  g_assert_cmpuint (strlen (taken), ==, strlen ("END: The head says: ") + 512);
  link_close (&link);
}

static void
test_session_timeout (void)
{
  RdReceiverConfig tail = RD_RECEIVER_CONFIG_DEFAULT;
  Link link;

  tail.session_timeout = 20 * LINK_SECOND;
  link_open (&link, NULL, &tail);
  link_warm_up (&link, 4);
  g_assert_cmpint (rd_receiver_deadline (link.receiver), <=, link.now +
      20 * LINK_SECOND);
  link.now += 21 * LINK_SECOND;
  link_expect_take (&link, "END: Nothing was heard from the head for 20.0 s");
  g_assert_cmpuint (rd_receiver_n_sessions (link.receiver), ==, 0);
  /* it comes back: everything from the beginning, as a new session */
  link_rows (&link, 1, TRUE);
  link_settle (&link);
  link.now += 200 * LINK_MS;
  link_settle (&link);
  g_assert_true (rd_sender_drained (link.sender));
  g_assert_cmpuint (link.delivery.position, ==, 4);
  g_assert_cmpuint (link.delivery.session, ==, 2);
  link_close (&link);
}

/* The head ignores the window: what does not fit is as good as lost. */
static void
test_flood (void)
{
  RdReceiverConfig tail = RD_RECEIVER_CONFIG_DEFAULT;
  RdSenderConfig head = RD_SENDER_CONFIG_DEFAULT;
  Link link;
  GBytes *bytes;
  guint i, taken = 0;

  tail.hold_bytes = 16 * 1024;
  head.window_bytes = 1 << 20;
  link_open (&link, &head, &tail);
  link_warm_up (&link, 4);
  for (i = 0; i < 60; i++)
    link_rows (&link, 1, FALSE);
  while ((bytes = link_pull_head (&link)))
    link_to_tail (&link, bytes);
  g_assert_cmpuint (rd_receiver_queued_bytes (link.receiver), <=, 17 * 1024);
  while (taken < 60) {
    g_autofree gchar *name = link_take (&link);

    taken += strcmp (name, "-") != 0;
    link_settle (&link);
    link.now += 20 * LINK_MS;
    g_assert_cmpint (link.now, <, 60 * LINK_SECOND);
    if (rd_sender_drained (link.sender))
      break;
  }
  g_assert_true (rd_sender_drained (link.sender));
  g_assert_cmpuint (link.delivery.position, ==, 63);
  link_close (&link);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/receiver/early-frames", test_early_frames);
  g_test_add_func ("/receiver/order", test_order);
  g_test_add_func ("/receiver/stall", test_stall_is_bounded);
  g_test_add_func ("/receiver/loss-reset", test_loss_reset);
  g_test_add_func ("/receiver/one-way", test_one_way);
  g_test_add_func ("/receiver/one-way-end", test_one_way_end);
  g_test_add_func ("/receiver/errors", test_errors);
  g_test_add_func ("/receiver/session-timeout", test_session_timeout);
  g_test_add_func ("/receiver/flood", test_flood);
  return g_test_run ();
}
