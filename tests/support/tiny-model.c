/* A tiny model with pseudo-random weights and a byte-level BPE tokenizer. */
#include "tests/support/tiny-model.h"
#include "models/gguf/gguf-writer.h"

#include <unistd.h>

#include <glib/gstdio.h>

#define N_SPECIAL 3

static const gchar *const special_tokens[N_SPECIAL] = {
  "<|endoftext|>", "<|im_start|>", "<|im_end|>"
};

/* In the byte alphabet of GPT-2, where a space is written as U+0120. */
static const gchar *const merges[] = {
  "Ġ t", "h e", "i n", "e r", "a n", "Ġ a", "o n", "r e", "Ġ w", "o r",
  "e n", "o u", "Ġ s", "Ġt he", "i s", "Ġ h", "i t", "Ġ o", "a t", "Ġo f",
  "n d", "Ġa nd", "in g", "e s", "Ġ b", "Ġ c", "a l", "l l", "Ġt o", "o t",
  "Ġ m", "Ġ f", "e d", "Ġ p", "l e", "Ġ n", "a r", "Ġ in", "b e", "Ġ be",
  "o w", "Ġ d", "Ġ re", "h at", "Ġt hat", "v e", "Ġ l", "Ġ is", "r o",
  "Ġ y",
  "Ġy ou", "i c", "Ġ it", "u t", "k e", "H e", "ll o", "He llo", "T he",
  "! !",
  "s t",
};

G_STATIC_ASSERT (ST_TINY_BYTE_TOKEN == N_SPECIAL);
G_STATIC_ASSERT (ST_TINY_VOCAB == N_SPECIAL + 256 + G_N_ELEMENTS (merges));

typedef struct
{
  StGgufWriter *writer;
  const StTinyModelOptions *options;
  guint64 state;                /* of the generator */
  GPtrArray *blobs;             /* tensor bytes, kept until the file is written */
} Builder;

/* splitmix64 (public domain, S. Vigna). */
static guint64
next_random (guint64 * state)
{
  guint64 z = (*state += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15));

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* Nearly normal with unit variance: four 16-bit uniform numbers, summed as integers so that every machine gets the same bits. */
static float
next_normal (guint64 * state)
{
  const guint64 r = next_random (state);
  const gint sum = (gint) (r & 0xffff) + (gint) (r >> 16 & 0xffff)
      + (gint) (r >> 32 & 0xffff) + (gint) (r >> 48);

  return (float) (sum - 2 * 65535) * (1.7320508f / 65536.0f);
}

/* Adds a tensor and takes @values. */
static gboolean
add (Builder * b, const gchar * name, StType type, guint64 cols, guint64 rows,
    float *values, GError ** error)
{
  const guint64 ne[] = { cols, rows };
  gpointer data = values;

  if (type != ST_TYPE_F32) {
    data = g_malloc (st_type_row_bytes (type, cols * rows));
    st_type_from_float (type, values, data, cols * rows);
    g_free (values);
  }
  g_ptr_array_add (b->blobs, data);
  return st_gguf_writer_add_tensor (b->writer, name, type, rows > 1 ? 2 : 1, ne,
      data, error);
}

static float *
random_values (Builder * b, gsize n, float mean, float deviation)
{
  float *values = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    values[i] = mean + deviation * next_normal (&b->state);
  return values;
}

static gboolean
add_matrix (Builder * b, guint block, const gchar * name, gsize cols,
    gsize rows, float deviation, GError ** error)
{
  g_autofree gchar *full = g_strdup_printf ("blk.%u.%s.weight", block, name);

  return add (b, full, b->options->type, cols, rows,
      random_values (b, cols * rows, 0.0f, deviation), error);
}

static gboolean
add_vector (Builder * b, const gchar * name, gsize n, float mean,
    GError ** error)
{
  return add (b, name, ST_TYPE_F32, n, 1, random_values (b, n, mean, 0.1f),
      error);
}

static gboolean
add_norm (Builder * b, const gchar * name, GError ** error)
{
  return add_vector (b, name, ST_TINY_HIDDEN, 1.0f, error);
}

static gboolean
add_bias (Builder * b, guint block, const gchar * name, gsize n,
    GError ** error)
{
  g_autofree gchar *full = g_strdup_printf ("blk.%u.%s.bias", block, name);

  return add_vector (b, full, n, 0.0f, error);
}

/* What GPT-2 has, beside the norms' weights. */
static gboolean
add_gpt2_block (Builder * b, guint block, GError ** error)
{
  const gsize d = ST_TINY_HIDDEN, ff = ST_TINY_FF;
  const float keep = 0.125f, sharp = 0.25f;

  return add_bias (b, block, "attn_norm", d, error)
      && add_bias (b, block, "ffn_norm", d, error)
      && add_matrix (b, block, "attn_qkv", d, 3 * d, sharp, error)
      && add_bias (b, block, "attn_qkv", 3 * d, error)
      && add_matrix (b, block, "attn_output", d, d, sharp, error)
      && add_bias (b, block, "attn_output", d, error)
      && add_matrix (b, block, "ffn_up", d, ff, keep, error)
      && add_bias (b, block, "ffn_up", ff, error)
      && add_matrix (b, block, "ffn_down", ff, d, keep, error)
      && add_bias (b, block, "ffn_down", d, error);
}

