/* From parameters to what coding needs: packed matrices, tables, costs, steps. */
#include "codec/learned/model.h"
#include "codec/file-cache.h"

#include <string.h>

/* Rounds down, as FORMAT.md says; the divisor is positive. */
static gint32
floor_div (gint32 a, gint32 b)
{
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

void
rd_steps_set (RdSteps * steps, const RdLearnedModel * model, guint s,
    guint level, gboolean scalar)
{
  const RdLearnedParameters *p = model->p;
  const RdLearnedSet *set = &p->set[s];
  gsize d = p->hidden_size;
  guint k = 0;

  while (k + 2 < p->n_knots && p->knots[k + 1] <= (gint32) level)
    k++;
  gint32 a = p->knots[k], span = p->knots[k + 1] - a, at = (gint32) level - a;
  gint32 common = p->coarsest - 16 * (gint32) level
      + (scalar ? RD_SCALAR_STEP : 0);
  for (gsize j = 0; j < d; j++) {
    gint32 low = set->steps[k * d + j], high = set->steps[(k + 1) * d + j];

    steps->log_step[j] = common + low + floor_div ((high - low) * at, span);
    steps->base[j] = set->scale[j] - steps->log_step[j];
  }
  steps->strength = set->token_step ? set->strength[k]
      + (set->strength[k + 1] - set->strength[k]) * (gfloat) at /
      (gfloat) span : 0;
}

void
rd_model_start (const RdLearnedModel * model, const RdRows * rows,
    gsize from, gsize n, gfloat * x)
{
  gsize d = model->p->hidden_size;
  guint s = rows->features ? 1 : 0;

  for (gsize t = 0; t < n; t++)
    memcpy (x + t * d, model->p->set[s].mean, d * sizeof *x);
  if (rows->features) {
    const RdFactor features = { rows->features + from * d, n, d, 1 };

    rd_packed_matrix_apply (model->readout, &features, x);
  }
}

static gboolean
make_tables (RdLearnedModel * model, GError ** error)
{
  const RdLearnedNetworks *networks = model->p->networks;
  RdTableSpec specs[RD_N_TABLES + RD_NETWORK_MAX_LATENTS];
  const guint n = RD_N_TABLES + (networks ? networks->n_latents : 0);
  g_autoptr (GError) fault = NULL;

  for (guint i = 0; i < n; i++) {
    const RdLearnedTable *table = i < RD_N_TABLES ? &model->p->tables[i] :
        &networks->latents[i - RD_N_TABLES];

    specs[i].min = table->min;
    specs[i].n_values = table->n_values;
    specs[i].golomb = table->golomb;
    specs[i].cumulative = table->cumulative;
  }
  model->tables = rd_tables_new (specs, n, &fault);
  if (!model->tables)
    g_set_error_literal (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        fault->message);
  return model->tables != NULL;
}

/* Costs of magnitudes: the mean of both signs. */
static void
make_costs (RdLearnedModel * model)
{
  gsize n = 2 * RD_LEARNED_SCALES * RD_TRELLIS_COSTS;

  model->bits = g_new (gfloat, n);
  for (gsize i = 0; i < n; i++) {
    gsize table = RD_TABLE_TRELLIS_0 + i / RD_TRELLIS_COSTS;
    gint32 k = (gint32) (i % RD_TRELLIS_COSTS);

    model->bits[i] = model->p->lambda
        * (gfloat) (0.5 * (rd_tables_bits (model->tables, table, k)
            + rd_tables_bits (model->tables, table, -k)));
  }
}

static gboolean
no_matrix (gsize d, GError ** error)
{
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
      "no memory for matrices of %" G_GSIZE_FORMAT " x %" G_GSIZE_FORMAT, d, d);
  return FALSE;
}

static gboolean
make_matrices (RdLearnedModel * model, guint s, GError ** error)
{
  RdLearnedSet *set = &model->p->set[s];
  gsize d = model->p->hidden_size;

  model->inverse_scale[s] = g_new (gfloat, d);
  for (gsize j = 0; j < d; j++)
    model->inverse_scale[s][j] = rd_exp2_step (-set->scale[j]);
  if (set->analysis)
    model->analyses->matrix[s] = rd_packed_matrix_new (set->analysis, d, d);
  model->synthesis[s] = rd_packed_matrix_new (set->synthesis, d, d);
  if (set->readout)
    model->readout = rd_packed_matrix_new (set->readout, d, d);
  if ((set->analysis && !model->analyses->matrix[s]) || !model->synthesis[s]
      || (set->readout && !model->readout))
    return no_matrix (d, error);
  /* the packed copies are all that coding uses */
  g_clear_pointer (&set->analysis, g_free);
  g_clear_pointer (&set->synthesis, g_free);
  g_clear_pointer (&set->readout, g_free);
  return TRUE;
}

