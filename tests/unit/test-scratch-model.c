/* Models before their training: what they begin with, and larger ones that begin as smaller ones. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/language.h"
#include "codec/training/scratch-model.h"
#include "codec/training/weights-file.h"
#include "tests/support/random-weights.h"
#include "tests/support/test-model.h"

static const RdScratchShape usual = { 32, 2, 2, 1, 64, 64, 320, NULL };

/* Mean square of @n values around @mean. */
static double
variance (const float *values, gsize n, double mean)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += (values[i] - mean) * (values[i] - mean);
  return sum / (double) n;
}

static RdWeights *
begin (const RdScratchShape * shape, guint64 seed)
{
  g_autofree gchar *folder = g_dir_make_tmp ("scratch-XXXXXX", NULL);
  g_autofree gchar *path = g_build_filename (folder, "begin", NULL);
  g_autofree gchar *text_path = st_test_data_path ("hamlet20k.txt");
  g_autofree gchar *text = NULL;
  g_autoptr (RdBpe) bpe = rd_bpe_new ();
  g_autoptr (StModel) model = NULL;
  g_autoptr (GError) error = NULL;
  RdWeights *weights;
  gsize len;

  g_assert_true (g_file_get_contents (text_path, &text, &len, NULL));
  g_assert_true (rd_bpe_add (bpe, text, len, NULL)
      && rd_bpe_learn (bpe, shape->vocabulary, NULL));
  model = rd_scratch_model_begin (shape, bpe, "test", path, &error);
  g_assert_no_error (error);
  /* The file is gone. */
  g_assert_cmpint (g_rmdir (folder), ==, 0);
  weights = rd_weights_new (model, 32, &error);
  g_assert_no_error (error);
  rd_scratch_model_fill (weights, seed);
  return weights;
}

static void
test_begin (void)
{
  g_autoptr (RdWeights) weights = begin (&usual, 7);
  g_autoptr (RdWeights) again = begin (&usual, 7);
  g_autoptr (RdWeights) other = begin (&usual, 8);
  const gsize bytes = weights->n_values * sizeof (float);
  const RdBlockWeights *block = &weights->blocks[1];

  g_assert_cmpmem (weights->arena.memory, bytes, again->arena.memory, bytes);
  g_assert_cmpint (memcmp (weights->arena.memory, other->arena.memory, bytes),
      !=, 0);
  g_assert_true (weights->output == weights->embedding);
  g_assert_cmpuint (weights->config.head_dim, ==, 16);
  st_test_near (variance (weights->embedding, 320 * 32, 0), 4e-4, 2e-5);
  st_test_near (variance (block->matrices[RD_MATRIX_GATE], 64 * 32, 0), 4e-4,
      5e-5);
  /* two blocks: a quarter */
  st_test_near (variance (block->matrices[RD_MATRIX_DOWN], 64 * 32, 0), 1e-4,
      1.5e-5);
  st_test_near (variance (block->matrices[RD_MATRIX_O], 32 * 32, 0), 1e-4,
      1.5e-5);
  g_assert_cmpfloat (variance (block->ffn_norm.weight, 32, 1), ==, 0);
  g_assert_cmpfloat (variance (weights->output_norm.weight, 32, 1), ==, 0);
}

static void
test_begin_gpt2 (void)
{
  static const RdScratchShape shape = { 32, 2, 2, 2, 128, 64, 320, "gpt2" };
  g_autoptr (RdWeights) weights = NULL;
  const RdBlockWeights *block;

  weights = begin (&shape, 7);
  block = &weights->blocks[1];
  g_assert_cmpstr (weights->config.architecture, ==, "gpt2");
  g_assert_true (weights->output == weights->embedding);
  g_assert_null (block->matrices[RD_MATRIX_GATE]);
  st_test_near (variance (block->matrices[RD_MATRIX_UP], 128 * 32, 0), 4e-4,
      4e-5);
  st_test_near (variance (block->matrices[RD_MATRIX_K], 32 * 32, 0), 4e-4,
      8e-5);
  st_test_near (variance (block->matrices[RD_MATRIX_DOWN], 128 * 32, 0), 1e-4,
      1e-5);
  st_test_near (variance (weights->positions, 64 * 32, 0), 4e-4, 5e-5);
  g_assert_cmpfloat (variance (block->attn_norm.weight, 32, 1), ==, 0);
  g_assert_cmpfloat (variance (block->attn_norm.bias, 32, 0), ==, 0);
  g_assert_cmpfloat (variance (block->biases[RD_MATRIX_V], 32, 0), ==, 0);
  g_assert_cmpfloat (variance (block->biases[RD_MATRIX_UP], 128, 0), ==, 0);
  g_assert_cmpfloat (variance (weights->output_norm.bias, 32, 0), ==, 0);
}

