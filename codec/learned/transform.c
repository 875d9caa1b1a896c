/* Products of rows with a matrix. */
#include "codec/learned/transform.h"
#include "codec/learned/instruction-set.h"

#include <math.h>
#include <string.h>

#define ALIGNMENT 64
#define CACHED_LINES 128        /* of a panel, 16 KiB: they stay in the first cache while all rows pass */

/* Panels of RD_PANEL_COLS columns, one after the other; the last one is filled up with zeros. */
struct _RdPackedMatrix
{
  gsize rows, cols, n_panels;
  gfloat *panels;               /* (n_panels, rows, RD_PANEL_COLS) */
};

RdPackedMatrix *
rd_packed_matrix_new (const gfloat * values, gsize rows, gsize cols)
{
  RdPackedMatrix *matrix = g_new0 (RdPackedMatrix, 1);

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
rd_packed_matrix_free (RdPackedMatrix * matrix)
{
  if (!matrix)
    return;
  free (matrix->panels);
  g_free (matrix);
}

/* The last panel of a matrix whose columns do not fill it: its sums have a place of their own. */
static void
multiply_narrow (const RdLearnedKernels * kernels, const RdTile * tile,
    gsize width)
{
  gfloat sum[RD_TILE_ROWS * RD_PANEL_COLS] = { 0, };
  RdTile own = *tile;

  own.y = sum;
  own.y_stride = RD_PANEL_COLS;
  for (gsize r = 0; r < tile->n_rows; r++)
    memcpy (sum + r * RD_PANEL_COLS, tile->y + r * tile->y_stride,
        width * sizeof (gfloat));
  kernels->multiply (&own);
  for (gsize r = 0; r < tile->n_rows; r++)
    memcpy (tile->y + r * tile->y_stride, sum + r * RD_PANEL_COLS,
        width * sizeof (gfloat));
}

/* Some lines of a panel, for all rows. */
static void
apply_lines (const RdPackedMatrix * m, gsize panel, gsize first, gsize n_lines,
    const RdFactor * x, gfloat * y)
{
  const RdLearnedKernels *kernels = rd_learned_kernels ();
  gsize at = panel * RD_PANEL_COLS, width = MIN (RD_PANEL_COLS, m->cols - at);
  RdTile tile = {
    .panel = m->panels + at * m->rows + first * RD_PANEL_COLS,
    .lines = n_lines,.row_stride = x->row_stride,
    .line_stride = x->line_stride,.y_stride = m->cols,
  };

  for (gsize r = 0; r < x->n; r += RD_TILE_ROWS) {
    tile.n_rows = MIN (RD_TILE_ROWS, x->n - r);
    tile.x = x->values + r * x->row_stride + first * x->line_stride;
    tile.y = y + r * m->cols + at;
    if (width == RD_PANEL_COLS)
      kernels->multiply (&tile);
    else
      multiply_narrow (kernels, &tile, width);
  }
}

void
rd_packed_matrix_apply (const RdPackedMatrix * m, const RdFactor * x,
    gfloat * y)
{
  gsize n_lines = x->n > RD_TILE_ROWS ? CACHED_LINES : m->rows;

  for (gsize p = 0; p < m->n_panels; p++)
    for (gsize i = 0; i < m->rows; i += n_lines)
      apply_lines (m, p, i, MIN (n_lines, m->rows - i), x, y);
}

void
rd_packed_matrix_unpack (const RdPackedMatrix * m, gfloat * values)
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
  g_autofree gdouble *a = g_try_new0 (gdouble, n * n);
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
