/* Low-rank adapters (Hu et al. 2021, LoRA) beside the stored weights of a model, whatever their type: y = W x + gate * (alpha / r) * B (A x). */
#pragma once
#include <glib.h>
#include "models/kernels/kernels.h"

G_BEGIN_DECLS

/** StModelAdapter: the adapter of one matrix; r = a.rows. */
typedef struct
{
  StMatrix a;                   /* (r, inputs) */
  StMatrix b;                   /* (r, outputs): transposed */
  float scale;                  /* alpha / r */
} StModelAdapter;

/** StModelAdapters: those of a whole model. Once made they do not change: any number of models may be opened with them. */
typedef struct _StModelAdapters StModelAdapters;

StModelAdapters *st_model_adapters_new (void);
StModelAdapters *st_model_adapters_ref (StModelAdapters * adapters);
void st_model_adapters_unref (StModelAdapters * adapters);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (StModelAdapters, st_model_adapters_unref)

/** st_model_adapters_add: @name: of the matrix, as in a model's file ("blk.3.attn_q.weight"), with one adapter at most. @a (rank, inputs) and
 * @b (outputs, rank), finite, are copied: as F16 where that loses nothing. */
void st_model_adapters_add (StModelAdapters * adapters, const gchar * name, gsize inputs, gsize outputs, gsize rank, float alpha,
    const float *a, const float *b);

/** st_model_adapters_find: NULL if there is none. */
const StModelAdapter *st_model_adapters_find (const StModelAdapters * adapters, const gchar * name);
guint st_model_adapters_count (const StModelAdapters * adapters);
/** st_model_adapters_name: of number @index. */
const gchar *st_model_adapters_name (const StModelAdapters * adapters, guint index);
/** st_model_adapters_rank: the largest. */
gsize st_model_adapters_rank (const StModelAdapters * adapters);
/** st_model_adapters_bytes: of all values. */
guint64 st_model_adapters_bytes (const StModelAdapters * adapters);

G_END_DECLS
