/* Whole calibrations of a tiny model: what comes out, that interruptions do not change it, and what is refused. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/learned/parameters.h"
#include "codec/training/calibrate.h"
#include "codec/training/checkpoint.h"
#include "codec/training/parameters.h"
#include "codec/training/states.h"
#include "tests/support/model-tools.h"
#include "tests/support/random-weights.h"
#include "tests/support/test-model.h"
#include "tests/support/tiny-model.h"

#define D ST_TINY_HIDDEN
#define SPLIT 2
#define LENGTH 48

typedef struct
{
  gchar *folder, *model, *text, *output, *checkpoint;
  const gchar *texts[2];
  RdCalibrateOptions options;
  gint cancel;
  gsize cancel_at;              /* sequences; 0: never */
  gsize reported;
} Fixture;

static void
on_progress (const RdCalibrateProgress * progress, gpointer user_data)
{
  Fixture *f = user_data;

  g_assert_cmpuint (progress->done, >, f->reported);
  g_assert_cmpuint (progress->sequences, ==, f->options.sequences);
  g_assert_cmpfloat (progress->tokens_per_second, >, 0);
  g_assert_cmpfloat (progress->seconds_left, >=, 0);
  f->reported = progress->done;
  if (f->cancel_at > 0 && progress->done >= f->cancel_at)
    g_atomic_int_set (&f->cancel, 1);
}

static void
on_tell (const gchar * line, gpointer user_data)
{
  (void) user_data;
  g_test_message ("%s", line);
}

static void
set_up (Fixture * f, gconstpointer unused)
{
  (void) unused;
  f->folder = g_dir_make_tmp ("calibrate-XXXXXX", NULL);
  g_assert_nonnull (f->folder);
  f->model = st_tiny_model_temp (NULL);
  f->text = st_test_data_path ("hamlet20k.txt");
  f->output = g_build_filename (f->folder, "codec.gguf", NULL);
  f->checkpoint = g_build_filename (f->folder, "codec.gguf.checkpoint", NULL);
  f->texts[0] = f->text;
  f->options = (RdCalibrateOptions) {
  .model = f->model,.split_layer = SPLIT,.texts = f->texts,.output =
        f->output,.sequences = 24,.gradient_sequences = 10,.length =
        LENGTH,.seed = 7,.lambda = RD_CALIBRATE_LAMBDA,.threads = 1,.cancel =
        &f->cancel,.progress = on_progress,.tell = on_tell,.user_data = f,};
}

static void
tear_down (Fixture * f, gconstpointer unused)
{
  (void) unused;
  g_unlink (f->model);
  g_unlink (f->output);
  g_unlink (f->checkpoint);
  g_assert_cmpint (g_rmdir (f->folder), ==, 0);
  g_free (f->folder);
  g_free (f->model);
  g_free (f->text);
  g_free (f->output);
  g_free (f->checkpoint);
}

/* Runs and returns the codec file. */
static GBytes *
calibrate (Fixture * f)
{
  g_autoptr (GError) error = NULL;
  gchar *data;
  gsize size;

  f->reported = 0;
  rd_calibrate (&f->options, &error);
  g_assert_no_error (error);
  g_assert_false (g_file_test (f->checkpoint, G_FILE_TEST_EXISTS));
  g_file_get_contents (f->output, &data, &size, &error);
  g_assert_no_error (error);
  g_unlink (f->output);
  return g_bytes_new_take (data, size);
}

static void
assert_fails (Fixture * f, GQuark domain, gint code, const gchar * part)
{
  g_autoptr (GError) error = NULL;

  f->reported = 0;
  g_assert_false (rd_calibrate (&f->options, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, domain, code);
  g_assert_nonnull (strstr (error->message, part));
  g_assert_false (g_file_test (f->output, G_FILE_TEST_EXISTS));
}

/* ---- the result ---- */

static void
test_same_bytes (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) first = calibrate (f), other = NULL, third = NULL;

  (void) unused;
  f->options.threads = 3;
  f->options.recompute = TRUE;
  other = calibrate (f);
  g_assert_true (g_bytes_equal (first, other));
  f->options.seed = 8;
  third = calibrate (f);
  g_assert_false (g_bytes_equal (first, third));
}

