/* Which kernels OpenBLAS takes. It knows CPUs by family and model, and takes those of very old ones (SSE3) for what is newer than itself. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** st_openblas_wanted_core: name of the core whose kernels OpenBLAS should take in place of those of @core on a CPU that has AVX2 and FMA, or AVX-512 (F, DQ, BW,
 * VL), too; NULL if those of @core are as good. @core: what openblas_get_corename() says. */
const gchar *st_openblas_wanted_core (const gchar * core, gboolean avx2, gboolean avx512);

/** st_openblas_restart: for the beginning of main(): if OpenBLAS took kernels far below what this CPU has, and the environment does not choose them
 * (OPENBLAS_CORETYPE), sets it and executes the program anew with @argv; the choice is made while libraries are loaded. Returns if there is nothing to do,
 * or, with a warning on standard error, if that fails or the file that runs has another name than argv[0] (the dynamic loader). Linux on x86; elsewhere does
 * nothing. */
void st_openblas_restart (gchar ** argv);

G_END_DECLS
