/* rdpartition: writes some blocks of a model as a GGUF file of its own, so that a device holds only its part. */
#include <locale.h>
#include <stdlib.h>

#include "models/partition.h"
#include "models/tokenizer/tokenizer.h"

#define EXIT_USAGE 2

static const gchar summary[] =
    "Writes some blocks of the language model IN (GGUF) to OUT, so that a "
    "device holds\nonly its part. Blocks are counted from 0; A-B is A up to, "
    "not including, B.\nThe part with block 0 gets the token embedding, the "
    "part with the last block the\noutput head. Every part carries the hashes "
    "of the whole model's tensors and so has\nthe whole model's id.";
static const gchar description[] =
    "Example: a model of 30 blocks for two devices, cut before block 10\n"
    "  rdpartition --layers=0-10 model.gguf head.gguf\n"
    "  rdpartition --layers=10-30 model.gguf tail.gguf\n"
    "The second one for a codec file whose predictor runs two blocks\n"
    "  rdpartition --layers=10-30 --with-predictor=2 model.gguf tail.gguf\n\n"
    "Exit status: 0 written, 1 an error (OUT is left as it was), 2 wrong "
    "usage.";

/* The tokenizer's id, "" where the file has no tokenizer, NULL on error. */
static gchar *
read_tokenizer_id (StGguf * gguf, GError ** error)
{
  g_autoptr (StTokenizer) tokenizer = NULL;

  if (st_gguf_find_entry (gguf, "tokenizer.ggml.tokens") == NULL)
    return g_strdup ("");
  tokenizer = st_tokenizer_new (gguf, error);
  return tokenizer ? g_strdup (st_tokenizer_id (tokenizer)) : NULL;
}

typedef struct
{
  gchar *layers;
  gint predictor;               /* -1 = none */
  gboolean no_tokenizer, quiet;
} Wanted;

static gboolean
partition (const gchar * in, const gchar * out, const Wanted * wanted,
    GError ** error)
{
  g_autoptr (StGguf) gguf = st_gguf_open (in, error);
  g_autofree gchar *tokenizer_id = NULL, *size = NULL;
  g_autofree gchar *predictor = wanted->predictor < 0 ? g_strdup ("") :
      g_strdup_printf (", predictor's %d blocks", wanted->predictor);
  StPartitionInfo info;
  guint n_blocks, first, last;

  if (gguf == NULL || !st_partition_n_blocks (gguf, &n_blocks, error)
      || !st_partition_parse_layers (wanted->layers, n_blocks, &first, &last,
          error))
    return FALSE;
  tokenizer_id = read_tokenizer_id (gguf, error);
  if (tokenizer_id == NULL
      || !st_partition_write (gguf, *tokenizer_id ? tokenizer_id : NULL, first,
          last, wanted->predictor, !wanted->no_tokenizer, out, &info, error))
    return FALSE;
  size = g_format_size (info.tensor_bytes);
  if (!wanted->quiet)
    g_print ("%s: blocks %u-%u of %u%s%s%s, %" G_GUINT64_FORMAT " tensors, %s\n"
        "model id %s\n", out, first, last, n_blocks,
        first == 0 ? ", embedding" : "",
        last == n_blocks ? ", output head" : "", predictor, info.n_tensors,
        size, info.model_id);
  return TRUE;
}

int
main (int argc, char **argv)
{
  Wanted wanted = {.predictor = -1 };
  g_autofree gchar *layers = NULL;
  const GOptionEntry entries[] = {
    {"layers", 'l', 0, G_OPTION_ARG_STRING, &layers,
        "Blocks to write: A-B (A up to, not including, B), or all", "A-B"},
    {"with-predictor", 0, 0, G_OPTION_ARG_INT, &wanted.predictor,
        "Also the embedding and the first N blocks, for rddecoder model=OUT "
          "with a codec file whose predictor runs them", "N"},
    {"no-tokenizer", 0, 0, G_OPTION_ARG_NONE, &wanted.no_tokenizer,
          "Leave out the tokenizer, which only the first and last device need",
        NULL},
    {"quiet", 'q', 0, G_OPTION_ARG_NONE, &wanted.quiet, "Print errors only",
        NULL},
    {NULL}
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("IN OUT");
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_summary (context, summary);
  g_option_context_set_description (context, description);
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("rdpartition: %s (see rdpartition --help)\n", error->message);
    return EXIT_USAGE;
  }
  if (layers == NULL || argc != 3 || wanted.predictor < -1) {
    g_printerr ("rdpartition: needs --layers=A-B, one file IN and one file OUT "
        "(see rdpartition --help)\n");
    return EXIT_USAGE;
  }
  wanted.layers = layers;
  if (!partition (argv[1], argv[2], &wanted, &error)) {
    g_printerr ("rdpartition: %s\n", error->message);
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
