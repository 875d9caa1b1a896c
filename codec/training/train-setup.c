/* What a training works with: model, start, text, and everything at its first values. */
#include <string.h>

#include "codec/training/adapters-export.h"
#include "codec/training/checks.h"
#include "codec/training/train-private.h"

#define MIN_LENGTH 16
#define MAX_LENGTH 8192
#define MAX_BATCH 1024
#define MAX_STEPS 100000000
/* Of the adapters' learning rate: gates are few, and move by what the adapters' products do. */
#define GATE_RATE 4.0f

void
rd_training_tell (const RdTraining * t, const gchar * format, ...)
{
  va_list args;

  va_start (args, format);
  rd_tell_va (t->options->tell, t->options->user_data, format, args);
  va_end (args);
}

/* ---- options ---- */

static gboolean
check_options (const RdTrainOptions * options, GError ** error)
{
  return rd_check_number ("tokens of a sequence", options->length, MIN_LENGTH,
      MAX_LENGTH, error)
      && rd_check_number ("sequences of a step", options->batch, 1, MAX_BATCH,
      error)
      && rd_check_number ("steps", options->steps, 1, MAX_STEPS, error)
      && rd_check_number ("steps of the warm-up", options->warmup, 0,
      options->steps, error)
      && rd_check_number ("held-out sequences", options->held_out, 1,
      MAX_BATCH, error)
      && rd_check_number ("tokens of a frame", options->frame, 1, MAX_LENGTH,
      error)
      && rd_check_range ("largest lambda", options->lambda_max, 1e-9, 1.0,
      error)
      && rd_check_range ("smallest lambda", options->lambda_min, 1e-9,
      options->lambda_max, error)
      && rd_check_range ("weight of labels", options->label_weight, 0.0, 1.0,
      error)
      && rd_check_range ("learning rate", options->rate, 1e-9, 1.0, error)
      && rd_check_range ("learning rate of the codec", options->codec_rate,
      1e-9, 1.0, error);
}

/* ---- the model as it was, and the text ---- */

static gboolean
check_model_id (const RdTraining * t, GError ** error)
{
  static const guint8 any[sizeof (t->start->model_id)] = { 0 };
  const gchar *id = st_model_id (rd_states_model (t->states));
  g_autoptr (GString) wanted = g_string_new (NULL);

  for (gsize i = 0; i < sizeof (any); i++)
    g_string_append_printf (wanted, "%02x", t->start->model_id[i]);
  if (memcmp (t->start->model_id, any, sizeof (any)) == 0
      || strcmp (wanted->str, id) == 0)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "%s is a codec for another model, %s (%.12s...); %s is %.12s...",
      t->options->start, t->start->model_name, wanted->str, t->options->model,
      id);
  return FALSE;
}

static gboolean
open_teacher (RdTraining * t, GError ** error)
{
  const StModelOptions range = {.first_block =
        (gint) t->start->split_layer,.last_block = -1,.threads =
        t->options->threads,.deterministic = TRUE
  };

  t->teacher = st_model_open (t->options->model, &range, error);
  if (t->teacher == NULL)
    return FALSE;
  t->teacher_cache = st_kv_cache_new (t->teacher, (guint) t->options->length,
      ST_TYPE_F32, error);
  return t->teacher_cache != NULL;
}

/* What decides how long HEADER is. */
static void
fill_header (RdTraining * t, const StModelConfig * config)
{
  RdHeader *header = &t->header;

  g_strlcpy (header->codec, t->start->id, sizeof (header->codec));
  st_name_copy (header->model_name, sizeof (header->model_name), config->name);
  header->split_layer = t->start->split_layer;
  header->hidden_size = config->hidden_size;
  header->vocab_size = config->vocab_size;
}

static gboolean
open_model (RdTraining * t, GError ** error)
{
  const RdTrainOptions *options = t->options;
  RdStatesOptions states = {.max_tokens = options->length,.threads =
        options->threads
  };
  const StModelConfig *config;

  t->start = rd_learned_parameters_load (options->start, error);
  if (t->start == NULL)
    return FALSE;
  states.split_layer = t->start->split_layer;
  states.side_info = t->start->side_info;
  states.n_blocks = t->start->n_blocks;
  t->states = rd_states_new (options->model, &states, error);
  if (t->states == NULL || !check_model_id (t, error))
    return FALSE;
  config = st_model_config (rd_states_model (t->states));
  t->hidden_size = config->hidden_size;
  fill_header (t, config);
  return rd_check_number ("hidden size of the start", t->start->hidden_size,
      t->hidden_size, t->hidden_size, error)
      && rd_check_number ("tokens of a sequence", options->length, MIN_LENGTH,
      config->context_length, error)
      && open_teacher (t, error);
}

