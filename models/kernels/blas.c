/* Prefill through OpenBLAS, for callers that do not need results independent of the other rows: F32 weights from where they are, others
 * converted block by block. The pool splits the outputs; OpenBLAS itself is held to one thread, or its threads and ours would fight for
 * the same cores. */
#include "models/kernels/cancel.h"
#include "models/kernels/isa.h"
#include "models/kernels/pool.h"
#include "models/kernels/product.h"

#include <cblas.h>

#define COLUMNS 192             /* outputs a task */
#define MAX_ROWS 512            /* rows of X a call: often enough a look at the cancel flag */

static void
blas_task (gsize index, guint worker, gpointer user_data)
{
  const StGroup *g = user_data;
  gsize first;
  const StProduct *p = st_group_task (g, COLUMNS, index, &first);
  const StMatrix *w = p->w;
  const gsize rows = MIN (w->rows - first, COLUMNS), k = w->cols;
  const gsize bytes = st_row_bytes (w);
  const guint8 *src = (const guint8 *) w->data + first * bytes;
  const float *weights = (const float *) src;

  if (st_cancelled (g->cancel))
    return;
  if (!st_is_float_array (w)) {
    float *converted = st_pool_scratch (g->pool, worker, COLUMNS * k);

    for (gsize r = 0; r < rows; r++)
      st_isa ()->dequantise (w->type, src + r * bytes, converted + r * k, k);
    weights = converted;
  }
  for (gsize i = 0; i < g->m && !st_cancelled (g->cancel); i += MAX_ROWS)
    cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans,
        (blasint) MIN (g->m - i, MAX_ROWS), (blasint) rows, (blasint) k,
        1.0f, g->x + i * g->ldx, (blasint) g->ldx, weights, (blasint) k,
        0.0f, p->y + i * p->ldy + first, (blasint) p->ldy);
}

void
st_blas_one_thread (void)
{
  static gsize once;

  if (g_once_init_enter (&once)) {
    openblas_set_num_threads (1);
    g_once_init_leave (&once, 1);
  }
}

void
st_blas_products (const StGroup * group)
{
  st_blas_one_thread ();
  st_pool_run_workers (group->pool, st_group_tasks (group, COLUMNS), blas_task,
      (gpointer) group);
}
