/* Prefill through OpenBLAS: F32 weights from where they are, others converted block by block. The pool splits the outputs; OpenBLAS
 * itself is held to one thread, or its threads and ours would fight for the same cores. */
#include "models/kernels/blas.h"
#include "models/kernels/cancel.h"
#include "models/kernels/isa.h"
#include "models/kernels/pool.h"

#include <cblas.h>

#define COLUMNS 192             /* outputs a task */
#define MAX_ROWS 4096           /* rows of X a call, far below what a blasint holds */

typedef struct
{
  StPool *pool;
  const StMatrix *w;
  const float *x;
  gsize m, ldx;
  float *y;
  gsize ldy;
  const gint *cancel;
} BlasProduct;

static void
blas_block (gsize index, guint worker, gpointer user_data)
{
  const BlasProduct *p = user_data;
  const StMatrix *w = p->w;
  const gsize first = index * COLUMNS;
  const gsize rows = MIN (w->rows - first, COLUMNS);
  const gsize bytes = st_type_row_bytes (w->type, w->cols);
  const guint8 *src = (const guint8 *) w->data + first * bytes;
  const float *weights = (const float *) src;

  if (st_cancelled (p->cancel))
    return;
  if (w->type != ST_TYPE_F32 || (guintptr) src % sizeof (float) != 0) {
    float *converted = st_pool_scratch (p->pool, worker, COLUMNS * w->cols);

    for (gsize r = 0; r < rows; r++)
      st_isa ()->dequantise (w->type, src + r * bytes, converted + r * w->cols,
          w->cols);
    weights = converted;
  }
  for (gsize i = 0; i < p->m && !st_cancelled (p->cancel); i += MAX_ROWS)
    cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans,
        (blasint) MIN (p->m - i, MAX_ROWS), (blasint) rows, (blasint) w->cols,
        1.0f, p->x + i * p->ldx, (blasint) p->ldx, weights, (blasint) w->cols,
        0.0f, p->y + i * p->ldy + first, (blasint) p->ldy);
}

void
st_blas_matmul (StPool * pool, const StMatrix * w, const float *x, gsize m,
    gsize ldx, float *y, gsize ldy, const gint * cancel)
{
  static gsize once;
  BlasProduct p = { pool, w, x, m, ldx, y, ldy, cancel };

  if (g_once_init_enter (&once)) {
    openblas_set_num_threads (1);
    g_once_init_leave (&once, 1);
  }
  st_pool_run_workers (pool, (w->rows + COLUMNS - 1) / COLUMNS, blas_block, &p);
}
