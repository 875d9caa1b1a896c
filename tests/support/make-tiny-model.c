/* Writes the tiny test model: make-tiny-model [--type=F32|F16|Q8_0] [--untied] [--gpt2] [--ends] [--seed=N] FILE */
#include "tests/support/tiny-model.h"

static gboolean
find_type (const gchar * name, StType * type)
{
  static const StType types[] = { ST_TYPE_F32, ST_TYPE_F16, ST_TYPE_Q8_0 };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    if (g_ascii_strcasecmp (name, st_type_traits (types[i])->name) == 0) {
      *type = types[i];
      return TRUE;
    }
  }
  return FALSE;
}

int
main (int argc, char **argv)
{
  StTinyModelOptions options = { 0 };
  g_autofree gchar *type = NULL;
  gint64 seed = 0;
  const GOptionEntry entries[] = {
    {"type", 0, 0, G_OPTION_ARG_STRING, &type, "Type of the matrices",
        "F32|F16|Q8_0"},
    {"untied", 0, 0, G_OPTION_ARG_NONE, &options.untied,
        "Give the output a matrix of its own", NULL},
    {"gpt2", 0, 0, G_OPTION_ARG_NONE, &options.gpt2,
        "Of the GPT-2 family", NULL},
    {"ends", 0, 0, G_OPTION_ARG_NONE, &options.ends,
        "Let <|im_end|> be generated", NULL},
    {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "Seed of the weights", "N"},
    {NULL}
  };
  g_autoptr (GOptionContext) context =
      g_option_context_new ("FILE - write the tiny test model");
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("make-tiny-model: %s\n", error->message);
    return 2;
  }
  if (argc != 2 || (type != NULL && !find_type (type, &options.type))) {
    g_printerr ("make-tiny-model: needs one FILE, and a type of F32, F16 or "
        "Q8_0\n");
    return 2;
  }
  options.seed = (guint64) seed;
  if (!st_tiny_model_write (argv[1], &options, &error)) {
    g_printerr ("make-tiny-model: %s\n", error->message);
    return 1;
  }
  return 0;
}
