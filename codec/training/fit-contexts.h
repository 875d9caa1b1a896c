/* Contexts of a codec: how far what a token has had so far moves the scale of its next coefficient, and what it should have had. */
#pragma once
#include "codec/learned/model.h"

G_BEGIN_DECLS

/** RdContextBits: ideal lengths of symbols under a codec's scale tables. */
typedef struct _RdContextBits RdContextBits;
RdContextBits *rd_context_bits_new (const RdLearnedParameters * parameters);
void rd_context_bits_free (RdContextBits * bits);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdContextBits, rd_context_bits_free)

/** RdContextTally: magnitudes of symbols by their nominal scale, and what the symbols of each coefficient would have cost under every choice of
 * its two weights. */
typedef struct _RdContextTally RdContextTally;
RdContextTally *rd_context_tally_new (gsize hidden_size);
void rd_context_tally_free (RdContextTally * tally);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdContextTally, rd_context_tally_free)

/** RdContextSource: where symbols come from. */
typedef struct
{
  const RdLearnedModel *model;
  const RdContextBits *bits;
  guint set, level;
  gboolean scalar;
} RdContextSource;

/** rd_context_tally_add: the symbols of one block; @with_costs FALSE: only their magnitudes. */
void rd_context_tally_add (RdContextTally * tally, const RdContextSource * source, const RdSymbols * symbols, gboolean with_costs);
void rd_context_tally_merge (RdContextTally * tally, const RdContextTally * other);

/** rd_context_tally_choose: the cheapest @weights (2, D) of each coefficient. Those of a coefficient without costs stay. */
void rd_context_tally_choose (const RdContextTally * tally, gint32 * weights);
/** rd_context_tally_set_magnitudes: @magnitude of @parameters, drawn towards what it is where there are few symbols. */
void rd_context_tally_set_magnitudes (const RdContextTally * tally, RdLearnedParameters * parameters);

G_END_DECLS
