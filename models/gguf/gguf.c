/* GGUF v2/v3 reader: opening and checking a file.
 *
 * Everything the file says about itself is checked against the file before it is used: counts before anything is allocated for
 * them, lengths before they are added, products before they are formed. What passed st_gguf_open() is read without more checks. */
#include "models/gguf/gguf-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES 24
#define MAX_ALIGNMENT (1u << 24)
#define MIN_ENTRY_BYTES 14      /* length, one byte of key, type, one byte of value */
#define MIN_TENSOR_BYTES 33     /* length, one byte of name, dimensions, type, offset */

/* A place in the file: bytes from pos to the file's end are left. */
typedef struct
{
  StGguf *gguf;
  gsize pos;
} Cursor;

GQuark
st_gguf_error_quark (void)
{
  return g_quark_from_static_string ("st-gguf-error-quark");
}

/* Sets @error with the file and the place in it, and returns FALSE. */
static gboolean
G_GNUC_PRINTF (4, 5)
fail (const Cursor * c, GError ** error, StGgufError code, const gchar * format,
    ...)
{
  g_autofree gchar *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, ST_GGUF_ERROR, code, "%s: %s (at byte %" G_GSIZE_FORMAT
      ")", c->gguf->display_path, message, c->pos);
  return FALSE;
}

static const guint8 *
take (Cursor * c, guint64 n)
{
  const guint8 *p = c->gguf->map + c->pos;

  if (n > c->gguf->size - c->pos)
    return NULL;
  c->pos += (gsize) n;
  return p;
}

static gboolean
take_u32 (Cursor * c, guint32 * value)
{
  const guint8 *p = take (c, sizeof *value);

  if (p == NULL)
    return FALSE;
  memcpy (value, p, sizeof *value);
  return TRUE;
}

static gboolean
take_u64 (Cursor * c, guint64 * value)
{
  const guint8 *p = take (c, sizeof *value);

  if (p == NULL)
    return FALSE;
  memcpy (value, p, sizeof *value);
  return TRUE;
}

/* Length and bytes of a string; NULL when it runs over the end. */
static const guint8 *
take_string (Cursor * c, guint64 * len)
{
  return take_u64 (c, len) ? take (c, *len) : NULL;
}

/* Reads the name of a @what ("key", "tensor") and keeps a copy. */
static const gchar *
take_name (Cursor * c, const gchar * what, GError ** error)
{
  guint64 len;
  const guint8 *bytes = take_string (c, &len);

  if (bytes == NULL) {
    fail (c, error, ST_GGUF_ERROR_FORMAT, "name of a %s runs over the end of "
        "the file", what);
    return NULL;
  }
  if (len == 0 || len > ST_GGUF_MAX_NAME_BYTES) {
    fail (c, error, ST_GGUF_ERROR_FORMAT, "name of a %s is %" G_GUINT64_FORMAT
        " bytes long, must be 1 to %d", what, len, ST_GGUF_MAX_NAME_BYTES);
    return NULL;
  }
  if (!g_utf8_validate_len ((const gchar *) bytes, (gsize) len, NULL)) {
    fail (c, error, ST_GGUF_ERROR_FORMAT, "name of a %s is not UTF-8", what);
    return NULL;
  }
  return g_string_chunk_insert_len (c->gguf->names, (const gchar *) bytes,
      (gssize) len);
}

gsize
st_gguf_value_bytes (guint type)
{
  static const guint8 bytes[] = {
    [ST_GGUF_UINT8] = 1,[ST_GGUF_INT8] = 1,[ST_GGUF_UINT16] = 2,
    [ST_GGUF_INT16] = 2,[ST_GGUF_UINT32] = 4,[ST_GGUF_INT32] = 4,
    [ST_GGUF_FLOAT32] = 4,[ST_GGUF_BOOL] = 1,[ST_GGUF_UINT64] = 8,
    [ST_GGUF_INT64] = 8,[ST_GGUF_FLOAT64] = 8,
  };

  return type < G_N_ELEMENTS (bytes) ? bytes[type] : 0;
}

