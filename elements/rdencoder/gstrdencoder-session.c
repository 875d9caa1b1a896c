/* Sessions of rdencoder: one wire session for every local one. */
#include "elements/rdencoder/gstrdencoder-private.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdframes.h"
#include "elements/common/gstrdpair.h"
#include <gio/gio.h>
#include <string.h>

#define MAX_SESSIONS 256

static void
session_free (gpointer data)
{
  GstRdEncoderSession *session = data;

  rd_sender_free (session->sender);
  rd_header_clear (&session->header);
  rd_wishes_clear (&session->wishes);
  gst_rd_past_clear (&session->told);
  g_free (session);
}

GPtrArray *
gst_rd_encoder_sessions_new (void)
{
  return g_ptr_array_new_with_free_func (session_free);
}

GstRdEncoderSession *
gst_rd_encoder_find (GstRdEncoder * self, guint32 number)
{
  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->number == number)
      return session;
  }
  return NULL;
}

GstRdEncoderSession *
gst_rd_encoder_find_alias (GstRdEncoder * self, guint8 alias)
{
  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->alias == alias)
      return session;
  }
  return NULL;
}

GstRdEncoderSession *
gst_rd_encoder_find_id (GstRdEncoder * self,
    const guint8 id[RD_SESSION_ID_BYTES])
{
  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->sender
        && memcmp (session->header.session_id, id, RD_SESSION_ID_BYTES) == 0)
      return session;
  }
  return NULL;
}

void
gst_rd_encoder_force_key (GstRdEncoder * self)
{
  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->sender)
      rd_sender_force_key (session->sender);
  }
}

GstRdEncoderSession *
gst_rd_encoder_add (GstRdEncoder * self, guint32 number)
{
  if (self->sessions->len >= MAX_SESSIONS)
    return NULL;
  /* An alias comes back as late as possible: late answers to an old session must not meet a new one. */
  while (gst_rd_encoder_find_alias (self, (guint8) self->next_alias))
    self->next_alias++;
  GstRdEncoderSession *session = g_new0 (GstRdEncoderSession, 1);
  session->number = number;
  session->alias = (guint8) self->next_alias++;
  gst_rd_past_init (&session->told);
  g_ptr_array_add (self->sessions, session);
  return session;
}

gboolean
gst_rd_encoder_has_feedback (GstRdEncoder * self)
{
  gboolean linked;

  GST_OBJECT_LOCK (self);
  linked = self->feedback && gst_pad_is_linked (self->feedback);
  GST_OBJECT_UNLOCK (self);
  return linked;
}

void
gst_rd_encoder_fill_header (GstRdEncoder * self, RdHeader * header)
{
  const GstRdStateInfo *info = &self->input.info;

  gst_rd_id_from_hex (info->model_id, header->model_id);
  g_strlcpy (header->codec, rd_codec_id (self->codec), sizeof header->codec);
  g_strlcpy (header->model_name, info->model_name, sizeof header->model_name);
  header->split_layer = (guint32) MAX (info->split_layer, 0);
  header->hidden_size = info->hidden_size;
  header->vocab_size = info->vocab_size;
  GST_OBJECT_LOCK (self);
  header->reply_port = (guint16) self->reply_port;
  GST_OBJECT_UNLOCK (self);
  header->has_feedback = gst_rd_encoder_has_feedback (self);
}

void
gst_rd_encoder_open (GstRdEncoder * self, GstRdEncoderSession * session)
{
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;

  gst_rd_encoder_fill_header (self, &session->header);
  for (guint i = 0; i < RD_SESSION_ID_BYTES; i += 4) {
    guint32 r = g_random_int ();

    memcpy (session->header.session_id + i, &r, 4);
  }
  memcpy (session->header.tokenizer_id, session->tokenizer_id,
      RD_MODEL_ID_BYTES);
  rd_wishes_copy (&session->header.wishes, &session->wishes);
  config.has_feedback = session->header.has_feedback && !self->feedback_closed;
  GST_OBJECT_LOCK (self);
  config.window_bytes = self->window_bytes;
  config.peer_timeout = (gint64) self->peer_timeout * 1000;
  config.linger = (gint64) self->linger * 1000;
  config.keepalive = (gint64) self->session_timeout * 1000 / 4;
  config.key_int_max = self->key_int_max;
  config.replay_bytes = self->replay_bytes;
  config.max_payload_size = self->max_payload_size;
  GST_OBJECT_UNLOCK (self);
  session->sender = rd_sender_new (&config, &session->header, session->alias);
  GST_INFO_OBJECT (self, "session %u opened as alias %u, %s", session->number,
      session->alias, config.has_feedback ? "with a way back" : "one way");
}

