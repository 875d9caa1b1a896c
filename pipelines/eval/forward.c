/* The model on both sides of the cut. */
#include "pipelines/eval/forward.h"
#include "pipelines/eval/compare.h"
#include "pipelines/eval/error.h"

static StModel *
open_part (const gchar * path, gint first, gint last, guint threads,
    GError ** error)
{
  StModelOptions options = {
    .first_block = first,.last_block = last,
    .embed = first == 0,.output = last < 0,
    .threads = threads,.deterministic = TRUE,
  };

  return st_model_open (path, &options, error);
}

gboolean
eval_model_open (EvalModel * model, const gchar * path, gint split,
    guint threads, const gint * cancel, GError ** error)
{
  *model = (EvalModel) {
  .split = (guint) MAX (split, 0),.threads = threads,.path =
        g_strdup (path),.cancel = cancel};
  model->head = open_part (path, 0, MAX (split, 1), threads, error);
  if (!model->head)
    return FALSE;
  model->config = st_model_config (model->head);
  if (split < 1 || (guint) split >= model->config->n_blocks) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
        "--split=%d: the model has %u blocks and can be cut before block 1 to "
        "%u", split, model->config->n_blocks, model->config->n_blocks - 1);
    return FALSE;
  }
  model->tail = open_part (path, split, -1, threads, error);
  return model->tail != NULL;
}

void
eval_model_clear (EvalModel * model)
{
  g_clear_pointer (&model->head, st_model_unref);
  g_clear_pointer (&model->tail, st_model_unref);
  g_clear_pointer (&model->adapters, gst_rd_adapters_close);
  g_clear_pointer (&model->path, g_free);
}

gboolean
eval_model_adapt (EvalModel * adapted, const EvalModel * model,
    const GstRdAdapters * adapters, GError ** error)
{
  const gint split = (gint) model->split;
  gboolean good = eval_model_open (adapted, model->path, split,
      model->threads, model->cancel, error);

  adapted->adapters = adapters;
  return good && gst_rd_adapters_check (adapters, adapted->head, 0, split,
      TRUE, error) && gst_rd_adapters_check (adapters, adapted->tail, split,
      (gint) model->config->n_blocks, TRUE, error)
      && st_model_adapt (adapted->head, adapters->model, error)
      && st_model_adapt (adapted->tail, adapters->model, error);
}

static gboolean
run (StModel * part, float *x, gsize n, const gfloat * gates,
    const gint * cancel, GError ** error)
{
  StKvCache *cache = st_kv_cache_new (part, (guint) n, ST_TYPE_F32, error);
  gboolean good;

  if (!cache)
    return FALSE;
  good = st_model_run_gated (part, cache, x, n, ST_REGIME_PREFILL, gates,
      cancel, error);
  st_kv_cache_free (cache);
  return good;
}

/* Of each row: at its own level, or at @level if none has one. NULL without adapters. */
static gfloat *
gates_of (const EvalModel * model, gsize n, const gint8 * levels, gint level)
{
  gfloat *gates = model->adapters ? g_new (gfloat, n) : NULL;

  for (gsize i = 0; gates && i < n; i++)
    gates[i] = gst_rd_adapters_gate (model->adapters,
        levels ? levels[i] : level);
  return gates;
}

gboolean
eval_model_head (EvalModel * model, const gint32 * ids, gsize n, gint level,
    float *x, GError ** error)
{
  g_autofree gfloat *gates = gates_of (model, n, NULL, level);

  return st_model_embed (model->head, ids, n, x, error)
      && run (model->head, x, n, gates, model->cancel, error);
}

gboolean
eval_model_tail (EvalModel * model, float *x, gsize n, const gint8 * levels,
    GError ** error)
{
  g_autofree gfloat *gates = gates_of (model, n, levels, -1);

  return run (model->tail, x, n, gates, model->cancel, error);
}

gboolean
eval_model_logits (EvalModel * model, const float *x, gsize n, float *logits,
    GError ** error)
{
  return st_model_logits (model->tail, x, n, ST_REGIME_PREFILL, logits,
      model->cancel, error);
}

gboolean
eval_model_word (EvalModel * model, const EvalText * text, const float *x,
    gboolean * right, GError ** error)
{
  const guint vocab = model->config->vocab_size;
  const gsize hidden = model->config->hidden_size;
  g_autofree float *logits = g_new (float, vocab);

  *right = TRUE;
  for (guint i = text->word_at; i < text->n && *right; i++) {
    if (!eval_model_logits (model, x + (i - 1) * hidden, 1, logits, error))
      return FALSE;
    *right = eval_argmax (logits, vocab) == text->ids[i];
  }
  return TRUE;
}
