/* Tensor element types of GGUF files (ggml's numbers) and their conversion to float. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** StType: element type of a tensor, with ggml's numbering (GGUF specification, ggml_type). */
typedef enum
{
  ST_TYPE_F32 = 0,
  ST_TYPE_F16 = 1,
  ST_TYPE_Q4_0 = 2,
  ST_TYPE_Q4_1 = 3,
  ST_TYPE_Q5_0 = 6,
  ST_TYPE_Q5_1 = 7,
  ST_TYPE_Q8_0 = 8,
  ST_TYPE_Q4_K = 12,
  ST_TYPE_Q5_K = 13,
  ST_TYPE_Q6_K = 14,
  ST_TYPE_BF16 = 30,
} StType;

/** StTypeTraits: how a row of one type is stored. */
typedef struct
{
  const gchar *name;            /* "Q4_1" */
  guint block_size;             /* elements a block */
  guint block_bytes;            /* bytes a block */
  /* Plain C reference conversion of n elements (a multiple of block_size) to float. */
  void (*to_float) (const void *src, float *dst, gsize n);
} StTypeTraits;

/** st_type_traits: traits of @type, or %NULL for a type this library does not read. */
const StTypeTraits *st_type_traits (StType type);

/** st_type_row_bytes: bytes of a row of @n elements; 0 if @n is not a multiple of the block or it overflows. */
gsize st_type_row_bytes (StType type, gsize n);

/** st_type_from_float: rounds a row of @n elements to @type, which is F32, F16 or Q8_0 (scale: the block's largest magnitude / 127), into
 * st_type_row_bytes() bytes at @dst. FALSE for another type, and for @n that are not whole blocks. */
gboolean st_type_from_float (StType type, const float *src, void *dst, gsize n);

/** IEEE half and bfloat16 to float and back (round to nearest even), plain C, exact on every CPU. */
float st_half_to_float (guint16 h);
guint16 st_float_to_half (float value);
float st_bf16_to_float (guint16 h);

G_END_DECLS
