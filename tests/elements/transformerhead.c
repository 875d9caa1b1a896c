/* transformerhead: caps, meta, sessions, the position rule, tensors, bad input. */
#include <string.h>
#include <glib/gstdio.h>
#include "elements/common/gstrdcaps.h"
#include "tests/elements/element-tools.h"

static const gint32 ids[] = { 10, 20, 30, 40, 50, 60 };

static GstHarness *
head (const gchar * more, GstElement ** element)
{
  g_autofree gchar *setup = g_strdup_printf ("model=(string)%s%s%s",
      st_tiny_path (), *more ? "," : "", more);
  GstHarness *h = st_harness ("transformerhead", setup, element);

  gst_harness_set_src_caps (h, st_tiny_ids_caps ());
  return h;
}

static GstFlowReturn
push (GstHarness * h, guint from, guint n, guint32 session, guint32 epoch,
    guint32 position, GstRdMetaFlags flags)
{
  return gst_harness_push (h, st_ids_buffer (ids + from, n, TRUE, session,
          epoch, position, flags));
}

/* The hidden states before block 2 of @n ids, computed without elements. */
static gfloat *
expected (const gint32 * what, guint n)
{
  const StModelOptions options = {.last_block = 2,.embed = TRUE,.threads = 1,
    .deterministic = TRUE
  };
  g_autoptr (StModel) model = st_model_open (st_tiny_path (), &options, NULL);
  StKvCache *cache = st_kv_cache_new (model, 0, ST_TYPE_F32, NULL);
  gfloat *x = g_new (gfloat, n * ST_TINY_HIDDEN);

  fail_unless (st_model_embed (model, what, n, x, NULL));
  fail_unless (st_model_run (model, cache, x, n, ST_REGIME_PREFILL, NULL,
          NULL));
  st_kv_cache_free (cache);
  return x;
}

static void
expect_rows (GstBuffer * buffer, const gfloat * x, guint n)
{
  assert_equals_int (gst_buffer_get_size (buffer), n * ST_TINY_HIDDEN * 4);
  fail_unless (gst_buffer_memcmp (buffer, 0, x, n * ST_TINY_HIDDEN * 4) == 0);
}

static gchar *
error_of (GstElement * element)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (element);
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  GError *error;
  gchar *text;

  fail_unless (message != NULL, "no error was posted");
  gst_message_parse_error (message, &error, NULL);
  text = g_strdup (error->message);
  g_error_free (error);
  gst_message_unref (message);
  /* A message on a bus holds the element that holds the bus. */
  gst_bus_set_flushing (bus, TRUE);
  return text;
}

static void
give_bus (GstElement * element)
{
  GstBus *bus = gst_bus_new ();

  gst_element_set_bus (element, bus);
  gst_object_unref (bus);
}

GST_START_TEST (rows_and_meta)
{
  GstHarness *h = head ("split-layer=2", NULL);
  g_autofree gfloat *x = expected (ids, 6);
  GstBuffer *buffer;
  GstRdMeta *m;
  GstCaps *caps;

  assert_equals_int (push (h, 0, 4, 3, 0, 0, GST_RD_META_SEND_IDS),
      GST_FLOW_OK);
  assert_equals_int (push (h, 4, 2, 3, 0, 4, GST_RD_META_SAMPLE), GST_FLOW_OK);
  buffer = gst_harness_pull (h);
  expect_rows (buffer, x, 4);
  m = gst_buffer_get_rd_meta (buffer);
  assert_equals_int (m->session, 3);
  assert_equals_int (m->count, 4);
  assert_equals_int (m->flags, GST_RD_META_SEND_IDS);
  fail_unless (memcmp (m->ids, ids, sizeof (gint32) * 4) == 0);
  gst_buffer_unref (buffer);
  buffer = gst_harness_pull (h);
  /* The same bits, although the rows came in two buffers. */
  expect_rows (buffer, x + 4 * ST_TINY_HIDDEN, 2);
  m = gst_buffer_get_rd_meta (buffer);
  assert_equals_int (m->position, 4);
  assert_equals_int (m->flags, GST_RD_META_SAMPLE);
  gst_buffer_unref (buffer);
  caps = gst_pad_get_current_caps (h->sinkpad);
  GstRdStateInfo info;
  fail_unless (gst_rd_state_info_from_caps (&info, caps, NULL));
  assert_equals_int (info.hidden_size, ST_TINY_HIDDEN);
  assert_equals_int (info.split_layer, 2);
  assert_equals_int (strlen (info.model_id), 64);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
}