static gboolean
no_network (GError ** error)
{
  g_set_error_literal (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
      "no memory for the networks of the codec file");
  return FALSE;
}

static gboolean
make_networks (RdLearnedModel * model, GError ** error)
{
  if (!model->p->networks)
    return TRUE;
  model->networks = rd_packed_networks_new (model->p->networks);
  return model->networks || no_network (error);
}

static RdPackedMatrix *
make_analysis (const RdPackedMatrix * synthesis, guint s, gsize d,
    GError ** error)
{
  g_autofree gfloat *values = g_try_new (gfloat, d * d);
  RdPackedMatrix *analysis;

  if (!values) {
    no_matrix (d, error);
    return NULL;
  }
  rd_packed_matrix_unpack (synthesis, values);
  if (!rd_matrix_invert (values, d, values)) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "set.%u.synthesis of the codec file has no inverse", s);
    return NULL;
  }
  analysis = rd_packed_matrix_new (values, d, d);
  if (!analysis)
    no_matrix (d, error);
  return analysis;
}

const RdPackedMatrix *
rd_learned_model_analysis (const RdLearnedModel * model, guint s,
    GError ** error)
{
  RdAnalyses *analyses = model->analyses;
  const RdPackedMatrix *matrix;

  g_mutex_lock (&analyses->lock);
  if (!analyses->matrix[s])
    analyses->matrix[s] = make_analysis (model->synthesis[s], s,
        model->p->hidden_size, error);
  matrix = analyses->matrix[s];
  g_mutex_unlock (&analyses->lock);
  return matrix;
}

const RdLatents *
rd_learned_model_latents (const RdLearnedModel * model, GError ** error)
{
  RdAnalyses *analyses = model->analyses;
  const RdLatents *latents;

  g_mutex_lock (&analyses->lock);
  if (!analyses->latents)
    analyses->latents =
        rd_latents_new (model->p->networks, model->p->hidden_size);
  latents = analyses->latents;
  g_mutex_unlock (&analyses->lock);
  if (!latents)
    no_network (error);
  return latents;
}

RdLearnedModel *
rd_learned_model_new (RdLearnedParameters * parameters, GError ** error)
{
  g_autoptr (RdLearnedModel) model = g_new0 (RdLearnedModel, 1);

  model->p = parameters;
  model->analyses = g_new0 (RdAnalyses, 1);
  g_mutex_init (&model->analyses->lock);
  if (!rd_learned_parameters_check (parameters, error)
      || !make_tables (model, error))
    return NULL;
  for (guint s = 0; s < rd_learned_parameters_n_sets (parameters); s++)
    if (!make_matrices (model, s, error))
      return NULL;
  if (!make_networks (model, error))
    return NULL;
  make_costs (model);
  return g_steal_pointer (&model);
}

void
rd_learned_model_free (RdLearnedModel * model)
{
  if (!model)
    return;
  for (guint s = 0; s < RD_LEARNED_SETS; s++) {
    rd_packed_matrix_free (model->analyses->matrix[s]);
    rd_packed_matrix_free (model->synthesis[s]);
    g_free (model->inverse_scale[s]);
  }
  rd_latents_free (model->analyses->latents);
  g_mutex_clear (&model->analyses->lock);
  g_free (model->analyses);
  rd_packed_matrix_free (model->readout);
  rd_packed_networks_free (model->networks);
  rd_tables_free (model->tables);
  rd_learned_parameters_free (model->p);
  g_free (model->bits);
  g_free (model);
}

/* ---- of files ---- */

static gpointer
load_file (const gchar * path, GError ** error)
{
  RdLearnedParameters *parameters = rd_learned_parameters_load (path, error);
  RdLearnedModel *model;

  if (!parameters)
    return NULL;
  model = rd_learned_model_new (parameters, error);
  if (!model) {
    g_prefix_error (error, "codec file %s: ", path);
    return NULL;
  }
  model->adapters = parameters->adapters != NULL;
  g_clear_pointer (&parameters->adapters, rd_learned_adapters_free);
  return model;
}

static void
free_file (gpointer model)
{
  rd_learned_model_free (model);
}

static RdFileCache files = {.load = load_file,.free = free_file };

const RdLearnedModel *
rd_learned_model_open (const gchar * path, GError ** error)
{
  return rd_file_cache_open (&files, path, error);
}

void
rd_learned_model_close (const RdLearnedModel * model)
{
  if (model)
    rd_file_cache_close (&files, (gpointer) model);
}
