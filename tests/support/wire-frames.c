/* Frames to feed elements with. */
#include "tests/support/wire-frames.h"
#include <gio/gio.h>
#include <gst/net/gstnetaddressmeta.h>
#include <string.h>

void
wire_header_init (RdHeader * header, guint8 session, const gchar * codec,
    guint hidden_size)
{
  memset (header, 0, sizeof *header);
  memset (header->session_id, session, sizeof header->session_id);
  memset (header->model_id, 0xab, sizeof header->model_id);
  g_strlcpy (header->codec, codec, sizeof header->codec);
  g_strlcpy (header->model_name, "test", sizeof header->model_name);
  header->split_layer = 3;
  header->hidden_size = hidden_size;
  header->vocab_size = 100;
}

static void
append (GByteArray * out, const RdFrame * frame, const RdHeader * header)
{
  g_autoptr (GError) error = NULL;

  if (!rd_frame_write (frame, header, NULL, out, &error))
    g_error ("frame not written: %s", error->message);
}

void
wire_append_header (GByteArray * out, guint8 alias, guint32 sequence,
    const RdHeader * header)
{
  RdFrame frame = {.type = RD_FRAME_HEADER,.alias = alias,
    .sequence = sequence
  };
  RdHeader copy = *header;

  copy.next_sequence = sequence;
  append (out, &frame, &copy);
}

void
wire_append_states (GByteArray * out, guint8 alias, guint32 sequence,
    guint32 position, guint32 count, gconstpointer payload, gsize size)
{
  RdFrame frame = {.type = RD_FRAME_STATES,.alias = alias,
    .sequence = sequence,.position = position,.count = count,
    .payload = payload,.payload_size = size
  };

  append (out, &frame, NULL);
}

void
wire_append_control (GByteArray * out, guint8 alias, RdControl control)
{
  RdFrame frame = {.type = RD_FRAME_CONTROL,.alias = alias,
    .control = control
  };

  append (out, &frame, NULL);
}

GstBuffer *
wire_buffer (gconstpointer bytes, gsize size, guint16 port)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);

  gst_buffer_fill (buffer, 0, bytes, size);
  if (port) {
    g_autoptr (GSocketAddress) address =
        g_inet_socket_address_new_from_string ("127.0.0.1", port);

    gst_buffer_add_net_address_meta (buffer, address);
  }
  return buffer;
}
