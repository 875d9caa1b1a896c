/* Text to sequences, with a vocabulary in which every byte is a token. */
#include "codec/training/corpus.h"

#include <string.h>

#include <glib/gstdio.h>

#include "tests/support/test-vocab.h"

#define FIRST 256               /* <|endoftext|> */
#define RECORD 5                /* "0017," */

typedef struct
{
  StTokenizer *tokenizer;
  gchar *folder;
} Fixture;

static void
set_up (Fixture * f, gconstpointer unused)
{
  static const gchar *const specials[] = { "<|endoftext|>", NULL };
  StTestVocab vocab = { NULL, specials, NULL, NULL };

  (void) unused;
  f->tokenizer = st_test_tokenizer (&vocab);
  f->folder = g_dir_make_tmp ("corpus-XXXXXX", NULL);
  g_assert_nonnull (f->folder);
}

static void
remove_folder (const gchar * path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  const gchar *name;

  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *inner = g_build_filename (path, name, NULL);

    if (g_file_test (inner, G_FILE_TEST_IS_DIR))
      remove_folder (inner);
    else
      g_unlink (inner);
  }
  g_dir_close (dir);
  g_rmdir (path);
}

static void
tear_down (Fixture * f, gconstpointer unused)
{
  (void) unused;
  remove_folder (f->folder);
  g_free (f->folder);
  st_tokenizer_unref (f->tokenizer);
}

/* Writes a file in the fixture's folder, with the folders above it. */
static void
put (const Fixture * f, const gchar * name, const gchar * text, gssize len)
{
  g_autofree gchar *path = g_build_filename (f->folder, name, NULL);
  g_autofree gchar *folder = g_path_get_dirname (path);
  g_autoptr (GError) error = NULL;

  g_mkdir_with_parents (folder, 0700);
  g_file_set_contents (path, text, len, &error);
  g_assert_no_error (error);
}

/* @n records "0000,0001,..." that begin with number @first. */
static void
put_records (const Fixture * f, const gchar * name, guint first, guint n)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = first; i < first + n; i++)
    g_string_append_printf (text, "%04u,", i);
  put (f, name, text->str, (gssize) text->len);
}

static RdCorpus *
read_path (const Fixture * f, const gchar * name, GError ** error)
{
  g_autofree gchar *path = g_build_filename (f->folder, name, NULL);
  const gchar *paths[] = { path, NULL };

  return rd_corpus_new (f->tokenizer, paths, error);
}

static RdCorpus *
read_folder (const Fixture * f)
{
  g_autoptr (GError) error = NULL;
  RdCorpus *corpus = read_path (f, ".", &error);

  g_assert_no_error (error);
  return corpus;
}

static void
assert_domain (const RdCorpus * corpus, guint domain, const gchar * name,
    gsize n_tokens)
{
  g_assert_cmpstr (rd_corpus_domain_name (corpus, domain), ==, name);
  g_assert_cmpuint (rd_corpus_domain_tokens (corpus, domain), ==, n_tokens);
}

static void
get (const RdCorpus * corpus, guint64 seed, gsize index, gsize length,
    gint32 * ids, guint * domain)
{
  g_autoptr (GError) error = NULL;
  gboolean ok =
      rd_corpus_sequence (corpus, seed, index, length, ids, domain, &error);

  g_assert_no_error (error);
  g_assert_true (ok);
  g_assert_cmpint (ids[0], ==, FIRST);
}

/* The number of the record that a sequence of one record holds. */
static guint
get_record (const RdCorpus * corpus, guint64 seed, gsize index, guint * domain)
{
  gint32 ids[1 + RECORD];
  guint number = 0;

  get (corpus, seed, index, 1 + RECORD, ids, domain);
  g_assert_cmpint (ids[RECORD], ==, ',');
  for (guint i = 1; i < RECORD; i++)
    number = number * 10 + (guint) (ids[i] - '0');
  return number;
}

static void
test_domains (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdCorpus) corpus = NULL;
  g_autofree gchar *name = g_path_get_basename (f->folder);
  gint32 ids[7];
  guint domain;

  (void) unused;
  put (f, "b/two.txt", "uvw", -1);
  put (f, "b/one.txt", "xyz", -1);
  put (f, "b/not-text.md", "no", -1);
  put (f, "b/.hidden.txt", "no", -1);
  put (f, "b/deep/deeper.txt", "no", -1);
  put (f, "c/empty-of-text.md", "no", -1);
  put (f, "a/x.txt", "<|endoftext|>", -1);
  corpus = read_folder (f);
  g_assert_cmpuint (rd_corpus_n_domains (corpus), ==, 2);
  assert_domain (corpus, 0, "a", 13);   /* the name of a special token is text */
  assert_domain (corpus, 1, "b", 6);
  g_assert_cmpuint (rd_corpus_n_tokens (corpus), ==, 19);
  get (corpus, 0, 1, 7, ids, &domain);
  g_assert_cmpuint (domain, ==, 1);
  for (guint i = 0; i < 6; i++)
    g_assert_cmpint (ids[1 + i], ==, (guint8) "xyzuvw"[i]);
  g_clear_pointer (&corpus, rd_corpus_free);

  put (f, "top.txt", "t", -1);
  corpus = read_folder (f);
  g_assert_cmpuint (rd_corpus_n_domains (corpus), ==, 3);
  assert_domain (corpus, 0, ".", 1);
}

