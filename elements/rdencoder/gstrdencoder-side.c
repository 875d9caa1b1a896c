/* Token side information in rdencoder: which rows are coded with the help of their token ids, and which ids the tail has to be sent. */
#include "elements/rdencoder/gstrdencoder-private.h"
#include "elements/common/gstrdadapters.h"

static void
past_free (gpointer data)
{
  GstRdEncoderPast *past = data;

  gst_rd_past_clear (&past->past);
  gst_rd_prediction_clear (&past->prediction);
  g_free (past);
}

GHashTable *
gst_rd_encoder_pasts_new (void)
{
  return g_hash_table_new_full (NULL, NULL, NULL, past_free);
}

void
gst_rd_encoder_side_end (GstRdEncoder * self, guint32 number)
{
  g_hash_table_remove (self->pasts, GUINT_TO_POINTER (number));
}

void
gst_rd_encoder_side_close (GstRdEncoder * self)
{
  g_hash_table_remove_all (self->pasts);
  g_clear_pointer (&self->predictor, gst_rd_predictor_free);
}

static GstRdEncoderPast *
past_of (GstRdEncoder * self, guint32 number)
{
  GstRdEncoderPast *past =
      g_hash_table_lookup (self->pasts, GUINT_TO_POINTER (number));

  if (!past) {
    past = g_new0 (GstRdEncoderPast, 1);
    gst_rd_past_init (&past->past);
    g_hash_table_insert (self->pasts, GUINT_TO_POINTER (number), past);
  }
  return past;
}

gboolean
gst_rd_encoder_side_open (GstRdEncoder * self, GError ** error)
{
  const RdCodecInfo *info = rd_codec_info (self->codec);
  g_autofree gchar *model = NULL;

  GST_OBJECT_LOCK (self);
  self->use_side_info = self->token_side_info;
  model = g_strdup (self->model);
  GST_OBJECT_UNLOCK (self);
  if (!gst_rd_codec_check (self->codec, &self->input.info, error)
      || !gst_rd_adapters_agree ("rdencoder", info && info->adapters ?
          rd_codec_id (self->codec) : "", self->input.info.adapters,
          self->input.info.model_id, error))
    return FALSE;
  if (!info || info->side_info == RD_SIDE_INFO_NONE)
    self->use_side_info = GST_RD_TOKEN_SIDE_INFO_NONE;
  if (self->use_side_info == GST_RD_TOKEN_SIDE_INFO_NONE)
    return TRUE;
  if (self->use_side_info == GST_RD_TOKEN_SIDE_INFO_GENERATED
      && info->side_info == RD_SIDE_INFO_BLOCKS) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "the predictor of codec \"%s\" runs the first %u blocks of the model on "
        "all tokens so far, so token-side-info=generated is not enough for it: "
        "set all (the tail then gets the ids of the prompt), or none",
        rd_codec_id (self->codec), info->n_blocks);
    return FALSE;
  }
  self->predictor = gst_rd_predictor_new (model, info, error);
  return self->predictor != NULL;
}

/* Ids that are @sent are told, and the one that is given after the last row. */
static void
note_told (GstRdEncoderSession * session, const GstRdRows * rows, gboolean sent)
{
  gst_rd_past_rows (&session->told, rows->epoch, rows->position, rows->n,
      (rows->flags & GST_RD_META_STEP) != 0, sent ? rows->ids : NULL);
  if ((rows->flags & GST_RD_META_GIVEN) && rows->given_id >= 0)
    gst_rd_past_tokens (&session->told, rows->epoch,
        rows->position + (guint32) rows->n, &rows->given_id, 1);
}

/* Notes what the tail learns from these rows; whether it has just their ids after that. */
static gboolean
tell (GstRdEncoder * self, const GstRdRows * rows, gboolean all,
    gboolean * send_ids)
{
  gboolean known = FALSE;

  g_mutex_lock (&self->lock);
  GstRdEncoderSession *session = gst_rd_encoder_find (self, rows->session);
  if (session) {
    /* what was known beyond the begin of an epoch is void before it is asked for */
    note_told (session, rows, FALSE);
    known = rows->ids && gst_rd_past_knows (&session->told, rows->position,
        rows->n, rows->ids);
    *send_ids |= all && !known;
    if (*send_ids)
      note_told (session, rows, TRUE);
  }
  g_mutex_unlock (&self->lock);
  return known || *send_ids;
}

gboolean
gst_rd_encoder_side_plan (GstRdEncoder * self, const GstRdRows * rows,
    GstRdSidePlan * plan, GError ** error)
{
  gboolean all = self->use_side_info == GST_RD_TOKEN_SIDE_INFO_ALL;
  gboolean step = (rows->flags & GST_RD_META_STEP) != 0;

  plan->send_ids = rows->ids && (rows->flags & GST_RD_META_SEND_IDS);
  plan->features = NULL;
  if (!self->predictor)
    return TRUE;
  if (!rows->ids && (all || step)) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_ENCODE,
        "the hidden states come without their token ids, which token-side-info "
        "needs: take them from transformerhead, or set token-side-info=none");
    return FALSE;
  }
  /* In `generated` a step whose token the tail has not sampled is a stranger to it, and is not to be told. */
  if (!tell (self, rows, all, &plan->send_ids) || !(all || step))
    return TRUE;
  GstRdEncoderPast *past = past_of (self, rows->session);
  gst_rd_past_rows (&past->past, rows->epoch, rows->position, rows->n, step,
      rows->ids);
  plan->features = gst_rd_predictor_features (self->predictor,
      &past->prediction, &past->past, NULL, rows->position, rows->n,
      &self->cancel, error);
  return plan->features != NULL;
}