/* Walks the strings of an array and notes where each begins. */
static gboolean
parse_string_array (Cursor * c, StGgufItem * item, gsize start, GError ** error)
{
  const guint64 n = item->entry.n;
  guint64 len;

  /* Eight bytes of length are the least that a string takes. */
  if (n > (c->gguf->size - c->pos) / 8)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "array %s of %"
        G_GUINT64_FORMAT " strings does not fit the file", item->entry.key, n);
  if (n == 0)
    return TRUE;
  item->offsets = g_try_new (gsize, n);
  if (item->offsets == NULL)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "no memory for array %s of %"
        G_GUINT64_FORMAT " strings", item->entry.key, n);
  for (guint64 i = 0; i < n; i++) {
    item->offsets[i] = c->pos - start;
    if (take_string (c, &len) == NULL)
      return fail (c, error, ST_GGUF_ERROR_FORMAT, "string %" G_GUINT64_FORMAT
          " of array %s runs over the end of the file", i, item->entry.key);
  }
  return TRUE;
}

static gboolean
parse_array (Cursor * c, StGgufItem * item, GError ** error)
{
  const gsize start = c->pos;
  StGgufEntry *e = &item->entry;
  guint32 type;
  gsize width;

  if (!take_u32 (c, &type) || !take_u64 (c, &e->n))
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "array %s runs over the end "
        "of the file", e->key);
  e->element_type = (StGgufValueType) type;
  if (type == ST_GGUF_STRING)
    return parse_string_array (c, item, start, error);
  if (type == ST_GGUF_ARRAY)
    return fail (c, error, ST_GGUF_ERROR_UNSUPPORTED, "array %s holds arrays, "
        "which is not supported", e->key);
  width = st_gguf_value_bytes (type);
  if (width == 0)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "array %s has the unknown "
        "element type %u", e->key, type);
  if (e->n > (c->gguf->size - c->pos) / width)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "array %s of %"
        G_GUINT64_FORMAT " elements does not fit the file", e->key, e->n);
  take (c, e->n * width);
  return TRUE;
}

static gboolean
parse_value (Cursor * c, StGgufItem * item, GError ** error)
{
  StGgufEntry *e = &item->entry;
  const guint8 *bytes;
  guint64 len;

  e->element_type = e->type;
  e->n = 1;
  if (e->type == ST_GGUF_ARRAY)
    return parse_array (c, item, error);
  if (e->type == ST_GGUF_STRING) {
    bytes = take_string (c, &len);
    if (bytes == NULL)
      return fail (c, error, ST_GGUF_ERROR_FORMAT, "string %s runs over the "
          "end of the file", e->key);
    item->string = g_strndup ((const gchar *) bytes, (gsize) len);
    return TRUE;
  }
  len = st_gguf_value_bytes (e->type);
  if (len == 0)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "key %s has the unknown type "
        "%u", e->key, (guint) e->type);
  if (take (c, len) == NULL)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "value of %s runs over the "
        "end of the file", e->key);
  return TRUE;
}

static gboolean
parse_entry (Cursor * c, StGgufItem * item, GError ** error)
{
  StGgufEntry *e = &item->entry;
  guint32 type;
  gsize start;

  e->key = take_name (c, "key", error);
  if (e->key == NULL)
    return FALSE;
  if (!take_u32 (c, &type))
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "type of key %s is missing",
        e->key);
  e->type = (StGgufValueType) type;
  start = c->pos;
  if (!parse_value (c, item, error))
    return FALSE;
  e->value = c->gguf->map + start;
  e->size = c->pos - start;
  if (!g_hash_table_insert (c->gguf->item_by_key, (gpointer) e->key, item))
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "key %s appears twice",
        e->key);
  return TRUE;
}

static gboolean
parse_metadata (Cursor * c, guint64 n, GError ** error)
{
  StGguf *gguf = c->gguf;

  if (n > ST_GGUF_MAX_ITEMS || n > (gguf->size - c->pos) / MIN_ENTRY_BYTES)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "%" G_GUINT64_FORMAT
        " metadata keys do not fit the file", n);
  gguf->items = g_new0 (StGgufItem, n);
  for (; gguf->n_items < n; gguf->n_items++) {
    if (!parse_entry (c, &gguf->items[gguf->n_items], error)) {
      gguf->n_items++;          /* its memory is freed with the rest */
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
read_alignment (Cursor * c, GError ** error)
{
  guint64 alignment = ST_GGUF_DEFAULT_ALIGNMENT;

  if (st_gguf_find_entry (c->gguf, "general.alignment") != NULL
      && !st_gguf_get_uint (c->gguf, "general.alignment", &alignment))
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "general.alignment is not an "
        "unsigned integer");
  if (alignment < 8 || alignment > MAX_ALIGNMENT
      || (alignment & (alignment - 1)) != 0)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "general.alignment is %"
        G_GUINT64_FORMAT ", must be a power of two from 8 to %u", alignment,
        MAX_ALIGNMENT);
  c->gguf->alignment = (gsize) alignment;
  return TRUE;
}

