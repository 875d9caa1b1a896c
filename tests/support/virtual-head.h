/* A head for tests: an RdSender that a test drives by hand. */
#pragma once
#include <gst/gst.h>
#include "codec/codec.h"
#include "codec/session/sender.h"

G_BEGIN_DECLS

typedef struct
{
  RdSender *sender;
  RdHeader header;
  RdCodec *codec;
  guint16 port;                  /* its datagrams come from 127.0.0.1:port; 0 = no datagrams */
  guint32 next_position;
  GArray *tokens;                /* gint32: what came back */
  RdFinish finish;
  gchar *error;                  /* what the tail said */
} VirtualHead;

/** @session: seed of the session id; codec and hidden size as in wire_header_init(). */
void virtual_head_init (VirtualHead * head, guint8 session, const gchar * codec, guint hidden_size, guint8 alias, guint16 port,
    gboolean feedback);
void virtual_head_clear (VirtualHead * head);
/** Value @channel of the row at @position: what rows_make() and the checks use. */
gfloat virtual_head_value (guint32 position, guint channel);
/** Queues @n rows. */
void virtual_head_rows (VirtualHead * head, guint32 n, gboolean step, gboolean sample);
/** Next buffer to send, or NULL. */
GstBuffer *virtual_head_pull (VirtualHead * head);
/** Takes a buffer of the way back. */
void virtual_head_feed (VirtualHead * head, GstBuffer * buffer);

G_END_DECLS
