#include "codec/training/fit-contexts.h"

#include <math.h>

#include "codec/training/fit-tables.h"

/* Symbols' worth of the mean magnitude that is there. */
#define MAGNITUDE_WEIGHT 200.0
/* Contexts count no more of a symbol (FORMAT.md, section 3). */
#define MAX_MAGNITUDE 255
/* Magnitudes whose lengths are told apart: the rest costs what the last one does, whatever the weights. */
#define MAGNITUDES 128

static const gint32 whole_choices[] =
    { 0, 16, 24, 32, 40, 48, 56, 64, 72, 80, 96 };
static const gint32 near_choices[] = { -16, 0, 8, 16, 24, 32, 48 };

#define N_WHOLE G_N_ELEMENTS (whole_choices)
#define N_NEAR G_N_ELEMENTS (near_choices)
#define N_CHOICES (N_WHOLE * N_NEAR)

struct _RdContextBits
{
  float bits[3][MAGNITUDES][RD_LEARNED_SCALES];
};

struct _RdContextTally
{
  gsize hidden_size;
  double *bits;                 /* (D, N_CHOICES) */
  guint64 n[2][RD_LEARNED_SCALES];      /* symbols of the scalar quantiser, of the trellis, by nominal scale */
  guint64 sum[2][RD_LEARNED_SCALES];    /* of their magnitudes */
};

RdContextBits *
rd_context_bits_new (const RdLearnedParameters * parameters)
{
  RdContextBits *bits = g_new (RdContextBits, 1);

  for (guint t = 0; t < RD_SCALE_TABLES; t++) {
    for (guint k = 0; k < MAGNITUDES; k++)
      bits->bits[t / RD_LEARNED_SCALES][k][t % RD_LEARNED_SCALES] =
          rd_table_magnitude_bits (&parameters->tables[t], k);
  }
  return bits;
}

void
rd_context_bits_free (RdContextBits * bits)
{
  g_free (bits);
}

RdContextTally *
rd_context_tally_new (gsize hidden_size)
{
  RdContextTally *tally = g_new0 (RdContextTally, 1);

  tally->hidden_size = hidden_size;
  tally->bits = g_new0 (double, hidden_size * N_CHOICES);
  return tally;
}

void
rd_context_tally_free (RdContextTally * tally)
{
  if (tally == NULL)
    return;
  g_free (tally->bits);
  g_free (tally);
}

static gint32
scale_index (gint32 log_scale)
{
  return CLAMP ((log_scale + RD_SCALE_BIAS) >> 5, 0, RD_LEARNED_SCALES - 1);
}

/* The choices' costs for one symbol: @row by scale. @whole and @near are what the contexts say, in 1/256 octave. */
static void
add_choices (const float *row, gint32 nominal, gint32 whole, gint32 near,
    double *costs)
{
  for (guint a = 0; a < N_WHOLE; a++) {
    for (guint b = 0; b < N_NEAR; b++) {
      const gint32 c = (whole_choices[a] * whole + near_choices[b] * near) >> 6;

      costs[a * N_NEAR + b] += row[scale_index (nominal + c)];
    }
  }
}

static gint32
log_ratio (gint32 a, gint32 b)
{
  return (gint32) lrintf (256 * log2f ((float) a / (float) b));
}

/* Logarithm of the scale of coefficient @j in row @t, contexts left out. */
static gint32
nominal (const RdContext * context, gsize j, gsize t)
{
  return context->base[j] - context->offset[t]
      + (context->shift ? context->shift[j * context->n + t] : 0);
}

static void
add_costs (RdContextTally * tally, const RdContextSource * source,
    const RdContext * context, const RdSymbols * symbols, gsize j)
{
  const gint32 *k = symbols->symbols + (j + 2) * symbols->w;
  const guint16 *tables = symbols->tables + (j + 2) * symbols->w;

  for (gsize t = 0; t < symbols->n; t++) {
    const gint32 magnitude = MIN (ABS (k[t]), MAGNITUDES - 1);

    if (tables[t] >= RD_SCALE_TABLES)
      continue;
    add_choices (source->bits->bits[tables[t] / RD_LEARNED_SCALES][magnitude],
        nominal (context, j, t),
        log_ratio (context->whole[t], context->whole_mean[t]),
        log_ratio (context->near[t], context->near_mean[t]),
        tally->bits + j * N_CHOICES);
  }
}

