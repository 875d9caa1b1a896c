/* Whole trainings of a tiny model's codec: what is learned, that interruptions and threads do not change a bit, what is refused, and the
 * codec files that come out. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/entropy-models.h"
#include "codec/training/static.h"
#include "codec/training/train-export.h"
#include "codec/training/train-rates.h"
#include "codec/training/train-state.h"
#include "codec/training/weights.h"
#include "tests/support/random-weights.h"
#include "tests/support/test-model.h"
#include "tests/support/training-tools.h"

#define SPLIT 2
#define ALL_MATRICES 0x7f
#define FULL_WEIGHTS 0x100
#define STEPS 5

static gchar *folder, *model, *text, *plain_start, *embedding_start;

typedef struct
{
  gchar *checkpoint, *other, *output;
  const gchar *texts[2];
  RdTrainOptions options;
  gint cancel;
  guint64 cancel_at;            /* steps; 0: never */
  guint64 reported;
  guint validations;
  RdTrainPoint first[RD_TRAIN_POINTS], last[RD_TRAIN_POINTS];
} Fixture;

/* ---- codecs ---- */

/* One with states that are not finite from some sequence on. */
static const RdTrainableClass *whole;
static RdTrainableClass broken;
static gint forwards;

static gboolean
broken_forward (RdTrainablePass * pass, RdTrainableJob * job, GError ** error)
{
  const gboolean ok = whole->forward (pass, job, error);

  if (g_atomic_int_add (&forwards, -1) <= 0)
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

/* ---- fixture ---- */

static void
on_progress (const RdTrainProgress * progress, gpointer user_data)
{
  Fixture *f = user_data;
  guint64 sequences = 0;

  g_assert_cmpuint (progress->step, >, f->reported);
  g_assert_cmpuint (progress->steps, ==, f->options.steps);
  g_assert_cmpfloat (progress->tokens_per_second, >, 0);
  g_assert_cmpfloat (progress->seconds_left, >=, 0);
  g_assert_true (isfinite (progress->loss));
  g_assert_cmpfloat (progress->norm, >, 0);
  for (guint i = 0; i < RD_TRAIN_BINS; i++)
    sequences += progress->bins[i].n;
  g_assert_cmpuint (sequences % f->options.batch, ==, 0);
  f->reported = progress->step;
  if (f->cancel_at > 0 && progress->step >= f->cancel_at)
    g_atomic_int_set (&f->cancel, 1);
}

static void
on_validated (guint64 step, const RdTrainPoint * points, gpointer user_data)
{
  Fixture *f = user_data;

  (void) step;
  for (guint i = 0; i < RD_TRAIN_POINTS; i++)
    g_test_message ("lambda %g: KL %.5f, %.2f bits", points[i].lambda,
        points[i].distortion, points[i].bits);
  memcpy (f->validations++ == 0 ? f->first : f->last, points,
      sizeof (f->first));
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
  f->checkpoint = g_build_filename (folder, "checkpoint", NULL);
  f->other = g_build_filename (folder, "other", NULL);
  f->output = g_build_filename (folder, "codec.gguf", NULL);
  f->texts[0] = text;
  f->options = (RdTrainOptions) {
  .model = model,.start = plain_start,.texts = f->texts,.entropy_model =
        RD_STATIC_NAME,.codec_new = rd_trainable_new_by_name,.frame =
        16,.rank = 2,.alpha = 2.0f,.steps = STEPS,.batch = 3,.length =
        32,.held_out = 4,.lambda_min = 1e-4,.lambda_max = 1e-2,.rate =
        1e-3,.codec_rate = 1e-3,.warmup = 2,.seed = 5,.threads =
        1,.checkpoint = f->checkpoint,.cancel = &f->cancel,.progress =
        on_progress,.validated = on_validated,.tell = on_tell,.user_data = f};
}

static void
tear_down (Fixture * f, gconstpointer unused)
{
  (void) unused;
  g_unlink (f->checkpoint);
  g_unlink (f->other);
  g_unlink (f->output);
  g_free (f->checkpoint);
  g_free (f->other);
  g_free (f->output);
}

static void
train (Fixture * f)
{
  g_autoptr (GError) error = NULL;

  f->reported = f->validations = 0;
  rd_train (&f->options, &error);
  g_assert_no_error (error);
}

static void
assert_fails (Fixture * f, GQuark domain, gint code, const gchar * part)
{
  g_autoptr (GError) error = NULL;

  f->reported = f->validations = 0;
  g_assert_false (rd_train (&f->options, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, domain, code);
  g_assert_nonnull (strstr (error->message, part));
}

/* The file, which is removed. */
static GBytes *
take_file (const gchar * path)
{
  g_autoptr (GError) error = NULL;
  gchar *data;
  gsize size;

  g_file_get_contents (path, &data, &size, &error);
  g_assert_no_error (error);
  g_unlink (path);
  return g_bytes_new_take (data, size);
}

static GBytes *
train_to_bytes (Fixture * f)
{
  train (f);
  return take_file (f->checkpoint);
}

/* What is made small. */
static double
mean_cost (const RdTrainPoint * points)
{
  double sum = 0;

  for (guint i = 0; i < RD_TRAIN_POINTS; i++)
    sum += rd_rate_weight (points[i].lambda)
        * (points[i].distortion + points[i].lambda * points[i].bits);
  return sum / RD_TRAIN_POINTS;
}

/* ---- what is learned ---- */

static void
test_learns (Fixture * f, gconstpointer trained)
{
  const guint what = GPOINTER_TO_UINT (trained);

  f->options.matrices = what & ALL_MATRICES;
  f->options.full_weights = what == FULL_WEIGHTS;
  if (f->options.full_weights)
    f->options.rate = 2e-4;
  f->options.steps = 60;
  f->options.codec_rate = 5e-3;
  train (f);
  g_assert_cmpuint (f->validations, ==, 2);
  g_test_message ("%.5f -> %.5f", mean_cost (f->first), mean_cost (f->last));
  g_assert_cmpfloat (mean_cost (f->last), <, 0.97 * mean_cost (f->first));
}

/* ---- the same bits ---- */

/* Interrupted while validating, behind the second step, and behind the third; on other numbers of threads each time. */
static void
check_interruptions (Fixture * f, const GBytes * expected)
{
  const guint64 stops[] = { 2, 3 };
  g_autoptr (GBytes) bytes = NULL;

  f->options.resume = TRUE;
  g_atomic_int_set (&f->cancel, 1);
  for (guint i = 0; i <= G_N_ELEMENTS (stops); i++) {
    f->options.threads = 1 + i % 3;
    if (i > 0)
      f->cancel_at = stops[i - 1];
    assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_INTERRUPTED,
        f->checkpoint);
    g_atomic_int_set (&f->cancel, 0);
  }
  f->cancel_at = 0;
  f->options.recompute = TRUE;
  bytes = train_to_bytes (f);
  g_assert_true (g_bytes_equal (expected, bytes));
}

static void
test_interrupted (Fixture * f, gconstpointer unused)
{
  (void) unused;
  for (guint variant = 0; variant < 4; variant++) {
    g_autoptr (GBytes) expected = NULL;

    f->options.full_weights = variant == 3;
    f->options.matrices = variant % 3 > 0 ? ALL_MATRICES : 0;
    f->options.noise = variant == 1;
    f->options.label_weight = variant == 1 ? 0.25 : 0;
    f->options.set = variant == 2;
    f->options.products = variant == 1 ? RD_PRODUCTS_BF16 : RD_PRODUCTS_F32;
    f->options.start = variant == 2 ? embedding_start : plain_start;
    f->options.threads = 1;
    f->options.recompute = FALSE;
    expected = train_to_bytes (f);
    check_interruptions (f, expected);
  }
}

/* A seed of its own, and of nothing else. */
static void
test_seed (Fixture * f, gconstpointer unused)
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

/* ---- stages ---- */

/* Adapters that begin change nothing: the second training begins where the first one ended. */
static void
test_values (Fixture * f, gconstpointer unused)
{
  double before;

  (void) unused;
  train (f);
  before = mean_cost (f->last);
  f->options.values = f->checkpoint;
  f->options.checkpoint = f->other;
  f->options.matrices = ALL_MATRICES;
  train (f);
  st_test_near (mean_cost (f->first), before, 1e-3 * before);
  /* Of everything: the parameters are all there. */
  f->options.values = f->other;
  f->options.checkpoint = f->checkpoint;
  g_unlink (f->checkpoint);
  before = mean_cost (f->last);
  train (f);
  g_assert_cmpfloat (mean_cost (f->first), ==, before);
}

/* ---- export ---- */

static gboolean
try_export (Fixture * f, guint rank, guint threads, const gchar * model_output,
    GError ** error)
{
  const RdTrainExport to = {.codec_export = rd_trainable_export,.output =
        f->output,.sequences = 10,.rank = rank,.model_output =
        model_output,.type = ST_TYPE_F32,.sources = "a play"
  };
  RdTrainOptions options = {.model = model,.start = f->options.start,.texts =
        f->texts,.checkpoint = f->options.checkpoint,.threads =
        threads,.entropy_model =
        RD_STATIC_NAME,.codec_new = rd_trainable_new_by_name
  };
  g_autofree gchar *codec = NULL;

  rd_train_options_read (&options, f->options.checkpoint, &codec, error);
  g_assert_cmpstr (codec, ==, RD_STATIC_NAME);
  g_assert_cmpuint (options.steps, ==, f->options.steps);
  g_assert_cmpfloat (options.lambda_max, ==, f->options.lambda_max);
  g_assert_cmpfloat (options.alpha, ==, f->options.alpha);
  g_assert_cmpint (options.full_weights, ==, f->options.full_weights);
  return rd_train_export (&options, &to, error);
}

static RdLearnedParameters *
export (Fixture * f, guint rank, guint threads, const gchar * model_output)
{
  g_autoptr (GError) error = NULL;
  RdLearnedParameters *p;

  try_export (f, rank, threads, model_output, &error);
  g_assert_no_error (error);
  p = rd_learned_parameters_load (f->output, &error);
  g_assert_no_error (error);
  return p;
}

static void
assert_export_fails (Fixture * f, guint rank, const gchar * model_output,
    const gchar * part)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (try_export (f, rank, 1, model_output, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
  g_assert_nonnull (strstr (error->message, part));
  g_assert_false (g_file_test (f->output, G_FILE_TEST_EXISTS));
}

static void
test_export_alone (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdLearnedParameters) p = NULL;
  g_autoptr (RdLearnedParameters) start =
      rd_learned_parameters_load (plain_start, NULL);
  const gsize bytes = (gsize) ST_TINY_HIDDEN * ST_TINY_HIDDEN * sizeof (float);

  (void) unused;
  train (f);
  assert_export_fails (f, 0, f->other, "weights were not trained");
  p = export (f, 0, 1, NULL);
  g_assert_null (p->adapters);
  g_assert_cmpuint (p->split_layer, ==, SPLIT);
  g_assert_cmpmem (p->model_id, sizeof (p->model_id), start->model_id,
      sizeof (start->model_id));
  g_assert_cmpint (memcmp (p->set[0].synthesis, start->set[0].synthesis, bytes),
      !=, 0);
  g_assert_cmpstr (g_hash_table_lookup (p->provenance, "text.sources"), ==,
      "a play");
  g_assert_nonnull (strstr (g_hash_table_lookup (p->provenance, "training"),
          "seed=5"));
}

/* What comes out is trained on: adapters, gates and codec are those of the file. */
static void
test_export_adapters (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdLearnedParameters) p = NULL;
  g_autoptr (RdLearnedParameters) again = NULL, smaller = NULL;
  g_autoptr (GBytes) first = NULL, second = NULL;
  double before, after;

  (void) unused;
  f->options.start = embedding_start;
  f->options.set = 1;
  f->options.matrices = ALL_MATRICES;
  f->options.steps = 20;
  f->options.rate = 1e-2;
  train (f);
  before = mean_cost (f->last);
  p = export (f, 0, 1, NULL);
  first = take_file (f->output);
  g_assert_nonnull (p->adapters);
  g_assert_cmpuint (p->adapters->list->len, ==, ST_TINY_BLOCKS * 7);
  g_assert_cmpfloat (p->adapters->gates[0], !=, 1.0f);
  again = export (f, 0, 2, NULL);
  g_assert_cmpstr (again->id, ==, p->id);
  second = take_file (f->output);
  g_assert_true (g_bytes_equal (first, second));
  smaller = export (f, 1, 1, NULL);
  g_assert_cmpuint (smaller->adapters->list->len, ==, p->adapters->list->len);
  g_assert_cmpuint (rd_learned_adapters_get (smaller->adapters, 0)->rank, ==,
      1);
  g_assert_cmpfloat (smaller->adapters->alpha, ==, 0.5f * p->adapters->alpha);

  g_file_set_contents (f->other, g_bytes_get_data (first, NULL),
      (gssize) g_bytes_get_size (first), NULL);
  f->options.start = f->other;
  g_unlink (f->checkpoint);
  f->options.steps = 1;
  f->options.warmup = 0;
  train (f);
  after = mean_cost (f->first);
  g_test_message ("%.5f in training, %.5f from its file", before, after);
  st_test_near (after, before, 0.05 * before);
  f->options.matrices = 0;
  g_unlink (f->checkpoint);
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "has adapters");
}

