/* Bits of a sequence's symbols, and their derivatives. */
#include "codec/training/static-private.h"

#include <math.h>

/* A symbol costs no more, as if nothing were less likely than 1e-9. */
#define MAX_BITS 29.897352853986263
#define RAW_BITS 32
#define OCTAVE 256              /* of a codec file's logarithms */
/* How near to the middle between two symbols a value counts as one that may become either: a half of this, in steps. */
#define WINDOW 0.5
/* How fast densities fall, in exponents a step: at most. Outliers of small scales are no part of them. */
#define MAX_DECAY 5.0
/* Derivatives by the scale are differences between tables that are so far to both sides, smooth enough: 1/4 octave. */
#define TABLES 2
#define TABLES_OF_AN_OCTAVE 8

void
rd_laplace_init (RdLaplace * laplace, guint index)
{
  const double a = G_SQRT2 / exp2 ((double) index / 8 - 6);
  const double half_coth = 0.5 / tanh (a / 2), edge = exp (-a / 2);

  *laplace = (RdLaplace) {
  a, (a / 2 + log1p (-exp (-a)) - G_LN2) / G_LN2, half_coth, edge};
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

/* Under noise. */
static void
rate_noisy (RdStaticPass * pass, RdTrainableJob * job, gsize i, guint table)
{
  const Rate r = rate_of (&pass->codec->laplace[table],
      (double) pass->value[i] + (double) pass->noise[i]);

  job->rate_bits += r.bits;
  pass->slope[i] = 1;
  pass->d_value[i] = (float) r.d_value;
  pass->d_scale[i] = (float) r.d_scale;
}

/* How fast the density of values falls around @middle, in exponents a step: a Laplace distribution's at most, and near 0 half a Gaussian's. Symbols
 * in their contexts are in between (measured; README.md). */
static double
decay_at (const RdLaplace * l, double middle)
{
  return MIN (MIN (l->rate, 0.25 * middle * l->rate * l->rate), MAX_DECAY);
}

/* Rounded. A symbol changes where its value crosses the middle between two, so that a mean over rows has for its derivative what the change
 * makes, times the density of values there. Values near to a middle tell of it, each weighted by how much likelier the middle is. */
static void
rate_rounded (RdStaticPass * pass, gsize i, gint32 k, guint table)
{
  const RdStatic *codec = pass->codec;
  const double m = fabs ((double) pass->value[i]), below = floor (m);
  const double beyond = m - below - 0.5;
  double slope = 0, more = 0;

  if (fabs (beyond) < WINDOW / 2) {
    slope =
        exp (decay_at (&codec->laplace[table], below + 0.5) * beyond) / WINDOW;
    more = symbol_bits (codec, table, (gint32) below + 1)
        - symbol_bits (codec, table, (gint32) below);
  }
  pass->slope[i] = (float) slope;
  pass->d_value[i] = (float) copysign (slope * more, (double) pass->value[i]);
  pass->d_scale[i] = table < TABLES || table >= RD_LEARNED_SCALES - TABLES ? 0 :
      (float) ((symbol_bits (codec, table + TABLES, k)
          - symbol_bits (codec, table - TABLES, k))
      * TABLES_OF_AN_OCTAVE / (2 * TABLES));
}

/* Row @t is row @at of its block. */
static void
rate_row (RdStaticPass * pass, RdTrainableJob * job, gsize t, gsize at)
{
  const gsize d = pass->codec->base.hidden_size;
  const gsize end = rd_static_end (pass, job, t);
  double bits = 0, before = 0;

  for (gsize j = 0; j < d; j++) {
    const gsize i = t * d + j;
    const gint32 k = pass->symbols[j * RD_BLOCK_ROWS + at];
    const guint table = pass->tables[j * RD_BLOCK_ROWS + at];

    if (j == end)
      before = bits;
    bits += symbol_bits (pass->codec, table, k);
    if (job->noise)
      rate_noisy (pass, job, i, table);
    else
      rate_rounded (pass, i, k, table);
    /* scales beyond the tables' are all the same */
    if (table == 0 || table == RD_LEARNED_SCALES - 1)
      pass->d_scale[i] = 0;
  }
  pass->row_bits[t] += bits;
  pass->end_bits[t] = bits - before;
  job->bits += bits;
  if (!job->noise)
    job->rate_bits += bits;
}

void
rd_static_rate (RdStaticPass * pass, RdTrainableJob * job)
{
  const gsize d = pass->codec->base.hidden_size;

  job->bits = job->rate_bits = job->latent_bits = 0;
  rd_static_shift (pass, job);
  for (gsize from = 0; from < job->n; from += RD_BLOCK_ROWS) {
    const gsize n = MIN (RD_BLOCK_ROWS, job->n - from);

    choose_tables (pass, from, n);
    for (gsize t = from; t < from + n; t++) {
      const double side = side_bits (pass, t);

      pass->row_bits[t] = side;
      pass->end_bits[t] = 0;
      job->bits += side;
      job->rate_bits += side;
      if (!rd_static_raw (pass, t))
        rate_row (pass, job, t, t - from);
      else
        for (gsize i = t * d; i < (t + 1) * d; i++)
          pass->slope[i] = pass->d_value[i] = pass->d_scale[i] = 0;
    }
  }
  rd_static_wire (pass, job);
}
