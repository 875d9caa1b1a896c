#include <string.h>
#include "codec/wire/crc32c.h"

#if defined (__x86_64__)
#include <nmmintrin.h>

gboolean
rd_crc32c_has_sse42 (void)
{
  return __builtin_cpu_supports ("sse4.2") != 0;
}

__attribute__((target ("sse4.2")))
    guint32
rd_crc32c_sse42 (guint32 crc, const guint8 * p, gsize size)
{
  guint64 c = (guint32) ~ crc;

  for (; size >= 8; p += 8, size -= 8) {
    guint64 v;

    memcpy (&v, p, 8);
    c = _mm_crc32_u64 (c, v);
  }
  for (; size; p++, size--)
    c = _mm_crc32_u8 ((guint32) c, *p);
  return ~(guint32) c;
}

#else

gboolean
rd_crc32c_has_sse42 (void)
{
  return FALSE;
}

guint32
rd_crc32c_sse42 (guint32 crc, const guint8 * p, gsize size)
{
  return rd_crc32c_table (crc, p, size);
}

#endif
