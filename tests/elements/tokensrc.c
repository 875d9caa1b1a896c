/* tokensrc: prompts, chunks, the loop, turns of a conversation, windows, flushes, bad input. The test is the tail. */
#include <glib/gstdio.h>
#include <string.h>
#include "tests/elements/element-tools.h"

/* Microseconds. 100 ms are promised; a loaded machine gets some more. */
#define PROMPTLY 500000

/* A source with a bus of its own, not started. */
static GstElement *
make_source (const gchar * more)
{
  g_autofree gchar *setup = g_strdup_printf ("model=(string)%s%s%s",
      st_tiny_path (), *more ? "," : "", more);
  GstElement *element = st_element ("tokensrc", setup);
  GstBus *bus = gst_bus_new ();

  gst_element_set_bus (element, bus);
  gst_object_unref (bus);
  return element;
}

/* Answers the question whether anybody answers. */
static GstPadProbeReturn
way_back (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  (void) pad;
  (void) data;
  return gst_rd_query_is_way_back (GST_PAD_PROBE_INFO_QUERY (info)) ?
      GST_PAD_PROBE_HANDLED : GST_PAD_PROBE_OK;
}

/* The harness may start what it is given at once. */
static GstHarness *
play (GstElement * element, gboolean answered)
{
  GstHarness *h;
  GstPad *pad = gst_element_get_static_pad (element, "src");

  if (answered)
    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM
        | GST_PAD_PROBE_TYPE_PUSH, way_back, NULL, NULL);
  h = gst_harness_new_with_element (element, NULL, "src");
  gst_harness_use_systemclock (h);
  gst_object_unref (pad);
  gst_object_unref (element);
  gst_harness_play (h);
  return h;
}

static GstHarness *
source (const gchar * more, GstElement ** element)
{
  *element = make_source (more);
  return play (*element, FALSE);
}

static GstHarness *
answered_source (const gchar * more, GstElement ** element)
{
  *element = make_source (more);
  return play (*element, TRUE);
}

static GstBuffer *
pull_rows (GstHarness * h, guint epoch, guint position, const gint32 * ids,
    guint n, GstRdMetaFlags flags)
{
  GstBuffer *buffer = gst_harness_pull (h);
  GstRdMeta *m;

  fail_unless (buffer != NULL, "no buffer at position %u", position);
  m = gst_buffer_get_rd_meta (buffer);
  assert_equals_int (m->epoch, epoch);
  assert_equals_int (m->position, position);
  assert_equals_int (m->count, n);
  assert_equals_int (m->flags, flags);
  fail_unless (gst_buffer_memcmp (buffer, 0, ids, 4 * n) == 0);
  fail_unless (memcmp (m->ids, ids, 4 * n) == 0);
  return buffer;
}

static guint32
expect_rows (GstHarness * h, guint epoch, guint position, const gint32 * ids,
    guint n, GstRdMetaFlags flags)
{
  GstBuffer *buffer = pull_rows (h, epoch, position, ids, n, flags);
  guint32 session = gst_buffer_get_rd_meta (buffer)->session;

  gst_buffer_unref (buffer);
  return session;
}

static void
answer (GstHarness * h, guint32 session, guint epoch, guint position,
    gint32 id, RdFinish finish)
{
  fail_unless (gst_harness_push_upstream_event (h,
          gst_rd_event_new_tokens (session, epoch, position, &id, 1, finish)));
}

static void
expect_eos (GstHarness * h)
{
  for (guint i = 0; i < 500; i++) {
    GstEvent *event = gst_harness_try_pull_event (h);

    if (!event) {
      g_usleep (10000);
      continue;
    }
    gboolean eos = GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
    if (eos)
      return;
  }
  fail ("no EOS");
}

