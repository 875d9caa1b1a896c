/* Decoder: start, slow paths, end; dispatch. */
#include "codec/entropy/rans-private.h"

#include <string.h>

#define MIN_MAIN_GROUPS 256     /* fewer do not pay for the states of all lanes */
#define SINGLE_GROUPS 64        /* at the end, in one state: their words start the lanes */
#define MAX_UNARY 26
#define CHUNK_BITS 14
#ifdef RD_RANS_X86
guint8 rd_rans_expand[256][8];
guint8 rd_rans_compress[256][16];

static void
make_shuffles (void)
{
  for (guint mask = 0; mask < 256; mask++) {
    guint n = 0, total = (guint) __builtin_popcount (mask);

    memset (rd_rans_compress[mask], 0x80, sizeof rd_rans_compress[mask]);
    for (guint lane = 0; lane < 8; lane++) {
      rd_rans_expand[mask][lane] = n;
      if (mask >> lane & 1) {
        guint word = 8 - total + n++;
        rd_rans_compress[mask][2 * word] = 2 * lane;
        rd_rans_compress[mask][2 * word + 1] = 2 * lane + 1;
      }
    }
  }
}
#endif

static const RdRansKernels *forced;

static gboolean
is_supported (const RdRansKernels * kernels)
{
#ifdef RD_RANS_X86
  __builtin_cpu_init ();
  if (kernels == &rd_rans_kernels_avx512) {
    return __builtin_cpu_supports ("avx512f")
        && __builtin_cpu_supports ("avx512bw")
        && __builtin_cpu_supports ("avx512vl")
        && is_supported (&rd_rans_kernels_avx2);
  }
  if (kernels == &rd_rans_kernels_avx2) {
    return __builtin_cpu_supports ("avx2")
        && __builtin_cpu_supports ("popcnt");
  }
#endif
  return kernels == &rd_rans_kernels_c;
}

/* The best at or below what is named; the best of all for NULL and unknown names. */
static const RdRansKernels *
choose (const gchar * name)
{
  static const RdRansKernels *const all[] = {
#ifdef RD_RANS_X86
    &rd_rans_kernels_avx512, &rd_rans_kernels_avx2,
#endif
    &rd_rans_kernels_c
  };
  guint first = 0;

  for (guint i = 0; i < G_N_ELEMENTS (all); i++) {
    if (g_strcmp0 (all[i]->name, name) == 0)
      first = i;
  }
  while (!is_supported (all[first]))
    first++;
  return all[first];
}

const RdRansKernels *
rd_rans_kernels (void)
{
  static const RdRansKernels *chosen;
  static gsize once;

  if (g_once_init_enter (&once)) {
#ifdef RD_RANS_X86
    make_shuffles ();
#endif
    chosen = choose (g_getenv ("ST_KERNELS"));
    g_once_init_leave (&once, 1);
  }
  return forced ? forced : chosen;
}

const gchar *
rd_rans_instruction_set (void)
{
  return rd_rans_kernels ()->name;
}

gboolean
rd_rans_force_instruction_set (const gchar * name)
{
  const RdRansKernels *wanted = name ? choose (name) : NULL;

  if (wanted && strcmp (wanted->name, name) != 0)
    return FALSE;
  forced = wanted;
  return TRUE;
}

gsize
rd_rans_main_symbols (guint lanes, gsize n)
{
  gsize groups = n / lanes;

  return lanes == 1 || groups < MIN_MAIN_GROUPS ? 0 :
      (groups - SINGLE_GROUPS) * lanes;
}

static gboolean
fail (GError ** error, const gchar * what)
{
  g_set_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_STREAM,
      "damaged entropy-coded stream: %s", what);
  return FALSE;
}

static guint32
read_number (const guint8 * p, gsize n_bytes)
{
  guint32 number = 0;

  for (gsize i = 0; i < n_bytes; i++)
    number |= (guint32) p[i] << 8 * i;
  return number;
}

/* Start of a lane other than 0: 23 bits or, if bit 0 is set, 31. */
static gboolean
read_lane_state (RdRansDecoder * d, guint lane, GError ** error)
{
  gsize left = (gsize) (d->end - d->p);
  gsize n_bytes = left > 0 ? 3 + (d->p[0] & 1) : 3;

  if (left < n_bytes)
    return fail (error, "it ends in the states of the lanes");
  d->state[lane] = read_number (d->p, n_bytes) >> 1;
  d->p += n_bytes;
  if (d->state[lane] < RD_RANS_LOW)
    return fail (error, "the state of a lane is out of range");
  return TRUE;
}

static gboolean
read_first_state (RdRansDecoder * d, GError ** error)
{
  gsize left = (gsize) (d->end - d->p);
  gsize n_bytes = left <= 4 ? left : 4 - left % 2;

  d->state[0] = read_number (d->p, n_bytes);
  d->p += n_bytes;
  if (d->state[0] >> RD_RANS_STATE_BITS
      || (d->n_main > 0 && d->state[0] < RD_RANS_LOW))
    return fail (error, "its first state is out of range");
  return TRUE;
}

/* The state @x has become a number behind a leading one. */
static void
begin_ending (RdRansDecoder * d, guint32 x)
{
  guint length = g_bit_storage (x) - 1;

  d->damaged |= x == 0;
  d->ending = RD_ENDING_RANGE;
  d->state[0] = x == 0 ? 0 :
      (x - (1u << length)) << (RD_RANS_STATE_BITS - length);
}

