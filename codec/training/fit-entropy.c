#include "codec/training/fit-entropy.h"

#include <string.h>

#include "codec/training/fit-contexts.h"
#include "models/kernels/cancel.h"
#include "models/kernels/kernels.h"
#include "models/model.h"

#define ROUNDS 5
#define FIRST_WITH_WEIGHTS 2    /* of the rounds, from 0; the last fits the tables to the final weights */
/* Rows that stay together, at most and at least. Each chunk is quantised at one of the levels, which take turns. */
#define MAX_CHUNK 256
#define MIN_CHUNK 16

static const guint levels[RD_ENTROPY_LEVELS] =
    { 8, 20, 32, 44, 56, 68, 80, 92, 104 };

guint
rd_entropy_level (gsize i)
{
  return levels[i % RD_ENTROPY_LEVELS];
}

/* Rows of one set at one level by one quantiser. */
typedef struct
{
  guint set, level;
  gboolean scalar;
  RdSymbolCounts *counts;
  RdContextTally *contexts;
  gsize n;                      /* rows */
  GError *error;
} Job;

typedef struct
{
  const RdEntropyData *data;
  const RdLearnedModel *model;
  gsize hidden, chunk;
  gboolean with_costs;          /* of contexts, of the trellis' symbols */
  RdContextBits *bits;
  Job *jobs;
} Round;

typedef struct
{
  const Round *round;
  Job *job;
} Call;

static void
take_symbols (const RdSymbols * symbols, gpointer user_data)
{
  const Call *call = user_data;
  const Job *job = call->job;
  const RdContextSource source = { call->round->model, call->round->bits,
    job->set, levels[job->level], job->scalar
  };

  rd_symbol_counts_add (job->counts, symbols, call->round->hidden);
  rd_context_tally_add (job->contexts, &source, symbols,
      call->round->with_costs && !job->scalar);
}

static void
run_job (gsize index, gpointer user_data)
{
  const Round *round = user_data;
  const RdEntropyData *data = round->data;
  Job *job = &round->jobs[index];
  Call call = { round, job };
  const guint complexity = job->scalar ? 0 : RD_COMPLEXITY_DEFAULT;

  for (gsize first = job->level * round->chunk; first < data->n
      && job->error == NULL && !st_cancelled (data->cancel);
      first += RD_ENTROPY_LEVELS * round->chunk) {
    const gsize at = first * round->hidden;
    const RdRows rows = {.n = MIN (round->chunk, data->n - first),.features =
          job->set == 1 ? data->features + at : NULL
    };

    rd_learned_tally (round->model, &rows, data->x + at, levels[job->level],
        complexity, take_symbols, &call, &job->error);
    job->n += rows.n;
  }
}

/* ---- a round ---- */

static guint
count_jobs (const RdLearnedParameters * parameters)
{
  return rd_learned_parameters_n_sets (parameters) * 2 * RD_ENTROPY_LEVELS;
}

static Job *
make_jobs (guint n, gsize hidden)
{
  Job *jobs = g_new0 (Job, n);

  for (guint i = 0; i < n; i++) {
    jobs[i].level = i % RD_ENTROPY_LEVELS;
    jobs[i].scalar = i / RD_ENTROPY_LEVELS % 2 == 1;
    jobs[i].set = i / RD_ENTROPY_LEVELS / 2;
    jobs[i].counts = g_new0 (RdSymbolCounts, 1);
    jobs[i].contexts = rd_context_tally_new (hidden);
  }
  return jobs;
}

static void
free_jobs (Job * jobs, guint n)
{
  for (guint i = 0; i < n; i++) {
    g_free (jobs[i].counts);
    rd_context_tally_free (jobs[i].contexts);
    g_clear_error (&jobs[i].error);
  }
  g_free (jobs);
}

static gboolean
check_jobs (const RdEntropyData * data, Job * jobs, guint n, GError ** error)
{
  for (guint i = 0; i < n; i++) {
    if (jobs[i].error == NULL)
      continue;
    g_propagate_error (error, g_steal_pointer (&jobs[i].error));
    return FALSE;
  }
  if (!st_cancelled (data->cancel))
    return TRUE;
  g_set_error_literal (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED,
      "the fit was cancelled");
  return FALSE;
}

/* Mean over the trellis' rows of all levels, under the tables before they are fitted anew. */
static double
bits_per_row (const Job * jobs, guint n, const RdLearnedParameters * parameters)
{
  double bits = 0;
  gsize rows = 0;

  for (guint i = 0; i < n; i++) {
    if (jobs[i].scalar)
      continue;
    bits += rd_tables_bits_of (jobs[i].counts, parameters);
    rows += jobs[i].n;
  }
  return bits / (double) MAX (rows, 1);
}

static gboolean
use_jobs (const Round * round, guint n, RdLearnedParameters * parameters,
    GError ** error)
{
  const guint n_sets = rd_learned_parameters_n_sets (parameters);
  g_autofree RdSymbolCounts *counts = g_new0 (RdSymbolCounts, 1);
  g_autoptr (RdContextTally) all = rd_context_tally_new (round->hidden);

  for (guint s = 0; s < n_sets; s++) {
    g_autoptr (RdContextTally) contexts = rd_context_tally_new (round->hidden);

    for (guint i = 0; i < n; i++) {
      if (round->jobs[i].set == s)
        rd_context_tally_merge (contexts, round->jobs[i].contexts);
    }
    rd_context_tally_choose (contexts, parameters->set[s].weights);
    rd_context_tally_merge (all, contexts);
  }
  for (guint i = 0; i < n; i++)
    rd_symbol_counts_merge (counts, round->jobs[i].counts);
  if (!rd_tables_fit (counts, &round->data->modes, parameters, error))
    return FALSE;
  rd_context_tally_set_magnitudes (all, parameters);
  return TRUE;
}

static gboolean
run_round (const RdEntropyData * data, StPool * pool, guint number,
    RdLearnedParameters * parameters, GError ** error)
{
  g_autoptr (RdLearnedModel) model =
      rd_learned_model_new (rd_learned_parameters_copy (parameters), error);
  g_autoptr (RdContextBits) bits = rd_context_bits_new (parameters);
  Round round = { data, model, parameters->hidden_size,
    data->chunk > 0 ? data->chunk :
        CLAMP (data->n / RD_ENTROPY_LEVELS, MIN_CHUNK, MAX_CHUNK),
    number >= FIRST_WITH_WEIGHTS && number + 1 < ROUNDS, bits, NULL
  };
  const guint n = count_jobs (parameters);
  gboolean ok;

  if (model == NULL)
    return FALSE;
  round.jobs = make_jobs (n, round.hidden);
  st_pool_run (pool, n, run_job, &round);
  ok = check_jobs (data, round.jobs, n, error);
  if (ok && data->progress != NULL)
    data->progress (number, ROUNDS, bits_per_row (round.jobs, n, parameters),
        data->user_data);
  ok = ok && use_jobs (&round, n, parameters, error);
  free_jobs (round.jobs, n);
  return ok;
}

gboolean
rd_entropy_fit (const RdEntropyData * data, RdLearnedParameters * parameters,
    GError ** error)
{
  g_autofree RdSymbolCounts *none = g_new0 (RdSymbolCounts, 1);
  StPool *pool;
  gboolean ok = TRUE;

  if (!rd_tables_fit (none, &data->modes, parameters, error))
    return FALSE;
  pool = st_pool_new (data->threads);
  for (guint i = 0; ok && i < ROUNDS; i++)
    ok = run_round (data, pool, i, parameters, error);
  st_pool_free (pool);
  return ok;
}
