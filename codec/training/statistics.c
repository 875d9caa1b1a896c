#include "codec/training/statistics.h"

#include <stdlib.h>
#include <string.h>

#include "codec/training/linear.h"

/* ---- memory ---- */

static gsize
moments_width (const RdStatisticsSize * size)
{
  return size->features ? 2 * size->hidden_size : size->hidden_size;
}

static gboolean
take_rows (gsize n, gsize hidden, float **rows, GError ** error)
{
  gsize total;

  *rows = g_size_checked_mul (&total, n, hidden) ?
      g_try_malloc_n (MAX (total, 1), sizeof (float)) : NULL;
  if (*rows != NULL)
    return TRUE;
  g_set_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_MEMORY,
      "cannot allocate %.0f MiB for %" G_GSIZE_FORMAT " rows: take fewer "
      "sequences with gradients", (double) n * (double) hidden
      * sizeof (float) / (1 << 20), n);
  return FALSE;
}

static gboolean
take_kept (const RdStatisticsSize * size, RdRowsKept * kept, GError ** error)
{
  const gsize hidden = size->hidden_size;
  gsize n;

  if (!g_size_checked_mul (&n, size->gradient_sequences, size->length - 1))
    n = G_MAXSIZE;
  if (!take_rows (n, hidden, &kept->x, error)
      || !take_rows (n, hidden, &kept->gradient, error)
      || (size->features && !take_rows (n, hidden, &kept->features, error)))
    return FALSE;
  kept->sequence = g_new (guint32, MAX (n, 1));
  return TRUE;
}

RdStatistics *
rd_statistics_new (const RdStatisticsSize * size, GError ** error)
{
  g_autoptr (RdStatistics) s = g_new0 (RdStatistics, 1);
  const gsize width = moments_width (size);

  g_return_val_if_fail (size->length >= 2, NULL);
  g_return_val_if_fail (size->sequences <= G_MAXUINT32, NULL);
  s->size = *size;
  if (!rd_moments_init (&s->states[0], width, error)
      || !rd_moments_init (&s->states[1], width, error)
      || !rd_moments_init (&s->gradients, size->hidden_size, error)
      || !take_kept (size, &s->kept, error)
      || !take_rows (RD_STATISTICS_MAX_MASSIVE, size->hidden_size, &s->massive,
          error))
    return NULL;
  s->scratch = rd_linear_new (size->length, width, "a sequence", error);
  return s->scratch != NULL ? g_steal_pointer (&s) : NULL;
}

void
rd_statistics_free (RdStatistics * statistics)
{
  if (statistics == NULL)
    return;
  rd_moments_clear (&statistics->states[0]);
  rd_moments_clear (&statistics->states[1]);
  rd_moments_clear (&statistics->gradients);
  g_free (statistics->kept.x);
  g_free (statistics->kept.features);
  g_free (statistics->kept.gradient);
  g_free (statistics->kept.sequence);
  g_free (statistics->massive);
  g_free (statistics->scratch);
  g_free (statistics);
}

/* ---- rows ---- */

static double
squared_norm (const float *row, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += (double) row[i] * row[i];
  return sum;
}

static gint
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

/* From the first sequence, without its first position. */
static double
find_limit (const float *rows, gsize length, gsize hidden)
{
  g_autofree double *norms = g_new (double, length);

  for (gsize i = 1; i < length; i++)
    norms[i - 1] = squared_norm (rows + i * hidden, hidden);
  qsort (norms, length - 1, sizeof (double), compare_doubles);
  return norms[(length - 1) / 2] * RD_STATISTICS_MASSIVE *
      RD_STATISTICS_MASSIVE;
}

static gboolean
is_massive (const RdStatistics * s, const RdSequence * sequence, gsize i)
{
  const gsize hidden = s->size.hidden_size;

  return squared_norm (sequence->x + i * hidden, hidden) > s->limit[0];
}

/* Features that no prediction comes out of, though the state is an ordinary one. */
static gboolean
is_beside (const RdStatistics * s, const RdSequence * sequence, gsize i)
{
  const gsize hidden = s->size.hidden_size;

  return s->size.features
      && squared_norm (sequence->features + i * hidden, hidden) > s->limit[1];
}

static void
keep_massive (RdStatistics * s, const float *row)
{
  const gsize hidden = s->size.hidden_size;

  if (s->n_massive < RD_STATISTICS_MAX_MASSIVE)
    memcpy (s->massive + s->n_massive++ * hidden, row, hidden * sizeof (float));
}

static void
keep_row (RdStatistics * s, const RdSequence * sequence, gsize i)
{
  const gsize hidden = s->size.hidden_size, bytes = hidden * sizeof (float);
  RdRowsKept *kept = &s->kept;

  memcpy (kept->x + kept->n * hidden, sequence->x + i * hidden, bytes);
  memcpy (kept->gradient + kept->n * hidden, sequence->gradient + i * hidden,
      bytes);
  if (s->size.features)
    memcpy (kept->features + kept->n * hidden,
        sequence->features + i * hidden, bytes);
  kept->sequence[kept->n++] = (guint32) s->done;
}

static void
widen (const float *from, gsize n, double *to)
{
  for (gsize i = 0; i < n; i++)
    to[i] = from[i];
}

static void
add_states (RdStatistics * s, const RdSequence * sequence, const gsize * rows,
    gsize n)
{
  const gsize hidden = s->size.hidden_size;
  const gsize width = moments_width (&s->size);

  for (gsize i = 0; i < n; i++) {
    widen (sequence->x + rows[i] * hidden, hidden, s->scratch + i * width);
    if (s->size.features)
      widen (sequence->features + rows[i] * hidden, hidden,
          s->scratch + i * width + hidden);
  }
  rd_moments_add (&s->states[rd_statistics_is_held_out (s->done)], s->scratch,
      n);
}

static void
add_gradients (RdStatistics * s, const RdSequence * sequence,
    const gsize * rows, gsize n)
{
  const gsize hidden = s->size.hidden_size;

  for (gsize i = 0; i < n; i++) {
    widen (sequence->gradient + rows[i] * hidden, hidden,
        s->scratch + i * hidden);
    keep_row (s, sequence, rows[i]);
  }
  rd_moments_add (&s->gradients, s->scratch, n);
}

void
rd_statistics_add (RdStatistics * s, const RdSequence * sequence)
{
  const gsize hidden = s->size.hidden_size, length = s->size.length;
  g_autofree gsize *rows = g_new (gsize, length);
  gsize n = 0;

  g_return_if_fail (s->done < s->size.sequences);
  if (s->done == 0) {
    s->limit[0] = find_limit (sequence->x, length, hidden);
    if (s->size.features)
      s->limit[1] = find_limit (sequence->features, length, hidden);
  }
  for (gsize i = 1; i < length; i++) {
    if (is_massive (s, sequence, i))
      keep_massive (s, sequence->x + i * hidden);
    else if (!is_beside (s, sequence, i))
      rows[n++] = i;
  }
  add_states (s, sequence, rows, n);
  if (rd_statistics_wants_gradient (s, s->done))
    add_gradients (s, sequence, rows, n);
  s->done++;
}
