/* Parts of RdStatic. Not to be included with weights.h, whose RdMatrix is another one. */
#pragma once
#include "codec/learned/model.h"
#include "codec/training/arena.h"
#include "codec/training/scale-model.h"
#include "codec/training/static.h"

G_BEGIN_DECLS

#define RD_STATIC_COSTS 64      /* magnitudes whose lengths are kept */

/** RdStaticLayout: where each array begins in the values and in a gradient. */
typedef struct
{
  gsize analysis, synthesis;    /* (D, D) row i: what channel i adds; row j: direction of coefficient j */
  gsize mean, scale;            /* (D) */
  gsize steps;                  /* (K, D) */
  gsize readout;                /* (D, D), set 1 */
  gsize n;
} RdStaticLayout;

/** RdLaplace: symbols under a Laplace distribution of one scale, an interval of 1 around each. */
typedef struct
{
  double rate;                  /* sqrt (2) / standard deviation */
  double log_sinh;              /* log2 sinh (rate / 2) */
  double half_coth;             /* coth (rate / 2) / 2 */
  double edge;                  /* exp (-rate / 2) */
} RdLaplace;

struct _RdStatic
{
  RdTrainable base;
  RdLearnedParameters *start;   /* owned; with the analysis of the set */
  RdLearnedModel *model;        /* owned; of the same parameters, without matrices */
  guint set;
  float unit;                   /* of coefficients: the step of a middle level */
  float *channel;               /* (D) one over the standard deviation of what is coded of each channel */
  float *error;                 /* (D) standard deviation of a channel's error at the middle level */
  float *coefficient;           /* (D) one over the standard deviation of each coefficient */
  float *feature;               /* (D) one over the unit of each feature, set 1 */
  float *values;                /* (layout.n) */
  RdStaticLayout layout;
  RdScaleModel *scales;         /* owned; trained behind the values. NULL: none */
  float (*bits)[RD_STATIC_COSTS];       /* (RD_LEARNED_SCALES) of magnitudes under the scalar tables */
  RdLaplace laplace[RD_LEARNED_SCALES];
};

/** RdStaticPass: T = rows of the sequence. All (T, D) are 0 in RAW rows. */
typedef struct
{
  RdTrainablePass base;
  const RdStatic *codec;
  gsize max_tokens;
  float *residual;              /* (T, D) rows less their start, in units of the channels */
  float *value;                 /* (T, D) coefficients in steps */
  float *noise;                 /* (T, D) of values, if the job wants it */
  float *slope;                 /* (T, D) derivative by the value of what the decoder has of it: 1 under noise */
  float *latent;                /* (T, D) decoded coefficients over their standard deviations */
  float *d_value, *d_scale;     /* (T, D) derivatives of the bits by value and by log2 of the scale in steps */
  float *features;              /* (T, D) in their units, set 1 */
  float *work, *d_latent;       /* (T, D) scratch */
  RdScalePass *scales;          /* NULL: none, nor the arrays of (T, D) that follow */
  float *symbol;                /* what networks see of the values */
  float *nominal;               /* log2 of the static scale in steps */
  float *shift;                 /* of it, in octaves */
  float *d_symbol, *d_nominal;
  float *d_shift;
  gint32 *whole_shift;          /* (D, RD_BLOCK_ROWS) 1/256 octave */
  float *step;                  /* (D) for a token step of 0 */
  double *sum_step, *sum_scale; /* (D) */
  gint32 *base_scale;           /* (D) scale less step, 1/256 octave */
  gint32 *symbols;              /* (D, RD_BLOCK_ROWS) */
  guint16 *tables;              /* (D, RD_BLOCK_ROWS) */
  gint32 *mode;                 /* (T) as in FORMAT.md */
  gint32 *token_step;           /* (T) 1/8 octave */
  double *row_bits;             /* (T) of each row's symbols */
  double *end_bits;             /* (T) of those that the end of its block's stream has outside of the lanes */
  guint knot;                   /* of the level: between this one and the next */
  float fraction;               /* of the way */
  float strength;
  RdArena arena;
} RdStaticPass;

extern const RdTrainableClass rd_static_class;

RdTrainablePass *rd_static_pass_new (RdTrainable * trainable, gsize max_tokens, GError ** error);
void rd_static_pass_free (RdTrainablePass * pass);
gboolean rd_static_forward (RdTrainablePass * pass, RdTrainableJob * job, GError ** error);
void rd_static_backward (RdTrainablePass * pass, const RdTrainableJob * job, double lambda, float *d, float *gradient);

/** rd_laplace_init: for standard deviation 2^(@index / 8 - 6). */
void rd_laplace_init (RdLaplace * laplace, guint index);
/** rd_static_round: the encoder's symbol. */
static inline gint32
rd_static_round (float value)
{
  return value < 0 ? -(gint32) (0.5f - value) : (gint32) (value + 0.5f);
}

/** rd_static_new_with: rd_static_new() of another class, with @scales, which are taken, also on an error. */
RdStatic *rd_static_new_with (const RdTrainableClass * klass, const RdLearnedParameters * start, guint set, RdScaleModel * scales,
    GError ** error);
/* What all classes share. */
void rd_static_free (RdTrainable * trainable);
gsize rd_static_parameters (RdTrainable * trainable, RdParameters * parameters);
void rd_static_stepped (RdTrainable * trainable);

/** rd_static_shift: runs the networks, if any; adds the bits of latents to those of @job. */
void rd_static_shift (RdStaticPass * pass, RdTrainableJob * job);
/** rd_static_shift_backward: d_symbol and d_nominal, and the networks' part of @gradient (of all; may be NULL). */
void rd_static_shift_backward (RdStaticPass * pass, const RdTrainableJob * job, double lambda, float *gradient);
/** rd_static_raw: whether row @t is not coded but sent as it is. */
static inline gboolean
rd_static_raw (const RdStaticPass * pass, gsize t)
{
  return pass->mode[t] > (gint32) pass->codec->start->n_constants;
}

/** rd_static_rate: bits, rate_bits, wire_bits, slope, d_value and d_scale from the values, noise, modes and token steps. */
void rd_static_rate (RdStaticPass * pass, RdTrainableJob * job);
/** rd_static_end: the first coefficient of row @t whose symbol is not in lanes if the job's frames are sent. */
gsize rd_static_end (const RdStaticPass * pass, const RdTrainableJob * job, gsize t);
/** rd_static_wire: wire_bits, from bits, row_bits and end_bits. */
void rd_static_wire (const RdStaticPass * pass, RdTrainableJob * job);

G_END_DECLS
