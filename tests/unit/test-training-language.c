/* Gradients of a whole model by weights, adapters and their gate against central finite differences of a forward pass in double
 * precision; what must not change a bit; and what is refused. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/language.h"
#include "tests/support/exact-weights.h"
#include "tests/support/model-tools.h"
#include "tests/support/random-weights.h"
#include "tests/support/slope.h"
#include "tests/support/training-tools.h"

#define D ST_TINY_HIDDEN
#define V ST_TINY_VOCAB
#define STEP 1e-5
#define LIMIT 5e-5              /* of relative errors of derivatives */
#define RANK 3
#define MAX_N 160

/* A model, adapters of it, and a loss; the values of both in double precision, that of the loss with them. */
typedef struct
{
  StModel *model;
  RdWeights *weights;
  RdAdapters *adapters;         /* may be NULL */
  RdParameters parameters;      /* of the weights, then of the adapters */
  gsize adapters_at;
  double *values;               /* (parameters.n) */
  double *moves;                /* (MAX_N, D) factors of the embedded ids: 1 */
  double gate;
  StDoubleTail *exact;
  RdLanguageJob *job;
} Fixture;

/* The values as they are, to double precision. */
static void
read_values (Fixture * f)
{
  f->values = g_renew (double, f->values, f->parameters.n);
  for (guint i = 0; i < f->parameters.list->len; i++) {
    const RdParameter *p = rd_parameters_get (&f->parameters, i);

    for (gsize j = 0; j < p->n; j++)
      f->values[p->offset + j] = p->values[j];
  }
}

/* @sets (ST_TINY_BLOCKS): matrices with adapters, NULL: no adapters. Their U is not zero: all derivatives count. */
static void
fixture_init (Fixture * f, const StTinyModelOptions * options,
    const guint8 * sets)
{
  const RdAdaptersOptions adapters = { RANK, 5.0f, 3, sets };
  g_autoptr (GError) error = NULL;

  memset (f, 0, sizeof (*f));
  f->model = rd_test_tiny (options, 0);
  f->weights = rd_weights_new (f->model, MAX_N, &error);
  g_assert_no_error (error);
  rd_weights_parameters (f->weights, &f->parameters);
  if (sets != NULL) {
    f->adapters =
        rd_adapters_new (st_model_config (f->model), &adapters, &error);
    g_assert_no_error (error);
    for (gsize i = 0; i < f->adapters->arena.n; i++)
      f->adapters->arena.memory[i] =
          (float) g_test_rand_double_range (-0.1, 0.1);
    f->adapters_at = rd_adapters_parameters (f->adapters, &f->parameters);
  }
  read_values (f);
  f->moves = st_test_ones (MAX_N * D);
  f->exact = st_double_tail_new (f->model);
}

static void
fixture_clear (Fixture * f)
{
  st_double_tail_free (f->exact);
  rd_parameters_clear (&f->parameters);
  rd_adapters_free (f->adapters);
  rd_weights_free (f->weights);
  st_model_unref (f->model);
  g_free (f->values);
  g_free (f->moves);
}

static RdLanguage *
language_new (const Fixture * f, gboolean train_weights, guint threads,
    gboolean recompute)
{
  const RdLanguageOptions options = { f->weights, f->adapters, train_weights,
    threads, recompute
  };
  g_autoptr (GError) error = NULL;
  RdLanguage *language = rd_language_new (&options, &error);

  g_assert_no_error (error);
  return language;
}

static void
merge (const Fixture * f, guint block, RdMatrix matrix)
{
  const double *values = f->values + f->adapters_at;
  g_autofree gchar *name =
      g_strdup_printf ("blk.%u.%s.weight", block, rd_matrix_name (matrix));
  float *u, *v;
  gsize n, outputs, inputs;
  double *w = st_double_tail_find (f->exact, name, &n);

  if (!rd_adapters_find (f->adapters, block, matrix, &u, &v))
    return;
  rd_matrix_shape (&f->weights->config, matrix, &outputs, &inputs);
  g_assert_cmpuint (n, ==, outputs * inputs);
  for (gsize i = 0; i < n; i++) {
    const double *row = values + (u - f->adapters->arena.memory)
        + i / inputs * RANK;
    const double *column = values + (v - f->adapters->arena.memory)
        + i % inputs;

    for (gsize r = 0; r < RANK; r++)
      w[i] += f->gate * (5.0 / RANK) * row[r] * column[r * inputs];
  }
}

