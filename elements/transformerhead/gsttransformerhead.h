/* transformerhead: token ids or hidden states in, hidden states of a later block out. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_TRANSFORMER_HEAD (gst_transformer_head_get_type ())
G_DECLARE_FINAL_TYPE (GstTransformerHead, gst_transformer_head, GST, TRANSFORMER_HEAD, GstElement)
GST_ELEMENT_REGISTER_DECLARE (transformerhead)

G_END_DECLS
