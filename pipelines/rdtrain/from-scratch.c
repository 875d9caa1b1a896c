/* rdtrain from-scratch: trains a small language model from nothing. */
#include <math.h>
#include <stdlib.h>

#include "codec/training/checks.h"
#include "codec/training/scratch.h"
#include "models/family.h"
#include "pipelines/eval/interrupt.h"
#include "pipelines/eval/progress.h"
#include "pipelines/rdtrain/tool.h"

static const gchar summary[] =
    "Trains a small language model on TEXT, its vocabulary (byte-pair encoding) "
    "included, and\nwrites it to OUTPUT as GGUF. TEXT is a file or a folder "
    "with files *.txt (and folders\nof such); --text may be given several "
    "times.";
static const gchar description[] =
    "Example:\n"
    "  rdtrain from-scratch --text novels --held-out other-novels --vocabulary "
    "2048 \\\n    --hidden 256 --blocks 8 --heads 4 --kv-heads 2 --ff 704 "
    "--tokens 3000000 \\\n    --output tiny.gguf\n\n"
    "A training that is interrupted (Ctrl-C) leaves OUTPUT.checkpoint, from "
    "which --resume\ngoes on with the same result; before the learning rate goes down "
    "also with another\nnumber of steps. The same text and options give the same file on one "
    "machine, for any\nnumber of threads.\n\n"
    "Exit status: 0 written, 1 an error, 2 wrong usage, 130 interrupted. With 1 "
    "and 130 OUTPUT\nis left as it was; only while the loss on held-out text is "
    "measured, in the end, it is\nwritten already, and the message says so.";

/* A number that the family decides on if it is not given. */
#define BY_FAMILY G_MININT

/* What the command line says. */
typedef struct
{
  gchar *family, *output, *grow, *name, *type, *windows, *windows_model;
  gchar *license, *sources, *products;
  gchar *checkpoint;
  gchar **texts, **held_out;
  gint hidden, blocks, heads, kv_heads, ff, vocabulary, context;
  gint length, batch, held_out_sequences, threads;
  gint64 steps, tokens, warmup, seed;
  gdouble rate, decay, weight_decay;
  gboolean resume, keep, quiet;
} Arguments;

static void
on_progress (const RdScratchProgress * progress, gpointer user_data)
{
  RdtrainTeller *teller = user_data;
  g_autofree gchar *left = NULL;
  g_autofree gchar *line = NULL;

  if (!rdtrain_teller_due (teller))
    return;
  left = eval_progress_duration (progress->seconds_left);
  line = g_strdup_printf ("step %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
      ", loss %.3f, %.0f tokens/s, about %s left", progress->done,
      progress->steps, progress->loss, progress->tokens_per_second, left);
  rdtrain_teller_progress (teller, line);
}

/* ---- arguments ---- */

/* A llama has two heads for keys and values, a GPT-2 as many as others, and 4 times its hidden size between the matrices. */
static gboolean
set_by_family (Arguments * a, GError ** error)
{
  const StFamily *family = st_family_find (a->family ? a->family : "llama");
  g_autofree gchar *names = st_family_names ();
  g_autofree gchar *message = g_strconcat ("--family is one of: ", names, NULL);

  if (family == NULL)
    return rdtrain_fail_usage (error, message);
  if (a->kv_heads == BY_FAMILY)
    a->kv_heads = family->fused_qkv ? a->heads : 2;
  if (a->ff == BY_FAMILY)
    a->ff = family->gated ? 704 : CLAMP (a->hidden, 1, G_MAXINT / 4) * 4;
  return TRUE;
}

