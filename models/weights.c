/* Keys and tensors of the llama architecture in a GGUF file (names: GGUF specification, "Standardized tensor names"). */
#include "models/blocks.h"
#include "models/ids.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* No model comes near these; they keep every product of two sizes inside 64 bits. */
#define MAX_BLOCKS 4096
#define MAX_SIZE (1u << 22)

static gboolean
fail (GError ** error, StModelError code, const gchar * format, ...)
G_GNUC_PRINTF (3, 4);

     static gboolean
         fail (GError ** error, StModelError code, const gchar * format, ...)
{
  va_list args;

  va_start (args, format);
  if (error != NULL && *error == NULL)
    *error = g_error_new_valist (ST_MODEL_ERROR, code, format, args);
  va_end (args);
  return FALSE;
}

/* A positive integer key. @fallback 0 means that the key is needed. */
static gboolean
read_uint (StGguf * gguf, const gchar * key, guint fallback, guint max,
    guint * value, GError ** error)
{
  guint64 number;

  if (!st_gguf_get_uint (gguf, key, &number)) {
    if (st_gguf_array_length (gguf, key) > 0)
      return fail (error, ST_MODEL_ERROR_UNSUPPORTED,
          "%s: key %s has one value a block, which is not supported",
          st_gguf_path (gguf), key);
    if (fallback == 0)
      return fail (error, ST_MODEL_ERROR_DAMAGED,
          "%s: key %s is missing or not an unsigned integer",
          st_gguf_path (gguf), key);
    *value = fallback;
    return TRUE;
  }
  if (number == 0 || number > max)
    return fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: %s = %" G_GUINT64_FORMAT " is not in 1..%u", st_gguf_path (gguf),
        key, number, max);
  *value = (guint) number;
  return TRUE;
}

static gboolean
read_float (StGguf * gguf, const gchar * key, gdouble fallback, gfloat * value,
    GError ** error)
{
  gdouble number = fallback;

  if (!st_gguf_get_float (gguf, key, &number) && fallback <= 0)
    return fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: key %s is missing or not a number", st_gguf_path (gguf), key);
  if (!isfinite (number) || number <= 0 || number > G_MAXFLOAT)
    return fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: %s = %g is not a positive number", st_gguf_path (gguf), key,
        number);
  *value = (gfloat) number;
  return TRUE;
}

static gboolean
check_architecture (StGguf * gguf, StModelConfig * config, GError ** error)
{
  guint64 experts;

  config->architecture = st_gguf_get_string (gguf, "general.architecture");
  if (config->architecture == NULL)
    return fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: key general.architecture is missing", st_gguf_path (gguf));
  if (strcmp (config->architecture, "llama") != 0)
    return fail (error, ST_MODEL_ERROR_UNSUPPORTED,
        "%s: architecture '%s' is not supported; supported: llama",
        st_gguf_path (gguf), config->architecture);
  if (st_gguf_get_uint (gguf, "llama.expert_count", &experts) && experts > 0)
    return fail (error, ST_MODEL_ERROR_UNSUPPORTED,
        "%s: models with experts (llama.expert_count = %" G_GUINT64_FORMAT
        ") are not supported", st_gguf_path (gguf), experts);
  return TRUE;
}

/* Absent keys mean no scaling. Linear scaling divides the positions. */
static gboolean
read_rope_scale (StGguf * gguf, gdouble * scale, GError ** error)
{
  const gchar *type = st_gguf_get_string (gguf, "llama.rope.scaling.type");
  gfloat factor = 1.0f;

  *scale = 1.0;
  if (type == NULL || strcmp (type, "none") == 0)
    return TRUE;
  if (strcmp (type, "linear") != 0)
    return fail (error, ST_MODEL_ERROR_UNSUPPORTED,
        "%s: rope scaling '%s' is not supported; supported: none, linear",
        st_gguf_path (gguf), type);
  if (!read_float (gguf, "llama.rope.scaling.factor", 1.0, &factor, error))
    return FALSE;
  *scale = 1.0 / factor;
  return TRUE;
}

