// Defines the text part of the Gemma 4 architecture: five of six layers see a window, the others have heads of their own size; values are
// normed too, the last layers may read the keys and values of earlier ones, and every layer gets a vector of each token.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "models/decoder.h"
#include "models/experts.h"

namespace lazuli {

namespace {

/// Of each layer, whether it is local. The last one never is.
std::vector<bool> gemma4_local_layers(const JsonValue& root, const ModelConfig& config) {
  std::vector<bool> local = sliding_layers(root, config, [](int64_t layer) { return (layer + 1) % 6 != 0; });
  local.back() = false;
  return local;
}

std::vector<int64_t> gemma4_windows(const JsonValue& root, const ModelConfig& config) {
  const int64_t length = int_key(root, "sliding_window", 1, INT32_MAX, 512);
  std::vector<int64_t> windows;
  for (const bool local : gemma4_local_layers(root, config)) {
    windows.push_back(local && length < config.max_position_embeddings ? length : 0);
  }
  return windows;
}

constexpr ConfigRules kGemma4Rules = {.windows = gemma4_windows,
                                      .hidden_size = 2304,
                                      .intermediate_size = 9216,
                                      .num_hidden_layers = 30,
                                      .num_attention_heads = 8,
                                      .num_key_value_heads = 4,
                                      .vocab_size = 262144,
                                      .max_position_embeddings = 131072,
                                      .head_dim = 256,
                                      .activation_key = "hidden_activation",
                                      .hidden_act = "gelu_pytorch_tanh",
                                      .tie_word_embeddings = true,
                                      .ropes_by_layer = true,
                                      .reads = {"sliding_window", "attention_bias", "final_logit_softcapping", "per_layer_config",
                                                "num_experts", "use_bidirectional_attention"}};

/// Heads of the layers that see all positions.
struct GlobalHeads {
  int64_t head_dim, kv_heads;
  bool operator==(const GlobalHeads&) const = default;
};

GlobalHeads heads_in(const JsonValue& layer, const ModelConfig& config) {
  for (const JsonMember& m : layer.as_object()) {
    if (m.key != "head_dim" && m.key != "num_key_value_heads") m.value.fail("head_dim or num_key_value_heads expected");
  }
  return {int_key(layer, "head_dim", 2, 1 << 16, config.head_dim),
          int_key(layer, "num_key_value_heads", 1, 1 << 16, config.num_key_value_heads)};
}

/// `per_layer_config` names layers by number; the class fills it from the older keys where it is missing.
GlobalHeads read_global_heads(const JsonValue& root, const ModelConfig& config, const std::vector<bool>& local, bool values_are_keys) {
  const auto by_layer = set_key(root, "per_layer_config");
  if (!by_layer) {
    const auto kv = set_key(root, "num_global_key_value_heads");
    return {int_key(root, "global_head_dim", 2, 1 << 16, 512),
            kv && values_are_keys ? int_key(root, "num_global_key_value_heads", 1, 1 << 16, 0) : config.num_key_value_heads};
  }
  std::map<size_t, GlobalHeads> found;
  for (const JsonMember& m : by_layer->as_object()) {
    size_t layer = 0;
    const auto [end, error] = std::from_chars(m.key.data(), m.key.data() + m.key.size(), layer);
    if (error != std::errc() || end != m.key.data() + m.key.size() || layer >= local.size()) m.value.fail("the number of a layer expected");
    const GlobalHeads heads = heads_in(m.value, config);
    if (local[layer] && heads != GlobalHeads{config.head_dim, config.num_key_value_heads}) {
      m.value.fail("the heads of config.json expected in a layer with a window");
    }
    found[layer] = heads;
  }
  const GlobalHeads all =
      found.contains(local.size() - 1) ? found[local.size() - 1] : GlobalHeads{config.head_dim, config.num_key_value_heads};
  for (size_t k = 0; k < local.size(); ++k) {
    const GlobalHeads own = found.contains(k) ? found[k] : GlobalHeads{config.head_dim, config.num_key_value_heads};
    if (!local[k] && own != all)
      by_layer->fail(fmt::format("the same heads in all layers of full_attention expected, not so in layer {}", k));
  }
  return all;
}

void check_gemma4(const JsonValue& root, const ModelConfig& config, const GlobalHeads& heads) {
  if (const auto sides = set_key(root, "use_bidirectional_attention"); sides && (!sides->is_string() || sides->as_string() != "vision")) {
    sides->fail("null or vision expected: attention of texts to both sides is not supported");
  }
  if (heads.head_dim % 2 != 0) fail_key(root, "global_head_dim", "an even size of heads expected");
  if (config.num_attention_heads % heads.kv_heads != 0) {
    fail_key(root, "num_global_key_value_heads",
             fmt::format("a divisor of num_attention_heads = {} expected, got {}", config.num_attention_heads, heads.kv_heads));
  }
}

/// The last layers read the keys and values of the last layer of their kind before them.
void share_keys(const JsonValue& root, const ModelConfig& config, const std::vector<bool>& local, DecoderSpec& spec) {
  const int64_t shared = int_key(root, "num_kv_shared_layers", 0, config.num_hidden_layers - 1, 0);
  const bool wide = bool_key(root, "use_double_wide_mlp", false);
  const auto first = static_cast<size_t>(config.num_hidden_layers - shared);
  for (size_t k = first; k < local.size(); ++k) {
    for (size_t earlier = 0; earlier < first; ++earlier) {
      if (local[earlier] == local[k]) spec.layers[k].keys_of = earlier;
    }
    if (!spec.layers[k].keys_of) fail_key(root, "num_kv_shared_layers", fmt::format("no layer of the kind of layer {} has keys", k));
    if (wide) spec.layers[k].intermediate_size *= 2;
  }
}

RopeSpec gemma4_rope(const JsonValue& root, const ModelConfig& config, const GlobalHeads& heads, bool local) {
  if (!set_key(root, "rope_parameters")) {
    if (local) return {1e4, {}, config.head_dim};
    RopeSpec spec{1e6, {}, heads.head_dim};
    spec.scaling.kind = RopeScaling::Kind::proportional;
    spec.scaling.turned_pairs = heads.head_dim / 8;
    return spec;
  }
  ModelConfig own = config;
  if (!local) own.head_dim = heads.head_dim;
  return read_layer_rope(root, kGemma4Rules, own, local ? "sliding_attention" : "full_attention", "rope_theta", 1e4, false);
}

/// Experts beside the gated part; the router's norm has no weight but a scale of each number, which it shares with the root of their count.
AroundGated gemma4_experts(const JsonValue& root, const ModelConfig& config) {
  ExpertsSpec spec = experts_spec(config, 0, 0, {.chosen = "top_k_experts"});
  if (!set_key(root, "moe_intermediate_size")) fail_key(root, "moe_intermediate_size", "the size of an expert expected");
  spec.inner = int_key(root, "moe_intermediate_size", 1, 1 << 24, 0);
  return [spec, eps = config.rms_norm_eps](LayerReader& reader, const std::string& path, std::shared_ptr<const FeedForward> gated) {
    WeightReader& weights = reader.weights;
    const std::string part = reader.stored + path.substr(0, path.rfind('.'));
    const auto norm = [&](const char* name) {
      return RMSNorm(weights.take(part + name + std::string(".weight"), {spec.hidden}, "hidden_size"), eps);
    };
    const auto experts = std::make_shared<Experts>();
    Router& router = experts->router;
    router.weight =
        LazyTensor::from_tensor(weights.in_f32(part + ".router.proj.weight", {spec.experts, spec.hidden}, "num_experts, hidden_size"));
    router.expert_scale = LazyTensor::from_tensor(weights.in_f32(part + ".router.per_expert_scale", {spec.experts}, "num_experts"));
    router.chosen = spec.chosen;
    router.routing = Routing::normalised;
    read_expert_matrices(weights, part, spec, *experts);
    const LazyTensor scale = LazyTensor::from_tensor(weights.in_f32(part + ".router.scale", {spec.hidden}, "hidden_size"));
    const auto all = std::make_shared<GatedAndExperts>();
    all->gated = std::move(gated);
    all->experts = experts;
    all->before_router = RMSNorm(mul_scalar(scale, 1 / std::sqrt(static_cast<double>(spec.hidden))).eval(), eps);
    all->before_gated = norm(".pre_feedforward_layernorm");
    all->after_gated = norm(".post_feedforward_layernorm_1");
    all->before_experts = norm(".pre_feedforward_layernorm_2");
    all->after_experts = norm(".post_feedforward_layernorm_2");
    return all;
  };
}

DecoderSpec gemma4_spec(const ModelConfig& config, DType dtype) {
  const JsonValue root = config.json->root();
  const std::vector<bool> local = gemma4_local_layers(root, config);
  const bool values_are_keys = bool_key(root, "attention_k_eq_v", false);
  const GlobalHeads heads = read_global_heads(root, config, local, values_are_keys);
  check_gemma4(root, config, heads);
  DecoderSpec spec(config);
  spec.norms = {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"};
  spec.query_key_norm = QueryKeyNorm::by_head;
  spec.value_norm = spec.layer_scalar = true;
  spec.qkv_bias = spec.output_bias = bool_key(root, "attention_bias", false);
  spec.attention_scale = 1;
  if (set_key(root, "final_logit_softcapping")) spec.logit_softcap = real_key(root, "final_logit_softcapping", 1e-6, 1e6, 0);
  spec.embedding_multiplier = square_root_in(dtype, static_cast<double>(config.hidden_size));
  spec.per_layer_size = int_key(root, "hidden_size_per_layer_input", 0, 1 << 20, 256);
  spec.per_layer_vocabulary = int_key(root, "vocab_size_per_layer_input", config.vocab_size, INT32_MAX, 262144);
  spec.ropes = {gemma4_rope(root, config, heads, false), gemma4_rope(root, config, heads, true)};
  for (size_t k = 0; k < local.size(); ++k) {
    LayerSpec& layer = spec.layers[k];
    layer.rope = local[k] ? 1 : 0;
    if (local[k]) continue;
    layer.head_dim = heads.head_dim;
    layer.kv_heads = heads.kv_heads;
    layer.values_are_keys = values_are_keys;
  }
  share_keys(root, config, local, spec);
  if (bool_key(root, "enable_moe_block", false)) {
    spec.around_gated = gemma4_experts(root, config);
    spec.norms.before_mlp = nullptr;
  }
  return spec;
}

const RegisterArchitecture kGemma4 = register_decoder<gemma4_spec>("gemma4_text", kGemma4Rules);

}  // namespace

}  // namespace lazuli
