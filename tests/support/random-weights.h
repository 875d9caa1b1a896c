/* Random matrices and cache contents for the tests of the kernels. */
#pragma once
#include "models/gguf/types.h"

G_BEGIN_DECLS

/** st_test_types: every type of weights there is. */
extern const StType st_test_types[11];

/** st_test_floats: @n numbers in -1 .. 1, free with g_free(). */
float *st_test_floats (gsize n);

/** st_test_weights: @n weights (whole blocks) of @type with scales that are finite and of ordinary size; free with g_free(). */
guint8 *st_test_weights (StType type, gsize n);

/** st_test_near: aborts the test unless @value is within @limit of @expected; NaN never is. */
void st_test_near (gdouble value, gdouble expected, gdouble limit);

G_END_DECLS
