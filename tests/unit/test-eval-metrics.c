/* Figures of the evaluation: distributions, sums, intervals, computed baselines. */
#include <math.h>
#include <string.h>
#include "pipelines/eval/compare.h"
#include "pipelines/eval/interval.h"
#include "pipelines/eval/link.h"

/* ---- distributions ---- */

#define VOCAB 4
#define ROWS 2

/* Logits of probabilities, moved by something that must not matter. */
static void
set_logits (float *logits, const gdouble * p, gdouble offset)
{
  for (guint i = 0; i < VOCAB; i++)
    logits[i] = (float) (log (p[i]) + offset);
}

static void
test_compare (void)
{
  static const gdouble p[ROWS][VOCAB] = { {0.5, 0.25, 0.125, 0.125},
  {0.1, 0.2, 0.3, 0.4}
  };
  static const gdouble q[ROWS][VOCAB] = { {0.25, 0.5, 0.125, 0.125},
  {0.1, 0.2, 0.3, 0.4}
  };
  static const gint32 targets[ROWS] = { 1, -1 };
  g_autoptr (EvalReference) reference = eval_reference_new (VOCAB, ROWS, 2);
  float ref[ROWS * VOCAB], coded[ROWS * VOCAB];
  EvalRow rows[ROWS];

  for (guint r = 0; r < ROWS; r++) {
    set_logits (ref + (gsize) r * VOCAB, p[r], 3);
    set_logits (coded + (gsize) r * VOCAB, q[r], r == 0 ? -20 : 3);
  }
  eval_reference_set (reference, ref, ROWS);
  eval_reference_compare (reference, coded, ROWS, targets, rows);
  g_assert_cmpfloat_with_epsilon (rows[0].kl, 0.25 * G_LN2, 1e-6);
  g_assert_false (rows[0].agree);
  g_assert_cmpfloat_with_epsilon (rows[0].nll, G_LN2, 1e-6);
  g_assert_cmpfloat_with_epsilon (rows[0].nll_ref, 2 * G_LN2, 1e-6);
  g_assert_cmpfloat (rows[1].kl, ==, 0);
  g_assert_true (rows[1].agree);
  g_assert_cmpfloat (rows[1].nll, ==, 0);

  eval_reference_self (reference, ROWS, targets, rows);
  g_assert_cmpfloat (rows[0].kl, ==, 0);
  g_assert_true (rows[0].agree);
  g_assert_cmpfloat_with_epsilon (rows[0].nll, 2 * G_LN2, 1e-6);
}

static void
test_argmax (void)
{
  static const float values[] = { -1, 3, 2, 3 };

  g_assert_cmpint (eval_argmax (values, G_N_ELEMENTS (values)), ==, 1);
}

/* ---- sums ---- */

static void
test_metrics (void)
{
  const EvalSum one = {.positions = 1,.kl = 0.5,.agree = 1,.targets = 1,
    .nll = 3,.nll_ref = 2,.frame_bits = 100,.payload_bits = 80,.id_bits = 12,
    .header_bits = 5,.control_bits = 3,.ideal_bits = 79
  };
  const EvalSum two = {.positions = 1,.kl = 0.1,.frame_bits = 60,
    .payload_bits = 40,.ideal_bits = 39
  };
  EvalSum sum = { 0, };

  g_assert_true (isnan (eval_metric_value (EVAL_KL, &sum)));
  eval_sum_add (&sum, &one);
  eval_sum_add (&sum, &two);
  g_assert_cmpfloat_with_epsilon (eval_metric_value (EVAL_WIRE_BPT, &sum), 84,
      1e-12);
  g_assert_cmpfloat_with_epsilon (eval_metric_value (EVAL_PAYLOAD_BPT, &sum),
      60, 1e-12);
  g_assert_cmpfloat_with_epsilon (eval_metric_value (EVAL_IDEAL_BPT, &sum), 59,
      1e-12);
  g_assert_cmpfloat_with_epsilon (eval_metric_value (EVAL_ID_BPT, &sum), 6,
      1e-12);
  g_assert_cmpfloat_with_epsilon (eval_metric_value (EVAL_HEADER_BPT, &sum),
      2.5, 1e-12);
  g_assert_cmpfloat_with_epsilon (eval_metric_value (EVAL_KL, &sum), 0.3,
      1e-12);
  g_assert_cmpfloat_with_epsilon (eval_metric_value (EVAL_TOP1, &sum), 0.5,
      1e-12);
  /* the last position of a text foretells nothing that is known */
  g_assert_cmpfloat_with_epsilon (eval_metric_value (EVAL_PPL, &sum), exp (3),
      1e-9);
  g_assert_cmpfloat_with_epsilon (eval_metric_value (EVAL_PPL_REF, &sum),
      exp (2), 1e-9);
  g_assert_cmpfloat_with_epsilon (eval_metric_value (EVAL_PPL_RATIO, &sum),
      exp (1), 1e-9);
  for (guint m = 0; m < EVAL_N_METRICS; m++)
    g_assert_nonnull (eval_metric_name ((EvalMetric) m));
}

