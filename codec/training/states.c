#include "codec/training/states.h"

struct _RdStates
{
  RdSideInfo side_info;
  StModel *model;
  StKvCache *cache;
  StModel *predictor;           /* the first blocks of RD_SIDE_INFO_BLOCKS, or NULL */
  StKvCache *predictor_cache;
};

static gboolean
open_blocks (const gchar * path, guint last, const RdStatesOptions * options,
    StModel ** model, StKvCache ** cache, GError ** error)
{
  const StModelOptions range = {.last_block = (gint) last,.embed =
        TRUE,.threads = options->threads,.deterministic = TRUE
  };

  *model = st_model_open (path, &range, error);
  if (*model != NULL)
    *cache = st_kv_cache_new (*model, (guint) options->max_tokens,
        ST_TYPE_F32, error);
  return *cache != NULL;
}

static gboolean
check_range (const StModel * model, const RdStatesOptions * options,
    GError ** error)
{
  const guint n_blocks = st_model_config (model)->n_blocks;

  if (options->split_layer >= n_blocks) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "the split is before block %u, but the model has %u blocks: give a "
        "split of 1 to %u", options->split_layer, n_blocks, n_blocks - 1);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_options (const RdStatesOptions * options, GError ** error)
{
  if (options->split_layer < 1) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "the split is before block 0: give a split of at least 1");
    return FALSE;
  }
  if (options->side_info == RD_SIDE_INFO_BLOCKS && (options->n_blocks < 1
          || options->n_blocks >= options->split_layer)) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "states are to be predicted from the first %u blocks: for a split "
        "before block %u that can be 1 to %u", options->n_blocks,
        options->split_layer, options->split_layer - 1);
    return FALSE;
  }
  return TRUE;
}

RdStates *
rd_states_new (const gchar * path, const RdStatesOptions * options,
    GError ** error)
{
  g_autoptr (RdStates) states = g_new0 (RdStates, 1);

  states->side_info = options->side_info;
  if (!check_options (options, error)
      || !open_blocks (path, options->split_layer, options, &states->model,
          &states->cache, error)
      || !check_range (states->model, options, error)
      || (options->side_info == RD_SIDE_INFO_BLOCKS
          && !open_blocks (path, options->n_blocks, options,
              &states->predictor, &states->predictor_cache, error)))
    return NULL;
  return g_steal_pointer (&states);
}

void
rd_states_free (RdStates * states)
{
  if (states == NULL)
    return;
  g_clear_pointer (&states->cache, st_kv_cache_free);
  g_clear_pointer (&states->predictor_cache, st_kv_cache_free);
  g_clear_pointer (&states->model, st_model_unref);
  g_clear_pointer (&states->predictor, st_model_unref);
  g_free (states);
}

StModel *
rd_states_model (const RdStates * states)
{
  return states->model;
}

static gboolean
run (StModel * model, StKvCache * cache, const gint32 * ids, gsize n,
    float *x, const gint * cancel, GError ** error)
{
  const StRegime regime = n > 1 ? ST_REGIME_PREFILL : ST_REGIME_STEP;

  st_kv_cache_truncate (cache, 0);
  return st_model_embed (model, ids, n, x, error)
      && st_model_run (model, cache, x, n, regime, cancel, error);
}

gboolean
rd_states_run (RdStates * states, const gint32 * ids, gsize n, float *x,
    float *features, const gint * cancel, GError ** error)
{
  if (!run (states->model, states->cache, ids, n, x, cancel, error))
    return FALSE;
  if (features == NULL)
    return TRUE;
  switch (states->side_info) {
    case RD_SIDE_INFO_EMBEDDING:
      return st_model_embed (states->model, ids, n, features, error);
    case RD_SIDE_INFO_BLOCKS:
      return run (states->predictor, states->predictor_cache, ids, n, features,
          cancel, error);
    case RD_SIDE_INFO_NONE:
    default:
      return TRUE;
  }
}
