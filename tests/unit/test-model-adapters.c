/* Adapters beside the weights: as if merged into them, as training has them, and a row's bits whatever shares its batch. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/range.h"
#include "models/gguf/gguf-writer.h"
#include "tests/support/random-weights.h"
#include "tests/support/test-model.h"
#include "tests/support/training-tools.h"

#define D ST_TINY_HIDDEN
#define N 140

static const StType tiny_types[] = { ST_TYPE_F32, ST_TYPE_F16, ST_TYPE_Q8_0 };

/* Random adapters; those of RdAdaptersOptions. Values that F16 has if @half. */
static RdAdapters *
make_adapters (const StModelConfig * config, const guint8 * sets, guint rank,
    double size, gboolean half)
{
  const RdAdaptersOptions options = { rank, 2.0f, 1, sets };
  RdAdapters *adapters = rd_adapters_new (config, &options, NULL);

  for (gsize i = 0; i < adapters->arena.n; i++) {
    float *value = &adapters->arena.memory[i];

    *value = (float) g_test_rand_double_range (-size, size);
    if (half)
      *value = st_half_to_float (st_float_to_half (*value));
  }
  return adapters;
}

static StModelAdapters *
convert (const RdAdapters * from)
{
  StModelAdapters *to = st_model_adapters_new ();

  for (guint block = 0; block < from->config.n_blocks; block++) {
    for (guint matrix = 0; matrix < RD_N_MATRICES; matrix++) {
      g_autofree gchar *name =
          g_strdup_printf ("blk.%u.%s.weight", block, rd_matrix_name (matrix));
      gsize outputs, inputs;
      float *u, *v;

      if (!rd_adapters_find (from, block, matrix, &u, &v))
        continue;
      rd_matrix_shape (&from->config, matrix, &outputs, &inputs);
      st_model_adapters_add (to, name, inputs, outputs, from->rank,
          from->scale * (float) from->rank, v, u);
    }
  }
  return to;
}

static StModel *
open_blocks (const gchar * path, gint first, gint last, guint threads,
    StModelAdapters * adapters)
{
  const StModelOptions options = {.first_block = first,.last_block = last,
    .threads = threads,.deterministic = TRUE
  };
  g_autoptr (GError) error = NULL;
  StModel *model = st_model_open (path, &options, &error);

  g_assert_no_error (error);
  if (adapters != NULL)
    st_model_adapt (model, adapters, &error);
  g_assert_no_error (error);
  return model;
}

/* Rows @x (n, D) through the blocks, in place, in pieces of @piece from the cache's length on. */
static void
run_pieces (StModel * model, StKvCache * cache, float *x, gsize n,
    gsize piece, StRegime regime, const float *gates)
{
  const gsize hidden = st_model_config (model)->hidden_size;
  g_autoptr (GError) error = NULL;

  for (gsize done = 0; done < n; done += piece) {
    st_model_run_gated (model, cache, x + done * hidden,
        MIN (piece, n - done), regime, gates != NULL ? gates + done : NULL,
        NULL, &error);
    g_assert_no_error (error);
  }
}

/* A new copy of @x behind the blocks. */
static float *
run (StModel * model, const float *x, gsize n, gsize piece, StRegime regime,
    const float *gates)
{
  g_autoptr (GError) error = NULL;
  StKvCache *cache = st_kv_cache_new (model, (guint) n, ST_TYPE_F32, &error);
  float *y = g_memdup2 (x,
      n * st_model_config (model)->hidden_size * sizeof (float));

  g_assert_no_error (error);
  run_pieces (model, cache, y, n, piece, regime, gates);
  st_kv_cache_free (cache);
  return y;
}

static double
relative_difference (const float *x, const float *y, gsize n)
{
  double difference = 0, norm = 0;

  for (gsize i = 0; i < n; i++) {
    difference += pow ((double) x[i] - y[i], 2);
    norm += pow (y[i], 2);
  }
  return sqrt (difference / norm);
}

typedef struct
{
  gchar *path;
  RdAdapters *rd;
  StModelAdapters *adapters;
  float *x;                     /* (N, D) */
  float gates[N];
} Fixture;

static void
fixture_init (Fixture * f, StType type, gboolean half, gboolean gpt2)
{
  const guint8 sets[ST_TINY_BLOCKS] = { RD_ADAPTERS_ALL,
    1 << RD_MATRIX_K | 1 << RD_MATRIX_UP | 1 << RD_MATRIX_DOWN, 0,
    1 << RD_MATRIX_Q | 1 << RD_MATRIX_V | 1 << RD_MATRIX_O
  };
  const StTinyModelOptions options = {.type = type,.gpt2 = gpt2 };
  g_autoptr (StModel) model = NULL;

  f->path = st_tiny_model_temp (&options);
  model = open_blocks (f->path, 0, -1, 1, NULL);
  f->rd = make_adapters (st_model_config (model), sets, 5, 0.3, half);
  f->adapters = convert (f->rd);
  f->x = st_test_floats (N * D);
  for (gsize i = 0; i < N; i++)
    f->gates[i] = (float) g_test_rand_double_range (-0.5, 1.5);
}

