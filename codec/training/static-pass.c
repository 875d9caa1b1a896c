/* One sequence through the codec and back. */
#include "codec/training/static-private.h"

#include <math.h>
#include <string.h>

#include "codec/float-bits.h"
#include "codec/training/ops.h"
#include "models/model.h"

#define OCTAVE 256              /* of a codec file's logarithms */
#define MIN_ENERGY 1e-30
#define SIXTY_FOURTH 0x1p-64
#define GOLDEN G_GUINT64_CONSTANT (0x9e3779b97f4a7c15)

/* ---- memory ---- */

static void
lay_out_scales (RdStaticPass * p, gsize n, gsize d)
{
  float **const arrays[] = { &p->symbol, &p->nominal, &p->shift, &p->d_symbol,
    &p->d_nominal, &p->d_shift
  };

  for (guint i = 0; i < G_N_ELEMENTS (arrays); i++)
    *arrays[i] = rd_arena_take (&p->arena, n, d);
}

/* The networks' own memory. */
static gboolean
take_scales (RdStaticPass * p, GError ** error)
{
  const RdScaleModel *scales = p->codec->scales;

  if (scales == NULL)
    return TRUE;
  p->whole_shift = g_new (gint32, scales->hidden_size * RD_BLOCK_ROWS);
  p->scales = scales->klass->pass_new (scales, p->max_tokens, error);
  return p->scales != NULL;
}

static void
lay_out (RdStaticPass * p, gsize n, gsize d)
{
  float **const arrays[] = { &p->residual, &p->value, &p->noise, &p->slope,
    &p->latent, &p->d_value, &p->d_scale, &p->features, &p->work, &p->d_latent
  };

  for (guint i = 0; i < G_N_ELEMENTS (arrays); i++)
    *arrays[i] = rd_arena_take (&p->arena, n, d);
  p->step = rd_arena_take (&p->arena, 1, d);
  if (p->codec->scales != NULL)
    lay_out_scales (p, n, d);
}

RdTrainablePass *
rd_static_pass_new (RdTrainable * trainable, gsize max_tokens, GError ** error)
{
  const gsize d = trainable->hidden_size;
  RdStaticPass *p = g_new0 (RdStaticPass, 1);

  p->base.trainable = trainable;
  p->codec = (const RdStatic *) trainable;
  p->max_tokens = max_tokens;
  lay_out (p, max_tokens, d);
  if (!rd_arena_allocate (&p->arena, "a codec's activations", error)
      || !take_scales (p, error)) {
    rd_static_pass_free (&p->base);
    return NULL;
  }
  lay_out (p, max_tokens, d);
  p->sum_step = g_new (double, d);
  p->sum_scale = g_new (double, d);
  p->base_scale = g_new (gint32, d);
  p->symbols = g_new (gint32, d * RD_BLOCK_ROWS);
  p->tables = g_new (guint16, d * RD_BLOCK_ROWS);
  p->mode = g_new (gint32, max_tokens);
  p->token_step = g_new (gint32, max_tokens);
  p->row_bits = g_new (double, max_tokens);
  p->end_bits = g_new (double, max_tokens);
  return &p->base;
}

void
rd_static_pass_free (RdTrainablePass * pass)
{
  RdStaticPass *p = (RdStaticPass *) pass;

  if (p == NULL)
    return;
  rd_arena_clear (&p->arena);
  if (p->scales != NULL)
    p->codec->scales->klass->pass_free (p->scales);
  g_free (p->whole_shift);
  g_free (p->sum_step);
  g_free (p->sum_scale);
  g_free (p->base_scale);
  g_free (p->symbols);
  g_free (p->tables);
  g_free (p->mode);
  g_free (p->token_step);
  g_free (p->row_bits);
  g_free (p->end_bits);
  g_free (p);
}

/* ---- forward ---- */

static gboolean
check_job (const RdStaticPass * p, const RdTrainableJob * job, GError ** error)
{
  const gsize d = p->codec->base.hidden_size;

  if (job->n > 0 && job->n <= p->max_tokens && job->level >= 0
      && job->level < RD_LEARNED_LEVELS
      && (job->features != NULL || p->codec->set == 0)
      && rd_float_max_abs_bits (job->x, job->n * d) < RD_FLOAT_INFINITY_BITS
      && (p->codec->set == 0 || rd_float_max_abs_bits (job->features,
              job->n * d) < RD_FLOAT_INFINITY_BITS))
    return TRUE;
  g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT,
      "%" G_GSIZE_FORMAT " rows (1..%" G_GSIZE_FORMAT ") at level %g (0..127) "
      "to a codec: too many, not finite, or without features", job->n,
      p->max_tokens, (double) job->level);
  return FALSE;
}

