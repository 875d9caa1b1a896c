#include "codec/training/adamw.h"

#include <math.h>
#include <string.h>

#include "models/kernels/fpmode.h"

static gboolean
check_options (const RdAdamWOptions * o, GError ** error)
{
  if (o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1
      && o->epsilon > 0 && o->weight_decay >= 0 && o->clip >= 0)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "AdamW with betas %g and %g (in 0..1), epsilon %g (above 0), weight decay "
      "%g and clipping at %g (0 or more)", o->beta1, o->beta2, o->epsilon,
      o->weight_decay, o->clip);
  return FALSE;
}

static void
lay_out (RdAdamW * adamw)
{
  adamw->mean = rd_arena_take (&adamw->arena, 1, adamw->n);
  adamw->square = rd_arena_take (&adamw->arena, 1, adamw->n);
}

RdAdamW *
rd_adamw_new (gsize n, const RdAdamWOptions * options, GError ** error)
{
  g_autoptr (RdAdamW) adamw = NULL;

  if (!check_options (options, error))
    return NULL;
  adamw = g_new0 (RdAdamW, 1);
  adamw->options = *options;
  adamw->n = n;
  lay_out (adamw);
  if (!rd_arena_allocate (&adamw->arena, "moments of parameters", error))
    return NULL;
  lay_out (adamw);
  memset (adamw->arena.memory, 0, adamw->arena.n * sizeof (float));
  return g_steal_pointer (&adamw);
}

void
rd_adamw_free (RdAdamW * adamw)
{
  if (adamw == NULL)
    return;
  rd_arena_clear (&adamw->arena);
  g_free (adamw);
}

static double
sum_of_squares (const float *x, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += (double) x[i] * x[i];
  return sum;
}

/* Global norm of @gradient; FALSE if it is none. */
static gboolean
measure (const RdAdamW * adamw, const RdParameters * parameters,
    const float *gradient, double *norm, GError ** error)
{
  double sum = 0;

  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    const RdParameter *p = rd_parameters_get (parameters, i);

    sum += sum_of_squares (gradient + p->offset, p->n);
    if (isfinite (sum))
      continue;
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_DIVERGED,
        "step %" G_GUINT64_FORMAT ": the gradient of %s is not finite: a lower "
        "learning rate or clipping may help", adamw->steps + 1, p->name);
    return FALSE;
  }
  *norm = sqrt (sum);
  return TRUE;
}

/* The bias corrections are in @rate and @epsilon: mean / c1 / (sqrt (square / c2) + e) = mean * (sqrt (c2) / c1) / (sqrt (square) +
 * e * sqrt (c2)). */
static void
update (const RdAdamW * adamw, const RdParameter * p, const float *gradient,
    double rate)
{
  const RdAdamWOptions *o = &adamw->options;
  const double correction = sqrt (1 - pow (o->beta2, (double) adamw->steps));
  const float step = (float) (rate * correction / (1 - pow (o->beta1,
              (double) adamw->steps)));
  const float epsilon = (float) (o->epsilon * correction);
  const float keep = p->decay ? (float) (1 - rate * o->weight_decay) : 1.0f;
  const float b1 = (float) o->beta1, b2 = (float) o->beta2;
  const float a1 = (float) (1 - o->beta1), a2 = (float) (1 - o->beta2);
  float *mean = adamw->mean + p->offset, *square = adamw->square + p->offset;

  for (gsize i = 0; i < p->n; i++) {
    const float g = gradient[i];

    mean[i] = b1 * mean[i] + a1 * g;
    square[i] = b2 * square[i] + a2 * g * g;
    p->values[i] = keep * p->values[i]
        - step * mean[i] / (sqrtf (square[i]) + epsilon);
  }
}

static gboolean
step (RdAdamW * adamw, const RdParameters * parameters, float *gradient,
    double scale, double rate, double *norm, GError ** error)
{
  double length, factor = scale;

  if (!measure (adamw, parameters, gradient, &length, error))
    return FALSE;
  length *= fabs (scale);
  if (norm != NULL)
    *norm = length;
  if (adamw->options.clip > 0 && length > adamw->options.clip)
    factor *= adamw->options.clip / length;
  for (gsize i = 0; i < adamw->n; i++)
    gradient[i] *= (float) factor;
  adamw->steps++;
  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    const RdParameter *p = rd_parameters_get (parameters, i);

    update (adamw, p, gradient + p->offset, rate * p->rate);
  }
  return TRUE;
}

gboolean
rd_adamw_step (RdAdamW * adamw, const RdParameters * parameters,
    float *gradient, double scale, double rate, double *norm, GError ** error)
{
  StFpMode mode;
  gboolean ok;

  g_return_val_if_fail (parameters->n == adamw->n, FALSE);
  mode = st_fp_enter ();
  ok = step (adamw, parameters, gradient, scale, rate, norm, error);
  st_fp_leave (mode);
  return ok;
}

double
rd_schedule_rate (const RdSchedule * schedule, guint64 done)
{
  double part;

  if (done < schedule->warmup)
    return schedule->peak * (double) (done + 1) / (double) schedule->warmup;
  if (done >= schedule->total)
    return schedule->floor;
  part = (double) (done - schedule->warmup)
      / (double) (schedule->total - schedule->warmup);
  return schedule->floor + (schedule->peak - schedule->floor) * 0.5
      * (1 + cos (G_PI * part));
}
