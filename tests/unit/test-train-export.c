/* What a training has reached as a codec file, and as a model if its weights were trained. */
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "codec/training/entropy-models.h"
#include "codec/training/static.h"
#include "codec/training/train-export.h"
#include "codec/training/train-state.h"
#include "codec/training/weights.h"
#include "tests/support/random-weights.h"
#include "tests/support/test-model.h"
#include "tests/support/training-fixture.h"
#include "tests/support/training-tools.h"

static gboolean
try_export (RdTestTraining * f, guint rank, guint threads,
    const gchar * model_output, GError ** error)
{
  const RdTrainExport to = {.codec_export = rd_trainable_export,.output =
        f->output,.sequences = 10,.rank = rank,.model_output =
        model_output,.type = ST_TYPE_F32,.sources = "a play"
  };
  RdTrainOptions options = {.model = f->options.model,.start =
        f->options.start,.texts = f->texts,.checkpoint =
        f->options.checkpoint,.threads = threads,.entropy_model =
        RD_STATIC_NAME,.codec_new = rd_trainable_new_by_name,.cancel =
        &f->cancel
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
export (RdTestTraining * f, guint rank, guint threads,
    const gchar * model_output)
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
assert_export_fails (RdTestTraining * f, guint rank, const gchar * model_output,
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
test_export_alone (RdTestTraining * f, gconstpointer unused)
{
  g_autoptr (RdLearnedParameters) p = NULL;
  g_autoptr (RdLearnedParameters) start =
      rd_learned_parameters_load (rd_test_train_files.plain_start, NULL);
  const gsize bytes = (gsize) ST_TINY_HIDDEN * ST_TINY_HIDDEN * sizeof (float);

  (void) unused;
  rd_test_train (f);
  assert_export_fails (f, 0, f->other, "weights were not trained");
  p = export (f, 0, 1, NULL);
  g_assert_null (p->adapters);
  g_assert_cmpuint (p->split_layer, ==, RD_TEST_TRAIN_SPLIT);
  g_assert_cmpmem (p->model_id, sizeof (p->model_id), start->model_id,
      sizeof (start->model_id));
  g_assert_cmpint (memcmp (p->set[0].synthesis, start->set[0].synthesis, bytes),
      !=, 0);
  g_assert_cmpstr (g_hash_table_lookup (p->provenance, "text.sources"), ==,
      "a play");
  g_assert_nonnull (strstr (g_hash_table_lookup (p->provenance, "training"),
          "seed=5"));
}

/* A checkpoint is only read: its folder may be one that nothing can be written to. */
static void
test_export_read_only (RdTestTraining * f, gconstpointer unused)
{
  g_autoptr (RdLearnedParameters) p = NULL;
  g_autofree gchar *folder =
      g_build_filename (rd_test_train_files.folder, "kept", NULL);
  g_autofree gchar *kept = g_build_filename (folder, "checkpoint", NULL);

  (void) unused;
  rd_test_train (f);
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_cmpint (g_rename (f->checkpoint, kept), ==, 0);
  g_assert_cmpint (g_chmod (folder, 0500), ==, 0);
  if (g_access (folder, W_OK) == 0)
    g_test_message ("whoever runs this may write everywhere");
  f->options.checkpoint = kept;
  p = export (f, 0, 1, NULL);
  g_assert_null (p->adapters);
  g_chmod (folder, 0700);
  g_unlink (kept);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* What comes out is trained on: adapters, gates and codec are those of the file. */
static void
test_export_adapters (RdTestTraining * f, gconstpointer unused)
{
  g_autoptr (RdLearnedParameters) p = NULL;
  g_autoptr (RdLearnedParameters) again = NULL, smaller = NULL;
  g_autoptr (GBytes) first = NULL, second = NULL;
  double before, after;

  (void) unused;
  f->options.start = rd_test_train_files.embedding_start;
  f->options.set = 1;
  f->options.matrices = RD_TEST_ALL_MATRICES;
  f->options.steps = 20;
  f->options.rate = 1e-2;
  rd_test_train (f);
  before = rd_test_train_cost (f->last);
  p = export (f, 0, 1, NULL);
  first = rd_test_take_file (f->output);
  g_assert_nonnull (p->adapters);
  g_assert_cmpuint (p->adapters->list->len, ==, ST_TINY_BLOCKS * 7);
  g_assert_cmpfloat (p->adapters->gates[0], !=, 1.0f);
  again = export (f, 0, 2, NULL);
  g_assert_cmpstr (again->id, ==, p->id);
  second = rd_test_take_file (f->output);
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
  rd_test_train (f);
  after = rd_test_train_cost (f->first);
  g_test_message ("%.5f in training, %.5f from its file", before, after);
  st_test_near (after, before, 0.05 * before);
  f->options.matrices = 0;
  g_unlink (f->checkpoint);
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "has adapters");
}

/* Nothing in the folder but what was there; what fails does so before or after the model is written. */
static void
test_export_neither (RdTestTraining * f, gconstpointer unused)
{
  const gchar *folder = rd_test_train_files.folder;
  g_autoptr (GError) directory = NULL, cancelled = NULL;
  g_autoptr (GDir) dir = NULL;
  guint names = 0;

  (void) unused;
  f->options.full_weights = TRUE;
  rd_test_train (f);
  g_file_set_contents (f->output, "a codec", -1, NULL);
  g_assert_cmpint (g_mkdir (f->other, 0700), ==, 0);
  g_assert_false (try_export (f, 0, 1, f->other, &directory));
  g_test_message ("%s", directory->message);
  g_assert_error (directory, G_FILE_ERROR, G_FILE_ERROR_EXIST);
  st_test_file_is (f->output, "a codec");
  g_assert_cmpint (g_rmdir (f->other), ==, 0);

  g_file_set_contents (f->other, "a model", -1, NULL);
  g_atomic_int_set (&f->cancel, 1);
  g_assert_false (try_export (f, 0, 1, f->other, &cancelled));
  g_test_message ("%s", cancelled->message);
  g_assert_error (cancelled, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED);
  st_test_file_is (f->output, "a codec");
  st_test_file_is (f->other, "a model");
  dir = g_dir_open (folder, 0, NULL);
  while (g_dir_read_name (dir) != NULL)
    names++;
  /* two starts, checkpoint, codec, model */
  g_assert_cmpuint (names, ==, 5);
}

/* The model that comes out has the checkpoint's values, the codec file is for it alone, and both are the same for any threads. */
static void
check_export_weights (RdTestTraining * f)
{
  g_autoptr (RdLearnedParameters) p = NULL, again = NULL;
  g_autoptr (RdWeights) original = rd_test_open_weights (f->options.model, 32);
  g_autoptr (RdWeights) trained = NULL;
  g_autoptr (GBytes) first = NULL, second = NULL;
  const gsize bytes = original->n_values * sizeof (float);
  RdParameters parameters = { 0 };
  gsize n;

  f->options.full_weights = TRUE;
  rd_test_train (f);
  assert_export_fails (f, 0, NULL, "--output-model");
  assert_export_fails (f, 1, f->other, "lower rank");
  p = export (f, 0, 1, f->other);
  first = rd_test_take_file (f->other);
  again = export (f, 0, 2, f->other);
  g_assert_cmpstr (again->id, ==, p->id);
  trained = rd_test_open_weights (f->other, 32);
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
  rd_test_train_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "for another model");
  f->options.model = f->other;
  rd_test_train (f);
  second = rd_test_take_file (f->other);
  g_assert_true (g_bytes_equal (first, second));
}

static void
test_export_weights (RdTestTraining * f, gconstpointer unused)
{
  (void) unused;
  check_export_weights (f);
}

/* Biases, learned positions, and queries, keys and values in one tensor. */
static void
test_export_weights_gpt2 (RdTestTraining * f, gconstpointer unused)
{
  const StTinyModelOptions gpt2 = {.gpt2 = TRUE };
  g_autofree gchar *model = st_tiny_model_temp (&gpt2);
  g_autofree gchar *start = rd_test_calibrate (model, RD_TEST_TRAIN_SPLIT,
      rd_test_train_files.text, rd_test_train_files.folder, "gpt2.gguf",
      RD_SIDE_INFO_NONE);

  (void) unused;
  f->options.model = model;
  f->options.start = start;
  check_export_weights (f);
  g_unlink (model);
  g_unlink (start);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  rd_test_train_add ("/train/export/alone", NULL, test_export_alone);
  rd_test_train_add ("/train/export/read-only", NULL, test_export_read_only);
  rd_test_train_add ("/train/export/adapters", NULL, test_export_adapters);
  rd_test_train_add ("/train/export/neither", NULL, test_export_neither);
  rd_test_train_add ("/train/export/weights", NULL, test_export_weights);
  rd_test_train_add ("/train/export/weights-gpt2", NULL,
      test_export_weights_gpt2);
  return rd_test_train_run ();
}
