/* Rules of the head's end that a simulation does not show. */
#include <string.h>
#include "tests/unit/session-link.h"

static RdSenderStats
stats (const Link * link)
{
  RdSenderStats s;

  rd_sender_stats (link->sender, &s);
  return s;
}

/* HEADER goes with the 1st, 2nd, 4th ... frame and with the echo of the cookie until an acknowledgement without cookie has come, then a
 * step costs 12 bytes beside its payload. */
static void
test_header_until_confirmed (void)
{
  Link link;
  GBytes *bytes;
  RdFrame f;

  link_open (&link, NULL, NULL);
  link_rows (&link, 4, FALSE);
  bytes = link_pull_head (&link);
  link_find (bytes, RD_FRAME_HEADER, &f);
  link_to_tail (&link, bytes);
  link_rows (&link, 1, FALSE);
  link_expect_head (&link, "HEADER STATES");
  link_rows (&link, 1, FALSE);
  link_expect_head (&link, "STATES");

  bytes = link_pull_tail (&link);
  link_find (bytes, RD_FRAME_CONTROL, &f);
  g_assert_true (f.has_cookie);
  link_to_head (&link, bytes);
  link_rows (&link, 1, FALSE);
  /* the echo of the cookie */
  bytes = link_pull_head (&link);
  link_find (bytes, RD_FRAME_HEADER, &f);
  link_to_tail (&link, bytes);
  bytes = link_pull_tail (&link);
  link_find (bytes, RD_FRAME_CONTROL, &f);
  g_assert_false (f.has_cookie);
  link_to_head (&link, bytes);

  link_rows (&link, 1, TRUE);
  bytes = link_pull_head (&link);
  g_assert_cmpuint (g_bytes_get_size (bytes), <=, 112);
  link_find (bytes, RD_FRAME_STATES, &f);
  g_assert_true (f.step && f.sample);
  g_bytes_unref (bytes);
  link_close (&link);
}

static void
test_key_interval (void)
{
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  Link link;
  guint i;

  config.key_int_max = 5;
  link_open (&link, &config, NULL);
  link_warm_up (&link, 10);
  rd_sender_force_key (link.sender);
  for (i = 0; i < 12; i++) {
    link_rows (&link, 1, FALSE);
    link_expect_head (&link, i % 5 == 0 ? "HEADER STATES" : "STATES");
  }
  link_close (&link);
}

static void
test_window (void)
{
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  Link link;

  config.window_bytes = 4096;
  link_open (&link, &config, NULL);
  link_warm_up (&link, 2);
  /* one that is larger goes when nothing is under way */
  g_assert_true (rd_sender_can_queue (link.sender, 100000));
  /* each datagram counts as 1 KiB: four fit */
  link_rows (&link, 1, FALSE);
  link_rows (&link, 1, FALSE);
  link_rows (&link, 1, FALSE);
  g_assert_true (rd_sender_can_queue (link.sender, 100));
  link_rows (&link, 1, FALSE);
  g_assert_false (rd_sender_can_queue (link.sender, 1));
  while (TRUE) {
    GBytes *bytes = link_pull_head (&link);

    if (!bytes)
      break;
    link_to_tail (&link, bytes);
  }
  /* stored is not taken: the tail holds the credit until its task comes for the frames */
  link.now += 10 * LINK_MS;
  link_to_head (&link, link_pull_tail (&link));
  g_assert_true (rd_sender_drained (link.sender));
  g_assert_false (rd_sender_can_queue (link.sender, 1));
  link_expect_take (&link, "STATES 2 1");
  link_expect_take (&link, "STATES 3 1");
  link.now += 10 * LINK_MS;
  link_to_head (&link, link_pull_tail (&link));
  g_assert_true (link.input.window_changed);
  g_assert_true (rd_sender_can_queue (link.sender, 2048));
  g_assert_false (rd_sender_can_queue (link.sender, 2049));
  link_close (&link);
}

