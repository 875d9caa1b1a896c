/* 8 states a vector. Lookups go lane by lane: comparing a whole line is faster than gathering from many. */
#include "codec/entropy/rans-private.h"

#ifdef RD_RANS_X86
#include <immintrin.h>

#define RD_TARGET __attribute__((target ("avx2,popcnt")))
#define MAX_VECTORS (RD_RANS_MAX_LANES / 8)
static inline RD_TARGET guint
count_limits (const guint16 * line, guint slot)
{
  const __m256i key = _mm256_set1_epi16 ((gint16) slot);
  const __m256i *v = (const __m256i *) line;
  __m256i above = _mm256_packs_epi16 (_mm256_cmpgt_epi16 (v[0], key),
      _mm256_cmpgt_epi16 (v[1], key));

  return RD_LINE_SIZE - (guint) _mm_popcnt_u32 ((guint)
      _mm256_movemask_epi8 (above));
}

#include "codec/entropy/rans-impl.h"

/* States below RD_RANS_LOW take a word each, in the order of the lanes. */
static inline RD_TARGET __m256i
refill (__m256i x, const guint8 ** p)
{
  const __m256i low = _mm256_set1_epi32 (RD_RANS_LOW);
  __m256i empty = _mm256_cmpgt_epi32 (low, x);
  guint mask = (guint) _mm256_movemask_ps (_mm256_castsi256_ps (empty));
  __m256i words =
      _mm256_cvtepu16_epi32 (_mm_loadu_si128 ((const __m128i *) *p));
  __m256i order = _mm256_cvtepu8_epi32 (_mm_loadl_epi64 ((const __m128i *)
          rd_rans_expand[mask]));

  words = _mm256_permutevar8x32_epi32 (words, order);
  words = _mm256_or_si256 (_mm256_slli_epi32 (x, 16), words);
  *p += 2 * _mm_popcnt_u32 (mask);
  return _mm256_blendv_epi8 (x, words, empty);
}

/* One vector of a group; sets *@escapes to the lanes that escape. */
static inline RD_TARGET __m256i
decode_vector (const RdTables * tables, __m256i x, const guint16 * table,
    gint32 * symbols, guint32 * escapes)
{
  const __m256i low16 = _mm256_set1_epi32 (0xffff);
  const __m256i total = _mm256_set1_epi32 (RD_TABLE_TOTAL);
  __m256i slot = _mm256_and_si256 (x, _mm256_set1_epi32 (RD_SLOT_MASK));
  guint32 slots[8], ranges[8];

  _mm256_storeu_si256 ((__m256i *) slots, slot);
#pragma GCC unroll 8
  for (guint lane = 0; lane < 8; lane++)
    ranges[lane] = look_up (tables, table[lane], slots[lane], &symbols[lane]);
  /* not by way of memory: a load of several stores waits for them all */
  __m256i range = _mm256_setr_epi32 ((gint32) ranges[0], (gint32) ranges[1],
      (gint32) ranges[2], (gint32) ranges[3], (gint32) ranges[4],
      (gint32) ranges[5], (gint32) ranges[6], (gint32) ranges[7]);
  __m256i start = _mm256_and_si256 (range, low16);
  __m256i limit = _mm256_srli_epi32 (range, 16);
  __m256i escape = _mm256_cmpeq_epi32 (limit, total);

  *escapes = (guint) _mm256_movemask_ps (_mm256_castsi256_ps (escape));
  x = _mm256_mullo_epi32 (_mm256_sub_epi32 (limit, start),
      _mm256_srli_epi32 (x, RD_TABLE_BITS));
  return _mm256_add_epi32 (x, _mm256_sub_epi32 (slot, start));
}

static inline RD_TARGET void
decode_lanes (RdRansDecoder * d, guint n_vectors, const guint16 * table,
    gint32 * symbols, gsize n_groups)
{
  const gsize lanes = (gsize) n_vectors * 8;
  __m256i x[MAX_VECTORS] = { 0 }, *state = (__m256i *) d->state;
  const guint8 *p = d->p;

  for (guint v = 0; v < n_vectors; v++)
    x[v] = _mm256_loadu_si256 (&state[v]);
  for (; n_groups > 0; n_groups--, table += lanes, symbols += lanes) {
    if (G_UNLIKELY ((gsize) (d->end - p) < 2 * lanes))
      break;
    guint32 escapes = 0, mask;

#pragma GCC unroll 4
    for (guint v = 0; v < n_vectors; v++) {
      x[v] = decode_vector (d->tables, x[v], table + 8 * v, symbols + 8 * v,
          &mask);
      escapes |= mask << 8 * v;
    }
#pragma GCC unroll 4
    for (guint v = 0; v < n_vectors; v++)
      x[v] = refill (x[v], &p);
    if (G_LIKELY (!escapes))
      continue;
    for (guint v = 0; v < n_vectors; v++)
      _mm256_storeu_si256 (&state[v], x[v]);
    d->p = p;
    rd_rans_read_escapes (d, table, symbols, escapes);
    p = d->p;
    for (guint v = 0; v < n_vectors; v++)
      x[v] = _mm256_loadu_si256 (&state[v]);
  }
  for (guint v = 0; v < n_vectors; v++)
    _mm256_storeu_si256 (&state[v], x[v]);
  d->p = p;
  for (; n_groups > 0; n_groups--, table += lanes, symbols += lanes)
    rd_rans_decode_careful (d, table, symbols);
}

