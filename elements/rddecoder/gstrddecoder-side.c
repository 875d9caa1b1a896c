/* Token side information in rddecoder: payloads that were coded with the help of token ids. */
#include "elements/rddecoder/gstrddecoder-private.h"

static GstRdPredictor *
open_predictor (GstRdDecoder * self, const RdCodecInfo * info, GError ** error)
{
  g_autofree gchar *model = NULL;

  GST_OBJECT_LOCK (self);
  model = g_strdup (self->model);
  GST_OBJECT_UNLOCK (self);
  return gst_rd_predictor_new (model, info, error);
}

gboolean
gst_rd_decoder_side_open (GstRdDecoder * self, const RdCodec * codec,
    const RdHeader * header, GError ** error)
{
  const RdCodecInfo *info = rd_codec_info (codec);
  GstRdStateInfo states;

  gst_rd_decoder_info_from_header (&states, header);
  if (!gst_rd_codec_check (codec, &states, error))
    return FALSE;
  GST_OBJECT_LOCK (self);
  gboolean have_model = self->model && self->model[0];
  GST_OBJECT_UNLOCK (self);
  /* without one the stream may do: it need not use side information */
  if (!info || info->side_info == RD_SIDE_INFO_NONE || !have_model
      || self->predictor)
    return TRUE;
  self->predictor = open_predictor (self, info, error);
  return self->predictor != NULL;
}

const gfloat *
gst_rd_decoder_side_features (GstRdDecoder * self,
    GstRdDecoderSession * session, const RdFrame * frame, GError ** error)
{
  if (!rd_codec_needs_features (session->codec, frame->payload,
          frame->payload_size, frame->packed))
    return NULL;
  if (!self->predictor) {
    self->predictor = open_predictor (self, rd_codec_info (session->codec),
        error);
    if (!self->predictor)
      return NULL;
  }
  return gst_rd_predictor_features (self->predictor, &session->prediction,
      &session->past, &self->lock, frame->position, frame->count, &self->cancel,
      error);
}
