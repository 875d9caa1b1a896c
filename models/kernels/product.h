/* Inside of the products: how one regime's file is called by matmul.c. */
#pragma once
#include "models/kernels/kernels.h"

G_BEGIN_DECLS

/** StGroup: the arguments of st_matmul_group(). */
typedef struct
{
  StPool *pool;
  const StProduct *products;
  gsize n;
  const float *x;
  gsize m, ldx;
  const gint *cancel;
} StGroup;

/** st_prefill_products: own blocked products. */
void st_prefill_products (const StGroup * group);
/** st_blas_products: the same with OpenBLAS; a row's bits may depend on the other rows. */
void st_blas_products (const StGroup * group);
/** st_step_products: each weight row read once, in order. */
void st_step_products (const StGroup * group);

/** st_group_tasks: number of tasks when each takes @block outputs of one product. */
static inline gsize
st_group_tasks (const StGroup * group, gsize block)
{
  gsize tasks = 0;

  for (gsize i = 0; i < group->n; i++)
    tasks += (group->products[i].w->rows + block - 1) / block;
  return tasks;
}

/** st_group_task: the product of task @index, and the first of its outputs in @first. */
static inline const StProduct *
st_group_task (const StGroup * group, gsize block, gsize index, gsize * first)
{
  const StProduct *p = group->products;
  gsize tasks;

  while (index >= (tasks = (p->w->rows + block - 1) / block)) {
    index -= tasks;
    p++;
  }
  *first = index * block;
  return p;
}

/** st_row_bytes: bytes of a stored row of @w. */
static inline gsize
st_row_bytes (const StMatrix * w)
{
  return st_type_row_bytes (w->type, w->cols);
}

/** st_is_float_array: whether the weights can be read as floats where they are. */
static inline gboolean
st_is_float_array (const StMatrix * w)
{
  return w->type == ST_TYPE_F32 && (guintptr) w->data % sizeof (float) == 0;
}

G_END_DECLS
