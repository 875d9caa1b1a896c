/* Scratch memory of a coder. */
#include "codec/learned/coder.h"

#include <stdlib.h>

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
  coder->row_symbols = g_new (gint32, d);
  if (posix_memalign ((void **) &coder->kept, 32,
          d * RD_TRELLIS_STATES * sizeof (gint32)) != 0)
    g_error ("no memory for a trellis of %" G_GSIZE_FORMAT " coefficients", d);
  return coder;
}

void
rd_coder_free (RdCoder * coder)
{
  if (!coder)
    return;
  g_free (coder->steps.log_step);
  g_free (coder->steps.base);
  g_free (coder->symbols);
  g_free (coder->tables);
  g_free (coder->coefficients);
  g_free (coder->rows);
  g_free (coder->row_symbols);
  free (coder->kept);
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
  c->weights = model->p->set[set].weights;
  c->magnitude = model->p->magnitude[scalar ? 0 : 1];
}

gboolean
rd_coder_set_encoder (RdCoder * coder, guint set, guint level,
    gboolean scalar, GError ** error)
{
  rd_coder_set (coder, set, level, scalar);
  coder->analysis = rd_learned_model_analysis (coder->model, set, error);
  return coder->analysis != NULL;
}
