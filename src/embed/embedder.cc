// Implements Embedder: batches of texts of about the same length, in few different shapes so that few plans are made.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <numeric>

#include "embed/batches.h"
#include "lazuli/error.h"
#include "lazuli/memory.h"
#include "tensor/device_memory.h"

namespace lazuli {

namespace {

constexpr int64_t kLengthStep = 8;      // sizes of batches are multiples of this
constexpr int64_t kBatchTokens = 8192;  // bounds the memory of a batch of long texts

int64_t length_of(const EmbeddingTokens& text) { return static_cast<int64_t>(text.ids.size()); }

/// The next power of two, so that the last batch has one of few sizes.
int64_t padded_rows(int64_t count, int64_t most) {
  int64_t rows = 1;
  while (rows < count) rows *= 2;
  return std::min(rows, most);
}

/// A multiple of 8, and of a sixteenth to a thirty-second of the tokens.
int64_t packed_tokens(int64_t used) {
  const auto below = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(used, 1))));
  const int64_t step = std::max(kLengthStep, below / 16);
  return (used + step - 1) / step * step;
}

}  // namespace

Function embedding_function(std::shared_ptr<const EmbeddingModel> model, std::shared_ptr<const AdapterContext> adapter) {
  return [model = std::move(model), adapter = std::move(adapter)](std::span<const LazyTensor> args) {
    return std::vector<LazyTensor>{model->forward(args[0], args[1], args[2], adapter.get())};
  };
}

Function packed_embedding_function(std::shared_ptr<const EmbeddingModel> model, std::shared_ptr<const AdapterContext> adapter) {
  return [model = std::move(model), adapter = std::move(adapter)](std::span<const LazyTensor> args) {
    return std::vector<LazyTensor>{model->forward_packed(args[0], args[1], args[2], args[3], adapter.get())};
  };
}

bool packs_on(const EmbeddingModel& model, Device device) { return on_host(device) && model.packs(); }

std::vector<TensorSpec> batch_specs(int64_t rows, int64_t tokens) {
  const Shape shape{rows, tokens};
  return {{DType::i32, shape}, {DType::boolean, shape}, {DType::boolean, shape}};
}

std::vector<TensorSpec> packed_batch_specs(int64_t rows, int64_t tokens) {
  return {{DType::i32, {tokens}}, {DType::i32, {tokens}}, {DType::i32, {rows + 1}}, {DType::boolean, {rows, tokens}}};
}

int64_t rows_of_batch(int64_t tokens, int64_t batch_size) {
  return std::clamp<int64_t>(kBatchTokens / std::max<int64_t>(tokens, 1), 1, batch_size);
}

namespace {

/// Texts [first, first + count) in order of length, and the sizes that they are given.
struct Batch {
  size_t first, count;
  int64_t rows, tokens;  ///< tokens of each text, or of all where they are packed
};

}  // namespace

struct Embedder::Impl {
  std::shared_ptr<const EmbeddingModel> model;
  bool packed = false;
  CompiledFunction vectors;

  int64_t padded_length(int64_t longest) const;
  /// `texts` from the longest to the shortest.
  std::vector<Batch> batches(std::span<const EmbeddingTokens* const> texts, int64_t batch_size) const;
  void require_memory(const Batch& batch, int64_t total);
  std::vector<Tensor> operands(const Batch& batch, std::span<const EmbeddingTokens* const> texts) const;
};

Embedder::Embedder(std::shared_ptr<const EmbeddingModel> model, std::optional<Adapter> adapter) : impl_(std::make_unique<Impl>()) {
  Impl& s = *impl_;
  s.model = std::move(model);
  s.packed = packs_on(*s.model, default_device());
  auto context = adapter ? std::make_shared<const AdapterContext>(*adapter) : nullptr;
  const auto function = s.packed ? packed_embedding_function : embedding_function;
  s.vectors = compile(function(s.model, std::move(context)), default_device());
}

Embedder::~Embedder() = default;
Embedder::Embedder(Embedder&&) noexcept = default;
const EmbeddingModel& Embedder::model() const { return *impl_->model; }

int64_t Embedder::Impl::padded_length(int64_t longest) const {
  return std::min((longest + kLengthStep - 1) / kLengthStep * kLengthStep, std::max(longest, model->encoder().info().context));
}

