/* The encoder's choices: what a row is coded as, its step, its symbols. */
#include "codec/learned/coder.h"

#include <math.h>
#include <string.h>

/* Beyond this many steps a row goes as it is: the format allows 2^22. */
#define MAX_STEPS (1 << 20)
#define MIN_ENERGY 1e-30f

/* ---- modes ---- */

static gfloat
distance (const gfloat * a, const gfloat * b, gsize n)
{
  gfloat sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

/* The nearest start: @start has the plain one and becomes the one that is chosen. Returns the mode. */
static gint32
choose_start (const RdLearnedModel * model, const gfloat * x, gfloat * start)
{
  gsize d = model->p->hidden_size;
  gfloat best = distance (x, start, d);
  gint32 mode = 0;

  for (guint c = 0; c < model->p->n_constants; c++) {
    const gfloat *constant = model->p->constants + c * d;
    gfloat candidate = distance (x, constant, d);

    if (candidate < best) {
      best = candidate;
      mode = 1 + (gint32) c;
    }
  }
  if (mode > 0)
    memcpy (start, model->p->constants + (mode - 1) * d, d * sizeof *start);
  return mode;
}

/* ---- token steps ---- */

/* Half the octaves by which the token is more sensitive than others, downwards, in 1/8 octave. */
static gint32
choose_token_step (const RdCoder * coder, const gfloat * c)
{
  const RdLearnedSet *set = &coder->model->p->set[coder->set];
  gsize d = coder->model->p->hidden_size;
  gfloat energy = 0, sum;

  if (!set->token_step)
    return 0;
  sum = set->token_step[d + 1];
  for (gsize j = 0; j < d; j++) {
    gfloat z = c[j] * rd_exp2_step (-set->scale[j]);

    energy += z * z;
    sum += c[j] * set->token_step[j];
  }
  sum += set->token_step[d] * log2f (MAX (energy / (gfloat) d, MIN_ENERGY));
  gfloat step = roundf (-4 * coder->steps.strength * sum);
  if (!(step > RD_LEARNED_MIN_TOKEN_STEP))
    return RD_LEARNED_MIN_TOKEN_STEP;
  return step < RD_LEARNED_MAX_TOKEN_STEP ? (gint32) step :
      RD_LEARNED_MAX_TOKEN_STEP;
}

/* ---- symbols ---- */

/* Magnitudes of @c in steps; FALSE if one is beyond what is coded, or not a number as huge rows can make it. */
static gboolean
to_steps (const RdCoder * coder, const gfloat * c, gint32 token_step,
    gfloat * value)
{
  gsize d = coder->model->p->hidden_size;
  gboolean good = TRUE;

  for (gsize j = 0; j < d; j++) {
    value[j] = fabsf (c[j]) * rd_exp2_step (-(coder->steps.log_step[j]
            + 32 * token_step));
    good &= value[j] < MAX_STEPS;
  }
  return good;
}

static void
search (RdCoder * coder, const gfloat * value, gint32 token_step,
    gint32 * symbols)
{
  const RdLearnedModel *model = coder->model;
  gsize d = model->p->hidden_size;
  RdTrellis trellis = {
    .hidden_size = d,
    .bits = {model->bits,
        model->bits + RD_LEARNED_SCALES * RD_TRELLIS_COSTS},
    .base = coder->steps.base,
    .weights = coder->context.weights,
    .magnitude = coder->context.magnitude,
    .offset = 32 * token_step,
    .kept = coder->kept,
  };

  if (!coder->scalar) {
    rd_trellis_run (&trellis, value, symbols);
    return;
  }
  for (gsize j = 0; j < d; j++)
    symbols[j] = (gint32) (value[j] + 0.5f);
}

/* Row @t of the block. TRUE if it goes RAW. */
static gboolean
quantise_row (RdCoder * coder, gsize t, gint32 mode)
{
  gsize d = coder->model->p->hidden_size, w = coder->context.n;
  gfloat *c = coder->coefficients + t * d, *value = coder->rows + t * d;
  gint32 step = choose_token_step (coder, c);
  gboolean raw = !to_steps (coder, c, step, value);

  coder->symbols[t] = raw ? 1 + (gint32) coder->model->p->n_constants : mode;
  coder->symbols[w + t] = raw ? 0 : step;
  coder->context.offset[t] = 32 * step;
  if (raw)
    memset (coder->row_symbols, 0, d * sizeof (gint32));
  else
    search (coder, value, step, coder->row_symbols);
  for (gsize j = 0; j < d; j++) {
    gint32 k = coder->row_symbols[j];

    coder->symbols[(j + 2) * w + t] = c[j] < 0 ? -k : k;
  }
  return raw;
}

/* Tables of all symbols; those of RAW rows and of padding are the padding's. */
static void
choose_tables (RdCoder * coder, gsize n)
{
  gsize d = coder->model->p->hidden_size, w = coder->context.n;
  gint32 raw = 1 + (gint32) coder->model->p->n_constants;

  for (gsize t = 0; t < w; t++) {
    coder->tables[t] = t < n ? RD_TABLE_MODE : RD_TABLE_PADDING;
    coder->tables[w + t] = t < n && coder->symbols[t] != raw ? RD_TABLE_STEP :
        RD_TABLE_PADDING;
  }
  rd_context_start (&coder->context);
  for (gsize j = 0; j < d; j++) {
    guint16 *tables = coder->tables + (j + 2) * w;

    rd_context_next (&coder->context, coder->symbols + (j + 1) * w, j, tables);
    for (gsize t = 0; t < w; t++)
      if (coder->tables[w + t] == RD_TABLE_PADDING)
        tables[t] = RD_TABLE_PADDING;
  }
}

static void
pad (RdCoder * coder, gsize n)
{
  gsize d = coder->model->p->hidden_size, w = coder->context.n;

  for (gsize t = n; t < w; t++) {
    coder->context.offset[t] = 0;
    for (gsize j = 0; j < d + 2; j++)
      coder->symbols[j * w + t] = 0;
  }
}

void
rd_coder_quantise (RdCoder * coder, const RdRows * rows, const gfloat * x,
    gsize from, gsize n, GByteArray * raw)
{
  const RdLearnedModel *model = coder->model;
  gsize d = model->p->hidden_size;
  gint32 modes[RD_BLOCK_ROWS];

  coder->context.n = rd_padded_rows (n);
  rd_model_start (model, rows, from, n, coder->rows);
  for (gsize t = 0; t < n; t++) {
    const gfloat *row = x + (from + t) * d;
    gfloat *start = coder->rows + t * d;

    modes[t] = choose_start (model, row, start);
    for (gsize i = 0; i < d; i++)
      start[i] = row[i] - start[i];
  }
  memset (coder->coefficients, 0, n * d * sizeof (gfloat));
  rd_matrix_apply (coder->analysis, coder->rows, n, coder->coefficients);
  for (gsize t = 0; t < n; t++) {
    guint8 number = (guint8) t;

    if (quantise_row (coder, t, modes[t]) && raw)
      g_byte_array_append (raw, &number, 1);
  }
  pad (coder, n);
  choose_tables (coder, n);
}
