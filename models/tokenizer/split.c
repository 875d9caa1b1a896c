/* The regular expressions of split.h as a scanner: strictly linear, no back-tracking, no limit on the length of a word. */
#include "models/tokenizer/split.h"

#include <string.h>

/* END also stands for a digit that has to stand alone: to its neighbours it is the end of the text. */
typedef enum
{
  CLASS_END,
  CLASS_LETTER,
  CLASS_NUMBER,
  CLASS_SPACE,
  CLASS_NEWLINE,
  CLASS_OTHER,
} Class;

typedef struct
{
  const gchar *p;
  const gchar *end;
  gboolean digits_end;
} Scanner;

/* Names as llama.cpp reads them (src/llama-vocab.cpp). */
static const StPreTokenizer pre_tokenizers[] = {
  {"gpt-2", ST_SPLIT_GPT2, FALSE, FALSE},
  {"phi-2", ST_SPLIT_GPT2, FALSE, FALSE},
  {"mpt", ST_SPLIT_GPT2, FALSE, FALSE},
  {"olmo", ST_SPLIT_GPT2, FALSE, FALSE},
  {"jais", ST_SPLIT_GPT2, FALSE, FALSE},
  {"jina-es", ST_SPLIT_GPT2, FALSE, FALSE},
  {"jina-de", ST_SPLIT_GPT2, FALSE, FALSE},
  {"jina-v1-en", ST_SPLIT_GPT2, FALSE, FALSE},
  {"jina-v2-es", ST_SPLIT_GPT2, FALSE, FALSE},
  {"jina-v2-de", ST_SPLIT_GPT2, FALSE, FALSE},
  {"jina-v2-code", ST_SPLIT_GPT2, FALSE, FALSE},
  {"roberta-bpe", ST_SPLIT_GPT2, FALSE, FALSE},
  {"modern-bert", ST_SPLIT_GPT2, FALSE, FALSE},
  {"gigachat", ST_SPLIT_GPT2, FALSE, FALSE},
  {"a.x-4.0", ST_SPLIT_GPT2, FALSE, FALSE},
  {"mellum", ST_SPLIT_GPT2, FALSE, FALSE},
  {"exaone4", ST_SPLIT_GPT2, FALSE, FALSE},
  {"trillion", ST_SPLIT_GPT2, FALSE, FALSE},
  {"granite-docling", ST_SPLIT_GPT2, FALSE, FALSE},
  {"smollm", ST_SPLIT_SMOLLM, FALSE, FALSE},
  {"starcoder", ST_SPLIT_SMOLLM, FALSE, FALSE},
  {"refact", ST_SPLIT_SMOLLM, FALSE, FALSE},
  {"command-r", ST_SPLIT_SMOLLM, FALSE, FALSE},
  {"codeshell", ST_SPLIT_SMOLLM, FALSE, FALSE},
  {"exaone", ST_SPLIT_SMOLLM, FALSE, FALSE},
  {"minerva-7b", ST_SPLIT_SMOLLM, FALSE, FALSE},
  {"mellum2", ST_SPLIT_SMOLLM, FALSE, FALSE},
  {"llama3", ST_SPLIT_LLAMA3, TRUE, TRUE},
  {"llama-v3", ST_SPLIT_LLAMA3, TRUE, TRUE},
  {"llama-bpe", ST_SPLIT_LLAMA3, TRUE, TRUE},
  {"falcon3", ST_SPLIT_LLAMA3, TRUE, TRUE},
  {"falcon-h1", ST_SPLIT_LLAMA3, TRUE, TRUE},
  {"pixtral", ST_SPLIT_LLAMA3, TRUE, TRUE},
  {"midm-2.0", ST_SPLIT_LLAMA3, TRUE, TRUE},
  {"lfm2", ST_SPLIT_LLAMA3, TRUE, TRUE},
  {"jina-v5-nano", ST_SPLIT_LLAMA3, TRUE, TRUE},
  {"dbrx", ST_SPLIT_LLAMA3, FALSE, FALSE},
  {"smaug-bpe", ST_SPLIT_LLAMA3, FALSE, FALSE},
  {"glm4", ST_SPLIT_LLAMA3, TRUE, FALSE},
  {"chatglm-bpe", ST_SPLIT_LLAMA3, FALSE, FALSE},
  {"qwen2", ST_SPLIT_QWEN2, FALSE, FALSE},
  {"deepseek-r1-qwen", ST_SPLIT_QWEN2, FALSE, FALSE},
  {"kormo", ST_SPLIT_QWEN2, FALSE, FALSE},
  {"f2llmv2", ST_SPLIT_QWEN2, FALSE, FALSE},
  {"megrez", ST_SPLIT_QWEN2, FALSE, FALSE},
  {"stablelm2", ST_SPLIT_QWEN2, FALSE, FALSE},
  {"hunyuan", ST_SPLIT_QWEN2, FALSE, FALSE},
  {"solar-open", ST_SPLIT_QWEN2, FALSE, FALSE},
  {"grok-2", ST_SPLIT_QWEN2, FALSE, FALSE},
};

