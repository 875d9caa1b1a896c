/* The cancel flag of long kernels. */
#pragma once
#include <glib.h>

/** st_cancelled: TRUE once another thread has set @cancel, which may be NULL. */
static inline gboolean
st_cancelled (const gint * cancel)
{
  return cancel != NULL && __atomic_load_n (cancel, __ATOMIC_RELAXED) != 0;
}
