#include "codec/training/prior.h"

#include <math.h>

double
rd_prior_bits (const RdPriorClass * prior, const double *derived, double z)
{
  return -log2 (MAX (prior->interval (derived, z - 0.5, z + 0.5),
          RD_PRIOR_FLOOR));
}

double
rd_prior_bits_backward (const RdPriorClass * prior, const double *derived,
    double z, double d_bits, double *d_derived)
{
  const double p = MAX (prior->interval (derived, z - 0.5, z + 0.5),
      RD_PRIOR_FLOOR);

  return prior->interval_backward (derived, z - 0.5, z + 0.5,
      -d_bits / (p * G_LN2), d_derived);
}
