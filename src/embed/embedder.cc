// Implements Embedder: batches of texts of about the same length, in few different shapes so that few plans are made.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "embed/batches.h"
#include "lazuli/error.h"
#include "lazuli/memory.h"

namespace lazuli {

namespace {

constexpr int64_t kLengthStep = 8;      // lengths of batches are multiples of this
constexpr int64_t kBatchTokens = 8192;  // bounds the memory of a batch of long texts

int64_t length_of(const EmbeddingTokens& text) { return static_cast<int64_t>(text.ids.size()); }

/// The next power of two, so that the last batch has one of few sizes.
int64_t padded_rows(int64_t count, int64_t most) {
  int64_t rows = 1;
  while (rows < count) rows *= 2;
  return std::min(rows, most);
}

}  // namespace

Function embedding_function(std::shared_ptr<const EmbeddingModel> model, std::shared_ptr<const AdapterContext> adapter) {
  return [model = std::move(model), adapter = std::move(adapter)](std::span<const LazyTensor> args) {
    return std::vector<LazyTensor>{model->forward(args[0], args[1], args[2], adapter.get())};
  };
}

int64_t rows_of_batch(int64_t tokens, int64_t batch_size) {
  return std::clamp<int64_t>(kBatchTokens / std::max<int64_t>(tokens, 1), 1, batch_size);
}

struct Embedder::Impl {
  std::shared_ptr<const EmbeddingModel> model;
  CompiledFunction vectors;

  int64_t padded_length(int64_t longest) const;
  void require_memory(int64_t rows, int64_t length, int64_t total);
  void run_batch(std::span<const EmbeddingTokens> texts, std::span<const size_t> chosen, int64_t rows, EmbedResult& result);
};

Embedder::Embedder(std::shared_ptr<const EmbeddingModel> model, std::optional<Adapter> adapter) : impl_(std::make_unique<Impl>()) {
  Impl& s = *impl_;
  s.model = std::move(model);
  s.vectors = compile(embedding_function(s.model, adapter ? std::make_shared<const AdapterContext>(*adapter) : nullptr), default_device());
}

Embedder::~Embedder() = default;
Embedder::Embedder(Embedder&&) noexcept = default;
const EmbeddingModel& Embedder::model() const { return *impl_->model; }

int64_t Embedder::Impl::padded_length(int64_t longest) const {
  return std::min((longest + kLengthStep - 1) / kLengthStep * kLengthStep, std::max(longest, model->encoder().info().context));
}

/// For all vectors and a batch of such a size.
void Embedder::Impl::require_memory(int64_t rows, int64_t length, int64_t total) {
  const Shape shape{rows, length};
  const TensorSpec arguments[] = {{DType::i32, shape}, {DType::boolean, shape}, {DType::boolean, shape}};
  MemoryNeed need = vectors.plan(arguments);
  for (const TensorSpec& a : arguments) need.arguments += allocated_bytes(static_cast<size_t>(shape.numel()) * size_of(a.dtype));
  need.results += allocated_bytes(static_cast<size_t>(total * model->dimensions()) * sizeof(float));
  lazuli::require_memory("[embed]", need, default_device());
}

void Embedder::Impl::run_batch(std::span<const EmbeddingTokens> texts, std::span<const size_t> chosen, int64_t rows, EmbedResult& result) {
  std::vector<const EmbeddingTokens*> in_batch;
  int64_t length = 1;
  for (size_t k : chosen) {
    in_batch.push_back(&texts[k]);
    length = std::max(length, length_of(texts[k]));
  }
  length = padded_length(length);
  EmbeddingBatch batch = model->batch(in_batch, rows, length);
  const Tensor vectors_of_batch =
      vectors({std::move(batch.ids), std::move(batch.mask), std::move(batch.pooled)})[0].to(Device{}).contiguous();
  const auto size = static_cast<size_t>(model->dimensions());
  const auto from = vectors_of_batch.data<float>();
  const auto to = result.embeddings.mutable_data<float>();
  for (size_t k = 0; k < chosen.size(); ++k) std::copy_n(from.subspan(k * size).begin(), size, to.subspan(chosen[k] * size).begin());
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
  if (total > 0) {
    const int64_t longest = std::max<int64_t>(length_of(texts[order[0]]), 1);
    const int64_t most = rows_of_batch(longest, options.batch_size);
    impl_->require_memory(padded_rows(std::min(most, total), most), impl_->padded_length(longest), total);
  }
  result.embeddings = Tensor::zeros(DType::f32, {total, impl_->model->dimensions()});
  for (int64_t done = 0; done < total && !result.cancelled;) {
    const auto first = static_cast<size_t>(done);
    const int64_t most = rows_of_batch(length_of(texts[order[first]]), options.batch_size);
    const int64_t count = std::min(most, total - done);
    impl_->run_batch(texts, std::span(order).subspan(first, static_cast<size_t>(count)), padded_rows(count, most), result);
    done += count;
    if (options.on_progress && !options.on_progress(done, total)) result.cancelled = done < total;
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
