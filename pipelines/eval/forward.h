/* The model on both sides of the cut, a whole text at a time. */
#pragma once
#include "elements/common/gstrdadapters.h"
#include "models/model.h"
#include "pipelines/eval/testset.h"

G_BEGIN_DECLS

typedef struct
{
  StModel *head;                /* embedding and blocks 0 .. split - 1 */
  StModel *tail;                /* the other blocks and the output head */
  const StModelConfig *config;  /* of the whole model */
  guint split;
  guint threads;
  gchar *path;
  const GstRdAdapters *adapters;      /* both sides run with them; NULL = none */
  const gint *cancel;           /* not NULL */
} EvalModel;

/** eval_model_open: both sides of the model at @path, F32 all through. @split: 1 .. blocks - 1. Clear it, also after an error. */
gboolean eval_model_open (EvalModel * model, const gchar * path, gint split, guint threads, const gint * cancel, GError ** error);
void eval_model_clear (EvalModel * model);
/** eval_model_adapt: @model's file and split again, with @adapters (taken, also after an error). Clear it, also after an error. */
gboolean eval_model_adapt (EvalModel * adapted, const EvalModel * model, const GstRdAdapters * adapters, GError ** error);

/** x (n x hidden size) = hidden states before block split. @level: of the codec file that they are going to be coded with, for the gate of adapters; -1 = not
 * known. */
gboolean eval_model_head (EvalModel * model, const gint32 * ids, gsize n, gint level, float *x, GError ** error);
/** x (n x hidden size, in place) from before block split to behind the last. @levels: n of them, or NULL: not known. */
gboolean eval_model_tail (EvalModel * model, float *x, gsize n, const gint8 * levels, GError ** error);
/** logits (n x vocabulary) of final hidden states. */
gboolean eval_model_logits (EvalModel * model, const float *x, gsize n, float *logits, GError ** error);

/** eval_model_word: whether the greedy choices behind the final hidden states x (n x hidden size) are @text's last word. */
gboolean eval_model_word (EvalModel * model, const EvalText * text, const float *x, gboolean * right, GError ** error);

G_END_DECLS
