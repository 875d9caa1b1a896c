/* A range of a model's blocks and the KV caches of the sessions that run through it. */
#include "elements/common/gstrdpartition.h"
#include "models/ids.h"
#include <string.h>

static void
session_free (GstRdPartition * p, GstRdSession * session)
{
  if (session->data)
    p->free_data (session->data);
  g_clear_pointer (&session->cache, st_kv_cache_free);
  g_free (session);
}

void
gst_rd_partition_init (GstRdPartition * p, GDestroyNotify free_data)
{
  memset (p, 0, sizeof *p);
  p->free_data = free_data;
  p->sessions = g_hash_table_new (NULL, NULL);
  p->level = -1;
  g_mutex_init (&p->lock);
}

void
gst_rd_partition_clear (GstRdPartition * p)
{
  gst_rd_partition_close (p);
  g_hash_table_unref (p->sessions);
  gst_rd_settings_clear (&p->settings);
  g_mutex_clear (&p->lock);
}

/* The caches belong to a model; the sessions do not. */
static void
drop_caches (GstRdPartition * p)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, p->sessions);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    GstRdSession *session = value;

    g_clear_pointer (&session->cache, st_kv_cache_free);
  }
}

/* Adapters of the codec file, if it has any. */
static gboolean
adapt (GstRdPartition * p, GError ** error)
{
  const gchar *codec = p->settings.codec;

  if (!codec || !codec[0] || rd_codec_is_builtin (codec))
    return TRUE;
  p->adapters = gst_rd_adapters_open (codec, error);
  if (!p->adapters)
    return FALSE;
  if (!p->adapters->model) {
    GST_INFO ("codec file %s has no adapters: the model runs as it is", codec);
    return TRUE;
  }
  if (!gst_rd_adapters_check (p->adapters, p->model, p->first, p->last,
          p->settings.model_check == GST_RD_MODEL_CHECK_STRICT, error))
    return FALSE;
  if (st_model_adapt (p->model, p->adapters->model, error))
    return TRUE;
  g_prefix_error (error, "codec file %s: ", codec);
  return FALSE;
}

static void
close_model (GstRdPartition * p)
{
  g_clear_pointer (&p->model, st_model_unref);
  g_clear_pointer (&p->adapters, gst_rd_adapters_close);
}

gboolean
gst_rd_partition_open (GstRdPartition * p, const GstRdSettings * settings,
    gint first, gint last, gboolean embed, gboolean output, GError ** error)
{
  StModelOptions options = {
    .first_block = first,
    .last_block = last,
    .embed = embed,
    .output = output,
    .threads = settings->threads,
    .deterministic = settings->deterministic,
    .verify_full = settings->verify == GST_RD_VERIFY_FULL,
  };

  drop_caches (p);
  close_model (p);
  if (settings != &p->settings) {
    gst_rd_settings_clear (&p->settings);
    gst_rd_settings_copy (&p->settings, settings);
  }
  p->model = st_model_open (settings->model, &options, error);
  if (!p->model)
    return FALSE;
  p->first = first;
  p->last = last < 0 ? (gint) st_model_config (p->model)->n_blocks : last;
  p->embed = embed;
  p->output = output;
  if (!adapt (p, error)) {
    close_model (p);
    return FALSE;
  }
  g_mutex_lock (&p->lock);
  memset (&p->counters, 0, sizeof p->counters);
  g_mutex_unlock (&p->lock);
  return TRUE;
}

gboolean
gst_rd_default_split (const gchar * path, gint * first, gint * last,
    GError ** error)
{
  g_autoptr (StGguf) gguf = st_gguf_open (path, error);
  guint64 a = 0, b = 0, n = 0;

  if (!gguf)
    return FALSE;
  const gchar *arch = st_gguf_get_string (gguf, "general.architecture");
  g_autofree gchar *key = g_strdup_printf ("%s.block_count", arch ? arch : "");
  if (st_gguf_get_uint (gguf, ST_SPLIT_KEY_FIRST_BLOCK, &a)
      && st_gguf_get_uint (gguf, ST_SPLIT_KEY_LAST_BLOCK, &b)
      && a < b && b <= G_MAXINT) {
    *first = (gint) a;
    *last = (gint) b;
    return TRUE;
  }
  if (!st_gguf_get_uint (gguf, key, &n) || n < 2 || n > G_MAXINT) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "%s does not say how many blocks it has; set split-layer", path);
    return FALSE;
  }
  *first = 0;
  *last = (gint) (n / 2);
  return TRUE;
}

void
gst_rd_partition_close (GstRdPartition * p)
{
  gst_rd_partition_end_all (p);
  close_model (p);
}

