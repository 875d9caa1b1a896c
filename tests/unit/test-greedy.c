/* Greedy text of the real model: equal to llama.cpp's, and the same wherever the model is cut. */
#include <json-glib/json-glib.h>
#include <string.h>

#include "tests/support/model-tools.h"
#include "tests/support/test-model.h"

#define N_NEW 64
#define N_CUT 16
/* llama.cpp's two best logits closer than this count as equal. */
#define TIE 1e-3

static GArray *
encode_prompt (StTestChain * chain, const gchar * name)
{
  g_autofree gchar *relative = g_strdup_printf ("../support/prompts/%s", name);
  g_autofree gchar *text = NULL;
  g_autoptr (GError) error = NULL;
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  gsize len;

  text = st_test_read_data (relative, &len);
  st_tokenizer_encode (st_model_tokenizer (chain->parts[0]), text, len, TRUE,
      ids, &error);
  g_assert_no_error (error);
  return ids;
}

static void
check_prompt_ids (const GArray * ids, JsonArray * expected)
{
  g_assert_cmpuint (ids->len, ==, json_array_get_length (expected));
  for (guint i = 0; i < ids->len; i++)
    g_assert_cmpint (g_array_index (ids, gint32, i), ==,
        json_array_get_int_element (expected, i));
}

/* Everything after a tie may differ, so the comparison ends there. */
static void
compare_prompt (StTestChain * chain, JsonObject * prompt)
{
  const gchar *name = json_object_get_string_member (prompt, "prompt");
  JsonArray *expected = json_object_get_array_member (prompt, "ids");
  JsonArray *gaps = json_object_get_array_member (prompt, "top2_gaps");
  g_autoptr (GArray) ids = encode_prompt (chain, name);
  gint32 answer[N_NEW];

  check_prompt_ids (ids, json_object_get_array_member (prompt, "prompt_ids"));
  st_test_chain_truncate (chain, 0);
  st_test_chain_greedy (chain, (const gint32 *) (gpointer) ids->data, ids->len,
      answer, N_NEW, NULL);
  for (guint i = 0; i < N_NEW; i++) {
    if (answer[i] == json_array_get_int_element (expected, i))
      continue;
    g_test_message ("%s: token %u is %d, llama.cpp's is %d with a gap of %g",
        name, i, answer[i], (gint) json_array_get_int_element (expected, i),
        json_array_get_double_element (gaps, i));
    g_assert_cmpfloat (json_array_get_double_element (gaps, i), <, TIE);
    return;
  }
  g_test_message ("%s: %u prompt ids, %u equal ids", name, ids->len, N_NEW);
}

static void
test_llama_cpp (void)
{
  g_autofree gchar *path = st_test_model_path ();
  g_autofree gchar *text = NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;
  StTestChain chain;
  JsonArray *prompts;
  gsize len;

  if (path == NULL) {
    g_test_skip ("the model is not there: set ST_TEST_MODEL");
    return;
  }
  text = st_test_read_data ("greedy-llama-cpp.json", &len);
  json_parser_load_from_data (parser, text, (gssize) len, &error);
  g_assert_no_error (error);
  prompts =
      json_object_get_array_member (json_node_get_object (json_parser_get_root
          (parser)), "prompts");
  g_assert_cmpuint (json_array_get_length (prompts), ==, 10);
  st_test_chain_open (&chain, path, NULL, 0, 1024, ST_TYPE_F32);
  for (guint i = 0; i < json_array_get_length (prompts); i++)
    compare_prompt (&chain, json_array_get_object_element (prompts, i));
  st_test_chain_close (&chain);
}

/* Cut before every block: the same logits, bit for bit, at every step. */
static void
test_every_cut (void)
{
  g_autofree gchar *path = st_test_model_path ();
  g_autofree float *expected_logits = NULL;
  g_autofree float *logits = NULL;
  g_autoptr (GArray) ids = NULL;
  gint32 expected[N_CUT], answer[N_CUT];
  StTestChain whole;
  gint n_blocks;

  if (path == NULL) {
    g_test_skip ("the model is not there: set ST_TEST_MODEL");
    return;
  }
  st_test_chain_open (&whole, path, NULL, 1, 128, ST_TYPE_F32);
  n_blocks = (gint) st_model_config (whole.parts[0])->n_blocks;
  expected_logits = g_new (float, (gsize) N_CUT * whole.vocab);
  logits = g_new (float, (gsize) N_CUT * whole.vocab);
  ids = encode_prompt (&whole, "05-chatml.txt");
  st_test_chain_greedy (&whole, (const gint32 *) (gpointer) ids->data, ids->len,
      expected, N_CUT, expected_logits);
  for (gint cut = 1; cut < n_blocks; cut++) {
    StTestChain chain;

    st_test_chain_open (&chain, path, (gint[]) {
        cut, 0}
        , 1, 128, ST_TYPE_F32);
    st_test_chain_greedy (&chain, (const gint32 *) (gpointer) ids->data,
        ids->len, answer, N_CUT, logits);
    g_assert_cmpmem (answer, sizeof (answer), expected, sizeof (expected));
    g_assert_true (memcmp (logits, expected_logits,
            (gsize) N_CUT * whole.vocab * sizeof (float)) == 0);
    st_test_chain_close (&chain);
  }
  st_test_chain_close (&whole);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/greedy/llama-cpp", test_llama_cpp);
  g_test_add_func ("/greedy/every-cut", test_every_cut);
  return g_test_run ();
}
