#include "tests/support/training-tools.h"

#include <math.h>

#include <glib/gstdio.h>

#include "codec/training/calibrate.h"
#include "tests/support/model-tools.h"

RdTail *
rd_test_tail (StModel * model, gsize max_tokens, guint threads,
    gboolean recompute)
{
  const RdTailOptions options = { max_tokens, threads, recompute };
  g_autoptr (GError) error = NULL;
  RdTail *tail = rd_tail_new (model, &options, &error);

  g_assert_no_error (error);
  return tail;
}

StModel *
rd_test_tiny (const StTinyModelOptions * options, gint first)
{
  g_autofree gchar *path = st_tiny_model_temp (options);
  StModel *model = st_test_open_blocks (path, first, -1, 1);

  g_unlink (path);
  return model;
}

RdWeights *
rd_test_open_weights (const gchar * path, gsize max_tokens)
{
  g_autoptr (StModel) model = st_test_open_blocks (path, 0, -1, 1);
  g_autoptr (GError) error = NULL;
  RdWeights *weights = rd_weights_new (model, max_tokens, &error);

  g_assert_no_error (error);
  return weights;
}

void
rd_test_run (RdTail * tail, RdTailJob * jobs, gsize n_jobs)
{
  g_autoptr (GError) error = NULL;

  rd_tail_run (tail, jobs, n_jobs, NULL, &error);
  g_assert_no_error (error);
}

float *
rd_test_states (const gchar * path, gint split, gsize n)
{
  g_autoptr (StModel) head = st_test_open_blocks (path, 0, split, 0);
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  gsize len;
  g_autofree gchar *text = st_test_read_data ("hamlet20k.txt", &len);
  StKvCache *cache = st_kv_cache_new (head, (guint) n, ST_TYPE_F32, &error);
  float *x = g_new (float, n * st_model_config (head)->hidden_size);

  st_tokenizer_encode (st_model_tokenizer (head), text, len, FALSE, ids,
      &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ids->len, >=, n);
  st_model_embed (head, (const gint32 *) (gpointer) ids->data, n, x, &error);
  g_assert_no_error (error);
  st_model_run (head, cache, x, n, ST_REGIME_PREFILL, NULL, &error);
  g_assert_no_error (error);
  st_kv_cache_free (cache);
  return x;
}

static double
squares_of_terms (const RdAdapters * adapters, guint block, RdMatrix matrix,
    const float *gradient)
{
  gsize outputs, inputs;
  double sum = 0;
  float *u, *v;

  if (!rd_adapters_find (adapters, block, matrix, &u, &v))
    return 0;
  rd_matrix_shape (&adapters->config, matrix, &outputs, &inputs);
  gradient = rd_adapters_gradient (adapters, u, (float *) gradient);
  for (gsize i = 0; i < outputs * adapters->rank; i++) {
    const double term = (double) u[i] * gradient[i];

    sum += term * term;
  }
  return sum;
}

double
rd_test_gate_terms (const RdAdapters * adapters, const float *gradient)
{
  double sum = 0;

  for (guint i = 0; i < adapters->config.n_blocks * RD_N_MATRICES; i++)
    sum += squares_of_terms (adapters, i / RD_N_MATRICES, i % RD_N_MATRICES,
        gradient);
  return sqrt (sum);
}

gchar *
rd_test_calibrate (const gchar * model, guint split, const gchar * text,
    const gchar * folder, const gchar * name, RdSideInfo side_info)
{
  gchar *path = g_build_filename (folder, name, NULL);
  const gchar *texts[] = { text, NULL };
  const RdCalibrateOptions options = {.model = model,.split_layer =
        split,.texts = texts,.output = path,.side_info = side_info,.sequences =
        24,.gradient_sequences = 10,.length = 48,.lambda =
        RD_CALIBRATE_LAMBDA,.threads = 1
  };
  g_autoptr (GError) error = NULL;

  rd_calibrate (&options, &error);
  g_assert_no_error (error);
  return path;
}
