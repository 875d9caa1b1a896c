/* The codecs f32, f16, int8 and int4: golden vectors, exactness, limits, damaged payloads. */
#include "codec/codec.h"
#include "codec/simple/half.h"
#include "tests/support/float-mode.h"
#include "tests/support/test-model.h"

#include <math.h>
#include <string.h>

static const gchar *const names[] = { "f32", "f16", "int8", "int4" };
static const guint hidden_sizes[] = { 1, 2, 31, 32, 33, 576, 577, 8192 };

/* Something like hidden states: Laplacian-ish, one massive channel in the first row. */
static gfloat *
make_states (gsize n, guint hidden, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  gfloat *x = g_new (gfloat, n * hidden);

  for (gsize i = 0; i < n * hidden; i++) {
    gdouble u = g_rand_double_range (rand, -1, 1);
    x[i] = (gfloat) (copysign (-log (1 - fabs (u) * 0.999), u) * 3);
  }
  x[hidden / 2] = 18000;
  return x;
}

static GByteArray *
encode (RdCodec * codec, const gfloat * x, gsize n, gboolean allow_pack,
    gboolean * packed)
{
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = n,.position = 0 };
  GByteArray *out = g_byte_array_new ();

  g_assert_true (rd_codec_encode (codec, &rows, x, allow_pack, out, packed,
          &error));
  g_assert_no_error (error);
  g_assert_cmpuint (out->len, <=, rd_codec_bound (codec, n));
  return out;
}

/* Decodes from a block of exactly @size bytes, so that a sanitizer sees a read beyond. */
static gboolean
decode (RdCodec * codec, const guint8 * payload, gsize size, gboolean packed,
    gfloat * x, gsize n, GError ** error)
{
  g_autofree guint8 *exact = g_malloc (MAX (size, 1));
  RdRows rows = {.n = n,.position = 0 };

  if (size)
    memcpy (exact, payload, size);
  return rd_codec_decode (codec, &rows, exact, size, packed, x, error);
}

static void
assert_damaged (RdCodec * codec, const guint8 * payload, gsize size,
    gboolean packed, gfloat * x, gsize n)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (decode (codec, payload, size, packed, x, n, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
}

static void
read_golden (const gchar * name, gchar ** data, gsize * size)
{
  g_autofree gchar *relative = g_build_filename ("codec", name, NULL);
  g_autofree gchar *path = st_test_data_path (relative);
  g_autoptr (GError) error = NULL;

  g_file_get_contents (path, data, size, &error);
  g_assert_no_error (error);
}

static void
check_golden (const gchar * name, guint n, guint hidden)
{
  g_autoptr (RdCodec) codec = rd_codec_new (name, hidden, NULL);
  g_autofree gchar *input_name = g_strdup_printf ("input-%ux%u.f32", n, hidden);
  g_autofree gchar *payload_name = g_strdup_printf ("%ux%u.%s", n, hidden,
      name);
  g_autofree gchar *output_name = g_strconcat (payload_name, ".f32", NULL);
  g_autofree gchar *input = NULL, *payload = NULL, *output = NULL;
  g_autofree gfloat *x = g_new (gfloat, n * hidden);
  gsize input_size, payload_size, output_size;
  gboolean packed;

  read_golden (input_name, &input, &input_size);
  read_golden (payload_name, &payload, &payload_size);
  read_golden (output_name, &output, &output_size);
  g_assert_cmpuint (input_size, ==, sizeof (gfloat) * n * hidden);

  memcpy (x, input, input_size);
  g_autoptr (GByteArray) out = encode (codec, x, n, FALSE, &packed);
  g_assert_cmpmem (out->data, out->len, payload, payload_size);
  g_assert_true (decode (codec, out->data, out->len, FALSE, x, n, NULL));
  g_assert_cmpmem (x, input_size, output, output_size);
}

static void
test_golden (void)
{
  static const guint shapes[][2] = { {1, 1}, {3, 33}, {5, 576} };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
      check_golden (names[i], shapes[s][0], shapes[s][1]);
  }
}