static gboolean
check_heads (StGguf * gguf, const StModelConfig * config, guint value_dim,
    GError ** error)
{
  const gchar *path = st_gguf_path (gguf);

  if (config->n_heads % config->n_kv_heads != 0)
    return fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: %u attention heads cannot share %u key/value heads", path,
        config->n_heads, config->n_kv_heads);
  if (value_dim != config->head_dim)
    return fail (error, ST_MODEL_ERROR_UNSUPPORTED,
        "%s: heads with keys of %u and values of %u are not supported", path,
        config->head_dim, value_dim);
  if (config->rope_dim % 2 != 0 || config->rope_dim > config->head_dim)
    return fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: llama.rope.dimension_count = %u does not fit heads of %u", path,
        config->rope_dim, config->head_dim);
  if ((guint64) config->n_heads * config->head_dim > MAX_SIZE)
    return fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: %u heads of %u are too many", path, config->n_heads,
        config->head_dim);
  return TRUE;
}

static gboolean
read_heads (StGguf * gguf, StModelConfig * config, GError ** error)
{
  guint value_dim = 0, head_dim;

  if (!read_uint (gguf, "llama.attention.head_count", 0, MAX_SIZE,
          &config->n_heads, error)
      || !read_uint (gguf, "llama.attention.head_count_kv", config->n_heads,
          MAX_SIZE, &config->n_kv_heads, error))
    return FALSE;
  head_dim = config->hidden_size / config->n_heads;
  if (head_dim == 0 || config->hidden_size % config->n_heads != 0) {
    guint64 unused;

    if (!st_gguf_get_uint (gguf, "llama.attention.key_length", &unused))
      return fail (error, ST_MODEL_ERROR_DAMAGED,
          "%s: %u heads do not divide the hidden size %u", st_gguf_path (gguf),
          config->n_heads, config->hidden_size);
    head_dim = 1;
  }
  return read_uint (gguf, "llama.attention.key_length", head_dim, MAX_SIZE,
      &config->head_dim, error)
      && read_uint (gguf, "llama.attention.value_length", config->head_dim,
      MAX_SIZE, &value_dim, error)
      && read_uint (gguf, "llama.rope.dimension_count", config->head_dim,
      MAX_SIZE, &config->rope_dim, error)
      && check_heads (gguf, config, value_dim, error);
}

/* Several sources, as files of several ages have them; a middle partition may have neither embedding nor tokenizer. */
static guint
find_vocab_size (StGguf * gguf)
{
  const StTensor *embedding = st_gguf_find (gguf, "token_embd.weight");
  guint64 size = 0;

  if (embedding != NULL)
    size = embedding->ne[1];
  else if (!st_gguf_get_uint (gguf, "llama.vocab_size", &size)
      && !st_gguf_get_uint (gguf, ST_SPLIT_KEY_VOCAB_SIZE, &size))
    size = st_gguf_array_length (gguf, "tokenizer.ggml.tokens");
  return size <= G_MAXINT32 ? (guint) size : 0;
}

gboolean
st_config_read (StGguf * gguf, StModelConfig * config, GError ** error)
{
  memset (config, 0, sizeof (*config));
  if (!check_architecture (gguf, config, error)
      || !read_uint (gguf, "llama.block_count", 0, MAX_BLOCKS,
          &config->n_blocks, error)
      || !read_uint (gguf, "llama.embedding_length", 0, MAX_SIZE,
          &config->hidden_size, error)
      || !read_uint (gguf, "llama.feed_forward_length", 0, MAX_SIZE,
          &config->ff_size, error)
      || !read_uint (gguf, "llama.context_length", 0, G_MAXINT32,
          &config->context_length, error)
      || !read_float (gguf, "llama.attention.layer_norm_rms_epsilon", 0,
          &config->rms_eps, error)
      || !read_float (gguf, "llama.rope.freq_base", 10000.0, &config->rope_base,
          error)
      || !read_heads (gguf, config, error))
    return FALSE;
  config->vocab_size = find_vocab_size (gguf);
  if (config->vocab_size == 0)
    return fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: the vocabulary size is in no key and no tensor",
        st_gguf_path (gguf));
  config->name = st_gguf_get_string (gguf, "general.name");
  return TRUE;
}

