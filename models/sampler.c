/* Next-token sampling: penalties, top-k, top-p, min-p, temperature, in llama.cpp's order.
 *
 * One idea carries all cuts: top-k, top-p and min-p each keep a prefix of the candidates in descending order of logit, and so
 * does the draw, which inverts the cumulative distribution in that order. The candidates are therefore a heap, from which only
 * as many are taken as are looked at. The vocabulary is never sorted.
 *
 * The random number is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with the seed as
 * key and the position as counter: no state, so a replay or a restart draws the same numbers. */
#include "models/sampler.h"
#include <math.h>
#include <string.h>

typedef struct
{
  float logit;
  gint32 id;
} Candidate;

struct _StSampler
{
  guint vocab_size;
  float *logits;                /* (vocab_size) with penalties applied */
  guint32 *counts;              /* (vocab_size) all zero between calls */
  Candidate *heap;              /* (vocab_size) */
};

/* heap[0..n_heap) is a heap with the best at its root, heap[n_heap..n) holds what was taken, best last. */
typedef struct
{
  Candidate *heap;
  guint n;
  guint n_heap;
  float max;
} Candidates;

StSampler *
st_sampler_new (guint vocab_size)
{
  StSampler *sampler = g_new0 (StSampler, 1);

  g_assert (vocab_size > 0 && vocab_size <= G_MAXINT32);
  sampler->vocab_size = vocab_size;
  sampler->logits = g_new (float, vocab_size);
  sampler->counts = g_new0 (guint32, vocab_size);
  sampler->heap = g_new (Candidate, vocab_size);
  return sampler;
}

void
st_sampler_free (StSampler * sampler)
{
  if (sampler == NULL)
    return;
  g_free (sampler->logits);
  g_free (sampler->counts);
  g_free (sampler->heap);
  g_free (sampler);
}

