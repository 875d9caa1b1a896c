#include "codec/training/refit.h"

#include <math.h>

#include "codec/learned/model.h"
#include "codec/training/arena.h"
#include "codec/training/fit-entropy.h"
#include "models/model.h"

#define OCTAVE 256.0            /* of a codec file's logarithms */

typedef struct
{
  const RdRefitData *data;
  RdLearnedParameters *p;
  gsize n;                      /* rows */
  float *x, *features;          /* (n, D), in the arena; no features without side information */
  float *residual, *coefficients;       /* (length, D) */
  RdArena arena;
  RdModeCounts modes;
} Refit;

static gboolean
take_memory (Refit * r, GError ** error)
{
  const gsize d = r->p->hidden_size, length = r->data->length;

  if (length == 0 || r->data->sequences == 0
      || !g_size_checked_mul (&r->n, r->data->sequences, length)) {
    g_set_error_literal (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "no sequences to fit tables to");
    return FALSE;
  }
  for (guint i = 0; i < 2; i++) {
    r->x = rd_arena_take (&r->arena, r->n, d);
    if (rd_learned_parameters_n_sets (r->p) > 1)
      r->features = rd_arena_take (&r->arena, r->n, d);
    r->residual = rd_arena_take (&r->arena, length, d);
    r->coefficients = rd_arena_take (&r->arena, length, d);
    if (i == 0 && !rd_arena_allocate (&r->arena, "hidden states", error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
gather (Refit * r, GError ** error)
{
  const gsize row = r->data->length * r->p->hidden_size;

  for (gsize i = 0; i < r->data->sequences; i++) {
    if (!r->data->states (i, rd_entropy_level (i), r->x + i * row,
            r->features != NULL ? r->features + i * row : NULL,
            r->data->user_data, error))
      return FALSE;
  }
  return TRUE;
}

/* Squares of the coefficients of sequence @index are added to @sum; rows that are no plain ones are left out. Returns how many are. */
static gsize
add_squares (Refit * r, const RdLearnedModel * model,
    const RdPackedMatrix * analysis, guint set, gsize index, double *sum)
{
  const gsize d = r->p->hidden_size, length = r->data->length;
  const float *x = r->x + index * length * d;
  const RdRows rows = {.n = length,.features =
        set == 1 ? r->features + index * length * d : NULL
  };
  const RdFactor residuals = { r->residual, length, d, 1 };
  gsize plain = 0;

  rd_model_start (model, &rows, 0, length, r->residual);
  for (gsize t = 0; t < length; t++) {
    float *start = r->residual + t * d;
    const gint32 mode = rd_model_choose_start (model, x + t * d, start);

    for (gsize i = 0; i < d; i++) {
      start[i] = mode == 0 ? x[t * d + i] - start[i] : 0;
      r->coefficients[t * d + i] = 0;
    }
    plain += mode == 0;
    if (mode > 0)
      r->modes.constants[mode - 1]++;
  }
  rd_packed_matrix_apply (analysis, &residuals, r->coefficients);
  for (gsize t = 0; t < length; t++) {
    for (gsize j = 0; j < d; j++)
      sum[j] += (double) r->coefficients[t * d + j]
          * (double) r->coefficients[t * d + j];
  }
  r->modes.plain += plain;
  return plain;
}

/* Scales of a set, and how often its rows have which mode. Those of a coefficient that is always 0 stay, and those that networks go with. */
static gboolean
fit_scales (Refit * r, const RdLearnedModel * model, guint set, GError ** error)
{
  const RdPackedMatrix *analysis =
      rd_learned_model_analysis (model, set, error);
  const gsize d = r->p->hidden_size;
  const gboolean fixed = r->p->networks != NULL && r->p->networks->set == set;
  g_autofree double *sum = g_new0 (double, d);
  gsize n = 0;

  if (analysis == NULL)
    return FALSE;
  for (gsize i = 0; i < r->data->sequences; i++)
    n += add_squares (r, model, analysis, set, i, sum);
  for (gsize j = 0; j < d; j++) {
    const double scale = OCTAVE / 2 * log2 (sum[j] / (double) n);

    if (n > 0 && isfinite (scale) && !fixed)
      r->p->set[set].scale[j] = (gint32) CLAMP (rint (scale),
          -RD_LEARNED_MAX_STEP, RD_LEARNED_MAX_STEP);
  }
  return TRUE;
}

static gboolean
fit (Refit * r, GError ** error)
{
  g_autoptr (RdLearnedModel) model =
      rd_learned_model_new (rd_learned_parameters_copy (r->p), error);

  if (model == NULL)
    return FALSE;
  for (guint s = 0; s < rd_learned_parameters_n_sets (r->p); s++) {
    if (!fit_scales (r, model, s, error))
      return FALSE;
  }
  const RdEntropyData entropy = {.n = r->n,.x = r->x,.features =
        r->features,.modes = r->modes,.chunk = r->data->length,.threads =
        r->data->threads,.cancel = r->data->cancel
  };
  return rd_entropy_fit (&entropy, r->p, error);
}

gboolean
rd_refit (const RdRefitData * data, RdLearnedParameters * parameters,
    GError ** error)
{
  Refit r = {.data = data,.p = parameters };
  const gboolean ok = take_memory (&r, error) && gather (&r, error)
      && fit (&r, error);

  rd_arena_clear (&r.arena);
  return ok;
}
