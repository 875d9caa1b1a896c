/* Trainings that are interrupted: the same bits as without, and what a checkpoint file survives or refuses. */
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "codec/training/language.h"
#include "codec/training/train-state.h"
#include "models/gguf/gguf.h"
#include "tests/support/random-weights.h"
#include "tests/support/training-tools.h"

#define V ST_TINY_VOCAB
#define N 24
#define BATCH 3
#define SETTINGS "tiny model, rank 2, seed 9"

/* A training of a tiny model, adapters and all weights: one object of everything. */
typedef struct
{
  StModel *model;
  RdWeights *weights;
  RdAdapters *adapters;
  RdLanguage *language;
  RdAdamW *adamw;
  RdTrainState state;
} Training;

static void
training_init (Training * t, guint threads)
{
  const guint8 sets[ST_TINY_BLOCKS] = { RD_ADAPTERS_ALL, RD_ADAPTERS_ALL };
  const RdAdaptersOptions adapters = { 2, 2.0f, 9, sets };
  RdLanguageOptions options = {.train_weights = TRUE,.threads = threads };
  const RdAdamWOptions adamw = { 0.9, 0.95, 1e-8, 0.01, 1.0 };
  g_autoptr (GError) error = NULL;

  t->model = rd_test_tiny (NULL, 0);
  options.weights = t->weights = rd_weights_new (t->model, N, &error);
  g_assert_no_error (error);
  options.adapters = t->adapters =
      rd_adapters_new (st_model_config (t->model), &adapters, &error);
  g_assert_no_error (error);
  t->language = rd_language_new (&options, &error);
  g_assert_no_error (error);
  t->adamw =
      rd_adamw_new (rd_language_parameters (t->language)->n, &adamw, &error);
  g_assert_no_error (error);
  t->state = (RdTrainState) {
  .settings = SETTINGS,.parameters =
        rd_language_parameters (t->language),.adamw = t->adamw,};
}

static void
training_clear (Training * t)
{
  rd_adamw_free (t->adamw);
  rd_language_free (t->language);
  rd_adapters_free (t->adapters);
  rd_weights_free (t->weights);
  st_model_unref (t->model);
}

/* One step; the text, which can be learned, is a function of the first counter. Returns the mean loss. */
static double
train (Training * t)
{
  const RdSchedule schedule = { 3e-3, 3e-4, 3, 40 };
  g_autofree float *gradient = g_new0 (float, t->state.parameters->n);
  g_autoptr (GError) error = NULL;
  RdLanguageJob jobs[BATCH];
  gint32 ids[BATCH][N + 1];
  double sum = 0;

  for (guint i = 0; i < BATCH; i++) {
    guint64 place = t->state.counters[0]++;

    for (guint j = 0; j <= N; j++)
      ids[i][j] = (gint32) ((place * 7 + j * 5) % 40);
    jobs[i] = (RdLanguageJob) {
      .ids = ids[i],.gate = 1.0f,.target = {.n = N,.loss =
            RD_LOSS_LABELS,.labels = ids[i] + 1
      }
    };
  }
  rd_language_run (t->language, jobs, BATCH, gradient, NULL, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < BATCH; i++)
    sum += jobs[i].target.total;
  rd_adamw_step (t->adamw, t->state.parameters, gradient, 1.0 / (BATCH * N),
      rd_schedule_rate (&schedule, t->adamw->steps), NULL, &error);
  g_assert_no_error (error);
  return sum / (BATCH * N);
}

static void
assert_same (const Training * a, const Training * b)
{
  const gsize bytes = a->state.parameters->n * sizeof (float);

  g_assert_cmpuint (a->adamw->steps, ==, b->adamw->steps);
  g_assert_cmpmem (a->state.counters, sizeof (a->state.counters),
      b->state.counters, sizeof (b->state.counters));
  g_assert_cmpmem (a->adamw->mean, bytes, b->adamw->mean, bytes);
  g_assert_cmpmem (a->adamw->square, bytes, b->adamw->square, bytes);
  g_assert_cmpmem (a->adapters->arena.memory, a->adapters->arena.n *
      sizeof (float), b->adapters->arena.memory,
      b->adapters->arena.n * sizeof (float));
  g_assert_cmpmem (a->weights->arena.memory, a->weights->n_values *
      sizeof (float), b->weights->arena.memory,
      b->weights->n_values * sizeof (float));
}

