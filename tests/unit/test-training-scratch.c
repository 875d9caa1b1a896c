/* Trainings from nothing: that models learn, also grown ones, interrupted trainings, and what is refused. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/scratch.h"
#include "tests/support/random-weights.h"
#include "tests/support/test-model.h"

#define STEPS 24
#define SHAPE { 32, 2, 2, 1, 64, 64, 320, NULL }

typedef struct
{
  gchar *directory, *text;
  const gchar *texts[2];
  RdScratchOptions options;
  guint64 stop;                 /* step to be interrupted at; 0: none */
  gint cancel;
  double first_loss, last_loss;
  GString *told;
} Fixture;

static void
on_progress (const RdScratchProgress * progress, gpointer user_data)
{
  Fixture *f = user_data;

  if (progress->done == 1)
    f->first_loss = progress->loss;
  f->last_loss = progress->loss;
  g_assert_cmpuint (progress->steps, ==, f->options.steps);
  if (progress->done == f->stop)
    g_atomic_int_set (&f->cancel, 1);
}

static void
on_tell (const gchar * line, gpointer user_data)
{
  Fixture *f = user_data;

  g_string_append (f->told, line);
}

static void
set_up (Fixture * f, gconstpointer unused)
{
  (void) unused;
  f->directory = g_dir_make_tmp ("scratch-XXXXXX", NULL);
  g_assert_nonnull (f->directory);
  f->text = st_test_data_path ("hamlet20k.txt");
  f->texts[0] = f->text;
  f->told = g_string_new (NULL);
  f->options = (RdScratchOptions) {
  .shape = SHAPE,.name = "test",.texts = f->texts,.output =
        g_build_filename (f->directory, "out.gguf", NULL),.type =
        ST_TYPE_F16,.steps = STEPS,.length = 32,.batch = 3,.rate =
        0.01,.decay = 0.25,.warmup = 4,.weight_decay = 0.1,.seed =
        7,.threads = 1,.held_out_sequences = 8,.cancel =
        &f->cancel,.progress = on_progress,.tell = on_tell,.user_data = f,};
}

static void
tear_down (Fixture * f, gconstpointer unused)
{
  g_autoptr (GDir) dir = g_dir_open (f->directory, 0, NULL);
  const gchar *name;

  (void) unused;
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *path = g_build_filename (f->directory, name, NULL);

    g_unlink (path);
  }
  g_assert_cmpint (g_rmdir (f->directory), ==, 0);
  g_free (f->directory);
  g_free (f->text);
  g_free ((gchar *) f->options.output);
  g_string_free (f->told, TRUE);
}

/* The bytes of the file. */
static GBytes *
train (Fixture * f)
{
  g_autoptr (GError) error = NULL;
  gchar *data;
  gsize len;

  g_string_truncate (f->told, 0);
  rd_scratch_train (&f->options, &error);
  g_assert_no_error (error);
  g_assert_true (g_file_get_contents (f->options.output, &data, &len, NULL));
  return g_bytes_new_take (data, len);
}

static void
assert_fails (Fixture * f, GQuark domain, gint code, const gchar * text)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (rd_scratch_train (&f->options, &error));
  g_assert_error (error, domain, code);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, text));
  g_assert_false (g_file_test (f->options.output, G_FILE_TEST_EXISTS));
}

/* ---- whole trainings ---- */

