/* The parts of the elements that need no stream: turns, conversation, text with stop strings, sampling terms, scores. */
#include <math.h>
#include <string.h>
#include "elements/tokensrc/gstrdconversation.h"
#include "elements/common/gstrdsampling.h"
#include "elements/transformertail/gstrdscore.h"
#include "elements/common/gstrdtext.h"
#include "elements/tokensrc/gstrdturns.h"
#include "tests/elements/element-tools.h"

/* ---- turns ---- */

static void
expect_turn (GstRdTurns * turns, const gchar * text)
{
  GString *turn = gst_rd_turns_pop (turns);

  if (!text) {
    fail_unless (turn == NULL);
    return;
  }
  fail_unless (turn != NULL, "no turn where \"%s\" is expected", text);
  assert_equals_string (turn->str, text);
  g_string_free (turn, TRUE);
}

GST_START_TEST (turns_end_at_the_delimiter)
{
  GstRdTurns turns;

  gst_rd_turns_init (&turns);
  fail_unless (gst_rd_turns_push (&turns, "one\ntwo\nthr", 11));
  expect_turn (&turns, "one");
  expect_turn (&turns, "two");
  expect_turn (&turns, NULL);
  fail_unless (gst_rd_turns_push (&turns, "ee", 2));
  expect_turn (&turns, NULL);
  fail_unless (gst_rd_turns_push (&turns, "\n\n\n", 3));
  expect_turn (&turns, "three");
  expect_turn (&turns, NULL);
  gst_rd_turns_push (&turns, "last", 4);
  gst_rd_turns_end (&turns);
  expect_turn (&turns, "last");

  /* A delimiter that comes in two parts. */
  gst_rd_turns_set_delimiter (&turns, "--");
  gst_rd_turns_push (&turns, "a-b-", 4);
  expect_turn (&turns, NULL);
  gst_rd_turns_push (&turns, "-c", 2);
  expect_turn (&turns, "a-b");
  gst_rd_turns_clear (&turns);
}

GST_END_TEST;

GST_START_TEST (one_buffer_one_turn)
{
  GstRdTurns turns;

  gst_rd_turns_init (&turns);
  gst_rd_turns_set_delimiter (&turns, "");
  gst_rd_turns_push (&turns, "two\nlines", 9);
  expect_turn (&turns, "two\nlines");
  /* A character that is not whole keeps the turn open: e acute, euro sign, a musical symbol. */
  gst_rd_turns_push (&turns, "caf\xc3", 4);
  expect_turn (&turns, NULL);
  gst_rd_turns_push (&turns, "\xa9", 1);
  expect_turn (&turns, "caf\xc3\xa9");
  gst_rd_turns_push (&turns, "\xe2\x82", 2);
  expect_turn (&turns, NULL);
  gst_rd_turns_push (&turns, "\xac", 1);
  expect_turn (&turns, "\xe2\x82\xac");
  gst_rd_turns_push (&turns, "\xf0\x9d\x84", 3);
  expect_turn (&turns, NULL);
  gst_rd_turns_push (&turns, "\x9e", 1);
  expect_turn (&turns, "\xf0\x9d\x84\x9e");
  gst_rd_turns_clear (&turns);
}

GST_END_TEST;

/* ---- conversation ---- */

static void
expect_chunk (GstRdConversation * c, guint epoch, guint position,
    const gint32 * ids, guint n, gboolean step, gboolean sample)
{
  GstRdChunk chunk;

  fail_unless (gst_rd_conversation_next (c, &chunk));
  assert_equals_int (chunk.epoch, epoch);
  assert_equals_int (chunk.position, position);
  assert_equals_int (chunk.n, n);
  fail_unless (memcmp (chunk.ids, ids, sizeof (gint32) * n) == 0);
  assert_equals_int (chunk.step, step);
  assert_equals_int (chunk.sample, sample);
}

