/* The search for symbols, a part of kernels-impl.h. A lane is a row. */

/* Coefficients in steps, and whether all of a lane are within reach; NaN is not. */
static RD_TARGET guint
steps (const RdTrellis * trellis, const gfloat * coefficients, gsize n,
    gfloat * value)
{
  const gsize d = trellis->hidden_size;
  const Int8 offset = load_ints (trellis->offset);
  Int8 index = { 0 }, good = ~(Int8) { 0 };
  guint mask = 0;

  for (gsize r = 0; r < n; r++)
    index[r] = (gint32) (r * d);
  for (gsize j = 0; j < d; j++) {
    Vec8 v = gather_floats (coefficients + j, index)
        * exp2_8 (-(trellis->log_step[j] + offset));

    good &= (v < RD_MAX_STEPS) & (v > -RD_MAX_STEPS);
    *(Vec8Memory *) (value + j * LANES) = v;
  }
  for (gsize r = 0; r < LANES; r++)
    mask |= (guint) (good[r] & 1) << r;
  return mask;
}

/* The four kinds of symbols are even and odd ones of quantiser 0, then of quantiser 1. Symbol 2 m + (kind & 1) has the value 4 m + first, but
 * symbol 0 has the value 0. */
static const gfloat first_value[4] = { 0, 2, -1, 1 };

/* m of the symbol whose value is nearest to a magnitude. */
INLINE Int8
nearest (Vec8 v, guint kind)
{
  Vec8 m = (v - first_value[kind]) * 0.25f + 0.5f;

  return to_ints (select_floats (m > 0, m, (Vec8) { 0 }));
}

typedef struct
{
  Vec8 cost[4];                 /* of the best symbol of each kind: squares of a step, and lambda times bits */
  Int8 k[4];
  Int8 is_zero;                 /* bits 0 and 2: of these kinds, it is 0 although another is nearer */
} Branches;

INLINE void
find_branches (const RdTrellis * trellis, Vec8 v, Int8 scale, Branches * b)
{
  b->is_zero = (Int8) { 0 };
  for (guint i = 0; i < 4; i++) {
    const gfloat *bits = trellis->bits[i >> 1];
    Int8 at = scale * RD_TRELLIS_COSTS;
    Int8 m = nearest (v, i), k = 2 * m + (gint32) (i & 1);
    Vec8 value = to_floats (4 * m) + first_value[i];

    if (i == 2)
      value = select_floats (m > 0, value, (Vec8) { 0 });
    b->cost[i] = (v - value) * (v - value)
        + gather_floats (bits, at + min_ints (k, RD_TRELLIS_COSTS - 1));
    b->k[i] = k;
    if (!(i & 1)) {
      Vec8 zero = v * v + gather_floats (bits, at);
      Int8 better = zero < b->cost[i];

      b->cost[i] = select_floats (better, zero, b->cost[i]);
      b->k[i] &= ~better;
      b->is_zero |= better & (gint32) (1 << i);
    }
  }
}

/* State n comes from the first of its predecessors by one kind of symbol, or from the second by the other of the same quantiser. */
static const guint8 from_first[8] = { 0, 2, 0, 2, 3, 1, 3, 1 };
static const guint8 from_second[8] = { 4, 6, 4, 6, 7, 5, 7, 5 };
static const guint8 first_kind[8] = { 0, 0, 1, 1, 2, 2, 3, 3 };

typedef struct
{
  Vec8 cost[RD_TRELLIS_STATES];
  Int8 k[RD_TRELLIS_STATES];    /* last symbols of the paths */
  Int8 decisions;               /* bit n: the second predecessor of state n won; above them, Branches.is_zero */
} Paths;

INLINE void
extend (Paths * paths, const Branches * b)
{
  Vec8 cost[RD_TRELLIS_STATES];

  paths->decisions = b->is_zero << RD_TRELLIS_STATES;
  for (guint n = 0; n < RD_TRELLIS_STATES; n++) {
    guint kind = first_kind[n];
    Vec8 one = paths->cost[from_first[n]] + b->cost[kind];
    Vec8 two = paths->cost[from_second[n]] + b->cost[kind ^ 1];
    Int8 second = two < one;

    cost[n] = select_floats (second, two, one);
    paths->k[n] = select_ints (second, b->k[kind ^ 1], b->k[kind]);
    paths->decisions |= second & (gint32) (1 << n);
  }
  for (guint n = 0; n < RD_TRELLIS_STATES; n++)
    paths->cost[n] = cost[n];
}

