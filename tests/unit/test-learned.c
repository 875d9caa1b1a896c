/* The codec of codec files through its interface: round trips, the same bytes everywhere, tokens that stand alone, extremes, errors. */
#include "codec/entropy/rans.h"
#include "tests/support/float-mode.h"
#include "tests/support/learned-tools.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

static const gchar *const sets[] = { "c", "avx2", "avx512" };

static void
set_up_codec (RdCodec * codec, guint level, guint complexity, gboolean lossless)
{
  RdSettings settings = { level * 100. / 127, complexity, lossless };

  rd_codec_set (codec, &settings);
}

static GByteArray *
encode (RdCodec * codec, const gfloat * x, gsize n, const gfloat * features)
{
  GByteArray *out = g_byte_array_new ();
  RdRows rows = {.n = n,.features = features };
  g_autoptr (GError) error = NULL;
  gboolean packed = TRUE;

  rd_codec_encode (codec, &rows, x, TRUE, out, &packed, &error);
  g_assert_no_error (error);
  g_assert_false (packed);
  g_assert_cmpuint (out->len, <=, rd_codec_bound (codec, n));
  return out;
}

static gfloat *
decode (RdCodec * codec, const GByteArray * payload, gsize n, guint hidden,
    const gfloat * features)
{
  gfloat *y = g_new (gfloat, n * hidden);
  RdRows rows = {.n = n,.features = features };
  g_autoptr (GError) error = NULL;

  rd_codec_decode (codec, &rows, payload->data, payload->len, FALSE, y, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < n * hidden; i++)
    g_assert_true (isfinite (y[i]));
  return y;
}

static gdouble
mean_square_error (const gfloat * x, const gfloat * y, gsize n)
{
  gdouble sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += ((gdouble) x[i] - y[i]) * ((gdouble) x[i] - y[i]);
  return sum / (gdouble) n;
}

/* ---- round trips ---- */

/* The finest step is 1/31 and, with what a token's step adds, at most four times as much in any row here; the coarsest is 8. */
static void
check_quality (guint hidden, gsize n, guint complexity)
{
  g_autoptr (RdCodec) codec = rd_test_codec (hidden, RD_SIDE_INFO_NONE, 2);
  g_autofree gfloat *x = rd_test_rows (n, hidden, 5);
  static const guint levels[] = { 0, 20, 50, 51, 90, 127 };
  gdouble last = G_MAXDOUBLE;
  guint last_size = 0;

  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    set_up_codec (codec, levels[i], complexity, FALSE);
    g_autoptr (GByteArray) out = encode (codec, x, n, NULL);
    g_autofree gfloat *y = decode (codec, out, n, hidden, NULL);
    gdouble step = 8 * exp2 (-(gdouble) levels[i] / 16);
    gdouble error = mean_square_error (x, y, n * hidden);

    g_assert_cmpint (out->data[0] & 127, ==, levels[i]);
    g_assert_cmpint (out->data[0] >> 7, ==, complexity <= 2);
    if (hidden * n >= 500) {
      g_assert_cmpfloat (error, <, last);
      g_assert_cmpuint (out->len, >, last_size);
      g_assert_cmpfloat (error, <, 0.5 * step * step);
      last = error;
      last_size = out->len;
    }
    if (levels[i] == 127)
      g_assert_cmpfloat (error, <, 0.01);
  }
}

static void
test_round_trip (void)
{
  static const guint sizes[] = { 1, 2, 31, 64, 65, 576 };
  static const gsize lengths[] = { 1, 2, 7, 8, 9, 63, 64, 65, 200 };
  static const guint complexities[] = { 0, 2, 3, 10 };

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
    for (guint l = 0; l < G_N_ELEMENTS (lengths); l++)
      for (guint c = 0; c < G_N_ELEMENTS (complexities); c++)
        check_quality (sizes[s], lengths[l], complexities[c]);
}

