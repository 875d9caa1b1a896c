/* Llama (Touvron et al. 2023): RMSNorm, rotary positions, SwiGLU. */
#include "models/family.h"

#include <string.h>

/* Absent keys mean no scaling. Linear scaling divides the positions. */
static gboolean
read_rope_scale (StGguf * gguf, StModelConfig * config, GError ** error)
{
  const gchar *type = st_gguf_get_string (gguf, "llama.rope.scaling.type");
  gfloat factor = 1.0f;

  config->rope_scale = 1.0;
  if (type == NULL || strcmp (type, "none") == 0)
    return TRUE;
  if (strcmp (type, "linear") != 0)
    return st_model_fail (error, ST_MODEL_ERROR_UNSUPPORTED,
        "%s: rope scaling '%s' is not supported; supported: none, linear",
        st_gguf_path (gguf), type);
  if (!st_config_float (gguf, config, "rope.scaling.factor", 1.0, &factor,
          error))
    return FALSE;
  config->rope_scale = 1.0 / factor;
  return TRUE;
}

static gboolean
read_rope (StGguf * gguf, StModelConfig * config, GError ** error)
{
  if (!st_config_float (gguf, config, "rope.freq_base", 10000.0,
          &config->rope_base, error)
      || !st_config_uint (gguf, config, "rope.dimension_count",
          config->head_dim, ST_MODEL_MAX_SIZE, &config->rope_dim, error))
    return FALSE;
  if (config->rope_dim % 2 != 0 || config->rope_dim > config->head_dim)
    return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: llama.rope.dimension_count = %u does not fit heads of %u",
        st_gguf_path (gguf), config->rope_dim, config->head_dim);
  return read_rope_scale (gguf, config, error);
}

static gboolean
read_keys (StGguf * gguf, StModelConfig * config, GError ** error)
{
  guint64 experts;

  if (st_gguf_get_uint (gguf, "llama.expert_count", &experts) && experts > 0)
    return st_model_fail (error, ST_MODEL_ERROR_UNSUPPORTED,
        "%s: models with experts (llama.expert_count = %" G_GUINT64_FORMAT
        ") are not supported", st_gguf_path (gguf), experts);
  return st_config_float (gguf, config, "attention.layer_norm_rms_epsilon", 0,
      &config->norm_eps, error)
      && read_rope (gguf, config, error);
}

const StFamily st_family_llama = {
  .architecture = "llama",
  .gated = TRUE,
  .computed = "attn_rot_embd.weight",
  .read_keys = read_keys,
};
