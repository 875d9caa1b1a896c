/* Rate control against a simulated encoder: means that are met, ceilings that hold, content that changes, clocks that jump. */
#include "codec/rate/model.h"
#include "codec/rate/rate.h"
#include "codec/rate/window.h"
#include "tests/support/fake-codec.h"

#include <math.h>

#define MS G_GINT64_CONSTANT (1000000)
#define SECOND (1000 * MS)
#define FRAME_BITS (12 * 8)
#define HEADER_BITS 1200
#define MAX_TOKENS 8192

/* An encoder whose sizes follow the rate of Gaussian coefficients of very different spread, with noise from token to token. */
typedef struct
{
  guint64 seed;                 /* of the noise */
  gdouble octaves;              /* of quantiser step from quality 0 to 100 */
  gdouble scale;                /* of the content */
  gdouble noise;                /* octaves */
  gdouble ladder;               /* qualities are rounded to multiples of this; 0 = not */
  gdouble factors[64];          /* of the tokens of the frame: a second try meets the same */

  RdRate *rate;
  RdRateSession session;
  gint64 now;
  guint64 session_tokens, session_bits, total_bits;
  guint frames, tries;
  gdouble quality;              /* of the last frame */

  gdouble bits[MAX_TOKENS];     /* of every token, on the wire */
  guint tokens;
} Sim;

static void
sim_init (Sim * sim, const RdRateSettings * settings)
{
  memset (sim, 0, sizeof *sim);
  sim->seed = 7000;
  sim->octaves = 8;
  sim->scale = 1;
  sim->noise = 0.25;
  sim->rate = rd_rate_new (FAKE_CODEC_VALUES);
  rd_rate_configure (sim->rate, settings);
}

static void
sim_clear (Sim * sim)
{
  rd_rate_free (sim->rate);
}

/* Bits of payload of one ordinary token. */
static gdouble
sim_size (const Sim * sim, gdouble quality)
{
  if (sim->ladder > 0)
    quality = sim->ladder * round (quality / sim->ladder);
  return sim->scale * fake_codec_bits (quality, sim->octaves);
}

static guint64
sim_encode (Sim * sim, guint n, gdouble quality)
{
  gdouble sum = 0;

  g_assert_cmpfloat (quality, >=, 0);
  g_assert_cmpfloat (quality, <=, 100);
  sim->tries++;
  for (guint i = 0; i < n; i++)
    sum += sim->factors[i];
  return (guint64) ceil (sim_size (sim, quality) * sum / 8) * 8;
}

/* One frame of @n tokens; returns its bits on the wire. */
static guint64
sim_frame (Sim * sim, guint n)
{
  RdRateFrame frame = {.n = n,.overhead = FRAME_BITS,
    .session_tokens = sim->session_tokens,.session_bits = sim->session_bits,
    .total_bits = sim->total_bits,
    .now = sim->now
  };
  guint64 bits, all, before = sim->tries;

  if ((sim->frames & (sim->frames - 1)) == 0 && sim->frames < 16)
    frame.once = HEADER_BITS;
  for (guint i = 0; i < n; i++)
    sim->factors[i] = exp2 (sim->noise * fake_codec_noise (sim->seed++));
  sim->quality = rd_rate_begin (sim->rate, &sim->session, &frame);
  do {
    bits = sim_encode (sim, n, sim->quality);
  } while (!rd_rate_accept (sim->rate, &sim->session, bits, &sim->quality));
  g_assert_cmpuint (sim->tries - before, <=, RD_RATE_MAX_TRIES);
  all = bits + frame.overhead + frame.once;
  sim->session_tokens += n;
  sim->session_bits += all;
  sim->total_bits += all;
  sim->frames++;
  for (guint i = 0; i < n && sim->tokens < MAX_TOKENS; i++)
    sim->bits[sim->tokens++] = (gdouble) all / n;
  return all;
}

static gdouble
mean (const Sim * sim, guint from, guint n)
{
  gdouble sum = 0;

  for (guint i = from; i < from + n; i++)
    sum += sim->bits[i];
  return sum / n;
}

/* ---- the mean ---- */

static const gdouble targets[] = { 220, 300, 400, 550, 750, 1000, 1400, 2000 };
static const guint frame_tokens[] = { 1, 64 };

static void
expect_mean (const Sim * sim, guint from, guint n, gdouble target,
    const gchar * what)
{
  gdouble got = mean (sim, from, n);

  if (fabs (got / target - 1) > 0.03)
    g_error ("%s: %.1f bits per token instead of %.0f in tokens %u to %u",
        what, got, target, from, from + n);
}

