/* Keys and values of one session, in the layout that st_attention() reads. Used by the model alone; the public part is in model.h. */
#pragma once
#include "models/model.h"

G_BEGIN_DECLS

/** st_kv_cache_keys, st_kv_cache_values: start of @layer's (0 = first block of the range) [n_kv_heads][capacity][head_dim] plane. */
const void *st_kv_cache_keys (const StKvCache * cache, guint layer);
const void *st_kv_cache_values (const StKvCache * cache, guint layer);
StType st_kv_cache_type (const StKvCache * cache);
/** Number of layers and floats a position (n_kv_heads * head_dim) the cache was made for. */
guint st_kv_cache_layers (const StKvCache * cache);
gsize st_kv_cache_width (const StKvCache * cache);

/** st_kv_cache_store: writes one position's key and value (n_kv_heads * head_dim floats each); @position < capacity. The length
 * does not change. Different positions may be stored by different threads at once. */
void st_kv_cache_store (StKvCache * cache, guint layer, gsize position, const float *key, const float *value);
/** st_kv_cache_touch: positions below @end are about to be stored (they count as used memory even if the run fails). */
void st_kv_cache_touch (StKvCache * cache, guint end);
/** st_kv_cache_advance: @length positions are now stored, at least as many as before. */
void st_kv_cache_advance (StKvCache * cache, guint length);

G_END_DECLS
