/* Trained weights as a model file: what is written anew, what is copied, and what comes back. */
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/weights-file.h"
#include "models/gguf/gguf-writer.h"
#include "models/tokenizer/tokenizer.h"
#include "tests/support/model-tools.h"
#include "tests/support/random-weights.h"
#include "tests/support/training-tools.h"

#define PAIRS (ST_TINY_HEAD_DIM / 2)

static gchar *original, *saved;

/* An untied model with a tensor that is not trained, and with keys that are about its own tensors. */
static gchar *
write_original (gboolean gpt2)
{
  const StTinyModelOptions options = {.untied = TRUE,.gpt2 = gpt2 };
  g_autofree gchar *plain = st_tiny_model_temp (&options);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (StGguf) gguf = st_gguf_open (plain, NULL);
  const guint64 pairs = PAIRS;
  float factors[PAIRS];

  for (guint i = 0; i < PAIRS; i++)
    factors[i] = 1.0f + 0.25f * (float) i;
  st_gguf_writer_copy_metadata (writer, gguf);
  st_gguf_writer_set_uint32 (writer, "general.file_type", 0);
  st_gguf_writer_set_string (writer, "split.note", "of the original");
  st_gguf_writer_add_tensor (writer, "rope_freqs.weight", ST_TYPE_F32, 1,
      &pairs, factors, NULL);
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++)
    st_gguf_writer_copy_tensor (writer, gguf, st_gguf_tensor (gguf, i), NULL);
  g_assert_true (st_gguf_writer_write (writer, plain, NULL));
  return g_steal_pointer (&plain);
}

static void
save (const RdWeights * weights, StType type)
{
  const gchar *notes[] = { "general.name", "moved", "rdtraining.joint.tool",
    "test", NULL
  };
  g_autoptr (GError) error = NULL;

  rd_weights_save (weights, type, notes, saved, &error);
  g_assert_no_error (error);
}

static void
check_file (StType type)
{
  g_autoptr (StGguf) from = st_gguf_open (original, NULL);
  g_autoptr (StGguf) to = st_gguf_open (saved, NULL);
  g_autoptr (StTokenizer) tokenizer = st_tokenizer_new (from, NULL);
  g_autoptr (StTokenizer) same = st_tokenizer_new (to, NULL);
  guint64 file_type;

  g_assert_cmpuint (st_gguf_n_tensors (to), ==, st_gguf_n_tensors (from));
  for (guint64 i = 0; i < st_gguf_n_tensors (to); i++) {
    const StTensor *a = st_gguf_tensor (from, i), *b = st_gguf_tensor (to, i);

    g_assert_cmpstr (a->name, ==, b->name);
    g_assert_cmpint (b->type, ==, a->n_dims == 1
        || strcmp (a->name, "position_embd.weight") == 0 ? ST_TYPE_F32 : type);
    g_assert_cmpmem (a->ne, sizeof (a->ne), b->ne, sizeof (b->ne));
  }
  g_assert_cmpmem (st_gguf_find (from, "rope_freqs.weight")->data,
      PAIRS * sizeof (float), st_gguf_find (to, "rope_freqs.weight")->data,
      PAIRS * sizeof (float));
  g_assert_cmpstr (st_tokenizer_id (same), ==, st_tokenizer_id (tokenizer));
  g_assert_cmpstr (st_gguf_get_string (to, "general.name"), ==, "moved");
  g_assert_cmpstr (st_gguf_get_string (to, "rdtraining.joint.tool"), ==,
      "test");
  g_assert_null (st_gguf_get_string (to, "split.note"));
  g_assert_true (st_gguf_get_uint (to, "general.file_type", &file_type));
  g_assert_cmpuint (file_type, ==, type == ST_TYPE_F32 ? 0 :
      type == ST_TYPE_F16 ? 1 : 7);
}

/* What comes back is what was saved, rounded to the type; saved again it stays. */
static void
check_types (void)
{
  const StType types[] = { ST_TYPE_F32, ST_TYPE_F16, ST_TYPE_Q8_0 };
  g_autoptr (RdWeights) weights = rd_test_open_weights (original, 16);
  const gsize n = weights->n_values, bytes = n * sizeof (float);

  for (gsize i = 0; i < n; i++)
    weights->arena.memory[i] *= (float) g_test_rand_double_range (0.5, 1.5);
  for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
    g_autofree float *before = g_memdup2 (weights->arena.memory, bytes);
    g_autoptr (StModel) model = NULL;
    g_autoptr (RdWeights) again = NULL;
    double squares = 0, differences = 0;

    save (weights, types[t]);
    check_file (types[t]);
    model = st_test_open_blocks (saved, 0, -1, 1);
    g_assert_true (rd_weights_reload (weights, model, NULL));
    for (gsize i = 0; i < n; i++) {
      const double difference = weights->arena.memory[i] - before[i];

      squares += (double) before[i] * before[i];
      differences += difference * difference;
    }
    g_assert_cmpfloat (differences, <=, t == 0 ? 0 : 1e-4 * squares);
    g_assert_true (t == 0 || differences > 0);
    save (weights, types[t]);
    again = rd_test_open_weights (saved, 16);
    g_assert_cmpmem (again->arena.memory, bytes, weights->arena.memory, bytes);
  }
}

static void
test_types (gconstpointer gpt2)
{
  original = write_original (GPOINTER_TO_INT (gpt2));
  saved = g_strconcat (original, ".saved", NULL);
  check_types ();
  g_unlink (original);
  g_unlink (saved);
  g_free (original);
  g_free (saved);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/weights-file/types", GINT_TO_POINTER (FALSE),
      test_types);
  g_test_add_data_func ("/weights-file/types-gpt2", GINT_TO_POINTER (TRUE),
      test_types);
  return g_test_run ();
}
