/* Tokenizer: SmolLM2's vocabulary against independent implementations, a small one against a plain merge loop. */
#include "models/tokenizer/tokenizer.h"
#include <string.h>
#include <glib/gstdio.h>
#include "models/tokenizer/split.h"
#include "tests/support/test-model.h"
#include "tests/support/test-vocab.h"
#include "tests/support/tiny-model.h"
#include "tests/support/tokenizer-cases.h"

static const gchar *const merges[] = {
  "Ġ t", "h e", "a b", "ab a", "a a", "Ġt he", "b a", "aa aa", "1 2", NULL
};

static const gchar *const plain_merges[] = {
  "a b", "b a", "ab a", "a a", "ba b", "aa b", "ab ab", "c c", "cc c",
  "aab ab", "Ġ a", "Ġa b", "Ġ Ġ", "ĠĠ ĠĠ", "b c", "Ġab c", "ccc a",
  NULL
};

static GArray *
encode (StTokenizer * tokenizer, const gchar * text, gsize len,
    gboolean parse_special)
{
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GError) error = NULL;
  gboolean ok = st_tokenizer_encode (tokenizer, text, len, parse_special, ids,
      &error);

  g_assert_no_error (error);
  g_assert_true (ok);
  return ids;
}

/* Ids as "1 2 3". */
static void
assert_ids (StTokenizer * tokenizer, const gchar * text,
    gboolean parse_special, const gchar * expected)
{
  g_autoptr (GArray) ids = encode (tokenizer, text, strlen (text),
      parse_special);
  g_autoptr (GString) shown = g_string_new (NULL);

  for (guint i = 0; i < ids->len; i++)
    g_string_append_printf (shown, "%s%d", i ? " " : "",
        g_array_index (ids, gint32, i));
  g_assert_cmpstr (shown->str, ==, expected);
}

/* The pieces behind one another are the text. */
static void
assert_pieces (const StTokenizer * tokenizer, const GArray * ids,
    const gchar * text, gsize text_len)
{
  g_autoptr (GString) joined = g_string_new (NULL);

  for (guint i = 0; i < ids->len; i++) {
    gsize len;
    const gchar *piece = st_tokenizer_piece (tokenizer, g_array_index (ids,
            gint32, i), &len);

    g_assert_nonnull (piece);
    g_string_append_len (joined, piece, (gssize) len);
  }
  g_assert_cmpmem (joined->str, joined->len, text, text_len);
}

static StTokenizer *
open_real (void)
{
  g_autofree gchar *path = st_test_model_path ();
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = NULL;
  StTokenizer *tokenizer;

  if (path == NULL) {
    g_test_skip ("no model (ST_TEST_MODEL, or .cache in the source tree)");
    return NULL;
  }
  gguf = st_gguf_open (path, &error);
  g_assert_no_error (error);
  tokenizer = st_tokenizer_new (gguf, &error);
  g_assert_no_error (error);
  return tokenizer;
}

/* Among them the reference's case with a NUL: SmolLM2's vocabulary has a token for that byte (190), so it is encoded like any
 * other byte, and llama.cpp, given the text in a file, does the same. */
static void
test_real_cases (void)
{
  g_autoptr (StTokenizer) tokenizer = open_real ();

  for (gsize i = 0; tokenizer && i < st_tokenizer_n_cases; i++) {
    const StTokenizerCase *c = &st_tokenizer_cases[i];
    g_autoptr (GArray) ids = encode (tokenizer, c->text, c->len,
        c->parse_special);

    if (ids->len != c->n_ids
        || memcmp (ids->data, c->ids, c->n_ids * sizeof (gint32)) != 0)
      g_test_message ("case %" G_GSIZE_FORMAT ": %s", i, c->text);
    g_assert_cmpmem (ids->data, ids->len * sizeof (gint32), c->ids,
        c->n_ids * sizeof (gint32));
  }
}

