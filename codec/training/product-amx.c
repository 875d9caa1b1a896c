/* Products of values in bfloat16 on AMX tiles (Intel, since 2023). */
#include "codec/training/product-private.h"

#if defined (__x86_64__) && defined (__linux__) && defined (__has_include)
#if __has_include (<amxbf16intrin.h>)
#define HAVE_AMX
#endif
#endif

#ifdef HAVE_AMX
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET __attribute__ ((target ("avx512f,avx512bw,avx512vl,avx512bf16,amx-tile,amx-bf16")))

/* <asm/prctl.h> of older systems does not have it. */
#define REQUEST_PERMISSION 0x1023
#define TILE_DATA 18

#define LEAF_FEATURES 7
#define EDX_AMX_BF16 (1u << 22)
#define EDX_AMX_TILE (1u << 24)
#define EAX_AVX512_BF16 (1u << 5)       /* of sub-leaf 1 */

#define ROW_BYTES (RD_TILE_DEPTH * sizeof (guint16))

/* What LDTILECFG reads. */
typedef struct
{
  guint8 palette, start_row, reserved[14];
  guint16 row_bytes[16];
  guint8 rows[16];
} TileConfig;

G_STATIC_ASSERT (sizeof (TileConfig) == 64);

/* GCC does not know that LDTILECFG reads all of it: what is static is there. */
static const TileConfig config = {
  .palette = 1,
  .row_bytes = {ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES,
      ROW_BYTES, ROW_BYTES, ROW_BYTES},
  .rows = {RD_TILE_LINES, RD_TILE_LINES, RD_TILE_LINES, RD_TILE_LINES,
      RD_TILE_LINES, RD_TILE_LINES, RD_TILE_LINES, RD_TILE_LINES}
};

TARGET static void
begin (void)
{
  _tile_loadconfig (&config);
}

/* The kernel does not have to save tiles that are not in use. */
TARGET static void
end (void)
{
  _tile_release ();
}

/* The first @n of 16 lanes. */
static __mmask16
lanes (gsize n)
{
  return (__mmask16) (n < 16 ? (1u << n) - 1 : 0xffff);
}

static gsize
above (gsize n, gsize first)
{
  return n > first ? n - first : 0;
}

/* The pairs of a line of @n values. */
TARGET static __m512i
pairs_of_line (const float *values, gsize n)
{
  const __m512 low = _mm512_maskz_loadu_ps (lanes (n), values);
  const __m512 high = _mm512_maskz_loadu_ps (lanes (above (n, 16)),
      values + 16);

  return (__m512i) _mm512_cvtne2ps_pbh (high, low);
}

/* A pair of each of @lines lines, of which there are @n values; a row of @values has one of each line. */
TARGET static __m512i
pairs_across (const float *values, gsize stride, gsize lines, gsize n)
{
  const __m512i order = _mm512_set_epi16 (31, 15, 30, 14, 29, 13, 28, 12, 27,
      11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17,
      1, 16, 0);
  const __m512 first = _mm512_maskz_loadu_ps (n > 0 ? lanes (lines) : 0,
      values);
  const __m512 second = _mm512_maskz_loadu_ps (n > 1 ? lanes (lines) : 0,
      values + stride);

  return _mm512_permutexvar_epi16 (order,
      (__m512i) _mm512_cvtne2ps_pbh (second, first));
}

/* Of 4 x 4 pairs in each quarter of four vectors. */
TARGET static void
transpose_quarters (__m512i * v)
{
  const __m512i a = _mm512_unpacklo_epi32 (v[0], v[1]);
  const __m512i b = _mm512_unpackhi_epi32 (v[0], v[1]);
  const __m512i c = _mm512_unpacklo_epi32 (v[2], v[3]);
  const __m512i d = _mm512_unpackhi_epi32 (v[2], v[3]);

  v[0] = _mm512_unpacklo_epi64 (a, c);
  v[1] = _mm512_unpackhi_epi64 (a, c);
  v[2] = _mm512_unpacklo_epi64 (b, d);
  v[3] = _mm512_unpackhi_epi64 (b, d);
}

/* Of 4 x 4 quarters in the vectors v[0], v[4], v[8], v[12]. */
TARGET static void
transpose_vectors (__m512i * v)
{
  const __m512i a = _mm512_shuffle_i32x4 (v[0], v[4], 0x88);
  const __m512i b = _mm512_shuffle_i32x4 (v[0], v[4], 0xdd);
  const __m512i c = _mm512_shuffle_i32x4 (v[8], v[12], 0x88);
  const __m512i d = _mm512_shuffle_i32x4 (v[8], v[12], 0xdd);

  v[0] = _mm512_shuffle_i32x4 (a, c, 0x88);
  v[4] = _mm512_shuffle_i32x4 (b, d, 0x88);
  v[8] = _mm512_shuffle_i32x4 (a, c, 0xdd);
  v[12] = _mm512_shuffle_i32x4 (b, d, 0xdd);
}

