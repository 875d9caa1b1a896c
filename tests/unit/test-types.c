/* Tensor types: bit for bit the values of the public Python package gguf (see tests/support/make-type-vectors.py). */
#include "models/gguf/types.h"

#include <string.h>

#include "tests/unit/type-vectors.h"

static gchar *
sha256 (gconstpointer data, gsize n)
{
  return g_compute_checksum_for_data (G_CHECKSUM_SHA256, data, n);
}

static guint32
float_bits (float value)
{
  guint32 bits;

  memcpy (&bits, &value, sizeof bits);
  return bits;
}

static float
bits_float (guint32 bits)
{
  float value;

  memcpy (&value, &bits, sizeof value);
  return value;
}

/* The generator of make-type-vectors.py. */
static void
fill_noise (guint8 * bytes, gsize n)
{
  guint32 state = 1;

  for (gsize i = 0; i < n; i++) {
    state = state * 1664525u + 1013904223u;
    bytes[i] = state >> 24;
  }
}

static void
test_values (gconstpointer data)
{
  const guint v = GPOINTER_TO_UINT (data);
  const StTypeTraits *traits = st_type_traits (type_vectors[v].type);
  const guint width = type_vectors[v].block_bytes;
  const gsize n = (gsize) N_BLOCKS * type_vectors[v].block_size;
  const gsize size = (gsize) N_BLOCKS * width;
  /* One byte off, as tensors in a mapping need not be aligned to their fields; blocks of exact size for the sanitizers. */
  g_autofree guint8 *room = g_malloc (size + 1);
  g_autofree float *values = g_new (float, n);
  g_autofree gchar *digest = NULL;
  guint8 *blocks = room + 1;

  g_assert_nonnull (traits);
  g_assert_cmpstr (traits->name, ==, type_vectors[v].name);
  g_assert_cmpuint (traits->block_size, ==, type_vectors[v].block_size);
  g_assert_cmpuint (traits->block_bytes, ==, width);
  fill_noise (blocks, size);
  for (guint b = 0; b < N_BLOCKS; b++) {
    for (guint i = 0; i < 2; i++) {
      if (type_vectors[v].upper[i] >= 0)
        blocks[b * width + (guint) type_vectors[v].upper[i]] &= 0xbf;
    }
  }
  traits->to_float (blocks, values, n);
  for (guint i = 0; i < N_SHOWN; i++)
    g_assert_cmphex (float_bits (values[i]), ==, type_vectors[v].first[i]);
  digest = sha256 (values, n * sizeof *values);
  g_assert_cmpstr (digest, ==, type_vectors[v].sha256);
}

static void
test_half_to_float (void)
{
  g_autofree float *values = g_new (float, 65536);
  g_autofree gchar *digest = NULL;
  gsize n = 0;

  for (guint h = 0; h < 65536; h++) {
    const float value = st_half_to_float ((guint16) h);
    if ((h & 0x7fff) > 0x7c00) {
      g_assert_true (value != value);
      continue;
    }
    values[n++] = value;
    g_assert_cmphex (st_float_to_half (value), ==, h);
  }
  digest = sha256 (values, n * sizeof *values);
  g_assert_cmpstr (digest, ==, all_halves_sha256);
}

static void
test_float_to_half (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (half_vectors); i++)
    g_assert_cmphex (st_float_to_half (bits_float (half_vectors[i].value)), ==,
        half_vectors[i].half);
  /* A NaN stays one, of the same sign, even where its set bits are below a half's. */
  g_assert_cmphex (st_float_to_half (bits_float (0x7f800001)) & 0xfe00, ==,
      0x7e00);
  g_assert_cmphex (st_float_to_half (bits_float (0xffc00000)), ==, 0xfe00);
}

static void
test_bf16 (void)
{
  g_assert_cmphex (float_bits (st_bf16_to_float (0x3f80)), ==, 0x3f800000);
  g_assert_cmphex (float_bits (st_bf16_to_float (0xff80)), ==, 0xff800000);
}

