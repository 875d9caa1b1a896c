/* Confidence intervals: bootstrap over blocks, Wilson. */
#include "pipelines/eval/interval.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TAIL 0.025              /* on either side */
#define NORMAL_QUANTILE 1.959963984540054       /* at 1 - TAIL */

EvalBlocks *
eval_blocks_new (guint n_domains)
{
  EvalBlocks *blocks = g_new0 (EvalBlocks, 1);

  blocks->n_domains = n_domains;
  blocks->blocks = g_new0 (GArray *, n_domains);
  for (guint d = 0; d < n_domains; d++)
    blocks->blocks[d] = g_array_new (FALSE, TRUE, sizeof (EvalSum));
  return blocks;
}

void
eval_blocks_free (EvalBlocks * blocks)
{
  for (guint d = 0; d < blocks->n_domains; d++)
    g_array_unref (blocks->blocks[d]);
  g_free (blocks->blocks);
  g_free (blocks);
}

void
eval_blocks_add (EvalBlocks * blocks, guint domain, const EvalSum * sums,
    gsize n)
{
  for (gsize from = 1; from < n; from += EVAL_BLOCK) {
    EvalSum block = { 0, };

    for (gsize i = from; i < MIN (from + EVAL_BLOCK, n); i++)
      eval_sum_add (&block, &sums[i]);
    g_array_append_val (blocks->blocks[domain], block);
  }
}

/* Blocks of a domain that all sets have. */
static guint
common_blocks (EvalBlocks * const *sets, guint n_sets, guint domain)
{
  guint n = G_MAXUINT;

  for (guint s = 0; s < n_sets; s++)
    n = MIN (n, sets[s]->blocks[domain]->len);
  return n;
}

/* Sums of each set over the domains asked for; drawn blocks with @rand, else each block once. Returns the number of blocks. */
static guint
draw (EvalBlocks * const *sets, guint n_sets, gint domain, GRand * rand,
    EvalSum * sums)
{
  guint first = domain < 0 ? 0 : (guint) domain, total = 0;
  guint end = domain < 0 ? sets[0]->n_domains : first + 1;

  memset (sums, 0, n_sets * sizeof *sums);
  for (guint d = first; d < end; d++) {
    guint n = common_blocks (sets, n_sets, d);

    for (guint i = 0; i < n; i++) {
      guint which = rand ? (guint) g_rand_int_range (rand, 0, (gint32) n) : i;

      for (guint s = 0; s < n_sets; s++)
        eval_sum_add (&sums[s], &g_array_index (sets[s]->blocks[d], EvalSum,
                which));
    }
    total += n;
  }
  return total;
}

static gint
compare_doubles (gconstpointer a, gconstpointer b)
{
  const gdouble *x = a, *y = b;

  return *x < *y ? -1 : *x > *y;
}

gdouble
eval_quantile (gdouble * values, guint n, gdouble share)
{
  gdouble at = share * (n - 1);
  guint i = (guint) at;

  qsort (values, n, sizeof *values, compare_doubles);
  if (i + 1 >= n)
    return values[n - 1];
  return values[i] + (at - i) * (values[i + 1] - values[i]);
}

EvalInterval
eval_bootstrap (EvalBlocks * const *sets, guint n_sets, gint domain,
    EvalStatistic statistic, gpointer user_data, const EvalResampling * how)
{
  g_autofree EvalSum *sums = g_new (EvalSum, n_sets);
  g_autofree gdouble *values = g_new (gdouble, how->n);
  GRand *rand = g_rand_new_with_seed (how->seed);
  EvalInterval result = { NAN, NAN, NAN };
  guint blocks, n = 0;

  blocks = draw (sets, n_sets, domain, NULL, sums);
  result.value = statistic (sums, n_sets, user_data);
  for (guint i = 0; i < how->n && blocks > 1 && !isnan (result.value); i++) {
    draw (sets, n_sets, domain, rand, sums);
    values[n] = statistic (sums, n_sets, user_data);
    n += !isnan (values[n]);
  }
  if (n > 0 && n >= how->n - how->n / 10) {
    result.low = eval_quantile (values, n, TAIL);
    result.high = eval_quantile (values, n, 1 - TAIL);
  }
  g_rand_free (rand);
  return result;
}

static gdouble
metric_statistic (const EvalSum * sums, guint n, gpointer user_data)
{
  (void) n;
  return eval_metric_value (*(EvalMetric *) user_data, sums);
}

EvalInterval
eval_bootstrap_metric (EvalBlocks * blocks, gint domain, EvalMetric metric,
    const EvalResampling * how)
{
  return eval_bootstrap (&blocks, 1, domain, metric_statistic, &metric, how);
}

EvalInterval
eval_wilson (guint hits, guint n)
{
  const gdouble z2 = NORMAL_QUANTILE * NORMAL_QUANTILE;
  EvalInterval result = { NAN, NAN, NAN };

  if (n == 0)
    return result;
  result.value = (gdouble) hits / n;
  gdouble centre = (result.value + z2 / (2.0 * n)) / (1 + z2 / n);
  gdouble half = NORMAL_QUANTILE / (1 + z2 / n)
      * sqrt (result.value * (1 - result.value) / n + z2 / (4.0 * n * n));
  result.low = MAX (centre - half, 0);
  result.high = MIN (centre + half, 1);
  return result;
}
