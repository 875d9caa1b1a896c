#include "codec/training/product-private.h"

#include <cblas.h>
#include <string.h>

#include "models/kernels/fpmode.h"

/* Steps of a block of k and panels of a block of the left factor: the block (800 KB) stays in the second-level cache, a panel of the right factor (48 KB)
 * next to the first. */
#define MAX_STEPS 24
#define MAX_PANELS 16
#define PANEL_VALUES (2 * RD_TILE_VALUES)
#define ALIGNMENT 64

static const gchar *const names[RD_N_PRODUCTS] = { "f32", "bf16" };

const gchar *
rd_products_name (RdProducts how)
{
  return names[how];
}

gboolean
rd_products_by_name (const gchar * name, RdProducts * how)
{
  for (guint i = 0; i < RD_N_PRODUCTS; i++) {
    if (strcmp (names[i], name) != 0)
      continue;
    *how = (RdProducts) i;
    return TRUE;
  }
  return FALSE;
}

gboolean
rd_products_tiles (void)
{
  return rd_product_kernels_amx () != NULL;
}

/* ---- single precision ---- */

static void
product_f32 (const RdProduct * p)
{
  const RdOperand *left = &p->left, *right = &p->right;

  cblas_sgemm (CblasRowMajor, left->across ? CblasTrans : CblasNoTrans,
      right->across ? CblasNoTrans : CblasTrans, (blasint) left->lines,
      (blasint) right->lines, (blasint) p->depth, 1.0f, left->values,
      (blasint) left->stride, right->values, (blasint) right->stride,
      p->accumulate ? 1.0f : 0.0f, p->c, (blasint) p->stride);
}

/* ---- bfloat16 ---- */

/* A thread's packed panels. */
typedef struct
{
  guint16 left[MAX_PANELS * MAX_STEPS * PANEL_VALUES];
  guint16 right[MAX_STEPS * PANEL_VALUES];
} Scratch;

static Scratch *
thread_scratch (void)
{
  static GPrivate key = G_PRIVATE_INIT (g_free);
  guint8 *memory = g_private_get (&key);

  if (memory == NULL) {
    memory = g_malloc (sizeof (Scratch) + ALIGNMENT);
    g_private_set (&key, memory);
  }
  return (Scratch *) (memory + ALIGNMENT - (guintptr) memory % ALIGNMENT);
}

/* One product, and where it is in it: steps of k from @k on. */
typedef struct
{
  const RdProductKernels *kernels;
  const RdProduct *product;
  Scratch *scratch;
  gsize k, steps;
} Run;

static gsize
parts (gsize n, gsize size)
{
  return (n + size - 1) / size;
}

/* RD_PANEL_LINES lines from @line on. */
static void
pack_panel (const Run * run, const RdOperand * factor, gsize line,
    gboolean by_pairs, guint16 * panel)
{
  for (gsize i = 0; i < 2 * run->steps; i++)
    run->kernels->pack (factor, run->product->depth,
        line + i % 2 * RD_TILE_LINES, run->k + i / 2 * RD_TILE_DEPTH,
        by_pairs, panel + i * RD_TILE_VALUES);
}

static void
copy_rows (float *to, gsize to_stride, const float *from, gsize from_stride,
    gsize rows, gsize cols)
{
  for (gsize i = 0; i < rows; i++)
    memcpy (to + i * to_stride, from + i * from_stride, cols * sizeof (float));
}

/* The part of c from (row, col) on. */
static void
multiply (const Run * run, const guint16 * left, gsize row, gsize col)
{
  const RdProduct *p = run->product;
  const gsize rows = MIN (p->left.lines - row, RD_PANEL_LINES);
  const gsize cols = MIN (p->right.lines - col, RD_PANEL_LINES);
  const gboolean accumulate = p->accumulate || run->k > 0;
  float *c = p->c + row * p->stride + col;
  float edge[RD_PANEL_LINES * RD_PANEL_LINES] = { 0 };

  if (rows == RD_PANEL_LINES && cols == RD_PANEL_LINES) {
    run->kernels->multiply (left, run->scratch->right, run->steps, accumulate,
        c, p->stride);
    return;
  }
  if (accumulate)
    copy_rows (edge, RD_PANEL_LINES, c, p->stride, rows, cols);
  run->kernels->multiply (left, run->scratch->right, run->steps, accumulate,
      edge, RD_PANEL_LINES);
  copy_rows (c, p->stride, edge, RD_PANEL_LINES, rows, cols);
}

/* Rows [first, last) of c for the steps of @run. */
static void
multiply_rows (const Run * run, gsize first, gsize last)
{
  const gsize panel = run->steps * PANEL_VALUES;
  guint16 *left = run->scratch->left;

  for (gsize row = first; row < last; row += RD_PANEL_LINES)
    pack_panel (run, &run->product->left, row, FALSE,
        left + (row - first) / RD_PANEL_LINES * panel);
  for (gsize col = 0; col < run->product->right.lines; col += RD_PANEL_LINES) {
    pack_panel (run, &run->product->right, col, TRUE, run->scratch->right);
    for (gsize row = first; row < last; row += RD_PANEL_LINES)
      multiply (run, left + (row - first) / RD_PANEL_LINES * panel, row, col);
  }
}

void
rd_product_bf16 (const RdProductKernels * kernels, const RdProduct * product)
{
  const gsize rows = product->left.lines;
  const gsize steps = MAX (parts (product->depth, RD_TILE_DEPTH), 1);
  const gsize block = parts (steps, parts (steps, MAX_STEPS));
  const gsize block_rows = (gsize) MAX_PANELS * RD_PANEL_LINES;
  const StFpMode mode = st_fp_enter ();
  Run run = { kernels, product, thread_scratch (), 0, 0 };

  kernels->begin ();
  for (gsize step = 0; step < steps; step += block) {
    run.k = step * RD_TILE_DEPTH;
    run.steps = MIN (steps - step, block);
    for (gsize row = 0; row < rows; row += block_rows)
      multiply_rows (&run, row, MIN (row + block_rows, rows));
  }
  kernels->end ();
  st_fp_leave (mode);
}

void
rd_product (RdProducts how, const RdProduct * product)
{
  const RdProductKernels *tiles;

  if (how == RD_PRODUCTS_F32) {
    product_f32 (product);
    return;
  }
  tiles = rd_product_kernels_amx ();
  rd_product_bf16 (tiles != NULL ? tiles : &rd_product_kernels_c, product);
}