/* 16 x 16 pairs. */
TARGET static void
transpose (__m512i * v)
{
  for (guint i = 0; i < 16; i += 4)
    transpose_quarters (v + i);
  for (guint i = 0; i < 4; i++)
    transpose_vectors (v + i);
}

TARGET static void
pack (const RdOperand * factor, gsize depth, gsize line, gsize k,
    gboolean by_pairs, guint16 * tile)
{
  const gsize lines = above (factor->lines, line);
  const float *values = factor->values;
  __m512i v[16];

  for (gsize i = 0; i < 16; i++) {
    if (factor->across)
      v[i] = pairs_across (values + (k + 2 * i) * factor->stride + line,
          factor->stride, lines, above (depth, k + 2 * i));
    else
      v[i] = pairs_of_line (values + (line + i) * factor->stride + k,
          i < lines ? above (depth, k) : 0);
  }
  if (factor->across != by_pairs)
    transpose (v);
  for (gsize i = 0; i < 16; i++)
    _mm512_store_si512 (tile + i * RD_TILE_DEPTH, v[i]);
}

/* GCC does not know either which memory tiles are loaded from and stored to. */
static void
fence (void)
{
  __asm__ volatile ("":::"memory");
}

/* Tiles 0 .. 3: c; 4, 5: left; 6, 7: right. */
TARGET static void
multiply (const guint16 * left, const guint16 * right, gsize steps,
    gboolean accumulate, float *c, gsize stride)
{
  const long row = (long) (stride * sizeof (float));
  float *below = c + RD_TILE_LINES * stride;

  fence ();
  if (accumulate) {
    _tile_loadd (0, c, row);
    _tile_loadd (1, c + RD_TILE_LINES, row);
    _tile_loadd (2, below, row);
    _tile_loadd (3, below + RD_TILE_LINES, row);
  } else {
    _tile_zero (0);
    _tile_zero (1);
    _tile_zero (2);
    _tile_zero (3);
  }
  for (gsize i = 0; i < steps; i++) {
    _tile_loadd (4, left, ROW_BYTES);
    _tile_loadd (6, right, ROW_BYTES);
    _tile_loadd (7, right + RD_TILE_VALUES, ROW_BYTES);
    _tile_dpbf16ps (0, 4, 6);
    _tile_loadd (5, left + RD_TILE_VALUES, ROW_BYTES);
    _tile_dpbf16ps (1, 4, 7);
    _tile_dpbf16ps (2, 5, 6);
    _tile_dpbf16ps (3, 5, 7);
    left += 2 * RD_TILE_VALUES;
    right += 2 * RD_TILE_VALUES;
  }
  _tile_stored (0, c, row);
  _tile_stored (1, c + RD_TILE_LINES, row);
  _tile_stored (2, below, row);
  _tile_stored (3, below + RD_TILE_LINES, row);
  fence ();
}

static const RdProductKernels kernels = {
  "amx", begin, end, pack, multiply
};

static gboolean
cpu_has_tiles (void)
{
  guint eax, ebx, ecx, edx;

  if (!__builtin_cpu_supports ("avx512f")
      || !__builtin_cpu_supports ("avx512bw")
      || !__builtin_cpu_supports ("avx512vl")
      || !__get_cpuid_count (LEAF_FEATURES, 0, &eax, &ebx, &ecx, &edx)
      || (edx & EDX_AMX_TILE) == 0 || (edx & EDX_AMX_BF16) == 0)
    return FALSE;
  return __get_cpuid_count (LEAF_FEATURES, 1, &eax, &ebx, &ecx, &edx)
      && (eax & EAX_AVX512_BF16) != 0;
}

/* The permission is one of the process: threads that are there already have it, too. */
static gboolean
kernel_permits_tiles (void)
{
  return syscall (SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

const RdProductKernels *
rd_product_kernels_amx (void)
{
  static gsize state;
  enum
  { THERE = 1, MISSING };

  if (g_once_init_enter (&state)) {
    __builtin_cpu_init ();
    g_once_init_leave (&state, cpu_has_tiles () && kernel_permits_tiles ()?
        THERE : MISSING);
  }
  return state == THERE ? &kernels : NULL;
}
#else
const RdProductKernels *
rd_product_kernels_amx (void)
{
  return NULL;
}
#endif
