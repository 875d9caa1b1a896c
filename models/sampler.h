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
 * The random number is a function of (seed, position) alone. Ties in greedy mode go to the lowest id. NaN logits never win. */
gint32 st_sampler_sample (StSampler * sampler, const StSamplerParams * params, const float *logits,
    const gint32 * history, gsize n_history, guint64 position);

G_END_DECLS
