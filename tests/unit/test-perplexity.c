/* Perplexity of the real model on Hamlet, scored as llama.cpp's perplexity tool does: windows of 512 ids, each from position 0, the
 * second half of each scored. Reference: that tool with float32 weights, 32.5611 over 12 windows. */
#include <math.h>

#include "tests/support/model-tools.h"
#include "tests/support/test-model.h"

#define WINDOW 512
#define N_WINDOWS 12
#define SCORED 255              /* predictions a window */
#define EXPECTED 32.5611

static gdouble
score_window (StTestChain * chain, const gint32 * ids, float *x, float *logits)
{
  const guint from = WINDOW - 1 - SCORED;
  gdouble sum = 0;

  st_test_chain_truncate (chain, 0);
  st_test_chain_run (chain, ids, WINDOW, ST_REGIME_PREFILL, x);
  st_test_chain_logits (chain, x + from * chain->hidden, WINDOW - from - 1,
      ST_REGIME_PREFILL, logits);
  for (guint i = from; i < WINDOW - 1; i++) {
    const float *row = logits + (gsize) (i - from) * chain->vocab;

    sum += st_log_sum_exp (row, chain->vocab) - row[ids[i + 1]];
  }
  return sum;
}

static void
test_hamlet (void)
{
  g_autofree gchar *path = st_test_model_path ();
  g_autofree gchar *text = NULL;
  g_autofree float *logits = NULL;
  g_autofree float *x = NULL;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GError) error = NULL;
  StTestChain chain;
  gdouble sum = 0, perplexity = 0;
  gsize len;

  if (path == NULL) {
    g_test_skip ("the model is not there: set ST_TEST_MODEL");
    return;
  }
  st_test_chain_open (&chain, path, NULL, 0, WINDOW, ST_TYPE_F32);
  text = st_test_read_data ("hamlet20k.txt", &len);
  st_tokenizer_encode (st_model_tokenizer (chain.parts[0]), text, len, FALSE,
      ids, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ids->len, >=, N_WINDOWS * WINDOW);
  x = g_new (float, WINDOW * chain.hidden);
  logits = g_new (float, (gsize) SCORED * chain.vocab);
  for (guint i = 0; i < N_WINDOWS; i++) {
    sum +=
        score_window (&chain, &g_array_index (ids, gint32, i * WINDOW), x,
        logits);
    perplexity = exp (sum / ((gdouble) (i + 1) * SCORED));
    g_test_message ("window %u: running perplexity %.4f", i + 1, perplexity);
  }
  g_assert_cmpfloat_with_epsilon (perplexity, EXPECTED, 0.03);
  st_test_chain_close (&chain);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/perplexity/hamlet", test_hamlet);
  return g_test_run ();
}
