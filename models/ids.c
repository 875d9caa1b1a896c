/* The model id and the hash list behind it.
 *
 * Model id = SHA-256 over, all integers little-endian, strings with a 64-bit length before them:
 *   the string "split-transformer model id 1"; general.architecture; the number of keys "<architecture>.*", then each in ascending
 *   order: key, type (32 bits), encoded value as a string; the tokenizer id; the number of tensors, then each in ascending order of
 *   the names: name, type (32 bits), four dimensions (64 bits), hash of its samples (32 bytes).
 * Samples of a tensor of n bytes: 64 bytes at 0, s, 2s and n - 64, with s = (n - 64) / 3 rounded down; all of it if n <= 256. */
#include "models/ids.h"

#include <string.h>

#define ID_LABEL "split-transformer model id 1"
#define N_SAMPLES 4
#define SAMPLE_BYTES 64
#define CHUNK_BYTES (1u << 20)

struct _StModelIds
{
  gchar *model_id;
  gchar *tokenizer_id;
  gboolean partition;           /* the list comes from the file's metadata */
  gboolean has_full;
  guint first_block, last_block;
  GStringChunk *names;
  StTensorHash *tensors;
  gsize n_tensors;
  GHashTable *by_name;
};

GQuark
st_ids_error_quark (void)
{
  return g_quark_from_static_string ("st-ids-error-quark");
}

static void
put (GChecksum * sum, gconstpointer data, gsize n)
{
  g_checksum_update (sum, data, (gssize) n);
}

static void
put_u32 (GChecksum * sum, guint32 value)
{
  put (sum, &value, sizeof value);
}

static void
put_u64 (GChecksum * sum, guint64 value)
{
  put (sum, &value, sizeof value);
}

static void
put_bytes (GChecksum * sum, gconstpointer data, gsize n)
{
  put_u64 (sum, n);
  put (sum, data, n);
}

static void
put_string (GChecksum * sum, const gchar * string)
{
  put_bytes (sum, string, strlen (string));
}

static gint
compare_keys (gconstpointer a, gconstpointer b)
{
  const StGgufEntry *const *ea = a;
  const StGgufEntry *const *eb = b;

  return strcmp ((*ea)->key, (*eb)->key);
}

static void
put_architecture (GChecksum * sum, StGguf * gguf, const gchar * architecture)
{
  g_autofree gchar *prefix = g_strconcat (architecture, ".", NULL);
  g_autoptr (GPtrArray) entries = g_ptr_array_new ();

  for (guint64 i = 0; i < st_gguf_n_entries (gguf); i++) {
    const StGgufEntry *e = st_gguf_entry (gguf, i);
    if (g_str_has_prefix (e->key, prefix))
      g_ptr_array_add (entries, (gpointer) e);
  }
  g_ptr_array_sort (entries, compare_keys);
  put_string (sum, architecture);
  put_u64 (sum, entries->len);
  for (guint i = 0; i < entries->len; i++) {
    const StGgufEntry *e = g_ptr_array_index (entries, i);
    put_string (sum, e->key);
    put_u32 (sum, e->type);
    put_bytes (sum, e->value, e->size);
  }
}

/* Computes the model id from the list; new string, or NULL if the file names no architecture. */
static gchar *
compute_model_id (const StModelIds * ids, StGguf * gguf, GError ** error)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  const gchar *architecture = st_gguf_get_string (gguf, "general.architecture");

  if (architecture == NULL) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_MISSING,
        "%s: key general.architecture is missing", st_gguf_path (gguf));
    return NULL;
  }
  put_string (sum, ID_LABEL);
  put_architecture (sum, gguf, architecture);
  put_string (sum, ids->tokenizer_id);
  put_u64 (sum, ids->n_tensors);
  for (gsize i = 0; i < ids->n_tensors; i++) {
    const StTensorHash *t = &ids->tensors[i];
    put_string (sum, t->name);
    put_u32 (sum, t->type);
    for (guint d = 0; d < ST_GGUF_MAX_DIMS; d++)
      put_u64 (sum, t->ne[d]);
    put (sum, t->hash, ST_HASH_BYTES);
  }
  return g_strdup (g_checksum_get_string (sum));
}

static void
finish_hash (GChecksum * sum, guint8 * hash)
{
  gsize n = ST_HASH_BYTES;

  g_checksum_get_digest (sum, hash, &n);
}