static double
exact_loss (gconstpointer user_data)
{
  const Fixture *f = user_data;
  const RdTailJob *target = &f->job->target;
  const gsize n = target->n;
  const double *embedding = rd_test_load_weights (f->exact, &f->parameters,
      f->values, f->weights->output == f->weights->embedding);
  g_autofree double *x = g_new (double, n * D);
  g_autofree double *logp = g_new (double, n * V);
  double sum = 0;

  for (guint i = 0; f->adapters != NULL && i < ST_TINY_BLOCKS * RD_N_MATRICES;
      i++)
    merge (f, i / RD_N_MATRICES, i % RD_N_MATRICES);
  for (gsize i = 0; i < n * D; i++)
    x[i] = f->moves[i] * embedding[f->job->ids[i / D] * D + (gint) (i % D)];
  st_double_tail_run (f->exact, x, n, x);
  st_double_tail_head (f->exact, x, n, logp);
  for (gsize i = 0; i < n; i++)
    sum -= logp[i * V + (gsize) target->labels[i]];
  return sum;
}

/* Of the derivative by *@value: of fourth order, for behind a norm an embedding's small values bend the loss sharply. */
static double
error_by (const Fixture * f, double *value, double derivative, double scale)
{
  const StTestDerivative by = { exact_loss, f, value, STEP / 2 };

  return st_test_slope_error (st_test_derivative, &by, derivative, scale, LIMIT,
      f->moves, MAX_N * D);
}

/* Some coordinates of every array, the largest derivative's among them. */
static double
worst_error (const Fixture * f, const RdParameter * p, const float *gradient)
{
  gsize largest = 0;
  double worst = 0, scale;

  for (gsize i = 0; i < p->n; i++) {
    if (fabsf (gradient[i]) > fabsf (gradient[largest]))
      largest = i;
  }
  scale = fabs ((double) gradient[largest]);
  /* It adds the same to all scores of a query, which softmax does not see. */
  if (g_str_has_suffix (p->name, ".attn_k.bias")) {
    g_assert_cmpfloat (scale, <, 1e-4);
    return 0;
  }
  g_assert_cmpfloat (scale, >, 1e-4);
  for (guint i = 0; i < 4; i++) {
    const gsize at = i == 0 ? largest :
        (gsize) g_test_rand_int_range (0, (gint32) p->n);

    worst = MAX (worst, error_by (f, f->values + p->offset + at, gradient[at],
            scale));
  }
  return worst;
}

/* Where the gradient of @p of the fixture's list is in that of the language. */
static gsize
find_offset (const RdLanguage * language, const gchar * name)
{
  const RdParameters *parameters = rd_language_parameters (language);

  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    if (strcmp (rd_parameters_get (parameters, i)->name, name) == 0)
      return rd_parameters_get (parameters, i)->offset;
  }
  return G_MAXSIZE;
}

static void
run (RdLanguage * language, RdLanguageJob * jobs, gsize n, float *gradient)
{
  g_autoptr (GError) error = NULL;

  rd_language_run (language, jobs, n, gradient, NULL, &error);
  g_assert_no_error (error);
}

/* Its derivative is a sum that can come to nothing: an error is measured against the size of what is summed. @gradient: adapters first. */
static void
check_gate (const Fixture * f, const RdLanguageJob * job, const float *gradient)
{
  const double terms = rd_test_gate_terms (f->adapters, gradient);
  const double error = error_by (f, (double *) &f->gate, job->d_gate,
      terms / f->gate);

  g_test_message ("gate: relative error %.3g", error);
  g_assert_cmpfloat (terms, >, 1e-4);
  g_assert_cmpfloat (error, <, LIMIT);
}