/* Bytes that SmolLM2's vocabulary lacks and that UTF-8 text can hold. */
static gboolean
has_missing_byte (const gchar * text, gsize len)
{
  static const gchar missing[] = "\x04\x06\x13\x14\x16\x1d\xf1\xf2";

  for (gsize i = 0; i < len; i++) {
    if (memchr (missing, text[i], sizeof (missing) - 1))
      return TRUE;
  }
  return FALSE;
}

static void
test_real_round_trip (void)
{
  g_autoptr (StTokenizer) tokenizer = open_real ();

  for (gsize i = 0; tokenizer && i < st_tokenizer_n_cases; i++) {
    const StTokenizerCase *c = &st_tokenizer_cases[i];
    g_autoptr (GArray) typed = encode (tokenizer, c->text, c->len, FALSE);
    g_autoptr (GArray) parsed = encode (tokenizer, c->text, c->len, TRUE);

    if (has_missing_byte (c->text, c->len))
      continue;
    assert_pieces (tokenizer, typed, c->text, c->len);
    assert_pieces (tokenizer, parsed, c->text, c->len);
    for (guint j = 0; j < typed->len; j++)
      g_assert_false (st_tokenizer_is_control (tokenizer, g_array_index (typed,
                  gint32, j)));
  }
}

static void
test_real_properties (void)
{
  g_autoptr (StTokenizer) tokenizer = open_real ();

  if (tokenizer == NULL)
    return;
  g_assert_cmpuint (st_tokenizer_vocab_size (tokenizer), ==, 49152);
  g_assert_cmpint (st_tokenizer_bos (tokenizer), ==, 1);
  g_assert_cmpint (st_tokenizer_eos (tokenizer), ==, 2);
  g_assert_false (st_tokenizer_add_bos (tokenizer));
  g_assert_true (st_tokenizer_is_eog (tokenizer, 2));
  g_assert_true (st_tokenizer_is_eog (tokenizer, 0));
  g_assert_false (st_tokenizer_is_eog (tokenizer, 1));
  g_assert_cmpint (st_tokenizer_find (tokenizer, "<|im_end|>"), ==, 2);
  g_assert_cmpstr (st_tokenizer_id (tokenizer), ==,
      "e1037571bcea50c36c3c702eacc5ffc18019a8e7c69c2afdcb2a350ba5bd4929");
}

static void
test_small (void)
{
  static const StTestVocab vocab = {.merges = merges };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);

  assert_ids (tokenizer, "", FALSE, "");
  assert_ids (tokenizer, "z", FALSE, "122");
  assert_ids (tokenizer, "é", FALSE, "195 169");
  assert_ids (tokenizer, " the", FALSE, "261");
  assert_ids (tokenizer, "the", FALSE, "116 257");
  /* ab comes before aa: a ab a a, then a aba a. */
  assert_ids (tokenizer, "aabaa", FALSE, "97 259 97");
  assert_ids (tokenizer, "aaaa", FALSE, "263");
  assert_ids (tokenizer, "aaa", FALSE, "260 97");
  assert_ids (tokenizer, "ba", FALSE, "262");
  /* Words are never merged with one another, nor do single digits merge for SmolLM. */
  assert_ids (tokenizer, "12", FALSE, "264");
  assert_ids (tokenizer, "a,a", FALSE, "97 44 97");
}

static void
test_single_digits (void)
{
  static const StTestVocab vocab = {.merges = merges,.pre = "smollm" };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);

  assert_ids (tokenizer, "12", FALSE, "49 50");
}

