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

int64_t number_of(const JsonValue& root, const char* key, int64_t missing) {
  constexpr int64_t kMost = 1 << 16;
  if (missing == 0 && !set_key(root, key)) fail_key(root, key, "a number of experts expected");
  return int_key(root, key, 1, kMost, missing);
}

std::shared_ptr<const FeedForward> read_shared(LayerReader& reader, const std::string& path, const ExpertsSpec& spec) {
  const auto m = std::make_shared<GatedMLP>();
  m->gate = reader.linear(path + ".gate_proj", spec.shared, spec.hidden, spec.shared_bias, "size of shared experts, hidden_size");
  m->up = reader.linear(path + ".up_proj", spec.shared, spec.hidden, spec.shared_bias, "size of shared experts, hidden_size");
  m->down = reader.linear(path + ".down_proj", spec.hidden, spec.shared, spec.shared_bias, "hidden_size, size of shared experts");
  m->activation = spec.activation;
  return m;
}

}  // namespace

ExpertsSpec experts_spec(const ModelConfig& config, int64_t experts, int64_t chosen, const ExpertKeys& keys) {
  const JsonValue root = config.json->root();
  ExpertsSpec spec;
  const char* const key = root.find(keys.other) ? keys.other : keys.experts;
  spec.experts = number_of(root, key, experts);
  if (root.find(keys.experts) && number_of(root, keys.experts, experts) != spec.experts) {
    fail_key(root, keys.experts, fmt::format("{} = {} expected, the same under another name", keys.other, spec.experts));
  }
  spec.chosen = number_of(root, keys.chosen, chosen);
  if (spec.chosen > spec.experts) {
    fail_key(root, keys.chosen, fmt::format("at most {} = {} expected, got {}", key, spec.experts, spec.chosen));
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

std::vector<bool> layers_without_experts(const JsonValue& root, const ModelConfig& config) {
  const int64_t step = int_key(root, "decoder_sparse_step", 1, INT32_MAX, 1);
  std::vector<bool> gated;
  for (int64_t k = 0; k < config.num_hidden_layers; ++k) gated.push_back((k + 1) % step != 0);
  if (const auto list = set_key(root, "mlp_only_layers")) {
    for (const JsonValue& layer : list->as_array()) {
      const int64_t k = layer.as_int();
      if (k >= 0 && k < config.num_hidden_layers) gated[static_cast<size_t>(k)] = true;
    }
  }
  return gated;
}

void read_expert_matrices(WeightReader& weights, const std::string& part, const ExpertsSpec& spec, Experts& own) {
  const std::string stacked = part + ".experts.gate_up_proj";
  const Shape both{spec.experts, 2 * spec.inner, spec.hidden}, back{spec.experts, spec.hidden, spec.inner};
  const std::string in = fmt::format("{}, hidden_size", spec.inner_key), out = fmt::format("hidden_size, {}", spec.inner_key);
  if (weights.contains(stacked)) {
    own.gate_up = LazyTensor::from_tensor(weights.experts(stacked, both, "number of experts, 2 * " + in));
    own.down = LazyTensor::from_tensor(weights.experts(part + ".experts.down_proj", back, "number of experts, " + out));
  } else {
    own.gate_up = LazyTensor::from_tensor(
        weights.experts(names_of(part, spec.experts, {spec.gate, spec.up}), {spec.inner, spec.hidden}, in).reshape(both));
    own.down =
        LazyTensor::from_tensor(weights.experts(names_of(part, spec.experts, {spec.down}), {spec.hidden, spec.inner}, out).reshape(back));
  }
  own.combine = [activation = spec.activation](const LazyTensor& gate, const LazyTensor& up) { return mul(activation(gate, {}), up); };
}

std::shared_ptr<const FeedForward> read_experts(LayerReader& reader, const std::string& path, const ExpertsSpec& spec) {
  WeightReader& weights = reader.weights;
  const std::string part = stored_part(reader, path, spec.older);
  const auto own = std::make_shared<Experts>();
  own->router.weight =
      LazyTensor::from_tensor(weights.in_f32(part + ".gate.weight", {spec.experts, spec.hidden}, "number of experts, hidden_size"));
  own->router.chosen = spec.chosen;
  own->router.routing = spec.routing;
  own->router.scale = spec.scale;
  own->router.groups = spec.groups;
  own->router.chosen_groups = spec.chosen_groups;
  read_expert_matrices(weights, part, spec, *own);
  if (spec.shared > 0) own->shared = read_shared(reader, path + (spec.shared_gated ? ".shared_expert" : ".shared_experts"), spec);
  if (spec.shared_gated) {
    own->shared_gate = reader.linear(path + ".shared_expert_gate", 1, spec.hidden, false, "one number, hidden_size", WeightRole::sensitive);
  }
  return own;
}

}  // namespace lazuli