static gchar *
temp_path (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *directory = g_dir_make_tmp ("training-XXXXXX", &error);

  g_assert_no_error (error);
  return g_build_filename (directory, "checkpoint", NULL);
}

static void
remove_path (const gchar * path)
{
  g_autofree gchar *directory = g_path_get_dirname (path);
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const gchar *name;

  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *file = g_build_filename (directory, name, NULL);

    g_unlink (file);
  }
  g_assert_cmpint (g_rmdir (directory), ==, 0);
}

static void
save (const gchar * path, const Training * t)
{
  g_autoptr (GError) error = NULL;

  rd_train_state_write (path, &t->state, &error);
  g_assert_no_error (error);
}

static void
load (const gchar * path, Training * t)
{
  g_autoptr (GError) error = NULL;

  rd_train_state_read (path, &t->state, &error);
  g_assert_no_error (error);
}

/* Interrupted twice, with another number of threads each time, or never: the same bits; and the loss goes down. */
static void
test_resume (void)
{
  g_autofree gchar *path = temp_path ();
  Training straight, part;
  double first, last = 0;

  training_init (&straight, 1);
  first = train (&straight);
  for (guint i = 1; i < 24; i++)
    last = train (&straight);
  g_test_message ("loss %.3f -> %.3f", first, last);
  g_assert_cmpfloat (last, <, 0.7 * first);

  for (guint i = 0; i < 3; i++) {
    training_init (&part, i + 1);
    if (i > 0)
      load (path, &part);
    for (guint step = 0; step < 8; step++)
      train (&part);
    save (path, &part);
    if (i == 2)
      assert_same (&straight, &part);
    training_clear (&part);
  }
  training_clear (&straight);
  remove_path (path);
}

