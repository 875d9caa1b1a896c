/* Words are counted once; a merge changes the words that have its pair, and the counts of their pairs. */
#include "codec/training/bpe.h"

#include <string.h>

#include "codec/training/corpus.h"
#include "models/tokenizer/split.h"
#include "models/tokenizer/vocab.h"

#define FIRST_BYTE 1

typedef struct
{
  guint64 count;                /* in the text */
  guint32 n;
  guint32 *ids;                 /* (n) tokens */
} Word;

/* Two tokens that stand next to each other. */
typedef struct
{
  guint32 left, right;
  guint64 count;                /* in the text */
  GArray *words;                /* of guint32: words that have it, or had it, some twice */
} Pair;

struct _RdBpe
{
  GHashTable *counts;           /* GBytes to guint64: words; until they are learned from */
  GPtrArray *tokens, *merges;   /* of gchar */
  GArray *words;                /* of Word */
  GHashTable *pairs;            /* of Pair */
};

static void
clear_word (gpointer data)
{
  g_free (((Word *) data)->ids);
}

static void
free_pair (gpointer data)
{
  Pair *pair = data;

  g_array_unref (pair->words);
  g_free (pair);
}

static guint
hash_pair (gconstpointer key)
{
  const Pair *pair = key;

  return pair->left * 2654435761u ^ pair->right * 2246822519u;
}

static gboolean
equal_pairs (gconstpointer a, gconstpointer b)
{
  const Pair *p = a, *q = b;

  return p->left == q->left && p->right == q->right;
}

RdBpe *
rd_bpe_new (void)
{
  RdBpe *bpe = g_new0 (RdBpe, 1);
  guint16 alphabet[256];

  bpe->counts = g_hash_table_new_full (g_bytes_hash, g_bytes_equal,
      (GDestroyNotify) g_bytes_unref, g_free);
  bpe->tokens = g_ptr_array_new_with_free_func (g_free);
  bpe->merges = g_ptr_array_new_with_free_func (g_free);
  bpe->words = g_array_new (FALSE, FALSE, sizeof (Word));
  g_array_set_clear_func (bpe->words, clear_word);
  bpe->pairs = g_hash_table_new_full (hash_pair, equal_pairs, free_pair, NULL);
  st_vocab_alphabet (alphabet);
  g_ptr_array_add (bpe->tokens, g_strdup (RD_BPE_FIRST_TOKEN));
  for (guint byte = 0; byte < 256; byte++) {
    gchar text[7] = { 0 };

    g_unichar_to_utf8 (alphabet[byte], text);
    g_ptr_array_add (bpe->tokens, g_strdup (text));
  }
  return bpe;
}

void
rd_bpe_free (RdBpe * bpe)
{
  if (bpe == NULL)
    return;
  g_hash_table_unref (bpe->counts);
  g_ptr_array_unref (bpe->merges);
  g_ptr_array_unref (bpe->tokens);
  g_array_unref (bpe->words);
  g_hash_table_unref (bpe->pairs);
  g_free (bpe);
}

/* ---- words ---- */

static void
count_word (RdBpe * bpe, const gchar * text, gsize len)
{
  GBytes *word = g_bytes_new (text, len);
  guint64 *count = g_hash_table_lookup (bpe->counts, word);

  if (count == NULL) {
    count = g_new0 (guint64, 1);
    g_hash_table_insert (bpe->counts, g_bytes_ref (word), count);
  }
  ++*count;
  g_bytes_unref (word);
}

gboolean
rd_bpe_add (RdBpe * bpe, const gchar * text, gsize len, GError ** error)
{
  const StSplit split = st_pre_tokenizer_find (RD_BPE_PRE)->split;
  const gchar *end = text;

  /* g_utf8_validate() takes NUL for an error, and the tokenizer does not */
  while (!g_utf8_validate (end, (gssize) (text + len - end), &end)) {
    if (*end != '\0') {
      g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
          "not UTF-8 at byte %" G_GSIZE_FORMAT, (gsize) (end - text));
      return FALSE;
    }
    end++;
  }
  while (len > 0) {
    const gsize n = st_split_next (split, text, len);

    count_word (bpe, text, n);
    text += n;
    len -= n;
  }
  return TRUE;
}

/* ---- pairs ---- */

static Pair *
find_pair (RdBpe * bpe, guint32 left, guint32 right)
{
  Pair key = { left, right, 0, NULL };
  Pair *pair = g_hash_table_lookup (bpe->pairs, &key);

  if (pair == NULL) {
    pair = g_new0 (Pair, 1);
    pair->left = left;
    pair->right = right;
    pair->words = g_array_new (FALSE, FALSE, sizeof (guint32));
    g_hash_table_add (bpe->pairs, pair);
  }
  return pair;
}

static void
add_pairs (RdBpe * bpe, guint32 number)
{
  const Word *word = &g_array_index (bpe->words, Word, number);

  for (guint32 i = 1; i < word->n; i++) {
    Pair *pair = find_pair (bpe, word->ids[i - 1], word->ids[i]);

    pair->count += word->count;
    g_array_append_val (pair->words, number);
  }
}

