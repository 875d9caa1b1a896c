/* What the codec pair and the parser share: frames in buffers, their peers, their caps. */
#include "elements/common/gstrdframes.h"
#include "elements/common/gstrdcaps.h"
#include <gst/net/gstnetaddressmeta.h>
#include <string.h>

void
gst_rd_id_to_hex (const guint8 id[RD_MODEL_ID_BYTES],
    gchar hex[2 * RD_MODEL_ID_BYTES + 1])
{
  static const guint8 none[RD_MODEL_ID_BYTES];

  hex[0] = '\0';
  if (memcmp (id, none, sizeof none) == 0)
    return;
  for (guint i = 0; i < RD_MODEL_ID_BYTES; i++)
    g_snprintf (hex + 2 * i, 3, "%02x", id[i]);
}

gboolean
gst_rd_id_from_hex (const gchar * hex, guint8 id[RD_MODEL_ID_BYTES])
{
  memset (id, 0, RD_MODEL_ID_BYTES);
  if (!hex || !*hex)
    return TRUE;
  if (strlen (hex) != 2 * RD_MODEL_ID_BYTES)
    return FALSE;
  for (guint i = 0; i < RD_MODEL_ID_BYTES; i++) {
    gint high = g_ascii_xdigit_value (hex[2 * i]);
    gint low = g_ascii_xdigit_value (hex[2 * i + 1]);

    if (high < 0 || low < 0)
      return FALSE;
    id[i] = (guint8) (high << 4 | low);
  }
  return TRUE;
}

void
gst_rd_states_caps_set_header (GstCaps * caps, const RdHeader * header)
{
  gchar hex[2 * RD_MODEL_ID_BYTES + 1];

  gst_caps_set_simple (caps, "codec", G_TYPE_STRING, header->codec,
      "hidden-size", G_TYPE_INT, (gint) MIN (header->hidden_size, G_MAXINT),
      "split-layer", G_TYPE_INT, (gint) MIN (header->split_layer, G_MAXINT),
      NULL);
  if (header->vocab_size > 0)
    gst_caps_set_simple (caps, "vocab-size", G_TYPE_INT,
        (gint) MIN (header->vocab_size, G_MAXINT), NULL);
  gst_rd_id_to_hex (header->model_id, hex);
  if (hex[0])
    gst_caps_set_simple (caps, "model-id", G_TYPE_STRING, hex, NULL);
  gst_rd_id_to_hex (header->tokenizer_id, hex);
  if (hex[0])
    gst_caps_set_simple (caps, "tokenizer-id", G_TYPE_STRING, hex, NULL);
  if (header->model_name[0] && g_utf8_validate (header->model_name, -1, NULL))
    gst_caps_set_simple (caps, "model-name", G_TYPE_STRING,
        header->model_name, NULL);
}

gboolean
gst_rd_buffer_is_framed (GstPad * pad, GstBuffer * buffer, const gchar * media)
{
  if (gst_buffer_get_net_address_meta (buffer))
    return TRUE;
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  if (!caps)
    return FALSE;
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  return gst_structure_has_name (s, media)
      && g_strcmp0 (gst_structure_get_string (s, "stream-format"),
      "byte-stream") != 0;
}

gsize
gst_rd_frames_foreach (const guint8 * data, gsize size, gsize max_frame,
    GstRdFrameFunc func, gpointer user_data)
{
  gsize at = 0, lost = 0;

  while (at < size) {
    gsize skip = rd_frame_scan (data + at, size - at);
    RdFrame frame;

    at += skip;
    lost += skip;
    if (at < size
        && rd_frame_parse (data + at, size - at, max_frame, &frame, NULL)) {
      at += frame.size;
      func (&frame, user_data);
    } else if (at < size) {
      at++;
      lost++;
    }
  }
  return lost;
}

void
gst_rd_peer_from_buffer (RdPeer * peer, GstBuffer * buffer)
{
  GstNetAddressMeta *meta = gst_buffer_get_net_address_meta (buffer);

  memset (peer, 0, sizeof *peer);
  if (!meta || !G_IS_INET_SOCKET_ADDRESS (meta->addr))
    return;
  GInetSocketAddress *socket = G_INET_SOCKET_ADDRESS (meta->addr);
  GInetAddress *address = g_inet_socket_address_get_address (socket);
  gsize size = g_inet_address_get_native_size (address);
  if (size > sizeof peer->address)
    return;
  memcpy (peer->address, g_inet_address_to_bytes (address), size);
  peer->port = g_inet_socket_address_get_port (socket);
  peer->family = g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV4 ?
      4 : 6;
}

GSocketAddress *
gst_rd_peer_to_address (const RdPeer * peer)
{
  if (peer->family != 4 && peer->family != 6)
    return NULL;
  g_autoptr (GInetAddress) address =
      g_inet_address_new_from_bytes (peer->address,
      peer->family == 4 ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_IPV6);
  return g_inet_socket_address_new (address, peer->port);
}

gchar *
gst_rd_peer_to_string (const RdPeer * peer)
{
  g_autoptr (GSocketAddress) address = gst_rd_peer_to_address (peer);

  if (!address)
    return g_strdup ("the stream");
  return g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
}

#define WIRE_SESSION "wire-session"

GstEvent *
gst_rd_event_set_wire_session (GstEvent * event,
    const guint8 id[RD_SESSION_ID_BYTES])
{
  g_autoptr (GBytes) bytes = g_bytes_new (id, RD_SESSION_ID_BYTES);

  event = gst_event_make_writable (event);
  gst_structure_set (gst_event_writable_structure (event), WIRE_SESSION,
      G_TYPE_BYTES, bytes, NULL);
  return event;
}

GstEvent *
gst_rd_event_set_session (GstEvent * event, guint32 session)
{
  event = gst_event_make_writable (event);
  GstStructure *s = gst_event_writable_structure (event);
  gst_structure_set (s, "session", G_TYPE_UINT, session, NULL);
  gst_structure_remove_field (s, WIRE_SESSION);
  return event;
}

gboolean
gst_rd_event_get_wire_session (GstEvent * event, guint8 id[RD_SESSION_ID_BYTES])
{
  const GstStructure *s = gst_event_get_structure (event);
  g_autoptr (GBytes) bytes = NULL;
  gsize size;

  if (!s || !gst_structure_get (s, WIRE_SESSION, G_TYPE_BYTES, &bytes, NULL)
      || !bytes)
    return FALSE;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  if (size != RD_SESSION_ID_BYTES)
    return FALSE;
  memcpy (id, data, size);
  return TRUE;
}