/* As FORMAT.md section 3 has it, but for rounding. */
static void
set_steps (RdStaticPass * p, float level)
{
  const RdStatic *codec = p->codec;
  const RdLearnedParameters *start = codec->start;
  const RdLearnedSet *set = &start->set[codec->set];
  const gsize d = start->hidden_size;
  const float *scale = codec->values + codec->layout.scale;
  guint k = 0;

  while (k + 2 < start->n_knots && (float) start->knots[k + 1] <= level)
    k++;
  const float *steps = codec->values + codec->layout.steps + k * d;
  const float common = (float) (start->coarsest + RD_SCALAR_STEP) / OCTAVE
      - level / 16;
  p->knot = k;
  p->fraction = (level - (float) start->knots[k])
      / (float) (start->knots[k + 1] - start->knots[k]);
  p->strength = set->token_step == NULL ? 0 : set->strength[k]
      + (set->strength[k + 1] - set->strength[k]) * p->fraction;
  for (gsize j = 0; j < d; j++) {
    const float log_step =
        common + steps[j] + (steps[d + j] - steps[j]) * p->fraction;

    p->step[j] = exp2f (log_step);
    p->base_scale[j] = (gint32) (lrintf (scale[j] * OCTAVE)
        - lrintf (log_step * OCTAVE));
  }
}

/* y = what plain rows begin with. */
static void
plain_starts (RdStaticPass * p, const RdTrainableJob * job)
{
  const RdStatic *codec = p->codec;
  const gsize d = codec->base.hidden_size;
  const float *mean = codec->values + codec->layout.mean;

  for (gsize t = 0; t < job->n; t++)
    memcpy (job->y + t * d, mean, d * sizeof (float));
  if (codec->set == 1) {
    for (gsize t = 0; t < job->n; t++) {
      for (gsize f = 0; f < d; f++)
        p->features[t * d + f] = job->features[t * d + f] * codec->feature[f];
    }
    rd_linear_backward (p->features, codec->values + codec->layout.readout,
        job->n, d, d, TRUE, job->y);
  }
  for (gsize t = 0; t < job->n; t++) {
    for (gsize i = 0; i < d; i++)
      job->y[t * d + i] *= codec->error[i];
  }
}

/* y = the nearest start, residual = the rest. */
static void
choose_starts (RdStaticPass * p, const RdTrainableJob * job)
{
  const RdStatic *codec = p->codec;
  const gsize d = codec->base.hidden_size;

  for (gsize t = 0; t < job->n; t++) {
    const float *x = job->x + t * d;
    float *start = job->y + t * d;

    p->mode[t] = rd_model_choose_start (codec->model, x, start);
    for (gsize i = 0; i < d; i++)
      p->residual[t * d + i] = (x[i] - start[i]) * codec->channel[i];
  }
}

/* As the encoder does; @c: coefficients of the row over codec->unit. */
static gint32
choose_token_step (const RdStaticPass * p, const float *c)
{
  const RdStatic *codec = p->codec;
  const float *weights = codec->start->set[codec->set].token_step;
  const float *scale = codec->values + codec->layout.scale;
  const gsize d = codec->base.hidden_size;
  double energy = 0, sum;

  if (weights == NULL)
    return 0;
  sum = weights[d + 1];
  for (gsize j = 0; j < d; j++) {
    const double coefficient = (double) c[j] * codec->unit;
    const double z = coefficient * exp2f (-scale[j]);

    energy += z * z;
    sum += coefficient * weights[j];
  }
  sum += weights[d] * log2 (MAX (energy / (double) d, MIN_ENERGY));
  sum = round (-4 * p->strength * sum);
  if (!(sum > RD_LEARNED_MIN_TOKEN_STEP))
    return RD_LEARNED_MIN_TOKEN_STEP;
  return (gint32) MIN (sum, RD_LEARNED_MAX_TOKEN_STEP);
}

/* The step of a row over those of a token step of 0. */
static float
row_step (const RdStaticPass * p, gsize t)
{
  return exp2f ((float) p->token_step[t] / 8);
}