static void
expect_nothing (GstRdConversation * c)
{
  GstRdChunk chunk;

  fail_if (gst_rd_conversation_next (c, &chunk));
}

static GstRdReceived
receive (GstRdConversation * c, guint epoch, guint position, gint32 id,
    RdFinish finish)
{
  guint fresh;

  return gst_rd_conversation_receive (c, epoch, position, &id, 1, finish, 0,
      &fresh);
}

static const gint32 prompt[] = { 1, 2, 3, 4, 5 };
static const gint32 twenty[] = { 20, 21, 22 };

GST_START_TEST (conversation_of_two_turns)
{
  GstRdConversation c;
  const gint32 end_and_next[] = { 99, 1, 2 };

  gst_rd_conversation_init (&c, 2);
  gst_rd_conversation_turn (&c, prompt, 5, 99);
  expect_chunk (&c, 0, 0, prompt, 2, FALSE, FALSE);
  /* Nothing was asked for yet. */
  assert_equals_int (receive (&c, 0, 2, 7, RD_FINISH_NONE),
      GST_RD_RECEIVED_NOTHING);
  expect_chunk (&c, 0, 2, prompt + 2, 2, FALSE, FALSE);
  expect_chunk (&c, 0, 4, prompt + 4, 1, FALSE, TRUE);
  expect_nothing (&c);
  assert_equals_int (receive (&c, 0, 5, 20, RD_FINISH_NONE),
      GST_RD_RECEIVED_TOKENS);
  expect_chunk (&c, 0, 5, twenty, 1, TRUE, TRUE);
  /* Duplicates, other epochs, holes. */
  assert_equals_int (receive (&c, 0, 5, 20, RD_FINISH_NONE),
      GST_RD_RECEIVED_NOTHING);
  assert_equals_int (receive (&c, 1, 6, 21, RD_FINISH_NONE),
      GST_RD_RECEIVED_NOTHING);
  assert_equals_int (receive (&c, 0, 7, 21, RD_FINISH_NONE),
      GST_RD_RECEIVED_GAP);
  assert_equals_int (receive (&c, 0, 6, 21, RD_FINISH_STOP),
      GST_RD_RECEIVED_FINISH);
  expect_nothing (&c);
  fail_if (c.open);
  assert_equals_int (c.answer_tokens, 2);
  assert_equals_int (receive (&c, 0, 7, 22, RD_FINISH_NONE),
      GST_RD_RECEIVED_NOTHING);

  /* The next turn begins with the token that has not been run, then what ends a turn. */
  assert_equals_int (gst_rd_conversation_owed (&c, 99), 2);
  gst_rd_conversation_turn (&c, prompt, 2, 99);
  expect_chunk (&c, 0, 6, twenty + 1, 1, TRUE, FALSE);
  expect_chunk (&c, 0, 7, end_and_next, 2, FALSE, FALSE);
  expect_chunk (&c, 0, 9, end_and_next + 2, 1, FALSE, TRUE);
  /* After an end-of-text token, nothing is put before the turn. */
  assert_equals_int (receive (&c, 0, 10, 99, RD_FINISH_EOS),
      GST_RD_RECEIVED_FINISH);
  gst_rd_conversation_turn (&c, prompt, 2, 99);
  expect_chunk (&c, 0, 10, end_and_next, 1, TRUE, FALSE);
  expect_chunk (&c, 0, 11, prompt, 2, FALSE, TRUE);
  gst_rd_conversation_clear (&c);
}

GST_END_TEST;

