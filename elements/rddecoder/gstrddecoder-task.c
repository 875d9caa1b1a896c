/* The task on rddecoder's source pad: decodes what the receiver hands over, in order, and pushes it. */
#include "elements/rddecoder/gstrddecoder-private.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdframes.h"
#include "elements/common/gstrdpair.h"
#include <string.h>

GST_DEBUG_CATEGORY_EXTERN (gst_rd_decoder_debug);
#define GST_CAT_DEFAULT gst_rd_decoder_debug

/* ---- the begin of a session ---- */

void
gst_rd_decoder_info_from_header (GstRdStateInfo * info, const RdHeader * header)
{
  memset (info, 0, sizeof *info);
  info->layout = GST_RD_LAYOUT_HIDDEN_STATES;
  info->format = GST_RD_F32;
  info->hidden_size = header->hidden_size;
  info->split_layer = (gint) header->split_layer;
  info->vocab_size = header->vocab_size;
  gst_rd_id_to_hex (header->model_id, info->model_id);
  g_strlcpy (info->model_name, header->model_name, sizeof info->model_name);
}

/* What HEADER says, and what it means to the model if that is coded with @codec. */
static void
info_of (GstRdStateInfo * info, const RdHeader * header, const RdCodec * codec)
{
  const RdCodecInfo *file = rd_codec_info (codec);

  gst_rd_decoder_info_from_header (info, header);
  if (file && file->adapters)
    g_strlcpy (info->adapters, rd_codec_id (codec), sizeof info->adapters);
}

static gboolean
same_model (const GstRdStateInfo * a, const GstRdStateInfo * b)
{
  return a->hidden_size == b->hidden_size && a->split_layer == b->split_layer
      && a->vocab_size == b->vocab_size
      && strcmp (a->model_id, b->model_id) == 0
      && strcmp (a->adapters, b->adapters) == 0;
}

static const gchar *
name_of (const GstRdStateInfo * info)
{
  return info->model_name[0] ? info->model_name : "a model without a name";
}

/* What downstream takes of the states: as they are, else as flexible tensors. NULL = neither. */
static GstCaps *
choose_caps (GstRdDecoder * self, GstRdStateInfo * info)
{
  const GstRdLayout layouts[] = { GST_RD_LAYOUT_HIDDEN_STATES,
    GST_RD_LAYOUT_TENSORS_FLEXIBLE
  };

  for (guint i = 0; i < G_N_ELEMENTS (layouts); i++) {
    info->layout = layouts[i];
    GstCaps *caps = gst_rd_state_info_to_caps (info);
    g_autoptr (GstCaps) taken = gst_pad_peer_query_caps (self->srcpad, caps);
    if (!gst_caps_is_empty (taken))
      return caps;
    gst_caps_unref (caps);
  }
  return NULL;
}

/* Once the first session has brought caps, and the segment again after a flush. */
static void
start_stream (GstRdDecoder * self)
{
  GstSegment segment;

  if (self->stream_started || !self->have_caps)
    return;
  self->stream_started = TRUE;
  if (!gst_pad_has_current_caps (self->srcpad)) {
    g_autofree gchar *id = gst_pad_create_stream_id (self->srcpad,
        GST_ELEMENT (self), "states");
    GstEvent *event = gst_event_new_stream_start (id);

    g_autoptr (GstCaps) caps = gst_rd_state_info_to_caps (&self->info);

    gst_event_set_group_id (event, gst_util_group_id_next ());
    gst_pad_push_event (self->srcpad, event);
    gst_pad_push_event (self->srcpad, gst_event_new_caps (caps));
  }
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (self->srcpad, gst_event_new_segment (&segment));
}

/* Caps for the first session; later ones have to fit them. NULL or why not. */
static gchar *
agree (GstRdDecoder * self, const RdHeader * header, const RdCodec * codec)
{
  GstRdStateInfo info;

  info_of (&info, header, codec);
  if (self->have_caps && same_model (&info, &self->info))
    return NULL;
  if (self->have_caps)
    return g_strdup_printf ("This tail is busy with %s cut before block %d "
        "(%u values a token%s%s), the stream was made with %s cut before block "
        "%d (%u values a token%s%s)", name_of (&self->info),
        self->info.split_layer, self->info.hidden_size,
        self->info.adapters[0] ? ", adapters of " : "", self->info.adapters,
        name_of (&info), info.split_layer, info.hidden_size,
        info.adapters[0] ? ", adapters of " : "", info.adapters);
  g_autoptr (GstCaps) caps = choose_caps (self, &info);
  if (!caps)
    return g_strdup_printf ("What follows rddecoder does not take the states "
        "of %s cut before block %d (%u values a token)", name_of (&info),
        info.split_layer, info.hidden_size);
  self->info = info;
  self->have_caps = TRUE;
  return NULL;
}

