/* Between the files of one instruction set: what its table is made of. Included by those files only. */
#pragma once
#include "models/kernels/isa.h"
#include "models/kernels/vec.h"

/* Rows of the largest tile: as many as leave registers for the vectors of x and a broadcast. */
#if VL == 16
#define TILE_ROWS 12
#elif VL == 8
#define TILE_ROWS 6
#else
#define TILE_ROWS 4
#endif

extern const StTile ST_ISA (tiles)[TILE_ROWS][ST_MAX_VECTORS];
void ST_ISA (transpose) (const float *src, gsize lds, gsize rows, gsize cols,
    float *dst, gsize ldd, gsize width);
void ST_ISA (dequantise) (StType type, const void *src, float *dst, gsize n);
void ST_ISA (to_half) (const float *src, guint16 * dst, gsize n);
void ST_ISA (dot) (const float *w, gsize ldw, gsize rows, const float *x,
    gsize ldx, gsize m, gsize k, float *y, gsize ldy);
