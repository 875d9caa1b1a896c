#include "tests/elements/element-tools.h"
#include <glib/gstdio.h>
#include <string.h>
#include "elements/common/gstrdcaps.h"
#include "elements/tokensrc/gsttokensrc.h"
#include "elements/transformerhead/gsttransformerhead.h"
#include "elements/transformertail/gsttransformertail.h"

static gchar *models[4];

void
st_elements_init (int *argc, char **argv[])
{
  gst_check_init (argc, argv);
  g_assert_true (GST_ELEMENT_REGISTER (tokensrc, NULL));
  g_assert_true (GST_ELEMENT_REGISTER (transformerhead, NULL));
  g_assert_true (GST_ELEMENT_REGISTER (transformertail, NULL));
  /* Made before the tests fork; no check macros before they run. */
  st_tiny_path ();
  st_tiny_ending_path ();
  st_tiny_other_path ();
  st_tiny_gpt2_path ();
}

int
st_elements_run (Suite * suite, const gchar * name)
{
  int failed = gst_check_run_suite (suite, name, name);

  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    if (models[i])
      g_unlink (models[i]);
    g_free (models[i]);
  }
  return failed;
}

static const gchar *
tiny (guint which, const StTinyModelOptions * options)
{
  if (!models[which])
    models[which] = st_tiny_model_temp (options);
  return models[which];
}

const gchar *
st_tiny_path (void)
{
  return tiny (0, NULL);
}

const gchar *
st_tiny_ending_path (void)
{
  StTinyModelOptions options = {.ends = TRUE };

  return tiny (1, &options);
}

const gchar *
st_tiny_other_path (void)
{
  StTinyModelOptions options = {.seed = 7 };

  return tiny (2, &options);
}

const gchar *
st_tiny_gpt2_path (void)
{
  StTinyModelOptions options = {.gpt2 = TRUE };

  return tiny (3, &options);
}

StTokenizer *
st_tiny_tokenizer (void)
{
  g_autoptr (StGguf) gguf = st_gguf_open (st_tiny_path (), NULL);
  StTokenizer *tokenizer = st_tokenizer_new (gguf, NULL);

  fail_unless (tokenizer != NULL);
  return tokenizer;
}

GstElement *
st_element (const gchar * factory, const gchar * setup)
{
  g_autofree gchar *text = g_strdup_printf ("setup,%s", setup);
  g_autoptr (GstStructure) s = gst_structure_from_string (text, NULL);
  GstElement *element = gst_element_factory_make (factory, NULL);

  fail_unless (s != NULL, "cannot read %s", text);
  for (gint i = 0; i < gst_structure_n_fields (s); i++) {
    const gchar *name = gst_structure_nth_field_name (s, (guint) i);
    const GValue *v = gst_structure_get_value (s, name);
    g_autofree gchar *value = gst_value_serialize (v);

    gst_util_set_object_arg (G_OBJECT (element), name,
        G_VALUE_HOLDS_STRING (v) ? g_value_get_string (v) : value);
  }
  return element;
}

GstHarness *
st_harness (const gchar * factory, const gchar * setup, GstElement ** element)
{
  GstElement *e = st_element (factory, setup);
  GstHarness *h = gst_harness_new_with_element (e, "sink", "src");

  if (element)
    *element = e;
  gst_object_unref (e);
  return h;
}

GstCaps *
st_tiny_ids_caps (void)
{
  g_autoptr (StTokenizer) tokenizer = st_tiny_tokenizer ();

  return gst_rd_token_ids_caps (ST_TINY_VOCAB, st_tokenizer_id (tokenizer));
}

GstBuffer *
st_ids_buffer (const gint32 * ids, guint n, gboolean meta, guint32 session,
    guint32 epoch, guint32 position, GstRdMetaFlags flags)
{
  GstBuffer *buffer = gst_buffer_new_memdup (ids, sizeof (gint32) * n);

  if (meta)
    gst_buffer_add_rd_meta (buffer, session, epoch, position, n, flags, ids);
  return buffer;
}

/* ---- pipelines ---- */

static void
collect (GstElement * sink, GstBuffer * buffer, GstPad * pad, GString * out)
{
  GstMapInfo map;

  (void) sink;
  (void) pad;
  fail_unless (gst_buffer_map (buffer, &map, GST_MAP_READ));
  g_string_append_len (out, (gchar *) map.data, (gssize) map.size);
  gst_buffer_unmap (buffer, &map);
}

