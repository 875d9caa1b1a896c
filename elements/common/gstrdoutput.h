/* A source pad with its own task and a bounded queue, so that several sinks behind one element preroll. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct
{
  gatomicrefcount refs;
  GstPad *pad;
  GMutex lock;
  GCond changed;
  GQueue items;                  /* GstBuffer, GstEvent */
  gsize bytes;                   /* of the buffers in it */
  gboolean flushing, started;
  GstFlowReturn flow;            /* of the last push */
  GstCaps *caps;                 /* the task sends stream-start, these, a segment and GAP first */
  GstSegment segment;
} GstRdOutput;

/** gst_rd_output_new: takes over @pad's activation. Before the pad is added to its element. @caps (taken): fixed, may be NULL until
 * gst_rd_output_set_caps(). */
GstRdOutput *gst_rd_output_new (GstPad * pad, GstCaps * caps);
void gst_rd_output_unref (GstRdOutput * output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstRdOutput, gst_rd_output_unref)
/** gst_rd_output_get: a reference to what *@slot holds now, or NULL: a request pad may be released at any time. */
GstRdOutput *gst_rd_output_get (GstElement * owner, GstRdOutput ** slot);
/** gst_rd_output_put: sets *@slot (@output is taken, may be NULL) and drops what it held. */
void gst_rd_output_put (GstElement * owner, GstRdOutput ** slot, GstRdOutput * output);
/** Whoever waits in gst_rd_output_push() leaves with FLUSHING, until the pad is activated again. */
void gst_rd_output_interrupt (GstRdOutput * output);

/** New caps go into the queue if the stream has begun. Takes @caps. */
void gst_rd_output_set_caps (GstRdOutput * output, GstCaps * caps);
/** gst_rd_output_start: begins the stream if it has not (stream-start, caps, segment, GAP, so that a sink prerolls). */
void gst_rd_output_start (GstRdOutput * output, const GstSegment * segment);
/** gst_rd_output_push: a buffer or a serialised event (taken); waits while the queue is full.
 * Returns: how the last push of the task went, FLUSHING when the pad is not active. */
GstFlowReturn gst_rd_output_push (GstRdOutput * output, GstMiniObject * item);
/** Starts the stream if need be and ends it. */
void gst_rd_output_eos (GstRdOutput * output);
/** FLUSH_START and FLUSH_STOP, sent downstream at once (@event taken); what is queued is dropped. */
void gst_rd_output_flush (GstRdOutput * output, GstEvent * event);

G_END_DECLS
