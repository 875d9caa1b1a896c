/* 16 states a vector; 8 lanes are AVX2's. */
#include "codec/entropy/rans-private.h"

#ifdef RD_RANS_X86
#include <immintrin.h>

#define RD_TARGET __attribute__((target ("avx512f,avx512bw,avx512vl,popcnt")))
#define MAX_VECTORS (RD_RANS_MAX_LANES / 16)
static inline RD_TARGET guint
count_limits (const guint16 * line, guint slot)
{
  __mmask32 below = _mm512_cmple_epu16_mask (_mm512_load_si512 (line),
      _mm512_set1_epi16 ((gint16) slot));

  return (guint) _mm_popcnt_u32 (below);
}

#include "codec/entropy/rans-impl.h"

static inline RD_TARGET __m512i
refill (__m512i x, const guint8 ** p)
{
  __mmask16 empty = _mm512_cmplt_epu32_mask (x,
      _mm512_set1_epi32 (RD_RANS_LOW));
  __m512i words =
      _mm512_cvtepu16_epi32 (_mm256_loadu_si256 ((const __m256i *) *p));

  words = _mm512_maskz_expand_epi32 (empty, words);
  *p += 2 * _mm_popcnt_u32 (empty);
  return _mm512_mask_or_epi32 (x, empty, _mm512_slli_epi32 (x, 16), words);
}

static inline RD_TARGET __m512i
decode_vector (const RdTables * tables, __m512i x, const guint16 * table,
    gint32 * symbols, guint32 * escapes)
{
  __m512i slot = _mm512_and_si512 (x, _mm512_set1_epi32 (RD_SLOT_MASK));
  guint32 slots[16], ranges[16];

  _mm512_storeu_si512 (slots, slot);
#pragma GCC unroll 16
  for (guint lane = 0; lane < 16; lane++)
    ranges[lane] = look_up (tables, table[lane], slots[lane], &symbols[lane]);
  __m512i range = _mm512_loadu_si512 (ranges);
  __m512i start = _mm512_and_si512 (range, _mm512_set1_epi32 (0xffff));
  __m512i limit = _mm512_srli_epi32 (range, 16);

  *escapes = _mm512_cmpeq_epi32_mask (limit,
      _mm512_set1_epi32 (RD_TABLE_TOTAL));
  x = _mm512_mullo_epi32 (_mm512_sub_epi32 (limit, start),
      _mm512_srli_epi32 (x, RD_TABLE_BITS));
  return _mm512_add_epi32 (x, _mm512_sub_epi32 (slot, start));
}

static inline RD_TARGET void
decode_lanes (RdRansDecoder * d, guint n_vectors, const guint16 * table,
    gint32 * symbols, gsize n_groups)
{
  const gsize lanes = (gsize) n_vectors * 16;
  __m512i x[MAX_VECTORS] = { 0 };
  const guint8 *p = d->p;

  for (guint v = 0; v < n_vectors; v++)
    x[v] = _mm512_loadu_si512 (d->state + 16 * v);
  for (; n_groups > 0; n_groups--, table += lanes, symbols += lanes) {
    if (G_UNLIKELY ((gsize) (d->end - p) < 2 * lanes))
      break;
    guint32 escapes = 0, mask;

#pragma GCC unroll 2
    for (guint v = 0; v < n_vectors; v++) {
      x[v] = decode_vector (d->tables, x[v], table + 16 * v,
          symbols + 16 * v, &mask);
      escapes |= mask << 16 * v;
    }
#pragma GCC unroll 2
    for (guint v = 0; v < n_vectors; v++)
      x[v] = refill (x[v], &p);
    if (G_LIKELY (!escapes))
      continue;
    for (guint v = 0; v < n_vectors; v++)
      _mm512_storeu_si512 (d->state + 16 * v, x[v]);
    d->p = p;
    rd_rans_read_escapes (d, table, symbols, escapes);
    p = d->p;
    for (guint v = 0; v < n_vectors; v++)
      x[v] = _mm512_loadu_si512 (d->state + 16 * v);
  }
  for (guint v = 0; v < n_vectors; v++)
    _mm512_storeu_si512 (d->state + 16 * v, x[v]);
  d->p = p;
  for (; n_groups > 0; n_groups--, table += lanes, symbols += lanes)
    rd_rans_decode_careful (d, table, symbols);
}

static RD_TARGET void
decode_groups (RdRansDecoder * d, const guint16 * table, gint32 * symbols,
    gsize n_groups)
{
  if (d->lanes == 8)
    rd_rans_kernels_avx2.decode_groups (d, table, symbols, n_groups);
  else if (d->lanes == 16)
    decode_lanes (d, 1, table, symbols, n_groups);
  else
    decode_lanes (d, 2, table, symbols, n_groups);
}

