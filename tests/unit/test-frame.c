/* Frames: sizes that the design promises, round trips, limits. */
#include <string.h>
#include "codec/wire/crc32c.h"
#include "codec/wire/frame.h"

static GByteArray *
write_frame (const RdFrame * frame, const gint32 * ids)
{
  GByteArray *out = g_byte_array_new ();
  GError *error = NULL;

  g_assert_true (rd_frame_write (frame, NULL, ids, out, &error));
  g_assert_no_error (error);
  return out;
}

static void
test_compact (void)
{
  guint8 payload[127] = { 1, 2, 3 };
  RdFrame f = {.type = RD_FRAME_STATES,.alias = 7,.sequence = 0x1234,
    .position = 16383,.count = 1,.step = TRUE,.sample = TRUE,
    .payload = payload,.payload_size = sizeof payload
  }, g;
  g_autoptr (GByteArray) b = write_frame (&f, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (b->len - sizeof payload, <=, 12);
  g_assert_true (rd_frame_parse (b->data, b->len, 1 << 20, &g, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (g.size, ==, b->len);
  g_assert_cmpuint (g.sequence, ==, 0x34);
  g_assert_cmpuint (g.position, ==, 16383);
  g_assert_true (g.step && g.sample && !g.has_epoch && !g.given);
  g_assert_cmpmem (g.payload, g.payload_size, payload, sizeof payload);
}

static void
test_crc (void)
{
  static const guint8 digits[] = "123456789";
  guint8 buf[300];
  gsize i, n;

  /* check value of the catalogue of parametrised CRCs, and RFC 3720 B.4 */
  g_assert_cmphex (rd_crc32c (0, digits, 9), ==, 0xe3069283);
  memset (buf, 0, 32);
  g_assert_cmphex (rd_crc32c (0, buf, 32), ==, 0x8a9136aa);
  memset (buf, 0xff, 32);
  g_assert_cmphex (rd_crc32c (0, buf, 32), ==, 0x62a8ab43);

  for (i = 0; i < sizeof buf; i++)
    buf[i] = (guint8) g_test_rand_int ();
  for (n = 0; n <= 280; n++) {
    guint32 whole = rd_crc32c_table (0, buf + n % 9, n);

    g_assert_cmphex (rd_crc32c (rd_crc32c (0, buf + n % 9, n / 3),
            buf + n % 9 + n / 3, n - n / 3), ==, whole);
    if (rd_crc32c_has_sse42 ())
      g_assert_cmphex (rd_crc32c_sse42 (0, buf + n % 9, n), ==, whole);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/frame/compact", test_compact);
  g_test_add_func ("/frame/crc32c", test_crc);
  return g_test_run ();
}
