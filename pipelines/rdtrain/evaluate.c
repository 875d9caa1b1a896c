/* rdtrain evaluate: what a training has reached, on test windows and passages. */
#include <math.h>
#include <stdlib.h>

#include <json-glib/json-glib.h>

#include "codec/training/checks.h"
#include "codec/training/entropy-models.h"
#include "codec/training/train-evaluate.h"
#include "codec/training/train-state.h"
#include "models/model.h"
#include "pipelines/eval/compare.h"
#include "pipelines/eval/error.h"
#include "pipelines/eval/interrupt.h"
#include "pipelines/rdtrain/tool.h"

static const gchar summary[] =
    "Measures what the training whose checkpoint is FILE has reached, on the "
    "windows of a test\nset and, for the accuracy of last words, on passages; "
    "writes it to OUTPUT (JSON).\nMODEL, CODEC and TEXT are those of the "
    "training. Bits are the trainer's for\nrounded values: ideal code lengths "
    "(bpt), and an estimate of what sessions of the windows\nare on the wire "
    "(wire_bpt).";
static const gchar description[] =
    "Example:\n"
    "  rdtrain evaluate --model model.gguf --start codec.gguf --text novels \\\n"
    "    --checkpoint both --testset windows.json --output both.json\n\n"
    "Exit status: 0 measured, 1 an error, 2 wrong usage, 130 interrupted.";

#define LAMBDAS "2e-4,5e-4,1.1e-3,2.5e-3,6e-3"
#define FRAMES "64,8,1"
#define MIN_IDS 3               /* of a window */

/* What the command line says. */
typedef struct
{
  gchar *model, *start, *checkpoint, *output, *testset, *passages, *lambdas,
      *frames;
  gchar **texts;
  gboolean quiet;
} Arguments;

/* Sums over the texts at one rate point. */
typedef struct
{
  double tokens, bits[RD_TRAIN_MAX_FRAMES], wire_bits[RD_TRAIN_MAX_FRAMES];
  double positions, kl, agree, nll, nll_ref;
  double level, head_seconds, codec_seconds[RD_TRAIN_MAX_FRAMES];
  guint passages, right;
} Point;

typedef struct
{
  const Arguments *arguments;
  RdtrainTeller teller;
  StModel *model;
  EvalTestset *windows, *passages;
  EvalReference *reference;
  GArray *lambdas, *frames;     /* double; gsize */
  Point *points;
  guint words_ref;              /* passages that the original model gets right */
  float *logits;                /* (longest, V) */
  EvalRow *rows;
  gint32 *targets;
} Evaluation;

/* ---- one text ---- */

static const EvalText *
get_text (const Evaluation * e, gsize index, gboolean * passage)
{
  *passage = index >= e->windows->texts->len;
  return *passage ? g_ptr_array_index (e->passages->texts,
      index - e->windows->texts->len) :
      g_ptr_array_index (e->windows->texts, index);
}

static gboolean
logits_of (Evaluation * e, const float *y, gsize n, GError ** error)
{
  return st_model_logits (e->model, y, n, ST_REGIME_PREFILL, e->logits,
      &eval_interrupted, error);
}

/* The first position is left out, as rdeval does it. */
static gboolean
compare_window (Evaluation * e, const EvalText * text,
    const RdTrainResult * result, Point * point, GError ** error)
{
  const guint n = text->n - 1;

  for (guint i = 0; i < n; i++)
    e->targets[i] = text->ids[i + 1];
  if (result->point == 0) {
    if (!logits_of (e, result->reference, n, error))
      return FALSE;
    eval_reference_set (e->reference, e->logits, n);
  }
  if (!logits_of (e, result->y, n, error))
    return FALSE;
  eval_reference_compare (e->reference, e->logits, n, e->targets, e->rows);
  for (guint i = 1; i < n; i++) {
    point->positions++;
    point->kl += e->rows[i].kl;
    point->agree += e->rows[i].agree;
    point->nll += e->rows[i].nll;
    point->nll_ref += e->rows[i].nll_ref;
  }
  point->tokens += text->n;
  point->head_seconds += result->head_seconds;
  for (guint f = 0; f < e->frames->len; f++) {
    point->bits[f] += result->bits[f];
    point->wire_bits[f] += result->wire_bits[f];
    point->codec_seconds[f] += result->codec_seconds[f];
  }
  return TRUE;
}

