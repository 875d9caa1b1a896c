/* Sessions of rddecoder, and what it tells about them. */
#include "elements/rddecoder/gstrddecoder-private.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdpair.h"
#include <string.h>

#define TELL_TIME (500 * G_TIME_SPAN_MILLISECOND)

static void
session_free (gpointer data)
{
  GstRdDecoderSession *session = data;

  rd_codec_free (session->codec);
  gst_rd_past_clear (&session->past);
  gst_rd_prediction_clear (&session->prediction);
  g_free (session);
}

GPtrArray *
gst_rd_decoder_sessions_new (void)
{
  return g_ptr_array_new_with_free_func (session_free);
}

GstRdDecoderSession *
gst_rd_decoder_find (GstRdDecoder * self, guint32 number)
{
  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdDecoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->number == number)
      return session;
  }
  return NULL;
}

GstRdDecoderSession *
gst_rd_decoder_add (GstRdDecoder * self, guint32 number,
    const RdHeader * header)
{
  GstRdDecoderSession *session = g_new0 (GstRdDecoderSession, 1);

  session->number = number;
  memcpy (session->id, header->session_id, RD_SESSION_ID_BYTES);
  session->has_feedback = header->has_feedback;
  session->hidden_size = header->hidden_size;
  gst_rd_past_init (&session->past);
  g_ptr_array_add (self->sessions, session);
  return session;
}

gboolean
gst_rd_decoder_has_feedback (GstRdDecoder * self)
{
  gboolean linked;

  GST_OBJECT_LOCK (self);
  linked = self->feedback && gst_pad_is_linked (self->feedback);
  GST_OBJECT_UNLOCK (self);
  return linked;
}

void
gst_rd_decoder_open (GstRdDecoder * self)
{
  RdReceiverConfig config = RD_RECEIVER_CONFIG_DEFAULT;

  if (self->receiver)
    return;
  config.has_feedback = gst_rd_decoder_has_feedback (self);
  GST_OBJECT_LOCK (self);
  config.max_peers = self->max_peers;
  /* Without a way back the stream may have to wait here for longer than any time-out. */
  config.session_timeout =
      config.has_feedback ? (gint64) self->session_timeout * 1000 : 0;
  config.linger = (gint64) self->linger * 1000;
  config.loss_policy = self->loss_policy == GST_RD_LOSS_POLICY_RESET ?
      RD_LOSS_RESET : RD_LOSS_STALL;
  config.max_frame_bytes = self->max_frame_bytes;
  GST_OBJECT_UNLOCK (self);
  self->receiver = rd_receiver_new (&config);
  g_cond_broadcast (&self->cond);
}

void
gst_rd_decoder_clear (GstRdDecoder * self)
{
  g_clear_pointer (&self->receiver, rd_receiver_free);
  g_ptr_array_set_size (self->sessions, 0);
  memset (&self->delivery, 0, sizeof self->delivery);
  gst_clear_buffer (&self->pending);
  self->eos = self->source_done = self->way_back_told = FALSE;
  self->result = GST_FLOW_OK;
  self->ended = self->errors = self->raw_bits = 0;
  self->bytes = self->lost_bytes = self->tokens = 0;
  self->payload_bytes = self->decode_ns = 0;
}

GstStructure *
gst_rd_decoder_stats (GstRdDecoder * self, const GstRdDecoderSession * session)
{
  RdReceiverStats r = { 0, };
  guint n_sessions = 0;

  if (self->receiver) {
    rd_receiver_stats (self->receiver, &r);
    n_sessions = rd_receiver_n_sessions (self->receiver);
  }
  GstStructure *s = gst_structure_new ("rddecoder-stats",
      "frames", G_TYPE_UINT64, r.frames,
      "tokens", G_TYPE_UINT64, self->tokens,
      "bytes", G_TYPE_UINT64, self->bytes,
      "payload-bytes", G_TYPE_UINT64, self->payload_bytes,
      "feedback-bytes", G_TYPE_UINT64, r.bytes_sent,
      "bits-per-token", G_TYPE_DOUBLE,
      gst_rd_bits_per_token (self->bytes, self->tokens),
      "payload-bits-per-token", G_TYPE_DOUBLE,
      gst_rd_bits_per_token (self->payload_bytes, self->tokens),
      "raw-bits-per-token", G_TYPE_UINT, self->raw_bits,
      "duplicates", G_TYPE_UINT64, r.duplicates,
      "dropped", G_TYPE_UINT64, r.dropped,
      "foreign", G_TYPE_UINT64, r.foreign,
      "lost-bytes", G_TYPE_UINT64, self->lost_bytes,
      "holes", G_TYPE_UINT64, r.holes,
      "replays-requested", G_TYPE_UINT64, r.replays_requested,
      "key-requests", G_TYPE_UINT64, r.key_requests,
      "errors", G_TYPE_UINT, self->errors,
      "sessions", G_TYPE_UINT, n_sessions,
      "sessions-ended", G_TYPE_UINT, self->ended,
      "ns-per-token", G_TYPE_UINT64,
      self->tokens ? self->decode_ns / self->tokens : 0, NULL);
  if (session)
    gst_structure_set (s, "session", G_TYPE_UINT, session->number,
        "session-frames", G_TYPE_UINT64, session->frames,
        "session-tokens", G_TYPE_UINT64, session->tokens,
        "session-payload-bytes", G_TYPE_UINT64, session->payload_bytes, NULL);
  return s;
}

void
gst_rd_decoder_tell_error (GstRdDecoder * self, guint32 number,
    const gchar * message)
{
  gint64 now = g_get_monotonic_time ();

  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdDecoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->number != number && number != GST_RD_ALL_SESSIONS)
      continue;
    session->refused = TRUE;
    rd_receiver_error (self->receiver, session->number, message, now);
  }
  self->feedback_idle = FALSE;
  g_cond_broadcast (&self->cond);
}

void
gst_rd_decoder_wait_told (GstRdDecoder * self)
{
  gint64 until = g_get_monotonic_time () + TELL_TIME;

  if (!gst_rd_decoder_has_feedback (self))
    return;
  while (!self->feedback_idle && !self->flushing)
    if (!g_cond_wait_until (&self->cond, &self->lock, until))
      break;
}
