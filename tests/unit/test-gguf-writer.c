/* The GGUF writer: what it writes is read back, and a failed write leaves the old file. */
#include "models/gguf/gguf-writer.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tests/support/test-model.h"
#include "tests/support/tiny-model.h"

typedef struct
{
  gchar *directory;
  gchar *path;
} Fixture;

static void
set_up (Fixture * f, gconstpointer unused)
{
  (void) unused;
  f->directory = g_dir_make_tmp ("writer-XXXXXX", NULL);
  g_assert_nonnull (f->directory);
  f->path = g_build_filename (f->directory, "out.gguf", NULL);
}

/* The directory must hold nothing but the file itself: no temporary file stays behind. */
static void
tear_down (Fixture * f, gconstpointer unused)
{
  (void) unused;
  g_unlink (f->path);
  g_assert_cmpint (g_rmdir (f->directory), ==, 0);
  g_free (f->directory);
  g_free (f->path);
}

static StGguf *
write_and_open (StGgufWriter * writer, const gchar * path)
{
  g_autoptr (GError) error = NULL;
  StGguf *gguf;

  st_gguf_writer_write (writer, path, &error);
  g_assert_no_error (error);
  gguf = st_gguf_open (path, &error);
  g_assert_no_error (error);
  return gguf;
}

static void
test_metadata (Fixture * f, gconstpointer unused)
{
  static const gchar *const words[] = { "", "one", "zwei – drei" };
  static const gint32 numbers[] = { -5, 0, G_MAXINT32 };
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (StGguf) gguf = NULL;
  const gchar *word;
  gboolean flag = FALSE;
  gdouble real = 0;
  guint64 u = 0;
  gint64 s = 0;
  gsize len;

  (void) unused;
  st_gguf_writer_set_uint32 (writer, "u32", 1);
  st_gguf_writer_set_uint32 (writer, "u32", G_MAXUINT32);
  st_gguf_writer_set_uint64 (writer, "u64", G_MAXUINT64);
  st_gguf_writer_set_int32 (writer, "i32", -7);
  st_gguf_writer_set_float (writer, "f32", 0.1f);
  st_gguf_writer_set_bool (writer, "bool", TRUE);
  st_gguf_writer_set_string (writer, "string", "text");
  st_gguf_writer_set_strings (writer, "words", words, G_N_ELEMENTS (words));
  st_gguf_writer_set_array (writer, "numbers", ST_GGUF_INT32, numbers,
      G_N_ELEMENTS (numbers));
  gguf = write_and_open (writer, f->path);

  g_assert_cmpuint (st_gguf_n_entries (gguf), ==, 8);
  g_assert_cmpstr (st_gguf_entry (gguf, 0)->key, ==, "u32");
  g_assert_true (st_gguf_get_uint (gguf, "u32", &u) && u == G_MAXUINT32);
  g_assert_true (st_gguf_get_uint (gguf, "u64", &u) && u == G_MAXUINT64);
  g_assert_true (st_gguf_get_int (gguf, "i32", &s) && s == -7);
  g_assert_true (st_gguf_get_float (gguf, "f32", &real)
      && real == (gdouble) 0.1f);
  g_assert_true (st_gguf_get_bool (gguf, "bool", &flag) && flag);
  g_assert_cmpstr (st_gguf_get_string (gguf, "string"), ==, "text");
  g_assert_cmpuint (st_gguf_array_length (gguf, "words"), ==, 3);
  for (guint i = 0; i < 3; i++) {
    word = st_gguf_array_string (gguf, "words", i, &len);
    g_assert_cmpmem (word, len, words[i], strlen (words[i]));
    g_assert_true (st_gguf_array_int (gguf, "numbers", i, &s));
    g_assert_cmpint (s, ==, numbers[i]);
  }
}

