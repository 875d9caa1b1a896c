/* The hyper-priors' networks. Private to scale-latent*.c. */
#pragma once
#include "codec/training/hyper-analysis.h"
#include "codec/training/prior.h"
#include "codec/training/scale-model.h"

G_BEGIN_DECLS

#define RD_LATENT_LAYERS 4

typedef struct
{
  RdScaleModel base;
  const RdPriorClass *prior;
  guint n_latents;
  guint64 seed;                 /* of the start */
  RdAnalysis analysis;
  RdDense synthesis[RD_LATENT_LAYERS];    /* latents -> D / 8 -> D / 4 -> D / 2 -> D */
  float *prior_values;          /* (n_latents, n_values) */
  double *derived;              /* (n_latents, n_derived) */
  RdArena arena;
} RdScaleLatent;

/** rd_scale_latent_export: RdScaleModelClass.export. */
RdLearnedNetworks *rd_scale_latent_export (const RdScaleModel * base, guint set, float hidden_max, GError ** error);

G_END_DECLS
