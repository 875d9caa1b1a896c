/* rdencoder: bits per token, bits per second, and properties that change while it plays. */
#include "tests/elements/rdencoder-tools.h"
#include "tests/support/fake-codec.h"
#include <gst/check/gsttestclock.h>
#include <math.h>

/* Rows that are all different, for the fake codec. */
static GstBuffer *
noise_rows (guint32 position, guint32 n)
{
  GstBuffer *buffer = make_rows (1, 0, position, n, n == 1 ?
      GST_RD_META_STEP : 0);
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (guint i = 0; i < n; i++)
    GST_WRITE_FLOAT_LE (map.data + (gsize) i * HIDDEN * 4,
        (gfloat) (position + i + 1));
  gst_buffer_unmap (buffer, &map);
  return buffer;
}

/* Owned by the harness. */
static GstElement *
encoder (Fixture * f)
{
  GstElement *e = gst_harness_find_element (f->h, "rdencoder");

  gst_object_unref (e);
  return e;
}

/* Pushes @n tokens in buffers of @each and returns the bytes that come out; to @tail if it is not NULL. */
static gsize
push_tokens (Fixture * f, guint32 * position, guint n, guint each,
    VirtualTail * tail)
{
  GstBuffer *buffer;
  gsize bytes = 0;

  for (guint i = 0; i < n; i += each) {
    fail_unless_equals_int (gst_harness_push (f->h, noise_rows (*position,
                each)), GST_FLOW_OK);
    *position += each;
    /* the task on the source pad takes its time */
    while (gst_harness_buffers_in_queue (f->h) == 0)
      g_usleep (50);
    while ((buffer = gst_harness_try_pull (f->h))) {
      bytes += gst_buffer_get_size (buffer);
      if (tail)
        virtual_tail_feed (tail, buffer);
      else
        gst_buffer_unref (buffer);
    }
  }
  return bytes;
}

static guint64
sent_bytes (Fixture * f, guint64 * tokens)
{
  g_autoptr (GstStructure) stats = NULL;
  guint64 bytes = 0;

  g_object_get (encoder (f), "stats", &stats, NULL);
  gst_structure_get_uint64 (stats, "bytes", &bytes);
  gst_structure_get_uint64 (stats, "tokens", tokens);
  return bytes;
}

/* Eight means, token by token and 64 at a time, over the first 256 tokens and the next 256, headers and all. */
GST_START_TEST (test_target)
{
  static const guint targets[] = { 220, 300, 400, 550, 750, 1000, 1400, 2000 };
  static const guint each[] = { 1, 64 };

  for (guint t = 0; t < G_N_ELEMENTS (targets); t++)
    for (guint e = 0; e < G_N_ELEMENTS (each); e++) {
      g_autofree gchar *launch =
          g_strdup_printf ("rdencoder codec=fake target-bits-per-token=%u "
          "max-payload-size=0", targets[t]);
      guint32 position = 0;
      gdouble got;
      Fixture f;

      fixture_init (&f, launch, FALSE);
      for (guint i = 0; i < 2; i++) {
        got = 8.0 * push_tokens (&f, &position, 256, each[e], NULL) / 256;
        fail_unless (fabs (got / targets[t] - 1) < 0.03,
            "%.1f instead of %u bits in frames of %u", got, targets[t],
            each[e]);
      }
      fixture_clear (&f);
    }
}

GST_END_TEST;

