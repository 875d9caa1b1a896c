/* No 24 consecutive ids of the test windows or of the last-word task stand in the calibration text that pipelines/fetch-text makes. */
#include <json-glib/json-glib.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/corpus.h"
#include "tests/support/model-tools.h"
#include "tests/support/test-model.h"

#define N_WINDOWS 8
#define WINDOW 512

typedef struct
{
  StTokenizer *tokenizer;       /* NULL: skip */
  gint32 ids[N_WINDOWS][WINDOW];
  RdIds windows[N_WINDOWS];
} Fixture;

static void
read_windows (Fixture * f)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autofree gchar *text = NULL;
  g_autoptr (GError) error = NULL;
  JsonArray *windows;
  gsize len;

  text = st_test_read_data ("rd-testset.json", &len);
  json_parser_load_from_data (parser, text, (gssize) len, &error);
  g_assert_no_error (error);
  windows =
      json_object_get_array_member (json_node_get_object (json_parser_get_root
          (parser)), "windows");
  g_assert_cmpuint (json_array_get_length (windows), ==, N_WINDOWS);
  for (guint w = 0; w < N_WINDOWS; w++) {
    JsonArray *ids =
        json_object_get_array_member (json_array_get_object_element (windows,
            w), "ids");

    g_assert_cmpuint (json_array_get_length (ids), ==, WINDOW);
    for (guint i = 0; i < WINDOW; i++)
      f->ids[w][i] = (gint32) json_array_get_int_element (ids, i);
    f->windows[w].ids = f->ids[w];
    f->windows[w].n = WINDOW;
  }
}

static void
set_up (Fixture * f, gconstpointer unused)
{
  g_autofree gchar *path = st_test_model_path ();
  g_autoptr (StGguf) gguf = NULL;
  g_autoptr (GError) error = NULL;

  (void) unused;
  if (path == NULL) {
    g_test_skip ("the model is not there: set ST_TEST_MODEL");
    return;
  }
  gguf = st_gguf_open (path, &error);
  g_assert_no_error (error);
  f->tokenizer = st_tokenizer_new (gguf, &error);
  g_assert_no_error (error);
  read_windows (f);
}

static void
tear_down (Fixture * f, gconstpointer unused)
{
  (void) unused;
  g_clear_pointer (&f->tokenizer, st_tokenizer_unref);
}

static RdCorpus *
read_text (const Fixture * f, const gchar * path)
{
  const gchar *paths[] = { path, NULL };
  g_autoptr (GError) error = NULL;
  RdCorpus *corpus = rd_corpus_new (f->tokenizer, paths, &error);

  g_assert_no_error (error);
  return corpus;
}

static void
assert_clean (const RdCorpus * corpus, const RdIds * windows, gsize n)
{
  RdOverlap overlap;

  if (rd_corpus_find_overlap (corpus, windows, n, RD_CORPUS_OVERLAP, &overlap))
    g_error ("%s: the ids from number %" G_GSIZE_FORMAT " on are those of "
        "window %" G_GSIZE_FORMAT " from %" G_GSIZE_FORMAT " on", overlap.file,
        overlap.file_at, overlap.window, overlap.window_at);
}

static void
test_calibration_text (Fixture * f, gconstpointer name)
{
  g_autofree gchar *path = st_test_cache_path (name);
  g_autoptr (RdCorpus) corpus = NULL;

  if (f->tokenizer == NULL)
    return;
  if (path == NULL) {
    g_test_skip ("the text is not there: run pipelines/fetch-text");
    return;
  }
  corpus = read_text (f, path);
  for (guint i = 0; i < rd_corpus_n_domains (corpus); i++)
    g_test_message ("%s: %" G_GSIZE_FORMAT " tokens",
        rd_corpus_domain_name (corpus, i), rd_corpus_domain_tokens (corpus, i));
  assert_clean (corpus, f->windows, N_WINDOWS);
}

/* ---- the last-word task ---- */

/* A passage as the evaluation reads it: the word stands in the text before, too, and nothing is missing between them. */
static gchar *
read_passage (const gchar * line)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;
  const gchar *text, *word;
  JsonObject *item;

  json_parser_load_from_data (parser, line, -1, &error);
  g_assert_no_error (error);
  item = json_node_get_object (json_parser_get_root (parser));
  text = json_object_get_string_member (item, "text");
  word = json_object_get_string_member (item, "word");
  g_assert_true (word[0] == ' ' && g_ascii_isalpha (word[1]));
  g_assert_nonnull (strstr (text, word + 1));
  g_assert_false (g_ascii_isspace (text[strlen (text) - 1]));
  return g_strconcat (text, word, NULL);
}

