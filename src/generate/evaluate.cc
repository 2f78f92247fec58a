// Implements the evaluation of models: states window by window, then logits and losses for some rows at a time.
#include "lazuli/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/human_size.h"
#include "lazuli/error.h"
#include "lazuli/memory.h"
#include "lazuli/ops.h"
#include "lazuli/safetensors.h"
#include "lazuli/transforms.h"
#include "text/text_data.h"

namespace lazuli {

namespace {

constexpr int64_t kBatchTokens = 2048;              // of one forward pass
constexpr int64_t kLogitBytes = int64_t{64} << 20;  // of the logits that exist at a time
constexpr int64_t kDumpLimit = int64_t{8} << 30;
constexpr int64_t kIgnored = -100;

/// Rows [first, first + count) of a row-major matrix.
Tensor rows_of(const Tensor& t, int64_t first, int64_t count) {
  Shape shape = t.shape();
  const auto row_bytes = static_cast<size_t>(t.numel() / shape[0]) * size_of(t.dtype());
  shape[0] = count;
  return Tensor(t.dtype(), shape, t.buffer(), t.offset_bytes() + static_cast<size_t>(first) * row_bytes);
}

class Evaluation {
 public:
  Evaluation(const LanguageModel& model, const Adapter* adapter, std::span<const int32_t> tokens, const EvaluateOptions& options);
  EvaluateResult run();

 private:
  int64_t windows() const { return (static_cast<int64_t>(tokens_.size()) + length_ - 1) / length_; }
  int64_t window_size(int64_t k) const { return std::min(length_, static_cast<int64_t>(tokens_.size()) - k * length_); }
  void require_memory(int64_t windows);
  int64_t rows_at_a_time(int64_t rows);
  void run_batch(int64_t first, int64_t count);
  void add_losses(const Tensor& states, const Tensor& targets);
  void dump(const Tensor& states, int64_t first, int64_t count);

