/* The row meta, the session events and the caps: what the elements tell each other. */
#include <string.h>
#include "elements/common/gstrdcaps.h"
#include "tests/elements/element-tools.h"

static void
expect_floats (const gfloat * got, const gfloat * want, gsize n)
{
  for (gsize i = 0; i < n; i++)
    fail_unless (got[i] == want[i]);
}

/* ---- meta ---- */

GST_START_TEST (meta_travels_with_the_buffer)
{
  const gint32 ids[] = { 5, 6, 7 };
  GstBuffer *buffer = st_ids_buffer (ids, 3, TRUE, 4, 2, 100,
      GST_RD_META_STEP | GST_RD_META_GIVEN);
  GstBuffer *copy, *part;
  GstRdMeta *m = gst_buffer_get_rd_meta (buffer);

  m->given_id = 9;
  copy = gst_buffer_copy (buffer);
  gst_buffer_unref (buffer);
  m = gst_buffer_get_rd_meta (copy);
  fail_unless (m != NULL);
  assert_equals_int (m->session, 4);
  assert_equals_int (m->epoch, 2);
  assert_equals_int (m->position, 100);
  assert_equals_int (m->count, 3);
  assert_equals_int (m->flags, GST_RD_META_STEP | GST_RD_META_GIVEN);
  assert_equals_int (m->ids[2], 7);
  assert_equals_int (m->given_id, 9);
  /* Some of the rows would need other numbers. */
  part = gst_buffer_copy_region (copy, GST_BUFFER_COPY_ALL, 4, 4);
  fail_unless (gst_buffer_get_rd_meta (part) == NULL);
  gst_buffer_unref (part);
  part = gst_buffer_copy_region (copy, GST_BUFFER_COPY_ALL, 0, 12);
  fail_unless (gst_buffer_get_rd_meta (part) != NULL);
  gst_buffer_unref (part);
  gst_buffer_unref (copy);
}

GST_END_TEST;

/* ---- events ---- */

GST_START_TEST (events_say_what_was_put_in)
{
  gchar *stops[] = { (gchar *) "\n\n", (gchar *) "User:", NULL };
  RdWishes in = {.mask = RD_WISH_TEMPERATURE | RD_WISH_TOP_K | RD_WISH_SEED
        | RD_WISH_STOP | RD_WISH_IGNORE_EOS | RD_WISH_MAX_TOKENS
        | RD_WISH_REPEAT_LAST_N,
    .temperature = 0.25f,.top_k = 3,.seed = G_MAXUINT64,.stop = stops,
    .ignore_eos = TRUE,.max_tokens = 12,.repeat_last_n = -1
  };
  GstEvent *event = gst_rd_event_new_session (3, "abc", &in);
  RdWishes out;
  const gchar *id;
  guint32 session;

  fail_unless (GST_EVENT_IS_SERIALIZED (event));
  fail_unless (GST_EVENT_IS_DOWNSTREAM (event));
  fail_unless (gst_rd_event_parse_session (event, &session, &id, &out));
  assert_equals_int (session, 3);
  assert_equals_string (id, "abc");
  assert_equals_int (out.mask, in.mask);
  fail_unless (out.temperature == 0.25f);
  assert_equals_int (out.top_k, 3);
  assert_equals_uint64 (out.seed, G_MAXUINT64);
  assert_equals_int (out.max_tokens, 12);
  assert_equals_int (out.repeat_last_n, -1);
  fail_unless (out.ignore_eos);
  assert_equals_string (out.stop[1], "User:");
  fail_unless (out.stop[2] == NULL);
  rd_wishes_clear (&out);
  gst_event_unref (event);
}

GST_END_TEST;

GST_START_TEST (tokens_events_are_checked)
{
  const gint32 in[] = { 1, 2 };
  GstEvent *event = gst_rd_event_new_tokens (7, 1, 50, in, 2, RD_FINISH_STOP);
  guint32 session, epoch, position;
  const gint32 *ids;
  const gchar *text;
  RdFinish finish;
  guint n;

  fail_unless (GST_EVENT_IS_UPSTREAM (event));
  fail_unless (gst_rd_event_parse_tokens (event, &session, &epoch, &position,
          &ids, &n, &finish));
  assert_equals_int (session, 7);
  assert_equals_int (epoch, 1);
  assert_equals_int (position, 50);
  assert_equals_int (n, 2);
  assert_equals_int (ids[1], 2);
  assert_equals_int (finish, RD_FINISH_STOP);
  fail_if (gst_rd_event_parse_error (event, &session, &text));
  fail_if (gst_rd_event_parse_session (event, &session, NULL, NULL));
  gst_event_unref (event);

  /* Another element's event of that name. */
  event = gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
      gst_structure_new ("rd-tokens", "ids", G_TYPE_STRING, "no", NULL));
  fail_if (gst_rd_event_parse_tokens (event, &session, &epoch, &position,
          &ids, &n, &finish));
  gst_event_unref (event);
  event = gst_rd_event_new_tokens (7, 1, 50, NULL, 0, RD_FINISH_CONTEXT);
  fail_unless (gst_rd_event_parse_tokens (event, &session, &epoch, &position,
          &ids, &n, &finish));
  assert_equals_int (n, 0);
  gst_event_unref (event);
}

