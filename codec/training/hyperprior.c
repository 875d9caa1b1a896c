#include "codec/training/hyperprior.h"

#include <math.h>
#include <string.h>

#include "codec/training/static-private.h"

#define OCTAVE 256              /* of a codec file's logarithms */

static const RdTrainableClass classes[RD_N_HYPERPRIORS] = {
  {"hyperprior-factorized", rd_static_free, rd_static_parameters,
        rd_static_pass_new, rd_static_pass_free, rd_static_forward,
      rd_static_backward, rd_static_stepped},
  {"hyperprior-fourier", rd_static_free, rd_static_parameters,
        rd_static_pass_new, rd_static_pass_free, rd_static_forward,
      rd_static_backward, rd_static_stepped},
  {"autoregressive", rd_static_free, rd_static_parameters, rd_static_pass_new,
        rd_static_pass_free, rd_static_forward, rd_static_backward,
      rd_static_stepped},
};

const gchar *
rd_hyperprior_name (RdHyperpriorKind kind)
{
  return classes[kind].name;
}

static void
clear_contexts (RdLearnedParameters * p, guint set)
{
  if (set < rd_learned_parameters_n_sets (p))
    memset (p->set[set].weights, 0,
        2 * (gsize) p->hidden_size * sizeof (gint32));
}

/* Mean magnitude of what networks see of a symbol, for a Laplace distribution of this nominal scale. */
static double
usual_feature (double nominal)
{
  const double scale = exp2 (nominal);

  return 0.5 / sinh (G_SQRT2 / scale / 2) / (scale + 0.5);
}

/* Latents begin with what tokens have in common that the static scales do not know. */
static void
follow_magnitudes (const RdStatic * codec)
{
  static const guint at[2] = { 36, 84 };
  const float levels[2] = { rd_scale_level (36), rd_scale_level (84) };
  const gsize d = codec->base.hidden_size, n = rd_scale_latents (d);
  g_autofree gint32 *log_step = g_new (gint32, d), *base = g_new (gint32, d);
  g_autofree float *usual = g_new0 (float, 2 * n);
  RdSteps steps = {.log_step = log_step,.base = base };

  for (guint i = 0; i < 2; i++) {
    rd_steps_set (&steps, codec->model, codec->set, at[i], TRUE);
    for (gsize b = 0; b < n; b++) {
      const gsize from = d * b / n, to = d * (b + 1) / n;

      for (gsize j = from; j < to; j++)
        usual[i * n + b] += (float) (usual_feature ((double) base[j] / OCTAVE)
            / (double) (to - from));
    }
  }
  rd_scale_latent_follow (codec->scales, usual, levels);
}

/* Latents tell what contexts find out, in their place: those that a file has were chosen for scales that do not move. rd_refit() chooses anew. */
static RdTrainable *
hyperprior_new (const RdLearnedParameters * start, guint set,
    RdHyperpriorKind kind, guint64 seed, GError ** error)
{
  g_autoptr (RdLearnedParameters) without = rd_learned_parameters_copy (start);
  RdScaleModel *scales = rd_scale_latent_new (start->hidden_size,
      kind == RD_HYPERPRIOR_FOURIER ? &rd_prior_fourier : &rd_prior_factorized,
      seed, error);
  RdStatic *codec;

  if (scales == NULL)
    return NULL;
  clear_contexts (without, set);
  codec = rd_static_new_with (&classes[kind], without, set, scales, error);
  if (codec != NULL)
    follow_magnitudes (codec);
  return (RdTrainable *) codec;
}

RdTrainable *
rd_hyperprior_new (const RdLearnedParameters * start, guint set,
    RdHyperpriorKind kind, guint64 seed, GError ** error)
{
  RdScaleModel *scales;

  if (kind != RD_HYPERPRIOR_AUTOREGRESSIVE)
    return hyperprior_new (start, set, kind, seed, error);
  scales = rd_scale_groups_new (start->hidden_size, seed, error);
  return scales == NULL ? NULL :
      (RdTrainable *) rd_static_new_with (&classes[kind], start, set, scales,
      error);
}

