// Declares how the weights of experts are read, stacked or one by one.
#pragma once

#include <memory>
#include <string>

#include "io/model_config.h"
#include "models/activation.h"
#include "models/layer_reader.h"
#include "nn/experts.h"

namespace lazuli {

/// What an architecture's own file says about its experts.
struct ExpertsSpec {
  int64_t experts = 0;
  int64_t chosen = 0;  ///< of a token
  int64_t hidden = 0;
  int64_t inner = 0;  ///< of an expert
  Routing routing = Routing::all;
  Activation activation = nullptr;
  const char* older = nullptr;  ///< what older files call the part in place of `mlp`
  ///@{
  /// What they call the layers of one expert.
  const char* gate = "gate_proj";
  const char* up = "up_proj";
  const char* down = "down_proj";
  ///@}
  const char* inner_key = "moe_intermediate_size";  ///< for messages
};

/// Reads `experts` and `chosen` from config.json; `experts` under either of the names that transformers takes for the same. Throws
/// FormatError for more experts of a token than there are.
ExpertsSpec experts_spec(const ModelConfig& config, int64_t experts, int64_t chosen);

/// The part of the layer at `path`, whose last name is `mlp`.
std::shared_ptr<const FeedForward> read_experts(LayerReader& reader, const std::string& path, const ExpertsSpec& spec);

}  // namespace lazuli
