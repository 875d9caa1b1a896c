/* What a codec is fitted to: moments of hidden states, the second moment of the losses' gradients, and rows of both. D = hidden size.
 *
 * Sequences come one after the other; whatever is kept depends on them and their order alone. The first position of a sequence and rows
 * of massive activations are no part of the moments: their norm is far above that of the others, and constants stand for them. */
#pragma once
#include "codec/training/moments.h"

G_BEGIN_DECLS

/** RD_STATISTICS_MASSIVE: a row is massive above so many times the median norm of the first sequence. */
#define RD_STATISTICS_MASSIVE 4
/** RD_STATISTICS_MAX_MASSIVE: massive rows that are kept. */
#define RD_STATISTICS_MAX_MASSIVE 4096
/** RD_STATISTICS_HELD_OUT: every so-manieth sequence does not fit anything: it chooses between fits. */
#define RD_STATISTICS_HELD_OUT 5

/** RdStatisticsSize: what is summed and kept. */
typedef struct
{
  gsize hidden_size;
  gsize length;                 /* tokens of a sequence, at least 2 */
  gsize sequences;              /* in all */
  gsize gradient_sequences;     /* the first of them come with gradients, and their rows are kept */
  gboolean features;            /* rows to predict the states from come along */
} RdStatisticsSize;

/** RdRowsKept: (n, D) each. */
typedef struct
{
  gsize n;
  float *x;
  float *features;              /* NULL without */
  float *gradient;
  guint32 *sequence;            /* (n) number of the sequence */
} RdRowsKept;

typedef struct
{
  RdStatisticsSize size;
  gsize done;                   /* sequences so far */
  double limit[2];              /* squared norm above which states, features are massive */
  RdMoments states[2];          /* of the sequences that fit, that are held out; rows x, or x and features beside each other */
  RdMoments gradients;
  RdRowsKept kept;
  gsize n_massive;
  float *massive;               /* (RD_STATISTICS_MAX_MASSIVE, D), n_massive of them filled */
  double *scratch;              /* (length, D); (length, 2 D) with features */
} RdStatistics;

/** rd_statistics_new: all memory at once. Error RD_LINEAR_ERROR_MEMORY. */
RdStatistics *rd_statistics_new (const RdStatisticsSize * size, GError ** error);
void rd_statistics_free (RdStatistics * statistics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdStatistics, rd_statistics_free)

/** RdSequence: (length, D) each. */
typedef struct
{
  const float *x;
  const float *features;        /* with size.features */
  const float *gradient;        /* of the first gradient_sequences */
} RdSequence;

/** rd_statistics_add: the next sequence. */
void rd_statistics_add (RdStatistics * statistics, const RdSequence * sequence);

static inline gboolean
rd_statistics_is_held_out (gsize sequence)
{
  return sequence % RD_STATISTICS_HELD_OUT == RD_STATISTICS_HELD_OUT - 1;
}

/** rd_statistics_wants_gradient: whether the sequence number @sequence comes with gradients. */
static inline gboolean
rd_statistics_wants_gradient (const RdStatistics * statistics, gsize sequence)
{
  return sequence < statistics->size.gradient_sequences;
}

G_END_DECLS
