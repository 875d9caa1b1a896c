/* Many arrays of floats in one allocation. Laying out is done twice by the same code: once to count, once to hand out. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** RdArena: zeroed at first. */
typedef struct
{
  float *memory;                /* owned; NULL while counting */
  gsize n;                      /* floats taken */
  gboolean overflow;            /* while counting: more than the address space */
} RdArena;

/** rd_arena_take: the next @rows x @cols floats, 64-byte aligned and not initialised; NULL while counting. */
float *rd_arena_take (RdArena * arena, gsize rows, gsize cols);
/** rd_arena_padded: floats that an array of @n takes. */
gsize rd_arena_padded (gsize n);
/** rd_arena_allocate: ends counting. Allocates what was counted; then the same calls of rd_arena_take() must follow. Error
 * ST_MODEL_ERROR_MEMORY, which names @what and its size. */
gboolean rd_arena_allocate (RdArena * arena, const gchar * what, GError ** error);
void rd_arena_clear (RdArena * arena);

/** rd_arena_gradient: where the derivative by @array of @arena is in a vector that is laid out like it; NULL if @gradient is. */
static inline float *
rd_arena_gradient (const RdArena * arena, const float *array, float *gradient)
{
  return gradient != NULL ? gradient + (array - arena->memory) : NULL;
}

G_END_DECLS
