// Declares what Qwen's decoders with layers of linear attention share.
#pragma once

#include "models/decoder.h"
#include "models/experts.h"

namespace lazuli {

/// The rule of architectures whose layers are linear_attention or full_attention, as `layer_types` says, or without it by
/// `full_attention_interval`; none has a window.
WindowRule linear_or_full_attention;

/// Layers of both kinds: gated delta nets by the keys that begin with `linear_`, and attention with gates and norms of queries and keys.
DecoderSpec linear_layers_spec(const ModelConfig& config);

/// Experts beside one that all tokens have, multiplied by a gate; the weights of a token's experts are divided by their sum. The numbers
/// are those of a file without the keys.
ExpertsSpec shared_experts_spec(const ModelConfig& config, int64_t experts, int64_t chosen);

}  // namespace lazuli