/* Whether the likeliest ids are the last word's. */
static gboolean
is_right (Evaluation * e, const EvalText * text, const float *y,
    gboolean * right, GError ** error)
{
  const StModelConfig *config = st_model_config (e->model);

  *right = TRUE;
  for (guint i = text->word_at; i < text->n && *right; i++) {
    if (!logits_of (e, y + (gsize) (i - 1) * config->hidden_size, 1, error))
      return FALSE;
    *right = eval_argmax (e->logits, config->vocab_size) == text->ids[i];
  }
  return TRUE;
}

static gboolean
compare_passage (Evaluation * e, const EvalText * text,
    const RdTrainResult * result, Point * point, GError ** error)
{
  gboolean right;

  if (result->point == 0) {
    if (!is_right (e, text, result->reference, &right, error))
      return FALSE;
    e->words_ref += right;
  }
  if (!is_right (e, text, result->y, &right, error))
    return FALSE;
  point->passages++;
  point->right += right;
  return TRUE;
}

static gboolean
on_result (const RdTrainResult * result, gpointer user_data, GError ** error)
{
  Evaluation *e = user_data;
  Point *point = &e->points[result->point];
  gboolean passage;
  const EvalText *text = get_text (e, result->text, &passage);

  point->level = result->level;
  if (rdtrain_teller_due (&e->teller)) {
    g_autofree gchar *line =
        g_strdup_printf ("text %" G_GSIZE_FORMAT " of %u", result->text + 1,
        e->windows->texts->len
        + (e->passages != NULL ? e->passages->texts->len : 0));

    rdtrain_teller_progress (&e->teller, line);
  }
  return passage ? compare_passage (e, text, result, point, error) :
      compare_window (e, text, result, point, error);
}

/* ---- what is written ---- */

static void
add_number (JsonBuilder * builder, const gchar * name, double value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_double_value (builder, value);
}

static void
add_frames (JsonBuilder * builder, const Evaluation * e, const gchar * name,
    const double *values, double divisor)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_object (builder);
  for (guint f = 0; f < e->frames->len; f++) {
    g_autofree gchar *frame = g_strdup_printf ("%" G_GSIZE_FORMAT,
        g_array_index (e->frames, gsize, f));

    add_number (builder, frame, values[f] / divisor);
  }
  json_builder_end_object (builder);
}

static void
add_point (JsonBuilder * builder, const Evaluation * e, guint index)
{
  const Point *p = &e->points[index];

  json_builder_begin_object (builder);
  add_number (builder, "lambda", g_array_index (e->lambdas, double, index));
  add_number (builder, "level", p->level);
  add_frames (builder, e, "bpt", p->bits, p->tokens);
  add_frames (builder, e, "wire_bpt", p->wire_bits, p->tokens);
  add_number (builder, "kl", p->kl / p->positions);
  add_number (builder, "perplexity", exp (p->nll / p->positions));
  add_number (builder, "reference_perplexity", exp (p->nll_ref / p->positions));
  add_number (builder, "top1_agreement", p->agree / p->positions);
  if (p->passages > 0)
    add_number (builder, "last_word_accuracy", (double) p->right / p->passages);
  add_number (builder, "head_ns_per_token", 1e9 * p->head_seconds / p->tokens);
  add_frames (builder, e, "codec_ns_per_token", p->codec_seconds,
      1e-9 * p->tokens);
  json_builder_end_object (builder);
}

static void
add_points (JsonBuilder * builder, const Evaluation * e)
{
  json_builder_set_member_name (builder, "points");
  json_builder_begin_array (builder);
  for (guint i = 0; i < e->lambdas->len; i++)
    add_point (builder, e, i);
  json_builder_end_array (builder);
}

static gboolean
write_json (const Evaluation * e, const gchar * settings, GError ** error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) root = NULL;

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "training");
  json_builder_add_string_value (builder, settings);
  if (e->passages != NULL)
    add_number (builder, "reference_last_word_accuracy",
        (double) e->words_ref / e->passages->texts->len);
  add_points (builder, e);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  json_generator_set_pretty (generator, TRUE);
  json_generator_set_root (generator, root);
  return json_generator_to_file (generator, e->arguments->output, error);
}

/* ---- inputs ---- */

