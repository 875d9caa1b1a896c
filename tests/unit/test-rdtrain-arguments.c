/* Arguments of rdtrain that are refused before anything is read: files that are given twice, and numbers. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib.h>
#include <glib/gstdio.h>

#define TRAIN "train -m model -s start -t text -c new "

typedef struct
{
  const gchar *command, *message;
} Case;

/* Files of the folder that the commands run in, each with its name in it. Beside them: `link`, which is the folder, and `hard`, which is `model`. */
static const gchar *const names[] =
    { "model", "start", "text", "checkpoint", "windows" };

static void
run_case (const Case * c)
{
  g_autofree gchar *line = g_strconcat (RDTRAIN " ", c->command, NULL);
  g_auto (GStrv) argv = g_strsplit (line, " ", -1);
  g_autofree gchar *printed = NULL, *complaint = NULL;
  g_autoptr (GError) error = NULL;
  gint status;

  g_spawn_sync (NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &printed,
      &complaint, &status, &error);
  g_assert_no_error (error);
  g_test_message ("%s%s", printed, complaint);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 2);
  g_assert_nonnull (strstr (complaint, c->message));
}

static void
assert_unchanged (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree gchar *content = NULL;

    g_assert_true (g_file_get_contents (names[i], &content, NULL, NULL));
    g_assert_cmpstr (content, ==, names[i]);
  }
  g_assert_false (g_file_test ("new", G_FILE_TEST_EXISTS));
}

static void
test_files_given_twice (void)
{
  static const Case cases[] = {
    {"calibrate -m model -k 1 -t text -o new --checkpoint link/new",
        "--output and --checkpoint name the same file, link/new,"},
    {"calibrate -m model -k 1 -t text -o hard", "--output and --model name"},
    {"calibrate -m model -k 1 -t start -t text -o ./link/text",
        "--output and --text name"},
    {"calibrate -m model -k 1 -t text -o windows --exclude-windows windows",
        "--output and --exclude-windows name"},
    {"calibrate -m model -k 1 -t text -o new --checkpoint model",
        "--checkpoint and --model name"},
    {"train -m model -s start -t text -c link/start",
        "--checkpoint and --start name"},
    {"resume -m model -s start -t text -c text",
        "--checkpoint and --text name"},
    {"export -m model -s start -t text -c checkpoint -o checkpoint",
        "--output and --checkpoint name"},
    {"export -m model -s start -t text -c checkpoint -o new --output-model new",
        "--output and --output-model name"},
    {"export -m model -s start -t text -c checkpoint -o new --output-model "
          "link/hard", "--output-model and --model name"},
    {"evaluate -m model -s start -t text -c checkpoint --testset windows -o "
          "checkpoint", "--output and --checkpoint name"},
    {"evaluate -m model -s start -t text -c checkpoint --testset windows -o "
          "windows", "--output and --testset name"},
    {"from-scratch -t text -o new --steps=1 --checkpoint new",
        "--output and --checkpoint name"},
    {"from-scratch -t text -o model --steps=1 --grow model",
        "--output and --grow name"},
    {"from-scratch -t text -o text --steps=1 --held-out text",
        "--output and --text name"},
    {"windows -m model -t text -o text", "--output and --text name"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    run_case (&cases[i]);
    assert_unchanged ();
  }
}

/* What is given is not what stands for "not given". */
static void
test_numbers (void)
{
  static const Case cases[] = {
    {TRAIN "--rank=-1", "--rank=-1: it is at least 1"},
    {TRAIN "--warmup=-1", "--warmup=-1: it is at least 0"},
    {TRAIN "--warmup=-5", "--warmup=-5: it is at least 0"},
    {TRAIN "--alpha=-3", "--alpha=-3: it is a finite number above 0"},
    {TRAIN "--alpha=0", "--alpha=0: it is a finite number above 0"},
    {TRAIN "--alpha=nan", "--alpha=nan: it is a finite number above 0"},
    {TRAIN "--alpha=inf", "--alpha=inf: it is a finite number above 0"},
    {TRAIN "--rate=-1", "--rate=-1: it is a finite number above 0"},
    {TRAIN "--full-weights --alpha=1", "trains no adapters"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    run_case (&cases[i]);
}

int
main (int argc, char **argv)
{
  g_autofree gchar *folder = g_dir_make_tmp ("arguments-XXXXXX", NULL);
  int status;

  g_test_init (&argc, &argv, NULL);
  g_assert_cmpint (g_chdir (folder), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_true (g_file_set_contents (names[i], names[i], -1, NULL));
  g_assert_cmpint (link ("model", "hard"), ==, 0);
  g_assert_cmpint (symlink (".", "link"), ==, 0);
  g_test_add_func ("/rdtrain/arguments/files", test_files_given_twice);
  g_test_add_func ("/rdtrain/arguments/numbers", test_numbers);
  status = g_test_run ();
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_unlink (names[i]);
  g_unlink ("hard");
  g_unlink ("link");
  g_rmdir (folder);
  return status;
}
