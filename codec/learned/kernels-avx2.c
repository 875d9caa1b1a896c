#include "codec/entropy/rans-private.h"

#ifdef RD_RANS_X86
#define RD_TARGET __attribute__((target ("avx2")))
#define RD_VECTOR_BYTES 32
#define RD_KERNELS rd_learned_kernels_avx2
#include "codec/learned/kernels-impl.h"
#endif
