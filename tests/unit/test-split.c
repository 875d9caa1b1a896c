/* Pre-tokenizers: known splits, and the scanner against the original regular expressions run by GRegex. */
#include "models/tokenizer/split.h"
#include <string.h>

/* White space as Unicode has it: PCRE's own \s counts U+180E in. */
#define S "\\x{9}-\\x{d}\\x{85}\\p{Z}"
#define ANY_S "[" S "]"
#define GPT2_REGEX "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" S "\\p{L}\\p{N}]+|" ANY_S "+(?![^" S "])|" ANY_S "+"
#define LLAMA3_REGEX(digits) "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits \
    "| ?[^" S "\\p{L}\\p{N}]+[\\r\\n]*|" ANY_S "*[\\r\\n]+|" ANY_S "+(?![^" S "])|" ANY_S "+"

static GPtrArray *
split_text (StSplit split, const gchar * text, gsize len)
{
  GPtrArray *words = g_ptr_array_new_with_free_func (g_free);

  while (len > 0) {
    gsize n = st_split_next (split, text, len);

    g_assert_cmpuint (n, >, 0);
    g_assert_cmpuint (n, <=, len);
    g_ptr_array_add (words, g_strndup (text, n));
    text += n;
    len -= n;
  }
  g_ptr_array_add (words, NULL);
  return words;
}

static void
assert_split (StSplit split, const gchar * text, const gchar * expected)
{
  g_autoptr (GPtrArray) words = split_text (split, text, strlen (text));
  g_autofree gchar *joined = g_strjoinv ("|", (gchar **) words->pdata);

  g_assert_cmpstr (joined, ==, expected);
}

