#include "codec/training/scratch-model.h"

#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/checks.h"
#include "models/family.h"
#include "models/sampler.h"

#define DEVIATION 0.02
#define NORM_EPSILON 1e-5f
#define ROPE_BASE 10000.0f
/* They keep every product of two sizes, and the file, within reason. */
#define MAX_SIZE (1u << 16)
#define MAX_BLOCKS 256u

/* ---- sizes ---- */

static const StFamily *
family_of (const RdScratchShape * shape)
{
  return st_family_find (shape->family != NULL ? shape->family : "llama");
}

static gboolean
check_family (const RdScratchShape * shape, GError ** error)
{
  g_autofree gchar *names = st_family_names ();

  if (family_of (shape) != NULL)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "there is no family '%s'; there are: %s", shape->family, names);
  return FALSE;
}

static gboolean
check_heads (const RdScratchShape * shape, GError ** error)
{
  const gboolean rotary = !family_of (shape)->positions;

  if (shape->hidden_size % shape->n_heads == 0
      && (!rotary || shape->hidden_size / shape->n_heads % 2 == 0)
      && (rotary ? shape->n_heads % shape->n_kv_heads == 0 :
          shape->n_heads == shape->n_kv_heads))
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "%u heads with %u for keys and values and a hidden size of %u: a head "
      "needs an %sshare of the hidden size, and %s", shape->n_heads,
      shape->n_kv_heads, shape->hidden_size, rotary ? "even " : "equal ",
      rotary ? "as many heads must share each of those for keys and values" :
      "keys and values of its own");
  return FALSE;
}

static gboolean
check_type (const RdScratchShape * shape, StType type, GError ** error)
{
  const guint block = st_type_traits (type)->block_size;

  g_return_val_if_fail (type == ST_TYPE_F32 || type == ST_TYPE_F16
      || type == ST_TYPE_Q8_0, FALSE);
  if (shape->hidden_size % block == 0 && shape->ff_size % block == 0)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "a hidden size of %u and a feed-forward size of %u: type %s needs "
      "multiples of %u", shape->hidden_size, shape->ff_size,
      st_type_traits (type)->name, block);
  return FALSE;
}

gboolean
rd_scratch_shape_check (const RdScratchShape * shape, StType type,
    GError ** error)
{
  return check_family (shape, error)
      && rd_check_number ("hidden size", shape->hidden_size, 2, MAX_SIZE, error)
      && rd_check_number ("blocks", shape->n_blocks, 1, MAX_BLOCKS, error)
      && rd_check_number ("heads", shape->n_heads, 1, shape->hidden_size, error)
      && rd_check_number ("heads for keys and values", shape->n_kv_heads, 1,
      shape->n_heads, error)
      && rd_check_number ("feed-forward size", shape->ff_size, 1, MAX_SIZE,
      error)
      && rd_check_number ("context", shape->context_length, 2, G_MAXINT32,
      error)
      && rd_check_number ("vocabulary", shape->vocabulary, RD_BPE_MIN_TOKENS,
      RD_BPE_MAX_TOKENS, error)
      && check_heads (shape, error) && check_type (shape, type, error);
}

static StModelConfig
make_config (const RdScratchShape * shape)
{
  const StFamily *family = family_of (shape);
  const guint head_dim = shape->hidden_size / shape->n_heads;

  return (StModelConfig) {
  .family = family,.architecture = family->architecture,.n_blocks =
        shape->n_blocks,.hidden_size = shape->hidden_size,.n_heads =
        shape->n_heads,.n_kv_heads = shape->n_kv_heads,.head_dim =
        head_dim,.rope_dim = family->positions ? 0 : head_dim,.ff_size =
        shape->ff_size,.vocab_size = shape->vocabulary,.context_length =
        shape->context_length,};
}

/* ---- writing ---- */

/* A model of zeros being written. */
typedef struct
{
  StGgufWriter *writer;
  const StModelConfig *config;
  GPtrArray *blobs;             /* tensors' bytes, until the file is written */
} Builder;

/* @rows 0: a vector. */
static gboolean
add (Builder * b, const gchar * name, const gchar * suffix, gsize rows,
    gsize cols, GError ** error)
{
  const guint64 ne[] = { cols, rows };
  g_autofree gchar *full = g_strconcat (name, suffix, NULL);
  float *data = g_new0 (float, MAX (rows, 1) * cols);

  g_ptr_array_add (b->blobs, data);
  return st_gguf_writer_add_tensor (b->writer, full, ST_TYPE_F32,
      rows == 0 ? 1 : 2, ne, data, error);
}

/* Where the family has biases. */
static gboolean
add_bias (Builder * b, const gchar * name, gsize n, GError ** error)
{
  return !b->config->family->biases || add (b, name, ".bias", 0, n, error);
}

static gboolean
add_norm (Builder * b, const gchar * name, GError ** error)
{
  const gsize hidden = b->config->hidden_size;

  return add (b, name, ".weight", 0, hidden, error)
      && add_bias (b, name, hidden, error);
}

/* Matrices @first .. @end - 1 of a block, which have the same input, as one tensor @name; nothing if the family has none of them. */
static gboolean
add_rows (Builder * b, guint number, const gchar * name, guint first,
    guint end, GError ** error)
{
  g_autofree gchar *full = g_strdup_printf ("blk.%u.%s", number, name);
  gsize rows = 0, outputs, inputs = 0;

  for (guint m = first; m < end; m++) {
    rd_matrix_shape (b->config, m, &outputs, &inputs);
    rows += outputs;
  }
  return rows == 0 || (add (b, full, ".weight", rows, inputs, error)
      && add_bias (b, full, rows, error));
}