/* What the trellis is for: fewer bits for the same error. */
static void
test_trellis_gains (void)
{
  enum
  { HIDDEN = 256, N = 128 };
  g_autoptr (RdCodec) codec = rd_test_codec (HIDDEN, RD_SIDE_INFO_NONE, 0);
  g_autofree gfloat *x = rd_test_rows (N, HIDDEN, 8);
  gdouble cost[2];

  for (guint i = 0; i < 2; i++) {
    set_up_codec (codec, 50, i ? 10 : 0, FALSE);
    g_autoptr (GByteArray) out = encode (codec, x, N, NULL);
    g_autofree gfloat *y = decode (codec, out, N, HIDDEN, NULL);

    /* at high rates, a bit a coefficient is a quarter of the error */
    cost[i] = 8. * out->len / (N * HIDDEN)
        + 0.5 * log2 (mean_square_error (x, y, N * HIDDEN));
  }
  g_test_message ("scalar %.3f, trellis %.3f bits a coefficient at unit error",
      cost[0], cost[1]);
  g_assert_cmpfloat (cost[1], <, cost[0] - 0.02);
}

static void
test_levels (void)
{
  g_autoptr (RdCodec) codec = rd_test_codec (5, RD_SIDE_INFO_NONE, 0);
  g_autofree gfloat *x = rd_test_rows (3, 5, 2);

  for (guint level = 0; level < 128; level++)
    for (guint complexity = 0; complexity <= RD_COMPLEXITY_MAX; complexity++) {
      set_up_codec (codec, level, complexity, FALSE);
      g_autoptr (GByteArray) out = encode (codec, x, 3, NULL);
      g_autofree gfloat *y = decode (codec, out, 3, 5, NULL);

      g_assert_cmpint (out->data[0] & 127, ==, level);
    }
}

/* ---- the same everywhere ---- */

static GByteArray *
encode_all (RdCodec * codec, const gfloat * x, gsize n)
{
  GByteArray *all = g_byte_array_new ();
  static const guint complexities[] = { 0, 5, 10 };

  for (guint level = 0; level < 128; level += 31)
    for (guint c = 0; c < G_N_ELEMENTS (complexities); c++) {
      set_up_codec (codec, level, complexities[c], FALSE);
      g_autoptr (GByteArray) out = encode (codec, x, n, x);
      g_byte_array_append (all, out->data, out->len);
    }
  return all;
}

static void
test_instruction_sets (void)
{
  static const gsize lengths[] = { 1, 3, 8, 64, 71 };
  static const guint sizes[] = { 1, 5, 33, 576 };

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
    for (guint l = 0; l < G_N_ELEMENTS (lengths); l++) {
      gsize n = lengths[l];
      g_autofree gfloat *x = rd_test_rows (n, sizes[s], 3);
      g_autoptr (GByteArray) first = NULL;

      for (guint i = 0; i < G_N_ELEMENTS (sets); i++) {
        if (!rd_rans_force_instruction_set (sets[i]))
          continue;
        g_autoptr (RdCodec) codec =
            rd_test_codec (sizes[s], RD_SIDE_INFO_EMBEDDING, 2);
        g_autoptr (GByteArray) all = encode_all (codec, x, n);

        if (!first)
          first = g_byte_array_ref (all);
        g_assert_cmpmem (all->data, all->len, first->data, first->len);
      }
    }
  g_assert_true (rd_rans_force_instruction_set (NULL));
}

/* The thread's mode counts neither when the file is read nor when rows are encoded. */
static void
test_floating_point_modes (void)
{
  g_autofree gfloat *x = rd_test_rows (20, 65, 4);
  g_autoptr (GByteArray) first = NULL;

  for (guint i = 0; i < 65; i++)
    x[65 + i] = (gfloat) (0x1p-149 * i);
  for (guint mode = 0; mode < RD_N_FLOAT_MODES; mode++) {
    g_autoptr (RdLearnedParameters) p =
        rd_test_parameters (65, RD_SIDE_INFO_NONE, 1);
    g_autofree gchar *path = rd_test_save (p);
    guint32 flush = rd_float_mode_enter (mode);
    g_autoptr (RdCodec) codec = rd_codec_new (path, 65, NULL);
    g_autoptr (GByteArray) all = encode_all (codec, x, 20);

    g_assert_true (rd_float_mode_leave (mode, flush));
    if (!first)
      first = g_byte_array_ref (all);
    g_assert_cmpmem (all->data, all->len, first->data, first->len);
    g_assert_cmpint (g_unlink (path), ==, 0);
  }
}