/* Name of a type that ggml knows and this library does not read. */
static const gchar *
foreign_type_name (guint32 type)
{
  static const gchar *const names[] = {
    [9] = "Q8_1",[10] = "Q2_K",[11] = "Q3_K",[15] = "Q8_K",
    [16] = "IQ2_XXS",[17] = "IQ2_XS",[18] = "IQ3_XXS",[19] = "IQ1_S",
    [20] = "IQ4_NL",[21] = "IQ3_S",[22] = "IQ2_S",[23] = "IQ4_XS",
    [24] = "I8",[25] = "I16",[26] = "I32",[27] = "I64",[28] = "F64",
    [29] = "IQ1_M",[34] = "TQ1_0",[35] = "TQ2_0",[39] = "MXFP4",
  };

  return type < G_N_ELEMENTS (names) && names[type] ? names[type] : "unknown";
}

/* Reads the dimensions of @t; their product in @n. */
static gboolean
parse_shape (Cursor * c, StTensor * t, gsize * n, GError ** error)
{
  guint32 n_dims;
  guint64 dim;

  if (!take_u32 (c, &n_dims))
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "shape of tensor %s is "
        "missing", t->name);
  if (n_dims == 0 || n_dims > ST_GGUF_MAX_DIMS)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "tensor %s has %u dimensions, "
        "must have 1 to %d", t->name, n_dims, ST_GGUF_MAX_DIMS);
  t->n_dims = n_dims;
  *n = 1;
  for (guint i = 0; i < ST_GGUF_MAX_DIMS; i++) {
    t->ne[i] = 1;
    if (i >= n_dims)
      continue;
    if (!take_u64 (c, &dim))
      return fail (c, error, ST_GGUF_ERROR_FORMAT, "shape of tensor %s is cut "
          "short", t->name);
    if (dim == 0 || dim > G_MAXSIZE || !g_size_checked_mul (n, *n, (gsize) dim))
      return fail (c, error, ST_GGUF_ERROR_FORMAT, "dimension %u of tensor %s "
          "is %" G_GUINT64_FORMAT ", %s", i, t->name, dim,
          dim == 0 ? "must not be zero" : "too large");
    t->ne[i] = dim;
  }
  return TRUE;
}

/* Reads the description of one tensor; its offset stays relative to the data section. */
static gboolean
parse_tensor (Cursor * c, StTensor * t, GError ** error)
{
  const StTypeTraits *traits;
  guint32 type;
  gsize n = 0;

  t->name = take_name (c, "tensor", error);
  if (t->name == NULL || !parse_shape (c, t, &n, error))
    return FALSE;
  if (!take_u32 (c, &type) || !take_u64 (c, &t->offset))
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "description of tensor %s is "
        "cut short", t->name);
  t->type = (StType) type;
  traits = st_type_traits (t->type);
  if (traits == NULL)
    return fail (c, error, ST_GGUF_ERROR_UNSUPPORTED, "tensor %s has type %u "
        "(%s), which is not supported; supported are F32, F16, BF16, Q8_0, "
        "Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K", t->name, type,
        foreign_type_name (type));
  if (t->ne[0] % traits->block_size != 0)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "rows of tensor %s are %"
        G_GUINT64_FORMAT " elements long, not a multiple of the %u that a "
        "block of %s holds", t->name, t->ne[0], traits->block_size,
        traits->name);
  t->size = st_type_row_bytes (t->type, n);
  if (t->size == 0)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "tensor %s is too large",
        t->name);
  if (t->offset % c->gguf->alignment != 0)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "offset %" G_GUINT64_FORMAT
        " of tensor %s is not a multiple of the alignment %" G_GSIZE_FORMAT,
        t->offset, t->name, c->gguf->alignment);
  if (!g_hash_table_insert (c->gguf->tensor_by_name, (gpointer) t->name, t))
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "tensor %s appears twice",
        t->name);
  return TRUE;
}

