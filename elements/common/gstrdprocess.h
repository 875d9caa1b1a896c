/* One buffer through a partition, with everything that can go wrong on the way told to the right side. */
#pragma once
#include "elements/common/gstrdpartition.h"

G_BEGIN_DECLS

typedef enum
{
  GST_RD_RAN,                    /* rows and session are set; free the rows with gst_rd_rows_clear() */
  GST_RD_DROPPED,                /* nothing to do; *flow says how to go on */
  GST_RD_CONTEXT_FULL,           /* session is set; the head was told (finish = context) */
} GstRdOutcome;

/** gst_rd_process: takes the rows of @buffer (not consumed), places and runs them. */
GstRdOutcome gst_rd_process (GstElement * element, GstPad * sinkpad, GstRdPartition * p, GstRdInput * input, GstBuffer * buffer,
    GstRdSession ** session, GstRdRows * rows, GstFlowReturn * flow);

/** gst_rd_fail_session: tells the head that session @number (or GST_RD_ALL_SESSIONS) ended and why, upstream from @sinkpad; if nobody
 * takes it, posts it as an element error. Returns how the flow goes on. Consumes @error. */
GstFlowReturn gst_rd_fail_session (GstElement * element, GstPad * sinkpad, GstRdPartition * p, guint32 number, GError * error);
/** Posts @error as an element error of its own domain. */
void gst_rd_post_error (GstElement * element, const GError * error);

/** gst_rd_hide_ids: an error about an id of rows at @position loses the id: ids are nobody else's business, and errors go to peers. */
void gst_rd_hide_ids (GError ** error, StModel * model, guint32 position);

/** gst_rd_refuse_caps: caps that this element cannot take: an element error here, and rd-error upstream for every session; both once.
 * Consumes @error. */
void gst_rd_refuse_caps (GstElement * element, GstPad * sinkpad, GstRdInput * input, GError * error);

/** A SEGMENT event in time: of bytes (filesrc), an open one from 0 in its place. Consumes and returns @event. */
GstEvent *gst_rd_time_segment (GstEvent * event);

G_END_DECLS
