/* What rdencoder and rddecoder have in common. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

/** Running time of now: what buffers get that leave now; NONE without a clock. */
GstClockTime gst_rd_running_time (GstElement * element);
/** Internal links: "sink" with "src", whatever other pads there are; or none at all (feedback). */
GstIterator *gst_rd_links_straight (GstPad * pad, GstObject * parent);
GstIterator *gst_rd_links_none (GstPad * pad, GstObject * parent);
/** 0 without tokens. */
gdouble gst_rd_bits_per_token (guint64 bytes, guint64 tokens);
/** Waits on @cond until it is signalled, or until @deadline (monotonic, us; G_MAXINT64 = none). */
void gst_rd_cond_wait (GCond * cond, GMutex * lock, gint64 deadline);

/* The request pad of the way back: one an element. @feedback is the element's own pointer to it, guarded by the object lock. */
/** FALSE, with a warning in the log, when there is one already. */
gboolean gst_rd_feedback_is_free (GstElement * element, GstPad ** feedback);
/** Remembers @pad and adds it to @element, which takes it over. */
void gst_rd_feedback_add (GstElement * element, GstPad ** feedback, GstPad * pad);
/** Forgets, deactivates and removes @pad. */
void gst_rd_feedback_release (GstElement * element, GstPad ** feedback, GstPad * pad);

G_END_DECLS
