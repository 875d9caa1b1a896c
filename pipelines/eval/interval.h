/* Confidence intervals: a bootstrap over blocks of positions, and Wilson's interval of a share. */
#pragma once
#include "pipelines/eval/sums.h"

G_BEGIN_DECLS

/* Positions of one block. What happens at a position depends on those before it, so positions are not drawn one by one; 64 is what one
 * frame holds by default. */
#define EVAL_BLOCK 64

/** EvalInterval: a figure and its 95 % interval; low and high are NAN where there is none. */
typedef struct
{
  gdouble value, low, high;
} EvalInterval;

/** EvalResampling: how often, and with which seed. */
typedef struct
{
  guint seed;
  guint n;                      /* 0 = no intervals */
} EvalResampling;

/** EvalBlocks: one sum for each block of EVAL_BLOCK positions, by domain. */
typedef struct
{
  guint n_domains;
  GArray **blocks;              /* n_domains, of EvalSum */
} EvalBlocks;
#define EVAL_ALL_DOMAINS (-1)

EvalBlocks *eval_blocks_new (guint n_domains);
void eval_blocks_free (EvalBlocks * blocks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvalBlocks, eval_blocks_free)
/** Cuts a text's @n positions into blocks of @domain; the first position of the text is not among them. */
void eval_blocks_add (EvalBlocks * blocks, guint domain, const EvalSum * sums, gsize n);

/** EvalStatistic: a figure of @n sums, NAN if they have none. */
typedef gdouble (*EvalStatistic) (const EvalSum * sums, guint n, gpointer user_data);

/** eval_bootstrap: @statistic of the sums over @domain (or EVAL_ALL_DOMAINS) of each of @n_sets sets, and its percentile interval.
 * Blocks are drawn with replacement within each domain, the same ones from every set: differences between codecs are paired. Sets
 * that cover a different number of blocks are cut to the shortest. The same arguments give the same interval on every machine. No
 * interval without at least two blocks, or if more than a tenth of the draws have no such figure. */
EvalInterval eval_bootstrap (EvalBlocks * const *sets, guint n_sets, gint domain, EvalStatistic statistic, gpointer user_data,
    const EvalResampling * how);
/** A metric of one set. */
EvalInterval eval_bootstrap_metric (EvalBlocks * blocks, gint domain, EvalMetric metric, const EvalResampling * how);

/** eval_quantile: sorts @n values, at least 1, and tells which one (or which between two) a @share of them lies below. */
gdouble eval_quantile (gdouble * values, guint n, gdouble share);

/** eval_wilson: share and Wilson score interval (95 %) of @hits out of @n; NAN if @n is 0. */
EvalInterval eval_wilson (guint hits, guint n);

G_END_DECLS
