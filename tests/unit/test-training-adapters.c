/* Adapters between training and codec files. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/adapters-export.h"
#include "codec/training/adapters-reduce.h"
#include "tests/support/learned-tools.h"
#include "tests/support/random-weights.h"
#include "tests/support/training-tools.h"

#define RANK 3

static RdAdapters *
make_adapters (const StModelConfig * config)
{
  const guint8 sets[ST_TINY_BLOCKS] = { RD_ADAPTERS_ALL,
    1 << RD_MATRIX_K | 1 << RD_MATRIX_DOWN, 0, 1 << RD_MATRIX_V
  };
  const RdAdaptersOptions options = { RANK, 5, 1, sets };
  RdAdapters *adapters = rd_adapters_new (config, &options, NULL);

  for (gsize i = 0; i < adapters->arena.n; i++)
    adapters->arena.memory[i] = st_half_to_float (st_float_to_half ((gfloat)
            g_test_rand_double_range (-1, 1)));
  return adapters;
}

static void
assert_same (const RdAdapters * a, const RdAdapters * b)
{
  guint found = 0;

  g_assert_cmpuint (a->rank, ==, b->rank);
  g_assert_cmpfloat (fabsf (a->scale - b->scale), <=, 1e-6);
  for (guint block = 0; block < ST_TINY_BLOCKS; block++) {
    for (guint matrix = 0; matrix < RD_N_MATRICES; matrix++) {
      gsize outputs, inputs;
      float *u, *v, *x, *y;
      gboolean has = rd_adapters_find (a, block, matrix, &u, &v);

      g_assert_cmpint (has, ==, rd_adapters_find (b, block, matrix, &x, &y));
      if (!has)
        continue;
      found++;
      rd_matrix_shape (&a->config, matrix, &outputs, &inputs);
      g_assert_cmpmem (u, outputs * RANK * sizeof (float), x,
          outputs * RANK * sizeof (float));
      g_assert_cmpmem (v, inputs * RANK * sizeof (float), y,
          inputs * RANK * sizeof (float));
    }
  }
  g_assert_cmpuint (found, ==, RD_N_MATRICES + 3);
}

/* To a file, and back to go on. */
static void
test_round_trip (void)
{
  g_autoptr (StModel) model = rd_test_tiny (NULL, 0);
  const StModelConfig *config = st_model_config (model);
  g_autoptr (RdAdapters) adapters = make_adapters (config), again = NULL;
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (ST_TINY_HIDDEN, RD_SIDE_INFO_NONE, 0), q = NULL;
  g_autofree gchar *path = NULL;
  g_autoptr (GError) error = NULL;

  p->adapters = rd_adapters_export (adapters, RANK, p->n_knots);
  path = rd_test_save (p);
  q = rd_learned_parameters_load (path, &error);
  g_assert_no_error (error);
  again = rd_adapters_import (q->adapters, config, &error);
  g_assert_no_error (error);
  assert_same (adapters, again);
  g_unlink (path);
}

static void
assert_not_imported (const RdTestMatrix * matrix, const gchar * message)
{
  g_autoptr (StModel) model = rd_test_tiny (NULL, 0);
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (ST_TINY_HIDDEN, RD_SIDE_INFO_NONE, 0);
  g_autoptr (GError) error = NULL;
  RdLearnedAdapters *adapters;

  rd_test_adapters (p, matrix, 1, RANK, 1, 1);
  adapters = p->adapters;
  if (matrix->outputs == ST_TINY_HIDDEN) {      /* fits: another rank */
    const RdLearnedAdapter *first = rd_learned_adapters_get (adapters, 0);

    rd_learned_adapters_add (adapters, "blk.3.attn_q.weight", ST_TINY_HIDDEN,
        ST_TINY_HIDDEN, RANK - 1, first->a, first->b);
  }
  g_assert_null (rd_adapters_import (adapters, st_model_config (model),
          &error));
  g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
  if (!strstr (error->message, message))
    g_error ("'%s' does not say '%s'", error->message, message);
}

static void
test_refused (void)
{
  static const RdTestMatrix beyond =
      { "blk.4.attn_k.weight", ST_TINY_HIDDEN, 32 };
  static const RdTestMatrix wide =
      { "blk.0.attn_k.weight", ST_TINY_HIDDEN, 33 };
  static const RdTestMatrix fits =
      { "blk.0.attn_q.weight", ST_TINY_HIDDEN, ST_TINY_HIDDEN };

  assert_not_imported (&beyond, "only 0 of 1 adapters");
  assert_not_imported (&wide, "33 outputs, the model has 64 and 32");
  assert_not_imported (&fits, "blk.3.attn_q.weight has rank 2, that of");
}

/* ---- a lower rank ---- */

