/* The encoder's choices: what a row is coded as, its step, its symbols. */
#include "codec/learned/coder.h"

#include <math.h>
#include <string.h>

#define MIN_ENERGY 1e-30f

/* Sums are of so many parts, whose order compilers need not keep in mind to make vectors of them. */
#define PARTS 16

static gfloat
total (const gfloat * parts)
{
  gfloat sum = 0;

  for (gsize i = 0; i < PARTS; i++)
    sum += parts[i];
  return sum;
}

/* ---- modes ---- */

static gfloat
distance (const gfloat * a, const gfloat * b, gsize n)
{
  gfloat parts[PARTS] = { 0 };
  gsize i = 0;

  for (; i + PARTS <= n; i += PARTS)
    for (gsize k = 0; k < PARTS; k++)
      parts[k] += (a[i + k] - b[i + k]) * (a[i + k] - b[i + k]);
  for (gsize k = 0; i + k < n; k++)
    parts[k] += (a[i + k] - b[i + k]) * (a[i + k] - b[i + k]);
  return total (parts);
}

gint32
rd_model_choose_start (const RdLearnedModel * model, const gfloat * x,
    gfloat * start)
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

/* Mean square of coefficients over their standard deviations, and the sum of coefficients times weights. */
typedef struct
{
  gfloat energy[PARTS], sum[PARTS];
} Sums;

static inline void
add_coefficient (Sums * sums, gsize part, gfloat c, gfloat inverse_scale,
    gfloat weight)
{
  gfloat z = c * inverse_scale;

  sums->energy[part] += z * z;
  sums->sum[part] += c * weight;
}

/* Half the octaves by which the token is more sensitive than others, downwards, in 1/8 octave. */
static gint32
choose_token_step (const RdCoder * coder, const gfloat * c)
{
  const RdLearnedSet *set = &coder->model->p->set[coder->set];
  const gfloat *inverse = coder->model->inverse_scale[coder->set];
  const gfloat *weights = set->token_step;
  gsize d = coder->model->p->hidden_size, j = 0;
  Sums sums = { {0}, {0} };

  if (!weights)
    return 0;
  for (; j + PARTS <= d; j += PARTS)
    for (gsize k = 0; k < PARTS; k++)
      add_coefficient (&sums, k, c[j + k], inverse[j + k], weights[j + k]);
  for (gsize k = 0; j + k < d; k++)
    add_coefficient (&sums, k, c[j + k], inverse[j + k], weights[j + k]);
  gfloat energy = total (sums.energy) / (gfloat) d;
  gfloat sum = weights[d + 1] + total (sums.sum)
      + weights[d] * log2f (MAX (energy, MIN_ENERGY));
  gfloat step = roundf (-4 * coder->steps.strength * sum);
  if (!(step > RD_LEARNED_MIN_TOKEN_STEP))
    return RD_LEARNED_MIN_TOKEN_STEP;
  return step < RD_LEARNED_MAX_TOKEN_STEP ? (gint32) step :
      RD_LEARNED_MAX_TOKEN_STEP;
}

/* ---- symbols ---- */

/* The nearest symbols, halves away from 0. */
static void
round_values (const gfloat * value, gsize n, gint32 * symbols)
{
  for (gsize i = 0; i < n; i++)
    symbols[i] = value[i] < 0 ? -(gint32) (0.5f - value[i])
        : (gint32) (value[i] + 0.5f);
}

/* Symbols of rows @from .. @from + @n - 1, up to RD_TRELLIS_ROWS, at the steps that their contexts have. Returns a mask of those that can
 * be coded; the others have zeros. */
static guint
search (RdCoder * coder, gsize from, gsize n)
{
  const RdLearnedModel *model = coder->model;
  gsize d = model->p->hidden_size;
  RdTrellis trellis = {
    .hidden_size = d,
    .bits = {model->bits,
        model->bits + RD_LEARNED_SCALES * RD_TRELLIS_COSTS},
    .log_step = coder->steps.log_step,
    .base = coder->steps.base,
    .weights = coder->context.weights,
    .magnitude = coder->context.magnitude,
    .decisions = coder->decisions,
  };

  for (gsize r = 0; r < RD_TRELLIS_ROWS; r++)
    trellis.offset[r] = coder->context.offset[from + (r < n ? r : 0)];
  guint mask = rd_trellis_steps (&trellis, coder->coefficients + from * d, n,
      coder->values);
  for (gsize r = 0; r < RD_TRELLIS_ROWS; r++)
    for (gsize j = 0; j < d && !(mask >> r & 1); j++)
      coder->values[j * RD_TRELLIS_ROWS + r] = 0;
  if (coder->scalar)
    round_values (coder->values, d * RD_TRELLIS_ROWS, coder->row_symbols);
  else
    rd_trellis_run (&trellis, coder->values, coder->row_symbols);
  return mask;
}

/* Rows @from .. @from + @n - 1 of the block; the numbers of those that go RAW are appended to @raw. */
static void
quantise_rows (RdCoder * coder, gsize from, gsize n, const gint32 * modes,
    GByteArray * raw)
{
  gsize d = coder->model->p->hidden_size, w = coder->context.n;
  guint mask;

  for (gsize t = from; t < from + n; t++) {
    gint32 step = choose_token_step (coder, coder->coefficients + t * d);

    coder->symbols[t] = modes[t];
    coder->symbols[w + t] = step;
    coder->context.offset[t] = 32 * step;
  }
  mask = search (coder, from, n);
  for (gsize j = 0; j < d; j++)
    memcpy (coder->symbols + (j + 2) * w + from,
        coder->row_symbols + j * RD_TRELLIS_ROWS, n * sizeof (gint32));
  for (gsize r = 0; r < n; r++) {
    guint8 number = (guint8) (from + r);

    if (mask >> r & 1)
      continue;
    coder->symbols[number] = 1 + (gint32) coder->model->p->n_constants;
    coder->symbols[w + number] = coder->context.offset[number] = 0;
    for (gsize j = 0; j < d; j++)
      coder->symbols[(j + 2) * w + number] = 0;
    if (raw)
      g_byte_array_append (raw, &number, 1);
  }
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
  rd_coder_start (coder);
  for (gsize j = 0; j < d; j++) {
    guint16 *tables = coder->tables + (j + 2) * w;

    rd_coder_next (coder, j, tables);
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
  const RdFactor residuals = { coder->rows, n, d, 1 };
  gint32 modes[RD_BLOCK_ROWS];

  rd_coder_set_rows (coder, n);
  rd_model_start (model, rows, from, n, coder->rows);
  for (gsize t = 0; t < n; t++) {
    const gfloat *row = x + (from + t) * d;
    gfloat *start = coder->rows + t * d;

    modes[t] = rd_model_choose_start (model, row, start);
    for (gsize i = 0; i < d; i++)
      start[i] = row[i] - start[i];
  }
  memset (coder->coefficients, 0, n * d * sizeof (gfloat));
  rd_packed_matrix_apply (coder->analysis, &residuals, coder->coefficients);
  for (gsize t = 0; t < n; t += RD_TRELLIS_ROWS)
    quantise_rows (coder, t, MIN (RD_TRELLIS_ROWS, n - t), modes, raw);
  pad (coder, n);
  rd_coder_choose_latents (coder, n);
  choose_tables (coder, n);
}