/* A lost frame is asked about in a few bytes, and sent again only when the tail has said that it is missing. */
static void
test_probe (void)
{
  Link link;
  GBytes *bytes;
  RdFrame f;
  gint64 last = 0, gap = 0;
  guint i;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  link_rows (&link, 1, TRUE);
  link_expect_head (&link, "STATES");
  link_expect_head (&link, "-");
  for (i = 0; i < 6; i++) {
    gint64 at = rd_sender_deadline (link.sender);

    g_assert_cmpint (at, >, link.now);
    g_assert_cmpint (at - link.now, <, LINK_SECOND);
    if (last) {
      g_assert_cmpint (at - last, >=, gap);
      gap = at - last;
    }
    last = link.now = at;
    bytes = link_pull_head (&link);
    g_assert_cmpuint (g_bytes_get_size (bytes), <, 32);
    if (i < 5) {
      g_autofree gchar *names = link_names (bytes);

      g_assert_cmpstr (names, ==, "PROBE");
      link_expect_head (&link, "-");
    }
  }
  g_assert_cmpint (gap, >, 50 * LINK_MS);
  link_to_tail (&link, bytes);
  bytes = link_pull_tail (&link);
  link_find (bytes, RD_FRAME_CONTROL, &f);
  g_assert_cmpint (f.control, ==, RD_CONTROL_REPLAY);
  g_assert_cmpuint (f.aux, ==, 6);
  link_to_head (&link, bytes);
  link_expect_head (&link, "STATES");
  g_assert_cmpuint (stats (&link).retransmitted_frames, ==, 1);
  link_close (&link);
}

static void
test_peer_timeout (void)
{
  Link link;
  g_autofree gchar *message = NULL;
  gint64 start;

  link_open (&link, NULL, NULL);
  link_rows (&link, 4, TRUE);
  start = link.now;
  while (!rd_sender_failed (link.sender, NULL)) {
    GBytes *bytes = link_pull_head (&link);

    if (bytes)
      g_bytes_unref (bytes);
    else if (!rd_sender_failed (link.sender, NULL))
      link.now = rd_sender_deadline (link.sender);
    g_assert_cmpint (link.now, <=, start + 10 * LINK_SECOND);
  }
  g_assert_cmpint (link.now, ==, start + 10 * LINK_SECOND);
  g_assert_true (rd_sender_failed (link.sender, &message));
  g_assert_nonnull (strstr (message, "10.0 s"));
  g_assert_nonnull (strstr (message, "nothing has ever come"));
  g_assert_cmpint (rd_sender_deadline (link.sender), ==, G_MAXINT64);
  link_expect_head (&link, "-");
  link_close (&link);
}

/* A tail that says "working" may take as long as it likes; one that is idle is not waited for at all. */
static void
test_working_and_idle (void)
{
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  Link link;
  guint i, working = 0, alive = 0;

  config.keepalive = 5 * LINK_SECOND;
  link_open (&link, &config, NULL);
  link_warm_up (&link, 4);
  link_rows (&link, 8, TRUE);
  link_to_tail (&link, link_pull_head (&link));
  link_expect_take (&link, "STATES 4 8");
  rd_receiver_busy (link.receiver, link.delivery.session, TRUE, link.now);
  for (i = 0; i < 60; i++) {
    GBytes *bytes;

    link.now += LINK_SECOND;
    while ((bytes = link_pull_tail (&link))) {
      RdFrame f;

      link_find (bytes, RD_FRAME_CONTROL, &f);
      working += f.control == RD_CONTROL_WORKING;
      link_to_head (&link, bytes);
    }
    /* the probes get lost */
    while ((bytes = link_pull_head (&link)))
      g_bytes_unref (bytes);
    g_assert_false (rd_sender_failed (link.sender, NULL));
  }
  g_assert_cmpuint (working, >=, 59);
  rd_receiver_busy (link.receiver, link.delivery.session, FALSE, link.now);
  rd_receiver_tokens (link.receiver, link.delivery.session, 0, 12,
      (const gint32[]) { 77 }, 1, RD_FINISH_EOS, link.now);
  link_to_head (&link, link_pull_tail (&link));
  g_assert_true (link.input.tokens);
  g_assert_cmpint (link.input.finish, ==, RD_FINISH_EOS);

  for (i = 0; i < 3600; i++) {
    g_autofree gchar *names = link_names (link_pull_head (&link));

    alive += strcmp (names, "KEEPALIVE") == 0;
    g_assert_true (strcmp (names, "-") == 0 || strcmp (names,
            "KEEPALIVE") == 0);
    link.now += LINK_SECOND;
  }
  g_assert_false (rd_sender_failed (link.sender, NULL));
  g_assert_cmpuint (alive, ==, 719);
  link_close (&link);
}

