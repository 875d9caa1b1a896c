/* Test windows and last-word passages from their files. */
#include "pipelines/eval/testset.h"
#include <json-glib/json-glib.h>
#include <string.h>
#include "pipelines/eval/error.h"

void
eval_text_free (EvalText * text)
{
  g_free (text->ids);
  g_free (text);
}

void
eval_testset_free (EvalTestset * testset)
{
  g_ptr_array_unref (testset->domains);
  g_ptr_array_unref (testset->texts);
  g_free (testset);
}

static EvalTestset *
testset_new (void)
{
  EvalTestset *testset = g_new0 (EvalTestset, 1);

  testset->domains = g_ptr_array_new_with_free_func (g_free);
  testset->texts =
      g_ptr_array_new_with_free_func ((GDestroyNotify) eval_text_free);
  return testset;
}

static guint
domain_index (EvalTestset * testset, const gchar * name)
{
  guint index;

  if (!g_ptr_array_find_with_equal_func (testset->domains, name, g_str_equal,
          &index)) {
    index = testset->domains->len;
    g_ptr_array_add (testset->domains, g_strdup (name));
  }
  return index;
}

/* Takes @text, or frees it where its domain has @per_domain texts already. */
static void
keep_text (EvalTestset * testset, EvalText * text, guint per_domain)
{
  guint n = 0;

  for (guint i = 0; i < testset->texts->len; i++)
    n += ((EvalText *) g_ptr_array_index (testset->texts, i))->domain
        == text->domain;
  if (per_domain && n >= per_domain)
    eval_text_free (text);
  else
    g_ptr_array_add (testset->texts, text);
}

/* ---- windows ---- */

/* Member @name of @node if @node is an object and the member is of @type, else NULL. */
static JsonNode *
member (JsonNode * node, const gchar * name, JsonNodeType type)
{
  JsonNode *found = node && JSON_NODE_HOLDS_OBJECT (node) ?
      json_object_get_member (json_node_get_object (node), name) : NULL;

  return found && JSON_NODE_TYPE (found) == type ? found : NULL;
}

static const gchar *
string_member (JsonNode * node, const gchar * name)
{
  JsonNode *value = member (node, name, JSON_NODE_VALUE);

  return value && json_node_get_value_type (value) == G_TYPE_STRING ?
      json_node_get_string (value) : NULL;
}

static gboolean
read_ids (JsonArray * array, guint vocab, EvalText * text, GError ** error)
{
  for (guint i = 0; i < text->n; i++) {
    JsonNode *node = json_array_get_element (array, i);
    gint64 id = -1;

    if (JSON_NODE_HOLDS_VALUE (node)
        && json_node_get_value_type (node) == G_TYPE_INT64)
      id = json_node_get_int (node);
    if (id < 0 || id >= vocab) {
      g_set_error (error, EVAL_ERROR, EVAL_ERROR_FILE,
          "id number %u is not an integer from 0 to %u: are the windows made "
          "for this model's tokenizer?", i, vocab - 1);
      return FALSE;
    }
    text->ids[i] = (gint32) id;
  }
  return TRUE;
}

static EvalText *
read_window (EvalTestset * testset, JsonNode * node, guint vocab,
    guint max_ids, GError ** error)
{
  const gchar *domain = string_member (node, "domain");
  JsonNode *ids = member (node, "ids", JSON_NODE_ARRAY);
  guint n = ids ? json_array_get_length (json_node_get_array (ids)) : 0;

  if (!domain || n < 2 || n > max_ids) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_FILE,
        "a window needs a string \"domain\" and an array \"ids\" of 2 to %u "
        "ids (it has %u)", max_ids, n);
    return NULL;
  }
  EvalText *text = g_new0 (EvalText, 1);
  text->n = n;
  text->ids = g_new (gint32, n);
  if (!read_ids (json_node_get_array (ids), vocab, text, error)) {
    eval_text_free (text);
    return NULL;
  }
  text->domain = domain_index (testset, domain);
  return text;
}

EvalTestset *
eval_testset_load (const gchar * path, guint vocab, guint max_ids,
    guint per_domain, GError ** error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (EvalTestset) testset = testset_new ();
  JsonNode *windows;

  if (!json_parser_load_from_mapped_file (parser, path, error)) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  windows = member (json_parser_get_root (parser), "windows", JSON_NODE_ARRAY);
  guint n = windows ? json_array_get_length (json_node_get_array (windows)) : 0;
  if (n == 0) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_FILE,
        "%s: no array \"windows\" with anything in it", path);
    return NULL;
  }
  for (guint i = 0; i < n; i++) {
    JsonNode *node = json_array_get_element (json_node_get_array (windows), i);
    EvalText *text = read_window (testset, node, vocab, max_ids, error);

    if (!text) {
      g_prefix_error (error, "%s: window %u: ", path, i);
      return NULL;
    }
    keep_text (testset, text, per_domain);
  }
  return g_steal_pointer (&testset);
}

/* ---- last words ---- */

static EvalText *
read_passage (EvalTestset * passages, JsonNode * node, StTokenizer * tokenizer,
    gint32 first_id, guint max_ids, GError ** error)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  const gchar *text = string_member (node, "text");
  const gchar *word = string_member (node, "word");
  const gchar *domain = string_member (node, "domain");

  if (!text || !word || *word == '\0') {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_FILE,
        "not an object with the strings \"text\" and \"word\"");
    return NULL;
  }
  g_array_append_val (ids, first_id);
  if (!st_tokenizer_encode (tokenizer, text, strlen (text), FALSE, ids, error))
    return NULL;
  guint word_at = ids->len;
  if (!st_tokenizer_encode (tokenizer, word, strlen (word), FALSE, ids, error))
    return NULL;
  if (ids->len == word_at || ids->len > max_ids) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_FILE,
        "%u ids, of them %u of the word: at least 1 of the word and at most "
        "%u of all can be used", ids->len, ids->len - word_at, max_ids);
    return NULL;
  }
  EvalText *item = g_new0 (EvalText, 1);
  item->n = ids->len;
  item->word_at = word_at;
  item->ids = (gint32 *) g_array_free (g_steal_pointer (&ids), FALSE);
  item->domain = domain_index (passages, domain ? domain : "passages");
  return item;
}

EvalTestset *
eval_last_words_load (const gchar * path, StTokenizer * tokenizer,
    gint32 first_id, guint max_ids, guint per_domain, GError ** error)
{
  g_autoptr (EvalTestset) passages = testset_new ();
  g_autofree gchar *content = NULL;

  if (!g_file_get_contents (path, &content, NULL, error))
    return NULL;
  g_auto (GStrv) lines = g_strsplit (content, "\n", -1);
  for (guint i = 0; lines[i]; i++) {
    EvalText *item = NULL;

    if (*g_strstrip (lines[i]) == '\0')
      continue;
    g_autoptr (JsonNode) node = json_from_string (lines[i], error);
    if (node)
      item = read_passage (passages, node, tokenizer, first_id, max_ids, error);
    if (!item) {
      g_prefix_error (error, "%s: line %u: ", path, i + 1);
      return NULL;
    }
    keep_text (passages, item, per_domain);
  }
  if (passages->texts->len == 0) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_FILE, "%s: no passages", path);
    return NULL;
  }
  return g_steal_pointer (&passages);
}
