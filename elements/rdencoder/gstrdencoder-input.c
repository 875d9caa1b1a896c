/* What comes in on rdencoder's sink pad: rows are encoded and handed to their session, events begin and end sessions. */
#include "elements/rdencoder/gstrdencoder-private.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdframes.h"
#include <string.h>

GST_DEBUG_CATEGORY_EXTERN (gst_rd_encoder_debug);
#define GST_CAT_DEFAULT gst_rd_encoder_debug

#define TELL_TIME (100 * G_TIME_SPAN_MILLISECOND)

/* ---- buffers ---- */

/* The session of a buffer, made and opened if need be. Called with the lock. */
static GstRdEncoderSession *
session_for (GstRdEncoder * self, const GstRdRows * rows)
{
  GstRdEncoderSession *session = gst_rd_encoder_find (self, rows->session);

  if (!session)
    session = gst_rd_encoder_add (self, rows->session);
  if (session && !session->sender)
    gst_rd_encoder_open (self, session);
  return session;
}

/* Room for a group? A full window holds back only its own session: with several, the group waits in the session's queue, which keeps
 * it for replays anyway. */
static gboolean
may_queue (GstRdEncoder * self, const GstRdEncoderSession * session)
{
  guint open = 0;

  if (rd_sender_can_queue (session->sender, self->payload->len))
    return TRUE;
  for (guint i = 0; i < self->sessions->len; i++) {
    const GstRdEncoderSession *s = g_ptr_array_index (self->sessions, i);

    open += s->sender && !s->failed;
  }
  return open > 1;
}

