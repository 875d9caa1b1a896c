/* A codec whose payloads are padding of a believable length. */
#include "tests/support/fake-codec.h"
#include "tests/support/test-codec.h"

#include <math.h>
#include <string.h>

#define OCTAVES 8
#define NOISE 0.25              /* octaves, from token to token */
#define MAX_TOKEN_BYTES 4096

FakeCodecSeen fake_codec_seen;

gdouble
fake_codec_bits (gdouble quality, gdouble octaves)
{
  gdouble finer = octaves * (quality / 100 - 1) + 5, bits = 0;

  for (guint i = 0; i < FAKE_CODEC_VALUES; i++)
    bits += 0.5 * log2 (1 + exp2 (2 * (finer + 2
                - i * 6.0 / FAKE_CODEC_VALUES)));
  return bits + 8;
}

gdouble
fake_codec_noise (guint64 seed)
{
  gdouble sum = -6;

  for (guint i = 0; i < 12; i++) {
    seed = seed * G_GUINT64_CONSTANT (6364136223846793005)
        + G_GUINT64_CONSTANT (1442695040888963407);
    sum += (gdouble) (seed >> 33) / (1u << 31);
  }
  return sum;
}

static gsize
fake_bound (const RdCodec * codec, gsize n)
{
  (void) codec;
  return n > G_MAXUINT16 ? 0 : n * MAX_TOKEN_BYTES;
}

static gboolean
fake_encode (RdCodec * codec, const RdRows * rows, const gfloat * x,
    gboolean allow_pack, GByteArray * out, gboolean * packed, GError ** error)
{
  const TestCodec *self = (const TestCodec *) codec;
  gsize row = sizeof (gfloat) * codec->hidden_size, bytes;
  gdouble bits = 0;

  (void) allow_pack;
  (void) error;
  *packed = FALSE;
  fake_codec_seen.encodes++;
  fake_codec_seen.settings = self->settings;
  if (self->settings.lossless) {
    g_byte_array_append (out, (const guint8 *) x, (guint) (rows->n * row));
    return TRUE;
  }
  for (gsize i = 0; i < rows->n; i++) {
    guint64 seed = 0;

    memcpy (&seed, x + i * codec->hidden_size, MIN (row, sizeof seed));
    bits += exp2 (NOISE * fake_codec_noise (seed))
        * fake_codec_bits (self->settings.quality, OCTAVES);
  }
  bytes = MIN ((gsize) ceil (bits / 8), rows->n * MAX_TOKEN_BYTES);
  g_byte_array_set_size (out, (guint) (out->len + bytes));
  memset (out->data + out->len - bytes, 0x5a, bytes);
  return TRUE;
}

static gboolean
fake_check (const RdCodec * codec, gsize n, gsize size, gboolean packed,
    GError ** error)
{
  (void) codec;
  (void) n;
  (void) size;
  (void) packed;
  (void) error;
  return TRUE;
}

/* What was padding is zeros. */
static gboolean
fake_decode (RdCodec * codec, const RdRows * rows, const guint8 * payload,
    gsize size, gboolean packed, gfloat * x, GError ** error)
{
  gsize bytes = sizeof (gfloat) * rows->n * codec->hidden_size;

  (void) packed;
  (void) error;
  memset (x, 0, bytes);
  if (size == bytes)
    memcpy (x, payload, bytes);
  return TRUE;
}

RdCodec *
__wrap_rd_codec_new (const gchar * name, guint hidden_size, GError ** error)
{
  static const RdCodecClass klass = {
    .bound = fake_bound,.encode = fake_encode,.check = fake_check,
    .decode = fake_decode,.free = test_codec_free,.set = test_codec_set,
    .info = test_codec_info
  };

  if (g_strcmp0 (name, "fake") != 0)
    return __real_rd_codec_new (name, hidden_size, error);
  RdCodec *codec = test_codec_new (&klass, name, hidden_size);
  ((TestCodec *) codec)->info.split_layer = FAKE_CODEC_SPLIT;
  return codec;
}