static void
fixture_clear (Fixture * f)
{
  g_unlink (f->path);
  g_free (f->path);
  rd_adapters_free (f->rd);
  st_model_adapters_unref (f->adapters);
  g_free (f->x);
}

/* ---- merged ---- */

/* The matrix of @name, if it has an adapter, as floats with it; NULL else. */
static float *
merge (const Fixture * f, const StTensor * tensor, float gate)
{
  for (guint block = 0; block < ST_TINY_BLOCKS; block++) {
    for (guint matrix = 0; matrix < RD_N_MATRICES; matrix++) {
      g_autofree gchar *name =
          g_strdup_printf ("blk.%u.%s.weight", block, rd_matrix_name (matrix));
      float *u, *v, *w;

      if (strcmp (name, tensor->name) != 0
          || !rd_adapters_find (f->rd, block, matrix, &u, &v))
        continue;
      w = g_new (float, tensor->ne[0] * tensor->ne[1]);
      st_type_traits (tensor->type)->to_float (tensor->data, w,
          tensor->ne[0] * tensor->ne[1]);
      rd_adapters_merge (f->rd, block, matrix, gate, w);
      return w;
    }
  }
  return NULL;
}

/* The model with the adapters in its weights; unlink and free. */
static gchar *
write_merged (const Fixture * f, float gate)
{
  g_autoptr (StGguf) gguf = st_gguf_open (f->path, NULL);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GPtrArray) kept = g_ptr_array_new_with_free_func (g_free);
  gchar *path = g_strconcat (f->path, "-merged.gguf", NULL);
  guint merged = 0;

  st_gguf_writer_copy_metadata (writer, gguf);
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const StTensor *tensor = st_gguf_tensor (gguf, i);
    float *w = merge (f, tensor, gate);

    g_assert_true (w != NULL ? st_gguf_writer_add_tensor (writer,
            tensor->name, ST_TYPE_F32, 2, tensor->ne, w, NULL) :
        st_gguf_writer_copy_tensor (writer, gguf, tensor, NULL));
    if (w != NULL)
      g_ptr_array_add (kept, w);
    merged += w != NULL;
  }
  g_assert_cmpuint (merged, ==, st_model_adapters_count (f->adapters));
  g_assert_true (st_gguf_writer_write (writer, path, NULL));
  return path;
}

static void
test_merged (void)
{
  for (guint i = 0; i < 2 * G_N_ELEMENTS (tiny_types); i++) {
    const StRegime regime = i % 2 ? ST_REGIME_STEP : ST_REGIME_PREFILL;
    g_autofree float *y = NULL, *merged = NULL, *without = NULL;
    g_autoptr (StModel) model = NULL, other = NULL, bare = NULL;
    g_autofree gchar *path = NULL;
    double difference, effect;
    float gates[N];
    Fixture f;

    fixture_init (&f, tiny_types[i / 2], i % 2, FALSE);
    for (gsize k = 0; k < N; k++)
      gates[k] = 0.75f;
    path = write_merged (&f, 0.75f);
    model = open_blocks (f.path, 0, -1, 1, f.adapters);
    other = open_blocks (path, 0, -1, 1, NULL);
    bare = open_blocks (f.path, 0, -1, 1, NULL);
    y = run (model, f.x, N, N, regime, gates);
    merged = run (other, f.x, N, N, regime, NULL);
    without = run (bare, f.x, N, N, regime, NULL);
    difference = relative_difference (y, merged, N * D);
    effect = relative_difference (without, merged, N * D);
    g_test_message ("%s: %.3g; without adapters %.3g",
        st_type_traits (tiny_types[i / 2])->name, difference, effect);
    g_assert_cmpfloat (difference, <, 1e-5);
    g_assert_cmpfloat (effect, >, 0.05);
    g_unlink (path);
    fixture_clear (&f);
  }
}

/* ---- training ---- */

