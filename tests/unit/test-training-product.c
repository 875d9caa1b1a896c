/* Products of values in bfloat16: tiles against plain C bit for bit, both against sums in double precision, and what results depend on. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "codec/float-bits.h"
#include "codec/training/product-private.h"
#include "tests/support/random-weights.h"

/* Columns of c that are not part of it. */
#define MARGIN 3

/* A product with its own memory. */
typedef struct
{
  RdProduct product;
  float *left, *right, *c;
  gsize size;                   /* floats of c */
} Fixture;

static RdOperand
make_operand (float **values, gsize lines, gsize depth, gboolean across)
{
  const gsize stride = (across ? lines : depth) + (gsize) g_test_rand_int_range
      (0, 4);

  *values = st_test_floats (stride * (across ? depth : lines));
  return (RdOperand) {
  *values, stride, across, lines};
}

static void
fixture_init (Fixture * f, gsize rows, gsize cols, gsize depth, guint variant)
{
  f->product.left = make_operand (&f->left, rows, depth, variant & 1);
  f->product.right = make_operand (&f->right, cols, depth, variant >> 1 & 1);
  f->product.depth = depth;
  f->product.accumulate = variant >> 2 & 1;
  f->product.stride = cols + MARGIN;
  f->size = rows * f->product.stride;
  f->product.c = f->c = st_test_floats (f->size);
}

static void
fixture_clear (Fixture * f)
{
  g_free (f->left);
  g_free (f->right);
  g_free (f->c);
}

/* c of @kernels, which the product's own stays without. */
static float *
run (const Fixture * f, const RdProductKernels * kernels)
{
  RdProduct product = f->product;

  product.c = g_memdup2 (f->c, f->size * sizeof (float));
  if (kernels != NULL)
    rd_product_bf16 (kernels, &product);
  else
    rd_product (RD_PRODUCTS_F32, &product);
  return product.c;
}

/* To the nearest of 8 bits of precision, ties to even, by arithmetic. */
static double
rounded (float value)
{
  int exponent;
  const double fraction = frexp ((double) value, &exponent);

  return ldexp (nearbyint (ldexp (fraction, 8)), exponent - 8);
}

static double
element (const RdOperand * o, gsize line, gsize k, gboolean bf16)
{
  const float value = o->values[o->across ? k * o->stride + line :
      line * o->stride + k];

  return bf16 ? rounded (value) : (double) value;
}

/* Each of the depth products is rounded with the partial sums that it is part of: those of its chain, its tile and of all tiles. */
static void
check_element (const Fixture * f, gsize row, gsize col, const float *c,
    gboolean bf16)
{
  const RdProduct *p = &f->product;
  const gsize at = row * p->stride + col;
  const gsize tiles = p->depth / RD_TILE_DEPTH + 1;
  const double roundings = (double) (bf16 ? RD_TILE_PAIRS + 2 + tiles :
      p->depth + 2);
  double sum = p->accumulate ? (double) f->c[at] : 0, size = fabs (sum);

  for (gsize k = 0; k < p->depth; k++) {
    const double term = element (&p->left, row, k, bf16)
        * element (&p->right, col, k, bf16);

    sum += term;
    size += fabs (term);
  }
  st_test_near ((double) c[at], sum, roundings * FLT_EPSILON * size + FLT_MIN);
}

static void
check_product (const Fixture * f, const float *c, gboolean bf16)
{
  const RdProduct *p = &f->product;

  for (gsize row = 0; row < p->left.lines; row++) {
    for (gsize col = 0; col < p->right.lines; col++)
      check_element (f, row, col, c, bf16);
    g_assert_cmpmem (c + row * p->stride + p->right.lines,
        MARGIN * sizeof (float), f->c + row * p->stride + p->right.lines,
        MARGIN * sizeof (float));
  }
}

/* Shapes around the sizes of tiles, panels and blocks, and others. */
static gsize
random_size (gsize max)
{
  static const gsize sizes[] = { 1, 2, 11, 15, 16, 17, 31, 32, 33, 48, 64, 65 };

  if (g_test_rand_bit ())
    return sizes[g_test_rand_int_range (0, G_N_ELEMENTS (sizes))];
  return (gsize) g_test_rand_int_range (1, (gint32) max);
}

static void
check_shape (gsize rows, gsize cols, gsize depth)
{
  const RdProductKernels *tiles = rd_product_kernels_amx ();

  for (guint variant = 0; variant < 8; variant++) {
    g_autofree float *plain = NULL, *single = NULL;
    Fixture f;

    fixture_init (&f, rows, cols, depth, variant);
    plain = run (&f, &rd_product_kernels_c);
    single = run (&f, NULL);
    check_product (&f, plain, TRUE);
    check_product (&f, single, FALSE);
    if (tiles != NULL) {
      g_autofree float *c = run (&f, tiles);

      g_assert_cmpmem (c, f.size * sizeof (float), plain,
          f.size * sizeof (float));
    }
    fixture_clear (&f);
  }
}

