/* Tokenizer: what is read from a file, and what is refused. */
#include "models/tokenizer/tokenizer.h"
#include <string.h>
#include "tests/support/test-vocab.h"

static const gchar *const merges[] = {
  "Ġ t", "h e", "a b", "ab a", "a a", "Ġt he", "b a", "aa aa", "1 2", NULL
};

static void
test_eog (void)
{
  static const gchar *const specials[] = { "<|eot_id|>", "<x>", "<y>", NULL };
  static const gint32 types[] = { 1, 3, 3 };
  static const StTestVocab vocab = {.specials = specials,
    .special_types = types,.pre = "llama-bpe"
  };
  g_autoptr (StGgufWriter) writer = st_test_vocab_writer (&vocab);
  g_autoptr (StGguf) gguf = NULL;
  g_autoptr (StTokenizer) tokenizer = NULL;
  g_autoptr (GError) error = NULL;

  st_gguf_writer_set_uint32 (writer, "tokenizer.ggml.bos_token_id", 5);
  st_gguf_writer_set_uint32 (writer, "tokenizer.ggml.eos_token_id", 257);
  gguf = st_test_vocab_open (writer);
  tokenizer = st_tokenizer_new (gguf, &error);
  g_assert_no_error (error);
  g_assert_cmpint (st_tokenizer_bos (tokenizer), ==, 5);
  g_assert_cmpint (st_tokenizer_eos (tokenizer), ==, 257);
  g_assert_true (st_tokenizer_add_bos (tokenizer));
  g_assert_true (st_tokenizer_is_eog (tokenizer, 256));
  g_assert_true (st_tokenizer_is_control (tokenizer, 256));
  g_assert_true (st_tokenizer_is_eog (tokenizer, 257));
  g_assert_false (st_tokenizer_is_eog (tokenizer, 258));
  g_assert_false (st_tokenizer_is_eog (tokenizer, -1));
}

/* Whatever changes the ids of a text changes the id of the tokenizer. */
static void
test_id (void)
{
  static const gchar *const swapped[] = { "h e", "Ġ t", "a b", "ab a", "a a",
    "Ġt he", "b a", "aa aa", "1 2", NULL
  };
  static const gchar *const specials[] = { "<x>", NULL };
  static const gint32 user[] = { 4 };
  static const StTestVocab vocabs[] = {
    {.merges = merges}, {.merges = merges,.pre = "qwen2"},
    {.merges = swapped}, {.merges = NULL},
    {.merges = merges,.specials = specials},
    {.merges = merges,.specials = specials,.special_types = user},
  };
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal,
      g_free, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (vocabs); i++) {
    g_autoptr (StTokenizer) a = st_test_tokenizer (&vocabs[i]);
    g_autoptr (StTokenizer) b = st_test_tokenizer (&vocabs[i]);

    g_assert_cmpstr (st_tokenizer_id (a), ==, st_tokenizer_id (b));
    g_assert_cmpuint (strlen (st_tokenizer_id (a)), ==, 64);
    g_assert_true (g_hash_table_add (seen, g_strdup (st_tokenizer_id (a))));
  }
}

static void
assert_refused (StGgufWriter * writer, const gchar * word)
{
  g_autoptr (StGguf) gguf = st_test_vocab_open (writer);
  g_autoptr (GError) error = NULL;
  g_autoptr (StTokenizer) tokenizer = st_tokenizer_new (gguf, &error);

  g_assert_null (tokenizer);
  g_assert_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_MODEL);
  g_assert_nonnull (strstr (error->message, word));
}

static StGgufWriter *
usual_writer (void)
{
  static const StTestVocab vocab = {.merges = merges };

  return st_test_vocab_writer (&vocab);
}

static void
test_bad_strings (void)
{
  static const gchar *const twins[] = { "a", "b", "a" };
  static const gchar *const no_pair[] = { "ab" };
  static const gchar *const unknown[] = { "a zz" };
  static const gchar *const no_product[] = { "q q" };
  static const struct
  {
    const gchar *key;
    const gchar *value;
    const gchar *const *values;
    guint n;
    const gchar *word;
  } cases[] = {
    {"tokenizer.ggml.model", "llama", NULL, 0, "'llama'"},
    {"tokenizer.ggml.pre", "no-such", NULL, 0, "'no-such'"},
    {"tokenizer.ggml.tokens", "x", NULL, 0, "no vocabulary"},
    {"tokenizer.ggml.tokens", NULL, twins, 3, "tokens 0 and 2"},
    {"tokenizer.ggml.merges", NULL, no_pair, 1, "merge 0"},
    {"tokenizer.ggml.merges", NULL, unknown, 1, "merge 0"},
    {"tokenizer.ggml.merges", NULL, no_product, 1, "merge 0"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (StGgufWriter) writer = usual_writer ();

    if (cases[i].value)
      st_gguf_writer_set_string (writer, cases[i].key, cases[i].value);
    else
      st_gguf_writer_set_strings (writer, cases[i].key, cases[i].values,
          cases[i].n);
    assert_refused (writer, cases[i].word);
  }
}

static void
test_bad_numbers (void)
{
  static const gint32 types[] = { 1, 1, 1 };
  static const gint32 integers[265] = { 0 };
  static const gchar *const absent[][2] = {
    {"tokenizer.ggml.model", "(absent)"},
    {"tokenizer.ggml.tokens", "no vocabulary"},
  };
  static const gchar *const ids[] = { "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"
  };

  for (guint i = 0; i < G_N_ELEMENTS (absent); i++) {
    g_autoptr (StGgufWriter) writer = usual_writer ();

    st_gguf_writer_remove_prefix (writer, absent[i][0]);
    assert_refused (writer, absent[i][1]);
  }
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++) {
    g_autoptr (StGgufWriter) writer = usual_writer ();

    st_gguf_writer_set_uint32 (writer, ids[i], 265);
    assert_refused (writer, "265");
  }
  for (guint i = 0; i < 2; i++) {
    g_autoptr (StGgufWriter) writer = usual_writer ();

    if (i == 0)
      st_gguf_writer_set_array (writer, "tokenizer.ggml.token_type",
          ST_GGUF_INT32, types, G_N_ELEMENTS (types));
    else
      st_gguf_writer_set_array (writer, "tokenizer.ggml.tokens",
          ST_GGUF_INT32, integers, G_N_ELEMENTS (integers));
    assert_refused (writer, i == 0 ? "token_type" : "no vocabulary");
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tokenizer-file/eog", test_eog);
  g_test_add_func ("/tokenizer-file/id", test_id);
  g_test_add_func ("/tokenizer-file/bad-strings", test_bad_strings);
  g_test_add_func ("/tokenizer-file/bad-numbers", test_bad_numbers);
  return g_test_run ();
}
