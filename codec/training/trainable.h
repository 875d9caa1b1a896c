/* A codec as a function that can be trained: hidden states to decoded ones and an estimate of their bits, and back. Entropy models implement it. */
#pragma once
#include "codec/training/parameters.h"

G_BEGIN_DECLS

typedef struct _RdTrainable RdTrainable;
typedef struct _RdTrainablePass RdTrainablePass;

/** RdTrainableJob: one sequence from position 0 on; D = hidden size. Zero it, set what is wanted. The arrays are the caller's. */
typedef struct
{
  gsize n;                      /* positions, 1 .. the pass' max_tokens */
  const float *x;               /* (n, D) hidden states before block split_layer */
  const float *features;        /* (n, D) what both sides know of each token, or NULL */
  float level;                  /* rate point, 0 .. 127 as in codec files; higher is finer */
  gsize frame;                  /* tokens of a frame; networks see those of their own frame only */
  gboolean noise;               /* decoded states and bits under uniform noise in place of rounding (else rounding, with the entropy model's own
                                 * estimate of a gradient) */
  guint64 seed;                 /* of the noise; with position and coefficient all that it depends on */

  float *y;                     /* (n, D) out: decoded states. May not be @x */
  gdouble bits;                 /* out: ideal code length of all rows, side information of the codec's own (latents) included */
  gdouble wire_bits;            /* out: estimate of what they are on the wire in frames of @frame: @bits, the coder's states and what frames have around
                                 * them; without HEADER and END */
  gdouble latent_bits;          /* out: the latents' part of @bits */
  gdouble rate_bits;            /* out: what the gradient of bits is taken of (with noise another than @bits, which is of whole numbers) */
} RdTrainableJob;

/** RdTrainableClass: what an entropy model does. A trainable begins with RdTrainable, a pass with RdTrainablePass. */
typedef struct
{
  const gchar *name;            /* of --entropy-model: "static", "hyperprior-fourier" ... */
  void (*free) (RdTrainable * trainable);
  /* Appends all that is trained; returns the offset of the first. Afterwards the gradient is laid out alike from there on. */
    gsize (*parameters) (RdTrainable * trainable, RdParameters * parameters);
  /* Scratch memory of one thread; trainable outlives it. */
  RdTrainablePass *(*pass_new) (RdTrainable * trainable, gsize max_tokens, GError ** error);
  void (*pass_free) (RdTrainablePass * pass);
  /* Writes the job's outputs, and keeps what backward needs until the next forward. Error ST_MODEL_ERROR_INPUT for states that are not finite. */
    gboolean (*forward) (RdTrainablePass * pass, RdTrainableJob * job, GError ** error);
  /* Of loss (y) + lambda * rate_bits, with @lambda in nats a bit. d (n, D): in: derivative of the loss by y; out: of the sum by x. @gradient (as long as what
   * parameters() appended; may be NULL): derivatives by the parameters are added. */
  void (*backward) (RdTrainablePass * pass, const RdTrainableJob * job, double lambda, float *d, float *gradient);
  /* After every step of the optimiser: bounds of parameters, and what is derived from them. */
  void (*stepped) (RdTrainable * trainable);
} RdTrainableClass;

struct _RdTrainable
{
  const RdTrainableClass *klass;
  gsize hidden_size;
};

struct _RdTrainablePass
{
  RdTrainable *trainable;
};

G_END_DECLS
