/* Tables and context weights of calibration: symbols of known distributions, and rows whose spread varies or does not. */
#include <math.h>
#include <string.h>

#include "codec/training/fit-contexts.h"
#include "codec/training/fit-entropy.h"
#include "models/model.h"
#include "tests/support/random-weights.h"

#define D 24
#define ROWS 3000
#define LEVEL 64

/* Coefficients are the channels, with a standard deviation of 1; the step at LEVEL is 1/4. */
static RdLearnedParameters *
make_parameters (void)
{
  RdLearnedParameters *p = g_new0 (RdLearnedParameters, 1);
  RdLearnedSet *set = &p->set[0];

  p->hidden_size = D;
  p->split_layer = 1;
  p->coarsest = 16 * LEVEL - 512;
  p->n_knots = 2;
  p->knots[1] = RD_LEARNED_LEVELS - 1;
  set->mean = g_new0 (gfloat, D);
  set->synthesis = g_new0 (gfloat, D * D);
  set->scale = g_new0 (gint32, D);
  set->steps = g_new0 (gint32, 2 * D);
  set->weights = g_new0 (gint32, 2 * D);
  for (gsize i = 0; i < D; i++) {
    set->synthesis[i * D + i] = 1;
    set->weights[i] = 32;
  }
  return p;
}

static void
assert_tables (RdLearnedParameters * p)
{
  g_autoptr (GError) error = NULL;
  RdTableSpec specs[RD_N_TABLES];
  g_autoptr (RdTables) tables = NULL;

  for (guint i = 0; i < RD_N_TABLES; i++)
    specs[i] = (RdTableSpec) {
    p->tables[i].min, p->tables[i].n_values, p->tables[i].golomb,
        p->tables[i].cumulative};
  tables = rd_tables_new (specs, RD_N_TABLES, &error);
  g_assert_no_error (error);
  for (guint t = 0; t < RD_SCALE_TABLES; t++) {
    for (gint32 k = 0; k < 1000; k = 2 * k + 1) {
      const double bits = rd_tables_bits (tables, t, k);

      st_test_near (rd_tables_bits (tables, t, -k), bits, 0.6);
      st_test_near (rd_table_magnitude_bits (&p->tables[t], (guint) k), bits,
          0.6);
    }
  }
}

static void
test_no_counts (void)
{
  g_autoptr (RdLearnedParameters) p = make_parameters ();
  g_autofree RdSymbolCounts *none = g_new0 (RdSymbolCounts, 1);
  g_autoptr (GError) error = NULL;
  const RdModeCounts modes = {.plain = 1000 };

  g_assert_true (rd_tables_fit (none, &modes, p, &error));
  g_assert_no_error (error);
  assert_tables (p);
  for (guint q = 0; q < 2; q++) {
    g_assert_cmpint (p->magnitude[q][0], ==, 0);
    for (guint i = 1; i < RD_LEARNED_SCALES; i++)
      g_assert_cmpint (p->magnitude[q][i], >=, p->magnitude[q][i - 1]);
  }
  /* a standard deviation of 2 steps, for Laplace: a mean magnitude of 2 / sqrt (2) */
  st_test_near (p->magnitude[0][56], 16 * G_SQRT2, 1);
  g_assert_cmpuint (p->tables[RD_TABLE_PADDING].cumulative[1], ==,
      RD_TABLE_TOTAL - 1);
}

/* Counts of a normal distribution of @deviation steps under the scalar table @table, and their entropy, sign and all. */
static double
fill_normal (RdSymbolCounts * counts, guint table, double deviation, double n)
{
  double entropy = 0, total = 0;

  for (guint k = 0; k < RD_COUNTED; k++) {
    const double p = erf ((k + 0.5) / deviation / G_SQRT2)
        - (k > 0 ? erf ((k - 0.5) / deviation / G_SQRT2) : 0);

    counts->magnitude[table][k] = (guint64) (n * p);
    total += (double) counts->magnitude[table][k];
  }
  for (guint k = 0; k < RD_COUNTED; k++) {
    const double p = (double) counts->magnitude[table][k] / total;

    if (p > 0)
      entropy += p * ((k > 0) - log2 (p));
  }
  return entropy * total;
}

