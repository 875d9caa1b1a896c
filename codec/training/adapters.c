#include "codec/training/adapters.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "models/sampler.h"

static guint
group_size (RdGroup group)
{
  return rd_group_first[group + 1] - rd_group_first[group];
}

static gboolean
check_options (const StModelConfig * config, const RdAdaptersOptions * options,
    GError ** error)
{
  guint used = 0;

  for (guint i = 0; i < config->n_blocks; i++)
    used |= options->matrices[i];
  used &= rd_matrices_of (config);
  if (options->rank > 0 && options->rank <= config->hidden_size
      && options->alpha > 0 && isfinite (options->alpha)
      && used != 0)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "adapters of rank %u (1..%u) and alpha %g (above 0) for %s",
      options->rank, config->hidden_size, (double) options->alpha,
      used != 0 ? "some matrices" : "no matrix of any block");
  return FALSE;
}

static void
lay_out_group (RdAdapters * adapters, guint set, RdGroup group,
    RdAdapterGroup * to)
{
  const guint first = rd_group_first[group];
  RdArena *arena = &adapters->arena;
  gsize outputs, inputs;

  to->n = 0;
  for (guint i = 0; i < group_size (group); i++)
    to->n += set >> (first + i) & 1;
  if (to->n == 0)
    return;
  rd_matrix_shape (&adapters->config, first, &outputs, &inputs);
  to->v = rd_arena_take (arena, (gsize) to->n * adapters->rank, inputs);
  for (guint i = 0; i < group_size (group); i++) {
    if ((set >> (first + i) & 1) == 0)
      continue;
    rd_matrix_shape (&adapters->config, first + i, &outputs, &inputs);
    to->u[i] = rd_arena_take (arena, outputs, adapters->rank);
  }
}

static void
lay_out (RdAdapters * adapters, const guint8 * matrices)
{
  const guint all = rd_matrices_of (&adapters->config);

  for (guint block = 0; block < adapters->config.n_blocks; block++) {
    for (guint group = 0; group < RD_N_GROUPS; group++)
      lay_out_group (adapters, matrices[block] & all, group,
          &adapters->blocks[block][group]);
  }
}

/* Start values of one V. Block and matrix choose a stream of their own: what other adapters there are does not matter. */
static void
fill (const RdAdapters * adapters, guint block, RdMatrix matrix, guint64 seed)
{
  const guint64 stream = ((guint64) block * RD_N_MATRICES + matrix) << 32;
  gsize outputs, inputs;
  float *u, *v;
  double limit;

  if (!rd_adapters_find (adapters, block, matrix, &u, &v))
    return;
  rd_matrix_shape (&adapters->config, matrix, &outputs, &inputs);
  limit = 1 / sqrt ((double) inputs);
  for (gsize i = 0; i < adapters->rank * inputs; i++)
    v[i] = (float) (limit * (2 * st_sampler_uniform (seed, stream + i) - 1));
}

RdAdapters *
rd_adapters_new (const StModelConfig * config,
    const RdAdaptersOptions * options, GError ** error)
{
  g_autoptr (RdAdapters) adapters = NULL;

  if (!check_options (config, options, error))
    return NULL;
  adapters = g_new0 (RdAdapters, 1);
  adapters->config = *config;
  adapters->config.architecture = adapters->config.name = NULL;
  adapters->rank = options->rank;
  adapters->scale = options->alpha / (float) options->rank;
  adapters->blocks = g_malloc0_n (config->n_blocks, sizeof (*adapters->blocks));
  lay_out (adapters, options->matrices);
  if (!rd_arena_allocate (&adapters->arena, "adapters", error))
    return NULL;
  lay_out (adapters, options->matrices);
  memset (adapters->arena.memory, 0, adapters->arena.n * sizeof (float));
  for (guint block = 0; block < config->n_blocks; block++) {
    for (guint matrix = 0; matrix < RD_N_MATRICES; matrix++)
      fill (adapters, block, matrix, options->seed);
  }
  return g_steal_pointer (&adapters);
}

void
rd_adapters_free (RdAdapters * adapters)
{
  if (adapters == NULL)
    return;
  rd_arena_clear (&adapters->arena);
  g_free (adapters->blocks);
  g_free (adapters);
}

static void
add_array (RdParameters * parameters, guint block, guint matrix,
    const gchar * what, float *values, gsize n)
{
  g_autofree gchar *name =
      g_strdup_printf ("blk.%u.%s.%s", block, rd_matrix_name (matrix), what);

  rd_parameters_add (parameters, name, values, rd_arena_padded (n), TRUE, 1.0f);
}

/* In the order of the arena. A group's V has the name of its first matrix that the family has. */
gsize
rd_adapters_parameters (const RdAdapters * adapters, RdParameters * parameters)
{
  const gsize offset = parameters->n, rank = adapters->rank;
  gsize outputs, inputs;

  for (guint block = 0; block < adapters->config.n_blocks; block++) {
    for (guint group = 0; group < RD_N_GROUPS; group++) {
      const RdAdapterGroup *g = &adapters->blocks[block][group];
      const guint first = rd_group_first[group];

      if (g->n == 0)
        continue;
      rd_matrix_shape (&adapters->config, first, &outputs, &inputs);
      add_array (parameters, block, outputs > 0 ? first : first + 1, "v", g->v,
          g->n * rank * inputs);
      for (guint i = 0; i < group_size (group); i++) {
        rd_matrix_shape (&adapters->config, first + i, &outputs, &inputs);
        if (g->u[i] != NULL)
          add_array (parameters, block, first + i, "u", g->u[i],
              outputs * rank);
      }
    }
  }
  g_assert (parameters->n - offset == adapters->arena.n);
  return offset;
}

