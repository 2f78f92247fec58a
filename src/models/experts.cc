// Implements the reading of experts.
#include "models/experts.h"

#include <fmt/format.h>

#include "lazuli/notice.h"

namespace lazuli {

namespace {

/// In the files: what comes before the last names.
std::string stored_part(const LayerReader& reader, const std::string& path, const char* older) {
  const std::string now = reader.stored + path;
  if (older == nullptr || reader.weights.contains(now + ".gate.weight")) return now;
  const std::string before = reader.stored + path.substr(0, path.rfind('.') + 1) + older;
  return reader.weights.contains(before + ".gate.weight") ? before : now;
}

/// The names of matrices that lie one below the other for each expert.
std::vector<std::string> names_of(const std::string& part, int64_t experts, std::initializer_list<const char*> layers) {
  std::vector<std::string> names;
  for (int64_t k = 0; k < experts; ++k) {
    for (const char* layer : layers) names.push_back(fmt::format("{}.experts.{}.{}.weight", part, k, layer));
  }
  return names;
}

}  // namespace

ExpertsSpec experts_spec(const ModelConfig& config, int64_t experts, int64_t chosen) {
  constexpr int64_t kMostExperts = 1 << 16;
  const JsonValue root = config.json->root();
  ExpertsSpec spec;
  const std::string_view key = root.find("num_local_experts") ? "num_local_experts" : "num_experts";
  spec.experts = int_key(root, key, 1, kMostExperts, experts);
  if (root.find("num_experts") && int_key(root, "num_experts", 1, kMostExperts, experts) != spec.experts) {
    fail_key(root, "num_experts", fmt::format("num_local_experts = {} expected, the same under another name", spec.experts));
  }
  spec.chosen = int_key(root, "num_experts_per_tok", 1, kMostExperts, chosen);
  if (spec.chosen > spec.experts) {
    fail_key(root, "num_experts_per_tok", fmt::format("at most {} = {} expected, got {}", key, spec.experts, spec.chosen));
  }
  if (const double noise = real_key(root, "router_jitter_noise", 0, 1, 0); noise != 0) {
    fail_key(root, "router_jitter_noise", fmt::format("0 expected: noise in training is not supported, got {}", noise));
  }
  if (bool_key(root, "output_router_logits", false)) {
    notice(fmt::format("{}: $.output_router_logits: training is without the load-balance loss that this asks for", config.json->name()));
  }
  spec.hidden = config.hidden_size;
  spec.activation = activation_of(config);
  return spec;
}

std::shared_ptr<const FeedForward> read_experts(LayerReader& reader, const std::string& path, const ExpertsSpec& spec) {
  WeightReader& weights = reader.weights;
  const std::string part = stored_part(reader, path, spec.older), stacked = part + ".experts.gate_up_proj";
  const auto own = std::make_shared<Experts>();
  own->router = LazyTensor::from_tensor(weights.take(part + ".gate.weight", {spec.experts, spec.hidden}, "number of experts, hidden_size"));
  const Shape both{spec.experts, 2 * spec.inner, spec.hidden}, back{spec.experts, spec.hidden, spec.inner};
  const std::string in = fmt::format("{}, hidden_size", spec.inner_key), out = fmt::format("hidden_size, {}", spec.inner_key);
  if (weights.contains(stacked)) {
    own->gate_up = LazyTensor::from_tensor(weights.experts(stacked, both, "number of experts, 2 * " + in));
    own->down = LazyTensor::from_tensor(weights.experts(part + ".experts.down_proj", back, "number of experts, " + out));
  } else {
    own->gate_up = LazyTensor::from_tensor(
        weights.experts(names_of(part, spec.experts, {spec.gate, spec.up}), {spec.inner, spec.hidden}, in).reshape(both));
    own->down =
        LazyTensor::from_tensor(weights.experts(names_of(part, spec.experts, {spec.down}), {spec.hidden, spec.inner}, out).reshape(back));
  }
  own->chosen = spec.chosen;
  own->routing = spec.routing;
  own->combine = [activation = spec.activation](const LazyTensor& gate, const LazyTensor& up) { return mul(activation(gate, {}), up); };
  return own;
}

}  // namespace lazuli
