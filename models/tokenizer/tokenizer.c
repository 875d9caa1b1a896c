/* The tokenizer of a GGUF file: special tokens are cut out first, the rest is split into words, each word is merged. */
#include "models/tokenizer/tokenizer.h"

#include <string.h>

#include "models/tokenizer/merges.h"
#include "models/tokenizer/split.h"
#include "models/tokenizer/tokenizer-private.h"
#include "models/tokenizer/vocab.h"

/* One GArray must be able to hold an id for each byte. */
#define MAX_TEXT (1 << 29)

/* Tokens that end a generation whatever the file calls them (llama.cpp keeps the same list). */
static const gchar *const eog_names[] = {
  "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>",
  "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>",
  "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
  "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "[e~[",
  "<｜end▁of▁sentence｜>", "<|fim_pad|>", "<fim-pad>", "<fim_pad>",
  "<PAD>", "[PAD]", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>",
  "<reponame>", "<|file_sep|>",
};

static const gchar *const eog_keys[] = {
  "tokenizer.ggml.eos_token_id",
  "tokenizer.ggml.eot_token_id",
  "tokenizer.ggml.eom_token_id",
};

struct _StTokenizer
{
  gatomicrefcount refs;
  StVocab vocab;
  StMerges merges;
  const StPreTokenizer *pre;
  gint32 bos, eos;              /* -1: none */
  gboolean add_bos;
  GArray *eog;                  /* of gint32 */
  GArray *specials;             /* of gint32, by first byte, then the longest first */
  guint special_at[257];        /* specials that begin with byte b: special_at[b]..special_at[b + 1] */
  gchar *id;
};

G_DEFINE_QUARK (st - tokenizer - error - quark, st_tokenizer_error)
     static gboolean
         read_pre_tokenizer (StTokenizer * tokenizer, const StGguf * gguf,
    GError ** error)
{
  const gchar *model = st_gguf_get_string (gguf, "tokenizer.ggml.model");
  const gchar *pre = st_gguf_get_string (gguf, "tokenizer.ggml.pre");

  if (g_strcmp0 (model, "gpt2") != 0) {
    g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_MODEL,
        "%s: tokenizer.ggml.model is '%s'; only 'gpt2' (byte-level BPE) is "
        "supported", st_gguf_path (gguf), model ? model : "(absent)");
    return FALSE;
  }
  /* Files from before the key was invented are GPT-2's. */
  tokenizer->pre = st_pre_tokenizer_find (pre ? pre : "gpt-2");
  if (tokenizer->pre == NULL) {
    g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_MODEL,
        "%s: tokenizer.ggml.pre is '%s', which is not supported; known are the "
        "families of gpt-2, smollm, llama-bpe and qwen2", st_gguf_path (gguf),
        pre);
    return FALSE;
  }
  return TRUE;
}

/* Leaves -1 when the key is absent. */
static gboolean
read_token_id (const StTokenizer * tokenizer, const StGguf * gguf,
    const gchar * key, gint32 * id, GError ** error)
{
  guint64 value;

  *id = -1;
  if (!st_gguf_get_uint (gguf, key, &value))
    return TRUE;
  if (value >= tokenizer->vocab.n) {
    g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_MODEL,
        "%s: %s is %" G_GUINT64_FORMAT ", but the vocabulary has %u tokens",
        st_gguf_path (gguf), key, value, tokenizer->vocab.n);
    return FALSE;
  }
  *id = (gint32) value;
  return TRUE;
}

static void
add_eog (StTokenizer * tokenizer, gint32 id)
{
  if (id >= 0 && !st_tokenizer_is_eog (tokenizer, id))
    g_array_append_val (tokenizer->eog, id);
}

static gboolean
read_eog (StTokenizer * tokenizer, const StGguf * gguf, GError ** error)
{
  for (guint i = 0; i < G_N_ELEMENTS (eog_keys); i++) {
    gint32 id;

    if (!read_token_id (tokenizer, gguf, eog_keys[i], &id, error))
      return FALSE;
    add_eog (tokenizer, id);
  }
  for (guint i = 0; i < G_N_ELEMENTS (eog_names); i++) {
    gint32 id = st_tokenizer_find (tokenizer, eog_names[i]);

    /* Some files forget to mark them as control tokens. */
    if (id >= 0)
      tokenizer->vocab.type[id] = ST_TOKEN_CONTROL;
    add_eog (tokenizer, id);
  }
  return TRUE;
}

static gboolean
read_ids (StTokenizer * tokenizer, const StGguf * gguf, GError ** error)
{
  if (!read_token_id (tokenizer, gguf, "tokenizer.ggml.bos_token_id",
          &tokenizer->bos, error)
      || !read_token_id (tokenizer, gguf, "tokenizer.ggml.eos_token_id",
          &tokenizer->eos, error)
      || !read_eog (tokenizer, gguf, error))
    return FALSE;
  tokenizer->add_bos = tokenizer->pre->add_bos;
  st_gguf_get_bool (gguf, "tokenizer.ggml.add_bos_token", &tokenizer->add_bos);
  return TRUE;
}

