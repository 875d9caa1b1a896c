/* Products of rows with a matrix, in one order of additions everywhere: y_i = start_i + x_0 m_0,i + x_1 m_1,i + ..., each a rounded product and a
 * rounded sum (FORMAT.md section 4). AVX-512, AVX2 and baseline code give the same bits. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** RdPackedMatrix: @rows x @cols floats, packed for rd_packed_matrix_apply(). Immutable. */
typedef struct _RdPackedMatrix RdPackedMatrix;

/** rd_packed_matrix_new: copies @values (rows x cols); NULL if there is no memory. */
RdPackedMatrix *rd_packed_matrix_new (const gfloat * values, gsize rows, gsize cols);
void rd_packed_matrix_free (RdPackedMatrix * matrix);

/** RdFactor: what a matrix is multiplied with: @n rows, element i of row r being values[r * row_stride + i * line_stride]. */
typedef struct
{
  const gfloat *values;
  gsize n, row_stride, line_stride;
} RdFactor;

/** rd_packed_matrix_apply: adds to y (n x cols) the products of @x with the matrix. */
void rd_packed_matrix_apply (const RdPackedMatrix * matrix, const RdFactor * x, gfloat * y);

/** rd_packed_matrix_unpack: @values (rows x cols) as they were packed. */
void rd_packed_matrix_unpack (const RdPackedMatrix * matrix, gfloat * values);

/** rd_matrix_invert: @out = inverse of @values (n x n), in double by elimination with pivots; FALSE if it has none. The same on every
 * instruction set. */
gboolean rd_matrix_invert (const gfloat * values, gsize n, gfloat * out);

G_END_DECLS