static void
expect_message (GstElement * element, GstMessageType type, const gchar * words)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (element);
  GstMessage *message = gst_bus_timed_pop_filtered (bus, 5 * GST_SECOND, type);
  GError *error = NULL;

  fail_unless (message != NULL, "no message: %s", words);
  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, NULL);
  else
    gst_message_parse_warning (message, &error, NULL);
  fail_unless (strstr (error->message, words) != NULL, "%s: %s", words,
      error->message);
  g_error_free (error);
  gst_message_unref (message);
}

static void
finish (GstHarness * h, GstElement * element)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (element);

  gst_bus_set_flushing (bus, TRUE);
  gst_harness_teardown (h);
}

GST_START_TEST (a_prompt_and_its_answer)
{
  GstElement *element;
  GstHarness *h = answered_source ("prompt=(string)abcde,chunk-tokens=2,"
      "send-ids=true,temperature=0.5,max-tokens=9", &element);
  g_autoptr (GArray) ids = st_encode ("abcde");
  const gint32 *p = (const gint32 *) ids->data;
  const gint32 next[] = { 70, 71 };
  GstRdMetaFlags id_flag = GST_RD_META_SEND_IDS;
  const gchar *tokenizer;
  guint32 session, announced;
  GstEvent *event;
  RdWishes wishes;

  assert_equals_int (ids->len, 5);
  session = expect_rows (h, 0, 0, p, 2, id_flag);
  expect_rows (h, 0, 2, p + 2, 2, id_flag);
  expect_rows (h, 0, 4, p + 4, 1, GST_RD_META_SAMPLE | id_flag);
  event = st_pull_custom (h, "rd-session", FALSE);
  fail_unless (event != NULL);
  gst_rd_event_parse_session (event, &announced, &tokenizer, &wishes);
  assert_equals_int (announced, session);
  assert_equals_int (strlen (tokenizer), 64);
  assert_equals_int (wishes.mask,
      RD_WISH_TEMPERATURE | RD_WISH_MAX_TOKENS | RD_WISH_SEED);
  rd_wishes_clear (&wishes);
  gst_event_unref (event);

  answer (h, session, 0, 5, 70, RD_FINISH_NONE);
  expect_rows (h, 0, 5, next, 1,
      GST_RD_META_STEP | GST_RD_META_SAMPLE | id_flag);
  answer (h, session, 0, 5, 70, RD_FINISH_NONE);
  answer (h, session, 0, 6, 71, RD_FINISH_NONE);
  expect_rows (h, 0, 6, next + 1, 1,
      GST_RD_META_STEP | GST_RD_META_SAMPLE | id_flag);
  answer (h, session, 0, 7, 2, RD_FINISH_EOS);
  expect_eos (h);
  fail_unless (gst_harness_try_pull (h) == NULL);
  finish (h, element);
}

GST_END_TEST;

GST_START_TEST (nobody_answers)
{
  GstElement *element;
  GstHarness *h = source ("prompt=(string)ab", &element);

  gst_buffer_unref (gst_harness_pull (h));
  expect_eos (h);
  finish (h, element);
}

GST_END_TEST;

GST_START_TEST (bos_where_it_is_wanted)
{
  const struct
  {
    const gchar *setup;
    guint n;
  } cases[] = {
    {"prompt=(string)ab", 2}, {"prompt=(string)ab,add-bos=(string)true", 3},
    {"prompt=(string)ab,add-bos=(string)false", 2},
    {"add-bos=(string)true", 1},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    GstElement *element;
    GstHarness *h = source (cases[i].setup, &element);
    GstBuffer *buffer;
    gint32 bos;

    buffer = gst_harness_pull (h);
    gst_buffer_extract (buffer, 0, &bos, 4);
    g_autoptr (GArray) ab = st_encode ("ab");
    guint extra = ab->len - 2;
    if (i < 3)
      assert_equals_int (gst_buffer_get_size (buffer) / 4, cases[i].n + extra);
    if (i == 1 || i == 3)
      assert_equals_int (bos, 1);
    gst_buffer_unref (buffer);
    finish (h, element);
  }
}

GST_END_TEST;

