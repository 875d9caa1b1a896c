/* int8 and int4: uniform quantisation of one row. FORMAT.md has the arithmetic. The callers have set the default floating-point mode. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_INT4_GROUP 32u

/** Bytes of a row of @n values. */
gsize rd_int8_row_bytes (gsize n);
gsize rd_int4_row_bytes (gsize n);

/** rd_int8_encode_row: @n finite values to rd_int8_row_bytes (n) bytes. */
void rd_int8_encode_row (const gfloat * x, guint8 * bytes, gsize n);
/** rd_int8_decode_row: FALSE if the bytes are none that an encoder makes; every value is finite otherwise. */
gboolean rd_int8_decode_row (const guint8 * bytes, gfloat * x, gsize n);

/** The same in groups of RD_INT4_GROUP values. */
void rd_int4_encode_row (const gfloat * x, guint8 * bytes, gsize n);
gboolean rd_int4_decode_row (const guint8 * bytes, gfloat * x, gsize n);

G_END_DECLS
