#include "codec/training/language.h"

#include "codec/training/batch.h"
#include "codec/training/range.h"

/* What a thread has. */
typedef struct
{
  RdRange *range;
  float *x;                     /* (T, D) embeddings, then gradients */
} Context;

struct _RdLanguage
{
  RdLanguageOptions options;
  RdParameters parameters;
  gsize adapters_at, weights_at;        /* in the gradient */
  RdBatch *batch;
  Context *contexts;            /* (threads) */
};

/* One call of rd_language_run(). */
typedef struct
{
  RdLanguage *language;
  RdLanguageJob *jobs;
  const gint *cancel;
} Run;

static gboolean
run_job (gsize index, guint thread, float *gradient, gpointer user_data,
    GError ** error)
{
  const Run *run = user_data;
  const RdLanguage *language = run->language;
  const RdLanguageOptions *options = &language->options;
  const RdWeights *weights = options->weights;
  const Context *context = &language->contexts[thread];
  RdLanguageJob *job = &run->jobs[index];
  const gsize n = job->target.n;
  RdGradient parts = { 0 };

  if (!rd_weights_check_length (weights, n, error)
      || !rd_embed (weights, job->ids, n, context->x, error)
      || !rd_range_forward (context->range, context->x, n, job->gate,
          job->target.y, run->cancel, error))
    return FALSE;
  if (gradient == NULL)
    return rd_range_loss (context->range, &job->target, NULL, NULL,
        run->cancel, error);
  if (options->adapters != NULL)
    parts.adapters = gradient + language->adapters_at;
  if (options->train_weights)
    parts.weights = gradient + language->weights_at;
  if (!rd_range_loss (context->range, &job->target, context->x, &parts,
          run->cancel, error)
      || !rd_range_backward (context->range, context->x, &parts, run->cancel,
          error))
    return FALSE;
  if (options->train_weights)
    rd_embed_backward (weights, job->ids, n, context->x, &parts);
  job->d_gate = parts.gate;
  return TRUE;
}

gboolean
rd_language_run (RdLanguage * language, RdLanguageJob * jobs, gsize n_jobs,
    float *gradient, const gint * cancel, GError ** error)
{
  Run run = { language, jobs, cancel };

  return rd_batch_run (language->batch, n_jobs, run_job, &run, gradient, error);
}

static gboolean
check_options (const RdLanguageOptions * options, GError ** error)
{
  if (!options->train_weights && options->adapters == NULL) {
    g_set_error_literal (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        "neither weights nor adapters are to be trained");
    return FALSE;
  }
  if (options->weights->embedding == NULL || options->weights->output == NULL) {
    g_set_error_literal (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE,
        "training a language model needs its embedding and its output head, and the model was opened without");
    return FALSE;
  }
  return TRUE;
}

static gboolean
make_contexts (RdLanguage * language, GError ** error)
{
  const RdLanguageOptions *options = &language->options;
  const RdWeights *weights = options->weights;
  const RdRangeOptions range = { weights->first_block,
    weights->first_block + weights->n_layers, TRUE, options->recompute
  };
  const guint threads = rd_batch_threads (language->batch);

  language->contexts = g_new0 (Context, threads);
  for (guint i = 0; i < threads; i++) {
    Context *context = &language->contexts[i];

    context->range = rd_range_new (weights, options->adapters, &range, error);
    if (context->range == NULL)
      return FALSE;
    context->x = g_new (float, weights->max_tokens *
        weights->config.hidden_size);
  }
  return TRUE;
}

RdLanguage *
rd_language_new (const RdLanguageOptions * options, GError ** error)
{
  g_autoptr (RdLanguage) language = NULL;

  if (!check_options (options, error))
    return NULL;
  language = g_new0 (RdLanguage, 1);
  language->options = *options;
  if (options->adapters != NULL)
    language->adapters_at =
        rd_adapters_parameters (options->adapters, &language->parameters);
  if (options->train_weights)
    language->weights_at =
        rd_weights_parameters (options->weights, &language->parameters);
  language->batch =
      rd_batch_new (options->threads, language->parameters.n, error);
  if (language->batch == NULL || !make_contexts (language, error))
    return NULL;
  return g_steal_pointer (&language);
}

void
rd_language_free (RdLanguage * language)
{
  if (language == NULL)
    return;
  for (guint i = 0; language->contexts != NULL
      && i < rd_batch_threads (language->batch); i++) {
    rd_range_free (language->contexts[i].range);
    g_free (language->contexts[i].x);
  }
  g_free (language->contexts);
  rd_batch_free (language->batch);
  rd_parameters_clear (&language->parameters);
  g_free (language);
}

const RdParameters *
rd_language_parameters (const RdLanguage * language)
{
  return &language->parameters;
}
