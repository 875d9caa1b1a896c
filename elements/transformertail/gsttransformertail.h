/* transformertail: hidden states or token ids in, text out. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_TRANSFORMER_TAIL (gst_transformer_tail_get_type ())
G_DECLARE_FINAL_TYPE (GstTransformerTail, gst_transformer_tail, GST, TRANSFORMER_TAIL, GstElement)
GST_ELEMENT_REGISTER_DECLARE (transformertail)

G_END_DECLS
