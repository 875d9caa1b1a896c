/* Blocked products of many rows (prefill regime).
 *
 * X is packed, transposed, into panels of two vectors of rows. A task makes a block of outputs (columns of Y): panel by panel, register
 * tiles hold some outputs by two vectors of rows and broadcast the weights straight from where they are stored (F32) or from a
 * converted copy of the block, and the panel's outputs are turned into Y. The block stays in the second-level cache while all panels
 * pass; meanwhile the tiles fetch the next block. Nothing is packed ahead, so no second copy of the weights is resident.
 *
 * An output of a row is one chain of multiply-adds over ascending k, cut where depth_of() says. That depends on the matrix alone, so
 * neither the other rows, nor the block's size, nor the threads change a bit. */
#include "models/kernels/cancel.h"
#include "models/kernels/isa.h"
#include "models/kernels/pool.h"
#include "models/kernels/product.h"

#define BLOCK_UNIT 12           /* blocks are multiples of it, and it of every tile_rows */
#define MAX_BLOCK 96            /* outputs a task */
#define BLOCK_FLOATS (160 << 10)        /* weights of a block, about */
#define TASKS_A_THREAD 4        /* at least, if blocks can be made smaller */
#define MAX_ROWS 512            /* rows of X a pass */
#define MIN_ROWS 64
#define PACKED_FLOATS (1 << 20) /* packed X of a pass, about, between these limits */
#define DEPTH 400               /* most k a chain, about */
#define ROW_PAD 16              /* keeps converted rows out of each other's cache sets */
#define SET_BYTES 4096          /* rows this far apart share their cache sets */

typedef struct
{
  StGroup group;                /* one pass of it: m rows from x on */
  const StIsa *isa;
  gsize first_row;              /* of the pass */
  gsize lanes;                  /* rows a panel */
  gsize panels;
  gsize block;                  /* outputs a task */
  float *packed;                /* [panel][k][lanes] */
} Pass;

/* A block of weights as a task uses it. */
typedef struct
{
  const StProduct *product;
  gsize first, rows;            /* its outputs */
  const float *weights;         /* [rows][cols], row stride ld */
  gsize ld;
  gsize depth;
  const guint8 *ahead;          /* what to fetch for the next block, */
  gsize ahead_step;             /* this much for each k of each tile */
} Block;

/* k of a chain: even parts of at most about DEPTH, whole quantisation blocks. */
static gsize
depth_of (const StMatrix * w)
{
  const gsize unit = st_type_traits (w->type)->block_size;
  const gsize parts = (w->cols + DEPTH - 1) / DEPTH;
  const gsize depth = (w->cols + parts - 1) / parts;

  return (depth + unit - 1) / unit * unit;
}

static gsize
block_of (const StGroup * g)
{
  const gsize cols = g->products[0].w->cols;
  gsize outputs = 0, block;

  for (gsize i = 0; i < g->n; i++)
    outputs += g->products[i].w->rows;
  block = MIN (MAX_BLOCK, BLOCK_FLOATS / cols);
  if (st_pool_threads (g->pool) > 1)
    block = MIN (block, outputs / (TASKS_A_THREAD * st_pool_threads (g->pool)));
  return MAX (block / BLOCK_UNIT * BLOCK_UNIT, BLOCK_UNIT);
}

static void
pack_panel (gsize index, guint worker, gpointer user_data)
{
  const Pass *p = user_data;
  const StGroup *g = &p->group;
  const gsize first = index * p->lanes, cols = g->products[0].w->cols;
  const gsize rows = MIN (g->m - first, p->lanes);
  const gsize width = (rows + p->isa->lanes - 1) / p->isa->lanes *
      p->isa->lanes;

  (void) worker;
  if (!st_cancelled (g->cancel))
    p->isa->transpose (g->x + first * g->ldx, g->ldx, rows, cols,
        p->packed + first * cols, p->lanes, width);
}