static RdCodec *
make_codec (GstRdDecoder * self, const RdHeader * header, GError ** error)
{
  g_autofree gchar *name = NULL;

  GST_OBJECT_LOCK (self);
  name = g_strdup (self->codec_name);
  GST_OBJECT_UNLOCK (self);
  if (rd_codec_is_builtin (header->codec))
    return rd_codec_new (header->codec, header->hidden_size, error);
  if (!name) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_UNKNOWN,
        "The stream is coded with \"%s\", which is not built in: set codec of "
        "rddecoder to its codec file", header->codec);
    return NULL;
  }
  g_autoptr (RdCodec) codec = rd_codec_new (name, header->hidden_size, error);
  const RdCodecInfo *info = codec ? rd_codec_info (codec) : NULL;
  if (codec && strcmp (rd_codec_id (codec), header->codec) != 0) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_UNKNOWN,
        "The stream is coded with \"%s\" for %s split %u, the codec file of "
        "rddecoder is \"%s\"%s%s: set codec to the stream's file",
        header->codec, header->model_name[0] ? header->model_name : "a model",
        header->split_layer, rd_codec_id (codec), info ? " for " : "",
        info ? info->model_name : "");
    return NULL;
  }
  if (codec && !gst_rd_decoder_side_open (self, codec, header, error))
    return NULL;
  return g_steal_pointer (&codec);
}

static void
begin_session (GstRdDecoder * self, const RdDelivery * d)
{
  gchar tokenizer_id[2 * RD_MODEL_ID_BYTES + 1];
  g_autoptr (GError) error = NULL;
  g_autofree gchar *why_not = NULL;

  g_mutex_lock (&self->lock);
  GstRdDecoderSession *session =
      gst_rd_decoder_add (self, d->session, d->header);
  self->raw_bits = 16 * d->header->hidden_size;
  g_mutex_unlock (&self->lock);
  session->codec = make_codec (self, d->header, &error);
  why_not = session->codec ? agree (self, d->header,
      session->codec) : g_strdup (error->message);
  if (why_not) {
    gst_rd_decoder_refuse (self, d->session, why_not);
    return;
  }
  start_stream (self);
  gst_rd_id_to_hex (d->header->tokenizer_id, tokenizer_id);
  session->announced = TRUE;
  gst_pad_push_event (self->srcpad, gst_rd_event_new_session (d->session,
          tokenizer_id, &d->header->wishes));
}

/* ---- the end ---- */

/* Takes the session out of the table and tells downstream and the application. Called with the lock, which it gives up for a while. */
static void
close_session (GstRdDecoder * self, GstRdDecoderSession * session)
{
  GstEvent *event = session->announced ?
      gst_rd_event_new_session_end (session->number) : NULL;
  GstStructure *stats = gst_rd_decoder_stats (self, session);

  g_ptr_array_remove (self->sessions, session);
  g_mutex_unlock (&self->lock);
  if (event)
    gst_pad_push_event (self->srcpad, event);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self), stats));
  g_mutex_lock (&self->lock);
}

static void
end_session (GstRdDecoder * self, const RdDelivery * d)
{
  gint num_sessions;

  GST_OBJECT_LOCK (self);
  num_sessions = self->num_sessions;
  GST_OBJECT_UNLOCK (self);
  g_mutex_lock (&self->lock);
  GstRdDecoderSession *session = gst_rd_decoder_find (self, d->session);
  self->ended++;
  if (session)
    close_session (self, session);
  gboolean last = num_sessions >= 0 && self->ended >= (guint) num_sessions;
  if (last && d->reason)
    gst_rd_decoder_wait_told (self);
  g_mutex_unlock (&self->lock);
  if (d->reason && last)
    GST_ELEMENT_ERROR (self, RESOURCE, READ, ("The session ended early: %s.",
            d->reason), ("session %u", d->session));
  else if (d->reason)
    GST_ELEMENT_WARNING (self, RESOURCE, READ,
        ("A session ended early: %s.", d->reason), ("session %u", d->session));
}

/* The stream has ended, but some sessions have not: their heads learn that nobody listens any more. */
static void
abandon_sessions (GstRdDecoder * self)
{
  gst_rd_decoder_tell_error (self, GST_RD_ALL_SESSIONS, "the tail was stopped");
  gst_rd_decoder_wait_told (self);
  while (self->sessions->len > 0 && !self->flushing) {
    close_session (self, g_ptr_array_index (self->sessions, 0));
    g_mutex_unlock (&self->lock);
    GST_ELEMENT_WARNING (self, RESOURCE, READ,
        ("The states ended before their session did: the head or the "
            "connection to it is gone, the recording is cut off, or this side "
            "was stopped."), (NULL));
    g_mutex_lock (&self->lock);
  }
}

