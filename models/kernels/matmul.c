/* Products of activations with a stored weight matrix.
 *
 * Prefill regime: a blocked product. X is packed, transposed, into panels of two vectors of rows; each task makes BLOCK outputs
 * (columns of Y) for up to MAX_ROWS rows. A register tile holds tile_rows outputs by two vectors of rows, broadcasts weights straight
 * from where they are stored (F32) or from a small block converted on the way, and leaves the outputs transposed in the task's
 * scratch, from where they are turned into Y. Nothing is packed ahead, so no second copy of the weights is resident.
 *
 * Step regime: bound by memory; each weight row is read once, in order, and multiplied with all rows of X. A converted row goes through
 * a buffer that stays in the first-level cache.
 *
 * One output of one row is one fixed sum in both: in the prefill regime a single chain over ascending k, cut where depth_of() says,
 * which depends on the matrix alone; in the step regime the chains of StIsa.dot. So neither the other rows nor the threads matter. */
#include "models/kernels/cancel.h"
#include "models/kernels/isa.h"
#include "models/kernels/blas.h"
#include "models/kernels/pool.h"

#define BLOCK 48                /* outputs a task; a multiple of every tile_rows */
#define MAX_ROWS 512            /* rows of X a pass */
#define MAX_PACKED (1 << 20)    /* floats of packed X a pass, if that leaves MIN_ROWS */
#define MIN_ROWS 64
#define DEPTH 640               /* most k a block, about */
#define DEPTH_PAD 16            /* keeps rows of a converted block out of each other's cache sets */
#define STEP_ROWS 32            /* outputs a task in the step regime */
#define STEP_BUFFER 4           /* converted rows at once there */

typedef struct
{
  StPool *pool;
  const StIsa *isa;
  const StMatrix *w;
  gsize row_bytes;
  gsize depth;                  /* k a block */
  const float *x;
  gsize m, ldx;
  float *y;
  gsize ldy;
  const gint *cancel;
  float *packed;                /* [panel][k][lanes of a panel] */
} Product;

/* k of a block: even parts of at most about DEPTH, whole quantisation blocks. */
static gsize
depth_of (const StMatrix * w)
{
  const gsize unit = st_type_traits (w->type)->block_size;
  const gsize parts = (w->cols + DEPTH - 1) / DEPTH;
  const gsize depth = (w->cols + parts - 1) / parts;

  return (depth + unit - 1) / unit * unit;
}

static gsize
panel_lanes (const Product * p)
{
  return ST_MAX_VECTORS * p->isa->lanes;
}

/* Rows of X up to whole vectors. */
static gsize
padded_rows (const Product * p)
{
  return (p->m + p->isa->lanes - 1) / p->isa->lanes * p->isa->lanes;
}

static void
pack_panel (gsize index, guint worker, gpointer user_data)
{
  const Product *p = user_data;
  const gsize lanes = panel_lanes (p);
  const gsize first = index * lanes;
  const gsize rows = MIN (p->m - first, lanes);
  const gsize width = MIN (padded_rows (p) - first, lanes);

  (void) worker;
  if (!st_cancelled (p->cancel))
    p->isa->transpose (p->x + first * p->ldx, p->ldx, rows, p->w->cols,
        p->packed + first * p->w->cols, lanes, width);
}

/* F32 rows are used where they are, unless their distance would put them all into the same few cache sets. */
static gboolean
usable_in_place (const StMatrix * w)
{
  return w->type == ST_TYPE_F32 && w->cols * sizeof (float) % 1024 != 0 &&
      (guintptr) w->data % sizeof (float) == 0;
}

/* Converts rows @first .. of @w, k @from .. @from + @depth, to @dst with row stride @ld. */
static void
convert (const Product * p, gsize first, gsize rows, gsize from, gsize depth,
    float *dst, gsize ld)
{
  const StMatrix *w = p->w;
  const guint8 *src = (const guint8 *) w->data + first * p->row_bytes +
      st_type_row_bytes (w->type, from);

  for (gsize r = 0; r < rows; r++)
    p->isa->dequantise (w->type, src + r * p->row_bytes, dst + r * ld, depth);
}

