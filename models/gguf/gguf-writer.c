/* GGUF v3 writer. */
#include "models/gguf/gguf-writer.h"
#include "models/gguf/gguf-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define VERSION_WRITTEN 3
#define CHUNK_BYTES (1u << 20)

typedef struct
{
  gchar *key;
  StGgufValueType type;
  GString *value;               /* encoded */
} Entry;

typedef struct
{
  StTensor t;                   /* offset: in the data section */
  StGguf *source;               /* reference; NULL: bytes at t.data */
  guint64 source_offset;
} Tensor;

struct _StGgufWriter
{
  GPtrArray *entries;
  GHashTable *entry_by_key;
  GPtrArray *tensors;
  GHashTable *tensor_by_name;
  guint64 data_bytes;
};

/* The file being written. */
typedef struct
{
  FILE *file;
  guint64 pos;
} Output;

static void
entry_free (gpointer data)
{
  Entry *e = data;

  g_free (e->key);
  g_string_free (e->value, TRUE);
  g_free (e);
}

static void
tensor_free (gpointer data)
{
  Tensor *t = data;

  g_free ((gchar *) t->t.name);
  st_gguf_unref (t->source);
  g_free (t);
}

StGgufWriter *
st_gguf_writer_new (void)
{
  StGgufWriter *writer = g_new0 (StGgufWriter, 1);

  writer->entries = g_ptr_array_new_with_free_func (entry_free);
  writer->entry_by_key = g_hash_table_new (g_str_hash, g_str_equal);
  writer->tensors = g_ptr_array_new_with_free_func (tensor_free);
  writer->tensor_by_name = g_hash_table_new (g_str_hash, g_str_equal);
  return writer;
}

void
st_gguf_writer_free (StGgufWriter * writer)
{
  if (writer == NULL)
    return;
  g_hash_table_unref (writer->entry_by_key);
  g_hash_table_unref (writer->tensor_by_name);
  g_ptr_array_unref (writer->entries);
  g_ptr_array_unref (writer->tensors);
  g_free (writer);
}

/* The empty value of @key, new or emptied. */
static GString *
begin_value (StGgufWriter * writer, const gchar * key, StGgufValueType type)
{
  Entry *e = g_hash_table_lookup (writer->entry_by_key, key);

  if (e == NULL) {
    e = g_new0 (Entry, 1);
    e->key = g_strdup (key);
    e->value = g_string_new (NULL);
    g_ptr_array_add (writer->entries, e);
    g_hash_table_insert (writer->entry_by_key, e->key, e);
  }
  e->type = type;
  return g_string_truncate (e->value, 0);
}

static void
append (GString * value, gconstpointer data, gsize n)
{
  g_string_append_len (value, data, (gssize) n);
}

static void
append_string (GString * value, const gchar * string)
{
  const guint64 len = strlen (string);

  append (value, &len, sizeof len);
  append (value, string, len);
}

static void
append_array_header (GString * value, StGgufValueType type, guint64 n)
{
  const guint32 type_bits = type;

  append (value, &type_bits, sizeof type_bits);
  append (value, &n, sizeof n);
}

void
st_gguf_writer_copy_metadata (StGgufWriter * writer, const StGguf * gguf)
{
  for (guint64 i = 0; i < st_gguf_n_entries (gguf); i++) {
    const StGgufEntry *e = st_gguf_entry (gguf, i);
    if (!g_str_equal (e->key, "general.alignment"))
      append (begin_value (writer, e->key, e->type), e->value, e->size);
  }
}

void
st_gguf_writer_remove_prefix (StGgufWriter * writer, const gchar * prefix)
{
  for (guint i = writer->entries->len; i-- > 0;) {
    Entry *e = g_ptr_array_index (writer->entries, i);
    if (!g_str_has_prefix (e->key, prefix))
      continue;
    g_hash_table_remove (writer->entry_by_key, e->key);
    g_ptr_array_remove_index (writer->entries, i);
  }
}

void
st_gguf_writer_set_uint32 (StGgufWriter * writer, const gchar * key,
    guint32 value)
{
  append (begin_value (writer, key, ST_GGUF_UINT32), &value, sizeof value);
}

void
st_gguf_writer_set_uint64 (StGgufWriter * writer, const gchar * key,
    guint64 value)
{
  append (begin_value (writer, key, ST_GGUF_UINT64), &value, sizeof value);
}

void
st_gguf_writer_set_int32 (StGgufWriter * writer, const gchar * key,
    gint32 value)
{
  append (begin_value (writer, key, ST_GGUF_INT32), &value, sizeof value);
}

