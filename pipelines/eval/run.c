/* A model, its texts, and their states without a codec. */
#include "pipelines/eval/run.h"
#include <math.h>
#include <string.h>
#include "pipelines/eval/interval.h"

/* A codec file and the model that goes with it. */
typedef struct
{
  gchar *codec;
  gboolean plain;               /* the file has no adapters: it goes with the run's model of codec files, and @model is not used */
  EvalModel model;
} EvalAdapted;

static void
adapted_free (gpointer data)
{
  EvalAdapted *adapted = data;

  eval_model_clear (&adapted->model);
  g_free (adapted->codec);
  g_free (adapted);
}

/* What codec files are for. */
static EvalModel *
file_model (EvalRun * run)
{
  return run->trained.path ? &run->trained : &run->model;
}

static EvalAdapted *
adapted_new (EvalRun * run, const gchar * codec, GError ** error)
{
  const GstRdAdapters *adapters = gst_rd_adapters_open (codec, error);
  EvalAdapted *adapted;

  if (!adapters)
    return NULL;
  adapted = g_new0 (EvalAdapted, 1);
  adapted->codec = g_strdup (codec);
  adapted->plain = adapters->model == NULL;
  if (adapted->plain)
    gst_rd_adapters_close (adapters);
  else if (!eval_model_adapt (&adapted->model, file_model (run), adapters,
          error)) {
    adapted_free (adapted);
    return NULL;
  }
  return adapted;
}

EvalModel *
eval_run_model (EvalRun * run, const gchar * name, GError ** error)
{
  EvalAdapted *adapted = NULL;

  if (rd_codec_is_builtin (name))
    return &run->model;
  if (!run->adapted)
    run->adapted = g_ptr_array_new_with_free_func (adapted_free);
  for (guint i = 0; !adapted && i < run->adapted->len; i++) {
    adapted = g_ptr_array_index (run->adapted, i);
    if (strcmp (adapted->codec, name) != 0)
      adapted = NULL;
  }
  if (!adapted) {
    adapted = adapted_new (run, name, error);
    if (!adapted)
      return NULL;
    g_ptr_array_add (run->adapted, adapted);
  }
  return adapted->plain ? file_model (run) : &adapted->model;
}

const EvalText *
eval_run_text (const EvalRun * run, guint index)
{
  const GPtrArray *windows = run->testset->texts;

  return index < windows->len ? g_ptr_array_index (windows, index) :
      g_ptr_array_index (run->passages->texts, index - windows->len);
}

guint
eval_run_n_texts (const EvalRun * run)
{
  return run->testset->texts->len +
      (run->passages ? run->passages->texts->len : 0);
}

guint
eval_run_n_word_domains (const EvalRun * run)
{
  return run->passages ? run->passages->domains->len : 0;
}

const float *
eval_run_states (const EvalRun * run, guint index)
{
  return g_ptr_array_index (run->states, index);
}

/* The median, because a few rows are hundreds of times larger than the others. */
static gdouble
median_row (const EvalRun * run)
{
  const guint hidden = run->model.config->hidden_size;
  g_autoptr (GArray) sizes = g_array_new (FALSE, FALSE, sizeof (gdouble));

  for (guint t = 0; t < run->testset->texts->len; t++) {
    const float *x = eval_run_states (run, t);

    for (gsize p = 1; p < eval_run_text (run, t)->n; p++) {
      gdouble sum = 0;

      for (gsize c = 0; c < hidden; c++)
        sum += (gdouble) x[p * hidden + c] * x[p * hidden + c];
      sum = sqrt (sum / hidden);
      g_array_append_val (sizes, sum);
    }
  }
  return eval_quantile ((gdouble *) sizes->data, sizes->len, 0.5);
}

static gboolean
load_text (EvalRun * run, guint index, GError ** error)
{
  const EvalText *text = eval_run_text (run, index);
  gsize size = sizeof (float) * text->n * run->model.config->hidden_size;
  g_autofree float *final = NULL;
  float *x = g_malloc (size);
  gboolean right;

  g_ptr_array_add (run->states, x);
  if (!eval_model_head (&run->model, text->ids, text->n, -1, x, error))
    return FALSE;
  final = g_memdup2 (x, size);
  if (!eval_model_tail (&run->model, final, text->n, NULL, error))
    return FALSE;
  if (index < run->testset->texts->len) {
    g_ptr_array_add (run->finals, g_steal_pointer (&final));
  } else {
    if (!eval_model_word (&run->model, text, final, &right, error))
      return FALSE;
    g_array_append_val (run->words_right, right);
    run->hits[text->domain].n++;
    run->hits[text->domain].right += right;
  }
  eval_progress_step (&run->progress, text->n, "without codec");
  return TRUE;
}

gboolean
eval_run_load (EvalRun * run, guint threads, gboolean quiet, guint n_points,
    GError ** error)
{
  gdouble tokens = 0;

  run->states = g_ptr_array_new_with_free_func (g_free);
  run->finals = g_ptr_array_new_with_free_func (g_free);
  run->hits = g_new0 (EvalHits, eval_run_n_word_domains (run));
  run->words_right = g_array_new (FALSE, FALSE, sizeof (gboolean));
  run->reference =
      eval_reference_new (run->model.config->vocab_size, EVAL_CHUNK, threads);
  for (guint t = 0; t < eval_run_n_texts (run); t++)
    tokens += eval_run_text (run, t)->n;
  eval_progress_start (&run->progress, tokens * (1.0 + n_points), quiet);
  for (guint t = 0; t < eval_run_n_texts (run); t++)
    if (!load_text (run, t, error))
      return FALSE;
  run->scale = median_row (run);
  return TRUE;
}

void
eval_run_clear (EvalRun * run)
{
  eval_progress_end (&run->progress);
  eval_model_clear (&run->model);
  eval_model_clear (&run->trained);
  g_clear_pointer (&run->adapted, g_ptr_array_unref);
  g_clear_pointer (&run->testset, eval_testset_free);
  g_clear_pointer (&run->passages, eval_testset_free);
  g_clear_pointer (&run->hits, g_free);
  g_clear_pointer (&run->states, g_ptr_array_unref);
  g_clear_pointer (&run->finals, g_ptr_array_unref);
  g_clear_pointer (&run->words_right, g_array_unref);
  g_clear_pointer (&run->reference, eval_reference_free);
}

gboolean
eval_run_word_right (const EvalRun * run, guint index)
{
  return g_array_index (run->words_right, gboolean,
      index - run->testset->texts->len);
}
