#include "pipelines/rdtrain/train-arguments.h"

#include <string.h>

#include "codec/training/checks.h"
#include "codec/training/entropy-models.h"
#include "codec/training/static.h"
#include "codec/training/weights.h"
#include "pipelines/eval/interrupt.h"

#define TOKENS 1000000
/* Numbers that depend on others if they are not given. */
#define NOT_GIVEN G_MININT
#define NO_NUMBER (-G_MAXDOUBLE)
/* Of the steps, at most. */
#define WARMUP 100
#define WARMUP_SHARE 20

/* ---- choices ---- */

static gboolean
parse_entropy_model (const gchar * name, RdTrainOptions * options,
    GError ** error)
{
  g_autofree gchar *known = NULL, *message = NULL;

  options->entropy_model = name != NULL ? name : RD_STATIC_NAME;
  options->codec_new = rd_trainable_new_by_name;
  if (g_strv_contains (rd_trainable_names (), options->entropy_model))
    return TRUE;
  known = g_strjoinv (", ", (gchar **) rd_trainable_names ());
  message = g_strdup_printf ("--entropy-model is one of %s", known);
  return rdtrain_fail_usage (error, message);
}

static gboolean
parse_rounding (const gchar * name, RdTrainOptions * options, GError ** error)
{
  options->noise = g_strcmp0 (name, "noise") == 0;
  return name == NULL || options->noise || strcmp (name, "ste") == 0
      || rdtrain_fail_usage (error, "--rounding is ste or noise");
}