static void
test_counts (void)
{
  g_autoptr (RdLearnedParameters) p = make_parameters ();
  g_autofree RdSymbolCounts *counts = g_new0 (RdSymbolCounts, 1);
  g_autoptr (GError) error = NULL;
  RdModeCounts modes = {.plain = 30000 };
  double entropy = 0, bits;

  p->n_constants = 2;
  p->constants = g_new0 (gfloat, 2 * D);
  modes.constants[1] = 60;
  for (guint i = 0; i < RD_LEARNED_SCALES; i++)
    entropy += fill_normal (counts, i, exp2 ((double) i / 8 - 6), 1e6);
  for (guint i = 0; i < 8; i++)
    counts->step[i + 28] = 1000;
  g_assert_true (rd_tables_fit (counts, &modes, p, &error));
  g_assert_no_error (error);
  assert_tables (p);
  bits = rd_tables_bits_of (counts, p);
  entropy += 8000 * 3;
  g_test_message ("%.4f of the entropy", bits / entropy);
  g_assert_cmpfloat (bits, >, entropy * 0.9999);
  g_assert_cmpfloat (bits, <, entropy * 1.01);
  /* most tokens cost nothing, and the constant that has been seen less than the other */
  g_assert_cmpuint (p->tables[RD_TABLE_MODE].n_values, ==, 4);
  g_assert_cmpuint (p->tables[RD_TABLE_MODE].cumulative[1], >,
      RD_TABLE_TOTAL - 60);
  g_assert_cmpuint (p->tables[RD_TABLE_MODE].cumulative[3]
      - p->tables[RD_TABLE_MODE].cumulative[2], >,
      p->tables[RD_TABLE_MODE].cumulative[2]
      - p->tables[RD_TABLE_MODE].cumulative[1]);
}

/* ---- rows ---- */

static double
normal (void)
{
  double sum = -6;

  for (guint i = 0; i < 12; i++)
    sum += g_test_rand_double ();
  return sum;
}

/* The whole row is larger or smaller by a factor, two octaves up or down at most, if @varied. */
static float *
make_rows (gboolean varied)
{
  float *x = g_new (float, ROWS * D);

  for (gsize i = 0; i < ROWS; i++) {
    const double size = varied ? exp2 (4 * g_test_rand_double () - 2) : 1;

    for (gsize j = 0; j < D; j++)
      x[i * D + j] = (float) (size * normal ());
  }
  return x;
}

static void
on_round (guint round, guint rounds, double bits_per_row, gpointer user_data)
{
  double *bits = user_data;

  g_assert_cmpuint (round, <, rounds);
  bits[MIN (round, 1)] = bits_per_row;
}

static RdLearnedParameters *
fit_rows (const float *x, guint threads)
{
  g_autoptr (GError) error = NULL;
  RdLearnedParameters *p = make_parameters ();
  double bits[2];
  const RdEntropyData data = {.n = ROWS,.x = x,.modes = {.plain =
          ROWS},.threads = threads,.progress = on_round,.user_data = bits
  };

  p->lambda = 0.03f;
  g_assert_true (rd_entropy_fit (&data, p, &error));
  g_assert_no_error (error);
  g_test_message ("%.2f bits a row, at first %.2f", bits[1], bits[0]);
  g_assert_cmpfloat (bits[1], <, bits[0]);
  assert_tables (p);
  return p;
}

static double
mean_weight (const RdLearnedParameters * p)
{
  double sum = 0;
  gsize n = 0;

  /* what comes first has nothing to go by */
  for (gsize j = D / 4; j < D; j++, n++)
    sum += p->set[0].weights[j] + p->set[0].weights[D + j];
  return sum / (double) n;
}

static void
test_weights (void)
{
  g_autofree float *even = make_rows (FALSE), *varied = make_rows (TRUE);
  g_autoptr (RdLearnedParameters) a = fit_rows (even, 1);
  g_autoptr (RdLearnedParameters) b = fit_rows (varied, 1);

  g_test_message ("mean weights %.1f and %.1f", mean_weight (a),
      mean_weight (b));
  g_assert_cmpfloat (mean_weight (a), <, 40);
  g_assert_cmpfloat (mean_weight (b), >, 48);
}

static void
test_threads (void)
{
  g_autofree float *x = make_rows (TRUE);
  g_autoptr (RdLearnedParameters) a = fit_rows (x, 1), b = fit_rows (x, 3);

  g_assert_cmpmem (a->set[0].weights, 2 * D * sizeof (gint32),
      b->set[0].weights, 2 * D * sizeof (gint32));
  g_assert_cmpmem (a->magnitude, sizeof (a->magnitude), b->magnitude,
      sizeof (b->magnitude));
  for (guint i = 0; i < RD_N_TABLES; i++) {
    g_assert_cmpuint (a->tables[i].n_values, ==, b->tables[i].n_values);
    g_assert_cmpuint (a->tables[i].golomb, ==, b->tables[i].golomb);
    g_assert_cmpmem (a->tables[i].cumulative,
        (a->tables[i].n_values + 2) * sizeof (guint16),
        b->tables[i].cumulative, (b->tables[i].n_values + 2)
        * sizeof (guint16));
  }
}

static void
test_cancel (void)
{
  g_autofree float *x = make_rows (FALSE);
  g_autoptr (RdLearnedParameters) p = make_parameters ();
  g_autoptr (GError) error = NULL;
  const gint cancel = 1;
  const RdEntropyData data = {.n = ROWS,.x = x,.threads = 1,.cancel = &cancel };

  g_assert_false (rd_entropy_fit (&data, p, &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/calibration/tables/no-counts", test_no_counts);
  g_test_add_func ("/calibration/tables/counts", test_counts);
  g_test_add_func ("/calibration/tables/weights", test_weights);
  g_test_add_func ("/calibration/tables/threads", test_threads);
  g_test_add_func ("/calibration/tables/cancel", test_cancel);
  return g_test_run ();
}
