#include "tests/support/training-fixture.h"

#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/entropy-models.h"
#include "codec/training/static.h"
#include "codec/training/train-rates.h"
#include "tests/support/random-weights.h"
#include "tests/support/test-model.h"
#include "tests/support/training-tools.h"

RdTestTrainFiles rd_test_train_files;

static void
on_progress (const RdTrainProgress * progress, gpointer user_data)
{
  RdTestTraining *f = user_data;
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
  RdTestTraining *f = user_data;

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
set_up (RdTestTraining * f, gconstpointer unused)
{
  const RdTestTrainFiles *files = &rd_test_train_files;

  (void) unused;
  f->checkpoint = g_build_filename (files->folder, "checkpoint", NULL);
  f->other = g_build_filename (files->folder, "other", NULL);
  f->output = g_build_filename (files->folder, "codec.gguf", NULL);
  f->texts[0] = files->text;
  f->options = (RdTrainOptions) {
  .model = files->model,.start = files->plain_start,.texts =
        f->texts,.entropy_model = RD_STATIC_NAME,.codec_new =
        rd_trainable_new_by_name,.frame = 16,.rank = 2,.alpha = 2.0f,.steps =
        RD_TEST_TRAIN_STEPS,.batch = 3,.length = 32,.held_out =
        4,.lambda_min = 1e-4,.lambda_max = 1e-2,.rate = 1e-3,.codec_rate =
        1e-3,.warmup = 2,.seed = 5,.threads = 1,.checkpoint =
        f->checkpoint,.cancel = &f->cancel,.progress =
        on_progress,.validated = on_validated,.tell = on_tell,.user_data = f};
}

static void
tear_down (RdTestTraining * f, gconstpointer unused)
{
  (void) unused;
  g_unlink (f->checkpoint);
  g_unlink (f->other);
  g_unlink (f->output);
  g_free (f->checkpoint);
  g_free (f->other);
  g_free (f->output);
}

void
rd_test_train (RdTestTraining * f)
{
  g_autoptr (GError) error = NULL;

  f->reported = f->validations = 0;
  rd_train (&f->options, &error);
  g_assert_no_error (error);
}

void
rd_test_train_fails (RdTestTraining * f, GQuark domain, gint code,
    const gchar * part)
{
  g_autoptr (GError) error = NULL;

  f->reported = f->validations = 0;
  g_assert_false (rd_train (&f->options, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, domain, code);
  g_assert_nonnull (strstr (error->message, part));
}

GBytes *
rd_test_take_file (const gchar * path)
{
  g_autoptr (GError) error = NULL;
  gchar *data;
  gsize size;

  g_file_get_contents (path, &data, &size, &error);
  g_assert_no_error (error);
  g_unlink (path);
  return g_bytes_new_take (data, size);
}

double
rd_test_train_cost (const RdTrainPoint * points)
{
  double sum = 0;

  for (guint i = 0; i < RD_TRAIN_POINTS; i++)
    sum += rd_rate_weight (points[i].lambda)
        * (points[i].distortion + points[i].lambda * points[i].bits);
  return sum / RD_TRAIN_POINTS;
}

void
rd_test_train_add (const gchar * name, gconstpointer data,
    void (*func) (RdTestTraining * f, gconstpointer data))
{
  g_test_add (name, RdTestTraining, data, set_up, func, tear_down);
}

int
rd_test_train_run (void)
{
  RdTestTrainFiles *files = &rd_test_train_files;
  int status;

  files->folder = g_dir_make_tmp ("train-XXXXXX", NULL);
  g_assert_nonnull (files->folder);
  files->model = st_tiny_model_temp (NULL);
  files->text = st_test_data_path ("hamlet20k.txt");
  files->plain_start = rd_test_calibrate (files->model, RD_TEST_TRAIN_SPLIT,
      files->text, files->folder, "plain.gguf", RD_SIDE_INFO_NONE);
  files->embedding_start = rd_test_calibrate (files->model,
      RD_TEST_TRAIN_SPLIT, files->text, files->folder, "embedding.gguf",
      RD_SIDE_INFO_EMBEDDING);
  status = g_test_run ();
  g_unlink (files->model);
  g_unlink (files->plain_start);
  g_unlink (files->embedding_start);
  g_rmdir (files->folder);
  g_free (files->folder);
  g_free (files->model);
  g_free (files->text);
  g_free (files->plain_start);
  g_free (files->embedding_start);
  return status;
}