static gboolean
add_block (Builder * b, guint number, GError ** error)
{
  const gchar *fused = b->config->family->fused_qkv;
  g_autofree gchar *attn_norm = g_strdup_printf ("blk.%u.attn_norm", number);
  g_autofree gchar *ffn_norm = g_strdup_printf ("blk.%u.ffn_norm", number);

  if (!add_norm (b, attn_norm, error) || !add_norm (b, ffn_norm, error)
      || (fused && !add_rows (b, number, fused, RD_MATRIX_Q, RD_MATRIX_O,
              error)))
    return FALSE;
  for (guint m = fused ? RD_MATRIX_O : RD_MATRIX_Q; m < RD_N_MATRICES; m++) {
    if (!add_rows (b, number, rd_matrix_name (m), m, m + 1, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_tensors (Builder * b, GError ** error)
{
  const StModelConfig *config = b->config;
  const gsize hidden = config->hidden_size;

  for (guint i = 0; i < config->n_blocks; i++) {
    if (!add_block (b, i, error))
      return FALSE;
  }
  return add (b, "token_embd", ".weight", config->vocab_size, hidden, error)
      && (!config->family->positions || add (b, "position_embd", ".weight",
          config->context_length, hidden, error))
      && add_norm (b, "output_norm", error);
}

static gchar *
full_key (const StModelConfig * config, const gchar * key)
{
  return g_strconcat (config->architecture, ".", key, NULL);
}

static void
set_uint (StGgufWriter * w, const StModelConfig * config, const gchar * key,
    guint value)
{
  g_autofree gchar *full = full_key (config, key);

  st_gguf_writer_set_uint32 (w, full, value);
}

static void
set_float (StGgufWriter * w, const StModelConfig * config, const gchar * key,
    gfloat value)
{
  g_autofree gchar *full = full_key (config, key);

  st_gguf_writer_set_float (w, full, value);
}

static void
set_architecture (StGgufWriter * w, const StModelConfig * config,
    const gchar * name)
{
  st_gguf_writer_set_string (w, "general.architecture", config->architecture);
  st_gguf_writer_set_string (w, "general.name", name);
  set_uint (w, config, "block_count", config->n_blocks);
  set_uint (w, config, "context_length", config->context_length);
  set_uint (w, config, "embedding_length", config->hidden_size);
  set_uint (w, config, "feed_forward_length", config->ff_size);
  set_uint (w, config, "attention.head_count", config->n_heads);
  set_uint (w, config, "attention.head_count_kv", config->n_kv_heads);
  if (config->rope_dim > 0)
    set_uint (w, config, "rope.dimension_count", config->rope_dim);
  set_uint (w, config, "vocab_size", config->vocab_size);
  if (config->rope_dim > 0)
    set_float (w, config, "rope.freq_base", ROPE_BASE);
  set_float (w, config, config->family->layer_norm ?
      "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
      NORM_EPSILON);
}

StModel *
rd_scratch_model_begin (const RdScratchShape * shape, const RdBpe * bpe,
    const gchar * name, const gchar * path, GError ** error)
{
  const StModelOptions options = {.last_block = -1,.embed = TRUE,.output =
        TRUE,.threads = 1
  };
  const StModelConfig config = make_config (shape);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GPtrArray) blobs = g_ptr_array_new_with_free_func (g_free);
  Builder b = { writer, &config, blobs };
  StModel *model;

  set_architecture (writer, &config, name);
  rd_bpe_write (bpe, writer);
  if (!add_tensors (&b, error)
      || !st_gguf_writer_write (writer, path, error))
    return NULL;
  model = st_model_open (path, &options, error);
  g_unlink (path);
  return model;
}

/* ---- initial weights ---- */

/* Box and Muller 1958. Numbers 2 * at and 2 * at + 1 of the seed's. */
static double
normal (guint64 seed, guint64 at)
{
  const double a = st_sampler_uniform (seed, 2 * at);
  const double b = st_sampler_uniform (seed, 2 * at + 1);

  return sqrt (-2 * log (1 - a)) * cos (2 * G_PI * b);
}

static void
fill_matrix (const RdWeights * weights, float *matrix, gsize n,
    double deviation, guint64 seed)
{
  const gsize first = (gsize) (matrix - weights->arena.memory);

  for (gsize i = 0; i < n; i++)
    matrix[i] = (float) (deviation * normal (seed, first + i));
}

static void
fill_norm (const RdNorm * norm, gsize n)
{
  for (gsize i = 0; i < n; i++)
    norm->weight[i] = 1.0f;
}

void
rd_scratch_model_fill (RdWeights * weights, guint64 seed)
{
  const StModelConfig *config = &weights->config;
  const gsize hidden = config->hidden_size;
  const double added = DEVIATION / sqrt (2.0 * config->n_blocks);

  for (guint i = 0; i < weights->n_layers; i++) {
    fill_norm (&weights->blocks[i].attn_norm, hidden);
    fill_norm (&weights->blocks[i].ffn_norm, hidden);
    for (guint m = 0; m < RD_N_MATRICES; m++) {
      gsize outputs, inputs;

      rd_matrix_shape (config, m, &outputs, &inputs);
      if (outputs == 0)
        continue;
      fill_matrix (weights, weights->blocks[i].matrices[m], outputs * inputs,
          m == RD_MATRIX_O || m == RD_MATRIX_DOWN ? added : DEVIATION, seed);
    }
  }
  fill_matrix (weights, weights->embedding,
      (gsize) config->vocab_size * hidden, DEVIATION, seed);
  if (weights->positions != NULL)
    fill_matrix (weights, weights->positions,
        (gsize) config->context_length * hidden, DEVIATION, seed);
  fill_norm (&weights->output_norm, hidden);
}