/* A conversation: the turns come on the text pad. */
typedef struct
{
  GstHarness *h;
  GstElement *element;
  GstPad *text, *feeder;
} Chat;

static void
chat_start (Chat * chat, const gchar * more)
{
  chat->element = make_source (more);
  chat->text = gst_element_request_pad_simple (chat->element, "text");
  chat->feeder = gst_pad_new ("feeder", GST_PAD_SRC);
  gst_pad_set_active (chat->feeder, TRUE);
  fail_unless_equals_int (gst_pad_link (chat->feeder, chat->text),
      GST_PAD_LINK_OK);
  chat->h = play (chat->element, TRUE);
  gst_pad_push_event (chat->feeder, gst_event_new_stream_start ("typed"));
  GstSegment segment;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (chat->feeder, gst_event_new_segment (&segment));
}

static void
chat_type (Chat * chat, const gchar * text)
{
  assert_equals_int (gst_pad_push (chat->feeder,
          gst_buffer_new_memdup (text, strlen (text))), GST_FLOW_OK);
}

static void
chat_finish (Chat * chat)
{
  gst_pad_set_active (chat->feeder, FALSE);
  gst_element_release_request_pad (chat->element, chat->text);
  gst_object_unref (chat->text);
  gst_object_unref (chat->feeder);
  finish (chat->h, chat->element);
}

GST_START_TEST (turns_of_a_conversation)
{
  const gint32 fifty = 50;
  g_autoptr (GArray) a = st_encode ("ab");
  g_autoptr (GArray) b = st_encode ("cd");
  guint32 session;
  Chat chat;

  chat_start (&chat, "chat-template=none");
  chat_type (&chat, "ab\ncd");
  session = expect_rows (chat.h, 0, 0, (gint32 *) a->data, a->len,
      GST_RD_META_SAMPLE);
  chat_type (&chat, "\n");
  /* The second turn waits for the answer to the first one. */
  g_usleep (50000);
  fail_unless (gst_harness_try_pull (chat.h) == NULL);
  answer (chat.h, session, 0, a->len, 50, RD_FINISH_STOP);
  expect_rows (chat.h, 0, a->len, &fifty, 1, GST_RD_META_STEP);
  expect_rows (chat.h, 0, a->len + 1, (gint32 *) b->data, b->len,
      GST_RD_META_SAMPLE);
  gst_pad_push_event (chat.feeder, gst_event_new_eos ());
  answer (chat.h, session, 0, a->len + 1 + b->len, 2, RD_FINISH_EOS);
  expect_eos (chat.h);
  chat_finish (&chat);
}

GST_END_TEST;

GST_START_TEST (turns_in_the_chat_format)
{
  g_autoptr (GArray) first =
      st_encode ("<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>user\n"
      "ab<|im_end|>\n<|im_start|>assistant\n");
  g_autoptr (GArray) next =
      st_encode ("<|im_end|>\n<|im_start|>user\ncd<|im_end|>\n"
      "<|im_start|>assistant\n");
  const gint32 fifty = 50;
  guint32 session;
  Chat chat;

  /* The text pad makes the model's own format the default. */
  chat_start (&chat, "system=(string)\"Be\\ kind\",chunk-tokens=1000");
  chat_type (&chat, "ab\ncd\n");
  session = expect_rows (chat.h, 0, 0, (gint32 *) first->data, first->len,
      GST_RD_META_SAMPLE);
  answer (chat.h, session, 0, first->len, 50, RD_FINISH_LENGTH);
  expect_rows (chat.h, 0, first->len, &fifty, 1, GST_RD_META_STEP);
  expect_rows (chat.h, 0, first->len + 1, (gint32 *) next->data, next->len,
      GST_RD_META_SAMPLE);
  chat_finish (&chat);
}

GST_END_TEST;

