/* What the codec pair and the parser share: frames in buffers, their peers, their caps. */
#pragma once
#include <gio/gio.h>
#include <gst/gst.h>
#include "codec/session/receiver.h"
#include "codec/wire/frame.h"

G_BEGIN_DECLS

/** Adds to coded-states @caps what @header tells: codec, hidden-size, split-layer, model-id, model-name, tokenizer-id, vocab-size. */
void gst_rd_states_caps_set_header (GstCaps * caps, const RdHeader * header);

/** 32 bytes as 64 hex digits and back; 32 zero bytes are "". */
void gst_rd_id_to_hex (const guint8 id[RD_MODEL_ID_BYTES], gchar hex[2 * RD_MODEL_ID_BYTES + 1]);
gboolean gst_rd_id_from_hex (const gchar * hex, guint8 id[RD_MODEL_ID_BYTES]);

/** TRUE if @buffer, arrived at @pad, holds whole frames: it is a datagram with its sender's address, or the pad's caps are @media and not
 * an unparsed byte stream. */
gboolean gst_rd_buffer_is_framed (GstPad * pad, GstBuffer * buffer, const gchar * media);

typedef void (*GstRdFrameFunc) (const RdFrame * frame, gpointer user_data);
/** Calls @func for every whole frame in @data; returns how many bytes belong to none. */
gsize gst_rd_frames_foreach (const guint8 * data, gsize size, gsize max_frame, GstRdFrameFunc func, gpointer user_data);

/** Sender of @buffer, all zero without an address. */
void gst_rd_peer_from_buffer (RdPeer * peer, GstBuffer * buffer);
/** A new address, or NULL for a peer without one. */
GSocketAddress *gst_rd_peer_to_address (const RdPeer * peer);
/** "192.0.2.1:5000", or "the stream" for a peer without an address. */
gchar *gst_rd_peer_to_string (const RdPeer * peer);

/** In one process the tail's events run up through rddecoder to rdencoder: the wire session's id tells the two which one is meant, as
 * each numbers sessions on its own. Both consume @event. */
GstEvent *gst_rd_event_set_wire_session (GstEvent * event, const guint8 id[RD_SESSION_ID_BYTES]);
GstEvent *gst_rd_event_set_session (GstEvent * event, guint32 session);
/** FALSE if @event has none. */
gboolean gst_rd_event_get_wire_session (GstEvent * event, guint8 id[RD_SESSION_ID_BYTES]);

G_END_DECLS