GST_END_TEST;

GST_START_TEST (other_events_keep_their_fields)
{
  GstEvent *event = gst_rd_event_new_cancel (1, 2, 3);
  guint32 a, b, c;
  const gchar *text;

  fail_unless (gst_rd_event_parse_cancel (event, &a, &b, &c));
  assert_equals_int (a * 100 + b * 10 + c, 123);
  fail_if (gst_rd_event_parse_session_end (event, &a));
  gst_event_unref (event);
  event = gst_rd_event_new_session_end (9);
  fail_unless (gst_rd_event_parse_session_end (event, &a));
  assert_equals_int (a, 9);
  gst_event_unref (event);
  event = gst_rd_event_new_error (GST_RD_ALL_SESSIONS, "why");
  fail_unless (gst_rd_event_parse_error (event, &a, &text));
  assert_equals_string (text, "why");
  gst_event_unref (event);
}

GST_END_TEST;

/* ---- caps ---- */

static gchar *
caps_string (GstRdLayout layout, GstRdFormat format, guint rows)
{
  GstRdStateInfo info = {.layout = layout,.format = format,
    .hidden_size = 576,.split_layer = 10,.vocab_size = 49152,.rows = rows
  };
  g_autoptr (GstCaps) caps = NULL;

  g_strlcpy (info.model_name, "Some model", sizeof info.model_name);
  memset (info.model_id, 'a', 64);
  caps = gst_rd_state_info_to_caps (&info);
  return gst_caps_to_string (caps);
}

GST_START_TEST (caps_strings)
{
  const struct
  {
    GstRdLayout layout;
    GstRdFormat format;
    guint rows;
    const gchar *text;
  } cases[] = {
    {GST_RD_LAYOUT_HIDDEN_STATES, GST_RD_F16, 0,
        "application/x-hidden-states, format=(string)F16LE, "
          "hidden-size=(int)576, split-layer=(int)10, vocab-size=(int)49152, "
          "model-id=(string)aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaaaaaaaaaaaaaa, model-name=(string)\"Some\\ model\""},
    {GST_RD_LAYOUT_TENSORS_STATIC, GST_RD_F32, 8,
        "other/tensors, format=(string)static, num_tensors=(int)1, "
          "framerate=(fraction)0/1, dimensions=(string)576:8, "
          "types=(string)float32"},
    {GST_RD_LAYOUT_TENSORS_FLEXIBLE, GST_RD_F32, 0,
        "other/tensors, format=(string)flexible, framerate=(fraction)0/1"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *text =
        caps_string (cases[i].layout, cases[i].format, cases[i].rows);
    g_autoptr (GstCaps) caps = gst_caps_from_string (text);
    GstRdStateInfo info;

    assert_equals_string (text, cases[i].text);
    fail_unless (gst_rd_state_info_from_caps (&info, caps, NULL));
    assert_equals_int (info.layout, cases[i].layout);
    assert_equals_int (info.format, cases[i].format);
    if (i < 2)
      assert_equals_int (info.hidden_size, 576);
    assert_equals_int (info.rows, cases[i].rows);
    assert_equals_int (info.split_layer, i == 0 ? 10 : -1);
  }
}

GST_END_TEST;

GST_START_TEST (caps_that_make_no_sense)
{
  const gchar *bad[] = {
    "application/x-hidden-states, format=F32LE",
    "application/x-hidden-states, format=F32LE, hidden-size=0",
    "application/x-hidden-states, format=F32LE, hidden-size=-5",
    "application/x-hidden-states, format=S16LE, hidden-size=5",
    "application/x-hidden-states, format=F32LE, hidden-size=5, model-id=ab",
    "other/tensors, format=static, num_tensors=1, types=float32",
    "other/tensors, format=static, num_tensors=2, types=(string)\"float32,"
        "float32\", dimensions=(string)\"5:1,5:1\"",
    "other/tensors, format=static, num_tensors=1, types=int8, "
        "dimensions=(string)5:1",
    "other/tensors, format=static, num_tensors=1, types=float32, "
        "dimensions=(string)5:0",
    "other/tensors, format=static, num_tensors=1, types=float32, "
        "dimensions=(string)5:4294967295:2",
    "other/tensors, format=static, num_tensors=1, types=float32, "
        "dimensions=(string)99999999999:1",
    "other/tensors, format=sparse", "video/x-raw",
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GstCaps) caps = gst_caps_from_string (bad[i]);
    g_autoptr (GError) error = NULL;
    GstRdStateInfo info;

    fail_unless (caps != NULL);
    fail_if (gst_rd_state_info_from_caps (&info, caps, &error), "%s", bad[i]);
    fail_unless (error != NULL && strlen (error->message) > 10);
  }
}

