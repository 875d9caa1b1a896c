/* A tail for tests: an RdReceiver that a test drives by hand. */
#include "tests/support/virtual-tail.h"
#include <string.h>

void
virtual_tail_init (VirtualTail * tail)
{
  RdReceiverConfig config = RD_RECEIVER_CONFIG_DEFAULT;

  memset (tail, 0, sizeof *tail);
  tail->receiver = rd_receiver_new (&config);
  tail->counts = g_array_new (FALSE, FALSE, sizeof (guint32));
}

void
virtual_tail_clear (VirtualTail * tail)
{
  rd_receiver_free (tail->receiver);
  rd_header_clear (&tail->header);
  g_array_unref (tail->counts);
}

static void
take (VirtualTail * tail, gint64 now)
{
  RdDelivery d;

  while (rd_receiver_next (tail->receiver, now, &d)) {
    switch (d.type) {
      case RD_DELIVERY_BEGIN:
        tail->session = d.session;
        tail->n_begun++;
        rd_header_clear (&tail->header);
        rd_header_copy (&tail->header, d.header);
        break;
      case RD_DELIVERY_STATES:
        tail->next_position = d.position + d.frame.count;
        g_array_append_val (tail->counts, d.frame.count);
        break;
      case RD_DELIVERY_CANCEL:
        tail->n_cancelled++;
        break;
      case RD_DELIVERY_END:
        tail->n_ended++;
        break;
      case RD_DELIVERY_NONE:
        break;
    }
    rd_receiver_taken (tail->receiver, &d, now);
  }
}

void
virtual_tail_feed (VirtualTail * tail, GstBuffer * buffer)
{
  gint64 now = g_get_monotonic_time ();
  RdPeer peer = { {0,}, 0, 0, 0 };
  gsize at = 0;
  GstMapInfo map;
  RdFrame frame;

  gst_buffer_map (buffer, &map, GST_MAP_READ);
  while (at < map.size && rd_frame_parse (map.data + at, map.size - at,
          map.size, &frame, NULL)) {
    rd_receiver_feed (tail->receiver, &peer, &frame, now);
    at += frame.size;
  }
  g_assert_cmpuint (at, ==, map.size);
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);
  take (tail, now);
}

GstBuffer *
virtual_tail_reply (VirtualTail * tail)
{
  GstBuffer *reply = NULL;
  GBytes *bytes;
  RdPeer to;

  while ((bytes = rd_receiver_pull (tail->receiver, g_get_monotonic_time (),
              &to))) {
    GstBuffer *one = gst_buffer_new_wrapped_bytes (bytes);

    reply = reply ? gst_buffer_append (reply, one) : one;
    g_bytes_unref (bytes);
  }
  return reply;
}

guint
virtual_tail_exchange (VirtualTail * tail, GstHarness * from,
    GstHarness * feedback)
{
  GstBuffer *buffer, *reply;
  guint n = 0;

  while ((buffer = gst_harness_try_pull (from))) {
    virtual_tail_feed (tail, buffer);
    n++;
  }
  reply = virtual_tail_reply (tail);
  if (reply && feedback)
    gst_harness_push (feedback, reply);
  else if (reply)
    gst_buffer_unref (reply);
  return n;
}