/* Merges the best pair, leftmost first, until there is none: quadratic and plain. */
static void
plain_word (StTokenizer * tokenizer, const gchar * word, gsize len,
    GArray * ids)
{
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func (g_free);
  guint best_at = 0;

  for (gsize i = 0; i < len; i++)
    g_ptr_array_add (parts, word[i] == ' ' ? g_strdup ("Ġ")
        : g_strndup (word + i, 1));
  while (best_at != G_MAXUINT) {
    guint best = G_MAXUINT;
    gchar *joined;

    best_at = G_MAXUINT;
    for (guint i = 0; i + 1 < parts->len; i++) {
      g_autofree gchar *pair = g_strconcat (parts->pdata[i], " ",
          parts->pdata[i + 1], NULL);

      for (guint rank = 0; rank < best && plain_merges[rank]; rank++) {
        if (strcmp (plain_merges[rank], pair) == 0) {
          best = rank;
          best_at = i;
        }
      }
    }
    if (best_at == G_MAXUINT)
      break;
    joined = g_strconcat (parts->pdata[best_at], parts->pdata[best_at + 1],
        NULL);
    g_ptr_array_remove_index (parts, best_at + 1);
    g_free (parts->pdata[best_at]);
    parts->pdata[best_at] = joined;
  }
  for (guint i = 0; i < parts->len; i++) {
    gint32 id = st_tokenizer_find (tokenizer, parts->pdata[i]);

    g_array_append_val (ids, id);
  }
}

static void
test_against_plain_merging (void)
{
  static const StTestVocab vocab = {.merges = plain_merges };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);

  for (guint round = 0; round < 3000; round++) {
    gchar text[60] = { 0 };
    gsize len = (gsize) g_rand_int_range (rand, 1, sizeof (text));
    g_autoptr (GArray) expected = g_array_new (FALSE, FALSE, sizeof (gint32));
    g_autoptr (GArray) ids = NULL;

    for (gsize i = 0; i < len; i++)
      text[i] = "aaabbbccc "[g_rand_int_range (rand, 0, round % 2 ? 10 : 9)];
    for (gsize at = 0; at < len;) {
      gsize n = st_split_next (ST_SPLIT_GPT2, text + at, len - at);

      plain_word (tokenizer, text + at, n, expected);
      at += n;
    }
    ids = encode (tokenizer, text, len, FALSE);
    g_assert_cmpmem (ids->data, ids->len * sizeof (gint32), expected->data,
        expected->len * sizeof (gint32));
  }
}

static void
test_special (void)
{
  static const gchar *const specials[] = { "<s>", "<s>x", "[user]", "<unk>",
    "<hole>", NULL
  };
  static const gint32 types[] = { 3, 3, 4, 2, 5 };
  static const StTestVocab vocab = {.specials = specials,
    .special_types = types
  };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);

  assert_ids (tokenizer, "a<s>b", TRUE, "97 256 98");
  assert_ids (tokenizer, "a<s>b", FALSE, "97 60 115 62 98");
  assert_ids (tokenizer, "<s><s>", TRUE, "256 256");
  /* The longest, user-defined ones always, unused ones never. */
  assert_ids (tokenizer, "<s>xy<s>", TRUE, "257 121 256");
  assert_ids (tokenizer, "a[user]b", FALSE, "97 258 98");
  assert_ids (tokenizer, "a[user]b", TRUE, "97 258 98");
  assert_ids (tokenizer, "<unk>", TRUE, "259");
  assert_ids (tokenizer, "<unk>", FALSE, "60 117 110 107 62");
  assert_ids (tokenizer, "<hole>", TRUE, "60 104 111 108 101 62");
  assert_ids (tokenizer, "<s", TRUE, "60 115");
  g_assert_true (st_tokenizer_is_control (tokenizer, 256));
  g_assert_true (st_tokenizer_is_control (tokenizer, 259));
  g_assert_false (st_tokenizer_is_control (tokenizer, 258));
  g_assert_false (st_tokenizer_is_control (tokenizer, 97));
  g_assert_false (st_tokenizer_is_control (tokenizer, -1));
  g_assert_false (st_tokenizer_is_control (tokenizer, 100000));
}

