#include "codec/training/fit-tables.h"

#include <math.h>
#include <string.h>

/* Symbols' worth of what the scales beside it, and the Laplace distribution, say about a table. */
#define NEIGHBOURS 2
#define NEIGHBOURS_WEIGHT 300.0
#define LAPLACE_WEIGHT 50.0
/* What may be left to the escape; more where that makes a table of those that decode fastest. */
#define TAIL 1e-4
#define NARROW_TAIL 5e-4
#define MAX_LIMIT ((RD_TABLE_MAX_VALUES - 1) / 2)
#define NARROW_LIMIT ((RD_TABLE_NARROW_VALUES - 1) / 2)
/* Counts for rd_cumulative_from_counts() of a probability of 1. */
#define ONE ((double) (G_GUINT64_CONSTANT (1) << 40))
/* Tokens' worth of each mode and of each step, however rare. */
#define MODE_FLOOR 2.0
#define STEP_FLOOR 0.5

void
rd_symbol_counts_add (RdSymbolCounts * counts, const RdSymbols * symbols,
    gsize hidden)
{
  const gsize n = (hidden + 2) * symbols->w;

  for (gsize i = 0; i < n; i++) {
    const guint16 table = symbols->tables[i];
    const gint32 k = symbols->symbols[i];

    if (table < RD_SCALE_TABLES)
      counts->magnitude[table][MIN (ABS (k), RD_COUNTED)]++;
    else if (table == RD_TABLE_STEP)
      counts->step[k - RD_LEARNED_MIN_TOKEN_STEP]++;
  }
}

void
rd_symbol_counts_merge (RdSymbolCounts * counts, const RdSymbolCounts * other)
{
  for (guint t = 0; t < RD_SCALE_TABLES; t++) {
    for (guint k = 0; k <= RD_COUNTED; k++)
      counts->magnitude[t][k] += other->magnitude[t][k];
  }
  for (guint i = 0; i < RD_TOKEN_STEPS; i++)
    counts->step[i] += other->step[i];
}

/* ---- distributions of magnitudes ---- */

/* What symbols of magnitude @k >= 1 begin with, in steps: half way between the values of k - 1 and k (FORMAT.md, section 3). */
static double
lower_edge (guint quantiser, guint k)
{
  switch (quantiser) {
    case 0:
      return k - 0.5;
    case 1:
      return 2.0 * k - 1;
    default:
      return k == 1 ? 0.5 : 2.0 * k - 2;
  }
}

/* Adds @weight times the Laplace distribution of the table's scale. */
static void
add_laplace (guint table, double weight, double *p)
{
  const guint quantiser = table / RD_LEARNED_SCALES;
  const double deviation = exp2 ((double) (table % RD_LEARNED_SCALES) / 8 - 6);
  double above = 1;

  for (guint k = 0; k <= RD_COUNTED; k++) {
    const double next = k == RD_COUNTED ? 0 :
        exp (-G_SQRT2 * lower_edge (quantiser, k + 1) / deviation);

    p[k] += weight * (above - next);
    above = next;
  }
}

static double
sum_of (const double *p)
{
  double sum = 0;

  for (guint k = 0; k <= RD_COUNTED; k++)
    sum += p[k];
  return sum;
}

static void
scale_to (double *p, double total)
{
  const double factor = total / sum_of (p);

  for (guint k = 0; k <= RD_COUNTED; k++)
    p[k] *= factor;
}

static void
add_counts (const RdSymbolCounts * counts, guint table, double *p)
{
  for (guint k = 0; k <= RD_COUNTED; k++)
    p[k] += (double) counts->magnitude[table][k];
}

/* p: probabilities of the magnitudes 0 .. RD_COUNTED of @table. */
static void
estimate (const RdSymbolCounts * counts, guint table, double *p)
{
  const gint scale = (gint) (table % RD_LEARNED_SCALES);

  memset (p, 0, (RD_COUNTED + 1) * sizeof (double));
  add_laplace (table, LAPLACE_WEIGHT, p);
  for (gint d = -NEIGHBOURS; d <= NEIGHBOURS; d++) {
    if (d != 0 && scale + d >= 0 && scale + d < RD_LEARNED_SCALES)
      add_counts (counts, (guint) ((gint) table + d), p);
  }
  scale_to (p, NEIGHBOURS_WEIGHT);
  add_counts (counts, table, p);
  scale_to (p, 1);
}

/* ---- one table ---- */

static double
tail_above (const double *p, guint limit)
{
  double sum = 0;

  for (guint k = RD_COUNTED; k > limit; k--)
    sum += p[k];
  return sum;
}

/* The largest magnitude that has a frequency of its own. */
static guint
choose_limit (const double *p)
{
  guint limit = MAX_LIMIT;

  while (limit > 1 && tail_above (p, limit - 1) <= TAIL)
    limit--;
  if (limit > NARROW_LIMIT && tail_above (p, NARROW_LIMIT) <= NARROW_TAIL)
    limit = NARROW_LIMIT;
  return limit;
}

/* Bits behind an escape for a magnitude @distance beyond the next (entropy/FORMAT.md). */
static guint
escape_bits (guint distance, guint order)
{
  const guint length = g_bit_storage (distance + (1u << order)) - 1;

  return 1 + (length - order) + 1 + length;
}

static double
mean_escape (const double *p, guint limit, guint order)
{
  double sum = 0;

  for (guint k = limit + 1; k <= RD_COUNTED; k++)
    sum += p[k] * escape_bits (k - limit - 1, order);
  return sum;
}