static gboolean
read_tensor (StGguf * gguf, const StTensor * t, gsize offset, gpointer buffer,
    gsize n, GError ** error)
{
  g_autoptr (GError) cause = NULL;

  if (st_gguf_read (gguf, t->offset + offset, buffer, n, &cause))
    return TRUE;
  g_set_error (error, ST_IDS_ERROR, ST_IDS_ERROR_IO, "tensor %s: %s", t->name,
      cause->message);
  return FALSE;
}

static gboolean
hash_samples (StGguf * gguf, const StTensor * t, guint8 * hash, GError ** error)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 samples[N_SAMPLES * SAMPLE_BYTES];
  gsize n = t->size, stride;

  if (n <= sizeof samples) {
    if (!read_tensor (gguf, t, 0, samples, n, error))
      return FALSE;
  } else {
    stride = (n - SAMPLE_BYTES) / (N_SAMPLES - 1);
    for (guint i = 0; i < N_SAMPLES; i++) {
      const gsize offset = i < N_SAMPLES - 1 ? i * stride : n - SAMPLE_BYTES;
      if (!read_tensor (gguf, t, offset, samples + i * SAMPLE_BYTES,
              SAMPLE_BYTES, error))
        return FALSE;
    }
    n = sizeof samples;
  }
  put (sum, samples, n);
  finish_hash (sum, hash);
  return TRUE;
}

static gboolean
hash_all (StGguf * gguf, const StTensor * t, guint8 * hash, GError ** error)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guint8 *chunk = g_malloc (CHUNK_BYTES);

  for (gsize done = 0; done < t->size;) {
    const gsize n = MIN (t->size - done, CHUNK_BYTES);
    if (!read_tensor (gguf, t, done, chunk, n, error))
      return FALSE;
    put (sum, chunk, n);
    done += n;
  }
  finish_hash (sum, hash);
  return TRUE;
}

static gint
compare_tensor_names (gconstpointer a, gconstpointer b)
{
  const StTensor *const *ta = a;
  const StTensor *const *tb = b;

  return strcmp ((*ta)->name, (*tb)->name);
}

