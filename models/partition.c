/* Partition files. */
#include "models/partition.h"
#include "models/gguf/gguf-writer.h"

#include <string.h>

#define EMBEDDING "token_embd.weight"
#define OUTPUT "output.weight"
#define OUTPUT_NORM "output_norm.weight"

typedef struct
{
  StGguf *gguf;
  const StModelIds *ids;
  guint n_blocks, first, last;
  gint predictor;               /* blocks from 0 on that are wanted besides, with the embedding; -1 = not even that */
  gboolean tied;                /* the output matrix is the token embedding */
} Part;

GQuark
st_partition_error_quark (void)
{
  return g_quark_from_static_string ("st-partition-error-quark");
}

gboolean
st_partition_parse_layers (const gchar * text, guint n_blocks, guint * first,
    guint * last, GError ** error)
{
  g_auto (GStrv) ends = NULL;
  guint64 a, b;

  if (text == NULL || strcmp (text, "all") == 0) {
    *first = 0;
    *last = n_blocks;
    return TRUE;
  }
  ends = g_strsplit (text, "-", 2);
  if (g_strv_length (ends) != 2
      || !g_ascii_string_to_unsigned (ends[0], 10, 0, G_MAXUINT, &a, NULL)
      || !g_ascii_string_to_unsigned (ends[1], 10, 0, G_MAXUINT, &b, NULL)
      || a >= b || b > n_blocks) {
    g_set_error (error, ST_PARTITION_ERROR, ST_PARTITION_ERROR_RANGE,
        "layers \"%s\" is not a range A-B (blocks A to B-1) with "
        "0 <= A < B <= %u, nor \"all\"", text, n_blocks);
    return FALSE;
  }
  *first = (guint) a;
  *last = (guint) b;
  return TRUE;
}

/* Block that tensor @name ("blk.N.*") belongs to; FALSE for tensors outside of the blocks. */
static gboolean
block_of (const gchar * name, guint64 * block)
{
  g_auto (GStrv) parts = g_strsplit (name, ".", 3);

  return g_strv_length (parts) == 3 && strcmp (parts[0], "blk") == 0
      && g_ascii_string_to_unsigned (parts[1], 10, 0, G_MAXUINT, block, NULL);
}

/* Input and output side are known by the beginning of their names; what is neither is needed by every part. */
static gboolean
belongs (const Part * part, const gchar * name)
{
  static const gchar *const input[] = { "token_embd", "token_types",
    "position_embd"
  };
  const gboolean head = part->first == 0
      || part->predictor >= 0, tail = part->last == part->n_blocks;
  guint64 block;

  if (block_of (name, &block))
    return (block >= part->first && block < part->last)
        || (part->predictor > 0 && block < (guint) part->predictor);
  if (tail && part->tied && strcmp (name, EMBEDDING) == 0)
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (input); i++) {
    if (g_str_has_prefix (name, input[i]))
      return head;
  }
  return g_str_has_prefix (name, "output") ? tail : TRUE;
}

gboolean
st_partition_n_blocks (StGguf * gguf, guint * n_blocks, GError ** error)
{
  const gchar *architecture = st_gguf_get_string (gguf, "general.architecture");
  g_autofree gchar *key = g_strconcat (architecture ? architecture : "",
      ".block_count", NULL);
  guint64 n;

  if (architecture == NULL || !st_gguf_get_uint (gguf, key, &n) || n == 0
      || n > G_MAXINT32) {
    g_set_error (error, ST_PARTITION_ERROR, ST_PARTITION_ERROR_MODEL,
        "%s: not a language model: general.architecture or the number of its "
        "blocks is missing", st_gguf_path (gguf));
    return FALSE;
  }
  *n_blocks = (guint) n;
  return TRUE;
}

static const StTensorHash *
find_listed (const StModelIds * ids, const gchar * name)
{
  for (gsize i = 0; i < st_model_ids_n_tensors (ids); i++) {
    const StTensorHash *t = st_model_ids_tensor (ids, i);
    if (strcmp (t->name, name) == 0)
      return t;
  }
  return NULL;
}

