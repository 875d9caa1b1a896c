/* Codec files written and read again. */
#include "models/gguf/gguf.h"
#include "tests/support/golden-payloads.h"
#include "tests/support/learned-tools.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

static RdLearnedParameters *
load (const gchar * path)
{
  g_autoptr (GError) error = NULL;
  RdLearnedParameters *p = rd_learned_parameters_load (path, &error);

  g_assert_no_error (error);
  return p;
}

static void
assert_numbers (gconstpointer a, gconstpointer b, gsize n)
{
  g_assert_cmpint (a == NULL, ==, b == NULL);
  if (a)
    g_assert_cmpmem (a, n * 4, b, n * 4);
}

static void
assert_same_set (const RdLearnedParameters * a, const RdLearnedParameters * b,
    guint s)
{
  const RdLearnedSet *x = &a->set[s], *y = &b->set[s];
  gsize d = a->hidden_size, k = a->n_knots;

  assert_numbers (x->mean, y->mean, d);
  assert_numbers (x->synthesis, y->synthesis, d * d);
  assert_numbers (x->analysis, y->analysis, d * d);
  assert_numbers (x->readout, y->readout, d * d);
  assert_numbers (x->scale, y->scale, d);
  assert_numbers (x->steps, y->steps, k * d);
  assert_numbers (x->weights, y->weights, 2 * d);
  assert_numbers (x->token_step, y->token_step, d + 2);
  assert_numbers (x->strength, y->strength, k);
}

static void
assert_same_adapters (const RdLearnedAdapters * a, const RdLearnedAdapters * b,
    guint n_knots)
{
  g_assert_cmpint (a == NULL, ==, b == NULL);
  if (!a)
    return;
  g_assert_cmpfloat (a->alpha, ==, b->alpha);
  assert_numbers (a->gates, b->gates, n_knots);
  g_assert_cmpuint (a->list->len, ==, b->list->len);
  for (guint i = 0; i < a->list->len; i++) {
    const RdLearnedAdapter *x = rd_learned_adapters_get (a, i);
    const RdLearnedAdapter *y = rd_learned_adapters_get (b, i);

    g_assert_cmpstr (x->name, ==, y->name);
    g_assert_cmpuint (x->inputs, ==, y->inputs);
    g_assert_cmpuint (x->outputs, ==, y->outputs);
    g_assert_cmpuint (x->rank, ==, y->rank);
    assert_numbers (x->a, y->a, x->rank * x->inputs);
    assert_numbers (x->b, y->b, x->rank * x->outputs);
  }
}

static void
assert_same (const RdLearnedParameters * a, const RdLearnedParameters * b)
{
  g_assert_cmpstr (a->name, ==, b->name);
  g_assert_cmpstr (a->license, ==, b->license);
  g_assert_cmpstr (a->model_name, ==, b->model_name);
  g_assert_cmpmem (a->model_id, 32, b->model_id, 32);
  g_assert_cmpuint (a->split_layer, ==, b->split_layer);
  g_assert_cmpuint (a->hidden_size, ==, b->hidden_size);
  g_assert_cmpint (a->side_info, ==, b->side_info);
  g_assert_cmpuint (a->n_blocks, ==, b->n_blocks);
  g_assert_cmpint (a->coarsest, ==, b->coarsest);
  g_assert_cmpuint (a->n_knots, ==, b->n_knots);
  g_assert_cmpmem (a->knots, a->n_knots * 4, b->knots, b->n_knots * 4);
  g_assert_cmpfloat (a->lambda, ==, b->lambda);
  g_assert_cmpuint (a->n_constants, ==, b->n_constants);
  assert_numbers (a->constants, b->constants,
      (gsize) a->n_constants * a->hidden_size);
  for (guint s = 0; s < RD_LEARNED_SETS; s++)
    assert_same_set (a, b, s);
  for (guint i = 0; i < RD_N_TABLES; i++) {
    const RdLearnedTable *x = &a->tables[i], *y = &b->tables[i];

    g_assert_cmpint (x->min, ==, y->min);
    g_assert_cmpuint (x->n_values, ==, y->n_values);
    g_assert_cmpuint (x->golomb, ==, y->golomb);
    g_assert_cmpmem (x->cumulative, (x->n_values + 2) * 2, y->cumulative,
        (y->n_values + 2) * 2);
  }
  g_assert_cmpmem (a->magnitude, sizeof a->magnitude, b->magnitude,
      sizeof b->magnitude);
  assert_same_adapters (a->adapters, b->adapters, a->n_knots);
}

