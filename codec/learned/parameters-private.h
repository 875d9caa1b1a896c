/* Names of keys and tensors, for reading and writing. */
#pragma once
#include "codec/learned/parameters.h"

G_BEGIN_DECLS

#define RD_KEY_ARCHITECTURE "general.architecture"
#define RD_KEY_NAME "general.name"
#define RD_KEY_LICENSE "general.license"
#define RD_ARCHITECTURE "rdcodec"
#define RD_KEY(name) "rdcodec." name
#define RD_KEY_PROVENANCE RD_KEY ("provenance.")
#define RD_TENSOR_CONSTANTS "constants"

/** rd_set_name: "set.S.NAME", freed by the caller; keys have "rdcodec." before it. */
gchar *rd_set_name (const gchar * prefix, guint set, const gchar * name);
/** rd_side_info_name: as in the file. */
const gchar *rd_side_info_name (RdSideInfo side_info);

G_END_DECLS
