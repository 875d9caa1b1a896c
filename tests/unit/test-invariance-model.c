/* A token's hidden state and logits have the same bits whatever shares its batch, for any number of threads, wherever the model is cut
 * and whoever else uses it. */
#include <string.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include <glib/gstdio.h>

#include "tests/support/model-tools.h"
#include "tests/support/test-model.h"
#include "tests/support/tiny-model.h"

#define N_TOKENS 200
#define CONTEXT 256

static gint32 tiny_ids[N_TOKENS];

static void
fill_ids (void)
{
  guint32 state = 1;

  for (guint i = 0; i < N_TOKENS; i++) {
    state = state * 1664525u + 1013904223u;
    tiny_ids[i] = (gint32) ((state >> 16) % ST_TINY_VOCAB);
  }
}

/* Runs @ids in pieces of @piece (0: all at once) from the cache's length on; final states and logits of all rows. */
static void
run_pieces (StTestChain * chain, const gint32 * ids, gsize n, gsize piece,
    StRegime regime, float *x, float *logits)
{
  for (gsize done = 0; done < n;) {
    gsize m = piece == 0 ? n : MIN (piece, n - done);

    st_test_chain_run (chain, ids + done, m, regime, x + done * chain->hidden);
    st_test_chain_logits (chain, x + done * chain->hidden, m, regime,
        logits + done * chain->vocab);
    done += m;
  }
}

/* Bits, not values: 0 and -0 differ, a NaN equals itself. */
static guint32
float_bits (float value)
{
  guint32 bits;

  memcpy (&bits, &value, sizeof (bits));
  return bits;
}

static void
assert_same (const float *a, const float *b, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    if (float_bits (a[i]) != float_bits (b[i]))
      g_error ("value %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
          " is %.9g, not %.9g", i, n, a[i], b[i]);
  }
}

typedef struct
{
  float *x, *logits;
  gsize n_x, n_logits;
} Result;

static Result
result_new (const StTestChain * chain, gsize n)
{
  Result r = { NULL, NULL, n * chain->hidden, n * chain->vocab };

  r.x = g_new0 (float, r.n_x);
  r.logits = g_new0 (float, r.n_logits);
  return r;
}

static void
result_clear (Result * r)
{
  g_free (r->x);
  g_free (r->logits);
}

/* Compares every way of cutting @n ids into @pieces, with 1 and 2 and 3 threads, with the first. */
static void
check_pieces (const gchar * path, const gint32 * ids, gsize n,
    const gsize * pieces, gsize n_pieces, StRegime regime, StType cache_type)
{
  Result expected = { 0 };

  for (guint threads = 1; threads <= 3; threads++) {
    StTestChain chain;
    Result r;

    st_test_chain_open (&chain, path, NULL, threads, CONTEXT, cache_type);
    r = result_new (&chain, n);
    if (expected.x == NULL) {
      expected = result_new (&chain, n);
      run_pieces (&chain, ids, n, 0, regime, expected.x, expected.logits);
    }
    for (gsize i = 0; i < n_pieces; i++) {
      st_test_chain_truncate (&chain, 0);
      run_pieces (&chain, ids, n, pieces[i], regime, r.x, r.logits);
      assert_same (r.x, expected.x, r.n_x);
      assert_same (r.logits, expected.logits, r.n_logits);
    }
    result_clear (&r);
    st_test_chain_close (&chain);
  }
  result_clear (&expected);
}

/* All types of both families. */
static void
check_tiny_pieces (StRegime regime, const gsize * pieces, gsize n_pieces)
{
  const StType types[] = { ST_TYPE_F32, ST_TYPE_F16, ST_TYPE_Q8_0 };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (types); i++) {
    StTinyModelOptions options = {.type = types[i % 3],.untied = i % 3 == 1,
      .gpt2 = i >= 3
    };
    g_autofree gchar *path = st_tiny_model_temp (&options);

    check_pieces (path, tiny_ids, N_TOKENS, pieces, n_pieces, regime,
        ST_TYPE_F32);
    check_pieces (path, tiny_ids, N_TOKENS, pieces, n_pieces, regime,
        ST_TYPE_F16);
    g_unlink (path);
  }
}

