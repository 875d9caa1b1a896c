/* Whole trainings of a tiny model's codec: what is learned, that interruptions and threads do not change a bit, and what is refused. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/train-evaluate.h"
#include "codec/training/entropy-models.h"
#include "models/model.h"
#include "tests/support/random-weights.h"
#include "tests/support/training-fixture.h"

#define FULL_WEIGHTS 0x100

/* ---- codecs ---- */

/* One with states that are not finite from some sequence on, or without memory for them. */
static const RdTrainableClass *whole;
static RdTrainableClass broken;
static gint forwards;
static gboolean no_memory;

static gboolean
broken_forward (RdTrainablePass * pass, RdTrainableJob * job, GError ** error)
{
  const gboolean ok = whole->forward (pass, job, error);

  if (g_atomic_int_add (&forwards, -1) > 0)
    return ok;
  if (no_memory) {
    g_set_error_literal (error, ST_MODEL_ERROR, ST_MODEL_ERROR_MEMORY, "none");
    return FALSE;
  }
  job->y[5] = NAN;
  return ok;
}

static RdTrainable *
broken_new (const gchar * name, const RdLearnedParameters * start, guint set,
    guint64 seed, GError ** error)
{
  RdTrainable *codec = rd_trainable_new_by_name (name, start, set, seed, error);

  whole = codec->klass;
  broken = *whole;
  broken.forward = broken_forward;
  codec->klass = &broken;
  return codec;
}

static GBytes *
train_to_bytes (RdTestTraining * f)
{
  rd_test_train (f);
  return rd_test_take_file (f->checkpoint);
}

/* ---- what is learned ---- */

static void
test_learns (RdTestTraining * f, gconstpointer trained)
{
  const guint what = GPOINTER_TO_UINT (trained);

  f->options.matrices = what & RD_TEST_ALL_MATRICES;
  f->options.full_weights = what == FULL_WEIGHTS;
  if (f->options.full_weights)
    f->options.rate = 2e-4;
  f->options.steps = 60;
  f->options.codec_rate = 5e-3;
  rd_test_train (f);
  g_assert_cmpuint (f->validations, ==, 2);
  g_test_message ("%.5f -> %.5f", rd_test_train_cost (f->first),
      rd_test_train_cost (f->last));
  g_assert_cmpfloat (rd_test_train_cost (f->last), <,
      0.97 * rd_test_train_cost (f->first));
}

/* ---- the same bits ---- */

/* Interrupted while validating, behind the second step, and behind the third; on other numbers of threads each time. */
static void
check_interruptions (RdTestTraining * f, const GBytes * expected)
{
  const guint64 stops[] = { 2, 3 };
  g_autoptr (GBytes) bytes = NULL;

  f->options.resume = TRUE;
  g_atomic_int_set (&f->cancel, 1);
  for (guint i = 0; i <= G_N_ELEMENTS (stops); i++) {
    f->options.threads = 1 + i % 3;
    if (i > 0)
      f->cancel_at = stops[i - 1];
    rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_INTERRUPTED,
        f->checkpoint);
    g_atomic_int_set (&f->cancel, 0);
  }
  f->cancel_at = 0;
  f->options.recompute = TRUE;
  bytes = train_to_bytes (f);
  g_assert_true (g_bytes_equal (expected, bytes));
}

static void
test_interrupted (RdTestTraining * f, gconstpointer unused)
{
  (void) unused;
  for (guint variant = 0; variant < 4; variant++) {
    g_autoptr (GBytes) expected = NULL;

    f->options.full_weights = variant == 3;
    f->options.matrices = variant % 3 > 0 ? RD_TEST_ALL_MATRICES : 0;
    f->options.noise = variant == 1;
    f->options.label_weight = variant == 1 ? 0.25 : 0;
    f->options.set = variant == 2;
    f->options.products = variant == 1 ? RD_PRODUCTS_BF16 : RD_PRODUCTS_F32;
    f->options.start =
        variant ==
        2 ? rd_test_train_files.
        embedding_start : rd_test_train_files.plain_start;
    f->options.threads = 1;
    f->options.recompute = FALSE;
    expected = train_to_bytes (f);
    check_interruptions (f, expected);
  }
}

/* Interrupted in the validation behind the last step, which is made up for. */
static void
test_interrupted_validation (RdTestTraining * f, gconstpointer unused)
{
  (void) unused;
  f->cancel_at = f->options.steps;
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_INTERRUPTED,
      "rdtrain resume goes on");
  g_assert_cmpuint (f->validations, ==, 1);
  g_atomic_int_set (&f->cancel, 0);
  f->options.resume = TRUE;
  rd_test_train (f);
  g_assert_cmpuint (f->reported, ==, 0);
  g_assert_cmpuint (f->validations, ==, 1);
}

