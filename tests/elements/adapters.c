/* Codec files with adapters: both halves run with them or the stream is refused, and the level that is coded with decides on their gate. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "codec/codec.h"
#include "elements/common/gstrdadapters.h"
#include "elements/common/gstrdcaps.h"
#include "elements/rddecoder/gstrddecoder.h"
#include "elements/rdencoder/gstrdencoder.h"
#include "tests/elements/element-tools.h"
#include "tests/support/adapter-tools.h"

#define N_TOKENS 24
#define PROMPT "Hello there, you"
#define SPLIT 2
#define RANK 4
#define SIZE 0.4

static gchar *plain, *adapted, *other, *elsewhere, *other_model;

static void
make_files (void)
{
  plain = rd_test_adapted_file (st_tiny_path (), SPLIT, 0, 0, 0);
  adapted = rd_test_adapted_file (st_tiny_path (), SPLIT, RANK, SIZE, 1);
  other = rd_test_adapted_file (st_tiny_path (), SPLIT, RANK, SIZE, 2);
  elsewhere = rd_test_adapted_file (st_tiny_path (), 1, RANK, SIZE, 1);
  other_model = rd_test_adapted_file (st_tiny_other_path (), SPLIT, RANK, SIZE,
      1);
}

static void
remove_files (void)
{
  gchar **files[] = { &plain, &adapted, &other, &elsewhere, &other_model };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_unlink (*files[i]);
    g_clear_pointer (files[i], g_free);
  }
}

/* What the whole model writes with the adapters of @path, their gate that of @level. The gate goes into alpha, which is the rank: exact. */
static gchar *
expected_text (const gchar * path, guint level)
{
  const gint cuts[] = { 0 };
  g_autoptr (RdLearnedParameters) p = rd_learned_parameters_load (path, NULL);
  g_autoptr (StModelAdapters) adapters = st_model_adapters_new ();
  g_autoptr (GArray) prompt = st_encode (PROMPT);
  StTestChain chain;
  gchar *text;

  for (guint i = 0; i < p->adapters->list->len; i++) {
    const RdLearnedAdapter *a = rd_learned_adapters_get (p->adapters, i);

    st_model_adapters_add (adapters, a->name, a->inputs, a->outputs, a->rank,
        p->adapters->alpha * rd_learned_adapters_gate (p->adapters, p->knots,
            p->n_knots, level), a->a, a->b);
  }
  st_test_chain_open (&chain, st_tiny_path (), cuts, 1, 0, ST_TYPE_F32);
  fail_unless (st_model_adapt (chain.parts[0], adapters, NULL));
  text = st_chain_text (&chain, (gint32 *) prompt->data, prompt->len, N_TOKENS);
  st_test_chain_close (&chain);
  return text;
}

/* A pipeline; each codec may be NULL. With @encoder NULL the head is linked to the tail. */
static void
run (StRun * r, const gchar * head, const gchar * encoder,
    const gchar * more, const gchar * tail)
{
  g_autofree gchar *middle = encoder ? g_strdup_printf ("! rdencoder codec=%s "
      "%s ! rddecoder codec=%s", encoder, more, encoder) : g_strdup ("");

  st_run (r, "tokensrc model=%s prompt=\"" PROMPT "\" max-tokens=%d "
      "temperature=0 ! transformerhead model=%s split-layer=%d %s%s %s "
      "! transformertail model=%s %s%s ! fakesink name=out", st_tiny_path (),
      N_TOKENS, st_tiny_path (), SPLIT, head ? "codec=" : "",
      head ? head : "", middle, st_tiny_path (), tail ? "codec=" : "",
      tail ? tail : "");
}

static void
expect_text (const gchar * head, const gchar * encoder, const gchar * more,
    const gchar * tail, const gchar * want)
{
  StRun r;

  run (&r, head, encoder, more, tail);
  fail_unless (r.error == NULL, "%s (%s)", r.error, r.debug);
  assert_equals_string (r.text->str, want);
  st_run_clear (&r);
}

