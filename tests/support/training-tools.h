/* What the tests of the training core share. All end the test on an error. */
#pragma once
#include "codec/learned/parameters.h"
#include "codec/training/adapters.h"
#include "codec/training/tail.h"
#include "tests/support/tiny-model.h"

G_BEGIN_DECLS

RdTail *rd_test_tail (StModel * model, gsize max_tokens, guint threads, gboolean recompute);
void rd_test_run (RdTail * tail, RdTailJob * jobs, gsize n_jobs);
/** Blocks from @first on of a tiny model (@options NULL: the usual one), with the output head. */
StModel *rd_test_tiny (const StTinyModelOptions * options, gint first);
/** Weights of the whole model at @path. */
RdWeights *rd_test_open_weights (const gchar * path, gsize max_tokens);
/** Hidden states (n, D) before block @split > 0 of the model at @path, on the first tokens of hamlet20k.txt. Free with g_free(). */
float *rd_test_states (const gchar * path, gint split, gsize n);
/** A codec file @name in @folder for the tiny model at @model, calibrated on @text; its path, to be freed. */
gchar *rd_test_calibrate (const gchar * model, guint split, const gchar * text, const gchar * folder, const gchar * name,
    RdSideInfo side_info);
/** Size of the terms that @gate times the derivative of a loss by the gate of @adapters is the sum of: that sum is U * dL/dU over all values
 * of U, whose terms can cancel, and this the root of the sum of their squares. @gradient (arena.n): by the adapters. */
double rd_test_gate_terms (const RdAdapters * adapters, const float *gradient);

G_END_DECLS
