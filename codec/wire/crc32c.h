/* The twins behind rd_crc32c(); private to codec/wire and its test. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

typedef guint32 (*RdCrc32cFunc) (guint32 crc, const guint8 * data, gsize size);

guint32 rd_crc32c_table (guint32 crc, const guint8 * p, gsize size);
/** rd_crc32c_sse42: only where rd_crc32c_has_sse42(). */
guint32 rd_crc32c_sse42 (guint32 crc, const guint8 * p, gsize size);
gboolean rd_crc32c_has_sse42 (void);

G_END_DECLS
