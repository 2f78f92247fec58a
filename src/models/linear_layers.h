// Declares what Qwen's decoders with layers of linear attention share.
#pragma once

#include "models/decoder.h"

namespace lazuli {

/// The rule of architectures whose layers are linear_attention or full_attention, as `layer_types` says, or without it by
/// `full_attention_interval`; none has a window.
WindowRule linear_or_full_attention;

/// Layers of both kinds: gated delta nets by the keys that begin with `linear_`, and attention with gates and norms of queries and keys.
DecoderSpec linear_layers_spec(const ModelConfig& config);

}  // namespace lazuli