GST_START_TEST (several_tokens_at_once)
{
  GstRdConversation c;
  guint fresh;

  gst_rd_conversation_init (&c, 64);
  gst_rd_conversation_turn (&c, prompt, 5, -1);
  expect_chunk (&c, 0, 0, prompt, 5, FALSE, TRUE);
  assert_equals_int (gst_rd_conversation_receive (&c, 0, 5, twenty, 2,
          RD_FINISH_NONE, 0, &fresh), GST_RD_RECEIVED_TOKENS);
  assert_equals_int (fresh, 2);
  expect_chunk (&c, 0, 5, twenty, 2, TRUE, TRUE);
  /* One of these is known. */
  assert_equals_int (gst_rd_conversation_receive (&c, 0, 6, twenty + 1, 2,
          RD_FINISH_LENGTH, 0, &fresh), GST_RD_RECEIVED_FINISH);
  assert_equals_int (fresh, 1);
  fail_unless (c.has_last);
  assert_equals_int (c.last, 22);
  gst_rd_conversation_clear (&c);
}

GST_END_TEST;

GST_START_TEST (finish_without_a_token)
{
  GstRdConversation c;
  guint fresh;

  /* max-tokens=0 */
  gst_rd_conversation_init (&c, 64);
  gst_rd_conversation_turn (&c, prompt, 5, -1);
  expect_chunk (&c, 0, 0, prompt, 5, FALSE, TRUE);
  assert_equals_int (gst_rd_conversation_receive (&c, 0, 5, NULL, 0,
          RD_FINISH_LENGTH, 0, &fresh), GST_RD_RECEIVED_FINISH);
  fail_if (c.has_last);
  gst_rd_conversation_turn (&c, prompt, 1, -1);
  expect_chunk (&c, 0, 5, prompt, 1, FALSE, TRUE);
  /* The context is full at the next token. */
  assert_equals_int (receive (&c, 0, 6, 20, RD_FINISH_NONE),
      GST_RD_RECEIVED_TOKENS);
  expect_chunk (&c, 0, 6, twenty, 1, TRUE, TRUE);
  assert_equals_int (gst_rd_conversation_receive (&c, 0, 6, NULL, 0,
          RD_FINISH_CONTEXT, 0, &fresh), GST_RD_RECEIVED_FINISH);
  fail_unless (c.has_last && c.last == 20);
  assert_equals_int (c.position, 6);
  gst_rd_conversation_clear (&c);
}

GST_END_TEST;

GST_START_TEST (rewinding_keeps_what_was_run)
{
  GstRdConversation c;

  gst_rd_conversation_init (&c, 2);
  /* In the middle of the first prompt: nothing is left. */
  gst_rd_conversation_turn (&c, prompt, 5, -1);
  expect_chunk (&c, 0, 0, prompt, 2, FALSE, FALSE);
  gst_rd_conversation_rewind (&c);
  expect_nothing (&c);
  gst_rd_conversation_turn (&c, prompt, 2, -1);
  expect_chunk (&c, 1, 0, prompt, 2, FALSE, TRUE);
  /* In an answer: up to its last token, which is still to be run. */
  assert_equals_int (receive (&c, 1, 2, 20, RD_FINISH_NONE),
      GST_RD_RECEIVED_TOKENS);
  expect_chunk (&c, 1, 2, twenty, 1, TRUE, TRUE);
  assert_equals_int (receive (&c, 1, 3, 21, RD_FINISH_NONE),
      GST_RD_RECEIVED_TOKENS);
  gst_rd_conversation_rewind (&c);
  gst_rd_conversation_turn (&c, prompt, 1, -1);
  expect_chunk (&c, 2, 3, twenty + 1, 1, TRUE, FALSE);
  /* In a later prompt: as if that turn had never begun. */
  gst_rd_conversation_rewind (&c);
  gst_rd_conversation_turn (&c, prompt + 4, 1, -1);
  expect_chunk (&c, 3, 3, twenty + 1, 1, TRUE, FALSE);
  expect_chunk (&c, 3, 4, prompt + 4, 1, FALSE, TRUE);
  gst_rd_conversation_clear (&c);
}

GST_END_TEST;

