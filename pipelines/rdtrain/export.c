/* rdtrain export: from a training's checkpoint to a codec file, and to a model file if the model was trained. */
#include <stdlib.h>

#include "codec/training/checks.h"
#include "codec/training/entropy-models.h"
#include "codec/training/train-export.h"
#include "pipelines/eval/interrupt.h"
#include "pipelines/rdtrain/tool.h"

static const gchar summary[] =
    "Makes the codec file OUTPUT, for rdencoder and rddecoder, of what the "
    "training whose\ncheckpoint is FILE has reached. MODEL, CODEC and TEXT are "
    "those of the training, which may\nstill be running: tables are fitted to "
    "hidden states of the trained model on TEXT.";
static const gchar description[] =
    "Example:\n"
    "  rdtrain export --model model.gguf --start codec.gguf --text novels \\\n"
    "    --checkpoint both --output rdcodec-trained.gguf\n\n"
    "Adapters of the model, if there are any, are in the file. A training of "
    "all weights also\nwrites MODEL-OUTPUT, the trained model, and the codec "
    "file is for that one alone.\n\n"
    "Exit status: 0 written, 1 an error (OUTPUT is left as it was), 2 wrong "
    "usage,\n130 interrupted.";

/* What the command line says. */
typedef struct
{
  gchar *model, *start, *checkpoint, *output, *model_output, *type, *sources;
  gchar **texts;
  gint sequences, rank, threads;
  gboolean quiet;
} Arguments;

static gboolean
check_files (const Arguments * a, GError ** error)
{
  const RdOptionFiles files[] = {
    {"--output", a->output, NULL, TRUE},
    {"--output-model", a->model_output, NULL, TRUE},
    {"--checkpoint", a->checkpoint, NULL, FALSE},
    {"--model", a->model, NULL, FALSE},
    {"--start", a->start, NULL, FALSE},
    {"--text", NULL, (const gchar * const *) a->texts, FALSE},
  };

  return rd_check_files (files, G_N_ELEMENTS (files), error);
}

static gboolean
check_arguments (const Arguments * a, gint argc, GError ** error)
{
  if (argc != 1 || a->model == NULL || a->start == NULL || a->texts == NULL
      || a->checkpoint == NULL || a->output == NULL)
    return rdtrain_fail_usage (error,
        "needs --model=MODEL, --start=CODEC, --text=TEXT, --checkpoint=FILE "
        "and --output=OUTPUT, and no other arguments");
  if (a->sequences < 1 || a->rank < 0 || a->threads < 0)
    return rdtrain_fail_usage (error,
        "--sequences is at least 1, --rank and --threads at least 0");
  return check_files (a, error);
}

static gboolean
export (const Arguments * a, StType type, RdtrainTeller * teller,
    GError ** error)
{
  RdTrainOptions options = {.model = a->model,.start = a->start,.texts =
        (const gchar * const *) a->texts,.threads =
        (guint) a->threads,.codec_new =
        rd_trainable_new_by_name,.checkpoint = a->checkpoint,.cancel =
        &eval_interrupted,.tell = rdtrain_tell,.user_data = teller
  };
  const RdTrainExport to = {.codec_export =
        rd_trainable_export,.output = a->output,.sequences =
        (gsize) a->sequences,.rank = (guint) a->rank,.model_output =
        a->model_output,.type = type,.sources = a->sources
  };
  g_autofree gchar *name = NULL;

  if (!rd_train_options_read (&options, a->checkpoint, &name, error))
    return FALSE;
  options.entropy_model = name;
  return rd_train_export (&options, &to, error);
}

static GOptionContext *
make_context (Arguments * a)
{
  const GOptionEntry entries[] = {
    {"model", 'm', 0, G_OPTION_ARG_FILENAME, &a->model,
        "Language model (GGUF) of the training", "MODEL"},
    {"start", 's', 0, G_OPTION_ARG_FILENAME, &a->start,
        "Codec file that it started from", "CODEC"},
    {"text", 't', 0, G_OPTION_ARG_FILENAME_ARRAY, &a->texts,
        "Its text", "TEXT"},
    {"checkpoint", 'c', 0, G_OPTION_ARG_FILENAME, &a->checkpoint,
        "Its checkpoint", "FILE"},
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &a->output, "Codec file",
        "OUTPUT"},
    {"output-model", 0, 0, G_OPTION_ARG_FILENAME, &a->model_output,
        "The model (GGUF), if all its weights were trained", "MODEL-OUTPUT"},
    {"type", 0, 0, G_OPTION_ARG_STRING, &a->type,
        "Of its matrices: F16, Q8_0 or F32 (F16)", "TYPE"},
    {"sequences", 0, 0, G_OPTION_ARG_INT, &a->sequences,
        "Sequences for tables (240)", "N"},
    {"rank", 0, 0, G_OPTION_ARG_INT, &a->rank,
        "Adapters of a lower rank, for a smaller file: what is nearest to "
          "those that were trained (0: these)", "N"},
    {"sources", 0, 0, G_OPTION_ARG_STRING, &a->sources,
        "For the codec file: what the texts are, and their licences", "TEXT"},
    RDTRAIN_ENTRY_THREADS (&a->threads),
    RDTRAIN_ENTRY_QUIET (&a->quiet),
    {NULL}
  };

  return rdtrain_context (entries, summary, description);
}

static void
arguments_clear (Arguments * a)
{
  g_free (a->model);
  g_free (a->start);
  g_free (a->checkpoint);
  g_free (a->output);
  g_free (a->model_output);
  g_free (a->type);
  g_free (a->sources);
  g_strfreev (a->texts);
}

static int
run (gint argc, gchar ** argv, Arguments * a)
{
  g_autoptr (GOptionContext) context = make_context (a);
  g_autoptr (GError) error = NULL;
  RdtrainTeller teller;
  StType type;

  if (!g_option_context_parse (context, &argc, &argv, &error)
      || !check_arguments (a, argc, &error)
      || !rdtrain_parse_type (a->type, &type, &error))
    return rdtrain_fail_arguments (error);
  rdtrain_teller_init (&teller, a->quiet);
  eval_catch_interrupts ();
  if (export (a, type, &teller, &error))
    return EXIT_SUCCESS;
  return rdtrain_fail (&teller, error, eval_interrupted);
}

int
rdtrain_export (gint argc, gchar ** argv)
{
  Arguments arguments = {.sequences = RD_TRAIN_EXPORT_SEQUENCES };
  const int status = run (argc, argv, &arguments);

  arguments_clear (&arguments);
  return status;
}
