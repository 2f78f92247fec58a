// Defines the DeepSeek-V2 architecture: keys and values of a latent vector, first layers without experts, and experts beside a part that
// all tokens have.
#include <fmt/format.h>

#include <cmath>

#include "models/decoder.h"
#include "models/experts.h"

namespace lazuli {

namespace {

constexpr ConfigRules kDeepseekV2Rules = {.windows = full_attention_only,
                                          .hidden_size = 4096,
                                          .intermediate_size = 11008,
                                          .num_hidden_layers = 32,
                                          .num_attention_heads = 32,
                                          .vocab_size = 102400,
                                          .max_position_embeddings = 2048,
                                          .reads = {"attention_bias", "mlp_bias", "num_experts", "n_routed_experts"}};

constexpr int64_t kMostNumbers = 1 << 16;

LatentSpec latent_of(const JsonValue& root) {
  LatentSpec latent;
  latent.rank = int_key(root, "kv_lora_rank", 1, kMostNumbers, 512);
  const auto query_rank = root.find("q_lora_rank");
  latent.query_rank = query_rank && query_rank->is_null() ? 0 : int_key(root, "q_lora_rank", 1, kMostNumbers, 1536);
  latent.plain_size = int_key(root, "qk_nope_head_dim", 1, kMostNumbers, 128);
  latent.rope_size = int_key(root, "qk_rope_head_dim", 2, kMostNumbers, 64);
  latent.value_size = int_key(root, "v_head_dim", 1, kMostNumbers, 128);
  latent.bias = bool_key(root, "attention_bias", false);
  if (latent.rope_size % 2 != 0) fail_key(root, "qk_rope_head_dim", "an even number expected, since positions turn pairs");
  return latent;
}

/// Scores grow with the context's stretching, which keys and queries do not show where `mscale` is `mscale_all_dim`.
double score_scale(const JsonValue& root, const RopeScaling& scaling, int64_t size) {
  const double plain = 1 / std::sqrt(static_cast<double>(size));
  if (scaling.kind == RopeScaling::Kind::none) return plain;
  if (scaling.kind != RopeScaling::Kind::yarn) rope_object(root)->fail("yarn or no stretching expected in deepseek_v2");
  const auto all = set_key(*rope_object(root), "mscale_all_dim");
  if (!all || scaling.factor <= 1) return plain;
  const double growth = 0.1 * real_in_range(*all, 0, 1e6) * std::log(scaling.factor) + 1;
  return plain * growth * growth;
}

/// Keys of DeepSeek's own program, which transformers does not read, and values that it reads and this program does not follow.
void check_deepseek_v2(const JsonValue& root, const ModelConfig& config) {
  if (config.num_key_value_heads != config.num_attention_heads) {
    fail_key(root, "num_key_value_heads",
             fmt::format("num_attention_heads = {} expected, since each head has keys of its own, got {}", config.num_attention_heads,
                         config.num_key_value_heads));
  }
  if (const auto f = set_key(root, "scoring_func"); f && (!f->is_string() || f->as_string() != "softmax")) f->fail("softmax expected");
  if (const auto every = set_key(root, "moe_layer_freq"); every && (!every->is_int() || every->as_int() != 1)) {
    every->fail("1 expected: experts in all layers after the first ones");
  }
  if (const auto sum = set_key(root, "norm_topk_prob"); sum && sum->as_bool()) {
    sum->fail("false expected: transformers does not divide the weights of experts by their sum, and the model's own program does");
  }
}

ExpertsSpec experts_of(const JsonValue& root, const ModelConfig& config) {
  ExpertsSpec experts = experts_spec(config, 64, 0, {.experts = "num_experts", .other = "n_routed_experts"});
  experts.inner = int_key(root, "moe_intermediate_size", 1, 1 << 24, 1407);
  experts.scale = real_key(root, "routed_scaling_factor", -1e6, 1e6, 1);
  experts.shared = experts.inner * int_key(root, "n_shared_experts", 1, kMostNumbers, 2);
  experts.shared_bias = bool_key(root, "mlp_bias", false);
  const auto method = root.find("topk_method");
  const std::string name = !method ? "greedy" : std::string(method->as_string());
  if (name == "greedy") return experts;
  if (name != "group_limited_greedy") method->fail(fmt::format("greedy or group_limited_greedy expected, got {}", name));
  for (const char* key : {"n_group", "topk_group"}) {
    if (!set_key(root, key)) fail_key(root, key, "a number of groups expected for group_limited_greedy");
  }
  experts.groups = int_key(root, "n_group", 1, experts.experts, 0);
  experts.chosen_groups = int_key(root, "topk_group", 1, experts.groups, 0);
  if (experts.experts % experts.groups != 0) {
    fail_key(root, "n_group", fmt::format("a divisor of n_routed_experts = {} expected, got {}", experts.experts, experts.groups));
  }
  return experts;
}

DecoderSpec deepseek_v2_spec(const ModelConfig& config, DType) {
  const JsonValue root = config.json->root();
  check_deepseek_v2(root, config);
  DecoderSpec spec(config);
  spec.latent = latent_of(root);
  spec.mlp_bias = bool_key(root, "mlp_bias", false);
  spec.output_bias = spec.latent->bias;
  spec.ropes[0].size = spec.latent->rope_size;
  const int64_t size = spec.latent->plain_size + spec.latent->rope_size;
  spec.attention_scale = score_scale(root, config.rope.scaling, size);
  const int64_t dense = int_key(root, "first_k_dense_replace", 0, INT32_MAX, 0);
  for (size_t k = 0; k < spec.layers.size(); ++k) {
    spec.layers[k].head_dim = size;
    spec.layers[k].gated = static_cast<int64_t>(k) < dense;
  }
  if (dense >= config.num_hidden_layers) return spec;
  const ExpertsSpec experts = experts_of(root, config);
  spec.feed_forward = [experts](LayerReader& reader, const std::string& path) { return read_experts(reader, path, experts); };
  return spec;
}

const RegisterArchitecture kDeepseekV2 = register_decoder<deepseek_v2_spec>("deepseek_v2", kDeepseekV2Rules);

}  // namespace

}  // namespace lazuli
