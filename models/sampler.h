/* Next-token sampling, names and defaults as in llama.cpp. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  gfloat temperature;           /* 0.8; <= 0 is greedy */
  gint top_k;                   /* 40; <= 0 is off */
  gfloat top_p;                 /* 0.95; 1 is off */
  gfloat min_p;                 /* 0.05; 0 is off */
  gfloat repeat_penalty;        /* 1.0 is off */
  gint repeat_last_n;           /* 64; 0 off, -1 the whole context */
  gfloat presence_penalty;      /* 0 */
  gfloat frequency_penalty;     /* 0 */
  guint64 seed;                 /* resolved: never -1 here */
} StSamplerParams;

#define ST_SAMPLER_PARAMS_DEFAULT { 0.8f, 40, 0.95f, 0.05f, 1.0f, 64, 0.0f, 0.0f, 0 }

/** StSampler: scratch memory for one vocabulary size. */
typedef struct _StSampler StSampler;
StSampler *st_sampler_new (guint vocab_size);
void st_sampler_free (StSampler * sampler);

/** st_sampler_sample: the token for position @position, from @logits (vocab_size floats, not changed) and the ids before it.
 * Order: penalties, top-k, top-p, min-p (all at temperature 1), temperature, draw. Of equal logits the lowest id comes first.
 * NaN and -Inf logits never win; +Inf ones share everything. Ids of @history outside the vocabulary are ignored.
 * The random number is st_sampler_uniform() of (seed, @position). No allocation.
 * Returns: the id, or -1 if every logit is NaN or -Inf (the caller reports a broken model). */
gint32 st_sampler_sample (StSampler * sampler, const StSamplerParams * params, const float *logits,
    const gint32 * history, gsize n_history, guint64 position);

/** st_sampler_uniform: the random number in [0, 1) for a position, a function of (seed, position) alone: the first 53 bits of
 * Philox4x32-10 with key @seed and counter @position (low words first). */
gdouble st_sampler_uniform (guint64 seed, guint64 position);

G_END_DECLS
