/* What a codec file's predictor is fed with. */
#include "elements/common/gstrdpredictor.h"
#include "elements/common/gstrdenum.h"
#include "elements/common/gstrdframes.h"
#include "elements/common/gstrdprocess.h"
#include <string.h>

/* Rows at a time of positions that are run only for what follows. */
#define CHUNK 256
/* A head may hold more positions than its model was trained for; only what is used takes memory. */
#define MIN_CONTEXT (1u << 17)

struct _GstRdPredictor
{
  StModel *model;
  gboolean blocks;              /* else embeddings only */
  gfloat *x;
  gsize n_allocated;            /* rows of x */
  GArray *tokens;               /* of the present call: positions 0 .. */
};

/* *INDENT-OFF* */
GST_RD_ENUM_TYPE (gst_rd_token_side_info_get_type, "GstRdTokenSideInfo",
    {GST_RD_TOKEN_SIDE_INFO_NONE, "States are coded by themselves", "none"},
    {GST_RD_TOKEN_SIDE_INFO_GENERATED, "Generated tokens, which the tail has sampled, help", "generated"},
    {GST_RD_TOKEN_SIDE_INFO_ALL, "All tokens help; the tail gets the ids of the prompt", "all"})
/* *INDENT-ON* */

/* ---- what fits what; an id of zeros, any model, is "" ---- */

gboolean
gst_rd_codec_check (const RdCodec * codec, const GstRdStateInfo * info,
    GError ** error)
{
  const RdCodecInfo *made = rd_codec_info (codec);
  gchar id[2 * RD_MODEL_ID_BYTES + 1];

  if (!made)
    return TRUE;
  gst_rd_id_to_hex (made->model_id, id);
  gboolean model = !id[0] || !info->model_id[0]
      || strcmp (id, info->model_id) == 0;
  gboolean split = info->split_layer < 0
      || made->split_layer == (guint) info->split_layer;
  if (model && split && made->hidden_size == info->hidden_size)
    return TRUE;
  g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "the codec file \"%s\" was made for %s (id %.12s, hidden size %u) split "
      "%u, the stream is of %s (id %.12s, hidden size %u) split %d; use the "
      "codec file that was made for it", rd_codec_id (codec), made->model_name,
      id[0] ? id : "any", made->hidden_size, made->split_layer,
      info->model_name[0] ? info->model_name : "a model",
      info->model_id[0] ? info->model_id : "unknown", info->hidden_size,
      info->split_layer);
  return FALSE;
}

static gboolean
check_model (StModel * model, const gchar * path, const RdCodecInfo * info,
    GError ** error)
{
  const StModelConfig *config = st_model_config (model);
  gchar id[2 * RD_MODEL_ID_BYTES + 1];

  gst_rd_id_to_hex (info->model_id, id);
  if (config->hidden_size == info->hidden_size && (!id[0]
          || strcmp (id, st_model_id (model)) == 0))
    return TRUE;
  g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "the codec file's predictor was made for %s (id %.12s, hidden size %u), "
      "model=%s is %s (id %.12s, hidden size %u); give the same model",
      info->model_name, id[0] ? id : "any", info->hidden_size, path,
      config->name, st_model_id (model), config->hidden_size);
  return FALSE;
}

/* ---- the object ---- */

static StModel *
open_model (const gchar * path, const RdCodecInfo * info, GError ** error)
{
  gboolean blocks = info->side_info == RD_SIDE_INFO_BLOCKS;
  StModelOptions options = {.first_block = 0,
    .last_block = blocks ? (gint) MIN (info->n_blocks, G_MAXINT) : 0,
    .embed = TRUE,.deterministic = TRUE
  };
  g_autoptr (GError) local = NULL;
  StModel *model = st_model_open (path, &options, &local);

  if (model)
    return model;
  if (g_error_matches (local, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE))
    g_set_error (error, local->domain, local->code,
        "%s. The codec's predictor needs the embedding and the first %d blocks: "
        "give model the whole file, or a part written by rdpartition "
        "--with-predictor=%d", local->message, options.last_block,
        options.last_block);
  else
    g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}

GstRdPredictor *
gst_rd_predictor_new (const gchar * path, const RdCodecInfo * info,
    GError ** error)
{
  g_autoptr (StModel) model = NULL;

  if (!path || !path[0]) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "the stream uses token side information, which takes a part of %s on "
        "this side, too: set model to its GGUF file", info->model_name);
    return NULL;
  }
  model = open_model (path, info, error);
  if (!model || !check_model (model, path, info, error))
    return NULL;
  GstRdPredictor *p = g_new0 (GstRdPredictor, 1);
  p->model = g_steal_pointer (&model);
  p->blocks = info->side_info == RD_SIDE_INFO_BLOCKS;
  p->tokens = g_array_new (FALSE, FALSE, sizeof (guint32));
  return p;
}

void
gst_rd_predictor_free (GstRdPredictor * p)
{
  if (!p)
    return;
  st_model_unref (p->model);
  g_array_unref (p->tokens);
  g_free (p->x);
  g_free (p);
}