static gboolean
parse_lambdas (const gchar * text, GArray * lambdas)
{
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);

  for (gchar ** part = parts; *part != NULL; part++) {
    gchar *end;
    const double lambda = g_ascii_strtod (*part, &end);

    if (end == *part || *end != '\0' || !(lambda > 0))
      return FALSE;
    g_array_append_val (lambdas, lambda);
  }
  return lambdas->len > 0;
}

static gboolean
parse_frames (const gchar * text, GArray * frames)
{
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);

  for (gchar ** part = parts; *part != NULL; part++) {
    guint64 tokens;
    gsize frame;

    if (!g_ascii_string_to_unsigned (*part, 10, 1, G_MAXINT, &tokens, NULL))
      return FALSE;
    frame = (gsize) tokens;
    g_array_append_val (frames, frame);
  }
  return frames->len > 0;
}

static guint
longest (const EvalTestset * testset)
{
  guint n = 0;

  for (guint i = 0; testset != NULL && i < testset->texts->len; i++)
    n = MAX (n, ((EvalText *) g_ptr_array_index (testset->texts, i))->n);
  return n;
}

/* One position is left out, and the last id is a target alone. */
static gboolean
check_windows (const Evaluation * e, GError ** error)
{
  for (guint i = 0; i < e->windows->texts->len; i++) {
    const EvalText *text = g_ptr_array_index (e->windows->texts, i);

    if (text->n >= MIN_IDS)
      continue;
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_FILE,
        "%s: window %u has %u ids, of which nothing can be measured: %d are "
        "needed", e->arguments->testset, i, text->n, MIN_IDS);
    return FALSE;
  }
  return TRUE;
}

/* Passages begin with the id that sequences of the training begin with. */
static gboolean
load_texts (Evaluation * e, GError ** error)
{
  const StModelOptions whole = {.last_block = -1,.embed = TRUE,.output =
        TRUE,.threads = 1,.deterministic = TRUE
  };
  const StModelConfig *config;
  StTokenizer *tokenizer;
  guint n;

  e->model = st_model_open (e->arguments->model, &whole, error);
  if (e->model == NULL)
    return FALSE;
  config = st_model_config (e->model);
  e->windows = eval_testset_load (e->arguments->testset, config->vocab_size,
      config->context_length, 0, error);
  if (e->windows == NULL || !check_windows (e, error))
    return FALSE;
  tokenizer = st_model_tokenizer (e->model);
  if (e->arguments->passages != NULL) {
    e->passages = eval_last_words_load (e->arguments->passages, tokenizer,
        ((EvalText *) g_ptr_array_index (e->windows->texts, 0))->ids[0],
        config->context_length, 0, error);
    if (e->passages == NULL)
      return FALSE;
  }
  n = MAX (longest (e->windows), longest (e->passages));
  e->reference = eval_reference_new (config->vocab_size, n, 1);
  e->logits = g_new (float, (gsize) n * config->vocab_size);
  e->rows = g_new (EvalRow, n);
  e->targets = g_new (gint32, n);
  e->points = g_new0 (Point, e->lambdas->len);
  return TRUE;
}

static void
add_texts (GArray * texts, const EvalTestset * testset)
{
  for (guint i = 0; testset != NULL && i < testset->texts->len; i++) {
    const EvalText *text = g_ptr_array_index (testset->texts, i);
    const RdIds ids = { text->ids, text->n };

    g_array_append_val (texts, ids);
  }
}

/* ---- the whole ---- */

static gboolean
evaluate (Evaluation * e, GError ** error)
{
  const Arguments *a = e->arguments;
  g_autofree gchar *name = NULL, *settings = NULL;
  g_autoptr (GArray) texts = g_array_new (FALSE, FALSE, sizeof (RdIds));
  RdTrainOptions options = {.model = a->model,.start = a->start,.texts =
        (const gchar * const *) a->texts,.threads = 1,.codec_new =
        rd_trainable_new_by_name,.checkpoint = a->checkpoint,.cancel =
        &eval_interrupted,.tell = rdtrain_tell,.user_data = &e->teller
  };

  if (!rd_check_folder (a->output, error) || !load_texts (e, error)
      || !rd_train_options_read (&options, a->checkpoint, &name, error))
    return FALSE;
  options.entropy_model = name;
  add_texts (texts, e->windows);
  add_texts (texts, e->passages);
  const RdTrainEvaluation what = {.texts =
        (const RdIds *) texts->data,.n_texts = texts->len,.n_coded =
        e->windows->texts->len,.lambdas =
        (const double *) e->lambdas->data,.n_lambdas =
        e->lambdas->len,.frames =
        (const gsize *) e->frames->data,.n_frames = e->frames->len,.done =
        on_result,.user_data = e
  };
  settings = rd_train_state_settings (a->checkpoint, error);
  return settings != NULL && rd_train_evaluate (&options, &what, error)
      && write_json (e, settings, error);
}