/* A sequence more than is trained on tells whether there are enough. */
static gboolean
open_text (RdTraining * t, GError ** error)
{
  const RdTrainOptions *options = t->options;
  const gsize length = options->length + 1;
  g_autofree gint32 *ids = g_new (gint32, length);

  t->corpus = rd_check_corpus (rd_states_model (t->states), options->texts,
      options->windows, options->n_windows, error);
  if (t->corpus == NULL || !rd_corpus_sequence (t->corpus, options->seed,
          options->held_out + options->batch - 1, length, ids, NULL, error))
    return FALSE;
  t->n_sequences = rd_corpus_n_sequences (t->corpus, length)
      - options->held_out;
  return TRUE;
}

/* ---- what is trained ---- */

/* Those of the start, which have shapes of their own. */
static gboolean
import_adapters (RdTraining * t, const StModelConfig * config, GError ** error)
{
  if (t->options->matrices == 0) {
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        "%s has adapters, without which its codec is worth little: they can "
        "only be trained on with it", t->options->start);
    return FALSE;
  }
  t->adapters = rd_adapters_import (t->start->adapters, config, error);
  return t->adapters != NULL;
}

static gboolean
make_adapters (RdTraining * t, GError ** error)
{
  const RdTrainOptions *options = t->options;
  const StModelConfig *config = st_model_config (rd_states_model (t->states));
  const guint last = options->last_block ? options->last_block :
      config->n_blocks;
  g_autofree guint8 *sets = g_new0 (guint8, config->n_blocks);
  const RdAdaptersOptions adapters = { options->rank, options->alpha,
    options->seed, sets
  };

  if (t->start->adapters != NULL)
    return import_adapters (t, config, error);
  if (options->matrices == 0)
    return TRUE;
  if (!rd_check_number ("last block with adapters", last, 1, config->n_blocks,
          error)
      || !rd_check_number ("first block with adapters", options->first_block, 0,
          last - 1, error))
    return FALSE;
  for (guint i = options->first_block; i < last; i++)
    sets[i] = options->matrices;
  t->adapters = rd_adapters_new (config, &adapters, error);
  return t->adapters != NULL;
}

/* With nothing trained before the split the states there are the original model's: no head is needed, nor its gradient. */
static gboolean
needs_head (const RdTraining * t)
{
  float *u, *v;

  if (t->options->full_weights)
    return TRUE;
  for (guint i = 0; t->adapters != NULL
      && i < t->start->split_layer * RD_N_MATRICES; i++) {
    if (rd_adapters_find (t->adapters, i / RD_N_MATRICES, i % RD_N_MATRICES, &u,
            &v))
      return TRUE;
  }
  return FALSE;
}

static gboolean
make_joint (RdTraining * t, GError ** error)
{
  const RdTrainOptions *options = t->options;
  const guint split = t->start->split_layer;
  const gboolean head = needs_head (t);
  const StModelOptions range = {.first_block =
        head ? 0 : (gint) split,.last_block = -1,.embed = head,.output =
        TRUE,.threads = 1
  };
  RdJointOptions joint = {.train_weights =
        options->full_weights,.adapters = t->adapters,.codec =
        t->codec,.split_layer = split,.head = head,.gate_rate =
        GATE_RATE,.codec_rate =
        (float) (options->codec_rate / options->rate),.n_knots =
        t->start->n_knots,.knots = t->start->knots,.threads =
        options->threads,.recompute = options->recompute
  };
  g_autoptr (StModel) model = st_model_open (options->model, &range, error);

  if (model == NULL)
    return FALSE;
  t->head = head;
  t->weights = rd_weights_new (model, options->length, error);
  joint.weights = t->weights;
  if (t->weights != NULL)
    t->joint = rd_joint_new (&joint, error);
  if (t->joint != NULL && t->start->adapters != NULL)
    memcpy (rd_joint_gates (t->joint), t->start->adapters->gates,
        t->start->n_knots * sizeof (float));
  return t->joint != NULL;
}

