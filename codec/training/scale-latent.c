/* A scale hyper-prior (Balle et al. 2018): a network makes latents of a token's coefficients, whole numbers under a density each, and a second one, which
 * decoders run, makes the shifts of all scales of them. */
#include <math.h>
#include <string.h>

#include "codec/training/scale-latent.h"
#include "models/sampler.h"

#define LAYERS RD_LATENT_LAYERS
#define MIN_WIDTH 8
/* Of latents that follow nothing: a narrow density around 0, and mostly 0. */
#define START_SCALE 0.15
#define START_DEVIATION 0.15f
/* Hidden values of a token whose latents are 0. */
#define START_BIAS 0.25f
/* Latents that follow magnitudes: a step of one is what a band of that many coefficients tells of its scale (sqrt (size / 12) steps an e-fold
 * balance bits of latents and of symbols under a Gaussian; fewer where most symbols are 0), and scales go that share of the way. */
#define FOLLOW_STEPS 0.2f
#define FOLLOW_SHARE 0.6f
#define FOLLOW_SCALE 0.5
#define LEAST_USUAL 0.1f
/* The streams of random numbers begin behind the analysis network's. */
#define SYNTHESIS_STREAM 256

typedef struct
{
  RdScalePass base;
  float *features;              /* (T, 2 D) */
  float *z;                     /* (T, latents) before they are whole */
  float *noisy;                 /* (T, latents) */
  float *coded;                 /* (T, latents) what the decoder has */
  float *hidden[LAYERS - 1];    /* (T, width) */
  float *d[2];                  /* (T, the widest layer) */
  float *d_features;            /* (T, 2 D) */
  double *d_derived;            /* (latents, n_derived) */
  RdAnalysisScratch scratch;
  RdArena arena;
} LatentPass;

static void
lay_out (RdScaleLatent * model)
{
  const gsize d = model->base.hidden_size;
  gsize width = model->n_latents;

  rd_analysis_lay_out (&model->analysis, d, 2 * d, model->n_latents,
      &model->arena);
  for (guint i = 0; i < LAYERS; i++) {
    const gsize next = i < LAYERS - 1 ?
        MAX (d >> (LAYERS - 1 - i), MIN_WIDTH) : d;

    model->synthesis[i] = (RdDense) {
    .inputs = width,.outputs = next,.relu = i < LAYERS - 1};
    rd_dense_lay_out (&model->synthesis[i], &model->arena);
    width = next;
  }
  model->prior_values =
      rd_arena_take (&model->arena, model->n_latents, model->prior->n_values);
}

static void
latent_stepped (RdScaleModel * base)
{
  RdScaleLatent *model = (RdScaleLatent *) base;

  for (gsize c = 0; c < model->n_latents; c++)
    model->prior->derive (model->prior_values + c * model->prior->n_values,
        model->derived + c * model->prior->n_derived);
}

static void
latent_free (RdScaleModel * base)
{
  RdScaleLatent *model = (RdScaleLatent *) base;

  rd_arena_clear (&model->arena);
  g_free (model->derived);
  g_free (model);
}

static gsize
latent_parameters (const RdScaleModel * base, RdParameters * parameters)
{
  const RdScaleLatent *model = (const RdScaleLatent *) base;
  const gsize first = parameters->n;
  g_autofree gchar *prior = g_strconcat ("prior.", model->prior->name, NULL);

  rd_analysis_parameters (&model->analysis, parameters);
  for (guint i = 0; i < LAYERS; i++) {
    g_autofree gchar *name = g_strdup_printf ("synthesis.%u", i);

    rd_dense_parameters (&model->synthesis[i], name, parameters);
  }
  rd_parameters_add (parameters, prior, model->prior_values,
      rd_arena_padded (model->n_latents * model->prior->n_values), FALSE, 1.0f);
  g_assert (parameters->n - first == model->arena.n);
  return first;
}

static void
start (RdScaleLatent * model)
{
  memset (model->arena.memory, 0, model->arena.n * sizeof (float));
  rd_analysis_start (&model->analysis, model->seed, START_DEVIATION);
  for (guint i = 0; i < LAYERS - 1; i++) {
    const RdDense *layer = &model->synthesis[i];

    rd_dense_start (layer, model->seed, SYNTHESIS_STREAM + i, 1);
    for (gsize j = 0; j < layer->outputs; j++)
      layer->b[j] = START_BIAS;
  }
  for (gsize c = 0; c < model->n_latents; c++)
    model->prior->start (model->prior_values + c * model->prior->n_values,
        START_SCALE, model->seed + c);
  latent_stepped (&model->base);
}

