/* From statistics to the parameters of a codec. */
#include "codec/training/calibrate-private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/training/fit-constants.h"
#include "codec/training/fit-entropy.h"
#include "codec/training/fit-readout.h"
#include "codec/training/fit-sensitivity.h"
#include "codec/training/linear.h"

/* The level in the middle (quality 50) has about this divergence, in nats; levels are 1/16 octave apart. */
#define MIDDLE_LEVEL 64
#define MIDDLE_DIVERGENCE 0.03
/* Up to this hidden size the inverse of the synthesis is computed on loading, in seconds at most; above it is stored. */
#define MAX_INVERTED 2048
/* Ids that are run alone, as the first token of a text: any of them can be that. */
#define FREQUENT_IDS 1500
#define FIRST_WHOLE_WEIGHT 48
#define FIRST_NEAR_WEIGHT 16

static const gint32 knots[] = { 0, 32, 64, 96, 127 };

/* Of the token steps: less where most coefficients are zero anyway. */
static const gfloat strengths[] = { 0.5f, 0.6f, 0.7f, 0.75f, 0.8f };

#define N_KNOTS G_N_ELEMENTS (knots)

typedef struct
{
  const RdCalibration *c;
  const RdStatistics *statistics;
  gsize hidden;
  RdMetric *metric;
  RdTransform *transforms[RD_LEARNED_SETS];
  double *sensitivity;          /* of the rows that are kept */
  RdModeCounts modes;
  RdLearnedParameters *p;
} Fit;

static void
fit_clear (Fit * f)
{
  rd_metric_free (f->metric);
  for (guint s = 0; s < RD_LEARNED_SETS; s++)
    rd_transform_free (f->transforms[s]);
  g_free (f->sensitivity);
  rd_learned_parameters_free (f->p);
}

static void
make_parameters (Fit * f)
{
  const RdCalibrateOptions *options = f->c->options;
  const gsize d = f->hidden;
  RdLearnedParameters *p = g_new0 (RdLearnedParameters, 1);

  f->p = p;
  p->hidden_size = (guint) d;
  p->split_layer = options->split_layer;
  p->side_info = options->side_info;
  p->n_blocks =
      options->side_info == RD_SIDE_INFO_BLOCKS ? options->n_blocks : 0;
  p->lambda = (gfloat) options->lambda;
  p->n_knots = N_KNOTS;
  memcpy (p->knots, knots, sizeof (knots));
  for (guint s = 0; s < rd_learned_parameters_n_sets (p); s++) {
    RdLearnedSet *set = &p->set[s];

    *set = (RdLearnedSet) {
    .mean = g_new0 (gfloat, d),.synthesis = g_new0 (gfloat, d * d),.analysis =
          g_new0 (gfloat, d * d),.readout =
          s > 0 ? g_new0 (gfloat, d * d) : NULL,.scale =
          g_new0 (gint32, d),.steps = g_new0 (gint32, N_KNOTS * d),.weights =
          g_new0 (gint32, 2 * d),.token_step =
          g_new0 (gfloat, d + 2),.strength =
          g_memdup2 (strengths, sizeof (strengths)),};
    for (gsize i = 0; i < d; i++) {
      set->weights[i] = FIRST_WHOLE_WEIGHT;
      set->weights[d + i] = FIRST_NEAR_WEIGHT;
    }
  }
}

/* ---- transforms ---- */

static gboolean
fit_plain (Fit * f, GError ** error)
{
  const gsize d = f->hidden, width = f->statistics->states[0].width;
  g_autofree double *covariance = rd_linear_new (width, width, "states", error);
  g_autofree double *mean = g_new (double, width);
  RdMoments all;
  gboolean ok = covariance != NULL && rd_moments_init (&all, width, error);

  if (!ok)
    return FALSE;
  rd_moments_merge (&all, &f->statistics->states[0]);
  rd_moments_merge (&all, &f->statistics->states[1]);
  rd_moments_center (&all, mean, covariance);
  rd_moments_clear (&all);
  /* the states' part comes first */
  for (gsize i = 1; i < d; i++)
    memmove (covariance + i * d, covariance + i * width, d * sizeof (double));
  f->transforms[0] = rd_transform_new (f->metric, covariance, error);
  if (f->transforms[0] == NULL)
    return FALSE;
  rd_transform_store (f->transforms[0], mean, &f->p->set[0]);
  return TRUE;
}