GST_END_TEST;

/* What is cut stays UTF-8, as caps have to be. */
GST_START_TEST (long_names_are_cut_between_characters)
{
  g_autofree gchar *start = g_strnfill (62, 'a');
  g_autofree gchar *name = g_strconcat (start, "\303\251\303", NULL);
  const StTinyModelOptions options = {.name = name };
  g_autofree gchar *path = st_tiny_model_temp (&options);
  g_autofree gchar *setup = g_strdup_printf ("model=(string)%s,split-layer=2",
      path);
  GstHarness *h = st_harness ("transformerhead", setup, NULL);
  GstCaps *caps;

  gst_harness_set_src_caps (h, st_tiny_ids_caps ());
  assert_equals_int (push (h, 0, 2, 1, 0, 0, 0), GST_FLOW_OK);
  caps = gst_pad_get_current_caps (h->sinkpad);
  fail_unless_equals_string (gst_structure_get_string (gst_caps_get_structure
          (caps, 0), "model-name"), start);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
  g_unlink (path);
}

GST_END_TEST;

GST_START_TEST (positions_truncate)
{
  GstHarness *h = head ("split-layer=2", NULL);
  const gint32 rewritten[] = { 10, 20, 50, 60 };
  g_autofree gfloat *x = expected (rewritten, 4);
  GstBuffer *buffer;

  push (h, 0, 4, 1, 0, 0, 0);
  gst_buffer_unref (gst_harness_pull (h));
  push (h, 4, 2, 1, 1, 2, 0);
  buffer = gst_harness_pull (h);
  expect_rows (buffer, x + 2 * ST_TINY_HIDDEN, 2);
  gst_buffer_unref (buffer);
  /* Rows of the old epoch are late. */
  assert_equals_int (push (h, 0, 1, 1, 0, 4, 0), GST_FLOW_OK);
  fail_unless (gst_harness_try_pull (h) == NULL);
  gst_harness_teardown (h);
}

GST_END_TEST;

/* An upstream side that knows nothing of sessions (the harness's own takes every event). */
static gboolean
refuse_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  (void) pad;
  (void) parent;
  gst_event_unref (event);
  return FALSE;
}

GST_START_TEST (a_hole_in_the_positions_is_an_error)
{
  GstElement *element;
  GstHarness *h = head ("split-layer=2", &element);
  g_autofree gchar *error = NULL;

  give_bus (element);
  gst_pad_set_event_function (h->srcpad, refuse_event);
  push (h, 0, 2, 1, 0, 0, 0);
  assert_equals_int (push (h, 2, 2, 1, 0, 3, 0), GST_FLOW_ERROR);
  error = error_of (element);
  fail_unless (strstr (error, "position 3") && strstr (error, "only 2"));
  gst_harness_teardown (h);
}

GST_END_TEST;

static gboolean
take_custom (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GQueue *queue = g_object_get_data (G_OBJECT (pad), "queue");

  (void) parent;
  if (GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_UPSTREAM)
    g_queue_push_tail (queue, event);
  else
    gst_event_unref (event);
  return TRUE;
}

/* Makes the harness's upstream side take events as tokensrc does. */
static GQueue *
take_events (GstHarness * h)
{
  GQueue *queue = g_queue_new ();

  g_object_set_data (G_OBJECT (h->srcpad), "queue", queue);
  gst_pad_set_event_function (h->srcpad, take_custom);
  return queue;
}

static void
free_events (GQueue * queue)
{
  g_queue_free_full (queue, (GDestroyNotify) gst_event_unref);
}

