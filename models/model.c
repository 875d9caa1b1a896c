#include "models/model.h"

#include <string.h>

#include "models/ids.h"
#include "models/kernels/fpmode.h"
#include "models/blocks.h"

G_DEFINE_QUARK (st - model - error - quark, st_model_error)
/* A caller that waits for its turn; lives on its stack. */
     typedef struct
     {
       gboolean granted;
     } Turn;

     struct _StModel
     {
       gatomicrefcount refs;
       StGguf *gguf;
       StModelConfig config;
       gchar *name;             /* when the file has none */
       gchar *id;
       StTokenizer *tokenizer;
       StWeights weights;
       StModelAdapters *adapters;       /* or NULL */
       StPool *pool;
       gboolean deterministic;

       /* The pool and the scratch memory serve one caller at a time, in the order of arrival. */
       GMutex lock;
       GCond turn_changed;
       gboolean busy;
       GQueue turns;            /* Turn * */
       StScratch scratch;
     };

/* How long a caller waits for its turn before it looks at its cancel flag. */
#define TURN_POLL (10 * G_TIME_SPAN_MILLISECOND)

     static gboolean is_cancelled (const gint * cancel)
{
  return cancel != NULL && g_atomic_int_get (cancel) != 0;
}

static gboolean
set_cancelled (GError ** error)
{
  g_set_error_literal (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED,
      "the computation was cancelled");
  return FALSE;
}

/* FALSE if cancelled while waiting. */
static gboolean
begin_turn (StModel * model, const gint * cancel)
{
  Turn turn = { FALSE };

  g_mutex_lock (&model->lock);
  if (!model->busy) {
    model->busy = turn.granted = TRUE;
  } else {
    g_queue_push_tail (&model->turns, &turn);
    while (!turn.granted && !is_cancelled (cancel))
      g_cond_wait_until (&model->turn_changed, &model->lock,
          g_get_monotonic_time () + TURN_POLL);
    if (!turn.granted)
      g_queue_remove (&model->turns, &turn);
  }
  g_mutex_unlock (&model->lock);
  return turn.granted;
}

static void
end_turn (StModel * model)
{
  Turn *next;

  g_mutex_lock (&model->lock);
  next = g_queue_pop_head (&model->turns);
  if (next != NULL)
    next->granted = TRUE;
  else
    model->busy = FALSE;
  g_cond_broadcast (&model->turn_changed);
  g_mutex_unlock (&model->lock);
}

/* Computes the model id and compares every tensor of the range with the hash list. A whole model's list has no full hashes. */
static gboolean
check_ids (StModel * model, gboolean verify_full, GError ** error)
{
  const gchar *tokenizer_id =
      model->tokenizer != NULL ? st_tokenizer_id (model->tokenizer) : NULL;
  g_autoptr (StModelIds) ids =
      st_model_ids_compute (model->gguf, tokenizer_id, error);

  if (ids == NULL)
    return FALSE;
  for (guint i = 0; i < model->weights.used->len; i++) {
    if (!st_model_ids_check (ids, model->gguf,
            g_ptr_array_index (model->weights.used, i), verify_full
            && st_model_ids_has_full (ids), error))
      return FALSE;
  }
  model->id = g_strdup (st_model_ids_model_id (ids));
  return TRUE;
}

static gboolean
load (StModel * model, const gchar * path, const StModelOptions * options,
    GError ** error)
{
  model->gguf = st_gguf_open (path, error);
  if (model->gguf == NULL
      || !st_config_read (model->gguf, &model->config, error)
      || !st_weights_read (model->gguf, &model->config, options,
          &model->weights, error))
    return FALSE;
  if (model->config.name == NULL) {
    model->name = g_path_get_basename (path);
    model->config.name = model->name;
  }
  if (st_gguf_array_length (model->gguf, "tokenizer.ggml.tokens") > 0) {
    model->tokenizer = st_tokenizer_new (model->gguf, error);
    if (model->tokenizer == NULL)
      return FALSE;
  }
  if (!check_ids (model, options->verify_full, error))
    return FALSE;
  model->pool = st_pool_new (options->threads);
  model->deterministic = options->deterministic;
  return TRUE;
}

StModel *
st_model_open (const gchar * path, const StModelOptions * options,
    GError ** error)
{
  StModel *model = g_new0 (StModel, 1);

  g_atomic_ref_count_init (&model->refs);
  g_mutex_init (&model->lock);
  g_cond_init (&model->turn_changed);
  g_queue_init (&model->turns);
  if (!load (model, path, options, error))
    g_clear_pointer (&model, st_model_unref);
  return model;
}

gboolean
st_model_adapt (StModel * model, StModelAdapters * adapters, GError ** error)
{
  g_assert (model->adapters == NULL);
  model->adapters = st_model_adapters_ref (adapters);
  return st_weights_adapt (&model->weights, &model->config, adapters, error);
}

StModel *
st_model_ref (StModel * model)
{
  g_atomic_ref_count_inc (&model->refs);
  return model;
}

void
st_model_unref (StModel * model)
{
  if (!g_atomic_ref_count_dec (&model->refs))
    return;
  g_clear_pointer (&model->pool, st_pool_free);
  st_scratch_clear (&model->scratch);
  st_weights_clear (&model->weights);
  g_clear_pointer (&model->adapters, st_model_adapters_unref);
  g_clear_pointer (&model->tokenizer, st_tokenizer_unref);
  g_clear_pointer (&model->gguf, st_gguf_unref);
  g_free (model->id);
  g_free (model->name);
  g_cond_clear (&model->turn_changed);
  g_mutex_clear (&model->lock);
  g_free (model);
}

