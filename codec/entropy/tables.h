/* Probability tables of the entropy coder: integers only, immutable, shared by any number of coders and threads.
 *
 * A table gives the values min .. min + n_values - 1 and, as its last symbol, the escape, a frequency of at least 1; together they sum to
 * RD_TABLE_TOTAL. A value outside of the range is the escape followed by its distance in bits (FORMAT.md), so every table can code every
 * value up to RD_SYMBOL_MAX. Tables come from a file: everything is checked here, once. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_ENTROPY_ERROR (rd_entropy_error_quark ())
GQuark rd_entropy_error_quark (void);
typedef enum
{
  RD_ENTROPY_ERROR_TABLE,       /* a table that cannot be; the message gives its index and what is wrong */
  RD_ENTROPY_ERROR_SYMBOL,      /* a value beyond RD_SYMBOL_MAX */
  RD_ENTROPY_ERROR_STREAM,      /* damaged or truncated stream */
} RdEntropyError;

#define RD_TABLE_BITS 14
#define RD_TABLE_TOTAL (1u << RD_TABLE_BITS)
#define RD_TABLE_MAX_VALUES 899u        /* n_values; up to RD_TABLE_NARROW_VALUES decode fastest */
#define RD_TABLE_NARROW_VALUES 29u
#define RD_TABLE_MIN_VALUE (-8192)      /* smallest min */
#define RD_TABLE_MAX_MIN 8190   /* largest min */
#define RD_TABLE_MAX_GOLOMB 12u
#define RD_TABLES_MAX 65535u
#define RD_SYMBOL_MAX (1 << 24) /* largest magnitude of a symbol */

/** RdTableSpec: one table as it is stored in files. */
typedef struct
{
  gint32 min;                   /* first value */
  guint n_values;               /* 1..RD_TABLE_MAX_VALUES, without the escape */
  guint golomb;                 /* order of the escape's Exp-Golomb code, 0..RD_TABLE_MAX_GOLOMB */
  const guint16 *cumulative;    /* n_values + 2: 0, then strictly ascending, the last one RD_TABLE_TOTAL */
} RdTableSpec;

typedef struct _RdTables RdTables;

/** rd_tables_new: checks and copies @n tables (1..RD_TABLES_MAX). TABLE error that names the first bad one. Free with rd_tables_free(),
 * after the coders that use it. */
RdTables *rd_tables_new (const RdTableSpec * specs, gsize n, GError ** error);
void rd_tables_free (RdTables * tables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdTables, rd_tables_free)

gsize rd_tables_count (const RdTables * tables);
/** rd_tables_bits: ideal length of @symbol (magnitude up to RD_SYMBOL_MAX) under table @index, with the bits that follow an escape. For
 * decisions of an encoder and for reports; floating point, so nothing that a decoder repeats may depend on it. */
gdouble rd_tables_bits (const RdTables * tables, gsize index, gint32 symbol);

/** rd_cumulative_from_counts: frequencies in proportion to @counts (@n of them, the last is the escape's; their sum below 2^48), each at
 * least 1, the sum RD_TABLE_TOTAL, chosen so that the counted symbols cost least
 * (within what c / (f + 1/2) differs from the logarithm's slope); written as @n + 1 @cumulative values. Integers only and
 * free of ties: the same result everywhere. TABLE error if n is not 2..RD_TABLE_MAX_VALUES + 1, or the sum is 0 or too large. */
gboolean rd_cumulative_from_counts (const guint64 * counts, gsize n, guint16 * cumulative, GError ** error);

G_END_DECLS
