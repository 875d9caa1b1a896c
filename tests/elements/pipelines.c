/* Whole pipelines in one process: the same text however the model is cut, conversations, prerolling, stopping. */
#include <glib/gstdio.h>
#include <string.h>
#include "tests/elements/element-tools.h"
#include "tests/support/test-model.h"

#define SOURCE "tokensrc model=%1$s prompt=Hello max-tokens=30 temperature=0 "
#define TAIL "transformertail model=%1$s "

static gchar *
hello (const gchar * model, guint n)
{
  g_autoptr (GArray) ids = st_encode ("Hello");

  return st_expected_text (model, (gint32 *) ids->data, ids->len, n);
}

static void
expect_text (const StRun * run, const gchar * want)
{
  fail_unless (run->error == NULL, "%s (%s)", run->error, run->debug);
  assert_equals_string (run->text->str, want);
}

GST_START_TEST (cut_anywhere)
{
  const gchar *lines[] = {
    SOURCE "! " TAIL "! fakesink name=out",
    SOURCE "! " TAIL "layers=all ! fakesink name=out",
    SOURCE "! transformerhead model=%1$s ! " TAIL "! fakesink name=out",
    SOURCE "! transformerhead model=%1$s split-layer=1 ! " TAIL
        "! fakesink name=out",
    SOURCE "! transformerhead model=%1$s split-layer=3 ! queue ! " TAIL
        "! fakesink name=out",
    SOURCE "! transformerhead model=%1$s split-layer=1 "
        "! transformerhead model=%1$s layers=1-3 ! queue "
        "! transformerhead model=%1$s layers=3-4 ! queue ! " TAIL
        "! fakesink name=out",
    SOURCE "chunk-tokens=1 ! transformerhead model=%1$s threads=2 ! " TAIL
        "threads=1 ! fakesink name=out",
    SOURCE "! transformerhead model=%1$s split-layer=2 "
        "! other/tensors,format=(string)flexible ! " TAIL
        "layers=2-4 ! fakesink name=out",
    SOURCE "! transformerhead model=%1$s split-layer=2 "
        "! other/tensors,format=(string)static ! " TAIL
        "layers=2-4 ! fakesink name=out",
    SOURCE "! tee ! transformerhead model=%1$s ! identity silent=true ! " TAIL
        "! fakesink name=out",
  };
  const gchar *models[] = { st_tiny_path (), st_tiny_gpt2_path () };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (lines); i++) {
    const gchar *model = models[i / G_N_ELEMENTS (lines)];
    g_autofree gchar *want = hello (model, 30);
    StRun run;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    st_run (&run, lines[i % G_N_ELEMENTS (lines)], model);
#pragma GCC diagnostic pop
    expect_text (&run, want);
    const GstStructure *turn = st_run_message (&run, "transformertail-turn");
    assert_equals_string (gst_structure_get_string (turn, "finish"), "length");
    turn = st_run_message (&run, "tokensrc-turn");
    assert_equals_string (gst_structure_get_string (turn, "finish"), "length");
    st_run_clear (&run);
  }
}

GST_END_TEST;

GST_START_TEST (a_context_that_fills_up)
{
  g_autoptr (GArray) ids = st_encode ("Hello");
  g_autofree gchar *want = hello (st_tiny_path (), 16 - ids->len + 1);

  for (guint where = 0; where < 2; where++) {
    StRun run;

    st_run (&run, "tokensrc model=%s prompt=Hello temperature=0 "
        "! transformerhead model=%s context-size=%u "
        "! transformertail model=%s context-size=%u ! fakesink name=out",
        st_tiny_path (), st_tiny_path (), where ? 16 : 100, st_tiny_path (),
        where ? 100 : 16);
    expect_text (&run, want);
    const GstStructure *turn = st_run_message (&run, "tokensrc-turn");
    assert_equals_string (gst_structure_get_string (turn, "finish"), "context");
    st_run_clear (&run);
  }
}

GST_END_TEST;

/* A file with @text; free and unlink it. */
static gchar *
text_file (const gchar * text)
{
  gchar *path;
  gint fd = g_file_open_tmp ("turns-XXXXXX", &path, NULL);

  fail_unless (fd >= 0);
  fail_unless (g_file_set_contents (path, text, -1, NULL));
  g_close (fd, NULL);
  return path;
}