static void
test_row_bytes (void)
{
  g_assert_cmpuint (st_type_row_bytes (ST_TYPE_F32, 3), ==, 12);
  g_assert_cmpuint (st_type_row_bytes (ST_TYPE_Q4_1, 64), ==, 40);
  g_assert_cmpuint (st_type_row_bytes (ST_TYPE_Q6_K, 512), ==, 420);
  g_assert_cmpuint (st_type_row_bytes (ST_TYPE_Q4_1, 33), ==, 0);
  g_assert_cmpuint (st_type_row_bytes (ST_TYPE_Q6_K, 32), ==, 0);
  g_assert_cmpuint (st_type_row_bytes (ST_TYPE_F32, G_MAXSIZE / 2), ==, 0);
  g_assert_cmpuint (st_type_row_bytes (ST_TYPE_Q8_0, G_MAXSIZE - 31), ==, 0);
  g_assert_cmpuint (st_type_row_bytes ((StType) 4, 32), ==, 0);
}

static void
test_unknown (void)
{
  static const guint numbers[] = { 4, 5, 9, 10, 11, 15, 16, 24, 29, 31, 39,
    G_MAXINT, G_MAXUINT
  };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    g_assert_null (st_type_traits ((StType) numbers[i]));
}

/* Half a step at most, and what is exact stays as it is. */
static void
test_from_float (void)
{
  float values[64], back[64];
  guint8 bytes[2 * 34];

  for (guint i = 0; i < 64; i++)
    values[i] = (i < 32 ? 0.01f : 3.0f) * (float) ((gint) (i * 37 % 65) - 32);
  g_assert_true (st_type_from_float (ST_TYPE_Q8_0, values, bytes, 64));
  st_type_traits (ST_TYPE_Q8_0)->to_float (bytes, back, 64);
  for (guint i = 0; i < 64; i++)
    g_assert_cmpfloat_with_epsilon (back[i], values[i],
        (i < 32 ? 0.32f : 96.0f) / 127.0f * 0.51f);
  g_assert_true (st_type_from_float (ST_TYPE_Q8_0, back, bytes, 64));
  st_type_traits (ST_TYPE_Q8_0)->to_float (bytes, values, 64);
  g_assert_cmpmem (values, sizeof (values), back, sizeof (back));
  g_assert_true (st_type_from_float (ST_TYPE_F16, values, bytes, 34));
  st_type_traits (ST_TYPE_F16)->to_float (bytes, back, 34);
  for (guint i = 0; i < 34; i++)
    g_assert_cmphex (st_float_to_half (back[i]), ==,
        st_float_to_half (values[i]));
  g_assert_false (st_type_from_float (ST_TYPE_Q8_0, values, bytes, 33));
  g_assert_false (st_type_from_float (ST_TYPE_Q4_0, values, bytes, 64));
}

static void
test_from_float_ends (void)
{
  float values[32] = { 0 }, back[32];
  guint8 bytes[34];

  g_assert_true (st_type_from_float (ST_TYPE_Q8_0, values, bytes, 32));
  st_type_traits (ST_TYPE_Q8_0)->to_float (bytes, back, 32);
  g_assert_cmpmem (back, sizeof (back), values, sizeof (values));
  values[0] = -1.0f;
  values[1] = 1.0f;
  g_assert_true (st_type_from_float (ST_TYPE_Q8_0, values, bytes, 32));
  g_assert_cmphex (bytes[2], ==, 0x81);
  g_assert_cmphex (bytes[3], ==, 0x7f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (type_vectors); i++) {
    g_autofree gchar *path = g_strconcat ("/types/values/",
        type_vectors[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_values);
  }
  g_test_add_func ("/types/half-to-float", test_half_to_float);
  g_test_add_func ("/types/float-to-half", test_float_to_half);
  g_test_add_func ("/types/bf16", test_bf16);
  g_test_add_func ("/types/from-float", test_from_float);
  g_test_add_func ("/types/from-float-ends", test_from_float_ends);
  g_test_add_func ("/types/row-bytes", test_row_bytes);
  g_test_add_func ("/types/unknown", test_unknown);
  return g_test_run ();
}