static gint
compare_specials (gconstpointer a, gconstpointer b, gpointer data)
{
  const StVocab *vocab = data;
  gsize a_len, b_len;
  const gchar *a_text = st_vocab_text (vocab, *(const gint32 *) a, &a_len);
  const gchar *b_text = st_vocab_text (vocab, *(const gint32 *) b, &b_len);

  if (*a_text != *b_text)
    return (guint8) * a_text < (guint8) * b_text ? -1 : 1;
  return a_len > b_len ? -1 : a_len < b_len;
}

static void
collect_specials (StTokenizer * tokenizer)
{
  const StVocab *vocab = &tokenizer->vocab;
  guint next = 0;

  for (gint32 id = 0; id < (gint32) vocab->n; id++) {
    guint8 type = vocab->type[id];

    if (vocab->text_at[id] < vocab->text_at[id + 1]
        && (type == ST_TOKEN_CONTROL || type == ST_TOKEN_USER_DEFINED
            || type == ST_TOKEN_UNKNOWN))
      g_array_append_val (tokenizer->specials, id);
  }
  g_array_sort_with_data (tokenizer->specials, compare_specials,
      (gpointer) vocab);
  for (guint byte = 0; byte < 256; byte++) {
    tokenizer->special_at[byte] = next;
    while (next < tokenizer->specials->len) {
      gint32 id = g_array_index (tokenizer->specials, gint32, next);

      if ((guint8) vocab->text[vocab->text_at[id]] != byte)
        break;
      next++;
    }
  }
  tokenizer->special_at[256] = next;
}

static void
hash_number (GChecksum * sum, guint64 number)
{
  number = GUINT64_TO_LE (number);
  g_checksum_update (sum, (const guchar *) &number, sizeof (number));
}

static void
hash_string (GChecksum * sum, const gchar * text, gsize len)
{
  hash_number (sum, len);
  g_checksum_update (sum, (const guchar *) text, (gssize) len);
}

static gchar *
make_id (const StTokenizer * tokenizer, const StGguf * gguf)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize len;

  hash_string (sum, tokenizer->pre->name, strlen (tokenizer->pre->name));
  hash_number (sum, tokenizer->vocab.n);
  for (gint32 id = 0; id < (gint32) tokenizer->vocab.n; id++) {
    const gchar *text = st_vocab_text (&tokenizer->vocab, id, &len);

    hash_string (sum, text, len);
    hash_number (sum, tokenizer->vocab.type[id]);
  }
  hash_number (sum, tokenizer->merges.n);
  for (guint i = 0; i < tokenizer->merges.n; i++) {
    const gchar *text = st_gguf_array_string (gguf, "tokenizer.ggml.merges", i,
        &len);

    hash_string (sum, text, len);
  }
  return g_strdup (g_checksum_get_string (sum));
}

StTokenizer *
st_tokenizer_new (StGguf * gguf, GError ** error)
{
  g_autoptr (StTokenizer) tokenizer = g_new0 (StTokenizer, 1);

  g_atomic_ref_count_init (&tokenizer->refs);
  tokenizer->eog = g_array_new (FALSE, FALSE, sizeof (gint32));
  tokenizer->specials = g_array_new (FALSE, FALSE, sizeof (gint32));
  if (!read_pre_tokenizer (tokenizer, gguf, error)
      || !st_vocab_init (&tokenizer->vocab, gguf, error)
      || !st_merges_init (&tokenizer->merges, &tokenizer->vocab, gguf, error))
    return NULL;
  tokenizer->id = make_id (tokenizer, gguf);
  if (!read_ids (tokenizer, gguf, error))
    return NULL;
  collect_specials (tokenizer);
  return g_steal_pointer (&tokenizer);
}

StTokenizer *
st_tokenizer_ref (StTokenizer * tokenizer)
{
  g_atomic_ref_count_inc (&tokenizer->refs);
  return tokenizer;
}

void
st_tokenizer_unref (StTokenizer * tokenizer)
{
  if (tokenizer == NULL || !g_atomic_ref_count_dec (&tokenizer->refs))
    return;
  st_vocab_clear (&tokenizer->vocab);
  st_merges_clear (&tokenizer->merges);
  g_array_unref (tokenizer->eog);
  g_array_unref (tokenizer->specials);
  g_free (tokenizer->id);
  g_free (tokenizer);
}

/* GLib's check ends at a NUL, which is a character like any other here. */
static gboolean
check_utf8 (const gchar * text, gsize len, GError ** error)
{
  const gchar *p = text, *end = text + len;

  while (p < end && !g_utf8_validate_len (p, (gsize) (end - p), &p)) {
    if (*p != '\0') {
      g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_TEXT,
          "text is not valid UTF-8 at byte %" G_GSIZE_FORMAT,
          (gsize) (p - text));
      return FALSE;
    }
    p++;
  }
  return TRUE;
}

