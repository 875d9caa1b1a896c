#include "codec/training/linear.h"

#include <cblas.h>
#include <math.h>

#include "models/kernels/kernels.h"

/* LAPACK's own names; Debian's OpenBLAS has the functions but no header with all of them. Column-major: a row here is a column there. */
void dsyevd_ (const char *jobz, const char *uplo, const blasint * n, double *a,
    const blasint * lda, double *w, double *work, const blasint * lwork,
    blasint * iwork, const blasint * liwork, blasint * info);
void dpotrf_ (const char *uplo, const blasint * n, double *a,
    const blasint * lda, blasint * info);
void dpotrs_ (const char *uplo, const blasint * n, const blasint * nrhs,
    const double *a, const blasint * lda, double *b, const blasint * ldb,
    blasint * info);

double *
rd_linear_new (gsize rows, gsize cols, const gchar * what, GError ** error)
{
  double *values = NULL;
  gsize n;

  if (g_size_checked_mul (&n, rows, cols))
    values = g_try_malloc0_n (MAX (n, 1), sizeof (double));
  if (values == NULL)
    g_set_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_MEMORY,
        "cannot allocate %.0f MiB for %s",
        (double) rows * (double) cols * sizeof (double) / (1 << 20), what);
  return values;
}

static gboolean
check_finite (const double *matrix, gsize n, const gchar * what,
    GError ** error)
{
  for (gsize i = 0; i < n * n; i++) {
    if (isfinite (matrix[i]))
      continue;
    g_set_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_FAILED,
        "%s: row %" G_GSIZE_FORMAT ", column %" G_GSIZE_FORMAT " is %g", what,
        i / n, i % n, matrix[i]);
    return FALSE;
  }
  return TRUE;
}

/* The sign of an eigenvector is arbitrary. */
static void
fix_sign (double *row, gsize n)
{
  gsize at = cblas_idamax ((blasint) n, row, 1);

  if (row[at] < 0)
    cblas_dscal ((blasint) n, -1, row, 1);
}

/* LAPACK's order is ascending. */
static void
reverse (double *matrix, gsize n, double *values)
{
  for (gsize i = 0; i < n / 2; i++) {
    double value = values[i];

    values[i] = values[n - 1 - i];
    values[n - 1 - i] = value;
    cblas_dswap ((blasint) n, matrix + i * n, 1, matrix + (n - 1 - i) * n, 1);
  }
}

gboolean
rd_linear_eigen (double *matrix, gsize n, double *values, const gchar * what,
    GError ** error)
{
  const blasint size = (blasint) n, query = -1;
  blasint info = 0, integers = 0, n_work, n_integers;
  g_autofree double *work = NULL;
  g_autofree blasint *iwork = NULL;
  double floats = 0;

  st_blas_one_thread ();
  if (!check_finite (matrix, n, what, error))
    return FALSE;
  dsyevd_ ("V", "U", &size, matrix, &size, values, &floats, &query, &integers,
      &query, &info);
  n_work = (blasint) floats;
  n_integers = integers;
  work = rd_linear_new (1, (gsize) MAX (n_work, 1), what, error);
  if (work == NULL)
    return FALSE;
  iwork = g_new0 (blasint, MAX (n_integers, 1));
  dsyevd_ ("V", "U", &size, matrix, &size, values, work, &n_work, iwork,
      &n_integers, &info);
  if (info != 0) {
    g_set_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_FAILED,
        "%s: the eigenvalues did not converge", what);
    return FALSE;
  }
  reverse (matrix, n, values);
  for (gsize i = 0; i < n; i++)
    fix_sign (matrix + i * n, n);
  return TRUE;
}

gboolean
rd_linear_factor (double *matrix, gsize n, const gchar * what, GError ** error)
{
  const blasint size = (blasint) n;
  blasint info = 0;

  st_blas_one_thread ();
  dpotrf_ ("L", &size, matrix, &size, &info);
  if (info == 0)
    return TRUE;
  g_set_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_FAILED,
      "%s: not positive definite from row %d on", what, (int) info - 1);
  return FALSE;
}

void
rd_linear_solve (const double *factor, gsize n, double *rows, gsize n_rows)
{
  const blasint size = (blasint) n, count = (blasint) n_rows;
  blasint info = 0;

  dpotrs_ ("L", &size, &count, factor, &size, rows, &size, &info);
  g_return_if_fail (info == 0);
}

void
rd_linear_product (const double *a, const double *b, gsize m, gsize n, gsize k,
    gboolean transposed, double *c)
{
  st_blas_one_thread ();
  cblas_dgemm (CblasRowMajor, CblasNoTrans,
      transposed ? CblasTrans : CblasNoTrans, (blasint) m, (blasint) n,
      (blasint) k, 1, a, (blasint) k, b, (blasint) (transposed ? k : n), 0, c,
      (blasint) n);
}

void
rd_linear_subtract (const float *a, const float *b, gsize m, gsize n, gsize k,
    float *c)
{
  st_blas_one_thread ();
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint) m,
      (blasint) n, (blasint) k, -1, a, (blasint) k, b, (blasint) n, 1, c,
      (blasint) n);
}

void
rd_linear_gram (const double *rows, gsize n_rows, gsize n, double *sum)
{
  st_blas_one_thread ();
  cblas_dsyrk (CblasRowMajor, CblasUpper, CblasTrans, (blasint) n,
      (blasint) n_rows, 1, rows, (blasint) n, 1, sum, (blasint) n);
}

void
rd_linear_mirror (double *matrix, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    for (gsize j = i + 1; j < n; j++)
      matrix[j * n + i] = matrix[i * n + j];
  }
}

G_DEFINE_QUARK (rd_linear_error_quark, rd_linear_error)
