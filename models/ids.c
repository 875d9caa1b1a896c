#include "models/ids.h"
#include <string.h>

#define SAMPLE_BYTES 64
#define N_SAMPLES 4
#define CHUNK_BYTES (1u << 20)

struct _StModelIds
{
  gchar *model_id;
  gchar *tokenizer_id;
  GArray *tensors;              /* of StTensorHash, names owned by `names` */
  GStringChunk *names;
  gboolean partition;
  gboolean has_full;
  guint first_block, last_block;
};

G_DEFINE_QUARK (st-ids-error-quark, st_ids_error);

/* Numbers are hashed as 64-bit little-endian, strings with their length
 * before them, so that no two lists have the same bytes. */
static void
hash_number (GChecksum * sum, guint64 value)
{
  guint64 le = GUINT64_TO_LE (value);

  g_checksum_update (sum, (const guchar *) &le, sizeof le);
}

static void
hash_bytes (GChecksum * sum, gconstpointer data, gsize n)
{
  hash_number (sum, n);
  g_checksum_update (sum, data, (gssize) n);
}

static void
hash_string (GChecksum * sum, const gchar * text)
{
  hash_bytes (sum, text, strlen (text));
}

/* The hyper-parameters: general.architecture and every key below its name. */
static void
hash_architecture (GChecksum * sum, const StGguf * gguf)
{
  const gchar *name = st_gguf_get_string (gguf, "general.architecture");
  g_autofree gchar *prefix = g_strconcat (name ? name : "", ".", NULL);
  g_autoptr (GPtrArray) entries = g_ptr_array_new ();

  hash_string (sum, name ? name : "");
  for (guint64 i = 0; i < st_gguf_n_entries (gguf); i++) {
    const StGgufEntry *entry = st_gguf_entry (gguf, i);

    if (g_str_has_prefix (entry->key, prefix))
      g_ptr_array_add (entries, (gpointer) entry);
  }
  hash_number (sum, entries->len);
  for (guint i = 0; i < entries->len; i++) {
    const StGgufEntry *entry = g_ptr_array_index (entries, i);

    hash_string (sum, entry->key);
    hash_number (sum, entry->type);
    hash_bytes (sum, entry->value, entry->size);
  }
}

static gchar *
compute_model_id (const StModelIds * ids, const StGguf * gguf)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

  hash_string (sum, "split-transformer model id 1");
  hash_architecture (sum, gguf);
  hash_string (sum, ids->tokenizer_id);
  hash_number (sum, ids->tensors->len);
  for (guint i = 0; i < ids->tensors->len; i++) {
    const StTensorHash *t = &g_array_index (ids->tensors, StTensorHash, i);

    hash_string (sum, t->name);
    hash_number (sum, t->type);
    for (guint d = 0; d < ST_GGUF_MAX_DIMS; d++)
      hash_number (sum, t->ne[d]);
    g_checksum_update (sum, t->hash, ST_HASH_BYTES);
  }
  return g_strdup (g_checksum_get_string (sum));
}

static void
finish_hash (GChecksum * sum, guint8 * hash)
{
  gsize n = ST_HASH_BYTES;

  g_checksum_get_digest (sum, hash, &n);
}

/* First, last and two places between; a small tensor is read whole. */
static gboolean
sample_tensor (const StGguf * gguf, const StTensor * tensor, guint8 * hash,
    GError ** error)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 bytes[N_SAMPLES * SAMPLE_BYTES];
  gsize n = MIN (tensor->size, sizeof bytes);

  if (tensor->size <= sizeof bytes) {
    if (!st_gguf_read (gguf, tensor->offset, bytes, n, error))
      return FALSE;
  } else {
    guint64 span = tensor->size - SAMPLE_BYTES;

    for (guint i = 0; i < N_SAMPLES; i++) {
      guint64 at = span / (N_SAMPLES - 1) * i;

      if (!st_gguf_read (gguf, tensor->offset + at, bytes + i * SAMPLE_BYTES,
              SAMPLE_BYTES, error))
        return FALSE;
    }
  }
  g_checksum_update (sum, bytes, (gssize) n);
  finish_hash (sum, hash);
  return TRUE;
}

static gboolean
hash_tensor (const StGguf * gguf, const StTensor * tensor, guint8 * hash,
    GError ** error)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guint8 *chunk = g_malloc (CHUNK_BYTES);

  for (gsize done = 0; done < tensor->size;) {
    gsize n = MIN (tensor->size - done, CHUNK_BYTES);

    if (!st_gguf_read (gguf, tensor->offset + done, chunk, n, error))
      return FALSE;
    g_checksum_update (sum, chunk, (gssize) n);
    done += n;
  }
  finish_hash (sum, hash);
  return TRUE;
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (((const StTensorHash *) a)->name,
      ((const StTensorHash *) b)->name);
}