/* ---- the loop ---- */

static void
pause_with (GstRdDecoder * self, GstFlowReturn result)
{
  g_mutex_lock (&self->lock);
  self->result = result;
  if (result != GST_FLOW_FLUSHING && self->receiver) {
    gst_rd_decoder_tell_error (self, GST_RD_ALL_SESSIONS, "the tail has ended");
    gst_rd_decoder_wait_told (self);
    self->source_done = TRUE;
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  if (result == GST_FLOW_NOT_LINKED || result < GST_FLOW_EOS) {
    GST_ELEMENT_FLOW_ERROR (self, result);
    gst_pad_push_event (self->srcpad, gst_event_new_eos ());
  }
  gst_pad_pause_task (self->srcpad);
}

static void
push_eos (GstRdDecoder * self)
{
  gst_pad_push_event (self->srcpad, gst_event_new_eos ());
  g_mutex_lock (&self->lock);
  self->source_done = TRUE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  gst_pad_pause_task (self->srcpad);
}

/* Called without the lock: nobody else touches a delivery that is out. */
static void
deliver (GstRdDecoder * self)
{
  const RdDelivery *d = &self->delivery;
  GstFlowReturn result = GST_FLOW_OK;

  switch (d->type) {
    case RD_DELIVERY_BEGIN:
      begin_session (self, d);
      break;
    case RD_DELIVERY_STATES:
      start_stream (self);
      result = gst_rd_decoder_push_rows (self);
      break;
    case RD_DELIVERY_CANCEL:
      gst_pad_push_event (self->srcpad, gst_rd_event_new_cancel (d->session,
              d->epoch, d->position));
      break;
    case RD_DELIVERY_END:
      end_session (self, d);
      break;
    case RD_DELIVERY_NONE:
      break;
  }
  g_mutex_lock (&self->lock);
  gst_rd_decoder_taken (self);
  g_mutex_unlock (&self->lock);
  if (result != GST_FLOW_OK)
    pause_with (self, result);
}

/* Rows that a flush sent back: a buffer at a position that was reached before truncates to it, so nothing is lost and nothing doubled. */
static void
push_again (GstRdDecoder * self)
{
  start_stream (self);
  GstFlowReturn result = gst_rd_decoder_push_pending (self);
  if (result != GST_FLOW_OK)
    pause_with (self, result);
}

/* With a way back its task keeps the time. */
static void
wait (GstRdDecoder * self)
{
  gint64 deadline = G_MAXINT64;

  if (self->receiver && !gst_rd_decoder_has_feedback (self))
    deadline = rd_receiver_deadline (self->receiver);
  gst_rd_cond_wait (&self->cond, &self->lock, deadline);
}

static gboolean
all_sessions_over (GstRdDecoder * self)
{
  gint num_sessions;

  GST_OBJECT_LOCK (self);
  num_sessions = self->num_sessions;
  GST_OBJECT_UNLOCK (self);
  return num_sessions >= 0 && self->ended >= (guint) num_sessions
      && self->sessions->len == 0;
}

void
gst_rd_decoder_loop (gpointer pad)
{
  GstRdDecoder *self = GST_RD_DECODER (GST_OBJECT_PARENT (pad));

  g_mutex_lock (&self->lock);
  for (;;) {
    if (self->flushing) {
      g_mutex_unlock (&self->lock);
      gst_pad_pause_task (self->srcpad);
      return;
    }
    if (self->pending) {
      g_mutex_unlock (&self->lock);
      push_again (self);
      return;
    }
    if (self->receiver && rd_receiver_next (self->receiver,
            g_get_monotonic_time (), &self->delivery)) {
      g_mutex_unlock (&self->lock);
      deliver (self);
      return;
    }
    if (self->eos || all_sessions_over (self)) {
      if (self->eos && self->sessions->len > 0)
        abandon_sessions (self);
      g_mutex_unlock (&self->lock);
      push_eos (self);
      return;
    }
    wait (self);
  }
}

void
gst_rd_decoder_set_flushing (GstRdDecoder * self, gboolean flushing)
{
  g_mutex_lock (&self->lock);
  self->flushing = flushing;
  if (!flushing) {
    self->result = GST_FLOW_OK;
    self->eos = self->source_done = FALSE;
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}
