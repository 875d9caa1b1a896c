/* Ranges of blocks: a head and a tail one after the other are the whole, with whatever stands between them. */
#include <math.h>
#include <string.h>

#include "codec/training/range.h"
#include "tests/support/random-weights.h"
#include "tests/support/training-tools.h"

#define D ST_TINY_HIDDEN
#define V ST_TINY_VOCAB
#define N 70

typedef struct
{
  StModel *model;
  RdWeights *weights;
  RdAdapters *adapters;
  gint32 ids[N], labels[N];
} Fixture;

static void
fixture_init (Fixture * f, const StTinyModelOptions * model)
{
  const guint8 sets[ST_TINY_BLOCKS] = { RD_ADAPTERS_ALL,
    1 << RD_MATRIX_K | 1 << RD_MATRIX_DOWN, 1 << RD_MATRIX_O, RD_ADAPTERS_ALL
  };
  const RdAdaptersOptions options = { 4, 2.0f, 1, sets };

  f->model = rd_test_tiny (model, 0);
  f->weights = rd_weights_new (f->model, N, NULL);
  f->adapters = rd_adapters_new (st_model_config (f->model), &options, NULL);
  for (gsize i = 0; i < f->adapters->arena.n; i++)
    f->adapters->arena.memory[i] = (float) g_test_rand_double_range (-0.1, 0.1);
  for (gsize i = 0; i < N; i++) {
    f->ids[i] = g_test_rand_int_range (0, V);
    f->labels[i] = g_test_rand_int_range (0, V);
  }
}

static void
fixture_clear (Fixture * f)
{
  rd_adapters_free (f->adapters);
  rd_weights_free (f->weights);
  st_model_unref (f->model);
}

static RdRange *
range_new (const Fixture * f, guint first, guint last, gboolean recompute)
{
  const RdRangeOptions options = { first, last, last == ST_TINY_BLOCKS,
    recompute
  };
  g_autoptr (GError) error = NULL;
  RdRange *range = rd_range_new (f->weights, f->adapters, &options, &error);

  g_assert_no_error (error);
  return range;
}

/* What comes out of a sequence. */
typedef struct
{
  double total;
  float *d;                     /* (N, D) by the embeddings */
  float *adapters, *weights;
  double gate;
} Result;

static void
result_init (Result * r, const Fixture * f)
{
  *r = (Result) {
  0, g_new (float, N * D), g_new0 (float, f->adapters->arena.n),
        g_new0 (float, f->weights->n_values), 0};
}

static void
result_clear (Result * r)
{
  g_free (r->d);
  g_free (r->adapters);
  g_free (r->weights);
}

/* Through blocks 0 .. k - 1 and k .. end, k = 0: through one range. What stands between multiplies by @factor. */
static void
run (const Fixture * f, guint k, gboolean recompute, float factor, Result * r)
{
  g_autoptr (RdRange) head = k > 0 ? range_new (f, 0, k, recompute) : NULL;
  g_autoptr (RdRange) tail = range_new (f, k, ST_TINY_BLOCKS, recompute);
  RdGradient gradient = { r->weights, r->adapters, 0 };
  RdTailJob job = {.n = N,.loss = RD_LOSS_LABELS,.labels = f->labels };
  float *x = r->d;
  gboolean ok;

  ok = rd_embed (f->weights, f->ids, N, x, NULL)
      && (k == 0 || rd_range_forward (head, x, N, 0.8f, x, NULL, NULL));
  for (gsize i = 0; i < N * D; i++)
    x[i] *= factor;
  ok = ok && rd_range_forward (tail, x, N, 0.8f, NULL, NULL, NULL)
      && rd_range_loss (tail, &job, x, &gradient, NULL, NULL)
      && rd_range_backward (tail, x, &gradient, NULL, NULL);
  for (gsize i = 0; i < N * D; i++)
    x[i] *= factor;
  ok = ok && (k == 0 || rd_range_backward (head, x, &gradient, NULL, NULL));
  g_assert_true (ok);
  rd_embed_backward (f->weights, f->ids, N, x, &gradient);
  r->total = job.total;
  r->gate = gradient.gate;
}