static gboolean
check_blocks (const Part * part, GError ** error)
{
  guint first = 0, last = part->n_blocks;

  st_model_ids_blocks (part->ids, &first, &last);
  if (part->first >= part->last || part->first < first || part->last > last) {
    g_set_error (error, ST_PARTITION_ERROR, ST_PARTITION_ERROR_RANGE,
        "%s: holds the blocks %u-%u of a model of %u; %u-%u cannot be cut from "
        "it", st_gguf_path (part->gguf), first, last, part->n_blocks,
        part->first, part->last);
    return FALSE;
  }
  if (part->predictor > (gint) part->n_blocks) {
    g_set_error (error, ST_PARTITION_ERROR, ST_PARTITION_ERROR_RANGE,
        "%s: a predictor of %d blocks cannot be cut from a model of %u",
        st_gguf_path (part->gguf), part->predictor, part->n_blocks);
    return FALSE;
  }
  return TRUE;
}

/* Every tensor of the whole model that belongs to the part must be in the file, and each of its blocks must have tensors. */
static gboolean
check_complete (const Part * part, GError ** error)
{
  g_autofree gboolean *seen = g_new0 (gboolean, part->last - part->first);
  const gchar *const ends[] = {
    part->first == 0 || part->predictor >= 0 ? EMBEDDING : NULL,
    part->last == part->n_blocks ? OUTPUT_NORM : NULL,
  };
  g_autofree gchar *missing = NULL;
  guint64 block;

  for (gsize i = 0; i < st_model_ids_n_tensors (part->ids); i++) {
    const gchar *name = st_model_ids_tensor (part->ids, i)->name;
    if (!belongs (part, name))
      continue;
    if (missing == NULL && st_gguf_find (part->gguf, name) == NULL)
      missing = g_strdup (name);
    if (block_of (name, &block) && block >= part->first && block < part->last)
      seen[block - part->first] = TRUE;
  }
  for (guint i = 0; i < part->last - part->first && missing == NULL; i++) {
    if (!seen[i])
      missing = g_strdup_printf ("blk.%u.*", part->first + i);
  }
  for (guint i = 0; i < G_N_ELEMENTS (ends) && missing == NULL; i++) {
    if (ends[i] != NULL && st_gguf_find (part->gguf, ends[i]) == NULL)
      missing = g_strdup (ends[i]);
  }
  if (missing != NULL) {
    g_set_error (error, ST_PARTITION_ERROR, ST_PARTITION_ERROR_MODEL,
        "%s: tensor %s is missing, which the blocks %u-%u need",
        st_gguf_path (part->gguf), missing, part->first, part->last);
    return FALSE;
  }
  return TRUE;
}

static gboolean
copy_tensors (const Part * part, StGgufWriter * writer, StPartitionInfo * info,
    GError ** error)
{
  for (guint64 i = 0; i < st_gguf_n_tensors (part->gguf); i++) {
    const StTensor *t = st_gguf_tensor (part->gguf, i);
    if (!belongs (part, t->name))
      continue;
    if (!st_model_ids_check (part->ids, part->gguf, t, FALSE, error)
        || !st_gguf_writer_copy_tensor (writer, part->gguf, t, error))
      return FALSE;
    info->n_tensors++;
    info->tensor_bytes += t->size;
  }
  return TRUE;
}