/* The first 256 tokens, from no knowledge at all, and every 256 after them. */
static void
test_target (void)
{
  static const gdouble octaves[] = { 6.5, 8, 12 };

  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    for (guint k = 0; k < 2; k++)
      for (guint o = 0; o < G_N_ELEMENTS (octaves); o++) {
        RdRateSettings settings = {.bits_per_token = targets[i] };
        guint n = frame_tokens[k];
        Sim sim;

        sim_init (&sim, &settings);
        sim.octaves = octaves[o];
        while (sim.tokens < 2048)
          sim_frame (&sim, n);
        expect_mean (&sim, 0, 256, targets[i], "first");
        for (guint from = 256; from + 256 <= 2048; from += n)
          expect_mean (&sim, from, 256, targets[i], n == 1 ? "one" : "64");
        /* most frames are encoded once */
        g_test_message ("%.0f bits in %u: %u tries of %u frames", targets[i], n,
            sim.tries, sim.frames);
        g_assert_cmpuint (sim.tries, <=, sim.frames + sim.frames / 4 + 4);
        sim_clear (&sim);
      }
}

/* Content that takes twice or half as many bits, suddenly, at any place of 256 tokens. */
static void
test_target_steps (void)
{
  for (guint k = 0; k < 2; k++)
    for (guint at = 64; at <= 448; at += 64)
      for (guint up = 0; up < 2; up++) {
        RdRateSettings settings = {.bits_per_token = 700 };
        guint n = frame_tokens[k];
        Sim sim;

        sim_init (&sim, &settings);
        while (sim.tokens < 1024) {
          if (sim.tokens == 256 + at)
            sim.scale = up ? 2 : 0.5;
          sim_frame (&sim, n);
        }
        for (guint from = 256; from + 256 <= 1024; from += n)
          expect_mean (&sim, from, 256, 700, "step");
        sim_clear (&sim);
      }
}

/* The quality of one token after the other is steady: noise is averaged, not followed. */
static void
test_steady (void)
{
  RdRateSettings settings = {.bits_per_token = 700 };
  gdouble least = 100, most = 0;
  Sim sim;

  sim_init (&sim, &settings);
  for (guint i = 0; i < 2048; i++) {
    sim_frame (&sim, 1);
    if (i < 256)
      continue;
    least = MIN (least, sim.quality);
    most = MAX (most, sim.quality);
  }
  g_test_message ("quality between %.1f and %.1f", least, most);
  g_assert_cmpfloat (most - least, <, 10);
  g_assert_cmpuint (sim.tries, ==, sim.frames);
  sim_clear (&sim);
}

/* A token that takes 30 times what others do is paid for by those after it, and says nothing of them. */
static void
test_outlier (void)
{
  RdRateSettings settings = {.bits_per_token = 600 };
  Sim sim;

  sim_init (&sim, &settings);
  sim.scale = 30;
  sim_frame (&sim, 1);
  sim.scale = 1;
  while (sim.tokens < 512)
    sim_frame (&sim, 1);
  expect_mean (&sim, 0, 256, 600, "outlier");
  expect_mean (&sim, 256, 256, 600, "after an outlier");
  sim_clear (&sim);
}

/* Coarse ladders, and targets that the codec cannot have. */
static void
test_limits (void)
{
  RdRateSettings settings = {.bits_per_token = 800 };
  Sim sim;

  sim_init (&sim, &settings);
  sim.ladder = 3;
  while (sim.tokens < 1024)
    sim_frame (&sim, 64);
  for (guint from = 0; from + 256 <= 1024; from += 64)
    expect_mean (&sim, from, 256, 800, "ladder");
  sim_clear (&sim);

  settings.bits_per_token = 1e6;
  sim_init (&sim, &settings);
  for (guint i = 0; i < 20; i++)
    sim_frame (&sim, 64);
  g_assert_cmpfloat (sim.quality, ==, 100);
  /* what could not be spent does not come back as a flood */
  settings.bits_per_token = 500;
  rd_rate_configure (sim.rate, &settings);
  sim.tokens = 0;
  while (sim.tokens < 256)
    sim_frame (&sim, 64);
  expect_mean (&sim, 0, 256, 500, "after the impossible");
  settings.bits_per_token = 1;
  rd_rate_configure (sim.rate, &settings);
  for (guint i = 0; i < 20; i++)
    sim_frame (&sim, 1);
  g_assert_cmpfloat (sim.quality, ==, 0);
  sim_clear (&sim);
}

