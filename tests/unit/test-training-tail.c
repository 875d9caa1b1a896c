/* Losses of a whole tail against the model that pipelines run, what must not change a bit, and what is refused. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "models/gguf/gguf-writer.h"
#include "tests/support/double-llama.h"
#include "tests/support/model-tools.h"
#include "tests/support/random-weights.h"
#include "tests/support/test-model.h"
#include "tests/support/training-tools.h"

#define D ST_TINY_HIDDEN
#define V ST_TINY_VOCAB

/* Hidden states and losses as st_model_run() and st_model_logits() make them. */
static void
check_forward (StModel * model, const float *x, gsize n)
{
  const StModelConfig *config = st_model_config (model);
  const gsize hidden = config->hidden_size, vocab = config->vocab_size;
  g_autoptr (GError) error = NULL;
  g_autoptr (RdTail) tail = rd_test_tail (model, n, 1, FALSE);
  StKvCache *cache = st_kv_cache_new (model, (guint) n, ST_TYPE_F32, &error);
  g_autofree float *y = g_new (float, n * hidden);
  g_autofree float *expected = g_memdup2 (x, n * hidden * sizeof (float));
  g_autofree float *logits = g_new (float, n * vocab);
  g_autofree gint32 *sampled = g_new (gint32, n);
  g_autofree double *losses = g_new (double, n);
  RdTailJob job = {.n = n,.x = x,.sampled = sampled,.y = y,.losses = losses };
  double difference = 0, norm = 0, sum = 0;

  g_assert_no_error (error);
  rd_test_run (tail, &job, 1);
  st_model_run (model, cache, expected, n, ST_REGIME_PREFILL, NULL, &error);
  g_assert_no_error (error);
  st_model_logits (model, expected, n, ST_REGIME_PREFILL, logits, NULL, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < n; i++) {
    const float *row = logits + i * vocab;

    for (gsize j = i * hidden; j < (i + 1) * hidden; j++) {
      difference += pow ((double) y[j] - expected[j], 2);
      norm += pow (expected[j], 2);
    }
    st_test_near (losses[i], st_log_sum_exp (row, vocab) - row[sampled[i]],
        1e-4 * MAX (1, losses[i]));
    sum += losses[i];
  }
  g_test_message ("hidden states: relative difference %.3g, mean loss %.4f",
      sqrt (difference / norm), sum / (double) n);
  g_assert_cmpfloat (sqrt (difference / norm), <, 1e-4);
  st_test_near (job.total, sum, 1e-9 * sum);
  st_kv_cache_free (cache);
}

static void
test_forward (void)
{
  g_autoptr (StModel) model = rd_test_tiny (NULL, 1);
  g_autofree float *x = st_test_floats (300 * D);

  check_forward (model, x, 1);
  check_forward (model, x, 17);
  check_forward (model, x, 300);
}

static void
test_forward_real (void)
{
  const gsize n = 200;
  g_autofree gchar *path = st_test_model_path ();
  g_autoptr (StModel) model = NULL;
  g_autofree float *x = NULL;

  if (path == NULL) {
    g_test_skip ("the real model is not there");
    return;
  }
  x = rd_test_states (path, 10, n);
  model = st_test_open_blocks (path, 10, -1, 0);
  check_forward (model, x, n);
}

#define N_JOBS 7
#define MAX_N 150

typedef struct
{
  RdTailJob jobs[N_JOBS];
  float *memory;
  float *gradients, *ys;        /* in it */
  gint32 *sampled;
  double *losses;
} Batch;

/* Jobs of all lengths and losses over rows of @x (MAX_N + N_JOBS, D). @shift: floats by which the outputs are off any alignment. */
static void
batch_init (Batch * batch, const float *x, const gint32 * labels, gsize shift)
{
  batch->memory = g_new0 (float, 2 * N_JOBS * MAX_N * D + shift);
  batch->gradients = batch->memory + shift;
  batch->ys = batch->gradients + N_JOBS * MAX_N * D;
  batch->sampled = g_new0 (gint32, N_JOBS * MAX_N);
  batch->losses = g_new0 (double, N_JOBS * MAX_N);
  for (gsize i = 0; i < N_JOBS; i++) {
    batch->jobs[i] = (RdTailJob) {
    .n = 1 + i * (MAX_N - 1) / (N_JOBS - 1),.x = x + i * D,.loss =
          (RdLoss) (i % 3),.seed = i,.labels = labels,.teacher = x,.sampled =
          batch->sampled + i * MAX_N,.y =
          batch->ys + i * MAX_N * D,.gradient =
          batch->gradients + i * MAX_N * D,.losses =
          batch->losses + i * MAX_N,};
  }
}