GST_END_TEST;

/* NNStreamer's tensor_typedef.h: magic, version 1.0, type float32 (7), dimensions, format flexible (1), media type tensor (4). */
static const guint8 golden_header[] = {
  0xed, 0xcc, 0xed, 0xfe, 0x00, 0x10, 0x00, 0xde, 7, 0, 0, 0,
  3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0,
};

GST_START_TEST (flexible_tensor_header)
{
  const gfloat x[] = { 1, 2, 3, -4, 0.5f, 6 };
  GstRdStateInfo info = {.layout = GST_RD_LAYOUT_TENSORS_FLEXIBLE };
  GstBuffer *buffer = gst_rd_state_info_write (&info, x, 2, 3);
  g_autofree gfloat *back = NULL;
  guint8 bytes[128 + 24];
  gsize n;

  assert_equals_int (gst_buffer_get_size (buffer), 128 + 24);
  gst_buffer_extract (buffer, 0, bytes, sizeof bytes);
  fail_unless (memcmp (bytes, golden_header, sizeof golden_header) == 0);
  for (guint i = sizeof golden_header; i < 128; i++)
    assert_equals_int (bytes[i], 0);
  back = gst_rd_state_info_read (&info, buffer, 3, &n, NULL);
  assert_equals_int (n, 2);
  expect_floats (back, x, G_N_ELEMENTS (x));
  gst_buffer_unref (buffer);
}

GST_END_TEST;

GST_START_TEST (damaged_flexible_headers)
{
  const struct
  {
    guint word;
    guint32 value;
  } damage[] = {
    {0, 0xfeedcced ^ 1}, {1, 0xde002000}, {1, 0x00001000}, {2, 0}, {2, 99},
    {3, 4}, {3, 0}, {4, 3}, {4, 0xffffffff}, {5, 0xffffffff}, {19, 2},
    {19, 0xffffffff},
  };
  const gfloat x[6] = { 0 };
  GstRdStateInfo info = {.layout = GST_RD_LAYOUT_TENSORS_FLEXIBLE };

  for (guint i = 0; i <= G_N_ELEMENTS (damage); i++) {
    GstBuffer *buffer = gst_rd_state_info_write (&info, x, 2, 3);
    g_autoptr (GError) error = NULL;
    guint8 word[4];
    gsize n;

    if (i < G_N_ELEMENTS (damage)) {
      GST_WRITE_UINT32_LE (word, damage[i].value);
      gst_buffer_fill (buffer, 4 * (gsize) damage[i].word, word, 4);
    } else {
      gst_buffer_set_size (buffer, 100);
    }
    fail_if (gst_rd_state_info_read (&info, buffer, 3, &n, &error), "%u", i);
    fail_unless (error != NULL);
    gst_buffer_unref (buffer);
  }
}

GST_END_TEST;

GST_START_TEST (rows_of_halves)
{
  const gfloat x[] = { 1, -2, 65504, 0.333251953125f };
  const guint8 bytes[] = { 0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x55, 0x35 };
  GstRdStateInfo info = {.layout = GST_RD_LAYOUT_HIDDEN_STATES,
    .format = GST_RD_F16
  };
  GstBuffer *buffer = gst_rd_state_info_write (&info, x, 2, 2);
  g_autofree gfloat *back = NULL;
  g_autoptr (GError) error = NULL;
  gsize n;

  fail_unless (gst_buffer_memcmp (buffer, 0, bytes, sizeof bytes) == 0);
  back = gst_rd_state_info_read (&info, buffer, 2, &n, NULL);
  assert_equals_int (n, 2);
  expect_floats (back, x, G_N_ELEMENTS (x));
  gst_buffer_set_size (buffer, 6);
  fail_if (gst_rd_state_info_read (&info, buffer, 2, &n, &error));
  fail_unless (error != NULL);
  gst_buffer_unref (buffer);
}

GST_END_TEST;

static Suite *
contract_suite (void)
{
  Suite *suite = suite_create ("contract");
  TCase *tc = tcase_create ("all");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, meta_travels_with_the_buffer);
  tcase_add_test (tc, events_say_what_was_put_in);
  tcase_add_test (tc, tokens_events_are_checked);
  tcase_add_test (tc, other_events_keep_their_fields);
  tcase_add_test (tc, caps_strings);
  tcase_add_test (tc, caps_that_make_no_sense);
  tcase_add_test (tc, flexible_tensor_header);
  tcase_add_test (tc, damaged_flexible_headers);
  tcase_add_test (tc, rows_of_halves);
  return suite;
}

int
main (int argc, char **argv)
{
  st_elements_init (&argc, &argv);
  return st_elements_run (contract_suite (), "contract");
}