static void
test_gpt2 (void)
{
  static const gchar *const cases[][2] = {
    {"Hello world", "Hello| world"},
    {"Hello  world", "Hello| | world"},
    {"I've 12 dogs, it's 3.5!", "I|'ve| 12| dogs|,| it|'s| 3|.|5|!"},
    {"CAN'T", "CAN|'|T"},
    {"a\n\n b", "a|\n\n| b"},
    {"tail  ", "tail|  "},
    {"x\t\ty", "x|\t|\t|y"},
    {"été₂²", "été|₂²"},
    {" !? -", " !?| -"},
    {"'", "'"},
    {"''s", "''|s"},
    {"a's'd", "a|'s|'d"},
    {"日本語。テスト", "日本語|。|テスト"},
    {"\r\nA", "\r|\n|A"},
    {"a\u00a0b", "a|\u00a0|b"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_split (ST_SPLIT_GPT2, cases[i][0], cases[i][1]);
}

static void
test_smollm (void)
{
  static const gchar *const cases[][2] = {
    {"in 2024", "in| |2|0|2|4"},
    {"a1b22c", "a|1|b|2|2|c"},
    {"x  1", "x|  |1"},
    {"1  x", "1| | x"},
    {"3.14", "3|.|1|4"},
    {"½Ⅷ٣", "½|Ⅷ|٣"},
    {"it's 1's", "it|'s| |1|'s"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_split (ST_SPLIT_SMOLLM, cases[i][0], cases[i][1]);
}

static void
test_llama3 (void)
{
  static const gchar *const cases[][2] = {
    {"Hello world", "Hello| world"},
    {"12345678", "123|456|78"},
    {" 1234", " |123|4"},
    {"CAN'T don't", "CAN|'T| don|'t"},
    {"x(y)=z", "x|(y|)=|z"},
    {"a\n\n\nb", "a|\n\n\n|b"},
    {"a  \n \n  b", "a|  \n \n| | b"},
    {"end.\n\nNext", "end|.\n\n|Next"},
    {"\ttab", "\ttab"},
    {"\t\ttab", "\t|\ttab"},
    {"#include <x.h>\n", "#include| <|x|.h|>\n"},
    {"你好，世界", "你好|，世界"},
    {"  ", "  "},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_split (ST_SPLIT_LLAMA3, cases[i][0], cases[i][1]);
}

static void
test_qwen2 (void)
{
  static const gchar *const cases[][2] = {
    {"in 2024", "in| |2|0|2|4"},
    {"v1.25\r\n", "v|1|.|2|5|\r\n"},
    {"x = y;\r\n\r\n", "x| =| y|;\r\n\r\n"},
    {"We'Ve", "We|'Ve"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_split (ST_SPLIT_QWEN2, cases[i][0], cases[i][1]);
}

/* Appends what the expression matches in a text, which is all of it. */
static void
regex_words (const GRegex * regex, const gchar * text, gsize len,
    GPtrArray * words)
{
  g_autoptr (GMatchInfo) info = NULL;
  gint end = 0;

  g_regex_match_full (regex, text, (gssize) len, 0, 0, &info, NULL);
  for (; g_match_info_matches (info); g_match_info_next (info, NULL)) {
    gint start, from = end;

    g_assert_true (g_match_info_fetch_pos (info, 0, &start, &end));
    g_assert_cmpint (start, ==, from);
    g_ptr_array_add (words, g_strndup (text + start, (gsize) (end - start)));
  }
  g_assert_cmpint (end, ==, (gint) len);
}

/* SmolLM: digits out first, then GPT-2's expression on each piece between. */
static void
regex_smollm (const GRegex * regex, const gchar * text, GPtrArray * words)
{
  const gchar *begin = text, *p = text;

  for (; *p; p = g_utf8_next_char (p)) {
    GUnicodeType type = g_unichar_type (g_utf8_get_char (p));

    if (type != G_UNICODE_DECIMAL_NUMBER && type != G_UNICODE_LETTER_NUMBER
        && type != G_UNICODE_OTHER_NUMBER)
      continue;
    if (p > begin)
      regex_words (regex, begin, (gsize) (p - begin), words);
    begin = g_utf8_next_char (p);
    g_ptr_array_add (words, g_strndup (p, (gsize) (begin - p)));
  }
  if (p > begin)
    regex_words (regex, begin, (gsize) (p - begin), words);
}

/* Mostly the characters that the expressions tell apart, so that short texts meet every branch. */
static gunichar
random_char (GRand * rand)
{
  static const gchar common[] = "'''stmdrevlSTMDREVL  \t\n\r  01239..,!-(\"";
  static const gunichar rare[] = { 0x85, 0xa0, 0xad, 0xe9, 0x130, 0x301, 0x3b1,
    0x5d0, 0x661, 0x2003, 0x2028, 0x2029, 0x2160, 0xbd, 0x200b, 0x200d, 0x20ac,
    0x3000, 0x3042, 0x4e2d, 0xac00, 0xe000, 0xfeff, 0xfffd, 0x1f600, 0x1d400,
    0x1d7ce, 0x10ffff, 0x0b, 0x0c, 0x1c, 0x7f
  };

  if (g_rand_int_range (rand, 0, 4) > 0)
    return (guchar) common[g_rand_int_range (rand, 0, sizeof (common) - 1)];
  return rare[g_rand_int_range (rand, 0, G_N_ELEMENTS (rare))];
}

static void
test_against_regex (gconstpointer data)
{
  StSplit split = (StSplit) GPOINTER_TO_INT (data);
  static const gchar *const patterns[] = {
    [ST_SPLIT_GPT2] = GPT2_REGEX,
    [ST_SPLIT_SMOLLM] = GPT2_REGEX,
    [ST_SPLIT_LLAMA3] = LLAMA3_REGEX ("{1,3}"),
    [ST_SPLIT_QWEN2] = LLAMA3_REGEX (""),
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (GRegex) regex = g_regex_new (patterns[split], G_REGEX_OPTIMIZE, 0,
      &error);
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  g_assert_no_error (error);
  for (guint round = 0; round < 20000; round++) {
    g_autoptr (GString) text = g_string_new (NULL);
    g_autoptr (GPtrArray) words = NULL;
    g_autoptr (GPtrArray) expected = g_ptr_array_new_with_free_func (g_free);
    gint n = g_rand_int_range (rand, 1, 24);

    while (n-- > 0)
      g_string_append_unichar (text, random_char (rand));
    if (split == ST_SPLIT_SMOLLM)
      regex_smollm (regex, text->str, expected);
    else
      regex_words (regex, text->str, text->len, expected);
    g_ptr_array_add (expected, NULL);
    words = split_text (split, text->str, text->len);
    g_assert_cmpstrv ((gchar **) words->pdata, (gchar **) expected->pdata);
  }
}

static void
test_nul (void)
{
  const gchar text[] = "ab\0\0 \0c";
  const gsize lens[] = { 2, 2, 2, 1 };
  const gchar *p = text;

  for (guint i = 0; i < G_N_ELEMENTS (lens); i++) {
    g_assert_cmpuint (st_split_next (ST_SPLIT_GPT2, p,
            (gsize) (text + sizeof (text) - 1 - p)), ==, lens[i]);
    p += lens[i];
  }
}

static void
test_names (void)
{
  static const struct
  {
    const gchar *name;
    StSplit split;
    gboolean ignore_merges, add_bos;
  } cases[] = {
    {"gpt-2", ST_SPLIT_GPT2, FALSE, FALSE},
    {"smollm", ST_SPLIT_SMOLLM, FALSE, FALSE},
    {"starcoder", ST_SPLIT_SMOLLM, FALSE, FALSE},
    {"llama-bpe", ST_SPLIT_LLAMA3, TRUE, TRUE},
    {"dbrx", ST_SPLIT_LLAMA3, FALSE, FALSE},
    {"qwen2", ST_SPLIT_QWEN2, FALSE, FALSE},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    const StPreTokenizer *pre = st_pre_tokenizer_find (cases[i].name);

    g_assert_nonnull (pre);
    g_assert_cmpint (pre->split, ==, cases[i].split);
    g_assert_cmpint (pre->ignore_merges, ==, cases[i].ignore_merges);
    g_assert_cmpint (pre->add_bos, ==, cases[i].add_bos);
  }
  g_assert_null (st_pre_tokenizer_find ("default"));
  g_assert_null (st_pre_tokenizer_find (""));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/split/gpt2", test_gpt2);
  g_test_add_func ("/split/smollm", test_smollm);
  g_test_add_func ("/split/llama3", test_llama3);
  g_test_add_func ("/split/qwen2", test_qwen2);
  g_test_add_data_func ("/split/against-regex/gpt2",
      GINT_TO_POINTER (ST_SPLIT_GPT2), test_against_regex);
  g_test_add_data_func ("/split/against-regex/smollm",
      GINT_TO_POINTER (ST_SPLIT_SMOLLM), test_against_regex);
  g_test_add_data_func ("/split/against-regex/llama3",
      GINT_TO_POINTER (ST_SPLIT_LLAMA3), test_against_regex);
  g_test_add_data_func ("/split/against-regex/qwen2",
      GINT_TO_POINTER (ST_SPLIT_QWEN2), test_against_regex);
  g_test_add_func ("/split/nul", test_nul);
  g_test_add_func ("/split/names", test_names);
  return g_test_run ();
}
