/* Scratch memory of a coder. */
#include "codec/learned/coder.h"

RdCoder *
rd_coder_new (const RdLearnedModel * model)
{
  RdCoder *coder = g_new0 (RdCoder, 1);
  gsize d = model->p->hidden_size;

  coder->model = model;
  coder->steps.log_step = g_new (gint32, d);
  coder->steps.base = g_new (gint32, d);
  coder->symbols = g_new (gint32, (d + 2) * RD_BLOCK_ROWS);
  coder->tables = g_new (guint16, (d + 2) * RD_BLOCK_ROWS);
  coder->coefficients = g_new (gfloat, d * RD_BLOCK_ROWS);
  coder->rows = g_new (gfloat, d * RD_BLOCK_ROWS);
  coder->values = g_new (gfloat, d * RD_TRELLIS_ROWS);
  coder->row_symbols = g_new (gint32, d * RD_TRELLIS_ROWS);
  coder->decisions = g_new (gint32, d * RD_TRELLIS_ROWS);
  if (model->p->networks)
    coder->networks = rd_network_run_new (model->p->networks, d);
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
  g_free (coder->symbols);
  g_free (coder->tables);
  g_free (coder->coefficients);
  g_free (coder->rows);
  g_free (coder->values);
  g_free (coder->row_symbols);
  g_free (coder->decisions);
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
}

gboolean
rd_coder_set_encoder (RdCoder * coder, guint set, guint level,
    gboolean scalar, GError ** error)
{
  rd_coder_set (coder, set, level, scalar);
  coder->analysis = rd_learned_model_analysis (coder->model, set, error);
  return coder->analysis != NULL;
}

void
rd_coder_start (RdCoder * coder)
{
  rd_context_start (&coder->context);
  if (coder->context.shift)
    rd_network_run_start (coder->networks, &coder->context, coder->level);
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