/* Every record of every domain comes once; the domains take turns until the small ones are used up. */
static void
test_order (Fixture * f, gconstpointer unused)
{
  static const guint sizes[] = { 100, 7, 30 };
  g_autoptr (RdCorpus) corpus = NULL;
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  guint taken[3] = { 0 };

  (void) unused;
  put_records (f, "a/x.txt", 0, 60);
  put_records (f, "a/y.txt", 60, 40);
  put_records (f, "b/x.txt", 1000, 7);
  put_records (f, "c/x.txt", 2000, 30);
  corpus = read_folder (f);
  g_assert_cmpuint (rd_corpus_n_sequences (corpus, 1 + RECORD), ==, 137);
  for (guint i = 0; i < 137; i++) {
    guint domain, number = get_record (corpus, 3, i, &domain);

    g_assert_cmpuint (number / 1000, ==, domain);
    g_assert_true (g_hash_table_add (seen, GUINT_TO_POINTER (number)));
    taken[domain]++;
    for (guint d = 0; d < 3; d++)
      g_assert_cmpuint (taken[d] + 1, >=, MIN (sizes[d],
              MAX (taken[0], MAX (taken[1], taken[2]))));
  }
}

/* The first tenth of the order has records from every fifth of the text. */
static void
test_spread (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdCorpus) corpus = NULL;

  (void) unused;
  put_records (f, "a.txt", 0, 1000);
  corpus = read_folder (f);
  for (guint64 seed = 0; seed < 20; seed++) {
    guint in_fifth[5] = { 0 };

    for (guint i = 0; i < 100; i++)
      in_fifth[get_record (corpus, seed, i, NULL) / 200]++;
    for (guint i = 0; i < 5; i++) {
      g_assert_cmpuint (in_fifth[i], >=, 15);
      g_assert_cmpuint (in_fifth[i], <=, 25);
    }
  }
}

static void
test_seed (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdCorpus) corpus = NULL;
  g_autoptr (RdCorpus) again = NULL;
  gint32 a[64], b[64];
  guint n_different = 0;

  (void) unused;
  put_records (f, "a.txt", 0, 1000);
  corpus = read_folder (f);
  again = read_folder (f);
  g_assert_cmpstr (rd_corpus_id (corpus), ==, rd_corpus_id (again));
  for (guint i = 0; i < 70; i++) {
    get (corpus, 5, i, 64, a, NULL);
    get (again, 5, i, 64, b, NULL);
    g_assert_cmpmem (a, sizeof (a), b, sizeof (b));
    get (again, 6, i, 64, b, NULL);
    n_different += memcmp (a, b, sizeof (a)) != 0;
  }
  g_assert_cmpuint (n_different, >, 60);
  g_clear_pointer (&again, rd_corpus_free);
  put_records (f, "a.txt", 1, 1000);
  again = read_folder (f);
  g_assert_cmpstr (rd_corpus_id (corpus), !=, rd_corpus_id (again));
}

static void
assert_refused (const Fixture * f, const gchar * name, gint code,
    const gchar * message)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RdCorpus) corpus = read_path (f, name, &error);

  g_assert_null (corpus);
  g_assert_error (error, RD_CORPUS_ERROR, code);
  if (!g_pattern_match_simple (message, error->message))
    g_error ("%s is not %s", error->message, message);
}

static void
test_bad_text (Fixture * f, gconstpointer unused)
{
  const gchar *const none[] = { NULL };
  g_autoptr (GError) error = NULL;

  (void) unused;
  g_assert_null (rd_corpus_new (f->tokenizer, none, &error));
  g_assert_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT);
  g_clear_error (&error);
  g_assert_null (read_path (f, "absent.txt", &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  assert_refused (f, ".", RD_CORPUS_ERROR_TEXT, "*no file ?.txt in*");
  put (f, "empty.txt", "", 0);
  assert_refused (f, "empty.txt", RD_CORPUS_ERROR_TEXT, "*empty.txt is empty*");
  put (f, "domain/good.txt", "good", -1);
  put (f, "domain/latin.txt", "caf\xe9 au lait", -1);
  assert_refused (f, "domain", RD_CORPUS_ERROR_TEXT, "*latin.txt*byte 3*");
}

static void
test_short (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdCorpus) corpus = NULL;
  g_autoptr (GError) error = NULL;
  gint32 ids[512];

  (void) unused;
  put_records (f, "a.txt", 0, 40);
  corpus = read_folder (f);
  g_assert_cmpuint (rd_corpus_n_sequences (corpus, 201), ==, 1);
  g_assert_cmpuint (rd_corpus_n_sequences (corpus, 202), ==, 0);
  get (corpus, 0, 0, 201, ids, NULL);
  g_assert_false (rd_corpus_sequence (corpus, 0, 1, 201, ids, NULL, &error));
  g_assert_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_SHORT);
  g_assert_nonnull (strstr (error->message, " 200 tokens"));
  g_assert_nonnull (strstr (error->message, "at least 400 tokens"));
}

