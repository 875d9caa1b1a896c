/* What the files of models/tokenizer share about the tokenizer. */
#pragma once
#include "models/tokenizer/tokenizer.h"

G_BEGIN_DECLS

/** StSpecialMatch: a special token found in a text. */
typedef struct
{
  gsize at;                     /* byte offset in the text; its length if nothing was found */
  gsize len;                    /* bytes of the token's name */
  gint32 id;
} StSpecialMatch;

/** st_tokenizer_next_special: the first special token in @text, the longest of those that begin there. Without @parse_special
 * only user-defined tokens count. FALSE if there is none. */
gboolean st_tokenizer_next_special (const StTokenizer * tokenizer, const gchar * text, gsize len, gboolean parse_special,
    StSpecialMatch * match);

G_END_DECLS