/* A unit that gives on one input alone. */
static void
carry (const RdDense * layer, gsize o, gsize input, float weight)
{
  memset (layer->w + o * layer->inputs, 0, layer->inputs * sizeof (float));
  layer->w[o * layer->inputs + input] = weight;
  layer->b[o] = 0;
}

/* Two units of each layer carry a latent to the last one, what is above 0 and what is below: @octaves for each of its band. */
static void
follow_latent (RdScaleLatent * model, gsize latent, float octaves)
{
  const RdDense *last = &model->synthesis[LAYERS - 1];
  const gsize n = model->n_latents, d = model->base.hidden_size;

  for (gsize o = 2 * latent; o < 2 * latent + 2; o++) {
    const float sign = o % 2 == 0 ? 1 : -1;

    carry (&model->synthesis[0], o, latent, sign);
    for (guint i = 1; i < LAYERS - 1; i++)
      carry (&model->synthesis[i], o, o, 1);
    for (gsize j = d * latent / n; j < d * (latent + 1) / n; j++)
      last->w[j * last->inputs + o] = sign * octaves;
  }
}

void
rd_scale_latent_follow (RdScaleModel * base, const float *usual,
    const float levels[2])
{
  RdScaleLatent *model = (RdScaleLatent *) base;
  const gsize n = model->n_latents, d = base->hidden_size;
  g_autofree float *gain = g_new (float, n);

  for (gsize b = 0; b < n; b++) {
    const gsize size = d * (b + 1) / n - d * b / n;
    const float steps = FOLLOW_STEPS * sqrtf ((float) size);

    gain[b] = 2 * steps / MAX (usual[b] + usual[n + b], LEAST_USUAL);
    follow_latent (model, b, FOLLOW_SHARE / (float) G_LN2 / steps);
    model->prior->start (model->prior_values + b * model->prior->n_values,
        FOLLOW_SCALE, model->seed + b);
  }
  rd_analysis_follow (&model->analysis, usual, levels, gain);
  latent_stepped (base);
}

/* ---- passes ---- */

static void
lay_out_pass (LatentPass * pass, const RdScaleLatent * model, gsize t)
{
  const gsize d = model->base.hidden_size;
  RdArena *arena = &pass->arena;

  pass->features = rd_arena_take (arena, t, 2 * d);
  pass->z = rd_arena_take (arena, t, model->n_latents);
  pass->noisy = rd_arena_take (arena, t, model->n_latents);
  pass->coded = rd_arena_take (arena, t, model->n_latents);
  for (guint i = 0; i < LAYERS - 1; i++)
    pass->hidden[i] = rd_arena_take (arena, t, model->synthesis[i].outputs);
  for (guint i = 0; i < 2; i++)
    pass->d[i] =
        rd_arena_take (arena, t, MAX (MAX (d, model->n_latents), MIN_WIDTH));
  pass->d_features = rd_arena_take (arena, t, 2 * d);
  rd_analysis_scratch_lay_out (&pass->scratch, &model->analysis, t, arena);
}

static void
latent_pass_free (RdScalePass * base)
{
  LatentPass *pass = (LatentPass *) base;

  rd_arena_clear (&pass->arena);
  g_free (pass->d_derived);
  g_free (pass);
}

static RdScalePass *
latent_pass_new (const RdScaleModel * base, gsize max_tokens, GError ** error)
{
  const RdScaleLatent *model = (const RdScaleLatent *) base;
  LatentPass *pass = g_new0 (LatentPass, 1);

  pass->base.model = base;
  pass->d_derived = g_new (double, model->n_latents * model->prior->n_derived);
  lay_out_pass (pass, model, max_tokens);
  if (!rd_arena_allocate (&pass->arena, "a hyper-prior", error)) {
    latent_pass_free (&pass->base);
    return NULL;
  }
  lay_out_pass (pass, model, max_tokens);
  return &pass->base;
}

static gsize
window_of (const RdScaleJob * job)
{
  return CLAMP (job->frame, 1, RD_SCALE_WINDOW);
}

/* Bits are those of what is coded, and the gradient's always those under noise. */
static void
code (LatentPass * pass, const RdScaleLatent * model, RdScaleJob * job)
{
  const gsize n_derived = model->prior->n_derived;

  for (gsize i = 0; i < job->n * model->n_latents; i++) {
    const double *derived = model->derived + i % model->n_latents * n_derived;
    double noisy;

    pass->noisy[i] = (float) ((double) pass->z[i]
        + st_sampler_uniform (job->seed, i) - 0.5);
    pass->coded[i] = job->noise ? pass->noisy[i] : rintf (pass->z[i]);
    noisy = rd_prior_bits (model->prior, derived, (double) pass->noisy[i]);
    job->rate_bits += noisy;
    job->bits += job->noise ? noisy :
        rd_prior_bits (model->prior, derived, (double) pass->coded[i]);
  }
}