static void
test_no_first_token (Fixture * f, gconstpointer unused)
{
  StTestVocab vocab = { NULL, NULL, NULL, NULL };
  g_autoptr (StTokenizer) tokenizer = st_test_tokenizer (&vocab);
  const gchar *paths[] = { f->folder, NULL };
  g_autoptr (GError) error = NULL;

  (void) unused;
  g_assert_null (rd_corpus_new (tokenizer, paths, &error));
  g_assert_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TOKENIZER);
}

/* Pseudo-random letters, so that no run of them occurs twice by chance. */
static gchar *
letters (guint32 seed, gsize n)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  gchar *text = g_malloc (n + 1);

  for (gsize i = 0; i < n; i++)
    text[i] = (gchar) g_rand_int_range (random, 'a', 'z' + 1);
  text[n] = '\0';
  return text;
}

/* A window of 60 ids: 256, then capitals. */
static void
make_window (guint32 seed, gint32 * ids)
{
  g_autofree gchar *text = letters (seed, 59);

  ids[0] = FIRST;
  for (guint i = 0; i < 59; i++)
    ids[1 + i] = (guint8) g_ascii_toupper (text[i]);
}

/* Two files of 500 letters; into the second's, at @at, go @n letters of the window from its id @from. */
static RdCorpus *
plant (const Fixture * f, const gint32 * window, guint from, guint n, gsize at)
{
  g_autofree gchar *first = letters (1, 500);
  g_autofree gchar *second = letters (2, 500);

  for (guint i = 0; i < n; i++)
    second[at + i] = (gchar) window[from + i];
  put (f, "d/first.txt", first, -1);
  put (f, "d/second.txt", second, -1);
  return read_folder (f);
}

static void
test_overlap (Fixture * f, gconstpointer unused)
{
  static const gsize places[] = { 0, 1, 250, 475, 476 };
  gint32 ids[2][60];
  RdIds windows[] = { {ids[0], 60}, {ids[1], 60} };
  RdOverlap overlap;

  (void) unused;
  make_window (11, ids[0]);
  make_window (12, ids[1]);
  for (guint i = 0; i < G_N_ELEMENTS (places); i++) {
    for (guint from = 1; from + 24 <= 60; from += 7) {
      g_autoptr (RdCorpus) found = plant (f, ids[1], from, 24, places[i]);
      g_autoptr (RdCorpus) missed = plant (f, ids[1], from, 23, places[i]);

      g_assert_true (rd_corpus_find_overlap (found, windows, 2,
              RD_CORPUS_OVERLAP, &overlap));
      g_assert_cmpuint (overlap.window, ==, 1);
      g_assert_cmpuint (overlap.window_at, ==, from);
      g_assert_cmpuint (overlap.file_at, ==, places[i]);
      g_assert_true (g_str_has_suffix (overlap.file, "d/second.txt"));
      g_assert_false (rd_corpus_find_overlap (missed, windows, 2,
              RD_CORPUS_OVERLAP, NULL));
      g_assert_true (rd_corpus_find_overlap (missed, windows, 2, 23, NULL));
    }
  }
}

/* Runs as long as the text or a window and longer; a run across two files; no windows. */
static void
test_overlap_borders (Fixture * f, gconstpointer unused)
{
  g_autoptr (RdCorpus) corpus = NULL;
  gint32 ids[10];
  RdIds window = { ids, 10 };
  RdOverlap overlap;

  (void) unused;
  put (f, "d/1.txt", "abcde", -1);
  put (f, "d/2.txt", "fghij", -1);
  corpus = read_folder (f);
  for (gint32 i = 0; i < 10; i++)
    ids[i] = 'a' + i;
  g_assert_true (rd_corpus_find_overlap (corpus, &window, 1, 10, &overlap));
  g_assert_true (g_str_has_suffix (overlap.file, "1.txt"));
  g_assert_cmpuint (overlap.file_at, ==, 0);
  g_assert_false (rd_corpus_find_overlap (corpus, &window, 1, 11, NULL));
  g_assert_false (rd_corpus_find_overlap (corpus, NULL, 0, 1, NULL));
  window.n = 9;
  g_assert_false (rd_corpus_find_overlap (corpus, &window, 1, 10, NULL));
  window.ids = ids + 9;
  window.n = 1;
  g_assert_true (rd_corpus_find_overlap (corpus, &window, 1, 1, &overlap));
  g_assert_true (g_str_has_suffix (overlap.file, "2.txt"));
  g_assert_cmpuint (overlap.file_at, ==, 4);
}

#define ADD(name, function) \
  g_test_add ("/corpus/" name, Fixture, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("domains", test_domains);
  ADD ("order", test_order);
  ADD ("spread", test_spread);
  ADD ("seed", test_seed);
  ADD ("bad-text", test_bad_text);
  ADD ("short", test_short);
  ADD ("no-first-token", test_no_first_token);
  ADD ("overlap", test_overlap);
  ADD ("overlap-borders", test_overlap_borders);
  return g_test_run ();
}