/* As rd_range_forward() has them, with one gate for all rows. */
static void
check_training (const gchar * path, gint first, gint last, guint rank,
    const float *x, gsize n, float gate)
{
  g_autoptr (StModel) plain = open_blocks (path, first, last, 1, NULL);
  g_autoptr (StModel) model = NULL;
  const StModelConfig *config = st_model_config (plain);
  g_autofree guint8 *sets = g_malloc (config->n_blocks);
  g_autofree float *gates = g_new (float, n);
  g_autofree float *expected = g_new (float, n * config->hidden_size);
  g_autofree float *y = NULL, *without = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (RdWeights) weights = rd_weights_new (plain, n, &error);
  const RdRangeOptions options = { (guint) first, (guint) last, FALSE, FALSE };
  double difference, effect;

  g_assert_no_error (error);
  memset (sets, RD_ADAPTERS_ALL, config->n_blocks);
  g_autoptr (RdAdapters) rd = make_adapters (config, sets, rank,
      1 / sqrt (config->hidden_size), TRUE);
  g_autoptr (StModelAdapters) adapters = convert (rd);
  g_autoptr (RdRange) range = rd_range_new (weights, rd, &options, &error);

  g_assert_no_error (error);
  for (gsize i = 0; i < n; i++)
    gates[i] = gate;
  rd_range_forward (range, x, n, gate, expected, NULL, &error);
  g_assert_no_error (error);
  model = open_blocks (path, first, last, 1, adapters);
  y = run (model, x, n, n, ST_REGIME_PREFILL, gates);
  without = run (plain, x, n, n, ST_REGIME_PREFILL, NULL);
  difference = relative_difference (y, expected, n * config->hidden_size);
  effect = relative_difference (without, expected, n * config->hidden_size);
  g_test_message ("%.3g; without adapters %.3g", difference, effect);
  g_assert_cmpfloat (difference, <, 1e-4);
  g_assert_cmpfloat (effect, >, 50 * difference);
}

static void
test_training (void)
{
  for (guint gpt2 = 0; gpt2 < 2; gpt2++) {
    const StTinyModelOptions options = {.gpt2 = gpt2 == 1 };
    g_autofree gchar *path = st_tiny_model_temp (&options);
    g_autofree float *x = st_test_floats (N * D);

    check_training (path, 0, ST_TINY_BLOCKS, 4, x, N, 1.0f);
    check_training (path, 1, 3, 7, x, N, 0.4f);
    g_unlink (path);
  }
}

static void
test_training_real (void)
{
  g_autofree gchar *path = st_test_model_path ();
  g_autofree float *x = NULL;

  if (path == NULL) {
    g_test_skip ("the model is not there: set ST_TEST_MODEL");
    return;
  }
  x = rd_test_states (path, 10, 60);
  check_training (path, 10, 12, 16, x, 60, 0.8f);
}

/* ---- bits ---- */

static void
assert_same (const float *a, const float *b, gsize n)
{
  g_assert_cmpmem (a, n * sizeof (float), b, n * sizeof (float));
}

/* Cut into pieces, by any number of threads, each row with a gate of its own. */
static void
test_pieces (void)
{
  static const gsize pieces[] = { N, 1, 7, 64 };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (tiny_types); i++) {
    const StRegime regime = i % 2 ? ST_REGIME_STEP : ST_REGIME_PREFILL;
    g_autofree float *expected = NULL;
    Fixture f;

    fixture_init (&f, tiny_types[i / 2], i < 3, i % 3 == 1);
    for (guint threads = 1; threads <= 3; threads++) {
      g_autoptr (StModel) model =
          open_blocks (f.path, 0, -1, threads, f.adapters);

      for (gsize p = 0; p < G_N_ELEMENTS (pieces); p++) {
        g_autofree float *y = run (model, f.x, N, pieces[p], regime, f.gates);

        if (expected == NULL)
          expected = g_steal_pointer (&y);
        else
          assert_same (y, expected, N * D);
      }
    }
    fixture_clear (&f);
  }
}

static void
check_cuts (gboolean gpt2)
{
  g_autofree float *expected = NULL;
  Fixture f;

  fixture_init (&f, ST_TYPE_Q8_0, TRUE, gpt2);
  g_autoptr (StModel) whole = open_blocks (f.path, 0, -1, 1, f.adapters);
  expected = run (whole, f.x, N, N, ST_REGIME_PREFILL, f.gates);
  for (gint cut = 1; cut < ST_TINY_BLOCKS; cut++) {
    g_autoptr (StModel) head = open_blocks (f.path, 0, cut, 2, f.adapters);
    g_autoptr (StModel) tail = open_blocks (f.path, cut, -1, 1, f.adapters);
    g_autofree float *x = run (head, f.x, N, 9, ST_REGIME_PREFILL, f.gates);
    g_autofree float *y = run (tail, x, N, 30, ST_REGIME_PREFILL, f.gates);

    assert_same (y, expected, N * D);
  }
  fixture_clear (&f);
}

