/* First and second moments of rows of floats, summed in double precision. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** RdMoments: of @n rows of @width values. The sums are owned. */
typedef struct
{
  gsize n, width;
  double *sum;                  /* (width) */
  double *square;               /* (width, width), upper half: sum of row^T row */
} RdMoments;

/** rd_moments_init: no rows. Error RD_LINEAR_ERROR_MEMORY. */
gboolean rd_moments_init (RdMoments * moments, gsize width, GError ** error);
void rd_moments_clear (RdMoments * moments);

/** rd_moments_add: @n more rows (n, width). */
void rd_moments_add (RdMoments * moments, const double *rows, gsize n);
/** rd_moments_merge: adds the sums of @other, of the same width. */
void rd_moments_merge (RdMoments * moments, const RdMoments * other);

/** rd_moments_center: the mean (width) and, in all of @covariance (width, width), the covariance. n >= 1. */
void rd_moments_center (const RdMoments * moments, double *mean, double *covariance);

G_END_DECLS