GST_START_TEST (a_conversation)
{
  g_autofree gchar *path = text_file ("ab\n\ncd\nef");
  StRun run;

  /* Blocks of five bytes: turns and reads do not agree. The answers are the same on both sides. */
  st_run (&run, "filesrc location=%s blocksize=5 ! s.text "
      "tokensrc name=s model=%s max-tokens=6 temperature=0 "
      "! transformerhead model=%s ! transformertail model=%s "
      "turn-delimiter=\\\\n ! fakesink name=out  s.answer "
      "! fakesink name=ids async=false", path, st_tiny_path (),
      st_tiny_path (), st_tiny_path ());
  fail_unless (run.error == NULL, "%s (%s)", run.error, run.debug);
  fail_unless (run.text->len > 3);
  fail_unless (g_str_has_suffix (run.text->str, "\n"));
  assert_equals_string (run.text->str, run.tokens->str);
  guint turns = 0;
  for (guint i = 0; i < run.messages->len; i++)
    turns += gst_structure_has_name (g_ptr_array_index (run.messages, i),
        "tokensrc-turn");
  assert_equals_int (turns, 3);
  st_run_clear (&run);
  g_unlink (path);
}

GST_END_TEST;

GST_START_TEST (two_sources_share_a_model)
{
  g_autofree gchar *want = hello (st_tiny_path (), 30);
  g_autoptr (GArray) ids = st_encode ("World");
  g_autofree gchar *other = st_expected_text (st_tiny_path (),
      (gint32 *) ids->data, ids->len, 30);
  StRun run;

  st_run (&run, "tokensrc name=a model=%1$s prompt=Hello max-tokens=30 "
      "temperature=0 ! funnel name=f ! transformerhead model=%1$s "
      "! transformertail model=%1$s ! fakesink  tokensrc name=b model=%1$s "
      "prompt=World max-tokens=30 temperature=0 ! f.  "
      "a.answer ! fakesink name=out async=false  "
      "b.answer ! fakesink name=ids async=false", st_tiny_path ());
  expect_text (&run, want);
  assert_equals_string (run.tokens->str, other);
  st_run_clear (&run);
}

GST_END_TEST;

GST_START_TEST (the_second_turn_has_seen_the_first)
{
  g_autofree gchar *both = text_file ("ab\ncd\n");
  g_autofree gchar *one = text_file ("cd\n");
  g_autofree gchar *line =
      g_strdup_printf ("! s.text tokensrc name=s model=%s max-tokens=12 "
      "chat-template=none temperature=0 ! transformertail model=%s "
      "turn-delimiter=| ! fakesink name=out", st_tiny_path (),
      st_tiny_path ());
  StRun run, alone;

  st_run (&run, "filesrc location=%s %s", both, line);
  st_run (&alone, "filesrc location=%s %s", one, line);
  g_auto (GStrv) answers = g_strsplit (run.text->str, "|", 0);
  g_auto (GStrv) other = g_strsplit (alone.text->str, "|", 0);
  assert_equals_int (g_strv_length (answers), 3);
  fail_if (strcmp (answers[1], other[0]) == 0);
  st_run_clear (&run);
  st_run_clear (&alone);
  g_unlink (both);
  g_unlink (one);
}

GST_END_TEST;

GST_START_TEST (several_sinks_preroll)
{
  g_autofree gchar *want = hello (st_tiny_path (), 1);
  g_autoptr (GArray) ids = st_encode ("Hello");
  g_autofree gchar *path = NULL;
  gint fd = g_file_open_tmp ("ids-XXXXXX", &path, NULL);
  StRun run;

  g_close (fd, NULL);
  g_file_set_contents (path, (gchar *) ids->data, ids->len * 4, NULL);
  /* Nothing here is live, all sinks are as they come. */
  st_run (&run, "filesrc location=%s "
      "! application/x-token-ids,format=S32LE "
      "! transformertail name=t model=%s temperature=0 ! fakesink name=out  "
      "t.tokens ! fakesink name=ids  t.logits ! fakesink", path,
      st_tiny_path ());
  expect_text (&run, want);
  assert_equals_int (run.tokens->len, 4);
  st_run_clear (&run);
  g_unlink (path);
}

GST_END_TEST;

