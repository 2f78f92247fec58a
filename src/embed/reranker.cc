// Implements Reranker: batches of pairs of about the same length, in few different shapes so that few plans are made.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "embed/batches.h"
#include "lazuli/error.h"
#include "lazuli/memory.h"
#include "lazuli/rerank.h"
#include "lazuli/transforms.h"

namespace lazuli {

namespace {

constexpr int64_t kPairStep = 8;  // lengths of rows are multiples of this

/// Pairs [first, first + count) in order of length, and the sizes that they are given.
struct PairRun {
  size_t first, count;
  int64_t rows, tokens;
};

int64_t length_of_pair(const PairTokens& pair) { return std::max<int64_t>(static_cast<int64_t>(pair.ids.size()), 1); }

/// The next power of two, so that the last batch has one of few sizes.
int64_t rows_for(int64_t count, int64_t most) {
  int64_t rows = 1;
  while (rows < count) rows *= 2;
  return std::min(rows, most);
}

/// `pairs` from the longest to the shortest.
std::vector<PairRun> runs_of(std::span<const PairTokens* const> pairs, int64_t batch_size, int64_t context) {
  std::vector<PairRun> runs;
  for (size_t first = 0; first < pairs.size();) {
    const int64_t longest = length_of_pair(*pairs[first]), most = rows_of_batch(longest, batch_size);
    const size_t count = std::min(pairs.size() - first, static_cast<size_t>(most));
    const int64_t rounded = (longest + kPairStep - 1) / kPairStep * kPairStep;
    const int64_t tokens = context > 0 ? std::min(rounded, std::max(longest, context)) : rounded;
    runs.push_back({first, count, rows_for(static_cast<int64_t>(count), most), tokens});
    first += count;
  }
  return runs;
}

Function score_function(std::shared_ptr<const RerankModel> model, std::shared_ptr<const AdapterContext> adapter, PairOutput output) {
  return [model = std::move(model), adapter = std::move(adapter), output](std::span<const LazyTensor> args) {
    const LazyTensor logits = model->logits({args[0], args[1], args[2], args[3], adapter.get()});
    return std::vector<LazyTensor>{output == PairOutput::scores ? model->scores(logits) : model->probabilities(logits)};
  };
}

}  // namespace

struct Reranker::Impl {
  std::shared_ptr<const RerankModel> model;
  CompiledFunction scores;
  void require_memory(const PairRun& run);
};

Reranker::Reranker(std::shared_ptr<const RerankModel> model, std::optional<Adapter> adapter, PairOutput output)
    : impl_(std::make_unique<Impl>()) {
  impl_->model = std::move(model);
  auto context = adapter ? std::make_shared<const AdapterContext>(*adapter) : nullptr;
  impl_->scores = compile(score_function(impl_->model, std::move(context), output), default_device());
}

Reranker::~Reranker() = default;
Reranker::Reranker(Reranker&&) noexcept = default;
const RerankModel& Reranker::model() const { return *impl_->model; }

void Reranker::Impl::require_memory(const PairRun& run) {
  const Shape shape{run.rows, run.tokens};
  const TensorSpec arguments[] = {{DType::i32, shape}, {DType::i32, shape}, {DType::boolean, shape}, {DType::i32, {run.rows}}};
  MemoryNeed need = scores.plan(arguments);
  for (const TensorSpec& a : arguments) need.arguments += allocated_bytes(static_cast<size_t>(a.shape.numel()) * size_of(a.dtype));
  lazuli::require_memory("[rerank]", need, default_device());
}

RerankResult Reranker::run(std::string_view query, std::span<const std::string> texts, const RerankOptions& options) {
  const std::string& prompt = options.prompt ? *options.prompt : impl_->model->prompt(options.prompt_name);
  std::vector<PairTokens> pairs;
  pairs.reserve(texts.size());
  for (const std::string& text : texts) pairs.push_back(impl_->model->tokenize(query, text, prompt));
  return run(pairs, options);
}

RerankResult Reranker::run(std::span<const PairTokens> pairs, const RerankOptions& options) {
  if (options.batch_size < 1) throw ValueError(fmt::format("[rerank] a batch size of at least 1 is expected, got {}", options.batch_size));
  const auto start = std::chrono::steady_clock::now();
  const auto total = static_cast<int64_t>(pairs.size());
  const auto labels = static_cast<size_t>(impl_->model->labels());
  RerankResult result;
  result.scores = Tensor::zeros(DType::f32, {total, impl_->model->labels()});
  std::vector<size_t> order(pairs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return pairs[a].ids.size() > pairs[b].ids.size(); });
  std::vector<const PairTokens*> sorted;
  sorted.reserve(order.size());
  for (const size_t k : order) sorted.push_back(&pairs[k]);
  const std::vector<PairRun> runs = runs_of(sorted, options.batch_size, impl_->model->info().context);
  const auto smaller = [](const PairRun& a, const PairRun& b) { return a.rows * a.tokens < b.rows * b.tokens; };
  if (!runs.empty()) impl_->require_memory(*std::max_element(runs.begin(), runs.end(), smaller));
  const auto to = result.scores.mutable_data<float>();
  for (const PairRun& run : runs) {
    PairBatch b = impl_->model->batch(std::span(sorted).subspan(run.first, run.count), run.rows, run.tokens);
    const Tensor scores =
        impl_->scores({std::move(b.ids), std::move(b.types), std::move(b.mask), std::move(b.last)})[0].to(Device{}).contiguous();
    const auto from = scores.data<float>();
    for (size_t k = 0; k < run.count; ++k) {
      std::copy_n(from.subspan(k * labels).begin(), labels, to.subspan(order[run.first + k] * labels).begin());
    }
    const auto done = static_cast<int64_t>(run.first + run.count);
    if (options.on_progress && !options.on_progress(done, total)) result.cancelled = done < total;
    if (result.cancelled) break;
  }
  for (const PairTokens& pair : pairs) result.tokens += static_cast<int64_t>(pair.ids.size());
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace lazuli