/* A target that changes while the stream runs begins a new mean. */
static void
test_target_changes (void)
{
  RdRateSettings settings = { 0, };
  Sim sim;

  for (guint k = 0; k < 2; k++) {
    sim_init (&sim, &settings);
    for (guint i = 0; i < G_N_ELEMENTS (targets); i++) {
      guint t = (i * 5 + 3) % G_N_ELEMENTS (targets);

      settings.bits_per_token = targets[t];
      rd_rate_configure (sim.rate, &settings);
      for (guint n = 0; n < 256; n += frame_tokens[k])
        sim_frame (&sim, frame_tokens[k]);
      expect_mean (&sim, 256 * i, 256, targets[t], "change");
    }
    sim_clear (&sim);
  }
}

/* Two sessions of different content, turn by turn: each has its own mean. */
static void
test_two_sessions (void)
{
  RdRateSettings settings = {.bits_per_token = 600 };
  RdRateSession sessions[2] = { {0,}, {0,} };
  guint64 bits[2] = { 0, 0 };
  Sim sim;

  sim_init (&sim, &settings);
  for (guint i = 0; i < 512; i++) {
    sim.session = sessions[i % 2];
    sim.session_bits = bits[i % 2];
    sim.session_tokens = i / 2;
    sim.scale = i % 2 ? 1.5 : 0.7;
    sim_frame (&sim, 1);
    sessions[i % 2] = sim.session;
    bits[i % 2] = sim.session_bits;
  }
  for (guint i = 0; i < 2; i++)
    g_assert_cmpfloat (fabs (bits[i] / 256.0 / 600 - 1), <, 0.03);
  sim_clear (&sim);
}

/* ---- the ceiling ---- */

#define MAX_LOG 8192

typedef struct
{
  gint64 at[MAX_LOG];
  guint64 bits[MAX_LOG];
  guint n;
  guint64 largest;
} Log;

static void
log_frame (Log * log, gint64 at, guint64 bits)
{
  g_assert_cmpuint (log->n, <, MAX_LOG);
  log->at[log->n] = at;
  log->bits[log->n++] = bits;
  log->largest = MAX (log->largest, bits);
}

/* No span of @window_ms has more than @bitrate allows and one frame; nor has a leaky bucket of that size. */
static void
expect_ceiling (const Log * log, guint64 bitrate, guint window_ms)
{
  guint64 most = bitrate * window_ms / 1000;
  gdouble bucket = 0;

  for (guint i = 0, first = 0, sum = 0; i < log->n; i++) {
    sum += log->bits[i];
    while (log->at[first] <= log->at[i] - window_ms * MS)
      sum -= log->bits[first++];
    if (sum > most + log->bits[i])
      g_error ("%u bits in %u ms up to frame %u, %" G_GUINT64_FORMAT
          " are allowed", sum, window_ms, i, most);
    if (i > 0)
      bucket -= (log->at[i] - log->at[i - 1]) * 1e-9 * bitrate;
    bucket = MAX (bucket, 0) + log->bits[i];
    g_assert_cmpfloat (bucket, <=, most + log->bits[i]);
  }
}

/* Paced frames: the ceiling holds and most of it is used, whatever the pace. */
static void
test_constant_bitrate (void)
{
  static const struct
  {
    guint n;
    gint64 interval;
    guint64 bitrate;
    guint window_ms;
    gdouble used;               /* at least; a window that holds 2.5 frames cannot be filled */
  } cases[] = {
    {1, 50 * MS, 16000, 1000, 0.9}, {1, 50 * MS, 40000, 1000, 0.9},
    {1, 10 * MS, 64000, 500, 0.9}, {1, 400 * MS, 5500, 1000, 0.7},
    {64, 640 * MS, 64000, 5000, 0.8}, {64, 100 * MS, 500000, 1000, 0.85},
    {64, 100 * MS, 250000, 5000, 0.9}, {8, 30 * MS, 200000, 400, 0.85},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    RdRateSettings settings = {.fill = TRUE,.bitrate = cases[i].bitrate,
      .window_ms = cases[i].window_ms
    };
    gint64 duration = MAX (20, 4 * cases[i].window_ms / 1000) * SECOND;
    g_autofree Log *log = g_new0 (Log, 1);
    guint64 late = 0;
    Sim sim;

    sim_init (&sim, &settings);
    for (; sim.now < duration; sim.now += cases[i].interval) {
      guint64 bits = sim_frame (&sim, cases[i].n);

      log_frame (log, sim.now, bits);
      if (sim.now >= duration / 2)
        late += bits;
    }
    expect_ceiling (log, cases[i].bitrate, cases[i].window_ms);
    gdouble used =
        2e9 * (gdouble) late / (gdouble) (cases[i].bitrate * duration);
    g_test_message ("case %u: %.1f %% used, %u tries of %u frames", i,
        100 * used, sim.tries, sim.frames);
    g_assert_cmpfloat (used, >, cases[i].used);
    g_assert_false (rd_rate_take_exceeded (sim.rate));
    sim_clear (&sim);
  }
}

