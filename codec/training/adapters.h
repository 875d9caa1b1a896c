/* Low-rank adapters (Hu et al. 2021, LoRA): y = W x + gate * (alpha / r) * U (V x) beside frozen matrices W of any blocks. */
#pragma once
#include "codec/training/weights.h"

G_BEGIN_DECLS

typedef struct
{
  guint rank;                   /* r, 1 .. hidden size */
  float alpha;                  /* > 0 */
  guint64 seed;                 /* with block, matrix and place all that a start value depends on */
  const guint8 *matrices;       /* (n_blocks of the whole model): sets of 1 << RdMatrix; what the family has not is left out */
} RdAdaptersOptions;

/** RD_ADAPTERS_ALL: every matrix of a block. */
#define RD_ADAPTERS_ALL ((1 << RD_N_MATRICES) - 1)

/** RdAdapterGroup: adapters of matrices that share an input. */
typedef struct
{
  guint n;                      /* adapters, 0 .. RD_GROUP_MAX */
  float *v;                     /* (n * r, inputs): theirs, one behind the other */
  float *u[RD_GROUP_MAX];       /* (outputs, r) of each matrix of the group; NULL without adapter */
} RdAdapterGroup;

/** RdAdapters: those of a whole model; ranges of blocks share them. Changed by an optimiser's step only, between two runs. */
typedef struct
{
  StModelConfig config;         /* without its strings */
  guint rank;
  float scale;                  /* alpha / rank */
  RdAdapterGroup (*blocks)[RD_N_GROUPS];        /* (n_blocks), owned */
  RdArena arena;                /* all values, arena.n floats with zeros between arrays */
} RdAdapters;

/** rd_adapters_new: U zero and V uniform in +-1 / sqrt (inputs), so that at first nothing changes. Errors: RD_TRAINING_ERROR_OPTIONS for
 * rank, alpha and an empty set; ST_MODEL_ERROR_MEMORY. */
RdAdapters *rd_adapters_new (const StModelConfig * config, const RdAdaptersOptions * options, GError ** error);
void rd_adapters_free (RdAdapters * adapters);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdAdapters, rd_adapters_free)

/** rd_adapters_parameters: appends all arrays, arena.n floats. Returns the offset of the first. */
gsize rd_adapters_parameters (const RdAdapters * adapters, RdParameters * parameters);

/** rd_adapters_find: u (outputs, r) and v (r, inputs) of @matrix of block @block of the model; FALSE if it has no adapter. */
gboolean rd_adapters_find (const RdAdapters * adapters, guint block, RdMatrix matrix, float **u, float **v);
/** rd_adapters_merge: w (outputs, inputs) += gate * (alpha / r) * U V, if @matrix has an adapter. */
void rd_adapters_merge (const RdAdapters * adapters, guint block, RdMatrix matrix, float gate, float *w);

/** rd_adapters_gradient: where the derivative by @array of @adapters is in a vector of arena.n floats. */
static inline float *
rd_adapters_gradient (const RdAdapters * adapters, const float *array, float *gradient)
{
  return gradient + (array - adapters->arena.memory);
}

/** RdGradient: where derivatives by what is trained are added to. */
typedef struct
{
  float *weights;               /* (n_values of the weights) or NULL */
  float *adapters;              /* (arena.n of the adapters) or NULL */
  gdouble gate;                 /* by the adapters' gate; with @adapters */
} RdGradient;

/** RdAdapterPass: a group of one block over the T rows of a sequence. */
typedef struct
{
  const RdAdapters *adapters;
  guint block;                  /* of the model */
  RdGroup group;
  float gate;
  gsize t;
} RdAdapterPass;

/** rd_adapters_forward: adds the adapters of x (T, inputs) to y[i] (T, outputs) of each matrix of the group. @low (T, n * r): V x, for the
 * backward pass. */
void rd_adapters_forward (const RdAdapterPass * pass, const float *x, float *low, float *const *y);
/** rd_adapters_backward: from d_y[i] (T, outputs): d_x (T, inputs) +=, and what @gradient wants. Without (NULL, or nothing of adapters) @x
 * and @low are not read. @d_low (T, n * r): scratch. */
void rd_adapters_backward (const RdAdapterPass * pass, const float *x, const float *low, const float *const *d_y, float *d_low,
    float *d_x, RdGradient * gradient);

G_END_DECLS