static void
test_learns (Fixture * f, gconstpointer unused)
{
  const StModelOptions whole = {.last_block = -1,.embed = TRUE,.output = TRUE,
    .threads = 1
  };
  g_autoptr (StModel) model = NULL;
  g_autoptr (GError) error = NULL;

  (void) unused;
  f->options.held_out = f->texts;
  f->options.license = "CC0-1.0";
  g_bytes_unref (train (f));
  /* log 320 = 5.77 */
  g_assert_cmpfloat_with_epsilon (f->first_loss, 5.77, 0.1);
  g_assert_cmpfloat (f->last_loss, <, 5.4);
  g_assert_nonnull (strstr (f->told->str, "as trained: loss "));
  g_assert_nonnull (strstr (f->told->str, "F16: loss "));
  model = st_model_open (f->options.output, &whole, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (st_model_config (model)->name, ==, "test");
  g_assert_cmpstr (st_gguf_get_string (st_model_gguf (model),
          "general.license"), ==, "CC0-1.0");
  g_assert_cmpint (st_gguf_find (st_model_gguf (model),
          "blk.1.ffn_down.weight")->type, ==, ST_TYPE_F16);
  g_assert_cmpuint (st_tokenizer_vocab_size (st_model_tokenizer (model)), ==,
      320);
}

/* What is in the file is what was trained: every array, fused and learned positions among them. */
static void
test_learns_gpt2 (Fixture * f, gconstpointer unused)
{
  static const RdScratchShape shape = { 32, 2, 2, 2, 128, 64, 320, "gpt2" };
  const StModelOptions whole = {.last_block = -1,.embed = TRUE,.output = TRUE,
    .threads = 1
  };
  g_autoptr (StModel) model = NULL;
  g_autoptr (GError) error = NULL;
  gchar *trained, *written;
  double losses[2];

  (void) unused;
  f->options.shape = shape;
  f->options.held_out = f->texts;
  f->options.type = ST_TYPE_F32;
  g_bytes_unref (train (f));
  g_assert_cmpfloat_with_epsilon (f->first_loss, 5.77, 0.1);
  g_assert_cmpfloat (f->last_loss, <, 5.4);
  trained = strstr (f->told->str, "as trained: loss ");
  written = strstr (f->told->str, "F32: loss ");
  g_assert_nonnull (trained);
  g_assert_nonnull (written);
  losses[0] = g_ascii_strtod (trained + strlen ("as trained: loss "), NULL);
  losses[1] = g_ascii_strtod (written + strlen ("F32: loss "), NULL);
  g_assert_cmpfloat (losses[0], ==, losses[1]);
  model = st_model_open (f->options.output, &whole, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (st_model_config (model)->architecture, ==, "gpt2");
  g_assert_cmpuint (st_gguf_find (st_model_gguf (model),
          "blk.1.attn_qkv.weight")->ne[1], ==, 96);
  g_assert_cmpuint (st_gguf_find (st_model_gguf (model),
          "position_embd.weight")->ne[1], ==, 64);
}

static void
test_same_bytes (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) one = train (f);
  g_autoptr (GBytes) two = NULL;
  g_autoptr (GBytes) other = NULL;

  (void) unused;
  f->options.threads = 2;
  two = train (f);
  g_assert_true (g_bytes_equal (one, two));
  f->options.seed++;
  other = train (f);
  g_assert_false (g_bytes_equal (one, other));
}

/* A grown model goes on where the smaller one was; its checkpoint belongs to that one. */
static void
test_grows (Fixture * f, gconstpointer unused)
{
  g_autofree gchar *small = g_build_filename (f->directory, "small", NULL);
  g_autofree gchar *other = g_build_filename (f->directory, "other", NULL);
  double reached;

  (void) unused;
  g_bytes_unref (train (f));
  reached = f->last_loss;
  g_assert_cmpint (g_rename (f->options.output, small), ==, 0);
  f->options.seed++;
  g_bytes_unref (train (f));
  g_assert_cmpint (g_rename (f->options.output, other), ==, 0);
  f->options.shape = (RdScratchShape) {
  64, 3, 4, 2, 96, 64, 320, NULL};
  f->options.grow = small;
  f->stop = 2;
  assert_fails (f, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_INTERRUPTED, "--resume");
  g_atomic_int_set (&f->cancel, 0);
  g_assert_cmpfloat (f->first_loss, <, (reached + 5.77) / 2);
  f->options.resume = TRUE;
  f->options.grow = other;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER, "grown from");
  f->options.grow = small;
  f->stop = 0;
  g_bytes_unref (train (f));
  g_assert_cmpfloat (f->last_loss, <, reached);
  g_unlink (f->options.output);
  f->options.resume = FALSE;
  f->options.shape.ff_size = 32;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "small: a model with feed-forward size 64");
  f->options.grow = f->text;
  assert_fails (f, ST_GGUF_ERROR, ST_GGUF_ERROR_FORMAT, f->text);
}

