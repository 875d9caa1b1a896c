/* What a training from scratch begins with, and what it leaves. */
#include "codec/training/scratch.h"

#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/checks.h"
#include "codec/training/corpus-private.h"
#include "codec/training/scratch-private.h"
#include "codec/training/settings-text.h"
#include "codec/training/weights-file.h"

#define MAX_BATCH 4096
#define MAX_STEPS 100000000

G_DEFINE_QUARK (rd_scratch_error_quark, rd_scratch_error)
     void rd_scratch_tell (const RdScratch * s, const gchar * format, ...)
{
  va_list args;

  va_start (args, format);
  rd_tell_va (s->options->tell, s->options->user_data, format, args);
  va_end (args);
}

/* ---- checks before anything takes time ---- */

static gboolean
check_options (const RdScratchOptions * o, GError ** error)
{
  return rd_check_range ("learning rate", o->rate, 1e-9, 1.0, error)
      && rd_check_range ("part of the steps in which it goes down", o->decay,
      0.0, 1.0, error)
      && rd_check_range ("weight decay", o->weight_decay, 0.0, 1.0, error)
      && rd_scratch_shape_check (&o->shape, o->type, error)
      && rd_check_number ("tokens of a sequence", o->length, 2,
      o->shape.context_length, error)
      && rd_check_number ("sequences of a step", o->batch, 1, MAX_BATCH, error)
      && rd_check_number ("steps", o->steps, 1, MAX_STEPS, error)
      && rd_check_number ("steps of warm-up", o->warmup, 0,
      rd_scratch_full_steps (o), error)
      && (o->held_out == NULL || rd_check_number ("held-out sequences",
          o->held_out_sequences, 1, MAX_STEPS, error))
      && rd_check_folder (o->output, error)
      && (o->checkpoint == NULL || rd_check_folder (o->checkpoint, error));
}

/* ---- the number of steps ---- */

guint64
rd_scratch_full_steps (const RdScratchOptions * options)
{
  return options->steps - (guint64) (options->decay * (double) options->steps);
}

/* Two counters: all steps, and those at the full rate. */
void
rd_scratch_mark (RdScratch * s)
{
  const guint64 full = rd_scratch_full_steps (s->options);
  const gboolean down = s->adamw->steps > full;

  s->state.counters[0] = down ? s->options->steps : 0;
  s->state.counters[1] = down ? full : 0;
}

static gboolean
check_steps (const RdScratch * s, GError ** error)
{
  const guint64 steps = s->options->steps, done = s->adamw->steps;
  const guint64 full = rd_scratch_full_steps (s->options);
  const guint64 *noted = s->state.counters;

  if (noted[0] == 0 ? done <= full : noted[0] == steps && noted[1] == full)
    return TRUE;
  g_set_error (error, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_CHECKPOINT,
      "%s: %" G_GUINT64_FORMAT
      " steps are done; with a learning rate that goes " "down after %"
      G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " steps they "
      "would have been others", s->checkpoint, done, full, steps);
  return FALSE;
}

/* ---- vocabulary and text ---- */

static gboolean
count_words (RdBpe * bpe, const gchar * path, GError ** error)
{
  gsize len;
  g_autofree gchar *text = rd_corpus_read_file (path, &len, error);

  if (text == NULL)
    return FALSE;
  if (rd_bpe_add (bpe, text, len, error))
    return TRUE;
  g_prefix_error (error, "%s: ", path);
  return FALSE;
}

static RdBpe *
learn_vocabulary (const RdScratchOptions * options, GError ** error)
{
  g_autoptr (GPtrArray) domains = rd_corpus_list (options->texts, error);
  g_autoptr (RdBpe) bpe = rd_bpe_new ();

  for (guint d = 0; domains != NULL && d < domains->len; d++) {
    const RdCorpusDomain *domain = g_ptr_array_index (domains, d);

    for (guint i = 0; i < domain->files->len; i++) {
      if (!count_words (bpe, g_array_index (domain->files, RdCorpusFile,
                  i).path, error))
        return NULL;
    }
  }
  if (domains == NULL || !rd_bpe_learn (bpe, options->shape.vocabulary, error))
    return NULL;
  return g_steal_pointer (&bpe);
}

static gboolean
check_excluded (const RdScratch * s, GError ** error)
{
  const gchar *const *texts = s->options->excluded;
  g_autoptr (GPtrArray) arrays =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_array_unref);
  g_autoptr (GArray) windows = g_array_new (FALSE, FALSE, sizeof (RdIds));

  for (; texts != NULL && *texts != NULL; texts++) {
    GArray *ids = g_array_new (FALSE, FALSE, sizeof (gint32));
    RdIds window;

    g_ptr_array_add (arrays, ids);
    if (!st_tokenizer_encode (st_model_tokenizer (s->model), *texts,
            strlen (*texts), FALSE, ids, error))
      return FALSE;
    window = (RdIds) {
    (const gint32 *) ids->data, ids->len};
    g_array_append_val (windows, window);
  }
  return rd_corpus_check_overlap (s->corpus, (const RdIds *) windows->data,
      windows->len, error);
}

