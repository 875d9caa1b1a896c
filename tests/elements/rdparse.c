/* rdparse and the typefinder: frames out of bytes, however they come. */
#include "elements/rddecoder/gstrddecoder.h"
#include "elements/rdparse/gstrdparse.h"
#include "elements/rdparse/gstrdtypefind.h"
#include "tests/support/wire-frames.h"
#include <gst/base/gsttypefindhelper.h>
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <gst/net/gstnetaddressmeta.h>
#include <glib/gstdio.h>
#include <string.h>

#define PARSED "application/x-rd-states, stream-format=packet, alignment=frame, version=1"
#define HIDDEN 8

/* A stream of frames, and where each ends. */
typedef struct
{
  GByteArray *bytes;
  guint ends[16], n;
} Stream;

static void
stream_init (Stream * stream)
{
  guint8 payload[64 * HIDDEN];
  RdHeader header;

  for (guint i = 0; i < sizeof payload; i++)
    payload[i] = (guint8) (i * 37 + 11);
  wire_header_init (&header, 7, "f16", HIDDEN);
  stream->bytes = g_byte_array_new ();
  stream->n = 0;
  wire_append_header (stream->bytes, 3, 1, &header);
  stream->ends[stream->n++] = stream->bytes->len;
  for (guint i = 0; i < 6; i++) {
    guint32 count = i == 2 ? 32 : 1;

    wire_append_states (stream->bytes, 3, 1 + i, i < 3 ? i : i + 31, count,
        payload, 2 * HIDDEN * count);
    stream->ends[stream->n++] = stream->bytes->len;
  }
  wire_append_control (stream->bytes, 3, RD_CONTROL_END);
  stream->ends[stream->n++] = stream->bytes->len;
}

static void
push (GstHarness * h, gconstpointer bytes, gsize size, guint16 port)
{
  fail_unless_equals_int (gst_harness_push (h, wire_buffer (bytes, size,
              port)), GST_FLOW_OK);
}

/* Takes the next buffer and compares it with @size bytes. */
static void
expect (GstHarness * h, const guint8 * bytes, gsize size)
{
  GstBuffer *buffer = gst_harness_try_pull (h);

  fail_unless (buffer != NULL, "a frame of %" G_GSIZE_FORMAT " is missing",
      size);
  fail_unless_equals_int ((gint) gst_buffer_get_size (buffer), (gint) size);
  fail_unless (gst_buffer_memcmp (buffer, 0, bytes, size) == 0);
  gst_buffer_unref (buffer);
}

static void
expect_stream (GstHarness * h, const Stream * stream)
{
  guint start = 0;

  for (guint i = 0; i < stream->n; start = stream->ends[i++])
    expect (h, stream->bytes->data + start, stream->ends[i] - start);
  fail_unless (gst_harness_try_pull (h) == NULL, "one frame too many");
}

static guint64
stat_of (GstHarness * h, const gchar * name)
{
  GstStructure *stats = NULL;
  guint64 value = 0;

  g_object_get (h->element, "stats", &stats, NULL);
  fail_unless (gst_structure_get_uint64 (stats, name, &value));
  gst_structure_free (stats);
  return value;
}

static GstHarness *
harness (void)
{
  GstHarness *h = gst_harness_new ("rdparse");

  gst_harness_set_src_caps_str (h, "application/x-rd-states");
  return h;
}

