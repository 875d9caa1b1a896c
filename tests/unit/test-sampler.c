/* Sampler: against probabilities worked out by hand, and against a plain implementation that sorts everything. */
#include "models/sampler.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_DRAWS 200000
/* Everything off: the plain softmax. */
#define PLAIN { 1.0f, 0, 1.0f, 0.0f, 1.0f, 64, 0.0f, 0.0f, 42 }

static void
count_draws (const StSamplerParams * params, const float *logits, guint n,
    const gint32 * history, gsize n_history, guint * counts)
{
  StSampler *sampler = st_sampler_new (n);

  memset (counts, 0, n * sizeof (guint));
  for (guint64 p = 0; p < N_DRAWS; p++) {
    gint32 id = st_sampler_sample (sampler, params, logits, history, n_history,
        p);
    g_assert_cmpint (id, >=, 0);
    g_assert_cmpint (id, <, (gint) n);
    counts[id]++;
  }
  st_sampler_free (sampler);
}

/* Every count within five standard deviations of its expectation; what has probability 0 is never drawn. */
static void
assert_distribution (const StSamplerParams * params, const float *logits,
    guint n, const gdouble * expected)
{
  guint counts[64];

  g_assert_cmpuint (n, <=, G_N_ELEMENTS (counts));
  count_draws (params, logits, n, NULL, 0, counts);
  for (guint i = 0; i < n; i++) {
    gdouble p = expected[i];
    gdouble limit = 5 * sqrt (N_DRAWS * p * (1 - p));

    g_assert_cmpfloat (fabs (counts[i] - N_DRAWS * p), <=, limit);
  }
}

/* The first two words of philox4x32-10: Random123's known answer for zeros, and one that shows the order of the words, worked
 * out by a second implementation that gives Random123's three known answers. */
static void
test_uniform_known_answers (void)
{
  g_assert_cmpfloat (st_sampler_uniform (0, 0), ==,
      (gdouble) (G_GUINT64_CONSTANT (0x6627e8d5e169c58d) >> 11) * 0x1p-53);
  g_assert_cmpfloat (st_sampler_uniform (G_GUINT64_CONSTANT
          (0x0123456789abcdef), G_GUINT64_CONSTANT (0xfedcba9876543210)), ==,
      (gdouble) (G_GUINT64_CONSTANT (0x2c03a599d8a290fc) >> 11) * 0x1p-53);
  g_assert_cmpfloat (st_sampler_uniform (1, 0), !=, st_sampler_uniform (0, 0));
  g_assert_cmpfloat (st_sampler_uniform (0, 1), !=, st_sampler_uniform (0, 0));
  g_assert_cmpfloat (st_sampler_uniform (G_GUINT64_CONSTANT (1) << 32, 0), !=,
      st_sampler_uniform (0, 0));
  g_assert_cmpfloat (st_sampler_uniform (0, G_GUINT64_CONSTANT (1) << 32), !=,
      st_sampler_uniform (0, 0));
}

/* Neighbouring positions and neighbouring seeds: mean 1/2, variance 1/12, no correlation. */
static void
test_uniform_statistics (void)
{
  for (guint along_seed = 0; along_seed < 2; along_seed++) {
    gdouble sum = 0, squares = 0, products = 0, last = 0.5;

    for (guint64 i = 0; i < N_DRAWS; i++) {
      gdouble u = along_seed ? st_sampler_uniform (i, 7)
          : st_sampler_uniform (7, i);

      g_assert_true (u >= 0 && u < 1);
      sum += u;
      squares += (u - 0.5) * (u - 0.5);
      products += (u - 0.5) * (last - 0.5);
      last = u;
    }
    g_assert_cmpfloat (fabs (sum / N_DRAWS - 0.5), <, 5 * sqrt (1 / 12.0
            / N_DRAWS));
    g_assert_cmpfloat (fabs (squares / N_DRAWS - 1 / 12.0), <, 0.001);
    g_assert_cmpfloat (fabs (products / N_DRAWS), <, 0.001);
  }
}