/* A prompt at once, then token by token, with pauses: the prompt leaves something for what follows. */
static void
test_burst (void)
{
  RdRateSettings settings = {.fill = TRUE,.bitrate = 100000,.window_ms = 2000 };
  g_autofree Log *log = g_new0 (Log, 1);
  gdouble least = 100;
  Sim sim;

  sim_init (&sim, &settings);
  for (guint turn = 0; turn < 5; turn++) {
    for (guint i = 0; i < 6; i++, sim.now += 2 * MS)
      log_frame (log, sim.now, sim_frame (&sim, 64));
    for (guint i = 0; i < 100; i++, sim.now += 40 * MS) {
      log_frame (log, sim.now, sim_frame (&sim, 1));
      least = MIN (least, sim.quality);
    }
    sim.now += turn * SECOND;
  }
  expect_ceiling (log, settings.bitrate, settings.window_ms);
  g_test_message ("a step has quality %.1f at least", least);
  g_assert_cmpfloat (least, >, 5);
  g_assert_false (rd_rate_take_exceeded (sim.rate));
  sim_clear (&sim);
}

/* As a ceiling alone it leaves quality and mean as they are while there is room. */
static void
test_ceiling (void)
{
  RdRateSettings settings = {.quality = 70,.bitrate = 1000000,
    .window_ms = 1000
  };
  g_autofree Log *log = g_new0 (Log, 1);
  Sim sim;

  sim_init (&sim, &settings);
  for (guint i = 0; i < 200; i++, sim.now += 20 * MS) {
    sim_frame (&sim, 1);
    g_assert_cmpfloat (sim.quality, ==, 70);
  }
  settings.bitrate = 20000;
  rd_rate_configure (sim.rate, &settings);
  sim.now += SECOND;
  for (guint i = 0; i < 400; i++, sim.now += 20 * MS)
    log_frame (log, sim.now, sim_frame (&sim, 1));
  expect_ceiling (log, 20000, 1000);
  g_assert_cmpfloat (sim.quality, <, 70);
  sim_clear (&sim);
}

/* At the coarsest quality it goes on, and says so once an episode. */
static void
test_exceeded (void)
{
  RdRateSettings settings = {.fill = TRUE,.bitrate = 1000,.window_ms = 1000 };
  guint news = 0;
  Sim sim;

  sim_init (&sim, &settings);
  for (guint episode = 1; episode <= 2; episode++) {
    for (guint i = 0; i < 200; i++, sim.now += 5 * MS) {
      sim_frame (&sim, 1);
      news += rd_rate_take_exceeded (sim.rate);
    }
    g_assert_cmpuint (news, ==, episode);
    g_assert_cmpfloat (sim.quality, ==, 0);
    sim.now += 2 * SECOND;
    settings.bitrate = 100000;
    rd_rate_configure (sim.rate, &settings);
    sim_frame (&sim, 1);
    g_assert_false (rd_rate_take_exceeded (sim.rate));
    settings.bitrate = 1000;
    rd_rate_configure (sim.rate, &settings);
  }
  sim_clear (&sim);
}

/* What is sent again counts for the ceiling, not for the mean. */
static void
test_sent_again (void)
{
  RdRateSettings settings = {.fill = TRUE,.bitrate = 64000,.window_ms = 1000 };
  g_autofree Log *log = g_new0 (Log, 1);
  Sim sim;

  sim_init (&sim, &settings);
  for (guint i = 0; i < 400; i++, sim.now += 25 * MS) {
    guint64 again = i % 4 == 3 ? 1500 : 0;

    log_frame (log, sim.now, sim_frame (&sim, 1) + again);
    sim.total_bits += again;
  }
  expect_ceiling (log, 64000 + 1500, 1000);
  sim_clear (&sim);
}

