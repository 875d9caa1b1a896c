/* Counts to frequencies. */
#include "codec/entropy/tables.h"

#define MAX_SUM (G_GUINT64_CONSTANT (1) << 48)

/* What a count of c gains by one slot more than f is c log2 ((f + 1) / f), close to c / (f + 1/2): whole numbers compare it. */

/* The symbol that loses least by one slot less (the last of equals); n if all have one slot. */
static gsize
find_donor (const guint64 * counts, const guint * f, gsize n)
{
  gsize best = n;

  for (gsize i = 0; i < n; i++) {
    if (f[i] > 1 && (best == n
            || counts[i] * (2 * f[best] - 1) <= counts[best] * (2 * f[i] - 1)))
      best = i;
  }
  return best;
}

/* The symbol that gains most by one slot more (the first of equals). */
static gsize
find_receiver (const guint64 * counts, const guint * f, gsize n)
{
  gsize best = 0;

  for (gsize i = 1; i < n; i++) {
    if (counts[i] * (2 * f[best] + 1) > counts[best] * (2 * f[i] + 1))
      best = i;
  }
  return best;
}

/* Moves slots for as long as that gains. */
static void
exchange (const guint64 * counts, guint * f, gsize n)
{
  for (;;) {
    gsize from = find_donor (counts, f, n), to = find_receiver (counts, f, n);

    if (from == n
        || counts[to] * (2 * f[from] - 1) <= counts[from] * (2 * f[to] + 1))
      return;
    f[from]--;
    f[to]++;
  }
}

static gboolean
sum_counts (const guint64 * counts, gsize n, guint64 * sum)
{
  *sum = 0;
  for (gsize i = 0; i < n; i++) {
    if (counts[i] >= MAX_SUM)
      return FALSE;
    *sum += counts[i];
  }
  return *sum > 0 && *sum < MAX_SUM;
}

gboolean
rd_cumulative_from_counts (const guint64 * counts, gsize n,
    guint16 * cumulative, GError ** error)
{
  guint f[RD_TABLE_MAX_VALUES + 1], total = 0;
  guint64 sum;

  if (n < 2 || n > G_N_ELEMENTS (f) || !sum_counts (counts, n, &sum)) {
    g_set_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_TABLE,
        "%" G_GSIZE_FORMAT " counts do not make a table: needed are 2 to %u"
        " counts with a sum above 0 and below 2^48", n,
        RD_TABLE_MAX_VALUES + 1);
    return FALSE;
  }
  for (gsize i = 0; i < n; i++) {
    f[i] = MAX (counts[i] * RD_TABLE_TOTAL / sum, 1);
    total += f[i];
  }
  for (; total > RD_TABLE_TOTAL; total--)
    f[find_donor (counts, f, n)]--;
  for (; total < RD_TABLE_TOTAL; total++)
    f[find_receiver (counts, f, n)]++;
  exchange (counts, f, n);
  cumulative[0] = 0;
  for (gsize i = 0; i < n; i++)
    cumulative[i + 1] = cumulative[i] + f[i];
  return TRUE;
}
