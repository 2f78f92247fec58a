// Defines the MPNet architecture (Song et al. 2020): positions counted from after the padding id, and a bias by distance in attention.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "models/encoder.h"
#include "models/registry.h"

namespace lazuli {

namespace {

constexpr EncoderLayerNames kNames = {"attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o",
                                      "attention.LayerNorm"};
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

class MpnetModel : public EncoderModel {
 public:
  MpnetModel(const ModelConfig& config, const std::string& folder, WeightReader& weights)
      : EncoderModel(config, folder, weights, kNames, prefix_of(weights, "mpnet."), kPadding + 1) {
    const JsonValue root = config.json->root();
    // Other numbers would change the table but not the buckets that transformers looks up.
    int_key(root, "relative_attention_num_buckets", kBuckets, kBuckets, kBuckets);
    Tensor table = weights.take(fmt::format("{}encoder.relative_attention_bias.weight", prefix_of(weights, "mpnet.")),
                                {kBuckets, config.num_attention_heads}, "relative_attention_num_buckets, num_attention_heads");
    bias_ = Embedding(std::move(table));
    finish(weights, config, prefix_of(weights, "mpnet."));
    info_.parameters = weights.count();
  }

 protected:
  /// padding id + how many ids other than padding come up to this one; the padding id itself where the id is padding.
  LazyTensor positions(const LazyTensor& ids) const override {
    const int64_t tokens = ids.dim(1);
    const LazyTensor used = cast(not_equal(ids, LazyTensor::scalar_int(kPadding)), DType::f32);
    const LazyTensor index = arange(0, tokens);
    // The sum up to each place, as a product with a triangle of ones: exact in f32.
    const LazyTensor triangle = cast(less_equal(reshape(index, {tokens, 1}), reshape(index, {1, tokens})), DType::f32);
    return cast(add_scalar(mul(matmul(used, triangle), used), static_cast<double>(kPadding)), DType::i32);
  }
  LazyTensor attention_mask(const LazyTensor& mask) const override {
    const int64_t tokens = mask.dim(1);
    const int axes[] = {2, 0, 1};
    const LazyTensor bias = permute(bias_.forward(LazyTensor::from_tensor(buckets(tokens))), axes);
    return where(over_heads(mask), bias, LazyTensor::full(Shape{}, -std::numeric_limits<double>::infinity(), bias.dtype()));
  }

 private:
  Embedding bias_;
};

std::shared_ptr<const Encoder> make_mpnet(const ModelConfig& config, const std::string& folder, WeightReader& weights) {
  return std::make_shared<MpnetModel>(config, folder, weights);
}

const RegisterArchitecture kMpnet("mpnet", kMpnetRules, make_mpnet);

}  // namespace

}  // namespace lazuli