GST_START_TEST (both_halves)
{
  g_autofree gchar *finest = expected_text (adapted, 127);
  g_autofree gchar *middle = expected_text (adapted,
      rd_codec_quality_level (RD_QUALITY_DEFAULT));
  g_autofree gchar *bare = NULL;
  g_autoptr (GArray) prompt = st_encode (PROMPT);

  bare = st_expected_text (st_tiny_path (), (gint32 *) prompt->data,
      prompt->len, N_TOKENS);
  fail_unless (strcmp (finest, bare) != 0);
  fail_unless (strcmp (finest, middle) != 0);
  expect_text (adapted, adapted, "rate-control=lossless", adapted, finest);
  expect_text (adapted, NULL, NULL, adapted, middle);
  /* a file without adapters changes nothing, nor does a codec that is no file */
  expect_text (plain, plain, "rate-control=lossless", plain, bare);
  expect_text (plain, plain, "rate-control=lossless", NULL, bare);
  expect_text (NULL, plain, "rate-control=lossless", plain, bare);
  expect_text ("f32", "f32", "", "f32", bare);
}

GST_END_TEST;

/* The parts of a model that is cut into three. */
GST_START_TEST (middle_partition)
{
  g_autofree gchar *want = expected_text (adapted, 127);
  StRun r;

  st_run (&r, "tokensrc model=%1$s prompt=\"" PROMPT "\" max-tokens=24 "
      "temperature=0 ! transformerhead model=%1$s split-layer=1 codec=%2$s "
      "! queue ! transformerhead model=%1$s layers=1-2 codec=%2$s "
      "! rdencoder codec=%2$s rate-control=lossless ! rddecoder codec=%2$s "
      "! transformertail model=%1$s codec=%2$s ! fakesink name=out",
      st_tiny_path (), adapted);
  fail_unless (r.error == NULL, "%s (%s)", r.error, r.debug);
  assert_equals_string (r.text->str, want);
  st_run_clear (&r);
  st_run (&r, "tokensrc model=%1$s prompt=Hello max-tokens=2 "
      "! transformerhead model=%1$s split-layer=1 codec=%2$s "
      "! transformerhead model=%1$s layers=1-2 "
      "! transformertail model=%1$s codec=%2$s ! fakesink name=out",
      st_tiny_path (), adapted);
  fail_unless (r.error && strstr (r.error, "transformerhead runs without"),
      "%s", r.error);
  st_run_clear (&r);
}

GST_END_TEST;

static void
expect_error (const gchar * head, const gchar * encoder, const gchar * tail,
    const gchar * part)
{
  StRun r;

  run (&r, head, encoder, "", tail);
  fail_unless (r.error != NULL, "no error that says \"%s\"", part);
  fail_unless (strstr (r.error, part) != NULL,
      "\"%s\" (%s) does not say \"%s\"", r.error, r.debug, part);
  st_run_clear (&r);
}

GST_START_TEST (what_is_refused)
{
  /* rdencoder */
  expect_error (NULL, adapted, adapted,
      "made without them: set codec of transformerhead");
  expect_error (plain, adapted, adapted,
      "made without them: set codec of transformerhead");
  expect_error (adapted, plain, adapted, "rdencoder runs without them");
  expect_error (adapted, "int8", adapted, "rdencoder runs without them");
  expect_error (other, adapted, adapted,
      "rdencoder runs with the adapters of codec file");
  /* transformertail */
  expect_error (adapted, adapted, NULL, "transformertail runs without them");
  expect_error (adapted, adapted, plain, "transformertail runs without them");
  expect_error (adapted, adapted, other, "give both sides the same codec file");
  expect_error (NULL, plain, adapted, "made without them");
  expect_error (NULL, "int8", adapted, "made without them");
  expect_error (adapted, NULL, NULL, "transformertail runs without them");
  expect_error (NULL, NULL, adapted, "made without them");
  /* files that do not go with the model */
  expect_error (other_model, other_model, other_model,
      "use the codec file that was made for it");
  expect_error (elsewhere, adapted, adapted, "cut before block 1");
  expect_error (adapted, adapted, elsewhere, "give both sides the same");
  expect_error ("/nowhere/x.gguf", adapted, adapted, "/nowhere/x.gguf");
  expect_error (adapted, adapted, "/nowhere/x.gguf", "/nowhere/x.gguf");
  expect_error (st_tiny_path (), adapted, adapted, "a codec file is wanted");
}