/* ---- larger models that begin as smaller ones ---- */

/* Mean loss of @weights on the first ids of the text; their vocabularies are the same. */
static double
loss_on_text (RdWeights * weights)
{
  const RdLanguageOptions options = {.weights = weights,.train_weights = TRUE,
    .threads = 1
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (RdLanguage) language = rd_language_new (&options, &error);
  gint32 ids[33];
  RdLanguageJob job = {.ids = ids,.gate = 1.0f,.target = {.n = 32,.loss =
          RD_LOSS_LABELS,.labels = ids + 1}
  };

  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    ids[i] = (gint32) (i * 97 % 320);
  rd_language_run (language, &job, 1, NULL, NULL, &error);
  g_assert_no_error (error);
  return job.target.total / 32;
}

/* Norms that divide by something other than 1 and losses far from that of an even distribution. */
static RdWeights *
begin_loud (const RdScratchShape * shape, guint64 seed)
{
  RdWeights *weights = begin (shape, seed);

  for (gsize i = 0; i < weights->n_values; i++)
    weights->arena.memory[i] *= 4;
  return weights;
}

/* They are 0 in the beginning. */
static void
move_biases (RdWeights * weights)
{
  RdParameters parameters = { 0 };

  rd_weights_parameters (weights, &parameters);
  for (guint i = 0; i < rd_parameters_count (&parameters); i++) {
    const RdParameter *p = rd_parameters_get (&parameters, i);

    for (gsize j = 0; g_str_has_suffix (p->name, ".bias") && j < p->n; j++)
      p->values[j] = (float) g_test_rand_double_range (-0.5, 0.5);
  }
  rd_parameters_clear (&parameters);
}

static void
test_grown (void)
{
  static const RdScratchShape shapes[] = {
    {32, 2, 2, 1, 64, 64, 320, NULL}, {64, 2, 4, 2, 64, 64, 320, NULL},
    {32, 5, 2, 1, 64, 64, 320, NULL}, {32, 2, 2, 1, 96, 64, 320, NULL},
    {96, 3, 6, 3, 128, 64, 320, NULL}
  };
  const guint64 seed = g_test_rand_int ();
  g_autoptr (RdWeights) small = begin_loud (&usual, seed);
  const double loss = loss_on_text (small);

  g_assert_cmpfloat (fabs (loss - log (320)), >, 0.02);
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    g_autoptr (RdWeights) random = NULL;
    g_autoptr (RdWeights) grown = NULL;
    g_autoptr (GError) error = NULL;

    random = begin (&shapes[i], seed + 1);
    grown = begin (&shapes[i], seed + 1);
    rd_scratch_model_grow (grown, small, &error);
    g_assert_no_error (error);
    g_assert_cmpfloat_with_epsilon (loss_on_text (grown), loss, 0.01);
    /* what reads is random where it is new */
    if (shapes[i].ff_size > 64)
      g_assert_cmpfloat (grown->blocks[0].matrices[RD_MATRIX_UP][64 *
              shapes[i].hidden_size], ==,
          random->blocks[0].matrices[RD_MATRIX_UP][64 * shapes[i].hidden_size]);
  }
}

