#include "codec/training/fit-constants.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "codec/training/linear.h"
#include "models/sampler.h"

#define MAX_ROUNDS 100
/* A cluster is worth having if the squared distances fall by this part. */
#define WORTH 0.02

typedef struct
{
  gsize n, hidden;
  guint max;
  double *points;               /* (n, D) where the metric is the identity */
  double *centers;              /* (max, D) there */
  double *distance;             /* (n) squared, to the nearest center */
  guint *nearest;               /* (n) */
  gsize *counts;                /* (max) */
} Clusters;

static double
squared_distance (const double *a, const double *b, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

static void
set_center (Clusters * c, guint center, gsize point)
{
  memcpy (c->centers + center * c->hidden, c->points + point * c->hidden,
      c->hidden * sizeof (double));
}

/* Assigns every point; TRUE if any has changed. */
static gboolean
assign (Clusters * c, guint n_centers, double *total)
{
  gboolean changed = FALSE;

  memset (c->counts, 0, c->max * sizeof (gsize));
  *total = 0;
  for (gsize i = 0; i < c->n; i++) {
    guint best = 0;

    for (guint k = 0; k < n_centers; k++) {
      const double d = squared_distance (c->points + i * c->hidden,
          c->centers + k * c->hidden, c->hidden);

      if (k == 0 || d < c->distance[i]) {
        c->distance[i] = d;
        best = k;
      }
    }
    changed = changed || best != c->nearest[i];
    c->nearest[i] = best;
    c->counts[best]++;
    *total += c->distance[i];
  }
  return changed;
}

static void
move_centers (Clusters * c, guint n_centers)
{
  for (guint k = 0; k < n_centers; k++) {
    if (c->counts[k] > 0)
      memset (c->centers + k * c->hidden, 0, c->hidden * sizeof (double));
  }
  for (gsize i = 0; i < c->n; i++)
    cblas_daxpy ((blasint) c->hidden, 1 / (double) c->counts[c->nearest[i]],
        c->points + i * c->hidden, 1, c->centers + c->nearest[i] * c->hidden,
        1);
}

/* A point drawn in proportion to its squared distance; n if all are 0. */
static gsize
draw (const Clusters * c, double total, double uniform)
{
  double left = uniform * total;

  for (gsize i = 0; i < c->n; i++) {
    if (c->distance[i] <= 0)
      continue;
    left -= c->distance[i];
    if (left < 0)
      return i;
  }
  return c->n;
}

/* Lloyd's rounds, until no point changes its center. */
static void
settle (Clusters * c, guint n_centers, double *total)
{
  for (guint i = 0; i < MAX_ROUNDS && assign (c, n_centers, total); i++)
    move_centers (c, n_centers);
}

/* Centers one by one, each where points are far from those before it, and then all moved until nothing changes. */
static guint
cluster (Clusters * c, guint64 seed)
{
  double total, before;
  guint n = 1;

  set_center (c, 0, (gsize) (st_sampler_uniform (seed, 0) * (double) c->n));
  assign (c, 1, &total);
  move_centers (c, 1);
  assign (c, 1, &total);
  while (n < c->max) {
    const gsize point = draw (c, total, st_sampler_uniform (seed, n));

    if (point == c->n)
      break;
    before = total;
    set_center (c, n, point);
    settle (c, n + 1, &total);
    if (total > (1 - WORTH) * before) {
      settle (c, n, &total);
      break;
    }
    n++;
  }
  return n;
}

static gboolean
take (Clusters * c, const RdMetric * metric, const float *rows, GError ** error)
{
  const gsize n = c->n, hidden = c->hidden;
  g_autofree double *wide = rd_linear_new (n, hidden, "constants", error);

  c->points = rd_linear_new (n, hidden, "constants", error);
  if (wide == NULL || c->points == NULL)
    return FALSE;
  for (gsize i = 0; i < n * hidden; i++)
    wide[i] = rows[i];
  rd_linear_product (wide, metric->root, n, hidden, hidden, FALSE, c->points);
  c->centers = g_new0 (double, c->max * hidden);
  c->distance = g_new0 (double, n);
  c->nearest = g_new0 (guint, n);
  return TRUE;
}

typedef struct
{
  guint cluster;
  gsize count;
} Rank;

static gint
compare_ranks (gconstpointer a, gconstpointer b)
{
  const Rank *x = a, *y = b;

  if (x->count != y->count)
    return x->count > y->count ? -1 : 1;
  return (gint) x->cluster - (gint) y->cluster;
}

/* Means of the rows themselves, most frequent first. */
static guint
hand_out (const Clusters * c, guint n_clusters, const float *rows,
    float *constants, gsize * counts)
{
  const gsize hidden = c->hidden;
  g_autofree double *sum = g_new (double, hidden);
  g_autofree Rank *ranks = g_new (Rank, n_clusters);
  guint out = 0;

  for (guint k = 0; k < n_clusters; k++)
    ranks[k] = (Rank) {
    k, c->counts[k]};
  qsort (ranks, n_clusters, sizeof (Rank), compare_ranks);
  for (guint r = 0; r < n_clusters && ranks[r].count > 0; r++) {
    memset (sum, 0, hidden * sizeof (double));
    for (gsize i = 0; i < c->n; i++) {
      for (gsize j = 0; c->nearest[i] == ranks[r].cluster && j < hidden; j++)
        sum[j] += rows[i * hidden + j];
    }
    for (gsize j = 0; j < hidden; j++)
      constants[out * hidden + j] = (float) (sum[j] / (double) ranks[r].count);
    counts[out++] = ranks[r].count;
  }
  return out;
}

guint
rd_constants_fit (const RdMetric * metric, const float *rows, gsize n,
    guint max, guint64 seed, float *constants, gsize * counts, GError ** error)
{
  Clusters c = {.n = n,.hidden = metric->n,.max = max };
  guint found = 0;

  c.counts = g_new0 (gsize, max);
  if (take (&c, metric, rows, error))
    found = hand_out (&c, cluster (&c, seed), rows, constants, counts);
  g_free (c.points);
  g_free (c.centers);
  g_free (c.distance);
  g_free (c.nearest);
  g_free (c.counts);
  return found;
}
