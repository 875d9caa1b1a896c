/* A head for tests: an RdSender that a test drives by hand. */
#include "tests/support/virtual-head.h"
#include "tests/support/wire-frames.h"
#include <string.h>

void
virtual_head_init (VirtualHead * head, guint8 session, const gchar * codec,
    guint hidden_size, guint8 alias, guint16 port, gboolean feedback)
{
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;

  memset (head, 0, sizeof *head);
  config.has_feedback = feedback;
  wire_header_init (&head->header, session, codec, hidden_size);
  head->sender = rd_sender_new (&config, &head->header, alias);
  head->codec = rd_codec_new (codec, hidden_size, NULL);
  head->port = port;
  head->tokens = g_array_new (FALSE, FALSE, sizeof (gint32));
}

void
virtual_head_clear (VirtualHead * head)
{
  rd_sender_free (head->sender);
  rd_header_clear (&head->header);
  rd_codec_free (head->codec);
  g_array_unref (head->tokens);
  g_free (head->error);
}

gfloat
virtual_head_value (guint32 position, guint channel)
{
  return (gfloat) ((gint) (position * 7 + channel * 29) % 97 - 48) / 16;
}

void
virtual_head_rows (VirtualHead * head, guint32 n, gboolean step,
    gboolean sample)
{
  guint hidden = head->header.hidden_size;
  g_autofree gfloat *x = g_new (gfloat, (gsize) n * hidden);
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = n,.position = head->next_position };
  RdStates states = {.position = head->next_position,.count = n,
    .step = step,.sample = sample
  };

  for (guint32 i = 0; i < n; i++)
    for (guint k = 0; k < hidden; k++)
      x[i * hidden + k] = virtual_head_value (head->next_position + i, k);
  if (!rd_codec_encode (head->codec, &rows, x, TRUE, payload, &states.packed,
          &error)
      || !rd_sender_queue (head->sender, &states, payload->data, payload->len,
          g_get_monotonic_time (), &error))
    g_error ("rows not queued: %s", error->message);
  head->next_position += n;
}

GstBuffer *
virtual_head_pull (VirtualHead * head)
{
  gboolean key;
  g_autoptr (GBytes) bytes =
      rd_sender_pull (head->sender, g_get_monotonic_time (), &key);
  gsize size;

  if (!bytes)
    return NULL;
  gconstpointer data = g_bytes_get_data (bytes, &size);
  return wire_buffer (data, size, head->port);
}

void
virtual_head_feed (VirtualHead * head, GstBuffer * buffer)
{
  gsize at = 0;
  GstMapInfo map;
  RdFrame frame;

  gst_buffer_map (buffer, &map, GST_MAP_READ);
  while (at < map.size && rd_frame_parse (map.data + at, map.size - at,
          map.size, &frame, NULL)) {
    RdSenderInput input = { 0, };

    rd_sender_feed (head->sender, &frame, g_get_monotonic_time (), &input);
    if (input.tokens) {
      g_array_append_vals (head->tokens, input.ids, input.n_ids);
      head->finish = input.finish;
    }
    if (input.error) {
      g_free (head->error);
      head->error = input.error;
    }
    at += frame.size;
  }
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);
}