/* (outputs, inputs): what the adapter adds to its matrix. */
static float *
product (const RdAdapters * adapters, guint block, RdMatrix matrix, gsize * n)
{
  gsize outputs, inputs;
  float *w;

  rd_matrix_shape (&adapters->config, matrix, &outputs, &inputs);
  *n = outputs * inputs;
  w = g_new0 (float, *n);
  rd_adapters_merge (adapters, block, matrix, 1, w);
  return w;
}

static double
dot (const float *a, const float *b, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += (double) a[i] * (double) b[i];
  return sum;
}

/* Of the columns of U and the rows of V beyond @rank nothing is left. */
static void
assert_rank (const RdAdapters * adapters, guint block, RdMatrix matrix,
    guint rank)
{
  gsize outputs, inputs;
  float *u, *v;

  g_assert_true (rd_adapters_find (adapters, block, matrix, &u, &v));
  rd_matrix_shape (&adapters->config, matrix, &outputs, &inputs);
  for (gsize i = 0; i < outputs * RANK; i++)
    g_assert_true (i % RANK < rank || u[i] == 0.0f);
  for (gsize i = rank * inputs; i < RANK * inputs; i++)
    g_assert_cmpfloat (v[i], ==, 0.0f);
}

/* The nearest product is orthogonal to what is left out, and what is left out is smaller for every rank that is kept. */
static void
test_reduce (void)
{
  g_autoptr (StModel) model = rd_test_tiny (NULL, 0);
  g_autoptr (RdAdapters) adapters = make_adapters (st_model_config (model));
  const gsize bytes = adapters->arena.n * sizeof (float);
  g_autofree float *values = g_memdup2 (adapters->arena.memory, bytes);
  gsize n;
  g_autofree float *whole = product (adapters, 0, RD_MATRIX_DOWN, &n);
  const double squares = dot (whole, whole, n);
  double before = INFINITY;

  for (guint rank = 1; rank <= RANK; rank++) {
    g_autoptr (GError) error = NULL;
    g_autofree float *reduced = NULL;
    double left;

    memcpy (adapters->arena.memory, values, bytes);
    g_assert_true (rd_adapters_reduce (adapters, rank, &error));
    g_assert_no_error (error);
    assert_rank (adapters, 0, RD_MATRIX_DOWN, rank);
    assert_rank (adapters, 3, RD_MATRIX_V, rank);
    reduced = product (adapters, 0, RD_MATRIX_DOWN, &n);
    st_test_near (dot (whole, reduced, n), dot (reduced, reduced, n),
        1e-5 * squares);
    left = squares - dot (reduced, reduced, n);
    g_test_message ("rank %u leaves out %g of %g", rank, left, squares);
    g_assert_cmpfloat (left, <, before);
    before = left;
  }
  g_assert_cmpfloat (fabs (before), <, 1e-5 * squares);
}

/* A product whose rank is below that of its factors stays what it is; one of nothing stays nothing. */
static void
test_reduce_exact (void)
{
  g_autoptr (StModel) model = rd_test_tiny (NULL, 0);
  g_autoptr (RdAdapters) adapters = make_adapters (st_model_config (model));
  g_autofree float *whole = NULL, *reduced = NULL;
  g_autoptr (GError) error = NULL;
  gsize outputs, inputs, n;
  float *u, *v;

  rd_matrix_shape (&adapters->config, RD_MATRIX_K, &outputs, &inputs);
  rd_adapters_find (adapters, 1, RD_MATRIX_K, &u, &v);
  for (gsize i = 0; i < inputs; i++)
    v[inputs + i] = v[2 * inputs + i] = -0.5f * v[i];
  rd_adapters_find (adapters, 3, RD_MATRIX_V, &u, &v);
  memset (u, 0, outputs * RANK * sizeof (float));
  whole = product (adapters, 1, RD_MATRIX_K, &n);
  g_assert_true (rd_adapters_reduce (adapters, 1, &error));
  reduced = product (adapters, 1, RD_MATRIX_K, &n);
  for (gsize i = 0; i < n; i++)
    st_test_near (reduced[i], whole[i], 1e-5);
  for (gsize i = 0; i < outputs * RANK; i++)
    st_test_near (u[i], 0, 1e-12);
}

static void
test_reduce_refused (void)
{
  g_autoptr (StModel) model = rd_test_tiny (NULL, 0);
  g_autoptr (RdAdapters) adapters = make_adapters (st_model_config (model));

  for (guint i = 0; i < 2; i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (rd_adapters_reduce (adapters, i ? RANK + 1 : 0, &error));
    g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
    g_assert_nonnull (strstr (error->message, "1..3"));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/adapters/round-trip", test_round_trip);
  g_test_add_func ("/training/adapters/refused", test_refused);
  g_test_add_func ("/training/adapters/reduce", test_reduce);
  g_test_add_func ("/training/adapters/reduce-exact", test_reduce_exact);
  g_test_add_func ("/training/adapters/reduce-refused", test_reduce_refused);
  return g_test_run ();
}