/* Hands one encoded group to the session, waiting for room. The session is looked up anew after each wait. */
static GstFlowReturn
send_group (GstRdEncoder * self, guint32 number, const RdStates * states,
    GError ** error)
{
  GstFlowReturn result = GST_FLOW_OK;
  GstRdEncoderSession *session;

  g_mutex_lock (&self->lock);
  for (;;) {
    session = gst_rd_encoder_find (self, number);
    result = self->flushing ? GST_FLOW_FLUSHING : self->result;
    if (result != GST_FLOW_OK || !session || session->failed
        || may_queue (self, session))
      break;
    g_cond_wait (&self->cond, &self->lock);
  }
  if (result == GST_FLOW_OK && session && !session->failed) {
    rd_sender_set_max_payload_size (session->sender, self->use_mtu);
    if (!rd_sender_queue (session->sender, states, self->payload->data,
            self->payload->len, g_get_monotonic_time (), error))
      result = GST_FLOW_ERROR;
    session->epoch = states->epoch;
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  return result;
}

/* Time since @start counts as encoding. */
static void
count_time (GstRdEncoder * self, GstClockTime start)
{
  g_mutex_lock (&self->lock);
  self->encode_ns += gst_util_get_timestamp () - start;
  g_mutex_unlock (&self->lock);
}

gboolean
gst_rd_encoder_encode (GstRdEncoder * self, const GstRdRows * rows,
    const GstRdSidePlan * plan, gsize from, gsize n, gboolean * packed,
    GError ** error)
{
  gsize first = from * self->input.info.hidden_size;
  RdRows group = {.n = n,.position = rows->position + (guint32) from,
    .ids = rows->ids ? rows->ids + from : NULL,
    .features = plan->features ? plan->features + first : NULL
  };
  GstClockTime start = gst_util_get_timestamp ();

  g_byte_array_set_size (self->payload, 0);
  gboolean good = rd_codec_encode (self->codec, &group, rows->x + first,
      self->use_pack, self->payload, packed, error);
  count_time (self, start);
  return good;
}

static GstFlowReturn
send_rows (GstRdEncoder * self, const GstRdRows * rows, GError ** error)
{
  gboolean given = (rows->flags & GST_RD_META_GIVEN) != 0;
  GstFlowReturn result = GST_FLOW_OK;
  GstClockTime start = gst_util_get_timestamp ();
  GstRdSidePlan plan;
  gsize n = 0;

  if (!gst_rd_encoder_side_plan (self, rows, &plan, error))
    return GST_FLOW_ERROR;
  count_time (self, start);
  for (gsize i = 0; i < rows->n && result == GST_FLOW_OK; i += n) {
    gboolean packed = FALSE;

    if (!gst_rd_encoder_encode_frame (self, rows, &plan, i, &n, &packed, error))
      return GST_FLOW_ERROR;
    gboolean last = i + n == rows->n;
    RdStates states = {
      .epoch = rows->epoch,
      .position = rows->position + (guint32) i,
      .count = (guint32) n,
      .step = (rows->flags & GST_RD_META_STEP) != 0,
      .sample = last && (rows->flags & GST_RD_META_SAMPLE),
      .given = last && given && rows->given_id >= 0,
      .given_id = rows->given_id,
      .ids = plan.send_ids ? rows->ids + i : NULL,.packed = packed,
    };

    gst_rd_encoder_rate_tell (self, rd_codec_level (self->codec));
    result = send_group (self, rows->session, &states, error);
  }
  return result;
}

/* Buffers without a meta: session 0, one position after the other; a discontinuity begins a new session. */
static void
place_without_meta (GstRdEncoder * self, GstRdRows * rows)
{
  g_mutex_lock (&self->lock);
  GstRdEncoderSession *session = gst_rd_encoder_find (self, 0);
  if (session && session->sender && rows->discont) {
    /* The old one ends by itself under a number that no buffer has. */
    rd_sender_end (session->sender, g_get_monotonic_time ());
    session->number = --self->ending_number;
    session = NULL;
  }
  rows->position = session ? session->next_position : 0;
  session = session_for (self, rows);
  if (session)
    session->next_position = rows->position + (guint32) rows->n;
  g_mutex_unlock (&self->lock);
}

/* Properties that may change while playing count from the next buffer on. */
static void
follow_properties (GstRdEncoder * self)
{
  GST_OBJECT_LOCK (self);
  self->use_pack = self->pack;
  self->use_frame_tokens = self->frame_tokens;
  self->use_mtu = self->max_payload_size;
  self->use_rate = self->rate_settings;
  GST_OBJECT_UNLOCK (self);
}

/* Flexible tensors tell the size of a row in the buffer only. */
static gboolean
prepare (GstRdEncoder * self, GstBuffer * buffer, GError ** error)
{
  g_autofree gchar *name = NULL;
  GstCaps *caps;

  if (self->codec)
    return TRUE;
  if (!self->input.info.hidden_size)
    self->input.info.hidden_size =
        gst_rd_state_info_peek_hidden_size (&self->input.info, buffer, error);
  if (!self->input.info.hidden_size)
    return FALSE;
  GST_OBJECT_LOCK (self);
  name = g_strdup (self->codec_name);
  GST_OBJECT_UNLOCK (self);
  self->codec = rd_codec_new (gst_rd_encoder_rate_codec (self, name),
      self->input.info.hidden_size, error);
  if (!self->codec)
    return FALSE;
  if (!gst_rd_encoder_side_open (self, error)) {
    g_clear_pointer (&self->codec, rd_codec_free);
    return FALSE;
  }
  RdHeader header = { 0, };
  gst_rd_encoder_fill_header (self, &header);
  caps = gst_pad_get_pad_template_caps (self->srcpad);
  caps = gst_caps_make_writable (caps);
  gst_rd_states_caps_set_header (caps, &header);
  g_mutex_lock (&self->lock);
  self->raw_bits = 16 * self->input.info.hidden_size;
  g_queue_push_tail (&self->events, gst_event_new_caps (caps));
  g_mutex_unlock (&self->lock);
  gst_caps_unref (caps);
  return TRUE;
}

/* Our own segment, time of emission, whatever came in; then what could not go before it. */
static void
start_segment (GstRdEncoder * self)
{
  GstSegment segment;
  GstEvent *event;

  if (self->have_segment)
    return;
  self->have_segment = TRUE;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  g_mutex_lock (&self->lock);
  g_queue_push_tail (&self->events, gst_event_new_segment (&segment));
  while ((event = g_queue_pop_head (&self->held)))
    g_queue_push_tail (&self->events, event);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

static GstFlowReturn
report_chain_error (GstRdEncoder * self, GError * error)
{
  gint64 now = g_get_monotonic_time (), until = now + TELL_TIME;

  /* The tail need not wait for what will not come; the application may tear everything down once it reads the error. */
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->sender && !session->failed) {
      rd_sender_error (session->sender, "the encoder failed", now);
      self->telling++;
    }
  }
  g_cond_broadcast (&self->cond);
  while (self->telling > 0 && !self->flushing
      && g_cond_wait_until (&self->cond, &self->lock, until));
  self->telling = 0;
  g_mutex_unlock (&self->lock);
  GST_ELEMENT_ERROR (self, STREAM, ENCODE, ("%s", error->message), (NULL));
  g_error_free (error);
  return GST_FLOW_ERROR;
}