/* What RAW rows are in the pass: nothing. */
static void
make_raw (RdStaticPass * p, const RdTrainableJob * job, gsize t)
{
  const gsize d = p->codec->base.hidden_size;

  p->mode[t] = 1 + (gint32) p->codec->start->n_constants;
  p->token_step[t] = 0;
  memset (p->value + t * d, 0, d * sizeof (float));
  memset (p->residual + t * d, 0, d * sizeof (float));
  memcpy (job->y + t * d, job->x + t * d, d * sizeof (float));
}

/* value = coefficients in steps. */
static void
find_values (RdStaticPass * p, const RdTrainableJob * job)
{
  const RdStatic *codec = p->codec;
  const gsize d = codec->base.hidden_size;

  rd_linear_backward (p->residual, codec->values + codec->layout.analysis,
      job->n, d, d, FALSE, p->value);
  for (gsize t = 0; t < job->n; t++) {
    float *value = p->value + t * d;
    gboolean good = TRUE;

    p->token_step[t] = choose_token_step (p, value);
    const float factor = codec->unit / row_step (p, t);
    for (gsize j = 0; j < d; j++) {
      value[j] *= factor / p->step[j];
      good = good && fabsf (value[j]) < RD_MAX_STEPS;
    }
    if (!good)
      make_raw (p, job, t);
  }
}