/* Every @stride-th array. */
static void
check_gradient (const StTinyModelOptions * options, const guint8 * sets,
    gboolean train_weights, gsize n, guint stride)
{
  Fixture f;
  g_autoptr (RdLanguage) language = NULL;
  g_autofree float *gradient = NULL;
  gint32 ids[MAX_N], labels[MAX_N];
  RdLanguageJob job = {.ids = ids,.gate = 0.7f,.target = {.n = n,.loss =
          RD_LOSS_LABELS,.labels = labels}
  };
  double worst = 0;

  for (gsize i = 0; i < n; i++) {
    ids[i] = g_test_rand_int_range (0, V / 8);
    labels[i] = g_test_rand_int_range (0, V);
  }
  fixture_init (&f, options, sets);
  f.job = &job;
  f.gate = job.gate;
  language = language_new (&f, train_weights, 1, FALSE);
  gradient = g_new0 (float, rd_language_parameters (language)->n);
  run (language, &job, 1, gradient);
  st_test_near (job.target.total, exact_loss (&f), 2e-5 * (double) n);
  for (guint i = 0; i < f.parameters.list->len; i += stride) {
    const RdParameter *p = rd_parameters_get (&f.parameters, i);
    const gsize offset = find_offset (language, p->name);
    double error;

    if (offset == G_MAXSIZE) {
      g_assert_false (train_weights);
      continue;
    }
    error = worst_error (&f, p, gradient + offset);
    if (error > LIMIT)
      g_error ("%s: relative error %.3g", p->name, error);
    worst = MAX (worst, error);
  }
  if (sets != NULL)
    check_gate (&f, &job, gradient);
  g_test_message ("%" G_GSIZE_FORMAT " positions, %u arrays: largest relative "
      "error %.3g", n, rd_parameters_count (rd_language_parameters (language)),
      worst);
  fixture_clear (&f);
}

static void
test_gradient_weights (void)
{
  const StTinyModelOptions untied = {.untied = TRUE,.seed = 3 };
  const StTinyModelOptions gpt2 = {.gpt2 = TRUE,.seed = 5 };
  const StTinyModelOptions gpt2_untied = {.gpt2 = TRUE,.untied = TRUE };

  check_gradient (NULL, NULL, TRUE, 7, 1);
  check_gradient (&gpt2, NULL, TRUE, 6, 1);
  check_gradient (&gpt2_untied, NULL, TRUE, 5, 3);
  check_gradient (&untied, NULL, TRUE, 5, 1);
  /* More than the head takes at a time. */
  check_gradient (&untied, NULL, TRUE, 131, 12);
}

static void
test_gradient_adapters (void)
{
  const guint8 all[ST_TINY_BLOCKS] = { RD_ADAPTERS_ALL, RD_ADAPTERS_ALL,
    RD_ADAPTERS_ALL, RD_ADAPTERS_ALL
  };
  const guint8 some[ST_TINY_BLOCKS] = { 1 << RD_MATRIX_K | 1 << RD_MATRIX_UP,
    0, 1 << RD_MATRIX_Q | 1 << RD_MATRIX_V | 1 << RD_MATRIX_DOWN,
    1 << RD_MATRIX_O | 1 << RD_MATRIX_GATE
  };
  const StTinyModelOptions gpt2 = {.gpt2 = TRUE,.seed = 6 };

  check_gradient (NULL, all, FALSE, 6, 1);
  check_gradient (&gpt2, all, FALSE, 6, 1);
  check_gradient (&gpt2, some, TRUE, 5, 1);
  check_gradient (NULL, some, FALSE, 9, 1);
  check_gradient (NULL, all, TRUE, 4, 1);
}

static const guint8 mixed_sets[ST_TINY_BLOCKS] = { RD_ADAPTERS_ALL,
  1 << RD_MATRIX_K | 1 << RD_MATRIX_DOWN, 0, RD_ADAPTERS_ALL
};