static void
test_greedy (void)
{
  const float logits[] = { 1, 5, NAN, 5, -INFINITY, 4 };
  StSamplerParams params = PLAIN;
  StSampler *sampler = st_sampler_new (G_N_ELEMENTS (logits));
  const float temperatures[] = { 0.0f, -1.0f, NAN };

  for (guint i = 0; i < G_N_ELEMENTS (temperatures); i++) {
    params.temperature = temperatures[i];
    g_assert_cmpint (st_sampler_sample (sampler, &params, logits, NULL, 0, i),
        ==, 1);
  }
  st_sampler_free (sampler);
}

static void
test_softmax (void)
{
  const float logits[] = { logf (1), logf (2), logf (3), logf (4) };
  const gdouble expected[] = { 0.1, 0.2, 0.3, 0.4 };
  StSamplerParams params = PLAIN;

  assert_distribution (&params, logits, 4, expected);
}

static void
test_temperature (void)
{
  /* At temperature 1/2 the weights are squared. */
  const float logits[] = { logf (1), logf (2), logf (3), logf (4) };
  const gdouble squared[] = { 1 / 30.0, 4 / 30.0, 9 / 30.0, 16 / 30.0 };
  const gdouble flat[] = { 0.25, 0.25, 0.25, 0.25 };
  const gdouble best[] = { 0, 0, 0, 1 };
  StSamplerParams params = PLAIN;

  params.temperature = 0.5f;
  assert_distribution (&params, logits, 4, squared);
  params.temperature = INFINITY;
  assert_distribution (&params, logits, 4, flat);
  params.temperature = 1e-30f;
  assert_distribution (&params, logits, 4, best);
}

static void
test_top_k (void)
{
  const float logits[] = { logf (1), logf (4), logf (3), logf (2) };
  const gdouble one[] = { 0, 1, 0, 0 };
  const gdouble two[] = { 0, 4 / 7.0, 3 / 7.0, 0 };
  const gdouble all[] = { 0.1, 0.4, 0.3, 0.2 };
  const struct
  {
    gint k;
    const gdouble *expected;
  } cases[] = { {1, one}, {2, two}, {4, all}, {5, all}, {0, all}, {-1, all},
  {G_MAXINT, all}
  };
  StSamplerParams params = PLAIN;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    params.top_k = cases[i].k;
    assert_distribution (&params, logits, 4, cases[i].expected);
  }
}

static void
test_top_p (void)
{
  const float logits[] = { logf (1), logf (4), logf (3), logf (2) };
  const gdouble one[] = { 0, 1, 0, 0 };
  const gdouble two[] = { 0, 4 / 7.0, 3 / 7.0, 0 };
  const gdouble all[] = { 0.1, 0.4, 0.3, 0.2 };
  const struct
  {
    float p;
    const gdouble *expected;
  } cases[] = { {0.0f, one}, {-1.0f, one}, {0.39f, one}, {0.41f, two},
  {0.69f, two}, {0.95f, all}, {1.0f, all}, {2.0f, all}
  };
  StSamplerParams params = PLAIN;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    params.top_p = cases[i].p;
    assert_distribution (&params, logits, 4, cases[i].expected);
  }
}

static void
test_min_p (void)
{
  const float logits[] = { logf (1), logf (4), logf (3), logf (2) };
  const gdouble one[] = { 0, 1, 0, 0 };
  const gdouble two[] = { 0, 4 / 7.0, 3 / 7.0, 0 };
  const gdouble all[] = { 0.1, 0.4, 0.3, 0.2 };
  const struct
  {
    float p;
    const gdouble *expected;
  } cases[] = { {1.0f, one}, {2.0f, one}, {0.76f, one}, {0.74f, two},
  {0.51f, two}, {0.24f, all}, {0.0f, all}, {-1.0f, all}
  };
  StSamplerParams params = PLAIN;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    params.min_p = cases[i].p;
    assert_distribution (&params, logits, 4, cases[i].expected);
  }
}

