/* Golden codec files and payloads in tests/data/learned, made by learned-golden.py. */
#pragma once
#include "codec/codec.h"

G_BEGIN_DECLS

/** RdGolden: one payload and what it decodes to. */
typedef struct
{
  gchar *name, *codec_path;
  guint hidden_size;
  gsize n;                      /* rows */
  gfloat *features;             /* (n, hidden_size), or NULL */
  guint8 *payload;
  gsize size;
  gfloat *rows;                 /* (n, hidden_size) expected */
} RdGolden;

/** rd_golden_load_all: every payload (RdGolden), sorted by name; aborts the test if there are none. Free with g_ptr_array_unref(). */
GPtrArray *rd_golden_load_all (void);
/** rd_golden_codec_path: tests/data/learned/NAME.gguf; free with g_free(). */
gchar *rd_golden_codec_path (const gchar * name);
/** rd_golden_features: rows of features as golden payloads have them; free with g_free(). */
gfloat *rd_golden_features (gsize n, guint hidden_size);

G_END_DECLS
