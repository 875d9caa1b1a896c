/* Prompt formats of common chat families, by name. A model file's template is recognised, never evaluated. */
#pragma once
#include "models/tokenizer/tokenizer.h"

G_BEGIN_DECLS

/** StChatFormat: how one turn is written for a family. */
typedef struct _StChatFormat StChatFormat;

/** st_chat_find: by name, NULL if unknown. Static. "chatml" has SmolLM2's default system prompt, "qwen2" and "qwen2.5" are
 * the same with theirs, "chatml-bare" has none; "llama2", "llama3", "gemma", "phi3", "zephyr", "mistral"; "none" writes the text and nothing else. */
const StChatFormat *st_chat_find (const gchar * name);
/** st_chat_detect: the family whose marks appear in the file's tokenizer.chat_template, or NULL (also for a NULL template). */
const StChatFormat *st_chat_detect (const gchar * chat_template);
const gchar *st_chat_name (const StChatFormat * format);
/** NULL-terminated list of known names. */
const gchar *const *st_chat_names (void);

/** st_chat_turn: appends the ids of one user turn to @ids: on the first turn the system part (@system NULL = the family's default,
 * "" = none), then the user's text, then the start of the answer. On later turns it begins after the end-of-turn token of the answer
 * and @system is not used. No BOS on the first turn (the caller adds it where st_tokenizer_add_bos() says so).
 * @text and @system are never parsed for special tokens. Families whose template trims white space around a message trim it.
 * The ids are those of the whole turn tokenised at once, so a word may reach over the border of mark and text.
 * Fails if a text is not UTF-8; @ids is then unchanged. */
gboolean st_chat_turn (const StChatFormat * format, StTokenizer * tokenizer, gboolean first, const gchar * system,
    const gchar * text, gsize len, GArray * ids, GError ** error);
/** Token that ends an answer in this family, or -1 if there is none ("none", or the vocabulary lacks it). */
gint32 st_chat_end_of_turn (const StChatFormat * format, StTokenizer * tokenizer);

G_END_DECLS
