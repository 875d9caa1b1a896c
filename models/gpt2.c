/* GPT-2 (Radford et al. 2019) as GGUF files of llama.cpp have it: LayerNorm and products with biases, GELU, learned positions. */
#include "models/family.h"

static gboolean
read_keys (StGguf * gguf, StModelConfig * config, GError ** error)
{
  return st_config_float (gguf, config, "attention.layer_norm_epsilon", 0,
      &config->norm_eps, error);
}

const StFamily st_family_gpt2 = {
  .architecture = "gpt2",
  .layer_norm = TRUE,
  .biases = TRUE,
  .fused_qkv = "attn_qkv",
  .positions = TRUE,
  .read_keys = read_keys,
};
