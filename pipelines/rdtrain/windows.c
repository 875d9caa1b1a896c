/* rdtrain windows: a test set for rdeval out of text. */
#include <stdlib.h>

#include <json-glib/json-glib.h>

#include "codec/training/checks.h"
#include "codec/training/corpus.h"
#include "models/gguf/gguf.h"
#include "pipelines/rdtrain/tool.h"

static const gchar summary[] =
    "Writes windows of TEXT, in the ids of MODEL's vocabulary, to OUTPUT: a test "
    "set (JSON)\nfor rdeval and --exclude-windows. TEXT is a file or a folder "
    "with files *.txt (and\nfolders of such), of which each is a domain; --text "
    "may be given several times.";

typedef struct
{
  gchar *model, *output;
  gchar **texts;
  gint windows, length;
} Arguments;

static RdCorpus *
open_text (const Arguments * a, GError ** error)
{
  g_autoptr (StGguf) gguf = st_gguf_open (a->model, error);
  g_autoptr (StTokenizer) tokenizer =
      gguf ? st_tokenizer_new (gguf, error) : NULL;

  if (tokenizer == NULL)
    return NULL;
  return rd_corpus_new (tokenizer, (const gchar * const *) a->texts, error);
}

static void
add_window (JsonBuilder * builder, const gchar * domain, const gint32 * ids,
    gsize n)
{
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "domain");
  json_builder_add_string_value (builder, domain);
  json_builder_set_member_name (builder, "ids");
  json_builder_begin_array (builder);
  for (gsize i = 0; i < n; i++)
    json_builder_add_int_value (builder, ids[i]);
  json_builder_end_array (builder);
  json_builder_end_object (builder);
}

/* So many of each domain, evenly spread; the domains take turns. */
static gboolean
add_windows (JsonBuilder * builder, const RdCorpus * corpus,
    const Arguments * a, GError ** error)
{
  const guint domains = rd_corpus_n_domains (corpus);
  const gsize length = (gsize) a->length;
  g_autofree gint32 *ids = g_new (gint32, length);

  for (gsize i = 0; i < (gsize) a->windows * domains; i++) {
    guint domain;

    if (!rd_corpus_sequence (corpus, 0, i, length, ids, &domain, error))
      return FALSE;
    add_window (builder, rd_corpus_domain_name (corpus, domain), ids, length);
  }
  return TRUE;
}

static gboolean
write_windows (const Arguments * a, GError ** error)
{
  g_autoptr (RdCorpus) corpus = open_text (a, error);
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree gchar *text = NULL;

  if (corpus == NULL)
    return FALSE;
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "windows");
  json_builder_begin_array (builder);
  if (!add_windows (builder, corpus, a, error))
    return FALSE;
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);
  return g_file_set_contents (a->output, text, -1, error);
}

static gboolean
check_files (const Arguments * a, GError ** error)
{
  const RdOptionFiles files[] = {
    {"--output", a->output, NULL, TRUE},
    {"--model", a->model, NULL, FALSE},
    {"--text", NULL, (const gchar * const *) a->texts, FALSE},
  };

  return rd_check_files (files, G_N_ELEMENTS (files), error);
}

static gboolean
check_arguments (const Arguments * a, gint argc, GError ** error)
{
  if (argc != 1 || a->model == NULL || a->texts == NULL || a->output == NULL)
    return rdtrain_fail_usage (error,
        "needs --model=MODEL, --text=TEXT and --output=OUTPUT, and no other "
        "arguments");
  if (a->windows < 1 || a->length < 2)
    return rdtrain_fail_usage (error,
        "--windows is at least 1, --length at least 2");
  return check_files (a, error);
}

static GOptionContext *
make_context (Arguments * a)
{
  const GOptionEntry entries[] = {
    {"model", 'm', 0, G_OPTION_ARG_FILENAME, &a->model,
        "Model (GGUF), for its vocabulary", "MODEL"},
    RDTRAIN_ENTRY_TEXTS (&a->texts),
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &a->output, "Test set", "OUTPUT"},
    {"windows", 0, 0, G_OPTION_ARG_INT, &a->windows,
        "Windows of each domain, evenly spread (4)", "N"},
    {"length", 0, 0, G_OPTION_ARG_INT, &a->length,
        "Tokens of a window (512)", "N"},
    {NULL}
  };

  return rdtrain_context (entries, summary, NULL);
}

static int
run (gint argc, gchar ** argv, Arguments * a)
{
  g_autoptr (GOptionContext) context = make_context (a);
  g_autoptr (GError) error = NULL;

  if (!g_option_context_parse (context, &argc, &argv, &error)
      || !check_arguments (a, argc, &error))
    return rdtrain_fail_arguments (error);
  if (write_windows (a, &error))
    return EXIT_SUCCESS;
  g_printerr ("rdtrain windows: %s\n", error->message);
  return EXIT_FAILURE;
}

int
rdtrain_windows (gint argc, gchar ** argv)
{
  Arguments arguments = {.windows = 4,.length = 512 };
  const int status = run (argc, argv, &arguments);

  g_free (arguments.model);
  g_free (arguments.output);
  g_strfreev (arguments.texts);
  return status;
}