/* Tokens are handed out once and in order, those of another epoch not at all. */
static void
test_tokens (void)
{
  Link link;
  guint32 session;
  GBytes *first, *copy;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  session = link.delivery.session;
  link_rows (&link, 4, TRUE);
  link_settle (&link);
  rd_receiver_tokens (link.receiver, session, 0, 8, (const gint32[]) { 5 }, 1,
      RD_FINISH_NONE, link.now);
  first = link_pull_tail (&link);
  copy = g_bytes_ref (first);
  link_to_head (&link, first);
  g_assert_true (link.input.tokens);
  g_assert_cmpuint (link.input.position, ==, 8);
  g_assert_cmpint (link.ids[0], ==, 5);
  link_to_head (&link, g_bytes_ref (copy));
  g_assert_false (link.input.tokens);

  /* the next epoch begins before the answer to this one comes */
  link_rows (&link, 1, TRUE);
  link_settle (&link);
  rd_receiver_tokens (link.receiver, session, 0, 9, (const gint32[]) { 6 }, 1,
      RD_FINISH_NONE, link.now);
  g_bytes_unref (copy);
  copy = link_pull_tail (&link);
  link.epoch = 1;
  link.position = 6;
  link_rows (&link, 1, TRUE);
  link_to_head (&link, copy);
  g_assert_false (link.input.tokens);
  link_close (&link);
}

static void
test_epoch (void)
{
  Link link;
  GBytes *bytes;
  RdFrame f;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 10);
  link.epoch = 3;
  link.position = 7;
  link_rows (&link, 2, FALSE);
  bytes = link_pull_head (&link);
  link_find (bytes, RD_FRAME_HEADER, &f);
  link_find (bytes, RD_FRAME_STATES, &f);
  g_assert_true (f.truncate && f.has_epoch);
  g_assert_cmpuint (f.epoch, ==, 3);
  g_assert_cmpuint (f.position, ==, 7);
  link_to_tail (&link, bytes);
  link_expect_take (&link, "STATES 7 2");
  g_assert_cmpuint (link.delivery.epoch, ==, 3);
  /* the rest of the epoch is compact again */
  link_rows (&link, 1, FALSE);
  bytes = link_pull_head (&link);
  link_find (bytes, RD_FRAME_STATES, &f);
  g_assert_false (f.has_epoch);
  link_to_tail (&link, bytes);
  link_expect_take (&link, "STATES 9 1");
  g_assert_cmpuint (link.delivery.epoch, ==, 3);
  link_close (&link);
}

static void
test_refused_rows (void)
{
  static const guint8 payload[8];
  const RdStates bad[] = {
    {.position = 11,.count = 1},
    {.position = 9,.count = 1},
    {.position = 10,.count = 0},
    {.position = 10,.count = RD_MAX_FRAME_TOKENS + 1},
    {.epoch = 1,.position = 11,.count = 1},
  };
  RdStates first = {.position = 1,.count = 1 };
  Link link;
  guint i;
  g_autoptr (GError) error = NULL;

  link_open (&link, NULL, NULL);
  g_assert_false (rd_sender_queue (link.sender, &first, payload, 8, link.now,
          &error));
  link_warm_up (&link, 10);
  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_clear_error (&error);
    g_assert_false (rd_sender_queue (link.sender, &bad[i], payload, 8,
            link.now, &error));
    g_assert_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_INVALID);
  }
  link_expect_head (&link, "-");
  link_close (&link);
}

static void
test_cancel (void)
{
  Link link;
  RdSenderStats before;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 10);
  link_rows (&link, 4, FALSE);
  link_to_tail (&link, link_pull_head (&link));
  link_rows (&link, 4, TRUE);
  before = stats (&link);
  /* what was not sent is dropped, what was sent stays */
  rd_sender_cancel (link.sender, 0, 12, link.now);
  link_to_tail (&link, link_pull_head (&link));
  link_expect_head (&link, "-");
  g_assert_cmpuint (stats (&link).frames, ==, before.frames);
  link_expect_take (&link, "CANCEL 12");
  link_expect_take (&link, "STATES 10 4");
  /* said three times in all, taken once */
  link.now += 20 * LINK_MS;
  link_to_tail (&link, link_pull_head (&link));
  link_expect_take (&link, "-");
  link.now += 20 * LINK_MS;
  link_expect_head (&link, "CANCEL");
  link_settle (&link);
  link.epoch = 1;
  link.position = 12;
  link_rows (&link, 1, TRUE);
  link_to_tail (&link, link_pull_head (&link));
  link_expect_take (&link, "STATES 12 1");
  g_assert_true (link.delivery.frame.sample);
  link_close (&link);
}

