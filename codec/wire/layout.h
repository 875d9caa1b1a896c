/* Numbers of FORMAT.md that writer and parser share. Private to codec/wire. */
#pragma once
#include "codec/wire/bytes.h"
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

/** rd_ids_append: @n > 0 ids with their number and form; FALSE, and nothing written, if one is negative. */
gboolean rd_ids_append (const gint32 * ids, guint32 n, GByteArray * out);
/** rd_ids_parse: what follows the number @n of ids: sets the frame's fields. FALSE if it is damaged. */
gboolean rd_ids_parse (RdReader * r, guint32 n, RdFrame * frame);

/** rd_id_code_append: the entropy-coded form of @n ids, none negative. FALSE, and nothing written, if one is too large for it. */
gboolean rd_id_code_append (const gint32 * ids, guint32 n, GByteArray * out);
/** rd_id_code_read: FALSE if the @size bytes do not stand for @n ids. @ids may be NULL. */
gboolean rd_id_code_read (const guint8 * data, gsize size, guint32 n, gint32 * ids);

/** rd_header_append: the records of a HEADER payload. */
gboolean rd_header_append (const RdHeader * header, GByteArray * out, GError ** error);

G_END_DECLS