/* Jobs of different lengths on the same ids. */
#define N_JOBS 5
static void
make_jobs (const gint32 * ids, RdLanguageJob * jobs)
{
  for (gsize i = 0; i < N_JOBS; i++)
    jobs[i] = (RdLanguageJob) {
    .ids = ids + i,.gate = 1.0f,.target = {.n = 20 + 30 * (i * 3 % N_JOBS),
      .loss = RD_LOSS_LABELS,.labels = ids + i + 1
    }
    };
}

/* Equal bits for one thread and several, with kept and with recomputed activations, in one run and in two. */
static void
check_same_bits (const StTinyModelOptions * options)
{
  Fixture f;
  gint32 ids[MAX_N + N_JOBS];
  g_autofree float *first = NULL;
  gdouble totals[N_JOBS] = { 0 }, gates[N_JOBS] = { 0 };

  for (gsize i = 0; i < G_N_ELEMENTS (ids); i++)
    ids[i] = g_test_rand_int_range (0, V);
  fixture_init (&f, options, mixed_sets);
  for (guint variant = 0; variant < 5; variant++) {
    g_autoptr (RdLanguage) language =
        language_new (&f, TRUE, 1 + variant % 3, variant >= 3);
    const gsize n = rd_language_parameters (language)->n;
    g_autofree float *gradient = g_new0 (float, n);
    RdLanguageJob jobs[N_JOBS];

    make_jobs (ids, jobs);
    if (variant == 1) {
      run (language, jobs, 2, gradient);
      run (language, jobs + 2, N_JOBS - 2, gradient);
    } else {
      run (language, jobs, N_JOBS, gradient);
    }
    for (gsize i = 0; i < N_JOBS; i++) {
      if (variant == 0) {
        totals[i] = jobs[i].target.total;
        gates[i] = jobs[i].d_gate;
      }
      g_assert_cmpfloat (jobs[i].target.total, ==, totals[i]);
      g_assert_cmpfloat (jobs[i].d_gate, ==, gates[i]);
    }
    if (variant == 0)
      first = g_steal_pointer (&gradient);
    else
      g_assert_cmpmem (gradient, n * sizeof (float), first, n * sizeof (float));
  }
  fixture_clear (&f);
}

static void
test_same_bits (void)
{
  const StTinyModelOptions gpt2 = {.gpt2 = TRUE };

  check_same_bits (NULL);
  check_same_bits (&gpt2);
}

#define N_TEXTS 8
/* The losses of as many texts: in the sum of one text, what adapters change can cancel by chance. */
static void
run_texts (RdLanguage * language, float gate, double *totals)
{
  for (gsize t = 0; t < N_TEXTS; t++) {
    gint32 ids[41];
    RdLanguageJob job = {.ids = ids,.gate = gate,.target = {.n = 40,.loss =
            RD_LOSS_LABELS,.labels = ids + 1}
    };

    for (gsize i = 0; i < G_N_ELEMENTS (ids); i++)
      ids[i] = (gint32) ((i * i * (t + 3) + 7 * i + t) % V);
    run (language, &job, 1, NULL);
    totals[t] = job.target.total;
  }
}