static void
test_shapes (void)
{
  if (!rd_products_tiles ())
    g_test_message ("no tiles here: plain C alone");
  for (guint i = 0; i < 12; i++)
    check_shape (random_size (80), random_size (80), random_size (200));
  /* More than a block of rows, and of k. */
  check_shape (530, 5, 40);
  check_shape (3, 7, 2 * 24 * RD_TILE_DEPTH + 5);
}

/* ---- single values ---- */

static float
product_of (const RdProductKernels * kernels, float left, float right)
{
  float c = 7.0f;
  const RdProduct product = {.left = {&left, 1, FALSE, 1},.right =
      {&right, 1, FALSE, 1},.depth = 1,.c = &c,.stride = 1
  };

  rd_product_bf16 (kernels, &product);
  return c;
}

static void
check_values (const RdProductKernels * kernels)
{
  /* Ties to even, up and down; the sign of a zero is lost in a sum; denormal values are zero. */
  const float cases[][2] = {
    {1.0f, 1.0f}, {0x1.01p0f, 0x1.00p0f}, {0x1.03p0f, 0x1.04p0f},
    {0x1.010002p0f, 0x1.02p0f}, {-0x1.03p-100f, -0x1.04p-100f},
    {0x1.ff8p20f, 0x1p21f}, {FLT_MAX, INFINITY}, {-INFINITY, -INFINITY},
    {FLT_MIN, FLT_MIN}, {FLT_MIN / 2, 0.0f}, {-FLT_MIN / 2, 0.0f},
    {0.0f, 0.0f}
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_assert_cmphex (rd_float_to_bits (product_of (kernels, cases[i][0], 1.0f)),
        ==, rd_float_to_bits (cases[i][1]));
    g_assert_cmphex (rd_float_to_bits (product_of (kernels, 1.0f, cases[i][0])),
        ==, rd_float_to_bits (cases[i][1]));
  }
  g_assert_true (isnan (product_of (kernels, NAN, 1.0f)));
  g_assert_true (isnan (product_of (kernels, INFINITY, 0.0f)));
  g_assert_cmphex (rd_float_to_bits (product_of (kernels, FLT_MIN, 0.5f)), ==,
      0);
}

static void
test_values (void)
{
  check_values (&rd_product_kernels_c);
  if (rd_product_kernels_amx () != NULL)
    check_values (rd_product_kernels_amx ());
}

/* ---- what an element depends on ---- */

/* Some rows and columns alone have the bits that they have with all others. */
static void
test_parts (void)
{
  const gsize rows = 70, cols = 90;

  for (guint variant = 0; variant < 8; variant++) {
    const gsize first = (gsize) g_test_rand_int_range (0, 60);
    const gsize n = (gsize) g_test_rand_int_range (1, 10);
    g_autofree float *all = NULL, *alone = NULL;
    Fixture f;
    RdProduct part;

    fixture_init (&f, rows, cols, random_size (100), variant);
    all = g_memdup2 (f.c, f.size * sizeof (float));
    alone = g_memdup2 (f.c, f.size * sizeof (float));
    part = f.product;
    part.c = all;
    rd_product (RD_PRODUCTS_BF16, &part);
    part = f.product;
    part.left.values += first * (part.left.across ? 1 : part.left.stride);
    part.right.values += first * (part.right.across ? 1 : part.right.stride);
    part.left.lines = part.right.lines = n;
    part.c = alone + first * part.stride + first;
    rd_product (RD_PRODUCTS_BF16, &part);
    for (gsize i = 0; i < n; i++)
      g_assert_cmpmem (part.c + i * part.stride, n * sizeof (float),
          all + (first + i) * part.stride + first, n * sizeof (float));
    fixture_clear (&f);
  }
}

static void
test_names (void)
{
  for (guint i = 0; i < RD_N_PRODUCTS; i++) {
    RdProducts how = RD_N_PRODUCTS;

    g_assert_true (rd_products_by_name (rd_products_name ((RdProducts) i),
            &how));
    g_assert_cmpuint (how, ==, i);
    g_assert_false (rd_products_by_name ("f16", &how));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training-product/shapes", test_shapes);
  g_test_add_func ("/training-product/values", test_values);
  g_test_add_func ("/training-product/parts", test_parts);
  g_test_add_func ("/training-product/names", test_names);
  return g_test_run ();
}
