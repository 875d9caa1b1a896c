/* What the evaluation reads: codec specs, test windows, passages; and whether a last word comes out. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "pipelines/eval/error.h"
#include "pipelines/eval/forward.h"
#include "pipelines/eval/spec.h"
#include "tests/support/model-tools.h"
#include "tests/support/tiny-model.h"

/* ---- specs ---- */

static GArray *
sizes_new (void)
{
  GArray *sizes = g_array_new (FALSE, FALSE, sizeof (guint));
  const guint values[] = { 64 };

  return g_array_append_vals (sizes, values, G_N_ELEMENTS (values));
}

static const EvalVariant *
variant_at (const GPtrArray * variants, guint i)
{
  return g_ptr_array_index (variants, i);
}

static void
test_spec (void)
{
  g_autoptr (GArray) sizes = sizes_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (EvalSpec) spec =
      eval_spec_parse
      ("dir/x.gguf:quality=20,40.5:frame-tokens=1,8:complexity=3", sizes,
      &error);
  g_autoptr (GPtrArray) variants = NULL;

  g_assert_no_error (error);
  g_assert_cmpint (spec->kind, ==, EVAL_ELEMENTS);
  g_assert_cmpstr (spec->name, ==, "dir/x.gguf");
  g_assert_cmpuint (spec->settings->len, ==, 1);
  variants = eval_spec_expand (spec);
  g_assert_cmpuint (variants->len, ==, 4);
  g_assert_cmpstr (variant_at (variants, 0)->curve, ==, "x:complexity=3@1");
  g_assert_cmpfloat (variant_at (variants, 1)->value, ==, 40.5);
  g_assert_cmpuint (variant_at (variants, 1)->frame_tokens, ==, 1);
  g_assert_cmpstr (variant_at (variants, 3)->curve, ==, "x:complexity=3@8");
}

static void
test_spec_words (void)
{
  g_autoptr (GArray) sizes = sizes_new ();
  g_autoptr (EvalSpec) plain = eval_spec_parse ("int8:nopack", sizes, NULL);
  g_autoptr (EvalSpec) named = eval_spec_parse ("int8:pack:send-ids:label=mine",
      sizes, NULL);
  g_autoptr (EvalSpec) rounding = eval_spec_parse ("rounding:step=0.5,1", sizes,
      NULL);
  g_autoptr (EvalSpec) ids = eval_spec_parse ("ids", sizes, NULL);
  g_autoptr (GPtrArray) one = eval_spec_expand (plain);
  g_autoptr (GPtrArray) steps = eval_spec_expand (rounding);
  g_autoptr (GPtrArray) codes = eval_spec_expand (ids);

  g_assert_cmpuint (one->len, ==, 1);
  g_assert_cmpstr (variant_at (one, 0)->curve, ==, "int8:nopack");
  g_assert_true (isnan (variant_at (one, 0)->value));
  g_assert_cmpuint (variant_at (one, 0)->frame_tokens, ==, 64);
  g_assert_cmpstr (named->label, ==, "mine");
  g_assert_true (named->send_ids);
  g_assert_cmpuint (steps->len, ==, 2);
  g_assert_cmpuint (variant_at (steps, 0)->frame_tokens, ==, 0);
  g_assert_cmpuint (codes->len, ==, EVAL_N_ID_CODES);
  g_assert_cmpint (variant_at (codes, 2)->id_code, ==, EVAL_IDS_MODEL);
}

static void
test_bad_specs (void)
{
  static const struct
  {
    const gchar *text, *message;
  } cases[] = {
    {"", "needs the name of a codec"},
    {"int8:loud", "\"loud\" is no setting of int8"},
    {"int8:pack=", "is no setting of int8"},
    {"x:quality=20,", "\"\" in \"20,\" is not a number"},
    {"x:quality=nan", "is not a number"},
    {"x:quality=1e999", "is not a number"},
    {"x:frame-tokens=0", "is not an integer from 1"},
    {"x:frame-tokens=8.5", "is not an integer from 1"},
    {"rounding:step=0", "is not a number of at least"},
    {"rounding:pack", "has no properties"},
    {"ids:send-ids", "has no properties"},
  };
  g_autoptr (GArray) sizes = sizes_new ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", cases[i].text);
    g_assert_null (eval_spec_parse (cases[i].text, sizes, &error));
    g_assert_error (error, EVAL_ERROR, EVAL_ERROR_OPTION);
    g_assert_nonnull (strstr (error->message, cases[i].message));
  }
}

