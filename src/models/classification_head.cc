// Implements the heads of transformers' ForSequenceClassification models.
#include "models/classification_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/model_config.h"
#include "lazuli/error.h"
#include "models/weights.h"

namespace lazuli {

namespace {

constexpr int64_t kMaxLabels = 1 << 20;
constexpr std::string_view kPoolerPath = "pooler.dense";

/// How an architecture's files call the parts of its head.
struct HeadNames {
  std::string_view model_type;
  const char* prefix;  ///< what may stand before the dense layer's name
  const char* dense;
  Activation activation;  ///< null: `classifier_activation` names it, and a norm follows
  const char* out;
};

constexpr HeadNames kHeads[] = {{"bert", "bert.", "pooler.dense", tanh, "classifier"},
                                {"camembert", "", "classifier.dense", tanh, "classifier.out_proj"},
                                {"distilbert", "", "pre_classifier", relu, "classifier"},
                                {"electra", "", "classifier.dense", gelu, "classifier.out_proj"},
                                {"modernbert", "", "head.dense", nullptr, "classifier"},
                                {"mpnet", "", "classifier.dense", tanh, "classifier.out_proj"},
                                {"roberta", "", "classifier.dense", tanh, "classifier.out_proj"},
                                {"xlm-roberta", "", "classifier.dense", tanh, "classifier.out_proj"}};

const HeadNames& names_for(const ModelInfo& info, const JsonValue& root) {
  std::vector<std::string_view> known;
  for (const HeadNames& names : kHeads) {
    if (names.model_type == info.architecture) return names;
    known.push_back(names.model_type);
  }
  root.get("model_type").fail(fmt::format("a head of {} expected, got '{}'", fmt::join(known, ", "), info.architecture));
}

bool reads_mean(const JsonValue& root) {
  const std::string pooling = root.string_or("classifier_pooling", "cls");
  if (pooling != "cls" && pooling != "mean") root.get("classifier_pooling").fail(fmt::format("cls or mean expected, got '{}'", pooling));
  return pooling == "mean";
}

LayerNorm head_norm(WeightReader& weights, const JsonValue& root, int64_t size) {
  Tensor weight = weights.take("head.norm.weight", {size}, "hidden_size");
  Tensor bias = bool_key(root, "norm_bias", false) ? weights.take("head.norm.bias", {size}, "hidden_size")
                                                   : Tensor::zeros(weight.dtype(), {size}).to(weight.device());
  return {std::move(weight), std::move(bias), real_key(root, "norm_eps", 0, 1, 1e-5)};
}

/// Shows a source without the tensors of a head.
class WithoutHead : public WeightSource {
 public:
  explicit WithoutHead(std::shared_ptr<const WeightSource> source) : source_(std::move(source)) {}
  std::vector<std::string> names() const override {
    std::vector<std::string> all = source_->names();
    std::erase_if(all, is_of_head);
    return all;
  }
  bool contains(std::string_view name) const override { return !is_of_head(name) && source_->contains(name); }
  const TensorInfo& info(std::string_view name) const override { return source_->info(name); }
  Tensor tensor(std::string_view name) const override { return source_->tensor(name); }
  QuantizedWeight quantized(std::string_view name) const override { return source_->quantized(name); }
  const std::string& file_of(std::string_view name) const override { return source_->file_of(name); }
  const std::string& place() const override { return source_->place(); }

 private:
  static bool is_of_head(std::string_view name) {
    static constexpr std::string_view starts[] = {"classifier.", "pre_classifier.", "head."};
    return std::any_of(std::begin(starts), std::end(starts), [name](std::string_view start) { return name.starts_with(start); });
  }
  std::shared_ptr<const WeightSource> source_;
};

}  // namespace

std::shared_ptr<const WeightSource> without_head(std::shared_ptr<const WeightSource> source) {
  return std::make_shared<WithoutHead>(std::move(source));
}

int64_t label_count(const JsonValue& root) {
  const auto names = root.find_set("id2label");
  const int64_t count = names ? static_cast<int64_t>(names->as_object().size()) : int_key(root, "num_labels", 1, kMaxLabels, 2);
  if (count < 1 || count > kMaxLabels) names->fail(fmt::format("1 to {} labels expected, got {}", kMaxLabels, count));
  return count;
}

ClassificationHead ClassificationHead::read(ModelFolder& folder, const Encoder& encoder) {
  const auto config = folder.require("config.json");
  const JsonValue root = config->root();
  const ModelInfo& info = encoder.info();
  const HeadNames& names = names_for(info, root);
  const int64_t hidden = info.hidden_size;
  WeightReader weights(folder.weights(), info.dtype);
  const bool gated = names.activation == nullptr;
  std::string dense = fmt::format("{}{}", names.prefix, names.dense);
  if (!weights.contains(dense + ".weight")) dense = names.dense;
  const bool bias = !gated || bool_key(root, "classifier_bias", false);
  ClassificationHead head;
  head.dense_.linear = weights.linear(dense + ".weight", bias ? dense + ".bias" : "", hidden, hidden, "hidden_size, hidden_size");
  head.activation_ =
      gated ? activation_named(root, "classifier_activation", root.string_or("classifier_activation", "gelu")) : names.activation;
  if (gated) {
    head.mean_ = reads_mean(root);
    head.norm_ = head_norm(weights, root, hidden);
  }
  const std::string out = names.out;
  head.out_ = weights.linear(out + ".weight", out + ".bias", label_count(root), hidden, "labels, hidden_size");
  head.linears_.assign(encoder.linears().begin(), encoder.linears().end());
  for (size_t k = 0; k < head.linears_.size() && names.dense == kPoolerPath; ++k) {
    if (head.linears_[k].path != kPoolerPath) continue;
    head.linears_[k].used = head.adapted_ = true;
    head.dense_.index = k;
  }
  return head;
}

LazyTensor ClassificationHead::dense(const LazyTensor& x, const AdapterContext* adapter) const {
  const LowRank* low_rank = adapter != nullptr && adapted_ ? adapter->low_rank(dense_.index) : nullptr;
  return dense_.linear.forward(x, low_rank);
}

LazyTensor ClassificationHead::forward(const LazyTensor& states, const LazyTensor& mask, const AdapterContext* adapter) const {
  LazyTensor pooled;
  if (mean_) {
    const LazyTensor weights = unsqueeze(cast(mask, states.dtype()), 2);
    const int axis = 1;
    pooled = div(sum(mul(states, weights), std::span(&axis, 1)), sum(weights, std::span(&axis, 1)));
  } else {
    pooled = squeeze(slice(states, 1, 0, 1), 1);
  }
  return cast(out_.forward(norm_.forward(activation_(dense(pooled, adapter), {}))), DType::f32);
}

}  // namespace lazuli