GST_START_TEST (hidden_states_through_a_file)
{
  g_autofree gchar *want = hello (st_tiny_path (), 1);
  g_autofree gchar *path = NULL;
  gint fd = g_file_open_tmp ("states-XXXXXX", &path, NULL);
  StRun run;

  g_close (fd, NULL);
  /* Nobody answers the source: it ends with its prompt. */
  st_run (&run, "tokensrc model=%s prompt=Hello ! transformerhead model=%s "
      "split-layer=3 ! filesink location=%s", st_tiny_path (),
      st_tiny_path (), path);
  fail_unless (run.error == NULL, "%s", run.error);
  st_run_clear (&run);
  /* Blocks that end inside a row. */
  st_run (&run, "filesrc location=%s blocksize=100 "
      "! application/x-hidden-states,format=F32LE,hidden-size=64,"
      "split-layer=3 ! transformertail model=%s temperature=0 "
      "! fakesink name=out", path, st_tiny_path ());
  expect_text (&run, want);
  st_run_clear (&run);
  g_unlink (path);
}

GST_END_TEST;

GST_START_TEST (only_the_ids_are_wanted)
{
  StRun run;

  st_run (&run, "tokensrc model=%s prompt=Hello max-tokens=4 temperature=0 "
      "! transformertail name=t model=%s t.tokens ! fakesink name=ids",
      st_tiny_path (), st_tiny_path ());
  fail_unless (run.error == NULL, "%s", run.error);
  assert_equals_int (run.tokens->len, 16);
  st_run_clear (&run);
}

GST_END_TEST;

GST_START_TEST (scoring_a_file)
{
  g_autofree gchar *path =
      text_file ("The quick brown fox jumps over the lazy dog.\n");
  const GstStructure *s;
  gdouble perplexity[2];

  for (guint i = 0; i < 2; i++) {
    StRun run;

    st_run (&run, "tokensrc model=%s location=%s window-tokens=16 "
        "send-ids=true is-live=false chunk-tokens=%u "
        "! transformerhead model=%s split-layer=%u ! transformertail model=%s "
        "task=score score-from=8 ! fakesink", st_tiny_path (), path,
        i ? 64 : 3, st_tiny_path (), i ? 1 : 3, st_tiny_path ());
    fail_unless (run.error == NULL, "%s", run.error);
    s = st_run_message (&run, "transformertail-score");
    fail_unless (s != NULL);
    fail_unless (gst_structure_get_double (s, "perplexity", &perplexity[i]));
    st_run_clear (&run);
  }
  fail_unless (perplexity[0] > 1);
  /* To the last bit: cuts and chunks change nothing. */
  fail_unless (perplexity[0] == perplexity[1]);
  g_unlink (path);
}

GST_END_TEST;

