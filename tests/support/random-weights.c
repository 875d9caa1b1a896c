#include "tests/support/random-weights.h"

#include <math.h>
#include <string.h>

const StType st_test_types[11] = { ST_TYPE_F32, ST_TYPE_F16, ST_TYPE_BF16,
  ST_TYPE_Q8_0, ST_TYPE_Q4_0, ST_TYPE_Q4_1, ST_TYPE_Q5_0, ST_TYPE_Q5_1,
  ST_TYPE_Q4_K, ST_TYPE_Q5_K, ST_TYPE_Q6_K
};

static float
uniform (void)
{
  return (float) g_test_rand_double_range (-1, 1);
}

float *
st_test_floats (gsize n)
{
  float *p = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    p[i] = uniform ();
  return p;
}

void
st_test_near (gdouble value, gdouble expected, gdouble limit)
{
  if (!(fabs (value - expected) <= limit))
    g_error ("%.9g is not within %.3g of %.9g", value, limit, expected);
}

guint8 *
st_test_weights (StType type, gsize n)
{
  const StTypeTraits *t = st_type_traits (type);
  const gsize bytes = st_type_row_bytes (type, n);
  guint8 *p = g_malloc (bytes);

  if (type == ST_TYPE_F32) {
    for (gsize i = 0; i < n; i++)
      ((float *) p)[i] = uniform ();
    return p;
  }
  for (gsize i = 0; i < bytes; i++)
    p[i] = (guint8) g_test_rand_int_range (0, 256);
  for (gsize b = 0; b < n / t->block_size; b++) {
    guint8 *block = p + b * t->block_bytes;
    const gsize at = type == ST_TYPE_Q6_K ? t->block_bytes - 2 : 0;
    const guint16 h = st_float_to_half (uniform () * 0.1f);

    if (type == ST_TYPE_BF16) {
      block[1] = g_test_rand_bit ()? 0xbe : 0x3e;
      continue;
    }
    memcpy (block + at, &h, 2);
    if (type == ST_TYPE_Q4_1 || type == ST_TYPE_Q5_1 || type == ST_TYPE_Q4_K ||
        type == ST_TYPE_Q5_K)
      memcpy (block + 2, &h, 2);
  }
  return p;
}