void
st_gguf_writer_set_float (StGgufWriter * writer, const gchar * key,
    gfloat value)
{
  append (begin_value (writer, key, ST_GGUF_FLOAT32), &value, sizeof value);
}

void
st_gguf_writer_set_bool (StGgufWriter * writer, const gchar * key,
    gboolean value)
{
  const guint8 byte = value ? 1 : 0;

  append (begin_value (writer, key, ST_GGUF_BOOL), &byte, sizeof byte);
}

void
st_gguf_writer_set_string (StGgufWriter * writer, const gchar * key,
    const gchar * value)
{
  append_string (begin_value (writer, key, ST_GGUF_STRING), value);
}

void
st_gguf_writer_set_strings (StGgufWriter * writer, const gchar * key,
    const gchar * const *strings, guint64 n)
{
  GString *value = begin_value (writer, key, ST_GGUF_ARRAY);

  append_array_header (value, ST_GGUF_STRING, n);
  for (guint64 i = 0; i < n; i++)
    append_string (value, strings[i]);
}

void
st_gguf_writer_set_array (StGgufWriter * writer, const gchar * key,
    StGgufValueType type, gconstpointer values, guint64 n)
{
  const gsize width = st_gguf_value_bytes (type);
  GString *value;

  g_return_if_fail (width != 0);
  value = begin_value (writer, key, ST_GGUF_ARRAY);
  append_array_header (value, type, n);
  append (value, values, n * width);
}

/* Bytes of a tensor of @n_dims dimensions; 0 if @type cannot have that shape. */
static gsize
tensor_bytes (StType type, guint n_dims, const guint64 * ne)
{
  const StTypeTraits *traits = st_type_traits (type);
  gsize n = 1;

  if (traits == NULL || n_dims == 0 || n_dims > ST_GGUF_MAX_DIMS
      || ne[0] % traits->block_size != 0)
    return 0;
  for (guint i = 0; i < n_dims; i++) {
    if (ne[i] > G_MAXSIZE || !g_size_checked_mul (&n, n, (gsize) ne[i]))
      return 0;
  }
  return st_type_row_bytes (type, n);
}

/* Appends a tensor with its place in the data section; NULL and @error when it cannot be. */
static Tensor *
add_tensor (StGgufWriter * writer, const gchar * name, StType type,
    guint n_dims, const guint64 * ne, GError ** error)
{
  const gsize name_len = strlen (name);
  const gsize size = tensor_bytes (type, n_dims, ne);
  Tensor *t;

  if (name_len == 0 || name_len > ST_GGUF_MAX_NAME_BYTES
      || g_hash_table_contains (writer->tensor_by_name, name)) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_FORMAT,
        "tensor name \"%.64s\" is empty, too long or already taken", name);
    return NULL;
  }
  if (size == 0 || size > G_MAXINT64 / 2 - writer->data_bytes) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_FORMAT,
        "tensor %s has a shape that its type cannot have, or is too large",
        name);
    return NULL;
  }
  t = g_new0 (Tensor, 1);
  t->t.name = g_strdup (name);
  t->t.type = type;
  t->t.n_dims = n_dims;
  memcpy (t->t.ne, ne, n_dims * sizeof *ne);
  t->t.size = size;
  t->t.offset = writer->data_bytes;
  writer->data_bytes += (size + ST_GGUF_DEFAULT_ALIGNMENT - 1)
      / ST_GGUF_DEFAULT_ALIGNMENT * ST_GGUF_DEFAULT_ALIGNMENT;
  g_ptr_array_add (writer->tensors, t);
  g_hash_table_add (writer->tensor_by_name, (gpointer) t->t.name);
  return t;
}

gboolean
st_gguf_writer_add_tensor (StGgufWriter * writer, const gchar * name,
    StType type, guint n_dims, const guint64 * ne, gconstpointer data,
    GError ** error)
{
  Tensor *t = add_tensor (writer, name, type, n_dims, ne, error);

  if (t == NULL)
    return FALSE;
  t->t.data = data;
  return TRUE;
}

gboolean
st_gguf_writer_copy_tensor (StGgufWriter * writer, StGguf * gguf,
    const StTensor * tensor, GError ** error)
{
  Tensor *t = add_tensor (writer, tensor->name, tensor->type, tensor->n_dims,
      tensor->ne, error);

  if (t == NULL)
    return FALSE;
  t->source = st_gguf_ref (gguf);
  t->source_offset = tensor->offset;
  return TRUE;
}

static void
put (Output * out, gconstpointer data, gsize n)
{
  fwrite (data, 1, n, out->file);       /* errors stick: write_file() asks ferror() */
  out->pos += n;
}