  const LanguageModel& model_;
  AdapterContext adapter_;
  std::span<const int32_t> tokens_;
  const EvaluateOptions& options_;
  int64_t length_ = 0;  ///< of a window
  CompiledFunction states_, losses_, logits_;
  std::map<std::string, Tensor> dumped_;
  double sum_ = 0;
  int64_t counted_ = 0;
};

Evaluation::Evaluation(const LanguageModel& model, const Adapter* adapter, std::span<const int32_t> tokens, const EvaluateOptions& options)
    : model_(model), adapter_(adapter != nullptr ? AdapterContext(*adapter) : AdapterContext()), tokens_(tokens), options_(options) {
  const auto count = static_cast<int64_t>(tokens.size());
  if (count < 2) throw ValueError(fmt::format("[evaluate] at least 2 tokens are expected, got {}", count));
  if (options.max_seq_length < 2) {
    throw ValueError(fmt::format("[evaluate] max_seq_length of at least 2 is expected, got {}", options.max_seq_length));
  }
  for (int32_t id : tokens) {
    if (id < 0 || id >= model.info().vocab_size) {
      throw ValueError(fmt::format("[evaluate] token {} is not below the vocabulary size {}", id, model.info().vocab_size));
    }
  }
  length_ = std::min(options.max_seq_length, count);
  if (const int64_t context = model.info().context; context > 0) length_ = std::min(length_, context);
  if (length_ < 2) throw ValueError("[evaluate] a model whose context is one token predicts none");
  if (!options.dump_logits.empty() && count > kDumpLimit / (model.info().vocab_size * 4)) {
    throw ValueError(fmt::format("[evaluate] the logits of {} tokens exceed the {} that can be dumped; evaluate less text", count,
                                 human_bytes(static_cast<size_t>(kDumpLimit))));
  }
  // The recorded functions see this object, which outlives their calls.
  states_ = compile(
      [this](std::span<const LazyTensor> args) {
        ForwardContext context;
        context.ids = args[0];
        context.adapter = &adapter_;
        return std::vector<LazyTensor>{reshape(model_.hidden(context), {-1, model_.info().hidden_size})};
      },
      default_device());
  losses_ = compile(
      [this](std::span<const LazyTensor> args) {
        CrossEntropyOptions loss;
        loss.ignore_index = kIgnored;
        loss.reduction = Reduction::none;
        return std::vector<LazyTensor>{cross_entropy(model_.logits(args[0]), args[1], loss)};
      },
      default_device());
  logits_ = compile([this](std::span<const LazyTensor> args) { return std::vector<LazyTensor>{cast(model_.logits(args[0]), DType::f32)}; },
                    default_device());
}

/// All, where their losses need no more than the logits of some.
int64_t Evaluation::rows_at_a_time(int64_t rows) {
  const ModelInfo& info = model_.info();
  const int64_t some = std::clamp<int64_t>(kLogitBytes / (info.vocab_size * 4), 16, 4096);
  if (rows <= some) return rows;
  const TensorSpec arguments[] = {{info.dtype, {rows, info.hidden_size}}, {DType::i32, {rows}}};
  return losses_.plan(arguments).workspace <= static_cast<size_t>(kLogitBytes) ? rows : some;
}

void Evaluation::require_memory(int64_t windows) {
  const ModelInfo& info = model_.info();
  const int64_t rows = windows * length_;
  const auto bytes = [](int64_t count, size_t size) { return allocated_bytes(static_cast<size_t>(count) * size); };
  const size_t given = 2 * bytes(rows, sizeof(int32_t));
  const TensorSpec ids{DType::i32, {windows, length_}};
  MemoryNeed states = states_.plan(std::span(&ids, 1));
  states.arguments += given;
  const int64_t part = rows_at_a_time(rows);
  const TensorSpec loss_arguments[] = {{info.dtype, {part, info.hidden_size}}, {DType::i32, {part}}};
  MemoryNeed losses = losses_.plan(loss_arguments);
  losses.arguments += given + bytes(rows * info.hidden_size, size_of(info.dtype));
  if (!options_.dump_logits.empty()) losses.results += bytes(static_cast<int64_t>(tokens_.size()) * info.vocab_size, sizeof(float));
  lazuli::require_memory("[evaluate]", larger(states, losses), default_device());
}

EvaluateResult Evaluation::run() {
  const int64_t batch = std::max<int64_t>(1, kBatchTokens / length_);
  require_memory(std::min(batch, windows()));
  for (int64_t first = 0; first < windows(); first += batch) {
    const int64_t count = std::min(batch, windows() - first);
    run_batch(first, count);
    if (options_.on_progress) {
      options_.on_progress(std::min((first + count) * length_, static_cast<int64_t>(tokens_.size())), static_cast<int64_t>(tokens_.size()));
    }
  }
  if (!options_.dump_logits.empty()) save_safetensors(options_.dump_logits, dumped_);
  EvaluateResult result;
  result.tokens = counted_;
  result.loss = sum_ / static_cast<double>(counted_);
  result.perplexity = std::exp(result.loss);
  return result;
}

/// Windows [first, first + count). The last window may be shorter: it is padded with tokens that no target looks at.
void Evaluation::run_batch(int64_t first, int64_t count) {
  Tensor ids = Tensor::zeros(DType::i32, {count, length_});
  Tensor targets = Tensor::empty(DType::i32, {count * length_});
  auto id = ids.mutable_data<int32_t>();
  auto target = targets.mutable_data<int32_t>();
  std::fill(target.begin(), target.end(), static_cast<int32_t>(kIgnored));
  for (int64_t k = 0; k < count; ++k) {
    const auto window = tokens_.subspan(static_cast<size_t>((first + k) * length_), static_cast<size_t>(window_size(first + k)));
    std::copy(window.begin(), window.end(), id.begin() + k * length_);
    std::copy(window.begin() + 1, window.end(), target.begin() + k * length_);
    counted_ += static_cast<int64_t>(window.size()) - 1;
  }
  const Tensor states = states_({ids})[0].contiguous();
  if (!options_.dump_logits.empty()) dump(states, first, count);
  add_losses(states, targets);
}

void Evaluation::add_losses(const Tensor& states, const Tensor& targets) {
  const int64_t step = rows_at_a_time(states.dim(0));
  for (int64_t row = 0; row < states.dim(0); row += step) {
    const int64_t count = std::min(step, states.dim(0) - row);
    const Tensor losses = losses_({rows_of(states, row, count), rows_of(targets, row, count)})[0];
    for (float loss : losses.to_vector<float>()) sum_ += static_cast<double>(loss);
  }
}

void Evaluation::dump(const Tensor& states, int64_t first, int64_t count) {
  for (int64_t k = 0; k < count; ++k) {
    const int64_t size = window_size(first + k);
    const auto window = tokens_.subspan(static_cast<size_t>((first + k) * length_), static_cast<size_t>(size));
    dumped_[fmt::format("ids.{}", first + k)] = Tensor::from_slice(window, {size});
    dumped_[fmt::format("logits.{}", first + k)] = logits_({rows_of(states, k * length_, size)})[0].to(Device{}).contiguous();
  }
}

}  // namespace

EvaluateResult evaluate(const LanguageModel& model, const Adapter* adapter, std::span<const int32_t> tokens,
                        const EvaluateOptions& options) {
  return Evaluation(model, adapter, tokens, options).run();
}

std::vector<int32_t> read_tokens(const std::string& path, const Tokenizer& tokenizer, int32_t end_of_text) {
  return encode_documents(read_documents(path), tokenizer, end_of_text);
}

}  // namespace lazuli