GstFlowReturn
gst_rd_encoder_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstRdEncoder *self = GST_RD_ENCODER (parent);
  g_autoptr (GstBuffer) owned = buffer;
  GstFlowReturn result = GST_FLOW_OK;
  GstRdEncoderSession *session;
  GError *error = NULL;
  GstRdRows rows;

  (void) pad;
  if (!self->input.configured) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("Hidden states arrived without caps; put a capsfilter or an element "
            "that sets them before rdencoder."), (NULL));
    return GST_FLOW_NOT_NEGOTIATED;
  }
  follow_properties (self);
  if (!prepare (self, owned, &error)
      || !gst_rd_input_take (&self->input, owned,
          self->input.info.hidden_size, &rows, &error))
    return report_chain_error (self, error);
  if (rows.n == 0)
    return GST_FLOW_OK;
  gst_rd_encoder_rate_follow (self);
  start_segment (self);
  if (!rows.has_meta)
    place_without_meta (self, &rows);
  g_mutex_lock (&self->lock);
  session = session_for (self, &rows);
  gboolean drop = session && session->failed;
  result = self->result;
  g_mutex_unlock (&self->lock);
  if (!session)
    g_set_error (&error, GST_STREAM_ERROR, GST_STREAM_ERROR_ENCODE,
        "More than 256 sessions at a time; session %u has no place.",
        rows.session);
  else if (!drop && result == GST_FLOW_OK)
    result = send_rows (self, &rows, &error);
  gst_rd_encoder_rate_report (self, rows.session);
  gst_rd_rows_clear (&rows);
  if (g_error_matches (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED)) {
    g_clear_error (&error);
    result = GST_FLOW_FLUSHING;
  }
  return error ? report_chain_error (self, error) : result;
}

/* ---- events on the sink pad ---- */

static gboolean
set_caps (GstRdEncoder * self, GstCaps * caps)
{
  GstRdStateInfo before = self->input.info;
  gboolean had = self->codec != NULL;
  g_autoptr (GError) error = NULL;

  if (!gst_rd_input_set_caps (&self->input, caps, &error)) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT, ("%s", error->message), (NULL));
    return FALSE;
  }
  GstRdStateInfo *info = &self->input.info;
  if (!had)
    return TRUE;
  if (!info->hidden_size)
    info->hidden_size = before.hidden_size;
  if (info->hidden_size == before.hidden_size
      && info->split_layer == before.split_layer
      && strcmp (info->model_id, before.model_id) == 0
      && strcmp (info->adapters, before.adapters) == 0)
    return TRUE;
  self->input.configured = FALSE;
  GST_ELEMENT_ERROR (self, STREAM, FORMAT,
      ("The model changed inside a stream (%u values a token, layer %d to %u, "
          "layer %d%s); start a new stream for it.", before.hidden_size,
          before.split_layer, info->hidden_size, info->split_layer,
          strcmp (info->adapters, before.adapters) != 0 ?
          ", other adapters" : ""), (NULL));
  return FALSE;
}

static void
begin_session (GstRdEncoder * self, GstEvent * event)
{
  GstRdEncoderSession *session;
  const gchar *tokenizer_id;
  RdWishes wishes = { 0, };
  guint32 number;

  if (!gst_rd_event_parse_session (event, &number, &tokenizer_id, &wishes))
    return;
  g_mutex_lock (&self->lock);
  session = gst_rd_encoder_find (self, number);
  if (!session)
    session = gst_rd_encoder_add (self, number);
  if (session && !session->sender) {
    if (!gst_rd_id_from_hex (tokenizer_id, session->tokenizer_id))
      GST_WARNING_OBJECT (self, "tokenizer id is not 64 hex digits");
    rd_wishes_clear (&session->wishes);
    rd_wishes_copy (&session->wishes, &wishes);
  }
  g_mutex_unlock (&self->lock);
  rd_wishes_clear (&wishes);
}

