/* Tensors of a range of blocks in a GGUF file (names: GGUF specification, "Standardized tensor names"). */
#include "models/blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    st_model_fail (error, ST_MODEL_ERROR_DAMAGED, "%s: tensor '%s' is missing",
        st_gguf_path (gguf), name);
    return NULL;
  }
  if (tensor->ne[0] != cols || tensor->ne[1] != rows || tensor->ne[2] != 1
      || tensor->ne[3] != 1) {
    st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: tensor '%s' is %" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT " x %"
        G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT
        " x %" G_GUINT64_FORMAT " as the model's keys say", st_gguf_path (gguf),
        name, tensor->ne[0], tensor->ne[1], tensor->ne[2], tensor->ne[3], cols,
        rows);
    return NULL;
  }
  if (st_type_traits (tensor->type) == NULL) {
    st_model_fail (error, ST_MODEL_ERROR_UNSUPPORTED,
        "%s: tensor '%s' has type %d, which is not supported",
        st_gguf_path (gguf), name, (int) tensor->type);
    return NULL;
  }
  row_bytes = st_type_row_bytes (tensor->type, cols);
  if (row_bytes == 0 || !g_size_checked_mul (&bytes, row_bytes, rows)
      || bytes != tensor->size) {
    st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
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

/* Norm weights and biases are small and always used whole: as floats whatever their type. */
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

/* Whether the family's blocks have a tensor of this name, without "blk.N.". */
static gboolean
is_known (const StModelConfig * config, const gchar * name)
{
  const StFamily *family = config->family;
  const gchar *suffix = strrchr (name, '.');
  g_autofree gchar *stem = g_strndup (name, (gsize) (suffix ? suffix - name
          : 0));
  gsize outputs = 0, inputs;

  if (suffix == NULL || g_strcmp0 (name, family->computed) == 0)
    return suffix != NULL;
  if (strcmp (suffix, ".weight") != 0
      && !(family->biases && strcmp (suffix, ".bias") == 0))
    return FALSE;
  if (strcmp (stem, "attn_norm") == 0 || strcmp (stem, "ffn_norm") == 0)
    return TRUE;
  if (g_strcmp0 (stem, family->fused_qkv) == 0)
    return TRUE;
  for (guint i = family->fused_qkv ? ST_BLOCK_O : ST_BLOCK_Q;
      i < ST_BLOCK_MATRICES && outputs == 0; i++) {
    if (strcmp (stem, st_block_matrix_name (i)) == 0)
      st_block_matrix_shape (config, i, &outputs, &inputs);
  }
  return outputs > 0;
}

/* A tensor of a block that this code does not know would be left out of the sum: refuse it. */
static gboolean
check_block_names (StGguf * gguf, const StModelConfig * config, guint first,
    guint end, GError ** error)
{
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const gchar *name = st_gguf_tensor (gguf, i)->name;
    gchar *rest = NULL;
    guint64 block;

    if (!g_str_has_prefix (name, "blk.") || !g_ascii_isdigit (name[4]))
      continue;
    block = g_ascii_strtoull (name + 4, &rest, 10);
    if (block < first || block >= end || *rest != '.')
      continue;
    if (!is_known (config, rest + 1))
      return st_model_fail (error, ST_MODEL_ERROR_UNSUPPORTED,
          "%s: tensor '%s' is not part of a plain %s block and is not "
          "supported", st_gguf_path (gguf), name, config->architecture);
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
    return st_model_fail (error, ST_MODEL_ERROR_RANGE,
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
    {config->family->gated ? ff : 0, hidden}, {ff, hidden}, {hidden, ff}
  };

  *outputs = shapes[matrix][0];
  *inputs = shapes[matrix][1];
}

/* What a file is read from, and what for. */
typedef struct
{
  StGguf *gguf;
  const StModelConfig *config;
  StWeights *weights;
} Reader;

/* @name.weight, and @name.bias if the family has such. */
static gboolean
read_norm (const Reader * r, const gchar * name, StNorm * norm, GError ** error)
{
  const gsize hidden = r->config->hidden_size;
  g_autofree gchar *weight = g_strconcat (name, ".weight", NULL);
  g_autofree gchar *bias = g_strconcat (name, ".bias", NULL);

  return read_vector (r->gguf, r->weights, weight, hidden, &norm->weight,
      error) && (!r->config->family->biases || read_vector (r->gguf, r->weights,
          bias, hidden, &norm->bias, error));
}

/* Matrices @first .. @end - 1 of a block, whose rows are one tensor @name. */
static gboolean
read_rows (const Reader * r, guint number, const gchar * name, guint first,
    guint end, StBlock * block, GError ** error)
{
  g_autofree gchar *weight = g_strdup_printf ("blk.%u.%s.weight", number, name);
  g_autofree gchar *bias = g_strdup_printf ("blk.%u.%s.bias", number, name);
  g_autofree float *biases = NULL;
  gsize total = 0, at = 0, rows, cols;
  StMatrix whole;

  for (guint i = first; i < end; i++) {
    st_block_matrix_shape (r->config, i, &rows, &cols);
    total += rows;
  }
  if (total == 0)
    return TRUE;
  if (!read_matrix (r->gguf, r->weights, weight, total, cols, &whole, error)
      || (r->config->family->biases && !read_vector (r->gguf, r->weights, bias,
              total, &biases, error)))
    return FALSE;
  for (guint i = first; i < end; i++, at += rows) {
    st_block_matrix_shape (r->config, i, &rows, &cols);
    block->matrices[i] = whole;
    block->matrices[i].rows = rows;
    block->matrices[i].data = (const guint8 *) whole.data
        + at * st_type_row_bytes (whole.type, cols);
    if (biases != NULL)
      block->biases[i] = g_memdup2 (biases + at, rows * sizeof (float));
  }
  return TRUE;
}

static gboolean
read_block (const Reader * r, guint number, StBlock * block, GError ** error)
{
  const gchar *fused = r->config->family->fused_qkv;
  g_autofree gchar *attn_norm = g_strdup_printf ("blk.%u.attn_norm", number);
  g_autofree gchar *ffn_norm = g_strdup_printf ("blk.%u.ffn_norm", number);

  if (!read_norm (r, attn_norm, &block->attn_norm, error)
      || !read_norm (r, ffn_norm, &block->ffn_norm, error)
      || (fused && !read_rows (r, number, fused, ST_BLOCK_Q, ST_BLOCK_O,
              block, error)))
    return FALSE;
  for (guint i = fused ? ST_BLOCK_O : ST_BLOCK_Q; i < ST_BLOCK_MATRICES; i++) {
    if (!read_rows (r, number, st_block_matrix_name (i), i, i + 1, block,
            error))
      return FALSE;
  }
  return TRUE;
}

/* Fails unless the file holds tensor @name, which is @what of the @part of the model. */
static gboolean
check_held (StGguf * gguf, const gchar * name, const gchar * what,
    const gchar * part, GError ** error)
{
  return st_gguf_find (gguf, name) != NULL || st_model_fail (error,
      ST_MODEL_ERROR_RANGE, "%s: this file holds no %s, so it cannot run the "
      "%s part of the model", st_gguf_path (gguf), what, part);
}

/* @matrix of @rows vectors of the hidden size. */
static gboolean
read_table (const Reader * r, const gchar * name, const gchar * what,
    const gchar * part, guint rows, StMatrix * matrix, GError ** error)
{
  return check_held (r->gguf, name, what, part, error)
      && read_matrix (r->gguf, r->weights, name, rows,
      r->config->hidden_size, matrix, error);
}

static gboolean
read_ends (const Reader * r, const StModelOptions * options, GError ** error)
{
  StWeights *weights = r->weights;
  const gchar *output = st_gguf_find (r->gguf,
      "output.weight") != NULL ? "output.weight" : "token_embd.weight";

  if (options->embed) {
    if (!read_table (r, "token_embd.weight", "token embedding", "first",
            r->config->vocab_size, &weights->embedding, error))
      return FALSE;
    weights->has_embedding = TRUE;
  }
  if (options->output) {
    if (!check_held (r->gguf, "output_norm.weight", "output head", "last",
            error)
        || !read_norm (r, "output_norm", &weights->output_norm, error)
        || !read_table (r, output, "output head", "last",
            r->config->vocab_size, &weights->output, error))
      return FALSE;
    weights->has_output = TRUE;
  }
  return TRUE;
}

/* They are added where block 0 is run. */
static gboolean
read_positions (const Reader * r, guint first, guint end, GError ** error)
{
  return !r->config->family->positions || first > 0 || end == 0
      || read_table (r, "position_embd.weight", "position embedding", "first",
      r->config->context_length, &r->weights->positions, error);
}

/* Frequencies of the rotation: base^(-2i / rope_dim), divided by the factors of rope_freqs where the file has them (Llama 3.1). */
static gboolean
read_rope (StGguf * gguf, const StModelConfig * config,
    StWeights * weights, GError ** error)
{
  guint pairs = config->rope_dim / 2;
  g_autofree float *factors = NULL;

  if (pairs > 0 && st_gguf_find (gguf, "rope_freqs.weight") != NULL
      && !read_vector (gguf, weights, "rope_freqs.weight", pairs, &factors,
          error))
    return FALSE;
  weights->rope_frequency = g_new (double, pairs);
  for (guint i = 0; i < pairs; i++) {
    double frequency = pow (config->rope_base, -2.0 * i / config->rope_dim)
        * config->rope_scale;

    if (factors != NULL && !(factors[i] > 0 && isfinite (factors[i])))
      return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
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
  const Reader reader = { gguf, config, weights };
  gint first = options->first_block;
  gint end =
      options->last_block < 0 ? (gint) config->n_blocks : options->last_block;

  if (first < 0 || first > end || end > (gint) config->n_blocks)
    return st_model_fail (error, ST_MODEL_ERROR_RANGE,
        "%s: blocks from %d to before %d are asked for, but the model has %u",
        st_gguf_path (gguf), first, end, config->n_blocks);
  weights->first_block = (guint) first;
  weights->used = g_ptr_array_new ();
  if (!check_range (gguf, config, (guint) first, (guint) end, error)
      || !check_block_names (gguf, config, (guint) first, (guint) end, error)
      || !read_rope (gguf, config, weights, error)
      || !read_ends (&reader, options, error)
      || !read_positions (&reader, (guint) first, (guint) end, error))
    return FALSE;

  weights->blocks = g_new0 (StBlock, (gsize) (end - first));
  for (; weights->n_layers < (guint) (end - first); weights->n_layers++) {
    guint layer = weights->n_layers;

    if (!read_block (&reader, (guint) first + layer, &weights->blocks[layer],
            error)) {
      weights->n_layers++;      /* so that clear frees what was read of it */
      return FALSE;
    }
  }
  return TRUE;
}

static void
clear_norm (StNorm * norm)
{
  g_free (norm->weight);
  g_free (norm->bias);
}

void
st_weights_clear (StWeights * weights)
{
  for (guint i = 0; i < weights->n_layers; i++) {
    StBlock *block = &weights->blocks[i];

    clear_norm (&block->attn_norm);
    clear_norm (&block->ffn_norm);
    for (guint m = 0; m < ST_BLOCK_MATRICES; m++)
      g_free (block->biases[m]);
  }
  g_free (weights->blocks);
  clear_norm (&weights->output_norm);
  g_free (weights->rope_frequency);
  g_clear_pointer (&weights->used, g_ptr_array_unref);
  memset (weights, 0, sizeof (*weights));
}