static gint
compare_offsets (gconstpointer a, gconstpointer b)
{
  const StTensor *const *ta = a;
  const StTensor *const *tb = b;

  return ((*ta)->offset > (*tb)->offset) - ((*ta)->offset < (*tb)->offset);
}

/* Tensors may have gaps between them, but no byte in common. */
static gboolean
check_overlap (Cursor * c, GError ** error)
{
  StGguf *gguf = c->gguf;
  g_autofree const StTensor **sorted = g_new (const StTensor *,
      gguf->n_tensors);

  for (gsize i = 0; i < gguf->n_tensors; i++)
    sorted[i] = &gguf->tensors[i];
  qsort (sorted, gguf->n_tensors, sizeof *sorted, compare_offsets);
  for (gsize i = 1; i < gguf->n_tensors; i++) {
    if (sorted[i]->offset - sorted[i - 1]->offset < sorted[i - 1]->size)
      return fail (c, error, ST_GGUF_ERROR_FORMAT, "tensors %s and %s overlap",
          sorted[i - 1]->name, sorted[i]->name);
  }
  return TRUE;
}

/* Turns offsets in the data section, which begins at the next multiple of the alignment, into places in the file. */
static gboolean
locate_tensors (Cursor * c, GError ** error)
{
  StGguf *gguf = c->gguf;
  const gsize mask = gguf->alignment - 1;
  const gsize padding = (gguf->alignment - (c->pos & mask)) & mask;
  gsize start, room;

  if (gguf->n_tensors == 0)
    return TRUE;
  if (take (c, padding) == NULL)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "the file ends before the "
        "tensor data");
  start = c->pos;
  room = gguf->size - start;
  for (gsize i = 0; i < gguf->n_tensors; i++) {
    StTensor *t = &gguf->tensors[i];
    if (t->offset > room || t->size > room - t->offset)
      return fail (c, error, ST_GGUF_ERROR_FORMAT, "tensor %s needs %"
          G_GSIZE_FORMAT " bytes at offset %" G_GUINT64_FORMAT " of the tensor "
          "data, which has %" G_GSIZE_FORMAT " bytes: the file is truncated or "
          "damaged", t->name, t->size, t->offset, room);
    t->offset += start;
    t->data = gguf->map + t->offset;
  }
  return check_overlap (c, error);
}

static gboolean
parse_tensors (Cursor * c, guint64 n, GError ** error)
{
  StGguf *gguf = c->gguf;

  if (n > ST_GGUF_MAX_ITEMS || n > (gguf->size - c->pos) / MIN_TENSOR_BYTES)
    return fail (c, error, ST_GGUF_ERROR_FORMAT, "%" G_GUINT64_FORMAT
        " tensors do not fit the file", n);
  gguf->tensors = g_new0 (StTensor, n);
  for (; gguf->n_tensors < n; gguf->n_tensors++) {
    if (!parse_tensor (c, &gguf->tensors[gguf->n_tensors], error))
      return FALSE;
  }
  return locate_tensors (c, error);
}

static gboolean
parse (StGguf * gguf, GError ** error)
{
  Cursor c = { gguf, 0 };
  const guint8 *magic = take (&c, 4);
  guint32 version;
  guint64 n_tensors, n_entries;

  if (magic == NULL || memcmp (magic, ST_GGUF_MAGIC, 4) != 0)
    return fail (&c, error, ST_GGUF_ERROR_FORMAT, "not a GGUF file");
  if (!take_u32 (&c, &version) || !take_u64 (&c, &n_tensors)
      || !take_u64 (&c, &n_entries))
    return fail (&c, error, ST_GGUF_ERROR_FORMAT, "shorter than a GGUF header "
        "of %d bytes", HEADER_BYTES);
  if ((version & 0xffff) == 0)
    return fail (&c, error, ST_GGUF_ERROR_UNSUPPORTED, "big-endian GGUF files "
        "are not supported");
  if (version != 2 && version != 3)
    return fail (&c, error, ST_GGUF_ERROR_UNSUPPORTED, "GGUF version %u is not "
        "supported, only 2 and 3 are", version);
  return parse_metadata (&c, n_entries, error) && read_alignment (&c, error)
      && parse_tensors (&c, n_tensors, error);
}

