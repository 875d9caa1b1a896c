/* Byte-pair merging. The pairs that can be merged wait in a heap, so that one long word is not quadratic. */
#include "models/tokenizer/merges.h"

#include <string.h>

#include "models/tokenizer/tokenizer.h"

#define MAX_MERGES (1 << 28)
#define NONE G_MAXUINT32

/* A word is a list of symbols, linked because merging takes out the right one of two. */
typedef struct _StSymbol
{
  gint32 id;                    /* -1 for a byte without a token, or merged into the one before */
  guint32 prev, next;           /* NONE at the ends */
} Symbol;

static guint64
hash_pair (gint32 left, gint32 right)
{
  /* The finaliser of SplitMix64. */
  guint64 z = (guint64) (guint32) left << 32 | (guint32) right;

  z = (z ^ z >> 30) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ z >> 31;
}

/* The slot that holds this pair, or the empty one where it belongs. */
static guint32 *
find_slot (const StMerges * merges, gint32 left, gint32 right)
{
  gsize mask = merges->n_slots - 1;

  for (gsize i = hash_pair (left, right) & mask;; i = (i + 1) & mask) {
    const StMerge *merge;

    if (merges->slots[i] == 0)
      return &merges->slots[i];
    merge = &merges->merge[merges->slots[i] - 1];
    if (merge->left == left && merge->right == right)
      return &merges->slots[i];
  }
}

/* "left right": texts are separated by the first space after the first byte, as no text of the byte alphabet has a space. */
static gboolean
parse_merge (const StVocab * vocab, const gchar * line, gsize len,
    GString * joined, StMerge * merge)
{
  const gchar *space = len > 1 ? memchr (line + 1, ' ', len - 1) : NULL;
  gsize left;

  if (space == NULL)
    return FALSE;
  left = (gsize) (space - line);
  g_string_truncate (joined, 0);
  g_string_append_len (joined, line, (gssize) left);
  g_string_append_len (joined, space + 1, (gssize) (len - left - 1));
  merge->left = st_vocab_find (vocab, line, left);
  merge->right = st_vocab_find (vocab, space + 1, len - left - 1);
  merge->merged = st_vocab_find (vocab, joined->str, joined->len);
  return merge->left >= 0 && merge->right >= 0 && merge->merged >= 0;
}

gboolean
st_merges_init (StMerges * merges, const StVocab * vocab, const StGguf * gguf,
    GError ** error)
{
  const gchar *key = "tokenizer.ggml.merges";
  guint64 n = st_gguf_array_length (gguf, key);
  g_autoptr (GString) joined = g_string_new (NULL);

  if (n > MAX_MERGES) {
    g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_MODEL,
        "%s: %" G_GUINT64_FORMAT " merges are more than the limit of %d",
        st_gguf_path (gguf), n, MAX_MERGES);
    return FALSE;
  }
  merges->n = (guint) n;
  merges->merge = g_new (StMerge, n);
  merges->n_slots = 16;
  while (merges->n_slots < 2 * n)
    merges->n_slots *= 2;
  merges->slots = g_new0 (guint32, merges->n_slots);

  for (guint i = 0; i < merges->n; i++) {
    StMerge *merge = &merges->merge[i];
    gsize len;
    const gchar *line = st_gguf_array_string (gguf, key, i, &len);
    guint32 *slot;

    if (line == NULL || !parse_merge (vocab, line, len, joined, merge)) {
      g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_MODEL,
          "%s: merge %u is not two tokens of the vocabulary that make a third",
          st_gguf_path (gguf), i);
      return FALSE;
    }
    slot = find_slot (merges, merge->left, merge->right);
    if (*slot == 0)
      *slot = i + 1;
  }
  return TRUE;
}

void
st_merges_clear (StMerges * merges)
{
  g_free (merges->merge);
  g_free (merges->slots);
}

void
st_merger_clear (StMerger * merger)
{
  g_free (merger->symbols);
  g_free (merger->heap);
}

/* The heap holds rank << 32 | index of the left symbol, the lowest at its root. Each merge takes one entry out and puts at most
 * two in, so it never holds more than two for each byte. */
static void
reserve (StMerger * merger, gsize len)
{
  if (len <= merger->capacity)
    return;
  merger->capacity = MAX ((guint) len, 256);
  merger->symbols = g_renew (Symbol, merger->symbols, merger->capacity);
  merger->heap = g_renew (guint64, merger->heap, 2 * (gsize) merger->capacity);
}

static void
push (StMerger * merger, guint64 entry)
{
  guint64 *heap = merger->heap;
  guint i = merger->n_heap++;

  for (; i > 0 && heap[(i - 1) / 2] > entry; i = (i - 1) / 2)
    heap[i] = heap[(i - 1) / 2];
  heap[i] = entry;
}

static guint64
pop (StMerger * merger)
{
  guint64 *heap = merger->heap;
  guint64 top = heap[0], moving = heap[--merger->n_heap];
  guint n = merger->n_heap, i = 0;

  for (guint child = 1; child < n; i = child, child = 2 * i + 1) {
    if (child + 1 < n && heap[child + 1] < heap[child])
      child++;
    if (heap[child] >= moving)
      break;
    heap[i] = heap[child];
  }
  heap[i] = moving;
  return top;
}

static void
push_pair (const StMerges * merges, StMerger * merger, guint32 left)
{
  const Symbol *symbols = merger->symbols;
  guint32 found;

  if (left == NONE || symbols[left].next == NONE)
    return;
  found = *find_slot (merges, symbols[left].id, symbols[symbols[left].next].id);
  if (found != 0)
    push (merger, (guint64) (found - 1) << 32 | left);
}

static void
merge_pair (const StMerges * merges, StMerger * merger, guint64 entry)
{
  Symbol *symbols = merger->symbols;
  guint32 left = (guint32) entry, right = symbols[left].next;
  const StMerge *merge = &merges->merge[entry >> 32];

  /* Either symbol may have been merged otherwise since this pair was seen. */
  if (symbols[left].id != merge->left || right == NONE
      || symbols[right].id != merge->right)
    return;
  symbols[left].id = merge->merged;
  symbols[left].next = symbols[right].next;
  symbols[right].id = -1;
  if (symbols[right].next != NONE)
    symbols[symbols[right].next].prev = left;
  push_pair (merges, merger, symbols[left].prev);
  push_pair (merges, merger, left);
}

void
st_merge_word (const StMerges * merges, const StVocab * vocab,
    StMerger * merger, const gchar * word, gsize len, GArray * ids)
{
  guint32 n = (guint32) len;
  Symbol *symbols;

  reserve (merger, len);
  symbols = merger->symbols;
  merger->n_heap = 0;
  for (guint32 i = 0; i < n; i++) {
    symbols[i].id = vocab->byte_id[(guint8) word[i]];
    symbols[i].prev = i > 0 ? i - 1 : NONE;
    symbols[i].next = i + 1 < n ? i + 1 : NONE;
  }
  for (guint32 i = 0; i < n; i++)
    push_pair (merges, merger, i);
  while (merger->n_heap > 0)
    merge_pair (merges, merger, pop (merger));
  for (guint32 i = 0; i < n && i != NONE; i = symbols[i].next) {
    if (symbols[i].id >= 0)
      g_array_append_val (ids, symbols[i].id);
  }
}