static gboolean
add_matrix (const gchar * name, guint8 * matrices)
{
  for (guint i = 0; i < RD_N_MATRICES; i++) {
    if (strcmp (name, rd_matrix_name (i)) == 0) {
      *matrices |= (guint8) (1 << i);
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean
parse_adapters (const gchar * text, guint8 * matrices, GError ** error)
{
  g_auto (GStrv) names = NULL;

  *matrices = (1 << RD_N_MATRICES) - 1;
  if (text == NULL || strcmp (text, "all") == 0)
    return TRUE;
  *matrices = 0;
  if (strcmp (text, "none") == 0)
    return TRUE;
  names = g_strsplit (text, ",", -1);
  for (gchar ** name = names; *name != NULL; name++) {
    if (!add_matrix (*name, matrices))
      return rdtrain_fail_usage (error, "--adapters is none, all or some of "
          "attn_q,attn_k,attn_v,attn_output,ffn_gate,ffn_up,ffn_down");
  }
  return TRUE;
}

static gboolean
parse_blocks (const gchar * text, RdTrainOptions * options, GError ** error)
{
  g_auto (GStrv) parts = NULL;
  guint64 first, last;

  if (text == NULL)
    return TRUE;
  parts = g_strsplit (text, "-", 2);
  if (g_strv_length (parts) != 2
      || !g_ascii_string_to_unsigned (parts[0], 10, 0, 1023, &first, NULL)
      || !g_ascii_string_to_unsigned (parts[1], 10, first, 1023, &last, NULL))
    return rdtrain_fail_usage (error,
        "--adapter-blocks=A-B: the first and the last block");
  options->first_block = (guint) first;
  options->last_block = (guint) last + 1;
  return TRUE;
}

/* All weights or adapters. */
static gboolean
parse_trained (const RdtrainTrainArguments * a, RdTrainOptions * options,
    GError ** error)
{
  options->full_weights = a->full_weights;
  if (!a->full_weights)
    return parse_adapters (a->adapters, &options->matrices, error)
        && parse_blocks (a->blocks, options, error);
  if (a->adapters == NULL && a->blocks == NULL && a->rank == NOT_GIVEN
      && a->alpha == NO_NUMBER)
    return TRUE;
  return rdtrain_fail_usage (error, "--full-weights trains no adapters: "
      "--adapters, --adapter-blocks, --rank and --alpha are of no use with it");
}

/* ---- numbers ---- */

/* Values of another training may be those of the checkpoint that is gone on from. */
static gboolean
check_files (const RdtrainTrainArguments * a, GError ** error)
{
  const RdOptionFiles files[] = {
    {"--checkpoint", a->checkpoint, NULL, TRUE},
    {"--model", a->model, NULL, FALSE},
    {"--start", a->start, NULL, FALSE},
    {"--exclude-windows", a->windows, NULL, FALSE},
    {"--text", NULL, (const gchar * const *) a->texts, FALSE},
  };

  return rd_check_files (files, G_N_ELEMENTS (files), error);
}

static gboolean
check_inputs (const RdtrainTrainArguments * a, gint argc, GError ** error)
{
  if (argc != 1 || a->model == NULL || a->start == NULL || a->texts == NULL
      || a->checkpoint == NULL)
    return rdtrain_fail_usage (error,
        "needs --model=MODEL, --start=CODEC, --text=TEXT and "
        "--checkpoint=FILE, and no other arguments");
  if (a->threads < 0)
    return rdtrain_fail_usage (error, "--threads is at least 0");
  return check_files (a, error);
}

/* If it is given. */
static gboolean
check_whole (const gchar * option, gint value, gint min, GError ** error)
{
  g_autofree gchar *message =
      g_strdup_printf ("%s=%d: it is at least %d", option, value, min);

  return value == NOT_GIVEN || value >= min
      || rdtrain_fail_usage (error, message);
}

/* Likewise. */
static gboolean
check_positive (const gchar * option, gdouble value, GError ** error)
{
  g_autofree gchar *message =
      g_strdup_printf ("%s=%g: it is a finite number above 0", option, value);

  return value == NO_NUMBER || (value > 0 && value <= G_MAXFLOAT)
      || rdtrain_fail_usage (error, message);
}

static gboolean
check_numbers (const RdtrainTrainArguments * a, GError ** error)
{
  if (a->steps > 0 && a->tokens > 0)
    return rdtrain_fail_usage (error, "--steps or --tokens, not both");
  if (a->steps < 0 || a->tokens < 0 || a->batch < 1 || a->length < 1
      || a->frame < 1 || a->held_out < 1)
    return rdtrain_fail_usage (error,
        "numbers of steps, tokens and sequences are at least 1");
  if (a->seed < 0 || a->validate_every < 0)
    return rdtrain_fail_usage (error,
        "--seed and --validate-every are at least 0");
  return check_whole ("--rank", a->rank, 1, error)
      && check_whole ("--warmup", a->warmup, 0, error)
      && check_positive ("--alpha", a->alpha, error)
      && check_positive ("--rate", a->rate, error);
}

static void
set_steps (const RdtrainTrainArguments * a, RdTrainOptions * options)
{
  const guint64 tokens = a->tokens > 0 ? (guint64) a->tokens : TOKENS;
  const guint64 step = (guint64) a->batch * (guint64) a->length;

  options->steps = a->steps > 0 ? (guint64) a->steps :
      (tokens + step - 1) / step;
  options->warmup = a->warmup != NOT_GIVEN ? (guint64) a->warmup :
      MIN (WARMUP, options->steps / WARMUP_SHARE);
}

static void
set_inputs (const RdtrainTrainArguments * a, RdTrainOptions * options)
{
  *options = (RdTrainOptions) {
  .model = a->model,.start = a->start,.texts =
        (const gchar * const *) a->texts,.threads =
        (guint) a->threads,.recompute = a->recompute,.checkpoint =
        a->checkpoint,.resume = a->resume,.values =
        a->values,.validate_every = (guint64) a->validate_every,.cancel =
        &eval_interrupted};
}

static gboolean
set_numbers (const RdtrainTrainArguments * a, RdTrainOptions * options,
    GError ** error)
{
  options->set = a->side_info ? 1 : 0;
  options->frame = (gsize) a->frame;
  options->rank = a->rank != NOT_GIVEN ? (guint) a->rank : RD_TRAIN_RANK;
  options->alpha =
      a->alpha != NO_NUMBER ? (float) a->alpha : (float) options->rank;
  options->batch = (gsize) a->batch;
  options->length = (gsize) a->length;
  options->held_out = (gsize) a->held_out;
  options->lambda_min = a->lambda_min;
  options->lambda_max = a->lambda_max;
  options->label_weight = a->label_weight;
  options->rate = a->rate;
  if (a->rate == NO_NUMBER)
    options->rate = a->full_weights ? RD_TRAIN_WEIGHTS_RATE : RD_TRAIN_RATE;
  options->codec_rate = a->codec_rate;
  options->seed = (guint64) a->seed;
  set_steps (a, options);
  return parse_entropy_model (a->entropy_model, options, error)
      && parse_rounding (a->rounding, options, error)
      && rdtrain_parse_products (a->products, &options->products, error)
      && parse_trained (a, options, error);
}

gboolean
rdtrain_train_arguments_read (RdtrainTrainArguments * a,
    RdTrainOptions * options, GError ** error)
{
  options->resume = TRUE;
  return rd_train_options_read (options, a->checkpoint, &a->entropy_model,
      error) && parse_entropy_model (a->entropy_model, options, error);
}

/* ---- the command line ---- */

static void
add_inputs (GOptionContext * context, RdtrainTrainArguments * a)
{
  const GOptionEntry entries[] = {
    {"model", 'm', 0, G_OPTION_ARG_FILENAME, &a->model,
        "Language model (GGUF) with all its blocks", "MODEL"},
    {"start", 's', 0, G_OPTION_ARG_FILENAME, &a->start,
        "Codec file for it that training starts from: split, side "
          "information, values", "CODEC"},
    RDTRAIN_ENTRY_TEXTS (&a->texts),
    RDTRAIN_ENTRY_WINDOWS (&a->windows),
    {"checkpoint", 'c', 0, G_OPTION_ARG_FILENAME, &a->checkpoint,
        "Where the training is kept", "FILE"},
    {"validate-every", 0, 0, G_OPTION_ARG_INT, &a->validate_every,
        "Steps; 0: before the first and behind the last (200)", "N"},
    RDTRAIN_ENTRY_THREADS (&a->threads),
    {"recompute", 0, 0, G_OPTION_ARG_NONE, &a->recompute,
        "A seventh of the memory for gradients, in 5/4 of the time", NULL},
    RDTRAIN_ENTRY_QUIET (&a->quiet),
    {NULL}
  };

  g_option_context_add_main_entries (context, entries, NULL);
}

static void
add_what (GOptionContext * context, RdtrainTrainArguments * a)
{
  const GOptionEntry entries[] = {
    RDTRAIN_ENTRY_RESUME (&a->resume),
    {"values", 0, 0, G_OPTION_ARG_FILENAME, &a->values,
        "Start from the values in another training's checkpoint, as far as "
          "it has them", "FILE"},
    {"entropy-model", 0, 0, G_OPTION_ARG_STRING, &a->entropy_model,
        "static, hyperprior-factorized, hyperprior-fourier or "
          "autoregressive (static)", "NAME"},
    {"side-info", 0, 0, G_OPTION_ARG_NONE, &a->side_info,
        "Train what codes rows whose token both sides know (else those "
          "without)", NULL},
    {"rounding", 0, 0, G_OPTION_ARG_STRING, &a->rounding,
        "ste: values are rounded, gradients pass; noise: uniform noise in "
          "place of rounding (ste)", "HOW"},
    {"frame", 0, 0, G_OPTION_ARG_INT, &a->frame,
        "Tokens of a frame (64)", "N"},
    {"adapters", 0, 0, G_OPTION_ARG_STRING, &a->adapters,
        "Matrices with low-rank adapters: none (the model stays as it is), "
          "all, or names as attn_q,ffn_down (all)", "WHICH"},
    {"adapter-blocks", 0, 0, G_OPTION_ARG_STRING, &a->blocks,
        "First and last block with adapters (all blocks)", "A-B"},
    {"full-weights", 0, 0, G_OPTION_ARG_NONE, &a->full_weights,
        "Train all weights of the model in place of adapters", NULL},
    {"rank", 0, 0, G_OPTION_ARG_INT, &a->rank, "Of the adapters (16)", "N"},
    {"alpha", 0, 0, G_OPTION_ARG_DOUBLE, &a->alpha,
        "Adapters count alpha / rank (the rank)", "X"},
    {NULL}
  };

  g_option_context_add_main_entries (context, entries, NULL);
}

static void
add_numbers (GOptionContext * context, RdtrainTrainArguments * a)
{
  const GOptionEntry entries[] = {
    {"tokens", 0, 0, G_OPTION_ARG_INT64, &a->tokens,
        "Tokens to train on (1000000)", "N"},
    {"steps", 0, 0, G_OPTION_ARG_INT64, &a->steps, "The same in steps", "N"},
    {"batch", 0, 0, G_OPTION_ARG_INT, &a->batch,
        "Sequences of a step (4)", "N"},
    {"length", 0, 0, G_OPTION_ARG_INT, &a->length,
        "Tokens of a sequence (256)", "N"},
    {"held-out", 0, 0, G_OPTION_ARG_INT, &a->held_out,
        "Sequences that are validated on and never trained on (8)", "N"},
    {"lambda-min", 0, 0, G_OPTION_ARG_DOUBLE, &a->lambda_min,
        "Nats a bit: each sequence draws from the range (1.5e-4)", "X"},
    {"lambda-max", 0, 0, G_OPTION_ARG_DOUBLE, &a->lambda_max,
        "(8e-3)", "X"},
    {"label-weight", 0, 0, G_OPTION_ARG_DOUBLE, &a->label_weight,
        "How much the text's next token counts beside the original model's "
          "distribution, 0 to 1 (0)", "X"},
    {"rate", 0, 0, G_OPTION_ARG_DOUBLE, &a->rate,
        "Peak learning rate of adapters (4e-4) or of all weights (1e-4)", "X"},
    {"codec-rate", 0, 0, G_OPTION_ARG_DOUBLE, &a->codec_rate,
        "Peak learning rate of the codec (2e-4)", "X"},
    {"products", 0, 0, G_OPTION_ARG_STRING, &a->products,
        RDTRAIN_PRODUCTS_HELP, "HOW"},
    {"warmup", 0, 0, G_OPTION_ARG_INT, &a->warmup,
        "Steps in which the rates rise (a twentieth, at most 100)", "N"},
    RDTRAIN_ENTRY_SEED (&a->seed),
    {NULL}
  };

  g_option_context_add_main_entries (context, entries, NULL);
}

static void
set_defaults (RdtrainTrainArguments * a)
{
  *a = (RdtrainTrainArguments) {
  .frame = RD_TRAIN_FRAME,.rank = NOT_GIVEN,.batch =
        RD_TRAIN_BATCH,.length = RD_TRAIN_LENGTH,.held_out =
        RD_TRAIN_HELD_OUT,.validate_every = RD_TRAIN_VALIDATE_EVERY,.warmup =
        NOT_GIVEN,.alpha = NO_NUMBER,.lambda_min =
        RD_TRAIN_LAMBDA_MIN,.lambda_max = RD_TRAIN_LAMBDA_MAX,.rate =
        NO_NUMBER,.codec_rate = RD_TRAIN_CODEC_RATE};
}

gboolean
rdtrain_train_arguments_parse (RdtrainTrainArguments * a, gint argc,
    gchar ** argv, const RdtrainTrainUsage * usage, RdTrainOptions * options,
    GError ** error)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("");

  set_defaults (a);
  add_inputs (context, a);
  if (!usage->resume) {
    add_what (context, a);
    add_numbers (context, a);
  }
  g_option_context_set_summary (context, usage->summary);
  g_option_context_set_description (context, usage->description);
  if (!g_option_context_parse (context, &argc, &argv, error)
      || !check_inputs (a, argc, error))
    return FALSE;
  set_inputs (a, options);
  return usage->resume || (check_numbers (a, error)
      && set_numbers (a, options, error));
}

void
rdtrain_train_arguments_clear (RdtrainTrainArguments * a)
{
  g_free (a->model);
  g_free (a->start);
  g_free (a->windows);
  g_free (a->entropy_model);
  g_free (a->rounding);
  g_free (a->products);
  g_free (a->adapters);
  g_free (a->blocks);
  g_free (a->checkpoint);
  g_free (a->values);
  g_strfreev (a->texts);
}
