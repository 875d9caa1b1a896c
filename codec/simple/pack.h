/* zstd over byte planes: a payload of k-byte values is split into k planes and each plane is kept as it is or compressed, whichever is
 * smaller. FORMAT.md has the bytes. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

typedef struct _RdPacker RdPacker;
RdPacker *rd_packer_new (void);
void rd_packer_free (RdPacker * packer);

/** rd_packer_pack: the packed form of @size bytes (a multiple of @planes) if it is smaller than @size and no smaller than
 * size / RD_CODEC_MAX_PACK_RATIO, else NULL. It belongs to the packer and is valid until the next call. */
const GByteArray *rd_packer_pack (RdPacker * packer, const guint8 * data, gsize size, guint planes);

/** rd_packer_unpack: the reverse; returns exactly @size bytes that belong to the packer and are valid until the next call.
 * NULL if the payload is damaged or stands for another size. */
const guint8 *rd_packer_unpack (RdPacker * packer, const guint8 * payload, gsize payload_size, guint planes, gsize size, GError ** error);

G_END_DECLS