const StPreTokenizer *
st_pre_tokenizer_find (const gchar * name)
{
  for (guint i = 0; i < G_N_ELEMENTS (pre_tokenizers); i++) {
    if (strcmp (pre_tokenizers[i].name, name) == 0)
      return &pre_tokenizers[i];
  }
  return NULL;
}

/* White space is Unicode's White_Space property, as \s is in the original tokenizers. */
static Class
classify (gunichar c)
{
  if (c == '\n' || c == '\r')
    return CLASS_NEWLINE;
  if ((c >= 0x09 && c <= 0x0d) || c == 0x85)
    return CLASS_SPACE;
  switch (g_unichar_type (c)) {
    case G_UNICODE_UPPERCASE_LETTER:
    case G_UNICODE_LOWERCASE_LETTER:
    case G_UNICODE_TITLECASE_LETTER:
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_OTHER_LETTER:
      return CLASS_LETTER;
    case G_UNICODE_DECIMAL_NUMBER:
    case G_UNICODE_LETTER_NUMBER:
    case G_UNICODE_OTHER_NUMBER:
      return CLASS_NUMBER;
    case G_UNICODE_SPACE_SEPARATOR:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
      return CLASS_SPACE;
    default:
      return CLASS_OTHER;
  }
}

static Class
peek (const Scanner * s)
{
  Class class;

  if (s->p == s->end)
    return CLASS_END;
  class = classify (g_utf8_get_char (s->p));
  return class == CLASS_NUMBER && s->digits_end ? CLASS_END : class;
}

static void
skip (Scanner * s)
{
  s->p = g_utf8_next_char (s->p);
}

static void
skip_all (Scanner * s, Class class)
{
  while (peek (s) == class)
    skip (s);
}

static gboolean
is_white (Class class)
{
  return class == CLASS_SPACE || class == CLASS_NEWLINE;
}

/* 's 't 'm 'd 're 've 'll at the start of the text; 0 if there is none. */
static gsize
contraction (const gchar * text, gsize len, gboolean any_case)
{
  gchar a, b;

  if (len < 2 || text[0] != '\'')
    return 0;
  a = any_case ? g_ascii_tolower (text[1]) : text[1];
  if (a == 's' || a == 't' || a == 'm' || a == 'd')
    return 2;
  if (len < 3)
    return 0;
  b = any_case ? g_ascii_tolower (text[2]) : text[2];
  return (b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l') ? 3 : 0;
}

/* \s+(?!\S)|\s+ : all the white space, but the last character belongs to a word that follows. */
static gsize
white_space (Scanner s)
{
  const gchar *begin = s.p, *last = s.p;

  while (is_white (peek (&s))) {
    last = s.p;
    skip (&s);
  }
  if (peek (&s) != CLASS_END && last > begin)
    s.p = last;
  return (gsize) (s.p - begin);
}

static gsize
next_gpt2 (const gchar * text, gsize len, gboolean single_digits)
{
  Scanner s = { text, text + len, single_digits };
  gsize n = contraction (text, len, FALSE);
  Class class;

  if (n > 0)
    return n;
  if (peek (&s) == CLASS_END) {
    skip (&s);
    return (gsize) (s.p - text);
  }
  if (*s.p == ' ')
    s.p++;
  class = peek (&s);
  if (class == CLASS_LETTER || class == CLASS_NUMBER || class == CLASS_OTHER) {
    skip_all (&s, class);
    return (gsize) (s.p - text);
  }
  s.p = text;
  return white_space (s);
}

/* \s*[\r\n]+ : white space up to its last newline; 0 if it has none. */
static gsize
through_newlines (Scanner s)
{
  const gchar *begin = s.p, *last = s.p;

  for (Class class = peek (&s); is_white (class); class = peek (&s)) {
    skip (&s);
    if (class == CLASS_NEWLINE)
      last = s.p;
  }
  return (gsize) (last - begin);
}

static gsize
next_llama3 (const gchar * text, gsize len, guint max_digits)
{
  Scanner s = { text, text + len, FALSE };
  gsize n = contraction (text, len, TRUE);
  Class class = peek (&s);

  if (n > 0)
    return n;
  if (class == CLASS_NUMBER) {
    for (guint i = 0; i < max_digits && peek (&s) == CLASS_NUMBER; i++)
      skip (&s);
    return (gsize) (s.p - text);
  }
  /* A letter run may begin with one character that is neither newline nor digit. */
  if (class == CLASS_SPACE || class == CLASS_OTHER)
    skip (&s);
  if (peek (&s) == CLASS_LETTER) {
    skip_all (&s, CLASS_LETTER);
    return (gsize) (s.p - text);
  }
  s.p = text + (*text == ' ');
  if (peek (&s) == CLASS_OTHER) {
    skip_all (&s, CLASS_OTHER);
    skip_all (&s, CLASS_NEWLINE);
    return (gsize) (s.p - text);
  }
  s.p = text;
  n = through_newlines (s);
  return n > 0 ? n : white_space (s);
}

gsize
st_split_next (StSplit split, const gchar * text, gsize len)
{
  switch (split) {
    case ST_SPLIT_LLAMA3:
      return next_llama3 (text, len, 3);
    case ST_SPLIT_QWEN2:
      return next_llama3 (text, len, 1);
    default:
      return next_gpt2 (text, len, split == ST_SPLIT_SMOLLM);
  }
}
