/* The codec of codec files with networks that move its scales, as functions that can be trained: hyper-priors and groups of coefficients. */
#pragma once
#include "codec/training/static.h"

G_BEGIN_DECLS

typedef enum
{
  RD_HYPERPRIOR_FACTORIZED,     /* rd_scale_latents() latents a token under deep factorised densities (Balle et al. 2018) */
  RD_HYPERPRIOR_FOURIER,        /* under Fourier basis densities (de la Fuente et al. 2024) */
  RD_HYPERPRIOR_AUTOREGRESSIVE, /* no latents: groups of coefficients, each from those before */
  RD_N_HYPERPRIORS
} RdHyperpriorKind;

/** rd_hyperprior_name: "hyperprior-factorized", "hyperprior-fourier", "autoregressive". */
const gchar *rd_hyperprior_name (RdHyperpriorKind kind);

/** rd_hyperprior_new: from a calibrated codec's parameters (copied) for rows of set @set, as rd_static_new() has it. Trained are its arrays and behind
 * them those of the networks. At first the autoregressive networks move nothing: bits are those of the static codec. Hyper-priors start from latents that tell of a
 * token's magnitudes by bands of coefficients and scales that follow them, and train without the contexts of @start, which know the same: rd_refit() gives the
 * contexts that are worth something beside latents. Networks see the tokens of job->frame, 64 at most. Errors as of rd_static_new(). Freed by klass->free(). */
RdTrainable *rd_hyperprior_new (const RdLearnedParameters * start, guint set, RdHyperpriorKind kind, guint64 seed, GError ** error);

/** rd_hyperprior_export: the trained arrays and networks, in the form that decoders run (file version 3), to @parameters, a copy of what training started
 * from; rd_refit() does the rest. @job: rows that networks' ranges are taken from, its level and outputs unused. Errors: those of forward;
 * RD_CODEC_ERROR_INPUT for weights that do not fit; then @parameters are of no use. */
gboolean rd_hyperprior_export (RdTrainable * model, const RdTrainableJob * job, RdLearnedParameters * parameters, GError ** error);

G_END_DECLS