/* Makes the list of a whole model from its tensors. */
static gboolean
sample_tensors (StModelIds * ids, StGguf * gguf, GError ** error)
{
  const gsize n = (gsize) st_gguf_n_tensors (gguf);
  g_autofree const StTensor **sorted = g_new (const StTensor *, n);

  for (gsize i = 0; i < n; i++)
    sorted[i] = st_gguf_tensor (gguf, i);
  if (n > 0)
    qsort (sorted, n, sizeof *sorted, compare_tensor_names);
  ids->tensors = g_new0 (StTensorHash, n);
  ids->n_tensors = n;
  for (gsize i = 0; i < n; i++) {
    StTensorHash *t = &ids->tensors[i];
    t->name = g_string_chunk_insert (ids->names, sorted[i]->name);
    t->type = sorted[i]->type;
    memcpy (t->ne, sorted[i]->ne, sizeof t->ne);
    if (!hash_samples (gguf, sorted[i], t->hash, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
fail_list (GError ** error, StGguf * gguf, const gchar * what)
{
  g_set_error (error, ST_IDS_ERROR, ST_IDS_ERROR_LIST, "%s: the hash list of "
      "this partition is damaged: %s; write the partition again",
      st_gguf_path (gguf), what);
  return FALSE;
}

/* Array @key of @n elements of @type: its bytes behind the header, or NULL. */
static const guint8 *
find_array (StGguf * gguf, const gchar * key, StGgufValueType type, guint64 n)
{
  const StGgufEntry *e = st_gguf_find_entry (gguf, key);

  if (e == NULL || e->type != ST_GGUF_ARRAY || e->element_type != type
      || e->n != n)
    return NULL;
  return e->value + ST_GGUF_ARRAY_HEADER_BYTES;
}

/* Name @i of the list; NULL if it is no valid name or not behind the one before. */
static const gchar *
list_name (StModelIds * ids, StGguf * gguf, gsize i)
{
  gsize len = 0;
  const gchar *bytes = st_gguf_array_string (gguf, ST_SPLIT_KEY_NAMES, i, &len);
  const gchar *name;

  if (bytes == NULL || len == 0 || !g_utf8_validate_len (bytes, len, NULL))
    return NULL;
  name = g_string_chunk_insert_len (ids->names, bytes, (gssize) len);
  if (i > 0 && strcmp (ids->tensors[i - 1].name, name) >= 0)
    return NULL;
  return name;
}

static gboolean
read_list (StModelIds * ids, StGguf * gguf, GError ** error)
{
  const guint64 n = st_gguf_array_length (gguf, ST_SPLIT_KEY_NAMES);
  const guint8 *types, *shapes, *hashes, *full;
  guint32 type;

  /* The strings of n names took 8 n bytes of the file at least, so these products do not wrap. */
  types = find_array (gguf, ST_SPLIT_KEY_TYPES, ST_GGUF_UINT32, n);
  shapes = find_array (gguf, ST_SPLIT_KEY_SHAPES, ST_GGUF_UINT64,
      n * ST_GGUF_MAX_DIMS);
  hashes = find_array (gguf, ST_SPLIT_KEY_HASHES, ST_GGUF_UINT8,
      n * ST_HASH_BYTES);
  full = find_array (gguf, ST_SPLIT_KEY_FULL_HASHES, ST_GGUF_UINT8,
      n * ST_HASH_BYTES);
  if (n == 0 || types == NULL || shapes == NULL || hashes == NULL
      || full == NULL)
    return fail_list (error, gguf, "its arrays are missing or differ in "
        "length");
  ids->tensors = g_new0 (StTensorHash, n);
  ids->n_tensors = (gsize) n;
  for (gsize i = 0; i < n; i++) {
    StTensorHash *t = &ids->tensors[i];
    t->name = list_name (ids, gguf, i);
    if (t->name == NULL)
      return fail_list (error, gguf, "its names are not in order");
    memcpy (&type, types + i * sizeof type, sizeof type);
    t->type = (StType) type;
    memcpy (t->ne, shapes + i * sizeof t->ne, sizeof t->ne);
    memcpy (t->hash, hashes + i * ST_HASH_BYTES, ST_HASH_BYTES);
    memcpy (t->full_hash, full + i * ST_HASH_BYTES, ST_HASH_BYTES);
  }
  ids->has_full = TRUE;
  return TRUE;
}

/* Takes the list, the tokenizer id and the blocks from a partition's metadata. */
static gboolean
read_partition (StModelIds * ids, StGguf * gguf, const gchar * tokenizer_id,
    GError ** error)
{
  const gchar *stored = st_gguf_get_string (gguf, ST_SPLIT_KEY_TOKENIZER_ID);
  guint64 first, last;

  if (stored == NULL
      || !st_gguf_get_uint (gguf, ST_SPLIT_KEY_FIRST_BLOCK, &first)
      || !st_gguf_get_uint (gguf, ST_SPLIT_KEY_LAST_BLOCK, &last)
      || first >= last || last > G_MAXUINT)
    return fail_list (error, gguf, "its tokenizer id or blocks are missing");
  ids->partition = TRUE;
  ids->tokenizer_id = g_strdup (stored);
  ids->first_block = (guint) first;
  ids->last_block = (guint) last;
  if (tokenizer_id != NULL && strcmp (tokenizer_id, stored) != 0) {
    g_set_error (error, ST_IDS_ERROR, ST_IDS_ERROR_MISMATCH, "%s: the "
        "tokenizer in this partition is not that of the model it was cut from",
        st_gguf_path (gguf));
    return FALSE;
  }
  return read_list (ids, gguf, error);
}

static gboolean
compute (StModelIds * ids, StGguf * gguf, const gchar * tokenizer_id,
    GError ** error)
{
  const gchar *stored = st_gguf_get_string (gguf, ST_SPLIT_KEY_MODEL_ID);

  if (stored != NULL) {
    if (!read_partition (ids, gguf, tokenizer_id, error))
      return FALSE;
  } else {
    ids->tokenizer_id = g_strdup (tokenizer_id ? tokenizer_id : "");
    if (!sample_tensors (ids, gguf, error))
      return FALSE;
  }
  for (gsize i = 0; i < ids->n_tensors; i++)
    g_hash_table_insert (ids->by_name, (gpointer) ids->tensors[i].name,
        &ids->tensors[i]);
  ids->model_id = compute_model_id (ids, gguf, error);
  if (ids->model_id == NULL)
    return FALSE;
  if (stored != NULL && strcmp (stored, ids->model_id) != 0)
    return fail_list (error, gguf, "it does not give the model id stored with "
        "it");
  return TRUE;
}

StModelIds *
st_model_ids_compute (StGguf * gguf, const gchar * tokenizer_id,
    GError ** error)
{
  g_autoptr (StModelIds) ids = g_new0 (StModelIds, 1);

  ids->names = g_string_chunk_new (4096);
  ids->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  if (!compute (ids, gguf, tokenizer_id, error))
    return NULL;
  return g_steal_pointer (&ids);
}

void
st_model_ids_free (StModelIds * ids)
{
  if (ids == NULL)
    return;
  g_hash_table_unref (ids->by_name);
  g_string_chunk_free (ids->names);
  g_free (ids->tensors);
  g_free (ids->tokenizer_id);
  g_free (ids->model_id);
  g_free (ids);
}

const gchar *
st_model_ids_model_id (const StModelIds * ids)
{
  return ids->model_id;
}

const gchar *
st_model_ids_tokenizer_id (const StModelIds * ids)
{
  return ids->tokenizer_id;
}

gboolean
st_model_ids_blocks (const StModelIds * ids, guint * first, guint * last)
{
  if (!ids->partition)
    return FALSE;
  *first = ids->first_block;
  *last = ids->last_block;
  return TRUE;
}

gsize
st_model_ids_n_tensors (const StModelIds * ids)
{
  return ids->n_tensors;
}

const StTensorHash *
st_model_ids_tensor (const StModelIds * ids, gsize index)
{
  g_return_val_if_fail (index < ids->n_tensors, NULL);
  return &ids->tensors[index];
}

gboolean
st_model_ids_has_full (const StModelIds * ids)
{
  return ids->has_full;
}

static gboolean
fail_tensor (GError ** error, StGguf * gguf, const StTensor * t,
    const gchar * what)
{
  g_set_error (error, ST_IDS_ERROR, ST_IDS_ERROR_MISMATCH, "%s: tensor %s %s: "
      "the file is damaged or put together from different models",
      st_gguf_path (gguf), t->name, what);
  return FALSE;
}

gboolean
st_model_ids_check (const StModelIds * ids, StGguf * gguf,
    const StTensor * tensor, gboolean full, GError ** error)
{
  const StTensorHash *listed = g_hash_table_lookup (ids->by_name, tensor->name);
  guint8 hash[ST_HASH_BYTES];

  if (listed == NULL)
    return fail_tensor (error, gguf, tensor, "is not in the hash list");
  if (listed->type != tensor->type
      || memcmp (listed->ne, tensor->ne, sizeof tensor->ne) != 0)
    return fail_tensor (error, gguf, tensor, "has another type or shape than "
        "in the hash list");
  if (full && !ids->has_full) {
    g_set_error (error, ST_IDS_ERROR, ST_IDS_ERROR_LIST, "%s: a whole model "
        "carries no hashes to verify tensor %s against; rdpartition writes a "
        "file that does", st_gguf_path (gguf), tensor->name);
    return FALSE;
  }
  if (ids->partition) {
    if (!hash_samples (gguf, tensor, hash, error))
      return FALSE;
    if (memcmp (hash, listed->hash, ST_HASH_BYTES) != 0)
      return fail_tensor (error, gguf, tensor, "has other bytes than the hash "
          "list says");
  }
  if (full) {
    if (!hash_all (gguf, tensor, hash, error))
      return FALSE;
    if (memcmp (hash, listed->full_hash, ST_HASH_BYTES) != 0)
      return fail_tensor (error, gguf, tensor, "has other bytes than its full "
          "hash says");
  }
  return TRUE;
}

gboolean
st_model_ids_add_full (StModelIds * ids, StGguf * gguf, GError ** error)
{
  if (ids->has_full)
    return TRUE;
  for (gsize i = 0; i < ids->n_tensors; i++) {
    StTensorHash *t = &ids->tensors[i];
    const StTensor *tensor = st_gguf_find (gguf, t->name);

    g_return_val_if_fail (tensor != NULL, FALSE);
    if (!hash_all (gguf, tensor, t->full_hash, error))
      return FALSE;
  }
  ids->has_full = TRUE;
  return TRUE;
}