static void
batch_clear (Batch * batch)
{
  g_free (batch->memory);
  g_free (batch->sampled);
  g_free (batch->losses);
}

static void
assert_same (const Batch * a, const Batch * b)
{
  for (gsize i = 0; i < N_JOBS; i++)
    g_assert_cmpfloat (a->jobs[i].total, ==, b->jobs[i].total);
  g_assert_cmpmem (a->gradients, N_JOBS * MAX_N * D * sizeof (float),
      b->gradients, N_JOBS * MAX_N * D * sizeof (float));
  g_assert_cmpmem (a->ys, N_JOBS * MAX_N * D * sizeof (float), b->ys,
      N_JOBS * MAX_N * D * sizeof (float));
  g_assert_cmpmem (a->sampled, N_JOBS * MAX_N * sizeof (gint32), b->sampled,
      N_JOBS * MAX_N * sizeof (gint32));
  g_assert_cmpmem (a->losses, N_JOBS * MAX_N * sizeof (double), b->losses,
      N_JOBS * MAX_N * sizeof (double));
}

/* Equal bits for one thread and several, for all jobs at once and each alone, with kept and with recomputed activations. */
static void
test_same_bits (void)
{
  g_autoptr (StModel) model = rd_test_tiny (NULL, 1);
  g_autofree float *x = st_test_floats ((MAX_N + N_JOBS) * D);
  gint32 labels[MAX_N];
  Batch first, other;

  for (gsize i = 0; i < MAX_N; i++)
    labels[i] = g_test_rand_int_range (0, V);
  batch_init (&first, x, labels, 0);
  for (guint variant = 0; variant < 4; variant++) {
    g_autoptr (RdTail) tail =
        rd_test_tail (model, MAX_N + variant, 1 + variant % 3, variant == 3);

    g_assert_cmpuint (rd_tail_threads (tail), ==, 1 + variant % 3);
    if (variant == 0) {
      rd_test_run (tail, first.jobs, N_JOBS);
      continue;
    }
    batch_init (&other, x, labels, variant);
    rd_test_run (tail, other.jobs, N_JOBS);
    assert_same (&first, &other);
    batch_clear (&other);
    batch_init (&other, x, labels, variant);
    for (gsize i = N_JOBS; i-- > 0;)
      rd_test_run (tail, &other.jobs[i], 1);
    assert_same (&first, &other);
    batch_clear (&other);
  }
  batch_clear (&first);
}

/* The gradient may take the place of x, and a loss alone is the same loss. */
static void
test_outputs (void)
{
  const gsize n = 12;
  g_autoptr (StModel) model = rd_test_tiny (NULL, 2);
  g_autoptr (RdTail) tail = rd_test_tail (model, n, 1, FALSE);
  g_autofree float *x = st_test_floats (n * D);
  g_autofree float *gradient = g_new (float, n * D);
  RdTailJob job = {.n = n,.x = x,.seed = 8,.gradient = gradient };
  double total;

  rd_test_run (tail, &job, 1);
  total = job.total;
  job.gradient = NULL;
  rd_test_run (tail, &job, 1);
  g_assert_cmpfloat (job.total, ==, total);
  job.gradient = x;
  rd_test_run (tail, &job, 1);
  g_assert_cmpfloat (job.total, ==, total);
  g_assert_cmpmem (x, n * D * sizeof (float), gradient, n * D * sizeof (float));
}

/* Over many seeds the mean loss of drawn labels is the entropy; one seed is one set of labels. */
static void
test_sampling (void)
{
  const gsize n = 8, seeds = 600;
  g_autoptr (StModel) model = rd_test_tiny (NULL, 2);
  g_autoptr (RdTail) tail = rd_test_tail (model, n, 2, FALSE);
  g_autoptr (StDoubleTail) exact = st_double_tail_new (model);
  g_autofree float *x = st_test_floats (n * D);
  g_autofree double *y = g_new (double, n * D);
  g_autofree double *logp = g_new (double, n * V);
  g_autofree RdTailJob *jobs = g_new0 (RdTailJob, seeds);
  g_autofree gint32 *sampled = g_new (gint32, seeds * n);
  double entropy = 0, squares = 0, mean = 0;

  for (gsize i = 0; i < n * D; i++)
    y[i] = x[i];
  st_double_tail_run (exact, y, n, y);
  st_double_tail_head (exact, y, n, logp);
  for (gsize i = 0; i < n * V; i++) {
    entropy -= exp (logp[i]) * logp[i];
    squares += exp (logp[i]) * logp[i] * logp[i];
  }
  for (gsize i = 0; i < seeds; i++)
    jobs[i] = (RdTailJob) {
    .n = n,.x = x,.seed = i,.sampled = sampled + i * n};
  rd_test_run (tail, jobs, seeds);
  for (gsize i = 0; i < seeds; i++)
    mean += jobs[i].total / (double) seeds;
  g_test_message ("mean loss %.4f, entropy %.4f", mean, entropy);
  /* Four standard errors; n * E[l^2] bounds the variance of a sum of n. */
  st_test_near (mean, entropy, 4 * sqrt ((squares - entropy * entropy / n)
          / (double) seeds));
  g_assert_cmpint (memcmp (sampled, sampled + n, n * sizeof (gint32)), !=, 0);
}

