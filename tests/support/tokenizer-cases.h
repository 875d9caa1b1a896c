/* Texts with the ids that SmolLM2's vocabulary gives them, from an independent implementation. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  const gchar *text;            /* UTF-8, may hold NUL */
  gsize len;
  gboolean parse_special;
  const gint32 *ids;
  gsize n_ids;
} StTokenizerCase;

extern const StTokenizerCase st_tokenizer_cases[];
extern const gsize st_tokenizer_n_cases;

G_END_DECLS