const StModelConfig *
st_model_config (const StModel * model)
{
  return &model->config;
}

const gchar *
st_model_id (const StModel * model)
{
  return model->id;
}

StTokenizer *
st_model_tokenizer (const StModel * model)
{
  return model->tokenizer;
}

const gchar *
st_model_chat_template (const StModel * model)
{
  return st_gguf_get_string (model->gguf, "tokenizer.chat_template");
}

StGguf *
st_model_gguf (const StModel * model)
{
  return model->gguf;
}

const StWeights *
st_model_weights (const StModel * model)
{
  return &model->weights;
}

guint
st_model_max_positions (const StModel * model)
{
  return model->config.family->positions ? model->config.context_length :
      G_MAXUINT;
}

guint
st_model_first_block (const StModel * model)
{
  return model->weights.first_block;
}

guint
st_model_n_layers (const StModel * model)
{
  return model->weights.n_layers;
}

guint64
st_model_used_bytes (const StModel * model)
{
  return model->weights.used_bytes;
}

gboolean
st_model_embed (StModel * model, const gint32 * ids, gsize n, float *x,
    GError ** error)
{
  guint vocab = model->config.vocab_size;
  StFpMode mode;

  if (!model->weights.has_embedding) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "the model was opened without its token embedding");
    return FALSE;
  }
  for (gsize i = 0; i < n; i++) {
    if (ids[i] < 0 || (guint) ids[i] >= vocab) {
      g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
          "token id %d (number %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
          ") is not in the vocabulary of %u", ids[i], i, n, vocab);
      return FALSE;
    }
  }
  mode = st_fp_enter ();
  for (gsize i = 0; i < n; i++)
    st_get_row (&model->weights.embedding, (gsize) ids[i],
        x + i * model->config.hidden_size);
  st_fp_leave (mode);
  return TRUE;
}

static gsize
chunk_rows (const StModel * model)
{
  return st_chunk_rows (&model->config, model->weights.adapter_rank);
}

/* Waits for the model and prepares scratch memory for at most one chunk of @n rows; after TRUE, leave() must follow. Results must not
 * depend on the rounding or flush-to-zero mode of the calling thread. */
static gboolean
enter (StModel * model, gsize n, const gint * cancel, StRun * run,
    StFpMode * saved, GError ** error)
{
  if (is_cancelled (cancel) || !begin_turn (model, cancel))
    return set_cancelled (error);
  if (!st_scratch_reserve (&model->scratch, &model->config,
          model->weights.adapter_rank, MIN (n, chunk_rows (model)), error)) {
    end_turn (model);
    return FALSE;
  }
  *saved = st_fp_enter ();
  run->config = &model->config;
  run->weights = &model->weights;
  run->scratch = &model->scratch;
  run->pool = model->pool;
  run->deterministic = model->deterministic;
  run->cancel = cancel;
  run->gates = NULL;
  return TRUE;
}

static void
leave (StModel * model, StFpMode saved)
{
  st_fp_leave (saved);
  end_turn (model);
}

static gboolean
check_room (const StKvCache * cache, gsize n, GError ** error)
{
  guint length = st_kv_cache_length (cache), capacity =
      st_kv_cache_capacity (cache);

  if (n <= capacity - length)
    return TRUE;
  g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CONTEXT,
      "the context is full: %u of %u positions are used and %" G_GSIZE_FORMAT
      " more are needed", length, capacity, n);
  return FALSE;
}

gboolean
st_model_run_gated (StModel * model, StKvCache * cache, float *x, gsize n,
    StRegime regime, const float *gates, const gint * cancel, GError ** error)
{
  gsize chunk = chunk_rows (model);
  gsize first = st_kv_cache_length (cache);

  g_assert (st_kv_cache_layers (cache) == model->weights.n_layers
      && st_kv_cache_width (cache) ==
      (gsize) model->config.n_kv_heads * model->config.head_dim);
  if (!check_room (cache, n, error))
    return FALSE;
  st_kv_cache_touch (cache, (guint) (first + n));
  /* The model is free for others between chunks: a long prompt does not stop another session's answer. */
  for (gsize done = 0; done < n; done += chunk) {
    gsize m = MIN (chunk, n - done);
    StRun run;
    StFpMode saved;
    gboolean ok;

    if (!enter (model, m, cancel, &run, &saved, error))
      return FALSE;
    run.gates = gates != NULL ? gates + done : NULL;
    ok = st_forward (&run, cache, first + done,
        x + done * model->config.hidden_size, m, regime);
    leave (model, saved);
    if (!ok)
      return set_cancelled (error);
  }
  st_kv_cache_advance (cache, (guint) (first + n));
  return TRUE;
}

gboolean
st_model_run (StModel * model, StKvCache * cache, float *x, gsize n,
    StRegime regime, const gint * cancel, GError ** error)
{
  return st_model_run_gated (model, cache, x, n, regime, NULL, cancel, error);
}

gboolean
st_model_logits (StModel * model, const float *x, gsize n, StRegime regime,
    float *logits, const gint * cancel, GError ** error)
{
  gsize chunk = chunk_rows (model);

  if (!model->weights.has_output) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "the model was opened without its output head");
    return FALSE;
  }
  for (gsize done = 0; done < n; done += chunk) {
    gsize m = MIN (chunk, n - done);
    StRun run;
    StFpMode saved;
    gboolean ok;

    if (!enter (model, m, cancel, &run, &saved, error))
      return FALSE;
    ok = st_logits (&run, x + done * model->config.hidden_size, m, regime,
        logits + done * model->config.vocab_size);
    leave (model, saved);
    if (!ok)
      return set_cancelled (error);
  }
  return TRUE;
}