GST_START_TEST (the_answer_pad)
{
  g_autoptr (GArray) ids = st_encode ("yes");
  guint32 session;
  GString *got = g_string_new (NULL);
  Chat chat;
  GstHarness *out;

  chat_start (&chat, "chat-template=none,stop=(string)s");
  out = gst_harness_new_with_element (chat.element, NULL, "answer");
  chat_type (&chat, "ab\n");
  GstBuffer *prompt = gst_harness_pull (chat.h);
  session = gst_buffer_get_rd_meta (prompt)->session;
  gst_buffer_unref (prompt);
  for (guint i = 0; i < ids->len; i++) {
    gboolean last = i + 1 == ids->len;

    answer (chat.h, session, 0, 2 + i, g_array_index (ids, gint32, i),
        last ? RD_FINISH_STOP : RD_FINISH_NONE);
    if (!last)
      gst_buffer_unref (gst_harness_pull (chat.h));
  }
  gst_pad_push_event (chat.feeder, gst_event_new_eos ());
  expect_eos (chat.h);
  expect_eos (out);
  GstBuffer *buffer;
  while ((buffer = gst_harness_try_pull (out))) {
    gchar text[64];

    g_string_append_len (got, text, (gssize) gst_buffer_extract (buffer, 0,
            text, sizeof text));
    gst_buffer_unref (buffer);
  }
  assert_equals_string (got->str, "ye\n");
  g_string_free (got, TRUE);
  gst_harness_teardown (out);
  chat_finish (&chat);
}

GST_END_TEST;

GST_START_TEST (an_answer_that_nobody_reads)
{
  GstPad *answer_pad;
  GstPad *blocked = gst_pad_new ("blocked", GST_PAD_SINK);
  gint32 id = ST_TINY_BYTE_TOKEN + 65;
  guint32 session;
  guint position;
  Chat chat;

  /* More text than the queue holds waits in the source; stopping it must not wait. */
  chat_start (&chat, "chat-template=none");
  answer_pad = gst_element_request_pad_simple (chat.element, "answer");
  gst_pad_set_active (blocked, TRUE);
  gst_pad_link (answer_pad, blocked);
  gst_pad_add_probe (blocked, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, NULL, NULL,
      NULL);
  chat_type (&chat, "ab\n");
  GstBuffer *prompt = gst_harness_pull (chat.h);
  session = gst_buffer_get_rd_meta (prompt)->session;
  gst_buffer_unref (prompt);
  for (position = 2; position < 240; position++) {
    answer (chat.h, session, 0, position, id, RD_FINISH_NONE);
    gst_buffer_unref (gst_harness_pull (chat.h));
  }
  for (; position < 300; position++)
    answer (chat.h, session, 0, position, id, RD_FINISH_NONE);
  g_usleep (20000);
  gint64 before = g_get_monotonic_time ();
  gst_pad_set_active (blocked, FALSE);
  gst_element_set_state (chat.element, GST_STATE_NULL);
  fail_unless (g_get_monotonic_time () - before < PROMPTLY);
  gst_element_release_request_pad (chat.element, answer_pad);
  gst_object_unref (answer_pad);
  gst_object_unref (blocked);
  chat_finish (&chat);
}

GST_END_TEST;

