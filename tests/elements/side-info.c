/* Token side information from rdencoder to rddecoder: which rows get features, which ids travel, and what is refused. The codec needs just
 * the same features on both sides to give the states back, so the text tells whether it had them. */
#include <string.h>
#include <unistd.h>
#include "elements/rddecoder/gstrddecoder.h"
#include "elements/rdencoder/gstrdencoder.h"
#include "elements/rdparse/gstrdparse.h"
#include "tests/elements/element-tools.h"
#include "tests/support/side-codec.h"

#define N_TOKENS 30
#define PROMPT "Hello there, you"

typedef struct
{
  const gchar *source, *encoder, *decoder;      /* more properties; %s is the model */
} Setup;

/* The pipeline, with the way back as events, or through a pipe as bytes. */
static void
run (StRun * r, const Setup * setup, gboolean bytes_back)
{
  g_autofree gchar *back = NULL;
  const gchar *model = st_tiny_path ();
  int ends[2] = { -1, -1 };

  if (bytes_back) {
    fail_unless (pipe (ends) == 0);
    back = g_strdup_printf ("d.feedback ! fdsink fd=%d sync=false async=false "
        "fdsrc fd=%d ! rdparse ! e.feedback", ends[1], ends[0]);
  }
  st_run (r, "tokensrc model=%s prompt=\"" PROMPT "\" max-tokens=%d "
      "temperature=0 %s ! transformerhead model=%s split-layer=2 "
      "! rdencoder name=e %s%s ! rddecoder name=d %s%s "
      "! transformertail model=%s ! fakesink name=out %s", model, N_TOKENS,
      setup->source ? setup->source : "", model, setup->encoder,
      strstr (setup->encoder, "model=") ? model : "", setup->decoder,
      strstr (setup->decoder, "model=") ? model : "", model, back ? back : "");
  if (bytes_back) {
    close (ends[0]);
    close (ends[1]);
  }
}

static guint
prompt_length (void)
{
  g_autoptr (GArray) ids = st_encode (PROMPT);

  return ids->len;
}

/* Rows with features of all that were encoded, and bytes of ids; the last generated token is not run. */
static void
expect_rows (const Setup * setup, guint rows, gboolean ids)
{
  g_autoptr (GArray) prompt = st_encode (PROMPT);
  g_autofree gchar *want = st_expected_text (st_tiny_path (),
      (gint32 *) prompt->data, prompt->len, N_TOKENS);

  for (guint bytes_back = 0; bytes_back < 2; bytes_back++) {
    guint with = side_codec_rows (TRUE), without = side_codec_rows (FALSE);
    const GstStructure *stats;
    guint64 id_bytes = 0;
    gdouble bits = 0;
    StRun r;

    run (&r, setup, bytes_back == 1);
    fail_unless (r.error == NULL, "%s (%s)", r.error, r.debug);
    assert_equals_string (r.text->str, want);
    fail_unless_equals_int ((gint) (side_codec_rows (TRUE) - with),
        (gint) rows);
    fail_unless_equals_int ((gint) (side_codec_rows (TRUE) - with +
            side_codec_rows (FALSE) - without),
        (gint) (prompt->len + N_TOKENS - 1));
    stats = st_run_message (&r, "rdencoder-stats");
    fail_unless (stats != NULL);
    fail_unless (gst_structure_get (stats, "id-bytes", G_TYPE_UINT64, &id_bytes,
            "ids-bits-per-token", G_TYPE_DOUBLE, &bits, NULL));
    fail_unless_equals_int (id_bytes > 0, ids);
    fail_unless (id_bytes < 3 * prompt->len);
    fail_unless (ids == (bits > 0));
    st_run_clear (&r);
  }
}

GST_START_TEST (rows_that_get_features)
{
  const Setup none = { NULL, "codec=" SIDE_CODEC_BLOCKS,
    "codec=" SIDE_CODEC_BLOCKS
  };
  const Setup generated = { NULL, "codec=" SIDE_CODEC_EMBEDDING
        " token-side-info=generated model=",
    "codec=" SIDE_CODEC_EMBEDDING " model="
  };
  const Setup embedding = { "chunk-tokens=3", "codec=" SIDE_CODEC_EMBEDDING
        " token-side-info=all model=",
    "codec=" SIDE_CODEC_EMBEDDING " model="
  };
  const Setup blocks = { "chunk-tokens=3", "codec=" SIDE_CODEC_BLOCKS
        " token-side-info=all model=",
    "codec=" SIDE_CODEC_BLOCKS " model="
  };
  /* one buffer, in frames of four tokens and the rest */
  const Setup cut = { "chunk-tokens=64", "codec=" SIDE_CODEC_BLOCKS
        " frame-tokens=4 token-side-info=all model=",
    "codec=" SIDE_CODEC_BLOCKS " model="
  };
  guint n = prompt_length ();

  fail_unless (n > 4 && n < 64);

  expect_rows (&none, 0, FALSE);
  expect_rows (&generated, N_TOKENS - 1, FALSE);
  expect_rows (&embedding, n + N_TOKENS - 1, TRUE);
  expect_rows (&blocks, n + N_TOKENS - 1, TRUE);
  expect_rows (&cut, n + N_TOKENS - 1, TRUE);
}

