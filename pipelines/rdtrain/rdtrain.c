/* rdtrain: makes codec files, and models. Each command has a file of its own. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "models/kernels/openblas.h"
#include "pipelines/rdtrain/tool.h"

typedef struct
{
  const gchar *name, *what;
  int (*run) (gint argc, gchar ** argv);
} Command;

static const Command commands[] = {
  {"calibrate", "fits a codec to a model, a split and text; the model stays "
        "as it is", rdtrain_calibrate},
  {"train", "trains a codec, alone or together with adapters of the model",
      rdtrain_train},
  {"resume", "goes on with a training that was interrupted", rdtrain_resume},
  {"export", "makes a codec file of what a training has reached",
      rdtrain_export},
  {"evaluate", "measures what a training has reached, on a test set",
      rdtrain_evaluate},
  {"from-scratch", "trains a small language model on text, from nothing",
      rdtrain_from_scratch},
  {"windows", "makes a test set for rdeval out of text", rdtrain_windows},
};

static void
print_usage (void (*print) (const gchar *, ...))
{
  print ("Usage: rdtrain COMMAND [OPTION...]\n\n"
      "Makes codec files for the hidden states of a language model, and small "
      "models.\n\n" "Commands:\n");
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    print ("  %-12s %s\n", commands[i].name, commands[i].what);
  print ("\nrdtrain COMMAND --help lists a command's options.\n");
}

int
main (int argc, char **argv)
{
  st_openblas_restart (argv);
  setlocale (LC_ALL, "");
  if (argc >= 2 && strcmp (argv[1], "--help") == 0) {
    print_usage (g_print);
    return EXIT_SUCCESS;
  }
  for (guint i = 0; argc >= 2 && i < G_N_ELEMENTS (commands); i++) {
    if (strcmp (argv[1], commands[i].name) == 0) {
      g_autofree gchar *name = g_strconcat ("rdtrain ", argv[1], NULL);

      g_set_prgname (name);
      argv[1] = argv[0];
      return commands[i].run (argc - 1, argv + 1);
    }
  }
  print_usage (g_printerr);
  return RDTRAIN_EXIT_USAGE;
}