static GPtrArray *
read_passages (void)
{
  GPtrArray *passages = g_ptr_array_new_with_free_func (g_free);
  g_autofree gchar *content = NULL;
  g_auto (GStrv) lines = NULL;
  gsize len;

  content = st_test_read_data ("last-words.jsonl", &len);
  lines = g_strsplit (g_strchomp (content), "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    g_ptr_array_add (passages, read_passage (lines[i]));
  g_assert_cmpuint (passages->len, >=, 200);
  g_assert_cmpuint (passages->len, <=, 400);
  return passages;
}

static void
test_last_words (Fixture * f, gconstpointer unused)
{
  g_autoptr (GPtrArray) passages = read_passages ();
  g_autoptr (GPtrArray) arrays =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_array_unref);
  g_autofree gchar *path = st_test_cache_path ("text");
  g_autofree RdIds *windows = g_new (RdIds, passages->len);
  g_autoptr (GError) error = NULL;
  g_autoptr (RdCorpus) corpus = NULL;

  (void) unused;
  if (f->tokenizer == NULL || path == NULL) {
    g_test_skip ("model or text is not there: run pipelines/fetch-text");
    return;
  }
  for (guint i = 0; i < passages->len; i++) {
    const gchar *passage = g_ptr_array_index (passages, i);
    GArray *ids = g_array_new (FALSE, FALSE, sizeof (gint32));

    st_tokenizer_encode (f->tokenizer, passage, strlen (passage), FALSE, ids,
        &error);
    g_assert_no_error (error);
    g_assert_cmpuint (ids->len, >=, RD_CORPUS_OVERLAP);
    g_ptr_array_add (arrays, ids);
    windows[i].ids = (const gint32 *) ids->data;
    windows[i].n = ids->len;
  }
  corpus = read_text (f, path);
  assert_clean (corpus, windows, passages->len);
}

/* ---- planted text ---- */

/* A file of other text with 40 ids of the window in it. */
static void
plant (const Fixture * f, const gchar * path, guint window)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree gchar *hamlet = NULL;
  g_autoptr (GError) error = NULL;
  gsize len;

  hamlet = st_test_read_data ("hamlet20k.txt", &len);
  g_string_append_len (text, hamlet, 5000);
  for (guint i = 200; i < 240; i++) {
    gsize piece_len;
    const gchar *piece = st_tokenizer_piece (f->tokenizer, f->ids[window][i],
        &piece_len);

    g_string_append_len (text, piece, (gssize) piece_len);
  }
  g_string_append_len (text, hamlet + 5000, 5000);
  g_file_set_contents (path, text->str, (gssize) text->len, &error);
  g_assert_no_error (error);
}

static void
test_planted (Fixture * f, gconstpointer unused)
{
  g_autofree gchar *folder = g_dir_make_tmp ("clean-XXXXXX", NULL);
  g_autofree gchar *path = g_build_filename (folder, "text.txt", NULL);
  g_autofree gchar *hamlet = st_test_data_path ("hamlet20k.txt");
  RdOverlap overlap;

  (void) unused;
  if (f->tokenizer != NULL) {
    g_autoptr (RdCorpus) other = read_text (f, hamlet);

    assert_clean (other, f->windows, N_WINDOWS);
  }
  for (guint w = 0; f->tokenizer != NULL && w < N_WINDOWS; w++) {
    g_autoptr (RdCorpus) corpus = NULL;

    plant (f, path, w);
    corpus = read_text (f, path);
    g_assert_true (rd_corpus_find_overlap (corpus, f->windows, N_WINDOWS,
            RD_CORPUS_OVERLAP, &overlap));
    g_assert_cmpuint (overlap.window, ==, w);
    g_assert_cmpstr (overlap.file, ==, path);
  }
  g_unlink (path);
  g_rmdir (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/clean-text/calibration", Fixture, "text", set_up,
      test_calibration_text, tear_down);
  g_test_add ("/clean-text/held-out", Fixture, "text-held-out", set_up,
      test_calibration_text, tear_down);
  g_test_add ("/clean-text/last-words", Fixture, NULL, set_up, test_last_words,
      tear_down);
  g_test_add ("/clean-text/planted", Fixture, NULL, set_up, test_planted,
      tear_down);
  return g_test_run ();
}