static guint
choose_order (const double *p, guint limit)
{
  guint best = 0;

  for (guint order = 1; order <= RD_TABLE_MAX_GOLOMB; order++) {
    if (mean_escape (p, limit, order) < mean_escape (p, limit, best))
      best = order;
  }
  return best;
}

/* @weights: of @n values from @min on, and behind them of the escape. */
static gboolean
set_table (RdLearnedTable * table, gint32 min, guint n, guint golomb,
    const double *weights, GError ** error)
{
  guint64 counts[RD_TABLE_MAX_VALUES + 1];
  double sum = 0;

  for (guint i = 0; i <= n; i++)
    sum += weights[i];
  for (guint i = 0; i <= n; i++)
    counts[i] = (guint64) (weights[i] / sum * ONE);
  g_free (table->cumulative);
  *table = (RdLearnedTable) {
  min, n, golomb, g_new (guint16, n + 2)};
  return rd_cumulative_from_counts (counts, n + 1, table->cumulative, error);
}

static gboolean
set_scale_table (const double *p, RdLearnedTable * table, GError ** error)
{
  const guint limit = choose_limit (p), n = 2 * limit + 1;
  double weights[RD_TABLE_MAX_VALUES + 1];

  for (guint i = 0; i < n; i++) {
    const guint k = i < limit ? limit - i : i - limit;

    weights[i] = k == 0 ? p[0] : p[k] / 2;
  }
  weights[n] = tail_above (p, limit);
  return set_table (table, -(gint32) limit, n, choose_order (p, limit),
      weights, error);
}

static double
mean_magnitude (const double *p)
{
  double sum = 0;

  for (guint k = 1; k <= RD_COUNTED; k++)
    sum += k * p[k];
  return sum;
}

static gboolean
fit_scales (const RdSymbolCounts * counts, RdLearnedParameters * parameters,
    GError ** error)
{
  double p[RD_COUNTED + 1], mean[RD_SCALE_TABLES];

  for (guint t = 0; t < RD_SCALE_TABLES; t++) {
    estimate (counts, t, p);
    mean[t] = mean_magnitude (p);
    if (!set_scale_table (p, &parameters->tables[t], error))
      return FALSE;
  }
  for (guint i = 0; i < RD_LEARNED_SCALES; i++) {
    const double scalar = mean[RD_TABLE_SCALAR + i];
    const double trellis = (mean[RD_TABLE_TRELLIS_0 + i]
        + mean[RD_TABLE_TRELLIS_1 + i]) / 2;

    parameters->magnitude[0][i] =
        (gint32) MIN (rint (16 * scalar), RD_LEARNED_MAX_MAGNITUDE);
    parameters->magnitude[1][i] =
        (gint32) MIN (rint (16 * trellis), RD_LEARNED_MAX_MAGNITUDE);
  }
  return TRUE;
}

/* ---- the other tables ---- */

static gboolean
fit_modes (const RdModeCounts * modes, RdLearnedParameters * parameters,
    GError ** error)
{
  const guint n = parameters->n_constants + 2;
  double weights[RD_LEARNED_MAX_CONSTANTS + 3] = { 0 };

  weights[0] = MODE_FLOOR + (double) modes->plain;
  for (guint c = 0; c < parameters->n_constants; c++)
    weights[1 + c] = MODE_FLOOR + (double) modes->constants[c];
  weights[n - 1] = MODE_FLOOR;
  return set_table (&parameters->tables[RD_TABLE_MODE], 0, n, 0, weights,
      error);
}

static gboolean
fit_steps (const RdSymbolCounts * counts, RdLearnedParameters * parameters,
    GError ** error)
{
  double weights[RD_TOKEN_STEPS + 1] = { 0 };

  for (guint i = 0; i < RD_TOKEN_STEPS; i++)
    weights[i] = STEP_FLOOR + (double) counts->step[i];
  return set_table (&parameters->tables[RD_TABLE_STEP],
      RD_LEARNED_MIN_TOKEN_STEP, RD_TOKEN_STEPS, 0, weights, error);
}

gboolean
rd_tables_fit (const RdSymbolCounts * counts, const RdModeCounts * modes,
    RdLearnedParameters * parameters, GError ** error)
{
  static const double padding[] = { 1, 0 };

  return fit_scales (counts, parameters, error)
      && fit_modes (modes, parameters, error)
      && fit_steps (counts, parameters, error)
      && set_table (&parameters->tables[RD_TABLE_PADDING], 0, 1, 0, padding,
      error);
}

/* ---- what they cost ---- */

static double
bits_of (const RdLearnedTable * table, guint index)
{
  return RD_TABLE_BITS - log2 (table->cumulative[index + 1]
      - table->cumulative[index]);
}

float
rd_table_magnitude_bits (const RdLearnedTable * table, guint magnitude)
{
  const guint limit = (guint) (-table->min);

  if (magnitude <= limit)
    return (float) bits_of (table, limit + magnitude);
  return (float) (bits_of (table, table->n_values)
      + escape_bits (magnitude - limit - 1, table->golomb));
}

double
rd_tables_bits_of (const RdSymbolCounts * counts,
    const RdLearnedParameters * parameters)
{
  const RdLearnedTable *steps = &parameters->tables[RD_TABLE_STEP];
  double sum = 0;

  for (guint t = 0; t < RD_SCALE_TABLES; t++) {
    for (guint k = 0; k <= RD_COUNTED; k++) {
      if (counts->magnitude[t][k] > 0)
        sum += (double) counts->magnitude[t][k]
            * rd_table_magnitude_bits (&parameters->tables[t], k);
    }
  }
  for (guint i = 0; i < RD_TOKEN_STEPS; i++)
    sum += (double) counts->step[i] * bits_of (steps, i);
  return sum;
}