static void
add_stats (RdSenderStats * sum, const RdSenderStats * s)
{
  sum->frames += s->frames;
  sum->tokens += s->tokens;
  sum->bytes += s->bytes;
  sum->payload_bytes += s->payload_bytes;
  sum->header_bytes += s->header_bytes;
  sum->id_bytes += s->id_bytes;
  sum->retransmitted_frames += s->retransmitted_frames;
  sum->retransmitted_bytes += s->retransmitted_bytes;
  sum->probes += s->probes;
  sum->keys += s->keys;
  sum->bytes_received += s->bytes_received;
  sum->outstanding += s->outstanding;
  if (s->srtt > 0)
    sum->srtt = s->srtt;
}

void
gst_rd_encoder_remove (GstRdEncoder * self, GstRdEncoderSession * session)
{
  if (session->sender) {
    RdSenderStats stats = { 0, };

    rd_sender_stats (session->sender, &stats);
    stats.outstanding = 0;
    add_stats (&self->past, &stats);
  }
  g_ptr_array_remove (self->sessions, session);
}

void
gst_rd_encoder_clear (GstRdEncoder * self)
{
  g_ptr_array_set_size (self->sessions, 0);
  memset (&self->past, 0, sizeof self->past);
  self->encode_ns = self->clipped = self->trial_encodes = 0;
  memset (self->marks, 0, sizeof self->marks);
  self->next_session = 0;
}

static GstStructure *
stats_structure (GstRdEncoder * self, const RdSenderStats * s)
{
  return gst_structure_new ("rdencoder-stats",
      "frames", G_TYPE_UINT64, s->frames,
      "tokens", G_TYPE_UINT64, s->tokens,
      "bytes", G_TYPE_UINT64, s->bytes,
      "payload-bytes", G_TYPE_UINT64, s->payload_bytes,
      "header-bytes", G_TYPE_UINT64, s->header_bytes,
      "id-bytes", G_TYPE_UINT64, s->id_bytes,
      "ids-bits-per-token", G_TYPE_DOUBLE,
      gst_rd_bits_per_token (s->id_bytes, s->tokens),
      "feedback-bytes", G_TYPE_UINT64, s->bytes_received,
      "bits-per-token", G_TYPE_DOUBLE, gst_rd_bits_per_token (s->bytes,
          s->tokens), "payload-bits-per-token", G_TYPE_DOUBLE,
      gst_rd_bits_per_token (s->payload_bytes, s->tokens), "raw-bits-per-token",
      G_TYPE_UINT, self->raw_bits, "retransmitted-frames", G_TYPE_UINT64,
      s->retransmitted_frames, "retransmitted-bytes", G_TYPE_UINT64,
      s->retransmitted_bytes, "probes", G_TYPE_UINT64, s->probes, "key-frames",
      G_TYPE_UINT64, s->keys, "round-trip-us", G_TYPE_INT64, s->srtt,
      "window-used", G_TYPE_UINT64, (guint64) s->outstanding, "clipped-values",
      G_TYPE_UINT64, self->clipped, "ns-per-token", G_TYPE_UINT64,
      s->tokens ? self->encode_ns / s->tokens : 0, NULL);
}

GstStructure *
gst_rd_encoder_session_stats (GstRdEncoder * self,
    GstRdEncoderSession * session)
{
  RdSenderStats stats = { 0, };

  rd_sender_stats (session->sender, &stats);
  GstStructure *s = stats_structure (self, &stats);
  gst_structure_set (s, "session", G_TYPE_UINT, session->number, NULL);
  return s;
}

void
gst_rd_encoder_sum (GstRdEncoder * self, RdSenderStats * sum)
{
  *sum = self->past;
  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, i);
    RdSenderStats stats = { 0, };

    if (!session->sender)
      continue;
    rd_sender_stats (session->sender, &stats);
    add_stats (sum, &stats);
  }
}

GstStructure *
gst_rd_encoder_stats (GstRdEncoder * self)
{
  RdSenderStats sum;
  GstStructure *s;

  g_mutex_lock (&self->lock);
  gst_rd_encoder_sum (self, &sum);
  s = stats_structure (self, &sum);
  gst_rd_encoder_rate_stats (self, &sum, s);
  g_mutex_unlock (&self->lock);
  return s;
}

void
gst_rd_encoder_fail (GstRdEncoder * self, guint32 number, const gchar * message)
{
  g_mutex_lock (&self->lock);
  GstRdEncoderSession *session = gst_rd_encoder_find (self, number);
  gboolean first = session && !session->failed;
  if (session)
    session->failed = TRUE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  if (!first)
    return;
  if (gst_pad_push_event (self->sinkpad,
          gst_rd_event_new_error (number, message)))
    return;
  g_mutex_lock (&self->lock);
  self->result = GST_FLOW_ERROR;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  GST_ELEMENT_ERROR (self, RESOURCE, READ, ("%s", message),
      ("session %u", number));
}
