/* rdencoder.feedback: what the tail says. Updates state and signals; tokens go upstream outside of the lock. */
#include "elements/rdencoder/gstrdencoder-private.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdframes.h"
#include "elements/common/gstrdpair.h"

GST_DEBUG_CATEGORY_EXTERN (gst_rd_encoder_debug);
#define GST_CAT_DEFAULT gst_rd_encoder_debug

/* What a buffer's frames mean for upstream, collected under the lock. */
typedef struct
{
  GstRdEncoder *self;
  GQueue events;                /* GstEvent, in order */
  GArray *errors;               /* SessionError */
} News;

typedef struct
{
  guint32 session;
  gchar *message;
} SessionError;

static void
take_frame (const RdFrame * frame, gpointer user_data)
{
  News *news = user_data;
  GstRdEncoder *self = news->self;
  RdSenderInput input = { 0, };

  GstRdEncoderSession *session = gst_rd_encoder_find_alias (self, frame->alias);
  if (!session || !session->sender || session->failed) {
    GST_LOG_OBJECT (self, "frame for unknown alias %u", frame->alias);
    return;
  }
  if (frame->type != RD_FRAME_TOKENS && frame->type != RD_FRAME_CONTROL)
    return;
  rd_sender_feed (session->sender, frame, g_get_monotonic_time (), &input);
  if (input.tokens) {
    gst_rd_past_tokens (&session->told, input.epoch, input.position, input.ids,
        input.n_ids);
    g_queue_push_tail (&news->events,
        gst_rd_event_new_tokens (session->number, input.epoch, input.position,
            input.ids, input.n_ids, input.finish));
  }
  if (input.error) {
    SessionError error = { session->number, input.error };

    g_array_append_val (news->errors, error);
  }
}

static void
tell (GstRdEncoder * self, News * news)
{
  GstEvent *event;

  while ((event = g_queue_pop_head (&news->events))) {
    if (!gst_pad_push_event (self->sinkpad, event))
      GST_DEBUG_OBJECT (self, "nobody upstream took the tokens");
  }
  for (guint i = 0; i < news->errors->len; i++) {
    SessionError *error = &g_array_index (news->errors, SessionError, i);
    g_autofree gchar *message =
        g_strdup_printf ("The tail ended the session: %s", error->message);

    gst_rd_encoder_fail (self, error->session, message);
    g_free (error->message);
  }
}

static GstFlowReturn
feedback_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstRdEncoder *self = GST_RD_ENCODER (parent);
  News news = { self, G_QUEUE_INIT, NULL };
  GstMapInfo map;

  if (!gst_rd_buffer_is_framed (pad, buffer, GST_RD_FEEDBACK_MEDIA)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, STREAM, WRONG_TYPE,
        ("rdencoder.feedback got bytes that are not cut into frames: put "
            "rdparse before it (... ! rdparse ! e.feedback)."), (NULL));
    return GST_FLOW_ERROR;
  }
  if (!gst_buffer_map (buffer, &map, GST_MAP_READ)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, RESOURCE, READ,
        ("A buffer of the way back cannot be read."), (NULL));
    return GST_FLOW_ERROR;
  }
  news.errors = g_array_new (FALSE, FALSE, sizeof (SessionError));
  g_mutex_lock (&self->lock);
  gboolean flushing = self->flushing;
  gsize lost = gst_rd_frames_foreach (map.data, map.size,
      RD_WIRE_DEFAULT_MAX_FRAME, take_frame, &news);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);
  if (lost)
    GST_DEBUG_OBJECT (self, "%" G_GSIZE_FORMAT " bytes are no frame", lost);
  tell (self, &news);
  g_array_unref (news.errors);
  return flushing ? GST_FLOW_FLUSHING : GST_FLOW_OK;
}

static void
close_feedback (GstRdEncoder * self)
{
  gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&self->lock);
  self->feedback_closed = TRUE;
  self->feedback_closed_at = now;
  for (guint i = 0; i < self->sessions->len; i++) {
    GstRdEncoderSession *session = g_ptr_array_index (self->sessions, i);

    if (session->sender)
      rd_sender_feedback_closed (session->sender, now);
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

/* Nothing that arrives here goes downstream. */
static gboolean
feedback_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstRdEncoder *self = GST_RD_ENCODER (parent);

  (void) pad;
  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    close_feedback (self);
  gst_event_unref (event);
  return TRUE;
}

static gboolean
feedback_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  if (GST_QUERY_TYPE (query) == GST_QUERY_ALLOCATION)
    return FALSE;
  return gst_pad_query_default (pad, parent, query);
}

GstPad *
gst_rd_encoder_feedback_new (GstPadTemplate * templ, const gchar * name)
{
  GstPad *pad = gst_pad_new_from_template (templ, name ? name : "feedback");

  gst_pad_set_chain_function (pad, feedback_chain);
  gst_pad_set_event_function (pad, feedback_event);
  gst_pad_set_query_function (pad, feedback_query);
  gst_pad_set_iterate_internal_links_function (pad, gst_rd_links_none);
  GST_PAD_SET_ACCEPT_INTERSECT (pad);
  return pad;
}
