#include "models/kv-cache.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pages are given back once a truncation has left this much unused: below it the system calls cost more than the memory. */
#define RELEASE_BYTES (1u << 20)

struct _StKvCache
{
  StType type;
  guint n_layers;
  guint n_kv_heads;
  guint head_dim;
  guint capacity;
  guint length;
  guint touched;                /* positions below this may have pages */
  gsize element;                /* bytes */
  gsize head_bytes;             /* one head's positions in one plane */
  gsize plane_bytes;            /* one layer's keys, or values */
  gsize map_bytes;
  guint8 *map;                  /* layers x { keys, values } */
};

/* The reservation's size; FALSE on overflow. */
static gboolean
set_sizes (StKvCache * cache)
{
  gsize planes;

  return g_size_checked_mul (&cache->head_bytes, cache->capacity,
      cache->head_dim)
      && g_size_checked_mul (&cache->head_bytes, cache->head_bytes,
      cache->element)
      && g_size_checked_mul (&cache->plane_bytes, cache->head_bytes,
      cache->n_kv_heads)
      && g_size_checked_mul (&planes, cache->n_layers, 2)
      && g_size_checked_mul (&cache->map_bytes, cache->plane_bytes, planes)
      && cache->map_bytes <= G_MAXSSIZE;
}

static gboolean
reserve (StKvCache * cache, GError ** error)
{
  if (cache->map_bytes == 0)
    return TRUE;
  cache->map =
      mmap (NULL, cache->map_bytes, PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (cache->map == MAP_FAILED) {
    cache->map = NULL;
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_MEMORY,
        "cannot reserve %" G_GSIZE_FORMAT
        " bytes of address space for a KV cache of %u positions: %s; "
        "use a smaller context size", cache->map_bytes, cache->capacity,
        g_strerror (errno));
    return FALSE;
  }
  /* A huge page would make the first position of every plane cost 2 MiB. */
  madvise (cache->map, cache->map_bytes, MADV_NOHUGEPAGE);
  return TRUE;
}

StKvCache *
st_kv_cache_new (StModel * model, guint context_size, StType type,
    GError ** error)
{
  const StModelConfig *config = st_model_config (model);
  guint capacity = context_size > 0 ? context_size : config->context_length;
  StKvCache *cache;

  if (type != ST_TYPE_F32 && type != ST_TYPE_F16) {
    const StTypeTraits *traits = st_type_traits (type);

    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_UNSUPPORTED,
        "KV cache type %s is not supported; supported: F32, F16",
        traits != NULL ? traits->name : "(unknown)");
    return NULL;
  }
  capacity = MIN (capacity, st_model_max_positions (model));
  if (capacity > G_MAXINT32) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CONTEXT,
        "a context of %u positions is too large", capacity);
    return NULL;
  }

  cache = g_new0 (StKvCache, 1);
  cache->type = type;
  cache->element = type == ST_TYPE_F32 ? sizeof (gfloat) : sizeof (guint16);
  cache->n_layers = st_model_n_layers (model);
  cache->n_kv_heads = config->n_kv_heads;
  cache->head_dim = config->head_dim;
  cache->capacity = capacity;
  if (!set_sizes (cache)) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_MEMORY,
        "a KV cache of %u positions is larger than the address space; use a smaller context size",
        capacity);
    g_free (cache);
    return NULL;
  }
  if (!reserve (cache, error)) {
    g_free (cache);
    return NULL;
  }
  return cache;
}

void
st_kv_cache_free (StKvCache * cache)
{
  if (cache == NULL)
    return;
  if (cache->map != NULL)
    munmap (cache->map, cache->map_bytes);
  g_free (cache);
}

guint
st_kv_cache_length (const StKvCache * cache)
{
  return cache->length;
}

guint
st_kv_cache_capacity (const StKvCache * cache)
{
  return cache->capacity;
}

StType
st_kv_cache_type (const StKvCache * cache)
{
  return cache->type;
}

guint
st_kv_cache_layers (const StKvCache * cache)
{
  return cache->n_layers;
}

gsize
st_kv_cache_width (const StKvCache * cache)
{
  return (gsize) cache->n_kv_heads * cache->head_dim;
}

gsize
st_kv_cache_position_bytes (const StKvCache * cache)
{
  return 2 * (gsize) cache->n_layers * st_kv_cache_width (cache) *
      cache->element;
}

const void *
st_kv_cache_keys (const StKvCache * cache, guint layer)
{
  return cache->map + 2 * (gsize) layer *cache->plane_bytes;
}

const void *
st_kv_cache_values (const StKvCache * cache, guint layer)
{
  return cache->map + (2 * (gsize) layer + 1) * cache->plane_bytes;
}

static void
store_row (const StKvCache * cache, guint8 * plane, gsize position,
    const float *row)
{
  gsize dim = cache->head_dim;

  for (guint head = 0; head < cache->n_kv_heads; head++) {
    guint8 *dst =
        plane + head * cache->head_bytes + position * dim * cache->element;
    const float *src = row + head * dim;

    if (cache->type == ST_TYPE_F32) {
      memcpy (dst, src, dim * sizeof (float));
    } else {
      st_floats_to_half (src, (guint16 *) dst, dim);
    }
  }
}

void
st_kv_cache_store (StKvCache * cache, guint layer, gsize position,
    const float *key, const float *value)
{
  guint8 *keys = cache->map + 2 * (gsize) layer * cache->plane_bytes;

  g_assert (layer < cache->n_layers && position < cache->capacity);
  store_row (cache, keys, position, key);
  store_row (cache, keys + cache->plane_bytes, position, value);
}

void
st_kv_cache_touch (StKvCache * cache, guint end)
{
  g_assert (end <= cache->capacity);
  cache->touched = MAX (cache->touched, end);
}

void
st_kv_cache_advance (StKvCache * cache, guint length)
{
  g_assert (length >= cache->length && length <= cache->touched);
  cache->length = length;
}

/* Gives back the whole pages of every head's positions from the length on. */
static void
release_pages (StKvCache * cache)
{
  gsize page = (gsize) sysconf (_SC_PAGESIZE);
  gsize position = cache->head_dim * cache->element;

  for (gsize head = 0; head < 2 * (gsize) cache->n_layers * cache->n_kv_heads;
      head++) {
    gsize start = head * cache->head_bytes + cache->length * position;
    gsize end = head * cache->head_bytes + cache->touched * position;
    gsize limit = (head + 1) * cache->head_bytes / page * page; /* the next head begins in the page there */

    start = (start + page - 1) / page * page;
    end = MIN ((end + page - 1) / page * page, limit);
    if (start < end)
      madvise (cache->map + start, end - start, MADV_DONTNEED);
  }
  cache->touched = cache->length;
}

gboolean
st_kv_cache_truncate (StKvCache * cache, guint length)
{
  if (length > cache->length)
    return FALSE;
  cache->length = length;
  if ((cache->touched - length) * st_kv_cache_position_bytes (cache) >=
      RELEASE_BYTES)
    release_pages (cache);
  return TRUE;
}
