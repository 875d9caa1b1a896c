/* Vectors of 4 floats in the compiler's portable vector extension: every CPU, no fused operations. */
#pragma once
#include <glib.h>
#include <math.h>
#include <string.h>

#define VL 4
typedef float vf __attribute__ ((vector_size (16)));
typedef gint32 vi __attribute__ ((vector_size (16)));

static inline vf
v_load (const float *p)
{
  vf v;

  memcpy (&v, p, sizeof v);
  return v;
}

static inline void
v_store (float *p, vf v)
{
  memcpy (p, &v, sizeof v);
}

static inline vf
v_set1 (float x)
{
  return (vf) {x, x, x, x};
}

#define v_zero() v_set1 (0.0f)
#define v_add(a, b) ((a) + (b))
#define v_sub(a, b) ((a) - (b))
#define v_mul(a, b) ((a) * (b))
#define v_div(a, b) ((a) / (b))
#define v_fma(a, b, c) ((a) * (b) + (c))

/* @a in the lanes of @mask, @b in the others. */
static inline vf
v_select (vi mask, vf a, vf b)
{
  return (vf) ((mask & (vi) a) | (~mask & (vi) b));
}

/* The second operand where one is NaN. */
static inline vf
v_max (vf a, vf b)
{
  return v_select (a > b, a, b);
}

static inline vf
v_min (vf a, vf b)
{
  return v_select (a < b, a, b);
}

/* To the nearest integer, ties to even, for magnitudes below 2^22. */
static inline vf
v_round (vf v)
{
  const vf magic = v_set1 (12582912.0f);

  return (v + magic) - magic;
}

/* v * 2^n for n in -126 .. 127. */
static inline vf
v_ldexp (vf v, vf n)
{
  const vi e = __builtin_convertvector (n, vi) + 127;

  return v * (vf) (e << 23);
}

/* v, but 0 where x < low. */
static inline vf
v_zero_below (vf v, vf x, vf low)
{
  return (vf) (~(x < low) & (vi) v);
}

static inline vf
v_load_n (const float *p, gsize n)
{
  vf v = v_zero ();

  for (gsize i = 0; i < n; i++)
    v[i] = p[i];
  return v;
}

static inline void
v_store_n (float *p, vf v, gsize n)
{
  for (gsize i = 0; i < n; i++)
    p[i] = v[i];
}

/* v in the first n lanes, other in the rest. */
static inline vf
v_first_n (vf v, vf other, gsize n)
{
  const vi lane = { 0, 1, 2, 3 };

  return v_select (lane < (gint32) n, v, other);
}

static inline float
v_sum (vf v)
{
  return (v[0] + v[2]) + (v[1] + v[3]);
}

static inline float
v_largest (vf v)
{
  return MAX (MAX (v[0], v[2]), MAX (v[1], v[3]));
}

/* Transposes 4 vectors of 4 in place. */
static inline void
v_transpose (vf r[VL])
{
  vf t[VL];

  memcpy (t, r, sizeof t);
  for (int i = 0; i < VL; i++)
    for (int j = 0; j < VL; j++)
      r[i][j] = t[j][i];
}
