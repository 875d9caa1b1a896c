/* rdencoder: hidden states to coded frames, and the head's end of the way back. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_RD_ENCODER (gst_rd_encoder_get_type ())
G_DECLARE_FINAL_TYPE (GstRdEncoder, gst_rd_encoder, GST, RD_ENCODER, GstElement)
GST_ELEMENT_REGISTER_DECLARE (rdencoder)

G_END_DECLS
