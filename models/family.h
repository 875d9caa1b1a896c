/* Families of models: what tells their keys, tensors and blocks apart. All other code is one for all of them. */
#pragma once
#include "models/model.h"

G_BEGIN_DECLS

/** StFamily: a constant. */
struct _StFamily
{
  const gchar *architecture;    /* general.architecture, and what its keys begin with */
  gboolean layer_norm;          /* LayerNorm; else RMSNorm */
  gboolean gated;               /* silu (gate) * up; else gelu (up), and there is no gate */
  gboolean biases;              /* of norms and of products */
  const gchar *fused_qkv;       /* what a file calls the one matrix with the rows of queries, keys and values; NULL: there are three */
  gboolean positions;           /* a learned vector of each position is added before block 0: position_embd */
  const gchar *computed;        /* a block's tensor that follows from the keys and is not read, or NULL */
  /* Keys that others do not have; the common ones are read. */
  gboolean (*read_keys) (StGguf * gguf, StModelConfig * config, GError ** error);
};

extern const StFamily st_family_llama, st_family_gpt2;

/** st_family_find: by its architecture; NULL if there is none such. */
const StFamily *st_family_find (const gchar * architecture);
/** st_family_names: all of them: "llama, gpt2". Free with g_free(). */
gchar *st_family_names (void);

/** st_config_read: reads and checks the keys of a file of any family; strings stay owned by @gguf. */
gboolean st_config_read (StGguf * gguf, StModelConfig * config, GError ** error);

/** st_config_uint, st_config_float: key "<architecture>.@key", a positive integer not above @max, or a positive number. @fallback: of an absent
 * key; 0: it is needed. */
gboolean st_config_uint (StGguf * gguf, const StModelConfig * config, const gchar * key, guint fallback, guint max, guint * value,
    GError ** error);
gboolean st_config_float (StGguf * gguf, const StModelConfig * config, const gchar * key, gdouble fallback, gfloat * value,
    GError ** error);

/** st_model_fail: sets an error of ST_MODEL_ERROR, if @error has none yet, and returns FALSE. */
gboolean st_model_fail (GError ** error, StModelError code, const gchar * format, ...) G_GNUC_PRINTF (3, 4);

/** ST_MODEL_MAX_SIZE: no model comes near it; it keeps every product of two sizes inside 64 bits. */
#define ST_MODEL_MAX_SIZE (1u << 22)

G_END_DECLS