GST_START_TEST (sessions_are_apart_and_bounded)
{
  GstElement *element;
  GstHarness *h = head ("split-layer=2,max-sessions=2", &element);
  GQueue *events = take_events (h);
  g_autofree gfloat *x = expected (ids + 2, 2);
  guint32 session;
  const gchar *text;

  push (h, 0, 2, 1, 0, 0, 0);
  gst_buffer_unref (gst_harness_pull (h));
  push (h, 2, 2, 2, 0, 0, 0);
  GstBuffer *buffer = gst_harness_pull (h);
  expect_rows (buffer, x, 2);
  gst_buffer_unref (buffer);
  /* A third one is refused, and told so; the others go on. */
  assert_equals_int (push (h, 0, 2, 3, 0, 0, 0), GST_FLOW_OK);
  fail_unless (gst_harness_try_pull (h) == NULL);
  assert_equals_int (g_queue_get_length (events), 1);
  fail_unless (gst_rd_event_parse_error (g_queue_peek_head (events), &session,
          &text));
  assert_equals_int (session, 3);
  fail_unless (strstr (text, "max-sessions") != NULL);
  assert_equals_int (push (h, 2, 2, 1, 0, 2, 0), GST_FLOW_OK);
  gst_buffer_unref (gst_harness_pull (h));
  /* The end of one makes room. */
  gst_harness_push_event (h, gst_rd_event_new_session_end (1));
  assert_equals_int (push (h, 0, 2, 4, 0, 0, 0), GST_FLOW_OK);
  gst_buffer_unref (gst_harness_pull (h));
  assert_equals_int (g_queue_get_length (events), 1);
  gst_harness_teardown (h);
  free_events (events);
}

GST_END_TEST;

GST_START_TEST (a_full_context_is_told)
{
  GstHarness *h = head ("split-layer=2,context-size=5", NULL);
  GQueue *events = take_events (h);
  guint32 session, epoch, position;
  const gint32 *none;
  RdFinish finish;
  guint n;

  push (h, 0, 4, 1, 0, 0, 0);
  gst_buffer_unref (gst_harness_pull (h));
  assert_equals_int (push (h, 4, 2, 1, 0, 4, 0), GST_FLOW_OK);
  fail_unless (gst_harness_try_pull (h) == NULL);
  fail_unless (gst_rd_event_parse_tokens (g_queue_peek_head (events), &session,
          &epoch, &position, &none, &n, &finish));
  assert_equals_int (position, 4);
  assert_equals_int (n, 0);
  assert_equals_int (finish, RD_FINISH_CONTEXT);
  /* What was on its way behind it is dropped without another word. */
  assert_equals_int (push (h, 0, 1, 1, 0, 6, 0), GST_FLOW_OK);
  assert_equals_int (g_queue_get_length (events), 1);
  /* A new epoch begins before the end. */
  assert_equals_int (push (h, 0, 1, 1, 1, 4, 0), GST_FLOW_OK);
  gst_buffer_unref (gst_harness_pull (h));
  gst_harness_teardown (h);
  free_events (events);
}

GST_END_TEST;

GST_START_TEST (streams_without_meta)
{
  GstHarness *h = head ("split-layer=2", NULL);
  g_autofree gfloat *x = expected (ids, 4);
  const guint8 *bytes = (const guint8 *) ids;
  GstBuffer *buffer;

  /* Borders anywhere: 6 + 10 bytes are one id and three. */
  gst_harness_push (h, gst_buffer_new_memdup (bytes, 6));
  gst_harness_push (h, gst_buffer_new_memdup (bytes + 6, 10));
  buffer = gst_harness_pull (h);
  expect_rows (buffer, x, 1);
  assert_equals_int (gst_buffer_get_rd_meta (buffer)->session, 0);
  gst_buffer_unref (buffer);
  buffer = gst_harness_pull (h);
  expect_rows (buffer, x + ST_TINY_HIDDEN, 3);
  assert_equals_int (gst_buffer_get_rd_meta (buffer)->position, 1);
  gst_buffer_unref (buffer);
  /* A discontinuity begins anew. */
  buffer = gst_buffer_new_memdup (ids, 8);
  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  gst_harness_push (h, buffer);
  buffer = gst_harness_pull (h);
  expect_rows (buffer, x, 2);
  assert_equals_int (gst_buffer_get_rd_meta (buffer)->epoch, 1);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}

GST_END_TEST;

