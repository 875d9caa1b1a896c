/* The two loops of the blocked products: the register tile and the transposition. Compiled once for each instruction set. */
#include "models/kernels/isa-impl.h"

/* Row r of w, from the pointer three rows apart that is nearest: four pointers and one stride address twelve rows, so nothing of the
 * addressing spills. */
#define W_ROW(r) (base[(r) / 3] + ((r) % 3) * ldw)

V_INLINE void
tile (const guint rows, const guint vectors, const float *w, gsize ldw,
    const float *x, gsize ldx, gsize k, float *c, gsize ldc,
    gboolean accumulate, const guint8 * ahead, gsize ahead_step)
{
  vf acc[TILE_ROWS][ST_MAX_VECTORS];
  const float *base[(TILE_ROWS + 2) / 3];

  for (guint r = 0; r < (rows + 2) / 3; r++)
    base[r] = w + 3 * r * ldw;
#pragma GCC unroll 16
  for (guint r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (guint v = 0; v < vectors; v++)
      acc[r][v] = accumulate ? v_load (c + r * ldc + v * VL) : v_zero ();

  for (gsize i = 0; i < k; i++, x += ldx) {
    vf xv[ST_MAX_VECTORS];

    __builtin_prefetch (ahead, 0, 2);
    ahead += ahead_step;

#pragma GCC unroll 2
    for (guint v = 0; v < vectors; v++)
      xv[v] = v_load (x + v * VL);
#pragma GCC unroll 16
    for (guint r = 0; r < rows; r++) {
      const vf wv = v_set1 (W_ROW (r)[i]);

#pragma GCC unroll 2
      for (guint v = 0; v < vectors; v++)
        acc[r][v] = v_fma (wv, xv[v], acc[r][v]);
    }
  }

#pragma GCC unroll 16
  for (guint r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (guint v = 0; v < vectors; v++)
      v_store (c + r * ldc + v * VL, acc[r][v]);
}

#define TILE(rows, vectors) \
static void \
tile_##rows##x##vectors (const float *w, gsize ldw, const float *x, gsize ldx, \
    gsize k, float *c, gsize ldc, gboolean accumulate, \
    const guint8 * ahead, gsize ahead_step) \
{ \
  tile (rows, vectors, w, ldw, x, ldx, k, c, ldc, accumulate, ahead, \
      ahead_step); \
}
#define TILES(rows) TILE (rows, 1) TILE (rows, 2)
#define ENTRY(rows) { tile_##rows##x1, tile_##rows##x2 }

TILES (1)
    TILES (2)
    TILES (3)
    TILES (4)
#if TILE_ROWS > 4
    TILES (5)
    TILES (6)
#endif
#if TILE_ROWS > 6
    TILES (7)
    TILES (8)
    TILES (9)
    TILES (10)
    TILES (11)
    TILES (12)
#endif
     const StTile ST_ISA (tiles)[TILE_ROWS][ST_MAX_VECTORS] = {
  ENTRY (1), ENTRY (2), ENTRY (3), ENTRY (4),
#if TILE_ROWS > 4
  ENTRY (5), ENTRY (6),
#endif
#if TILE_ROWS > 6
  ENTRY (7), ENTRY (8), ENTRY (9), ENTRY (10), ENTRY (11), ENTRY (12),
#endif
     };

/* One VL x VL corner of the transposition: rows x cols of it exist in src, width x cols are written. */
     V_INLINE void
         transpose_corner (const float *src, gsize lds, gsize rows, gsize cols,
         float *dst, gsize ldd, gsize width)
     {
       vf r[VL];

#pragma GCC unroll 16
       for (gsize i = 0; i < VL; i++) {
         if (i >= rows)
           r[i] = v_zero ();
         else
           r[i] = cols == VL ? v_load (src + i * lds) :
               v_load_n (src + i * lds, cols);
       }
       v_transpose (r);
#pragma GCC unroll 16
       for (gsize i = 0; i < VL; i++) {
         if (i >= cols)
           break;
         if (width == VL)
           v_store (dst + i * ldd, r[i]);
         else
           v_store_n (dst + i * ldd, r[i], width);
       }
     }

     void ST_ISA (transpose) (const float *src, gsize lds, gsize rows,
         gsize cols, float *dst, gsize ldd, gsize width)
     {
       for (gsize r = 0; r < width; r += VL) {
         const gsize here = r < rows ? MIN (rows - r, VL) : 0;
         const gsize wide = MIN (width - r, VL);

         for (gsize c = 0; c < cols; c += VL) {
           const gsize left = MIN (cols - c, VL);

           if (here == VL && left == VL && wide == VL)
             transpose_corner (src + r * lds + c, lds, VL, VL,
                 dst + c * ldd + r, ldd, VL);
           else
             transpose_corner (src + r * lds + c, lds, here, left,
                 dst + c * ldd + r, ldd, wide);
         }
       }
     }