GST_START_TEST (errors_are_said_once)
{
  const struct
  {
    const gchar *line;
    const gchar *words;
  } cases[] = {
    {"tokensrc model=%1$s prompt=abcdefgh ! transformerhead model=%1$s "
          "context-size=3 ! " TAIL "! fakesink", "does not fit the context"},
    {"tokensrc model=%1$s prompt=Hello ! transformerhead model=%1$s "
          "layers=1-3 ! " TAIL "! fakesink", "take hidden states"},
    {"tokensrc model=%1$s prompt=Hello ! transformerhead model=%1$s ! " TAIL
          "layers=1-4 ! fakesink", "split 1"},
    {"tokensrc model=%1$s ! " TAIL "! fakesink", "prompt is empty"},
    {"fakesrc num-buffers=1 filltype=zero sizetype=fixed sizemax=64 ! " TAIL
          "! fakesink",
        "without caps"},
    {"fakesrc num-buffers=1 filltype=zero sizetype=fixed sizemax=256 "
          "! application/x-hidden-states,format=F32LE,hidden-size=64 ! " TAIL
          "! fakesink", "set layers"},
    {"fakesrc num-buffers=1 filltype=zero sizetype=fixed sizemax=256 "
          "! application/x-hidden-states,format=F32LE,hidden-size=64,"
          "split-layer=2 ! " TAIL "task=score ! fakesink", "send-ids"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    StRun run;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    st_run (&run, cases[i].line, st_tiny_path ());
#pragma GCC diagnostic pop
    fail_unless (run.error && strstr (run.error, cases[i].words), "%s: %s",
        cases[i].words, run.error);
    st_run_clear (&run);
  }
}

GST_END_TEST;

/* 513 ids; nobody takes the event that would tell the source. */
GST_START_TEST (a_full_context_says_what_helps)
{
  const struct
  {
    const gchar *model;
    guint size;
    const gchar *words;
  } cases[] = {
    {st_tiny_path (), 512, "512 positions is full; raise context-size"},
    {st_tiny_gpt2_path (), 500, "500 positions is full; raise context-size"},
    {st_tiny_gpt2_path (), 4096, "512 positions is full, and the model has no"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    StRun run;

    st_run (&run, "fakesrc num-buffers=1 filltype=zero sizetype=fixed "
        "sizemax=2052 ! application/x-token-ids,format=S32LE "
        "! transformerhead model=%s context-size=%u split-layer=2 ! fakesink",
        cases[i].model, cases[i].size);
    fail_unless (run.error && strstr (run.error, cases[i].words), "%s: %s",
        cases[i].words, run.error);
    st_run_clear (&run);
  }
}

GST_END_TEST;

static gboolean
under_valgrind (void)
{
  const gchar *preload = g_getenv ("LD_PRELOAD");

  return preload && strstr (preload, "valgrind");
}

GST_START_TEST (stopping_in_the_middle_of_a_prompt)
{
  g_autofree gchar *model = st_test_model_path ();
  g_autofree gchar *data = st_test_data_path ("hamlet20k.txt");
  g_autofree gchar *text = NULL, *path = NULL;
  GstElement *pipeline;
  gint64 before, taken;

  if (!model) {
    GST_WARNING ("no model: set ST_TEST_MODEL");
    return;
  }
  fail_unless (g_file_get_contents (data, &text, NULL, NULL));
  text[7000] = '\0';
  path = text_file (text);
  for (guint i = 0; i < 3; i++) {
    g_autofree gchar *line =
        g_strdup_printf ("tokensrc name=s model=%s location=%s "
        "chunk-tokens=4096 ! transformerhead model=%s ! transformertail "
        "model=%s ! fakesink", model, path, model, model);

    pipeline = gst_parse_launch (line, NULL);
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    g_usleep (300000 + 400000 * i);
    before = g_get_monotonic_time ();
    if (i == 0) {
      GstElement *s = gst_bin_get_by_name (GST_BIN (pipeline), "s");

      gst_element_send_event (s, gst_event_new_flush_start ());
      gst_element_send_event (s, gst_event_new_flush_stop (TRUE));
      gst_object_unref (s);
      taken = g_get_monotonic_time () - before;
      gst_element_set_state (pipeline, GST_STATE_NULL);
    } else {
      gst_element_set_state (pipeline, GST_STATE_NULL);
      taken = g_get_monotonic_time () - before;
    }
    /* 100 ms are promised; a loaded machine gets some more. */
    if (!under_valgrind ())
      fail_unless (taken < 500000, "%" G_GINT64_FORMAT " us", taken);
    gst_object_unref (pipeline);
  }
  g_unlink (path);
}

GST_END_TEST;

GST_START_TEST (stopping_and_starting_again)
{
  g_autofree gchar *want = hello (st_tiny_path (), 5);
  g_autofree gchar *line =
      g_strdup_printf ("tokensrc model=%s prompt=Hello max-tokens=5 "
      "temperature=0 ! transformerhead model=%s ! transformertail model=%s "
      "! fakesink name=out signal-handoffs=true", st_tiny_path (),
      st_tiny_path (), st_tiny_path ());
  GstElement *pipeline = gst_parse_launch (line, NULL);
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);

  for (guint i = 0; i < 4; i++) {
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    if (i % 2 == 0) {
      GstMessage *message = gst_bus_timed_pop_filtered (bus, 10 * GST_SECOND,
          GST_MESSAGE_EOS | GST_MESSAGE_ERROR);

      fail_unless (message != NULL);
      assert_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_EOS);
      gst_message_unref (message);
    }
    gst_element_set_state (pipeline, i == 1 ? GST_STATE_READY : GST_STATE_NULL);
  }
  gst_object_unref (pipeline);
}

GST_END_TEST;

static Suite *
pipelines_suite (void)
{
  Suite *suite = suite_create ("pipelines");
  TCase *tc = tcase_create ("all");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, cut_anywhere);
  tcase_add_test (tc, a_context_that_fills_up);
  tcase_add_test (tc, a_conversation);
  tcase_add_test (tc, two_sources_share_a_model);
  tcase_add_test (tc, the_second_turn_has_seen_the_first);
  tcase_add_test (tc, several_sinks_preroll);
  tcase_add_test (tc, hidden_states_through_a_file);
  tcase_add_test (tc, only_the_ids_are_wanted);
  tcase_add_test (tc, scoring_a_file);
  tcase_add_test (tc, errors_are_said_once);
  tcase_add_test (tc, a_full_context_says_what_helps);
  tcase_add_test (tc, stopping_in_the_middle_of_a_prompt);
  tcase_add_test (tc, stopping_and_starting_again);
  return suite;
}

int
main (int argc, char **argv)
{
  st_elements_init (&argc, &argv);
  return st_elements_run (pipelines_suite (), "pipelines");
}