GST_END_TEST;

/* The properties may be set for any codec. */
GST_START_TEST (codecs_without_predictor)
{
  const Setup setup = { NULL, "codec=f32 token-side-info=all model=",
    "model="
  };
  g_autoptr (GArray) prompt = st_encode (PROMPT);
  g_autofree gchar *want = st_expected_text (st_tiny_path (),
      (gint32 *) prompt->data, prompt->len, N_TOKENS);
  StRun r;

  run (&r, &setup, FALSE);
  fail_unless (r.error == NULL, "%s (%s)", r.error, r.debug);
  assert_equals_string (r.text->str, want);
  st_run_clear (&r);
}

GST_END_TEST;

static void
expect_error (const Setup * setup, const gchar * part)
{
  for (guint bytes_back = 0; bytes_back < 2; bytes_back++) {
    StRun r;

    run (&r, setup, bytes_back == 1);
    fail_unless (r.error != NULL);
    fail_unless (strstr (r.error, part) != NULL,
        "\"%s\" (%s) does not say \"%s\"", r.error, r.debug, part);
    st_run_clear (&r);
  }
}

GST_START_TEST (what_is_refused)
{
  static const struct
  {
    Setup setup;
    const gchar *part;
  } cases[] = {
    {{NULL, "codec=" SIDE_CODEC_BLOCKS " token-side-info=generated model=",
            "codec=" SIDE_CODEC_BLOCKS " model="},
        "set all (the tail then gets"},
    {{NULL, "codec=" SIDE_CODEC_BLOCKS " token-side-info=all",
            "codec=" SIDE_CODEC_BLOCKS " model="},
        "set model to its GGUF file"},
    {{NULL, "codec=" SIDE_CODEC_BLOCKS " token-side-info=all model=",
            "codec=" SIDE_CODEC_BLOCKS}, "set model to its GGUF file"},
    {{NULL, "codec=" SIDE_CODEC_EMBEDDING " token-side-info=generated model=",
            "codec=" SIDE_CODEC_EMBEDDING}, "set model to its GGUF file"},
    {{NULL, "codec=" SIDE_CODEC_NONE, "codec=" SIDE_CODEC_NONE},
        "was made for tiny (id any, hidden size 64) split 3, the stream is of"},
    {{NULL, "codec=" SIDE_CODEC_BLOCKS, ""}, "set codec of rddecoder"},
    {{NULL, "codec=" SIDE_CODEC_BLOCKS, "codec=" SIDE_CODEC_EMBEDDING},
        "is coded with \"" SIDE_CODEC_BLOCKS "\""},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    expect_error (&cases[i].setup, cases[i].part);
}

GST_END_TEST;

/* A codec for another model's states; then one whose predictor is another model's, as the stream does not say of which it is. */
GST_START_TEST (another_model)
{
  const Setup setup = { NULL, "codec=" SIDE_CODEC_EMBEDDING,
    "codec=" SIDE_CODEC_EMBEDDING
  };
  StModelOptions options = {.last_block = 0,.embed = TRUE };
  StModel *other = st_model_open (st_tiny_other_path (), &options, NULL);

  side_codec_set_model (st_model_id (other));
  expect_error (&setup, "use the codec file that was made for it");
  side_codec_set_model (NULL);
  st_model_unref (other);
}

GST_END_TEST;

/* Hidden states from elsewhere. */
GST_START_TEST (states_without_ids)
{
  GstElement *encoder = st_element ("rdencoder", "codec=" SIDE_CODEC_EMBEDDING
      ",token-side-info=all");
  g_autoptr (GError) error = NULL;
  GstBus *bus = gst_bus_new ();
  GstHarness *h;

  g_object_set (encoder, "model", st_tiny_path (), NULL);
  gst_element_set_bus (encoder, bus);
  h = gst_harness_new_with_element (encoder, "sink", "src");
  gst_harness_set_src_caps_str (h, "application/x-hidden-states, "
      "format=F32LE, hidden-size=64, split-layer=2");
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 256, NULL);
  gst_buffer_memset (buffer, 0, 0, 256);
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_ERROR);
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL);
  gst_message_parse_error (message, &error, NULL);
  fail_unless (strstr (error->message, "come without their token ids"));
  gst_message_unref (message);
  gst_harness_teardown (h);
  gst_element_set_bus (encoder, NULL);
  gst_object_unref (encoder);
  gst_object_unref (bus);
}

GST_END_TEST;

static Suite *
side_info_suite (void)
{
  Suite *suite = suite_create ("side-info");
  TCase *tc = tcase_create ("general");

  GST_ELEMENT_REGISTER (rdencoder, NULL);
  GST_ELEMENT_REGISTER (rddecoder, NULL);
  GST_ELEMENT_REGISTER (rdparse, NULL);
  suite_add_tcase (suite, tc);
  tcase_add_test (tc, rows_that_get_features);
  tcase_add_test (tc, codecs_without_predictor);
  tcase_add_test (tc, what_is_refused);
  tcase_add_test (tc, another_model);
  tcase_add_test (tc, states_without_ids);
  return suite;
}

int
main (int argc, char **argv)
{
  st_elements_init (&argc, &argv);
  return st_elements_run (side_info_suite (), "side-info");
}