std::vector<Batch> Embedder::Impl::batches(std::span<const EmbeddingTokens* const> texts, int64_t batch_size) const {
  std::vector<Batch> all;
  for (size_t first = 0; first < texts.size();) {
    const int64_t longest = std::max<int64_t>(length_of(*texts[first]), 1);
    size_t count = 1;
    int64_t used = longest, most = rows_of_batch(longest, batch_size);
    if (packed) most = batch_size;
    while (first + count < texts.size() && static_cast<int64_t>(count) < most) {
      const int64_t next = length_of(*texts[first + count]);
      if (packed && used + next > kBatchTokens) break;
      used += next;
      ++count;
    }
    const int64_t rows = padded_rows(static_cast<int64_t>(count), most);
    all.push_back({first, count, rows, packed ? packed_tokens(used) : padded_length(longest)});
    first += count;
  }
  return all;
}

/// For all vectors and a batch.
void Embedder::Impl::require_memory(const Batch& batch, int64_t total) {
  const std::vector<TensorSpec> arguments = packed ? packed_batch_specs(batch.rows, batch.tokens) : batch_specs(batch.rows, batch.tokens);
  MemoryNeed need = vectors.plan(arguments);
  for (const TensorSpec& a : arguments) need.arguments += allocated_bytes(static_cast<size_t>(a.shape.numel()) * size_of(a.dtype));
  need.results += allocated_bytes(static_cast<size_t>(total * model->dimensions()) * sizeof(float));
  lazuli::require_memory("[embed]", need, default_device());
}

std::vector<Tensor> Embedder::Impl::operands(const Batch& batch, std::span<const EmbeddingTokens* const> texts) const {
  if (packed) {
    PackedBatch b = model->pack(texts, batch.rows, batch.tokens);
    return {std::move(b.ids), std::move(b.positions), std::move(b.starts), std::move(b.pooled)};
  }
  EmbeddingBatch b = model->batch(texts, batch.rows, batch.tokens);
  return {std::move(b.ids), std::move(b.mask), std::move(b.pooled)};
}

EmbedResult Embedder::run(std::span<const std::string> texts, const EmbedOptions& options) {
  const std::string& prompt = options.prompt ? *options.prompt : impl_->model->prompt(options.prompt_name);
  std::vector<EmbeddingTokens> tokens;
  tokens.reserve(texts.size());
  for (const std::string& text : texts) tokens.push_back(impl_->model->tokenize(text, prompt));
  return run(tokens, options);
}

EmbedResult Embedder::run(std::span<const EmbeddingTokens> texts, const EmbedOptions& options) {
  if (options.batch_size < 1) throw ValueError(fmt::format("[embed] a batch size of at least 1 is expected, got {}", options.batch_size));
  const auto start = std::chrono::steady_clock::now();
  const auto total = static_cast<int64_t>(texts.size());
  EmbedResult result;
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // The longest first: memory is at its peak at once, and batches of one length run after each other.
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return texts[a].ids.size() > texts[b].ids.size(); });
  std::vector<const EmbeddingTokens*> sorted;
  sorted.reserve(order.size());
  for (size_t k : order) sorted.push_back(&texts[k]);
  const std::vector<Batch> batches = impl_->batches(sorted, options.batch_size);
  const auto larger = [](const Batch& a, const Batch& b) { return a.rows * a.tokens < b.rows * b.tokens; };
  if (total > 0) impl_->require_memory(*std::max_element(batches.begin(), batches.end(), larger), total);
  result.embeddings = Tensor::zeros(DType::f32, {total, impl_->model->dimensions()});
  const auto to = result.embeddings.mutable_data<float>();
  const auto size = static_cast<size_t>(impl_->model->dimensions());
  for (const Batch& batch : batches) {
    const auto in_batch = std::span(sorted).subspan(batch.first, batch.count);
    const Tensor vectors = impl_->vectors(impl_->operands(batch, in_batch))[0].to(Device{}).contiguous();
    const auto from = vectors.data<float>();
    for (size_t k = 0; k < batch.count; ++k) {
      std::copy_n(from.subspan(k * size).begin(), size, to.subspan(order[batch.first + k] * size).begin());
    }
    const auto done = static_cast<int64_t>(batch.first + batch.count);
    if (options.on_progress && !options.on_progress(done, total)) result.cancelled = done < total;
    if (result.cancelled) break;
  }
  for (const EmbeddingTokens& text : texts) {
    result.tokens += length_of(text);
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

double cosine_similarity(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size())
    throw ShapeError(fmt::format("[cosine_similarity] vectors of one size are expected, got {} and {}", a.size(), b.size()));
  double product = 0, of_a = 0, of_b = 0;
  for (size_t k = 0; k < a.size(); ++k) {
    const double x = static_cast<double>(a[k]), y = static_cast<double>(b[k]);
    product += x * y;
    of_a += x * x;
    of_b += y * y;
  }
  const double size = std::sqrt(of_a) * std::sqrt(of_b);
  return size > 0 ? product / size : 0;
}

}  // namespace lazuli
