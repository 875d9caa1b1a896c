/* Which kernels OpenBLAS should take on a CPU, and that a program starts anew with them, once and with the same arguments. */
#include <cblas.h>
#include <string.h>

#include "models/kernels/openblas.h"

#define VARIABLE "OPENBLAS_CORETYPE"
#define CHILD "--print"
#define LOADER "/lib64/ld-linux-x86-64.so.2"

static gchar *program;

static void
test_wanted (void)
{
  const struct
  {
    const gchar *core;
    gboolean avx2, avx512;
    const gchar *wanted;
  } cases[] = {
    {"Prescott", TRUE, TRUE, "SkylakeX"}, {"Prescott", TRUE, FALSE, "Haswell"},
    {"Prescott", FALSE, FALSE, NULL}, {"PRESCOTT", TRUE, TRUE, "SkylakeX"},
    {"Opteron_SSE3", TRUE, FALSE, "Haswell"},
    {"Sandybridge", TRUE, FALSE, "Haswell"},
    {"Haswell", TRUE, TRUE, "SkylakeX"}, {"Haswell", TRUE, FALSE, NULL},
    {"Zen", TRUE, FALSE, NULL}, {"Zen", TRUE, TRUE, "SkylakeX"},
    {"SkylakeX", TRUE, TRUE, NULL}, {"SkylakeX", TRUE, FALSE, NULL},
    {"Cooperlake", TRUE, TRUE, NULL}, {"SapphireRapids", TRUE, TRUE, NULL},
    {"neoversen1", FALSE, FALSE, NULL}, {"", TRUE, TRUE, NULL}
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_assert_cmpstr (st_openblas_wanted_core (cases[i].core, cases[i].avx2,
            cases[i].avx512), ==, cases[i].wanted);
}

/* What this program prints as the child of itself, started by @loader (may be NULL), with @core (may be NULL) in the environment: the variable, the
 * core and the last argument. */
static gchar **
run_child (const gchar * loader, const gchar * core)
{
  gchar *argv[] = { (gchar *) loader, program, (gchar *) CHILD,
    (gchar *) "two words", NULL
  };
  g_auto (GStrv) environment = g_get_environ ();
  g_autofree gchar *output = NULL;
  g_autoptr (GError) error = NULL;
  gint status;

  environment = core != NULL ?
      g_environ_setenv (environment, VARIABLE, core, TRUE) :
      g_environ_unsetenv (environment, VARIABLE);
  g_spawn_sync (NULL, loader ? argv : argv + 1, environment, G_SPAWN_DEFAULT,
      NULL, NULL, &output, NULL, &status, &error);
  g_assert_no_error (error);
  g_assert_true (g_spawn_check_wait_status (status, NULL));
  return g_strsplit (output, "\n", 3);
}

static int
print (const gchar * argument)
{
  const gchar *variable = g_getenv (VARIABLE);

  g_print ("%s\n%s\n%s", variable ? variable : "", openblas_get_corename (),
      argument);
  return 0;
}

/* What another core than the best is named is kept if the user says so. */
static void
test_restart (void)
{
  g_auto (GStrv) first = run_child (NULL, NULL);
  g_auto (GStrv) chosen = run_child (NULL, "Prescott");

  g_assert_cmpstr (first[2], ==, "two words");
  g_test_message ("%s: %s", first[0], first[1]);
  if (*first[0] != '\0') {
    g_auto (GStrv) same = run_child (NULL, first[0]);

    g_assert_cmpstr (same[1], ==, first[1]);
  }
  g_assert_cmpstr (chosen[0], ==, "Prescott");
  g_assert_cmpstr (chosen[2], ==, "two words");
}

/* The dynamic loader would take the arguments for its own: the program runs on as it is. */
static void
test_loader (void)
{
  g_auto (GStrv) output = NULL;

  if (!g_file_test (LOADER, G_FILE_TEST_EXISTS)) {
    g_test_skip (LOADER " is not there");
    return;
  }
  output = run_child (LOADER, NULL);
  g_assert_cmpstr (output[0], ==, "");
  g_assert_cmpstr (output[2], ==, "two words");
}

int
main (int argc, char **argv)
{
  if (argc == 3 && strcmp (argv[1], CHILD) == 0) {
    st_openblas_restart (argv);
    return print (argv[2]);
  }
  program = argv[0];
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/openblas/wanted", test_wanted);
  g_test_add_func ("/openblas/restart", test_restart);
  g_test_add_func ("/openblas/loader", test_loader);
  return g_test_run ();
}