/* ---- intervals ---- */

static void
test_blocks (void)
{
  g_autoptr (EvalBlocks) blocks = eval_blocks_new (2);
  EvalSum sums[2 * EVAL_BLOCK + 2] = { {0}, };

  for (guint i = 0; i < G_N_ELEMENTS (sums); i++) {
    sums[i].positions = 1;
    sums[i].kl = i;
  }
  eval_blocks_add (blocks, 1, sums, G_N_ELEMENTS (sums));
  g_assert_cmpuint (blocks->blocks[0]->len, ==, 0);
  g_assert_cmpuint (blocks->blocks[1]->len, ==, 3);
  /* 1 .. 64: the first position of the text is left out */
  const EvalSum *block = &g_array_index (blocks->blocks[1], EvalSum, 0);
  g_assert_cmpfloat (block->positions, ==, EVAL_BLOCK);
  g_assert_cmpfloat (block->kl, ==, EVAL_BLOCK * (EVAL_BLOCK + 1) / 2.0);
  g_assert_cmpfloat (g_array_index (blocks->blocks[1], EvalSum, 2).positions,
      ==, 1);
}

/* One position a block, values about 10 with a standard deviation of 2. */
static EvalBlocks *
random_blocks (guint n, guint seed)
{
  EvalBlocks *blocks = eval_blocks_new (1);
  GRand *rand = g_rand_new_with_seed (seed);

  for (guint i = 0; i < n; i++) {
    gdouble u = 1 - g_rand_double (rand), v = g_rand_double (rand);
    EvalSum sums[2] = { {0}, {.positions = 1,
        .kl = 10 + 2 * sqrt (-2 * log (u)) * cos (2 * G_PI * v)}
    };

    eval_blocks_add (blocks, 0, sums, 2);
  }
  g_rand_free (rand);
  return blocks;
}

static void
test_bootstrap (void)
{
  const EvalResampling how = { 1, 2000 }, other = { 2, 2000 }, none = { 1, 0 };
  const guint n = 400;
  g_autoptr (EvalBlocks) blocks = random_blocks (n, 7);
  g_autoptr (EvalBlocks) single = random_blocks (1, 7);
  EvalInterval i = eval_bootstrap_metric (blocks, EVAL_ALL_DOMAINS, EVAL_KL,
      &how);
  EvalInterval again = eval_bootstrap_metric (blocks, 0, EVAL_KL, &how);
  EvalInterval differs = eval_bootstrap_metric (blocks, 0, EVAL_KL, &other);
  gdouble half = 1.96 * 2 / sqrt (n);

  g_assert_cmpfloat_with_epsilon (i.value, 10, 0.3);
  g_assert_cmpfloat_with_epsilon (i.value - i.low, half, half / 5);
  g_assert_cmpfloat_with_epsilon (i.high - i.value, half, half / 5);
  g_assert_true (memcmp (&i, &again, sizeof i) == 0);
  g_assert_cmpfloat (i.low, !=, differs.low);
  g_assert_cmpfloat (i.value, ==, differs.value);
  i = eval_bootstrap_metric (single, 0, EVAL_KL, &how);
  g_assert_false (isnan (i.value));
  g_assert_true (isnan (i.low) && isnan (i.high));
  i = eval_bootstrap_metric (blocks, 0, EVAL_KL, &none);
  g_assert_true (!isnan (i.value) && isnan (i.low));
}

static gdouble
difference (const EvalSum * sums, guint n, gpointer user_data)
{
  (void) user_data;
  g_assert_cmpuint (n, ==, 2);
  return eval_metric_value (EVAL_KL, &sums[1])
      - eval_metric_value (EVAL_KL, &sums[0]);
}

/* The same blocks are drawn from both: what they have in common cancels. */
static void
test_paired (void)
{
  const EvalResampling how = { 1, 500 };
  g_autoptr (EvalBlocks) a = random_blocks (50, 3);
  g_autoptr (EvalBlocks) b = random_blocks (60, 3);
  EvalBlocks *const sets[] = { a, b };
  EvalInterval i;

  for (guint k = 0; k < b->blocks[0]->len; k++)
    g_array_index (b->blocks[0], EvalSum, k).kl += 1;
  i = eval_bootstrap (sets, 2, EVAL_ALL_DOMAINS, difference, NULL, &how);
  g_assert_cmpfloat_with_epsilon (i.value, 1, 1e-9);
  g_assert_cmpfloat_with_epsilon (i.low, 1, 1e-9);
  g_assert_cmpfloat_with_epsilon (i.high, 1, 1e-9);
}