static gboolean
map_file (StGguf * gguf, GError ** error)
{
  const Cursor c = { gguf, 0 };
  struct stat st;
  gpointer map;

  /* Non-blocking, so that opening a named pipe fails below instead of waiting for a writer. */
  gguf->fd = open (gguf->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (gguf->fd < 0 || fstat (gguf->fd, &st) < 0) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO, "%s: cannot open: %s",
        gguf->display_path, g_strerror (errno));
    return FALSE;
  }
  if (!S_ISREG (st.st_mode)) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO, "%s: not a regular "
        "file", gguf->display_path);
    return FALSE;
  }
  if (st.st_size < HEADER_BYTES || (guint64) st.st_size > G_MAXSSIZE)
    return fail (&c, error, ST_GGUF_ERROR_FORMAT, "not a GGUF file: %"
        G_GUINT64_FORMAT " bytes long", (guint64) st.st_size);
  gguf->size = (gsize) st.st_size;
  map = mmap (NULL, gguf->size, PROT_READ, MAP_PRIVATE, gguf->fd, 0);
  if (map == MAP_FAILED) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO, "%s: cannot map: %s",
        gguf->display_path, g_strerror (errno));
    return FALSE;
  }
  gguf->map = map;
  return TRUE;
}

StGguf *
st_gguf_open (const gchar * path, GError ** error)
{
  g_autoptr (StGguf) gguf = NULL;

  g_return_val_if_fail (path != NULL, NULL);
  gguf = g_new0 (StGguf, 1);
  gguf->ref_count = 1;
  gguf->path = g_strdup (path);
  gguf->display_path = g_filename_display_name (path);
  gguf->fd = -1;
  gguf->names = g_string_chunk_new (4096);
  gguf->item_by_key = g_hash_table_new (g_str_hash, g_str_equal);
  gguf->tensor_by_name = g_hash_table_new (g_str_hash, g_str_equal);
  if (!map_file (gguf, error) || !parse (gguf, error))
    return NULL;
  return g_steal_pointer (&gguf);
}

StGguf *
st_gguf_ref (StGguf * gguf)
{
  g_atomic_int_inc (&gguf->ref_count);
  return gguf;
}

void
st_gguf_unref (StGguf * gguf)
{
  if (gguf == NULL || !g_atomic_int_dec_and_test (&gguf->ref_count))
    return;
  for (gsize i = 0; i < gguf->n_items; i++) {
    g_free (gguf->items[i].string);
    g_free (gguf->items[i].offsets);
  }
  g_free (gguf->items);
  g_free (gguf->tensors);
  g_hash_table_unref (gguf->item_by_key);
  g_hash_table_unref (gguf->tensor_by_name);
  g_string_chunk_free (gguf->names);
  if (gguf->map != NULL)
    munmap ((gpointer) gguf->map, gguf->size);
  if (gguf->fd >= 0)
    close (gguf->fd);
  g_free (gguf->display_path);
  g_free (gguf->path);
  g_free (gguf);
}

const gchar *
st_gguf_path (const StGguf * gguf)
{
  return gguf->path;
}

int
st_gguf_fd (const StGguf * gguf)
{
  return gguf->fd;
}

gboolean
st_gguf_read (const StGguf * gguf, guint64 offset, gpointer buffer, gsize n,
    GError ** error)
{
  guint8 *p = buffer;

  while (n > 0) {
    const gssize got = pread (gguf->fd, p, n, (off_t) offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO, "%s: cannot read at "
          "byte %" G_GUINT64_FORMAT ": %s", gguf->display_path, offset,
          got < 0 ? g_strerror (errno) : "the file has become shorter");
      return FALSE;
    }
    p += got;
    offset += (guint64) got;
    n -= (gsize) got;
  }
  return TRUE;
}

gsize
st_gguf_alignment (const StGguf * gguf)
{
  return gguf->alignment;
}

guint64
st_gguf_n_tensors (const StGguf * gguf)
{
  return gguf->n_tensors;
}

const StTensor *
st_gguf_tensor (const StGguf * gguf, guint64 index)
{
  g_return_val_if_fail (index < gguf->n_tensors, NULL);
  return &gguf->tensors[index];
}

const StTensor *
st_gguf_find (const StGguf * gguf, const gchar * name)
{
  return g_hash_table_lookup (gguf->tensor_by_name, name);
}