static void
test_prefill_pieces (void)
{
  check_tiny_pieces (ST_REGIME_PREFILL, (gsize[]) {
      0, 1, 7, 64, 128}, 5);
}

static void
test_step_pieces (void)
{
  check_tiny_pieces (ST_REGIME_STEP, (gsize[]) {
      0, 1, 2, 3, 5, 17}, 6);
}

static void
test_real_model (void)
{
  g_autofree gchar *path = st_test_model_path ();

  if (path == NULL) {
    g_test_skip ("the model is not there: set ST_TEST_MODEL");
    return;
  }
  check_pieces (path, tiny_ids, 70, (gsize[]) {
      7, 64}
      , 2, ST_REGIME_PREFILL, ST_TYPE_F16);
  check_pieces (path, tiny_ids, 9, (gsize[]) {
      1, 4}
      , 2, ST_REGIME_STEP, ST_TYPE_F16);
}

/* Truncating and running the same tokens again, after others were there, gives the same. */
static void
check_truncate_redo (const StTinyModelOptions * options)
{
  g_autofree gchar *path = st_tiny_model_temp (options);
  const gsize keep = 75, rest = 60;
  StTestChain chain;
  Result first, again;

  st_test_chain_open (&chain, path, NULL, 2, CONTEXT, ST_TYPE_F32);
  first = result_new (&chain, N_TOKENS);
  again = result_new (&chain, N_TOKENS);
  run_pieces (&chain, tiny_ids, keep, 0, ST_REGIME_PREFILL, first.x,
      first.logits);
  run_pieces (&chain, tiny_ids + keep, rest, 1, ST_REGIME_STEP, first.x,
      first.logits);
  st_test_chain_truncate (&chain, keep - 10);
  run_pieces (&chain, tiny_ids + 20, 100, 0, ST_REGIME_PREFILL, again.x,
      again.logits);
  st_test_chain_truncate (&chain, keep - 10);
  run_pieces (&chain, tiny_ids + keep - 10, 10, 0, ST_REGIME_PREFILL, again.x,
      again.logits);
  run_pieces (&chain, tiny_ids + keep, rest, 4, ST_REGIME_STEP, again.x,
      again.logits);
  assert_same (again.x, first.x, rest * chain.hidden);
  assert_same (again.logits, first.logits, rest * chain.vocab);
  result_clear (&first);
  result_clear (&again);
  st_test_chain_close (&chain);
  g_unlink (path);
}

static const StTinyModelOptions gpt2 = {.gpt2 = TRUE };

static void
test_truncate_redo (void)
{
  check_truncate_redo (NULL);
  check_truncate_redo (&gpt2);
}

/* Runs a prompt and some steps through the chain. */
static void
run_both_regimes (StTestChain * chain, const gint32 * ids, Result * r)
{
  const gsize prompt = 90, steps = 20;

  st_test_chain_truncate (chain, 0);
  run_pieces (chain, ids, prompt, 0, ST_REGIME_PREFILL, r->x, r->logits);
  run_pieces (chain, ids + prompt, steps, 1, ST_REGIME_STEP,
      r->x + prompt * chain->hidden, r->logits + prompt * chain->vocab);
}

static void
check_cuts (const StTinyModelOptions * options)
{
  const gint cuts[][3] = { {1}, {2}, {3}, {1, 2}, {1, 3}, {2, 3} };
  g_autofree gchar *path = st_tiny_model_temp (options);
  StTestChain whole;
  Result expected;

  st_test_chain_open (&whole, path, NULL, 1, CONTEXT, ST_TYPE_F32);
  expected = result_new (&whole, N_TOKENS);
  run_both_regimes (&whole, tiny_ids, &expected);
  for (guint i = 0; i < G_N_ELEMENTS (cuts); i++) {
    StTestChain chain;
    Result r;

    st_test_chain_open (&chain, path, cuts[i], 2, CONTEXT, ST_TYPE_F32);
    g_assert_cmpuint (chain.n_parts, ==, cuts[i][1] > 0 ? 3 : 2);
    r = result_new (&chain, N_TOKENS);
    run_both_regimes (&chain, tiny_ids, &r);
    assert_same (r.x, expected.x, r.n_x);
    assert_same (r.logits, expected.logits, r.n_logits);
    result_clear (&r);
    st_test_chain_close (&chain);
  }
  result_clear (&expected);
  st_test_chain_close (&whole);
  g_unlink (path);
}

