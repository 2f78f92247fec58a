// Defines the BERT architecture (Devlin et al. 2019): learned positions, and embeddings of the kind of text, of which all is the first.
#include <fmt/format.h>

#include "models/encoder.h"
#include "models/registry.h"

namespace lazuli {

namespace {

constexpr EncoderLayerNames kNames = {"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                                      "attention.output.LayerNorm"};

constexpr ConfigRules kBertRules = {.windows = full_attention_only,
                                    .hidden_size = 768,
                                    .intermediate_size = 3072,
                                    .num_hidden_layers = 12,
                                    .num_attention_heads = 12,
                                    .vocab_size = 30522,
                                    .max_position_embeddings = 512,
                                    .hidden_act = "gelu",
                                    .decoder = false};

class BertModel : public EncoderModel {
 public:
  BertModel(const ModelConfig& config, const std::string& folder, WeightReader& weights)
      : EncoderModel(config, folder, weights, kNames, prefix_of(weights, "bert."), 0) {
    const JsonValue root = config.json->root();
    if (const std::string kind = root.string_or("position_embedding_type", "absolute"); kind != "absolute") {
      root.get("position_embedding_type").fail(fmt::format("absolute expected, got '{}'", kind));
    }
    if (bool_key(root, "is_decoder", false)) root.get("is_decoder").fail("a model that attends to both sides is expected");
    const int64_t types = int_key(root, "type_vocab_size", 1, config.vocab_size, 2);
    const LazyTensor table =
        LazyTensor::from_tensor(weights.take(fmt::format("{}embeddings.token_type_embeddings.weight", prefix_of(weights, "bert.")),
                                             {types, config.hidden_size}, "type_vocab_size, hidden_size"));
    type_ = LazyTensor::from_tensor(slice(table, 0, 0, 1).eval().contiguous());
    finish(weights, config, prefix_of(weights, "bert."));
    info_.parameters = weights.count();
  }

  bool packs() const override { return true; }

 protected:
  LazyTensor positions(const LazyTensor& ids) const override { return reshape(arange(0, ids.dim(1)), {1, ids.dim(1)}); }
  LazyTensor offset() const override { return type_; }
  LazyTensor attention_mask(const LazyTensor& mask) const override { return over_heads(mask); }

 private:
  LazyTensor type_;
};

std::shared_ptr<const Encoder> make_bert(const ModelConfig& config, const std::string& folder, WeightReader& weights) {
  return std::make_shared<BertModel>(config, folder, weights);
}

const RegisterArchitecture kBert("bert", kBertRules, make_bert);

}  // namespace

}  // namespace lazuli