GST_START_TEST (a_flush_gives_up_the_answer)
{
  const gint32 seventy[] = { 70, 71 };
  guint32 session, number, epoch, position;
  g_autoptr (GArray) a = st_encode ("ab");
  GstEvent *event;
  Chat chat;

  chat_start (&chat, "chat-template=none");
  chat_type (&chat, "ab\n");
  session = expect_rows (chat.h, 0, 0, (gint32 *) a->data, a->len,
      GST_RD_META_SAMPLE);
  answer (chat.h, session, 0, 2, 70, RD_FINISH_NONE);
  expect_rows (chat.h, 0, 2, seventy, 1, GST_RD_META_STEP | GST_RD_META_SAMPLE);
  answer (chat.h, session, 0, 3, 71, RD_FINISH_NONE);
  expect_rows (chat.h, 0, 3, seventy + 1, 1,
      GST_RD_META_STEP | GST_RD_META_SAMPLE);
  gint64 before = g_get_monotonic_time ();
  gst_element_send_event (chat.element, gst_event_new_flush_start ());
  gst_element_send_event (chat.element, gst_event_new_flush_stop (FALSE));
  fail_unless (g_get_monotonic_time () - before < PROMPTLY);
  /* A late answer to what was given up. */
  answer (chat.h, session, 0, 4, 72, RD_FINISH_NONE);
  chat_type (&chat, "ab\n");
  expect_rows (chat.h, 1, 3, seventy + 1, 1, GST_RD_META_STEP);
  expect_rows (chat.h, 1, 4, (gint32 *) a->data, a->len, GST_RD_META_SAMPLE);
  event = st_pull_custom (chat.h, "rd-cancel", FALSE);
  fail_unless (event != NULL);
  fail_unless (gst_rd_event_parse_cancel (event, &number, &epoch, &position));
  assert_equals_int (number, session);
  assert_equals_int (epoch, 1);
  assert_equals_int (position, 3);
  gst_event_unref (event);
  chat_finish (&chat);
}

GST_END_TEST;

GST_START_TEST (the_far_side_ends_the_session)
{
  GstElement *element;
  GstHarness *h = answered_source ("prompt=(string)ab", &element);

  gst_buffer_unref (gst_harness_pull (h));
  fail_unless (gst_harness_push_upstream_event (h,
          gst_rd_event_new_error (GST_RD_ALL_SESSIONS, "no room here")));
  expect_message (element, GST_MESSAGE_ERROR, "no room here");
  finish (h, element);
}

GST_END_TEST;

GST_START_TEST (windows)
{
  GstElement *element;
  GstHarness *h = source ("prompt=(string)abcdefghij,window-tokens=4,"
      "window-stride=3,is-live=false,add-bos=(string)true,chunk-tokens=3",
      &element);
  g_autoptr (GArray) ids = st_encode ("abcdefghij");
  gint32 *p = (gint32 *) ids->data;

  for (guint w = 0; w * 3 + 4 <= ids->len; w++) {
    gint32 window[4];

    memcpy (window, p + 3 * w, sizeof window);
    window[0] = 1;
    expect_rows (h, w, 0, window, 3, 0);
    expect_rows (h, w, 3, window + 3, 1, 0);
  }
  expect_eos (h);
  fail_unless (gst_harness_try_pull (h) == NULL);
  finish (h, element);
}

GST_END_TEST;

static void
expect_failure (const gchar * setup, const gchar * words)
{
  GstElement *element;
  GstHarness *h = source (setup, &element);

  expect_message (element, GST_MESSAGE_ERROR, words);
  finish (h, element);
}

GST_START_TEST (prompts_that_cannot_be_sent)
{
  g_autofree gchar *path = NULL;
  g_autofree gchar *setup = NULL;
  g_autofree gchar *big = g_strnfill (1 << 20, 'a');
  gint fd = g_file_open_tmp ("prompt-XXXXXX", &path, NULL);

  fail_unless (fd >= 0);
  fail_unless (g_close (fd, NULL));
  setup = g_strdup_printf ("location=(string)%s", path);
  expect_failure ("", "the prompt is empty");
  expect_failure (setup, "the prompt is empty");
  expect_failure ("prompt=(string)a,location=(string)b", "both prompt and");
  expect_failure ("location=(string)/nowhere/x", "/nowhere/x");
  fail_unless (g_file_set_contents (path, "ab\xff\xfe", 4, NULL));
  expect_failure (setup, "UTF-8");
  fail_unless (g_file_set_contents (path, big, 1 << 20, NULL));
  expect_failure (setup, "does not fit the context of 4096");
  g_unlink (path);
}

GST_END_TEST;