/* c (rows x padded rows of X) = or += w (rows x depth) * X^T. */
static void
multiply_block (const Product * p, const float *w, gsize ldw, gsize rows,
    gsize from, gsize depth, float *c, gsize ldc)
{
  const StIsa *isa = p->isa;
  const gsize lanes = panel_lanes (p);

  for (gsize first = 0; first < ldc; first += lanes) {
    const gsize vectors = MIN (ldc - first, lanes) / isa->lanes;
    const float *x = p->packed + first * p->w->cols + from * lanes;

    for (gsize r = 0; r < rows; r += isa->tile_rows) {
      const gsize here = MIN (rows - r, isa->tile_rows);

      isa->tile[here - 1][vectors - 1] (w + r * ldw, ldw, x, lanes, depth,
          c + r * ldc + first, ldc, from != 0);
    }
  }
}

static void
prefill_block (gsize index, guint worker, gpointer user_data)
{
  const Product *p = user_data;
  const StMatrix *w = p->w;
  const gsize first = index * BLOCK;
  const gsize rows = MIN (w->rows - first, BLOCK);
  const gsize ldc = padded_rows (p), ldw = p->depth + DEPTH_PAD;
  float *c = st_pool_scratch (p->pool, worker, BLOCK * (ldc + ldw));
  float *converted = c + BLOCK * ldc;

  if (st_cancelled (p->cancel))
    return;
  for (gsize from = 0; from < w->cols; from += p->depth) {
    const gsize depth = MIN (w->cols - from, p->depth);

    if (usable_in_place (w)) {
      multiply_block (p, (const float *) w->data + first * w->cols + from,
          w->cols, rows, from, depth, c, ldc);
    } else {
      convert (p, first, rows, from, depth, converted, ldw);
      multiply_block (p, converted, ldw, rows, from, depth, c, ldc);
    }
  }
  p->isa->transpose (c, ldc, rows, p->m, p->y + first, p->ldy, rows);
}

static void
prefill (Product * p, gsize m)
{
  const gsize lanes = panel_lanes (p);
  const float *x = p->x;
  float *y = p->y;
  gsize pass = CLAMP (MAX_PACKED / p->w->cols, MIN_ROWS, MAX_ROWS);
  gsize panels;

  pass = pass / lanes * lanes;
  p->depth = depth_of (p->w);
  for (gsize first = 0; first < m && !st_cancelled (p->cancel); first += pass) {
    p->m = MIN (m - first, pass);
    p->x = x + first * p->ldx;
    p->y = y + first * p->ldy;
    panels = (p->m + lanes - 1) / lanes;
    p->packed = st_pool_scratch (p->pool, st_pool_threads (p->pool),
        panels * lanes * p->w->cols);
    st_pool_run_workers (p->pool, panels, pack_panel, p);
    st_pool_run_workers (p->pool, (p->w->rows + BLOCK - 1) / BLOCK,
        prefill_block, p);
  }
}

static void
step_block (gsize index, guint worker, gpointer user_data)
{
  const Product *p = user_data;
  const StMatrix *w = p->w;
  const gsize first = index * STEP_ROWS;
  const gsize end = MIN (w->rows, first + STEP_ROWS);
  float *buffer;

  if (st_cancelled (p->cancel))
    return;
  if (w->type == ST_TYPE_F32 && (guintptr) w->data % sizeof (float) == 0) {
    p->isa->dot ((const float *) w->data + first * w->cols, w->cols,
        end - first, p->x, p->ldx, p->m, w->cols, p->y + first, p->ldy);
    return;
  }
  buffer = st_pool_scratch (p->pool, worker, STEP_BUFFER * w->cols);
  for (gsize r = first; r < end; r += STEP_BUFFER) {
    const gsize rows = MIN (end - r, STEP_BUFFER);

    convert (p, r, rows, 0, w->cols, buffer, w->cols);
    p->isa->dot (buffer, w->cols, rows, p->x, p->ldx, p->m, w->cols, p->y + r,
        p->ldy);
  }
}

void
st_matmul (StPool * pool, const StMatrix * w, const float *x, gsize m,
    gsize ldx, float *y, gsize ldy, StRegime regime, gboolean deterministic,
    const gint * cancel)
{
  Product p = { pool, st_isa (), w, st_type_row_bytes (w->type, w->cols), 0,
    x, m, ldx, y, ldy, cancel, NULL
  };

  if (m == 0 || w->rows == 0)
    return;
  if (regime == ST_REGIME_STEP)
    st_pool_run_workers (pool, (w->rows + STEP_ROWS - 1) / STEP_ROWS,
        step_block, &p);
  else if (deterministic)
    prefill (&p, m);
  else
    st_blas_matmul (pool, w, x, m, ldx, y, ldy, cancel);
}