static void
add_magnitudes (RdContextTally * tally, const RdContextSource * source,
    const RdContext * context, const RdSymbols * symbols, gsize j)
{
  const gint32 *k = symbols->symbols + (j + 2) * symbols->w;
  const guint16 *tables = symbols->tables + (j + 2) * symbols->w;

  for (gsize t = 0; t < symbols->n; t++) {
    const gint32 scale = scale_index (nominal (context, j, t));

    if (tables[t] >= RD_SCALE_TABLES)
      continue;
    tally->n[!source->scalar][scale]++;
    tally->sum[!source->scalar][scale] += (guint) MIN (ABS (k[t]),
        MAX_MAGNITUDE);
  }
}

void
rd_context_tally_add (RdContextTally * tally, const RdContextSource * source,
    const RdSymbols * symbols, gboolean with_costs)
{
  const gsize hidden = tally->hidden_size;
  const RdLearnedParameters *parameters = source->model->p;
  g_autofree gint32 *log_step = g_new (gint32, hidden);
  g_autofree gint32 *base = g_new (gint32, hidden);
  RdSteps steps = {.log_step = log_step,.base = base };
  RdContext context = {.n = symbols->w,.hidden_size = hidden,.scalar =
        source->scalar,.base = base,.weights =
        parameters->set[source->set].weights,.magnitude =
        parameters->magnitude[!source->scalar],.shift = symbols->shift
  };
  guint16 tables[RD_BLOCK_ROWS];

  rd_steps_set (&steps, source->model, source->set, source->level,
      source->scalar);
  for (gsize t = 0; t < symbols->w; t++)
    context.offset[t] = 32 * symbols->symbols[symbols->w + t];
  rd_context_start (&context);
  for (gsize j = 0; j < hidden; j++) {
    rd_context_next (&context, symbols->symbols + (j + 1) * symbols->w, j,
        tables);
    add_magnitudes (tally, source, &context, symbols, j);
    if (with_costs)
      add_costs (tally, source, &context, symbols, j);
  }
}

void
rd_context_tally_merge (RdContextTally * tally, const RdContextTally * other)
{
  for (gsize i = 0; i < tally->hidden_size * N_CHOICES; i++)
    tally->bits[i] += other->bits[i];
  for (guint q = 0; q < 2; q++) {
    for (guint i = 0; i < RD_LEARNED_SCALES; i++) {
      tally->n[q][i] += other->n[q][i];
      tally->sum[q][i] += other->sum[q][i];
    }
  }
}

void
rd_context_tally_choose (const RdContextTally * tally, gint32 * weights)
{
  for (gsize j = 0; j < tally->hidden_size; j++) {
    const double *bits = tally->bits + j * N_CHOICES;
    guint best = 0;

    for (guint i = 1; i < N_CHOICES; i++)
      best = bits[i] < bits[best] ? i : best;
    if (bits[best] <= 0)
      continue;
    weights[j] = whole_choices[best / N_NEAR];
    weights[tally->hidden_size + j] = near_choices[best % N_NEAR];
  }
}

void
rd_context_tally_set_magnitudes (const RdContextTally * tally,
    RdLearnedParameters * parameters)
{
  for (guint q = 0; q < 2; q++) {
    for (guint i = 0; i < RD_LEARNED_SCALES; i++) {
      const double sum = 16 * (double) tally->sum[q][i]
          + MAGNITUDE_WEIGHT * parameters->magnitude[q][i];
      const double mean = sum / ((double) tally->n[q][i] + MAGNITUDE_WEIGHT);

      parameters->magnitude[q][i] =
          (gint32) MIN (rint (mean), RD_LEARNED_MAX_MAGNITUDE);
    }
  }
}
