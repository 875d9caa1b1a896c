/* The way back from rddecoder: its own task on `feedback`, and what the tail says to it. */
#include "elements/rddecoder/gstrddecoder-private.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdframes.h"
#include "elements/common/gstrdpair.h"
#include <gst/net/gstnetaddressmeta.h>
#include <string.h>

GST_DEBUG_CATEGORY_EXTERN (gst_rd_decoder_debug);
#define GST_CAT_DEFAULT gst_rd_decoder_debug

/* ---- the task ---- */

static void
start_stream (GstRdDecoder * self, GstPad * pad)
{
  g_autofree gchar *id = gst_pad_create_stream_id (pad, GST_ELEMENT (self),
      "feedback");
  g_autoptr (GstCaps) caps = gst_pad_get_pad_template_caps (pad);
  GstEvent *event = gst_event_new_stream_start (id);
  GstSegment segment;

  gst_event_set_group_id (event, gst_util_group_id_next ());
  gst_pad_push_event (pad, event);
  gst_pad_push_event (pad, gst_event_new_caps (caps));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (pad, gst_event_new_segment (&segment));
}

static void
push_bytes (GstRdDecoder * self, GstPad * pad, GBytes * bytes,
    const RdPeer * to)
{
  GstBuffer *buffer = gst_buffer_new_wrapped_bytes (bytes);
  g_autoptr (GSocketAddress) address = gst_rd_peer_to_address (to);

  if (address)
    gst_buffer_add_net_address_meta (buffer, address);
  GstFlowReturn result = gst_pad_push (pad, buffer);
  if (result == GST_FLOW_OK)
    return;
  GST_DEBUG_OBJECT (self, "push back: %s", gst_flow_get_name (result));
  gst_pad_pause_task (pad);
  g_mutex_lock (&self->lock);
  self->feedback_idle = TRUE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  if (result == GST_FLOW_NOT_LINKED || result < GST_FLOW_EOS)
    GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
        ("The way back is broken: what follows rddecoder.feedback takes "
            "nothing any more (%s).", gst_flow_get_name (result)), (NULL));
}

static void
wait (GstRdDecoder * self)
{
  gint64 deadline = G_MAXINT64, now = g_get_monotonic_time ();

  if (self->receiver)
    deadline = rd_receiver_deadline (self->receiver);
  /* END is answered again for a while; nothing but the clock ends that. */
  if (self->source_done)
    deadline = MIN (deadline, now + 50 * G_TIME_SPAN_MILLISECOND);
  gst_rd_cond_wait (&self->cond, &self->lock, deadline);
}

static void
feedback_loop (gpointer data)
{
  GstPad *pad = data;
  GstRdDecoder *self = GST_RD_DECODER (GST_OBJECT_PARENT (pad));
  gint64 now = g_get_monotonic_time ();
  GBytes *bytes = NULL;
  RdPeer to = { {0,}, 0, 0, 0 };

  if (!gst_pad_has_current_caps (pad)) {
    start_stream (self, pad);
    return;
  }
  g_mutex_lock (&self->lock);
  if (!self->shutdown && self->receiver)
    bytes = rd_receiver_pull (self->receiver, now, &to);
  if (bytes) {
    /* The pull may have ended a session by time: the other task delivers that. */
    g_cond_broadcast (&self->cond);
    g_mutex_unlock (&self->lock);
    push_bytes (self, pad, bytes, &to);
    g_bytes_unref (bytes);
    return;
  }
  self->feedback_idle = TRUE;
  g_cond_broadcast (&self->cond);
  gboolean over = self->source_done
      && (!self->receiver || rd_receiver_quiet (self->receiver, now));
  gboolean shutdown = self->shutdown;
  if (!over && !shutdown)
    wait (self);
  g_mutex_unlock (&self->lock);
  if (over)
    gst_pad_push_event (pad, gst_event_new_eos ());
  if (over || shutdown)
    gst_pad_pause_task (pad);
}

static gboolean
feedback_activate_mode (GstPad * pad, GstObject * parent, GstPadMode mode,
    gboolean active)
{
  GstRdDecoder *self = GST_RD_DECODER (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  g_mutex_lock (&self->lock);
  self->shutdown = !active;
  self->feedback_idle = !active;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  if (active)
    return gst_pad_start_task (pad, feedback_loop, pad, NULL);
  return gst_pad_stop_task (pad);
}

/* Nothing that comes up from there goes to the source of the states. */
static gboolean
feedback_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  (void) pad;
  (void) parent;
  gst_event_unref (event);
  return TRUE;
}

