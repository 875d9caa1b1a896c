/* A model, its texts, and their states without a codec. */
#pragma once
#include "pipelines/eval/compare.h"
#include "pipelines/eval/forward.h"
#include "pipelines/eval/progress.h"

G_BEGIN_DECLS

/* Rows of logits at a time. */
#define EVAL_CHUNK 64

/** EvalHits: last words that came out, of how many. */
typedef struct
{
  guint n, right;
} EvalHits;

/** EvalRun: a model, its texts, and their states without a codec. */
typedef struct
{
  EvalModel model;              /* as it is: what everything is compared with */
  EvalModel trained;            /* another one that codec files are for; without a path: @model */
  GPtrArray *adapted;           /* EvalAdapted: with the adapters of codec files; NULL until there is one */
  EvalTestset *testset;
  EvalTestset *passages;        /* or NULL */
  GPtrArray *states;            /* float: n x hidden size before the cut, of each window, then of each passage */
  GPtrArray *finals;            /* float: the same behind the last block, windows only */
  EvalReference *reference;
  gdouble scale;                /* size of a channel: median over positions (but the first) of the root mean square of a row */
  GArray *words_right;          /* gboolean: whether the passage's last word comes out without a codec */
  EvalHits *hits;               /* the same, counted by domain of the passages */
  EvalProgress progress;
} EvalRun;

/** eval_run_load: reads states for what @run has: model, testset, passages. eval_run_clear() frees all, also after an error. */
gboolean eval_run_load (EvalRun * run, guint threads, gboolean quiet, guint n_points, GError ** error);
void eval_run_clear (EvalRun * run);

/** eval_run_model: the model that the codec @name of the elements goes with: @run's own, for codec files the trained one if there is one, or
 * one of these with the adapters of a codec file, owned by @run. */
EvalModel *eval_run_model (EvalRun * run, const gchar * name, GError ** error);

/** All texts: windows, then passages. */
guint eval_run_n_texts (const EvalRun * run);
const EvalText *eval_run_text (const EvalRun * run, guint index);
/** The text's states before the cut, n x hidden size. */
const float *eval_run_states (const EvalRun * run, guint index);
/** Domains of the passages; 0 without any. */
guint eval_run_n_word_domains (const EvalRun * run);
/** Whether passage @index (counted as a text) gives its last word without a codec. */
gboolean eval_run_word_right (const EvalRun * run, guint index);

G_END_DECLS
