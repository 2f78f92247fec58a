// Defines the MPNet architecture (Song et al. 2020): positions counted from after the padding id, and a bias by distance in attention.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "models/encoder.h"

namespace lazuli {

namespace {

constexpr int64_t kBuckets = 32;
constexpr int64_t kFarthest = 128;

/// The bucket of a distance, as T5 (Raffel et al. 2020) cuts them: one for each small distance, then logarithmic; keys after the query
/// have the upper half. In f32, since rounding decides at the edges.
int32_t bucket_of(int64_t query, int64_t key) {
  constexpr int64_t half = kBuckets / 2, exact = half / 2;
  const int64_t distance = std::abs(query - key), start = key > query ? half : 0;
  if (distance < exact) return static_cast<int32_t>(start + distance);
  const float scaled = std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
                       static_cast<float>(std::log(static_cast<double>(kFarthest) / static_cast<double>(exact))) *
                       static_cast<float>(half - exact);
  return static_cast<int32_t>(start + std::min(exact + static_cast<int64_t>(scaled), half - 1));
}

Tensor buckets(int64_t tokens) {
  Tensor t = Tensor::empty(DType::i32, {tokens, tokens});
  auto out = t.mutable_data<int32_t>().begin();
  for (int64_t query = 0; query < tokens; ++query) {
    for (int64_t key = 0; key < tokens; ++key) *out++ = bucket_of(query, key);
  }
  return t;
}

// transformers takes this id for padding whatever `pad_token_id` says; positions are counted from after it.
constexpr int64_t kPadding = 1;

constexpr ConfigRules kMpnetRules = {.windows = full_attention_only,
                                     .hidden_size = 768,
                                     .intermediate_size = 3072,
                                     .num_hidden_layers = 12,
                                     .num_attention_heads = 12,
                                     .vocab_size = 30527,
                                     .max_position_embeddings = 512,
                                     .hidden_act = "gelu",
                                     .decoder = false};

/// The bias of each distance for each head, and nothing seen where a text has no token.
AttentionMask mask_by_distance(Tensor table) {
  return [bias = Embedding(std::move(table))](const LazyTensor& mask) {
    const int axes[] = {2, 0, 1};
    const LazyTensor added = permute(bias.forward(LazyTensor::from_tensor(buckets(mask.dim(1)))), axes);
    return where(over_heads(mask), added, LazyTensor::full(Shape{}, -std::numeric_limits<double>::infinity(), added.dtype()));
  };
}

EncoderSpec mpnet_spec(const ModelConfig& config, WeightReader& weights) {
  // Other numbers would change the table but not the buckets that transformers looks up.
  int_key(config.json->root(), "relative_attention_num_buckets", kBuckets, kBuckets, kBuckets);
  EncoderSpec spec(config);
  spec.prefix = "mpnet.";
  spec.tables.types = nullptr;
  spec.names.query = "attention.attn.q";
  spec.names.key = "attention.attn.k";
  spec.names.value = "attention.attn.v";
  spec.names.output = "attention.attn.o";
  spec.names.attention_norm = "attention.LayerNorm";
  spec.padding = kPadding;
  spec.mask = mask_by_distance(weights.take(fmt::format("{}encoder.relative_attention_bias.weight", prefix_of(weights, spec)),
                                            {kBuckets, config.num_attention_heads}, "relative_attention_num_buckets, num_attention_heads"));
  return spec;
}

const RegisterArchitecture kMpnet = register_encoder<mpnet_spec>("mpnet", kMpnetRules);

}  // namespace

}  // namespace lazuli
