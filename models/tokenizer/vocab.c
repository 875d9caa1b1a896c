/* Vocabulary: texts, bytes, types, and a hash table from text to id. */
#include "models/tokenizer/vocab.h"

#include <string.h>

#include "models/tokenizer/tokenizer.h"

/* Token ids are 32-bit signed and id + 1 must fit a slot. */
#define MAX_TOKENS (1 << 28)

/* One past the last character of GPT-2's byte alphabet. */
#define ALPHABET_END 0x144

/* GPT-2 writes every byte as a visible character: printable Latin-1 bytes as themselves, the others, in order, from U+0100 on. */
void
st_vocab_alphabet (guint16 char_of_byte[256])
{
  guint16 next = 0x100;

  for (guint16 byte = 0; byte < 0x100; byte++) {
    gboolean visible = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1
        && byte != 0xad);

    char_of_byte[byte] = visible ? byte : next++;
  }
}

/* FNV-1a, 64 bits. */
static guint64
hash_bytes (const gchar * data, gsize len)
{
  guint64 hash = G_GUINT64_CONSTANT (0xcbf29ce484222325);

  for (gsize i = 0; i < len; i++)
    hash = (hash ^ (guint8) data[i]) * G_GUINT64_CONSTANT (0x100000001b3);
  return hash ^ hash >> 32;
}

const gchar *
st_vocab_text (const StVocab * vocab, gint32 id, gsize * len)
{
  *len = vocab->text_at[id + 1] - vocab->text_at[id];
  return vocab->text + vocab->text_at[id];
}

const gchar *
st_vocab_piece (const StVocab * vocab, gint32 id, gsize * len)
{
  *len = vocab->piece_at[id + 1] - vocab->piece_at[id];
  return vocab->piece + vocab->piece_at[id];
}

/* The slot that holds this text, or the empty one where it belongs. */
static guint32 *
find_slot (const StVocab * vocab, const gchar * text, gsize len)
{
  gsize mask = vocab->n_slots - 1;

  for (gsize i = hash_bytes (text, len) & mask;; i = (i + 1) & mask) {
    const gchar *other;
    gsize other_len;

    if (vocab->slots[i] == 0)
      return &vocab->slots[i];
    other = st_vocab_text (vocab, (gint32) (vocab->slots[i] - 1), &other_len);
    if (other_len == len && memcmp (other, text, len) == 0)
      return &vocab->slots[i];
  }
}

gint32
st_vocab_find (const StVocab * vocab, const gchar * text, gsize len)
{
  return (gint32) * find_slot (vocab, text, len) - 1;
}

/* Copies all texts behind one another. */
static gboolean
read_texts (StVocab * vocab, const StGguf * gguf, GError ** error)
{
  const gchar *key = "tokenizer.ggml.tokens";
  guint64 n = st_gguf_array_length (gguf, key);
  GString *texts;
  gsize len;

  if (n == 0 || n > MAX_TOKENS || st_gguf_array_string (gguf, key, 0,
          &len) == NULL) {
    g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_MODEL,
        "%s: no vocabulary (%s is absent, empty or not made of strings)",
        st_gguf_path (gguf), key);
    return FALSE;
  }
  vocab->n = (guint) n;
  vocab->text_at = g_new (gsize, n + 1);
  texts = g_string_new (NULL);
  for (guint i = 0; i < vocab->n; i++) {
    const gchar *text = st_gguf_array_string (gguf, key, i, &len);

    vocab->text_at[i] = texts->len;
    vocab->max_text = MAX (vocab->max_text, len);
    g_string_append_len (texts, text, (gssize) len);
  }
  vocab->text_at[n] = texts->len;
  vocab->text = g_string_free (texts, FALSE);
  return TRUE;
}

static gboolean
index_texts (StVocab * vocab, const StGguf * gguf, GError ** error)
{
  vocab->n_slots = 16;
  while (vocab->n_slots < 2 * (gsize) vocab->n)
    vocab->n_slots *= 2;
  vocab->slots = g_new0 (guint32, vocab->n_slots);
  for (guint i = 0; i < vocab->n; i++) {
    gsize len;
    const gchar *text = st_vocab_text (vocab, (gint32) i, &len);
    guint32 *slot = find_slot (vocab, text, len);

    /* Empty texts are holes in a vocabulary: nothing can ask for them. */
    if (len == 0)
      continue;
    if (*slot != 0) {
      g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_MODEL,
          "%s: tokens %u and %u have the same text", st_gguf_path (gguf),
          *slot - 1, i);
      return FALSE;
    }
    *slot = i + 1;
  }
  return TRUE;
}