/* A seed of its own, and of nothing else. */
static void
test_seed (RdTestTraining * f, gconstpointer unused)
{
  g_autoptr (GBytes) first = NULL, same = NULL, other = NULL;

  (void) unused;
  f->options.steps = 2;
  first = train_to_bytes (f);
  same = train_to_bytes (f);
  g_assert_true (g_bytes_equal (first, same));
  f->options.seed = 6;
  other = train_to_bytes (f);
  g_assert_false (g_bytes_equal (first, other));
}

/* ---- what it has reached ---- */

static gboolean
on_result (const RdTrainResult * result, gpointer user_data, GError ** error)
{
  double *bits = user_data;

  (void) error;
  g_assert_cmpfloat (result->bits[0], >, 0);
  g_assert_cmpfloat (result->wire_bits[0], >, result->bits[0]);
  bits[result->point] = result->bits[0];
  return TRUE;
}

/* Hidden states before the split are the original model's, whatever they could be predicted from. */
static void
test_evaluate (RdTestTraining * f, gconstpointer unused)
{
  const double lambdas[] = { 2e-4, 6e-3 };
  const gsize frame = 16;
  gint32 ids[24];
  const RdIds text = { ids, G_N_ELEMENTS (ids) };
  double bits[2] = { 0 };
  const RdTrainEvaluation what = {.texts = &text,.n_texts = 1,.n_coded =
        1,.lambdas = lambdas,.n_lambdas = 2,.frames = &frame,.n_frames =
        1,.done = on_result,.user_data = bits
  };
  g_autoptr (GError) error = NULL;

  (void) unused;
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    ids[i] = g_test_rand_int_range (3, ST_TINY_VOCAB);
  f->options.start = rd_test_train_files.embedding_start;
  for (guint set = 0; set < 2; set++) {
    f->options.set = set;
    rd_test_train (f);
    rd_train_evaluate (&f->options, &what, &error);
    g_assert_no_error (error);
    g_assert_cmpfloat (bits[0], >, bits[1]);
    g_unlink (f->checkpoint);
  }
}

/* ---- stages ---- */

/* Adapters that begin change nothing: the second training begins where the first one ended. */
static void
test_values (RdTestTraining * f, gconstpointer unused)
{
  double before;

  (void) unused;
  rd_test_train (f);
  before = rd_test_train_cost (f->last);
  f->options.values = f->checkpoint;
  f->options.checkpoint = f->other;
  f->options.matrices = RD_TEST_ALL_MATRICES;
  rd_test_train (f);
  st_test_near (rd_test_train_cost (f->first), before, 1e-3 * before);
  /* Of everything: the parameters are all there. */
  f->options.values = f->other;
  f->options.checkpoint = f->checkpoint;
  g_unlink (f->checkpoint);
  before = rd_test_train_cost (f->last);
  rd_test_train (f);
  g_assert_cmpfloat (rd_test_train_cost (f->first), ==, before);
}

/* A name that a header takes only a part of: up to the middle of a character. */
static void
test_name (RdTestTraining * f, gconstpointer unused)
{
  g_autofree gchar *start = g_strnfill (62, 'a');
  g_autofree gchar *name = g_strconcat (start, "\303\251", NULL);
  const StTinyModelOptions options = {.name = name };
  g_autofree gchar *path = st_tiny_model_temp (&options);

  (void) unused;
  f->options.model = path;
  f->options.steps = 2;
  rd_test_train (f);
  g_unlink (path);
}

/* ---- what is refused ---- */

static void
test_other_settings (RdTestTraining * f, gconstpointer unused)
{
  (void) unused;
  f->options.steps = 2;
  rd_test_train (f);
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_CHECKPOINT,
      "--resume goes on");
  f->options.resume = TRUE;
  f->options.steps = 3;
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
      "steps=2 ");
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
      "steps=3; --steps must be what it began with");
  f->options.steps = 2;
  f->options.matrices = RD_TEST_ALL_MATRICES;
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
      "matrices=127; --adapters must be");
  f->options.matrices = 0;
  rd_test_train (f);
  g_assert_cmpuint (f->reported, ==, 0);
  g_file_set_contents (f->checkpoint, "GGUF", -1, NULL);
  f->reported = 0;
  g_assert_false (rd_train (&f->options, NULL));
  g_unlink (f->checkpoint);
  f->options.values = rd_test_train_files.plain_start;
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_NO_CHECKPOINT,
      rd_test_train_files.plain_start);
}

static void
assert_advice (RdTestTraining * f, gint code, gboolean remove)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (rd_train (&f->options, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, RD_TRAINING_ERROR, code);
  g_assert_true ((strstr (error->message, "remove it") != NULL) == remove);
}

