/* Writes GGUF v3 files. */
#pragma once
#include <glib.h>
#include "models/gguf/gguf.h"

G_BEGIN_DECLS

/** StGgufWriter: metadata and tensors of a file to be written. Tensors begin at multiples of 32 bytes, the default of
 * general.alignment: that key is not copied from files, and must not be set to more. */
typedef struct _StGgufWriter StGgufWriter;

StGgufWriter *st_gguf_writer_new (void);
void st_gguf_writer_free (StGgufWriter * writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (StGgufWriter, st_gguf_writer_free)

/* Metadata keeps the order in which keys were first set; setting a key again replaces its value. Everything is copied. */
/** st_gguf_writer_copy_metadata: sets every entry of @gguf but general.alignment. */
void st_gguf_writer_copy_metadata (StGgufWriter * writer, const StGguf * gguf);
/** st_gguf_writer_remove_prefix: removes every key that begins with @prefix. */
void st_gguf_writer_remove_prefix (StGgufWriter * writer, const gchar * prefix);
void st_gguf_writer_set_uint32 (StGgufWriter * writer, const gchar * key, guint32 value);
void st_gguf_writer_set_uint64 (StGgufWriter * writer, const gchar * key, guint64 value);
void st_gguf_writer_set_int32 (StGgufWriter * writer, const gchar * key, gint32 value);
void st_gguf_writer_set_float (StGgufWriter * writer, const gchar * key, gfloat value);
void st_gguf_writer_set_bool (StGgufWriter * writer, const gchar * key, gboolean value);
void st_gguf_writer_set_string (StGgufWriter * writer, const gchar * key, const gchar * value);
/** @strings: @n NUL-terminated strings. */
void st_gguf_writer_set_strings (StGgufWriter * writer, const gchar * key, const gchar * const *strings, guint64 n);
/** @values: @n numbers of the scalar type @type. */
void st_gguf_writer_set_array (StGgufWriter * writer, const gchar * key, StGgufValueType type, gconstpointer values, guint64 n);

/** st_gguf_writer_add_tensor: @data (of the size that type and @ne, innermost first, give) must stay until the file is written.
 * Error on a name that is taken, empty or too long, and on a shape that the type cannot have. */
gboolean st_gguf_writer_add_tensor (StGgufWriter * writer, const gchar * name, StType type, guint n_dims, const guint64 * ne,
    gconstpointer data, GError ** error);
/** st_gguf_writer_copy_tensor: a tensor of @gguf, whose bytes are read with pread while the file is written. Keeps a reference
 * to @gguf. */
gboolean st_gguf_writer_copy_tensor (StGgufWriter * writer, StGguf * gguf, const StTensor * tensor, GError ** error);

/** st_gguf_writer_write: writes the file beside @path under another name, then renames it: @path is the whole new file or what it
 * was. */
gboolean st_gguf_writer_write (StGgufWriter * writer, const gchar * path, GError ** error);

G_END_DECLS