static gboolean
fit_predicted (Fit * f, GError ** error)
{
  const gsize d = f->hidden;
  g_autoptr (RdReadout) readout =
      rd_readout_new (f->metric, f->statistics, error);

  if (readout == NULL)
    return FALSE;
  rd_calibration_tell (f->c, "prediction: %.1f %% of the variance of what is "
      "held out (ridge %g)", 100 * readout->explained, readout->ridge);
  f->transforms[1] = rd_transform_new (f->metric, readout->covariance, error);
  if (f->transforms[1] == NULL)
    return FALSE;
  rd_transform_store (f->transforms[1], readout->mean, &f->p->set[1]);
  for (gsize i = 0; i < d * d; i++)
    f->p->set[1].readout[i] = (gfloat) readout->matrix[i];
  return TRUE;
}

/* ---- sensitivities ---- */

/* Coefficients (n, D) of the kept rows under set @s. */
static gboolean
find_coefficients (const Fit * f, guint s, float *coefficients, GError ** error)
{
  const RdRowsKept *kept = &f->statistics->kept;
  const RdLearnedSet *set = &f->p->set[s];
  const gsize d = f->hidden;

  for (gsize i = 0; i < kept->n; i++) {
    for (gsize j = 0; j < d; j++)
      coefficients[i * d + j] = kept->x[i * d + j] - set->mean[j];
  }
  if (s == 1)
    rd_linear_subtract (kept->features, set->readout, kept->n, d, d,
        coefficients);
  return rd_transform_apply (f->transforms[s], coefficients, kept->n,
      coefficients, error);
}

static gboolean
fit_token_step (Fit * f, guint s, GError ** error)
{
  const RdRowsKept *kept = &f->statistics->kept;
  const gsize d = f->hidden;
  g_autofree double *deviation = g_new (double, d);
  g_autofree float *coefficients = g_try_malloc_n (kept->n * d, sizeof (float));
  RdSensitivityFit fit;

  if (coefficients == NULL) {
    g_set_error (error, RD_LINEAR_ERROR, RD_LINEAR_ERROR_MEMORY,
        "cannot allocate %.0f MiB for coefficients",
        (double) (kept->n * d) * sizeof (float) / (1 << 20));
    return FALSE;
  }
  for (gsize i = 0; i < d; i++)
    deviation[i] = sqrt (f->transforms[s]->variance[i]);
  const RdSensitivityData data = { kept->n, d, coefficients, deviation,
    f->sensitivity, kept->sequence
  };
  if (!find_coefficients (f, s, coefficients, error)
      || !rd_sensitivity_fit (&data, f->p->set[s].token_step, &fit, error))
    return FALSE;
  rd_calibration_tell (f->c, "token steps%s: prediction gains %.3f nats of "
      "what is held out (ridge %g)", s == 1 ? " with side information" : "",
      fit.gain, fit.ridge);
  return TRUE;
}

/* ---- constants ---- */

typedef struct
{
  gint32 id;
  guint count;
} IdCount;

static gint
compare_counts (gconstpointer a, gconstpointer b)
{
  const IdCount *x = a, *y = b;

  if (x->count != y->count)
    return x->count > y->count ? -1 : 1;
  return x->id - y->id;
}