static RdWeights *
open_weights (const gchar * path)
{
  const StModelOptions options = {.last_block = -1,.embed = TRUE,.output =
        TRUE,.threads = 1
  };
  g_autoptr (StModel) whole = st_model_open (path, &options, NULL);

  g_assert_nonnull (whole);
  return rd_weights_new (whole, 32, NULL);
}

/* The model that comes out has the checkpoint's values, the codec file is for it alone, and both are the same for any threads. */
static void
test_export_weights (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdLearnedParameters) p = NULL, again = NULL;
  g_autoptr (RdWeights) original = open_weights (model);
  g_autoptr (RdWeights) trained = NULL;
  g_autoptr (GBytes) first = NULL, second = NULL;
  const gsize bytes = original->n_values * sizeof (float);
  RdParameters parameters = { 0 };
  gsize n;

  (void) unused;
  f->options.full_weights = TRUE;
  train (f);
  assert_export_fails (f, 0, NULL, "--output-model");
  assert_export_fails (f, 1, f->other, "lower rank");
  p = export (f, 0, 1, f->other);
  first = take_file (f->other);
  again = export (f, 0, 2, f->other);
  g_assert_cmpstr (again->id, ==, p->id);
  trained = open_weights (f->other);
  g_assert_cmpint (memcmp (trained->arena.memory, original->arena.memory,
          bytes), !=, 0);
  rd_weights_parameters (original, &parameters);
  g_assert_true (rd_train_state_read_values (f->checkpoint, &parameters, &n,
          NULL));
  g_assert_cmpuint (n, ==, rd_parameters_count (&parameters));
  rd_parameters_clear (&parameters);
  g_assert_cmpmem (trained->arena.memory, bytes, original->arena.memory, bytes);

  g_assert_null (p->adapters);
  g_assert_cmpstr (p->model_name, ==, trained->config.name);
  g_assert_nonnull (strstr (p->model_name, "trained with its codec"));
  f->options.full_weights = FALSE;
  f->options.start = f->output;
  g_unlink (f->checkpoint);
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "for another model");
  f->options.model = f->other;
  train (f);
  second = take_file (f->other);
  g_assert_true (g_bytes_equal (first, second));
}