/* scipy.stats.binomtest (hits, n).proportion_ci (method="wilson") */
static void
test_wilson (void)
{
  static const struct
  {
    guint hits, n;
    gdouble low, high;
  } cases[] = {
    {0, 10, 0, 0.2775327999},
    {10, 10, 0.7224672001, 1},
    {7, 20, 0.1811918241, 0.5671457233},
    {250, 300, 0.7870033504, 0.8712346688},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    EvalInterval w = eval_wilson (cases[i].hits, cases[i].n);

    g_assert_cmpfloat_with_epsilon (w.value,
        (gdouble) cases[i].hits / cases[i].n, 1e-12);
    g_assert_cmpfloat_with_epsilon (w.low, cases[i].low, 1e-9);
    g_assert_cmpfloat_with_epsilon (w.high, cases[i].high, 1e-9);
  }
  g_assert_true (isnan (eval_wilson (0, 0).value));
}

/* ---- computed baselines ---- */

/* One channel of step 2; bits as worked out by hand from the code's description. */
static void
test_rounding (void)
{
  static const float x[] = { 20000, 0.1F, -0.4F, 2.5F, 2.1F, -2, 5000 };
  static const float expected[] = { 20000, 0, 0, 2, 2, -2, 5000 };
  const guint n = G_N_ELEMENTS (x);
  const gdouble bits[] = { 32,
    1,                          /* the first value: no escape needed, gamma of 0 */
    1,                          /* 1/2 */
    2 + 3,                      /* new with 1/4, gamma of 1 */
    log2 (6),                   /* once among 3: 1/6 */
    2 + 3,                      /* new with 2/8, gamma of -1 */
    log2 (10.0 / 3) + 25,       /* too large to be counted; 2500 is 5000 in the gamma code */
  };
  EvalText text = {.n = n };
  EvalLink *link = eval_rounding_new (1, 2);
  float y[G_N_ELEMENTS (x)];
  EvalSum sums[G_N_ELEMENTS (x)] = { {0}, };
  EvalTimes times;

  g_assert_true (eval_link_send (link, &text, x, y, sums, NULL));
  for (guint i = 0; i < n; i++) {
    g_assert_cmpfloat (y[i], ==, expected[i]);
    g_assert_cmpfloat_with_epsilon (sums[i].payload_bits, bits[i], 1e-9);
    g_assert_cmpfloat (sums[i].frame_bits, ==, sums[i].payload_bits);
    g_assert_cmpfloat (sums[i].ideal_bits, ==, sums[i].payload_bits);
  }
  g_assert_false (eval_link_times (link, &times));
  eval_link_free (link);
}

static void
test_ids (void)
{
  gint32 ids[] = { 5, 5, 7 };
  const float x[] = { 1, 2, 3 };
  const gdouble bits[EVAL_N_ID_CODES][3] = { {9, 9, 9},
  {log2 (300), 1, 2 + log2 (300)}, {0, 0, 0}
  };
  EvalText text = {.n = 3,.ids = ids };

  for (guint code = 0; code < EVAL_N_ID_CODES; code++) {
    EvalLink *link = eval_ids_new ((EvalIdCode) code, 1, 300);
    EvalSum sums[3] = { {0}, };
    float y[3] = { 0 };

    g_assert_true (eval_link_send (link, &text, x, y, sums, NULL));
    g_assert_true (memcmp (x, y, sizeof x) == 0);
    for (guint i = 0; i < 3; i++)
      g_assert_cmpfloat_with_epsilon (sums[i].frame_bits, bits[code][i], 1e-9);
    eval_link_free (link);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/eval-metrics/compare", test_compare);
  g_test_add_func ("/eval-metrics/argmax", test_argmax);
  g_test_add_func ("/eval-metrics/metrics", test_metrics);
  g_test_add_func ("/eval-metrics/blocks", test_blocks);
  g_test_add_func ("/eval-metrics/bootstrap", test_bootstrap);
  g_test_add_func ("/eval-metrics/paired", test_paired);
  g_test_add_func ("/eval-metrics/wilson", test_wilson);
  g_test_add_func ("/eval-metrics/rounding", test_rounding);
  g_test_add_func ("/eval-metrics/ids", test_ids);
  return g_test_run ();
}
