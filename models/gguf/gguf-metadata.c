/* Metadata of a GGUF file. Bounds were checked when the file was opened. */
#include "models/gguf/gguf-private.h"

#include <string.h>

static const StGgufItem *
find_item (const StGguf * gguf, const gchar * key)
{
  return g_hash_table_lookup (gguf->item_by_key, key);
}

guint64
st_gguf_n_entries (const StGguf * gguf)
{
  return gguf->n_items;
}

const StGgufEntry *
st_gguf_entry (const StGguf * gguf, guint64 index)
{
  g_return_val_if_fail (index < gguf->n_items, NULL);
  return &gguf->items[index].entry;
}

const StGgufEntry *
st_gguf_find_entry (const StGguf * gguf, const gchar * key)
{
  const StGgufItem *item = find_item (gguf, key);

  return item != NULL ? &item->entry : NULL;
}

/* Reads a signed integer of @type at @p; FALSE for other types. */
static gboolean
read_signed (StGgufValueType type, const guint8 * p, gint64 * value)
{
  guint64 bits = 0, sign;

  if (type != ST_GGUF_INT8 && type != ST_GGUF_INT16
      && type != ST_GGUF_INT32 && type != ST_GGUF_INT64)
    return FALSE;
  memcpy (&bits, p, st_gguf_value_bytes (type));
  sign = G_GUINT64_CONSTANT (1) << (8 * st_gguf_value_bytes (type) - 1);
  *value = (gint64) ((bits ^ sign) - sign);
  return TRUE;
}

/* Reads an unsigned integer of @type at @p; FALSE for other types. */
static gboolean
read_unsigned (StGgufValueType type, const guint8 * p, guint64 * value)
{
  if (type != ST_GGUF_UINT8 && type != ST_GGUF_UINT16
      && type != ST_GGUF_UINT32 && type != ST_GGUF_UINT64)
    return FALSE;
  *value = 0;
  memcpy (value, p, st_gguf_value_bytes (type));
  return TRUE;
}

static gboolean
read_int (StGgufValueType type, const guint8 * p, gint64 * value)
{
  guint64 u;

  if (read_unsigned (type, p, &u)) {
    if (u > G_MAXINT64)
      return FALSE;
    *value = (gint64) u;
    return TRUE;
  }
  return read_signed (type, p, value);
}

static gboolean
read_float (StGgufValueType type, const guint8 * p, gdouble * value)
{
  gfloat f;

  if (type == ST_GGUF_FLOAT32) {
    memcpy (&f, p, sizeof f);
    *value = (gdouble) f;
    return TRUE;
  }
  if (type == ST_GGUF_FLOAT64) {
    memcpy (value, p, sizeof *value);
    return TRUE;
  }
  return FALSE;
}

gboolean
st_gguf_get_uint (const StGguf * gguf, const gchar * key, guint64 * value)
{
  const StGgufItem *item = find_item (gguf, key);
  guint64 u;
  gint64 i;

  if (item == NULL)
    return FALSE;
  if (!read_unsigned (item->entry.type, item->entry.value, &u)) {
    if (!read_signed (item->entry.type, item->entry.value, &i) || i < 0)
      return FALSE;
    u = (guint64) i;
  }
  *value = u;
  return TRUE;
}

gboolean
st_gguf_get_int (const StGguf * gguf, const gchar * key, gint64 * value)
{
  const StGgufItem *item = find_item (gguf, key);

  return item != NULL && read_int (item->entry.type, item->entry.value, value);
}

gboolean
st_gguf_get_float (const StGguf * gguf, const gchar * key, gdouble * value)
{
  const StGgufItem *item = find_item (gguf, key);

  return item != NULL
      && read_float (item->entry.type, item->entry.value, value);
}

gboolean
st_gguf_get_bool (const StGguf * gguf, const gchar * key, gboolean * value)
{
  const StGgufItem *item = find_item (gguf, key);

  if (item == NULL || item->entry.type != ST_GGUF_BOOL)
    return FALSE;
  *value = item->entry.value[0] != 0;
  return TRUE;
}

const gchar *
st_gguf_get_string (const StGguf * gguf, const gchar * key)
{
  const StGgufItem *item = find_item (gguf, key);

  return item != NULL ? item->string : NULL;
}

guint64
st_gguf_array_length (const StGguf * gguf, const gchar * key)
{
  const StGgufItem *item = find_item (gguf, key);

  return item != NULL && item->entry.type == ST_GGUF_ARRAY ? item->entry.n : 0;
}

const gchar *
st_gguf_array_string (const StGguf * gguf, const gchar * key, guint64 i,
    gsize * len)
{
  const StGgufItem *item = find_item (gguf, key);
  const guint8 *p;
  guint64 n;

  if (item == NULL || item->offsets == NULL || i >= item->entry.n)
    return NULL;
  p = item->entry.value + item->offsets[i];
  memcpy (&n, p, sizeof n);
  *len = (gsize) n;
  return (const gchar *) p + sizeof n;
}

/* Place of element @i of an array of scalars, or NULL. */
static const guint8 *
array_element (const StGgufItem * item, guint64 i)
{
  if (item == NULL || item->entry.type != ST_GGUF_ARRAY || i >= item->entry.n)
    return NULL;
  return item->entry.value + ST_GGUF_ARRAY_HEADER_BYTES
      + i * st_gguf_value_bytes (item->entry.element_type);
}

gboolean
st_gguf_array_int (const StGguf * gguf, const gchar * key, guint64 i,
    gint64 * value)
{
  const StGgufItem *item = find_item (gguf, key);
  const guint8 *p = array_element (item, i);

  return p != NULL && read_int (item->entry.element_type, p, value);
}

gboolean
st_gguf_array_float (const StGguf * gguf, const gchar * key, guint64 i,
    gdouble * value)
{
  const StGgufItem *item = find_item (gguf, key);
  const guint8 *p = array_element (item, i);

  return p != NULL && read_float (item->entry.element_type, p, value);
}
