/* What comes in on rddecoder's sink pad: frames are checked, fed to the receiver, and wait there for the source task. */
#include "elements/rddecoder/gstrddecoder-private.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdframes.h"
#include <gst/net/gstnetaddressmeta.h>

GST_DEBUG_CATEGORY_EXTERN (gst_rd_decoder_debug);
#define GST_CAT_DEFAULT gst_rd_decoder_debug

/* Above this the stream has to wait; with a way back the window of each session is far below it. */
#define QUEUE_LIMIT (4u << 20)
/* Datagrams cannot wait: what a well-behaved head never sends is lost. */
#define DATAGRAM_LIMIT (64u << 20)

typedef struct
{
  GstRdDecoder *self;
  RdPeer peer;
  gint64 now;
} Arrival;

static void
take_frame (const RdFrame * frame, gpointer user_data)
{
  Arrival *arrival = user_data;

  arrival->self->bytes += frame->size;
  rd_receiver_feed (arrival->self->receiver, &arrival->peer, frame,
      arrival->now);
}

/* TRUE if there is room, FALSE if the datagram is dropped for want of it. */
static gboolean
wait_for_room (GstRdDecoder * self, gboolean datagram)
{
  if (datagram && gst_rd_decoder_has_feedback (self))
    return rd_receiver_queued_bytes (self->receiver) <= DATAGRAM_LIMIT;
  while (!self->flushing && self->result == GST_FLOW_OK
      && rd_receiver_queued_bytes (self->receiver) > QUEUE_LIMIT)
    g_cond_wait (&self->cond, &self->lock);
  return TRUE;
}

GstFlowReturn
gst_rd_decoder_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstRdDecoder *self = GST_RD_DECODER (parent);
  gboolean datagram = gst_buffer_get_net_address_meta (buffer) != NULL;
  Arrival arrival = { self, {{0,}, 0, 0, 0}, 0 };
  GstMapInfo map;

  if (!gst_rd_buffer_is_framed (pad, buffer, GST_RD_STATES_MEDIA)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, STREAM, WRONG_TYPE,
        ("rddecoder got bytes that are not cut into frames: put rdparse "
            "before it (... ! rdparse ! rddecoder)."), (NULL));
    return GST_FLOW_ERROR;
  }
  if (!gst_buffer_map (buffer, &map, GST_MAP_READ)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, RESOURCE, READ,
        ("A buffer of coded states cannot be read."), (NULL));
    return GST_FLOW_ERROR;
  }
  gst_rd_peer_from_buffer (&arrival.peer, buffer);
  g_mutex_lock (&self->lock);
  gst_rd_decoder_open (self);
  gboolean room = wait_for_room (self, datagram);
  GstFlowReturn result = self->flushing ? GST_FLOW_FLUSHING : self->result;
  if (result == GST_FLOW_OK && room) {
    arrival.now = g_get_monotonic_time ();
    self->lost_bytes += gst_rd_frames_foreach (map.data, map.size,
        self->use_max_frame, take_frame, &arrival);
    self->feedback_idle = FALSE;
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);
  return result;
}

static void
flush_start (GstRdDecoder * self, GstEvent * event)
{
  gst_rd_decoder_set_flushing (self, TRUE);
  gst_pad_push_event (self->srcpad, event);
  gst_pad_pause_task (self->srcpad);
}

static void
flush_stop (GstRdDecoder * self, GstEvent * event)
{
  gst_pad_push_event (self->srcpad, event);
  self->stream_started = FALSE;
  gst_rd_decoder_set_flushing (self, FALSE);
  gst_pad_start_task (self->srcpad, gst_rd_decoder_loop, self->srcpad, NULL);
}

/* Session events of a head in the same process say nothing that is not in the frames; this element makes its own. */
gboolean
gst_rd_decoder_sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstRdDecoder *self = GST_RD_DECODER (parent);

  (void) pad;
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:
      flush_start (self, event);
      return TRUE;
    case GST_EVENT_FLUSH_STOP:
      flush_stop (self, event);
      return TRUE;
    case GST_EVENT_EOS:
      g_mutex_lock (&self->lock);
      self->eos = TRUE;
      g_cond_broadcast (&self->cond);
      g_mutex_unlock (&self->lock);
      break;
    default:
      if (!GST_EVENT_IS_SERIALIZED (event))
        return gst_pad_push_event (self->srcpad, event);
      break;
  }
  gst_event_unref (event);
  return TRUE;
}

gboolean
gst_rd_decoder_sink_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstRdDecoder *self = GST_RD_DECODER (parent);

  if (GST_QUERY_TYPE (query) == GST_QUERY_ALLOCATION)
    return FALSE;
  if (gst_rd_query_is_way_back (query))
    return gst_pad_peer_query (self->srcpad, query);
  return gst_pad_query_default (pad, parent, query);
}