/* Only what is a checkpoint may be removed, and only if that is of use. */
static void
test_advice (RdTestTraining * f, gconstpointer unused)
{
  g_autofree gchar *data = NULL;
  gsize size;

  (void) unused;
  f->options.steps = 2;
  rd_test_train (f);
  assert_advice (f, RD_TRAINING_ERROR_CHECKPOINT, TRUE);
  f->options.resume = TRUE;
  f->options.seed = 6;
  assert_advice (f, RD_TRAINING_ERROR_OTHER, FALSE);
  f->options.seed = 5;
  g_assert_true (g_file_get_contents (f->checkpoint, &data, &size, NULL));
  data[size - 1] ^= 1;
  g_file_set_contents (f->checkpoint, data, (gssize) size, NULL);
  assert_advice (f, RD_TRAINING_ERROR_DAMAGED, TRUE);
  g_assert_cmpint (g_rename (f->checkpoint, f->other), ==, 0);
  f->options.values = f->other;
  assert_advice (f, RD_TRAINING_ERROR_DAMAGED, FALSE);
  f->options.checkpoint = rd_test_train_files.embedding_start;
  for (guint i = 0; i < 2; i++) {
    f->options.resume = i > 0;
    assert_advice (f, RD_TRAINING_ERROR_NO_CHECKPOINT, FALSE);
  }
}

/* Steps go on with the products that they were begun with; what validates is F32 with both. */
static void
test_products (RdTestTraining * f, gconstpointer unused)
{
  g_autofree gchar *codec = NULL, *again = NULL;
  RdTrainPoint first[RD_TRAIN_POINTS];

  (void) unused;
  f->options.steps = 2;
  rd_test_train (f);
  memcpy (first, f->first, sizeof (first));
  f->options.products = RD_PRODUCTS_BF16;
  g_assert_true (rd_train_options_read (&f->options, f->checkpoint, &codec,
          NULL));
  g_assert_cmpuint (f->options.products, ==, RD_PRODUCTS_F32);
  f->options.resume = TRUE;
  f->options.products = RD_PRODUCTS_BF16;
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
      "products=bf16");
  g_unlink (f->checkpoint);
  rd_test_train (f);
  for (guint i = 0; i < RD_TRAIN_POINTS; i++) {
    g_assert_cmpfloat (first[i].distortion, ==, f->first[i].distortion);
    g_assert_cmpfloat (first[i].bits, ==, f->first[i].bits);
  }
  f->options.products = RD_PRODUCTS_F32;
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
      "products=bf16");
  g_assert_true (rd_train_options_read (&f->options, f->checkpoint, &again,
          NULL));
  g_assert_cmpuint (f->options.products, ==, RD_PRODUCTS_BF16);
}

static void
test_other_model (RdTestTraining * f, gconstpointer unused)
{
  const StTinyModelOptions options = {.seed = 99 };
  g_autofree gchar *path = st_tiny_model_temp (&options);

  (void) unused;
  f->options.model = path;
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "for another model");
  g_unlink (path);
}

static void
test_bad_options (RdTestTraining * f, gconstpointer unused)
{
  const RdTrainOptions good = f->options;
  const gint code = RD_TRAINING_ERROR_OPTIONS;

  (void) unused;
  f->options.length = 15;
  rd_test_train_fails (f, RD_TRAINING_ERROR, code, "16..");
  f->options.length = ST_TINY_CONTEXT + 1;
  rd_test_train_fails (f, RD_TRAINING_ERROR, code, "16..4096");
  f->options = good;
  f->options.steps = 0;
  rd_test_train_fails (f, RD_TRAINING_ERROR, code, "steps: 0");
  f->options = good;
  f->options.lambda_min = 0.5;
  rd_test_train_fails (f, RD_TRAINING_ERROR, code, "smallest lambda: 0.5");
  f->options.lambda_min = NAN;
  rd_test_train_fails (f, RD_TRAINING_ERROR, code, "smallest lambda");
  f->options = good;
  f->options.rate = 0;
  rd_test_train_fails (f, RD_TRAINING_ERROR, code, "learning rate");
  f->options = good;
  f->options.matrices = 1;
  f->options.last_block = ST_TINY_BLOCKS + 1;
  rd_test_train_fails (f, RD_TRAINING_ERROR, code, "last block");
  f->options.last_block = f->options.first_block = 2;
  rd_test_train_fails (f, RD_TRAINING_ERROR, code, "first block");
  f->options.full_weights = TRUE;
  rd_test_train_fails (f, RD_TRAINING_ERROR, code, "adapters, too");
  f->options.matrices = 0;
  f->options.start = rd_test_train_files.embedding_start;
  rd_test_train_fails (f, RD_TRAINING_ERROR, code, "side information");
  f->options = good;
  f->options.checkpoint = "/no/such/folder/checkpoint";
  rd_test_train_fails (f, G_FILE_ERROR, G_FILE_ERROR_NOENT, "/no/such/folder");
  f->options = good;
  f->options.set = 1;
  rd_test_train_fails (f, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT, "set 1");
  f->options = good;
  f->options.start = f->other;
  rd_test_train_fails (f, RD_CODEC_ERROR, RD_CODEC_ERROR_UNKNOWN, f->other);
}

