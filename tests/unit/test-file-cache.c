/* Objects of files that are shared: the same one for all, a new one of a changed file, none left in the end. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <glib/gstdio.h>

#include "codec/codec.h"
#include "codec/file-cache.h"
#include "tests/support/learned-tools.h"

#define THREADS 8
#define ROUNDS 2000
#define HIDDEN 16

static gint loaded, freed;      /* atomic */

/* The text of the file. */
static gpointer
load_text (const gchar * path, GError ** error)
{
  gchar *text;

  if (!g_file_get_contents (path, &text, NULL, error))
    return NULL;
  g_atomic_int_inc (&loaded);
  return text;
}

static void
free_text (gpointer text)
{
  g_atomic_int_inc (&freed);
  g_free (text);
}

static RdFileCache texts = {.load = load_text,.free = free_text };

static gchar *
make_file (const gchar * content)
{
  gchar *path = NULL;
  gint fd = g_file_open_tmp ("file-cache-XXXXXX", &path, NULL);

  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  g_assert_true (g_file_set_contents (path, content, -1, NULL));
  return path;
}

static gchar *
open_text (const gchar * path, const gchar * content)
{
  g_autoptr (GError) error = NULL;
  gchar *text = rd_file_cache_open (&texts, path, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (text, ==, content);
  return text;
}

static struct timespec
changed_at (const gchar * path)
{
  struct stat file;

  g_assert_cmpint (stat (path, &file), ==, 0);
  return file.st_ctim;
}

/* Writes into the file that is there, as of @seconds. File systems count the time of a change in steps of some milliseconds: waits for the next. */
static void
write_into (const gchar * path, const gchar * content, time_t seconds)
{
  const struct timespec times[2] = { {seconds, 0}, {seconds, 0} };
  const struct timespec before = changed_at (path);
  FILE *file = g_fopen (path, "r+");
  struct timespec now;

  g_assert_nonnull (file);
  g_assert_cmpint (fputs (content, file), >=, 0);
  fclose (file);
  do {
    g_assert_cmpint (utimensat (AT_FDCWD, path, times, 0), ==, 0);
    now = changed_at (path);
  } while (memcmp (&now, &before, sizeof now) == 0);
}

static void
test_same (void)
{
  g_autofree gchar *path = make_file ("one"), *other = make_file ("two");
  gchar *first, *second, *changed;

  loaded = freed = 0;
  first = open_text (path, "one");
  second = open_text (path, "one");
  g_assert_true (first == second);
  changed = open_text (other, "two");
  g_assert_cmpint (loaded, ==, 2);
  rd_file_cache_close (&texts, first);
  rd_file_cache_close (&texts, changed);
  g_assert_cmpint (freed, ==, 1);
  g_assert_true (open_text (path, "one") == second);
  rd_file_cache_close (&texts, second);
  rd_file_cache_close (&texts, second);
  g_assert_cmpint (freed, ==, 2);
  /* nobody has it any more */
  first = open_text (path, "one");
  g_assert_cmpint (loaded, ==, 3);
  rd_file_cache_close (&texts, first);
  g_assert_null (texts.entries);
  g_unlink (path);
  g_unlink (other);
}

/* Other bytes as of the same time, another time, another size, another file: read anew, and what others have stays. */
static void
test_changed (void)
{
  g_autofree gchar *path = make_file ("one"), *other = make_file ("six");
  gchar *held[5];

  write_into (path, "one", 1000);
  write_into (other, "six", 2000);
  held[0] = open_text (path, "one");
  write_into (path, "two", 1000);
  held[1] = open_text (path, "two");
  write_into (path, "two", 2000);
  held[2] = open_text (path, "two");
  g_assert_true (held[2] != held[1]);
  write_into (path, "three", 2000);
  held[3] = open_text (path, "three");
  g_assert_cmpint (g_rename (other, path), ==, 0);
  held[4] = open_text (path, "six");
  g_assert_cmpstr (held[0], ==, "one");
  g_assert_cmpstr (held[1], ==, "two");
  for (guint i = 0; i < G_N_ELEMENTS (held); i++)
    rd_file_cache_close (&texts, held[i]);
  g_assert_null (texts.entries);
  g_unlink (path);
}

static void
test_missing (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (rd_file_cache_open (&texts, "/nonexistent/file", &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  g_assert_null (texts.entries);
}

static gpointer
open_and_close (gpointer path)
{
  for (guint i = 0; i < ROUNDS; i++) {
    gchar *text = open_text (path, "one");

    if (i % 3 == 0)
      g_thread_yield ();
    rd_file_cache_close (&texts, text);
  }
  return NULL;
}

static void
test_threads (void)
{
  g_autofree gchar *path = make_file ("one");
  GThread *threads[THREADS];

  loaded = freed = 0;
  for (guint i = 0; i < THREADS; i++)
    threads[i] = g_thread_new ("opener", open_and_close, path);
  for (guint i = 0; i < THREADS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (loaded, ==, freed);
  g_assert_null (texts.entries);
  g_unlink (path);
}

/* ---- codec files ---- */

typedef struct
{
  const gchar *path;
  GByteArray *expected;
} Coding;

static GByteArray *
encode (const gchar * path)
{
  g_autoptr (RdCodec) codec = rd_codec_new (path, 0, NULL);
  g_autofree gfloat *x = rd_test_rows (10, HIDDEN, 5);
  GByteArray *out = g_byte_array_new ();
  const RdRows rows = {.n = 10 };
  gboolean packed;

  g_assert_true (rd_codec_encode (codec, &rows, x, FALSE, out, &packed, NULL));
  return out;
}

static gpointer
encode_often (gpointer data)
{
  const Coding *coding = data;

  for (guint i = 0; i < 50; i++) {
    g_autoptr (GByteArray) out = encode (coding->path);

    g_assert_cmpmem (out->data, out->len, coding->expected->data,
        coding->expected->len);
  }
  return NULL;
}

/* Codecs of one file share what it holds, which the id stands for here, and do not disturb each other. */
static void
test_codecs (void)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (HIDDEN, RD_SIDE_INFO_NONE, 1);
  g_autofree gchar *path = rd_test_save (p);
  g_autoptr (RdCodec) first = rd_codec_new (path, 0, NULL);
  g_autoptr (RdCodec) second = rd_codec_new (path, HIDDEN, NULL);
  g_autoptr (RdCodec) third = NULL;
  g_autofree gchar *id = g_strdup (rd_codec_id (first));
  Coding coding = { path, encode (path) };
  GThread *threads[THREADS];

  g_assert_true (rd_codec_id (first) == rd_codec_id (second));
  for (guint i = 0; i < THREADS; i++)
    threads[i] = g_thread_new ("coder", encode_often, &coding);
  for (guint i = 0; i < THREADS; i++)
    g_thread_join (threads[i]);
  g_free (p->name);
  p->name = g_strdup ("another");
  g_assert_true (rd_learned_parameters_save (p, path, NULL));
  third = rd_codec_new (path, 0, NULL);
  g_assert_cmpstr (rd_codec_id (third), !=, id);
  g_assert_cmpstr (rd_codec_id (first), ==, id);
  g_byte_array_unref (coding.expected);
  g_unlink (path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/file-cache/same", test_same);
  g_test_add_func ("/file-cache/changed", test_changed);
  g_test_add_func ("/file-cache/missing", test_missing);
  g_test_add_func ("/file-cache/threads", test_threads);
  g_test_add_func ("/file-cache/codecs", test_codecs);
  return g_test_run ();
}