static void
mark_used (StWeights * weights, const StTensor * tensor)
{
  if (g_ptr_array_find (weights->used, tensor, NULL))
    return;
  g_ptr_array_add (weights->used, (gpointer) tensor);
  weights->used_bytes += tensor->size;
}

/* Finds tensor @name and checks that it is @rows x @cols (a vector if @rows is 1). */
static const StTensor *
find_tensor (StGguf * gguf, const gchar * name, guint64 rows, guint64 cols,
    GError ** error)
{
  const StTensor *tensor = st_gguf_find (gguf, name);
  gsize row_bytes, bytes;

  if (tensor == NULL) {
    fail (error, ST_MODEL_ERROR_DAMAGED, "%s: tensor '%s' is missing",
        st_gguf_path (gguf), name);
    return NULL;
  }
  if (tensor->ne[0] != cols || tensor->ne[1] != rows || tensor->ne[2] != 1
      || tensor->ne[3] != 1) {
    fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: tensor '%s' is %" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT " x %"
        G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT
        " x %" G_GUINT64_FORMAT " as the model's keys say", st_gguf_path (gguf),
        name, tensor->ne[0], tensor->ne[1], tensor->ne[2], tensor->ne[3], cols,
        rows);
    return NULL;
  }
  if (st_type_traits (tensor->type) == NULL) {
    fail (error, ST_MODEL_ERROR_UNSUPPORTED,
        "%s: tensor '%s' has type %d, which is not supported",
        st_gguf_path (gguf), name, (int) tensor->type);
    return NULL;
  }
  row_bytes = st_type_row_bytes (tensor->type, cols);
  if (row_bytes == 0 || !g_size_checked_mul (&bytes, row_bytes, rows)
      || bytes != tensor->size) {
    fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: tensor '%s' has rows that are not whole blocks of type %s",
        st_gguf_path (gguf), name, st_type_traits (tensor->type)->name);
    return NULL;
  }
  return tensor;
}

static gboolean
read_matrix (StGguf * gguf, StWeights * weights, const gchar * name,
    guint64 rows, guint64 cols, StMatrix * matrix, GError ** error)
{
  const StTensor *tensor = find_tensor (gguf, name, rows, cols, error);

  if (tensor == NULL)
    return FALSE;
  mark_used (weights, tensor);
  matrix->type = tensor->type;
  matrix->rows = rows;
  matrix->cols = cols;
  matrix->data = tensor->data;
  return TRUE;
}

/* Norm weights are small and always used whole: as floats whatever their type. */
static gboolean
read_vector (StGguf * gguf, StWeights * weights, const gchar * name,
    guint64 n, float **vector, GError ** error)
{
  const StTensor *tensor = find_tensor (gguf, name, 1, n, error);

  if (tensor == NULL)
    return FALSE;
  mark_used (weights, tensor);
  *vector = g_new (float, n);
  st_type_traits (tensor->type)->to_float (tensor->data, *vector, n);
  return TRUE;
}

/* A tensor of a block that this code does not know would be left out of the sum: refuse it. */
static gboolean
check_block_names (StGguf * gguf, guint first, guint end, GError ** error)
{
  static const gchar *const known[] =
      { "attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight",
    "attn_output.weight", "ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight",
    "ffn_down.weight",
    "attn_rot_embd.weight", NULL        /* computed from the keys */
  };

  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const gchar *name = st_gguf_tensor (gguf, i)->name;
    gchar *rest = NULL;
    guint64 block;

    if (!g_str_has_prefix (name, "blk.") || !g_ascii_isdigit (name[4]))
      continue;
    block = g_ascii_strtoull (name + 4, &rest, 10);
    if (block < first || block >= end || *rest != '.')
      continue;
    if (!g_strv_contains (known, rest + 1))
      return fail (error, ST_MODEL_ERROR_UNSUPPORTED,
          "%s: tensor '%s' is not part of a plain llama block and is not "
          "supported", st_gguf_path (gguf), name);
  }
  return TRUE;
}