/* Twice, in the second pass over the text the second time. */
static void
test_interrupted (Fixture * f, gconstpointer unused)
{
  static const guint64 stops[] = { 5, 18 };
  g_autofree gchar *checkpoint = g_strconcat (f->options.output, ".checkpoint",
      NULL);
  g_autoptr (GBytes) whole = NULL;
  g_autoptr (GBytes) parts = NULL;

  (void) unused;
  f->options.length = 64;
  f->options.batch = 12;
  whole = train (f);
  g_assert_false (g_file_test (checkpoint, G_FILE_TEST_EXISTS));
  g_unlink (f->options.output);
  for (guint i = 0; i < G_N_ELEMENTS (stops); i++) {
    f->stop = stops[i];
    assert_fails (f, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_INTERRUPTED,
        i == 0 ? "after 5 of 24" : "after 18 of 24");
    g_atomic_int_set (&f->cancel, 0);
    f->options.resume = TRUE;
  }
  f->stop = 0;
  f->options.keep_checkpoint = TRUE;
  parts = train (f);
  g_assert_true (g_bytes_equal (whole, parts));
  g_assert_true (g_file_test (checkpoint, G_FILE_TEST_EXISTS));
}

/* Behind the last step, while the loss is measured: the file is there, and --resume measures again. */
static void
test_interrupted_measuring (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) whole = NULL;
  g_autoptr (GBytes) again = NULL;
  g_autoptr (GError) error = NULL;
  gchar *data;
  gsize len;

  (void) unused;
  f->options.held_out = f->texts;
  f->stop = STEPS;
  g_assert_false (rd_scratch_train (&f->options, &error));
  g_assert_error (error, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_INTERRUPTED);
  g_assert_nonnull (strstr (error->message, "out.gguf is written"));
  g_assert_true (g_file_get_contents (f->options.output, &data, &len, NULL));
  whole = g_bytes_new_take (data, len);
  g_atomic_int_set (&f->cancel, 0);
  f->options.resume = TRUE;
  again = train (f);
  g_assert_true (g_bytes_equal (whole, again));
  g_assert_nonnull (strstr (f->told->str, "F16: loss "));
}

/* Other bits, about the same losses; the file says so, and a checkpoint of it is not gone on with in single precision. */
static void
test_products (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) f32 = train (f);
  const double loss = f->last_loss;
  g_autoptr (GBytes) bf16 = NULL;
  g_autoptr (GBytes) threads = NULL;
  g_autoptr (StGguf) gguf = NULL;

  (void) unused;
  f->options.products = RD_PRODUCTS_BF16;
  bf16 = train (f);
  g_assert_false (g_bytes_equal (f32, bf16));
  g_assert_cmpfloat_with_epsilon (f->last_loss, loss, 0.05);
  gguf = st_gguf_open (f->options.output, NULL);
  g_assert_true (g_str_has_suffix (st_gguf_get_string (gguf,
              "rdtraining.settings"), ", products bf16"));
  f->options.threads = 2;
  threads = train (f);
  g_assert_true (g_bytes_equal (bf16, threads));
  g_unlink (f->options.output);
  f->stop = 2;
  assert_fails (f, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_INTERRUPTED, "--resume");
  g_atomic_int_set (&f->cancel, 0);
  f->options.resume = TRUE;
  f->options.products = RD_PRODUCTS_F32;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER, "products bf16");
}

static void
test_checkpoint (Fixture * f, gconstpointer unused)
{
  (void) unused;
  f->stop = 2;
  assert_fails (f, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_INTERRUPTED, "--resume");
  g_atomic_int_set (&f->cancel, 0);
  assert_fails (f, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_CHECKPOINT,
      "earlier run");
  f->options.resume = TRUE;
  f->options.rate = 0.01 + 1e-12;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
      "rate 0.010000000001");
  f->options.rate = 0.02;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER, "rate 0.02");
}