/* Llama 3's way: a whole word that is a token is taken, though no merges lead to it. */
static void
test_ignore_merges (void)
{
  static const gchar *const specials[] = { "Ġhi", NULL };
  static const gint32 types[] = { 1 };
  static const StTestVocab llama = {.specials = specials,
    .special_types = types,.pre = "llama-bpe"
  };
  static const StTestVocab qwen = {.specials = specials,
    .special_types = types,.pre = "qwen2"
  };
  g_autoptr (StTokenizer) with = st_test_tokenizer (&llama);
  g_autoptr (StTokenizer) without = st_test_tokenizer (&qwen);

  assert_ids (with, "hi hi", FALSE, "104 105 256");
  assert_ids (without, "hi hi", FALSE, "104 105 32 104 105");
}

static void
test_missing_bytes (void)
{
  static const gchar *const tokens[] = { "a", "b", "ab", NULL };
  static const gchar *const pairs[] = { "a b", NULL };
  static const StTestVocab vocab = { 0 };
  g_autoptr (StGgufWriter) writer = st_test_vocab_writer (&vocab);
  g_autoptr (StGguf) gguf = NULL;
  g_autoptr (StTokenizer) tokenizer = NULL;
  g_autoptr (GError) error = NULL;

  st_gguf_writer_remove_prefix (writer, "tokenizer.ggml.token_type");
  st_gguf_writer_set_strings (writer, "tokenizer.ggml.tokens", tokens, 3);
  st_gguf_writer_set_strings (writer, "tokenizer.ggml.merges", pairs, 1);
  gguf = st_test_vocab_open (writer);
  tokenizer = st_tokenizer_new (gguf, &error);
  g_assert_no_error (error);
  assert_ids (tokenizer, "abcab", FALSE, "2 2");
  assert_ids (tokenizer, "acb", FALSE, "0 1");
  assert_ids (tokenizer, "xyz", FALSE, "");
}

static void
test_nul (void)
{
  static const StTestVocab vocab = { 0 };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);
  g_autoptr (GArray) ids = encode (tokenizer, "a\0é\0", 5, TRUE);
  const gint32 expected[] = { 'a', 0, 0xc3, 0xa9, 0 };

  g_assert_cmpmem (ids->data, ids->len * sizeof (gint32), expected,
      sizeof (expected));
}

static void
test_not_utf8 (void)
{
  static const struct
  {
    const gchar *text;
    gsize len;
    const gchar *at;
  } cases[] = {
    {"\xff", 1, "byte 0"}, {"abc\x80", 4, "byte 3"}, {"a\xc3", 2, "byte 1"},
    {"\xed\xa0\x80", 3, "byte 0"}, {"a\0\xc0\x80", 4, "byte 2"},
    {"\xf4\x90\x80\x80", 4, "byte 0"}, {"\xc3\0", 2, "byte 0"},
    {"é\xe2\x82", 4, "byte 2"},
  };
  static const StTestVocab vocab = { 0 };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);
  g_autoptr (GArray) ids = encode (tokenizer, "a", 1, FALSE);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (st_tokenizer_encode (tokenizer, cases[i].text,
            cases[i].len, FALSE, ids, &error));
    g_assert_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_TEXT);
    g_assert_nonnull (strstr (error->message, cases[i].at));
    g_assert_cmpuint (ids->len, ==, 1);
  }
}

/* One word of a million bytes, which a merge loop without a heap would not finish. */
static void
test_long_words (void)
{
  static const StTestVocab vocab = {.merges = merges };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);
  const gsize n = 1 << 20;
  g_autofree gchar *text = g_malloc (n);
  g_autoptr (GArray) letters = NULL, spaces = NULL;

  memset (text, 'a', n);
  letters = encode (tokenizer, text, n, FALSE);
  g_assert_cmpuint (letters->len, ==, n / 4);
  memset (text, ' ', n);
  spaces = encode (tokenizer, text, n, FALSE);
  g_assert_cmpuint (spaces->len, ==, n);
}

