/* Prefill through OpenBLAS, for callers that do not ask for results independent of the other rows. */
#pragma once
#include "models/kernels/kernels.h"

G_BEGIN_DECLS

/** st_blas_matmul: as st_matmul() in the prefill regime, with cblas_sgemm. */
void st_blas_matmul (StPool * pool, const StMatrix * w, const float *x,
    gsize m, gsize ldx, float *y, gsize ldy, const gint * cancel);

G_END_DECLS