static void
assert_read_fails (const gchar * path, Training * t, GQuark domain, gint code,
    const gchar * part)
{
  g_autoptr (GError) error = NULL;
  g_autofree float *before = g_memdup2 (t->adapters->arena.memory,
      t->adapters->arena.n * sizeof (float));

  t->state.counters[1] = 77;
  g_assert_false (rd_train_state_read (path, &t->state, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, domain, code);
  g_assert_nonnull (strstr (error->message, part));
  g_assert_nonnull (strstr (error->message, path));
  g_assert_cmpmem (before, t->adapters->arena.n * sizeof (float),
      t->adapters->arena.memory, t->adapters->arena.n * sizeof (float));
  g_assert_cmpuint (t->state.counters[1], ==, 77);
  g_assert_cmpuint (t->adamw->steps, ==, 0);
}

/* Other settings, other parameters under the same settings, and damage of every kind of place. */
static void
test_refused (void)
{
  g_autofree gchar *path = temp_path ();
  g_autofree gchar *data = NULL;
  Training t, fresh;
  RdParameters fewer = { 0 };
  gsize size;

  training_init (&t, 1);
  training_init (&fresh, 1);
  assert_read_fails (path, &fresh, ST_GGUF_ERROR, ST_GGUF_ERROR_IO, "");
  train (&t);
  save (path, &t);

  fresh.state.settings = "tiny model, rank 4";
  assert_read_fails (path, &fresh, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
      "it has rank 2, seed 9 where this one has rank 4, no seed; --rank, "
      "--seed must be what it began with");
  fresh.state.settings = "model=tiny rank=2 seed=9";
  assert_read_fails (path, &fresh, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
      "another kind of training, with\n  " SETTINGS);
  fresh.state.settings = SETTINGS;

  rd_parameters_add (&fewer, "blk.0.attn_q.v", fresh.adapters->arena.memory, 3,
      TRUE, 1.0f);
  fresh.state.parameters = &fewer;
  assert_read_fails (path, &fresh, RD_TRAINING_ERROR,
      RD_TRAINING_ERROR_DAMAGED, "no blk.0.attn_q.v.value of 3 numbers");
  fresh.state.parameters = rd_language_parameters (fresh.language);
  rd_parameters_clear (&fewer);

  g_assert_true (g_file_get_contents (path, &data, &size, NULL));
  for (guint i = 0; i < 40; i++) {
    const gsize at = i < 8 ? size - 1 - i * 7 :
        (gsize) g_test_rand_int_range (0, (gint32) size);
    g_autoptr (GError) error = NULL;

    data[at] = (gchar) (data[at] ^ 1 << i % 8);
    g_assert_true (g_file_set_contents (path, data, (gssize) size, NULL));
    /* What is damaged may also be a pad byte. */
    if (!rd_train_state_read (path, &fresh.state, &error))
      g_assert_true (error->domain == RD_TRAINING_ERROR
          || error->domain == ST_GGUF_ERROR);
    else
      assert_same (&t, &fresh);
    data[at] = (gchar) (data[at] ^ 1 << i % 8);
  }
  training_clear (&fresh);
  training_init (&fresh, 1);
  for (gsize cut = 1; cut < size; cut *= 3) {
    g_autoptr (GError) error = NULL;

    g_assert_true (g_file_set_contents (path, data, (gssize) (size - cut),
            NULL));
    g_assert_false (rd_train_state_read (path, &fresh.state, &error));
  }
  training_clear (&fresh);
  training_clear (&t);
  remove_path (path);
}

/* The step of the last whole file. */
static guint64
saved_steps (const gchar * path, Training * t)
{
  load (path, t);
  g_assert_cmpuint (t->state.counters[3], ==, t->adamw->steps);
  return t->adamw->steps;
}

/* kill -9 while files are written one after the other: what is there is always whole, and never older than before. */
static void
test_killed (void)
{
  g_autofree gchar *path = temp_path ();
  Training t, other;
  guint64 steps = 0;

  training_init (&t, 1);
  training_init (&other, 1);
  save (path, &t);
  /* On a slow machine it takes longer until the first one is whole. */
  for (guint round = 0; round < 12 || (steps == 0 && round < 60); round++) {
    const gulong patience = 2000 + (gulong) g_test_rand_int_range (0, 60000);
    const pid_t child = fork ();
    guint64 now;

    if (child == 0) {
      for (;;) {
        t.state.counters[3] = ++t.adamw->steps;
        if (!rd_train_state_write (path, &t.state, NULL))
          _exit (1);
      }
    }
    g_usleep (patience * (1 + round / 12 * 5));
    g_assert_cmpint (kill (child, SIGKILL), ==, 0);
    g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
    now = saved_steps (path, &other);
    g_assert_cmpuint (now, >=, steps);
    t.adamw->steps = steps = now;
  }
  g_test_message ("%" G_GUINT64_FORMAT " files written", steps);
  g_assert_cmpuint (steps, >, 0);
  training_clear (&other);
  training_clear (&t);
  remove_path (path);
}

/* A disk that is full in the middle of a file: an error, the old file stays and nothing else is left. */
static void
test_full (void)
{
  g_autofree gchar *path = temp_path ();
  const struct rlimit limit = { 200000, RLIM_INFINITY };
  struct rlimit before;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *directory = g_path_get_dirname (path);
  g_autoptr (GDir) dir = NULL;
  Training t, other;
  gboolean ok;

  training_init (&t, 1);
  training_init (&other, 1);
  train (&t);
  save (path, &t);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  ok = rd_train_state_write (path, &other.state, &error);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &before), ==, 0);
  g_assert_false (ok);
  g_test_message ("%s", error->message);
  g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO);
  load (path, &other);
  assert_same (&t, &other);
  dir = g_dir_open (directory, 0, NULL);
  g_assert_cmpstr (g_dir_read_name (dir), ==, "checkpoint");
  g_assert_null (g_dir_read_name (dir));
  training_clear (&other);
  training_clear (&t);
  remove_path (path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/state/resume", test_resume);
  g_test_add_func ("/training/state/refused", test_refused);
  g_test_add_func ("/training/state/killed", test_killed);
  g_test_add_func ("/training/state/full", test_full);
  return g_test_run ();
}