static void
expect_no_start (const gchar * property, const gchar * value,
    const gchar * words)
{
  GstElement *element = gst_element_factory_make ("tokensrc", NULL);
  GstBus *bus = gst_bus_new ();

  gst_element_set_bus (element, bus);
  g_object_set (element, "model", st_tiny_path (), "prompt", "x", property,
      value, NULL);
  assert_equals_int (gst_element_set_state (element, GST_STATE_PAUSED),
      GST_STATE_CHANGE_FAILURE);
  expect_message (element, GST_MESSAGE_ERROR, words);
  gst_bus_set_flushing (bus, TRUE);
  gst_element_set_state (element, GST_STATE_NULL);
  gst_object_unref (element);
  gst_object_unref (bus);
}

GST_START_TEST (settings_that_cannot_be)
{
  expect_no_start ("model", NULL, "no model is set");
  expect_no_start ("model", "/nowhere/m.gguf", "/nowhere/m.gguf");
  expect_no_start ("model", "/dev/zero", "/dev/zero");
  expect_no_start ("chat-template", "klingon", "chatml");
  expect_no_start ("system", "Be kind", "chat-template");
}

GST_END_TEST;

GST_START_TEST (a_context_too_small_for_the_prompt)
{
  GstElement *element;
  GstHarness *h = answered_source ("prompt=(string)abcdef,chunk-tokens=2",
      &element);
  GstBuffer *buffer;
  guint32 session;

  buffer = gst_harness_pull (h);
  session = gst_buffer_get_rd_meta (buffer)->session;
  gst_buffer_unref (buffer);
  gst_harness_push_upstream_event (h, gst_rd_event_new_tokens (session, 0, 2,
          NULL, 0, RD_FINISH_CONTEXT));
  expect_message (element, GST_MESSAGE_ERROR, "does not fit the context");
  finish (h, element);
}

GST_END_TEST;

GST_START_TEST (a_turn_that_is_not_utf8)
{
  Chat chat;

  chat_start (&chat, "chat-template=none");
  chat_type (&chat, "a\xff" "b\n");
  gst_buffer_unref (gst_harness_pull (chat.h));
  expect_message (chat.element, GST_MESSAGE_WARNING, "UTF-8");
  chat_finish (&chat);
}

GST_END_TEST;

GST_START_TEST (stopping_while_it_waits)
{
  gint64 before;
  Chat chat;

  /* For a turn, and for an answer. */
  for (guint i = 0; i < 2; i++) {
    chat_start (&chat, "chat-template=none");
    if (i) {
      chat_type (&chat, "ab\n");
      gst_buffer_unref (gst_harness_pull (chat.h));
    }
    g_usleep (20000);
    before = g_get_monotonic_time ();
    gst_element_set_state (chat.element, GST_STATE_NULL);
    fail_unless (g_get_monotonic_time () - before < PROMPTLY);
    chat_finish (&chat);
  }
}

GST_END_TEST;

static Suite *
tokensrc_suite (void)
{
  Suite *suite = suite_create ("tokensrc");
  TCase *tc = tcase_create ("all");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, a_prompt_and_its_answer);
  tcase_add_test (tc, nobody_answers);
  tcase_add_test (tc, bos_where_it_is_wanted);
  tcase_add_test (tc, turns_of_a_conversation);
  tcase_add_test (tc, turns_in_the_chat_format);
  tcase_add_test (tc, the_answer_pad);
  tcase_add_test (tc, an_answer_that_nobody_reads);
  tcase_add_test (tc, a_flush_gives_up_the_answer);
  tcase_add_test (tc, the_far_side_ends_the_session);
  tcase_add_test (tc, windows);
  tcase_add_test (tc, prompts_that_cannot_be_sent);
  tcase_add_test (tc, settings_that_cannot_be);
  tcase_add_test (tc, a_context_too_small_for_the_prompt);
  tcase_add_test (tc, a_turn_that_is_not_utf8);
  tcase_add_test (tc, stopping_while_it_waits);
  return suite;
}

int
main (int argc, char **argv)
{
  st_elements_init (&argc, &argv);
  return st_elements_run (tokensrc_suite (), "tokensrc");
}
