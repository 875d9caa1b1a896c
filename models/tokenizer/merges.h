/* Byte-pair merging: the merge table and the loop over one word. Internal to models/tokenizer and its tests. */
#pragma once
#include "models/tokenizer/vocab.h"

G_BEGIN_DECLS

typedef struct
{
  gint32 left, right;           /* ids */
  gint32 merged;                /* id of both texts joined */
} StMerge;

/* Merge i has rank i: the lower, the earlier it is done. */
typedef struct
{
  guint n;
  StMerge *merge;               /* (n) */
  guint32 *slots;               /* hash table of (left, right): rank + 1, 0 is empty */
  gsize n_slots;                /* a power of two */
} StMerges;

/** st_merges_init: reads tokenizer.ggml.merges; @merges is zeroed before. st_merges_clear() also after a failure. */
gboolean st_merges_init (StMerges * merges, const StVocab * vocab, const StGguf * gguf, GError ** error);
void st_merges_clear (StMerges * merges);

/** StMerger: scratch memory of st_merge_word(), zeroed before the first word; it grows to the longest word. */
typedef struct
{
  struct _StSymbol *symbols;
  guint64 *heap;
  guint n_heap;
  guint capacity;
} StMerger;
void st_merger_clear (StMerger * merger);

/** Longest word: bounds the scratch memory to 28 bytes for each of its bytes. */
#define ST_MERGE_MAX_WORD (1 << 24)

/** st_merge_word: appends the ids of one word of at most ST_MERGE_MAX_WORD bytes. Always merges the pair of lowest rank, the leftmost first;
 * O(len log len). Bytes that the vocabulary does not have add nothing (as in llama.cpp). */
void st_merge_word (const StMerges * merges, const StVocab * vocab, StMerger * merger, const gchar * word, gsize len,
    GArray * ids);

G_END_DECLS