/* Writes the packed golden vectors anew: only for a new version of the format. */
static void
write_packed (RdCodec * codec, const gchar * name)
{
  g_autofree gchar *relative = g_build_filename ("codec", name, NULL);
  g_autofree gchar *path = st_test_data_path (relative);
  g_autofree gchar *input = NULL;
  gsize size;
  gboolean packed;

  read_golden ("input-5x576.f32", &input, &size);
  g_autoptr (GByteArray) out = encode (codec, (gfloat *) input, 5, TRUE,
      &packed);
  g_assert_true (packed);
  g_assert_true (g_file_set_contents (path, (gchar *) out->data, out->len,
          NULL));
}

/* Packed payloads are compared after decoding only: another zstd may compress to other bytes, but every one reads these. */
static void
test_golden_packed (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (RdCodec) codec = rd_codec_new (names[i], 576, NULL);
    g_autofree gchar *name = g_strdup_printf ("5x576.%s.packed", names[i]);
    g_autofree gchar *output_name = g_strdup_printf ("5x576.%s.f32", names[i]);
    g_autofree gchar *payload = NULL, *output = NULL;
    g_autofree gfloat *x = g_new (gfloat, 5 * 576);
    gsize payload_size, output_size;

    if (g_getenv ("ST_WRITE_GOLDEN"))
      write_packed (codec, name);
    read_golden (name, &payload, &payload_size);
    read_golden (output_name, &output, &output_size);
    g_assert_cmpuint (payload_size, <, rd_codec_bound (codec, 5));
    g_assert_true (decode (codec, (guint8 *) payload, payload_size, TRUE, x, 5,
            NULL));
    g_assert_cmpmem (x, 5 * 576 * sizeof (gfloat), output, output_size);
  }
}

static void
check_round_trip (const gchar * name, guint hidden, gsize n)
{
  g_autoptr (RdCodec) codec = rd_codec_new (name, hidden, NULL);
  g_autofree gfloat *x = make_states (n, hidden, hidden + n);
  g_autofree gfloat *y = g_new (gfloat, n * hidden);
  g_autofree gfloat *z = g_new (gfloat, n * hidden);
  gsize bytes = n * hidden * sizeof (gfloat);
  gboolean packed;

  g_autoptr (GByteArray) plain = encode (codec, x, n, FALSE, &packed);
  g_assert_false (packed);
  g_assert_cmpuint (plain->len, ==, rd_codec_bound (codec, n));
  g_assert_true (decode (codec, plain->data, plain->len, FALSE, y, n, NULL));

  g_autoptr (GByteArray) small = encode (codec, x, n, TRUE, &packed);
  g_assert_cmpint (packed, ==, small->len < plain->len);
  g_assert_true (decode (codec, small->data, small->len, packed, z, n, NULL));
  g_assert_cmpmem (y, bytes, z, bytes);

  /* what was decoded once is carried exactly, except that int8 and int4 choose their scale anew */
  if (name[0] == 'f') {
    g_autoptr (GByteArray) again = encode (codec, y, n, FALSE, &packed);
    g_assert_cmpmem (again->data, again->len, plain->data, plain->len);
  }
  /* rows are coded one by one: the last row alone gives the same bytes */
  gsize row = rd_codec_bound (codec, 1);
  g_autoptr (GByteArray) last = encode (codec, x + (n - 1) * hidden, 1, FALSE,
      &packed);
  g_assert_cmpmem (last->data, last->len, plain->data + (n - 1) * row, row);
}

static void
test_round_trip (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    for (guint h = 0; h < G_N_ELEMENTS (hidden_sizes); h++) {
      check_round_trip (names[i], hidden_sizes[h], 1);
      check_round_trip (names[i], hidden_sizes[h], 2);
      check_round_trip (names[i], hidden_sizes[h], 17);
    }
  }
}