/* Adapters at their start, or with gate 0, change nothing; merged into the weights they do what they did beside them. */
static void
test_merge (void)
{
  const guint8 sets[ST_TINY_BLOCKS] = { RD_ADAPTERS_ALL, 0,
    1 << RD_MATRIX_V | 1 << RD_MATRIX_O, 1 << RD_MATRIX_UP
  };
  const RdAdaptersOptions options = { RANK, 5.0f, 3, sets };
  g_autoptr (RdLanguage) plain = NULL;
  g_autoptr (RdLanguage) adapted = NULL;
  RdAdapters *filled;
  Fixture f;
  double with[N_TEXTS], frozen[N_TEXTS], totals[N_TEXTS], change = 0;

  fixture_init (&f, NULL, sets);
  adapted = language_new (&f, FALSE, 1, FALSE);
  run_texts (adapted, 0.6f, with);
  run_texts (adapted, 0.0f, frozen);
  for (gsize t = 0; t < N_TEXTS; t++)
    change = MAX (change, fabs (frozen[t] - with[t]));
  g_assert_cmpfloat (change, >, 1e-2);

  filled = f.adapters;
  f.adapters = rd_adapters_new (st_model_config (f.model), &options, NULL);
  plain = language_new (&f, FALSE, 1, FALSE);
  run_texts (plain, 1.0f, totals);
  for (gsize t = 0; t < N_TEXTS; t++)
    g_assert_cmpfloat (totals[t], ==, frozen[t]);

  for (guint i = 0; i < ST_TINY_BLOCKS * RD_N_MATRICES; i++) {
    const guint block = i / RD_N_MATRICES, matrix = i % RD_N_MATRICES;

    rd_adapters_merge (filled, block, matrix, 0.6f,
        f.weights->blocks[block].matrices[matrix]);
  }
  run_texts (plain, 1.0f, totals);
  for (gsize t = 0; t < N_TEXTS; t++)
    st_test_near (totals[t], with[t], 1e-5 * with[t]);
  rd_adapters_free (f.adapters);
  f.adapters = filled;
  fixture_clear (&f);
}

/* The start depends on seed, block and matrix alone. */
static void
test_start (void)
{
  const guint8 sets[2][ST_TINY_BLOCKS] = {
    {RD_ADAPTERS_ALL, 0, 1 << RD_MATRIX_V, 0}, {0, 1, 1 << RD_MATRIX_K |
          1 << RD_MATRIX_V, 0}
  };
  g_autoptr (StModel) model = rd_test_tiny (NULL, 0);
  RdAdapters *adapters[3];
  float *u, *v[3];

  for (guint i = 0; i < 3; i++) {
    const RdAdaptersOptions options = { RANK, 1.0f, i / 2, sets[i % 2] };
    double squares = 0;

    adapters[i] = rd_adapters_new (st_model_config (model), &options, NULL);
    g_assert_true (rd_adapters_find (adapters[i], 2, RD_MATRIX_V, &u, &v[i]));
    g_assert_false (rd_adapters_find (adapters[i], 2, RD_MATRIX_O, &u, &v[i]));
    g_assert_true (rd_adapters_find (adapters[i], 2, RD_MATRIX_V, &u, &v[i]));
    for (gsize j = 0; j < RANK * (gsize) D; j++) {
      g_assert_cmpfloat (fabsf (v[i][j]), <=, 1.0f / 8);
      squares += v[i][j] * v[i][j];
    }
    /* A uniform number's variance is a third of its limit's square. */
    st_test_near (squares / (RANK * D), 1.0 / 64 / 3, 1.5e-3);
    for (gsize j = 0; j < (gsize) ST_TINY_KV_HEADS * ST_TINY_HEAD_DIM * RANK;
        j++)
      g_assert_cmpfloat (u[j], ==, 0);
  }
  g_assert_cmpmem (v[0], RANK * D * sizeof (float), v[1],
      RANK * D * sizeof (float));
  g_assert_cmpint (memcmp (v[0], v[2], RANK * D * sizeof (float)), !=, 0);
  for (guint i = 0; i < 3; i++)
    rd_adapters_free (adapters[i]);
}

