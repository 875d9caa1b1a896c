/* Networks that move the scales of coefficients: from what is known of a token to how far, in octaves, the standard deviation of each of its coefficients is
 * above or below the static one. D = hidden size.
 *
 * Everything they see is integers that a decoder has, or becomes so when a trained model is exported: symbols, latents, nominal scales, the level. */
#pragma once
#include "codec/learned/networks.h"
#include "codec/training/parameters.h"
#include "codec/training/prior.h"

G_BEGIN_DECLS

typedef struct _RdScaleModel RdScaleModel;
typedef struct _RdScalePass RdScalePass;

/** RD_SCALE_WINDOW: tokens that a network sees at once at most: a block of a payload. */
#define RD_SCALE_WINDOW 64

/** RdScaleJob: the rows of one sequence. The arrays are the caller's. */
typedef struct
{
  gsize n;                      /* rows, 1 .. the pass' max_tokens */
  gsize frame;                  /* rows of a frame */
  const float *symbol;          /* (n, D) coefficients in steps: whole numbers, or with @noise anything */
  const float *nominal;         /* (n, D) log2 of their static standard deviation in steps */
  float level;                  /* 0 .. 127 */
  gboolean noise;               /* latents under uniform noise in place of rounding */
  guint64 seed;                 /* of the noise; with row and latent all that it depends on */

  float *shift;                 /* (n, D) out, octaves */
  gdouble bits, rate_bits;      /* out: of latents, as in RdTrainableJob */
} RdScaleJob;

/** RdScaleGradient: of loss + lambda * rate_bits of the job. (n, D) arrays. */
typedef struct
{
  double lambda;                /* loss a bit of latents */
  const float *d_shift;
  float *d_symbol, *d_nominal;  /* added to */
  float *parameters;            /* laid out like what parameters() appended, added to; or NULL */
} RdScaleGradient;

/** RdScaleModelClass: a kind of networks. A model begins with RdScaleModel, a pass with RdScalePass. At first, shifts are 0. */
typedef struct
{
  void (*free) (RdScaleModel * model);
  /* Appends all that is trained; returns the offset of the first. */
    gsize (*parameters) (const RdScaleModel * model, RdParameters * parameters);
  /* Scratch memory of one thread. Error ST_MODEL_ERROR_MEMORY. */
  RdScalePass *(*pass_new) (const RdScaleModel * model, gsize max_tokens, GError ** error);
  void (*pass_free) (RdScalePass * pass);
  /* Keeps what backward needs until the next one. */
  void (*forward) (RdScalePass * pass, RdScaleJob * job);
  void (*backward) (RdScalePass * pass, const RdScaleJob * job, const RdScaleGradient * gradient);
  /* After a change of the parameters. */
  void (*stepped) (RdScaleModel * model);
  /* Whole numbers for rows of @set, hidden values reaching @hidden_max. Error RD_CODEC_ERROR_INPUT for weights that are too large. */
  RdLearnedNetworks *(*export) (const RdScaleModel * model, guint set, float hidden_max, GError ** error);
} RdScaleModelClass;

struct _RdScaleModel
{
  const RdScaleModelClass *klass;
  gsize hidden_size;
  guint n_latents;              /* of a row; 0 = none */
};

struct _RdScalePass
{
  const RdScaleModel *model;
  float hidden_max;             /* largest hidden value in all forwards so far of what decoders run */
};

/** rd_scale_latents: channels of a hyper-prior's latent: few, for each costs a bit and a half a token. */
static inline guint
rd_scale_latents (gsize hidden_size)
{
  return (guint) MIN (MAX (hidden_size / 64, 2), hidden_size);
}

/** rd_scale_latent_new: a hyper-prior, its latents coded under @prior. rd_scale_groups_new: groups of coefficients from those before them. All that is
 * random at the start depends on @seed. Freed by klass->free(). Error ST_MODEL_ERROR_MEMORY. */
RdScaleModel *rd_scale_latent_new (gsize hidden_size, const RdPriorClass * prior, guint64 seed, GError ** error);
RdScaleModel *rd_scale_groups_new (gsize hidden_size, guint64 seed, GError ** error);
/** rd_scale_latent_follow: makes a new hyper-prior start from latents that tell of a band of coefficients each, all bands as wide, how far the mean magnitude of
 * its features is from the usual one, and from scales that follow them. @usual (2, latents): at the two @levels (rd_scale_level()). */
void rd_scale_latent_follow (RdScaleModel * base, const float *usual, const float levels[2]);

/** rd_scale_features: of coefficients @from .. @to - 1 of all rows, out (n, 2 (to - from)): symbols by what they usually are, within
 * +-RD_SCALE_FEATURE_MAX, and their magnitudes, in turn. */
void rd_scale_features (const RdScaleJob * job, gsize d, gsize from, gsize to, float *out);
/** rd_scale_features_backward: from d_out (n, 2 (to - from)). */
void rd_scale_features_backward (const RdScaleJob * job, gsize d, gsize from, gsize to, const float *d_out,
    const RdScaleGradient * gradient);
#define RD_SCALE_FEATURE_MAX 4
/** rd_scale_note_hidden: keeps the largest of @n hidden values. */
void rd_scale_note_hidden (RdScalePass * pass, const float *hidden, gsize n);

/** rd_scale_level: @level as networks take it, -1 .. 1. */
static inline float
rd_scale_level (float level)
{
  return level / 64 - 1;
}

G_END_DECLS