/* The last symbol of the best path, the first of equals. */
INLINE Int8
best_symbol (const Paths * paths)
{
  Vec8 cost[RD_TRELLIS_STATES];
  Int8 k[RD_TRELLIS_STATES];

  for (guint n = 0; n < RD_TRELLIS_STATES; n++) {
    cost[n] = paths->cost[n];
    k[n] = paths->k[n];
  }
  for (guint step = 1; step < RD_TRELLIS_STATES; step *= 2)
    for (guint n = 0; n < RD_TRELLIS_STATES; n += 2 * step) {
      Int8 less = cost[n + step] < cost[n];

      cost[n] = select_floats (less, cost[n + step], cost[n]);
      k[n] = select_ints (less, k[n + step], k[n]);
    }
  return k[0];
}

INLINE Int8
best_state (const Paths * paths)
{
  Int8 best = { 0 };
  Vec8 cost = paths->cost[0];

  for (gint32 n = 1; n < RD_TRELLIS_STATES; n++) {
    Int8 less = paths->cost[n] < cost;

    best = select_ints (less, n - (Int8) { 0 }, best);
    cost = select_floats (less, paths->cost[n], cost);
  }
  return best;
}

/* From the last coefficient to the first: which symbol led to the state, and from where. */
INLINE void
trace_back (const RdTrellis * trellis, const gfloat * value, Int8 state,
    gint32 * symbols)
{
  for (gsize j = trellis->hidden_size; j-- > 0;) {
    Vec8 v = *(const Vec8Memory *) (value + j * LANES);
    Vec8 magnitude = (Vec8) ((Int8) v & G_MAXINT32);
    Int8 decisions = load_ints (trellis->decisions + j * LANES);
    Int8 second = decisions >> state & 1;
    Int8 quantiser = state >> 2, parity = (state >> 1 & 1) ^ second;
    Int8 zero = decisions >> (RD_TRELLIS_STATES + 2 * quantiser) & 1 & ~parity;
    Int8 even = select_ints (quantiser > 0, nearest (magnitude, 2),
        nearest (magnitude, 0));
    Int8 odd = select_ints (quantiser > 0, nearest (magnitude, 3),
        nearest (magnitude, 1));
    Int8 k = (2 * select_ints (parity > 0, odd, even) + parity) & (zero - 1);

    store_ints (symbols + j * LANES, select_ints (v < 0, -k, k));
    state = quantiser | ((quantiser ^ state) & 1) << 1 | second << 2;
  }
}

/* The Viterbi algorithm. */
static RD_TARGET void
trellis_run (const RdTrellis * trellis, const gfloat * value, gint32 * symbols)
{
  const gsize d = trellis->hidden_size;
  const Int8 offset = load_ints (trellis->offset);
  Int8 whole = RD_CONTEXT_WHOLE - (Int8) { 0 }, whole_mean = whole;
  Int8 near = RD_CONTEXT_NEAR - (Int8) { 0 }, near_mean = near;
  Branches branches;
  Paths paths;

  for (guint n = 0; n < RD_TRELLIS_STATES; n++)
    paths.cost[n] = (n ? 1e30f : 0) - (Vec8) { 0 };
  for (gsize j = 0; j < d; j++) {
    Int8 nominal = trellis->base[j] + RD_SCALE_BIAS - offset;
    Int8 correction = trellis->weights[j] * (lg_8 (whole) - lg_8 (whole_mean))
        + trellis->weights[d + j] * (lg_8 (near) - lg_8 (near_mean));
    Vec8 v = *(const Vec8Memory *) (value + j * LANES);

    find_branches (trellis, (Vec8) ((Int8) v & G_MAXINT32),
        clamp_scale_8 ((nominal + (correction >> 6)) >> 5), &branches);
    extend (&paths, &branches);
    store_ints (trellis->decisions + j * LANES, paths.decisions);
    Int8 a = min_ints (best_symbol (&paths), 255) << 4;
    Int8 e = gather_ints (trellis->magnitude, clamp_scale_8 (nominal >> 5));
    whole += a;
    whole_mean += e;
    near += a - (near >> 5);
    near_mean += e - (near_mean >> 5);
  }
  trace_back (trellis, value, best_state (&paths), symbols);
}