/* The cuts see temperature 1, the draw sees what is left at the temperature asked for. */
static void
test_order (void)
{
  const float logits[] = { logf (1), logf (4), logf (3), logf (2) };
  const gdouble top_p[] = { 0, 0.5, 0.5, 0 };
  const gdouble top_k_then_p[] = { 0, 1, 0, 0 };
  StSamplerParams params = PLAIN;

  params.temperature = INFINITY;
  params.top_p = 0.5f;
  assert_distribution (&params, logits, 4, top_p);
  params.top_p = 1.0f;
  params.min_p = 0.6f;
  assert_distribution (&params, logits, 4, top_p);
  /* 0.5 of everything needs two, 0.5 of the two best needs one. */
  params.min_p = 0.0f;
  params.top_p = 0.5f;
  params.top_k = 2;
  assert_distribution (&params, logits, 4, top_k_then_p);
}

static void
test_ties (void)
{
  const float logits[] = { 0, 1, 1, 1, 1, 0 };
  const gdouble two[] = { 0, 0.5, 0.5, 0, 0, 0 };
  StSamplerParams params = PLAIN;

  params.top_k = 2;
  assert_distribution (&params, logits, 6, two);
  params.top_k = 0;
  params.top_p = 0.3f;
  assert_distribution (&params, logits, 6, two);
}

static void
test_nan_and_infinity (void)
{
  const float some[] = { NAN, logf (1), -INFINITY, logf (3), NAN };
  const gdouble some_expected[] = { 0, 0.25, 0, 0.75, 0 };
  const float high[] = { 1, INFINITY, NAN, INFINITY, -INFINITY };
  const gdouble high_expected[] = { 0, 0.5, 0, 0.5, 0 };
  const float none[] = { NAN, -INFINITY, NAN, -INFINITY, NAN };
  StSamplerParams params[] = { PLAIN, PLAIN, ST_SAMPLER_PARAMS_DEFAULT };
  StSampler *sampler = st_sampler_new (5);

  params[1].top_k = 3;
  params[1].top_p = 0.99f;
  params[1].min_p = 0.01f;
  params[2].temperature = 1.0f;
  for (guint i = 0; i < G_N_ELEMENTS (params); i++) {
    assert_distribution (&params[i], some, 5, some_expected);
    assert_distribution (&params[i], high, 5, high_expected);
    g_assert_cmpint (st_sampler_sample (sampler, &params[i], none, NULL, 0, 0),
        ==, -1);
  }
  params[0].temperature = 0;
  g_assert_cmpint (st_sampler_sample (sampler, &params[0], high, NULL, 0, 0),
      ==, 1);
  g_assert_cmpint (st_sampler_sample (sampler, &params[0], none, NULL, 0, 0),
      ==, -1);
  st_sampler_free (sampler);
}

static gint32
greedy_after (const StSamplerParams * params, const float *logits, guint n,
    const gint32 * history, gsize n_history)
{
  StSampler *sampler = st_sampler_new (n);
  gint32 id = st_sampler_sample (sampler, params, logits, history, n_history,
      0);

  st_sampler_free (sampler);
  return id;
}