/* A clock that goes back, or far ahead, neither stops nor floods anything. */
static void
test_clocks (void)
{
  RdRateSettings settings = {.fill = TRUE,.bitrate = 64000,.window_ms = 1000 };
  gint64 jumps[] = { 0, 1000000 * SECOND, 5 * SECOND, G_MAXINT64 / 2, 0 };
  Sim sim;

  sim_init (&sim, &settings);
  for (guint j = 0; j < G_N_ELEMENTS (jumps); j++) {
    guint64 before = 0;

    sim.now = jumps[j];
    for (guint i = 0; i < 200; i++, sim.now += 25 * MS) {
      guint64 bits = sim_frame (&sim, 1);

      before += i >= 100 ? bits : 0;
    }
    g_assert_cmpfloat (before / 2.5, >, 0.8 * 64000);
    g_assert_cmpfloat (before / 2.5, <, 1.02 * 64000);
  }
  sim_clear (&sim);
}

/* A codec with one quality: nothing is encoded twice, sizes are counted. */
static void
test_fixed (void)
{
  RdRateSettings settings = {.quality = 50,.fixed = TRUE,.bitrate = 5000,
    .window_ms = 1000,.bits_per_token = 100
  };
  Sim sim;

  sim_init (&sim, &settings);
  for (guint i = 0; i < 20; i++)
    sim_frame (&sim, 64);
  g_assert_cmpuint (sim.tries, ==, sim.frames);
  g_assert_true (rd_rate_take_exceeded (sim.rate));
  sim_clear (&sim);
}

/* ---- the parts ---- */

static void
test_model (void)
{
  RdRateModel model;

  rd_rate_model_init (&model, FAKE_CODEC_VALUES);
  for (guint i = 0; i < 1000; i += 37) {
    gdouble q = 0.1 * i + 0.05, level = rd_rate_model_at (&model, q);

    g_assert_cmpfloat (fabs (rd_rate_model_find (&model, level) - q), <, 1e-6);
  }
  g_assert_cmpfloat (rd_rate_model_find (&model, -100), ==, 0);
  g_assert_cmpfloat (rd_rate_model_find (&model, 100), ==, 100);
  rd_rate_model_pair (&model, 61, 9, 58.5, 8.5);
  g_assert_cmpfloat (fabs (rd_rate_model_at (&model, 61)
          - rd_rate_model_at (&model, 58.5) - 0.5), <, 1e-6);
  /* sizes that fall with the quality are not believed */
  rd_rate_model_pair (&model, 20, 9, 80, 1);
  for (guint i = 1; i < RD_RATE_KNOTS; i++)
    g_assert_cmpfloat (model.knot[i], >, model.knot[i - 1]);
}

static void
test_window_slots (void)
{
  RdRateWindow window = { 0, };

  rd_rate_window_set_span (&window, SECOND);
  for (gint64 t = 0; t < 3 * SECOND; t += 10 * MS) {
    rd_rate_window_advance (&window, t);
    rd_rate_window_add (&window, 7);
    g_assert_cmpint (window.sum, >=, 7 * MIN (100, t / (10 * MS) + 1));
    g_assert_cmpint (window.sum, <=, 7 * 101);
  }
  rd_rate_window_set_span (&window, 2 * SECOND);
  rd_rate_window_advance (&window, 4 * SECOND);
  g_assert_cmpint (window.sum, >=, 700);
  rd_rate_window_advance (&window, 10 * SECOND);
  g_assert_cmpint (window.sum, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/rate/model", test_model);
  g_test_add_func ("/rate/window", test_window_slots);
  g_test_add_func ("/rate/target", test_target);
  g_test_add_func ("/rate/target-steps", test_target_steps);
  g_test_add_func ("/rate/target-changes", test_target_changes);
  g_test_add_func ("/rate/steady", test_steady);
  g_test_add_func ("/rate/outlier", test_outlier);
  g_test_add_func ("/rate/limits", test_limits);
  g_test_add_func ("/rate/two-sessions", test_two_sessions);
  g_test_add_func ("/rate/constant-bitrate", test_constant_bitrate);
  g_test_add_func ("/rate/burst", test_burst);
  g_test_add_func ("/rate/ceiling", test_ceiling);
  g_test_add_func ("/rate/exceeded", test_exceeded);
  g_test_add_func ("/rate/sent-again", test_sent_again);
  g_test_add_func ("/rate/clocks", test_clocks);
  g_test_add_func ("/rate/fixed", test_fixed);
  return g_test_run ();
}
