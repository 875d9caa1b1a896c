/* Products of matrices, in single precision or of values rounded to bfloat16. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** RdProducts: how products are done.
 * RD_PRODUCTS_F32: OpenBLAS, single precision.
 * RD_PRODUCTS_BF16: factors are rounded to bfloat16 (8 bits of precision, the range of floats), sums are single precision. On AMX tiles, or in
 * plain C with the same bits (NaN payloads and products below 2^-126 aside). Every element of the result depends on its own row and column and
 * on the number of their elements alone. */
typedef enum
{
  RD_PRODUCTS_F32,
  RD_PRODUCTS_BF16,
  RD_N_PRODUCTS
} RdProducts;

/** RdOperand: a matrix of @lines rows (of the left factor) or columns (of the right one), each of the product's @depth elements. Element k of line i is
 * values[i * stride + k], or values[k * stride + i] if @across. */
typedef struct
{
  const float *values;
  gsize stride;
  gboolean across;
  gsize lines;
} RdOperand;

/** RdProduct: c[i * stride + j] = or (@accumulate) += sum over k of left (i, k) * right (j, k). */
typedef struct
{
  RdOperand left, right;
  gsize depth;
  gboolean accumulate;
  float *c;
  gsize stride;
} RdProduct;

/** rd_product: one thread; sizes may be anything, c none of the factors. */
void rd_product (RdProducts how, const RdProduct * product);

/** rd_products_name: "f32", "bf16". */
const gchar *rd_products_name (RdProducts how);
/** rd_products_by_name: FALSE if there are none of that name. */
gboolean rd_products_by_name (const gchar * name, RdProducts * how);
/** rd_products_tiles: whether RD_PRODUCTS_BF16 runs on tiles; else it is right, but slower than RD_PRODUCTS_F32. Asks the kernel (Linux) for the
 * permission to use them, once in a process. */
gboolean rd_products_tiles (void);
/** What to tell where they do not. */
#define RD_PRODUCTS_SLOW "this CPU or system has no bfloat16 tiles (AMX): the products have the same bits in plain C, but are slower than f32"

G_END_DECLS
