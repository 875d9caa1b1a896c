#include "codec/simple/half.h"
#include "codec/float-bits.h"
#include "codec/simple/half-f16c.h"

#ifdef RD_HAVE_F16C
#include <cpuid.h>
#endif

#define HALF_MAX_BITS 0x477fe000u       /* 65504 as a float */
#define HALF_MIN_NORMAL_BITS 0x38800000u        /* 2^-14 as a float */

/* Magnitude bits of a finite float below 2^-14 to a subnormal half. */
static guint16
subnormal_from_bits (guint32 a)
{
  guint32 exponent = a >> 23;
  guint32 mantissa = (a & 0x7fffffu) | 0x800000u;
  /* the half's unit is 2^-24; from a shift of 25 on less than half a unit is left */
  guint32 shift = 126 - exponent;

  if (shift > 24)
    return 0;
  guint32 rest = mantissa & ((1u << shift) - 1), tie = 1u << (shift - 1);
  guint32 h = mantissa >> shift;
  return h + (rest > tie || (rest == tie && (h & 1)));
}

guint16
rd_half_from_float (gfloat x)
{
  guint32 bits = rd_float_to_bits (x);
  guint16 sign = (bits >> 16) & 0x8000u;
  guint32 a = bits & 0x7fffffffu;
  if (a > RD_FLOAT_INFINITY_BITS)
    return sign | 0x7e00u | ((a >> 13) & 0x1ffu);
  a = MIN (a, HALF_MAX_BITS);
  if (a < HALF_MIN_NORMAL_BITS)
    return sign | subnormal_from_bits (a);
  return sign | ((a - 0x38000000u + 0xfffu + ((a >> 13) & 1)) >> 13);
}

gfloat
rd_half_to_float (guint16 h)
{
  guint32 sign = (guint32) (h & 0x8000u) << 16;
  guint32 exponent = (h >> 10) & 0x1fu, mantissa = h & 0x3ffu, bits;

  if (exponent == 31) {
    /* a quiet NaN, as the CPU's conversion makes */
    bits = RD_FLOAT_INFINITY_BITS | mantissa << 13 | (mantissa ? 0x400000u : 0);
  } else if (exponent) {
    bits = ((exponent + 112) << 23) | mantissa << 13;
  } else {
    /* exact, and the result is a normal float */
    bits = rd_float_to_bits ((gfloat) mantissa * 0x1p-24f);
  }
  return rd_float_from_bits (bits | sign);
}

void
rd_half_from_floats_c (const gfloat * x, guint8 * bytes, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    guint16 h = rd_half_from_float (x[i]);
    bytes[2 * i] = h & 0xff;
    bytes[2 * i + 1] = h >> 8;
  }
}

gboolean
rd_half_to_floats_c (const guint8 * bytes, gfloat * x, gsize n)
{
  gboolean finite = TRUE;

  for (gsize i = 0; i < n; i++) {
    guint16 h = bytes[2 * i] | (guint16) (bytes[2 * i + 1] << 8);
    x[i] = rd_half_to_float (h);
    finite &= (h & RD_HALF_INFINITY) != RD_HALF_INFINITY;
  }
  return finite;
}

#ifdef RD_HAVE_F16C
/* clang's __builtin_cpu_supports() does not know "f16c"; "avx" includes that the system saves the registers. */
static gboolean
detect_f16c (void)
{
  guint eax, ebx, ecx, edx;

  __builtin_cpu_init ();
  return g_strcmp0 (g_getenv ("ST_KERNELS"), "c") != 0
      && __builtin_cpu_supports ("avx")
      && __get_cpuid (1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

static gboolean
have_f16c (void)
{
  static gsize state = 0;       /* 1 = no, 2 = yes */

  if (g_once_init_enter (&state))
    g_once_init_leave (&state, detect_f16c ()? 2 : 1);
  return state == 2;
}
#endif

void
rd_half_from_floats (const gfloat * x, guint8 * bytes, gsize n)
{
  gsize done = 0;

#ifdef RD_HAVE_F16C
  if (have_f16c ()) {
    done = n & ~(gsize) 7;
    rd_half_from_floats_f16c (x, bytes, done);
  }
#endif
  rd_half_from_floats_c (x + done, bytes + 2 * done, n - done);
}

gboolean
rd_half_to_floats (const guint8 * bytes, gfloat * x, gsize n)
{
  gboolean finite = TRUE;
  gsize done = 0;

#ifdef RD_HAVE_F16C
  if (have_f16c ()) {
    done = n & ~(gsize) 7;
    finite = rd_half_to_floats_f16c (bytes, x, done);
  }
#endif
  finite &= rd_half_to_floats_c (bytes + 2 * done, x + done, n - done);
  return finite;
}
