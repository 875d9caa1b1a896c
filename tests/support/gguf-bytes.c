/* GGUF files put together byte by byte. */
#include "tests/support/gguf-bytes.h"

#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

void
gb_bytes (GByteArray * b, gconstpointer data, gsize n)
{
  g_byte_array_append (b, data, (guint) n);
}

void
gb_u32 (GByteArray * b, guint32 value)
{
  gb_bytes (b, &value, sizeof value);
}

void
gb_u64 (GByteArray * b, guint64 value)
{
  gb_bytes (b, &value, sizeof value);
}

void
gb_zeros (GByteArray * b, guint n)
{
  const guint len = b->len;

  g_byte_array_set_size (b, len + n);
  memset (b->data + len, 0, n);
}

void
gb_string (GByteArray * b, const gchar * text)
{
  gb_u64 (b, strlen (text));
  gb_bytes (b, text, strlen (text));
}

void
gb_header (GByteArray * b, guint32 version, guint64 n_tensors, guint64 n_keys)
{
  gb_bytes (b, "GGUF", 4);
  gb_u32 (b, version);
  gb_u64 (b, n_tensors);
  gb_u64 (b, n_keys);
}

void
gb_key (GByteArray * b, const gchar * name, guint32 type)
{
  gb_string (b, name);
  gb_u32 (b, type);
}

void
gb_key_u32 (GByteArray * b, const gchar * name, guint32 value)
{
  gb_key (b, name, ST_GGUF_UINT32);
  gb_u32 (b, value);
}

void
gb_array (GByteArray * b, const gchar * name, guint32 type, guint64 n)
{
  gb_key (b, name, ST_GGUF_ARRAY);
  gb_u32 (b, type);
  gb_u64 (b, n);
}

void
gb_tensor (GByteArray * b, const gchar * name, guint64 cols, guint64 rows,
    guint32 type, guint64 offset)
{
  gb_string (b, name);
  gb_u32 (b, 2);
  gb_u64 (b, cols);
  gb_u64 (b, rows);
  gb_u32 (b, type);
  gb_u64 (b, offset);
}

/* Room for data of @n bytes behind the next multiple of 32. */
void
gb_data (GByteArray * b, guint n)
{
  gb_zeros (b, (32 - b->len % 32) % 32 + n);
}

gchar *
gb_write_temp (gconstpointer content, gsize n)
{
  g_autoptr (GError) error = NULL;
  gchar *path = NULL;
  int fd = g_file_open_tmp ("gguf-XXXXXX", &path, &error);

  g_assert_no_error (error);
  g_assert_cmpint (write (fd, content, n), ==, (gssize) n);
  close (fd);
  return path;
}

StGguf *
gb_open_bytes (gconstpointer content, gsize n, GError ** error)
{
  g_autofree gchar *path = gb_write_temp (content, n);
  StGguf *gguf = st_gguf_open (path, error);

  g_unlink (path);
  return gguf;
}

StGguf *
gb_open_built (GByteArray * b)
{
  g_autoptr (GError) error = NULL;
  StGguf *gguf = gb_open_bytes (b->data, b->len, &error);

  g_assert_no_error (error);
  g_assert_nonnull (gguf);
  return gguf;
}