void
gst_rd_prediction_clear (GstRdPrediction * prediction)
{
  g_clear_pointer (&prediction->cache, st_kv_cache_free);
  g_clear_pointer (&prediction->ran, g_array_unref);
}

/* ---- features ---- */

static gboolean
reserve (GstRdPredictor * p, gsize n, GError ** error)
{
  guint hidden = st_model_config (p->model)->hidden_size;

  if (n <= p->n_allocated)
    return TRUE;
  gfloat *x = g_try_realloc_n (p->x, n, sizeof (gfloat) * (gsize) hidden);
  if (!x) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
        "no memory for the features of %" G_GSIZE_FORMAT " tokens", n);
    return FALSE;
  }
  p->x = x;
  p->n_allocated = n;
  return TRUE;
}

/* Copies the tokens that are needed, [from, to); the others are not looked at. */
static gboolean
copy_tokens (GstRdPredictor * p, const GstRdPast * past, GMutex * lock,
    gsize from, gsize to, GError ** error)
{
  gsize unknown = from;

  if (lock)
    g_mutex_lock (lock);
  g_array_set_size (p->tokens, 0);
  g_array_append_vals (p->tokens, past->tokens->data,
      (guint) MIN (to, past->tokens->len));
  if (lock)
    g_mutex_unlock (lock);
  while (unknown < p->tokens->len
      && g_array_index (p->tokens, guint32, unknown) != GST_RD_PAST_UNKNOWN)
    unknown++;
  if (unknown >= to)
    return TRUE;
  g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_DECODE,
      "token side information is used, but the token id at position %"
      G_GSIZE_FORMAT " is not known here; rdencoder token-side-info=all sends "
      "the ids of prompts", unknown);
  return FALSE;
}

static gboolean
embed (GstRdPredictor * p, gsize from, gsize n, gfloat * x, GError ** error)
{
  g_autofree gint32 *ids = g_new (gint32, n);

  for (gsize i = 0; i < n; i++)
    ids[i] = (gint32) (g_array_index (p->tokens, guint32, from + i)
        & ~GST_RD_PAST_STEP);
  if (st_model_embed (p->model, ids, n, x, error))
    return TRUE;
  gst_rd_hide_ids (error, p->model, (guint32) from);
  return FALSE;
}

static gboolean
is_step (const GstRdPredictor * p, gsize position)
{
  return (g_array_index (p->tokens, guint32, position) & GST_RD_PAST_STEP) != 0;
}

/* Runs the positions [from, to), where the cache ends at @from. @keep: x gets all rows, else what is needed on the way. */
static gboolean
run (GstRdPredictor * p, GstRdPrediction * prediction, gsize from, gsize to,
    gboolean keep, const gint * cancel, GError ** error)
{
  gsize hidden = st_model_config (p->model)->hidden_size, start = from;

  while (from < to) {
    gfloat *x = p->x + (keep ? (from - start) * hidden : 0);
    gsize n = 1;

    while (from + n < to && n < CHUNK && is_step (p, from + n) == is_step (p,
            from))
      n++;
    if (!embed (p, from, n, x, error)
        || !st_model_run (p->model, prediction->cache, x, n, is_step (p,
                from) ? ST_REGIME_STEP : ST_REGIME_PREFILL, cancel, error))
      return FALSE;
    g_array_append_vals (prediction->ran, &g_array_index (p->tokens, guint32,
            from), (guint) n);
    from += n;
  }
  return TRUE;
}

/* Leaves in the cache the positions below @limit that were run with what are still their tokens. */
static gboolean
rewind_cache (GstRdPredictor * p, GstRdPrediction * prediction, guint limit,
    GError ** error)
{
  guint context = st_model_config (p->model)->context_length, same = 0;

  if (!prediction->cache) {
    prediction->cache = st_kv_cache_new (p->model, MAX (context, MIN_CONTEXT),
        ST_TYPE_F32, error);
    if (!prediction->cache)
      return FALSE;
    prediction->ran = g_array_new (FALSE, FALSE, sizeof (guint32));
  }
  limit = MIN (limit, prediction->ran->len);
  while (same < limit && g_array_index (prediction->ran, guint32, same)
      == g_array_index (p->tokens, guint32, same))
    same++;
  g_array_set_size (prediction->ran, same);
  st_kv_cache_truncate (prediction->cache, same);
  return TRUE;
}

const gfloat *
gst_rd_predictor_features (GstRdPredictor * p, GstRdPrediction * prediction,
    const GstRdPast * past, GMutex * lock, guint32 position, gsize n,
    const gint * cancel, GError ** error)
{
  gsize end = position + n;

  if (!copy_tokens (p, past, lock, p->blocks ? 0 : position, end, error)
      || !reserve (p, MAX (n, CHUNK), error))
    return NULL;
  if (!p->blocks)
    return embed (p, position, n, p->x, error) ? p->x : NULL;
  if (!rewind_cache (p, prediction, position, error)
      || !run (p, prediction, prediction->ran->len, position, FALSE, cancel,
          error)
      || !run (p, prediction, position, end, TRUE, cancel, error))
    return NULL;
  return p->x;
}
