/* Bits of a sequence's symbols, and their derivatives. */
#include "codec/training/static-private.h"

#include <math.h>

/* A symbol costs no more, as if nothing were less likely than 1e-9. */
#define MAX_BITS 29.897352853986263
#define RAW_BITS 32
#define OCTAVE 256              /* of a codec file's logarithms */

void
rd_laplace_init (RdLaplace * laplace, guint index)
{
  const double a = G_SQRT2 / exp2 ((double) index / 8 - 6);
  const double half_coth = 0.5 / tanh (a / 2), edge = exp (-a / 2);

  *laplace = (RdLaplace) {
  a, (a / 2 + log1p (-exp (-a)) - G_LN2) / G_LN2, half_coth, edge,
        0.5 * a * edge / -expm1 (-a / 2)};
}

typedef struct
{
  double bits, d_value, d_scale;        /* by value and by log2 of the scale */
} Rate;

/* Of the interval of 1 around @v. */
static inline Rate
rate_of (const RdLaplace * l, double v)
{
  const double a = l->rate, m = fabs (v);
  Rate r;

  if (m >= 0.5) {
    r = (Rate) {
    a *m / G_LN2 - l->log_sinh, copysign (a / G_LN2, v),
          -a * (m - l->half_coth)};
  } else {
    const double up = exp (a * v), down = 1 / up;
    const double cosine = 0.5 * l->edge * (up + down);
    const double sine = 0.5 * l->edge * (up - down);
    const double p = 1 - cosine;

    r = (Rate) {
    -log2 (p), a * sine / (p * G_LN2), a * (0.5 * cosine - v * sine) / p};
  }
  return r.bits < MAX_BITS ? r : (Rate) {
  MAX_BITS, 0, 0};
}

/* rate_of().d_scale of a symbol. */
static inline double
symbol_d_scale (const RdLaplace * l, gint32 k)
{
  const double m = ABS (k);

  if (k == 0)
    return l->zero;
  return l->rate * m / G_LN2 - l->log_sinh < MAX_BITS ?
      -l->rate * (m - l->half_coth) : 0;
}

static double
symbol_bits (const RdStatic * codec, guint table, gint32 k)
{
  const guint magnitude = (guint) ABS (k);

  return magnitude < RD_STATIC_COSTS ? codec->bits[table][magnitude] :
      rd_tables_bits (codec->model->tables, RD_TABLE_SCALAR + table, k);
}

static double
side_bits (const RdStaticPass * pass, gsize t)
{
  const RdTables *tables = pass->codec->model->tables;
  const RdLearnedParameters *p = pass->codec->model->p;
  const double mode = rd_tables_bits (tables, RD_TABLE_MODE, pass->mode[t]);

  if (pass->mode[t] > (gint32) p->n_constants)
    return mode + RAW_BITS * (double) p->hidden_size;
  return mode + rd_tables_bits (tables, RD_TABLE_STEP, pass->token_step[t]);
}

/* What networks say of rows @from .. @from + @n - 1, as a decoder has it. */
static void
round_shift (RdStaticPass * pass, gsize from, gsize n)
{
  const gsize d = pass->codec->base.hidden_size;

  for (gsize t = 0; t < RD_BLOCK_ROWS; t++) {
    for (gsize j = 0; j < d; j++) {
      const float shift = t < n ? pass->shift[(from + t) * d + j] * OCTAVE : 0;

      pass->whole_shift[j * RD_BLOCK_ROWS + t] =
          (gint32) lrintf (CLAMP (shift, -RD_MAX_SHIFT, RD_MAX_SHIFT));
    }
  }
}

/* Tables of the symbols of rows @from .. @from + @n - 1. */
static void
choose_tables (RdStaticPass * pass, gsize from, gsize n)
{
  const RdLearnedParameters *p = pass->codec->model->p;
  const gsize d = p->hidden_size;
  RdContext context = {.n = RD_BLOCK_ROWS,.hidden_size = d,.scalar =
        TRUE,.base = pass->base_scale,.weights =
        p->set[pass->codec->set].weights,.magnitude =
        p->magnitude[0],.shift = pass->whole_shift
  };

  for (gsize t = 0; t < RD_BLOCK_ROWS; t++) {
    context.offset[t] = t < n ? 32 * pass->token_step[from + t] : 0;
    for (gsize j = 0; j < d; j++)
      pass->symbols[j * RD_BLOCK_ROWS + t] = t < n ?
          rd_static_round (pass->value[(from + t) * d + j]) : 0;
  }
  if (pass->whole_shift != NULL)
    round_shift (pass, from, n);
  rd_context_start (&context);
  for (gsize j = 0; j < d; j++)
    rd_context_next (&context,
        j > 0 ? pass->symbols + (j - 1) * RD_BLOCK_ROWS : NULL, j,
        pass->tables + j * RD_BLOCK_ROWS);
}

/* Row @t is row @at of its block. The scale's part follows the symbols, which are what tables will be made of, unless nothing is rounded. */
static void
rate_row (RdStaticPass * pass, RdTrainableJob * job, gsize t, gsize at)
{
  const RdStatic *codec = pass->codec;
  const gsize d = codec->base.hidden_size;

  for (gsize j = 0; j < d; j++) {
    const gsize i = t * d + j;
    const gint32 k = pass->symbols[j * RD_BLOCK_ROWS + at];
    const guint table = pass->tables[j * RD_BLOCK_ROWS + at];
    const RdLaplace *l = &codec->laplace[table];
    const Rate r = rate_of (l, (double) pass->value[i] + pass->noise[i]);
    const double d_scale = job->noise ? r.d_scale : symbol_d_scale (l, k);

    job->bits += symbol_bits (codec, table, k);
    job->rate_bits += r.bits;
    pass->d_value[i] = (float) r.d_value;
    /* scales beyond the tables' are all the same */
    pass->d_scale[i] = table == 0 || table == RD_LEARNED_SCALES - 1 ? 0 :
        (float) d_scale;
  }
}

void
rd_static_rate (RdStaticPass * pass, RdTrainableJob * job)
{
  const gsize d = pass->codec->base.hidden_size;

  job->bits = job->rate_bits = 0;
  rd_static_shift (pass, job);
  for (gsize from = 0; from < job->n; from += RD_BLOCK_ROWS) {
    const gsize n = MIN (RD_BLOCK_ROWS, job->n - from);

    choose_tables (pass, from, n);
    for (gsize t = from; t < from + n; t++) {
      const double side = side_bits (pass, t);

      job->bits += side;
      job->rate_bits += side;
      if (!rd_static_raw (pass, t))
        rate_row (pass, job, t, t - from);
      else
        for (gsize i = t * d; i < (t + 1) * d; i++)
          pass->d_value[i] = pass->d_scale[i] = 0;
    }
  }
}
