/* What a fuzz test implements; fuzz-main.c has main(): it damages the seeds and calls fuzz_one() with what comes out.
 *
 * Environment: FUZZ_SECONDS (default 5), FUZZ_SEED (default 1). Before each call the input is stored in the file FUZZ_LAST names, if it is
 * set: after a crash, give that file as the argument to run it alone. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** fuzz_one: must neither crash, leak, hang nor read beyond @data, which is a heap block of exactly @size bytes; asserts what must hold. */
void fuzz_one (const guint8 * data, gsize size);
/** fuzz_seed: valid input number @i, newly made; NULL when there are no more. */
GBytes *fuzz_seed (guint i);

G_END_DECLS
