/* Weights of a codec's contexts: how far what a token has had so far moves the scale of its next coefficient. */
#pragma once
#include "codec/learned/model.h"

G_BEGIN_DECLS

/** RdContextBits: ideal lengths of symbols under a codec's scale tables. */
typedef struct _RdContextBits RdContextBits;
RdContextBits *rd_context_bits_new (const RdLearnedParameters * parameters);
void rd_context_bits_free (RdContextBits * bits);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdContextBits, rd_context_bits_free)

/** RdContextCosts: what the symbols of each coefficient would have cost under every choice of its two weights. */
typedef struct _RdContextCosts RdContextCosts;
RdContextCosts *rd_context_costs_new (gsize hidden_size);
void rd_context_costs_free (RdContextCosts * costs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdContextCosts, rd_context_costs_free)

/** RdContextSource: where symbols come from. */
typedef struct
{
  const RdLearnedModel *model;
  const RdContextBits *bits;
  guint set, level;
  gboolean scalar;
} RdContextSource;

/** rd_context_costs_add: the symbols of one block. */
void rd_context_costs_add (RdContextCosts * costs, const RdContextSource * source, const RdSymbols * symbols);
void rd_context_costs_merge (RdContextCosts * costs, const RdContextCosts * other);

/** rd_context_costs_choose: the cheapest @weights (2, D) of each coefficient. Those of a coefficient without symbols stay. */
void rd_context_costs_choose (const RdContextCosts * costs, gint32 * weights);

G_END_DECLS