/* ---- what is refused ---- */

static void
test_other_settings (Fixture * f, gconstpointer unused)
{
  (void) unused;
  f->options.steps = 2;
  train (f);
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_CHECKPOINT,
      "--resume goes on");
  f->options.resume = TRUE;
  f->options.steps = 3;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER, "steps=2 ");
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER, "steps=3 ");
  f->options.steps = 2;
  f->options.matrices = ALL_MATRICES;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER, "matrices=127");
  f->options.matrices = 0;
  train (f);
  g_assert_cmpuint (f->reported, ==, 0);
  g_file_set_contents (f->checkpoint, "GGUF", -1, NULL);
  f->reported = 0;
  g_assert_false (rd_train (&f->options, NULL));
  g_unlink (f->checkpoint);
  f->options.values = plain_start;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_DAMAGED, plain_start);
}

/* Steps go on with the products that they were begun with; what validates is F32 with both. */
static void
test_products (Fixture * f, gconstpointer unused)
{
  g_autofree gchar *codec = NULL, *again = NULL;
  RdTrainPoint first[RD_TRAIN_POINTS];

  (void) unused;
  f->options.steps = 2;
  train (f);
  memcpy (first, f->first, sizeof (first));
  f->options.products = RD_PRODUCTS_BF16;
  g_assert_true (rd_train_options_read (&f->options, f->checkpoint, &codec,
          NULL));
  g_assert_cmpuint (f->options.products, ==, RD_PRODUCTS_F32);
  f->options.resume = TRUE;
  f->options.products = RD_PRODUCTS_BF16;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER, "products=bf16");
  g_unlink (f->checkpoint);
  train (f);
  for (guint i = 0; i < RD_TRAIN_POINTS; i++) {
    g_assert_cmpfloat (first[i].distortion, ==, f->first[i].distortion);
    g_assert_cmpfloat (first[i].bits, ==, f->first[i].bits);
  }
  f->options.products = RD_PRODUCTS_F32;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER, "products=bf16");
  g_assert_true (rd_train_options_read (&f->options, f->checkpoint, &again,
          NULL));
  g_assert_cmpuint (f->options.products, ==, RD_PRODUCTS_BF16);
}