static void
remove_pairs (RdBpe * bpe, const Word * word)
{
  for (guint32 i = 1; i < word->n; i++) {
    Pair *pair = find_pair (bpe, word->ids[i - 1], word->ids[i]);

    pair->count -= word->count;
    if (pair->count == 0)
      g_hash_table_remove (bpe->pairs, pair);
  }
}

static void
take_words (RdBpe * bpe)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, bpe->counts);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    gsize n;
    const guint8 *bytes = g_bytes_get_data (key, &n);
    Word word = { *(const guint64 *) value, (guint32) n, g_new (guint32, n) };

    for (gsize i = 0; i < n; i++)
      word.ids[i] = FIRST_BYTE + bytes[i];
    g_array_append_val (bpe->words, word);
    add_pairs (bpe, bpe->words->len - 1);
  }
  g_hash_table_remove_all (bpe->counts);
}

static gboolean
comes_before (const Pair * a, const Pair * b)
{
  if (a->count != b->count)
    return a->count > b->count;
  return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static const Pair *
find_best (const RdBpe * bpe)
{
  const Pair *best = NULL;
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, bpe->pairs);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    if (best == NULL || comes_before (key, best))
      best = key;
  }
  return best;
}

/* ---- merges ---- */

static gboolean
has_pair (const Word * word, guint32 left, guint32 right)
{
  for (guint32 i = 1; i < word->n; i++) {
    if (word->ids[i - 1] == left && word->ids[i] == right)
      return TRUE;
  }
  return FALSE;
}

/* From the left, as a tokenizer does it. */
static void
merge_in (Word * word, guint32 left, guint32 right, guint32 merged)
{
  guint32 to = 0;

  for (guint32 i = 0; i < word->n; i++) {
    const gboolean both = word->ids[i] == left && i + 1 < word->n
        && word->ids[i + 1] == right;

    word->ids[to++] = both ? merged : word->ids[i];
    i += both ? 1 : 0;
  }
  word->n = to;
}

/* No other merge makes the same token: the merges that make a token are among its own bytes, and always the same. */
static void
merge (RdBpe * bpe, const Pair * best)
{
  const guint32 left = best->left, right = best->right;
  const gchar *first = g_ptr_array_index (bpe->tokens, left);
  const gchar *second = g_ptr_array_index (bpe->tokens, right);
  /* the pair goes with its last word */
  g_autoptr (GArray) words = g_array_ref (best->words);
  const guint32 merged = bpe->tokens->len;

  g_ptr_array_add (bpe->merges, g_strconcat (first, " ", second, NULL));
  g_ptr_array_add (bpe->tokens, g_strconcat (first, second, NULL));
  for (guint i = 0; i < words->len; i++) {
    const guint32 number = g_array_index (words, guint32, i);
    Word *word = &g_array_index (bpe->words, Word, number);

    if (!has_pair (word, left, right))
      continue;
    remove_pairs (bpe, word);
    merge_in (word, left, right, merged);
    add_pairs (bpe, number);
  }
}

gboolean
rd_bpe_learn (RdBpe * bpe, guint n_tokens, GError ** error)
{
  g_return_val_if_fail (n_tokens >= RD_BPE_MIN_TOKENS
      && n_tokens <= RD_BPE_MAX_TOKENS, FALSE);
  take_words (bpe);
  while (bpe->tokens->len < n_tokens) {
    const Pair *best = find_best (bpe);

    if (best == NULL || best->count < 2) {
      g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_SHORT,
          "the text is too short for a vocabulary of %u tokens: after %u nothing "
          "in it occurs twice: give more text, or a smaller vocabulary",
          n_tokens, bpe->tokens->len);
      return FALSE;
    }
    merge (bpe, best);
  }
  return TRUE;
}

guint
rd_bpe_n_merges (const RdBpe * bpe)
{
  return bpe->merges->len;
}

const gchar *
rd_bpe_merge (const RdBpe * bpe, guint i)
{
  return g_ptr_array_index (bpe->merges, i);
}

void
rd_bpe_write (const RdBpe * bpe, StGgufWriter * writer)
{
  const guint n = bpe->tokens->len;
  g_autofree gint32 *types = g_new (gint32, n);

  for (guint i = 0; i < n; i++)
    types[i] = i == 0 ? ST_TOKEN_CONTROL : ST_TOKEN_NORMAL;
  st_gguf_writer_set_string (writer, "tokenizer.ggml.model", "gpt2");
  st_gguf_writer_set_string (writer, "tokenizer.ggml.pre", RD_BPE_PRE);
  st_gguf_writer_set_strings (writer, "tokenizer.ggml.tokens",
      (const gchar * const *) bpe->tokens->pdata, n);
  st_gguf_writer_set_array (writer, "tokenizer.ggml.token_type", ST_GGUF_INT32,
      types, n);
  st_gguf_writer_set_strings (writer, "tokenizer.ggml.merges",
      (const gchar * const *) bpe->merges->pdata, bpe->merges->len);
  st_gguf_writer_set_uint32 (writer, "tokenizer.ggml.bos_token_id", 0);
  st_gguf_writer_set_uint32 (writer, "tokenizer.ggml.eos_token_id", 0);
  st_gguf_writer_set_bool (writer, "tokenizer.ggml.add_bos_token", TRUE);
}