/* A teacher that is the tail itself leaves nothing to learn. */
static void
test_own_teacher (void)
{
  const gsize n = 20;
  g_autoptr (StModel) model = rd_test_tiny (NULL, 1);
  g_autoptr (RdTail) tail = rd_test_tail (model, n, 1, FALSE);
  g_autofree float *x = st_test_floats (n * D);
  g_autofree float *y = g_new (float, n * D);
  g_autofree float *gradient = g_new (float, n * D);
  RdTailJob job = {.n = n,.x = x,.y = y };

  rd_test_run (tail, &job, 1);
  job = (RdTailJob) {
  .n = n,.x = x,.loss = RD_LOSS_TEACHER,.teacher = y,.gradient = gradient};
  rd_test_run (tail, &job, 1);
  g_assert_cmpfloat (fabs (job.total), <, 1e-9);
  for (gsize i = 0; i < n * D; i++)
    g_assert_cmpfloat (fabsf (gradient[i]), <, 1e-6f);
  x[3 * D + 5] += 0.5f;
  rd_test_run (tail, &job, 1);
  g_assert_cmpfloat (job.total, >, 1e-5);
}

static void
assert_run_fails (RdTail * tail, RdTailJob * jobs, gsize n_jobs,
    const gint * cancel, StModelError code, const gchar * part)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (rd_tail_run (tail, jobs, n_jobs, cancel, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, ST_MODEL_ERROR, (gint) code);
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_bad_input (void)
{
  const gsize n = 4;
  g_autoptr (StModel) model = rd_test_tiny (NULL, 2);
  g_autoptr (RdTail) tail = rd_test_tail (model, n, 2, FALSE);
  g_autofree float *x = st_test_floats (n * D);
  g_autofree float *bad = g_memdup2 (x, n * D * sizeof (float));
  g_autofree float *gradient = g_new (float, n * D);
  const gint32 labels[] = { 0, 1, V, 2 }, negative[] = { 0, -1, 0, 0 };
  RdTailJob jobs[2] = { {.n = n,.x = x}, {.n = 0,.x = x} };

  assert_run_fails (tail, jobs, 2, NULL, ST_MODEL_ERROR_INPUT,
      "job 1: 0 positions are not in 1..4");
  jobs[1].n = n + 1;
  assert_run_fails (tail, jobs, 2, NULL, ST_MODEL_ERROR_INPUT, "job 1: 5");
  jobs[1] = (RdTailJob) {
  .n = n,.x = x,.loss = RD_LOSS_LABELS,.labels = labels};
  assert_run_fails (tail, jobs, 2, NULL, ST_MODEL_ERROR_INPUT,
      "label 320 at position 2");
  jobs[1].labels = negative;
  assert_run_fails (tail, jobs, 2, NULL, ST_MODEL_ERROR_INPUT,
      "label -1 at position 1");
  bad[2 * D + 9] = NAN;
  jobs[1] = (RdTailJob) {
  .n = n,.x = bad};
  assert_run_fails (tail, jobs, 2, NULL, ST_MODEL_ERROR_INPUT,
      "job 1: x holds nan at position 2, channel 9");
  jobs[1] = (RdTailJob) {
  .n = n,.x = x,.loss = RD_LOSS_TEACHER,.teacher = bad};
  assert_run_fails (tail, jobs, 2, NULL, ST_MODEL_ERROR_INPUT,
      "teacher holds nan");
  /* So large that sums of squares are not finite: the norms give zeros, and all results are numbers. */
  for (gsize i = 0; i < n * D; i++)
    bad[i] = 3.4e38f;
  jobs[1] = (RdTailJob) {
  .n = n,.x = bad,.gradient = gradient};
  rd_test_run (tail, jobs, 2);
  for (gsize i = 0; i < n * D; i++)
    g_assert_true (isfinite (gradient[i]));
}

/* A model whose final norm is NaN. */
static StModel *
open_broken (void)
{
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autofree gchar *broken = g_strconcat (path, ".broken", NULL);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = st_gguf_open (path, &error);
  const guint64 size = D;
  float norm[D];
  StModel *model;

  g_assert_no_error (error);
  for (gsize i = 0; i < D; i++)
    norm[i] = NAN;
  st_gguf_writer_copy_metadata (writer, gguf);
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const StTensor *tensor = st_gguf_tensor (gguf, i);

    if (strcmp (tensor->name, "output_norm.weight") != 0)
      st_gguf_writer_copy_tensor (writer, gguf, tensor, &error);
    else
      st_gguf_writer_add_tensor (writer, tensor->name, ST_TYPE_F32, 1, &size,
          norm, &error);
    g_assert_no_error (error);
  }
  st_gguf_writer_write (writer, broken, &error);
  g_assert_no_error (error);
  model = st_test_open_blocks (broken, 2, -1, 1);
  g_unlink (path);
  g_unlink (broken);
  return model;
}

