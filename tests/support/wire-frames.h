/* Frames to feed elements with. */
#pragma once
#include <gst/gst.h>
#include "codec/wire/frame.h"

G_BEGIN_DECLS

/** A HEADER for @codec and rows of @hidden_size; the same for the same @session. */
void wire_header_init (RdHeader * header, guint8 session, const gchar * codec, guint hidden_size);
void wire_append_header (GByteArray * out, guint8 alias, guint32 sequence, const RdHeader * header);
void wire_append_states (GByteArray * out, guint8 alias, guint32 sequence, guint32 position, guint32 count, gconstpointer payload, gsize size);
void wire_append_control (GByteArray * out, guint8 alias, RdControl control);
/** @bytes as a buffer, with the address 127.0.0.1:@port if it is not 0. */
GstBuffer *wire_buffer (gconstpointer bytes, gsize size, guint16 port);

G_END_DECLS
