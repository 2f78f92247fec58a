// Implements what all kinds of RerankModel share.
#include "embed/rerank_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lazuli/error.h"
#include "lazuli/ops.h"

namespace lazuli {

std::shared_ptr<const RerankModel> RerankModel::load(const std::string& path, DType dtype, Quantization quantization, const NewHead& head) {
  ModelFolder folder(path);
  CrossEncoderSettings settings = CrossEncoderSettings::read(folder);
  const auto load = settings.decoder ? load_judge : load_classifier;
  ModelFolder& transformer = folder.below(settings.transformer);
  return load(transformer, std::move(settings), dtype, quantization, head);
}

PairModel::PairModel(CrossEncoderSettings settings, Tokenizer tokenizer, int64_t max_length)
    : settings_(std::move(settings)), tokenizer_(std::move(tokenizer)), max_length_(max_length) {}

const std::string& PairModel::prompt(const std::string& name) const {
  static const std::string none;
  const std::string& chosen = name.empty() ? settings_.default_prompt : name;
  if (chosen.empty()) return none;
  const auto found = settings_.prompts.find(chosen);
  if (found != settings_.prompts.end()) return found->second;
  std::vector<std::string_view> names;
  for (const auto& [known, text] : settings_.prompts) names.push_back(known);
  throw ValueError(fmt::format("[rerank] the model has no prompt '{}'; {}", name,
                               names.empty() ? "it has none at all" : fmt::format("its prompts are {}", fmt::join(names, ", "))));
}

LazyTensor PairModel::scores(const LazyTensor& logits) const {
  if (settings_.activation != nullptr) return settings_.activation(logits, {});
  return labels() == 1 ? sigmoid(logits) : logits;
}

LazyTensor PairModel::probabilities(const LazyTensor& logits) const { return labels() == 1 ? sigmoid(logits) : softmax(logits, -1); }

PairTokens PairModel::join(const std::string& first, std::string_view second, int64_t most) const {
  EncodeOptions options;
  options.max_length = static_cast<size_t>(most);
  TokenizedText text = tokenizer_.encode_pair(first, second, options);
  PairTokens out{std::move(text.ids), std::move(text.type_ids), 0};
  if (out.ids.size() >= options.max_length)
    out.cut = static_cast<int64_t>(tokenizer_.encode_pair(first, second).ids.size() - out.ids.size());
  return out;
}

PairTokens PairModel::tokenize_text(std::string_view text, int64_t most) const {
  EncodeOptions options;
  options.max_length = static_cast<size_t>(at_most(most));
  PairTokens out{tokenizer_.encode(text, options).ids, {}, 0};
  if (out.ids.size() >= options.max_length) out.cut = static_cast<int64_t>(tokenizer_.encode(text).size() - out.ids.size());
  out.types.assign(out.ids.size(), 0);
  return out;
}

PairBatch RerankModel::batch(std::span<const PairTokens* const> pairs, int64_t rows, int64_t tokens) const {
  const auto count = static_cast<int64_t>(pairs.size());
  for (const PairTokens* pair : pairs) tokens = std::max(tokens, static_cast<int64_t>(pair->ids.size()));
  const Shape shape{std::max<int64_t>({rows, count, 1}), std::max<int64_t>(tokens, 1)};
  PairBatch b{Tensor::zeros(DType::i32, shape), Tensor::zeros(DType::i32, shape), Tensor::zeros(DType::boolean, shape),
              Tensor::zeros(DType::i32, {shape[0]})};
  const auto ids = b.ids.mutable_data<int32_t>(), types = b.types.mutable_data<int32_t>(), last = b.last.mutable_data<int32_t>();
  const auto mask = b.mask.mutable_data<bool>();
  for (int64_t row = 0; row < shape[0]; ++row) {
    const auto start = static_cast<size_t>(row * shape[1]);
    mask[start] = true;  // attention has something to look at in a row without a pair
    last[static_cast<size_t>(row)] = static_cast<int32_t>(start);
    if (row >= count) continue;
    const PairTokens& pair = *pairs[static_cast<size_t>(row)];
    for (size_t k = 0; k < pair.ids.size(); ++k) {
      if (pair.ids[k] < 0 || pair.ids[k] >= info().vocab_size) {
        throw ValueError(fmt::format("[rerank] a token has id {}, which is not below the vocabulary size {} of the model", pair.ids[k],
                                     info().vocab_size));
      }
      ids[start + k] = pair.ids[k];
      types[start + k] = k < pair.types.size() ? pair.types[k] : 0;
      mask[start + k] = true;
    }
    if (!pair.ids.empty()) last[static_cast<size_t>(row)] = static_cast<int32_t>(start + pair.ids.size() - 1);
  }
  return b;
}

}  // namespace lazuli
