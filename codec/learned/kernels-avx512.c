#include "codec/entropy/rans-private.h"

#ifdef RD_RANS_X86
#define RD_TARGET __attribute__((target ("avx512f,avx512bw,avx512vl")))
#define RD_VECTOR_BYTES 64
#define RD_KERNELS rd_learned_kernels_avx512
#include "codec/learned/kernels-impl.h"
#endif
