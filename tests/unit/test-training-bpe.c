/* Vocabularies: the merges of a naive implementation that counts everything anew, and what the tokenizer makes of them. */
#include "codec/training/bpe.h"

#include <string.h>

#include "codec/training/corpus.h"
#include "models/tokenizer/split.h"
#include "tests/support/test-model.h"
#include "tests/support/test-vocab.h"

#define MAX_TOKENS 512

/* ---- the naive implementation: every word of the text, in the text's order ---- */

typedef struct
{
  GPtrArray *words;             /* of GArray of guint */
  GPtrArray *pieces;            /* of gchar: bytes of each token; the text has no NUL */
} Naive;

static void
naive_init (Naive * naive, const gchar * text)
{
  naive->words = g_ptr_array_new_with_free_func ((GDestroyNotify)
      g_array_unref);
  naive->pieces = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (naive->pieces, g_strdup (RD_BPE_FIRST_TOKEN));
  for (guint byte = 0; byte < 256; byte++)
    g_ptr_array_add (naive->pieces, g_strdup_printf ("%c", (gchar) byte));
  while (*text != '\0') {
    const gsize n = st_split_next (ST_SPLIT_SMOLLM, text, strlen (text));
    GArray *word = g_array_new (FALSE, FALSE, sizeof (guint));

    for (gsize i = 0; i < n; i++) {
      const guint id = 1 + (guint8) text[i];

      g_array_append_val (word, id);
    }
    g_ptr_array_add (naive->words, word);
    text += n;
  }
}

static void
naive_clear (Naive * naive)
{
  g_ptr_array_unref (naive->words);
  g_ptr_array_unref (naive->pieces);
}

/* The pair that stands most often anywhere; the first of those in the order of ids. */
static guint
naive_best (const Naive * naive, guint * left, guint * right)
{
  g_autofree guint *counts = g_new0 (guint, MAX_TOKENS * MAX_TOKENS);
  guint best = 0;

  for (guint w = 0; w < naive->words->len; w++) {
    const GArray *word = g_ptr_array_index (naive->words, w);

    for (guint i = 1; i < word->len; i++)
      counts[g_array_index (word, guint, i - 1) * MAX_TOKENS +
          g_array_index (word, guint, i)]++;
  }
  for (guint i = 0; i < MAX_TOKENS * MAX_TOKENS; i++) {
    if (counts[i] > best) {
      best = counts[i];
      *left = i / MAX_TOKENS;
      *right = i % MAX_TOKENS;
    }
  }
  return best;
}

static void
naive_merge (Naive * naive, guint left, guint right)
{
  const guint merged = naive->pieces->len;

  g_ptr_array_add (naive->pieces, g_strconcat (g_ptr_array_index
          (naive->pieces, left), g_ptr_array_index (naive->pieces, right),
          NULL));
  for (guint w = 0; w < naive->words->len; w++) {
    GArray *word = g_ptr_array_index (naive->words, w);

    for (guint i = 0; i + 1 < word->len; i++) {
      if (g_array_index (word, guint, i) != left
          || g_array_index (word, guint, i + 1) != right)
        continue;
      g_array_index (word, guint, i) = merged;
      g_array_remove_index (word, i + 1);
    }
  }
}

/* ---- comparisons ---- */

static RdBpe *
learn (const gchar * text, gsize len, guint n_tokens)
{
  RdBpe *bpe = rd_bpe_new ();
  g_autoptr (GError) error = NULL;

  rd_bpe_add (bpe, text, len, &error);
  g_assert_no_error (error);
  rd_bpe_learn (bpe, n_tokens, &error);
  g_assert_no_error (error);
  return bpe;
}

static StTokenizer *
make_tokenizer (const RdBpe * bpe)
{
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (StGguf) gguf = NULL;
  g_autoptr (GError) error = NULL;
  StTokenizer *tokenizer;

  rd_bpe_write (bpe, writer);
  gguf = st_test_vocab_open (writer);
  tokenizer = st_tokenizer_new (gguf, &error);
  g_assert_no_error (error);
  return tokenizer;
}

static gchar *
piece_text (StTokenizer * tokenizer, gint32 id)
{
  gsize len;
  const gchar *piece = st_tokenizer_piece (tokenizer, id, &len);

  return g_strndup (piece, len);
}

/* Merge by merge and token by token. */
static void
compare (const gchar * text, guint n_tokens)
{
  g_autoptr (RdBpe) bpe = learn (text, strlen (text), n_tokens);
  g_autoptr (StTokenizer) tokenizer = make_tokenizer (bpe);
  guint left = 0, right = 0;
  Naive naive;

  naive_init (&naive, text);
  for (guint i = 0; i < rd_bpe_n_merges (bpe); i++) {
    g_assert_cmpuint (naive_best (&naive, &left, &right), >=, 2);
    naive_merge (&naive, left, right);
  }
  g_assert_cmpuint (naive.pieces->len, ==, n_tokens);
  g_assert_cmpuint (st_tokenizer_vocab_size (tokenizer), ==, n_tokens);
  for (guint id = 2; id < n_tokens; id++) {
    g_autofree gchar *piece = piece_text (tokenizer, (gint32) id);

    g_assert_cmpstr (piece, ==, g_ptr_array_index (naive.pieces, id));
  }
  naive_clear (&naive);
}