GST_END_TEST;

/* A wrong file is told before anything plays. */
GST_START_TEST (wrong_files_in_ready)
{
  const gchar *files[] = { other_model, elsewhere, "/nowhere/x.gguf" };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    GstElement *head = st_element ("transformerhead", "split-layer=2");

    g_object_set (head, "model", st_tiny_path (), "codec", files[i], NULL);
    assert_equals_int (gst_element_set_state (head, GST_STATE_READY),
        GST_STATE_CHANGE_FAILURE);
    gst_element_set_state (head, GST_STATE_NULL);
    gst_object_unref (head);
  }
}

GST_END_TEST;

/* Whether the file that @watch is for was opened since this was asked last. */
static gboolean
was_opened (gint watch)
{
  struct inotify_event event;
  gboolean opened = FALSE;

  while (read (watch, &event, sizeof event) > 0)
    opened = TRUE;
  return opened;
}

/* Overwrites the magic number of the file at @path. */
static void
damage (const gchar * path)
{
  struct stat file;
  FILE *f = g_fopen (path, "r+");

  fail_unless (f != NULL && stat (path, &file) == 0);
  const struct timespec times[2] = { file.st_atim,
    {file.st_mtim.tv_sec + 1, file.st_mtim.tv_nsec}
  };
  fputs ("none", f);
  fclose (f);
  assert_equals_int (utimensat (AT_FDCWD, path, times, 0), 0);
}

static GstStateChangeReturn
make_ready (const gchar * name, const gchar * setup, const gchar * path,
    GstElement ** element)
{
  *element = st_element (name, setup);
  g_object_set (*element, "model", st_tiny_path (), "codec", path, NULL);
  return gst_element_set_state (*element, GST_STATE_READY);
}

/* What one element has read of a file, another one does not read again, as long as the file stays as it is. */
GST_START_TEST (one_file_is_read_once)
{
  g_autofree gchar *path = rd_test_adapted_file (st_tiny_path (), SPLIT, RANK,
      SIZE, 1);
  const gint watch = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  const GstRdAdapters *first, *second;
  GstElement *head, *tail;

  fail_unless (watch >= 0 && inotify_add_watch (watch, path, IN_OPEN) >= 0);
  first = gst_rd_adapters_open (path, NULL);
  fail_unless (was_opened (watch));
  assert_equals_int (make_ready ("transformerhead", "split-layer=2", path,
          &head), GST_STATE_CHANGE_SUCCESS);
  second = gst_rd_adapters_open (path, NULL);
  fail_unless (second == first);
  gst_rd_adapters_close (second);
  gst_rd_adapters_close (first);
  assert_equals_int (make_ready ("transformertail", "layers=(string)2-4", path,
          &tail), GST_STATE_CHANGE_SUCCESS);
  fail_if (was_opened (watch));
  gst_element_set_state (tail, GST_STATE_NULL);
  gst_object_unref (tail);
  damage (path);
  assert_equals_int (make_ready ("transformertail", "layers=(string)2-4", path,
          &tail), GST_STATE_CHANGE_FAILURE);
  close (watch);
  gst_element_set_state (tail, GST_STATE_NULL);
  gst_element_set_state (head, GST_STATE_NULL);
  gst_object_unref (tail);
  gst_object_unref (head);
  g_unlink (path);
}

GST_END_TEST;

/* ---- levels ---- */

static const gint32 ids[] = { 10, 20, 30, 40, 50, 60, 70, 80 };

#define N_IDS 8