static void
test_baselines (void)
{
  g_autoptr (GPtrArray) specs =
      g_ptr_array_new_with_free_func ((GDestroyNotify) eval_spec_free);

  eval_spec_add_baselines (specs, 64);
  g_assert_cmpuint (specs->len, ==, 8);
  for (guint i = 0; i < specs->len; i++) {
    const EvalSpec *spec = g_ptr_array_index (specs, i);
    g_autoptr (GPtrArray) variants = eval_spec_expand (spec);

    g_assert_cmpuint (variants->len, >=, spec->kind == EVAL_ELEMENTS ? 2 : 3);
  }
}

/* ---- files ---- */

static gchar *
temporary (const gchar * content)
{
  g_autoptr (GError) error = NULL;
  gchar *path;
  gint fd = g_file_open_tmp ("eval-XXXXXX", &path, &error);

  g_assert_no_error (error);
  g_close (fd, NULL);
  g_file_set_contents (path, content, -1, &error);
  g_assert_no_error (error);
  return path;
}

static void
test_windows (void)
{
  g_autofree gchar *path = temporary ("{\"windows\": ["
      "{\"domain\": \"a\", \"ids\": [0, 1, 2]}, {\"domain\": \"b\", \"ids\": "
      "[0, 3]}, {\"domain\": \"a\", \"ids\": [0, 4]}]}");
  g_autoptr (GError) error = NULL;
  g_autoptr (EvalTestset) all = eval_testset_load (path, 5, 8, 0, &error);
  g_autoptr (EvalTestset) few = eval_testset_load (path, 5, 8, 1, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (all->domains->len, ==, 2);
  g_assert_cmpuint (all->texts->len, ==, 3);
  const EvalText *last = g_ptr_array_index (all->texts, 2);
  g_assert_cmpuint (last->domain, ==, 0);
  g_assert_cmpuint (last->n, ==, 2);
  g_assert_cmpint (last->ids[1], ==, 4);
  g_assert_cmpuint (few->texts->len, ==, 2);
  g_unlink (path);
}

static void
test_bad_windows (void)
{
  static const struct
  {
    const gchar *content, *message;
  } cases[] = {
    {"", "no array \"windows\""},
    {"{", "1:"},
    {"[]", "no array \"windows\""},
    {"{\"windows\": []}", "no array \"windows\""},
    {"{\"windows\": [3]}", "window 0: a window needs"},
    {"{\"windows\": [{\"domain\": 3, \"ids\": [0, 1]}]}", "window 0: a window "
          "needs"},
    {"{\"windows\": [{\"domain\": \"a\", \"ids\": [0]}]}", "(it has 1)"},
    {"{\"windows\": [{\"domain\": \"a\", \"ids\": [0, 0, 0, 0, 0]}]}",
        "(it has 5)"},
    {"{\"windows\": [{\"domain\": \"a\", \"ids\": [0, 5]}]}", "id number 1"},
    {"{\"windows\": [{\"domain\": \"a\", \"ids\": [0, -1]}]}", "id number 1"},
    {"{\"windows\": [{\"domain\": \"a\", \"ids\": [0, 1.5]}]}", "id number 1"},
    {"{\"windows\": [{\"domain\": \"a\", \"ids\": [[], 1]}]}", "id number 0"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = temporary (cases[i].content);
    g_autoptr (GError) error = NULL;

    g_assert_null (eval_testset_load (path, 5, 4, 0, &error));
    g_assert_nonnull (error);
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, path));
    g_assert_nonnull (strstr (error->message, cases[i].message));
    g_unlink (path);
  }
}

static StModel *
open_tiny (const gchar * path)
{
  return st_test_open_blocks (path, 0, -1, 1);
}

static void
test_passages (void)
{
  g_autofree gchar *model_path = st_tiny_model_temp (NULL);
  g_autofree gchar *path = temporary ("{\"text\": \"ab c\", \"word\": "
      "\" dé\"}\n\n{\"text\": \"\", \"word\": \"x\", \"domain\": \"d\"}\n"
      "{\"text\": \"z\", \"word\": \"x\", \"domain\": \"d\"}\n");
  g_autoptr (StModel) model = open_tiny (model_path);
  g_autoptr (GArray) text = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GArray) word = g_array_new (FALSE, FALSE, sizeof (gint32));
  StTokenizer *tokenizer = st_model_tokenizer (model);
  g_autoptr (GError) error = NULL;
  g_autoptr (EvalTestset) all = eval_last_words_load (path, tokenizer, 2, 100,
      0, &error);
  g_autoptr (EvalTestset) few = eval_last_words_load (path, tokenizer, 2, 100,
      1, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (all->texts->len, ==, 3);
  g_assert_cmpuint (few->texts->len, ==, 2);
  g_assert_cmpuint (all->domains->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (all->domains, 0), ==, "passages");
  const EvalText *item = g_ptr_array_index (all->texts, 0);
  g_assert_true (st_tokenizer_encode (tokenizer, "ab c", 4, FALSE, text, NULL));
  g_assert_true (st_tokenizer_encode (tokenizer, " dé", 4, FALSE, word, NULL));
  g_assert_cmpint (item->ids[0], ==, 2);
  g_assert_cmpuint (item->word_at, ==, 1 + text->len);
  g_assert_cmpuint (item->n, ==, 1 + text->len + word->len);
  g_assert_cmpmem (item->ids + 1, text->len * sizeof (gint32), text->data,
      text->len * sizeof (gint32));
  g_assert_cmpmem (item->ids + item->word_at, word->len * sizeof (gint32),
      word->data, word->len * sizeof (gint32));
  g_assert_cmpuint (((EvalText *) g_ptr_array_index (all->texts, 1))->domain,
      ==, 1);
  g_unlink (path);
  g_unlink (model_path);
}