static void
assert_same (const Fixture * f, const Result * a, const Result * b)
{
  g_assert_cmpfloat (a->total, ==, b->total);
  g_assert_cmpmem (a->d, N * D * sizeof (float), b->d, N * D * sizeof (float));
  g_assert_cmpmem (a->adapters, f->adapters->arena.n * sizeof (float),
      b->adapters, f->adapters->arena.n * sizeof (float));
  g_assert_cmpmem (a->weights, f->weights->n_values * sizeof (float),
      b->weights, f->weights->n_values * sizeof (float));
  g_assert_cmpfloat (a->gate, ==, b->gate);
}

static void
check_cut (const StTinyModelOptions * model)
{
  Fixture f;
  Result whole, cut;

  fixture_init (&f, model);
  result_init (&whole, &f);
  run (&f, 0, FALSE, 1.0f, &whole);
  for (guint k = 1; k <= ST_TINY_BLOCKS; k++) {
    result_init (&cut, &f);
    run (&f, k, k == 2, 1.0f, &cut);
    assert_same (&f, &whole, &cut);
    result_clear (&cut);
  }
  result_clear (&whole);
  fixture_clear (&f);
}

static void
test_cut (void)
{
  const StTinyModelOptions gpt2 = {.gpt2 = TRUE };

  check_cut (NULL);
  check_cut (&gpt2);
}

/* The loss at 1.5 times the hidden states between, with u (n) moved by @step along its gradient g, of length @length. */
static double
moved_loss (const Fixture * f, float *u, const float *g, gsize n,
    double length, double step)
{
  g_autofree float *before = g_memdup2 (u, n * sizeof (float));
  Result moved;

  result_init (&moved, f);
  for (gsize i = 0; i < n; i++)
    u[i] += (float) (step * g[i] / length);
  run (f, 2, FALSE, 1.5f, &moved);
  memcpy (u, before, n * sizeof (float));
  result_clear (&moved);
  return moved.total;
}

/* An adapter of the head learns through what stands between: finite differences of the loss. */
static void
test_between (void)
{
  const double step = 5e-3;
  const gsize n = (gsize) D * 4;
  double length = 0, slope;
  const float *g;
  Fixture f;
  Result here;
  float *u, *v;

  fixture_init (&f, NULL);
  result_init (&here, &f);
  run (&f, 2, FALSE, 1.5f, &here);
  g_assert_true (rd_adapters_find (f.adapters, 0, RD_MATRIX_DOWN, &u, &v));
  g = rd_adapters_gradient (f.adapters, u, here.adapters);
  for (gsize i = 0; i < n; i++)
    length += (double) g[i] * g[i];
  length = sqrt (length);
  slope = (moved_loss (&f, u, g, n, length, step)
      - moved_loss (&f, u, g, n, length, -step)) / (2 * step);
  g_test_message ("%.6g, by finite differences %.6g", length, slope);
  st_test_near (length, slope, 0.01 * length);
  result_clear (&here);
  fixture_clear (&f);
}

static void
assert_new_fails (const Fixture * f, const RdWeights * weights,
    const RdRangeOptions * options, const gchar * part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (rd_range_new (weights, f->adapters, options, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE);
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_bad_options (void)
{
  const RdRangeOptions backwards = {.first_block = 3,.last_block = 2 };
  const RdRangeOptions beyond = {.first_block = 2,.last_block = 5 };
  const RdRangeOptions before = {.first_block = 0,.last_block = 4 };
  g_autoptr (StModel) model = rd_test_tiny (NULL, 1);
  g_autoptr (RdWeights) part = rd_weights_new (model, N, NULL);
  g_autoptr (GError) error = NULL;
  float x[D];
  const gint32 id = 0;
  Fixture f;

  fixture_init (&f, NULL);
  assert_new_fails (&f, f.weights, &backwards, "blocks 3..2 are not in");
  assert_new_fails (&f, f.weights, &beyond, "opened blocks 0..4");
  assert_new_fails (&f, part, &before, "opened blocks 1..4");
  g_assert_false (rd_embed (part, &id, 1, x, &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE);
  fixture_clear (&f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/range/cut", test_cut);
  g_test_add_func ("/training/range/between", test_between);
  g_test_add_func ("/training/range/bad-options", test_bad_options);
  return g_test_run ();
}