static gboolean
match_special (const StTokenizer * tokenizer, const gchar * text, gsize len,
    gboolean parse_special, StSpecialMatch * match)
{
  guint8 first = (guint8) * text;

  for (guint i = tokenizer->special_at[first];
      i < tokenizer->special_at[first + 1]; i++) {
    gint32 id = g_array_index (tokenizer->specials, gint32, i);
    gsize n;
    const gchar *name = st_vocab_text (&tokenizer->vocab, id, &n);

    if (n > len || memcmp (name, text, n) != 0)
      continue;
    if (!parse_special && tokenizer->vocab.type[id] != ST_TOKEN_USER_DEFINED)
      continue;
    match->id = id;
    match->len = n;
    return TRUE;
  }
  return FALSE;
}

gboolean
st_tokenizer_next_special (const StTokenizer * tokenizer, const gchar * text,
    gsize len, gboolean parse_special, StSpecialMatch * match)
{
  for (match->at = 0; match->at < len; match->at++) {
    if (match_special (tokenizer, text + match->at, len - match->at,
            parse_special, match))
      return TRUE;
  }
  return FALSE;
}

/* A text without special tokens. */
static gboolean
encode_plain (const StTokenizer * tokenizer, StMerger * merger,
    GString * scratch, const gchar * text, gsize len, GArray * ids,
    GError ** error)
{
  while (len > 0) {
    gsize n = st_split_next (tokenizer->pre->split, text, len);
    gint32 id = -1;

    if (n > ST_MERGE_MAX_WORD) {
      g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_TEXT,
          "a word of %" G_GSIZE_FORMAT " bytes is longer than the limit of %d",
          n, ST_MERGE_MAX_WORD);
      return FALSE;
    }
    if (tokenizer->pre->ignore_merges)
      id = st_vocab_find_word (&tokenizer->vocab, text, n, scratch);
    if (id >= 0)
      g_array_append_val (ids, id);
    else
      st_merge_word (&tokenizer->merges, &tokenizer->vocab, merger, text, n,
          ids);
    text += n;
    len -= n;
  }
  return TRUE;
}

static gboolean
encode_checked (const StTokenizer * tokenizer, StMerger * merger,
    const gchar * text, gsize len, gboolean parse_special, GArray * ids,
    GError ** error)
{
  g_autoptr (GString) scratch = g_string_new (NULL);

  while (len > 0) {
    StSpecialMatch match;
    gboolean found = st_tokenizer_next_special (tokenizer, text, len,
        parse_special, &match);

    if (!encode_plain (tokenizer, merger, scratch, text, match.at, ids, error))
      return FALSE;
    if (!found)
      break;
    g_array_append_val (ids, match.id);
    text += match.at + match.len;
    len -= match.at + match.len;
  }
  return TRUE;
}

gboolean
st_tokenizer_encode (StTokenizer * tokenizer, const gchar * text, gsize len,
    gboolean parse_special, GArray * ids, GError ** error)
{
  StMerger merger = { 0 };
  guint before = ids->len;
  gboolean ok;

  if (len > MAX_TEXT) {
    g_set_error (error, ST_TOKENIZER_ERROR, ST_TOKENIZER_ERROR_TEXT,
        "text of %" G_GSIZE_FORMAT " bytes is longer than the limit of %d",
        len, MAX_TEXT);
    return FALSE;
  }
  if (!check_utf8 (text, len, error))
    return FALSE;
  ok = encode_checked (tokenizer, &merger, text, len, parse_special, ids,
      error);
  if (!ok)
    g_array_set_size (ids, before);
  st_merger_clear (&merger);
  return ok;
}

guint
st_tokenizer_vocab_size (const StTokenizer * tokenizer)
{
  return tokenizer->vocab.n;
}

gint32
st_tokenizer_bos (const StTokenizer * tokenizer)
{
  return tokenizer->bos;
}

gint32
st_tokenizer_eos (const StTokenizer * tokenizer)
{
  return tokenizer->eos;
}

gboolean
st_tokenizer_add_bos (const StTokenizer * tokenizer)
{
  return tokenizer->add_bos && tokenizer->bos >= 0;
}

gboolean
st_tokenizer_is_eog (const StTokenizer * tokenizer, gint32 id)
{
  for (guint i = 0; i < tokenizer->eog->len; i++) {
    if (g_array_index (tokenizer->eog, gint32, i) == id)
      return TRUE;
  }
  return FALSE;
}

gboolean
st_tokenizer_is_control (const StTokenizer * tokenizer, gint32 id)
{
  guint8 type;

  if (id < 0 || (guint) id >= tokenizer->vocab.n)
    return FALSE;
  type = tokenizer->vocab.type[id];
  return type == ST_TOKEN_CONTROL || type == ST_TOKEN_UNKNOWN;
}

gint32
st_tokenizer_find (const StTokenizer * tokenizer, const gchar * name)
{
  return st_vocab_find (&tokenizer->vocab, name, strlen (name));
}

const gchar *
st_tokenizer_piece (const StTokenizer * tokenizer, gint32 id, gsize * len)
{
  if (id < 0 || (guint) id >= tokenizer->vocab.n)
    return NULL;
  return st_vocab_piece (&tokenizer->vocab, id, len);
}

const gchar *
st_tokenizer_id (const StTokenizer * tokenizer)
{
  return tokenizer->id;
}