GstPad *
gst_rd_decoder_feedback_new (GstPadTemplate * templ, const gchar * name)
{
  GstPad *pad = gst_pad_new_from_template (templ, name ? name : "feedback");

  gst_pad_set_activatemode_function (pad, feedback_activate_mode);
  gst_pad_set_event_function (pad, feedback_event);
  gst_pad_set_iterate_internal_links_function (pad, gst_rd_links_none);
  gst_pad_use_fixed_caps (pad);
  return pad;
}

/* ---- what the tail says ---- */

/* A recording that is played has no head that could take tokens; all other sources do not know how long they are (and say -1). */
static gboolean
plays_recording (GstRdDecoder * self)
{
  gint64 size = -1;

  return gst_pad_peer_query_duration (self->sinkpad, GST_FORMAT_BYTES, &size)
      && size >= 0;
}

gboolean
gst_rd_decoder_pass_upstream (GstRdDecoder * self, GstEvent * event,
    guint32 number, gboolean * waits)
{
  g_mutex_lock (&self->lock);
  GstRdDecoderSession *session = gst_rd_decoder_find (self, number);
  *waits = session && session->has_feedback;
  if (session)
    event = gst_rd_event_set_wire_session (event, session->id);
  g_mutex_unlock (&self->lock);
  return gst_pad_push_event (self->sinkpad, event);
}

/* Once, if a head waits for tokens that nothing takes to it. */
static void
complain (GstRdDecoder * self)
{
  g_mutex_lock (&self->lock);
  gboolean told = self->way_back_told;
  self->way_back_told = TRUE;
  g_mutex_unlock (&self->lock);
  if (!told)
    GST_ELEMENT_ERROR (self, CORE, PAD,
        ("The head waits for sampled tokens, but rddecoder.feedback is not "
            "linked. Name rddecoder (name=d) and link d.feedback to a sink "
            "that leads to the head, whose source goes to "
            "rdencoder.feedback."), (NULL));
}

/* The tail may be torn down as soon as this returns, so the word has to leave before. */
static void
send_error (GstRdDecoder * self, guint32 number, const gchar * message)
{
  g_mutex_lock (&self->lock);
  if (self->receiver)
    gst_rd_decoder_tell_error (self, number, message);
  gst_rd_decoder_wait_told (self);
  g_mutex_unlock (&self->lock);
}

/* The rows of these tokens may be here before this returns, and may have been coded with them. */
static void
note_tokens (GstRdDecoder * self, guint32 number, guint32 epoch,
    guint32 position, const gint32 * ids, guint n_ids)
{
  g_mutex_lock (&self->lock);
  GstRdDecoderSession *session = gst_rd_decoder_find (self, number);
  if (session && session->codec && rd_codec_info (session->codec))
    gst_rd_past_tokens (&session->past, epoch, position, ids, n_ids);
  g_mutex_unlock (&self->lock);
}

gboolean
gst_rd_decoder_src_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstRdDecoder *self = GST_RD_DECODER (parent);
  gboolean feedback = gst_rd_decoder_has_feedback (self);
  guint32 number, epoch, position;
  gboolean waits, taken = TRUE;
  const gchar *message;
  const gint32 *ids;
  RdFinish finish;
  guint n_ids;

  (void) pad;
  if (gst_rd_event_parse_tokens (event, &number, &epoch, &position, &ids,
          &n_ids, &finish)) {
    note_tokens (self, number, epoch, position, ids, n_ids);
    if (!feedback) {
      taken = gst_rd_decoder_pass_upstream (self, event, number, &waits)
          || !waits || plays_recording (self);
      if (!taken)
        complain (self);
      return taken;
    }
    g_mutex_lock (&self->lock);
    if (self->receiver)
      rd_receiver_tokens (self->receiver, number, epoch, position, ids, n_ids,
          finish, g_get_monotonic_time ());
    self->feedback_idle = FALSE;
    g_cond_broadcast (&self->cond);
    g_mutex_unlock (&self->lock);
  } else if (gst_rd_event_parse_error (event, &number, &message)) {
    if (!feedback)
      return gst_rd_decoder_pass_upstream (self, event, number, &waits);
    send_error (self, number, message);
  } else if (GST_EVENT_TYPE (event) != GST_EVENT_QOS) {
    return gst_pad_push_event (self->sinkpad, event);
  }
  /* QoS ends here: a state that was dropped for being late would be a hole in the cache. */
  gst_event_unref (event);
  return TRUE;
}
