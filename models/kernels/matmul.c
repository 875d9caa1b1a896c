/* Products of activations with stored weight matrices: the choice of the regime, and the step regime.
 *
 * A step is bound by memory: each weight row is read once, in order, and multiplied with all rows of X. A converted row goes through a
 * buffer that stays in the first-level cache. One output of one row is the fixed sum of StIsa.dot, whatever else is computed. */
#include "models/kernels/cancel.h"
#include "models/kernels/isa.h"
#include "models/kernels/pool.h"
#include "models/kernels/product.h"

#define STEP_ROWS 32            /* outputs a task */
#define STEP_BUFFER 8192        /* converted weights at once, about: they stay in the first-level cache */
#define STEP_AT_ONCE 8          /* converted rows at once, at most */

static void
step_task (gsize index, guint worker, gpointer user_data)
{
  const StGroup *g = user_data;
  const StIsa *isa = st_isa ();
  gsize first;
  const StProduct *p = st_group_task (g, STEP_ROWS, index, &first);
  const StMatrix *w = p->w;
  const gsize end = MIN (w->rows, first + STEP_ROWS), k = w->cols;
  const gsize bytes = st_row_bytes (w);
  const guint8 *src = w->data;
  gsize at_once;
  float *buffer;

  if (st_cancelled (g->cancel))
    return;
  if (st_is_float_array (w)) {
    isa->dot ((const float *) w->data + first * k, k, end - first, g->x, g->ldx,
        g->m, k, p->y + first, p->ldy);
    return;
  }
  at_once = CLAMP (STEP_BUFFER / k, 1, STEP_AT_ONCE);
  buffer = st_pool_scratch (g->pool, worker, at_once * k);
  for (gsize r = first; r < end; r += at_once) {
    const gsize rows = MIN (end - r, at_once);

    isa->dequantise (w->type, src + r * bytes, buffer, rows * k);
    isa->dot (buffer, k, rows, g->x, g->ldx, g->m, k, p->y + r, p->ldy);
  }
}

void
st_step_products (const StGroup * group)
{
  st_pool_run_workers (group->pool, st_group_tasks (group, STEP_ROWS),
      step_task, (gpointer) group);
}

void
st_matmul_group (StPool * pool, const StProduct * products, gsize n,
    const float *x, gsize m, gsize ldx, StRegime regime,
    gboolean deterministic, const gint * cancel)
{
  const StGroup group = { pool, products, n, x, m, ldx, cancel };

  if (m == 0 || n == 0)
    return;
  if (regime == ST_REGIME_STEP)
    st_step_products (&group);
  else if (deterministic)
    st_prefill_products (&group);
  else
    st_blas_products (&group);
}

void
st_matmul (StPool * pool, const StMatrix * w, const float *x, gsize m,
    gsize ldx, float *y, gsize ldy, StRegime regime, gboolean deterministic,
    const gint * cancel)
{
  const StProduct product = { w, y, ldy };

  st_matmul_group (pool, &product, 1, x, m, ldx, regime, deterministic, cancel);
}
