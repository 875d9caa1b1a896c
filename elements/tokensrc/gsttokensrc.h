/* tokensrc: text to token ids, and the source's side of a conversation. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_TOKEN_SRC (gst_token_src_get_type ())
G_DECLARE_FINAL_TYPE (GstTokenSrc, gst_token_src, GST, TOKEN_SRC, GstElement)
GST_ELEMENT_REGISTER_DECLARE (tokensrc)

G_END_DECLS
