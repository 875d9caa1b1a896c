#include "tests/support/exact-weights.h"

#include <string.h>

const double *
rd_test_load_weights (const StDoubleTail * exact,
    const RdParameters * parameters, const double *values, gboolean tied)
{
  const double *embedding = NULL;
  double *array;
  gsize n;

  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    const RdParameter *p = rd_parameters_get (parameters, i);

    array = st_double_tail_find (exact, p->name, &n);
    if (array != NULL)
      memcpy (array, values + p->offset, n * sizeof (double));
    if (strcmp (p->name, "token_embd.weight") == 0)
      embedding = values + p->offset;
  }
  if (tied && embedding != NULL) {
    array = st_double_tail_find (exact, "output.weight", &n);
    memcpy (array, embedding, n * sizeof (double));
  }
  return embedding;
}