/* A target that changes while it plays, in datagrams: cut at the borders of tokens, none into fragments. */
GST_START_TEST (test_target_in_datagrams)
{
  static const guint targets[] = { 900, 400, 1500 };
  guint32 position = 0;
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder codec=fake", FALSE);
  fake_codec_seen.encodes = 0;
  for (guint t = 0; t < G_N_ELEMENTS (targets); t++) {
    guint frames = tail.counts->len;
    guint64 before, after, tokens;

    before = sent_bytes (&f, &tokens);
    g_object_set (encoder (&f), "target-bits-per-token", (gdouble) targets[t],
        NULL);
    for (guint i = 0; i < 8; i++) {
      gst_harness_push (f.h, noise_rows (position, 64));
      position += 64;
      drain_until (&f, &tail, position);
    }
    after = sent_bytes (&f, &tokens);
    fail_unless (fabs (8.0 * (after - before) / 512 / targets[t] - 1) < 0.03,
        "%.1f instead of %u", 8.0 * (after - before) / 512, targets[t]);
    /* most of every datagram is used */
    frames = tail.counts->len - frames;
    fail_unless (frames <= 1.3 * (after - before) / 1400 + 8,
        "%u frames for %u bytes", frames, (guint) (after - before));
  }
  fail_unless (fake_codec_seen.encodes < 2 * tail.counts->len);
  g_autoptr (GstStructure) stats = NULL;
  guint64 trials, frames;

  g_object_get (encoder (&f), "stats", &stats, NULL);
  fail_unless (gst_structure_get_uint64 (stats, "trial-encodes", &trials));
  fail_unless (gst_structure_get_uint64 (stats, "frames", &frames));
  /* no frame is a fragment */
  fail_unless_equals_uint64 (frames, tail.counts->len);
  fail_unless_equals_uint64 (trials + frames, fake_codec_seen.encodes);
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

/* ---- bits per second ---- */

typedef struct
{
  GstClockTime at[2000];
  guint64 bits[2000];
  guint n;
} Log;

/* Tokens at a steady pace of running time. */
static void
play (Fixture * f, GstTestClock * clock, Log * log, guint32 * position,
    guint n, GstClockTime interval)
{
  for (guint i = 0; i < n; i++) {
    gst_test_clock_advance_time (clock, interval);
    log->bits[log->n] = 8 * push_tokens (f, position, 1, 1, NULL);
    log->at[log->n++] = gst_clock_get_time (GST_CLOCK (clock));
  }
}

static void
expect_ceiling (const Log * log, guint64 bitrate, GstClockTime window)
{
  guint64 most = gst_util_uint64_scale (bitrate, window, GST_SECOND), sum = 0;

  for (guint i = 0, first = 0; i < log->n; i++) {
    sum += log->bits[i];
    while (log->at[first] + window <= log->at[i])
      sum -= log->bits[first++];
    fail_unless (sum <= most + log->bits[i], "%u bits up to frame %u",
        (guint) sum, i);
  }
}

static guint
count_messages (Fixture * f, const gchar * name)
{
  GstMessage *message;
  guint n = 0;

  while ((message = gst_bus_pop_filtered (f->bus, GST_MESSAGE_ELEMENT))) {
    n += gst_message_has_name (message, name);
    gst_message_unref (message);
  }
  return n;
}

/* The ceiling holds over the window and is used; where it cannot hold, one message says so, and another one the next time. */
GST_START_TEST (test_constant_bitrate)
{
  g_autofree Log *log = g_new0 (Log, 1);
  guint32 position = 0;
  guint64 late = 0;
  GstTestClock *clock;
  Fixture f;

  fixture_init (&f, "rdencoder codec=fake rate-control=constant-bitrate "
      "bitrate=20000 vbv-buf-capacity=2000", FALSE);
  gst_harness_use_testclock (f.h);
  clock = gst_harness_get_testclock (f.h);
  play (&f, clock, log, &position, 400, 40 * GST_MSECOND);
  expect_ceiling (log, 20000, 2 * GST_SECOND);
  for (guint i = 200; i < 400; i++)
    late += log->bits[i];
  fail_unless (late > 0.88 * 20000 * 8, "%u bits", (guint) late);
  fail_unless_equals_int ((gint) count_messages (&f,
          "rdencoder-bitrate-exceeded"), 0);
  for (guint i = 1; i <= 2; i++) {
    log->n = 0;
    g_object_set (encoder (&f), "bitrate", 1000, NULL);
    play (&f, clock, log, &position, 100, 10 * GST_MSECOND);
    fail_unless_equals_int ((gint) count_messages (&f,
            "rdencoder-bitrate-exceeded"), 1);
    fail_unless (fake_codec_seen.settings.quality == 0);
    g_object_set (encoder (&f), "bitrate", 20000, NULL);
    play (&f, clock, log, &position, 60, 100 * GST_MSECOND);
    fail_unless (fake_codec_seen.settings.quality > 0);
  }
  gst_object_unref (clock);
  fixture_clear (&f);
}

GST_END_TEST;

/* ---- properties while playing ---- */

static void
count_notify (GObject * object, GParamSpec * pspec, gpointer user_data)
{
  (void) object;
  (void) pspec;
  ++*(guint *) user_data;
}

/* Each counts from the next buffer on. */
GST_START_TEST (test_changes)
{
  guint32 position = 0;
  guint notified = 0;
  gsize coarse, fine;
  Fixture f;

  fixture_init (&f, "rdencoder codec=fake quality=40 complexity=2", FALSE);
  g_signal_connect (encoder (&f), "notify::quality",
      G_CALLBACK (count_notify), &notified);
  coarse = push_tokens (&f, &position, 32, 1, NULL);
  fail_unless (fake_codec_seen.settings.quality == 40);
  fail_unless_equals_int ((gint) fake_codec_seen.settings.complexity, 2);
  fail_unless (!fake_codec_seen.settings.lossless);
  g_object_set (encoder (&f), "quality", 80.0, "complexity", 9, NULL);
  fail_unless_equals_int ((gint) notified, 1);
  fine = push_tokens (&f, &position, 32, 1, NULL);
  fail_unless (fake_codec_seen.settings.quality == 80);
  fail_unless_equals_int ((gint) fake_codec_seen.settings.complexity, 9);
  fail_unless (fine > 1.5 * coarse);
  gst_util_set_object_arg (G_OBJECT (encoder (&f)), "rate-control", "lossless");
  push_tokens (&f, &position, 1, 1, NULL);
  fail_unless (fake_codec_seen.settings.lossless);
  g_object_set (encoder (&f), "bitrate", 100, NULL);
  push_tokens (&f, &position, 10, 1, NULL);
  gst_util_set_object_arg (G_OBJECT (encoder (&f)), "rate-control",
      "constant-quality");
  g_object_set (encoder (&f), "bitrate", 0, NULL);
  push_tokens (&f, &position, 1, 1, NULL);
  fail_unless (!fake_codec_seen.settings.lossless);
  fail_unless (fake_codec_seen.settings.quality == 80);
  /* nothing of it was out of place */
  fail_unless (gst_bus_pop_filtered (f.bus, GST_MESSAGE_WARNING) == NULL);
  fail_unless_equals_int ((gint) count_messages (&f,
          "rdencoder-bitrate-exceeded"), 0);
  fixture_clear (&f);
}

GST_END_TEST;

/* No buffer is longer than the limit of the moment, which may be none, or so small that tokens are cut. */
GST_START_TEST (test_limit_changes)
{
  static const guint limits[] = { 1400, 0, 300, 100, 1400, 9000 };
  guint32 position = 0;
  VirtualTail tail;
  Fixture f;

  virtual_tail_init (&tail);
  fixture_init (&f, "rdencoder codec=fake quality=90", FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (limits); i++) {
    guint buffers = 0, largest = 0;

    g_object_set (encoder (&f), "max-payload-size", limits[i], NULL);
    gst_harness_push (f.h, noise_rows (position, 64));
    position += 64;
    while (tail.next_position < position) {
      GstBuffer *buffer = gst_harness_pull (f.h);
      guint size = (guint) gst_buffer_get_size (buffer);

      /* HEADER cannot be cut */
      if (!GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_HEADER))
        largest = MAX (largest, size);
      buffers++;
      virtual_tail_feed (&tail, buffer);
    }
    if (limits[i])
      fail_unless (largest <= limits[i], "%u bytes", largest);
    fail_unless (limits[i] ? buffers > 1 : buffers == 1, "%u buffers", buffers);
  }
  fixture_clear (&f);
  virtual_tail_clear (&tail);
}