/* @parameters are left as they are read back, and a second file of them has the same bytes. */
static void
check_round_trip (RdLearnedParameters * p)
{
  g_autofree gchar *path = rd_test_save (p), *again = NULL;
  g_autofree gchar *bytes = NULL, *more = NULL;
  g_autoptr (RdLearnedParameters) q = load (path);
  gsize size, n_more;

  assert_same (p, q);
  again = rd_test_save (q);
  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  g_assert_true (g_file_get_contents (again, &more, &n_more, NULL));
  g_assert_cmpmem (bytes, size, more, n_more);
  g_unlink (path);
  g_unlink (again);
}

static void
test_round_trip (void)
{
  for (RdSideInfo i = RD_SIDE_INFO_NONE; i <= RD_SIDE_INFO_BLOCKS; i++) {
    g_autoptr (RdLearnedParameters) p = rd_test_parameters (33, i, i * 4);

    if (i == RD_SIDE_INFO_BLOCKS) {
      memset (p->model_id, 0xa7, sizeof p->model_id);
      p->set[0].analysis = g_memdup2 (p->set[0].synthesis, 33 * 33 * 4);
      g_clear_pointer (&p->set[1].token_step, g_free);
      g_clear_pointer (&p->set[1].strength, g_free);
    }
    check_round_trip (p);
  }
}

static const RdTestMatrix matrices[] = {
  {"blk.0.attn_q.weight", 33, 20},
  {"blk.0.attn_k.weight", 33, 10},
  {"blk.7.attn_v.weight", 33, 10},
  {"blk.7.attn_output.weight", 20, 33},
  {"blk.12.ffn_gate.weight", 33, 70},
  {"blk.65535.ffn_up.weight", 33, 70},
  {"blk.30.ffn_down.weight", 70, 33},
};

/* What the version number in the file at @path is. */
static guint64
version_of (const gchar * path)
{
  g_autoptr (StGguf) gguf = st_gguf_open (path, NULL);
  guint64 version = 0;

  g_assert_true (st_gguf_get_uint (gguf, "rdcodec.version", &version));
  return version;
}

static void
test_adapters (void)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (33, RD_SIDE_INFO_BLOCKS, 1);
  g_autofree gchar *plain = rd_test_save (p), *path = NULL;
  g_autoptr (RdLearnedParameters) copy = NULL;

  rd_test_adapters (p, matrices, G_N_ELEMENTS (matrices), 3, 2, 1);
  p->adapters->alpha = 5.5f;
  check_round_trip (p);
  copy = rd_learned_parameters_copy (p);
  assert_same (p, copy);
  path = rd_test_save (copy);
  g_assert_cmpuint (version_of (plain), ==, 1);
  g_assert_cmpuint (version_of (path), ==, 2);
  g_unlink (plain);
  g_unlink (path);
}

/* The names and shapes of llama.cpp's LoRA files, innermost dimension first. */
static void
test_adapter_tensors (void)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (33, RD_SIDE_INFO_NONE, 0);
  g_autofree gchar *path = NULL;
  g_autoptr (StGguf) gguf = NULL;
  const StTensor *a, *b;
  gdouble alpha;

  rd_test_adapters (p, &matrices[0], 1, 3, 2, 1);
  path = rd_test_save (p);
  gguf = st_gguf_open (path, NULL);
  a = st_gguf_find (gguf, "blk.0.attn_q.weight.lora_a");
  b = st_gguf_find (gguf, "blk.0.attn_q.weight.lora_b");
  g_assert_cmpuint (a->ne[0], ==, 33);
  g_assert_cmpuint (a->ne[1], ==, 3);
  g_assert_cmpuint (b->ne[0], ==, 3);
  g_assert_cmpuint (b->ne[1], ==, 20);
  g_assert_cmpint (a->type, ==, ST_TYPE_F16);
  g_assert_true (st_gguf_get_float (gguf, "adapter.lora.alpha", &alpha));
  g_assert_cmpfloat (alpha, ==, 3);
  g_unlink (path);
}