/* Stops after some sequences with gradients, then after some without, and goes on. */
static void
test_interrupted (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) whole = calibrate (f), resumed = NULL;

  (void) unused;
  f->cancel_at = 4;
  assert_fails (f, RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_INTERRUPTED,
      "interrupted after 4 of 24 sequences");
  f->cancel = 0;
  assert_fails (f, RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_CHECKPOINT,
      "--resume");
  f->options.resume = TRUE;
  f->cancel_at = 15;
  assert_fails (f, RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_INTERRUPTED,
      "interrupted after 15 of 24 sequences");
  f->cancel = 0;
  f->cancel_at = 24;
  assert_fails (f, RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_INTERRUPTED,
      "while fitting");
  f->cancel = 0;
  f->cancel_at = 0;
  resumed = calibrate (f);
  g_assert_true (g_bytes_equal (whole, resumed));
}

static void
test_other_settings (Fixture * f, gconstpointer unused)
{
  (void) unused;
  f->cancel_at = 3;
  assert_fails (f, RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_INTERRUPTED, "");
  f->cancel = 0;
  f->options.resume = TRUE;
  f->options.seed = 99;
  assert_fails (f, RD_CHECKPOINT_ERROR, RD_CHECKPOINT_ERROR_OTHER, "seed 7");
  assert_fails (f, RD_CHECKPOINT_ERROR, RD_CHECKPOINT_ERROR_OTHER, "seed 99");
}

/* ---- the codec ---- */

typedef struct
{
  float *x, *features;
  double bytes, error;          /* of one quality */
} Coded;

static void
code (const gchar * path, const Coded * in, gdouble quality, Coded * out)
{
  const RdSettings settings = { quality, RD_COMPLEXITY_DEFAULT, FALSE };
  const RdRows rows = {.n = LENGTH,.features = in->features };
  g_autoptr (GError) error = NULL;
  g_autoptr (RdCodec) codec = rd_codec_new (path, D, &error);
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  g_autofree float *y = g_new (float, LENGTH * D);
  gboolean packed;

  g_assert_no_error (error);
  rd_codec_set (codec, &settings);
  rd_codec_encode (codec, &rows, in->x, FALSE, payload, &packed, &error);
  g_assert_no_error (error);
  rd_codec_decode (codec, &rows, payload->data, payload->len, packed, y,
      &error);
  g_assert_no_error (error);
  out->bytes = payload->len;
  out->error = 0;
  for (gsize i = 0; i < LENGTH * D; i++)
    out->error += (in->x[i] - y[i]) * (in->x[i] - y[i]);
}

