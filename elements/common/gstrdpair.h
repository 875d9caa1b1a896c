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

G_END_DECLS
