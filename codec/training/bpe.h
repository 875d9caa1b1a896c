/* Learns the vocabulary of a tokenizer from text: byte-pair encoding (Sennrich, Haddow and Birch 2016) over bytes (Radford et al. 2019), on
 * words as the pre-tokenizer "smollm" cuts them, which keeps every digit alone. */
#pragma once
#include "models/gguf/gguf-writer.h"

G_BEGIN_DECLS

/** RD_BPE_PRE: what the vocabulary says in tokenizer.ggml.pre. */
#define RD_BPE_PRE "smollm"
#define RD_BPE_FIRST_TOKEN "<|endoftext|>"
/** Tokens of the smallest vocabulary: RD_BPE_FIRST_TOKEN (id 0), the bytes (1 + byte). And of the largest. */
#define RD_BPE_MIN_TOKENS 257
#define RD_BPE_MAX_TOKENS 65536

/** RdBpe: words with how often they occur, then tokens and merges. */
typedef struct _RdBpe RdBpe;

RdBpe *rd_bpe_new (void);
void rd_bpe_free (RdBpe * bpe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdBpe, rd_bpe_free)

/** rd_bpe_add: counts the words of @text; before rd_bpe_learn(). Error RD_CORPUS_ERROR_TEXT, with the byte offset, if it is not UTF-8. */
gboolean rd_bpe_add (RdBpe * bpe, const gchar * text, gsize len, GError ** error);

/** rd_bpe_learn: joins the pair of tokens that stands in the text most often, of those the one with the lowest ids (left before right), until
 * there are @n_tokens. Once for each object. The same text in any order gives the same vocabulary.
 * Error RD_CORPUS_ERROR_SHORT if no pair occurs twice any more; @n_tokens is in RD_BPE_MIN_TOKENS..RD_BPE_MAX_TOKENS. */
gboolean rd_bpe_learn (RdBpe * bpe, guint n_tokens, GError ** error);

guint rd_bpe_n_merges (const RdBpe * bpe);
/** rd_bpe_merge: merge @i as GGUF has it, "left right" in GPT-2's alphabet. Owned by @bpe. */
const gchar *rd_bpe_merge (const RdBpe * bpe, guint i);

/** rd_bpe_write: sets all tokenizer.ggml keys. RD_BPE_FIRST_TOKEN begins and ends texts; prompts begin with it. */
void rd_bpe_write (const RdBpe * bpe, StGgufWriter * writer);

G_END_DECLS
