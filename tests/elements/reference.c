/* The real model through the elements, against llama.cpp's figures. Skipped where the model is not. */
#include <math.h>
#include <string.h>
#include "tests/elements/element-tools.h"
#include "tests/support/test-model.h"

static gchar *model;

static gchar *
prompt_path (const gchar * name)
{
  g_autofree gchar *data = st_test_data_path ("");

  return g_build_filename (data, "..", "support", "prompts", name, NULL);
}

/* tests/data/greedy-llama-cpp.json: what llama.cpp samples greedily. */
GST_START_TEST (greedy_ids)
{
  const struct
  {
    const gchar *prompt;
    gint32 ids[16];
  } cases[] = {
    {"05-chatml.txt", {504, 6376, 314, 4461, 975, 282, 253, 980, 1217, 13739,
            43464, 24484, 28, 837, 1420, 13242}},
    {"03-code.txt", {3725, 198, 198, 1348, 6230, 2925, 253, 827, 29, 48214,
            4476, 288, 16905, 260, 827, 13156}},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = prompt_path (cases[i].prompt);
    StRun run;

    st_run (&run, "tokensrc model=%s location=%s max-tokens=16 temperature=0 "
        "! transformerhead model=%s split-layer=%u ! queue "
        "! transformertail name=t model=%s ! fakesink  t.tokens "
        "! fakesink name=ids", model, path, model, 10 + 9 * i, model);
    fail_unless (run.error == NULL, "%s", run.error);
    assert_equals_int (run.tokens->len, sizeof cases[i].ids);
    for (guint j = 0; j < 16; j++)
      assert_equals_int ((gint32) GST_READ_UINT32_LE (run.tokens->str + 4 * j),
          cases[i].ids[j]);
    st_run_clear (&run);
  }
}

GST_END_TEST;

/* llama.cpp's perplexity tool after 1 and 2 windows: 19.5559 24.4320. */
GST_START_TEST (perplexity)
{
  g_autofree gchar *path = st_test_data_path ("hamlet20k.txt");
  gdouble value;
  StRun run;

  st_run (&run, "tokensrc model=%s location=%s window-tokens=512 "
      "window-stride=512 add-bos=false send-ids=true is-live=false "
      "num-buffers=16 ! transformerhead model=%s split-layer=10 "
      "! transformertail model=%s task=score score-from=256 ! fakesink", model,
      path, model, model);
  fail_unless (run.error == NULL, "%s", run.error);
  assert_equals_int (run.messages->len, 2);
  for (guint i = 0; i < 2; i++) {
    fail_unless (gst_structure_get_double (g_ptr_array_index (run.messages, i),
            "perplexity", &value));
    fail_unless (fabs (value - (i ? 24.4320 : 19.5559)) < 0.01, "%f", value);
  }
  st_run_clear (&run);
}

GST_END_TEST;

/* The end of an answer is the model's own token. */
GST_START_TEST (a_question)
{
  const GstStructure *turn;
  StRun run;

  st_run (&run, "tokensrc model=%s "
      "prompt=\"What is the capital of France?\" chat-template=auto "
      "temperature=0 max-tokens=60 ! transformerhead model=%s "
      "! transformertail model=%s ! fakesink name=out", model, model, model);
  fail_unless (run.error == NULL, "%s", run.error);
  fail_unless (strstr (run.text->str, "Paris") != NULL, "%s", run.text->str);
  turn = st_run_message (&run, "tokensrc-turn");
  assert_equals_string (gst_structure_get_string (turn, "finish"), "eos");
  st_run_clear (&run);
}

GST_END_TEST;

static Suite *
reference_suite (void)
{
  Suite *suite = suite_create ("reference");
  TCase *tc = tcase_create ("all");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, greedy_ids);
  tcase_add_test (tc, perplexity);
  tcase_add_test (tc, a_question);
  return suite;
}

int
main (int argc, char **argv)
{
  model = st_test_model_path ();
  if (!model) {
    g_print ("no model: set ST_TEST_MODEL\n");
    return 77;
  }
  st_elements_init (&argc, &argv);
  int failed = st_elements_run (reference_suite (), "reference");
  g_free (model);
  return failed;
}