/* Largest error of a row in units of its largest magnitude. */
static gdouble
worst_error (const gchar * name, const gfloat * x, guint hidden)
{
  g_autoptr (RdCodec) codec = rd_codec_new (name, hidden, NULL);
  g_autofree gfloat *y = g_new (gfloat, hidden);
  gdouble worst = 0, max = 0;
  gboolean packed;

  g_autoptr (GByteArray) out = encode (codec, x, 1, TRUE, &packed);
  g_assert_true (decode (codec, out->data, out->len, packed, y, 1, NULL));
  for (guint i = 0; i < hidden; i++) {
    worst = MAX (worst, fabs ((gdouble) x[i] - y[i]));
    max = MAX (max, fabs ((gdouble) x[i]));
  }
  return worst / max;
}

static void
test_error_bounds (void)
{
  for (guint h = 0; h < G_N_ELEMENTS (hidden_sizes); h++) {
    g_autofree gfloat *x = make_states (1, hidden_sizes[h], 3 + h);

    g_assert_cmpfloat (worst_error ("f32", x, hidden_sizes[h]), ==, 0);
    g_assert_cmpfloat (worst_error ("f16", x, hidden_sizes[h]), <=, 0x1p-11);
    /* half a step, and the rounding of the scale */
    g_assert_cmpfloat (worst_error ("int8", x, hidden_sizes[h]), <=,
        0.5001 / 127);
    /* a whole step of 1/8 where the value lies opposite of the extreme */
    g_assert_cmpfloat (worst_error ("int4", x, hidden_sizes[h]), <=, 0.126);
  }
}

/* Every half is the nearest to what lies between its neighbours, ties to even. */
static void
test_half_exhaustive (void)
{
  for (guint h = 0; h < 0x7bff; h++) {
    gdouble low = rd_half_to_float (h), high = rd_half_to_float (h + 1);
    gfloat middle = (gfloat) ((low + high) / 2);
    guint even = h & 1 ? h + 1 : h;

    g_assert_cmpfloat (low, <, high);
    g_assert_cmpuint (rd_half_from_float ((gfloat) low), ==, h);
    g_assert_cmpuint (rd_half_from_float ((gfloat) - low), ==, h | 0x8000);
    g_assert_cmpuint (rd_half_from_float (middle), ==, even);
    g_assert_cmpuint (rd_half_from_float (nextafterf (middle, 0)), ==, h);
    g_assert_cmpuint (rd_half_from_float (nextafterf (middle, 1e9f)), ==,
        h + 1);
  }
  g_assert_cmpfloat (rd_half_to_float (0x7bff), ==, 65504);
  g_assert_cmpuint (rd_half_from_float (1e30f), ==, 0x7bff);
  g_assert_cmpuint (rd_half_from_float (-INFINITY), ==, 0xfbff);
  g_assert_cmpuint (rd_half_from_float (65520), ==, 0x7bff);
  g_assert_true (isnan (rd_half_to_float (rd_half_from_float (NAN))));
}

/* The dispatched functions against plain C: every half, and floats of every exponent, NaN and infinity too. */
static void
test_half_twins (void)
{
  enum
  { N = 65536 };
  g_autofree guint8 *h = g_malloc (2 * N), *g = g_malloc (2 * N);
  g_autofree gfloat *x = g_new (gfloat, N), *y = g_new (gfloat, N);

  for (guint i = 0; i < N; i++) {
    h[2 * i] = i & 0xff;
    h[2 * i + 1] = i >> 8;
  }
  g_assert_false (rd_half_to_floats (h, x, N));
  g_assert_false (rd_half_to_floats_c (h, y, N));
  g_assert_cmpmem (x, N * sizeof *x, y, N * sizeof *y);
  g_assert_true (rd_half_to_floats (h, x, 0x7c00));

  for (guint round = 0; round < 64; round++) {
    for (guint i = 0; i < N; i++) {
      guint32 bits = i << 16 | (round * 0x9e3779b9u + i * 40503u) % 65536;
      memcpy (x + i, &bits, sizeof bits);
    }
    rd_half_from_floats (x, h, N - round);
    rd_half_from_floats_c (x, g, N - round);
    g_assert_cmpmem (h, 2 * (N - round), g, 2 * (N - round));
  }
}