/* Ids of the calibration's sequences, the most frequent first. */
static IdCount *
count_ids (const Fit * f, gsize * n, GError ** error)
{
  const RdStatisticsSize *size = &f->statistics->size;
  const guint vocab =
      st_model_config (rd_states_model (f->c->states))->vocab_size;
  g_autofree IdCount *counts = g_new0 (IdCount, vocab);
  g_autofree gint32 *ids = g_new (gint32, size->length);

  for (guint i = 0; i < vocab; i++)
    counts[i].id = (gint32) i;
  for (gsize i = 0; i < size->sequences; i++) {
    if (!rd_calibration_ids (f->c, i, ids, error))
      return NULL;
    for (gsize t = 0; t < size->length; t++)
      counts[ids[t]].count++;
  }
  qsort (counts, vocab, sizeof (IdCount), compare_counts);
  for (*n = 0; *n < MIN (vocab, FREQUENT_IDS) && counts[*n].count > 0;)
    ++ * n;
  return g_steal_pointer (&counts);
}

static double
squared_distance (const float *a, const float *b, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
  return sum;
}

/* States of frequent ids as the first token, those that are massive, behind those in the text. NULL on an error. */
static float *
collect_massive (const Fit * f, gsize * n, GError ** error)
{
  const RdStatistics *s = f->statistics;
  const gsize d = f->hidden, bytes = d * sizeof (float);
  g_autofree IdCount *ids = NULL;
  g_autofree float *rows = NULL, *features = g_new (float, d);
  g_autofree float *zero = g_new0 (float, d);
  gsize n_ids;

  ids = count_ids (f, &n_ids, error);
  if (ids == NULL)
    return NULL;
  rows = g_malloc_n (s->n_massive + n_ids + 1, bytes);
  memcpy (rows, s->massive, s->n_massive * bytes);
  *n = s->n_massive;
  for (gsize i = 0; i < n_ids; i++) {
    float *row = rows + *n * d;

    if (!rd_states_run (f->c->states, &ids[i].id, 1, row, features,
            f->c->options->cancel, error))
      return NULL;
    if (squared_distance (row, zero, d) > s->limit[0])
      ++ * n;
  }
  return g_steal_pointer (&rows);
}

/* The encoder takes the nearest constant, too. The first position of every sequence counts as one of any of them. */
static void
count_modes (Fit * f)
{
  const RdStatistics *s = f->statistics;
  const gsize d = f->hidden;
  const RdLearnedParameters *p = f->p;

  f->modes.plain = s->states[0].n + s->states[1].n;
  for (gsize i = 0; i < s->n_massive && p->n_constants > 0; i++) {
    double least = INFINITY;
    guint best = 0;

    for (guint k = 0; k < p->n_constants; k++) {
      const double distance = squared_distance (s->massive + i * d,
          p->constants + k * d, d);

      if (distance < least) {
        least = distance;
        best = k;
      }
    }
    f->modes.constants[best]++;
  }
  for (guint k = 0; k < p->n_constants; k++)
    f->modes.constants[k] += s->size.sequences / p->n_constants;
}

static gboolean
fit_constants (Fit * f, GError ** error)
{
  const gsize d = f->hidden;
  RdLearnedParameters *p = f->p;
  g_autofree float *rows = NULL;
  gsize counts[RD_LEARNED_MAX_CONSTANTS], n;

  rows = collect_massive (f, &n, error);
  if (rows == NULL)
    return FALSE;
  if (n > 0) {
    p->constants = g_new0 (gfloat, RD_LEARNED_MAX_CONSTANTS * d);
    p->n_constants = rd_constants_fit (f->metric, rows, n,
        RD_LEARNED_MAX_CONSTANTS, f->c->options->seed, p->constants, counts,
        error);
    if (p->n_constants == 0)
      return FALSE;
  }
  rd_calibration_tell (f->c, "massive activations: %" G_GSIZE_FORMAT " in the "
      "text, %" G_GSIZE_FORMAT " of frequent first tokens; %u constants",
      f->statistics->n_massive, n - f->statistics->n_massive, p->n_constants);
  count_modes (f);
  return TRUE;
}

/* ---- tables ---- */