static void
test_broken_model (void)
{
  const gsize n = 3;
  g_autoptr (StModel) model = open_broken ();
  g_autoptr (RdTail) tail = rd_test_tail (model, n, 2, FALSE);
  g_autofree float *x = st_test_floats (n * D);
  RdTailJob jobs[5] = { {.n = n,.x = x} };

  for (gsize i = 1; i < G_N_ELEMENTS (jobs); i++)
    jobs[i] = jobs[0];
  assert_run_fails (tail, jobs, G_N_ELEMENTS (jobs), NULL,
      ST_MODEL_ERROR_INPUT, "the loss at position 0 is not finite");
}

static void
test_bad_options (void)
{
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autoptr (StModel) headless = st_test_open_blocks (path, 1, 3, 1);
  g_autoptr (StModel) model = st_test_open_blocks (path, 1, -1, 1);
  const struct
  {
    StModel *model;
    gsize max_tokens;
    StModelError code;
    const gchar *part;
  } cases[] = {
    {headless, 4, ST_MODEL_ERROR_RANGE, "output head"},
    {model, 0, ST_MODEL_ERROR_INPUT, "1..4096"},
    {model, ST_TINY_CONTEXT + 1, ST_MODEL_ERROR_INPUT, "4097"},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    const RdTailOptions options = {.max_tokens = cases[i].max_tokens };
    g_autoptr (GError) error = NULL;

    g_assert_null (rd_tail_new (cases[i].model, &options, &error));
    g_test_message ("%s", error->message);
    g_assert_error (error, ST_MODEL_ERROR, (gint) cases[i].code);
    g_assert_nonnull (strstr (error->message, cases[i].part));
  }
  g_unlink (path);
}

static gpointer
set_later (gpointer cancel)
{
  g_usleep (20000);
  g_atomic_int_set ((gint *) cancel, 1);
  return NULL;
}

/* Work for many seconds ends at once, and the tail is as good as before. */
static void
test_cancel (void)
{
  const gsize n = 200, n_jobs = 20000;
  g_autoptr (StModel) model = rd_test_tiny (NULL, 0);
  g_autoptr (RdTail) tail = rd_test_tail (model, n, 2, FALSE);
  g_autofree float *x = st_test_floats (n * D);
  g_autofree RdTailJob *jobs = g_new0 (RdTailJob, n_jobs);
  gint cancel = 1;
  GThread *thread;
  gint64 start;

  for (gsize i = 0; i < n_jobs; i++)
    jobs[i] = (RdTailJob) {
    .n = n,.x = x};
  assert_run_fails (tail, jobs, 1, &cancel, ST_MODEL_ERROR_CANCELLED, "");
  g_atomic_int_set (&cancel, 0);
  thread = g_thread_new ("cancel", set_later, &cancel);
  start = g_get_monotonic_time ();
  assert_run_fails (tail, jobs, n_jobs, &cancel, ST_MODEL_ERROR_CANCELLED,
      "cancelled");
  g_test_message ("%.3f s", (double) (g_get_monotonic_time () - start) * 1e-6);
  g_thread_join (thread);
  rd_test_run (tail, jobs, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/tail/forward", test_forward);
  g_test_add_func ("/training/tail/forward-real", test_forward_real);
  g_test_add_func ("/training/tail/same-bits", test_same_bits);
  g_test_add_func ("/training/tail/outputs", test_outputs);
  g_test_add_func ("/training/tail/sampling", test_sampling);
  g_test_add_func ("/training/tail/own-teacher", test_own_teacher);
  g_test_add_func ("/training/tail/bad-input", test_bad_input);
  g_test_add_func ("/training/tail/broken-model", test_broken_model);
  g_test_add_func ("/training/tail/bad-options", test_bad_options);
  g_test_add_func ("/training/tail/cancel", test_cancel);
  return g_test_run ();
}
