/* What a session's tokens are known to be, and the features that a predictor makes of them. */
#include <string.h>
#include <glib/gstdio.h>
#include "elements/common/gstrdpredictor.h"
#include "elements/common/gstrdframes.h"
#include "models/partition.h"
#include "tests/elements/element-tools.h"

#define HIDDEN ST_TINY_HIDDEN
#define BLOCKS 2
#define N 24

/* A text of N tokens; the last 8 are generated. */
static const gint32 text[N] =
    { 5, 77, 102, 9, 33, 250, 18, 64, 101, 7, 200, 3, 3, 90, 41, 8,
  120, 60, 61, 62, 5, 77, 102, 9
};

#define N_PROMPT 16

static RdCodecInfo
info_for (RdSideInfo side_info)
{
  StModelOptions options = {.last_block = 0,.embed = TRUE };
  StModel *model = st_model_open (st_tiny_path (), &options, NULL);
  RdCodecInfo info = {.model_name = "tiny",.split_layer = 3,
    .hidden_size = HIDDEN,.side_info = side_info,.n_blocks = BLOCKS
  };

  gst_rd_id_from_hex (st_model_id (model), info.model_id);
  st_model_unref (model);
  return info;
}

/* The states behind the first blocks (0: the embeddings), prompt and generated tokens in their regimes. */
static void
expected_states (const gint32 * ids, guint blocks, gfloat * x)
{
  StModelOptions options = {.last_block = (gint) blocks,.embed = TRUE,
    .deterministic = TRUE
  };
  StModel *model = st_model_open (st_tiny_path (), &options, NULL);
  StKvCache *cache = st_kv_cache_new (model, 64, ST_TYPE_F32, NULL);

  fail_unless (st_model_embed (model, ids, N, x, NULL));
  fail_unless (st_model_run (model, cache, x, N_PROMPT, ST_REGIME_PREFILL, NULL,
          NULL));
  fail_unless (st_model_run (model, cache, x + N_PROMPT * HIDDEN,
          N - N_PROMPT, ST_REGIME_STEP, NULL, NULL));
  st_kv_cache_free (cache);
  st_model_unref (model);
}

typedef struct
{
  GstRdPredictor *predictor;
  GstRdPast past;
  GstRdPrediction prediction;
  GMutex lock;
} Fixture;

static void
fixture_init (Fixture * f, RdSideInfo side_info)
{
  RdCodecInfo info = info_for (side_info);
  GError *error = NULL;

  memset (f, 0, sizeof *f);
  g_mutex_init (&f->lock);
  gst_rd_past_init (&f->past);
  f->predictor = gst_rd_predictor_new (st_tiny_path (), &info, &error);
  fail_unless (f->predictor != NULL, "%s", error ? error->message : "");
}

static void
fixture_clear (Fixture * f)
{
  gst_rd_predictor_free (f->predictor);
  gst_rd_prediction_clear (&f->prediction);
  gst_rd_past_clear (&f->past);
  g_mutex_clear (&f->lock);
}

/* The text's tokens as rows from @from on. */
static void
note_text (GstRdPast * past, guint32 epoch, guint from, const gint32 * ids)
{
  if (from < N_PROMPT)
    gst_rd_past_rows (past, epoch, from, N_PROMPT - from, FALSE, ids + from);
  from = MAX (from, N_PROMPT);
  gst_rd_past_rows (past, epoch, from, N - from, TRUE, ids + from);
}

static void
expect_features (Fixture * f, guint position, guint n, const gfloat * states)
{
  GError *error = NULL;
  const gfloat *x = gst_rd_predictor_features (f->predictor, &f->prediction,
      &f->past, &f->lock, position, n, NULL, &error);

  fail_unless (x != NULL, "%s", error ? error->message : "");
  fail_unless (memcmp (x, states + position * HIDDEN,
          sizeof (gfloat) * HIDDEN * n) == 0, "other features at %u, %u rows",
      position, n);
}

/* However the rows come, they give the bits that the model gives. */
GST_START_TEST (features_are_the_models_states)
{
  static const struct
  {
    RdSideInfo side_info;
    guint blocks;
  } kinds[] = { {RD_SIDE_INFO_EMBEDDING, 0}, {RD_SIDE_INFO_BLOCKS, BLOCKS} };
  static const guint steps[] = { 1, 5, N };
  gfloat states[N * HIDDEN];

  for (guint k = 0; k < G_N_ELEMENTS (kinds); k++) {
    expected_states (text, kinds[k].blocks, states);
    for (guint s = 0; s < G_N_ELEMENTS (steps); s++) {
      Fixture f;

      fixture_init (&f, kinds[k].side_info);
      note_text (&f.past, 0, 0, text);
      for (guint i = 0; i < N; i += steps[s])
        expect_features (&f, i, MIN (steps[s], N - i), states);
      fixture_clear (&f);
    }
  }
}