static gboolean
check_numbers (const Arguments * a, GError ** error)
{
  const gint positive[] = { a->hidden, a->blocks, a->heads, a->kv_heads, a->ff,
    a->vocabulary, a->context, a->length, a->batch, a->held_out_sequences
  };

  for (guint i = 0; i < G_N_ELEMENTS (positive); i++) {
    if (positive[i] < 1)
      return rdtrain_fail_usage (error, "sizes and numbers are at least 1");
  }
  if (a->threads < 0 || a->seed < 0 || a->warmup < 0)
    return rdtrain_fail_usage (error,
        "--threads, --seed and --warmup are at least 0");
  if ((a->steps > 0) == (a->tokens > 0) || a->steps < 0 || a->tokens < 0)
    return rdtrain_fail_usage (error,
        "needs --steps=N or --tokens=N, and not both");
  return TRUE;
}

static gboolean
check_files (const Arguments * a, GError ** error)
{
  const RdOptionFiles files[] = {
    {"--output", a->output, NULL, TRUE},
    {"--checkpoint", a->checkpoint, NULL, TRUE},
    {"--grow", a->grow, NULL, FALSE},
    {"--exclude-windows", a->windows, NULL, FALSE},
    {"--windows-model", a->windows_model, NULL, FALSE},
    {"--text", NULL, (const gchar * const *) a->texts, FALSE},
    {"--held-out", NULL, (const gchar * const *) a->held_out, FALSE},
  };

  return rd_check_files (files, G_N_ELEMENTS (files), error);
}

static gboolean
check_arguments (Arguments * a, gint argc, GError ** error)
{
  if (argc != 1 || a->output == NULL || a->texts == NULL)
    return rdtrain_fail_usage (error,
        "needs --text=TEXT and --output=OUTPUT, and no other arguments");
  if ((a->windows == NULL) != (a->windows_model == NULL))
    return rdtrain_fail_usage (error,
        "--exclude-windows=JSON has ids of some model: --windows-model=MODEL "
        "says what they stand for, and neither is of use alone");
  return set_by_family (a, error) && check_numbers (a, error)
      && check_files (a, error);
}

/* Whole steps for at least so many tokens. */
static guint64
count_steps (const Arguments * a)
{
  const guint64 step = (guint64) a->length * (guint64) a->batch;

  if (a->steps > 0)
    return (guint64) a->steps;
  return (guint64) a->tokens / step + ((guint64) a->tokens % step > 0);
}

static gboolean
set_options (const Arguments * a, RdScratchOptions * options, GError ** error)
{
  *options = (RdScratchOptions) {
    .shape = { (guint) a->hidden, (guint) a->blocks, (guint) a->heads,
      (guint) a->kv_heads, (guint) a->ff, (guint) a->context,
      (guint) a->vocabulary, a->family
  },.name = a->name ? a->name : "tiny",.texts =
        (const gchar * const *) a->texts,.held_out =
        (const gchar * const *) a->held_out,.held_out_sequences =
        (gsize) a->held_out_sequences,.grow = a->grow,.output =
        a->output,.license = a->license,.sources = a->sources,.steps =
        count_steps (a),.length = (gsize) a->length,.batch =
        (gsize) a->batch,.rate = a->rate,.decay = a->decay,.warmup =
        (guint64) a->warmup,.weight_decay = a->weight_decay,.seed =
        (guint64) a->seed,.threads = (guint) a->threads,.checkpoint =
        a->checkpoint,.resume = a->resume,.keep_checkpoint = a->keep,.cancel =
        &eval_interrupted,.progress = on_progress,.tell = rdtrain_tell,};
  return rdtrain_parse_type (a->type, &options->type, error)
      && rdtrain_parse_products (a->products, &options->products, error);
}

/* ---- the command ---- */

static gchar *
window_text (StTokenizer * tokenizer, const RdIds * window)
{
  StDetokenizer *detokenizer = st_detokenizer_new (tokenizer);
  GString *text = g_string_new (NULL);

  for (gsize i = 0; i < window->n; i++)
    st_detokenizer_push (detokenizer, window->ids[i], text);
  st_detokenizer_flush (detokenizer, text);
  st_detokenizer_free (detokenizer);
  return g_string_free (text, FALSE);
}