/* ---- what passes do ---- */

static RdScaleJob
scale_job (const RdStaticPass * p, const RdTrainableJob * job)
{
  return (RdScaleJob) {
  .n = job->n,.frame = job->frame,.symbol = p->symbol,.nominal =
        p->nominal,.level = job->level,.noise = job->noise,.seed =
        job->seed,.shift = p->shift};
}

void
rd_static_shift (RdStaticPass * p, RdTrainableJob * job)
{
  const gsize d = p->codec->base.hidden_size;
  RdScaleJob scales;

  if (p->scales == NULL)
    return;
  scales = scale_job (p, job);
  for (gsize t = 0; t < job->n; t++) {
    for (gsize j = 0; j < d; j++) {
      const gsize i = t * d + j;

      p->symbol[i] = job->noise ? p->value[i] + p->noise[i] :
          (float) rd_static_round (p->value[i]);
      p->nominal[i] = (float) p->base_scale[j] / OCTAVE
          - (float) p->token_step[t] / 8;
    }
  }
  p->codec->scales->klass->forward (p->scales, &scales);
  job->bits += scales.bits;
  job->latent_bits = scales.bits;
  job->rate_bits += scales.rate_bits;
}

void
rd_static_shift_backward (RdStaticPass * p, const RdTrainableJob * job,
    double lambda, float *gradient)
{
  const gsize d = p->codec->base.hidden_size;
  RdScaleGradient g = { lambda, p->d_shift, p->d_symbol, p->d_nominal,
    gradient != NULL ? gradient + p->codec->layout.n : NULL
  };
  RdScaleJob scales;

  if (p->scales == NULL)
    return;
  scales = scale_job (p, job);
  for (gsize i = 0; i < job->n * d; i++)
    p->d_shift[i] = (float) lambda *p->d_scale[i];
  memset (p->d_symbol, 0, job->n * d * sizeof (float));
  memset (p->d_nominal, 0, job->n * d * sizeof (float));
  p->codec->scales->klass->backward (p->scales, &scales, &g);
  /* nothing of a RAW row depends on it */
  for (gsize t = 0; t < job->n; t++) {
    if (!rd_static_raw (p, t))
      continue;
    memset (p->d_symbol + t * d, 0, d * sizeof (float));
    memset (p->d_nominal + t * d, 0, d * sizeof (float));
  }
}

/* ---- export ---- */

/* The largest hidden value at levels of all kinds; below 0: an error. */
static float
find_range (RdTrainable * model, const RdTrainableJob * job, GError ** error)
{
  static const float levels[] = { 10, 32, 41, 50, 64, 80, 100, 127 };
  g_autofree float *y = g_new (float, job->n * model->hidden_size);
  RdTrainablePass *pass = rd_static_pass_new (model, job->n, error);
  gboolean good = pass != NULL;
  RdTrainableJob run = *job;
  float range = -1;

  run.y = y;
  run.noise = FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (levels) && good; i++) {
    run.level = levels[i];
    good = rd_static_forward (pass, &run, error);
  }
  if (good)
    range = ((RdStaticPass *) pass)->scales->hidden_max;
  rd_static_pass_free (pass);
  return range;
}

gboolean
rd_hyperprior_export (RdTrainable * model, const RdTrainableJob * job,
    RdLearnedParameters * p, GError ** error)
{
  const RdStatic *codec = (const RdStatic *) model;
  const RdScaleModel *scales = codec->scales;
  RdLearnedNetworks *networks;
  float range;

  range = find_range (model, job, error);
  networks = range < 0 ? NULL :
      scales->klass->export (scales, codec->set, range, error);
  if (networks == NULL)
    return FALSE;
  rd_static_export (codec, p);
  p->networks = networks;
  if (networks->n_latents > 0)
    clear_contexts (p, codec->set);
  return rd_learned_parameters_check (p, error);
}
