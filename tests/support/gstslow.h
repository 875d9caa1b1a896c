/* testslow: passes buffers on and takes its time, as a slow machine would. For tests only. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_SLOW (gst_slow_get_type ())
G_DECLARE_FINAL_TYPE (GstSlow, gst_slow, GST, SLOW, GstElement)
GST_ELEMENT_REGISTER_DECLARE (testslow)

G_END_DECLS