GST_START_TEST (windows_are_epochs)
{
  GstRdConversation c;

  gst_rd_conversation_init (&c, 3);
  gst_rd_conversation_window (&c, prompt, 4);
  expect_chunk (&c, 0, 0, prompt, 3, FALSE, FALSE);
  expect_chunk (&c, 0, 3, prompt + 3, 1, FALSE, FALSE);
  expect_nothing (&c);
  gst_rd_conversation_window (&c, prompt + 1, 4);
  expect_chunk (&c, 1, 0, prompt + 1, 3, FALSE, FALSE);
  gst_rd_conversation_clear (&c);
}

GST_END_TEST;

/* ---- text ---- */

static void
expect_text (const gchar * stops, const gchar * in, const gchar * out,
    gboolean stopped)
{
  g_auto (GStrv) list = g_strsplit (stops, "|", 0);
  g_autoptr (StTokenizer) tokenizer = st_tiny_tokenizer ();
  GstRdText *text = gst_rd_text_new (tokenizer, list);
  g_autoptr (GString) got = g_string_new (NULL);
  gboolean at_stop = FALSE;

  for (const gchar * c = in; *c && !at_stop; c++) {
    /* One token a byte, so that every stop string lies across tokens. */
    gchar byte = *c;
    gint32 id;

    for (id = ST_TINY_BYTE_TOKEN; id < ST_TINY_BYTE_TOKEN + 256; id++) {
      gsize size;
      const gchar *piece = st_tokenizer_piece (tokenizer, id, &size);

      if (size == 1 && *piece == byte)
        break;
    }
    at_stop = gst_rd_text_push (text, id, got);
    fail_unless (g_utf8_validate (got->str, (gssize) got->len, NULL));
  }
  assert_equals_int (at_stop, stopped);
  if (!at_stop)
    gst_rd_text_flush (text, got);
  assert_equals_string (got->str, out);
  gst_rd_text_free (text);
}

GST_START_TEST (stop_strings_across_tokens)
{
  expect_text ("", "plain", "plain", FALSE);
  expect_text ("END", "the END of it", "the ", TRUE);
  expect_text ("END", "the EN", "the EN", FALSE);
  expect_text ("END", "EEND", "E", TRUE);
  expect_text ("abab", "ababab", "", TRUE);
  expect_text ("abac", "ababac", "ab", TRUE);
  expect_text ("xyz|yz", "axyz", "a", TRUE);
  expect_text ("\xc3\xa9t", "caf\xc3\xa9t", "caf", TRUE);
  expect_text ("\xc3\xa9t", "caf\xc3\xa9s", "caf\xc3\xa9s", FALSE);
}

GST_END_TEST;

GST_START_TEST (text_is_held_no_longer_than_needed)
{
  gchar *stops[] = { (gchar *) "\n\n", NULL };
  g_autoptr (StTokenizer) tokenizer = st_tiny_tokenizer ();
  g_autoptr (GString) out = g_string_new (NULL);
  GstRdText *text = gst_rd_text_new (tokenizer, stops);
  g_autoptr (GArray) ids = st_encode ("a\nb");

  for (guint i = 0; i < ids->len; i++)
    gst_rd_text_push (text, g_array_index (ids, gint32, i), out);
  assert_equals_string (out->str, "a\nb");
  gst_rd_text_free (text);
}

GST_END_TEST;

/* ---- sampling ---- */

static void
set (GstRdSampling * s, guint which, GType type, const gchar * text)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, type);
  fail_unless (gst_value_deserialize (&value, text));
  fail_unless (gst_rd_sampling_set (s, 10, 10 + which, &value));
  g_value_unset (&value);
}