static gboolean
add_block (Builder * b, guint block, GError ** error)
{
  g_autofree gchar *attn_norm = g_strdup_printf ("blk.%u.attn_norm.weight",
      block);
  g_autofree gchar *ffn_norm = g_strdup_printf ("blk.%u.ffn_norm.weight",
      block);
  const gsize d = ST_TINY_HIDDEN, ff = ST_TINY_FF;
  const gsize kv = (gsize) ST_TINY_KV_HEADS * ST_TINY_HEAD_DIM;
  /* 1 / sqrt (64) keeps the variance. Twice that in the attention makes it look at few positions, so that generated text varies. */
  const float keep = 0.125f, sharp = 0.25f;

  if (b->options->gpt2)
    return add_norm (b, attn_norm, error) && add_norm (b, ffn_norm, error)
        && add_gpt2_block (b, block, error);
  return add_norm (b, attn_norm, error)
      && add_matrix (b, block, "attn_q", d, d, sharp, error)
      && add_matrix (b, block, "attn_k", d, kv, sharp, error)
      && add_matrix (b, block, "attn_v", d, kv, sharp, error)
      && add_matrix (b, block, "attn_output", d, d, sharp, error)
      && add_norm (b, ffn_norm, error)
      && add_matrix (b, block, "ffn_gate", d, ff, keep, error)
      && add_matrix (b, block, "ffn_up", d, ff, keep, error)
      && add_matrix (b, block, "ffn_down", ff, d, keep, error);
}

/* Whether greedy generation may give token @id: printable ASCII, newline, merged pieces. */
static gboolean
may_be_generated (const Builder * b, guint id)
{
  const guint byte = id - ST_TINY_BYTE_TOKEN;

  if (id < N_SPECIAL)
    return id == N_SPECIAL - 1 && b->options->ends;
  return byte >= 256 || byte == '\n' || (byte >= 32 && byte < 127);
}

/* Tokens that are not to be generated get rows near zero: as input they are normalised like any other, as output they score low. */
static gboolean
add_vocabulary (Builder * b, const gchar * name, GError ** error)
{
  const gsize d = ST_TINY_HIDDEN;
  float *values = random_values (b, ST_TINY_VOCAB * d, 0.0f, 0.1f);

  for (guint id = 0; id < ST_TINY_VOCAB; id++) {
    for (gsize i = 0; !may_be_generated (b, id) && i < d; i++)
      values[id * d + i] *= 0.0625f;
  }
  return add (b, name, b->options->type, d, ST_TINY_VOCAB, values, error);
}

/* The printable character that stands for @byte in GPT-2's alphabet. */
static gunichar
byte_character (guint byte)
{
  guint n = 0;

  if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172)
      || byte >= 174)
    return byte;
  for (guint i = 0; i < byte; i++)
    n += !((i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174);
  return 256 + n;
}

static void
set_tokenizer (StGgufWriter * w)
{
  g_autoptr (GPtrArray) tokens = g_ptr_array_new_with_free_func (g_free);
  gint32 types[ST_TINY_VOCAB];

  for (guint i = 0; i < N_SPECIAL; i++)
    g_ptr_array_add (tokens, g_strdup (special_tokens[i]));
  for (guint byte = 0; byte < 256; byte++) {
    gchar utf8[7] = { 0 };
    g_unichar_to_utf8 (byte_character (byte), utf8);
    g_ptr_array_add (tokens, g_strdup (utf8));
  }
  for (guint i = 0; i < G_N_ELEMENTS (merges); i++) {
    g_auto (GStrv) halves = g_strsplit (merges[i], " ", 2);
    g_ptr_array_add (tokens, g_strconcat (halves[0], halves[1], NULL));
  }
  for (guint i = 0; i < ST_TINY_VOCAB; i++)
    types[i] = i < N_SPECIAL ? 3 : 1;   /* control, normal */
  st_gguf_writer_set_string (w, "tokenizer.ggml.model", "gpt2");
  st_gguf_writer_set_string (w, "tokenizer.ggml.pre", "smollm");
  st_gguf_writer_set_strings (w, "tokenizer.ggml.tokens",
      (const gchar * const *) tokens->pdata, tokens->len);
  st_gguf_writer_set_array (w, "tokenizer.ggml.token_type", ST_GGUF_INT32,
      types, ST_TINY_VOCAB);
  st_gguf_writer_set_strings (w, "tokenizer.ggml.merges", merges,
      G_N_ELEMENTS (merges));
  st_gguf_writer_set_uint32 (w, "tokenizer.ggml.bos_token_id", 1);
  st_gguf_writer_set_uint32 (w, "tokenizer.ggml.eos_token_id", 2);
  st_gguf_writer_set_uint32 (w, "tokenizer.ggml.unknown_token_id", 0);
  st_gguf_writer_set_uint32 (w, "tokenizer.ggml.padding_token_id", 2);
  st_gguf_writer_set_bool (w, "tokenizer.ggml.add_bos_token", FALSE);
  st_gguf_writer_set_string (w, "tokenizer.chat_template",
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' "
      "+ message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
      "{% endif %}");
}