static void
test_end (void)
{
  Link link;
  gboolean clean = FALSE;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  link_rows (&link, 4, FALSE);
  rd_sender_end (link.sender, link.now);
  g_assert_false (rd_sender_drained (link.sender));
  link_expect_head (&link, "STATES");
  /* END shows the loss, and is answered with what is missing */
  link_to_tail (&link, link_pull_head (&link));
  link_to_head (&link, link_pull_tail (&link));
  link_to_tail (&link, link_pull_head (&link));
  link.now += 50 * LINK_MS;
  link_to_head (&link, link_pull_tail (&link));
  link.now = rd_sender_deadline (link.sender);
  link_to_tail (&link, link_pull_head (&link));
  g_assert_false (rd_receiver_quiet (link.receiver, link.now));
  link_to_head (&link, link_pull_tail (&link));
  g_assert_false (rd_sender_ended (link.sender, NULL));
  /* the tail hears that its END_ACK has come, and need not linger */
  link_to_tail (&link, link_pull_head (&link));
  g_assert_true (rd_sender_ended (link.sender, &clean));
  g_assert_true (clean);
  g_assert_true (rd_receiver_quiet (link.receiver, link.now));
  link_expect_take (&link, "STATES 4 4");
  link_expect_take (&link, "END");
  g_assert_cmpuint (rd_receiver_n_ended (link.receiver), ==, 1);
  g_assert_cmpuint (rd_receiver_n_sessions (link.receiver), ==, 0);
  link_close (&link);
}

static void
test_end_unanswered (void)
{
  Link link;
  gboolean clean = TRUE;
  gint64 start;
  guint n = 0;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  rd_sender_end (link.sender, link.now);
  start = link.now;
  while (!rd_sender_ended (link.sender, &clean)) {
    GBytes *bytes = link_pull_head (&link);

    n += bytes != NULL;
    if (bytes)
      g_bytes_unref (bytes);
    else if (!rd_sender_ended (link.sender, NULL))
      link.now = rd_sender_deadline (link.sender);
  }
  g_assert_false (clean);
  g_assert_false (rd_sender_failed (link.sender, NULL));
  g_assert_cmpint (link.now - start, ==, 2 * LINK_SECOND);
  g_assert_cmpuint (n, >, 20);
  link_close (&link);
}

static void
test_feedback_closed (void)
{
  Link link;
  gboolean clean = TRUE;
  guint i;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  link_rows (&link, 4, TRUE);
  link_expect_head (&link, "STATES");
  rd_sender_feedback_closed (link.sender, link.now);
  g_assert_cmpint (rd_sender_deadline (link.sender), ==, G_MAXINT64);
  g_assert_true (rd_sender_drained (link.sender));
  rd_sender_end (link.sender, link.now);
  for (i = 0; i < 3; i++) {
    g_assert_false (rd_sender_ended (link.sender, NULL));
    link_expect_head (&link, "END");
    link_expect_head (&link, "-");
    link.now += 20 * LINK_MS;
  }
  g_assert_true (rd_sender_ended (link.sender, &clean));
  g_assert_false (clean);
  link_expect_head (&link, "-");
  link_close (&link);
}

static void
one_way (gsize max_payload_size, guint ends)
{
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  Link link;
  gboolean clean = FALSE;
  guint i;

  config.has_feedback = FALSE;
  config.key_int_max = 8;
  config.max_payload_size = max_payload_size;
  link_open (&link, &config, NULL);
  for (i = 0; i < 9; i++) {
    link_rows (&link, 2, TRUE);
    link_expect_head (&link, i % 4 == 0 ? "HEADER STATES" : "STATES");
    g_assert_true (rd_sender_drained (link.sender));
    g_assert_cmpint (rd_sender_deadline (link.sender), ==, G_MAXINT64);
  }
  rd_sender_end (link.sender, link.now);
  for (i = 0; i < ends; i++, link.now += 20 * LINK_MS) {
    g_assert_false (rd_sender_ended (link.sender, NULL));
    link_expect_head (&link, "END");
  }
  g_assert_true (rd_sender_ended (link.sender, &clean));
  g_assert_true (clean);
  link_close (&link);
}

static void
test_one_way (void)
{
  one_way (0, 1);
  one_way (1400, 3);
}

