/* rdencoder and rddecoder together: what goes in comes out, bit by bit, whole or in fragments, with loss. */
#include "codec/simple/half.h"
#include "elements/common/gstrdmeta.h"
#include "elements/rddecoder/gstrddecoder.h"
#include "elements/rdencoder/gstrdencoder.h"
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <string.h>

#define STATES "application/x-rd-states, stream-format=packet, alignment=frame, version=1"
#define FEEDBACK "application/x-rd-feedback, version=1"
#define PATIENCE (20 * G_USEC_PER_SEC)

typedef struct
{
  GstElement *e, *d;
  GstHarness *in, *out;         /* rows into the encoder, rows out of the decoder */
  GstHarness *to_head, *to_tail;        /* feedback pads */
  GstBus *bus;
  guint lose, sent;             /* every lose-th buffer to the decoder is lost */
  guint hidden, row_bytes;
  guint32 position;
} Pair;

static void
pair_init (Pair * p, const gchar * codec, guint hidden, const gchar * format)
{
  g_autofree gchar *caps = g_strdup_printf ("application/x-hidden-states, "
      "format=%s, hidden-size=%u, split-layer=3", format, hidden);

  memset (p, 0, sizeof *p);
  p->hidden = hidden;
  p->row_bytes = hidden * (g_str_equal (format, "F16LE") ? 2 : 4);
  p->bus = gst_bus_new ();
  p->e = gst_element_factory_make ("rdencoder", NULL);
  p->d = gst_element_factory_make ("rddecoder", NULL);
  g_object_set (p->e, "codec", codec, "pack", FALSE, NULL);
  gst_element_set_bus (p->e, p->bus);
  gst_element_set_bus (p->d, p->bus);
  p->to_head = gst_harness_new_with_element (p->e, "feedback", NULL);
  gst_harness_set_src_caps_str (p->to_head, FEEDBACK);
  p->to_tail = gst_harness_new_with_element (p->d, NULL, "feedback");
  gst_harness_set_sink_caps_str (p->to_tail, "application/x-rd-feedback");
  p->in = gst_harness_new_with_element (p->e, "sink", "src");
  p->out = gst_harness_new_with_element (p->d, "sink", "src");
  gst_harness_set_src_caps_str (p->in, caps);
  gst_harness_set_src_caps_str (p->out, STATES);
}

static void
pair_clear (Pair * p)
{
  gst_element_set_state (p->e, GST_STATE_NULL);
  gst_element_set_state (p->d, GST_STATE_NULL);
  gst_element_set_bus (p->e, NULL);
  gst_element_set_bus (p->d, NULL);
  gst_harness_teardown (p->to_head);
  gst_harness_teardown (p->to_tail);
  gst_harness_teardown (p->in);
  gst_harness_teardown (p->out);
  gst_object_unref (p->e);
  gst_object_unref (p->d);
  gst_object_unref (p->bus);
}

static void
carry (Pair * p)
{
  GstBuffer *buffer;

  while ((buffer = gst_harness_try_pull (p->in))) {
    if (p->lose && ++p->sent % p->lose == 0)
      gst_buffer_unref (buffer);
    else
      gst_harness_push (p->out, buffer);
  }
  while ((buffer = gst_harness_try_pull (p->to_tail)))
    gst_harness_push (p->to_head, buffer);
}

typedef struct
{
  Pair *p;
  GstBuffer *buffer;
  GstFlowReturn result;
  gint done;                    /* atomic */
} Push;

static gpointer
push (gpointer data)
{
  Push *push = data;

  push->result = gst_harness_push (push->p->in, push->buffer);
  g_atomic_int_set (&push->done, 1);
  return NULL;
}

/* Sends @n rows, waits for them, and compares: what came out is @want, n x hidden size. */
static void
expect_rows (Pair * p, gconstpointer rows, guint n, const gfloat * want)
{
  Push job = { p, gst_buffer_new_memdup (rows, (gsize) n * p->row_bytes),
    GST_FLOW_OK, 0
  };
  gint64 until = g_get_monotonic_time () + PATIENCE;
  gsize row = sizeof (gfloat) * p->hidden;
  guint got = 0;

  gst_buffer_add_rd_meta (job.buffer, 1, 0, p->position, n, 0, NULL);
  /* it may have to wait for the window, which this thread opens */
  GThread *thread = g_thread_new ("push", push, &job);
  while (got < n || !g_atomic_int_get (&job.done)) {
    GstBuffer *out;
    GstMapInfo map;

    fail_unless (g_get_monotonic_time () < until, "%u of %u rows came", got, n);
    carry (p);
    while ((out = gst_harness_try_pull (p->out))) {
      gst_buffer_map (out, &map, GST_MAP_READ);
      fail_unless_equals_int (gst_buffer_get_rd_meta (out)->position,
          p->position + got);
      fail_unless (map.size <= (n - got) * row);
      fail_unless (memcmp (map.data, want + (gsize) got * p->hidden,
              map.size) == 0, "row %u or behind it differs", got);
      got += (guint) (map.size / row);
      gst_buffer_unmap (out, &map);
      gst_buffer_unref (out);
    }
    g_usleep (200);
  }
  g_thread_join (thread);
  fail_unless_equals_int (job.result, GST_FLOW_OK);
  p->position += n;
}

static guint64
stat (Pair * p, const gchar * name)
{
  g_autoptr (GstStructure) stats = NULL;
  guint64 value = 0;

  g_object_get (p->e, "stats", &stats, NULL);
  fail_unless (gst_structure_get_uint64 (stats, name, &value));
  return value;
}

