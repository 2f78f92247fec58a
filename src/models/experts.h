// Declares how the weights of experts are read, stacked or one by one.
#pragma once

#include <memory>
#include <string>
#include <vector>

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
  double scale = 1;  ///< of their weights
  ///@{
  /// Groups of experts, and those of a token.
  int64_t groups = 1;
  int64_t chosen_groups = 1;
  ///@}
  int64_t shared = 0;         ///< size of what all tokens have beside, 0: nothing
  bool shared_bias = false;   ///< of its layers
  bool shared_gated = false;  ///< it is `shared_expert`, with `shared_expert_gate`, and else `shared_experts`
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

/// What config.json calls the numbers of experts.
struct ExpertKeys {
  ///@{
  /// Of a layer, under either name. The second one comes first, unless only the first is there.
  const char* experts = "num_experts";
  const char* other = "num_local_experts";
  ///@}
  const char* chosen = "num_experts_per_tok";
};

/// Reads `experts` and `chosen` from config.json; the arguments are those of a file without the keys, 0: they must be there. Throws
/// FormatError also for more experts of a token than there are.
ExpertsSpec experts_spec(const ModelConfig& config, int64_t experts, int64_t chosen, const ExpertKeys& keys = {});

/// Of each layer, whether it has the gated feed-forward part in place of experts, as `decoder_sparse_step` and `mlp_only_layers` say.
std::vector<bool> layers_without_experts(const JsonValue& root, const ModelConfig& config);

/// The part of the layer at `path`, whose last name is `mlp`.
std::shared_ptr<const FeedForward> read_experts(LayerReader& reader, const std::string& path, const ExpertsSpec& spec);

/// The matrices of experts whose names in the file begin with `part` and `.experts`, and what is between their products.
void read_expert_matrices(WeightReader& weights, const std::string& part, const ExpertsSpec& spec, Experts& own);

}  // namespace lazuli
