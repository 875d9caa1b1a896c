/* Pre-tokenizers of byte-level BPE: where a text is cut into words before merging. Internal to models/tokenizer, what
 * learns vocabularies, and tests. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/* With the regular expressions of the original tokenizers (alternatives in order, the first that matches wins):
 *   GPT2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *   SMOLLM  every \p{N} alone first, then GPT2 on each piece between
 *   LLAMA3  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *   QWEN2   LLAMA3 with \p{N} in place of \p{N}{1,3}
 */
typedef enum
{
  ST_SPLIT_GPT2,
  ST_SPLIT_SMOLLM,
  ST_SPLIT_LLAMA3,
  ST_SPLIT_QWEN2,
} StSplit;

/** What tokenizer.ggml.pre stands for. */
typedef struct
{
  const gchar *name;
  StSplit split;
  gboolean ignore_merges;       /* a word that is a token is not merged */
  gboolean add_bos;             /* when the file does not say */
} StPreTokenizer;

/** st_pre_tokenizer_find: by the name in tokenizer.ggml.pre, NULL if unknown. */
const StPreTokenizer *st_pre_tokenizer_find (const gchar * name);

/** st_split_next: bytes of the word at the start of @text, which is valid UTF-8 (NUL allowed) of @len > 0 bytes.
 * Looks at most one character past the word's white space, so splitting a text is linear. */
gsize st_split_next (StSplit split, const gchar * text, gsize len);

G_END_DECLS