static RD_TARGET void
decode_groups (RdRansDecoder * d, const guint16 * table, gint32 * symbols,
    gsize n_groups)
{
  switch (d->lanes) {
    case 8:
      decode_lanes (d, 1, table, symbols, n_groups);
      break;
    case 16:
      decode_lanes (d, 2, table, symbols, n_groups);
      break;
    default:
      decode_lanes (d, 4, table, symbols, n_groups);
      break;
  }
}

/* Low and high halves of 8 entries, in the order of the lanes. */
static inline RD_TARGET void
load_entries (const guint64 * entries, __m256i * m, __m256i * high)
{
  const __m256i a = _mm256_loadu_si256 ((const __m256i *) entries);
  const __m256i b = _mm256_loadu_si256 ((const __m256i *) (entries + 4));
  const __m256 af = _mm256_castsi256_ps (a), bf = _mm256_castsi256_ps (b);
  __m256i even = _mm256_castps_si256 (_mm256_shuffle_ps (af, bf, 0x88));
  __m256i odd = _mm256_castps_si256 (_mm256_shuffle_ps (af, bf, 0xdd));

  *m = _mm256_permute4x64_epi64 (even, 0xd8);
  *high = _mm256_permute4x64_epi64 (odd, 0xd8);
}

/* x * m >> (31 + b) for 8 lanes. */
static inline RD_TARGET __m256i
divide (__m256i x, __m256i m, __m256i high)
{
  const __m256i bias = _mm256_set1_epi64x (31);
  __m256i b = _mm256_srli_epi32 (high, RD_ENTRY_B_SHIFT);
  __m256i b_even = _mm256_srli_epi64 (_mm256_slli_epi64 (b, 32), 32);
  __m256i b_odd = _mm256_srli_epi64 (b, 32);
  __m256i even = _mm256_mul_epu32 (x, m);
  __m256i odd = _mm256_mul_epu32 (_mm256_srli_epi64 (x, 32),
      _mm256_srli_epi64 (m, 32));

  even = _mm256_srlv_epi64 (even, _mm256_add_epi64 (b_even, bias));
  odd = _mm256_srlv_epi64 (odd, _mm256_add_epi64 (b_odd, bias));
  return _mm256_blend_epi32 (even, _mm256_slli_epi64 (odd, 32), 0xaa);
}

/* States too large for the next symbol store their low word. */
static inline RD_TARGET __m256i
store_words (__m256i x, __m256i f, guint8 ** p)
{
  __m256i bound = _mm256_sub_epi32 (_mm256_slli_epi32 (f,
          RD_RANS_STATE_BITS - RD_TABLE_BITS), _mm256_set1_epi32 (1));
  __m256i full = _mm256_cmpgt_epi32 (x, bound);
  guint mask = (guint) _mm256_movemask_ps (_mm256_castsi256_ps (full));
  __m256i low = _mm256_and_si256 (x, _mm256_set1_epi32 (0xffff));
  __m128i words = _mm_packus_epi32 (_mm256_castsi256_si128 (low),
      _mm256_extracti128_si256 (low, 1));

  words = _mm_shuffle_epi8 (words, _mm_loadu_si128 ((const __m128i *)
          rd_rans_compress[mask]));
  _mm_storeu_si128 ((__m128i *) (*p - 16), words);
  *p -= 2 * _mm_popcnt_u32 (mask);
  return _mm256_blendv_epi8 (x, _mm256_srli_epi32 (x, 16), full);
}

static inline RD_TARGET __m256i
encode_vector (__m256i x, const guint64 * entries, guint8 ** p)
{
  const __m256i low14 = _mm256_set1_epi32 (RD_ENTRY_MASK);
  __m256i m, high;

  load_entries (entries, &m, &high);
  __m256i f = _mm256_add_epi32 (_mm256_and_si256 (high, low14),
      _mm256_set1_epi32 (1));
  __m256i start = _mm256_and_si256 (_mm256_srli_epi32 (high,
          RD_ENTRY_START_SHIFT), low14);
  x = store_words (x, f, p);
  __m256i q = divide (x, m, high);
  __m256i rest = _mm256_sub_epi32 (_mm256_set1_epi32 (RD_TABLE_TOTAL), f);
  return _mm256_add_epi32 (_mm256_add_epi32 (x, start),
      _mm256_mullo_epi32 (q, rest));
}

static inline RD_TARGET void
encode_lanes (RdRansWriter * writer, guint n_vectors, const guint64 * entries,
    gsize n_groups)
{
  __m256i x[MAX_VECTORS] = { 0 }, *state = (__m256i *) writer->state;
  guint8 *p = writer->p;

  for (guint v = 0; v < n_vectors; v++)
    x[v] = _mm256_loadu_si256 (&state[v]);
  while (n_groups-- > 0) {
    const guint64 *group = entries + n_groups * n_vectors * 8;

#pragma GCC unroll 4
    for (guint v = n_vectors; v-- > 0;)
      x[v] = encode_vector (x[v], group + (gsize) v * 8, &p);
  }
  for (guint v = 0; v < n_vectors; v++)
    _mm256_storeu_si256 (&state[v], x[v]);
  writer->p = p;
}

static RD_TARGET void
encode_groups (RdRansWriter * writer, guint lanes, const guint64 * entries,
    gsize n_groups)
{
  switch (lanes) {
    case 8:
      encode_lanes (writer, 1, entries, n_groups);
      break;
    case 16:
      encode_lanes (writer, 2, entries, n_groups);
      break;
    default:
      encode_lanes (writer, 4, entries, n_groups);
      break;
  }
}

const RdRansKernels rd_rans_kernels_avx2 = {
  "avx2", decode_groups, decode_single, encode_groups
};
#endif