/* States of text that was not calibrated with. */
static void
make_states (const Fixture * f, Coded * in)
{
  const RdStatesOptions options = { SPLIT, f->options.side_info,
    f->options.n_blocks, LENGTH, 1
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (RdStates) states = rd_states_new (f->model, &options, &error);
  gint32 ids[LENGTH];

  g_assert_no_error (error);
  for (gsize i = 0; i < LENGTH; i++)
    ids[i] = g_test_rand_int_range (3, ST_TINY_VOCAB);
  in->x = g_new (float, LENGTH * D);
  in->features = f->options.side_info != RD_SIDE_INFO_NONE ?
      g_new (float, LENGTH * D) : NULL;
  rd_states_run (states, ids, LENGTH, in->x, in->features, NULL, &error);
  g_assert_no_error (error);
}

/* More quality costs more and brings more. */
static void
check_codec (const Fixture * f)
{
  static const gdouble qualities[] = { 20, 40, 60, 80, 100 };
  Coded in, before = { 0 };

  make_states (f, &in);
  for (guint i = 0; i < G_N_ELEMENTS (qualities); i++) {
    Coded out;

    code (f->output, &in, qualities[i], &out);
    g_test_message ("quality %g: %.1f bits a token, squared error %.3g",
        qualities[i], out.bytes * 8 / LENGTH, out.error);
    if (i > 0) {
      g_assert_cmpfloat (out.bytes, >, before.bytes);
      g_assert_cmpfloat (out.error, <, before.error);
    }
    before = out;
  }
  g_free (in.x);
  g_free (in.features);
}

static RdLearnedParameters *
check_file (Fixture * f)
{
  g_autoptr (GBytes) bytes = calibrate (f);
  g_autoptr (GError) error = NULL;
  gsize size;
  const gchar *data = g_bytes_get_data (bytes, &size);
  RdLearnedParameters *p;

  g_file_set_contents (f->output, data, (gssize) size, &error);
  g_assert_no_error (error);
  p = rd_learned_parameters_load (f->output, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (p->split_layer, ==, SPLIT);
  g_assert_cmpuint (p->hidden_size, ==, D);
  g_assert_cmpstr (p->license, ==, "Apache-2.0");
  g_assert_cmpstr (g_hash_table_lookup (p->provenance, "text.sources"), ==,
      f->options.sources);
  g_test_message ("%s", (const gchar *) g_hash_table_lookup (p->provenance,
          "command"));
  check_codec (f);
  g_unlink (f->output);
  return p;
}

static void
test_codec (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdLearnedParameters) p = NULL;
  g_autoptr (StModel) model = st_test_open_blocks (f->model, 0, SPLIT, 1);
  gchar digits[3];

  (void) unused;
  f->options.sources = "Hamlet, public domain";
  p = check_file (f);
  g_assert_cmpint (p->side_info, ==, RD_SIDE_INFO_NONE);
  g_snprintf (digits, sizeof (digits), "%02x", p->model_id[31]);
  g_assert_cmpmem (digits, 2, st_model_id (model) + 62, 2);
}

static void
test_embedding (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdLearnedParameters) p = NULL;

  (void) unused;
  f->options.side_info = RD_SIDE_INFO_EMBEDDING;
  p = check_file (f);
  g_assert_cmpint (p->side_info, ==, RD_SIDE_INFO_EMBEDDING);
  g_assert_nonnull (p->set[1].readout);
}

static void
test_blocks (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdLearnedParameters) p = NULL;

  (void) unused;
  f->options.side_info = RD_SIDE_INFO_BLOCKS;
  f->options.n_blocks = 1;
  p = check_file (f);
  g_assert_cmpint (p->side_info, ==, RD_SIDE_INFO_BLOCKS);
  g_assert_cmpuint (p->n_blocks, ==, 1);
  /* what is left varies less than the states do */
  g_assert_cmpint (p->set[1].scale[0], <, p->set[0].scale[0]);
}

/* ---- refusals ---- */

static void
test_bad_options (Fixture * f, gconstpointer unused)
{
  const RdCalibrateOptions good = f->options;

  (void) unused;
  f->options.split_layer = 0;
  assert_fails (f, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE, "at least 1");
  f->options.split_layer = ST_TINY_BLOCKS;
  assert_fails (f, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE, "1 to 3");
  f->options.split_layer = 1000;
  assert_fails (f, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE, "1000");
  f->options = good;
  f->options.side_info = RD_SIDE_INFO_BLOCKS;
  f->options.n_blocks = SPLIT;
  assert_fails (f, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE, "can be 1 to 1");
  f->options = good;
  f->options.lambda = NAN;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS, "lambda");
  f->options = good;
  f->options.gradient_sequences = 25;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS, "5..24");
  f->options = good;
  f->options.sequences = 4;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "sequences: 4");
  f->options = good;
  f->options.length = 1;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS, "16..");
  f->options.length = ST_TINY_CONTEXT + 1;
  f->options.sequences = f->options.gradient_sequences = 5;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS, "16..4096");
  f->options = good;
  f->options.output = "/no/such/folder/codec.gguf";
  assert_fails (f, G_FILE_ERROR, G_FILE_ERROR_NOENT, "/no/such/folder");
}

static void
test_bad_text (Fixture * f, gconstpointer unused)
{
  g_autofree gchar *path = g_build_filename (f->folder, "text.txt", NULL);
  const gchar *none[] = { NULL };

  (void) unused;
  f->options.texts = none;
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT, "no text");
  f->options.texts = f->texts;
  f->texts[0] = path;
  assert_fails (f, G_FILE_ERROR, G_FILE_ERROR_NOENT, path);
  g_file_set_contents (path, "", 0, NULL);
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT, "is empty");
  g_file_set_contents (path, "To be, or not to be", -1, NULL);
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_SHORT, "too short");
  g_unlink (path);
  /* enough text for the sequences, but not enough sequences for the hidden size */
  f->texts[0] = f->text;
  f->options.length = 20;
  f->options.sequences = f->options.gradient_sequences = 6;
  assert_fails (f, RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_TEXT, "too few");
  g_unlink (f->checkpoint);
}

