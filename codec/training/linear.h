/* Dense symmetric matrices in double precision, row-major (n, n). OpenBLAS on one thread: the same bits every time on one machine. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_LINEAR_ERROR (rd_linear_error_quark ())
GQuark rd_linear_error_quark (void);
typedef enum
{
  RD_LINEAR_ERROR_FAILED,       /* no factorisation, values that are not finite */
  RD_LINEAR_ERROR_MEMORY,
} RdLinearError;

/** rd_linear_new: (rows, cols) zeros; MEMORY error that names @what and the size. Free with g_free(). */
double *rd_linear_new (gsize rows, gsize cols, const gchar * what, GError ** error);

/** rd_linear_eigen: eigenvectors of the symmetric @matrix take its place, one a row, by descending eigenvalues (@values, n). The largest
 * component of each is positive. FAILED names @what. */
gboolean rd_linear_eigen (double *matrix, gsize n, double *values, const gchar * what, GError ** error);
/** rd_linear_factor: the Cholesky factor takes the place of @matrix, which is read above the diagonal only. FAILED names @what. */
gboolean rd_linear_factor (double *matrix, gsize n, const gchar * what, GError ** error);
/** rd_linear_solve: @rows (n_rows, n) become the solutions of matrix * row = row, with the factor of the matrix. */
void rd_linear_solve (const double *factor, gsize n, double *rows, gsize n_rows);
/** rd_linear_product: c (m, n) = a (m, k) b (k, n); @transposed: b is (n, k). */
void rd_linear_product (const double *a, const double *b, gsize m, gsize n, gsize k, gboolean transposed, double *c);
/** rd_linear_subtract: c (m, n) -= a (m, k) b (k, n), in single precision. */
void rd_linear_subtract (const float *a, const float *b, gsize m, gsize n, gsize k, float *c);
/** rd_linear_gram: the upper half of @sum (n, n) += rows^T rows. */
void rd_linear_gram (const double *rows, gsize n_rows, gsize n, double *sum);
/** rd_linear_mirror: the upper half to the lower one. */
void rd_linear_mirror (double *matrix, gsize n);

G_END_DECLS