static void
test_copy_metadata (Fixture * f, gconstpointer unused)
{
  g_autofree gchar *source_path = st_tiny_model_temp (NULL);
  g_autoptr (StGguf) source = st_gguf_open (source_path, NULL);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (StGguf) copy = NULL;
  guint64 n = 0;

  (void) unused;
  g_unlink (source_path);
  st_gguf_writer_set_string (writer, "general.name", "replaced below");
  st_gguf_writer_copy_metadata (writer, source);
  st_gguf_writer_remove_prefix (writer, "llama.attention.");
  st_gguf_writer_set_string (writer, "new", "key");
  copy = write_and_open (writer, f->path);

  for (guint64 i = 0; i < st_gguf_n_entries (source); i++) {
    const StGgufEntry *a = st_gguf_entry (source, i);
    const StGgufEntry *b = st_gguf_find_entry (copy, a->key);

    if (g_str_has_prefix (a->key, "llama.attention.")) {
      g_assert_null (b);
      continue;
    }
    n++;
    g_assert_nonnull (b);
    g_assert_cmpint (a->type, ==, b->type);
    g_assert_cmpmem (a->value, a->size, b->value, b->size);
  }
  g_assert_cmpuint (n, <, st_gguf_n_entries (source));
  g_assert_cmpuint (st_gguf_n_entries (copy), ==, n + 1);
}

/* Offsets are aligned anew, so the alignment of the source is not taken over. */
static void
test_alignment (Fixture * f, gconstpointer unused)
{
  static const guint64 ne[] = { 3 };
  static const float values[] = { 1, 2, 3 };
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (StGgufWriter) again = st_gguf_writer_new ();
  g_autoptr (StGguf) first = NULL;
  g_autoptr (StGguf) second = NULL;

  (void) unused;
  st_gguf_writer_set_uint32 (writer, "general.alignment", 8);
  g_assert_true (st_gguf_writer_add_tensor (writer, "t", ST_TYPE_F32, 1, ne,
          values, NULL));
  first = write_and_open (writer, f->path);
  g_assert_cmpuint (st_gguf_alignment (first), ==, 8);
  st_gguf_writer_copy_metadata (again, first);
  g_assert_true (st_gguf_writer_copy_tensor (again, first,
          st_gguf_find (first, "t"), NULL));
  second = write_and_open (again, f->path);
  g_assert_cmpuint (st_gguf_n_entries (second), ==, 0);
  g_assert_cmpuint (st_gguf_alignment (second), ==, 32);
  g_assert_cmpmem (st_gguf_find (second, "t")->data, sizeof values, values,
      sizeof values);
}

static void
test_tensors (Fixture * f, gconstpointer unused)
{
  const StTinyModelOptions q8 = {.type = ST_TYPE_Q8_0 };
  g_autofree gchar *source_path = st_tiny_model_temp (&q8);
  g_autoptr (StGguf) source = st_gguf_open (source_path, NULL);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (StGguf) copy = NULL;
  static const guint64 ne[] = { 1, 2, 1, 3 };
  static const float values[] = { 1, 2, 3, 4, 5, 6 };
  const StTensor *t;

  (void) unused;
  g_unlink (source_path);
  for (guint64 i = 0; i < st_gguf_n_tensors (source); i++)
    g_assert_true (st_gguf_writer_copy_tensor (writer, source,
            st_gguf_tensor (source, i), NULL));
  g_assert_true (st_gguf_writer_add_tensor (writer, "own", ST_TYPE_F32, 4, ne,
          values, NULL));
  copy = write_and_open (writer, f->path);

  g_assert_cmpuint (st_gguf_n_tensors (copy), ==,
      st_gguf_n_tensors (source) + 1);
  for (guint64 i = 0; i < st_gguf_n_tensors (source); i++) {
    const StTensor *a = st_gguf_tensor (source, i);

    t = st_gguf_tensor (copy, i);
    g_assert_cmpstr (t->name, ==, a->name);
    g_assert_cmpint (t->type, ==, a->type);
    g_assert_cmpuint (t->n_dims, ==, a->n_dims);
    g_assert_cmpmem (t->ne, sizeof t->ne, a->ne, sizeof a->ne);
    g_assert_cmpmem (t->data, t->size, a->data, a->size);
  }
  t = st_gguf_find (copy, "own");
  g_assert_cmpuint (t->n_dims, ==, 4);
  g_assert_cmpmem (t->ne, sizeof t->ne, ne, sizeof ne);
  g_assert_cmpmem (t->data, t->size, values, sizeof values);
}

