/* Sums of a few rows, each times a factor, added to many rows: the second half of a low-rank product. A task adds to some rows and some
 * columns; a block of columns stays in the first-level cache while the rows pass. An element is one chain of multiply-adds over ascending
 * k from its old value on, in either regime, whatever else is computed. */
#include "models/kernels/cancel.h"
#include "models/kernels/isa.h"
#include "models/kernels/pool.h"
#include "models/kernels/product.h"

#define TASK_ROWS 16            /* of y */
#define TASK_COLUMNS 512
#define BLOCK_COLUMNS 64

typedef struct
{
  StPool *pool;
  const StMatrix *w;
  const float *x;
  gsize m, ldx;
  float *y;
  gsize ldy;
  const gint *cancel;
} Outer;

/* Columns from @first on of all rows of w, as floats: in place, or converted to @buffer. */
static const float *
load_columns (const StMatrix * w, gsize first, gsize n, float *buffer,
    gsize * ld)
{
  const gsize bytes = st_row_bytes (w);
  const gsize offset = st_type_row_bytes (w->type, first);

  if (st_is_float_array (w)) {
    *ld = w->cols;
    return (const float *) w->data + first;
  }
  *ld = BLOCK_COLUMNS;
  for (gsize k = 0; k < w->rows; k++)
    st_isa ()->dequantise (w->type,
        (const guint8 *) w->data + k * bytes + offset, buffer + k * *ld, n);
  return buffer;
}

static void
outer_task (gsize index, guint worker, gpointer user_data)
{
  const Outer *o = user_data;
  const gsize spans = (o->w->cols + TASK_COLUMNS - 1) / TASK_COLUMNS;
  const gsize first = index / spans * TASK_ROWS;
  const gsize start = index % spans * TASK_COLUMNS;
  const gsize end = MIN (start + TASK_COLUMNS, o->w->cols);
  const gsize last = MIN (first + TASK_ROWS, o->m);
  float *buffer = st_pool_scratch (o->pool, worker,
      o->w->rows * BLOCK_COLUMNS);

  for (gsize at = start; at < end && !st_cancelled (o->cancel);
      at += BLOCK_COLUMNS) {
    const gsize n = MIN (end - at, BLOCK_COLUMNS);
    gsize ld;
    const float *columns = load_columns (o->w, at, n, buffer, &ld);

    for (gsize row = first; row < last; row++)
      st_isa ()->add_rows (o->y + row * o->ldy + at, columns, ld,
          o->x + row * o->ldx, o->w->rows, n);
  }
}

void
st_add_outer (StPool * pool, const StMatrix * w, const float *x, gsize m,
    gsize ldx, float *y, gsize ldy, const gint * cancel)
{
  const Outer outer = { pool, w, x, m, ldx, y, ldy, cancel };

  g_assert (st_type_traits (w->type)->block_size == 1);
  st_pool_run_workers (pool, (m + TASK_ROWS - 1) / TASK_ROWS
      * ((w->cols + TASK_COLUMNS - 1) / TASK_COLUMNS), outer_task,
      (gpointer) & outer);
}
