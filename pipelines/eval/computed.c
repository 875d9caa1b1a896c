/* Baselines without elements: ideal code lengths. */
#include <math.h>
#include <string.h>
#include "pipelines/eval/link.h"

/* Values up to this magnitude are counted, others cost an escape each time. */
#define COUNTED 512
#define SYMBOLS (2 * COUNTED + 1)
#define RAW_BITS 32

/* ---- adaptive counts, PPM's method D ---- */

/* -log2 of the probability of a symbol seen @count times among @total, of which @kinds were different; a new one is an escape. */
static gdouble
adaptive_bits (guint32 count, guint32 total, guint32 kinds)
{
  if (count > 0)
    return log2 (2.0 * total / (2.0 * count - 1));
  return total > 0 ? log2 (2.0 * total / kinds) : 0;
}

/* ---- plain rounding ---- */

typedef struct
{
  EvalLink link;
  guint hidden;
  gdouble step;
  guint32 *counts;              /* (hidden, SYMBOLS) */
  guint32 *kinds;               /* (hidden) different values seen */
  guint32 total;                /* tokens seen */
} Rounding;

/* Elias gamma code of 0, 1, -1, 2, -2 ... */
static gdouble
gamma_bits (gdouble q)
{
  return 2 * floor (log2 (2 * fabs (q) + (q <= 0))) + 1;
}

static gdouble
value_bits (Rounding * self, guint channel, gdouble q)
{
  guint32 *kinds = &self->kinds[channel], *count;
  gdouble bits;

  /* nothing else is ever escaped after the first values, so such an outlier counts as one more kind */
  if (fabs (q) > COUNTED)
    return adaptive_bits (0, self->total, MAX (*kinds, 1)) + gamma_bits (q);
  count = &self->counts[(gsize) channel * SYMBOLS + (gsize) (q + COUNTED)];
  bits = adaptive_bits (*count, self->total, *kinds);
  if (*count == 0) {
    bits += gamma_bits (q);
    (*kinds)++;
  }
  (*count)++;
  return bits;
}

static gboolean
rounding_send (EvalLink * link, const EvalText * text, const float *x,
    float *y, EvalSum * sums, GError ** error)
{
  Rounding *self = (Rounding *) link;
  const gsize hidden = self->hidden;

  (void) error;
  memcpy (y, x, hidden * sizeof *y);
  sums[0].payload_bits = (gdouble) RAW_BITS *hidden;
  for (gsize p = 1; p < text->n; p++) {
    for (gsize c = 0; c < hidden; c++) {
      gdouble q = rint (x[p * hidden + c] / self->step);

      sums[p].payload_bits += value_bits (self, (guint) c, q);
      y[p * hidden + c] = (float) (q * self->step);
    }
    self->total++;
  }
  for (gsize p = 0; p < text->n; p++)
    sums[p].frame_bits = sums[p].ideal_bits = sums[p].payload_bits;
  return TRUE;
}

static void
rounding_free (EvalLink * link)
{
  Rounding *self = (Rounding *) link;

  g_free (self->counts);
  g_free (self->kinds);
  g_free (self);
}

EvalLink *
eval_rounding_new (guint hidden, gdouble step)
{
  static const EvalLinkClass klass = {.send = rounding_send,
    .free = rounding_free
  };
  Rounding *self = g_new0 (Rounding, 1);

  self->link.klass = &klass;
  self->hidden = hidden;
  self->step = step;
  self->counts = g_new0 (guint32, (gsize) hidden * SYMBOLS);
  self->kinds = g_new0 (guint32, hidden);
  return &self->link;
}

/* ---- ids ---- */

typedef struct
{
  EvalLink link;
  EvalIdCode code;
  guint hidden, vocab;
  guint32 *counts;              /* (vocab) */
  guint32 kinds, total;
} Ids;

static gdouble
id_bits (Ids * self, gint32 id)
{
  guint32 *count = &self->counts[id];
  gdouble bits;

  if (self->code == EVAL_IDS_MODEL)
    return 0;
  if (self->code == EVAL_IDS_FIXED)
    return ceil (log2 (self->vocab));
  bits = adaptive_bits (*count, self->total, self->kinds);
  if (*count == 0) {
    bits += log2 (self->vocab);
    self->kinds++;
  }
  (*count)++;
  self->total++;
  return bits;
}

static gboolean
ids_send (EvalLink * link, const EvalText * text, const float *x, float *y,
    EvalSum * sums, GError ** error)
{
  Ids *self = (Ids *) link;

  (void) error;
  memcpy (y, x, sizeof *y * text->n * self->hidden);
  for (gsize p = 0; p < text->n; p++) {
    sums[p].id_bits = id_bits (self, text->ids[p]);
    sums[p].frame_bits = sums[p].ideal_bits = sums[p].id_bits;
  }
  return TRUE;
}

static void
ids_free (EvalLink * link)
{
  Ids *self = (Ids *) link;

  g_free (self->counts);
  g_free (self);
}

EvalLink *
eval_ids_new (EvalIdCode code, guint hidden, guint vocab)
{
  static const EvalLinkClass klass = {.send = ids_send,.free = ids_free };
  Ids *self = g_new0 (Ids, 1);

  self->link.klass = &klass;
  self->code = code;
  self->hidden = hidden;
  self->vocab = vocab;
  self->counts = g_new0 (guint32, vocab);
  return &self->link;
}