static void
test_refused_tensors (void)
{
  static const struct
  {
    const gchar *name;
    StType type;
    guint n_dims;
    guint64 ne[5];
  } cases[] = {
    {"", ST_TYPE_F32, 1, {1}},
    {"taken", ST_TYPE_F32, 1, {1}},
    {"no dimensions", ST_TYPE_F32, 0, {1}},
    {"five", ST_TYPE_F32, 5, {1, 1, 1, 1, 1}},
    {"zero", ST_TYPE_F32, 2, {4, 0}},
    {"half a block", ST_TYPE_Q8_0, 2, {16, 2}},
    {"unknown type", (StType) 99, 1, {32}},
    {"wraps", ST_TYPE_F32, 2, {G_GUINT64_CONSTANT (1) << 33,
            G_GUINT64_CONSTANT (1) << 33}},
    {"too large", ST_TYPE_F32, 1, {G_GUINT64_CONSTANT (1) << 61}},
  };
  static const guint64 one[] = { 1 };
  static const float value = 1;
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();

  g_assert_true (st_gguf_writer_add_tensor (writer, "taken", ST_TYPE_F32, 1,
          one, &value, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (st_gguf_writer_add_tensor (writer, cases[i].name,
            cases[i].type, cases[i].n_dims, cases[i].ne, &value, &error));
    g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, cases[i].name));
  }
}

/* The source loses its end before it is copied. */
static void
test_source_truncated (Fixture * f, gconstpointer unused)
{
  g_autofree gchar *source_path = st_tiny_model_temp (NULL);
  g_autoptr (StGguf) source = st_gguf_open (source_path, NULL);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GError) error = NULL;
  const StTensor *t = st_gguf_find (source, "output_norm.weight");

  (void) unused;
  g_assert_true (g_file_set_contents (f->path, "old", -1, NULL));
  g_assert_true (st_gguf_writer_copy_tensor (writer, source, t, NULL));
  g_assert_cmpint (truncate (source_path, (off_t) t->offset + 5), ==, 0);
  g_assert_false (st_gguf_writer_write (writer, f->path, &error));
  g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "output_norm.weight"));
  st_test_file_is (f->path, "old");
  g_unlink (source_path);
}

/* The disk is full: a limit on file sizes gives the same failing writes. */
static void
test_no_room (Fixture * f, gconstpointer unused)
{
  static const guint64 ne[] = { 4096 };
  g_autofree float *values = g_new0 (float, 4096);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GError) error = NULL;
  struct rlimit old, low;
  gboolean written;

  (void) unused;
  g_assert_true (g_file_set_contents (f->path, "old", -1, NULL));
  g_assert_true (st_gguf_writer_add_tensor (writer, "t", ST_TYPE_F32, 1, ne,
          values, NULL));
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &old), ==, 0);
  low = old;
  low.rlim_cur = 8192;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &low), ==, 0);
  written = st_gguf_writer_write (writer, f->path, &error);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &old), ==, 0);
  g_assert_false (written);
  g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "cannot write: File too large"));
  st_test_file_is (f->path, "old");
}

static void
test_no_such_place (Fixture * f, gconstpointer unused)
{
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autofree gchar *below = g_build_filename (f->directory, "no", "x", NULL);
  const gchar *const paths[] = { below, f->directory, "/dev/null" };

  (void) unused;
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (st_gguf_writer_write (writer, paths[i], &error));
    g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO);
    g_assert_nonnull (strstr (error->message, paths[i]));
  }
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const gchar *path;
    void (*test) (Fixture *, gconstpointer);
  } tests[] = {
    {"/gguf-writer/metadata", test_metadata},
    {"/gguf-writer/copy-metadata", test_copy_metadata},
    {"/gguf-writer/alignment", test_alignment},
    {"/gguf-writer/tensors", test_tensors},
    {"/gguf-writer/source-truncated", test_source_truncated},
    {"/gguf-writer/no-room", test_no_room},
    {"/gguf-writer/no-such-place", test_no_such_place},
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
  g_test_add_func ("/gguf-writer/refused-tensors", test_refused_tensors);
  return g_test_run ();
}