static void
set_architecture (StGgufWriter * w)
{
  st_gguf_writer_set_string (w, "general.architecture", "llama");
  st_gguf_writer_set_string (w, "general.name", "Tiny test llama");
  st_gguf_writer_set_uint32 (w, "llama.block_count", ST_TINY_BLOCKS);
  st_gguf_writer_set_uint32 (w, "llama.context_length", ST_TINY_CONTEXT);
  st_gguf_writer_set_uint32 (w, "llama.embedding_length", ST_TINY_HIDDEN);
  st_gguf_writer_set_uint32 (w, "llama.feed_forward_length", ST_TINY_FF);
  st_gguf_writer_set_uint32 (w, "llama.attention.head_count", ST_TINY_HEADS);
  st_gguf_writer_set_uint32 (w, "llama.attention.head_count_kv",
      ST_TINY_KV_HEADS);
  st_gguf_writer_set_uint32 (w, "llama.rope.dimension_count", ST_TINY_HEAD_DIM);
  st_gguf_writer_set_float (w, "llama.rope.freq_base", 10000.0f);
  st_gguf_writer_set_float (w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
  st_gguf_writer_set_uint32 (w, "llama.vocab_size", ST_TINY_VOCAB);
}

static void
set_gpt2_architecture (StGgufWriter * w)
{
  st_gguf_writer_set_string (w, "general.architecture", "gpt2");
  st_gguf_writer_set_string (w, "general.name", "Tiny test GPT-2");
  st_gguf_writer_set_uint32 (w, "gpt2.block_count", ST_TINY_BLOCKS);
  st_gguf_writer_set_uint32 (w, "gpt2.context_length", ST_TINY_POSITIONS);
  st_gguf_writer_set_uint32 (w, "gpt2.embedding_length", ST_TINY_HIDDEN);
  st_gguf_writer_set_uint32 (w, "gpt2.feed_forward_length", ST_TINY_FF);
  st_gguf_writer_set_uint32 (w, "gpt2.attention.head_count", ST_TINY_HEADS);
  st_gguf_writer_set_float (w, "gpt2.attention.layer_norm_epsilon", 1e-5f);
}

/* What only GPT-2 has outside of the blocks. */
static gboolean
add_gpt2_ends (Builder * b, GError ** error)
{
  return add (b, "position_embd.weight", ST_TYPE_F32, ST_TINY_HIDDEN,
      ST_TINY_POSITIONS, random_values (b,
          (gsize) ST_TINY_POSITIONS * ST_TINY_HIDDEN, 0.0f, 0.1f), error)
      && add_vector (b, "output_norm.bias", ST_TINY_HIDDEN, 0.0f, error);
}

static gboolean
build (Builder * b, GError ** error)
{
  const StType type = b->options->type;

  if (type != ST_TYPE_F32 && type != ST_TYPE_F16 && type != ST_TYPE_Q8_0) {
    g_set_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_UNSUPPORTED,
        "the tiny model is written as F32, F16 or Q8_0 only");
    return FALSE;
  }
  if (b->options->gpt2)
    set_gpt2_architecture (b->writer);
  else
    set_architecture (b->writer);
  if (b->options->name != NULL)
    st_gguf_writer_set_string (b->writer, "general.name", b->options->name);
  set_tokenizer (b->writer);
  if (!add_vocabulary (b, "token_embd.weight", error))
    return FALSE;
  for (guint i = 0; i < ST_TINY_BLOCKS; i++) {
    if (!add_block (b, i, error))
      return FALSE;
  }
  return add_norm (b, "output_norm.weight", error)
      && (!b->options->gpt2 || add_gpt2_ends (b, error))
      && (!b->options->untied || add_vocabulary (b, "output.weight", error));
}

gboolean
st_tiny_model_write (const gchar * path, const StTinyModelOptions * options,
    GError ** error)
{
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GPtrArray) blobs = g_ptr_array_new_with_free_func (g_free);
  Builder b = { writer, options, options->seed, blobs };

  return build (&b, error) && st_gguf_writer_write (writer, path, error);
}

gchar *
st_tiny_model_temp (const StTinyModelOptions * options)
{
  const StTinyModelOptions usual = { 0 };
  g_autoptr (GError) error = NULL;
  gchar *path = NULL;
  int fd = g_file_open_tmp ("tiny-XXXXXX.gguf", &path, &error);

  if (fd < 0)
    g_error ("no temporary file: %s", error->message);
  close (fd);
  if (!st_tiny_model_write (path, options ? options : &usual, &error))
    g_error ("no tiny model: %s", error->message);
  return path;
}