static void
test_gate (void)
{
  static const gint32 knots[] = { 0, 40, 127 };
  g_autoptr (RdLearnedAdapters) adapters = rd_learned_adapters_new (1, 3);

  g_assert_cmpfloat (rd_learned_adapters_gate (adapters, knots, 3, 77), ==, 1);
  adapters->gates[0] = 0;
  adapters->gates[2] = 4;
  g_assert_cmpfloat (rd_learned_adapters_gate (adapters, knots, 3, 0), ==, 0);
  g_assert_cmpfloat (rd_learned_adapters_gate (adapters, knots, 3, 10), ==,
      0.25);
  g_assert_cmpfloat (rd_learned_adapters_gate (adapters, knots, 3, 40), ==, 1);
  g_assert_cmpfloat (rd_learned_adapters_gate (adapters, knots, 3, 69), ==, 2);
  g_assert_cmpfloat (rd_learned_adapters_gate (adapters, knots, 3, 127), ==, 4);
}

/* Files of the second implementation, whose matrices are partly F32: they become F16. */
static void
test_golden (void)
{
  static const gchar *const names[] = { "d1", "d5", "d33", "d64" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree gchar *path = rd_golden_codec_path (names[i]);
    g_autoptr (RdLearnedParameters) p = load (path);

    g_assert_cmpstr (p->name, ==, "golden");
    g_assert_true (g_str_has_prefix (p->id, "rd1-"));
    g_assert_cmpuint (strlen (p->id), ==, 44);
    check_round_trip (p);
  }
}

static void
test_texts (void)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (2, RD_SIDE_INFO_NONE, 0);

  p->provenance = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      g_free);
  g_hash_table_insert (p->provenance, g_strdup ("text"), g_strdup ("Hamlet"));
  g_hash_table_insert (p->provenance, g_strdup ("command"), g_strdup ("α"));
  g_clear_pointer (&p->license, g_free);
  g_autofree gchar *path = rd_test_save (p);
  g_autoptr (RdLearnedParameters) q = load (path);
  g_assert_null (q->license);
  g_assert_cmpuint (g_hash_table_size (q->provenance), ==, 2);
  g_assert_cmpstr (g_hash_table_lookup (q->provenance, "text"), ==, "Hamlet");
  g_assert_cmpstr (g_hash_table_lookup (q->provenance, "command"), ==, "α");
  g_unlink (path);
}

static void
assert_not_saved (RdLearnedParameters * p, const gchar * path,
    const gchar * message)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *bytes = NULL, *after = NULL;
  gsize size, n_after;

  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  g_assert_false (rd_learned_parameters_save (p, path, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_assert_nonnull (strstr (error->message, message));
  g_assert_true (g_file_get_contents (path, &after, &n_after, NULL));
  g_assert_cmpmem (bytes, size, after, n_after);
}

static void
assert_adapters_not_saved (RdLearnedParameters * p, const gchar * path)
{
  static const RdTestMatrix twice[] = { {"blk.1.attn_q.weight", 3, 4},
  {"blk.1.attn_q.weight", 3, 4}
  };

  rd_test_adapters (p, twice, 2, 2, 1, 1);
  assert_not_saved (p, path, "blk.1.attn_q.weight has two adapters");
  rd_test_adapters (p, twice, 1, 2, 1, 1);
  rd_learned_adapters_get (p->adapters, 0)->b[7] = 66000;
  assert_not_saved (p, path, "attn_q.weight.lora_b holds NaN or infinity");
  rd_learned_adapters_get (p->adapters, 0)->b[7] = 0;
  p->adapters->alpha = 0;
  assert_not_saved (p, path, "adapter.lora.alpha is not a number above 0");
  rd_test_adapters (p, twice, 0, 2, 1, 1);
  assert_not_saved (p, path, "there are no adapters");
  g_clear_pointer (&p->adapters, rd_learned_adapters_free);
}

/* What could not be read back is not written, and what was there stays. */
static void
test_refused (void)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (3, RD_SIDE_INFO_EMBEDDING, 1);
  g_autofree gchar *path = rd_test_save (p);
  g_autoptr (GError) error = NULL;

  p->set[1].scale[2] = 9000;
  assert_not_saved (p, path, "set.1.scale has 9000 as number 2");
  p->set[1].scale[2] = 0;
  p->set[0].synthesis[4] = 66000;       /* more than F16 holds */
  assert_not_saved (p, path, "set.0.synthesis holds NaN or infinity");
  p->set[0].synthesis[4] = 1;
  p->constants[0] = NAN;
  assert_not_saved (p, path, "constants hold NaN or infinity");
  p->constants[0] = 0;
  p->lambda = NAN;
  assert_not_saved (p, path, "trellis.lambda");
  p->lambda = 0;
  assert_adapters_not_saved (p, path);
  g_clear_pointer (&p->set[1].readout, g_free);
  assert_not_saved (p, path, "set.1.readout is missing");
  p->side_info = RD_SIDE_INFO_NONE;
  g_assert_false (rd_learned_parameters_save (p, "/nowhere/a.gguf", &error));
  g_assert_nonnull (strstr (error->message, "/nowhere/a.gguf"));
  g_unlink (path);
}

