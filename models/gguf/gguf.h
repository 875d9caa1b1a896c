/* GGUF v2/v3 files, mapped read-only (GGUF specification, ggml docs/gguf.md). */
#pragma once
#include <glib.h>
#include "models/gguf/types.h"

G_BEGIN_DECLS

#define ST_GGUF_ERROR (st_gguf_error_quark ())
GQuark st_gguf_error_quark (void);
typedef enum
{
  ST_GGUF_ERROR_IO,
  ST_GGUF_ERROR_FORMAT,         /* truncated, damaged, sizes that do not fit */
  ST_GGUF_ERROR_UNSUPPORTED,    /* version, type */
  ST_GGUF_ERROR_MISSING,        /* a key or tensor that is needed */
} StGgufError;

#define ST_GGUF_MAX_DIMS 4

typedef struct
{
  const gchar *name;
  StType type;
  guint n_dims;
  guint64 ne[ST_GGUF_MAX_DIMS]; /* innermost first; unused are 1 */
  guint64 offset;               /* in the file */
  gsize size;                   /* bytes */
  const guint8 *data;           /* in the mapping */
} StTensor;

/** StGgufValueType: type of a metadata value, with the file's numbering. */
typedef enum
{
  ST_GGUF_UINT8,
  ST_GGUF_INT8,
  ST_GGUF_UINT16,
  ST_GGUF_INT16,
  ST_GGUF_UINT32,
  ST_GGUF_INT32,
  ST_GGUF_FLOAT32,
  ST_GGUF_BOOL,
  ST_GGUF_STRING,
  ST_GGUF_ARRAY,
  ST_GGUF_UINT64,
  ST_GGUF_INT64,
  ST_GGUF_FLOAT64,
} StGgufValueType;

#define ST_GGUF_ARRAY_HEADER_BYTES 12   /* element type and count before an array's elements */

/** StGgufEntry: one key of the metadata and its value as encoded in the file. */
typedef struct
{
  const gchar *key;
  StGgufValueType type;
  StGgufValueType element_type; /* of an array; else the type itself */
  guint64 n;                    /* elements of an array; else 1 */
  const guint8 *value;          /* encoded value in the mapping, an array's header included */
  gsize size;                   /* bytes of @value */
} StGgufEntry;

typedef struct _StGguf StGguf;

/** st_gguf_open: maps @path and checks every size; free with st_gguf_unref(). Touches no tensor data. */
StGguf *st_gguf_open (const gchar * path, GError ** error);
StGguf *st_gguf_ref (StGguf * gguf);
void st_gguf_unref (StGguf * gguf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (StGguf, st_gguf_unref)

const gchar *st_gguf_path (const StGguf * gguf);
/** File descriptor of the open file, for pread; owned by @gguf. */
int st_gguf_fd (const StGguf * gguf);

/** st_gguf_read: @n bytes at @offset of the file with pread, around the mapping; an error if the file has become shorter. */
gboolean st_gguf_read (const StGguf * gguf, guint64 offset, gpointer buffer, gsize n, GError ** error);
/** Bytes that tensor offsets are a multiple of (general.alignment, 32 when absent). */
gsize st_gguf_alignment (const StGguf * gguf);

guint64 st_gguf_n_tensors (const StGguf * gguf);
const StTensor *st_gguf_tensor (const StGguf * gguf, guint64 index);
/** st_gguf_find: tensor by name, or %NULL. */
const StTensor *st_gguf_find (const StGguf * gguf, const gchar * name);

/** Metadata entries in the file's order, for copying and hashing; names are unique. */
guint64 st_gguf_n_entries (const StGguf * gguf);
const StGgufEntry *st_gguf_entry (const StGguf * gguf, guint64 index);
/** st_gguf_find_entry: entry by key, or %NULL. */
const StGgufEntry *st_gguf_find_entry (const StGguf * gguf, const gchar * key);

/* Metadata. Integer getters accept any integer type of the file that fits; FALSE (value untouched, no error) when the key is absent,
 * or of another type. */
gboolean st_gguf_get_uint (const StGguf * gguf, const gchar * key, guint64 * value);
gboolean st_gguf_get_int (const StGguf * gguf, const gchar * key, gint64 * value);
gboolean st_gguf_get_float (const StGguf * gguf, const gchar * key, gdouble * value);
gboolean st_gguf_get_bool (const StGguf * gguf, const gchar * key, gboolean * value);
/** Not NUL-terminated in the file; the returned string is a NUL-terminated copy owned by @gguf. NULL when absent. */
const gchar *st_gguf_get_string (const StGguf * gguf, const gchar * key);
/** Number of elements of an array key; 0 when absent. */
guint64 st_gguf_array_length (const StGguf * gguf, const gchar * key);
/** Element @i of a string array: bytes in the mapping (may hold NUL), length in @len; NULL when absent or another type. O(1). */
const gchar *st_gguf_array_string (const StGguf * gguf, const gchar * key, guint64 i, gsize * len);
gboolean st_gguf_array_int (const StGguf * gguf, const gchar * key, guint64 i, gint64 * value);
gboolean st_gguf_array_float (const StGguf * gguf, const gchar * key, guint64 i, gdouble * value);

G_END_DECLS
