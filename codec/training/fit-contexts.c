#include "codec/training/fit-contexts.h"

#include <math.h>

#include "codec/training/fit-tables.h"

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

struct _RdContextCosts
{
  gsize hidden_size;
  double *bits;                 /* (D, N_CHOICES) */
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

RdContextCosts *
rd_context_costs_new (gsize hidden_size)
{
  RdContextCosts *costs = g_new (RdContextCosts, 1);

  costs->hidden_size = hidden_size;
  costs->bits = g_new0 (double, hidden_size * N_CHOICES);
  return costs;
}

void
rd_context_costs_free (RdContextCosts * costs)
{
  if (costs == NULL)
    return;
  g_free (costs->bits);
  g_free (costs);
}

/* The choices' costs for one symbol: @row by scale. @whole and @near are what the contexts say, in 1/256 octave. */
static void
add_choices (const float *row, gint32 nominal, gint32 whole, gint32 near,
    double *costs)
{
  for (guint a = 0; a < N_WHOLE; a++) {
    for (guint b = 0; b < N_NEAR; b++) {
      const gint32 c = (whole_choices[a] * whole + near_choices[b] * near) >> 6;
      const gint32 scale = (nominal + c + RD_SCALE_BIAS) >> 5;

      costs[a * N_NEAR + b] += row[CLAMP (scale, 0, RD_LEARNED_SCALES - 1)];
    }
  }
}

static gint32
log_ratio (gint32 a, gint32 b)
{
  return (gint32) lrintf (256 * log2f ((float) a / (float) b));
}

/* Coefficient @j of all rows; the context stands before it. */
static void
add_coefficient (RdContextCosts * costs, const RdContextSource * source,
    const RdContext * context, const RdSymbols * symbols, gsize j)
{
  const gint32 *k = symbols->symbols + (j + 2) * symbols->w;
  const guint16 *tables = symbols->tables + (j + 2) * symbols->w;

  for (gsize t = 0; t < symbols->n; t++) {
    const gint32 magnitude = MIN (ABS (k[t]), MAGNITUDES - 1);

    if (tables[t] >= RD_SCALE_TABLES)
      continue;
    add_choices (source->bits->bits[tables[t] / RD_LEARNED_SCALES][magnitude],
        context->base[j] - context->offset[t],
        log_ratio (context->whole[t], context->whole_mean[t]),
        log_ratio (context->near[t], context->near_mean[t]),
        costs->bits + j * N_CHOICES);
  }
}

void
rd_context_costs_add (RdContextCosts * costs, const RdContextSource * source,
    const RdSymbols * symbols)
{
  const gsize hidden = costs->hidden_size;
  const RdLearnedParameters *parameters = source->model->p;
  g_autofree gint32 *log_step = g_new (gint32, hidden);
  g_autofree gint32 *base = g_new (gint32, hidden);
  RdSteps steps = {.log_step = log_step,.base = base };
  RdContext context = {.n = symbols->w,.hidden_size = hidden,.scalar =
        source->scalar,.base = base,.weights =
        parameters->set[source->set].weights,.magnitude =
        parameters->magnitude[!source->scalar]
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
    add_coefficient (costs, source, &context, symbols, j);
  }
}

void
rd_context_costs_merge (RdContextCosts * costs, const RdContextCosts * other)
{
  for (gsize i = 0; i < costs->hidden_size * N_CHOICES; i++)
    costs->bits[i] += other->bits[i];
}

void
rd_context_costs_choose (const RdContextCosts * costs, gint32 * weights)
{
  for (gsize j = 0; j < costs->hidden_size; j++) {
    const double *bits = costs->bits + j * N_CHOICES;
    guint best = 0;

    for (guint i = 1; i < N_CHOICES; i++)
      best = bits[i] < bits[best] ? i : best;
    if (bits[best] <= 0)
      continue;
    weights[j] = whole_choices[best / N_NEAR];
    weights[costs->hidden_size + j] = near_choices[best % N_NEAR];
  }
}
