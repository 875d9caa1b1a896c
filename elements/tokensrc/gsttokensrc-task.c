/* tokensrc: the source pad and its thread. Not a GstBaseSrc: that class allows no second source pad. */
#include "elements/tokensrc/gsttokensrc-private.h"
#include "elements/common/gstrdcaps.h"
#include "elements/common/gstrdevents.h"

#define GST_CAT_DEFAULT tokensrc_debug

GstStaticPadTemplate gst_token_src_src_template =
GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_RD_TOKEN_IDS_CAPS));

/* ---- what the thread waits for ---- */

void
gst_token_src_set_flushing (GstTokenSrc * self, gboolean flushing)
{
  g_autoptr (GstRdOutput) answer =
      gst_rd_output_get (GST_ELEMENT (self), &self->answer);

  /* The thread may be waiting for room there. */
  if (flushing && answer)
    gst_rd_output_interrupt (answer);
  g_mutex_lock (&self->lock);
  self->flushing = flushing;
  if (flushing) {
    self->rewind = TRUE;
    g_queue_clear_full (&self->received, (GDestroyNotify) gst_event_unref);
  }
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

void
gst_token_src_set_playing (GstTokenSrc * self, gboolean playing)
{
  g_mutex_lock (&self->lock);
  self->playing = playing;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

/* A live source sends nothing in PAUSED. FALSE when flushing. */
static gboolean
wait_for_playing (GstTokenSrc * self)
{
  gboolean flushing;

  g_mutex_lock (&self->lock);
  while (self->running.is_live && !self->playing && !self->flushing)
    g_cond_wait (&self->changed, &self->lock);
  flushing = self->flushing;
  g_mutex_unlock (&self->lock);
  return !flushing;
}

/* ---- the thread ---- */

static void
begin_stream (GstTokenSrc * self)
{
  if (!self->begun) {
    g_autofree gchar *id =
        gst_pad_create_stream_id (self->srcpad, GST_ELEMENT (self), "ids");
    g_autoptr (GstCaps) caps =
        gst_rd_token_ids_caps (st_tokenizer_vocab_size (self->prompt.tokenizer),
        st_tokenizer_id (self->prompt.tokenizer));
    GstEvent *event = gst_event_new_stream_start (id);

    gst_event_set_group_id (event, gst_util_group_id_next ());
    gst_pad_push_event (self->srcpad, event);
    gst_pad_push_event (self->srcpad, gst_event_new_caps (caps));
    self->begun = TRUE;
  }
  if (!self->segment_sent) {
    GstSegment segment;

    gst_segment_init (&segment, GST_FORMAT_TIME);
    gst_pad_push_event (self->srcpad, gst_event_new_segment (&segment));
    self->segment_sent = TRUE;
  }
}

static GstClockTime
running_time (GstTokenSrc * self)
{
  GstClockTime time = GST_CLOCK_TIME_NONE;
  GstClock *clock = gst_element_get_clock (GST_ELEMENT (self));

  if (clock) {
    GstClockTime base = gst_element_get_base_time (GST_ELEMENT (self));
    GstClockTime now = gst_clock_get_time (clock);

    if (GST_CLOCK_TIME_IS_VALID (base) && now >= base)
      time = now - base;
    gst_object_unref (clock);
  }
  return time;
}

static GstFlowReturn
send_one (GstTokenSrc * self)
{
  GstBuffer *buffer = NULL;
  GstFlowReturn flow;

  if (self->buffers_left == 0)
    return GST_FLOW_EOS;
  flow = gst_token_src_stream_create (self, &buffer);
  if (flow != GST_FLOW_OK)
    return flow;
  /* It may have been paused meanwhile. */
  if (!wait_for_playing (self)) {
    gst_buffer_unref (buffer);
    return GST_FLOW_FLUSHING;
  }
  GST_BUFFER_PTS (buffer) = running_time (self);
  if (self->buffers_left > 0)
    self->buffers_left--;
  return gst_pad_push (self->srcpad, buffer);
}

static void
end_stream (GstTokenSrc * self, GstFlowReturn flow)
{
  g_autoptr (GstRdOutput) answer =
      gst_rd_output_get (GST_ELEMENT (self), &self->answer);

  GST_DEBUG_OBJECT (self, "the stream ends: %s", gst_flow_get_name (flow));
  /* Who returned ERROR has said why. */
  if (flow == GST_FLOW_NOT_LINKED || (flow < GST_FLOW_EOS
          && flow != GST_FLOW_ERROR))
    GST_ELEMENT_FLOW_ERROR (self, flow);
  gst_pad_push_event (self->srcpad, gst_event_new_eos ());
  if (answer)
    gst_rd_output_eos (answer);
}

static void
src_loop (gpointer data)
{
  GstTokenSrc *self = data;
  GstFlowReturn flow = GST_FLOW_FLUSHING;

  if (wait_for_playing (self)) {
    begin_stream (self);
    flow = send_one (self);
  }
  if (flow == GST_FLOW_OK)
    return;
  if (flow != GST_FLOW_FLUSHING)
    end_stream (self, flow);
  gst_pad_pause_task (self->srcpad);
}

/* ---- the pad ---- */

static gboolean
activate_mode (GstPad * pad, GstObject * parent, GstPadMode mode,
    gboolean active)
{
  GstTokenSrc *self = GST_TOKEN_SRC (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active) {
    if (!gst_token_src_stream_start (self))
      return FALSE;
    gst_token_src_set_flushing (self, FALSE);
    return gst_pad_start_task (pad, src_loop, self, NULL);
  }
  gst_token_src_set_flushing (self, TRUE);
  gboolean stopped = gst_pad_stop_task (pad);
  gst_token_src_stream_stop (self);
  return stopped;
}

/* Only queues what comes: this is the tail's thread, or our own inside a push. */
static gboolean
take_tokens (GstTokenSrc * self, GstEvent * event)
{
  g_mutex_lock (&self->lock);
  if (!self->flushing)
    g_queue_push_tail (&self->received, gst_event_ref (event));
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

static gboolean
take_error (GstTokenSrc * self, const gchar * message)
{
  g_mutex_lock (&self->lock);
  if (!self->peer_error)
    self->peer_error = g_strdup (message);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

static gboolean
src_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTokenSrc *self = GST_TOKEN_SRC (parent);
  guint32 session, epoch, position;
  gboolean taken = FALSE;
  const gchar *message;
  const gint32 *ids;
  RdFinish finish;
  guint n;

  (void) pad;
  if (gst_rd_event_parse_tokens (event, &session, &epoch, &position, &ids, &n,
          &finish))
    taken = session == self->session && take_tokens (self, event);
  else if (gst_rd_event_parse_error (event, &session, &message))
    taken = (session == self->session || session == GST_RD_ALL_SESSIONS)
        && take_error (self, message);
  else
    taken = GST_EVENT_TYPE (event) == GST_EVENT_RECONFIGURE
        || GST_EVENT_TYPE (event) == GST_EVENT_LATENCY;
  gst_event_unref (event);
  return taken;
}

static gboolean
src_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstTokenSrc *self = GST_TOKEN_SRC (parent);
  GstFormat format;
  gboolean live;

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_LATENCY:
      GST_OBJECT_LOCK (self);
      live = self->settings.is_live;
      GST_OBJECT_UNLOCK (self);
      gst_query_set_latency (query, live, 0, GST_CLOCK_TIME_NONE);
      return TRUE;
    case GST_QUERY_SEEKING:
      gst_query_parse_seeking (query, &format, NULL, NULL, NULL);
      gst_query_set_seeking (query, format, FALSE, 0, -1);
      return TRUE;
    default:
      return gst_pad_query_default (pad, parent, query);
  }
}

static GstIterator *
no_links (GstPad * pad, GstObject * parent)
{
  (void) pad;
  (void) parent;
  return NULL;
}

void
gst_token_src_add_src_pad (GstTokenSrc * self)
{
  self->srcpad =
      gst_pad_new_from_static_template (&gst_token_src_src_template, "src");
  gst_pad_set_activatemode_function (self->srcpad, activate_mode);
  gst_pad_set_event_function (self->srcpad, src_event);
  gst_pad_set_query_function (self->srcpad, src_query);
  gst_pad_set_iterate_internal_links_function (self->srcpad, no_links);
  gst_pad_use_fixed_caps (self->srcpad);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
}

/* ---- events of the application ---- */

static void
flush_answer (GstTokenSrc * self, GstEvent * event)
{
  g_autoptr (GstRdOutput) answer =
      gst_rd_output_get (GST_ELEMENT (self), &self->answer);

  if (answer)
    gst_rd_output_flush (answer, gst_event_ref (event));
}

static void
flush_start (GstTokenSrc * self, GstEvent * event)
{
  gst_token_src_set_flushing (self, TRUE);
  flush_answer (self, event);
  gst_pad_push_event (self->srcpad, event);
  gst_pad_pause_task (self->srcpad);
}

static void
flush_stop (GstTokenSrc * self, GstEvent * event)
{
  flush_answer (self, event);
  gst_pad_push_event (self->srcpad, event);
  g_mutex_lock (&self->lock);
  self->eos_wanted = FALSE;
  g_mutex_unlock (&self->lock);
  gst_token_src_set_flushing (self, FALSE);
  self->segment_sent = FALSE;
  gst_pad_start_task (self->srcpad, src_loop, self, NULL);
}

gboolean
gst_token_src_send_event (GstElement * element, GstEvent * event)
{
  GstTokenSrc *self = GST_TOKEN_SRC (element);

  if (GST_EVENT_IS_DOWNSTREAM (event) && !GST_PAD_IS_ACTIVE (self->srcpad)) {
    gst_event_unref (event);
    return FALSE;
  }
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_EOS:
      g_mutex_lock (&self->lock);
      self->eos_wanted = TRUE;
      g_cond_broadcast (&self->changed);
      g_mutex_unlock (&self->lock);
      gst_event_unref (event);
      return TRUE;
    case GST_EVENT_FLUSH_START:
      flush_start (self, event);
      return TRUE;
    case GST_EVENT_FLUSH_STOP:
      flush_stop (self, event);
      return TRUE;
    case GST_EVENT_LATENCY:
      gst_event_unref (event);
      return TRUE;
    default:
      if (GST_EVENT_IS_DOWNSTREAM (event))
        return gst_pad_push_event (self->srcpad, event);
      gst_event_unref (event);
      return FALSE;
  }
}