GST_START_TEST (wishes_override_values)
{
  GstRdSampling tail, client;
  RdWishes wishes;
  GstRdTerms t;

  gst_rd_sampling_init (&tail);
  gst_rd_sampling_init (&client);
  set (&tail, 0, G_TYPE_FLOAT, "0.5");
  set (&tail, 9, G_TYPE_INT, "20");
  gst_rd_sampling_terms (&tail, NULL, 77, &t);
  fail_unless (t.params.temperature == 0.5f);
  assert_equals_int (t.params.top_k, 40);
  assert_equals_uint64 (t.params.seed, 77);
  assert_equals_int (t.max_tokens, 20);
  fail_unless (t.stop == NULL);
  gst_rd_terms_clear (&t);

  set (&client, 1, G_TYPE_INT, "1");
  set (&client, 9, G_TYPE_INT, "30");
  set (&client, 8, G_TYPE_INT64, "5");
  set (&client, 10, G_TYPE_STRING, "\"a|b\\\\|c\\\\n||d\"");
  gst_rd_sampling_wishes (&client, &wishes);
  assert_equals_int (wishes.mask,
      RD_WISH_TOP_K | RD_WISH_MAX_TOKENS | RD_WISH_SEED | RD_WISH_STOP);
  gst_rd_sampling_terms (&tail, &wishes, 77, &t);
  fail_unless (t.params.temperature == 0.5f);
  assert_equals_int (t.params.top_k, 1);
  assert_equals_uint64 (t.params.seed, 5);
  assert_equals_int (t.max_tokens, 20);
  assert_equals_int (g_strv_length (t.stop), 3);
  assert_equals_string (t.stop[0], "a");
  assert_equals_string (t.stop[1], "b|c\n");
  assert_equals_string (t.stop[2], "d");
  gst_rd_terms_clear (&t);
  rd_wishes_clear (&wishes);
  gst_rd_sampling_clear (&tail);
  gst_rd_sampling_clear (&client);
}

GST_END_TEST;

GST_START_TEST (a_seed_is_always_wished_for)
{
  GstRdSampling client;
  RdWishes a, b;

  gst_rd_sampling_init (&client);
  gst_rd_sampling_wishes (&client, &a);
  gst_rd_sampling_wishes (&client, &b);
  assert_equals_int (a.mask, RD_WISH_SEED);
  fail_if (a.seed == b.seed);
  rd_wishes_clear (&a);
  rd_wishes_clear (&b);
  gst_rd_sampling_clear (&client);
}

GST_END_TEST;

/* ---- score ---- */

GST_START_TEST (scores_of_known_logits)
{
  /* log (softmax) of equal logits is -log n. */
  const gfloat flat[] = { 2, 2, 2, 2 };
  const gfloat sharp[] = { 0, 100, 0, 0 };
  GstRdScore score = { 0 };

  fail_unless (fabs (gst_rd_score_row (&score, flat, 4, 2) + log (4)) < 1e-9);
  fail_unless (fabs (gst_rd_score_row (&score, sharp, 4, 1)) < 1e-9);
  assert_equals_uint64 (score.tokens, 2);
  assert_equals_uint64 (score.top1, 1);
  fail_unless (fabs (gst_rd_score_perplexity (&score) - 2) < 1e-9);
  fail_unless (gst_rd_score_top1 (&score) == 0.5);
}

GST_END_TEST;

static Suite *
helpers_suite (void)
{
  Suite *suite = suite_create ("helpers");
  TCase *tc = tcase_create ("all");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, turns_end_at_the_delimiter);
  tcase_add_test (tc, one_buffer_one_turn);
  tcase_add_test (tc, conversation_of_two_turns);
  tcase_add_test (tc, several_tokens_at_once);
  tcase_add_test (tc, finish_without_a_token);
  tcase_add_test (tc, rewinding_keeps_what_was_run);
  tcase_add_test (tc, windows_are_epochs);
  tcase_add_test (tc, stop_strings_across_tokens);
  tcase_add_test (tc, text_is_held_no_longer_than_needed);
  tcase_add_test (tc, wishes_override_values);
  tcase_add_test (tc, a_seed_is_always_wished_for);
  tcase_add_test (tc, scores_of_known_logits);
  return suite;
}

int
main (int argc, char **argv)
{
  st_elements_init (&argc, &argv);
  return st_elements_run (helpers_suite (), "helpers");
}