/* ---- tokens stand alone ---- */

static gfloat *
code_in_frames (RdCodec * codec, const gfloat * x, gsize n, guint hidden,
    const gfloat * features, gsize frame)
{
  gfloat *y = g_new (gfloat, n * hidden);

  for (gsize t = 0; t < n; t += frame) {
    gsize count = MIN (frame, n - t), at = t * hidden;
    const gfloat *f = features ? features + at : NULL;
    g_autoptr (GByteArray) out = encode (codec, x + at, count, f);
    g_autofree gfloat *part = decode (codec, out, count, hidden, f);

    memcpy (y + at, part, count * hidden * sizeof *y);
  }
  return y;
}

static void
test_framing (void)
{
  enum
  { HIDDEN = 96, N = 200 };
  static const gsize frames[] = { 1, 3, 7, 8, 13, 64, 100, N };
  static const guint complexities[] = { 0, 5 };
  g_autoptr (RdCodec) codec = rd_test_codec (HIDDEN, RD_SIDE_INFO_BLOCKS, 3);
  g_autofree gfloat *x = rd_test_rows (N, HIDDEN, 7);
  g_autofree gfloat *features = rd_test_rows (N, HIDDEN, 70);

  x[17 * HIDDEN + 3] = 1e30f;   /* and one that is sent as it is */
  for (guint c = 0; c < 2 * G_N_ELEMENTS (complexities); c++) {
    const gfloat *f = c & 1 ? features : NULL;

    set_up_codec (codec, 60, complexities[c / 2], FALSE);
    g_autofree gfloat *whole = code_in_frames (codec, x, N, HIDDEN, f, N);
    for (guint i = 0; i < G_N_ELEMENTS (frames); i++) {
      g_autofree gfloat *y = code_in_frames (codec, x, N, HIDDEN, f, frames[i]);

      g_assert_cmpmem (y, N * HIDDEN * sizeof *y, whole,
          N * HIDDEN * sizeof *y);
    }
  }
}

/* ---- extremes ---- */

static void
fill_extremes (gfloat * x, gsize n, guint hidden, GRand * rand)
{
  static const gfloat values[] = { 0, -0.f, 0x1p-149f, -0x1p-140f, 0x1p-126f,
    1e30f, -1e30f, G_MAXFLOAT, -G_MAXFLOAT, 1, 65504, 20000, 1e-20f, 3e7f
  };

  for (gsize i = 0; i < n * hidden; i++) {
    guint row = (guint) (i / hidden);
    guint any = (guint) g_rand_int_range (rand, 0, G_N_ELEMENTS (values));
    guint pick = row < G_N_ELEMENTS (values) ? row : any;

    x[i] = values[pick];
    if (row >= 40 && g_rand_int_range (rand, 0, 10))
      x[i] = 1;
  }
}