static void
tell_round (guint round, guint rounds, double bits_per_row, gpointer user_data)
{
  rd_calibration_tell (user_data, "tables, round %u of %u: %.1f bits a token "
      "over all levels", round + 1, rounds, bits_per_row);
}

static void
store_analysis (const RdTransform * transform, gfloat * analysis)
{
  const gsize d = transform->n;

  for (gsize i = 0; i < d; i++) {
    for (gsize j = 0; j < d; j++)
      analysis[i * d + j] = (gfloat) transform->analysis[j * d + i];
  }
}

static gboolean
fit_tables (Fit * f, GError ** error)
{
  const RdRowsKept *kept = &f->statistics->kept;
  const RdCalibrateOptions *options = f->c->options;
  const RdEntropyData data = {.n = kept->n,.x = kept->x,.features =
        kept->features,.modes = f->modes,.threads = options->threads,.cancel =
        options->cancel,.progress = tell_round,.user_data = (gpointer) f->c
  };
  const guint n_sets = rd_learned_parameters_n_sets (f->p);

  for (guint s = 0; s < RD_LEARNED_SETS; s++) {
    if (f->transforms[s] != NULL)
      store_analysis (f->transforms[s], f->p->set[s].analysis);
  }
  if (!rd_entropy_fit (&data, f->p, error))
    return FALSE;
  for (guint s = 0; s < n_sets && f->hidden <= MAX_INVERTED; s++)
    g_clear_pointer (&f->p->set[s].analysis, g_free);
  return TRUE;
}

/* ---- the whole ---- */

static gboolean
check_rows (const Fit * f, GError ** error)
{
  const gsize n = f->statistics->states[0].n + f->statistics->states[1].n;

  if (n >= 2 * f->hidden && f->statistics->gradients.n > 0
      && f->statistics->states[1].n > 0)
    return TRUE;
  g_set_error (error, RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_TEXT,
      "%" G_GSIZE_FORMAT " tokens, %" G_GSIZE_FORMAT " of them with gradients, "
      "are too few for a hidden size of %" G_GSIZE_FORMAT ", which needs at "
      "least %" G_GSIZE_FORMAT " (massive activations do not count): take more "
      "sequences", n, f->statistics->gradients.n, f->hidden, 2 * f->hidden);
  return FALSE;
}

static void
fit_levels (Fit * f)
{
  const gint32 middle = rd_transform_step (f->transforms[0], f->metric,
      MIDDLE_DIVERGENCE);

  f->p->coarsest = CLAMP (middle + 16 * MIDDLE_LEVEL, -RD_LEARNED_MAX_STEP,
      RD_LEARNED_MAX_STEP);
}

static gboolean
fit_sets (Fit * f, GError ** error)
{
  const RdRowsKept *kept = &f->statistics->kept;
  const guint n_sets = rd_learned_parameters_n_sets (f->p);

  f->sensitivity = g_new (double, kept->n);
  if (!fit_plain (f, error) || (n_sets > 1 && !fit_predicted (f, error))
      || !rd_sensitivity_of (f->metric, kept->gradient, kept->n,
          f->sensitivity, error))
    return FALSE;
  for (guint s = 0; s < n_sets; s++) {
    if (!fit_token_step (f, s, error))
      return FALSE;
  }
  fit_levels (f);
  return TRUE;
}

RdLearnedParameters *
rd_calibration_fit (const RdCalibration * c, GError ** error)
{
  Fit f = {.c = c,.statistics = c->statistics,.hidden =
        c->statistics->size.hidden_size
  };
  RdLearnedParameters *p = NULL;

  if (check_rows (&f, error))
    f.metric = rd_metric_new (&c->statistics->gradients, RD_METRIC_SHRINKAGE,
        error);
  if (f.metric != NULL) {
    make_parameters (&f);
    if (fit_sets (&f, error) && fit_constants (&f, error)
        && fit_tables (&f, error))
      p = g_steal_pointer (&f.p);
  }
  fit_clear (&f);
  return p;
}
