/* Low-rank adapters of the language model that a codec file carries (version 2): y = W x + gate * (alpha / r) * B (A x). */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_LEARNED_MAX_ADAPTER_WIDTH (1u << 20) /* of inputs and outputs */

/** RdLearnedAdapter: the adapter of one matrix. */
typedef struct
{
  gchar *name;                  /* of the matrix in a model's file: "blk.3.attn_q.weight"; owned */
  guint inputs, outputs;        /* of the matrix */
  guint rank;                   /* r */
  gfloat *a;                    /* (rank, inputs), owned */
  gfloat *b;                    /* (outputs, rank), owned */
} RdLearnedAdapter;

/** RdLearnedAdapters: all of a file. */
typedef struct
{
  gfloat alpha;                 /* > 0; the scale of an adapter is alpha / rank */
  gfloat *gates;                /* (K) factor of all adapters at each of the file's knots; owned */
  GArray *list;                 /* of RdLearnedAdapter, owned */
} RdLearnedAdapters;

/** rd_learned_adapters_new: no adapters yet, gates 1 at each of @n_knots knots. */
RdLearnedAdapters *rd_learned_adapters_new (gfloat alpha, guint n_knots);
void rd_learned_adapters_free (RdLearnedAdapters * adapters);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdLearnedAdapters, rd_learned_adapters_free)
/** rd_learned_adapters_copy: with arrays of its own; NULL of NULL. */
RdLearnedAdapters *rd_learned_adapters_copy (const RdLearnedAdapters * adapters, guint n_knots);

/** rd_learned_adapters_add: appends an adapter; @name, @a (rank, inputs) and @b (outputs, rank) are copied. Nothing is checked before
 * rd_learned_adapters_check(). */
void rd_learned_adapters_add (RdLearnedAdapters * adapters, const gchar * name, guint inputs, guint outputs, guint rank, const gfloat * a,
    const gfloat * b);
/** rd_learned_adapters_get: number @i of the list. */
static inline RdLearnedAdapter *
rd_learned_adapters_get (const RdLearnedAdapters * adapters, guint i)
{
  return &g_array_index (adapters->list, RdLearnedAdapter, i);
}

/** rd_learned_adapters_check: everything that can be known without the model. INPUT error (RD_CODEC_ERROR) that names the first bad
 * tensor or key. */
gboolean rd_learned_adapters_check (const RdLearnedAdapters * adapters, guint hidden_size, guint n_knots, GError ** error);

/** rd_learned_adapters_gate: the factor at @level, interpolated linearly between @knots (n_knots levels, ascending, from the first level to
 * the last). */
gfloat rd_learned_adapters_gate (const RdLearnedAdapters * adapters, const gint32 * knots, guint n_knots, guint level);

G_END_DECLS
