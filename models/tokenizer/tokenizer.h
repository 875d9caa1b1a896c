/* Byte-level BPE tokenizer from a GGUF's own vocabulary and merges. */
#pragma once
#include <glib.h>
#include "models/gguf/gguf.h"

G_BEGIN_DECLS

#define ST_TOKENIZER_ERROR (st_tokenizer_error_quark ())
GQuark st_tokenizer_error_quark (void);
typedef enum
{
  ST_TOKENIZER_ERROR_MODEL,     /* the file's tokenizer is missing, damaged or of an unsupported kind */
  ST_TOKENIZER_ERROR_TEXT,      /* text is not UTF-8 (message has the byte offset), or too long */
} StTokenizerError;

typedef struct _StTokenizer StTokenizer;

/** Reads tokenizer.ggml.* (model gpt2, the pre-tokenizers of split.h); keeps no reference to @gguf's mapping. Immutable: any
 * number of threads may use one tokenizer at once. */
StTokenizer *st_tokenizer_new (StGguf * gguf, GError ** error);
StTokenizer *st_tokenizer_ref (StTokenizer * tokenizer);
void st_tokenizer_unref (StTokenizer * tokenizer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (StTokenizer, st_tokenizer_unref)

/** st_tokenizer_encode: appends the ids of @text (UTF-8, may hold NUL) to @ids (GArray of gint32).
 * @parse_special: names of special tokens in the text become those tokens; FALSE for what a user typed. User-defined tokens
 * (tokenizer.ggml.token_type 4) are found either way, as in llama.cpp. Where several could begin, the longest is taken.
 * Bytes for which the vocabulary has no token add nothing, as in llama.cpp. Adds no BOS. On an error @ids is unchanged.
 * Linear in @len for any text of words of bounded length, len log len for one long word. Texts above 512 MiB and words above
 * 16 MiB are an error. */
gboolean st_tokenizer_encode (StTokenizer * tokenizer, const gchar * text, gsize len, gboolean parse_special, GArray * ids,
    GError ** error);

guint st_tokenizer_vocab_size (const StTokenizer * tokenizer);
/** -1 when the file names none. */
gint32 st_tokenizer_bos (const StTokenizer * tokenizer);
gint32 st_tokenizer_eos (const StTokenizer * tokenizer);
gboolean st_tokenizer_add_bos (const StTokenizer * tokenizer);
/** End of generation: eos, eot (<|im_end|>, <|eot_id|>, <|endoftext|> ...). */
gboolean st_tokenizer_is_eog (const StTokenizer * tokenizer, gint32 id);
/** Control and unknown tokens: marks that are never text. */
gboolean st_tokenizer_is_control (const StTokenizer * tokenizer, gint32 id);
/** Id of the token whose text is exactly @name, or -1. */
gint32 st_tokenizer_find (const StTokenizer * tokenizer, const gchar * name);
/** Raw bytes of a token (not NUL-terminated, owned by @tokenizer); NULL for an id out of range. Control tokens give their name. */
const gchar *st_tokenizer_piece (const StTokenizer * tokenizer, gint32 id, gsize * len);
/** Lower-case hex SHA-256 over vocabulary, merges, types and pre-tokenizer name. 64 characters. Hashed are, with each number
 * as 64 bits little-endian and each string as its length and its bytes: the pre-tokenizer's name, the number of tokens, for each
 * its text and type, the number of merges and each merge's text. */
const gchar *st_tokenizer_id (const StTokenizer * tokenizer);

/** StDetokenizer: ids to text as they come, whole UTF-8 characters only. */
typedef struct _StDetokenizer StDetokenizer;
StDetokenizer *st_detokenizer_new (StTokenizer * tokenizer);
void st_detokenizer_free (StDetokenizer * detokenizer);
/** Appends to @out what is complete after @id. Control tokens add nothing. Bytes that can never become UTF-8 give U+FFFD. */
void st_detokenizer_push (StDetokenizer * detokenizer, gint32 id, GString * out);
/** Appends what is left (an incomplete character as U+FFFD) and resets. */
void st_detokenizer_flush (StDetokenizer * detokenizer, GString * out);

G_END_DECLS