/* FALSE if there is not one sequence. */
static gboolean
check_long_enough (const RdScratch * s, const RdCorpus * corpus,
    GError ** error)
{
  const gsize length = s->options->length + 1;
  g_autofree gint32 *ids = g_new (gint32, length);

  return rd_corpus_sequence (corpus, 0, 0, length, ids, NULL, error);
}

static gboolean
open_text (RdScratch * s, GError ** error)
{
  const RdScratchOptions *options = s->options;
  g_autofree gchar *path = g_strconcat (options->output, ".begin", NULL);
  g_autoptr (RdBpe) bpe = learn_vocabulary (options, error);

  if (bpe == NULL)
    return FALSE;
  s->model = rd_scratch_model_begin (&options->shape, bpe, options->name, path,
      error);
  if (s->model == NULL)
    return FALSE;
  s->corpus =
      rd_corpus_new (st_model_tokenizer (s->model), options->texts, error);
  if (s->corpus == NULL || !check_excluded (s, error)
      || !check_long_enough (s, s->corpus, error))
    return FALSE;
  rd_scratch_tell (s, "%u tokens of vocabulary, %" G_GSIZE_FORMAT
      " tokens of text", options->shape.vocabulary,
      rd_corpus_n_tokens (s->corpus));
  if (options->held_out == NULL)
    return TRUE;
  s->held_out =
      rd_corpus_new (st_model_tokenizer (s->model), options->held_out, error);
  return s->held_out != NULL && check_long_enough (s, s->held_out, error);
}

/* ---- a smaller model to begin with ---- */

static gboolean
grow (RdScratch * s, GError ** error)
{
  const StModelOptions whole = {.last_block = -1,.embed = TRUE,.output =
        TRUE,.threads = 1
  };
  g_autoptr (StModel) model = st_model_open (s->options->grow, &whole, error);
  g_autoptr (RdWeights) from = model ? rd_weights_new (model, 1, error) : NULL;

  if (from == NULL)
    return FALSE;
  if (!rd_scratch_model_grow (s->weights, from, error)) {
    g_prefix_error (error, "%s: ", s->options->grow);
    return FALSE;
  }
  s->grown = g_compute_checksum_for_data (G_CHECKSUM_SHA256,
      (const guchar *) from->arena.memory, from->n_values * sizeof (float));
  return TRUE;
}

/* ---- set-up ---- */

/* All that the bits of a step depend on: the text's id stands for the vocabulary, too. */
static gchar *
describe (const RdScratch * s)
{
  const RdScratchOptions *o = s->options;
  const RdScratchShape *shape = &o->shape;
  const gboolean f32 = o->products == RD_PRODUCTS_F32;
  const gboolean other = shape->family != NULL
      && strcmp (shape->family, "llama") != 0;
  GString *text = g_string_new (NULL);

  g_string_append_printf (text,
      "%s%stext %s, hidden %u, blocks %u, heads %u, kv-heads %u, "
      "ff %u, context %u, vocabulary %u, length %" G_GSIZE_FORMAT ", batch %"
      G_GSIZE_FORMAT ", warmup %" G_GUINT64_FORMAT ", rate ",
      other ? shape->family : "", other ? " family, " : "",
      rd_corpus_id (s->corpus), shape->hidden_size, shape->n_blocks,
      shape->n_heads, shape->n_kv_heads, shape->ff_size, shape->context_length,
      shape->vocabulary, o->length, o->batch, o->warmup);
  rd_settings_append_number (text, o->rate);
  g_string_append (text, ", weight-decay ");
  rd_settings_append_number (text, o->weight_decay);
  g_string_append_printf (text, ", seed %" G_GUINT64_FORMAT "%s%s%s%s",
      o->seed, s->grown ? ", grown from " : "", s->grown ? s->grown : "",
      f32 ? "" : ", products ", f32 ? "" : rd_products_name (o->products));
  return g_string_free (text, FALSE);
}

static gboolean
make_training (RdScratch * s, GError ** error)
{
  const RdScratchOptions *options = s->options;
  RdLanguageOptions language = {.train_weights = TRUE,.threads =
        options->threads
  };
  RdAdamWOptions adamw = RD_ADAMW_OPTIONS_DEFAULT;

  s->weights = rd_weights_new (s->model, options->length, error);
  if (s->weights == NULL)
    return FALSE;
  rd_scratch_model_fill (s->weights, options->seed);
  if (options->grow != NULL && !grow (s, error))
    return FALSE;
  s->settings = describe (s);
  language.weights = s->weights;
  adamw.weight_decay = options->weight_decay;
  s->language = rd_language_new (&language, error);
  if (s->language == NULL)
    return FALSE;
  s->state.parameters = rd_language_parameters (s->language);
  s->state.settings = s->settings;
  s->state.adamw = s->adamw =
      rd_adamw_new (s->state.parameters->n, &adamw, error);
  rd_scratch_tell (s, "%" G_GSIZE_FORMAT " parameters", s->state.parameters->n);
  if (options->products == RD_PRODUCTS_BF16 && !rd_products_tiles ())
    rd_scratch_tell (s, RD_PRODUCTS_SLOW);
  return s->adamw != NULL;
}