/* rd-session-end, rd-cancel and GstForceKeyUnit; TRUE if it goes no further. */
static gboolean
session_event (GstRdEncoder * self, GstEvent * event)
{
  gint64 now = g_get_monotonic_time ();
  guint32 number, epoch, position;
  GstRdEncoderSession *session;
  gboolean mine = TRUE;

  begin_session (self, event);
  if (gst_rd_event_parse_session_end (event, &number))
    gst_rd_encoder_side_end (self, number);
  g_mutex_lock (&self->lock);
  if (gst_rd_event_parse_session_end (event, &number)) {
    session = gst_rd_encoder_find (self, number);
    if (session && (!session->sender || session->failed))
      gst_rd_encoder_remove (self, session);
    else if (session)
      rd_sender_end (session->sender, now);
  } else if (gst_rd_event_parse_cancel (event, &number, &epoch, &position)) {
    session = gst_rd_encoder_find (self, number);
    /* The event names the epoch that begins, CANCEL the one that is over. */
    if (session && session->sender && !session->failed)
      rd_sender_cancel (session->sender, session->epoch, position, now);
  } else if (gst_event_has_name (event, "GstForceKeyUnit")) {
    gst_rd_encoder_force_key (self);
  } else {
    mine = gst_rd_event_parse_session (event, &number, NULL, NULL);
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  return mine;
}

static void
end_all (GstRdEncoder * self)
{
  gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&self->lock);
  self->eos = TRUE;
  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->sender)
      rd_sender_end (session->sender, now);
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

/* Bytes of a row that has no end. */
static void
drop_rest (GstRdEncoder * self)
{
  gsize rest = gst_rd_input_flush (&self->input);

  if (rest)
    GST_ELEMENT_WARNING (self, STREAM, FORMAT,
        ("The stream ended inside a row: its last %" G_GSIZE_FORMAT
            " bytes were dropped.", rest), (NULL));
}

static void
queue_event (GstRdEncoder * self, GstEvent * event)
{
  gboolean now = self->have_segment
      || GST_EVENT_TYPE (event) == GST_EVENT_STREAM_START;

  g_mutex_lock (&self->lock);
  g_queue_push_tail (now ? &self->events : &self->held, event);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

gboolean
gst_rd_encoder_sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstRdEncoder *self = GST_RD_ENCODER (parent);
  gboolean good = TRUE;
  GstCaps *caps;

  (void) pad;
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      gst_event_parse_caps (event, &caps);
      good = set_caps (self, caps);
      break;
    case GST_EVENT_SEGMENT:
      break;
    case GST_EVENT_EOS:
      drop_rest (self);
      end_all (self);
      break;
    case GST_EVENT_FLUSH_START:
      gst_rd_encoder_set_flushing (self, TRUE);
      gst_pad_push_event (self->srcpad, gst_event_ref (event));
      gst_pad_pause_task (self->srcpad);
      break;
    case GST_EVENT_FLUSH_STOP:
      gst_pad_push_event (self->srcpad, gst_event_ref (event));
      gst_rd_input_flush (&self->input);
      self->have_segment = FALSE;
      if (self->codec)
        start_segment (self);
      gst_rd_encoder_set_flushing (self, FALSE);
      gst_pad_start_task (self->srcpad, gst_rd_encoder_loop, self->srcpad,
          NULL);
      break;
    default:
      if (GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_DOWNSTREAM
          && session_event (self, event))
        break;
      if (!GST_EVENT_IS_SERIALIZED (event))
        return gst_pad_push_event (self->srcpad, event);
      queue_event (self, gst_event_ref (event));
      break;
  }
  gst_event_unref (event);
  return good;
}

static gboolean
answer_level (GstRdEncoder * self, GstQuery * query)
{
  gint level = gst_rd_encoder_rate_level (self);

  if (level >= 0)
    gst_rd_query_set_level (query, (guint) level);
  return level >= 0;
}

gboolean
gst_rd_encoder_sink_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstRdEncoder *self = GST_RD_ENCODER (parent);

  if (GST_QUERY_TYPE (query) == GST_QUERY_ALLOCATION)
    return FALSE;
  if (gst_rd_query_is_level (query))
    return answer_level (self, query);
  if (gst_rd_query_is_way_back (query))
    return gst_rd_encoder_has_feedback (self)
        || gst_pad_peer_query (self->srcpad, query);
  return gst_pad_query_default (pad, parent, query);
}