GST_END_TEST;

/* Rows that nobody asked features for are made up for; what was rewritten is run again, whether or not anybody asked since. */
GST_START_TEST (features_follow_epochs)
{
  gfloat states[N * HIDDEN], others[N * HIDDEN];
  gint32 changed[N];
  Fixture f;

  memcpy (changed, text, sizeof text);
  changed[6] = 19;
  changed[20] = 21;
  expected_states (text, BLOCKS, states);
  expected_states (changed, BLOCKS, others);
  fail_unless (memcmp (states + 23 * HIDDEN, others + 23 * HIDDEN,
          sizeof (gfloat) * HIDDEN) != 0);

  fixture_init (&f, RD_SIDE_INFO_BLOCKS);
  note_text (&f.past, 0, 0, text);
  expect_features (&f, 21, 3, states);
  expect_features (&f, 2, 1, states);
  expect_features (&f, 20, 4, states);
  note_text (&f.past, 1, 6, changed);
  expect_features (&f, 23, 1, others);
  expect_features (&f, 0, N, others);
  /* a step instead of a prompt's row is another state, too */
  gst_rd_past_rows (&f.past, 2, 6, 1, TRUE, changed + 6);
  fail_unless_equals_int ((gint) f.past.tokens->len, 7);
  note_text (&f.past, 3, 6, text);
  expect_features (&f, 22, 2, states);
  fixture_clear (&f);
}

GST_END_TEST;

GST_START_TEST (sessions_do_not_mix)
{
  gfloat states[N * HIDDEN], others[N * HIDDEN];
  GstRdPrediction prediction = { NULL, NULL };
  gint32 changed[N];
  GstRdPast past;
  Fixture f;

  memcpy (changed, text, sizeof text);
  changed[0] = 100;
  expected_states (text, BLOCKS, states);
  expected_states (changed, BLOCKS, others);
  fixture_init (&f, RD_SIDE_INFO_BLOCKS);
  gst_rd_past_init (&past);
  note_text (&f.past, 0, 0, text);
  note_text (&past, 0, 0, changed);
  for (guint i = 0; i < N; i += 4) {
    const gfloat *x;

    expect_features (&f, i, 4, states);
    x = gst_rd_predictor_features (f.predictor, &prediction, &past, NULL, i, 4,
        NULL, NULL);
    fail_unless (x && memcmp (x, others + i * HIDDEN,
            4 * sizeof (gfloat) * HIDDEN) == 0);
  }
  gst_rd_prediction_clear (&prediction);
  gst_rd_past_clear (&past);
  fixture_clear (&f);
}

GST_END_TEST;

static void
expect_error (const RdCodecInfo * info, const gchar * path, const gchar * part)
{
  g_autoptr (GError) error = NULL;

  fail_unless (gst_rd_predictor_new (path, info, &error) == NULL);
  fail_unless (strstr (error->message, part) != NULL, "\"%s\" does not say "
      "\"%s\"", error->message, part);
}

GST_START_TEST (predictor_refuses_what_does_not_fit)
{
  RdCodecInfo info = info_for (RD_SIDE_INFO_BLOCKS);
  g_autofree gchar *part = g_strconcat (st_tiny_path (), ".part", NULL);
  g_autoptr (StGguf) gguf = st_gguf_open (st_tiny_path (), NULL);
  g_autoptr (StTokenizer) tokenizer = st_tiny_tokenizer ();

  expect_error (&info, NULL, "set model to its GGUF file");
  expect_error (&info, "/no/such/file", "/no/such/file");
  expect_error (&info, st_tiny_other_path (), "was made for tiny (id");
  fail_unless (st_partition_write (gguf, st_tokenizer_id (tokenizer), 2, 4, -1,
          TRUE, part, NULL, NULL));
  expect_error (&info, part, "rdpartition --with-predictor=2");
  fail_unless (st_partition_write (gguf, st_tokenizer_id (tokenizer), 2, 4, 2,
          TRUE, part, NULL, NULL));
  gst_rd_predictor_free (gst_rd_predictor_new (part, &info, NULL));
  info.hidden_size = 7;
  expect_error (&info, part, "hidden size 7");
  g_remove (part);
}