/* A tail that knows nothing asks for HEADER; what it lacks shows in its answer to the probe that comes with it. */
static void
meet_new_tail (Link * link)
{
  GBytes *bytes;
  RdFrame f;

  link_to_tail (link, link_pull_head (link));
  bytes = link_pull_tail (link);
  link_find (bytes, RD_FRAME_CONTROL, &f);
  g_assert_cmpint (f.control, ==, RD_CONTROL_KEY);
  link_to_head (link, bytes);
  bytes = link_pull_head (link);
  link_find (bytes, RD_FRAME_HEADER, &f);
  link_find (bytes, RD_FRAME_CONTROL, &f);
  g_assert_cmpint (f.control, ==, RD_CONTROL_PROBE);
  link_to_tail (link, bytes);
  link_to_head (link, link_pull_tail (link));
}

/* A tail that begins again is given everything, with the tokens that are known. */
static void
test_restart (void)
{
  Link link;
  RdReceiverConfig tail = RD_RECEIVER_CONFIG_DEFAULT;
  GBytes *bytes;
  RdFrame f;

  link_open (&link, NULL, NULL);
  link_warm_up (&link, 4);
  link_rows (&link, 4, TRUE);
  link_settle (&link);
  rd_receiver_tokens (link.receiver, link.delivery.session, 0, 8,
      (const gint32[]) { 1234 }, 1, RD_FINISH_NONE, link.now);
  link_settle (&link);
  link_rows (&link, 1, TRUE);
  rd_receiver_free (link.receiver);
  tail.seed = 2;
  link.receiver = rd_receiver_new (&tail);

  meet_new_tail (&link);
  bytes = link_pull_head (&link);
  link_find (bytes, RD_FRAME_STATES, &f);
  g_assert_cmpuint (f.position, ==, 0);
  link_to_tail (&link, bytes);
  link_to_tail (&link, link_pull_head (&link));
  bytes = link_pull_head (&link);
  link_find (bytes, RD_FRAME_STATES, &f);
  g_assert_cmpuint (f.position, ==, 4);
  g_assert_true (f.sample && f.given);
  g_assert_cmpint (rd_frame_given_id (&f), ==, 1234);
  link_to_tail (&link, bytes);
  link_to_tail (&link, link_pull_head (&link));
  link_expect_take (&link, "BEGIN");
  link_expect_take (&link, "STATES 0 2");
  link_expect_take (&link, "STATES 2 2");
  link_expect_take (&link, "STATES 4 4");
  g_assert_cmpint (link.given_id, ==, 1234);
  link_close (&link);
}

static void
test_replay_bytes (void)
{
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  RdReceiverConfig tail = RD_RECEIVER_CONFIG_DEFAULT;
  g_autofree gchar *message = NULL;
  Link link;

  config.replay_bytes = 500;
  link_open (&link, &config, NULL);
  link_warm_up (&link, 4);
  link_warm_up (&link, 4);
  link_rows (&link, 1, TRUE);
  rd_receiver_free (link.receiver);
  tail.seed = 2;
  link.receiver = rd_receiver_new (&tail);
  meet_new_tail (&link);
  g_assert_true (rd_sender_failed (link.sender, &message));
  g_assert_nonnull (strstr (message, "replay-bytes"));
  link_close (&link);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sender/header", test_header_until_confirmed);
  g_test_add_func ("/sender/key-interval", test_key_interval);
  g_test_add_func ("/sender/window", test_window);
  g_test_add_func ("/sender/probe", test_probe);
  g_test_add_func ("/sender/peer-timeout", test_peer_timeout);
  g_test_add_func ("/sender/working-and-idle", test_working_and_idle);
  g_test_add_func ("/sender/tokens", test_tokens);
  g_test_add_func ("/sender/epoch", test_epoch);
  g_test_add_func ("/sender/refused-rows", test_refused_rows);
  g_test_add_func ("/sender/cancel", test_cancel);
  g_test_add_func ("/sender/end", test_end);
  g_test_add_func ("/sender/end-unanswered", test_end_unanswered);
  g_test_add_func ("/sender/feedback-closed", test_feedback_closed);
  g_test_add_func ("/sender/one-way", test_one_way);
  g_test_add_func ("/sender/restart", test_restart);
  g_test_add_func ("/sender/replay-bytes", test_replay_bytes);
  return g_test_run ();
}
