/* AdamW (Loshchilov and Hutter 2019), clipping by the global norm and the learning rate's course. Everything in the order of the
 * parameters: the same bits every time. */
#pragma once
#include "codec/training/arena.h"
#include "codec/training/parameters.h"

G_BEGIN_DECLS

typedef struct
{
  double beta1, beta2;          /* in [0, 1) */
  double epsilon;               /* > 0 */
  double weight_decay;          /* decoupled: a step takes rate * weight_decay of the value away; >= 0 */
  double clip;                  /* largest global norm of a step's gradient; 0: none */
} RdAdamWOptions;

#define RD_ADAMW_OPTIONS_DEFAULT { 0.9, 0.95, 1e-8, 0.0, 1.0 }

/** RdAdamW: the optimiser's state. */
typedef struct
{
  RdAdamWOptions options;
  gsize n;                      /* floats of the vector */
  float *mean, *square;         /* (n) moments, in the arena */
  guint64 steps;                /* done */
  RdArena arena;
} RdAdamW;

/** rd_adamw_new: zero moments for @n floats. Errors: RD_TRAINING_ERROR_OPTIONS, ST_MODEL_ERROR_MEMORY. */
RdAdamW *rd_adamw_new (gsize n, const RdAdamWOptions * options, GError ** error);
void rd_adamw_free (RdAdamW * adamw);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdAdamW, rd_adamw_free)

/** rd_adamw_step: one step by @scale * gradient (n; one over what was summed), clipped, at learning rate @rate. The gradient is scaled
 * and clipped in place. @norm (out, may be NULL): global norm before clipping. Error RD_TRAINING_ERROR_DIVERGED names the step and the
 * first parameter whose gradient is not finite; then nothing has changed. */
gboolean rd_adamw_step (RdAdamW * adamw, const RdParameters * parameters, float *gradient, double scale, double rate, double *norm,
    GError ** error);

/** RdSchedule: linear warm-up to @peak over @warmup steps, then a cosine down to @floor at step @total, where it stays. */
typedef struct
{
  double peak, floor;
  guint64 warmup, total;        /* steps, warmup <= total */
} RdSchedule;

/** rd_schedule_rate: learning rate of the step after @done ones. */
double rd_schedule_rate (const RdSchedule * schedule, guint64 done);

G_END_DECLS