GST_END_TEST;

GST_START_TEST (test_warnings)
{
  static const struct
  {
    const gchar *launch, *words;
  } cases[] = {
    {"rdencoder codec=fake rate-control=constant-bitrate", "needs a bitrate"},
    {"rdencoder codec=int8 target-bits-per-token=500", "codec=PATH"},
    {"rdencoder codec=f16 bitrate=500", "codec=PATH"},
    {"rdencoder codec=f16 rate-control=constant-bitrate bitrate=500",
        "codec=PATH"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    guint32 position = 0;
    Fixture f;

    fixture_init (&f, cases[i].launch, FALSE);
    push_tokens (&f, &position, 3, 1, NULL);
    expect_message (&f, GST_MESSAGE_WARNING, cases[i].words);
    fail_unless (gst_bus_pop_filtered (f.bus, GST_MESSAGE_WARNING) == NULL);
    fixture_clear (&f);
  }
}

GST_END_TEST;

/* ---- statistics ---- */

GST_START_TEST (test_stats)
{
  g_autoptr (GstStructure) stats = NULL;
  guint32 position = 0;
  gdouble recent, payload, quality;
  GstMessage *message;
  Fixture f;

  fixture_init (&f, "rdencoder codec=fake quality=60", FALSE);
  push_tokens (&f, &position, 50, 1, NULL);
  fail_unless_equals_int ((gint) count_messages (&f, "rdencoder-stats"), 0);
  g_object_set (encoder (&f), "stats-interval", 1, NULL);
  gst_harness_push (f.h, noise_rows (position, 1));
  message = gst_bus_pop_filtered (f.bus, GST_MESSAGE_ELEMENT);
  fail_unless (message && gst_message_has_name (message, "rdencoder-stats"));
  fail_unless (gst_structure_get_double (gst_message_get_structure (message),
          "bits-per-token", &recent));
  fail_unless (recent > 8 * 12);
  gst_message_unref (message);
  g_object_get (encoder (&f), "stats", &stats, NULL);
  fail_unless (gst_structure_get_double (stats, "quality", &quality));
  fail_unless (quality == 60);
  fail_unless (gst_structure_get_double (stats, "recent-bits-per-token",
          &recent));
  fail_unless (gst_structure_get_double (stats,
          "recent-payload-bits-per-token", &payload));
  fail_unless (payload > 100 && recent > payload + 8 * 11);
  fixture_clear (&f);
}

GST_END_TEST;

/* ---- presets ---- */

GST_START_TEST (test_presets)
{
  static const gchar *const names[] = { "high", "lossless", "low", "medium" };
  GstElement *e = gst_element_factory_make ("rdencoder", NULL);
  gdouble quality[G_N_ELEMENTS (names)];
  gint control;

  g_auto (GStrv) found = gst_preset_get_preset_names (GST_PRESET (e));
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    fail_unless (found && g_strv_contains ((const gchar * const *) found,
            names[i]), "no preset %s", names[i]);
    fail_unless (gst_preset_load_preset (GST_PRESET (e), names[i]));
    g_object_get (e, "quality", &quality[i], "rate-control", &control, NULL);
    fail_unless ((control == 2) == (i == 1), "%s: %d", names[i], control);
  }
  fail_unless (quality[2] < quality[3] && quality[3] < quality[0]);
  gst_object_unref (e);
}

GST_END_TEST;

static Suite *
rdencoder_rate_suite (void)
{
  Suite *s = suite_create ("rdencoder-rate");
  TCase *tc = tcase_create ("general");

  GST_ELEMENT_REGISTER (rdencoder, NULL);
  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 60);
  tcase_add_test (tc, test_target);
  tcase_add_test (tc, test_target_in_datagrams);
  tcase_add_test (tc, test_constant_bitrate);
  tcase_add_test (tc, test_changes);
  tcase_add_test (tc, test_limit_changes);
  tcase_add_test (tc, test_warnings);
  tcase_add_test (tc, test_stats);
  tcase_add_test (tc, test_presets);
  return s;
}

GST_CHECK_MAIN (rdencoder_rate);
