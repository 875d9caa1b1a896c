/* The texts that are evaluated: test windows, and passages whose last word is to be guessed. */
#pragma once
#include <glib.h>
#include "models/tokenizer/tokenizer.h"

G_BEGIN_DECLS

/** EvalText: ids of one window or passage. */
typedef struct
{
  guint domain;                 /* index in EvalTestset.domains */
  gint32 *ids;
  guint n;                      /* at least 2 */
  guint word_at;                /* passages: index of the last word's first id, the word goes to the end */
} EvalText;

typedef struct
{
  GPtrArray *domains;           /* gchar, in order of appearance */
  GPtrArray *texts;             /* EvalText */
} EvalTestset;

void eval_text_free (EvalText * text);
void eval_testset_free (EvalTestset * testset);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvalTestset, eval_testset_free)

/** eval_testset_load: windows of ids from a JSON file: {"windows": [{"domain": TEXT, "ids": [0, 17, ...]}, ...]}. Ids are below @vocab,
 * a window has 2 to @max_ids of them. @per_domain: how many windows of each domain to keep, 0 = all. */
EvalTestset *eval_testset_load (const gchar * path, guint vocab, guint max_ids, guint per_domain, GError ** error);

/** eval_last_words_load: passages from a file of lines {"text": TEXT, "word": WORD, "domain": NAME}: the passage up to its last word, and
 * that word with the blank before it; without a domain they are of the domain "passages". Each becomes @first_id, the text's ids and
 * the word's, no more than @max_ids. @per_domain: how many of each domain to keep, 0 = all. */
EvalTestset *eval_last_words_load (const gchar * path, StTokenizer * tokenizer, gint32 first_id, guint max_ids, guint per_domain,
    GError ** error);

G_END_DECLS
