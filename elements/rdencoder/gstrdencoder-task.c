/* The task on rdencoder's source pad: the only one that pushes there. */
#include "elements/rdencoder/gstrdencoder-private.h"
#include "elements/common/gstrdpair.h"

GST_DEBUG_CATEGORY_EXTERN (gst_rd_encoder_debug);
#define GST_CAT_DEFAULT gst_rd_encoder_debug

static void
pause_with (GstRdEncoder * self, GstFlowReturn result)
{
  g_mutex_lock (&self->lock);
  self->result = result;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  gst_pad_pause_task (self->srcpad);
}

/* Takes @bytes. What a flush sends back goes out first after it: without a way back nobody could ask for it again. */
static void
push_bytes (GstRdEncoder * self, GBytes * bytes, gboolean key)
{
  GstBuffer *buffer = gst_buffer_new_wrapped_bytes (bytes);

  GST_BUFFER_PTS (buffer) = gst_rd_running_time (GST_ELEMENT (self));
  GST_BUFFER_FLAG_SET (buffer,
      key ? GST_BUFFER_FLAG_HEADER : GST_BUFFER_FLAG_DELTA_UNIT);
  GstFlowReturn result = gst_pad_push (self->srcpad, buffer);
  if (result == GST_FLOW_FLUSHING) {
    self->unsent = bytes;
    self->unsent_key = key;
  } else {
    g_bytes_unref (bytes);
  }
  if (result == GST_FLOW_OK)
    return;
  GST_DEBUG_OBJECT (self, "push: %s", gst_flow_get_name (result));
  if (result == GST_FLOW_NOT_LINKED || result < GST_FLOW_EOS) {
    GST_ELEMENT_FLOW_ERROR (self, result);
    gst_pad_push_event (self->srcpad, gst_event_new_eos ());
  }
  pause_with (self, result);
}

/* Next bytes of any session, one after the other. */
static GBytes *
next_bytes (GstRdEncoder * self, gint64 now, gboolean * key)
{
  if (self->unsent) {
    *key = self->unsent_key;
    return g_steal_pointer (&self->unsent);
  }
  for (guint i = 0; i < self->sessions->len; i++) {
    guint n = (self->next_session + i) % self->sessions->len;
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, n);
    GBytes *bytes = NULL;

    if (session->sender && !session->failed)
      bytes = rd_sender_pull (session->sender, now, key);
    if (bytes) {
      self->next_session = n + 1;
      return bytes;
    }
  }
  return NULL;
}

/* When sessions that nobody can answer any more are given up: an end of the way back with which the states end too is an ordinary
 * one (gst-launch -e), alone it means that the tail or the connection is gone. */
static gint64
lost_deadline (GstRdEncoder * self)
{
  if (!self->feedback_closed || self->eos || self->peer_timeout == 0)
    return G_MAXINT64;
  return self->feedback_closed_at + (gint64) self->peer_timeout * 1000;
}

/* A session that failed or ended; *message is set if it failed. */
static GstRdEncoderSession *
find_over (GstRdEncoder * self, gchar ** message, gboolean * clean)
{
  gboolean lost = g_get_monotonic_time () >= lost_deadline (self);

  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->failed || !session->sender) {
      if (self->eos)
        return session;
    } else if (rd_sender_failed (session->sender, message)
        || rd_sender_ended (session->sender, clean)) {
      return session;
    } else if (lost) {
      *message = g_strdup ("The way back has ended before the session");
      return session;
    }
  }
  return NULL;
}

static void
report_timeout (GstRdEncoder * self, guint32 number, const gchar * what)
{
  g_autofree gchar *message =
      g_strdup_printf ("%s%s Check that the tail runs, that host and port of "
      "the sink after rdencoder lead to it, and that its rddecoder.feedback "
      "leads back to the source before rdencoder.feedback.", what,
      g_str_has_suffix (what, "?") ? "" : ".");

  gst_rd_encoder_fail (self, number, message);
}

/* Called with the lock, returns without it. */
static void
handle_over (GstRdEncoder * self, GstRdEncoderSession * session,
    gchar * message, gboolean clean)
{
  guint32 number = session->number;
  GstStructure *stats = NULL;

  if (message && !session->failed) {
    g_mutex_unlock (&self->lock);
    report_timeout (self, number, message);
    g_free (message);
    return;
  }
  g_free (message);
  gboolean ended = !session->failed && session->sender;
  if (session->sender)
    stats = gst_rd_encoder_session_stats (self, session);
  gst_rd_encoder_remove (self, session);
  g_mutex_unlock (&self->lock);
  if (stats)
    gst_element_post_message (GST_ELEMENT (self),
        gst_message_new_element (GST_OBJECT (self), stats));
  if (ended && !clean)
    GST_ELEMENT_WARNING (self, RESOURCE, READ,
        ("The other side did not confirm the end of the session; it may wait "
            "for more until its session-timeout."), ("session %u", number));
}

static void
wait (GstRdEncoder * self)
{
  gint64 deadline = G_MAXINT64;

  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->sender && !session->failed)
      deadline = MIN (deadline, MIN (rd_sender_deadline (session->sender),
              lost_deadline (self)));
  }
  gst_rd_cond_wait (&self->cond, &self->lock, deadline);
}

void
gst_rd_encoder_loop (gpointer pad)
{
  GstRdEncoder *self = GST_RD_ENCODER (GST_OBJECT_PARENT (pad));
  GstRdEncoderSession *session;
  GstEvent *event;
  GBytes *bytes;

  g_mutex_lock (&self->lock);
  for (;;) {
    gboolean key = FALSE, clean = FALSE;
    gchar *message = NULL;

    if (self->flushing) {
      g_mutex_unlock (&self->lock);
      gst_pad_pause_task (self->srcpad);
      return;
    }
    if ((event = g_queue_pop_head (&self->events))) {
      g_mutex_unlock (&self->lock);
      gst_pad_push_event (self->srcpad, event);
      return;
    }
    if ((bytes = next_bytes (self, g_get_monotonic_time (), &key))) {
      g_cond_broadcast (&self->cond);
      g_mutex_unlock (&self->lock);
      push_bytes (self, bytes, key);
      g_mutex_lock (&self->lock);
      if (self->telling > 0 && --self->telling == 0)
        g_cond_broadcast (&self->cond);
      g_mutex_unlock (&self->lock);
      return;
    }
    if ((session = find_over (self, &message, &clean))) {
      handle_over (self, session, message, clean);
      return;
    }
    if (self->eos && self->sessions->len == 0) {
      g_mutex_unlock (&self->lock);
      gst_pad_push_event (self->srcpad, gst_event_new_eos ());
      pause_with (self, GST_FLOW_EOS);
      return;
    }
    wait (self);
  }
}

void
gst_rd_encoder_set_flushing (GstRdEncoder * self, gboolean flushing)
{
  g_atomic_int_set (&self->cancel, flushing);
  g_mutex_lock (&self->lock);
  self->flushing = flushing;
  if (!flushing) {
    self->result = GST_FLOW_OK;
    self->eos = FALSE;
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}