/* Whatever is finite is coded, and comes back within a step or, where it is far out, exactly. */
static void
test_extremes (void)
{
  static const guint sizes[] = { 1, 5, 64 };
  static const guint complexities[] = { 0, 5 };
  enum
  { N = 80 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (11);

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
    for (guint c = 0; c < G_N_ELEMENTS (complexities); c++)
      for (guint level = 0; level < 128; level += 127) {
        guint hidden = sizes[s];
        g_autoptr (RdCodec) codec =
            rd_test_codec (hidden, RD_SIDE_INFO_NONE, 1);
        g_autofree gfloat *x = g_new (gfloat, N * hidden);

        fill_extremes (x, N, hidden, rand);
        set_up_codec (codec, level, complexities[c], FALSE);
        g_autoptr (GByteArray) out = encode (codec, x, N, NULL);
        g_autofree gfloat *y = decode (codec, out, N, hidden, NULL);
        for (gsize t = 0; t < N; t++) {
          gboolean far = FALSE;
          for (guint i = 0; i < hidden; i++)
            far = far || fabsf (x[t * hidden + i]) > 1e9f;
          if (far)
            g_assert_cmpmem (y + t * hidden, hidden * sizeof *y,
                x + t * hidden, hidden * sizeof *x);
          for (guint i = 0; i < hidden; i++)
            g_assert_cmpfloat_with_epsilon (y[t * hidden + i],
                x[t * hidden + i], 1000 + fabsf (x[t * hidden + i]) * 0.01f);
        }
      }
}

/* Where all coefficients come out as NaN, the row goes as it is. */
static void
test_no_coefficients (void)
{
  static const guint complexities[] = { 0, 5 };
  const gfloat x[2] = { 3e38f, 3e38f };

  for (guint c = 0; c < G_N_ELEMENTS (complexities); c++) {
    g_autoptr (RdLearnedParameters) p =
        rd_test_parameters (2, RD_SIDE_INFO_NONE, 0);
    static const gfloat analysis[4] = { 10, 10, -10, -10 };

    p->set[0].analysis = g_memdup2 (analysis, sizeof analysis);
    g_autofree gchar *path = rd_test_save (p);
    g_autoptr (RdCodec) codec = rd_codec_new (path, 2, NULL);
    g_unlink (path);
    set_up_codec (codec, 60, complexities[c], FALSE);
    g_autoptr (GByteArray) out = encode (codec, x, 1, NULL);
    g_autofree gfloat *y = decode (codec, out, 1, 2, NULL);
    g_assert_cmpmem (y, sizeof x, x, sizeof x);
  }
}

static void
test_not_finite (void)
{
  enum
  { HIDDEN = 33 };
  static const gfloat values[] = { NAN, -INFINITY };
  g_autoptr (RdCodec) codec = rd_test_codec (HIDDEN, RD_SIDE_INFO_NONE, 0);

  for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
    g_autofree gfloat *x = rd_test_rows (70, HIDDEN, 1);
    g_autoptr (GByteArray) out = g_byte_array_new ();
    g_autoptr (GError) error = NULL;
    RdRows rows = {.n = 70,.position = 1000 };
    gboolean packed;

    x[66 * HIDDEN + 12] = values[i];
    g_assert_false (rd_codec_encode (codec, &rows, x, FALSE, out, &packed,
            &error));
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
    g_assert_nonnull (strstr (error->message, "row 66 (position 1066), "
            "channel 12"));
    g_assert_nonnull (strstr (error->message, i ? "infinity" : "NaN"));
    g_assert_cmpuint (out->len, ==, 0);
  }
}

/* ---- features ---- */