/* How many steps there will be may be changed until the learning rate goes down. */
static void
test_number_of_steps (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) whole = train (f);
  g_autoptr (GBytes) changed = NULL;

  (void) unused;
  g_unlink (f->options.output);
  f->options.steps = 1000;
  f->stop = STEPS - STEPS / 4;
  assert_fails (f, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_INTERRUPTED,
      "18 of 1000");
  g_atomic_int_set (&f->cancel, 0);
  f->options.resume = TRUE;
  f->options.steps = STEPS - 2;
  assert_fails (f, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_CHECKPOINT,
      "goes down after 17 of 22 steps");
  f->options.steps = STEPS;
  f->stop++;
  assert_fails (f, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_INTERRUPTED, "19 of 24");
  g_atomic_int_set (&f->cancel, 0);
  f->options.steps = 1000;
  assert_fails (f, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_CHECKPOINT,
      "goes down after 750 of 1000 steps");
  f->options.steps = STEPS;
  f->options.decay = 0.5;
  assert_fails (f, RD_SCRATCH_ERROR, RD_SCRATCH_ERROR_CHECKPOINT,
      "goes down after 12 of 24 steps");
  f->options.decay = 0.25;
  changed = train (f);
  g_assert_true (g_bytes_equal (whole, changed));
}

/* ---- refusals ---- */

static void
test_bad_options (Fixture * f, gconstpointer unused)
{
  static const struct
  {
    RdScratchShape shape;
    const gchar *text;
  } shapes[] = {
    {{32, 2, 3, 1, 64, 64, 320, NULL}, "3 heads"},
    {{32, 2, 4, 3, 64, 64, 320, NULL}, "3 for keys and values"},
    {{32, 2, 32, 1, 64, 64, 320, NULL}, "even share"},
    {{0, 2, 2, 1, 64, 64, 320, NULL}, "hidden size: 0"},
    {{32, 0, 2, 1, 64, 64, 320, NULL}, "blocks: 0"},
    {{32, 2, 2, 0, 64, 64, 320, NULL}, "heads for keys and values: 0"},
    {{32, 2, 2, 1, 64, 64, 256, NULL}, "vocabulary: 256"},
    {{32, 2, 2, 1, 1u << 20, 64, 320, NULL}, "feed-forward size: 1048576"},
    {{32, 2, 2, 1, 64, 64, 320, "mamba"}, "no family 'mamba'"},
    {{32, 2, 2, 1, 64, 64, 320, "gpt2"}, "keys and values of its own"},
  };

  (void) unused;
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    f->options.shape = shapes[i].shape;
    assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        shapes[i].text);
  }
  f->options.shape = (RdScratchShape) {
  48, 2, 2, 1, 64, 64, 320, NULL};
  f->options.type = ST_TYPE_Q8_0;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "multiples of 32");
  f->options.shape = (RdScratchShape) SHAPE;
  f->options.length = 65;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS, "2..64");
  f->options.length = 32;
  f->options.warmup = STEPS;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS, "0..18");
  f->options.warmup = 0;
  f->options.rate = NAN;
  assert_fails (f, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS, "nan");
}

static void
test_bad_text (Fixture * f, gconstpointer unused)
{
  static const gchar *excluded[] = {
    "something else altogether", NULL, NULL
  };
  g_autofree gchar *short_text = g_build_filename (f->directory, "short", NULL);
  g_autofree gchar *text = NULL;

  (void) unused;
  g_assert_true (g_file_get_contents (f->text, &text, NULL, NULL));
  text[3300] = '\0';
  excluded[1] = text + 3000;
  f->options.excluded = excluded;
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT, "test set (window 1");
  f->options.excluded = NULL;
  g_file_set_contents (short_text, "so short, so short", -1, NULL);
  f->texts[0] = short_text;
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_SHORT, "smaller vocab");
  f->options.shape.vocabulary = 258;
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_SHORT, "give more text");
  f->texts[0] = f->directory;
  assert_fails (f, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT, "no file *.txt");
}

int
main (int argc, char **argv)
{
  const struct
  {
    const gchar *path;
    void (*run) (Fixture *, gconstpointer);
  } tests[] = {
    {"/training-scratch/learns", test_learns},
    {"/training-scratch/learns-gpt2", test_learns_gpt2},
    {"/training-scratch/grows", test_grows},
    {"/training-scratch/same-bytes", test_same_bytes},
    {"/training-scratch/interrupted", test_interrupted},
    {"/training-scratch/interrupted-measuring", test_interrupted_measuring},
    {"/training-scratch/products", test_products},
    {"/training-scratch/checkpoint", test_checkpoint},
    {"/training-scratch/number-of-steps", test_number_of_steps},
    {"/training-scratch/bad-options", test_bad_options},
    {"/training-scratch/bad-text", test_bad_text},
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, Fixture, NULL, set_up, tests[i].run, tear_down);
  return g_test_run ();
}