/* Weights that are trained are the teacher's only at first. */
static gboolean
open_teacher_head (RdTraining * t, GError ** error)
{
  const guint blocks = st_model_config (rd_states_model (t->states))->n_blocks;
  const StModelOptions range = {.first_block = (gint) blocks,.last_block =
        -1,.output = TRUE,.threads = 1
  };
  g_autoptr (StModel) model = NULL;

  if (!t->options->full_weights)
    return TRUE;
  model = st_model_open (t->options->model, &range, error);
  if (model != NULL)
    t->teacher_head = rd_weights_new (model, t->options->length, error);
  return t->teacher_head != NULL;
}

/* Features would be those of a model that changes. */
static gboolean
check_full_weights (const RdTraining * t, GError ** error)
{
  if (!t->options->full_weights)
    return TRUE;
  if (t->options->matrices != 0 || t->start->adapters != NULL) {
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        "all weights are to be trained, and %s: it is one or the other",
        t->options->matrices != 0 ? "adapters, too" : "the start has adapters");
    return FALSE;
  }
  if (t->start->side_info == RD_SIDE_INFO_NONE)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "%s predicts states from side information, which comes out of weights "
      "that are to be trained: take a codec calibrated without "
      "(--side-info=none)", t->options->start);
  return FALSE;
}

static gboolean
take_memory (RdTraining * t, GError ** error)
{
  const RdTrainOptions *options = t->options;
  const gsize n = rd_joint_parameters (t->joint)->n;
  const gsize rows = options->batch * options->length;
  gsize states;

  if (g_size_checked_mul (&states, rows, t->hidden_size)) {
    t->x = g_try_malloc_n (states, sizeof (float));
    t->teacher_y = g_try_malloc_n (states, sizeof (float));
    if (t->start->side_info != RD_SIDE_INFO_NONE)
      t->features = g_try_malloc_n (states, sizeof (float));
  }
  t->gradient = g_try_malloc_n (n, sizeof (float));
  t->ids = g_new (gint32, options->batch * (options->length + 1));
  if (t->x != NULL && t->teacher_y != NULL && t->gradient != NULL
      && (t->start->side_info == RD_SIDE_INFO_NONE || t->features != NULL))
    return TRUE;
  g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_MEMORY,
      "cannot allocate memory for %" G_GSIZE_FORMAT " sequences of %"
      G_GSIZE_FORMAT " tokens", options->batch, options->length);
  return FALSE;
}

/* ---- the whole ---- */

gboolean
rd_training_open (RdTraining * t, const RdTrainOptions * options,
    GError ** error)
{
  const RdAdamWOptions adamw = RD_ADAMW_OPTIONS_DEFAULT;

  *t = (RdTraining) {
    .options = options,.rates = { options->lambda_min, options->lambda_max,
      options->batch, options->seed
  }};
  if (!check_options (options, error) || !open_model (t, error)
      || !check_full_weights (t, error) || !open_text (t, error))
    return FALSE;
  t->codec = options->codec_new (options->entropy_model, t->start,
      options->set, options->seed, error);
  if (t->codec == NULL || !make_adapters (t, error) || !make_joint (t, error)
      || !open_teacher_head (t, error) || !take_memory (t, error))
    return FALSE;
  t->adamw = rd_adamw_new (rd_joint_parameters (t->joint)->n, &adamw, error);
  t->settings = rd_train_settings (t);
  return t->adamw != NULL;
}

RdTrainState
rd_training_state (const RdTraining * t)
{
  return (RdTrainState) {
  .settings = t->settings,.parameters =
        rd_joint_parameters (t->joint),.adamw = t->adamw};
}

void
rd_training_clear (RdTraining * t)
{
  rd_adamw_free (t->adamw);
  rd_joint_free (t->joint);
  if (t->codec != NULL)
    t->codec->klass->free (t->codec);
  rd_adapters_free (t->adapters);
  rd_weights_free (t->weights);
  rd_weights_free (t->teacher_head);
  g_clear_pointer (&t->corpus, rd_corpus_free);
  g_clear_pointer (&t->teacher_cache, st_kv_cache_free);
  g_clear_pointer (&t->teacher, st_model_unref);
  rd_states_free (t->states);
  g_clear_pointer (&t->start, rd_learned_parameters_free);
  g_free (t->settings);
  g_free (t->ids);
  g_free (t->x);
  g_free (t->teacher_y);
  g_free (t->features);
  g_free (t->gradient);
}
