// Defines the Phi-3 and Phi-4 architecture: one layer makes queries, keys and values, one both halves of the gated part, and positions may
// turn a part of each head.
#include "models/decoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kPhi3Rules = {.windows = equal_windows,
                                    .hidden_size = 3072,
                                    .intermediate_size = 8192,
                                    .num_hidden_layers = 32,
                                    .num_attention_heads = 32,
                                    .vocab_size = 32064,
                                    .max_position_embeddings = 4096,
                                    .rms_norm_eps = 1e-5,
                                    .original_max_position_embeddings = 4096,
                                    .reads = {"sliding_window", "partial_rotary_factor"}};

DecoderSpec phi3_spec(const ModelConfig& config, DType) {
  using Kind = RopeScaling::Kind;
  const Kind kind = config.rope.scaling.kind;
  if (kind != Kind::none && kind != Kind::longrope) {
    fail_key(config.json->root(), "rope_scaling", "rotary embeddings as they are, or longrope, expected in phi3");
  }
  DecoderSpec spec(config);
  spec.fused = true;
  return spec;
}

const RegisterArchitecture kPhi3 = register_decoder<phi3_spec>("phi3", kPhi3Rules);

}  // namespace

}  // namespace lazuli