static gboolean
read_types (StVocab * vocab, const StGguf * gguf, GError ** error)
{
  const gchar *key = "tokenizer.ggml.token_type";
  guint64 n = st_gguf_array_length (gguf, key);

  vocab->type = g_malloc (vocab->n);
  memset (vocab->type, ST_TOKEN_NORMAL, vocab->n);
  if (n == 0)
    return TRUE;
  for (guint i = 0; i < vocab->n; i++) {
    gint64 type;

    if (n != vocab->n || !st_gguf_array_int (gguf, key, i, &type)) {
      g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_MODEL,
          "%s: %s must have one integer for each of the %u tokens",
          st_gguf_path (gguf), key, vocab->n);
      return FALSE;
    }
    if (type >= ST_TOKEN_NORMAL && type <= ST_TOKEN_BYTE)
      vocab->type[i] = (guint8) type;
    else
      vocab->type[i] = ST_TOKEN_UNUSED;
  }
  return TRUE;
}

/* Appends the bytes a text stands for; FALSE, with nothing appended, if it is not written in the alphabet. */
static gboolean
decode_text (const gint16 * byte_of_char, GString * out, const gchar * text,
    gsize len)
{
  gsize before = out->len;

  if (!g_utf8_validate (text, (gssize) len, NULL))
    return FALSE;
  for (const gchar * p = text; p < text + len; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (c >= ALPHABET_END || byte_of_char[c] < 0) {
      g_string_truncate (out, before);
      return FALSE;
    }
    g_string_append_c (out, (gchar) byte_of_char[c]);
  }
  return TRUE;
}

/* Only normal tokens are written in the byte alphabet. Others, and normal ones that are not, stand for their text. */
static void
make_pieces (StVocab * vocab)
{
  GString *pieces = g_string_new (NULL);
  gint16 byte_of_char[ALPHABET_END];

  for (guint c = 0; c < ALPHABET_END; c++)
    byte_of_char[c] = -1;
  for (gint16 byte = 0; byte < 0x100; byte++)
    byte_of_char[vocab->char_of_byte[byte]] = byte;
  vocab->piece_at = g_new (gsize, (gsize) vocab->n + 1);
  for (guint i = 0; i < vocab->n; i++) {
    gsize len;
    const gchar *text = st_vocab_text (vocab, (gint32) i, &len);

    vocab->piece_at[i] = pieces->len;
    if (vocab->type[i] != ST_TOKEN_NORMAL
        || !decode_text (byte_of_char, pieces, text, len))
      g_string_append_len (pieces, text, (gssize) len);
  }
  vocab->piece_at[vocab->n] = pieces->len;
  vocab->piece = g_string_free (pieces, FALSE);
}

gint32
st_vocab_find_word (const StVocab * vocab, const gchar * word, gsize len,
    GString * scratch)
{
  g_string_truncate (scratch, 0);
  if (len > vocab->max_text)
    return -1;
  for (gsize i = 0; i < len; i++)
    g_string_append_unichar (scratch, vocab->char_of_byte[(guint8) word[i]]);
  return st_vocab_find (vocab, scratch->str, scratch->len);
}

static void
find_bytes (StVocab * vocab)
{
  g_autoptr (GString) scratch = g_string_new (NULL);

  for (guint byte = 0; byte < 256; byte++) {
    gchar c = (gchar) byte;

    vocab->byte_id[byte] = st_vocab_find_word (vocab, &c, 1, scratch);
  }
}

gboolean
st_vocab_init (StVocab * vocab, const StGguf * gguf, GError ** error)
{
  st_vocab_alphabet (vocab->char_of_byte);
  if (!read_texts (vocab, gguf, error) || !index_texts (vocab, gguf, error)
      || !read_types (vocab, gguf, error))
    return FALSE;
  make_pieces (vocab);
  find_bytes (vocab);
  return TRUE;
}

void
st_vocab_clear (StVocab * vocab)
{
  g_free (vocab->text);
  g_free (vocab->text_at);
  g_free (vocab->piece);
  g_free (vocab->piece_at);
  g_free (vocab->type);
  g_free (vocab->slots);
}