static gboolean
sample_file (StModelIds * ids, const StGguf * gguf, GError ** error)
{
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const StTensor *tensor = st_gguf_tensor (gguf, i);
    StTensorHash t = {.type = tensor->type };

    t.name = g_string_chunk_insert (ids->names, tensor->name);
    memcpy (t.ne, tensor->ne, sizeof t.ne);
    if (!sample_tensor (gguf, tensor, t.hash, error))
      return FALSE;
    g_array_append_val (ids->tensors, t);
  }
  g_array_sort (ids->tensors, compare_names);
  return TRUE;
}

static gboolean
list_error (const StGguf * gguf, const gchar * what, GError ** error)
{
  g_set_error (error, ST_IDS_ERROR, ST_IDS_ERROR_LIST,
      "%s: the partition's list of tensors is damaged (%s); write the "
      "partition again with rdpartition", st_gguf_path (gguf), what);
  return FALSE;
}

/* Array @key of @n elements of @type, as its bytes in the mapping. */
static const guint8 *
list_array (const StGguf * gguf, const gchar * key, StGgufValueType type,
    guint64 n)
{
  const StGgufEntry *entry = st_gguf_find_entry (gguf, key);

  if (!entry || entry->type != ST_GGUF_ARRAY || entry->element_type != type
      || entry->n != n)
    return NULL;
  return entry->value + (entry->size - n * (type == ST_GGUF_UINT64 ? 8 :
          type == ST_GGUF_UINT32 ? 4 : 1));
}

static gboolean
read_list (StModelIds * ids, const StGguf * gguf, GError ** error)
{
  guint64 n = st_gguf_array_length (gguf, ST_SPLIT_KEY_NAMES);
  const guint8 *types =
      list_array (gguf, ST_SPLIT_KEY_TYPES, ST_GGUF_UINT32, n);
  const guint8 *shapes = list_array (gguf, ST_SPLIT_KEY_SHAPES,
      ST_GGUF_UINT64, n * ST_GGUF_MAX_DIMS);
  const guint8 *hashes = list_array (gguf, ST_SPLIT_KEY_HASHES,
      ST_GGUF_UINT8, n * ST_HASH_BYTES);
  const guint8 *full = list_array (gguf, ST_SPLIT_KEY_FULL_HASHES,
      ST_GGUF_UINT8, n * ST_HASH_BYTES);

  if (n == 0 || !types || !shapes || !hashes)
    return list_error (gguf, "names, types, shapes and hashes do not agree",
        error);
  ids->has_full = full != NULL;
  for (guint64 i = 0; i < n; i++) {
    StTensorHash t = { 0 };
    guint32 type;
    gsize len;
    const gchar *name = st_gguf_array_string (gguf, ST_SPLIT_KEY_NAMES, i,
        &len);

    if (!name || len == 0 || memchr (name, 0, len))
      return list_error (gguf, "a tensor has no name", error);
    t.name = g_string_chunk_insert_len (ids->names, name, (gssize) len);
    memcpy (&type, types + i * 4, 4);
    t.type = (StType) GUINT32_FROM_LE (type);
    for (guint d = 0; d < ST_GGUF_MAX_DIMS; d++) {
      memcpy (&t.ne[d], shapes + (i * ST_GGUF_MAX_DIMS + d) * 8, 8);
      t.ne[d] = GUINT64_FROM_LE (t.ne[d]);
    }
    memcpy (t.hash, hashes + i * ST_HASH_BYTES, ST_HASH_BYTES);
    if (full)
      memcpy (t.full_hash, full + i * ST_HASH_BYTES, ST_HASH_BYTES);
    if (i > 0 && strcmp (g_array_index (ids->tensors, StTensorHash,
                i - 1).name, t.name) >= 0)
      return list_error (gguf, "names are not in order", error);
    g_array_append_val (ids->tensors, t);
  }
  return TRUE;
}

static gboolean
read_blocks (StModelIds * ids, const StGguf * gguf, GError ** error)
{
  guint64 first, last;

  if (!st_gguf_get_uint (gguf, ST_SPLIT_KEY_FIRST_BLOCK, &first)
      || !st_gguf_get_uint (gguf, ST_SPLIT_KEY_LAST_BLOCK, &last)
      || first > last || last > G_MAXINT)
    return list_error (gguf, "its range of blocks makes no sense", error);
  ids->first_block = (guint) first;
  ids->last_block = (guint) last;
  return TRUE;
}