/* Whatever the pieces, the frames are the same, and each leaves with its last byte. */
GST_START_TEST (test_every_cut)
{
  Stream stream;

  stream_init (&stream);
  for (guint cut = 1; cut < stream.bytes->len; cut++) {
    GstHarness *h = harness ();
    guint frames = 0;

    push (h, stream.bytes->data, cut, 0);
    while (frames < stream.n && stream.ends[frames] <= cut)
      frames++;
    fail_unless_equals_int ((gint) gst_harness_buffers_received (h),
        (gint) frames);
    push (h, stream.bytes->data + cut, stream.bytes->len - cut, 0);
    expect_stream (h, &stream);
    gst_harness_teardown (h);
  }
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST;

GST_START_TEST (test_byte_by_byte)
{
  GstHarness *h = harness ();
  Stream stream;
  guint frames = 0;

  stream_init (&stream);
  for (guint i = 0; i < stream.bytes->len; i++) {
    push (h, stream.bytes->data + i, 1, 0);
    if (i + 1 == stream.ends[frames])
      frames++;
    fail_unless_equals_int ((gint) gst_harness_buffers_received (h),
        (gint) frames);
  }
  expect_stream (h, &stream);
  fail_unless (stat_of (h, "frames") == stream.n);
  fail_unless (stat_of (h, "bytes") == stream.bytes->len);
  fail_unless (stat_of (h, "dropped-bytes") == 0);
  gst_harness_teardown (h);
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST;

/* Garbage before, between and behind, sync words in it. */
GST_START_TEST (test_garbage_between)
{
  static const guint8 garbage[] = { 0, 1, RD_WIRE_SYNC_0, RD_WIRE_SYNC_1, 0,
    RD_WIRE_SYNC_0, RD_WIRE_SYNC_0, 9, 8, 7, RD_WIRE_SYNC_0
  };
  GByteArray *dirty = g_byte_array_new ();
  Stream stream;
  guint start = 0;

  stream_init (&stream);
  for (guint i = 0; i < stream.n; start = stream.ends[i++]) {
    g_byte_array_append (dirty, garbage, sizeof garbage);
    g_byte_array_append (dirty, stream.bytes->data + start,
        stream.ends[i] - start);
  }
  for (guint piece = 1; piece < 200; piece += 13) {
    GstHarness *h = harness ();

    for (guint i = 0; i < dirty->len; i += piece)
      push (h, dirty->data + i, MIN (piece, dirty->len - i), 0);
    gst_harness_push_event (h, gst_event_new_eos ());
    expect_stream (h, &stream);
    fail_unless (stat_of (h, "dropped-bytes") == stream.n * sizeof garbage);
    gst_harness_teardown (h);
  }
  g_byte_array_unref (dirty);
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST;

/* Any flipped bit costs its own frame and no other. */
GST_START_TEST (test_bit_flips)
{
  Stream stream;

  stream_init (&stream);
  guint begin = stream.ends[0], end = stream.ends[1];
  for (guint bit = 0; bit < 8 * (end - begin); bit += 3) {
    GstHarness *h = harness ();
    guint8 *byte = stream.bytes->data + begin + bit / 8;
    guint start = end;

    *byte ^= (guint8) (1 << bit % 8);
    push (h, stream.bytes->data, stream.bytes->len, 0);
    gst_harness_push_event (h, gst_event_new_eos ());
    *byte ^= (guint8) (1 << bit % 8);
    expect (h, stream.bytes->data, begin);
    for (guint i = 2; i < stream.n; start = stream.ends[i++])
      expect (h, stream.bytes->data + start, stream.ends[i] - start);
    fail_unless (gst_harness_try_pull (h) == NULL);
    gst_harness_teardown (h);
  }
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST;

/* No frame continues from one datagram to the next. */
GST_START_TEST (test_datagrams)
{
  GstHarness *h = harness ();
  Stream stream;

  stream_init (&stream);
  guint8 *bytes = stream.bytes->data;
  guint end = stream.ends[0];
  /* a whole frame, cut: both halves are lost */
  push (h, bytes, end / 2, 4000);
  push (h, bytes + end / 2, end - end / 2, 4000);
  fail_unless (gst_harness_try_pull (h) == NULL);
  fail_unless (stat_of (h, "dropped-datagrams") == 2);
  /* the begin of a frame that announces more does not swallow what follows */
  push (h, bytes, 3, 4001);
  push (h, bytes, end, 4000);
  expect (h, bytes, end);
  fail_unless (stat_of (h, "dropped-datagrams") == 3);
  /* several in one, and a rest */
  push (h, bytes, stream.ends[3] + 5, 4000);
  expect (h, bytes, end);
  for (guint i = 1; i < 4; i++)
    expect (h, bytes + stream.ends[i - 1], stream.ends[i] - stream.ends[i - 1]);
  fail_unless (gst_harness_try_pull (h) == NULL);
  fail_unless (stat_of (h, "dropped-datagrams") == 4);
  fail_unless (stat_of (h, "dropped-bytes") == end + 3 + 5);
  /* an empty one */
  push (h, bytes, 0, 4000);
  fail_unless (gst_harness_try_pull (h) == NULL);
  gst_harness_teardown (h);
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST;

GST_START_TEST (test_packet_caps_are_datagrams)
{
  GstHarness *h = gst_harness_new ("rdparse");
  Stream stream;

  gst_harness_set_src_caps_str (h,
      "application/x-rd-states, stream-format=packet");
  stream_init (&stream);
  push (h, stream.bytes->data, 5, 0);
  push (h, stream.bytes->data, stream.bytes->len, 0);
  expect_stream (h, &stream);
  fail_unless (stat_of (h, "dropped-bytes") == 5);
  gst_harness_teardown (h);
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST;

/* A rest of a byte stream does not reach into a datagram. */
GST_START_TEST (test_stream_then_datagram)
{
  GstHarness *h = harness ();
  Stream stream;

  stream_init (&stream);
  push (h, stream.bytes->data, stream.ends[0] - 1, 0);
  push (h, stream.bytes->data, stream.bytes->len, 4000);
  expect_stream (h, &stream);
  gst_harness_teardown (h);
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST;

GST_START_TEST (test_address_stays)
{
  GstHarness *h = harness ();
  Stream stream;

  stream_init (&stream);
  push (h, stream.bytes->data, stream.bytes->len, 4123);
  for (guint i = 0; i < stream.n; i++) {
    GstBuffer *buffer = gst_harness_pull (h);
    GstNetAddressMeta *meta = gst_buffer_get_net_address_meta (buffer);

    fail_unless (meta != NULL);
    fail_unless_equals_int (g_inet_socket_address_get_port
        (G_INET_SOCKET_ADDRESS (meta->addr)), 4123);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST;

GST_START_TEST (test_max_frame_bytes)
{
  GstHarness *h = harness ();
  Stream stream;

  stream_init (&stream);
  g_object_set (h->element, "max-frame-bytes", 300, NULL);
  guint before = stream.ends[2], after = stream.ends[3];
  fail_unless (after - before > 300, "the third frame is the long one");
  push (h, stream.bytes->data, stream.bytes->len, 0);
  gst_harness_push_event (h, gst_event_new_eos ());
  fail_unless_equals_int ((gint) gst_harness_buffers_received (h),
      (gint) stream.n - 1);
  fail_unless (stat_of (h, "dropped-bytes") == after - before);
  gst_harness_teardown (h);
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST static GstCaps *
caps_of (GstHarness * h)
{
  GstPad *pad = gst_element_get_static_pad (h->element, "src");
  GstCaps *caps = gst_pad_get_current_caps (pad);

  gst_object_unref (pad);
  return caps;
}

GST_START_TEST (test_caps_from_header)
{
  GstHarness *h = harness ();
  Stream stream;
  gint value;

  stream_init (&stream);
  /* without a HEADER: nothing is known yet */
  push (h, stream.bytes->data + stream.ends[0],
      stream.ends[1] - stream.ends[0], 0);
  GstCaps *caps = caps_of (h);
  GstCaps *plain = gst_caps_from_string (PARSED);
  fail_unless (gst_caps_is_equal (caps, plain));
  gst_caps_unref (plain);
  gst_caps_unref (caps);
  push (h, stream.bytes->data, stream.ends[0], 0);
  caps = caps_of (h);
  GstStructure *s = gst_caps_get_structure (caps, 0);
  fail_unless_equals_string (gst_structure_get_string (s, "codec"), "f16");
  fail_unless_equals_string (gst_structure_get_string (s, "model-name"),
      "test");
  fail_unless (strlen (gst_structure_get_string (s, "model-id")) == 64);
  fail_unless (gst_structure_get_int (s, "hidden-size", &value));
  fail_unless_equals_int (value, HIDDEN);
  fail_unless (gst_structure_get_int (s, "split-layer", &value));
  fail_unless_equals_int (value, 3);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST;

GST_START_TEST (test_caps_of_the_way_back)
{
  GstHarness *h = harness ();
  GByteArray *bytes = g_byte_array_new ();

  wire_append_control (bytes, 1, RD_CONTROL_ACK);
  push (h, bytes->data, bytes->len, 0);
  GstCaps *caps = caps_of (h);
  GstCaps *wanted = gst_caps_from_string ("application/x-rd-feedback, "
      "version=1");
  fail_unless (gst_caps_is_equal (caps, wanted));
  gst_caps_unref (wanted);
  gst_caps_unref (caps);
  gst_harness_teardown (h);

  /* what the pad behind takes decides for frames that both sides send */
  h = gst_harness_new ("rdparse");
  gst_harness_set_src_caps_str (h, "application/x-rd-states");
  gst_harness_set_sink_caps_str (h, PARSED);
  g_byte_array_set_size (bytes, 0);
  wire_append_control (bytes, 1, RD_CONTROL_ACK);
  push (h, bytes->data, bytes->len, 0);
  caps = caps_of (h);
  wanted = gst_caps_from_string (PARSED);
  fail_unless (gst_caps_is_equal (caps, wanted));
  gst_caps_unref (wanted);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
  g_byte_array_unref (bytes);
}

GST_END_TEST static gboolean
find_caps (const guint8 * bytes, gsize size, const gchar * media)
{
  GstTypeFindProbability probability = GST_TYPE_FIND_NONE;
  GstCaps *caps = gst_type_find_helper_for_data (NULL, bytes, size,
      &probability);
  gboolean found = caps != NULL
      && gst_structure_has_name (gst_caps_get_structure (caps, 0), media);

  gst_clear_caps (&caps);
  return found;
}

GST_START_TEST (test_typefind)
{
  Stream stream;

  stream_init (&stream);
  fail_unless (find_caps (stream.bytes->data, stream.bytes->len,
          "application/x-rd-states"));
  fail_unless (find_caps (stream.bytes->data, stream.ends[0],
          "application/x-rd-states"));
  fail_if (find_caps (stream.bytes->data, stream.ends[0] - 1,
          "application/x-rd-states"));
  stream.bytes->data[10] ^= 1;
  fail_if (find_caps (stream.bytes->data, stream.bytes->len,
          "application/x-rd-states"));
  g_byte_array_unref (stream.bytes);
}

GST_END_TEST static void
write_recording (gchar ** path)
{
  g_autoptr (GError) error = NULL;
  Stream stream;
  gint fd = g_file_open_tmp ("rdparse-XXXXXX.rds", path, &error);

  fail_unless (fd >= 0);
  g_close (fd, NULL);
  stream_init (&stream);
  fail_unless (g_file_set_contents (*path, (gchar *) stream.bytes->data,
          stream.bytes->len, &error));
  g_byte_array_unref (stream.bytes);
}

static void
count_buffer (GstElement * sink, GstBuffer * buffer, GstPad * pad,
    guint * count)
{
  (void) sink;
  (void) buffer;
  (void) pad;
  ++*count;
}

/* Runs a pipeline to its end; the buffers that arrive at the element "sink". */
static guint
run_to_end (const gchar * description)
{
  g_autoptr (GError) error = NULL;
  GstElement *pipeline = gst_parse_launch (description, &error);
  guint count = 0;

  fail_unless (error == NULL, "%s", error ? error->message : "");
  GstElement *sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_signal_connect (sink, "handoff", G_CALLBACK (count_buffer), &count);
  gst_object_unref (sink);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered (bus, 10 * GST_SECOND,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless (message != NULL, "no end of %s", description);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, NULL);
  fail_unless (error == NULL, "%s: %s", description,
      error ? error->message : "");
  gst_message_unref (message);
  gst_object_unref (bus);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  return count;
}

/* Files are pulled; parsebin finds the parser by itself, and sees that a decoder comes next. */
GST_START_TEST (test_file)
{
  g_autofree gchar *path = NULL;

  write_recording (&path);
  g_autofree gchar *direct = g_strdup_printf ("filesrc location=%s ! rdparse "
      "! fakesink name=sink signal-handoffs=true sync=false", path);
  fail_unless_equals_int (run_to_end (direct), 8);
  if (gst_registry_check_feature_version (gst_registry_get (), "parsebin", 1, 0,
          0)) {
    g_autofree gchar *found = g_strdup_printf ("filesrc location=%s ! parsebin "
        "! fakesink name=sink signal-handoffs=true sync=false", path);
    fail_unless_equals_int (run_to_end (found), 8);
  }
  g_remove (path);
}

GST_END_TEST static Suite *
rdparse_suite (void)
{
  Suite *s = suite_create ("rdparse");
  TCase *tc = tcase_create ("general");

  GST_ELEMENT_REGISTER (rddecoder, NULL);
  GST_ELEMENT_REGISTER (rdparse, NULL);
  GST_TYPE_FIND_REGISTER (rdstates, NULL);
  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 60);
  tcase_add_test (tc, test_every_cut);
  tcase_add_test (tc, test_byte_by_byte);
  tcase_add_test (tc, test_garbage_between);
  tcase_add_test (tc, test_bit_flips);
  tcase_add_test (tc, test_datagrams);
  tcase_add_test (tc, test_packet_caps_are_datagrams);
  tcase_add_test (tc, test_stream_then_datagram);
  tcase_add_test (tc, test_address_stays);
  tcase_add_test (tc, test_max_frame_bytes);
  tcase_add_test (tc, test_caps_from_header);
  tcase_add_test (tc, test_caps_of_the_way_back);
  tcase_add_test (tc, test_typefind);
  tcase_add_test (tc, test_file);
  return s;
}

GST_CHECK_MAIN (rdparse);
