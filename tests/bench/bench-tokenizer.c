/* Times of tokenising one megabyte of ordinary and of hostile text, and how they grow with its length.
 *
 * usage: bench-tokenizer [MODEL.gguf]   (default: the test model) */
#include <stdio.h>
#include <string.h>
#include "models/tokenizer/tokenizer.h"
#include "tests/support/test-model.h"

#define MEGABYTE (1 << 20)
#define ROUNDS 3

/* Fills @len bytes with whole repetitions of @part, the rest with newlines. */
static gchar *
repeat (const gchar * part, gsize len)
{
  gchar *text = g_malloc (len);
  gsize n = strlen (part), whole = len - len % n;

  for (gsize i = 0; i < len; i++)
    text[i] = i < whole ? part[i % n] : '\n';
  return text;
}

/* Best of some rounds, in milliseconds. */
static gdouble
time_encode (StTokenizer * tokenizer, const gchar * part, gsize len,
    guint * n_ids)
{
  g_autofree gchar *text = repeat (part, len);
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  gint64 best = G_MAXINT64;

  for (guint i = 0; i < ROUNDS; i++) {
    g_autoptr (GError) error = NULL;
    gint64 start = g_get_monotonic_time ();

    g_array_set_size (ids, 0);
    if (!st_tokenizer_encode (tokenizer, text, len, TRUE, ids, &error))
      g_error ("%s", error->message);
    best = MIN (best, g_get_monotonic_time () - start);
  }
  *n_ids = ids->len;
  return (gdouble) best / 1000;
}

static gdouble
time_decode (StTokenizer * tokenizer, const gchar * part)
{
  g_autofree gchar *text = repeat (part, MEGABYTE);
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GString) out = g_string_new (NULL);
  StDetokenizer *detokenizer = st_detokenizer_new (tokenizer);
  gint64 start;

  st_tokenizer_encode (tokenizer, text, MEGABYTE, FALSE, ids, NULL);
  start = g_get_monotonic_time ();
  for (guint i = 0; i < ids->len; i++)
    st_detokenizer_push (detokenizer, g_array_index (ids, gint32, i), out);
  st_detokenizer_free (detokenizer);
  return (gdouble) (g_get_monotonic_time () - start) / 1000;
}

static void
run (StTokenizer * tokenizer, const gchar * hamlet)
{
  const struct
  {
    const gchar *name;
    const gchar *part;
  } cases[] = {
    {"English", hamlet},
    {"Chinese", "我能吞下玻璃而不伤身体。"},
    {"code", "    for (int i = 0; i < n; i++)\n\tx[i] += y[i] * 2;\n"},
    {"one letter", "a"},
    {"spaces", " "},
    {"newlines", "\n"},
    {"digits", "7"},
    {"punctuation", "!"},
    {"one long word", "abcdefghijklmnopqrstuvwxyz"},
    {"almost specials", "<|im_end<|"},
    {"specials", "<|im_end|>"},
    {"emoji", "👨‍👩‍👧‍👦🏳️‍🌈"},
  };

  printf ("%-16s %9s %9s %9s %10s\n", "text", "1 MB: ms", "0.5: ms", "ratio",
      "ids");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    guint n_half, n;
    gdouble half = time_encode (tokenizer, cases[i].part, MEGABYTE / 2,
        &n_half);
    gdouble whole = time_encode (tokenizer, cases[i].part, MEGABYTE, &n);

    printf ("%-16s %9.1f %9.1f %9.2f %10u\n", cases[i].name, whole, half,
        whole / half, n);
  }
  printf ("detokenise English 1 MB: %.1f ms\n", time_decode (tokenizer,
          hamlet));
}

int
main (int argc, char **argv)
{
  g_autofree gchar *path = argc > 1 ? g_strdup (argv[1])
      : st_test_model_path ();
  g_autofree gchar *text_path = st_test_data_path ("hamlet20k.txt");
  g_autofree gchar *hamlet = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = NULL;
  g_autoptr (StTokenizer) tokenizer = NULL;
  gint64 start = g_get_monotonic_time ();

  if (path == NULL) {
    printf ("no model: give one, or set ST_TEST_MODEL\n");
    return 77;
  }
  gguf = st_gguf_open (path, &error);
  if (gguf)
    tokenizer = st_tokenizer_new (gguf, &error);
  if (tokenizer == NULL || !g_file_get_contents (text_path, &hamlet, NULL,
          &error)) {
    fprintf (stderr, "%s\n", error->message);
    return 1;
  }
  printf ("%s: %u tokens, opened in %.1f ms\n", path,
      st_tokenizer_vocab_size (tokenizer),
      (gdouble) (g_get_monotonic_time () - start) / 1000);
  run (tokenizer, hamlet);
  return 0;
}