static void
test_penalties (void)
{
  const float logits[] = { 4.0f, 3.9f, 3.0f, -1.0f };
  const float negative[] = { -1.0f, -1.5f };
  const gint32 history[] = { 0, 0, 1, 99, -5, 0 };
  StSamplerParams params = PLAIN;

  params.temperature = 0;
  g_assert_cmpint (greedy_after (&params, logits, 4, history, 6), ==, 0);
  /* 4 / 1.1 = 3.64 and 3.9 / 1.1 = 3.55: still 0. By 1.5: 2.67 and 2.6, so 2 wins. */
  params.repeat_penalty = 1.1f;
  g_assert_cmpint (greedy_after (&params, logits, 4, history, 6), ==, 0);
  params.repeat_penalty = 1.5f;
  g_assert_cmpint (greedy_after (&params, logits, 4, history, 6), ==, 2);
  g_assert_cmpint (greedy_after (&params, negative, 2, history, 1), ==, 0);
  params.repeat_penalty = 1.6f;
  g_assert_cmpint (greedy_after (&params, negative, 2, history, 1), ==, 1);
  /* Each appearance counts for frequency: 4 - 3 * 0.2 = 3.4 and 3.9 - 0.2 = 3.7. */
  params.repeat_penalty = 1.0f;
  params.frequency_penalty = 0.2f;
  g_assert_cmpint (greedy_after (&params, logits, 4, history, 6), ==, 1);
  /* Once for presence: 3.8 and 3.7, so 0 stays. */
  params.frequency_penalty = 0;
  params.presence_penalty = 0.2f;
  g_assert_cmpint (greedy_after (&params, logits, 4, history, 6), ==, 0);
  params.presence_penalty = 1.1f;
  g_assert_cmpint (greedy_after (&params, logits, 4, history, 6), ==, 2);
  params.presence_penalty = -1.0f;
  g_assert_cmpint (greedy_after (&params, logits, 4, history + 2, 1), ==, 1);
}

static void
test_penalty_window (void)
{
  const float logits[] = { 4.0f, 3.9f };
  const gint32 history[] = { 0, 1, 1, 1 };
  const struct
  {
    gint last_n;
    gint32 expected;
  } cases[] = { {0, 0}, {3, 0}, {4, 1}, {100, 1}, {-1, 1} };
  StSamplerParams params = PLAIN;

  /* Without the 0 at the far end only 1 is made less likely; with it both are, 0 by more. */
  params.temperature = 0;
  params.repeat_penalty = 2.0f;
  params.presence_penalty = 1.0f;
  params.frequency_penalty = -0.5f;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    params.repeat_last_n = cases[i].last_n;
    g_assert_cmpint (greedy_after (&params, logits, 2, history, 4), ==,
        cases[i].expected);
  }
}

/* Nothing stays behind: the same question has the same answer, and the logits are not touched. */
static void
test_no_state (void)
{
  enum
  { N = 1000 };
  float logits[N], copy[N];
  gint32 history[N], first[N];
  StSamplerParams params = ST_SAMPLER_PARAMS_DEFAULT;
  StSampler *a = st_sampler_new (N), *b = st_sampler_new (N);
  guint differ = 0;

  params.seed = 7;
  params.repeat_penalty = 1.3f;
  for (guint i = 0; i < N; i++) {
    logits[i] = (float) (5 * st_sampler_uniform (1, i));
    history[i] = (gint32) (i * 31 % N);
  }
  memcpy (copy, logits, sizeof (copy));
  for (guint i = 0; i < N; i++)
    first[i] = st_sampler_sample (a, &params, logits, history, i, i);
  for (guint i = N; i-- > 0;) {
    g_assert_cmpint (st_sampler_sample (i % 2 ? a : b, &params, logits,
            history, i, i), ==, first[i]);
  }
  g_assert_cmpmem (logits, sizeof (logits), copy, sizeof (copy));
  params.seed = 8;
  for (guint i = 0; i < N; i++)
    differ += st_sampler_sample (a, &params, logits, history, i, i)
        != first[i];
  g_assert_cmpuint (differ, >, N / 2);
  st_sampler_free (a);
  st_sampler_free (b);
}

typedef struct
{
  double logit;
  gint32 id;
} Entry;

static int
by_logit (const void *a, const void *b)
{
  const Entry *x = a, *y = b;

  if (x->logit != y->logit)
    return x->logit > y->logit ? -1 : 1;
  return x->id < y->id ? -1 : 1;
}