/* Hidden states of @ids before the cut, the gates of the first four at @first, of the others at @second. */
static gfloat *
expected_states (gint first, gint second)
{
  const StModelOptions options = {.last_block = SPLIT,.embed = TRUE,
    .threads = 1,.deterministic = TRUE
  };
  g_autoptr (StModel) model = st_model_open (st_tiny_path (), &options, NULL);
  const GstRdAdapters *adapters = gst_rd_adapters_open (adapted, NULL);
  StKvCache *cache = st_kv_cache_new (model, 0, ST_TYPE_F32, NULL);
  gfloat *x = g_new (gfloat, N_IDS * ST_TINY_HIDDEN), gates[N_IDS];

  for (guint i = 0; i < N_IDS; i++)
    gates[i] = gst_rd_adapters_gate (adapters, i < 4 ? first : second);
  fail_unless (st_model_adapt (model, adapters->model, NULL));
  fail_unless (st_model_embed (model, ids, N_IDS, x, NULL));
  fail_unless (st_model_run_gated (model, cache, x, N_IDS, ST_REGIME_PREFILL,
          gates, NULL, NULL));
  st_kv_cache_free (cache);
  gst_rd_adapters_close (adapters);
  return x;
}

static GstHarness *
head_harness (void)
{
  g_autofree gchar *setup =
      g_strdup_printf ("model=(string)%s,split-layer=%d,codec=(string)%s",
      st_tiny_path (), SPLIT, adapted);
  GstHarness *h = st_harness ("transformerhead", setup, NULL);

  gst_harness_set_src_caps (h, st_tiny_ids_caps ());
  return h;
}

static void
push_and_expect (GstHarness * h, guint from, guint n, const gfloat * x)
{
  GstBuffer *buffer;

  assert_equals_int (gst_harness_push (h, st_ids_buffer (ids + from, n, TRUE, 1,
              0, from, 0)), GST_FLOW_OK);
  buffer = gst_harness_pull (h);
  assert_equals_int (gst_buffer_memcmp (buffer, 0, x + from * ST_TINY_HIDDEN,
          n * ST_TINY_HIDDEN * 4), 0);
  gst_buffer_unref (buffer);
}

/* Rows after the event have its level's gate, those before it what they had. */
GST_START_TEST (the_head_follows)
{
  g_autofree gfloat *same = expected_states (-1, -1);
  g_autofree gfloat *changed = expected_states (-1, 3);
  GstHarness *h = head_harness ();

  fail_unless (memcmp (same + 4 * ST_TINY_HIDDEN,
          changed + 4 * ST_TINY_HIDDEN, 4 * ST_TINY_HIDDEN * 4) != 0);
  push_and_expect (h, 0, 4, same);
  fail_unless (gst_pad_push_event (h->sinkpad, gst_rd_event_new_level (3)));
  push_and_expect (h, 4, 4, changed);
  GstEvent *event = st_pull_custom (h, "rd-level", TRUE);
  fail_unless (event != NULL);
  gst_event_unref (event);
  gst_harness_teardown (h);
}

GST_END_TEST;

GST_START_TEST (the_caps_tell)
{
  const GstRdAdapters *adapters = gst_rd_adapters_open (adapted, NULL);
  g_autofree gfloat *x = expected_states (-1, -1);
  GstHarness *h = head_harness ();
  GstRdStateInfo info;

  push_and_expect (h, 0, 4, x);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (h->sinkpad);
  fail_unless (gst_rd_state_info_from_caps (&info, caps, NULL));
  assert_equals_string (info.adapters, adapters->id);
  gst_rd_adapters_close (adapters);
  gst_harness_teardown (h);
}

GST_END_TEST;

static guint
pull_level (GstHarness * h)
{
  GstEvent *event = st_pull_custom (h, "rd-level", TRUE);
  guint level;

  fail_unless (event != NULL, "no rd-level");
  fail_unless (gst_rd_event_parse_level (event, &level));
  gst_event_unref (event);
  return level;
}

static void
push_states (GstHarness * h, guint32 position)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 4 * ST_TINY_HIDDEN * 2,
      NULL);

  gst_buffer_memset (buffer, 0, 0, 4 * ST_TINY_HIDDEN * 2);
  gst_buffer_add_rd_meta (buffer, 1, 0, position, 2, 0, NULL);
  assert_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
}

