// Defines the Mixtral architecture: Mistral with experts in every layer.
#include "models/decoder.h"
#include "models/experts.h"

namespace lazuli {

namespace {

constexpr ConfigRules kMixtralRules = {.windows = equal_windows,
                                       .hidden_size = 4096,
                                       .intermediate_size = 14336,
                                       .num_hidden_layers = 32,
                                       .num_attention_heads = 32,
                                       .num_key_value_heads = 8,
                                       .vocab_size = 32000,
                                       .max_position_embeddings = 131072,
                                       .rms_norm_eps = 1e-5,
                                       .rope_theta = 1e6,
                                       .reads = {"sliding_window", "num_experts", "num_local_experts"}};

DecoderSpec mixtral_spec(const ModelConfig& config, DType) {
  DecoderSpec spec(config);
  ExpertsSpec experts = experts_spec(config, 8, 2);
  experts.inner = config.intermediate_size;
  experts.inner_key = "intermediate_size";
  experts.routing = Routing::normalised;
  experts.older = "block_sparse_moe";
  experts.gate = "w1";
  experts.up = "w3";
  experts.down = "w2";
  spec.feed_forward = [experts](LayerReader& reader, const std::string& path) { return read_experts(reader, path, experts); };
  return spec;
}

const RegisterArchitecture kMixtral = register_decoder<mixtral_spec>("mixtral", kMixtralRules);

}  // namespace

}  // namespace lazuli
