/* The real model against an independent forward pass (PyTorch, float32 weights and activations). */
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "tests/support/model-tools.h"
#include "tests/support/test-model.h"

#define N_TOKENS 128

typedef struct
{
  gchar *path;
  JsonParser *parser;
  JsonObject *root;
  gint32 ids[N_TOKENS];
} Reference;

static void
set_up (Reference * reference, gconstpointer unused)
{
  g_autofree gchar *text = NULL;
  g_autoptr (GError) error = NULL;
  JsonArray *ids;
  gsize len;

  (void) unused;
  reference->path = st_test_model_path ();
  if (reference->path == NULL)
    return;
  text = st_test_read_data ("smollm2-reference.json", &len);
  reference->parser = json_parser_new ();
  json_parser_load_from_data (reference->parser, text, (gssize) len, &error);
  g_assert_no_error (error);
  reference->root =
      json_node_get_object (json_parser_get_root (reference->parser));
  ids = json_object_get_array_member (reference->root, "ids");
  g_assert_cmpuint (json_array_get_length (ids), ==, N_TOKENS);
  for (guint i = 0; i < N_TOKENS; i++)
    reference->ids[i] = (gint32) json_array_get_int_element (ids, i);
}

static void
tear_down (Reference * reference, gconstpointer unused)
{
  (void) unused;
  g_clear_object (&reference->parser);
  g_free (reference->path);
}

static gboolean
skipped (const Reference * reference)
{
  if (reference->path == NULL)
    g_test_skip ("the model is not there: set ST_TEST_MODEL");
  return reference->path == NULL;
}

/* The five largest logits of every listed position, in order. */
static void
check_top5 (const Reference * reference, const float *logits, guint vocab)
{
  JsonObject *top5 = json_object_get_object_member (reference->root, "top5");
  g_autoptr (GList) positions = json_object_get_members (top5);

  g_assert_nonnull (positions);
  for (GList * l = positions; l != NULL; l = l->next) {
    JsonArray *pairs = json_object_get_array_member (top5, l->data);
    g_autofree float *row =
        g_memdup2 (logits + g_ascii_strtoull (l->data, NULL, 10) * vocab,
        vocab * sizeof (float));

    for (guint i = 0; i < json_array_get_length (pairs); i++) {
      JsonArray *pair = json_array_get_array_element (pairs, i);
      gint32 best = st_test_argmax (row, vocab);

      g_assert_cmpint (best, ==, json_array_get_int_element (pair, 0));
      g_assert_cmpfloat_with_epsilon (row[best],
          json_array_get_double_element (pair, 1), 0.01);
      row[best] = -INFINITY;
    }
  }
}

/* One way of computing, each of which must agree with the reference. */
typedef struct
{
  StRegime regime;
  gboolean deterministic;
  StType cache_type;
} Mode;

static void
open_mode (const Reference * reference, const Mode * mode, StTestChain * chain)
{
  StModelOptions options = {
    .last_block = -1,
    .embed = TRUE,
    .output = TRUE,
    .threads = 1,
    .deterministic = mode->deterministic,
  };
  g_autoptr (GError) error = NULL;

  st_test_chain_open (chain, reference->path, NULL, 1, N_TOKENS,
      mode->cache_type);
  st_model_unref (chain->parts[0]);
  chain->parts[0] = st_model_open (reference->path, &options, &error);
  g_assert_no_error (error);
}

static void
check_mode (const Reference * reference, const Mode * mode)
{
  JsonArray *argmax =
      json_object_get_array_member (reference->root, "greedy_argmax");
  JsonArray *nll = json_object_get_array_member (reference->root, "nll");
  g_autofree float *logits = NULL;
  g_autofree float *x = NULL;
  StTestChain chain;
  gdouble sum = 0, worst = 0, mean;

  open_mode (reference, mode, &chain);
  x = g_new (float, N_TOKENS * chain.hidden);
  logits = g_new (float, (gsize) N_TOKENS * chain.vocab);
  st_test_chain_run (&chain, reference->ids, N_TOKENS, mode->regime, x);
  st_test_chain_logits (&chain, x, N_TOKENS, mode->regime, logits);
  for (guint i = 0; i < N_TOKENS; i++) {
    const float *row = logits + (gsize) i * chain.vocab;

    g_assert_cmpint (st_test_argmax (row, chain.vocab), ==,
        json_array_get_int_element (argmax, i));
    if (i + 1 < N_TOKENS) {
      gdouble loss =
          st_log_sum_exp (row, chain.vocab) - row[reference->ids[i + 1]];

      sum += loss;
      worst = MAX (worst, fabs (loss - json_array_get_double_element (nll, i)));
    }
  }
  mean = sum / (N_TOKENS - 1);
  g_test_message
      ("mean negative log-likelihood %.6f (reference %.6f), largest difference of a token %.2g",
      mean, json_object_get_double_member (reference->root, "mean_nll"), worst);
  g_assert_cmpfloat_with_epsilon (mean,
      json_object_get_double_member (reference->root, "mean_nll"), 0.001);
  g_assert_cmpfloat (worst, <, mode->cache_type == ST_TYPE_F32 ? 0.001 : 0.02);
  check_top5 (reference, logits, chain.vocab);
  st_test_chain_close (&chain);
}

