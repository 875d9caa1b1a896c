/* Vocabulary of a byte-level BPE tokenizer: token texts as the file has them, the bytes they stand for, and their kinds.
 * Internal to models/tokenizer and what learns vocabularies. */
#pragma once
#include <glib.h>
#include "models/gguf/gguf.h"

G_BEGIN_DECLS

/* Values of tokenizer.ggml.token_type. */
typedef enum
{
  ST_TOKEN_NORMAL = 1,
  ST_TOKEN_UNKNOWN = 2,
  ST_TOKEN_CONTROL = 3,
  ST_TOKEN_USER_DEFINED = 4,
  ST_TOKEN_UNUSED = 5,
  ST_TOKEN_BYTE = 6,
} StTokenType;

/* Text and piece of token i are at text_at[i]..text_at[i+1] and piece_at[i]..piece_at[i+1]. */
typedef struct
{
  guint n;
  gchar *text;
  gsize *text_at;               /* (n + 1) */
  gchar *piece;
  gsize *piece_at;              /* (n + 1) */
  guint8 *type;                 /* (n) StTokenType */
  guint16 char_of_byte[256];    /* GPT-2's bytes_to_unicode */
  gint32 byte_id[256];          /* token of each byte, -1 where the vocabulary has none */
  gsize max_text;               /* bytes of the longest text */
  guint32 *slots;               /* hash table of texts: id + 1, 0 is empty */
  gsize n_slots;                /* a power of two */
} StVocab;

/** st_vocab_alphabet: the character that stands for each byte in GPT-2's vocabularies. */
void st_vocab_alphabet (guint16 char_of_byte[256]);

/** st_vocab_init: reads tokenizer.ggml.tokens and token_type; @vocab is zeroed before. st_vocab_clear() also after a failure. */
gboolean st_vocab_init (StVocab * vocab, const StGguf * gguf, GError ** error);
void st_vocab_clear (StVocab * vocab);

const gchar *st_vocab_text (const StVocab * vocab, gint32 id, gsize * len);
const gchar *st_vocab_piece (const StVocab * vocab, gint32 id, gsize * len);
/** Id of the token with this text, or -1. */
gint32 st_vocab_find (const StVocab * vocab, const gchar * text, gsize len);

/** st_vocab_find_word: id of the normal token that stands for these bytes, or -1. @scratch is overwritten. */
gint32 st_vocab_find_word (const StVocab * vocab, const gchar * word, gsize len, GString * scratch);

G_END_DECLS
