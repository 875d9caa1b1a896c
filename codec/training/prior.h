/* Densities of latents, one a channel: what the whole numbers z of a hyper-prior cost. Double precision. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** RdPriorClass: a family of cumulative functions F. A channel has @n_values trained numbers, which some @n_derived numbers are made of that all
 * else is computed with. */
typedef struct
{
  const gchar *name;
  gsize n_values, n_derived;
  /* Values at which F is the logistic function with this scale. @seed: what breaks the symmetry between parts. */
  void (*start) (float *values, double scale, guint64 seed);
  void (*derive) (const float *values, double *derived);
  /* F (upper) - F (lower) */
  double (*interval) (const double *derived, double lower, double upper);
  /* Adds @d_p times the derivatives of it to @d_derived (may be NULL) and returns @d_p times that by a shift of both ends. */
  double (*interval_backward) (const double *derived, double lower, double upper, double d_p, double *d_derived);
  /* Adds to @gradient (n_values) what @d_derived is by the values. */
  void (*chain) (const float *values, const double *d_derived, float *gradient);
} RdPriorClass;

/** The deep factorised density of Balle et al., Variational image compression with a scale hyperprior, 2018, appendix 6.1: a monotonic network with
 * weights that are softplus of something and gates that are tanh of something. RD_PRIOR_LAYERS layers of width RD_PRIOR_WIDTH. */
extern const RdPriorClass rd_prior_factorized;
#define RD_PRIOR_LAYERS 9
#define RD_PRIOR_WIDTH 3

/** The Fourier basis density of de la Fuente et al., 2024: on (-1, 1) the squared magnitude of a sum of RD_PRIOR_FREQUENCIES complex waves, and the
 * real line mapped to it by tanh ((z - offset) / scale). */
extern const RdPriorClass rd_prior_fourier;
#define RD_PRIOR_FREQUENCIES 60

/** RD_PRIOR_FLOOR: the least probability that anything is taken for. Its derivative goes on below, so that what fell there comes back. */
#define RD_PRIOR_FLOOR 1e-9

/** rd_prior_bits: of z under one channel: -log2 (F (z + 1/2) - F (z - 1/2)). */
double rd_prior_bits (const RdPriorClass * prior, const double *derived, double z);
/** rd_prior_bits_backward: derivative by z, @d_bits times; adds those by the channel to @d_derived (may be NULL). */
double rd_prior_bits_backward (const RdPriorClass * prior, const double *derived, double z, double d_bits, double *d_derived);

G_END_DECLS