static void
test_mode (Reference * reference, gconstpointer data)
{
  if (!skipped (reference))
    check_mode (reference, data);
}

static void
check_norms (const Reference * reference, guint block, const float *x,
    guint hidden, gdouble * worst)
{
  g_autofree gchar *key = g_strdup_printf ("%u", block);
  JsonArray *norms =
      json_object_get_array_member (json_object_get_object_member
      (reference->root, "xk_l2"), key);

  for (guint i = 0; i < N_TOKENS; i++) {
    gdouble sum = 0, expected = json_array_get_double_element (norms, i);

    for (guint j = 0; j < hidden; j++)
      sum += (gdouble) x[i * hidden + j] * x[i * hidden + j];
    *worst = MAX (*worst, fabs (sqrt (sum) / expected - 1));
  }
}

static void
check_values (const Reference * reference, guint block, const float *x,
    guint hidden, gdouble * worst)
{
  JsonObject *blocks =
      json_object_get_object_member (reference->root, "xk_first8");
  g_autofree gchar *key = g_strdup_printf ("%u", block);
  g_autoptr (GList) positions = NULL;
  JsonObject *rows;

  if (!json_object_has_member (blocks, key))
    return;
  rows = json_object_get_object_member (blocks, key);
  positions = json_object_get_members (rows);
  for (GList * l = positions; l != NULL; l = l->next) {
    JsonArray *values = json_object_get_array_member (rows, l->data);
    const float *row = x + g_ascii_strtoull (l->data, NULL, 10) * hidden;
    gdouble error = 0, norm = 0;

    for (guint i = 0; i < json_array_get_length (values); i++) {
      gdouble value = json_array_get_double_element (values, i);

      error += (row[i] - value) * (row[i] - value);
      norm += value * value;
    }
    *worst = MAX (*worst, sqrt (error / norm));
  }
}

/* Hidden states before every block, each block run by a model that holds only that block. */
static void
test_hidden_states (Reference * reference, gconstpointer unused)
{
  g_autoptr (StModel) head = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree float *x = NULL;
  gdouble worst_norm = 0, worst_value = 0;
  guint hidden, n_blocks;

  (void) unused;
  if (skipped (reference))
    return;
  head = st_test_open_blocks (reference->path, 0, 0, 1);
  hidden = st_model_config (head)->hidden_size;
  n_blocks = st_model_config (head)->n_blocks;
  x = g_new (float, N_TOKENS * hidden);
  st_model_embed (head, reference->ids, N_TOKENS, x, &error);
  g_assert_no_error (error);
  for (guint block = 0; block <= n_blocks; block++) {
    check_norms (reference, block, x, hidden, &worst_norm);
    check_values (reference, block, x, hidden, &worst_value);
    if (block < n_blocks) {
      g_autoptr (StModel) model =
          st_test_open_blocks (reference->path, (gint) block, (gint) block + 1,
          1);
      StKvCache *cache = st_kv_cache_new (model, N_TOKENS, ST_TYPE_F32, &error);

      g_assert_no_error (error);
      st_model_run (model, cache, x, N_TOKENS, ST_REGIME_PREFILL, NULL, &error);
      g_assert_no_error (error);
      st_kv_cache_free (cache);
    }
  }
  g_test_message ("largest relative difference: norms %.2g, first values %.2g",
      worst_norm, worst_value);
  g_assert_cmpfloat (worst_norm, <, 0.001);
  g_assert_cmpfloat (worst_value, <, 0.001);
}

int
main (int argc, char **argv)
{
  static const Mode prefill = { ST_REGIME_PREFILL, TRUE, ST_TYPE_F32 };
  static const Mode step = { ST_REGIME_STEP, TRUE, ST_TYPE_F32 };
  static const Mode openblas = { ST_REGIME_PREFILL, FALSE, ST_TYPE_F32 };
  static const Mode half = { ST_REGIME_PREFILL, TRUE, ST_TYPE_F16 };
  static const Mode half_step = { ST_REGIME_STEP, TRUE, ST_TYPE_F16 };

  g_test_init (&argc, &argv, NULL);
  g_test_add ("/reference/prefill", Reference, &prefill, set_up, test_mode,
      tear_down);
  g_test_add ("/reference/step", Reference, &step, set_up, test_mode,
      tear_down);
  g_test_add ("/reference/prefill-openblas", Reference, &openblas, set_up,
      test_mode, tear_down);
  g_test_add ("/reference/prefill-f16-cache", Reference, &half, set_up,
      test_mode, tear_down);
  g_test_add ("/reference/step-f16-cache", Reference, &half_step, set_up,
      test_mode, tear_down);
  g_test_add ("/reference/hidden-states", Reference, NULL, set_up,
      test_hidden_states, tear_down);
  return g_test_run ();
}
