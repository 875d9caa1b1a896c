/* Products of rows with a matrix. */
#include "codec/learned/transform.h"
#include "codec/learned/instruction-set.h"

#include <math.h>
#include <string.h>

#define ALIGNMENT 64

/* Panels of RD_PANEL_COLS columns, one after the other; the last one is filled up with zeros. A panel stays in the cache while all rows pass. */
struct _RdMatrix
{
  gsize rows, cols, n_panels;
  gfloat *panels;               /* (n_panels, rows, RD_PANEL_COLS) */
};

RdMatrix *
rd_matrix_new (const gfloat * values, gsize rows, gsize cols)
{
  RdMatrix *matrix = g_new0 (RdMatrix, 1);

  matrix->rows = rows;
  matrix->cols = cols;
  matrix->n_panels = (cols + RD_PANEL_COLS - 1) / RD_PANEL_COLS;
  gsize n = matrix->n_panels * rows * RD_PANEL_COLS;
  if (posix_memalign ((void **) &matrix->panels, ALIGNMENT,
          n * sizeof (gfloat)) != 0) {
    g_free (matrix);
    return NULL;
  }
  memset (matrix->panels, 0, n * sizeof (gfloat));
  for (gsize r = 0; r < rows; r++)
    for (gsize c = 0; c < cols; c++)
      matrix->panels[(c / RD_PANEL_COLS * rows + r) * RD_PANEL_COLS +
          c % RD_PANEL_COLS] = values[r * cols + c];
  return matrix;
}

void
rd_matrix_free (RdMatrix * matrix)
{
  if (!matrix)
    return;
  free (matrix->panels);
  g_free (matrix);
}

/* One panel's columns of up to RD_TILE_ROWS rows of y. */
static void
apply_tile (const RdMatrix * m, gsize panel, RdTransformTile tile,
    const gfloat * x, gsize n, gfloat * y)
{
  gfloat sum[RD_TILE_ROWS * RD_PANEL_COLS] = { 0, };
  gsize at = panel * RD_PANEL_COLS;
  gsize width = MIN (RD_PANEL_COLS, m->cols - at);

  for (gsize r = 0; r < n; r++)
    memcpy (sum + r * RD_PANEL_COLS, y + r * m->cols + at, width * sizeof *y);
  tile (m->panels + at * m->rows, m->rows, x, m->rows, sum, n);
  for (gsize r = 0; r < n; r++)
    memcpy (y + r * m->cols + at, sum + r * RD_PANEL_COLS, width * sizeof *y);
}

void
rd_matrix_apply (const RdMatrix * m, const gfloat * x, gsize n, gfloat * y)
{
  RdTransformTile tile = rd_learned_kernels ()->tile;

  for (gsize p = 0; p < m->n_panels; p++)
    for (gsize r = 0; r < n; r += RD_TILE_ROWS)
      apply_tile (m, p, tile, x + r * m->rows, MIN (RD_TILE_ROWS, n - r),
          y + r * m->cols);
}

void
rd_matrix_unpack (const RdMatrix * m, gfloat * values)
{
  for (gsize r = 0; r < m->rows; r++)
    for (gsize c = 0; c < m->cols; c++)
      values[r * m->cols + c] =
          m->panels[(c / RD_PANEL_COLS * m->rows + r) * RD_PANEL_COLS +
          c % RD_PANEL_COLS];
}

/* ---- inverse ---- */

static void
swap (gdouble * a, gdouble * b)
{
  gdouble t = *a;

  *a = *b;
  *b = t;
}

/* The row at or below @k with the largest element in column @k. */
static gsize
find_pivot (const gdouble * a, gsize n, gsize k)
{
  gsize best = k;

  for (gsize r = k + 1; r < n; r++)
    if (fabs (a[r * n + k]) > fabs (a[best * n + k]))
      best = r;
  return best;
}

/* Gauss and Jordan in place: column @k would become that of the unit matrix, and what it was turned into takes its room. */
static gboolean
eliminate (const RdLearnedKernels * kernels, gdouble * a, gsize n, gsize k)
{
  gdouble *line = a + k * n, scale = 1 / line[k];

  if (!(fabs (line[k]) > 0))
    return FALSE;
  line[k] = 1;
  for (gsize c = 0; c < n; c++)
    line[c] *= scale;
  for (gsize r = 0; r < n; r++) {
    gdouble f = a[r * n + k];

    if (r == k)
      continue;
    a[r * n + k] = 0;
    kernels->subtract (a + r * n, line, f, n);
  }
  return TRUE;
}

gboolean
rd_matrix_invert (const gfloat * values, gsize n, gfloat * out)
{
  const RdLearnedKernels *kernels = rd_learned_kernels ();
  g_autofree gdouble *a = g_try_new (gdouble, n * n);
  g_autofree gsize *pivots = g_new (gsize, n);

  if (!a)
    return FALSE;
  for (gsize i = 0; i < n * n; i++)
    a[i] = (gdouble) values[i];
  for (gsize k = 0; k < n; k++) {
    pivots[k] = find_pivot (a, n, k);
    for (gsize c = 0; c < n && pivots[k] != k; c++)
      swap (a + k * n + c, a + pivots[k] * n + c);
    if (!eliminate (kernels, a, n, k))
      return FALSE;
  }
  for (gsize k = n; k-- > 0;)
    for (gsize r = 0; r < n && pivots[k] != k; r++)
      swap (a + r * n + k, a + r * n + pivots[k]);
  for (gsize i = 0; i < n * n; i++) {
    out[i] = (gfloat) a[i];
    if (!isfinite (out[i]))
      return FALSE;
  }
  return TRUE;
}