static void
latent_forward (RdScalePass * base, RdScaleJob * job)
{
  LatentPass *pass = (LatentPass *) base;
  const RdScaleLatent *model = (const RdScaleLatent *) base->model;
  const RdDensePass rows = {.t = job->n,.level = rd_scale_level (job->level) };
  const float *x = pass->coded;

  job->bits = job->rate_bits = 0;
  rd_scale_features (job, model->base.hidden_size, 0, model->base.hidden_size,
      pass->features);
  rd_analysis_forward (&model->analysis, &rows, window_of (job),
      pass->features, &pass->scratch, pass->z);
  code (pass, model, job);
  for (guint i = 0; i < LAYERS; i++) {
    float *y = i < LAYERS - 1 ? pass->hidden[i] : job->shift;

    rd_dense_forward (&model->synthesis[i], &rows, x, FALSE, y);
    if (i < LAYERS - 1)
      rd_scale_note_hidden (base, y, job->n * model->synthesis[i].outputs);
    x = y;
  }
}

/* d_z += lambda times the bits' part. Whole numbers are what tables are made of: the density follows them. */
static void
code_backward (LatentPass * pass, const RdScaleLatent * model,
    const RdScaleJob * job, const RdScaleGradient * gradient, float *d_z)
{
  const gsize n_derived = model->prior->n_derived;
  const gsize n_values = model->prior->n_values;
  float *d_values = rd_arena_gradient (&model->arena, model->prior_values,
      gradient->parameters);

  memset (pass->d_derived, 0, model->n_latents * n_derived * sizeof (double));
  for (gsize i = 0; i < job->n * model->n_latents; i++) {
    const gsize at = i % model->n_latents * n_derived;

    d_z[i] += (float) rd_prior_bits_backward (model->prior,
        model->derived + at, (double) pass->noisy[i], gradient->lambda,
        job->noise ? pass->d_derived + at : NULL);
    if (!job->noise)
      rd_prior_bits_backward (model->prior, model->derived + at,
          (double) pass->coded[i], gradient->lambda, pass->d_derived + at);
  }
  for (gsize c = 0; c < model->n_latents && d_values != NULL; c++)
    model->prior->chain (model->prior_values + c * n_values,
        pass->d_derived + c * n_derived, d_values + c * n_values);
}

static void
latent_backward (RdScalePass * base, const RdScaleJob * job,
    const RdScaleGradient * gradient)
{
  LatentPass *pass = (LatentPass *) base;
  const RdScaleLatent *model = (const RdScaleLatent *) base->model;
  const gsize d = model->base.hidden_size;
  const RdDensePass rows = { job->n, rd_scale_level (job->level),
    &model->arena, gradient->parameters
  };
  float *d_y = pass->d[0], *d_x = pass->d[1];

  memcpy (d_y, gradient->d_shift, job->n * d * sizeof (float));
  for (guint i = LAYERS; i-- > 0;) {
    float *next = d_x;

    rd_dense_backward (&model->synthesis[i], &rows,
        i > 0 ? pass->hidden[i - 1] : pass->coded,
        i < LAYERS - 1 ? pass->hidden[i] : NULL, d_y, d_x);
    d_x = d_y;
    d_y = next;
  }
  code_backward (pass, model, job, gradient, d_y);
  rd_analysis_backward (&model->analysis, &rows, window_of (job),
      pass->features, &pass->scratch, d_y, pass->d_features);
  rd_scale_features_backward (job, d, 0, d, pass->d_features, gradient);
}

static const RdScaleModelClass latent_class = {
  latent_free, latent_parameters, latent_pass_new, latent_pass_free,
  latent_forward, latent_backward, latent_stepped, rd_scale_latent_export
};

RdScaleModel *
rd_scale_latent_new (gsize hidden_size, const RdPriorClass * prior,
    guint64 seed, GError ** error)
{
  RdScaleLatent *model = g_new0 (RdScaleLatent, 1);

  model->base = (RdScaleModel) {
  &latent_class, hidden_size, rd_scale_latents (hidden_size)};
  model->prior = prior;
  model->n_latents = model->base.n_latents;
  model->seed = seed;
  model->derived = g_new (double, model->n_latents * prior->n_derived);
  lay_out (model);
  if (!rd_arena_allocate (&model->arena, "networks of an entropy model", error)) {
    latent_free (&model->base);
    return NULL;
  }
  lay_out (model);
  start (model);
  return &model->base;
}
