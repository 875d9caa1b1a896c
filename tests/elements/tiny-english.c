/* The small model that comes with the project, through the elements: what it writes wherever it is cut, and what its codec file costs. */
#include <math.h>
#include <string.h>
#include "elements/rddecoder/gstrddecoder.h"
#include "elements/rdencoder/gstrdencoder.h"
#include "tests/elements/element-tools.h"
#include "tests/support/test-model.h"

#define PROMPT "And the children of Israel"
#define GREEDY " came to the children of Israel, and said, " \
  "I will not hearken unto"
#define N_GREEDY 16

static gchar *model, *codec, *text;

/* No choice in this text is close: each likeliest token has a logit at least 0.36 above the next one. */
GST_START_TEST (greedy_text)
{
  for (guint split = 1; split < 4; split++) {
    StRun run;

    st_run (&run, "tokensrc model=%s prompt=\"" PROMPT "\" max-tokens=%d "
        "temperature=0 ! transformerhead model=%s split-layer=%u ! queue "
        "! rdencoder codec=f32 ! rddecoder "
        "! transformertail model=%s ! fakesink name=out", model, N_GREEDY,
        model, split, model);
    fail_unless (run.error == NULL, "%s", run.error);
    assert_equals_string (run.text->str, GREEDY);
    st_run_clear (&run);
  }
}

GST_END_TEST;

/* Of some windows of a text that it was not trained with. @encoder, @decoder: properties of the two ends. */
static gdouble
perplexity (const gchar * encoder, const gchar * decoder)
{
  gdouble value;
  StRun run;

  st_run (&run, "tokensrc model=%s location=%s window-tokens=512 "
      "window-stride=512 send-ids=true is-live=false num-buffers=16 "
      "! transformerhead model=%s split-layer=2 ! rdencoder %s ! rddecoder %s "
      "! transformertail model=%s task=score ! fakesink", model, text, model,
      encoder, decoder, model);
  fail_unless (run.error == NULL, "%s", run.error);
  fail_unless (gst_structure_get_double (st_run_message (&run,
              "transformertail-score"), "perplexity", &value));
  st_run_clear (&run);
  return value;
}

GST_START_TEST (codec_file)
{
  g_autofree gchar *decoder = g_strdup_printf ("codec=%s", codec);
  g_autofree gchar *fine = g_strdup_printf ("codec=%s quality=80", codec);
  g_autofree gchar *coarse = g_strdup_printf ("codec=%s quality=20", codec);
  const gdouble whole = perplexity ("codec=f32", "");
  const gdouble near = perplexity (fine, decoder);
  const gdouble far = perplexity (coarse, decoder);

  GST_INFO ("perplexities %g, %g, %g", whole, near, far);
  /* guessing among all tokens would be 2048 */
  fail_unless (whole > 20 && whole < 1000, "%g", whole);
  fail_unless (fabs (near / whole - 1) < 0.02, "%g and %g", near, whole);
  fail_unless (far / whole > 1.05, "%g and %g", far, whole);
}

GST_END_TEST;

static Suite *
tiny_english_suite (void)
{
  Suite *suite = suite_create ("tiny-english");
  TCase *tc = tcase_create ("all");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, greedy_text);
  tcase_add_test (tc, codec_file);
  return suite;
}

int
main (int argc, char **argv)
{
  int failed;

  model = st_test_source_path ("models/files/tiny-english-4m.gguf");
  codec =
      st_test_source_path ("codec/files/rdcodec-tiny-english-4m-split2.gguf");
  text = st_test_data_path ("hamlet20k.txt");
  st_elements_init (&argc, &argv);
  GST_ELEMENT_REGISTER (rdencoder, NULL);
  GST_ELEMENT_REGISTER (rddecoder, NULL);
  failed = st_elements_run (tiny_english_suite (), "tiny-english");
  g_free (model);
  g_free (codec);
  g_free (text);
  return failed;
}