/* The windows as texts, as the new model has another vocabulary. */
static gchar **
read_windows (const Arguments * a, GError ** error)
{
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (StGguf) gguf = st_gguf_open (a->windows_model, error);
  g_autoptr (StTokenizer) tokenizer =
      gguf ? st_tokenizer_new (gguf, error) : NULL;
  g_auto (RdtrainWindows) windows = { 0 };

  if (tokenizer == NULL || !rdtrain_windows_load (&windows, a->windows, error)
      || !rd_check_windows (windows.windows, windows.n,
          st_tokenizer_vocab_size (tokenizer), error))
    return NULL;
  for (gsize i = 0; i < windows.n; i++)
    g_ptr_array_add (texts, window_text (tokenizer, &windows.windows[i]));
  g_ptr_array_add (texts, NULL);
  return (gchar **) g_ptr_array_free (g_steal_pointer (&texts), FALSE);
}

static gboolean
train (const Arguments * a, RdScratchOptions * options, GError ** error)
{
  g_auto (GStrv) excluded = NULL;

  if (a->windows != NULL) {
    excluded = read_windows (a, error);
    if (excluded == NULL)
      return FALSE;
  }
  options->excluded = (const gchar * const *) excluded;
  return rd_scratch_train (options, error);
}

static void
add_model_entries (GOptionContext * context, Arguments * a)
{
  const GOptionEntry entries[] = {
    {"family", 0, 0, G_OPTION_ARG_STRING, &a->family,
        "What kind of blocks it has: llama or gpt2 (llama)", "NAME"},
    {"hidden", 0, 0, G_OPTION_ARG_INT, &a->hidden, "Hidden size (256)", "N"},
    {"blocks", 0, 0, G_OPTION_ARG_INT, &a->blocks, "Blocks (8)", "N"},
    {"heads", 0, 0, G_OPTION_ARG_INT, &a->heads, "Attention heads (4)", "N"},
    {"kv-heads", 0, 0, G_OPTION_ARG_INT, &a->kv_heads,
        "Heads for keys and values (2; gpt2: as many as --heads)", "N"},
    {"ff", 0, 0, G_OPTION_ARG_INT, &a->ff,
        "Feed-forward size (704; gpt2: 4 times --hidden)", "N"},
    {"vocabulary", 0, 0, G_OPTION_ARG_INT, &a->vocabulary,
        "Tokens of the vocabulary, 257 or more (2048)", "N"},
    {"context", 0, 0, G_OPTION_ARG_INT, &a->context,
        "Positions that the file says it is for (512)", "N"},
    {"grow", 0, 0, G_OPTION_ARG_FILENAME, &a->grow,
        "Begin with a smaller model of the same vocabulary in place of random "
          "weights", "MODEL"},
    {"type", 0, 0, G_OPTION_ARG_STRING, &a->type,
        "Type of the matrices: F16, Q8_0 or F32 (F16)", "TYPE"},
    {"name", 0, 0, G_OPTION_ARG_STRING, &a->name, "The model's name (tiny)",
        "NAME"},
    {"license", 0, 0, G_OPTION_ARG_STRING, &a->license,
        "For the file: its licence", "NAME"},
    {"sources", 0, 0, G_OPTION_ARG_STRING, &a->sources,
        "For the file: what the texts are, and their licences", "TEXT"},
    {NULL}
  };
  GOptionGroup *group = g_option_group_new ("model", "Model:",
      "Options about the model", NULL, NULL);

  g_option_group_add_entries (group, entries);
  g_option_context_add_group (context, group);
}