/* Writes the hash list of the whole model. */
static void
set_list (const StModelIds * ids, StGgufWriter * writer)
{
  const gsize n = st_model_ids_n_tensors (ids);
  g_autofree const gchar **names = g_new (const gchar *, n);
  g_autofree guint32 *types = g_new (guint32, n);
  g_autofree guint64 *shapes = g_new (guint64, n * ST_GGUF_MAX_DIMS);
  g_autofree guint8 *hashes = g_new (guint8, n * ST_HASH_BYTES);
  g_autofree guint8 *full = g_new (guint8, n * ST_HASH_BYTES);

  for (gsize i = 0; i < n; i++) {
    const StTensorHash *t = st_model_ids_tensor (ids, i);
    names[i] = t->name;
    types[i] = t->type;
    memcpy (shapes + i * ST_GGUF_MAX_DIMS, t->ne, sizeof t->ne);
    memcpy (hashes + i * ST_HASH_BYTES, t->hash, ST_HASH_BYTES);
    memcpy (full + i * ST_HASH_BYTES, t->full_hash, ST_HASH_BYTES);
  }
  st_gguf_writer_set_strings (writer, ST_SPLIT_KEY_NAMES, names, n);
  st_gguf_writer_set_array (writer, ST_SPLIT_KEY_TYPES, ST_GGUF_UINT32, types,
      n);
  st_gguf_writer_set_array (writer, ST_SPLIT_KEY_SHAPES, ST_GGUF_UINT64, shapes,
      n * ST_GGUF_MAX_DIMS);
  st_gguf_writer_set_array (writer, ST_SPLIT_KEY_HASHES, ST_GGUF_UINT8, hashes,
      n * ST_HASH_BYTES);
  st_gguf_writer_set_array (writer, ST_SPLIT_KEY_FULL_HASHES, ST_GGUF_UINT8,
      full, n * ST_HASH_BYTES);
}

static void
set_metadata (const Part * part, StGgufWriter * writer, gboolean keep_tokenizer)
{
  const StTensorHash *embedding = find_listed (part->ids, EMBEDDING);

  st_gguf_writer_copy_metadata (writer, part->gguf);
  if (!keep_tokenizer)
    st_gguf_writer_remove_prefix (writer, "tokenizer.");
  st_gguf_writer_remove_prefix (writer, "split.");
  st_gguf_writer_set_string (writer, ST_SPLIT_KEY_MODEL_ID,
      st_model_ids_model_id (part->ids));
  st_gguf_writer_set_string (writer, ST_SPLIT_KEY_TOKENIZER_ID,
      st_model_ids_tokenizer_id (part->ids));
  st_gguf_writer_set_uint32 (writer, ST_SPLIT_KEY_FIRST_BLOCK, part->first);
  st_gguf_writer_set_uint32 (writer, ST_SPLIT_KEY_LAST_BLOCK, part->last);
  if (embedding != NULL && embedding->ne[1] <= G_MAXUINT32)
    st_gguf_writer_set_uint32 (writer, ST_SPLIT_KEY_VOCAB_SIZE,
        (guint32) embedding->ne[1]);
  set_list (part->ids, writer);
}

gboolean
st_partition_write (StGguf * gguf, const gchar * tokenizer_id, guint first,
    guint last, gint predictor, gboolean keep_tokenizer, const gchar * path,
    StPartitionInfo * info, GError ** error)
{
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (StModelIds) ids = NULL;
  StPartitionInfo local = { 0 };
  Part part = {.gguf = gguf,.first = first,.last = last,
    .predictor = predictor
  };

  if (!st_partition_n_blocks (gguf, &part.n_blocks, error))
    return FALSE;
  ids = st_model_ids_compute (gguf, tokenizer_id, error);
  if (ids == NULL)
    return FALSE;
  part.ids = ids;
  part.tied = find_listed (ids, OUTPUT) == NULL;
  if (!check_blocks (&part, error) || !check_complete (&part, error)
      || !copy_tensors (&part, writer, &local, error)
      || !st_model_ids_add_full (ids, gguf, error))
    return FALSE;
  set_metadata (&part, writer, keep_tokenizer);
  if (!st_gguf_writer_write (writer, path, error))
    return FALSE;
  g_strlcpy (local.model_id, st_model_ids_model_id (ids),
      sizeof local.model_id);
  if (info != NULL)
    *info = local;
  return TRUE;
}
