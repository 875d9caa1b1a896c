#include "codec/training/moments.h"

#include <string.h>

#include "codec/training/linear.h"

gboolean
rd_moments_init (RdMoments * moments, gsize width, GError ** error)
{
  *moments = (RdMoments) {
  .width = width};
  moments->sum = rd_linear_new (1, width, "sums", error);
  if (moments->sum != NULL)
    moments->square = rd_linear_new (width, width, "sums of products", error);
  return moments->square != NULL;
}

void
rd_moments_clear (RdMoments * moments)
{
  g_clear_pointer (&moments->sum, g_free);
  g_clear_pointer (&moments->square, g_free);
}

void
rd_moments_add (RdMoments * moments, const double *rows, gsize n)
{
  const gsize width = moments->width;

  for (gsize i = 0; i < n; i++) {
    for (gsize j = 0; j < width; j++)
      moments->sum[j] += rows[i * width + j];
  }
  rd_linear_gram (rows, n, width, moments->square);
  moments->n += n;
}

void
rd_moments_merge (RdMoments * moments, const RdMoments * other)
{
  const gsize width = moments->width;

  for (gsize i = 0; i < width; i++)
    moments->sum[i] += other->sum[i];
  for (gsize i = 0; i < width * width; i++)
    moments->square[i] += other->square[i];
  moments->n += other->n;
}

void
rd_moments_center (const RdMoments * moments, double *mean, double *covariance)
{
  const gsize width = moments->width;
  const double n = (double) moments->n;

  for (gsize i = 0; i < width; i++)
    mean[i] = moments->sum[i] / n;
  for (gsize i = 0; i < width; i++) {
    for (gsize j = i; j < width; j++)
      covariance[i * width + j] =
          moments->square[i * width + j] / n - mean[i] * mean[j];
  }
  rd_linear_mirror (covariance, width);
}