/* Sort all, cut, draw: what the sampler must do, done plainly. */
static gint32
plain_sample (const StSamplerParams * params, const float *logits, guint n,
    guint64 position)
{
  g_autofree Entry *e = g_new (Entry, n);
  double sum = 0, mass = 0, target, max;
  guint kept = 0, k = params->top_k > 0 ? MIN (n, (guint) params->top_k) : n;

  for (guint i = 0; i < n; i++) {
    e[i].logit = logits[i];
    e[i].id = (gint32) i;
  }
  qsort (e, n, sizeof (Entry), by_logit);
  max = e[0].logit;
  for (guint i = 0; i < k; i++)
    sum += exp (e[i].logit - max);
  while (kept < k) {
    double p = exp (e[kept].logit - max);

    if (kept > 0 && p < params->min_p)
      break;
    mass += p;
    kept++;
    if (params->top_p < 1 && mass >= params->top_p * sum)
      break;
  }
  for (guint i = 0; i < kept; i++)
    e[i].logit = exp ((e[i].logit - max) / params->temperature);
  sum = 0;
  for (guint i = 0; i < kept; i++)
    sum += e[i].logit;
  target = sum * st_sampler_uniform (params->seed, position);
  for (guint i = 0; i < kept; i++) {
    target -= e[i].logit;
    if (target < 0)
      return e[i].id;
  }
  return e[kept - 1].id;
}

static void
test_against_sorting (void)
{
  const guint n = 49152;
  const gint top_k[] = { 0, 1, 2, 40, 1000, 49151 };
  const float top_p[] = { 1.0f, 0.95f, 0.5f, 0.999f };
  const float min_p[] = { 0.0f, 0.05f, 0.3f };
  StSamplerParams params = PLAIN;
  StSampler *sampler = st_sampler_new (n);
  g_autofree float *logits = g_new (float, n);
  guint64 position = 0;

  for (guint i = 0; i < n; i++) {
    /* Coarse steps make many ties; cubing makes a tail. */
    gdouble u = st_sampler_uniform (3, i);
    logits[i] = (float) (floor (u * u * u * 800) / 50);
  }
  for (guint a = 0; a < G_N_ELEMENTS (top_k); a++) {
    for (guint b = 0; b < G_N_ELEMENTS (top_p); b++) {
      for (guint c = 0; c < G_N_ELEMENTS (min_p); c++) {
        params.top_k = top_k[a];
        params.top_p = top_p[b];
        params.min_p = min_p[c];
        params.temperature = position % 2 ? 0.8f : 1.5f;
        g_assert_cmpint (st_sampler_sample (sampler, &params, logits, NULL, 0,
                position), ==, plain_sample (&params, logits, n, position));
        position++;
      }
    }
  }
  st_sampler_free (sampler);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sampler/uniform/known-answers",
      test_uniform_known_answers);
  g_test_add_func ("/sampler/uniform/statistics", test_uniform_statistics);
  g_test_add_func ("/sampler/greedy", test_greedy);
  g_test_add_func ("/sampler/softmax", test_softmax);
  g_test_add_func ("/sampler/temperature", test_temperature);
  g_test_add_func ("/sampler/top-k", test_top_k);
  g_test_add_func ("/sampler/top-p", test_top_p);
  g_test_add_func ("/sampler/min-p", test_min_p);
  g_test_add_func ("/sampler/order", test_order);
  g_test_add_func ("/sampler/ties", test_ties);
  g_test_add_func ("/sampler/nan-and-infinity", test_nan_and_infinity);
  g_test_add_func ("/sampler/penalties", test_penalties);
  g_test_add_func ("/sampler/penalty-window", test_penalty_window);
  g_test_add_func ("/sampler/no-state", test_no_state);
  g_test_add_func ("/sampler/against-sorting", test_against_sorting);
  return g_test_run ();
}