/* The block's weights as floats: in place, or converted to @buffer. */
static void
load_block (const Pass * p, Block * b, float *buffer)
{
  const StMatrix *w = b->product->w;
  const gsize bytes = st_row_bytes (w);
  const guint8 *src = (const guint8 *) w->data + b->first * bytes;

  if (st_is_float_array (w) && bytes % SET_BYTES != 0) {
    b->weights = (const float *) src;
    b->ld = w->cols;
    return;
  }
  b->weights = buffer;
  b->ld = w->cols + ROW_PAD;
  for (gsize r = 0; r < b->rows; r++)
    p->isa->dequantise (w->type, src + r * bytes, buffer + r * b->ld, w->cols);
}

/* Spreads the fetching of the block that this thread is likely to have next over all k of all tiles. */
static void
plan_ahead (const Pass * p, Block * b)
{
  const StMatrix *w = b->product->w;
  const gsize bytes = st_row_bytes (w);
  const gsize next = b->first + p->block * st_pool_threads (p->group.pool);
  const gsize rows = next < w->rows ? MIN (w->rows - next, p->block) : 0;
  const gsize steps = p->panels * w->cols *
      ((b->rows + p->isa->tile_rows - 1) / p->isa->tile_rows);

  b->ahead = (const guint8 *) w->data + (rows > 0 ? next : b->first) * bytes;
  b->ahead_step = (rows * bytes + steps - 1) / steps;
}

/* One panel's outputs of the block, in @c (rows x lanes), then turned into Y. */
static void
multiply_panel (const Pass * p, Block * b, gsize panel, float *c)
{
  const StIsa *isa = p->isa;
  const gsize start = panel * p->lanes, cols = b->product->w->cols;
  const gsize here = MIN (p->group.m - start, p->lanes);
  const gsize vectors = (here + isa->lanes - 1) / isa->lanes;
  const float *x = p->packed + start * cols;

  for (gsize from = 0; from < cols; from += b->depth) {
    const gsize depth = MIN (cols - from, b->depth);

    for (gsize r = 0; r < b->rows; r += isa->tile_rows) {
      const gsize height = MIN (b->rows - r, isa->tile_rows);

      isa->tile[height - 1][vectors - 1] (b->weights + r * b->ld + from, b->ld,
          x + from * p->lanes, p->lanes, depth, c + r * p->lanes, p->lanes,
          from != 0, b->ahead, b->ahead_step);
      b->ahead += depth * b->ahead_step;
    }
  }
  isa->transpose (c, p->lanes, b->rows, here, b->product->y +
      (p->first_row + start) * b->product->ldy + b->first, b->product->ldy,
      b->rows);
}

static void
prefill_task (gsize index, guint worker, gpointer user_data)
{
  const Pass *p = user_data;
  const StGroup *g = &p->group;
  const gsize cols = g->products[0].w->cols;
  float *scratch = st_pool_scratch (g->pool, worker,
      p->block * (p->lanes + cols + ROW_PAD));
  Block b;

  if (st_cancelled (g->cancel))
    return;
  b.product = st_group_task (g, p->block, index, &b.first);
  b.rows = MIN (b.product->w->rows - b.first, p->block);
  b.depth = depth_of (b.product->w);
  load_block (p, &b, scratch + p->block * p->lanes);
  plan_ahead (p, &b);
  for (gsize i = 0; i < p->panels && !st_cancelled (g->cancel); i++)
    multiply_panel (p, &b, i, scratch);
}

void
st_prefill_products (const StGroup * group)
{
  const gsize cols = group->products[0].w->cols;
  const gsize rows = CLAMP (PACKED_FLOATS / cols, MIN_ROWS, MAX_ROWS);
  Pass p = {.group = *group,.isa = st_isa () };

  p.lanes = ST_MAX_VECTORS * p.isa->lanes;
  p.block = block_of (group);
  for (gsize first = 0; first < group->m; first += rows / p.lanes * p.lanes) {
    if (st_cancelled (group->cancel))
      return;
    p.first_row = first;
    p.group.x = group->x + first * group->ldx;
    p.group.m = MIN (group->m - first, rows / p.lanes * p.lanes);
    p.panels = (p.group.m + p.lanes - 1) / p.lanes;
    p.packed = st_pool_scratch (group->pool, st_pool_threads (group->pool),
        p.panels * p.lanes * cols);
    st_pool_run_workers (group->pool, p.panels, pack_panel, &p);
    st_pool_run_workers (group->pool, st_group_tasks (&p.group, p.block),
        prefill_task, &p);
  }
}
