/* Damaged payloads of codec files: an error, or finite values, the same on every instruction set. */
#include "codec/entropy/rans.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/golden-payloads.h"

#include <math.h>
#include <string.h>

/* Input: codec file, n (2 bytes), payload. */
#define PREFIX 3
#define MAX_VALUES 16384u

static const gchar *const sets[] = { "c", "avx2", "avx512" };
static const gchar *const names[] =
    { "d1", "d5", "d33", "d64", "n33", "n9", "z12" };

static RdCodec *codecs[G_N_ELEMENTS (names)];

static RdCodec *
get_codec (guint i)
{
  g_autofree gchar *path = rd_golden_codec_path (names[i]);

  if (!codecs[i])
    codecs[i] = rd_codec_new (path, 0, NULL);
  g_assert_nonnull (codecs[i]);
  return codecs[i];
}

static gboolean
decode (RdCodec * codec, const RdRows * rows, const guint8 * payload,
    gsize size, gfloat * x, gsize n_values)
{
  g_autoptr (GError) error = NULL;

  memset (x, 0, n_values * sizeof *x);
  if (!rd_codec_decode (codec, rows, payload, size, FALSE, x, &error)) {
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
    memset (x, 0, n_values * sizeof *x);
    return FALSE;
  }
  for (gsize i = 0; i < n_values; i++)
    g_assert_true (isfinite (x[i]));
  return TRUE;
}

void
fuzz_one (const guint8 * data, gsize size)
{
  if (size < PREFIX)
    return;
  RdCodec *codec = get_codec (data[0] % G_N_ELEMENTS (names));
  gsize n = data[1] | (gsize) data[2] << 8;
  guint hidden = rd_codec_info (codec)->hidden_size;
  gsize n_values = n * hidden;

  if (n_values > MAX_VALUES)
    return;
  g_autofree gfloat *features = rd_golden_features (n, hidden);
  g_autofree gfloat *first = g_new (gfloat, MAX (n_values, 1));
  g_autofree gfloat *x = g_new (gfloat, MAX (n_values, 1));
  RdRows rows = {.n = n,.features = data[0] & 0x80 ? NULL : features };
  gboolean good = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (sets); i++) {
    if (!rd_rans_force_instruction_set (sets[i]))
      continue;
    gboolean ok = decode (codec, &rows, data + PREFIX, size - PREFIX, x,
        n_values);
    if (i == 0) {
      good = ok;
      memcpy (first, x, n_values * sizeof *x);
    }
    g_assert_cmpint (ok, ==, good);
    g_assert_cmpmem (x, n_values * sizeof *x, first, n_values * sizeof *x);
  }
  gdouble bits = rd_codec_ideal_bits (codec, &rows, data + PREFIX,
      size - PREFIX);
  g_assert_true (bits >= 0 || !good);
}

GBytes *
fuzz_seed (guint i)
{
  static GPtrArray *all;
  GByteArray *input = g_byte_array_new ();

  if (!all)
    all = rd_golden_load_all ();
  if (i == all->len) {
    g_clear_pointer (&all, g_ptr_array_unref);
    g_byte_array_unref (input);
    return NULL;
  }
  const RdGolden *g = all->pdata[i];
  guint8 prefix[PREFIX] = { 0, g->n & 0xff, (guint8) (g->n >> 8) };
  while (!g_str_has_prefix (g->name, names[prefix[0]])
      || g->name[strlen (names[prefix[0]])] != '-')
    prefix[0]++;
  g_byte_array_append (input, prefix, PREFIX);
  g_byte_array_append (input, g->payload, (guint) g->size);
  return g_byte_array_free_to_bytes (input);
}