static void
check_bad_value (const gchar * name, gfloat value, const gchar * word)
{
  g_autoptr (RdCodec) codec = rd_codec_new (name, 33, NULL);
  g_autofree gfloat *x = make_states (4, 33, 1);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = 4,.position = 100 };
  gboolean packed;

  x[2 * 33 + 7] = value;
  g_byte_array_append (out, (const guint8 *) "abc", 3);
  g_assert_false (rd_codec_encode (codec, &rows, x, TRUE, out, &packed,
          &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_assert_nonnull (strstr (error->message, word));
  g_assert_nonnull (strstr (error->message, "row 2 (position 102)"));
  g_assert_nonnull (strstr (error->message, "channel 7 "));
  g_assert_cmpmem (out->data, out->len, "abc", 3);
}

static void
test_bad_values (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    check_bad_value (names[i], NAN, "NaN");
    check_bad_value (names[i], -NAN, "NaN");
    check_bad_value (names[i], INFINITY, "infinity");
    check_bad_value (names[i], -INFINITY, "infinity");
  }
}

static void
test_clipping (void)
{
  static const struct
  {
    const gchar *name;
    gfloat value, decoded;
    guint clipped;
  } cases[] = {
    {"f32", -3.4e38f, -3.4e38f, 0},
    {"f16", 65504, 65504, 0},
    {"f16", 65519, 65504, 1},
    {"f16", -1e20f, -65504, 1},
    {"int8", -127e30f, -127e30f, 0},
    {"int4", -1e20f, -524032, 1},
    {"int4", 524032, 524032, 0},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (RdCodec) codec = rd_codec_new (cases[i].name, 3, NULL);
    gfloat x[3] = { 1, cases[i].value, -1 }, y[3];
    gboolean packed;
    g_autoptr (GByteArray) out = encode (codec, x, 1, FALSE, &packed);

    g_assert_true (decode (codec, out->data, out->len, FALSE, y, 1, NULL));
    g_assert_cmpfloat_with_epsilon (y[1], cases[i].decoded,
        fabsf (cases[i].decoded) * 1e-6f);
    g_assert_cmpuint (rd_codec_clipped (codec), ==, cases[i].clipped);
  }
}

/* The largest and smallest floats through int8, whose scale must neither overflow nor vanish into a wrong value. */
static void
test_int8_range (void)
{
  static const gfloat magnitudes[] = { 0x1.fffffep+127f, 0x1p-126f, 0x1p-140f,
    0x1p-149f, 0
  };

  for (guint i = 0; i < G_N_ELEMENTS (magnitudes); i++) {
    g_autoptr (RdCodec) codec = rd_codec_new ("int8", 2, NULL);
    gfloat x[2] = { magnitudes[i], -magnitudes[i] }, y[2];
    gboolean packed;
    g_autoptr (GByteArray) out = encode (codec, x, 1, FALSE, &packed);

    g_assert_true (decode (codec, out->data, out->len, FALSE, y, 1, NULL));
    g_assert_true (isfinite (y[0]) && isfinite (y[1]));
    g_assert_cmpfloat_with_epsilon (y[0], x[0], MAX (x[0] * 1e-4f, 0x1p-142f));
  }
}

/* Codes the same states in mode @mode of the thread; it must be set afterwards, too. */
static void
check_mode (RdCodec * codec, const gfloat * x, guint mode,
    const GByteArray * expected, const gfloat * expected_x)
{
  g_autofree gfloat *y = g_new (gfloat, 3 * 577);
  gboolean packed, ok, kept;

  guint32 flush = rd_float_mode_enter (mode);
  g_autoptr (GByteArray) out = encode (codec, x, 3, FALSE, &packed);
  ok = decode (codec, out->data, out->len, FALSE, y, 3, NULL);
  kept = rd_float_mode_leave (mode, flush);

  g_assert_true (ok);
  g_assert_true (kept);
  g_assert_cmpmem (out->data, out->len, expected->data, expected->len);
  g_assert_cmpmem (y, 3 * 577 * sizeof *y, expected_x, 3 * 577 * sizeof *y);
}

