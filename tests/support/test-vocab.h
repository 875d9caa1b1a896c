/* A small vocabulary for tests of the tokenizer: 256 bytes, some merges, some special tokens. */
#pragma once
#include "models/gguf/gguf-writer.h"
#include "models/tokenizer/tokenizer.h"

G_BEGIN_DECLS

/** Ids: byte b is token b, merge i (in the byte alphabet, "left right") makes token 256 + i, then come the specials. */
typedef struct
{
  const gchar *const *merges;   /* NULL-terminated, or NULL */
  const gchar *const *specials; /* NULL-terminated, or NULL */
  const gint32 *special_types;  /* of tokenizer.ggml.token_type; NULL: all are control tokens */
  const gchar *pre;             /* NULL: gpt-2 */
} StTestVocab;

/** The keys of a file with this tokenizer, for tests to change. */
StGgufWriter *st_test_vocab_writer (const StTestVocab * vocab);
/** Writes the file, opens it and unlinks it. */
StGguf *st_test_vocab_open (StGgufWriter * writer);
/** All at once. */
StTokenizer *st_test_tokenizer (const StTestVocab * vocab);

G_END_DECLS
