/* Detokenizer: whole characters only, U+FFFD as soon as a sequence is lost. One byte is one token here. */
#include "models/tokenizer/tokenizer.h"
#include <string.h>
#include "tests/support/test-model.h"
#include "tests/support/test-vocab.h"
#include "tests/support/tokenizer-cases.h"

#define R "\xef\xbf\xbd"

static const gchar *const specials[] = { "<end>", "<user>", NULL };
static const gint32 special_types[] = { 3, 4 };

static const StTestVocab bytes = {.specials = specials,
  .special_types = special_types
};

/* @expected: what has come out after each byte, behind one another with '|' between. */
static void
assert_steps (const gchar * data, const gchar * expected)
{
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&bytes);
  StDetokenizer *detokenizer = st_detokenizer_new (tokenizer);
  g_autoptr (GString) steps = g_string_new (NULL);

  for (const gchar * p = data; *p; p++) {
    st_detokenizer_push (detokenizer, (guint8) * p, steps);
    g_string_append_c (steps, '|');
  }
  st_detokenizer_flush (detokenizer, steps);
  st_detokenizer_free (detokenizer);
  g_assert_cmpstr (steps->str, ==, expected);
}

static void
test_whole_characters (void)
{
  assert_steps ("ab", "a|b|");
  assert_steps ("é€😀", "|é|||€||||😀|");
  assert_steps ("\xc2\x80\xdf\xbf", "|\xc2\x80||\xdf\xbf|");
  assert_steps ("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80",
      "||\xe0\xa0\x80|||\xed\x9f\xbf|||\xee\x80\x80|");
  assert_steps ("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
      "|||\xf0\x90\x80\x80||||\xf4\x8f\xbf\xbf|");
}

/* The examples of the Unicode standard 15.0, section 3.9, tables 3-8 to 3-11. */
static void
test_unicode_tables (void)
{
  assert_steps ("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41",
      R "|" R "||" R R "|" R "||" R R "|" R "|A|");
  assert_steps ("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41",
      "|" R R "|" R "||" R R "|" R "||" R R "|A|");
  assert_steps ("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42",
      "|" R R "|" R "|" R "|" R "|A|" R "|" R "|B|");
  assert_steps ("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41",
      "||" R "|" R "|||" R "||" R "A|");
}

static void
test_flush (void)
{
  assert_steps ("a\xe2\x82", "a|||" R);
  assert_steps ("\xf0\x9f\x98", "|||" R);
  assert_steps ("\xe2\xe2", "|" R "|" R);
}

static void
test_flush_resets (void)
{
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&bytes);
  StDetokenizer *detokenizer = st_detokenizer_new (tokenizer);
  g_autoptr (GString) out = g_string_new (NULL);

  st_detokenizer_push (detokenizer, 0xe2, out);
  st_detokenizer_flush (detokenizer, out);
  st_detokenizer_flush (detokenizer, out);
  g_assert_cmpstr (out->str, ==, R);
  st_detokenizer_push (detokenizer, 'a', out);
  st_detokenizer_flush (detokenizer, out);
  g_assert_cmpstr (out->str, ==, R "a");
  st_detokenizer_free (detokenizer);
}

/* Control tokens and ids that are none add nothing, not even to a character that they interrupt. */
static void
test_tokens_without_text (void)
{
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&bytes);
  StDetokenizer *detokenizer = st_detokenizer_new (tokenizer);
  g_autoptr (GString) out = g_string_new (NULL);
  const gint32 ids[] = { 256, 0xc3, 256, -1, 258, G_MAXINT32, 0xa9, 257, 0 };

  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    st_detokenizer_push (detokenizer, ids[i], out);
  g_assert_cmpmem (out->str, out->len, "é<user>", 9);
  st_detokenizer_free (detokenizer);
}

