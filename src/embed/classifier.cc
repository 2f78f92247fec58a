// Implements the RerankModel of an encoder with a classification head (Nogueira and Cho 2019).
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "embed/rerank_model.h"
#include "embed/transformer_settings.h"
#include "io/model_config.h"
#include "lazuli/encoder.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "models/classification_head.h"
#include "models/registry.h"
#include "text/tokenizer/load.h"

namespace lazuli {

namespace {

/// What the labels' numbers mean: of classes that exclude each other, of others, or quantities.
enum class LabelKinds : uint8_t { exclusive, independent, quantities };

/// What a classifier is made of.
struct ClassifierParts {
  std::shared_ptr<const Encoder> encoder;
  ClassificationHead head;
  std::vector<std::string> names;  ///< of the labels
  LabelKinds kinds = LabelKinds::exclusive;
  bool types = false;  ///< whether the model is told which text a token is of
};

class Classifier : public PairModel {
 public:
  Classifier(CrossEncoderSettings settings, Tokenizer tokenizer, int64_t max_length, ClassifierParts parts)
      : PairModel(std::move(settings), std::move(tokenizer), max_length), parts_(std::move(parts)) {}

  const ModelInfo& info() const override { return parts_.encoder->info(); }
  std::span<const LinearInfo> linears() const override { return parts_.head.linears(); }
  std::span<const WholeTensor> head() const override { return parts_.head.whole(); }
  bool has_new_head() const override { return parts_.head.is_new(); }
  int64_t labels() const override { return parts_.head.labels(); }
  std::span<const std::string> label_names() const override { return parts_.names; }
  LazyTensor probabilities(const LazyTensor& logits) const override {
    if (parts_.kinds == LabelKinds::quantities) {
      throw ValueError(fmt::format("[classify] {}: classes expected, but problem_type of its config.json is regression", info().path));
    }
    return parts_.kinds == LabelKinds::independent ? sigmoid(logits) : PairModel::probabilities(logits);
  }
  PairTokens tokenize(std::string_view query, std::string_view text, const std::string& prompt, int64_t most) const override {
    PairTokens tokens = join(prompt + std::string(query), text, at_most(most));
    if (!parts_.types) std::fill(tokens.types.begin(), tokens.types.end(), 0);
    return tokens;
  }
  LazyTensor logits(const PairInputs& inputs) const override {
    EncoderInputs in{inputs.ids, inputs.mask, inputs.adapter, parts_.types ? inputs.types : LazyTensor()};
    return parts_.head.forward(parts_.encoder->hidden(in), inputs.mask, inputs.adapter);
  }

 private:
  ClassifierParts parts_;
};

/// The labels by their numbers; those without a name are called as transformers calls them.
std::vector<std::string> names_of_labels(const JsonValue& root, int64_t labels) {
  std::vector<std::string> out;
  const auto names = root.find_set("id2label");
  for (int64_t k = 0; k < labels; ++k) {
    const auto name = names ? names->find_set(std::to_string(k)) : std::nullopt;
    out.push_back(name ? std::string(name->as_string()) : fmt::format("LABEL_{}", k));
  }
  return out;
}

LabelKinds kinds_of_labels(const JsonValue& root) {
  const std::string kind = root.string_or("problem_type", "single_label_classification");
  if (kind == "single_label_classification") return LabelKinds::exclusive;
  if (kind == "multi_label_classification") return LabelKinds::independent;
  if (kind == "regression") return LabelKinds::quantities;
  root.get("problem_type")
      .fail(fmt::format("regression, single_label_classification or multi_label_classification expected, got '{}'", kind));
}

/// Whether a tokenizer's class gives kinds of text: of those that the known encoders have, BERT's. Without a class the model has its own.
bool class_gives_types(ModelFolder& folder, const std::optional<JsonValue>& named) {
  std::string name;
  if (named) {
    name = named->as_string();
  } else {
    const std::string model_type = model_type_of(*folder.require("config.json"));
    name = model_type == "bert" || model_type == "electra" ? "Bert" : "";
  }
  return name.starts_with("Bert") || name.starts_with("Electra");
}

/// Whether the tokenizer gives kinds of text to the model: by its list of inputs, or else by its class, where its template has some.
bool gives_types(ModelFolder& folder, const Tokenizer& tokenizer) {
  const std::vector<int32_t> types = tokenizer.encode_pair("a", "b").type_ids;
  const int32_t most = types.empty() ? 0 : *std::max_element(types.begin(), types.end());
  if (most == 0) return false;
  const auto document = folder.find("tokenizer_config.json");
  bool given = false;
  if (const auto names = document ? document->root().find_set("model_input_names") : std::nullopt) {
    for (const JsonValue& name : names->as_array()) given = given || name.as_string() == "token_type_ids";
  } else {
    given = class_gives_types(folder, document ? document->root().find_set("tokenizer_class") : std::nullopt);
  }
  if (!given) return false;
  const auto config = folder.require("config.json");
  if (const int64_t known = int_key(config->root(), "type_vocab_size", 1, int64_t{1} << 20, 2); known <= most) {
    fail_key(config->root(), "type_vocab_size",
             fmt::format("more than {}, a type of the tokenizer's pairs, expected, got {}", most, known));
  }
  return true;
}

}  // namespace

std::shared_ptr<const RerankModel> load_classifier(ModelFolder& folder, CrossEncoderSettings settings, DType dtype,
                                                   Quantization quantization, const NewHead& head) {
  const std::shared_ptr<const WeightSource> all = folder.weights();
  folder.set_weights(without_head(all));
  ClassifierParts parts;
  parts.encoder = load_encoder(folder, dtype, quantization);
  folder.set_weights(all);
  parts.head = ClassificationHead::read(folder, *parts.encoder, head.labels, head.seed);
  const TransformerSettings own = TransformerSettings::read(folder, parts.encoder->info().context, TransformerTask::classification);
  Tokenizer tokenizer = load_tokenizer(folder, {.lower_case = own.lower_case});
  parts.types = gives_types(folder, tokenizer);
  const auto config = folder.require("config.json");
  parts.names = names_of_labels(config->root(), parts.head.labels());
  parts.kinds = kinds_of_labels(config->root());
  return std::make_shared<Classifier>(std::move(settings), std::move(tokenizer), own.max_seq_length, std::move(parts));
}

}  // namespace lazuli