static void
test_bad_text (RdTestTraining * f, gconstpointer unused)
{
  (void) unused;
  f->texts[0] = f->other;
  g_file_set_contents (f->other, "To be, or not to be", -1, NULL);
  rd_test_train_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_SHORT, "too short");
  g_file_set_contents (f->other, "To be\xff", -1, NULL);
  rd_test_train_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT, f->other);
}

/* The third step's first sequence breaks: the checkpoint of the second step, here one of an interruption, stays. */
static void
test_diverged (RdTestTraining * f, gconstpointer unused)
{
  g_autoptr (GBytes) before = NULL, after = NULL;
  gchar *data;
  gsize size;

  (void) unused;
  f->options.resume = TRUE;
  f->cancel_at = 2;
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_INTERRUPTED,
      "after 2 of 5 steps");
  g_atomic_int_set (&f->cancel, 0);
  f->cancel_at = 0;
  g_assert_true (g_file_get_contents (f->checkpoint, &data, &size, NULL));
  before = g_bytes_new_take (data, size);
  f->options.codec_new = broken_new;
  g_atomic_int_set (&forwards, (gint) f->options.batch);
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_DIVERGED,
      "step 4: ");
  g_assert_cmpuint (f->reported, ==, 3);
  after = rd_test_take_file (f->checkpoint);
  g_assert_true (g_bytes_equal (before, after));
}

static void
assert_message (RdTestTraining * f, GQuark domain, gint code,
    const gchar * start, gboolean kept)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (rd_train (&f->options, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, domain, code);
  g_assert_true (g_str_has_prefix (error->message, start));
  g_assert_true (g_str_has_suffix (error->message,
          "/checkpoint stays as it is") == kept);
}

/* What failed, where, and whether there is a checkpoint. */
static void
test_failures (RdTestTraining * f, gconstpointer unused)
{
  const GQuark domain = RD_TRAINING_ERROR;
  const gint code = RD_TRAINING_ERROR_DIVERGED;

  (void) unused;
  f->options.steps = 2;
  rd_test_train (f);
  f->options.resume = TRUE;
  f->options.codec_new = broken_new;
  g_atomic_int_set (&forwards, 0);
  assert_message (f, domain, code, "validation after step 2: job 0: ", TRUE);
  g_unlink (f->checkpoint);
  assert_message (f, domain, code, "validation after step 0: job 0: ", FALSE);
  no_memory = TRUE;
  g_atomic_int_set (&forwards, (gint) f->options.held_out * RD_TRAIN_POINTS);
  assert_message (f, ST_MODEL_ERROR, ST_MODEL_ERROR_MEMORY,
      "step 1: job 0: none", FALSE);
  no_memory = FALSE;
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  rd_test_train_add ("/train/learns/codec", GUINT_TO_POINTER (0), test_learns);
  rd_test_train_add ("/train/learns/both",
      GUINT_TO_POINTER (RD_TEST_ALL_MATRICES), test_learns);
  rd_test_train_add ("/train/learns/weights", GUINT_TO_POINTER (FULL_WEIGHTS),
      test_learns);
  rd_test_train_add ("/train/interrupted", NULL, test_interrupted);
  rd_test_train_add ("/train/interrupted-validation", NULL,
      test_interrupted_validation);
  rd_test_train_add ("/train/seed", NULL, test_seed);
  rd_test_train_add ("/train/evaluate", NULL, test_evaluate);
  rd_test_train_add ("/train/values", NULL, test_values);
  rd_test_train_add ("/train/name", NULL, test_name);
  rd_test_train_add ("/train/products", NULL, test_products);
  rd_test_train_add ("/train/refused/settings", NULL, test_other_settings);
  rd_test_train_add ("/train/refused/advice", NULL, test_advice);
  rd_test_train_add ("/train/refused/model", NULL, test_other_model);
  rd_test_train_add ("/train/refused/options", NULL, test_bad_options);
  rd_test_train_add ("/train/refused/text", NULL, test_bad_text);
  rd_test_train_add ("/train/diverged", NULL, test_diverged);
  rd_test_train_add ("/train/failures", NULL, test_failures);
  return rd_test_train_run ();
}