/* splitmix64's mixing function (public domain, S. Vigna). */
static inline guint64
mix (guint64 z)
{
  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* Uniform in -1/2 .. 1/2. */
static void
draw_noise (RdStaticPass * p, const RdTrainableJob * job)
{
  const gsize d = p->codec->base.hidden_size;
  const guint64 key = mix (job->seed + GOLDEN);

  for (gsize t = 0; t < job->n; t++) {
    for (gsize j = 0; j < d; j++) {
      const guint64 place = (guint64) t * RD_LEARNED_MAX_HIDDEN + j + 1;

      p->noise[t * d + j] = (float) ((gint64) mix (key + place * GOLDEN))
          * (float) SIXTY_FOURTH;
    }
  }
}

/* y += what the coefficients stand for. */
static void
reconstruct (RdStaticPass * p, const RdTrainableJob * job)
{
  const RdStatic *codec = p->codec;
  const gsize d = codec->base.hidden_size;
  const gint32 raw = 1 + (gint32) codec->start->n_constants;

  for (gsize t = 0; t < job->n; t++) {
    const float factor = p->mode[t] == raw ? 0 : row_step (p, t);

    for (gsize j = 0; j < d; j++) {
      const gsize i = t * d + j;
      const float used = job->noise ? p->value[i] + p->noise[i] :
          (float) rd_static_round (p->value[i]);

      p->latent[i] = used * (p->step[j] * factor * codec->coefficient[j]);
    }
  }
  rd_linear_backward (p->latent, codec->values + codec->layout.synthesis,
      job->n, d, d, FALSE, p->work);
  for (gsize t = 0; t < job->n; t++) {
    for (gsize i = 0; i < d; i++)
      job->y[t * d + i] += p->work[t * d + i] * codec->error[i];
  }
}

gboolean
rd_static_forward (RdTrainablePass * pass, RdTrainableJob * job,
    GError ** error)
{
  RdStaticPass *p = (RdStaticPass *) pass;

  if (!check_job (p, job, error))
    return FALSE;
  set_steps (p, job->level);
  plain_starts (p, job);
  choose_starts (p, job);
  find_values (p, job);
  if (job->noise)
    draw_noise (p, job);
  rd_static_rate (p, job);
  reconstruct (p, job);
  return TRUE;
}

/* ---- backward ---- */

/* work = derivatives by what the synthesis gives, d_latent = by the latents. */
static void
synthesis_backward (RdStaticPass * p, const RdTrainableJob * job,
    const float *d, float *gradient)
{
  const RdStatic *codec = p->codec;
  const gsize n = job->n, hidden = codec->base.hidden_size;
  const gint32 raw = 1 + (gint32) codec->start->n_constants;

  for (gsize t = 0; t < n; t++) {
    for (gsize i = 0; i < hidden; i++)
      p->work[t * hidden + i] = p->mode[t] == raw ? 0 :
          d[t * hidden + i] * codec->error[i];
  }
  if (gradient != NULL)
    rd_linear_backward_weight (p->latent, p->work, n, hidden, hidden,
        gradient + codec->layout.synthesis);
  rd_linear (p->work, codec->values + codec->layout.synthesis, n, hidden,
      hidden, FALSE, p->d_latent);
}

/* d_latent becomes the derivative by the coefficients over codec->unit; derivatives by log2 of steps and of scales are summed. */
static void
values_backward (RdStaticPass * p, const RdTrainableJob * job, double lambda)
{
  const RdStatic *codec = p->codec;
  const gsize d = codec->base.hidden_size;
  const float weight = (float) lambda;
  const gboolean networks = p->scales != NULL;

  memset (p->sum_step, 0, d * sizeof (double));
  memset (p->sum_scale, 0, d * sizeof (double));
  for (gsize t = 0; t < job->n; t++) {
    const float factor = row_step (p, t);

    for (gsize j = 0; j < d; j++) {
      const gsize i = t * d + j;
      const float step = p->step[j] * factor;
      const float by_latent = p->d_latent[i];
      const float by_symbol = by_latent * step * codec->coefficient[j]
          + (networks ? p->d_symbol[i] : 0);
      const float by_value = by_symbol * p->slope[i] + weight * p->d_value[i];
      const float by_scale = weight * p->d_scale[i]
          + (networks ? p->d_nominal[i] : 0);

      p->sum_step[j] += (float) G_LN2 *(by_latent * p->latent[i]
          - by_value * p->value[i]) - by_scale;
      p->sum_scale[j] += by_scale;
      p->d_latent[i] = by_value * codec->unit / step;
    }
  }
}

static void
add_sums (const RdStaticPass * p, float *gradient)
{
  const RdStatic *codec = p->codec;
  const gsize d = codec->base.hidden_size;
  float *steps = gradient + codec->layout.steps + p->knot * d;
  float *scale = gradient + codec->layout.scale;

  for (gsize j = 0; j < d; j++) {
    steps[j] += (float) ((1 - p->fraction) * p->sum_step[j]);
    steps[d + j] += (float) (p->fraction * p->sum_step[j]);
    scale[j] += (float) p->sum_scale[j];
  }
}

/* From work, derivatives by the residuals: d by the rows; work becomes those by starts in units of the errors. */
static void
rows_backward (RdStaticPass * p, const RdTrainableJob * job, float *d)
{
  const RdStatic *codec = p->codec;
  const gsize hidden = codec->base.hidden_size;
  const gint32 raw = 1 + (gint32) codec->start->n_constants;

  for (gsize t = 0; t < job->n; t++) {
    for (gsize i = 0; i < hidden; i++) {
      float *by_y = &d[t * hidden + i], *by_residual = &p->work[t * hidden + i];
      const float by_x = *by_residual * codec->channel[i];

      *by_residual = p->mode[t] == 0 ? (*by_y - by_x) * codec->error[i] : 0;
      if (p->mode[t] != raw)
        *by_y = by_x;
    }
  }
}

static void
starts_backward (RdStaticPass * p, const RdTrainableJob * job, float *gradient)
{
  const RdStatic *codec = p->codec;
  const gsize d = codec->base.hidden_size;
  float *mean = gradient + codec->layout.mean;

  for (gsize t = 0; t < job->n; t++) {
    for (gsize i = 0; i < d; i++)
      mean[i] += p->work[t * d + i];
  }
  if (codec->set == 1)
    rd_linear_backward_weight (p->features, p->work, job->n, d, d,
        gradient + codec->layout.readout);
}

void
rd_static_backward (RdTrainablePass * pass, const RdTrainableJob * job,
    double lambda, float *d, float *gradient)
{
  RdStaticPass *p = (RdStaticPass *) pass;
  const RdStatic *codec = p->codec;
  const gsize n = job->n, hidden = codec->base.hidden_size;

  synthesis_backward (p, job, d, gradient);
  rd_static_shift_backward (p, job, lambda, gradient);
  values_backward (p, job, lambda);
  if (gradient != NULL) {
    add_sums (p, gradient);
    rd_linear_backward_weight (p->residual, p->d_latent, n, hidden, hidden,
        gradient + codec->layout.analysis);
  }
  rd_linear (p->d_latent, codec->values + codec->layout.analysis, n, hidden,
      hidden, FALSE, p->work);
  rows_backward (p, job, d);
  if (gradient != NULL)
    starts_backward (p, job, gradient);
}
