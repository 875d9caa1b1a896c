/* IEEE 754 half precision. Integer arithmetic in C and an F16C twin that gives the same bits, chosen at run time. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_HALF_MAX 65504.0f
#define RD_HALF_INFINITY 0x7c00u        /* magnitude bits from here on are infinity and NaN */

/** rd_half_from_float: rounds to nearest, ties to even. Beyond +-65504, infinity included, saturates to +-65504; NaN stays NaN. */
guint16 rd_half_from_float (gfloat x);
/** rd_half_to_float: exact. */
gfloat rd_half_to_float (guint16 h);

/** rd_half_from_floats: the same for @n values, stored little-endian, 2 bytes each, no alignment needed. */
void rd_half_from_floats (const gfloat * x, guint8 * bytes, gsize n);
/** rd_half_to_floats: the way back. FALSE if infinity or NaN is among them (they are converted too). */
gboolean rd_half_to_floats (const guint8 * bytes, gfloat * x, gsize n);

/** The same in plain C: what the others are tested against. */
void rd_half_from_floats_c (const gfloat * x, guint8 * bytes, gsize n);
gboolean rd_half_to_floats_c (const guint8 * bytes, gfloat * x, gsize n);

G_END_DECLS