/* Random bytes: always valid UTF-8, and valid characters are never lost. */
static void
test_random_bytes (void)
{
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&bytes);
  StDetokenizer *detokenizer = st_detokenizer_new (tokenizer);
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);

  for (guint round = 0; round < 5000; round++) {
    g_autoptr (GString) out = g_string_new (NULL);
    guint n_ascii = 0, n_found = 0;

    for (guint i = 0; i < 20; i++) {
      gint32 byte = g_rand_int_range (rand, round % 2 ? 0x80 : 1, 0x100);

      n_ascii += byte < 0x80;
      st_detokenizer_push (detokenizer, byte, out);
      g_assert_true (g_utf8_validate (out->str, (gssize) out->len, NULL));
    }
    st_detokenizer_flush (detokenizer, out);
    g_assert_true (g_utf8_validate (out->str, (gssize) out->len, NULL));
    for (gsize i = 0; i < out->len; i++)
      n_found += (guint8) out->str[i] < 0x80;
    g_assert_cmpuint (n_found, ==, n_ascii);
  }
  st_detokenizer_free (detokenizer);
}

/* Every text cut at every byte, as a vocabulary of bytes does: what comes out at any time is the whole characters so far. */
static void
test_texts_by_bytes (void)
{
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&bytes);
  StDetokenizer *detokenizer = st_detokenizer_new (tokenizer);

  for (gsize i = 0; i < st_tokenizer_n_cases; i++) {
    const StTokenizerCase *c = &st_tokenizer_cases[i];
    g_autoptr (GString) out = g_string_new (NULL);

    for (gsize j = 0; j < c->len; j++) {
      st_detokenizer_push (detokenizer, (guint8) c->text[j], out);
      g_assert_cmpuint (out->len, <=, j + 1);
      g_assert_cmpuint (out->len + 3, >=, j + 1);
      g_assert_cmpmem (out->str, out->len, c->text, out->len);
    }
    g_assert_cmpuint (out->len, ==, c->len);
  }
  st_detokenizer_free (detokenizer);
}

static void
test_real_round_trip (void)
{
  g_autofree gchar *path = st_test_model_path ();
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = NULL;
  g_autoptr (StTokenizer) tokenizer = NULL;
  StDetokenizer *detokenizer;

  if (path == NULL) {
    g_test_skip ("no model (ST_TEST_MODEL, or .cache in the source tree)");
    return;
  }
  gguf = st_gguf_open (path, &error);
  g_assert_no_error (error);
  tokenizer = st_tokenizer_new (gguf, &error);
  g_assert_no_error (error);
  detokenizer = st_detokenizer_new (tokenizer);
  for (gsize i = 0; i < st_tokenizer_n_cases; i++) {
    const StTokenizerCase *c = &st_tokenizer_cases[i];
    g_autoptr (GString) out = g_string_new (NULL);
    g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));

    /* SmolLM2's vocabulary lacks this byte. */
    if (memchr (c->text, '\x04', c->len))
      continue;
    st_tokenizer_encode (tokenizer, c->text, c->len, FALSE, ids, &error);
    g_assert_no_error (error);
    for (guint j = 0; j < ids->len; j++)
      st_detokenizer_push (detokenizer, g_array_index (ids, gint32, j), out);
    g_assert_cmpmem (out->str, out->len, c->text, c->len);
  }
  st_detokenizer_free (detokenizer);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/detokenizer/whole-characters", test_whole_characters);
  g_test_add_func ("/detokenizer/unicode-tables", test_unicode_tables);
  g_test_add_func ("/detokenizer/flush", test_flush);
  g_test_add_func ("/detokenizer/flush-resets", test_flush_resets);
  g_test_add_func ("/detokenizer/tokens-without-text",
      test_tokens_without_text);
  g_test_add_func ("/detokenizer/random-bytes", test_random_bytes);
  g_test_add_func ("/detokenizer/texts-by-bytes", test_texts_by_bytes);
  g_test_add_func ("/detokenizer/real/round-trip", test_real_round_trip);
  return g_test_run ();
}
