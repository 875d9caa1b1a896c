/* Groups of coefficients one after the other, as neural autoregressive distribution estimators do it (Larochelle and Murray 2011): every group that is
 * known adds to the sums of one hidden layer, and a group's scales come out of that layer as it is by then. The first group has none. */
#include <string.h>

#include "codec/training/scale-groups.h"

#define MIN_HIDDEN 8

typedef struct
{
  RdScalePass base;
  float *features[RD_SCALE_GROUPS - 1]; /* (T, 2 size of group g) */
  float *hidden[RD_SCALE_GROUPS - 1];   /* (T, H) behind ReLU, for group g + 1 */
  float *sum;                   /* (T, H) */
  float *d_hidden;              /* (T, H) */
  float *part;                  /* (T, largest group) */
  float *d_features;            /* (T, 2 largest group) */
  RdArena arena;
} GroupsPass;

static void
lay_out (RdScaleGroups * model)
{
  for (guint g = 0; g + 1 < model->n_groups; g++) {
    model->in[g] = (RdDense) {
    .inputs = 2 * rd_scale_group_size (model, g),.outputs = model->hidden};
    model->out[g] = (RdDense) {
    .inputs = model->hidden,.outputs = rd_scale_group_size (model, g + 1)};
    rd_dense_lay_out (&model->in[g], &model->arena);
    rd_dense_lay_out (&model->out[g], &model->arena);
  }
}

static void
groups_free (RdScaleModel * base)
{
  RdScaleGroups *model = (RdScaleGroups *) base;

  rd_arena_clear (&model->arena);
  g_free (model);
}

static gsize
groups_parameters (const RdScaleModel * base, RdParameters * parameters)
{
  const RdScaleGroups *model = (const RdScaleGroups *) base;
  const gsize first = parameters->n;

  for (guint g = 0; g + 1 < model->n_groups; g++) {
    g_autofree gchar *in = g_strdup_printf ("groups.%u.in", g);
    g_autofree gchar *out = g_strdup_printf ("groups.%u.out", g);

    rd_dense_parameters (&model->in[g], in, parameters);
    rd_dense_parameters (&model->out[g], out, parameters);
  }
  g_assert (parameters->n - first == model->arena.n);
  return first;
}

static void
lay_out_pass (GroupsPass * pass, const RdScaleGroups * model, gsize t)
{
  const gsize largest = model->base.hidden_size / model->n_groups + 1;
  RdArena *arena = &pass->arena;

  for (guint g = 0; g + 1 < model->n_groups; g++) {
    pass->features[g] = rd_arena_take (arena, t, model->in[g].inputs);
    pass->hidden[g] = rd_arena_take (arena, t, model->hidden);
  }
  pass->sum = rd_arena_take (arena, t, model->hidden);
  pass->d_hidden = rd_arena_take (arena, t, model->hidden);
  pass->part = rd_arena_take (arena, t, largest);
  pass->d_features = rd_arena_take (arena, t, 2 * largest);
}

static void
groups_pass_free (RdScalePass * base)
{
  GroupsPass *pass = (GroupsPass *) base;

  rd_arena_clear (&pass->arena);
  g_free (pass);
}

static RdScalePass *
groups_pass_new (const RdScaleModel * base, gsize max_tokens, GError ** error)
{
  const RdScaleGroups *model = (const RdScaleGroups *) base;
  GroupsPass *pass = g_new0 (GroupsPass, 1);

  pass->base.model = base;
  lay_out_pass (pass, model, max_tokens);
  if (!rd_arena_allocate (&pass->arena, "groups of coefficients", error)) {
    groups_pass_free (&pass->base);
    return NULL;
  }
  lay_out_pass (pass, model, max_tokens);
  return &pass->base;
}

/* Columns of group @g of (n, D) to or from (n, size). */
static void
put_group (const RdScaleGroups * model, const float *part, gsize n, guint g,
    float *rows)
{
  const gsize d = model->base.hidden_size, size =
      rd_scale_group_size (model, g);

  for (gsize t = 0; t < n; t++)
    memcpy (rows + t * d + rd_scale_group_start (model, g), part + t * size,
        size * sizeof (float));
}

