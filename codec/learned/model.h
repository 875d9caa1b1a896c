/* Parameters made ready for coding. Private to codec/learned and codec/training. */
#pragma once
#include "codec/learned/context.h"
#include "codec/learned/exp2.h"
#include "codec/learned/latents.h"
#include "codec/learned/learned.h"
#include "codec/learned/network-run.h"
#include "codec/learned/transform.h"
#include "codec/learned/trellis.h"

G_BEGIN_DECLS

#define RD_SCALAR_STEP 170      /* what the scalar quantiser's steps are wider, 1/256 octave */

/* What encoders alone need, made when it is first needed. */
typedef struct
{
  GMutex lock;
  RdPackedMatrix *matrix[RD_LEARNED_SETS];
  RdLatents *latents;
} RdAnalyses;

struct _RdLearnedModel
{
  RdLearnedParameters *p;       /* owned */
  gboolean adapters;            /* whether the file has some; rd_learned_model_open() drops them */
  RdTables *tables;
  RdAnalyses *analyses;         /* owned; rd_learned_model_analysis(), rd_learned_model_latents() */
  RdPackedMatrix *synthesis[RD_LEARNED_SETS];
  RdPackedMatrix *readout;            /* of set 1, or NULL */
  RdPackedNetworks *networks;   /* or NULL */
  gfloat *inverse_scale[RD_LEARNED_SETS];       /* (D) 1 / standard deviations */
  gfloat *bits;                 /* (2, RD_LEARNED_SCALES, RD_TRELLIS_COSTS) lambda times bits of the trellis' tables */
};

/** rd_learned_model_open: of the codec file at @path, without its adapters, of which coding has no use; the same for all who have it open. Errors name
 * the file. rd_learned_model_close() gives it back. */
const RdLearnedModel *rd_learned_model_open (const gchar * path, GError ** error);
void rd_learned_model_close (const RdLearnedModel * model);

/** RdSteps: steps of one set at one level. (D) each. */
typedef struct
{
  gint32 *log_step;             /* for a token step of 0, 1/256 octave */
  gint32 *base;                 /* scale less log_step */
  gfloat strength;              /* of the token steps */
} RdSteps;

/** rd_steps_set: fills @steps, whose arrays have D elements. */
void rd_steps_set (RdSteps * steps, const RdLearnedModel * model, guint set, guint level, gboolean scalar);

/** rd_learned_model_analysis: the matrix for encoders. If the file has none, the inverse of the synthesis is computed when it is first asked
 * for (decoders do without). INPUT error if there is none. */
const RdPackedMatrix *rd_learned_model_analysis (const RdLearnedModel * model, guint set, GError ** error);

/** rd_learned_model_latents: the encoders' network of a file with latents, made when it is first asked for. INPUT error if there is no memory. */
const RdLatents *rd_learned_model_latents (const RdLearnedModel * model, GError ** error);

/** rd_model_start: x (n, D) = what reconstruction of plain rows begins with. */
void rd_model_start (const RdLearnedModel * model, const RdRows * rows, gsize from, gsize n, gfloat * x);

/** rd_model_choose_start: the nearest start of row @x (D): @start has the plain one and becomes the one that is chosen. Returns the mode. */
gint32 rd_model_choose_start (const RdLearnedModel * model, const gfloat * x, gfloat * start);

G_END_DECLS