/* Biases are other than 0, and those of a new block add nothing; there are more positions, or fewer. */
static void
test_grown_gpt2 (void)
{
  static const RdScratchShape shapes[] = {
    {32, 2, 2, 2, 64, 64, 320, "gpt2"}, {32, 5, 2, 2, 64, 96, 320, "gpt2"},
    {32, 3, 2, 2, 96, 48, 320, "gpt2"}
  };
  const guint64 seed = g_test_rand_int ();
  g_autoptr (RdWeights) small = NULL;
  double loss;

  small = begin_loud (&shapes[0], seed);
  move_biases (small);
  loss = loss_on_text (small);
  g_assert_cmpfloat (fabs (loss - log (320)), >, 0.02);
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    g_autoptr (RdWeights) grown = NULL;
    g_autoptr (GError) error = NULL;

    grown = begin (&shapes[i], seed + 1);
    rd_scratch_model_grow (grown, small, &error);
    g_assert_no_error (error);
    g_assert_cmpfloat_with_epsilon (loss_on_text (grown), loss, 1e-5);
  }
}

/* A mean over more channels would be another one. */
static void
test_does_not_grow_gpt2 (void)
{
  static const RdScratchShape shapes[] = {
    {32, 2, 2, 2, 64, 64, 320, "gpt2"}, {64, 2, 4, 4, 64, 64, 320, "gpt2"}
  };
  g_autoptr (RdWeights) small = NULL, wider = NULL;
  g_autoptr (GError) error = NULL;

  small = begin (&shapes[0], 7);
  wider = begin (&shapes[1], 7);
  g_assert_false (rd_scratch_model_grow (wider, small, &error));
  g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
  g_assert_nonnull (strstr (error->message, "a hidden size of 32, not 64"));
}

static void
test_does_not_grow (void)
{
  static const struct
  {
    RdScratchShape shape;
    const gchar *text;
  } shapes[] = {
    {{32, 2, 2, 2, 64, 64, 320, "gpt2"}, "does not grow to one of the gpt2"},
    {{16, 2, 1, 1, 64, 64, 320, NULL}, "hidden size 32"},
    {{32, 1, 2, 1, 64, 64, 320, NULL}, "blocks 2"},
    {{32, 2, 2, 1, 32, 64, 320, NULL}, "feed-forward size 64"},
    {{64, 2, 2, 1, 64, 64, 320, NULL}, "heads of size 16"},
    {{64, 2, 4, 1, 64, 64, 320, NULL}, "heads for each"},
    {{32, 2, 2, 1, 64, 64, 330, NULL}, "320 tokens of vocabulary"},
  };
  g_autoptr (RdWeights) small = begin (&usual, 7);

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    g_autoptr (RdWeights) weights = NULL;
    g_autoptr (RdWeights) untouched = NULL;
    g_autoptr (GError) error = NULL;

    weights = begin (&shapes[i].shape, 8);
    untouched = begin (&shapes[i].shape, 8);
    g_assert_false (rd_scratch_model_grow (weights, small, &error));
    g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
    g_test_message ("%s", error->message);
    /* "from ... to": sizes that are smaller, or others */
    g_assert_nonnull (strstr (error->message, shapes[i].text));
    g_assert_cmpmem (weights->arena.memory, weights->n_values * sizeof (float),
        untouched->arena.memory, untouched->n_values * sizeof (float));
  }
}

/* A type that the shape cannot have is an error before a file is begun. */
static void
test_bad_type (void)
{
  static const RdScratchShape shape = { 48, 2, 2, 1, 64, 64, 320, NULL };
  const gchar *notes[] = { NULL };
  g_autoptr (RdWeights) weights = NULL;
  g_autoptr (GError) error = NULL;

  weights = begin (&shape, 7);
  g_assert_false (rd_weights_save (weights, ST_TYPE_Q8_0, notes,
          "/nowhere/out.gguf", &error));
  g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
  g_assert_nonnull (strstr (error->message, "rows of 48 values"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/scratch-model/begin", test_begin);
  g_test_add_func ("/scratch-model/begin-gpt2", test_begin_gpt2);
  g_test_add_func ("/scratch-model/grown", test_grown);
  g_test_add_func ("/scratch-model/grown-gpt2", test_grown_gpt2);
  g_test_add_func ("/scratch-model/does-not-grow", test_does_not_grow);
  g_test_add_func ("/scratch-model/does-not-grow-gpt2",
      test_does_not_grow_gpt2);
  g_test_add_func ("/scratch-model/bad-type", test_bad_type);
  return g_test_run ();
}
