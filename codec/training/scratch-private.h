/* The two halves of a training from scratch: what it begins with and leaves, and the steps. */
#pragma once
#include "codec/training/language.h"
#include "codec/training/scratch.h"
#include "codec/training/train-state.h"

G_BEGIN_DECLS

typedef struct
{
  const RdScratchOptions *options;
  gchar *checkpoint, *settings;
  gchar *grown;                 /* hash of the values that the training begins with; NULL: random ones */
  StModel *model;               /* its vocabulary and sizes */
  RdCorpus *corpus, *held_out;  /* @held_out may be NULL */
  RdWeights *weights;
  RdLanguage *language;
  RdAdamW *adamw;
  RdTrainState state;           /* the optimiser's steps say where the training is; counters: rd_scratch_mark() */
} RdScratch;

void rd_scratch_tell (const RdScratch * s, const gchar * format, ...) G_GNUC_PRINTF (2, 3);

/** rd_scratch_full_steps: steps before the learning rate goes down, which do not depend on how many there are in all. */
guint64 rd_scratch_full_steps (const RdScratchOptions * options);
/** rd_scratch_mark: notes for a checkpoint how many steps there must be in all and at the full rate, the first two counters; both 0 where that is still open. */
void rd_scratch_mark (RdScratch * s);

/** rd_scratch_steps: the steps that are left, with checkpoints. */
gboolean rd_scratch_steps (RdScratch * s, GError ** error);

/** RdScratchLoss: means over the held-out sequences. */
typedef struct
{
  double nats;                  /* a token */
  double bits_per_byte;
  gsize tokens;
} RdScratchLoss;

/** rd_scratch_measure: loss of @weights, whose vocabulary is that of @s, on what is held out. */
gboolean rd_scratch_measure (const RdScratch * s, RdWeights * weights, RdScratchLoss * loss, GError ** error);

G_END_DECLS
