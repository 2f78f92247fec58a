// Implements the heads of transformers' ForSequenceClassification models.
#include "models/classification_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
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
  const char* prefix;  ///< before the names of the encoder in the whole model
  const char* dense;
  Activation activation;  ///< null: `classifier_activation` names it, and a norm follows
  const char* out;
};

constexpr HeadNames kHeads[] = {{"bert", "bert.", "pooler.dense", tanh, "classifier"},
                                {"camembert", "roberta.", "classifier.dense", tanh, "classifier.out_proj"},
                                {"distilbert", "distilbert.", "pre_classifier", relu, "classifier"},
                                {"electra", "electra.", "classifier.dense", gelu, "classifier.out_proj"},
                                {"modernbert", "model.", "head.dense", nullptr, "classifier"},
                                {"mpnet", "mpnet.", "classifier.dense", tanh, "classifier.out_proj"},
                                {"roberta", "roberta.", "classifier.dense", tanh, "classifier.out_proj"},
                                {"xlm-roberta", "roberta.", "classifier.dense", tanh, "classifier.out_proj"}};

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

namespace {

constexpr std::string_view kModule = "classifier.";

/// Random numbers of a normal distribution, the same everywhere (Box and Muller 1958).
Tensor normal_numbers(const Shape& shape, double deviation, uint64_t seed) {
  Tensor out = Tensor::zeros(DType::f32, shape);
  uint64_t state = seed;
  const auto uniform = [&state] {
    state += 0x9e3779b97f4a7c15U;  // splitmix64
    uint64_t x = state;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return (static_cast<double>((x ^ (x >> 31)) >> 11) + 0.5) * 0x1p-53;
  };
  for (float& v : out.mutable_data<float>()) {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    v = static_cast<float>(deviation * radius * std::cos(2 * std::numbers::pi * uniform()));
  }
  return out;
}

/// The layers that an adapter of the whole model sees. The encoder's own keep their indices, as its pooler stands last.
std::vector<LinearInfo> linears_with_head(const Encoder& encoder, const HeadNames& names) {
  std::vector<LinearInfo> linears(encoder.linears().begin(), encoder.linears().end());
  if (!linears.empty() && linears.back().path == kPoolerPath && names.dense != kPoolerPath) linears.pop_back();
  for (LinearInfo& layer : linears) {
    if (layer.path == kPoolerPath) layer.used = true;
    layer.path = names.prefix + layer.path;
  }
  return linears;
}

}  // namespace

struct ClassificationHead::Reader {
  ClassificationHead& head;
  WeightReader& weights;
  double deviation;
  uint64_t seed;

  Tensor tensor(const std::string& name, const Shape& shape, bool random) {
    const bool whole = name.starts_with(kModule);
    Tensor value;
    if (head.new_ && whole) {
      value = random ? normal_numbers(shape, deviation, seed + head.whole_.size()) : Tensor::zeros(DType::f32, shape);
      value = value.to(weights.dtype());
    } else {
      value = weights.take(name, shape, "labels or hidden_size, hidden_size");
    }
    if (whole) head.whole_.push_back({name, value});
    return value;
  }
  Layer layer(const std::string& name, int64_t out, int64_t in, bool bias) {
    Tensor weight = tensor(name + ".weight", {out, in}, true);
    return {Linear(std::move(weight), bias ? tensor(name + ".bias", {out}, false) : Tensor()), name, {}};
  }
};

ClassificationHead ClassificationHead::read(ModelFolder& folder, const Encoder& encoder, int64_t new_labels, uint64_t seed) {
  const auto config = folder.require("config.json");
  const JsonValue root = config->root();
  const ModelInfo& info = encoder.info();
  const HeadNames& names = names_for(info, root);
  const int64_t hidden = info.hidden_size;
  WeightReader weights(folder.weights(), info.dtype);
  ClassificationHead head;
  head.dtype_ = info.dtype;
  head.new_ = new_labels > 0 && !weights.contains(fmt::format("{}.weight", names.out));
  head.linears_ = linears_with_head(encoder, names);
  Reader reader{head, weights, real_key(root, "initializer_range", 0, 100, 0.02), seed};
  const bool gated = names.activation == nullptr;
  const std::string inside = fmt::format("{}{}", names.prefix, names.dense);
  const bool bias = !gated || bool_key(root, "classifier_bias", false);
  head.dense_ = reader.layer(weights.contains(inside + ".weight") ? inside : names.dense, hidden, hidden, bias);
  head.activation_ = names.activation;
  if (gated) {
    head.activation_ = activation_named(root, "classifier_activation", root.string_or("classifier_activation", "gelu"));
    head.mean_ = reads_mean(root);
    head.norm_ = head_norm(weights, root, hidden);
  }
  head.out_ = reader.layer(names.out, head.new_ ? new_labels : label_count(root), hidden, true);
  const std::string dense = names.dense;
  if (dense == kPoolerPath) {
    head.dense_.index = head.linears_.size() - 1;
  } else if (!dense.starts_with(kModule)) {
    head.linears_.push_back({dense, hidden, hidden, true, dense + ".weight"});
    head.dense_.index = head.linears_.size() - 1;
  }
  return head;
}

LazyTensor ClassificationHead::Layer::forward(const LazyTensor& x, DType dtype, const AdapterContext* adapter) const {
  const LazyTensor* weight = adapter != nullptr ? adapter->whole(name + ".weight") : nullptr;
  if (weight == nullptr) return linear.forward(cast(x, dtype), adapter != nullptr && index ? adapter->low_rank(*index) : nullptr);
  const LazyTensor y = matmul(cast(x, DType::f32), *weight, false, true);
  const LazyTensor* bias = adapter->whole(name + ".bias");
  return bias != nullptr ? add(y, *bias) : y;
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
  const LazyTensor y = activation_(dense_.forward(pooled, dtype_, adapter), {});
  return cast(out_.forward(norm_.forward(y), dtype_, adapter), DType::f32);
}

}  // namespace lazuli