static void
test_features (void)
{
  enum
  { HIDDEN = 64, N = 70 };
  g_autoptr (RdCodec) codec = rd_test_codec (HIDDEN, RD_SIDE_INFO_EMBEDDING, 1);
  g_autoptr (RdCodec) without = rd_test_codec (HIDDEN, RD_SIDE_INFO_NONE, 1);
  g_autofree gfloat *x = rd_test_rows (N, HIDDEN, 1);
  g_autofree gfloat *features = g_new (gfloat, N * HIDDEN);
  g_autofree gfloat *y = g_new (gfloat, N * HIDDEN);
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = N };

  for (guint i = 0; i < N * HIDDEN; i++)
    features[i] = 0.9f * (x[i] - (gfloat) (i % HIDDEN % 7) + 3);
  g_autoptr (GByteArray) plain = encode (codec, x, N, NULL);
  g_autoptr (GByteArray) predicted = encode (codec, x, N, features);
  g_assert_cmpuint (predicted->len, <, plain->len * 2 / 3);
  g_assert_true (rd_codec_needs_features (codec, predicted->data,
          predicted->len, FALSE));
  g_assert_false (rd_codec_needs_features (codec, plain->data, plain->len,
          FALSE));
  g_autofree gfloat *good = decode (codec, predicted, N, HIDDEN, features);
  g_assert_cmpfloat (mean_square_error (x, good, N * HIDDEN), <, 0.2);

  g_assert_false (rd_codec_decode (codec, &rows, predicted->data,
          predicted->len, FALSE, y, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
  g_assert_nonnull (strstr (error->message, "token side information"));
  g_clear_error (&error);
  rows.features = features;
  g_assert_false (rd_codec_decode (without, &rows, predicted->data,
          predicted->len, FALSE, y, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
  g_assert_cmpfloat (rd_codec_ideal_bits (without, &rows, predicted->data,
          predicted->len), <, 0);

  /* a file that cannot predict ignores them, and one that can does without */
  g_autoptr (GByteArray) ignored = encode (without, x, N, features);
  g_autoptr (GByteArray) same = encode (without, x, N, NULL);
  g_assert_cmpmem (ignored->data, ignored->len, same->data, same->len);
  g_autofree gfloat *plainly = decode (codec, plain, N, HIDDEN, features);
  g_autofree gfloat *bare = decode (codec, plain, N, HIDDEN, NULL);
  g_assert_cmpmem (plainly, N * HIDDEN * 4, bare, N * HIDDEN * 4);
}

/* ---- levels as others see them ---- */

static void
expect_level (RdCodec * codec, const gfloat * x, gint level)
{
  g_autoptr (GByteArray) payload = encode (codec, x, 3, NULL);

  g_assert_cmpint (rd_codec_level (codec), ==, level);
  g_assert_cmpint (rd_codec_payload_level (codec, payload->data, payload->len,
          FALSE), ==, level);
}

static void
test_level_of (void)
{
  g_autoptr (RdCodec) codec = rd_test_codec (33, RD_SIDE_INFO_NONE, 0);
  g_autoptr (RdCodec) built_in = rd_codec_new ("f32", 33, NULL);
  g_autofree gfloat *x = rd_test_rows (3, 33, 1);
  static const guint8 damaged[] = { 0x80, 0xff };

  for (guint complexity = 0; complexity <= 5; complexity += 5)
    for (gint level = 0; level < RD_CODEC_LEVELS; level += 127) {
      set_up_codec (codec, (guint) level, complexity, FALSE);
      expect_level (codec, x, level);
    }
  set_up_codec (codec, 3, 5, TRUE);
  expect_level (codec, x, 127);
  g_assert_cmpuint (rd_codec_quality_level (0), ==, 0);
  g_assert_cmpuint (rd_codec_quality_level (50), ==, 64);
  g_assert_cmpuint (rd_codec_quality_level (100), ==, 127);
  g_assert_cmpint (rd_codec_payload_level (codec, damaged, 2, FALSE), ==, -1);
  g_assert_cmpint (rd_codec_payload_level (codec, damaged, 0, FALSE), ==, -1);
  g_assert_cmpint (rd_codec_level (built_in), ==, -1);
  g_assert_cmpint (rd_codec_payload_level (built_in, (guint8 *) x, 12, FALSE),
      ==, -1);
}

/* ---- lossless ---- */

static void
check_lossless (RdCodec * codec, const gfloat * x, gsize n, guint hidden)
{
  set_up_codec (codec, 30, 5, TRUE);
  g_autoptr (GByteArray) out = encode (codec, x, n, x);
  g_autofree gfloat *y = decode (codec, out, n, hidden, NULL);

  g_assert_cmpmem (y, n * hidden * sizeof *y, x, n * hidden * sizeof *x);
  g_assert_cmpuint (out->len, <=, n * hidden * 4 + 2);
  g_assert_false (rd_codec_needs_features (codec, out->data, out->len, FALSE));
}

static void
test_lossless (void)
{
  enum
  { HIDDEN = 64, N = 130 };
  g_autoptr (RdCodec) codec = rd_test_codec (HIDDEN, RD_SIDE_INFO_EMBEDDING, 1);
  g_autofree gfloat *x = rd_test_rows (N, HIDDEN, 1);
  g_autofree gfloat *zeros = g_new0 (gfloat, 1024 * HIDDEN);
  g_autoptr (GRand) rand = g_rand_new_with_seed (2);

  check_lossless (codec, x, N, HIDDEN);
  check_lossless (codec, x, 1, HIDDEN);
  fill_extremes (x, N, HIDDEN, rand);
  check_lossless (codec, x, N, HIDDEN);
  check_lossless (codec, zeros, 1024, HIDDEN);
}

/* ---- cost ---- */

/* Bits above the ideal length of the symbols: the first one or two bytes of a payload, what whole-numbered states lose, and up to 24. */
static void
test_cost (void)
{
  enum
  { HIDDEN = 576, N = 640 };
  static const guint complexities[] = { 0, 5 };
  g_autoptr (RdCodec) codec = rd_test_codec (HIDDEN, RD_SIDE_INFO_NONE, 1);
  g_autofree gfloat *x = rd_test_rows (N, HIDDEN, 19);

  for (guint level = 0; level < 100; level += 28)
    for (guint c = 0; c < G_N_ELEMENTS (complexities); c++) {
      gdouble ideal = 0, real = 0;

      set_up_codec (codec, level, complexities[c], FALSE);
      for (gsize t = 0; t < N; t++) {
        RdRows row = {.n = 1 };
        g_autoptr (GByteArray) out = encode (codec, x + t * HIDDEN, 1, NULL);
        gdouble bits = rd_codec_ideal_bits (codec, &row, out->data, out->len);

        g_assert_cmpfloat (out->len * 8., <, bits * 1.002 + 40);
        real += out->len * 8.;
        ideal += bits;
      }
      g_assert_cmpfloat (real, <, ideal + 24 * N);
      g_test_message ("level %u: %.1f bits a token above %.1f in one-token"
          " frames", level, (real - ideal) / N, ideal / N);
      real = ideal = 0;
      for (gsize t = 0; t < N; t += 64) {
        RdRows rows = {.n = 64 };
        g_autoptr (GByteArray) out = encode (codec, x + t * HIDDEN, 64, NULL);

        real += out->len * 8.;
        ideal += rd_codec_ideal_bits (codec, &rows, out->data, out->len);
      }
      g_test_message ("level %u: %.2f %% above in 64-token frames", level,
          100 * (real / ideal - 1));
      g_assert_cmpfloat (real, <, ideal * 1.01);
      g_assert_cmpfloat (real, >, ideal);
    }
}

/* ---- sizes ---- */

static void
test_sizes (void)
{
  g_autoptr (RdCodec) codec = rd_test_codec (3, RD_SIDE_INFO_NONE, 0);
  g_autofree gfloat *x = rd_test_rows (1025, 3, 1);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = 1025 };
  gboolean packed;

  g_assert_cmpuint (rd_codec_bound (codec, 1025), ==, 0);
  g_assert_cmpuint (rd_codec_bound (codec, G_MAXSIZE), ==, 0);
  g_assert_false (rd_codec_encode (codec, &rows, x, FALSE, out, &packed,
          &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_clear_error (&error);
  g_autoptr (GByteArray) whole = encode (codec, x, 1024, NULL);
  g_autofree gfloat *y = decode (codec, whole, 1024, 3, NULL);
  static const gsize counts[] = { 0, 1, 960, 961, 1023, 1025, G_MAXSIZE / 8 };
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++) {
    rows.n = counts[i];
    g_assert_false (rd_codec_decode (codec, &rows, whole->data, whole->len,
            FALSE, y, &error));
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
    g_clear_error (&error);
  }
  rows.n = 1024;
  g_assert_false (rd_codec_decode (codec, &rows, whole->data, whole->len,
          TRUE, y, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/learned/round-trip", test_round_trip);
  g_test_add_func ("/learned/trellis-gains", test_trellis_gains);
  g_test_add_func ("/learned/levels", test_levels);
  g_test_add_func ("/learned/instruction-sets", test_instruction_sets);
  g_test_add_func ("/learned/floating-point-modes", test_floating_point_modes);
  g_test_add_func ("/learned/framing", test_framing);
  g_test_add_func ("/learned/extremes", test_extremes);
  g_test_add_func ("/learned/no-coefficients", test_no_coefficients);
  g_test_add_func ("/learned/not-finite", test_not_finite);
  g_test_add_func ("/learned/features", test_features);
  g_test_add_func ("/learned/level-of", test_level_of);
  g_test_add_func ("/learned/lossless", test_lossless);
  g_test_add_func ("/learned/cost", test_cost);
  g_test_add_func ("/learned/sizes", test_sizes);
  return g_test_run ();
}