static void
test_naive (void)
{
  g_autofree gchar *path = st_test_data_path ("hamlet20k.txt");
  g_autofree gchar *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  text[6000] = '\0';
  compare (text, 420);
}

/* Long words of two letters: runs in which pairs overlap. */
static void
test_repetitions (void)
{
  for (guint seed = 0; seed < 6; seed++) {
    GRand *random = g_rand_new_with_seed (seed);
    g_autofree gchar *text = g_new0 (gchar, 1501);

    for (guint i = 0; i < 1500; i++)
      text[i] =
          i % 30 == 29 ? ' ' : g_rand_int_range (random, 0, 4) ? 'a' : 'b';
    g_rand_free (random);
    compare (text, 310);
  }
}

/* ---- properties ---- */

static void
test_order (void)
{
  g_autofree gchar *path = st_test_data_path ("hamlet20k.txt");
  g_autofree gchar *text = NULL;
  g_autoptr (RdBpe) whole = NULL;
  g_autoptr (RdBpe) parts = rd_bpe_new ();
  gsize len, half;

  g_assert_true (g_file_get_contents (path, &text, &len, NULL));
  half = (gsize) (strchr (text + len / 2, '\n') - text);
  whole = learn (text, len, 600);
  g_assert_true (rd_bpe_add (parts, text + half, len - half, NULL));
  g_assert_true (rd_bpe_add (parts, text, half, NULL));
  g_assert_true (rd_bpe_learn (parts, 600, NULL));
  g_assert_cmpuint (rd_bpe_n_merges (parts), ==, rd_bpe_n_merges (whole));
  for (guint i = 0; i < rd_bpe_n_merges (whole); i++)
    g_assert_cmpstr (rd_bpe_merge (parts, i), ==, rd_bpe_merge (whole, i));
}

static void
assert_round_trip (StTokenizer * tokenizer, const gchar * text, gsize len,
    gsize max_ids)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GString) back = g_string_new (NULL);
  StDetokenizer *detokenizer = st_detokenizer_new (tokenizer);

  g_assert_true (st_tokenizer_encode (tokenizer, text, len, FALSE, ids, NULL));
  g_assert_cmpuint (ids->len, <=, max_ids);
  for (guint i = 0; i < ids->len; i++)
    st_detokenizer_push (detokenizer, g_array_index (ids, gint32, i), back);
  st_detokenizer_flush (detokenizer, back);
  st_detokenizer_free (detokenizer);
  g_assert_cmpmem (back->str, back->len, text, len);
}

static void
test_tokenizer (void)
{
  static const gchar foreign[] = "na\xc3\xafve \xe2\x82\xac 1789\0\n\n <|";
  g_autofree gchar *path = st_test_data_path ("hamlet20k.txt");
  g_autofree gchar *text = NULL;
  g_autoptr (RdBpe) bpe = NULL;
  g_autoptr (StTokenizer) tokenizer = NULL;
  gsize len;

  g_assert_true (g_file_get_contents (path, &text, &len, NULL));
  bpe = learn (text, len, 1024);
  tokenizer = make_tokenizer (bpe);
  assert_round_trip (tokenizer, text, len, len / 2);
  assert_round_trip (tokenizer, foreign, sizeof (foreign) - 1,
      sizeof (foreign));
  g_assert_cmpint (st_tokenizer_find (tokenizer, RD_BPE_FIRST_TOKEN), ==, 0);
  g_assert_true (st_tokenizer_is_control (tokenizer, 0));
  g_assert_true (st_tokenizer_add_bos (tokenizer));
  g_assert_true (st_tokenizer_is_eog (tokenizer, 0));
}

static void
test_errors (void)
{
  g_autoptr (RdBpe) bpe = rd_bpe_new ();
  g_autoptr (GError) error = NULL;

  g_assert_true (rd_bpe_add (bpe, "a\0b ab", 6, NULL));
  g_assert_false (rd_bpe_add (bpe, "word \xff", 6, &error));
  g_assert_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT);
  g_assert_nonnull (strstr (error->message, "byte 5"));
  g_clear_error (&error);
  g_assert_true (rd_bpe_add (bpe, " ab", 3, NULL));
  g_assert_false (rd_bpe_learn (bpe, 300, &error));
  g_assert_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_SHORT);
  g_assert_nonnull (strstr (error->message, "300 tokens: after 259"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training-bpe/naive", test_naive);
  g_test_add_func ("/training-bpe/repetitions", test_repetitions);
  g_test_add_func ("/training-bpe/order", test_order);
  g_test_add_func ("/training-bpe/tokenizer", test_tokenizer);
  g_test_add_func ("/training-bpe/errors", test_errors);
  return g_test_run ();
}
