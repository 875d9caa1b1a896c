/* Recognises a stream of coded states by its first frame. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

GST_TYPE_FIND_REGISTER_DECLARE (rdstates)

G_END_DECLS