static gboolean
holds_block (StGguf * gguf, guint block)
{
  g_autofree gchar *name = g_strdup_printf ("blk.%u.attn_norm.weight", block);

  return st_gguf_find (gguf, name) != NULL;
}

/* "0 to 9, 12" of the blocks in the file, or "none". */
static gchar *
describe_blocks (StGguf * gguf, guint n_blocks)
{
  GString *text = g_string_new (NULL);

  for (guint block = 0; block < n_blocks; block++) {
    guint last = block;

    if (!holds_block (gguf, block))
      continue;
    while (last + 1 < n_blocks && holds_block (gguf, last + 1))
      last++;
    g_string_append_printf (text, "%s%u", text->len > 0 ? ", " : "", block);
    if (last > block)
      g_string_append_printf (text, " to %u", last);
    block = last;
  }
  return g_string_free (text->len > 0 ? text : g_string_append (text, "none"),
      FALSE);
}

static gboolean
check_range (StGguf * gguf, const StModelConfig * config, guint first,
    guint end, GError ** error)
{
  for (guint block = first; block < end; block++) {
    g_autofree gchar *held = NULL;

    if (holds_block (gguf, block))
      continue;
    held = describe_blocks (gguf, config->n_blocks);
    return fail (error, ST_MODEL_ERROR_RANGE,
        "%s: blocks %u to %u are asked for, but block %u is not in this file (it "
        "holds blocks: %s; the whole model has %u)", st_gguf_path (gguf), first,
        end - 1, block, held, config->n_blocks);
  }
  return TRUE;
}

const gchar *
st_block_matrix_name (StBlockMatrix matrix)
{
  static const gchar *const names[ST_BLOCK_MATRICES] = {
    "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up",
    "ffn_down"
  };

  return names[matrix];
}

void
st_block_matrix_shape (const StModelConfig * config, StBlockMatrix matrix,
    gsize * outputs, gsize * inputs)
{
  const gsize hidden = config->hidden_size, ff = config->ff_size;
  const gsize queries = (gsize) config->n_heads * config->head_dim;
  const gsize keys = (gsize) config->n_kv_heads * config->head_dim;
  const gsize shapes[ST_BLOCK_MATRICES][2] = {
    {queries, hidden}, {keys, hidden}, {keys, hidden}, {hidden, queries},
    {ff, hidden}, {ff, hidden}, {hidden, ff}
  };

  *outputs = shapes[matrix][0];
  *inputs = shapes[matrix][1];
}

