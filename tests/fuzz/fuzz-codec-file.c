/* Damaged codec files: an error that names the file, or a codec whose payloads are errors or finite values. */
#include "codec/codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/golden-payloads.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROWS 9
#define MAX_HIDDEN 256u         /* a larger file is opened only */

static void
use (RdCodec * codec)
{
  guint hidden = rd_codec_info (codec)->hidden_size;
  g_autofree gfloat *x = rd_golden_features (ROWS, hidden);
  g_autofree gfloat *y = g_new (gfloat, ROWS * hidden);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = ROWS,.features = x };
  gboolean packed;

  if (!rd_codec_encode (codec, &rows, x, FALSE, out, &packed, &error)) {
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
    return;
  }
  g_assert_cmpuint (out->len, <=, rd_codec_bound (codec, ROWS));
  if (!rd_codec_decode (codec, &rows, out->data, out->len, packed, y, &error)) {
    /* values that overflow: synthesis and analysis need not fit each other */
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
    return;
  }
  for (guint i = 0; i < ROWS * hidden; i++)
    g_assert_true (isfinite (y[i]));
}

void
fuzz_one (const guint8 * data, gsize size)
{
  gint fd = memfd_create ("codec", MFD_CLOEXEC);
  g_autofree gchar *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (write (fd, data, size), ==, (gssize) size);
  g_autoptr (RdCodec) codec = rd_codec_new (path, 0, &error);
  if (!codec) {
    g_assert_cmpint (error->domain, ==, RD_CODEC_ERROR);
    g_assert_nonnull (strstr (error->message, path));
  } else if (rd_codec_info (codec)->hidden_size <= MAX_HIDDEN) {
    use (codec);
  }
  close (fd);
}

GBytes *
fuzz_seed (guint i)
{
  static const gchar *const names[] =
      { "d1", "d5", "d33", "d64", "n33", "n9", "z12" };
  g_autofree gchar *path = NULL;
  gchar *bytes;
  gsize size;

  if (i >= G_N_ELEMENTS (names))
    return NULL;
  path = rd_golden_codec_path (names[i]);
  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  return g_bytes_new_take (bytes, size);
}