static void
test_windows (Fixture * f, gconstpointer unused)
{
  g_autoptr (StModel) model = st_test_open_blocks (f->model, 0, 1, 1);
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GError) error = NULL;
  gsize len;
  g_autofree gchar *text = st_test_read_data ("hamlet20k.txt", &len);
  const gint32 foreign[] = { 0, ST_TINY_VOCAB };
  RdIds window;

  (void) unused;
  st_tokenizer_encode (st_model_tokenizer (model), text, len, FALSE, ids,
      &error);
  g_assert_no_error (error);
  window = (RdIds) {
  &g_array_index (ids, gint32, 1000), RD_CORPUS_OVERLAP};
  f->options.windows = &window;
  f->options.n_windows = 1;
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
      "hamlet20k.txt: from token 1000 on");
  window.n--;
  f->options.sequences = f->options.gradient_sequences = 5;
  g_bytes_unref (calibrate (f));
  window = (RdIds) {
  foreign, 2};
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT, "another tokenizer");
}

/* ---- checkpoints ---- */

static RdStatistics *
make_statistics (void)
{
  const RdStatisticsSize size = { 8, 16, 9, 5, TRUE };
  g_autoptr (GError) error = NULL;
  RdStatistics *s = rd_statistics_new (&size, &error);

  g_assert_no_error (error);
  return s;
}

static void
test_checkpoint (Fixture * f, gconstpointer unused)
{
  const gchar *path = f->checkpoint;
  g_autoptr (RdStatistics) s = make_statistics (), t = make_statistics ();
  g_autoptr (GError) error = NULL;
  g_autofree gchar *first = NULL, *second = NULL, *damaged = NULL;
  gsize size, other;

  (void) unused;
  for (guint i = 0; i < 6; i++) {
    g_autofree float *x = st_test_floats (16 * 8);

    rd_statistics_add (s, &(RdSequence) {
        x, x, x});
  }
  g_assert_true (rd_checkpoint_write (path, "these", s, &error));
  g_assert_true (rd_checkpoint_read (path, "these", t, &error));
  g_file_get_contents (path, &first, &size, NULL);
  g_assert_true (rd_checkpoint_write (path, "these", t, &error));
  g_file_get_contents (path, &second, &other, NULL);
  g_assert_no_error (error);
  g_assert_cmpmem (first, size, second, other);
  g_assert_false (rd_checkpoint_read (path, "those", t, &error));
  g_assert_error (error, RD_CHECKPOINT_ERROR, RD_CHECKPOINT_ERROR_OTHER);
  g_clear_error (&error);
  for (guint i = 0; i < 300; i++) {
    const gsize at = (gsize) g_test_rand_int_range (0, (gint32) size);

    g_free (damaged);
    damaged = g_memdup2 (first, size);
    damaged[at] ^= (gchar) (1 << (i & 7));
    g_file_set_contents (path, damaged, (gssize) (i % 3 ? size : at), NULL);
    g_assert_false (rd_checkpoint_read (path, "these", t, &error));
    g_assert_true (error->domain == RD_CHECKPOINT_ERROR);
    g_clear_error (&error);
  }
  g_unlink (path);
  g_assert_false (rd_checkpoint_read (path, "these", t, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_clear_error (&error);
  g_assert_false (rd_checkpoint_write ("/no/such/folder/x", "these", s,
          &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const gchar *name;
    void (*test) (Fixture * f, gconstpointer unused);
  } tests[] = {
    {"/calibrate/same-bytes", test_same_bytes},
    {"/calibrate/interrupted", test_interrupted},
    {"/calibrate/other-settings", test_other_settings},
    {"/calibrate/codec", test_codec},
    {"/calibrate/embedding", test_embedding},
    {"/calibrate/blocks", test_blocks},
    {"/calibrate/bad-options", test_bad_options},
    {"/calibrate/bad-text", test_bad_text},
    {"/calibrate/windows", test_windows},
    {"/calibrate/checkpoint", test_checkpoint},
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
  return g_test_run ();
}