static void
test_cuts (void)
{
  check_cuts (NULL);
  check_cuts (&gpt2);
}

typedef struct
{
  StTestChain chain;
  const gint32 *ids;
  Result result;
  gint *ready;
} Session;

static gpointer
session_main (gpointer data)
{
  Session *session = data;

  g_atomic_int_inc (session->ready);
  while (g_atomic_int_get (session->ready) < 2)
    g_thread_yield ();
  run_both_regimes (&session->chain, session->ids, &session->result);
  return NULL;
}

/* Two sessions with caches of their own use one model from two threads. */
static void
test_shared_model (void)
{
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  gint ready = 0;
  StTestChain whole;
  Session sessions[2];
  GThread *threads[2];
  Result expected;

  st_test_chain_open (&whole, path, NULL, 2, CONTEXT, ST_TYPE_F32);
  expected = result_new (&whole, N_TOKENS);
  for (guint i = 0; i < 2; i++) {
    g_autoptr (GError) error = NULL;

    sessions[i] = (Session) {
    .chain = whole,.ids = tiny_ids + i * 40,.result =
          result_new (&whole, N_TOKENS),.ready = &ready};
    sessions[i].chain.caches[0] =
        st_kv_cache_new (whole.parts[0], CONTEXT, ST_TYPE_F32, &error);
    g_assert_no_error (error);
  }
  for (guint i = 0; i < 2; i++)
    threads[i] = g_thread_new ("session", session_main, &sessions[i]);
  for (guint i = 0; i < 2; i++)
    g_thread_join (threads[i]);
  for (guint i = 0; i < 2; i++) {
    run_both_regimes (&whole, sessions[i].ids, &expected);
    assert_same (sessions[i].result.x, expected.x, 110 * whole.hidden);
    assert_same (sessions[i].result.logits, expected.logits, 110 * whole.vocab);
    st_kv_cache_free (sessions[i].chain.caches[0]);
    result_clear (&sessions[i].result);
  }
  result_clear (&expected);
  st_test_chain_close (&whole);
  g_unlink (path);
}

/* Flush-to-zero and another rounding in the calling thread change nothing. */
static void
test_float_mode (void)
{
#ifdef __SSE__
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  const guint mode = _mm_getcsr ();
  StTestChain chain;
  Result expected, r;

  st_test_chain_open (&chain, path, NULL, 2, CONTEXT, ST_TYPE_F32);
  expected = result_new (&chain, N_TOKENS);
  r = result_new (&chain, N_TOKENS);
  run_both_regimes (&chain, tiny_ids, &expected);
  _mm_setcsr (mode | 0x8040 | _MM_ROUND_UP);
  run_both_regimes (&chain, tiny_ids, &r);
  g_assert_cmphex (_mm_getcsr () & 0xe040, ==, 0x8040 | _MM_ROUND_UP);
  _mm_setcsr (mode);
  assert_same (r.x, expected.x, r.n_x);
  assert_same (r.logits, expected.logits, r.n_logits);
  result_clear (&expected);
  result_clear (&r);
  st_test_chain_close (&chain);
  g_unlink (path);
#else
  g_test_skip ("no SSE control register here");
#endif
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  fill_ids ();
  g_test_add_func ("/invariance/prefill-pieces", test_prefill_pieces);
  g_test_add_func ("/invariance/step-pieces", test_step_pieces);
  g_test_add_func ("/invariance/real-model", test_real_model);
  g_test_add_func ("/invariance/truncate-redo", test_truncate_redo);
  g_test_add_func ("/invariance/cuts", test_cuts);
  g_test_add_func ("/invariance/shared-model", test_shared_model);
  g_test_add_func ("/invariance/float-mode", test_float_mode);
  return g_test_run ();
}
