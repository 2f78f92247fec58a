// Implements EmbeddingModel.
#include <fmt/format.h>

#include <algorithm>

#include "embed/modules.h"
#include "lazuli/embed.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "models/module_list.h"
#include "text/tokenizer/load.h"

namespace lazuli {

struct EmbeddingModel::Impl {
  Impl(Modules m, Tokenizer t) : modules(std::move(m)), tokenizer(std::move(t)) {}
  Modules modules;
  Tokenizer tokenizer;
};

EmbeddingModel::EmbeddingModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EmbeddingModel::~EmbeddingModel() = default;

std::shared_ptr<const EmbeddingModel> EmbeddingModel::load(const std::string& path, DType dtype, Quantization quantization) {
  ModelFolder folder(path);
  return load_embedding_model(folder, dtype, quantization);
}

std::shared_ptr<const EmbeddingModel> load_embedding_model(ModelFolder& folder, DType dtype, Quantization quantization) {
  using Impl = EmbeddingModel::Impl;
  Modules modules = Modules::read(folder, dtype, quantization);
  Tokenizer tokenizer = load_tokenizer(transformer_folder(folder), {.lower_case = modules.lower_case});
  return std::shared_ptr<const EmbeddingModel>(new EmbeddingModel(std::make_unique<Impl>(std::move(modules), std::move(tokenizer))));
}

const Encoder& EmbeddingModel::encoder() const { return *impl_->modules.encoder; }
const Tokenizer& EmbeddingModel::tokenizer() const { return impl_->tokenizer; }
int64_t EmbeddingModel::dimensions() const { return impl_->modules.dimensions; }
int64_t EmbeddingModel::max_seq_length() const { return impl_->modules.max_seq_length; }
const std::map<std::string, std::string>& EmbeddingModel::prompts() const { return impl_->modules.prompts; }

Similarity EmbeddingModel::similarity() const { return impl_->modules.similarity; }

const std::string& EmbeddingModel::prompt(const std::string& name) const {
  static const std::string none;
  const Modules& m = impl_->modules;
  const std::string& chosen = name.empty() ? m.default_prompt : name;
  if (chosen.empty()) return none;
  const auto found = m.prompts.find(chosen);
  if (found != m.prompts.end()) return found->second;
  std::vector<std::string_view> names;
  for (const auto& [known, text] : m.prompts) names.push_back(known);
  throw ValueError(fmt::format("[embed] the model has no prompt '{}'; {}", name,
                               names.empty() ? "it has none at all" : fmt::format("its prompts are {}", fmt::join(names, ", "))));
}

EmbeddingTokens EmbeddingModel::tokenize(std::string_view text, const std::string& prompt, int64_t max_length) const {
  const Modules& m = impl_->modules;
  const Tokenizer& tokenizer = impl_->tokenizer;
  EmbeddingTokens out;
  const std::string whole = prompt + std::string(text);
  EncodeOptions options;
  options.max_length = static_cast<size_t>(max_length > 0 ? std::min(max_length, m.max_seq_length) : m.max_seq_length);
  out.ids = tokenizer.encode(whole, options).ids;
  if (out.ids.size() >= options.max_length) out.cut = static_cast<int64_t>(tokenizer.encode(whole).size() - out.ids.size());
  if (!prompt.empty()) {
    const std::vector<int32_t> alone = tokenizer.encode(prompt);
    const bool ended = !alone.empty() && tokenizer.is_special(alone.back());
    out.prompt = static_cast<int64_t>(std::min(alone.size() - (ended ? 1 : 0), out.ids.size()));
  }
  return out;
}

namespace {

void check_ids(const EmbeddingTokens& text, const Tokenizer& tokenizer, const ModelInfo& info) {
  for (const int32_t id : text.ids) {
    if (id >= 0 && id < info.vocab_size) continue;
    const std::string_view spelled = tokenizer.id_to_token(id).value_or("");
    throw ValueError(fmt::format("[embed] token '{}' of the text has id {}, which is not below the vocabulary size {} of the model",
                                 spelled, id, info.vocab_size));
  }
}

}  // namespace

EmbeddingBatch EmbeddingModel::batch(std::span<const EmbeddingTokens* const> texts, int64_t rows, int64_t length) const {
  const auto count = static_cast<int64_t>(texts.size());
  for (const EmbeddingTokens* text : texts) length = std::max(length, static_cast<int64_t>(text->ids.size()));
  const Shape shape{std::max(rows, count), std::max<int64_t>(length, 1)};
  EmbeddingBatch b{Tensor::zeros(DType::i32, shape), Tensor::zeros(DType::boolean, shape), Tensor::zeros(DType::boolean, shape)};
  const auto ids = b.ids.mutable_data<int32_t>();
  const auto mask = b.mask.mutable_data<bool>(), pooled = b.pooled.mutable_data<bool>();
  for (int64_t row = 0; row < shape[0]; ++row) {
    const auto start = static_cast<size_t>(row * shape[1]);
    mask[start] = true;  // attention has something to look at in a row without text
    if (row >= count) continue;
    const EmbeddingTokens& text = *texts[static_cast<size_t>(row)];
    const int64_t skipped = impl_->modules.pooling.include_prompt ? 0 : text.prompt;
    check_ids(text, tokenizer(), encoder().info());
    for (size_t k = 0; k < text.ids.size(); ++k) {
      ids[start + k] = text.ids[k];
      mask[start + k] = true;
      pooled[start + k] = static_cast<int64_t>(k) >= skipped;
    }
  }
  return b;
}

LazyTensor EmbeddingModel::forward(const LazyTensor& ids, const LazyTensor& mask, const LazyTensor& pooled,
                                   const AdapterContext* adapter) const {
  const Modules& m = impl_->modules;
  LazyTensor x = m.pooling.forward(m.encoder->hidden({ids, mask, adapter}), pooled);
  for (const auto& module : m.after) x = module->forward(x);
  return x;
}

bool EmbeddingModel::packs() const { return impl_->modules.encoder->packs() && impl_->modules.pooling.packs(); }

PackedBatch EmbeddingModel::pack(std::span<const EmbeddingTokens* const> texts, int64_t rows, int64_t tokens) const {
  const ModelInfo& info = encoder().info();
  int64_t used = 0;
  for (const EmbeddingTokens* text : texts) {
    const auto length = static_cast<int64_t>(text->ids.size());
    if (length > info.context) {
      throw ShapeError(fmt::format("[{}] at most {} tokens are expected, got {}", info.architecture, info.context, length));
    }
    check_ids(*text, tokenizer(), info);
    used += length;
  }
  rows = std::max(rows, static_cast<int64_t>(texts.size()));
  tokens = std::max<int64_t>({tokens, used, 1});
  PackedBatch b{Tensor::zeros(DType::i32, {tokens}), Tensor::zeros(DType::i32, {tokens}), Tensor::zeros(DType::i32, {rows + 1}),
                Tensor::zeros(DType::boolean, {rows, tokens})};
  const auto ids = b.ids.mutable_data<int32_t>(), positions = b.positions.mutable_data<int32_t>(),
             starts = b.starts.mutable_data<int32_t>();
  const auto pooled = b.pooled.mutable_data<bool>();
  size_t at = 0;
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    if (row < texts.size()) {
      const EmbeddingTokens& text = *texts[row];
      const int64_t skipped = impl_->modules.pooling.include_prompt ? 0 : text.prompt;
      for (size_t k = 0; k < text.ids.size(); ++k, ++at) {
        ids[at] = text.ids[k];
        positions[at] = static_cast<int32_t>(k);
        pooled[row * static_cast<size_t>(tokens) + at] = static_cast<int64_t>(k) >= skipped;
      }
    }
    starts[row + 1] = static_cast<int32_t>(at);
  }
  return b;
}

LazyTensor EmbeddingModel::forward_packed(const LazyTensor& ids, const LazyTensor& positions, const LazyTensor& starts,
                                          const LazyTensor& pooled, const AdapterContext* adapter) const {
  const Modules& m = impl_->modules;
  LazyTensor x = m.pooling.forward_packed(m.encoder->hidden_packed({ids, positions, starts, adapter}), pooled, positions);
  for (const auto& module : m.after) x = module->forward(x);
  return x;
}

}  // namespace lazuli