static void
test_cuts (void)
{
  check_cuts (FALSE);
  check_cuts (TRUE);
}

/* A gate counts for its own rows: what was stored before it changed stays. */
static void
test_gates (void)
{
  g_autofree float *none = NULL, *ones = NULL, *zeros = NULL, *bare = NULL;
  g_autofree float *mixed = NULL, *all = NULL;
  float gates[N];
  Fixture f;

  fixture_init (&f, ST_TYPE_F16, TRUE, FALSE);
  g_autoptr (StModel) model = open_blocks (f.path, 0, -1, 1, f.adapters);
  g_autoptr (StModel) plain = open_blocks (f.path, 0, -1, 1, NULL);
  for (gsize i = 0; i < N; i++)
    gates[i] = 1;
  none = run (model, f.x, N, N, ST_REGIME_PREFILL, NULL);
  ones = run (model, f.x, N, N, ST_REGIME_PREFILL, gates);
  assert_same (ones, none, N * D);
  memset (gates, 0, sizeof (gates));
  zeros = run (model, f.x, N, N, ST_REGIME_PREFILL, gates);
  bare = run (plain, f.x, N, N, ST_REGIME_PREFILL, NULL);
  for (gsize i = 0; i < N * D; i++)
    g_assert_cmpfloat (zeros[i], ==, bare[i]);
  for (gsize i = 50; i < N; i++)
    gates[i] = 1;
  mixed = run (model, f.x, N, 25, ST_REGIME_PREFILL, gates);
  for (gsize i = 0; i < 50 * D; i++)
    g_assert_cmpfloat (mixed[i], ==, bare[i]);
  g_assert_cmpfloat (relative_difference (mixed + 50 * D, ones + 50 * D,
          (N - 50) * D), >, 1e-3);
  g_assert_cmpfloat (relative_difference (mixed + 50 * D, bare + 50 * D,
          (N - 50) * D), >, 1e-3);
  fixture_clear (&f);
}

/* ---- refused ---- */

static void
assert_refused (const StTinyModelOptions * tiny, const gchar * matrix,
    gsize inputs, gsize outputs, gint code, const gchar * message)
{
  g_autofree gchar *path = st_tiny_model_temp (tiny);
  g_autoptr (StModelAdapters) adapters = st_model_adapters_new ();
  const StModelOptions options = {.last_block = 1 };
  g_autoptr (StModel) model = st_model_open (path, &options, NULL);
  g_autofree float *values = st_test_floats (2 * 1024);
  g_autoptr (GError) error = NULL;

  st_model_adapters_add (adapters, "blk.0.attn_q.weight", D, D, 2, 1, values,
      values);
  st_model_adapters_add (adapters, matrix, inputs, outputs, 2, 1, values,
      values);
  g_assert_false (st_model_adapt (model, adapters, &error));
  g_assert_error (error, ST_MODEL_ERROR, code);
  if (!strstr (error->message, message))
    g_error ("'%s' does not say '%s'", error->message, message);
  g_unlink (path);
}

static void
test_refused (void)
{
  const StTinyModelOptions gpt2 = {.gpt2 = TRUE };

  assert_refused (NULL, "blk.3.attn_k.weight", D, D, ST_MODEL_ERROR_DAMAGED,
      "the adapter of 'blk.3.attn_k.weight' is for 64 inputs and 64 outputs");
  assert_refused (NULL, "blk.0.ffn_down.weight", D, D, ST_MODEL_ERROR_DAMAGED,
      "'blk.0.ffn_down.weight'");
  assert_refused (NULL, "blk.4.attn_q.weight", D, D, ST_MODEL_ERROR_RANGE,
      "no such matrix in its 4 blocks");
  assert_refused (NULL, "output.weight", D, ST_TINY_VOCAB, ST_MODEL_ERROR_RANGE,
      "an adapter of 'output.weight'");
  assert_refused (&gpt2, "blk.0.ffn_gate.weight", D, ST_TINY_FF,
      ST_MODEL_ERROR_RANGE, "an adapter of 'blk.0.ffn_gate.weight'");
  assert_refused (&gpt2, "blk.0.attn_qkv.weight", D, 3 * D,
      ST_MODEL_ERROR_RANGE, "an adapter of 'blk.0.attn_qkv.weight'");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/adapters/merged", test_merged);
  g_test_add_func ("/model/adapters/training", test_training);
  g_test_add_func ("/model/adapters/training-real", test_training_real);
  g_test_add_func ("/model/adapters/pieces", test_pieces);
  g_test_add_func ("/model/adapters/cuts", test_cuts);
  g_test_add_func ("/model/adapters/gates", test_gates);
  g_test_add_func ("/model/adapters/refused", test_refused);
  return g_test_run ();
}