static void
test_bad_passages (void)
{
  static const struct
  {
    const gchar *content, *message;
  } cases[] = {
    {"\n\n", "no passages"},
    {"{\"text\": \"a\", \"word\": \"b\"}\nnonsense\n", "line 2"},
    {"{\"text\": \"a\"}", "line 1: not an object with"},
    {"{\"text\": \"a\", \"word\": \"\"}", "line 1: not an object with"},
    {"[1]", "line 1: not an object with"},
    {"{\"text\": \"a longer text than fits\", \"word\": \"b\"}", "line 1: "},
  };
  g_autofree gchar *model_path = st_tiny_model_temp (NULL);
  g_autoptr (StModel) model = open_tiny (model_path);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = temporary (cases[i].content);
    g_autoptr (GError) error = NULL;

    g_assert_null (eval_last_words_load (path, st_model_tokenizer (model), 0,
            8, 0, &error));
    g_assert_nonnull (error);
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, path));
    g_assert_nonnull (strstr (error->message, cases[i].message));
    g_unlink (path);
  }
  g_unlink (model_path);
}

/* ---- the model ---- */

#define PROMPT 5
#define WORD 3

static void
check_word (EvalModel * model, gint32 * ids, gboolean expected)
{
  const EvalText text = {.ids = ids,.n = PROMPT + WORD,.word_at = PROMPT };
  g_autofree float *x = g_new (float, (PROMPT + WORD) * ST_TINY_HIDDEN);
  g_autoptr (GError) error = NULL;
  gboolean right;

  g_assert_true (eval_model_head (model, ids, text.n, -1, x, &error)
      && eval_model_tail (model, x, text.n, NULL, &error)
      && eval_model_word (model, &text, x, &right, &error));
  g_assert_no_error (error);
  g_assert_cmpint (right, ==, expected);
}

/* The last word is right if the model, left to itself, writes it. */
static void
test_word (void)
{
  gint32 ids[PROMPT + WORD] = { 0, 40, 41, 42, 43 };
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autoptr (GError) error = NULL;
  gint cancel = 0;
  StTestChain chain;
  EvalModel model;

  st_test_chain_open (&chain, path, NULL, 1, PROMPT + WORD, ST_TYPE_F32);
  st_test_chain_greedy (&chain, ids, PROMPT, ids + PROMPT, WORD, NULL);
  st_test_chain_close (&chain);
  g_assert_true (eval_model_open (&model, path, 2, 1, &cancel, &error));
  check_word (&model, ids, TRUE);
  ids[PROMPT + WORD - 1] = ids[PROMPT + WORD - 1] == 50 ? 51 : 50;
  check_word (&model, ids, FALSE);
  eval_model_clear (&model);
  g_unlink (path);
}

static void
test_bad_split (void)
{
  static const gint splits[] = { -3, 0, ST_TINY_BLOCKS, ST_TINY_BLOCKS + 1 };
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  gint cancel = 0;

  for (guint i = 0; i < G_N_ELEMENTS (splits); i++) {
    g_autoptr (GError) error = NULL;
    EvalModel model;

    g_assert_false (eval_model_open (&model, path, splits[i], 1, &cancel,
            &error));
    g_assert_nonnull (error);
    g_test_message ("%s", error->message);
    eval_model_clear (&model);
  }
  g_unlink (path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/eval-input/spec", test_spec);
  g_test_add_func ("/eval-input/spec-words", test_spec_words);
  g_test_add_func ("/eval-input/bad-specs", test_bad_specs);
  g_test_add_func ("/eval-input/baselines", test_baselines);
  g_test_add_func ("/eval-input/windows", test_windows);
  g_test_add_func ("/eval-input/bad-windows", test_bad_windows);
  g_test_add_func ("/eval-input/passages", test_passages);
  g_test_add_func ("/eval-input/bad-passages", test_bad_passages);
  g_test_add_func ("/eval-input/word", test_word);
  g_test_add_func ("/eval-input/bad-split", test_bad_split);
  return g_test_run ();
}