static gboolean
check_ids (const GstRdPartition * p, const GstRdInput * input, GError ** error)
{
  const StModelConfig *config = st_model_config (p->model);
  StTokenizer *tokenizer = st_model_tokenizer (p->model);
  const gchar *id = tokenizer ? st_tokenizer_id (tokenizer) : "";

  if (!p->embed) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
        "token ids arrive, but blocks %d-%d of %s take hidden states; "
        "set split-layer, or layers beginning with block 0", p->first, p->last,
        config->name);
    return FALSE;
  }
  if (p->settings.model_check == GST_RD_MODEL_CHECK_STRICT && *id
      && input->tokenizer_id[0] && strcmp (id, input->tokenizer_id) != 0) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "the token ids were made with tokenizer %.12s, %s has tokenizer "
        "%.12s; give both elements the same model", input->tokenizer_id,
        config->name, id);
    return FALSE;
  }
  if (input->vocab_size > config->vocab_size) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "the token ids are of a vocabulary of %u, %s has %u",
        input->vocab_size, config->name, config->vocab_size);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_states (const GstRdPartition * p, const GstRdStateInfo * info,
    GError ** error)
{
  const StModelConfig *config = st_model_config (p->model);
  const gchar *id = st_model_id (p->model);
  gboolean strict = p->settings.model_check == GST_RD_MODEL_CHECK_STRICT;

  if (p->embed) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
        "hidden states arrive, but blocks %d-%d of %s take token ids; set "
        "layers=a-b", p->first, p->last, config->name);
    return FALSE;
  }
  gboolean other_file = info->model_id[0] && strcmp (info->model_id, id) != 0;
  gboolean other_size = info->hidden_size
      && info->hidden_size != config->hidden_size;
  gboolean other_split = info->split_layer >= 0
      && info->split_layer != p->first;
  if (other_size || other_split || (strict && other_file)) {
    g_autofree gchar *split = info->split_layer < 0 ? g_strdup ("unknown") :
        g_strdup_printf ("%d", info->split_layer);

    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "the receiving part is of %s (id %.12s, hidden size %u) split %d, the stream "
        "was made for %s (id %.12s, hidden size %u) split %s; %s",
        config->name, id, config->hidden_size,
        p->first, info->model_name[0] ? info->model_name : "a model",
        info->model_id[0] ? info->model_id : "unknown", info->hidden_size,
        split, other_size || other_file ? "give both sides the same model "
        "file, or set model-check=architecture if it is the same in another "
        "type" : "let layers begin where the stream was cut");
    return FALSE;
  }
  return gst_rd_adapters_agree (p->output ? "transformertail" :
      "transformerhead", gst_rd_partition_adapters (p), info->adapters,
      info->model_id, error);
}

gboolean
gst_rd_partition_check (const GstRdPartition * p, const GstRdInput * input,
    GError ** error)
{
  if (input->ids)
    return check_ids (p, input, error);
  return check_states (p, &input->info, error);
}

static void
count_sessions (GstRdPartition * p)
{
  g_mutex_lock (&p->lock);
  p->counters.sessions = g_hash_table_size (p->sessions);
  g_mutex_unlock (&p->lock);
}

GstRdSession *
gst_rd_partition_find (GstRdPartition * p, guint32 number)
{
  return g_hash_table_lookup (p->sessions, GUINT_TO_POINTER (number));
}

GstRdSession *
gst_rd_partition_session (GstRdPartition * p, guint32 number, GError ** error)
{
  GstRdSession *session = gst_rd_partition_find (p, number);

  if (session)
    return session;
  if (g_hash_table_size (p->sessions) >= p->settings.max_sessions) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
        "%u sessions are open, no more are taken; raise max-sessions or end "
        "one", p->settings.max_sessions);
    return NULL;
  }
  session = g_new0 (GstRdSession, 1);
  session->number = number;
  g_hash_table_insert (p->sessions, GUINT_TO_POINTER (number), session);
  count_sessions (p);
  return session;
}

void
gst_rd_partition_end (GstRdPartition * p, guint32 number)
{
  GstRdSession *session = gst_rd_partition_find (p, number);

  if (session) {
    g_hash_table_remove (p->sessions, GUINT_TO_POINTER (number));
    session_free (p, session);
    count_sessions (p);
  }
}

void
gst_rd_partition_end_all (GstRdPartition * p)
{
  GHashTableIter iter;
  gpointer session;

  g_hash_table_iter_init (&iter, p->sessions);
  while (g_hash_table_iter_next (&iter, NULL, &session)) {
    g_hash_table_iter_remove (&iter);
    session_free (p, session);
  }
  count_sessions (p);
}

guint
gst_rd_session_length (const GstRdSession * session)
{
  return session->cache ? st_kv_cache_length (session->cache) : 0;
}

static void
place_unnumbered (GstRdSession * session, GstRdRows * rows)
{
  rows->epoch = session->epoch;
  rows->position = gst_rd_session_length (session);
  if (rows->discont && rows->position > 0) {
    rows->epoch++;
    rows->position = 0;
  }
}