GST_START_TEST (middle_partition_in_halves)
{
  GstHarness *a = head ("split-layer=1", NULL);
  g_autofree gchar *setup =
      g_strdup_printf ("model=(string)%s,layers=(string)1-2", st_tiny_path ());
  GstHarness *b = st_harness ("transformerhead", setup, NULL);
  g_autofree gfloat *x = expected (ids, 6);
  g_autofree gfloat *got = NULL;
  GstRdStateInfo info;
  gsize n;

  gst_harness_set_sink_caps_str (b, "application/x-hidden-states,"
      "format=F16LE");
  push (a, 0, 6, 1, 0, 0, 0);
  GstBuffer *buffer = gst_harness_pull (a);
  gst_harness_set_src_caps (b, gst_pad_get_current_caps (a->sinkpad));
  gst_harness_push (b, buffer);
  buffer = gst_harness_pull (b);
  assert_equals_int (gst_buffer_get_size (buffer), 6 * ST_TINY_HIDDEN * 2);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (b->sinkpad);
  fail_unless (gst_rd_state_info_from_caps (&info, caps, NULL));
  assert_equals_int (info.split_layer, 2);
  got = gst_rd_state_info_read (&info, buffer, ST_TINY_HIDDEN, &n, NULL);
  for (guint i = 0; i < 6 * ST_TINY_HIDDEN; i++)
    fail_unless (ABS (got[i] - x[i]) <= 1e-3f * (1 + ABS (x[i])));
  gst_buffer_unref (buffer);
  gst_harness_teardown (a);
  gst_harness_teardown (b);
}

GST_END_TEST;

static void
expect_caps (GstHarness * h, const gchar * text)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (h->sinkpad);
  g_autofree gchar *got = gst_caps_to_string (caps);

  assert_equals_string (got, text);
}

GST_START_TEST (static_tensors_follow_the_rows)
{
  GstHarness *h = head ("split-layer=2", NULL);

  gst_harness_set_sink_caps_str (h, "other/tensors,format=(string)static");
  push (h, 0, 4, 1, 0, 0, 0);
  gst_buffer_unref (gst_harness_pull (h));
  expect_caps (h, "other/tensors, format=(string)static, num_tensors=(int)1, "
      "framerate=(fraction)0/1, dimensions=(string)64:4, "
      "types=(string)float32");
  push (h, 4, 1, 1, 0, 4, 0);
  gst_buffer_unref (gst_harness_pull (h));
  expect_caps (h, "other/tensors, format=(string)static, num_tensors=(int)1, "
      "framerate=(fraction)0/1, dimensions=(string)64:1, "
      "types=(string)float32");
  gst_harness_teardown (h);
}

GST_END_TEST;

GST_START_TEST (static_tensors_of_one_row)
{
  GstHarness *h = head ("split-layer=2", NULL);
  GstBuffer *buffer = NULL;

  gst_harness_set_sink_caps_str (h, "other/tensors,format=(string)static,"
      "dimensions=(string)64:1:1:1,framerate=(fraction)30/1");
  push (h, 0, 4, 1, 0, 0, GST_RD_META_SAMPLE);
  for (guint i = 0; i < 4; i++) {
    buffer = gst_harness_pull (h);
    GstRdMeta *m = gst_buffer_get_rd_meta (buffer);
    assert_equals_int (gst_buffer_get_size (buffer), ST_TINY_HIDDEN * 4);
    assert_equals_int (m->position, i);
    assert_equals_int (m->ids[0], ids[i]);
    assert_equals_int (m->flags, i == 3 ? GST_RD_META_SAMPLE : 0);
    gst_buffer_unref (buffer);
  }
  expect_caps (h, "other/tensors, format=(string)static, num_tensors=(int)1, "
      "types=(string)float32, dimensions=(string)64:1:1:1, "
      "framerate=(fraction)30/1");
  gst_harness_teardown (h);
}

GST_END_TEST;

GST_START_TEST (flexible_tensors)
{
  GstHarness *h = head ("split-layer=2", NULL);

  gst_harness_set_sink_caps_str (h, "other/tensors,format=(string)flexible");
  push (h, 0, 4, 1, 0, 0, 0);
  GstBuffer *buffer = gst_harness_pull (h);
  assert_equals_int (gst_buffer_get_size (buffer),
      128 + 4 * ST_TINY_HIDDEN * 4);
  gst_buffer_unref (buffer);
  expect_caps (h, "other/tensors, format=(string)flexible, "
      "framerate=(fraction)0/1");
  gst_harness_teardown (h);
}

GST_END_TEST;