static GOptionContext *
make_context (Arguments * a)
{
  const GOptionEntry entries[] = {
    RDTRAIN_ENTRY_TEXTS (&a->texts),
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &a->output, "Model file",
        "OUTPUT"},
    {"held-out", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &a->held_out,
        "Text of the same kind that nothing is trained with; the loss on it "
          "is told in the end", "TEXT"},
    {"held-out-sequences", 0, 0, G_OPTION_ARG_INT, &a->held_out_sequences,
        "Sequences of it, evenly spread (64)", "N"},
    RDTRAIN_ENTRY_WINDOWS (&a->windows),
    {"windows-model", 0, 0, G_OPTION_ARG_FILENAME, &a->windows_model,
        "Model (GGUF) with whose vocabulary they are written", "MODEL"},
    {"steps", 0, 0, G_OPTION_ARG_INT64, &a->steps, "Steps", "N"},
    {"tokens", 0, 0, G_OPTION_ARG_INT64, &a->tokens,
        "Tokens instead, rounded up to whole steps", "N"},
    {"length", 0, 0, G_OPTION_ARG_INT, &a->length,
        "Tokens of a sequence (512)", "N"},
    {"batch", 0, 0, G_OPTION_ARG_INT, &a->batch, "Sequences of a step (4)",
        "N"},
    {"rate", 0, 0, G_OPTION_ARG_DOUBLE, &a->rate, "Learning rate (0.002)",
        "X"},
    {"decay", 0, 0, G_OPTION_ARG_DOUBLE, &a->decay,
          "Part of the steps, the last ones, in which it goes down to 0 (0.25)",
        "X"},
    {"warmup", 0, 0, G_OPTION_ARG_INT64, &a->warmup,
        "Steps in which it goes up at first (0)", "N"},
    {"weight-decay", 0, 0, G_OPTION_ARG_DOUBLE, &a->weight_decay,
        "Of matrices (0.1)", "X"},
    {"products", 0, 0, G_OPTION_ARG_STRING, &a->products, RDTRAIN_PRODUCTS_HELP,
        "HOW"},
    RDTRAIN_ENTRY_SEED (&a->seed),
    {"threads", 0, 0, G_OPTION_ARG_INT, &a->threads,
        "0: one per CPU (0); no more than --batch are of use", "N"},
    {"checkpoint", 0, 0, G_OPTION_ARG_FILENAME, &a->checkpoint,
        "Where an interrupted training is kept (OUTPUT.checkpoint)", "FILE"},
    RDTRAIN_ENTRY_RESUME (&a->resume),
    {"keep-checkpoint", 0, 0, G_OPTION_ARG_NONE, &a->keep,
        "Keep it when the model is written", NULL},
    RDTRAIN_ENTRY_QUIET (&a->quiet),
    {NULL}
  };
  GOptionContext *context = rdtrain_context (entries, summary, description);

  add_model_entries (context, a);
  return context;
}

static void
arguments_clear (Arguments * a)
{
  g_free (a->family);
  g_free (a->output);
  g_free (a->grow);
  g_free (a->name);
  g_free (a->type);
  g_free (a->windows);
  g_free (a->windows_model);
  g_free (a->license);
  g_free (a->sources);
  g_free (a->products);
  g_free (a->checkpoint);
  g_strfreev (a->texts);
  g_strfreev (a->held_out);
}

static int
run (gint argc, gchar ** argv, Arguments * a)
{
  g_autoptr (GOptionContext) context = make_context (a);
  g_autoptr (GError) error = NULL;
  RdtrainTeller teller;
  RdScratchOptions options;

  if (!g_option_context_parse (context, &argc, &argv, &error)
      || !check_arguments (a, argc, &error)
      || !set_options (a, &options, &error))
    return rdtrain_fail_arguments (error);
  rdtrain_teller_init (&teller, a->quiet);
  options.user_data = &teller;
  eval_catch_interrupts ();
  if (train (a, &options, &error))
    return EXIT_SUCCESS;
  return rdtrain_fail (&teller, error, g_error_matches (error,
          RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_INTERRUPTED));
}

int
rdtrain_from_scratch (gint argc, gchar ** argv)
{
  Arguments arguments = {.hidden = 256,.blocks = 8,.heads = 4,.kv_heads =
        BY_FAMILY,.ff = BY_FAMILY,.vocabulary = 2048,.context = 512,.length =
        512,.batch = 4,.held_out_sequences = 64,.rate = 0.002,.decay =
        0.25,.weight_decay = 0.1
  };
  const int status = run (argc, argv, &arguments);

  arguments_clear (&arguments);
  return status;
}