static void
put_u32 (Output * out, guint32 value)
{
  put (out, &value, sizeof value);
}

static void
put_u64 (Output * out, guint64 value)
{
  put (out, &value, sizeof value);
}

static void
put_string (Output * out, const gchar * string)
{
  const gsize len = strlen (string);

  put_u64 (out, len);
  put (out, string, len);
}

static void
put_padding (Output * out)
{
  static const guint8 zeros[ST_GGUF_DEFAULT_ALIGNMENT];
  const gsize over = out->pos % ST_GGUF_DEFAULT_ALIGNMENT;

  if (over != 0)
    put (out, zeros, ST_GGUF_DEFAULT_ALIGNMENT - over);
}

static void
put_header (Output * out, const StGgufWriter * writer)
{
  put (out, ST_GGUF_MAGIC, strlen (ST_GGUF_MAGIC));
  put_u32 (out, VERSION_WRITTEN);
  put_u64 (out, writer->tensors->len);
  put_u64 (out, writer->entries->len);
  for (guint i = 0; i < writer->entries->len; i++) {
    const Entry *e = g_ptr_array_index (writer->entries, i);
    put_string (out, e->key);
    put_u32 (out, e->type);
    put (out, e->value->str, e->value->len);
  }
  for (guint i = 0; i < writer->tensors->len; i++) {
    const Tensor *t = g_ptr_array_index (writer->tensors, i);
    put_string (out, t->t.name);
    put_u32 (out, t->t.n_dims);
    for (guint d = 0; d < t->t.n_dims; d++)
      put_u64 (out, t->t.ne[d]);
    put_u32 (out, t->t.type);
    put_u64 (out, t->t.offset);
  }
}

/* Copies the bytes of @t from the file that it comes from. */
static gboolean
put_copied (Output * out, const Tensor * t, GError ** error)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK_BYTES);

  for (gsize done = 0; done < t->t.size;) {
    const gsize n = MIN (t->t.size - done, CHUNK_BYTES);
    if (!st_gguf_read (t->source, t->source_offset + done, chunk, n, error)) {
      g_prefix_error (error, "tensor %s: ", t->t.name);
      return FALSE;
    }
    put (out, chunk, n);
    done += n;
  }
  return TRUE;
}

static gboolean
put_file (Output * out, const StGgufWriter * writer, GError ** error)
{
  put_header (out, writer);
  put_padding (out);
  for (guint i = 0; i < writer->tensors->len && !ferror (out->file); i++) {
    const Tensor *t = g_ptr_array_index (writer->tensors, i);
    if (t->source == NULL)
      put (out, t->t.data, t->t.size);
    else if (!put_copied (out, t, error))
      return FALSE;
    put_padding (out);
  }
  return TRUE;
}

/* Writes everything to @fd, which is closed in any case. */
static gboolean
write_file (const StGgufWriter * writer, int fd, const gchar * path,
    GError ** error)
{
  g_autofree gchar *name = g_filename_display_name (path);
  Output out = { fdopen (fd, "wb"), 0 };
  gboolean ok, stored;

  if (out.file == NULL) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO, "%s: cannot write: %s",
        name, g_strerror (errno));
    close (fd);
    return FALSE;
  }
  errno = 0;
  ok = put_file (&out, writer, error);
  stored = !ferror (out.file) && fflush (out.file) == 0 && fsync (fd) == 0;
  if (ok && !stored)
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO, "%s: cannot write: %s",
        name, g_strerror (errno));
  fclose (out.file);
  return ok && stored;
}

gboolean
st_gguf_writer_write (StGgufWriter * writer, const gchar * path,
    GError ** error)
{
  g_autofree gchar *temporary = g_strconcat (path, ".XXXXXX", NULL);
  g_autofree gchar *name = g_filename_display_name (path);
  GStatBuf st;
  int fd;

  if (g_stat (path, &st) == 0 && !S_ISREG (st.st_mode)) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO, "%s: cannot write: "
        "exists and is not a regular file", name);
    return FALSE;
  }
  fd = g_mkstemp_full (temporary, O_WRONLY | O_CLOEXEC, 0666);
  if (fd < 0) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO, "%s: cannot create: "
        "%s", name, g_strerror (errno));
    return FALSE;
  }
  if (!write_file (writer, fd, path, error)) {
    g_unlink (temporary);
    return FALSE;
  }
  if (g_rename (temporary, path) != 0) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO, "%s: cannot rename: "
        "%s", name, g_strerror (errno));
    g_unlink (temporary);
    return FALSE;
  }
  return TRUE;
}
