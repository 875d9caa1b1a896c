/* The command-line tool rdpartition: what it says and with which status it ends. */
#include <string.h>
#include <sys/wait.h>

#include <glib/gstdio.h>

#include "models/gguf/gguf.h"
#include "models/ids.h"
#include "tests/support/tiny-model.h"

#define MAX_ARGUMENTS 6

typedef struct
{
  const gchar *arguments[MAX_ARGUMENTS];        /* MODEL and OUT stand for the files */
  gint status;
  const gchar *message;         /* on standard output if the status is 0, else on standard error */
} Case;

static gchar *model, *out, *directory;

static const gchar *
fill_in (const gchar * argument)
{
  if (g_strcmp0 (argument, "MODEL") == 0)
    return model;
  return g_strcmp0 (argument, "OUT") == 0 ? out : argument;
}

static void
run_case (const Case * c)
{
  const gchar *argv[MAX_ARGUMENTS + 2] = { RDPARTITION };
  g_autofree gchar *printed = NULL, *complaint = NULL;
  g_autoptr (GError) error = NULL;
  gint status;

  for (guint i = 0; i < MAX_ARGUMENTS; i++)
    argv[i + 1] = fill_in (c->arguments[i]);
  g_spawn_sync (NULL, (gchar **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL,
      &printed, &complaint, &status, &error);
  g_assert_no_error (error);
  g_test_message ("%s%s", printed, complaint);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, c->status);
  g_assert_nonnull (strstr (c->status == 0 ? printed : complaint, c->message));
  if (c->status == 0)
    g_assert_cmpstr (complaint, ==, "");
}

static void
test_usage (void)
{
  static const Case cases[] = {
    {{"--help"}, 0, "rdpartition --layers=0-10 model.gguf head.gguf"},
    {{NULL}, 2, "needs --layers=A-B"},
    {{"--layers=0-1", "MODEL"}, 2, "needs --layers=A-B"},
    {{"MODEL", "OUT"}, 2, "needs --layers=A-B"},
    {{"--layers=0-1", "MODEL", "OUT", "more"}, 2, "needs --layers=A-B"},
    {{"--unknown"}, 2, "--unknown"},
    {{"--layers=2-4", "--with-predictor=-2", "MODEL", "OUT"}, 2,
        "needs --layers"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    run_case (&cases[i]);
}

static void
test_errors (void)
{
  static const Case cases[] = {
    {{"--layers=0-5", "MODEL", "OUT"}, 1, "0 <= A < B <= 4"},
    {{"--layers=2-4", "--with-predictor=5", "MODEL", "OUT"}, 1,
        "a predictor of 5 blocks cannot be cut from a model of 4"},
    {{"--layers=0-1", "/dev/null", "OUT"}, 1, "/dev/null"},
    {{"--layers=0-1", "/no/such/model", "OUT"}, 1, "/no/such/model"},
    {{"--layers=0-1", "MODEL", "/no/such/out"}, 1, "/no/such/out"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    run_case (&cases[i]);
  g_assert_false (g_file_test (out, G_FILE_TEST_EXISTS));
}

static void
test_writes (void)
{
  static const Case loud = { {"--layers=0-2", "MODEL", "OUT"}, 0,
  "blocks 0-2 of 4, embedding, 19 tensors"
  };
  static const Case predictor = { {"--layers=2-4", "--with-predictor=1",
      "MODEL", "OUT"}, 0, "blocks 2-4 of 4, output head, predictor's 1 blocks"
  };
  static const Case quiet = { {"-q", "-l", "2-4", "--no-tokenizer", "MODEL",
      "OUT"}, 0, ""
  };
  g_autoptr (StGguf) gguf = NULL;
  guint64 first = 0;

  run_case (&loud);
  run_case (&predictor);
  run_case (&quiet);
  gguf = st_gguf_open (out, NULL);
  g_assert_nonnull (gguf);
  g_assert_true (st_gguf_get_uint (gguf, ST_SPLIT_KEY_FIRST_BLOCK, &first));
  g_assert_cmpuint (first, ==, 2);
  g_assert_null (st_gguf_find_entry (gguf, "tokenizer.ggml.tokens"));
  g_unlink (out);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  directory = g_dir_make_tmp ("rdpartition-XXXXXX", NULL);
  g_assert_nonnull (directory);
  out = g_build_filename (directory, "out.gguf", NULL);
  model = st_tiny_model_temp (NULL);
  g_test_add_func ("/rdpartition/usage", test_usage);
  g_test_add_func ("/rdpartition/errors", test_errors);
  g_test_add_func ("/rdpartition/writes", test_writes);
  status = g_test_run ();
  g_unlink (model);
  g_rmdir (directory);
  g_free (model);
  g_free (out);
  g_free (directory);
  return status;
}
