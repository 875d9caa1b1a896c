/* Names of keys and tensors, for reading and writing. */
#pragma once
#include "codec/learned/parameters.h"
#include "models/gguf/gguf-writer.h"

G_BEGIN_DECLS

#define RD_KEY_ARCHITECTURE "general.architecture"
#define RD_KEY_NAME "general.name"
#define RD_KEY_LICENSE "general.license"
#define RD_ARCHITECTURE "rdcodec"
#define RD_KEY(name) "rdcodec." name
#define RD_KEY_PROVENANCE RD_KEY ("provenance.")
#define RD_TENSOR_CONSTANTS "constants"
/* Adapters are named as in llama.cpp's LoRA files. */
#define RD_KEY_ADAPTER_ALPHA "adapter.lora.alpha"
#define RD_KEY_ADAPTER_GATE RD_KEY ("adapter.gate")
#define RD_ADAPTER_PREFIX "blk."
#define RD_KEY_ENTROPY RD_KEY ("entropy")
#define RD_KEY_NETWORK_SET RD_KEY ("networks.set")
#define RD_KEY_NETWORK_LAYERS RD_KEY ("networks.layers")
#define RD_KEY_NETWORK_UNITS RD_KEY ("networks.units")
#define RD_KEY_NETWORK_BIASES RD_KEY ("networks.biases")
#define RD_KEY_NETWORK_WEIGHTS RD_KEY ("networks.weights")
#define RD_KEY_LATENTS(name) RD_KEY ("latents." name)
#define RD_TENSOR_LATENTS "latents.analysis"
#define RD_ADAPTER_A ".lora_a"
#define RD_ADAPTER_B ".lora_b"

/** rd_set_name: "set.S.NAME", freed by the caller; keys have "rdcodec." before it. */
gchar *rd_set_name (const gchar * prefix, guint set, const gchar * name);
/** rd_side_info_name: as in the file. */
const gchar *rd_side_info_name (RdSideInfo side_info);

/** rd_learned_adapters_load: those of a file of version 2; parameters_check() has the last word on them. Errors (INPUT) name tensor or key, but not
 * the file. */
RdLearnedAdapters *rd_learned_adapters_load (const StGguf * gguf, guint hidden_size, guint n_knots, GError ** error);
/** rd_learned_adapters_refuse: FALSE and an INPUT error if @gguf has tensors that would be adapters. */
gboolean rd_learned_adapters_refuse (const StGguf * gguf, GError ** error);
/** rd_learned_adapter_check_shape: that @adapter has the name of a matrix, and sizes and a rank that go with it. */
gboolean rd_learned_adapter_check_shape (const RdLearnedAdapter * adapter, guint hidden_size, GError ** error);

/** rd_learned_networks_load: those of a file of version 3; parameters_check() has the last word on them. Errors (INPUT) name the key, but not the file. */
RdLearnedNetworks *rd_learned_networks_load (const StGguf * gguf, GError ** error);
/** rd_learned_networks_save: all but the encoders' network. */
void rd_learned_networks_save (const RdLearnedNetworks * networks, StGgufWriter * writer);

G_END_DECLS
