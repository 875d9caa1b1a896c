/* A codec file of version 2 for experiments: an existing file with random adapters of every matrix of its model.
 * make-adapters CODEC.gguf MODEL.gguf OUT.gguf RANK SIZE SEED */
#include <stdlib.h>

#include "tests/support/adapter-tools.h"

int
main (int argc, char **argv)
{
  const StModelOptions options = {.threads = 1 };
  g_autoptr (GError) error = NULL;
  g_autoptr (RdLearnedParameters) p = NULL;
  g_autoptr (StModel) model = NULL;

  if (argc != 7) {
    g_printerr
        ("make-adapters CODEC.gguf MODEL.gguf OUT.gguf RANK SIZE SEED\n");
    return 2;
  }
  p = rd_learned_parameters_load (argv[1], &error);
  model = p ? st_model_open (argv[2], &options, &error) : NULL;
  if (model)
    rd_test_adapt (p, st_model_config (model), (guint) atoi (argv[4]),
        g_ascii_strtod (argv[5], NULL), (guint32) atoi (argv[6]));
  if (model && rd_learned_parameters_save (p, argv[3], &error))
    return 0;
  g_printerr ("make-adapters: %s\n", error->message);
  return 1;
}
