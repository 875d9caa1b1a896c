/* How tables lie in memory. Private to codec/entropy.
 *
 * Decoding looks a slot up by comparing it with the 32 numbers of one cache line and counting. A line has 31 ascending limits (those of
 * up to 30 symbols, filled up with RD_TABLE_TOTAL) and a number that no slot reaches: RD_LINE_MIN + min, or RD_LINE_WIDE. In a wide table
 * the first line has the limits of its fine lines, and each of those the limits of 30 symbols. */
#pragma once
#include "codec/entropy/tables.h"

G_BEGIN_DECLS

#define RD_LINE_SIZE 32
#define RD_LINE_SYMBOLS 30
#define RD_LINE_EXTRA 31        /* index of the number that is not a limit */
#define RD_LINE_MIN (RD_TABLE_TOTAL - RD_TABLE_MIN_VALUE)
#define RD_LINE_WIDE 0x7fff

/* Encoder's entry of a symbol with frequency f: multiplier m = ceil(2^(31 + b) / f) for the smallest b with f <= 2^b in bits 0..31, f - 1 in
 * 32..45, start of its range in 46..59, b in 60..63. x / f = x * m >> (31 + b) for all x < f << 17. */
#define RD_ENTRY_START_SHIFT 14
#define RD_ENTRY_B_SHIFT 28
#define RD_ENTRY_MASK (RD_TABLE_TOTAL - 1)

typedef guint16 RdLine[RD_LINE_SIZE];

typedef struct
{
  guint32 first_entry;
  gint32 min;
  guint16 n_values;
  guint16 golomb;
  guint32 fine;                 /* first fine line of a wide table */
} RdTableInfo;

struct _RdTables
{
  gsize n;
  RdLine *lines;                /* aligned to 64 bytes; first one line per table, then the fine lines */
  RdTableInfo *info;            /* n */
  guint64 *entries;             /* encoder: n_values + 1 per table, the escape last */
};

G_END_DECLS