static void
collect_from (GstElement * pipeline, const gchar * name, GString * out)
{
  GstElement *sink = gst_bin_get_by_name (GST_BIN (pipeline), name);

  if (!sink)
    return;
  g_object_set (sink, "signal-handoffs", TRUE, NULL);
  g_signal_connect (sink, "handoff", G_CALLBACK (collect), out);
  gst_object_unref (sink);
}

static gboolean
note_message (StRun * run, GstMessage * message)
{
  GError *error = NULL;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
      gst_message_parse_error (message, &error, &run->debug);
      run->error = g_strdup (error->message);
      g_error_free (error);
      return TRUE;
    case GST_MESSAGE_WARNING:
      gst_message_parse_warning (message, &error, NULL);
      g_ptr_array_add (run->warnings, g_strdup (error->message));
      g_error_free (error);
      return FALSE;
    case GST_MESSAGE_ELEMENT:
      g_ptr_array_add (run->messages,
          gst_structure_copy (gst_message_get_structure (message)));
      return FALSE;
    default:
      return GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS;
  }
}

void
st_run (StRun * run, const gchar * line, ...)
{
  GError *error = NULL;
  gboolean done = FALSE;
  va_list args;

  memset (run, 0, sizeof *run);
  run->text = g_string_new (NULL);
  run->tokens = g_string_new (NULL);
  run->messages =
      g_ptr_array_new_with_free_func ((GDestroyNotify) gst_structure_free);
  run->warnings = g_ptr_array_new_with_free_func (g_free);
  va_start (args, line);
  g_autofree gchar *text = g_strdup_vprintf (line, args);
  va_end (args);
  GstElement *pipeline = gst_parse_launch (text, &error);
  fail_unless (error == NULL, "%s: %s", text, error ? error->message : "");
  GstBus *bus = gst_element_get_bus (pipeline);
  collect_from (pipeline, "out", run->text);
  collect_from (pipeline, "ids", run->tokens);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (!done) {
    GstMessage *message = gst_bus_timed_pop (bus, 60 * GST_SECOND);

    fail_unless (message != NULL, "no end within 60 s: %s", text);
    done = note_message (run, message);
    gst_message_unref (message);
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}

void
st_run_clear (StRun * run)
{
  g_string_free (run->text, TRUE);
  g_string_free (run->tokens, TRUE);
  g_free (run->error);
  g_free (run->debug);
  g_ptr_array_unref (run->messages);
  g_ptr_array_unref (run->warnings);
}

const GstStructure *
st_run_message (const StRun * run, const gchar * name)
{
  for (guint i = run->messages->len; i > 0; i--) {
    const GstStructure *s = g_ptr_array_index (run->messages, i - 1);

    if (gst_structure_has_name (s, name))
      return s;
  }
  return NULL;
}

/* ---- expectations ---- */

GArray *
st_encode (const gchar * text)
{
  g_autoptr (StTokenizer) tokenizer = st_tiny_tokenizer ();
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (gint32));

  fail_unless (st_tokenizer_encode (tokenizer, text, strlen (text), TRUE, ids,
          NULL));
  return ids;
}

gchar *
st_chain_text (StTestChain * chain, const gint32 * prompt, guint n_prompt,
    guint n)
{
  g_autofree gint32 *ids = g_new (gint32, n);
  g_autoptr (StTokenizer) tokenizer = st_tiny_tokenizer ();
  StDetokenizer *detokenizer = st_detokenizer_new (tokenizer);
  GString *out = g_string_new (NULL);

  st_test_chain_greedy (chain, prompt, n_prompt, ids, n, NULL);
  for (guint i = 0; i < n; i++)
    st_detokenizer_push (detokenizer, ids[i], out);
  st_detokenizer_flush (detokenizer, out);
  st_detokenizer_free (detokenizer);
  return g_string_free (out, FALSE);
}

gchar *
st_expected_text (const gchar * path, const gint32 * prompt, guint n_prompt,
    guint n)
{
  const gint cuts[] = { 0 };
  StTestChain chain;
  gchar *text;

  st_test_chain_open (&chain, path, cuts, 1, 0, ST_TYPE_F32);
  text = st_chain_text (&chain, prompt, n_prompt, n);
  st_test_chain_close (&chain);
  return text;
}

GstEvent *
st_pull_custom (GstHarness * h, const gchar * name, gboolean upstream)
{
  GstEvent *event;

  while ((event = upstream ? gst_harness_try_pull_upstream_event (h) :
          gst_harness_try_pull_event (h))) {
    if (gst_event_has_name (event, name))
      return event;
    gst_event_unref (event);
  }
  return NULL;
}