static void
test_floating_point_mode (void)
{
  g_autofree gfloat *x = make_states (3, 577, 9);

  for (guint i = 0; i < 577; i++)
    x[577 + i] = (gfloat) (0x1p-149 * i);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (RdCodec) codec = rd_codec_new (names[i], 577, NULL);
    g_autofree gfloat *y = g_new (gfloat, 3 * 577);
    gboolean packed;
    g_autoptr (GByteArray) out = encode (codec, x, 3, FALSE, &packed);

    g_assert_true (decode (codec, out->data, out->len, FALSE, y, 3, NULL));
    for (guint mode = 0; mode < RD_N_FLOAT_MODES; mode++)
      check_mode (codec, x, mode, out, y);
  }
}

/* Decodes a damaged payload: an error, or finite values. */
static gboolean
survive (RdCodec * codec, const guint8 * payload, gsize size, gboolean packed,
    guint hidden, gsize n)
{
  g_autofree gfloat *x = g_new0 (gfloat, n * hidden);
  g_autoptr (GError) error = NULL;

  if (!decode (codec, payload, size, packed, x, n, &error)) {
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
    return FALSE;
  }
  for (gsize i = 0; i < n * hidden; i++)
    g_assert_true (isfinite (x[i]));
  return TRUE;
}

static void
damage_payload (const gchar * name, gboolean allow_pack)
{
  enum
  { HIDDEN = 67, N = 5 };
  g_autoptr (RdCodec) codec = rd_codec_new (name, HIDDEN, NULL);
  g_autofree gfloat *x = make_states (N, HIDDEN, 5);
  gboolean packed;
  g_autoptr (GByteArray) out = encode (codec, x, N, allow_pack, &packed);

  for (guint size = 0; size < out->len; size++)
    g_assert_false (survive (codec, out->data, size, packed, HIDDEN, N));
  for (guint bit = 0; bit < 8 * out->len; bit++) {
    out->data[bit / 8] ^= 1u << bit % 8;
    survive (codec, out->data, out->len, packed, HIDDEN, N);
    survive (codec, out->data, out->len, !packed, HIDDEN, N);
    out->data[bit / 8] ^= 1u << bit % 8;
  }
  assert_damaged (codec, out->data, out->len, packed, x, N - 1);
  assert_damaged (codec, out->data, out->len, packed, x, 0);
  /* undamaged again, and the codec still works after all those errors */
  g_assert_true (survive (codec, out->data, out->len, packed, HIDDEN, N));
  g_byte_array_append (out, (const guint8 *) "", 1);
  assert_damaged (codec, out->data, out->len, packed, x, N);
}

static void
test_damage (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    damage_payload (names[i], FALSE);
    damage_payload (names[i], TRUE);
  }
}

static void
test_forbidden_values (void)
{
  static const guint8 f32_nan[] = { 1, 0, 0x80, 0x7f };
  static const guint8 f16_infinity[] = { 0, 0xfc };
  static const guint8 int8_scale_nan[] = { 0, 0, 0xc0, 0x7f, 1 };
  static const guint8 int8_scale_negative[] = { 0, 0, 0x80, 0xbf, 1 };
  static const guint8 int8_scale_minus_zero[] = { 0, 0, 0, 0x80, 1 };
  static const guint8 int8_scale_huge[] = { 0x04, 0x02, 0x01, 0x7c, 1 };
  static const guint8 int8_minus_128[] = { 0, 0, 0x80, 0x3f, 0x80 };
  static const guint8 int4_scale_nan[] = { 1, 0x7e, 0x88 };
  static const guint8 int4_padding[] = { 0, 0x3c, 0x78 };
  static const struct
  {
    const gchar *name;
    const guint8 *payload;
    gsize size;
  } cases[] = {
    {"f32", f32_nan, sizeof f32_nan},
    {"f16", f16_infinity, sizeof f16_infinity},
    {"int8", int8_scale_nan, sizeof int8_scale_nan},
    {"int8", int8_scale_negative, sizeof int8_scale_negative},
    {"int8", int8_scale_minus_zero, sizeof int8_scale_minus_zero},
    {"int8", int8_scale_huge, sizeof int8_scale_huge},
    {"int8", int8_minus_128, sizeof int8_minus_128},
    {"int4", int4_scale_nan, sizeof int4_scale_nan},
    {"int4", int4_padding, sizeof int4_padding},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (RdCodec) codec = rd_codec_new (cases[i].name, 1, NULL);
    gfloat x;

    assert_damaged (codec, cases[i].payload, cases[i].size, FALSE, &x, 1);
  }
}