/* When it is asked, with the first rows, and again when it has changed. */
GST_START_TEST (the_encoder_tells)
{
  GstElement *encoder = st_element ("rdencoder", "quality=100.0");
  GstHarness *h;

  g_object_set (encoder, "codec", plain, NULL);
  h = gst_harness_new_with_element (encoder, "sink", "src");
  gst_harness_set_src_caps_str (h, "application/x-hidden-states, "
      "format=F32LE, hidden-size=64, split-layer=2");
  GstQuery *query = gst_rd_query_new_level ();
  guint level;
  fail_unless (gst_pad_peer_query (h->srcpad, query));
  fail_unless (gst_rd_query_parse_level (query, &level));
  assert_equals_int (level, 127);
  gst_query_unref (query);
  push_states (h, 0);
  assert_equals_int (pull_level (h), 127);
  push_states (h, 2);
  fail_unless (st_pull_custom (h, "rd-level", TRUE) == NULL);
  g_object_set (encoder, "quality", 0.0, NULL);
  push_states (h, 4);
  assert_equals_int (pull_level (h), 0);
  gst_harness_teardown (h);
  gst_object_unref (encoder);
}

GST_END_TEST;

/* Each row has the level of its frame. */
GST_START_TEST (the_decoder_tells)
{
  GstElement *encoder = st_element ("rdencoder", "quality=20.0");
  GstElement *decoder = st_element ("rddecoder", "max-errors=0");
  GstElement *bin = gst_bin_new (NULL);
  GstBuffer *buffer;
  GstHarness *h;

  g_object_set (encoder, "codec", adapted, NULL);
  g_object_set (decoder, "codec", adapted, NULL);
  gst_bin_add_many (GST_BIN (bin), encoder, decoder, NULL);
  fail_unless (gst_element_link (encoder, decoder));
  g_autoptr (GstPad) in = gst_element_get_static_pad (encoder, "sink");
  g_autoptr (GstPad) out = gst_element_get_static_pad (decoder, "src");
  gst_element_add_pad (bin, gst_ghost_pad_new ("sink", in));
  gst_element_add_pad (bin, gst_ghost_pad_new ("src", out));
  h = gst_harness_new_with_element (bin, "sink", "src");
  gst_harness_set_src_caps_str (h, "application/x-hidden-states, "
      "format=F32LE, hidden-size=64, split-layer=2");
  for (guint i = 0; i < 2; i++) {
    push_states (h, 2 * i);
    buffer = gst_harness_pull (h);
    GstRdMeta *meta = gst_buffer_get_rd_meta (buffer);
    assert_equals_int (meta->count, 2);
    fail_unless (meta->levels != NULL);
    const gint8 level = (gint8) rd_codec_quality_level (i ? 80 : 20);
    const gint8 both[] = { level, level };
    assert_equals_int (memcmp (meta->levels, both, sizeof both), 0);
    gst_buffer_unref (buffer);
    g_object_set (encoder, "quality", 80.0, NULL);
  }
  gst_harness_teardown (h);
  gst_object_unref (bin);
}

GST_END_TEST;

static Suite *
adapters_suite (void)
{
  Suite *suite = suite_create ("adapters");
  TCase *tc = tcase_create ("general");

  GST_ELEMENT_REGISTER (rdencoder, NULL);
  GST_ELEMENT_REGISTER (rddecoder, NULL);
  suite_add_tcase (suite, tc);
  tcase_add_unchecked_fixture (tc, make_files, remove_files);
  tcase_add_test (tc, both_halves);
  tcase_add_test (tc, middle_partition);
  tcase_add_test (tc, what_is_refused);
  tcase_add_test (tc, wrong_files_in_ready);
  tcase_add_test (tc, one_file_is_read_once);
  tcase_add_test (tc, the_head_follows);
  tcase_add_test (tc, the_caps_tell);
  tcase_add_test (tc, the_encoder_tells);
  tcase_add_test (tc, the_decoder_tells);
  return suite;
}

int
main (int argc, char **argv)
{
  st_elements_init (&argc, &argv);
  return st_elements_run (adapters_suite (), "adapters");
}