static void
get_group (const RdScaleGroups * model, const float *rows, gsize n, guint g,
    float *part)
{
  const gsize d = model->base.hidden_size, size =
      rd_scale_group_size (model, g);

  for (gsize t = 0; t < n; t++)
    memcpy (part + t * size, rows + t * d + rd_scale_group_start (model, g),
        size * sizeof (float));
}

static void
groups_forward (RdScalePass * base, RdScaleJob * job)
{
  GroupsPass *pass = (GroupsPass *) base;
  const RdScaleGroups *model = (const RdScaleGroups *) base->model;
  const gsize d = model->base.hidden_size, n = job->n * model->hidden;
  const RdDensePass rows = {.t = job->n,.level = rd_scale_level (job->level) };

  job->bits = job->rate_bits = 0;
  memset (pass->part, 0, job->n * rd_scale_group_size (model,
          0) * sizeof (float));
  put_group (model, pass->part, job->n, 0, job->shift);
  for (guint g = 0; g + 1 < model->n_groups; g++) {
    rd_scale_features (job, d, rd_scale_group_start (model, g),
        rd_scale_group_start (model, g + 1), pass->features[g]);
    rd_dense_forward (&model->in[g], &rows, pass->features[g], g > 0,
        pass->sum);
    memcpy (pass->hidden[g], pass->sum, n * sizeof (float));
    rd_relu (pass->hidden[g], n);
    rd_scale_note_hidden (base, pass->hidden[g], n);
    rd_dense_forward (&model->out[g], &rows, pass->hidden[g], FALSE,
        pass->part);
    put_group (model, pass->part, job->n, g + 1, job->shift);
  }
}

/* The sums' derivative gathers what comes from every later group. */
static void
groups_backward (RdScalePass * base, const RdScaleJob * job,
    const RdScaleGradient * gradient)
{
  GroupsPass *pass = (GroupsPass *) base;
  const RdScaleGroups *model = (const RdScaleGroups *) base->model;
  const gsize d = model->base.hidden_size, n = job->n * model->hidden;
  const RdDensePass rows = { job->n, rd_scale_level (job->level),
    &model->arena, gradient->parameters
  };
  float *d_sum = pass->sum;

  memset (d_sum, 0, n * sizeof (float));
  for (guint g = model->n_groups - 1; g-- > 0;) {
    get_group (model, gradient->d_shift, job->n, g + 1, pass->part);
    rd_dense_backward (&model->out[g], &rows, pass->hidden[g], NULL,
        pass->part, pass->d_hidden);
    rd_relu_backward (pass->hidden[g], n, pass->d_hidden);
    for (gsize i = 0; i < n; i++)
      d_sum[i] += pass->d_hidden[i];
    rd_dense_backward (&model->in[g], &rows, pass->features[g], NULL, d_sum,
        pass->d_features);
    rd_scale_features_backward (job, d, rd_scale_group_start (model, g),
        rd_scale_group_start (model, g + 1), pass->d_features, gradient);
  }
}

static void
groups_stepped (RdScaleModel * model)
{
  (void) model;
}

static const RdScaleModelClass groups_class = {
  groups_free, groups_parameters, groups_pass_new, groups_pass_free,
  groups_forward, groups_backward, groups_stepped, rd_scale_groups_export
};

RdScaleModel *
rd_scale_groups_new (gsize hidden_size, guint64 seed, GError ** error)
{
  RdScaleGroups *model = g_new0 (RdScaleGroups, 1);

  model->base = (RdScaleModel) {
  &groups_class, hidden_size, 0};
  model->n_groups = (guint) MIN (hidden_size, RD_SCALE_GROUPS);
  model->hidden = MAX (hidden_size / 2, MIN_HIDDEN);
  lay_out (model);
  if (!rd_arena_allocate (&model->arena, "networks of an entropy model", error)) {
    groups_free (&model->base);
    return NULL;
  }
  lay_out (model);
  memset (model->arena.memory, 0, model->arena.n * sizeof (float));
  /* each of the sums' parts adds a share of their variance */
  for (guint g = 0; g + 1 < model->n_groups; g++)
    rd_dense_start (&model->in[g], seed, g, 0.4f);
  return &model->base;
}
