/* Damaged payloads of every simple codec: an error, or finite values. The rest of the input as floats: an error, or a round trip. */
#include "codec/codec.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

/* Input: codec and packed flag, n, hidden size (2 bytes), payload. */
#define PREFIX 4
#define MAX_VALUES 65536u

static const gchar *const names[] = { "f32", "f16", "int8", "int4" };

static void
try_decode (RdCodec * codec, guint n, guint hidden, const guint8 * payload,
    gsize size, gboolean packed)
{
  g_autofree gfloat *x = g_new0 (gfloat, (gsize) n * hidden);
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = n,.position = 0 };

  if (!rd_codec_decode (codec, &rows, payload, size, packed, x, &error)) {
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
    return;
  }
  for (gsize i = 0; i < (gsize) n * hidden; i++)
    g_assert_true (isfinite (x[i]));
}

static void
try_encode (RdCodec * codec, guint hidden, const guint8 * payload, gsize size)
{
  gsize n = size / sizeof (gfloat) / hidden;
  g_autofree gfloat *x = g_new (gfloat, n * hidden + 1);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = n,.position = 0 };
  gboolean packed;

  memcpy (x, payload, n * hidden * sizeof (gfloat));
  if (!rd_codec_encode (codec, &rows, x, TRUE, out, &packed, &error)) {
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
    g_assert_cmpuint (out->len, ==, 0);
    return;
  }
  g_assert_true (rd_codec_decode (codec, &rows, out->data, out->len, packed, x,
          &error));
}

void
fuzz_one (const guint8 * data, gsize size)
{
  if (size < PREFIX)
    return;
  guint hidden = data[2] | (guint) data[3] << 8, n = data[1];
  g_autoptr (GError) error = NULL;
  g_autoptr (RdCodec) codec = rd_codec_new (names[data[0] % 4], hidden, &error);

  if (!codec) {
    g_assert_cmpuint (hidden, ==, 0);
    return;
  }
  if ((gsize) n * hidden <= MAX_VALUES) {
    try_decode (codec, n, hidden, data + PREFIX, size - PREFIX,
        data[0] >> 2 & 1);
  }
  try_encode (codec, hidden, data + PREFIX, size - PREFIX);
}

GBytes *
fuzz_seed (guint i)
{
  static const guint shapes[][2] = { {1, 1}, {1, 65}, {9, 64}, {3, 577} };
  guint shape = i / 8;

  if (shape >= G_N_ELEMENTS (shapes))
    return NULL;
  guint n = shapes[shape][0], hidden = shapes[shape][1];
  g_autoptr (RdCodec) codec = rd_codec_new (names[i % 4], hidden, NULL);
  g_autofree gfloat *x = g_new (gfloat, n * hidden);
  GByteArray *out = g_byte_array_new ();
  RdRows rows = {.n = n,.position = 0 };
  gboolean packed, allow_pack = i / 4 % 2;
  guint8 prefix[PREFIX] = { 0, n, hidden & 0xff, hidden >> 8 };

  for (guint k = 0; k < n * hidden; k++)
    x[k] = 100 * sinf ((gfloat) (k * k));
  g_byte_array_append (out, prefix, PREFIX);
  g_assert_true (rd_codec_encode (codec, &rows, x, allow_pack, out, &packed,
          NULL));
  out->data[0] = i % 4 | (guint) packed << 2;
  return g_byte_array_free_to_bytes (out);
}
