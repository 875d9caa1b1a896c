/* GGUF files put together byte by byte, right or wrong: independent of the writer, for tests of the reader. */
#pragma once
#include <glib.h>
#include "models/gguf/gguf.h"

G_BEGIN_DECLS

/* Each appends to @b. */
void gb_bytes (GByteArray * b, gconstpointer data, gsize n);
void gb_u32 (GByteArray * b, guint32 value);
void gb_u64 (GByteArray * b, guint64 value);
void gb_zeros (GByteArray * b, guint n);
/** A length and the text. */
void gb_string (GByteArray * b, const gchar * text);
void gb_header (GByteArray * b, guint32 version, guint64 n_tensors, guint64 n_keys);
/** Name and type of a key; its value follows. */
void gb_key (GByteArray * b, const gchar * name, guint32 type);
void gb_key_u32 (GByteArray * b, const gchar * name, guint32 value);
/** A key and the header of an array of @n elements of @type, which follow. */
void gb_array (GByteArray * b, const gchar * name, guint32 type, guint64 n);
/** Description of a tensor of two dimensions. */
void gb_tensor (GByteArray * b, const gchar * name, guint64 cols, guint64 rows, guint32 type, guint64 offset);
/** Zeros up to the next multiple of 32, then @n bytes of data. */
void gb_data (GByteArray * b, guint n);

/** gb_write_temp: writes the bytes to a new temporary file; unlink and free the path. */
gchar *gb_write_temp (gconstpointer content, gsize n);
/** gb_open_bytes: st_gguf_open() of a file of these bytes, which has no name any more. */
StGguf *gb_open_bytes (gconstpointer content, gsize n, GError ** error);
/** gb_open_built: the same, and must work. */
StGguf *gb_open_built (GByteArray * b);

G_END_DECLS
