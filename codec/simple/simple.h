/* The built-in codecs f32, f16, int8 and int4; private to codec/. */
#pragma once
#include "codec/codec-class.h"

G_BEGIN_DECLS

/** Names of the built-in codecs, for messages. */
const gchar *rd_simple_names (void);
gboolean rd_simple_find (const gchar * name);
/** @name is one of them; @hidden_size is in range. */
RdCodec *rd_simple_new (const gchar * name, guint hidden_size);

G_END_DECLS