GST_END_TEST;

static void
expect_no_features (Fixture * f, guint position, const gint * cancel, gint code,
    const gchar * part)
{
  g_autoptr (GError) error = NULL;

  fail_unless (gst_rd_predictor_features (f->predictor, &f->prediction,
          &f->past, &f->lock, position, 1, cancel, &error) == NULL);
  fail_unless (strstr (error->message, part) != NULL, "\"%s\" does not say "
      "\"%s\"", error->message, part);
  if (code >= 0)
    fail_unless (g_error_matches (error, ST_MODEL_ERROR, code));
}

/* What is not known, not in the vocabulary, or not wanted any more; afterwards all is as before. */
GST_START_TEST (features_can_fail)
{
  const gint32 beyond = ST_TINY_VOCAB;
  const gint cancelled = 1;
  gfloat states[N * HIDDEN];
  Fixture f;

  expected_states (text, BLOCKS, states);
  fixture_init (&f, RD_SIDE_INFO_BLOCKS);
  expect_no_features (&f, 0, NULL, -1, "position 0 is not known");
  note_text (&f.past, 0, 0, text);
  expect_features (&f, 0, 10, states);
  expect_no_features (&f, 20, &cancelled, ST_MODEL_ERROR_CANCELLED, "");
  expect_no_features (&f, N, NULL, -1, "position 24 is not known");
  gst_rd_past_tokens (&f.past, 0, N, &beyond, 1);
  expect_no_features (&f, N, NULL, -1, "position 24 or after is outside");
  expect_features (&f, 20, 4, states);
  /* the prompt's ids were not sent */
  gst_rd_past_rows (&f.past, 1, 0, N_PROMPT, FALSE, NULL);
  gst_rd_past_tokens (&f.past, 1, N_PROMPT, text + N_PROMPT, 1);
  expect_no_features (&f, N_PROMPT, NULL, -1, "token-side-info=all");
  fixture_clear (&f);
}

GST_END_TEST;

GST_START_TEST (past_knows_what_it_was_told)
{
  gint32 ids[4];
  GstRdPast past;

  gst_rd_past_init (&past);
  fail_if (gst_rd_past_ids (&past, 0, 1, ids));
  gst_rd_past_rows (&past, 0, 0, 3, FALSE, NULL);
  fail_if (gst_rd_past_ids (&past, 2, 1, ids));
  gst_rd_past_tokens (&past, 0, 3, text, 1);
  fail_unless (gst_rd_past_knows (&past, 3, 1, text));
  fail_if (gst_rd_past_knows (&past, 3, 1, text + 1));
  fail_if (gst_rd_past_ids (&past, 3, 2, ids));
  /* its row comes and says nothing new */
  gst_rd_past_rows (&past, 0, 3, 1, TRUE, NULL);
  fail_unless (gst_rd_past_knows (&past, 3, 1, text));
  /* of an epoch that is over, and of the next one */
  gst_rd_past_tokens (&past, 7, 3, text + 2, 1);
  fail_unless (gst_rd_past_knows (&past, 3, 1, text));
  gst_rd_past_rows (&past, 1, 3, 1, TRUE, NULL);
  fail_if (gst_rd_past_ids (&past, 3, 1, ids));
  gst_rd_past_rows (&past, 1, 0, 4, FALSE, text);
  fail_unless (gst_rd_past_ids (&past, 0, 4, ids));
  fail_unless (memcmp (ids, text, sizeof ids) == 0);
  fail_if (gst_rd_past_ids (&past, 5, 1, ids));
  fail_if (gst_rd_past_ids (&past, 1, G_MAXUINT32, ids));
  gst_rd_past_clear (&past);
}

GST_END_TEST;

static Suite *
predictor_suite (void)
{
  Suite *suite = suite_create ("predictor");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, features_are_the_models_states);
  tcase_add_test (tc, features_follow_epochs);
  tcase_add_test (tc, sessions_do_not_mix);
  tcase_add_test (tc, predictor_refuses_what_does_not_fit);
  tcase_add_test (tc, features_can_fail);
  tcase_add_test (tc, past_knows_what_it_was_told);
  return suite;
}

int
main (int argc, char **argv)
{
  st_elements_init (&argc, &argv);
  return st_elements_run (predictor_suite (), "predictor");
}
