#include "codec/training/arena.h"

#include <math.h>
#include <stdlib.h>

#include "models/model.h"

#define ALIGNMENT 64
#define PAD (ALIGNMENT / sizeof (float))
#define MAX_FLOATS (G_MAXSIZE / sizeof (float) - PAD)

gsize
rd_arena_padded (gsize n)
{
  return (n + PAD - 1) / PAD * PAD;
}

float *
rd_arena_take (RdArena * arena, gsize rows, gsize cols)
{
  float *taken = arena->memory != NULL ? arena->memory + arena->n : NULL;
  gsize n;

  if (!g_size_checked_mul (&n, rows, cols) || n > MAX_FLOATS
      || !g_size_checked_add (&arena->n, arena->n, rd_arena_padded (n))
      || arena->n > MAX_FLOATS)
    arena->overflow = TRUE;
  return taken;
}

gboolean
rd_arena_allocate (RdArena * arena, const gchar * what, GError ** error)
{
  if (!arena->overflow)
    arena->memory = aligned_alloc (ALIGNMENT, MAX (arena->n, PAD) *
        sizeof (float));
  if (arena->memory == NULL) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_MEMORY,
        "cannot allocate %.0f MiB for %s", arena->overflow ? INFINITY :
        (gdouble) arena->n * sizeof (float) / (1 << 20), what);
    return FALSE;
  }
  arena->n = 0;
  return TRUE;
}

void
rd_arena_clear (RdArena * arena)
{
  free (arena->memory);
  *arena = (RdArena) {
  0};
}
