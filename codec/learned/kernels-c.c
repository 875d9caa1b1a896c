/* Baseline: what every CPU of the architecture has. */
#define RD_TARGET
#define RD_VECTOR_BYTES 16
#define RD_KERNELS rd_learned_kernels_c
#include "codec/learned/kernels-impl.h"