gdouble
st_sampler_uniform (guint64 seed, guint64 position)
{
  guint32 c0 = (guint32) position, c1 = (guint32) (position >> 32);
  guint32 c2 = 0, c3 = 0;
  guint32 k0 = (guint32) seed, k1 = (guint32) (seed >> 32);

  for (guint round = 0; round < 10; round++) {
    guint64 a = G_GUINT64_CONSTANT (0xD2511F53) * c0;
    guint64 b = G_GUINT64_CONSTANT (0xCD9E8D57) * c2;

    c0 = (guint32) (b >> 32) ^ c1 ^ k0;
    c1 = (guint32) b;
    c2 = (guint32) (a >> 32) ^ c3 ^ k1;
    c3 = (guint32) a;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return (gdouble) (((guint64) c0 << 32 | c1) >> 11) * 0x1p-53;
}

static gboolean
has_penalties (const StSamplerParams * params)
{
  return params->repeat_last_n != 0 && (params->repeat_penalty != 1.0f
      || params->presence_penalty != 0.0f || params->frequency_penalty != 0.0f);
}

/* A logit at or below zero is multiplied by the repeat penalty and one above is divided, so that both become less likely. */
static float
penalise (const StSamplerParams * params, float logit, guint32 count)
{
  if (logit <= 0)
    logit *= params->repeat_penalty;
  else
    logit /= params->repeat_penalty;
  return logit - (float) count *params->frequency_penalty -
      params->presence_penalty;
}

static const float *
apply_penalties (StSampler * sampler, const StSamplerParams * params,
    const float *logits, const gint32 * history, gsize n_history)
{
  gsize begin = 0;

  if (!has_penalties (params) || n_history == 0)
    return logits;
  if (params->repeat_last_n > 0 && n_history > (gsize) params->repeat_last_n)
    begin = n_history - (gsize) params->repeat_last_n;

  memcpy (sampler->logits, logits, sampler->vocab_size * sizeof (float));
  for (gsize i = begin; i < n_history; i++) {
    if (history[i] >= 0 && (guint) history[i] < sampler->vocab_size)
      sampler->counts[history[i]]++;
  }
  for (gsize i = begin; i < n_history; i++) {
    gint32 id = history[i];

    if (id < 0 || (guint) id >= sampler->vocab_size || !sampler->counts[id])
      continue;
    sampler->logits[id] = penalise (params, logits[id], sampler->counts[id]);
    sampler->counts[id] = 0;
  }
  return sampler->logits;
}

static gint32
argmax (const float *logits, guint n)
{
  gint32 best = -1;
  float max = -INFINITY;

  for (guint i = 0; i < n; i++) {
    if (logits[i] > max) {
      max = logits[i];
      best = (gint32) i;
    }
  }
  return best;
}

/* A total order: equal logits are ordered by id, so that the result never depends on how the heap was built. */
static gboolean
is_better (Candidate a, Candidate b)
{
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* Moves heap[i] down. With @worst_first the root is the worst candidate, else the best. */
static void
sift_down (Candidate * heap, guint n, guint i, gboolean worst_first)
{
  Candidate moving = heap[i];

  for (guint child = 2 * i + 1; child < n; i = child, child = 2 * i + 1) {
    if (child + 1 < n
        && is_better (heap[child + 1], heap[child]) != worst_first)
      child++;
    if (is_better (heap[child], moving) == worst_first)
      break;
    heap[i] = heap[child];
  }
  heap[i] = moving;
}

static void
heapify (Candidate * heap, guint n, gboolean worst_first)
{
  for (guint i = n / 2; i-- > 0;)
    sift_down (heap, n, i, worst_first);
}

/* Fills the heap with the @k best logits, or with all that can be drawn. The worst of the chosen is at the root meanwhile:
 * nearly every logit is turned away by one comparison. */
static guint
choose (StSampler * sampler, const float *logits, guint k)
{
  Candidate *heap = sampler->heap;
  guint n = 0;

  for (guint i = 0; i < sampler->vocab_size; i++) {
    Candidate candidate = { logits[i], (gint32) i };

    if (!(logits[i] > -INFINITY))
      continue;
    if (n < k) {
      heap[n++] = candidate;
      if (n == k && k < sampler->vocab_size)
        heapify (heap, n, TRUE);
    } else if (is_better (candidate, heap[0])) {
      heap[0] = candidate;
      sift_down (heap, n, 0, TRUE);
    }
  }
  return n;
}

/* The @i-th best candidate. */
static Candidate
take (Candidates * c, guint i)
{
  while (c->n - c->n_heap <= i) {
    Candidate best = c->heap[0];

    c->heap[0] = c->heap[--c->n_heap];
    if (c->n_heap > 0)
      sift_down (c->heap, c->n_heap, 0, FALSE);
    c->heap[c->n_heap] = best;
  }
  return c->heap[c->n - 1 - i];
}

/* exp ((logit - max) / temperature); infinite logits share everything. */
static gdouble
weight (const Candidates * c, Candidate candidate, gdouble temperature)
{
  if (candidate.logit == c->max)
    return 1.0;
  return exp (((gdouble) candidate.logit - (gdouble) c->max) / temperature);
}

static gdouble
sum_weights (const Candidates * c, guint n, gdouble temperature)
{
  gdouble sum = 0;

  /* Best first if they were taken: the last n places hold them in reverse. */
  for (guint i = 0; i < n; i++)
    sum += weight (c, c->heap[c->n - 1 - i], temperature);
  return sum;
}

/* How many of the best candidates top-p and min-p leave; at least one. Both see the distribution at temperature 1. */
static guint
cut (Candidates * c, const StSamplerParams * params)
{
  gboolean use_top_p = params->top_p < 1.0f;
  gdouble min_logit = -INFINITY, mass = 0, enough = INFINITY;
  guint kept = 0;

  if (use_top_p)
    enough = (gdouble) params->top_p * sum_weights (c, c->n, 1.0);
  if (params->min_p > 0.0f)
    min_logit = (gdouble) c->max + log ((gdouble) params->min_p);
  else if (!use_top_p)
    return c->n;

  while (kept < c->n) {
    Candidate next = take (c, kept);

    if (kept > 0 && next.logit < min_logit)
      break;
    kept++;
    mass += weight (c, next, 1.0);
    if (mass >= enough)
      break;
  }
  return kept;
}

static gint32
draw (Candidates * c, guint kept, gdouble temperature, gdouble uniform)
{
  gdouble target = uniform * sum_weights (c, kept, temperature);
  gdouble sum = 0;
  gint32 id = -1;

  for (guint i = 0; i < kept; i++) {
    Candidate next = take (c, i);
    gdouble w = weight (c, next, temperature);

    /* Rounding may leave the target just above the sum of all: the last one that can be drawn stands. */
    if (w == 0)
      break;
    id = next.id;
    sum += w;
    if (sum > target)
      break;
  }
  return id;
}

gint32
st_sampler_sample (StSampler * sampler, const StSamplerParams * params,
    const float *logits, const gint32 * history, gsize n_history,
    guint64 position)
{
  Candidates c = { sampler->heap, 0, 0, 0 };
  guint k = sampler->vocab_size;

  logits = apply_penalties (sampler, params, logits, history, n_history);
  /* The cuts never remove the best, so greedy needs none of them. */
  if (!(params->temperature > 0.0f))
    return argmax (logits, sampler->vocab_size);

  if (params->top_k > 0)
    k = MIN (k, (guint) params->top_k);
  c.n = c.n_heap = choose (sampler, logits, k);
  if (c.n == 0)
    return -1;
  heapify (c.heap, c.n, FALSE);
  c.max = c.heap[0].logit;
  return draw (&c, cut (&c, params), params->temperature,
      st_sampler_uniform (params->seed, position));
}
