/* Losses of a whole model on sequences of ids, and their gradient by its weights or its adapters: training without a codec. */
#pragma once
#include "codec/training/adapters.h"
#include "codec/training/tail.h"

G_BEGIN_DECLS

typedef struct
{
  RdWeights *weights;           /* embedding, all blocks and output head; the caller's, outlives the object */
  RdAdapters *adapters;         /* NULL: none; likewise */
  gboolean train_weights;       /* all of them, beside the adapters if there are any */
  guint threads;                /* 0 = all CPUs; each takes whole sequences */
  gboolean recompute;           /* as in RdTailOptions */
} RdLanguageOptions;

/** RdLanguageJob: one sequence. Of @target all that describes the loss, n included, is read, and results are written but gradients. */
typedef struct
{
  const gint32 *ids;            /* (n) */
  float gate;                   /* factor of the adapters; 1 is usual */
  RdTailJob target;
  gdouble d_gate;               /* out: derivative of target.total by @gate */
} RdLanguageJob;

typedef struct _RdLanguage RdLanguage;

/** rd_language_new: reserves activations and a gradient for each thread. Errors: RD_TRAINING_ERROR_OPTIONS if nothing is trained;
 * ST_MODEL_ERROR, RANGE for @weights without embedding or output head, MEMORY. */
RdLanguage *rd_language_new (const RdLanguageOptions * options, GError ** error);
void rd_language_free (RdLanguage * language);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdLanguage, rd_language_free)
/** rd_language_parameters: what is trained: adapters, then weights. Owned by @language. */
const RdParameters *rd_language_parameters (const RdLanguage * language);

/** rd_language_run: losses of @n_jobs sequences; adds the derivative of their sum to @gradient (as long as the parameters; NULL: losses
 * alone). The same bits for any number of threads. Errors as of rd_tail_run(). */
gboolean rd_language_run (RdLanguage * language, RdLanguageJob * jobs, gsize n_jobs, float *gradient, const gint * cancel, GError ** error);

G_END_DECLS
