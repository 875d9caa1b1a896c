/* rdparse: bytes to frames. */
#pragma once
#include <gst/base/gstbaseparse.h>

G_BEGIN_DECLS

#define GST_TYPE_RD_PARSE (gst_rd_parse_get_type ())
G_DECLARE_FINAL_TYPE (GstRdParse, gst_rd_parse, GST, RD_PARSE, GstBaseParse)
GST_ELEMENT_REGISTER_DECLARE (rdparse)

G_END_DECLS
