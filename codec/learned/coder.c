/* Scratch memory of a coder. */
#include "codec/learned/coder.h"

#include <math.h>

RdCoder *
rd_coder_new (const RdLearnedModel * model)
{
  RdCoder *coder = g_new0 (RdCoder, 1);
  gsize d = model->p->hidden_size;

  coder->model = model;
  coder->steps.log_step = g_new (gint32, d);
  coder->steps.base = g_new (gint32, d);
  const gsize lines = d + 2
      + (model->p->networks ? model->p->networks->n_latents : 0);
  coder->stream = g_new (gint32, lines * RD_BLOCK_ROWS);
  coder->stream_tables = g_new (guint16, lines * RD_BLOCK_ROWS);
  coder->coefficients = g_new (gfloat, d * RD_BLOCK_ROWS);
  coder->rows = g_new (gfloat, d * RD_BLOCK_ROWS);
  coder->values = g_new (gfloat, d * RD_TRELLIS_ROWS);
  coder->row_symbols = g_new (gint32, d * RD_TRELLIS_ROWS);
  coder->decisions = g_new (gint32, d * RD_TRELLIS_ROWS);
  if (model->networks)
    coder->networks = rd_network_run_new (model->networks, d);
  return coder;
}

void
rd_coder_free (RdCoder * coder)
{
  if (!coder)
    return;
  rd_network_run_free (coder->networks);
  g_free (coder->steps.log_step);
  g_free (coder->steps.base);
  g_free (coder->stream);
  g_free (coder->stream_tables);
  g_free (coder->coefficients);
  g_free (coder->rows);
  g_free (coder->values);
  g_free (coder->row_symbols);
  g_free (coder->decisions);
  g_free (coder->scalar_steps.log_step);
  g_free (coder->scalar_steps.base);
  g_free (coder->features);
  g_free (coder->latent_values);
  g_free (coder);
}

void
rd_coder_set (RdCoder * coder, guint set, guint level, gboolean scalar)
{
  const RdLearnedModel *model = coder->model;
  RdContext *c = &coder->context;

  if (coder->have_steps && coder->set == set && coder->level == level
      && coder->scalar == scalar)
    return;
  coder->have_steps = TRUE;
  coder->have_scalar_steps = FALSE;
  coder->set = set;
  coder->level = level;
  coder->scalar = scalar;
  rd_steps_set (&coder->steps, model, set, level, scalar);
  c->hidden_size = model->p->hidden_size;
  c->scalar = scalar;
  c->base = coder->steps.base;
  c->log_step = coder->steps.log_step;
  c->weights = model->p->set[set].weights;
  c->magnitude = model->p->magnitude[scalar ? 0 : 1];
  c->shift = model->p->networks && model->p->networks->set == set ?
      coder->networks->shift : NULL;
  coder->n_latents = c->shift ? model->p->networks->n_latents : 0;
}

static gboolean
prepare_latents (RdCoder * coder, GError ** error)
{
  const gsize d = coder->model->p->hidden_size;

  coder->latents = rd_learned_model_latents (coder->model, error);
  if (!coder->features) {
    coder->scalar_steps.log_step = g_new (gint32, d);
    coder->scalar_steps.base = g_new (gint32, d);
    coder->features = g_new (gfloat, RD_BLOCK_ROWS * 2 * d);
    coder->latent_values = g_new (gfloat, RD_BLOCK_ROWS * coder->n_latents);
  }
  return coder->latents != NULL;
}

gboolean
rd_coder_set_encoder (RdCoder * coder, guint set, guint level,
    gboolean scalar, GError ** error)
{
  rd_coder_set (coder, set, level, scalar);
  coder->analysis = rd_learned_model_analysis (coder->model, set, error);
  return coder->analysis != NULL
      && (coder->n_latents == 0 || prepare_latents (coder, error));
}

void
rd_coder_set_rows (RdCoder * coder, gsize n)
{
  const gsize w = rd_padded_rows (n);

  coder->context.n = w;
  coder->symbols = coder->stream + coder->n_latents * w;
  coder->tables = coder->stream_tables + coder->n_latents * w;
}

void
rd_coder_latent_tables (RdCoder * coder, gsize n)
{
  const gsize w = coder->context.n;

  for (guint i = 0; i < coder->n_latents; i++)
    for (gsize t = 0; t < w; t++)
      coder->stream_tables[i * w + t] = t < n ? RD_N_TABLES + i :
          RD_TABLE_PADDING;
}

/* Steps of the scalar quantiser, whatever quantiser codes the block. */
static const RdSteps *
scalar_steps (RdCoder * coder)
{
  if (coder->scalar)
    return &coder->steps;
  if (!coder->have_scalar_steps)
    rd_steps_set (&coder->scalar_steps, coder->model, coder->set,
        coder->level, TRUE);
  coder->have_scalar_steps = TRUE;
  return &coder->scalar_steps;
}

/* Features of the encoder's rows as the scalar quantiser would have them: networks were trained on those. */
static void
scalar_features (RdCoder * coder, gsize n)
{
  const gsize d = coder->model->p->hidden_size;
  const RdSteps *steps = scalar_steps (coder);
  gint32 *symbols = coder->row_symbols;
  RdContext row = coder->context;

  row.n = 1;
  row.scalar = TRUE;
  row.base = steps->base;
  for (gsize t = 0; t < n; t++) {
    const gboolean raw =
        coder->symbols[t] > (gint32) coder->model->p->n_constants;

    row.offset[0] = coder->context.offset[t];
    for (gsize j = 0; j < d; j++) {
      const gfloat value = raw ? 0 : coder->coefficients[t * d + j]
          * rd_exp2_step (-(steps->log_step[j] + row.offset[0]));

      symbols[j] = (gint32) lrintf (CLAMP (value, -RD_NETWORK_SYMBOL_MAX,
              RD_NETWORK_SYMBOL_MAX));
    }
    rd_network_run_features (coder->networks, &row, symbols, 0,
        coder->features + t * 2 * d);
  }
}

void
rd_coder_choose_latents (RdCoder * coder, gsize n)
{
  const gsize w = coder->context.n;
  const guint latents = coder->n_latents;
  gfloat *z = coder->latent_values;

  if (latents == 0)
    return;
  scalar_features (coder, n);
  rd_latents_run (coder->latents, coder->features, n, coder->level, z);
  for (guint i = 0; i < latents; i++)
    for (gsize t = 0; t < w; t++) {
      const gfloat value = t < n ? z[t * latents + i] : 0;

      coder->stream[i * w + t] = value >= -RD_NETWORK_LATENT_MAX
          && value <= RD_NETWORK_LATENT_MAX ? (gint32) lrintf (value) : 0;
    }
  rd_coder_latent_tables (coder, n);
}

void
rd_coder_start (RdCoder * coder)
{
  rd_context_start (&coder->context);
  if (coder->context.shift)
    rd_network_run_start (coder->networks, &coder->context, coder->level,
        coder->stream);
}

void
rd_coder_next (RdCoder * coder, gsize j, guint16 * tables)
{
  const gsize w = coder->context.n;
  const gint32 *symbols = coder->symbols + 2 * w;

  if (coder->context.shift)
    rd_network_run_next (coder->networks, &coder->context, symbols, j);
  rd_context_next (&coder->context, coder->symbols + (j + 1) * w, j, tables);
}