static void
expect_codec (Pair * p, const gchar * name)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (p->in->sinkpad);

  fail_unless_equals_string (gst_structure_get_string (gst_caps_get_structure
          (caps, 0), "codec"), name);
}

/* Floats as a model has them, and every kind that is hard: zeros of both signs, denormals, the largest. */
static gfloat *
make_floats (gsize n)
{
  static const guint32 odd[] = {
    0, 0x80000000u, 1, 0x80000001u, 0x007fffffu, 0x7f7fffffu, 0xff7fffffu,
    0x3f800001u
  };
  gfloat *x = g_new (gfloat, n);
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);

  for (gsize i = 0; i < n; i++) {
    x[i] = (gfloat) (g_rand_double (rand) + g_rand_double (rand) - 1) * 3;
    if (i % 11 == 10)
      memcpy (x + i, &odd[i / 11 % G_N_ELEMENTS (odd)], 4);
  }
  return x;
}

/* Lossless is bit-exact whatever `codec` says, and smaller than the floats. */
GST_START_TEST (test_lossless_f32)
{
  static const gchar *const codecs[] = { "f16", "int4", "f32" };
  g_autofree gfloat *x = make_floats (200 * 64);

  for (guint i = 0; i < G_N_ELEMENTS (codecs); i++) {
    Pair p;

    pair_init (&p, codecs[i], 64, "F32LE");
    g_object_set (p.e, "max-payload-size", 0, NULL);
    gst_util_set_object_arg (G_OBJECT (p.e), "rate-control", "lossless");
    expect_rows (&p, x, 192, x);
    expect_codec (&p, "f32");
    fail_unless (stat (&p, "payload-bytes") < 192 * 64 * 4 * 0.95);
    for (guint n = 192; n < 200; n++)
      expect_rows (&p, x + (gsize) n * 64, 1, x + (gsize) n * 64);
    pair_clear (&p);
  }
}

GST_END_TEST;

/* Every finite half: what comes out is the float of the same value. */
GST_START_TEST (test_lossless_f16)
{
  g_autofree guint16 *halves = g_new (guint16, 65536);
  g_autofree gfloat *x = g_new (gfloat, 65536);
  guint n = 0;
  Pair p;

  for (guint i = 0; i < 65536; i++) {
    if ((i & 0x7c00) == 0x7c00)
      continue;
    halves[n] = GUINT16_TO_LE ((guint16) i);
    x[n++] = rd_half_to_float ((guint16) i);
  }
  fail_unless_equals_int ((gint) n, 992 * 64);
  pair_init (&p, "f16", 64, "F16LE");
  gst_util_set_object_arg (G_OBJECT (p.e), "rate-control", "lossless");
  expect_rows (&p, halves, 992, x);
  /* little more than half of the floats, although it may be any of them */
  fail_unless (stat (&p, "payload-bytes") < 992 * 64 * 2 * 1.1);
  pair_clear (&p);
}

GST_END_TEST;

/* A built-in codec cannot change inside a stream: that is said. */
GST_START_TEST (test_lossless_too_late)
{
  g_autofree gfloat *x = g_new0 (gfloat, 64);
  GstMessage *message;
  Pair p;

  pair_init (&p, "int8", 64, "F32LE");
  expect_rows (&p, x, 1, x);
  gst_util_set_object_arg (G_OBJECT (p.e), "rate-control", "lossless");
  expect_rows (&p, x, 1, x);
  expect_codec (&p, "int8");
  message = gst_bus_pop_filtered (p.bus, GST_MESSAGE_WARNING);
  fail_unless (message != NULL);
  gst_message_unref (message);
  pair_clear (&p);
}

GST_END_TEST;

/* Tokens of 32 KiB in datagrams of 1400 bytes, a lost one now and then, and a limit that changes on the way. */
GST_START_TEST (test_fragments)
{
  static const guint losses[] = { 0, 23, 5 };
  g_autofree gfloat *x = make_floats (12 * 8192);

  for (guint i = 0; i < G_N_ELEMENTS (losses); i++) {
    guint64 frames;
    Pair p;

    pair_init (&p, "f32", 8192, "F32LE");
    p.lose = losses[i];
    expect_rows (&p, x, 5, x);
    frames = stat (&p, "frames") - stat (&p, "retransmitted-frames");
    fail_unless_equals_int ((gint) frames, 5 * 25);
    if (losses[i])
      fail_unless (stat (&p, "retransmitted-frames") > 0);
    g_object_set (p.e, "max-payload-size", 9000, NULL);
    expect_rows (&p, x + 5 * 8192, 5, x + 5 * 8192);
    g_object_set (p.e, "max-payload-size", 0, NULL);
    expect_rows (&p, x + 10 * 8192, 2, x + 10 * 8192);
    frames = stat (&p, "frames") - stat (&p, "retransmitted-frames") - frames;
    fail_unless_equals_int ((gint) frames, 5 * 4 + 1);
    pair_clear (&p);
  }
}

GST_END_TEST;

static Suite *
codec_pair_suite (void)
{
  Suite *s = suite_create ("codec-pair");
  TCase *tc = tcase_create ("general");

  GST_ELEMENT_REGISTER (rdencoder, NULL);
  GST_ELEMENT_REGISTER (rddecoder, NULL);
  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 120);
  tcase_add_test (tc, test_lossless_f32);
  tcase_add_test (tc, test_lossless_f16);
  tcase_add_test (tc, test_lossless_too_late);
  tcase_add_test (tc, test_fragments);
  return s;
}

GST_CHECK_MAIN (codec_pair);
