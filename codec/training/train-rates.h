/* Rate points: how much a bit costs, and the level of codec files that belongs to that. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** rd_rate_level: the level (0 .. 127) at which a codec is the best choice for @lambda nats a bit. */
double rd_rate_level (double lambda);

/** RdRates: where training draws rate points. */
typedef struct
{
  double min, max;              /* lambda, 0 < min <= max */
  gsize batch;                  /* sequences of a step */
  guint64 seed;
} RdRates;

/** rd_rates_draw: lambda of sequence @counter of the training, uniform in its logarithm, a function of (rates, counter) alone. A step's sequences
 * are spread: each of the @batch equal parts of the range has one. */
double rd_rates_draw (const RdRates * rates, guint64 counter);
/** rd_rates_place: which of @n equal parts of the range (in logarithms) @lambda is in. */
guint rd_rates_place (const RdRates * rates, double lambda, guint n);
/** rd_rate_weight: of a sequence in the gradient. */
double rd_rate_weight (double lambda);

G_END_DECLS