static gboolean
load_partition (StModelIds * ids, const StGguf * gguf,
    const gchar * tokenizer_id, GError ** error)
{
  const gchar *stored = st_gguf_get_string (gguf, ST_SPLIT_KEY_MODEL_ID);
  const gchar *stored_tokenizer =
      st_gguf_get_string (gguf, ST_SPLIT_KEY_TOKENIZER_ID);

  ids->partition = TRUE;
  ids->tokenizer_id = g_strdup (stored_tokenizer ? stored_tokenizer : "");
  if (!read_blocks (ids, gguf, error) || !read_list (ids, gguf, error))
    return FALSE;
  if (tokenizer_id && strcmp (tokenizer_id, ids->tokenizer_id) != 0) {
    g_set_error (error, ST_IDS_ERROR, ST_IDS_ERROR_MISMATCH,
        "%s: the partition's tokenizer is not the one of its model; write the "
        "partition again with rdpartition", st_gguf_path (gguf));
    return FALSE;
  }
  ids->model_id = compute_model_id (ids, gguf);
  if (g_strcmp0 (ids->model_id, stored) != 0)
    return list_error (gguf, "the model id does not follow from it", error);
  return TRUE;
}

StModelIds *
st_model_ids_compute (StGguf * gguf, const gchar * tokenizer_id,
    GError ** error)
{
  g_autoptr (StModelIds) ids = g_new0 (StModelIds, 1);

  ids->tensors = g_array_new (FALSE, FALSE, sizeof (StTensorHash));
  ids->names = g_string_chunk_new (4096);
  if (st_gguf_find_entry (gguf, ST_SPLIT_KEY_MODEL_ID)) {
    if (!load_partition (ids, gguf, tokenizer_id, error))
      return NULL;
  } else {
    ids->tokenizer_id = g_strdup (tokenizer_id ? tokenizer_id : "");
    if (!sample_file (ids, gguf, error))
      return NULL;
    ids->model_id = compute_model_id (ids, gguf);
  }
  return g_steal_pointer (&ids);
}

void
st_model_ids_free (StModelIds * ids)
{
  if (!ids)
    return;
  g_free (ids->model_id);
  g_free (ids->tokenizer_id);
  g_array_unref (ids->tensors);
  g_string_chunk_free (ids->names);
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
  return ids->tensors->len;
}

const StTensorHash *
st_model_ids_tensor (const StModelIds * ids, gsize index)
{
  g_assert (index < ids->tensors->len);
  return &g_array_index (ids->tensors, StTensorHash, index);
}

gboolean
st_model_ids_has_full (const StModelIds * ids)
{
  return ids->has_full;
}

static StTensorHash *
find (const StModelIds * ids, const gchar * name)
{
  StTensorHash key = {.name = name };
  guint at;

  if (!g_array_binary_search (ids->tensors, &key, compare_names, &at))
    return NULL;
  return &g_array_index (ids->tensors, StTensorHash, at);
}

static gboolean
mismatch (const StGguf * gguf, const StTensor * tensor, const gchar * what,
    GError ** error)
{
  g_set_error (error, ST_IDS_ERROR, ST_IDS_ERROR_MISMATCH,
      "%s: tensor '%s' %s; the file is damaged or was mixed from two models",
      st_gguf_path (gguf), tensor->name, what);
  return FALSE;
}

gboolean
st_model_ids_check (const StModelIds * ids, StGguf * gguf,
    const StTensor * tensor, gboolean full, GError ** error)
{
  const StTensorHash *expected = find (ids, tensor->name);
  guint8 hash[ST_HASH_BYTES];

  if (!expected)
    return mismatch (gguf, tensor, "is not in the model's list", error);
  if (expected->type != tensor->type
      || memcmp (expected->ne, tensor->ne, sizeof tensor->ne) != 0)
    return mismatch (gguf, tensor, "has another type or shape than in the "
        "model's list", error);
  if (ids->partition) {
    if (!sample_tensor (gguf, tensor, hash, error))
      return FALSE;
    if (memcmp (hash, expected->hash, ST_HASH_BYTES) != 0)
      return mismatch (gguf, tensor, "holds other weights than the model's "
          "list says", error);
  }
  if (!full)
    return TRUE;
  if (!ids->has_full) {
    g_set_error (error, ST_IDS_ERROR, ST_IDS_ERROR_LIST,
        "%s: no full hashes to compare with; only partitions written by "
        "rdpartition carry them", st_gguf_path (gguf));
    return FALSE;
  }
  if (!hash_tensor (gguf, tensor, hash, error))
    return FALSE;
  if (memcmp (hash, expected->full_hash, ST_HASH_BYTES) != 0)
    return mismatch (gguf, tensor, "differs from the model's full hash",
        error);
  return TRUE;
}

gboolean
st_model_ids_add_full (StModelIds * ids, StGguf * gguf, GError ** error)
{
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const StTensor *tensor = st_gguf_tensor (gguf, i);
    StTensorHash *t = find (ids, tensor->name);

    if (!t)
      return mismatch (gguf, tensor, "is not in the model's list", error);
    if (!hash_tensor (gguf, tensor, t->full_hash, error))
      return FALSE;
  }
  ids->has_full = TRUE;
  return TRUE;
}