static void
evaluation_clear (Evaluation * e)
{
  g_clear_pointer (&e->model, st_model_unref);
  g_clear_pointer (&e->windows, eval_testset_free);
  g_clear_pointer (&e->passages, eval_testset_free);
  g_clear_pointer (&e->reference, eval_reference_free);
  g_array_unref (e->lambdas);
  g_array_unref (e->frames);
  g_free (e->points);
  g_free (e->logits);
  g_free (e->rows);
  g_free (e->targets);
}

static gboolean
check_files (const Arguments * a, GError ** error)
{
  const RdOptionFiles files[] = {
    {"--output", a->output, NULL, TRUE},
    {"--checkpoint", a->checkpoint, NULL, FALSE},
    {"--model", a->model, NULL, FALSE},
    {"--start", a->start, NULL, FALSE},
    {"--testset", a->testset, NULL, FALSE},
    {"--last-words", a->passages, NULL, FALSE},
    {"--text", NULL, (const gchar * const *) a->texts, FALSE},
  };

  return rd_check_files (files, G_N_ELEMENTS (files), error);
}

static gboolean
check_arguments (const Arguments * a, gint argc, Evaluation * e,
    GError ** error)
{
  if (argc != 1 || a->model == NULL || a->start == NULL || a->texts == NULL
      || a->checkpoint == NULL || a->testset == NULL || a->output == NULL)
    return rdtrain_fail_usage (error,
        "needs --model=MODEL, --start=CODEC, --text=TEXT, --checkpoint=FILE, "
        "--testset=JSON and --output=OUTPUT, and no other arguments");
  if (!parse_lambdas (a->lambdas != NULL ? a->lambdas : LAMBDAS, e->lambdas))
    return rdtrain_fail_usage (error, "--lambdas is X,X,... above 0");
  if (!parse_frames (a->frames != NULL ? a->frames : FRAMES, e->frames))
    return rdtrain_fail_usage (error, "--frames is N,N,... from 1 on");
  return check_files (a, error);
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
    {"testset", 0, 0, G_OPTION_ARG_FILENAME, &a->testset,
        "Windows, as rdtrain windows writes them", "JSON"},
    {"last-words", 0, 0, G_OPTION_ARG_FILENAME, &a->passages,
          "Passages whose last word is to be guessed, as rdeval takes them",
        "JSONL"},
    {"lambdas", 0, 0, G_OPTION_ARG_STRING, &a->lambdas,
        "Rate points in nats a bit (" LAMBDAS ")", "X,X,..."},
    {"frames", 0, 0, G_OPTION_ARG_STRING, &a->frames,
        "Tokens of a frame (" FRAMES ")", "N,N,..."},
    {"output", 'o', 0, G_OPTION_ARG_FILENAME, &a->output, "What was measured",
        "OUTPUT"},
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
  g_free (a->testset);
  g_free (a->passages);
  g_free (a->lambdas);
  g_free (a->frames);
  g_strfreev (a->texts);
}

static int
run (gint argc, gchar ** argv, Arguments * a, Evaluation * e)
{
  g_autoptr (GOptionContext) context = make_context (a);
  g_autoptr (GError) error = NULL;

  if (!g_option_context_parse (context, &argc, &argv, &error)
      || !check_arguments (a, argc, e, &error))
    return rdtrain_fail_arguments (error);
  rdtrain_teller_init (&e->teller, a->quiet);
  eval_catch_interrupts ();
  if (evaluate (e, &error))
    return EXIT_SUCCESS;
  return rdtrain_fail (&e->teller, error, eval_interrupted);
}

int
rdtrain_evaluate (gint argc, gchar ** argv)
{
  Arguments arguments = { 0 };
  Evaluation e = {.arguments = &arguments,.lambdas =
        g_array_new (FALSE, FALSE, sizeof (double)),.frames =
        g_array_new (FALSE, FALSE, sizeof (gsize))
  };
  const int status = run (argc, argv, &arguments, &e);

  evaluation_clear (&e);
  arguments_clear (&arguments);
  return status;
}