static void
test_pieces (void)
{
  static const StTestVocab vocab = {.merges = merges };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);
  gsize len;
  const gchar *piece = st_tokenizer_piece (tokenizer, 261, &len);

  g_assert_cmpmem (piece, len, " the", 4);
  for (gint32 byte = 0; byte < 256; byte++) {
    const gchar c = (gchar) byte;

    piece = st_tokenizer_piece (tokenizer, byte, &len);
    g_assert_cmpmem (piece, len, &c, 1);
  }
  g_assert_null (st_tokenizer_piece (tokenizer, -1, &len));
  g_assert_null (st_tokenizer_piece (tokenizer, 265, &len));
  g_assert_cmpint (st_tokenizer_find (tokenizer, "Ġthe"), ==, 261);
  g_assert_cmpint (st_tokenizer_find (tokenizer, " the"), ==, -1);
  g_assert_cmpint (st_tokenizer_find (tokenizer, ""), ==, -1);
  g_assert_cmpint (st_tokenizer_bos (tokenizer), ==, -1);
  g_assert_false (st_tokenizer_add_bos (tokenizer));
}

static void
test_too_long_word (void)
{
  static const StTestVocab vocab = { 0 };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);
  const gsize n = (1 << 24) + 10;
  g_autofree gchar *text = g_malloc (n);
  g_autoptr (GArray) ids = encode (tokenizer, "a", 1, FALSE);
  g_autoptr (GError) error = NULL;

  memset (text, 'a', n);
  text[3] = ',';
  g_assert_false (st_tokenizer_encode (tokenizer, text, n, FALSE, ids, &error));
  g_assert_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_TEXT);
  g_assert_nonnull (strstr (error->message, "16777222 bytes"));
  g_assert_cmpuint (ids->len, ==, 1);
}

/* The model that tests use where there is no network. */
static void
test_tiny_round_trip (void)
{
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = st_gguf_open (path, &error);
  g_autoptr (StTokenizer) tokenizer = NULL;

  g_unlink (path);
  g_assert_no_error (error);
  tokenizer = st_tokenizer_new (gguf, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < st_tokenizer_n_cases; i++) {
    const StTokenizerCase *c = &st_tokenizer_cases[i];
    g_autoptr (GArray) ids = encode (tokenizer, c->text, c->len, FALSE);

    assert_pieces (tokenizer, ids, c->text, c->len);
  }
}

static gpointer
encode_many (gpointer data)
{
  for (guint i = 0; i < 200; i++)
    assert_ids (data, " the aabaa aaaa", FALSE, "261 32 97 259 97 32 263");
  return NULL;
}

static void
test_threads (void)
{
  static const StTestVocab vocab = {.merges = merges };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("encode", encode_many, tokenizer);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tokenizer/real/cases", test_real_cases);
  g_test_add_func ("/tokenizer/real/round-trip", test_real_round_trip);
  g_test_add_func ("/tokenizer/real/properties", test_real_properties);
  g_test_add_func ("/tokenizer/small", test_small);
  g_test_add_func ("/tokenizer/single-digits", test_single_digits);
  g_test_add_func ("/tokenizer/against-plain-merging",
      test_against_plain_merging);
  g_test_add_func ("/tokenizer/special", test_special);
  g_test_add_func ("/tokenizer/ignore-merges", test_ignore_merges);
  g_test_add_func ("/tokenizer/missing-bytes", test_missing_bytes);
  g_test_add_func ("/tokenizer/nul", test_nul);
  g_test_add_func ("/tokenizer/not-utf8", test_not_utf8);
  g_test_add_func ("/tokenizer/long-words", test_long_words);
  g_test_add_func ("/tokenizer/too-long-word", test_too_long_word);
  g_test_add_func ("/tokenizer/tiny-round-trip", test_tiny_round_trip);
  g_test_add_func ("/tokenizer/pieces", test_pieces);
  g_test_add_func ("/tokenizer/threads", test_threads);
  return g_test_run ();
}
