/* CRC-32C: eight bytes a step through tables, and a choice at run time of the instruction that x86 has for it. */
#include <string.h>
#include "codec/wire/crc32c.h"
#include "codec/wire/frame.h"

#define CRC32C_POLYNOMIAL 0x82f63b78u   /* Castagnoli, bits reversed */

static guint32 crc_tables[8][256];

static void
crc_tables_init (void)
{
  guint i, j;

  for (i = 0; i < 256; i++) {
    guint32 c = i;

    for (j = 0; j < 8; j++)
      c = (c >> 1) ^ (c & 1 ? CRC32C_POLYNOMIAL : 0);
    crc_tables[0][i] = c;
  }
  for (j = 1; j < 8; j++) {
    for (i = 0; i < 256; i++) {
      guint32 c = crc_tables[j - 1][i];

      crc_tables[j][i] = (c >> 8) ^ crc_tables[0][c & 0xff];
    }
  }
}

guint32
rd_crc32c_table (guint32 crc, const guint8 * p, gsize size)
{
  static gsize ready = 0;

  if (g_once_init_enter (&ready)) {
    crc_tables_init ();
    g_once_init_leave (&ready, 1);
  }

  crc = ~crc;
  for (; size >= 8; p += 8, size -= 8) {
    guint32 lo, hi;

    memcpy (&lo, p, 4);
    memcpy (&hi, p + 4, 4);
    lo = GUINT32_FROM_LE (lo) ^ crc;
    hi = GUINT32_FROM_LE (hi);
    crc = crc_tables[7][lo & 0xff] ^ crc_tables[6][lo >> 8 & 0xff]
        ^ crc_tables[5][lo >> 16 & 0xff] ^ crc_tables[4][lo >> 24]
        ^ crc_tables[3][hi & 0xff] ^ crc_tables[2][hi >> 8 & 0xff]
        ^ crc_tables[1][hi >> 16 & 0xff] ^ crc_tables[0][hi >> 24];
  }
  for (; size; p++, size--)
    crc = (crc >> 8) ^ crc_tables[0][(crc ^ *p) & 0xff];
  return ~crc;
}

guint32
rd_crc32c (guint32 crc, const void *data, gsize size)
{
  static gsize chosen = 0;

  if (g_once_init_enter (&chosen)) {
    gboolean plain = g_strcmp0 (g_getenv ("ST_KERNELS"), "c") == 0;
    RdCrc32cFunc func = rd_crc32c_table;

    if (!plain && rd_crc32c_has_sse42 ())
      func = rd_crc32c_sse42;
    g_once_init_leave (&chosen, (gsize) func);
  }
  return ((RdCrc32cFunc) chosen) (crc, data, size);
}
