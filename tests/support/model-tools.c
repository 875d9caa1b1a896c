#include "tests/support/model-tools.h"

#include "tests/support/test-model.h"

StModel *
st_test_open_blocks (const gchar * path, gint first, gint last, guint threads)
{
  StModelOptions options = {
    .first_block = first,
    .last_block = last,
    .embed = first == 0,
    .output = last < 0,
    .threads = threads,
    .deterministic = TRUE,
  };
  g_autoptr (GError) error = NULL;
  StModel *model = st_model_open (path, &options, &error);

  g_assert_no_error (error);
  g_assert_nonnull (model);
  return model;
}

void
st_test_chain_open (StTestChain * chain, const gchar * path, const gint * cuts,
    guint threads, guint context, StType cache_type)
{
  gint first = 0;

  *chain = (StTestChain) {
  0};
  do {
    gint last = cuts != NULL && *cuts > 0 ? *cuts++ : -1;
    g_autoptr (GError) error = NULL;
    guint part = chain->n_parts++;

    g_assert_cmpuint (part, <, G_N_ELEMENTS (chain->parts));
    chain->parts[part] = st_test_open_blocks (path, first, last, threads);
    chain->caches[part] =
        st_kv_cache_new (chain->parts[part], context, cache_type, &error);
    g_assert_no_error (error);
    first = last;
  } while (first > 0);
  chain->hidden = st_model_config (chain->parts[0])->hidden_size;
  chain->vocab = st_model_config (chain->parts[0])->vocab_size;
}

void
st_test_chain_close (StTestChain * chain)
{
  for (guint i = 0; i < chain->n_parts; i++) {
    st_kv_cache_free (chain->caches[i]);
    st_model_unref (chain->parts[i]);
  }
  chain->n_parts = 0;
}

void
st_test_chain_truncate (StTestChain * chain, guint length)
{
  for (guint i = 0; i < chain->n_parts; i++)
    g_assert_true (st_kv_cache_truncate (chain->caches[i], length));
}

void
st_test_chain_run (StTestChain * chain, const gint32 * ids, gsize n,
    StRegime regime, float *x)
{
  g_autoptr (GError) error = NULL;

  st_model_embed (chain->parts[0], ids, n, x, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < chain->n_parts; i++) {
    st_model_run (chain->parts[i], chain->caches[i], x, n, regime, NULL,
        &error);
    g_assert_no_error (error);
  }
}

void
st_test_chain_logits (StTestChain * chain, const float *x, gsize n,
    StRegime regime, float *logits)
{
  g_autoptr (GError) error = NULL;

  st_model_logits (chain->parts[chain->n_parts - 1], x, n, regime, logits, NULL,
      &error);
  g_assert_no_error (error);
}

void
st_test_chain_greedy (StTestChain * chain, const gint32 * prompt,
    gsize n_prompt, gint32 * ids, gsize n_new, float *all_logits)
{
  g_autofree float *x = g_new (float, n_prompt * chain->hidden);
  g_autofree float *own_logits =
      all_logits == NULL ? g_new (float, chain->vocab) : NULL;

  st_test_chain_run (chain, prompt, n_prompt, ST_REGIME_PREFILL, x);
  for (gsize i = 0; i < n_new; i++) {
    const float *last = i == 0 ? x + (n_prompt - 1) * chain->hidden : x;
    float *logits =
        all_logits != NULL ? all_logits + i * chain->vocab : own_logits;

    st_test_chain_logits (chain, last, 1,
        i == 0 ? ST_REGIME_PREFILL : ST_REGIME_STEP, logits);
    ids[i] = st_test_argmax (logits, chain->vocab);
    if (i + 1 < n_new)
      st_test_chain_run (chain, &ids[i], 1, ST_REGIME_STEP, x);
  }
}

gint32
st_test_argmax (const float *values, gsize n)
{
  gsize best = 0;

  for (gsize i = 1; i < n; i++) {
    if (values[i] > values[best])
      best = i;
  }
  return (gint32) best;
}

gchar *
st_test_read_data (const gchar * name, gsize * len)
{
  g_autofree gchar *path = st_test_data_path (name);
  g_autoptr (GError) error = NULL;
  gchar *text = NULL;

  g_file_get_contents (path, &text, len, &error);
  g_assert_no_error (error);
  return text;
}