static void
test_other_model (Fixture * f, gconstpointer unused)
{
  const StTinyModelOptions options = {.seed = 99 };
  g_autofree gchar *path = st_tiny_model_temp (&options);

  (void) unused;
  f->options.model = path;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "for another model");
  g_unlink (path);
}

static void
test_bad_options (Fixture * f, gconstpointer unused)
{
  const RdTrainOptions good = f->options;
  const gint code = RD_TRAINING_ERROR_OPTIONS;

  (void) unused;
  f->options.length = 15;
  assert_fails (f, RD_TRAINING_ERROR, code, "16..");
  f->options.length = ST_TINY_CONTEXT + 1;
  assert_fails (f, RD_TRAINING_ERROR, code, "16..4096");
  f->options = good;
  f->options.steps = 0;
  assert_fails (f, RD_TRAINING_ERROR, code, "steps: 0");
  f->options = good;
  f->options.lambda_min = 0.5;
  assert_fails (f, RD_TRAINING_ERROR, code, "smallest lambda: 0.5");
  f->options.lambda_min = NAN;
  assert_fails (f, RD_TRAINING_ERROR, code, "smallest lambda");
  f->options = good;
  f->options.rate = 0;
  assert_fails (f, RD_TRAINING_ERROR, code, "learning rate");
  f->options = good;
  f->options.matrices = 1;
  f->options.last_block = ST_TINY_BLOCKS + 1;
  assert_fails (f, RD_TRAINING_ERROR, code, "last block");
  f->options.last_block = f->options.first_block = 2;
  assert_fails (f, RD_TRAINING_ERROR, code, "first block");
  f->options.full_weights = TRUE;
  assert_fails (f, RD_TRAINING_ERROR, code, "adapters, too");
  f->options.matrices = 0;
  f->options.start = embedding_start;
  assert_fails (f, RD_TRAINING_ERROR, code, "side information");
  f->options = good;
  f->options.checkpoint = "/no/such/folder/checkpoint";
  assert_fails (f, G_FILE_ERROR, G_FILE_ERROR_NOENT, "/no/such/folder");
  f->options = good;
  f->options.set = 1;
  assert_fails (f, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT, "set 1");
  f->options = good;
  f->options.start = f->other;
  assert_fails (f, RD_CODEC_ERROR, RD_CODEC_ERROR_UNKNOWN, f->other);
}