static gboolean
load_checkpoint (RdScratch * s, GError ** error)
{
  if (!g_file_test (s->checkpoint, G_FILE_TEST_EXISTS))
    return TRUE;
  if (!s->options->resume)
    return rd_train_state_refuse (s->checkpoint, RD_SCRATCH_ERROR,
        RD_SCRATCH_ERROR_CHECKPOINT, error);
  if (!rd_train_state_read (s->checkpoint, &s->state, error)) {
    rd_train_state_advise (error);
    return FALSE;
  }
  if (!check_steps (s, error))
    return FALSE;
  rd_scratch_tell (s, "going on from %s: %" G_GUINT64_FORMAT " of %"
      G_GUINT64_FORMAT " steps are done", s->checkpoint, s->adamw->steps,
      s->options->steps);
  return TRUE;
}

static gboolean
set_up (RdScratch * s, GError ** error)
{
  const RdScratchOptions *options = s->options;

  if (!check_options (options, error) || !open_text (s, error))
    return FALSE;
  s->checkpoint = options->checkpoint ? g_strdup (options->checkpoint) :
      g_strconcat (options->output, ".checkpoint", NULL);
  return make_training (s, error) && load_checkpoint (s, error);
}

static void
clear (RdScratch * s)
{
  rd_adamw_free (s->adamw);
  rd_language_free (s->language);
  rd_weights_free (s->weights);
  g_clear_pointer (&s->corpus, rd_corpus_free);
  g_clear_pointer (&s->held_out, rd_corpus_free);
  g_clear_pointer (&s->model, st_model_unref);
  g_free (s->checkpoint);
  g_free (s->settings);
  g_free (s->grown);
}

/* ---- the result ---- */

static gboolean
save_model (const RdScratch * s, GError ** error)
{
  const RdScratchOptions *options = s->options;
  g_autofree gchar *steps = g_strdup_printf ("%" G_GUINT64_FORMAT
      ", the first %" G_GUINT64_FORMAT " at the full rate", options->steps,
      rd_scratch_full_steps (options));
  g_autofree gchar *tokens = g_strdup_printf ("%" G_GUINT64_FORMAT,
      options->steps * options->batch * options->length);
  static const gchar tool[] = PACKAGE " " VERSION " rdtrain from-scratch";
  const gchar *notes[] = {
    "rdtraining.tool", tool, "rdtraining.settings", s->settings,
    "rdtraining.steps", steps,
    "rdtraining.tokens", tokens,
    "rdtraining.text.sources", options->sources ? options->sources : "",
    options->license ? "general.license" : NULL, options->license, NULL
  };

  return rd_weights_save (s->weights, options->type, notes, options->output,
      error);
}

static gboolean
tell_loss (const RdScratch * s, RdWeights * weights, const gchar * what,
    GError ** error)
{
  RdScratchLoss loss;

  if (!rd_scratch_measure (s, weights, &loss, error))
    return FALSE;
  rd_scratch_tell (s, "%s: loss %.4f nats a token on %" G_GSIZE_FORMAT
      " held-out tokens, perplexity %.2f, %.3f bits a byte", what, loss.nats,
      loss.tokens, exp (loss.nats), loss.bits_per_byte);
  return TRUE;
}

/* What rounding to the file's type costs. */
static gboolean
measure_losses (const RdScratch * s, GError ** error)
{
  const StModelOptions options = {.last_block = -1,.embed = TRUE,.output =
        TRUE,.threads = 1
  };
  g_autoptr (StModel) model = NULL;
  g_autoptr (RdWeights) weights = NULL;

  if (s->held_out == NULL)
    return TRUE;
  model = st_model_open (s->options->output, &options, error);
  if (model == NULL)
    return FALSE;
  weights = rd_weights_new (model, s->options->length, error);
  return weights != NULL && tell_loss (s, s->weights, "as trained", error)
      && tell_loss (s, weights, st_type_traits (s->options->type)->name, error);
}

/* The model is there already, whatever happens; the checkpoint stays, from which the loss can be measured again. */
static gboolean
tell_losses (const RdScratch * s, GError ** error)
{
  const gchar *output = s->options->output;
  GError *problem = NULL;

  if (measure_losses (s, &problem))
    return TRUE;
  if (g_error_matches (problem, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED)) {
    g_set_error (error, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_INTERRUPTED,
        "%s is written; only the held-out loss is missing: --resume measures "
        "it", output);
    g_error_free (problem);
  } else {
    g_propagate_prefixed_error (error, problem,
        "%s is written; only the held-out loss is missing: ", output);
  }
  return FALSE;
}

static gboolean
run (RdScratch * s, GError ** error)
{
  if (!set_up (s, error) || !rd_scratch_steps (s, error)
      || !save_model (s, error) || !tell_losses (s, error))
    return FALSE;
  if (!s->options->keep_checkpoint)
    g_unlink (s->checkpoint);
  return TRUE;
}

gboolean
rd_scratch_train (const RdScratchOptions * options, GError ** error)
{
  RdScratch s = {.options = options };
  const gboolean ok = run (&s, error);

  clear (&s);
  return ok;
}
