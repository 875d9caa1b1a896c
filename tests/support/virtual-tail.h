/* A tail for tests: an RdReceiver that a test drives by hand. */
#pragma once
#include <gst/check/gstharness.h>
#include "codec/session/receiver.h"

G_BEGIN_DECLS

typedef struct
{
  RdReceiver *receiver;
  guint32 session;               /* of the last BEGIN, 0 = none */
  RdHeader header;               /* of the last BEGIN */
  guint n_begun, n_ended, n_cancelled;
  guint32 next_position;         /* behind the rows taken */
  GArray *counts;                /* guint32: rows of each frame taken */
} VirtualTail;

void virtual_tail_init (VirtualTail * tail);
void virtual_tail_clear (VirtualTail * tail);
/** Feeds the frames in @buffer (taken) and takes all that can be delivered. */
void virtual_tail_feed (VirtualTail * tail, GstBuffer * buffer);
/** What it has to say now, as one buffer, or NULL. */
GstBuffer *virtual_tail_reply (VirtualTail * tail);
/** Everything that @from has put out goes to the tail, and its answers into @feedback (NULL: nowhere). Returns how many buffers went. */
guint virtual_tail_exchange (VirtualTail * tail, GstHarness * from, GstHarness * feedback);

G_END_DECLS
