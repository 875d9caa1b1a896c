/* What the tests of whole models share. */
#pragma once
#include "models/model.h"

G_BEGIN_DECLS

/** Opens blocks [first, last) (-1: to the end) with embedding if first is 0 and output head if it reaches the end; aborts the test on
 * an error. @threads as in StModelOptions. */
StModel *st_test_open_blocks (const gchar * path, gint first, gint last, guint threads);

/** StTestChain: a model cut into consecutive parts, each with its own KV cache (F32 unless @cache_type says otherwise). */
typedef struct
{
  guint n_parts;
  StModel *parts[3];
  StKvCache *caches[3];
  guint hidden, vocab;
} StTestChain;

/** Cuts before each of @cuts (ended by 0, at most two). Aborts the test on an error. */
void st_test_chain_open (StTestChain * chain, const gchar * path, const gint * cuts, guint threads, guint context,
    StType cache_type);
void st_test_chain_close (StTestChain * chain);
void st_test_chain_truncate (StTestChain * chain, guint length);
/** Runs @ids through all parts; final hidden states (n x D) to @x. */
void st_test_chain_run (StTestChain * chain, const gint32 * ids, gsize n, StRegime regime, float *x);
/** Logits (vocab) of one row of final hidden states. */
void st_test_chain_logits (StTestChain * chain, const float *x, gsize n, StRegime regime, float *logits);
/** Runs the prompt in the prefill regime and writes @n_new greedy ids; if @all_logits is not NULL, all n_new x vocab logits too. */
void st_test_chain_greedy (StTestChain * chain, const gint32 * prompt, gsize n_prompt, gint32 * ids, gsize n_new,
    float *all_logits);

/** Index of the largest value, the lowest of equals. */
gint32 st_test_argmax (const float *values, gsize n);
/** Whole file in tests/data (aborts the test if it is not there). Free with g_free(). */
gchar *st_test_read_data (const gchar * name, gsize * len);

G_END_DECLS