/* Tables without a frequency are refused when they are put to use. */
static void
test_bad_table (void)
{
  RdLearnedParameters *p = rd_test_parameters (3, RD_SIDE_INFO_NONE, 0);
  g_autoptr (GError) error = NULL;

  p->tables[100].cumulative[1] = 0;
  g_assert_null (rd_learned_model_new (p, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_assert_nonnull (strstr (error->message, "table 100: a symbol has"));
}

/* ---- tally ---- */

typedef struct
{
  guint calls;
  gsize rows;
  guint32 sum;
} Tallied;

static void
tally (const RdSymbols * symbols, gpointer user_data)
{
  Tallied *t = user_data;

  g_assert_cmpuint (symbols->w, >=, symbols->n);
  for (gsize i = 0; i < (20 + 2) * symbols->w; i++) {
    g_assert_cmpuint (symbols->tables[i], <, RD_N_TABLES);
    t->sum = t->sum * 31 + (guint32) symbols->symbols[i] + symbols->tables[i];
  }
  t->calls++;
  t->rows += symbols->n;
}

static void
test_tally (void)
{
  g_autoptr (RdLearnedModel) model =
      rd_learned_model_new (rd_test_parameters (20, RD_SIDE_INFO_EMBEDDING, 1),
      NULL);
  g_autofree gfloat *x = rd_test_rows (130, 20, 3);
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = 130 };
  Tallied first = { 0, 0, 0 }, second = { 0, 0, 0 }, predicted = { 0, 0, 0 };

  g_assert_true (rd_learned_tally (model, &rows, x, 50, 5, tally, &first,
          NULL));
  g_assert_true (rd_learned_tally (model, &rows, x, 50, 10, tally, &second,
          NULL));
  g_assert_cmpuint (first.calls, ==, 3);
  g_assert_cmpuint (first.rows, ==, 130);
  g_assert_cmpuint (first.sum, ==, second.sum);
  rows.features = x;
  g_assert_true (rd_learned_tally (model, &rows, x, 50, 5, tally, &predicted,
          NULL));
  g_assert_cmpuint (first.sum, !=, predicted.sum);
  g_assert_false (rd_learned_tally (model, &rows, x, 128, 5, tally, &first,
          &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_clear_error (&error);
  x[77] = NAN;
  g_assert_false (rd_learned_tally (model, &rows, x, 50, 5, tally, &first,
          &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/learned/parameters/round-trip", test_round_trip);
  g_test_add_func ("/learned/parameters/adapters", test_adapters);
  g_test_add_func ("/learned/parameters/adapter-tensors", test_adapter_tensors);
  g_test_add_func ("/learned/parameters/gate", test_gate);
  g_test_add_func ("/learned/parameters/golden", test_golden);
  g_test_add_func ("/learned/parameters/texts", test_texts);
  g_test_add_func ("/learned/parameters/refused", test_refused);
  g_test_add_func ("/learned/parameters/bad-table", test_bad_table);
  g_test_add_func ("/learned/parameters/tally", test_tally);
  return g_test_run ();
}
