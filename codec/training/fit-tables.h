/* Probability tables of a codec from the symbols that it makes of hidden states. */
#pragma once
#include "codec/learned/learned.h"

G_BEGIN_DECLS

#define RD_COUNTED 512          /* magnitudes that are told apart */
#define RD_SCALE_TABLES (3 * RD_LEARNED_SCALES)
#define RD_TOKEN_STEPS (RD_LEARNED_MAX_TOKEN_STEP - RD_LEARNED_MIN_TOKEN_STEP + 1)

/** RdSymbolCounts: zeroed at first. */
typedef struct
{
  guint64 magnitude[RD_SCALE_TABLES][RD_COUNTED + 1];   /* by table; the last: all that are larger */
  guint64 step[RD_TOKEN_STEPS]; /* of tokens */
} RdSymbolCounts;

/** rd_symbol_counts_add: the symbols of one block; @hidden = D. */
void rd_symbol_counts_add (RdSymbolCounts * counts, const RdSymbols * symbols, gsize hidden);
void rd_symbol_counts_merge (RdSymbolCounts * counts, const RdSymbolCounts * other);

/** RdModeCounts: how often a token is an ordinary one, and how often its state is each constant. */
typedef struct
{
  gsize plain;
  gsize constants[RD_LEARNED_MAX_CONSTANTS];
} RdModeCounts;

/** rd_tables_fit: tables and mean magnitudes of @parameters. Scale tables are symmetric: counts of a value and its negative together,
 * drawn towards those of the scales beside it, and towards a Laplace distribution where there are few. Of @counts without any symbol the
 * Laplace distributions remain. Errors: RD_ENTROPY_ERROR. */
gboolean rd_tables_fit (const RdSymbolCounts * counts, const RdModeCounts * modes, RdLearnedParameters * parameters, GError ** error);

/** rd_table_magnitude_bits: ideal length of a symbol of a symmetric table, escape and sign with it. */
float rd_table_magnitude_bits (const RdLearnedTable * table, guint magnitude);
/** rd_tables_bits_of: ideal length of everything in @counts under the scale tables and the step table of @parameters. */
double rd_tables_bits_of (const RdSymbolCounts * counts, const RdLearnedParameters * parameters);

G_END_DECLS
