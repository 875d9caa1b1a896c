/* One buffer through a partition. */
#include "elements/common/gstrdprocess.h"
#include "elements/common/gstrdevents.h"

void
gst_rd_post_error (GstElement * element, const GError * error)
{
  GQuark domain = GST_LIBRARY_ERROR;
  gint code = GST_LIBRARY_ERROR_FAILED;

  if (error->domain == GST_STREAM_ERROR || error->domain == GST_RESOURCE_ERROR
      || error->domain == GST_LIBRARY_ERROR) {
    domain = error->domain;
    code = error->code;
  } else if (error->domain == ST_GGUF_ERROR) {
    domain = GST_RESOURCE_ERROR;
    code = error->code == ST_GGUF_ERROR_IO ? GST_RESOURCE_ERROR_OPEN_READ :
        GST_RESOURCE_ERROR_FAILED;
  }
  gst_element_message_full (element, GST_MESSAGE_ERROR, domain, code,
      g_strdup (error->message), NULL, __FILE__, G_STRFUNC, __LINE__);
}

void
gst_rd_hide_ids (GError ** error, StModel * model, guint32 position)
{
  if (!error || !g_error_matches (*error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT))
    return;
  g_clear_error (error);
  g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "a token id at position %u or after is outside the vocabulary of %u",
      position, st_model_config (model)->vocab_size);
}

GstFlowReturn
gst_rd_fail_session (GstElement * element, GstPad * sinkpad,
    GstRdPartition * p, guint32 number, GError * error)
{
  g_autoptr (GError) owned = error;
  GstRdSession *session = gst_rd_partition_find (p, number);

  if (session)
    session->failed = TRUE;
  if (gst_pad_push_event (sinkpad,
          gst_rd_event_new_error (number, owned->message))) {
    GST_WARNING_OBJECT (element, "session %u ended: %s", number,
        owned->message);
    return GST_FLOW_OK;
  }
  gst_rd_post_error (element, owned);
  return GST_FLOW_ERROR;
}

void
gst_rd_refuse_caps (GstElement * element, GstPad * sinkpad,
    GstRdInput * input, GError * error)
{
  g_autoptr (GError) owned = error;

  input->configured = FALSE;
  if (input->refused)
    return;
  input->refused = TRUE;
  /* first the head: the application may tear the pipeline down as soon as it reads the error */
  gst_pad_push_event (sinkpad,
      gst_rd_event_new_error (GST_RD_ALL_SESSIONS, owned->message));
  gst_rd_post_error (element, owned);
}

static GstRdOutcome
context_full (GstElement * element, GstPad * sinkpad,
    const GstRdPartition * p, const GstRdSession * session,
    const GstRdRows * rows, GstFlowReturn * flow)
{
  guint capacity = st_kv_cache_capacity (session->cache);
  const gchar *advice = capacity < st_model_max_positions (p->model) ?
      "; raise context-size or send less" :
      ", and the model has no more; send less";

  GST_INFO_OBJECT (element, "session %u: the context of %u positions is full",
      session->number, capacity);
  if (!gst_pad_push_event (sinkpad, gst_rd_event_new_tokens (session->number,
              rows->epoch, rows->position, NULL, 0, RD_FINISH_CONTEXT))) {
    GST_ELEMENT_ERROR (element, RESOURCE, NO_SPACE_LEFT,
        ("The context of %u positions is full%s.", capacity, advice),
        ("%" G_GSIZE_FORMAT " rows at position %u", rows->n, rows->position));
    *flow = GST_FLOW_ERROR;
    return GST_RD_DROPPED;
  }
  return GST_RD_CONTEXT_FULL;
}

static GstRdOutcome
run (GstElement * element, GstPad * sinkpad, GstRdPartition * p,
    GstRdSession * session, GstRdRows * rows, GstFlowReturn * flow)
{
  GError *error = NULL;

  switch (gst_rd_partition_place (p, session, rows, &error)) {
    case GST_RD_STALE:
      GST_DEBUG_OBJECT (element, "session %u: dropped %" G_GSIZE_FORMAT
          " rows at position %u", session->number, rows->n, rows->position);
      return GST_RD_DROPPED;
    case GST_RD_FULL:
      return context_full (element, sinkpad, p, session, rows, flow);
    case GST_RD_MISPLACED:
      *flow = gst_rd_fail_session (element, sinkpad, p, session->number, error);
      return GST_RD_DROPPED;
    case GST_RD_PLACED:
      break;
  }
  if (gst_rd_partition_run (p, session, rows, &error))
    return GST_RD_RAN;
  if (g_error_matches (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED)) {
    g_clear_error (&error);
    *flow = GST_FLOW_FLUSHING;
  } else {
    gst_rd_hide_ids (&error, p->model, rows->position);
    *flow = gst_rd_fail_session (element, sinkpad, p, session->number, error);
  }
  return GST_RD_DROPPED;
}

GstRdOutcome
gst_rd_process (GstElement * element, GstPad * sinkpad, GstRdPartition * p,
    GstRdInput * input, GstBuffer * buffer, GstRdSession ** session,
    GstRdRows * rows, GstFlowReturn * flow)
{
  GstRdMeta *meta = gst_buffer_get_rd_meta (buffer);
  guint32 number = meta ? meta->session : 0;
  GstRdOutcome outcome = GST_RD_DROPPED;
  GError *error = NULL;

  *flow = GST_FLOW_OK;
  if (input->refused) {
    *flow = GST_FLOW_NOT_NEGOTIATED;
    return GST_RD_DROPPED;
  }
  if (!input->configured || !p->model) {
    GST_ELEMENT_ERROR (element, STREAM, WRONG_TYPE,
        ("Data arrives without caps; put a capsfilter with "
            GST_RD_TOKEN_IDS_MEDIA " or " GST_RD_HIDDEN_STATES_MEDIA
            " before this element."), (NULL));
    *flow = GST_FLOW_NOT_NEGOTIATED;
    return GST_RD_DROPPED;
  }
  if (!gst_rd_input_take (input, buffer,
          st_model_config (p->model)->hidden_size, rows, &error)) {
    *flow = gst_rd_fail_session (element, sinkpad, p, number, error);
    return GST_RD_DROPPED;
  }
  *session = rows->n ? gst_rd_partition_session (p, number, &error) : NULL;
  if (*session)
    outcome = run (element, sinkpad, p, *session, rows, flow);
  else if (rows->n)
    *flow = gst_rd_fail_session (element, sinkpad, p, number, error);
  if (outcome != GST_RD_RAN)
    gst_rd_rows_clear (rows);
  return outcome;
}

GstEvent *
gst_rd_time_segment (GstEvent * event)
{
  const GstSegment *old;
  GstSegment segment;
  GstEvent *fresh;

  gst_event_parse_segment (event, &old);
  if (old->format == GST_FORMAT_TIME)
    return event;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  fresh = gst_event_new_segment (&segment);
  gst_event_set_seqnum (fresh, gst_event_get_seqnum (event));
  gst_event_unref (event);
  return fresh;
}
