/* Numbers of FORMAT.md that writer and parser share. Private to codec/wire. */
#pragma once
#include "codec/wire/frame.h"

G_BEGIN_DECLS

/* third byte: version (2 bits), type (3 bits), flags (3 bits) */
#define RD_VTF_VERSION_SHIFT 6
#define RD_VTF_TYPE_SHIFT 3
#define RD_VTF_TYPE_MASK 7
#define RD_FLAG_STEP 1
#define RD_FLAG_SAMPLE 2
#define RD_FLAG_EXTENDED 4

/* the extension's flag byte; fields follow in this order */
#define RD_EXT_COUNT 0x01
#define RD_EXT_EPOCH 0x02
#define RD_EXT_TRUNCATE 0x04
#define RD_EXT_GIVEN 0x08
#define RD_EXT_PACKED 0x10
#define RD_EXT_IDS 0x20
#define RD_EXT_FRAGMENT 0x40
#define RD_EXT_RECORDS 0x80

/* records of an extension: odd tags may be skipped, even ones must be known */
#define RD_RECORD_COOKIE 1

/* records of HEADER */
enum
{
  RD_HEADER_COOKIE = 1,
  RD_HEADER_SESSION_ID = 2,
  RD_HEADER_MODEL_NAME = 3,
  RD_HEADER_MODEL_ID = 4,
  RD_HEADER_REPLY_PORT = 5,
  RD_HEADER_TOKENIZER_ID = 6,
  RD_HEADER_CODEC = 8,
  RD_HEADER_GEOMETRY = 10,
  RD_HEADER_SEQUENCES = 12,
  RD_HEADER_FEEDBACK = 14,
  RD_HEADER_WISH_BASE = 33,     /* + 2 * bit number of the RdWishMask */
};

/** rd_id_bits: bits that the largest of @n ids needs (at least 1), 0 if one is negative. */
guint rd_id_bits (const gint32 * ids, guint32 n);
/** rd_ids_packed_size: bytes of @n ids of @bits each. */
gsize rd_ids_packed_size (guint32 n, guint bits);

/** rd_header_append: the records of a HEADER payload. */
gboolean rd_header_append (const RdHeader * header, GByteArray * out, GError ** error);

G_END_DECLS