gboolean
rd_adapters_find (const RdAdapters * adapters, guint block, RdMatrix matrix,
    float **u, float **v)
{
  guint group = 0, before = 0;
  const RdAdapterGroup *g;
  gsize outputs, inputs;

  while (matrix >= rd_group_first[group + 1])
    group++;
  g = &adapters->blocks[block][group];
  *u = g->u[matrix - rd_group_first[group]];
  if (*u == NULL)
    return FALSE;
  for (guint i = 0; i < matrix - rd_group_first[group]; i++)
    before += g->u[i] != NULL;
  rd_matrix_shape (&adapters->config, matrix, &outputs, &inputs);
  *v = g->v + (gsize) before *adapters->rank * inputs;
  return TRUE;
}

void
rd_adapters_merge (const RdAdapters * adapters, guint block, RdMatrix matrix,
    float gate, float *w)
{
  const blasint rank = (blasint) adapters->rank;
  gsize outputs, inputs;
  float *u, *v;

  if (!rd_adapters_find (adapters, block, matrix, &u, &v))
    return;
  rd_matrix_shape (&adapters->config, matrix, &outputs, &inputs);
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint) outputs,
      (blasint) inputs, rank, gate * adapters->scale, u, rank, v,
      (blasint) inputs, 1.0f, w, (blasint) inputs);
}

/* A group's sizes as OpenBLAS takes them. */
typedef struct
{
  const RdAdapterGroup *g;
  blasint t, rank, low, inputs;
  blasint outputs[RD_GROUP_MAX];
  float scale;
} Sizes;

static Sizes
sizes_of (const RdAdapterPass * pass)
{
  const RdAdapters *adapters = pass->adapters;
  const RdAdapterGroup *g = &adapters->blocks[pass->block][pass->group];
  Sizes s = { g, (blasint) pass->t, (blasint) adapters->rank,
    (blasint) (adapters->rank * g->n), 0, {0}, pass->gate * adapters->scale
  };

  for (guint i = 0; i < group_size (pass->group); i++) {
    gsize outputs, inputs;

    rd_matrix_shape (&adapters->config, rd_group_first[pass->group] + i,
        &outputs, &inputs);
    s.outputs[i] = (blasint) outputs;
    s.inputs = (blasint) inputs;
  }
  return s;
}

void
rd_adapters_forward (const RdAdapterPass * pass, const float *x, float *low,
    float *const *y)
{
  const Sizes s = sizes_of (pass);
  const float *part = low;

  if (s.g->n == 0)
    return;
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, s.t, s.low, s.inputs,
      1.0f, x, s.inputs, s.g->v, s.inputs, 0.0f, low, s.low);
  for (guint i = 0; i < group_size (pass->group); i++) {
    if (s.g->u[i] == NULL)
      continue;
    cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, s.t, s.outputs[i],
        s.rank, s.scale, part, s.low, s.g->u[i], s.rank, 1.0f, y[i],
        s.outputs[i]);
    part += s.rank;
  }
}

/* d_low = d_y U without the scale. */
static void
outer_backward (const RdAdapterPass * pass, const Sizes * s,
    const float *const *d_y, float *d_low)
{
  for (guint i = 0; i < group_size (pass->group); i++) {
    if (s->g->u[i] == NULL)
      continue;
    cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, s->t, s->rank,
        s->outputs[i], 1.0f, d_y[i], s->outputs[i], s->g->u[i], s->rank, 0.0f,
        d_low, s->low);
    d_low += s->rank;
  }
}

/* Derivatives by U, V and the gate. */
static void
values_backward (const RdAdapterPass * pass, const Sizes * s, const float *x,
    const float *low, const float *const *d_y, const float *d_low,
    RdGradient * gradient)
{
  const RdAdapters *adapters = pass->adapters;
  const float *part = low;
  gdouble along = 0;

  for (guint i = 0; i < group_size (pass->group); i++) {
    if (s->g->u[i] == NULL)
      continue;
    cblas_sgemm (CblasRowMajor, CblasTrans, CblasNoTrans, s->outputs[i],
        s->rank, s->t, s->scale, d_y[i], s->outputs[i], part, s->low, 1.0f,
        rd_adapters_gradient (adapters, s->g->u[i], gradient->adapters),
        s->rank);
    part += s->rank;
  }
  cblas_sgemm (CblasRowMajor, CblasTrans, CblasNoTrans, s->low, s->inputs,
      s->t, s->scale, d_low, s->low, x, s->inputs, 1.0f,
      rd_adapters_gradient (adapters, s->g->v, gradient->adapters), s->inputs);
  for (gsize i = 0; i < pass->t * (gsize) s->low; i++)
    along += (gdouble) d_low[i] * low[i];
  gradient->gate += (gdouble) adapters->scale * along;
}

void
rd_adapters_backward (const RdAdapterPass * pass, const float *x,
    const float *low, const float *const *d_y, float *d_low, float *d_x,
    RdGradient * gradient)
{
  const Sizes s = sizes_of (pass);

  if (s.g->n == 0)
    return;
  outer_backward (pass, &s, d_y, d_low);
  if (gradient != NULL && gradient->adapters != NULL)
    values_backward (pass, &s, x, low, d_y, d_low, gradient);
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, s.t, s.inputs, s.low,
      s.scale, d_low, s.low, s.g->v, s.inputs, 1.0f, d_x, s.inputs);
}
