/* Adapters between training and codec files. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/adapters-export.h"
#include "tests/support/learned-tools.h"
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

  p->adapters = rd_adapters_export (adapters, p->n_knots);
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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/adapters/round-trip", test_round_trip);
  g_test_add_func ("/training/adapters/refused", test_refused);
  return g_test_run ();
}