/* A few bytes that claim to be a great many tokens are refused before anything is allocated. */
static void
test_bombs (void)
{
  g_autoptr (RdCodec) codec = rd_codec_new ("int8", 8192, NULL);
  g_autofree guint8 *payload = g_malloc0 (64);
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = 65536,.position = 0 };
  gfloat x = 0;

  g_assert_false (rd_codec_check (codec, 65536, 64, TRUE, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
  g_clear_error (&error);
  g_assert_false (rd_codec_decode (codec, &rows, payload, 64, TRUE, &x,
          &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
  g_clear_error (&error);
  g_assert_cmpuint (rd_codec_bound (codec, G_MAXSIZE / 2), ==, 0);
  g_assert_false (rd_codec_check (codec, G_MAXSIZE / 8192 + 2, 8196 * 2, FALSE,
          &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);

  /* all zero: would pack better than a decoder accepts, so it is sent as it is */
  g_autofree gfloat *zeros = g_new0 (gfloat, 64 * 8192);
  gboolean packed;
  g_autoptr (GByteArray) out = encode (codec, zeros, 64, TRUE, &packed);
  g_assert_true (decode (codec, out->data, out->len, packed, zeros, 64, NULL));
}

static void
assert_new_fails (const gchar * name, guint hidden, gint code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (rd_codec_new (name, hidden, &error));
  g_assert_error (error, RD_CODEC_ERROR, code);
}

static void
test_names (void)
{
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (RdCodec) codec = rd_codec_new (names[i], 576, NULL);

    g_assert_cmpstr (rd_codec_id (codec), ==, names[i]);
    g_assert_true (rd_codec_is_builtin (names[i]));
  }
  g_assert_false (rd_codec_is_builtin ("f64"));
  g_assert_false (rd_codec_is_builtin (""));
  g_assert_false (rd_codec_is_builtin (NULL));
  assert_new_fails (NULL, 576, RD_CODEC_ERROR_UNKNOWN);
  assert_new_fails ("F16", 576, RD_CODEC_ERROR_UNKNOWN);
  assert_new_fails ("F16", 0, RD_CODEC_ERROR_UNKNOWN);
  assert_new_fails ("f16", 0, RD_CODEC_ERROR_INPUT);
  assert_new_fails ("f16", RD_CODEC_MAX_HIDDEN_SIZE + 1, RD_CODEC_ERROR_INPUT);
  g_assert_null (rd_codec_new ("int5", 576, &error));
  g_assert_nonnull (strstr (error->message, "f32, f16, int8, int4"));
}

static void
test_empty (void)
{
  g_autoptr (RdCodec) codec = rd_codec_new ("f16", 4, NULL);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = 0,.position = 0 };
  gboolean packed;
  gfloat x = 0;

  g_assert_false (rd_codec_encode (codec, &rows, &x, TRUE, out, &packed,
          &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  rd_codec_free (NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/codec/names", test_names);
  g_test_add_func ("/codec/golden", test_golden);
  g_test_add_func ("/codec/golden-packed", test_golden_packed);
  g_test_add_func ("/codec/round-trip", test_round_trip);
  g_test_add_func ("/codec/error-bounds", test_error_bounds);
  g_test_add_func ("/codec/half/exhaustive", test_half_exhaustive);
  g_test_add_func ("/codec/half/twins", test_half_twins);
  g_test_add_func ("/codec/bad-values", test_bad_values);
  g_test_add_func ("/codec/clipping", test_clipping);
  g_test_add_func ("/codec/int8-range", test_int8_range);
  g_test_add_func ("/codec/floating-point-mode", test_floating_point_mode);
  g_test_add_func ("/codec/damage", test_damage);
  g_test_add_func ("/codec/forbidden-values", test_forbidden_values);
  g_test_add_func ("/codec/bombs", test_bombs);
  g_test_add_func ("/codec/empty", test_empty);
  return g_test_run ();
}
