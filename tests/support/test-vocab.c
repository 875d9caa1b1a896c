/* A small vocabulary, written as a GGUF file without tensors. */
#include "tests/support/test-vocab.h"

#include <unistd.h>

#include <glib/gstdio.h>

/* GPT-2's bytes_to_unicode. */
static void
add_bytes (GPtrArray * tokens)
{
  gunichar hidden = 0x100;

  for (gunichar byte = 0; byte < 256; byte++) {
    gboolean visible = (byte >= '!' && byte <= '~') || (byte >= 0xa1
        && byte <= 0xac) || byte >= 0xae;
    gchar utf8[7] = { 0 };

    g_unichar_to_utf8 (visible ? byte : hidden++, utf8);
    g_ptr_array_add (tokens, g_strdup (utf8));
  }
}

static void
add_merges (GPtrArray * tokens, const gchar * const *merges)
{
  for (; merges && *merges; merges++) {
    g_auto (GStrv) halves = g_strsplit (*merges, " ", 2);

    g_ptr_array_add (tokens, g_strconcat (halves[0], halves[1], NULL));
  }
}

StGgufWriter *
st_test_vocab_writer (const StTestVocab * vocab)
{
  StGgufWriter *writer = st_gguf_writer_new ();
  g_autoptr (GPtrArray) tokens = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GArray) types = g_array_new (FALSE, FALSE, sizeof (gint32));
  guint n_merges = vocab->merges ? g_strv_length ((gchar **) vocab->merges) : 0;

  add_bytes (tokens);
  add_merges (tokens, vocab->merges);
  for (guint i = 0; i < tokens->len; i++) {
    gint32 normal = 1;
    g_array_append_val (types, normal);
  }
  for (guint i = 0; vocab->specials && vocab->specials[i]; i++) {
    gint32 type = vocab->special_types ? vocab->special_types[i] : 3;

    g_array_append_val (types, type);
    g_ptr_array_add (tokens, g_strdup (vocab->specials[i]));
  }
  st_gguf_writer_set_string (writer, "tokenizer.ggml.model", "gpt2");
  st_gguf_writer_set_string (writer, "tokenizer.ggml.pre",
      vocab->pre ? vocab->pre : "gpt-2");
  st_gguf_writer_set_strings (writer, "tokenizer.ggml.tokens",
      (const gchar * const *) tokens->pdata, tokens->len);
  st_gguf_writer_set_array (writer, "tokenizer.ggml.token_type", ST_GGUF_INT32,
      types->data, types->len);
  if (n_merges > 0)
    st_gguf_writer_set_strings (writer, "tokenizer.ggml.merges", vocab->merges,
        n_merges);
  return writer;
}

StGguf *
st_test_vocab_open (StGgufWriter * writer)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *path = NULL;
  StGguf *gguf;
  gint fd = g_file_open_tmp ("vocab-XXXXXX.gguf", &path, &error);

  g_assert_no_error (error);
  close (fd);
  st_gguf_writer_write (writer, path, &error);
  g_assert_no_error (error);
  gguf = st_gguf_open (path, &error);
  g_assert_no_error (error);
  g_unlink (path);
  return gguf;
}

StTokenizer *
st_test_tokenizer (const StTestVocab * vocab)
{
  g_autoptr (StGgufWriter) writer = st_test_vocab_writer (vocab);
  g_autoptr (StGguf) gguf = st_test_vocab_open (writer);
  g_autoptr (GError) error = NULL;
  StTokenizer *tokenizer = st_tokenizer_new (gguf, &error);

  g_assert_no_error (error);
  return tokenizer;
}