static void
expect_refusal (const gchar * setup, const gchar * model, GstCaps * caps,
    const gchar * words)
{
  g_autofree gchar *all = g_strdup_printf ("model=(string)%s,%s", model,
      setup);
  GstElement *element;
  GstHarness *h = st_harness ("transformerhead", all, &element);
  g_autofree gchar *error = NULL;

  give_bus (element);
  gst_harness_set_src_caps (h, caps);
  error = error_of (element);
  fail_unless (strstr (error, words) != NULL, "%s: %s", words, error);
  assert_equals_int (push (h, 0, 1, 1, 0, 0, 0), GST_FLOW_NOT_NEGOTIATED);
  gst_harness_teardown (h);
}

GST_START_TEST (other_models_are_refused)
{
  GstHarness *h = head ("split-layer=2", NULL);
  GstCaps *states;

  push (h, 0, 1, 1, 0, 0, 0);
  states = gst_pad_get_current_caps (h->sinkpad);
  expect_refusal ("layers=(string)3-4", st_tiny_path (),
      gst_caps_ref (states), "split 3");
  expect_refusal ("layers=(string)2-4", st_tiny_other_path (),
      gst_caps_ref (states), "the stream was made for");
  expect_refusal ("split-layer=2", st_tiny_path (), gst_caps_ref (states),
      "take token ids");
  expect_refusal ("layers=(string)2-4", st_tiny_path (), st_tiny_ids_caps (),
      "take hidden states");
  expect_refusal ("split-layer=2", st_tiny_path (),
      gst_rd_token_ids_caps (ST_TINY_VOCAB, "0123456789abcdef"),
      "tokenizer 0123456789ab");
  expect_refusal ("split-layer=2", st_tiny_path (),
      gst_rd_token_ids_caps (ST_TINY_VOCAB + 1, ""), "vocabulary of 321");
  gst_caps_unref (states);
  gst_harness_teardown (h);
}

GST_END_TEST;

static void
expect_no_start (const gchar * setup, const gchar * words)
{
  GstElement *element = gst_element_factory_make ("transformerhead", NULL);
  g_autofree gchar *error = NULL;
  g_auto (GStrv) pairs = g_strsplit (setup, " ", 0);

  for (guint i = 0; pairs[i]; i++) {
    g_auto (GStrv) pair = g_strsplit (pairs[i], "=", 2);

    gst_util_set_object_arg (G_OBJECT (element), pair[0], pair[1]);
  }
  give_bus (element);
  assert_equals_int (gst_element_set_state (element, GST_STATE_READY),
      GST_STATE_CHANGE_FAILURE);
  error = error_of (element);
  fail_unless (strstr (error, words) != NULL, "%s: %s", words, error);
  gst_element_set_state (element, GST_STATE_NULL);
  gst_object_unref (element);
}

GST_START_TEST (bad_models_and_ranges)
{
  g_autofree gchar *m = g_strdup_printf ("model=%s", st_tiny_path ());
  g_autofree gchar *beyond = g_strdup_printf ("%s split-layer=99", m);
  g_autofree gchar *nonsense = g_strdup_printf ("%s layers=3-1", m);
  g_autofree gchar *words = g_strdup_printf ("%s layers=some", m);

  expect_no_start ("split-layer=2", "set model");
  expect_no_start ("model=/nowhere/m.gguf", "/nowhere/m.gguf");
  expect_no_start ("model=/dev/null", "/dev/null");
  expect_no_start (beyond, "99");
  expect_no_start (nonsense, "3-1");
  expect_no_start (words, "a-b");
}

GST_END_TEST;

GST_START_TEST (bad_ids_and_buffers)
{
  const gint32 outside[] = { ST_TINY_VOCAB };
  const gint32 negative[] = { -3 };
  GstHarness *h = head ("split-layer=2", NULL);
  GQueue *events = take_events (h);
  GstBuffer *odd = gst_buffer_new_memdup (ids, 7);

  gst_buffer_add_rd_meta (odd, 3, 0, 0, 1, 0, NULL);
  gst_harness_push (h, st_ids_buffer (outside, 1, TRUE, 1, 0, 0, 0));
  gst_harness_push (h, st_ids_buffer (negative, 1, TRUE, 2, 0, 0, 0));
  gst_harness_push (h, odd);
  assert_equals_int (g_queue_get_length (events), 3);
  fail_unless (gst_harness_try_pull (h) == NULL);
  /* The session that failed is over, others are not touched. */
  push (h, 0, 1, 1, 0, 0, 0);
  fail_unless (gst_harness_try_pull (h) == NULL);
  push (h, 0, 1, 4, 0, 0, 0);
  gst_buffer_unref (gst_harness_pull (h));
  gst_harness_teardown (h);
  free_events (events);
}