static void
assert_run_fails (RdLanguage * language, RdLanguageJob * jobs,
    StModelError code, const gchar * part)
{
  g_autofree float *gradient =
      g_new0 (float, rd_language_parameters (language)->n);
  const gint cancel = code == ST_MODEL_ERROR_CANCELLED;
  g_autoptr (GError) error = NULL;

  g_assert_false (rd_language_run (language, jobs, 6, gradient, &cancel,
          &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, ST_MODEL_ERROR, (gint) code);
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_bad_input (void)
{
  const gint32 ids[] = { 0, 1, 2, 3, 4 }, bad[] = { 0, V, 1, 1, 1 };
  g_autoptr (RdLanguage) language = NULL;
  RdLanguageJob jobs[6];
  Fixture f;

  fixture_init (&f, NULL, mixed_sets);
  language = language_new (&f, TRUE, 2, FALSE);
  for (gsize i = 0; i < G_N_ELEMENTS (jobs); i++)
    jobs[i] = (RdLanguageJob) {
    .ids = ids,.gate = 1.0f,.target = {.n = 4,.loss = RD_LOSS_LABELS,.labels =
          ids + 1
    }
    };
  assert_run_fails (language, jobs, ST_MODEL_ERROR_CANCELLED, "cancelled");
  jobs[4].ids = bad;
  assert_run_fails (language, jobs, ST_MODEL_ERROR_INPUT,
      "job 4: id 320 at position 1");
  jobs[4].ids = ids;
  jobs[3].target.labels = bad;
  assert_run_fails (language, jobs, ST_MODEL_ERROR_INPUT, "job 3: label 320");
  jobs[2].target.n = 0;
  assert_run_fails (language, jobs, ST_MODEL_ERROR_INPUT,
      "job 2: 0 positions are not in 1..160");
  jobs[2].target.n = MAX_N + 1;
  assert_run_fails (language, jobs, ST_MODEL_ERROR_INPUT, "job 2: 161");
  jobs[2].target.n = 4;
  jobs[3].target.labels = ids + 1;
  f.weights->output_norm.weight[3] = NAN;
  assert_run_fails (language, jobs, ST_MODEL_ERROR_INPUT, "is not finite");
  fixture_clear (&f);
}

static void
test_bad_options (void)
{
  const guint8 none[ST_TINY_BLOCKS] = { 0 };
  const struct
  {
    RdAdaptersOptions options;
    const gchar *part;
  } cases[] = {
    {{0, 1.0f, 0, mixed_sets}, "rank 0"},
    {{D + 1, 1.0f, 0, mixed_sets}, "rank 65 (1..64)"},
    {{4, 0.0f, 0, mixed_sets}, "alpha 0"},
    {{4, NAN, 0, mixed_sets}, "alpha nan"},
    {{4, 1.0f, 0, none}, "no matrix of any block"},
  };
  g_autoptr (StModel) whole = rd_test_tiny (NULL, 0);
  g_autoptr (StModel) tail = rd_test_tiny (NULL, 1);
  g_autoptr (RdWeights) weights = rd_weights_new (whole, 8, NULL);
  g_autoptr (RdWeights) part = rd_weights_new (tail, 8, NULL);
  const StTinyModelOptions options = {.gpt2 = TRUE };
  const guint8 gates[ST_TINY_BLOCKS] = { 1 << RD_MATRIX_GATE };
  const RdAdaptersOptions absent = { 4, 1.0f, 0, gates };
  g_autoptr (StModel) gpt2 = rd_test_tiny (&options, 0);
  const RdLanguageOptions frozen = {.weights = weights };
  const RdLanguageOptions cut = {.weights = part,.train_weights = TRUE };
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_assert_null (rd_adapters_new (st_model_config (whole), &cases[i].options,
            &error));
    g_test_message ("%s", error->message);
    g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
    g_assert_nonnull (strstr (error->message, cases[i].part));
    g_clear_error (&error);
  }
  /* GPT-2 has no gate. */
  g_assert_null (rd_adapters_new (st_model_config (gpt2), &absent, &error));
  g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
  g_assert_nonnull (strstr (error->message, "no matrix of any block"));
  g_clear_error (&error);
  g_assert_null (rd_language_new (&frozen, &error));
  g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
  g_clear_error (&error);
  g_assert_null (rd_language_new (&cut, &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/language/weights", test_gradient_weights);
  g_test_add_func ("/training/language/adapters", test_gradient_adapters);
  g_test_add_func ("/training/language/same-bits", test_same_bits);
  g_test_add_func ("/training/language/merge", test_merge);
  g_test_add_func ("/training/language/start", test_start);
  g_test_add_func ("/training/language/bad-input", test_bad_input);
  g_test_add_func ("/training/language/bad-options", test_bad_options);
  return g_test_run ();
}
