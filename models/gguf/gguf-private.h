/* Inside of StGguf, shared by the reader's source files. */
#pragma once
#include "models/gguf/gguf.h"

G_BEGIN_DECLS

#define ST_GGUF_MAGIC "GGUF"
#define ST_GGUF_DEFAULT_ALIGNMENT 32
#define ST_GGUF_MAX_NAME_BYTES 65535
/* Most tensors, and most keys, of one file: far above any model; bounds what a damaged count makes us allocate. */
#define ST_GGUF_MAX_ITEMS (1u << 20)

/* StGgufItem: a metadata entry and what open() prepared for its getters. */
typedef struct
{
  StGgufEntry entry;
  gchar *string;                /* NUL-terminated copy of a string value, else NULL */
  gsize *offsets;               /* in entry.value, of each element of a string array, else NULL */
} StGgufItem;

struct _StGguf
{
  gint ref_count;
  gchar *path;
  gchar *display_path;          /* UTF-8, for messages */
  int fd;
  const guint8 *map;
  gsize size;
  gsize alignment;
  StGgufItem *items;
  gsize n_items;
  StTensor *tensors;
  gsize n_tensors;
  GStringChunk *names;          /* of keys and tensors */
  GHashTable *item_by_key;
  GHashTable *tensor_by_name;
};

/* Bytes of one value of a scalar type; 0 for strings, arrays and unknown types. */
gsize st_gguf_value_bytes (guint type);

G_END_DECLS