gboolean
rd_rans_decoder_init (RdRansDecoder * decoder, const RdTables * tables,
    guint lanes, gsize n, const guint8 * stream, gsize size, GError ** error)
{
  g_assert (lanes == 1 || lanes == 8 || lanes == 16 || lanes == 32);
  memset (decoder, 0, sizeof *decoder);
  if (n > RD_RANS_MAX_SYMBOLS)
    return fail (error, "more than 2^28 symbols");
  decoder->tables = tables;
  decoder->kernels = rd_rans_kernels ();
  decoder->lanes = lanes;
  decoder->n = n;
  decoder->n_main = rd_rans_main_symbols (lanes, n);
  decoder->p = stream;
  decoder->end = size > 0 ? stream + size : stream;
  for (guint lane = 1; decoder->n_main > 0 && lane < lanes; lane++) {
    if (!read_lane_state (decoder, lane, error))
      return FALSE;
  }
  if (!read_first_state (decoder, error))
    return FALSE;
  decoder->rest = decoder->rest_end = decoder->end;
  if (decoder->state[0] < RD_ENDING_LIMIT && decoder->n_main == 0 && n > 0)
    begin_ending (decoder, decoder->state[0]);
  return TRUE;
}

gboolean
rd_rans_next_source (RdRansDecoder * d, guint32 x)
{
  d->p = d->rest;
  d->end = d->rest_end;
  d->rest = d->rest_end;
  if (d->p < d->end || d->n_main > 0 || x >= RD_ENDING_LIMIT)
    return FALSE;
  begin_ending (d, x);
  return TRUE;
}

/* The lanes' last states are the next words of the single state, in the order of the lanes; RD_RANS_LOW carries none. */
static void
begin_single (RdRansDecoder * d)
{
  guint n = 0;

  for (guint lane = 1; lane < d->lanes; lane++) {
    guint32 x = d->state[lane];

    if (x >> 16 == 1 && n + 1 == lane) {
      d->hidden[2 * n] = x & 0xff;
      d->hidden[2 * n + 1] = x >> 8 & 0xff;
      n++;
    } else if (x != RD_RANS_LOW) {
      d->damaged = TRUE;
    }
  }
  d->rest = d->p;
  d->rest_end = d->end;
  d->p = d->hidden;
  d->end = d->hidden + (gsize) 2 *n;
}

/* Takes @n_bits <= CHUNK_BITS bits off a state. */
static guint
read_bits (RdRansDecoder * d, guint lane, guint n_bits)
{
  guint32 x = d->state[lane], bits = x & ((1u << n_bits) - 1);

  x >>= n_bits;
  if (x < RD_RANS_LOW) {
    if (d->p == d->end)
      rd_rans_next_source (d, RD_ENDING_LIMIT);
    if (d->p < d->end) {
      x = x << 16 | rd_read_word (d->p);
      d->p += 2;
    }
  }
  d->state[lane] = x;
  return bits;
}

gint32
rd_rans_read_escape (RdRansDecoder * d, guint lane, guint index)
{
  const RdTableInfo *info = &d->tables->info[index];
  guint above = read_bits (d, lane, 1), length = info->golomb, e = 1;

  while (length < MAX_UNARY && read_bits (d, lane, 1))
    length++;
  if (length > CHUNK_BITS) {
    guint n_high = length - CHUNK_BITS;

    e = e << n_high | read_bits (d, lane, n_high);
    length = CHUNK_BITS;
  }
  e = e << length | read_bits (d, lane, length);
  gint32 distance = (gint32) (e - (1u << info->golomb));
  gint32 value = above ? info->min + info->n_values + distance
      : info->min - 1 - distance;
  if (value < -RD_SYMBOL_MAX || value > RD_SYMBOL_MAX) {
    d->damaged = TRUE;
    return 0;
  }
  return value;
}

void
rd_rans_read_escapes (RdRansDecoder * d, const guint16 * table,
    gint32 * symbols, guint32 mask)
{
  for (; mask; mask &= mask - 1) {
    guint lane = (guint) __builtin_ctz (mask);

    symbols[lane] = rd_rans_read_escape (d, lane, table[lane]);
  }
}

void
rd_rans_decode (RdRansDecoder * decoder, const guint16 * table,
    gint32 * symbols, gsize n)
{
  g_assert (n <= decoder->n - decoder->done);
  rd_check_tables (decoder->tables, table, n);
  if (decoder->done < decoder->n_main) {
    gsize in_main = MIN (n, decoder->n_main - decoder->done);

    g_assert (in_main % decoder->lanes == 0);
    decoder->kernels->decode_groups (decoder, table, symbols,
        in_main / decoder->lanes);
    decoder->done += in_main;
    table += in_main;
    symbols += in_main;
    n -= in_main;
    if (decoder->done == decoder->n_main)
      begin_single (decoder);
  }
  if (decoder->ending)
    rd_rans_decode_ending (decoder, table, symbols, n);
  else
    decoder->kernels->decode_single (decoder, table, symbols, n);
  decoder->done += n;
}

gboolean
rd_rans_decoder_finish (const RdRansDecoder * decoder, GError ** error)
{
  gboolean at_start = decoder->ending ? decoder->state[0] < decoder->ending
      : decoder->state[0] == (decoder->n_main > 0 ? RD_RANS_LOW
      : RD_ENDING_LIMIT);

  g_assert (decoder->done == decoder->n || decoder->lanes == 1);
  if (decoder->n == 0)
    at_start = decoder->state[0] == 0;
  if (decoder->damaged || !at_start)
    return fail (error, "its symbols do not end where it does");
  if (decoder->p < decoder->end || decoder->rest < decoder->rest_end)
    return fail (error, "bytes are left over");
  return TRUE;
}