/* x * m >> (31 + b) for 16 lanes. */
static inline RD_TARGET __m512i
divide (__m512i x, __m512i m, __m512i high)
{
  const __m512i bias = _mm512_set1_epi64 (31);
  __m512i b = _mm512_srli_epi32 (high, RD_ENTRY_B_SHIFT);
  __m512i b_even = _mm512_srli_epi64 (_mm512_slli_epi64 (b, 32), 32);
  __m512i b_odd = _mm512_srli_epi64 (b, 32);
  __m512i even = _mm512_mul_epu32 (x, m);
  __m512i odd = _mm512_mul_epu32 (_mm512_srli_epi64 (x, 32),
      _mm512_srli_epi64 (m, 32));

  even = _mm512_srlv_epi64 (even, _mm512_add_epi64 (b_even, bias));
  odd = _mm512_srlv_epi64 (odd, _mm512_add_epi64 (b_odd, bias));
  return _mm512_mask_blend_epi32 (0xaaaa, even, _mm512_slli_epi64 (odd, 32));
}

static inline RD_TARGET __m512i
store_words (__m512i x, __m512i f, guint8 ** p)
{
  __mmask16 full = _mm512_cmpge_epu32_mask (x,
      _mm512_slli_epi32 (f, RD_RANS_STATE_BITS - RD_TABLE_BITS));
  guint n = (guint) _mm_popcnt_u32 (full);
  __m256i words = _mm512_cvtepi32_epi16 (_mm512_maskz_compress_epi32 (full, x));

  *p -= (gsize) 2 *n;
  _mm256_mask_storeu_epi16 (*p, (__mmask16) ((1u << n) - 1), words);
  return _mm512_mask_srli_epi32 (x, full, x, 16);
}

static inline RD_TARGET __m512i
encode_vector (__m512i x, const guint64 * entries, guint8 ** p)
{
  const __m512i even = _mm512_set_epi32 (30, 28, 26, 24, 22, 20, 18, 16, 14,
      12, 10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_or_si512 (even, _mm512_set1_epi32 (1));
  const __m512i low14 = _mm512_set1_epi32 (RD_ENTRY_MASK);
  __m512i a = _mm512_loadu_si512 (entries);
  __m512i b = _mm512_loadu_si512 (entries + 8);
  __m512i m = _mm512_permutex2var_epi32 (a, even, b);
  __m512i high = _mm512_permutex2var_epi32 (a, odd, b);
  __m512i f = _mm512_add_epi32 (_mm512_and_si512 (high, low14),
      _mm512_set1_epi32 (1));
  __m512i start = _mm512_and_si512 (_mm512_srli_epi32 (high,
          RD_ENTRY_START_SHIFT), low14);

  x = store_words (x, f, p);
  __m512i q = divide (x, m, high);
  __m512i rest = _mm512_sub_epi32 (_mm512_set1_epi32 (RD_TABLE_TOTAL), f);
  return _mm512_add_epi32 (_mm512_add_epi32 (x, start),
      _mm512_mullo_epi32 (q, rest));
}

static inline RD_TARGET void
encode_lanes (RdRansWriter * writer, guint n_vectors, const guint64 * entries,
    gsize n_groups)
{
  __m512i x[MAX_VECTORS] = { 0 };
  guint8 *p = writer->p;

  for (guint v = 0; v < n_vectors; v++)
    x[v] = _mm512_loadu_si512 (writer->state + 16 * v);
  while (n_groups-- > 0) {
    const guint64 *group = entries + n_groups * n_vectors * 16;

#pragma GCC unroll 2
    for (guint v = n_vectors; v-- > 0;)
      x[v] = encode_vector (x[v], group + (gsize) v * 16, &p);
  }
  for (guint v = 0; v < n_vectors; v++)
    _mm512_storeu_si512 (writer->state + 16 * v, x[v]);
  writer->p = p;
}

static RD_TARGET void
encode_groups (RdRansWriter * writer, guint lanes, const guint64 * entries,
    gsize n_groups)
{
  if (lanes == 8)
    rd_rans_kernels_avx2.encode_groups (writer, lanes, entries, n_groups);
  else if (lanes == 16)
    encode_lanes (writer, 1, entries, n_groups);
  else
    encode_lanes (writer, 2, entries, n_groups);
}

const RdRansKernels rd_rans_kernels_avx512 = {
  "avx512", decode_groups, decode_single, encode_groups
};
#endif
