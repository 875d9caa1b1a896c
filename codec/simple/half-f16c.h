/* The F16C twins of half.c: multiples of 8 values only; call them on a CPU that has AVX and F16C. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#if (defined (__x86_64__) || defined (__i386__)) && defined (__GNUC__)
#define RD_HAVE_F16C 1
void rd_half_from_floats_f16c (const gfloat * x, guint8 * bytes, gsize n);
gboolean rd_half_to_floats_f16c (const guint8 * bytes, gfloat * x, gsize n);
#endif

G_END_DECLS