GstRdPlacement
gst_rd_partition_place (GstRdPartition * p, GstRdSession * session,
    GstRdRows * rows, GError ** error)
{
  if (!rows->has_meta)
    place_unnumbered (session, rows);
  if (session->failed || (gint32) (rows->epoch - session->epoch) < 0)
    return GST_RD_STALE;
  if (!session->cache) {
    session->cache = st_kv_cache_new (p->model, p->settings.context_size,
        p->settings.cache_type == GST_RD_CACHE_F16 ? ST_TYPE_F16 : ST_TYPE_F32,
        error);
    if (!session->cache)
      return GST_RD_MISPLACED;
  }
  guint length = gst_rd_session_length (session);
  if (rows->position > length) {
    if (session->full && rows->epoch == session->epoch)
      return GST_RD_STALE;
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_DEMUX,
        "rows at position %u arrive, but only %u positions are known; rows "
        "between them were lost", rows->position, length);
    return GST_RD_MISPLACED;
  }
  session->epoch = rows->epoch;
  session->full = FALSE;
  st_kv_cache_truncate (session->cache, rows->position);
  if (rows->n > st_kv_cache_capacity (session->cache) - rows->position) {
    session->full = TRUE;
    return GST_RD_FULL;
  }
  return GST_RD_PLACED;
}

void
gst_rd_partition_truncate (GstRdSession * session, guint32 epoch,
    guint32 position)
{
  if ((gint32) (epoch - session->epoch) < 0)
    return;
  session->epoch = epoch;
  session->full = FALSE;
  if (session->cache && position < gst_rd_session_length (session))
    st_kv_cache_truncate (session->cache, position);
}

static gboolean
embed (GstRdPartition * p, GstRdRows * rows, GError ** error)
{
  guint hidden = st_model_config (p->model)->hidden_size;

  rows->x = g_try_malloc_n (rows->n, sizeof (gfloat) * (gsize) hidden);
  if (!rows->x) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
        "no memory for the hidden states of %" G_GSIZE_FORMAT " tokens",
        rows->n);
    return FALSE;
  }
  return st_model_embed (p->model, rows->ids, rows->n, rows->x, error);
}

static void
count (GstRdPartition * p, gboolean step, gsize n, gint64 time)
{
  g_mutex_lock (&p->lock);
  p->counters.tokens += n;
  if (step) {
    p->counters.step_tokens += n;
    p->counters.step_time += time;
  } else {
    p->counters.prefill_tokens += n;
    p->counters.prefill_time += time;
  }
  g_mutex_unlock (&p->lock);
}

const gchar *
gst_rd_partition_adapters (const GstRdPartition * p)
{
  return p->adapters && p->adapters->model ? p->adapters->id : "";
}

void
gst_rd_partition_set_level (GstRdPartition * p, gint level)
{
  g_atomic_int_set (&p->level, level);
}

/* Of each row; NULL without adapters. */
static gfloat *
gates_of (GstRdPartition * p, const GstRdRows * rows)
{
  gint level = g_atomic_int_get (&p->level);
  gfloat *gates;

  if (!p->adapters || !p->adapters->model)
    return NULL;
  gates = g_new (gfloat, rows->n);
  for (gsize i = 0; i < rows->n; i++)
    gates[i] = gst_rd_adapters_gate (p->adapters,
        rows->levels ? rows->levels[i] : level);
  return gates;
}

gboolean
gst_rd_partition_run (GstRdPartition * p, GstRdSession * session,
    GstRdRows * rows, GError ** error)
{
  gboolean step = (rows->flags & GST_RD_META_STEP) != 0;
  gint64 start = g_get_monotonic_time ();
  g_autofree gfloat *gates = gates_of (p, rows);

  if (!rows->x && !embed (p, rows, error))
    return FALSE;
  if (!st_model_run_gated (p->model, session->cache, rows->x, rows->n,
          step ? ST_REGIME_STEP : ST_REGIME_PREFILL, gates, &p->cancel, error))
    return FALSE;
  count (p, step, rows->n, g_get_monotonic_time () - start);
  return TRUE;
}

void
gst_rd_partition_cancel (GstRdPartition * p, gboolean cancel)
{
  g_atomic_int_set (&p->cancel, cancel);
}

gboolean
gst_rd_partition_cancelled (GstRdPartition * p)
{
  return g_atomic_int_get (&p->cancel) != 0;
}

static gdouble
per_second (guint64 n, gint64 time)
{
  return time > 0 ? (gdouble) n *G_USEC_PER_SEC / (gdouble) time : 0;
}

void
gst_rd_partition_stats (GstRdPartition * p, GstStructure * stats)
{
  g_mutex_lock (&p->lock);
  GstRdCounters c = p->counters;
  g_mutex_unlock (&p->lock);
  gst_structure_set (stats, "sessions", G_TYPE_UINT, c.sessions,
      "tokens", G_TYPE_UINT64, c.tokens,
      "prefill-tokens", G_TYPE_UINT64, c.prefill_tokens,
      "prefill-tokens-per-second", G_TYPE_DOUBLE,
      per_second (c.prefill_tokens, c.prefill_time),
      "step-tokens", G_TYPE_UINT64, c.step_tokens,
      "step-tokens-per-second", G_TYPE_DOUBLE,
      per_second (c.step_tokens, c.step_time), NULL);
}