static void
test_bad_text (Fixture * f, gconstpointer unused)
{
  (void) unused;
  f->texts[0] = f->other;
  g_file_set_contents (f->other, "To be, or not to be", -1, NULL);
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_SHORT, "too short");
  g_file_set_contents (f->other, "To be\xff", -1, NULL);
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT, f->other);
}

/* The third step's first sequence breaks: the checkpoint of the second step, here one of an interruption, stays. */
static void
test_diverged (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) before = NULL, after = NULL;
  gchar *data;
  gsize size;

  (void) unused;
  f->options.resume = TRUE;
  f->cancel_at = 2;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_INTERRUPTED,
      "after 2 of 5 steps");
  g_atomic_int_set (&f->cancel, 0);
  f->cancel_at = 0;
  g_assert_true (g_file_get_contents (f->checkpoint, &data, &size, NULL));
  before = g_bytes_new_take (data, size);
  f->options.codec_new = broken_new;
  g_atomic_int_set (&forwards, (gint) f->options.batch);
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_DIVERGED, "step 4: ");
  g_assert_cmpuint (f->reported, ==, 3);
  after = take_file (f->checkpoint);
  g_assert_true (g_bytes_equal (before, after));
}

/* ---- set-up of all ---- */

static void
add (const gchar * name, gconstpointer data,
    void (*func) (Fixture * f, gconstpointer data))
{
  g_test_add (name, Fixture, data, set_up, func, tear_down);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("train-XXXXXX", NULL);
  g_assert_nonnull (folder);
  model = st_tiny_model_temp (NULL);
  text = st_test_data_path ("hamlet20k.txt");
  plain_start = rd_test_calibrate (model, SPLIT, text, folder, "plain.gguf",
      RD_SIDE_INFO_NONE);
  embedding_start = rd_test_calibrate (model, SPLIT, text, folder,
      "embedding.gguf", RD_SIDE_INFO_EMBEDDING);
  add ("/train/learns/codec", GUINT_TO_POINTER (0), test_learns);
  add ("/train/learns/both", GUINT_TO_POINTER (ALL_MATRICES), test_learns);
  add ("/train/learns/weights", GUINT_TO_POINTER (FULL_WEIGHTS), test_learns);
  add ("/train/interrupted", NULL, test_interrupted);
  add ("/train/seed", NULL, test_seed);
  add ("/train/values", NULL, test_values);
  add ("/train/export/alone", NULL, test_export_alone);
  add ("/train/export/adapters", NULL, test_export_adapters);
  add ("/train/products", NULL, test_products);
  add ("/train/export/weights", NULL, test_export_weights);
  add ("/train/refused/settings", NULL, test_other_settings);
  add ("/train/refused/model", NULL, test_other_model);
  add ("/train/refused/options", NULL, test_bad_options);
  add ("/train/refused/text", NULL, test_bad_text);
  add ("/train/diverged", NULL, test_diverged);
  status = g_test_run ();
  g_unlink (model);
  g_unlink (plain_start);
  g_unlink (embedding_start);
  g_rmdir (folder);
  g_free (folder);
  g_free (model);
  g_free (text);
  g_free (plain_start);
  g_free (embedding_start);
  return status;
}