GST_END_TEST;

GST_START_TEST (properties_that_cannot_change)
{
  GstElement *element;
  GstHarness *h = head ("split-layer=2", &element);
  GstMessage *message;
  gint split;

  give_bus (element);
  g_object_set (element, "split-layer", 3, NULL);
  g_object_get (element, "split-layer", &split, NULL);
  assert_equals_int (split, 2);
  g_autoptr (GstBus) bus = gst_element_get_bus (element);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  fail_unless (message != NULL);
  gst_message_unref (message);
  gst_bus_set_flushing (bus, TRUE);
  gst_harness_teardown (h);
}

GST_END_TEST;

GST_START_TEST (settings_changed_in_ready_count)
{
  GstElement *element = gst_element_factory_make ("transformerhead", NULL);
  GstHarness *h;
  GstStructure *stats;
  guint64 tokens;

  g_object_set (element, "model", st_tiny_path (), "split-layer", 1, NULL);
  gst_element_set_state (element, GST_STATE_READY);
  g_object_set (element, "split-layer", 2, NULL);
  h = gst_harness_new_with_element (element, "sink", "src");
  gst_harness_set_src_caps (h, st_tiny_ids_caps ());
  g_autofree gfloat *x = expected (ids, 3);
  push (h, 0, 3, 1, 0, 0, 0);
  GstBuffer *buffer = gst_harness_pull (h);
  expect_rows (buffer, x, 3);
  gst_buffer_unref (buffer);
  g_object_get (element, "stats", &stats, NULL);
  fail_unless (gst_structure_get_uint64 (stats, "prefill-tokens", &tokens));
  assert_equals_uint64 (tokens, 3);
  gst_structure_free (stats);
  gst_harness_teardown (h);
  gst_object_unref (element);
}

GST_END_TEST;

GST_START_TEST (events_pass_in_order)
{
  GstHarness *h = head ("split-layer=2", NULL);
  GstEvent *event;

  gst_harness_push_event (h, gst_rd_event_new_session (1, "", NULL));
  push (h, 0, 4, 1, 0, 0, 0);
  gst_harness_push_event (h, gst_rd_event_new_cancel (1, 1, 2));
  gst_buffer_unref (gst_harness_pull (h));
  event = st_pull_custom (h, "rd-session", FALSE);
  fail_unless (event != NULL);
  gst_event_unref (event);
  event = st_pull_custom (h, "rd-cancel", FALSE);
  fail_unless (event != NULL);
  gst_event_unref (event);
  /* The cancelled positions are gone: 4 is beyond the end now. */
  GQueue *events = take_events (h);
  push (h, 0, 1, 1, 1, 4, 0);
  fail_unless (gst_harness_try_pull (h) == NULL);
  assert_equals_int (g_queue_get_length (events), 1);
  gst_harness_teardown (h);
  free_events (events);
}

GST_END_TEST;

static Suite *
head_suite (void)
{
  Suite *suite = suite_create ("transformerhead");
  TCase *tc = tcase_create ("all");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, rows_and_meta);
  tcase_add_test (tc, long_names_are_cut_between_characters);
  tcase_add_test (tc, positions_truncate);
  tcase_add_test (tc, a_hole_in_the_positions_is_an_error);
  tcase_add_test (tc, sessions_are_apart_and_bounded);
  tcase_add_test (tc, a_full_context_is_told);
  tcase_add_test (tc, streams_without_meta);
  tcase_add_test (tc, middle_partition_in_halves);
  tcase_add_test (tc, static_tensors_follow_the_rows);
  tcase_add_test (tc, static_tensors_of_one_row);
  tcase_add_test (tc, flexible_tensors);
  tcase_add_test (tc, other_models_are_refused);
  tcase_add_test (tc, bad_models_and_ranges);
  tcase_add_test (tc, bad_ids_and_buffers);
  tcase_add_test (tc, properties_that_cannot_change);
  tcase_add_test (tc, settings_changed_in_ready_count);
  tcase_add_test (tc, events_pass_in_order);
  return suite;
}

int
main (int argc, char **argv)
{
  st_elements_init (&argc, &argv);
  return st_elements_run (head_suite (), "transformerhead");
}