static gboolean
read_block (StGguf * gguf, const StModelConfig * config,
    StWeights * weights, guint number, StBlock * block, GError ** error)
{
  const gsize hidden = config->hidden_size;
  StMatrix *const matrices[ST_BLOCK_MATRICES] = { &block->q, &block->k,
    &block->v, &block->o, &block->gate, &block->up, &block->down
  };
  g_autofree gchar *attn_norm =
      g_strdup_printf ("blk.%u.attn_norm.weight", number);
  g_autofree gchar *ffn_norm =
      g_strdup_printf ("blk.%u.ffn_norm.weight", number);

  if (!read_vector (gguf, weights, attn_norm, hidden, &block->attn_norm, error)
      || !read_vector (gguf, weights, ffn_norm, hidden, &block->ffn_norm,
          error))
    return FALSE;
  for (guint i = 0; i < ST_BLOCK_MATRICES; i++) {
    g_autofree gchar *name =
        g_strdup_printf ("blk.%u.%s.weight", number, st_block_matrix_name (i));
    gsize rows, cols;

    st_block_matrix_shape (config, i, &rows, &cols);
    if (!read_matrix (gguf, weights, name, rows, cols, matrices[i], error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
read_ends (StGguf * gguf, const StModelConfig * config,
    const StModelOptions * options, StWeights * weights, GError ** error)
{
  const gchar *output = st_gguf_find (gguf,
      "output.weight") != NULL ? "output.weight" : "token_embd.weight";

  if (options->embed) {
    if (st_gguf_find (gguf, "token_embd.weight") == NULL)
      return fail (error, ST_MODEL_ERROR_RANGE,
          "%s: this file holds no token embedding, so it cannot run the first part "
          "of the model", st_gguf_path (gguf));
    if (!read_matrix (gguf, weights, "token_embd.weight", config->vocab_size,
            config->hidden_size, &weights->embedding, error))
      return FALSE;
    weights->has_embedding = TRUE;
  }
  if (options->output) {
    if (st_gguf_find (gguf, "output_norm.weight") == NULL
        || st_gguf_find (gguf, output) == NULL)
      return fail (error, ST_MODEL_ERROR_RANGE,
          "%s: this file holds no output head, so it cannot run the last part of "
          "the model", st_gguf_path (gguf));
    if (!read_vector (gguf, weights, "output_norm.weight", config->hidden_size,
            &weights->output_norm, error)
        || !read_matrix (gguf, weights, output, config->vocab_size,
            config->hidden_size, &weights->output, error))
      return FALSE;
    weights->has_output = TRUE;
  }
  return TRUE;
}

/* Frequencies of the rotation: base^(-2i / rope_dim), divided by the factors of rope_freqs where the file has them (Llama 3.1). */
static gboolean
read_rope (StGguf * gguf, const StModelConfig * config,
    StWeights * weights, GError ** error)
{
  guint pairs = config->rope_dim / 2;
  g_autofree float *factors = NULL;
  gdouble scale;

  if (!read_rope_scale (gguf, &scale, error))
    return FALSE;
  if (st_gguf_find (gguf, "rope_freqs.weight") != NULL
      && !read_vector (gguf, weights, "rope_freqs.weight", pairs, &factors,
          error))
    return FALSE;
  weights->rope_frequency = g_new (double, pairs);
  for (guint i = 0; i < pairs; i++) {
    double frequency =
        pow (config->rope_base, -2.0 * i / config->rope_dim) * scale;

    if (factors != NULL && !(factors[i] > 0 && isfinite (factors[i])))
      return fail (error, ST_MODEL_ERROR_DAMAGED,
          "%s: tensor 'rope_freqs.weight' has a factor that is not positive",
          st_gguf_path (gguf));
    weights->rope_frequency[i] =
        factors != NULL ? frequency / factors[i] : frequency;
  }
  return TRUE;
}

gboolean
st_weights_read (StGguf * gguf, const StModelConfig * config,
    const StModelOptions * options, StWeights * weights, GError ** error)
{
  gint first = options->first_block;
  gint end =
      options->last_block < 0 ? (gint) config->n_blocks : options->last_block;

  if (first < 0 || first > end || end > (gint) config->n_blocks)
    return fail (error, ST_MODEL_ERROR_RANGE,
        "%s: blocks from %d to before %d are asked for, but the model has %u",
        st_gguf_path (gguf), first, end, config->n_blocks);
  weights->first_block = (guint) first;
  weights->used = g_ptr_array_new ();
  if (!check_range (gguf, config, (guint) first, (guint) end, error)
      || !check_block_names (gguf, (guint) first, (guint) end, error)
      || !read_rope (gguf, config, weights, error)
      || !read_ends (gguf, config, options, weights, error))
    return FALSE;

  weights->blocks = g_new0 (StBlock, (gsize) (end - first));
  for (; weights->n_layers < (guint) (end - first); weights->n_layers++) {
    guint layer = weights->n_layers;

    if (!read_block (gguf, config, weights, (guint) first + layer,
            &weights->blocks[layer], error)) {
      weights->n_layers++;      /* so that clear frees what was read of it */
      return FALSE;
    }
  }
  return TRUE;
}

void
st_weights_clear (StWeights * weights)
{
  for (guint i = 0; i < weights->n_layers; i++) {
    g_free (weights->blocks[i].attn_norm);
    g_free (weights->blocks[i].ffn_norm);
  }
  g_free (weights->blocks);
  g_free (weights->output_norm);
  g_free (weights->rope_frequency);
  g_clear_pointer (&weights->used, g_ptr_array_unref);
  memset (weights, 0, sizeof (*weights));
}
