// Implements DecodeSession.
#include "generate/decode_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "generate/sample_operands.h"
#include "lazuli/error.h"
#include "lazuli/memory.h"
#include "lazuli/ops.h"
#include "tensor/device_memory.h"

namespace lazuli {

namespace {

constexpr int64_t kCapacityStep = 256;
constexpr size_t kIds = 0, kOffset = 1, kLast = 2, kHistory = 3, kRules = 4, kCounts = 5, kCache = 6;
constexpr size_t kToken = 0, kNextIds = 1, kNextOffset = 2, kLogits = 3, kNewHistory = 4, kNewCache = 5;

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

Tensor integer(int64_t value) {
  const auto narrow = static_cast<int32_t>(value);
  return Tensor::from_slice(std::span<const int32_t>(&narrow, 1), Shape{});
}

}  // namespace

Function decode_function(std::shared_ptr<const LanguageModel> model, std::shared_ptr<const AdapterContext> adapter) {
  return [model = std::move(model), adapter = std::move(adapter)](std::span<const LazyTensor> args) {
    const LazyTensor& ids = args[kIds];
    KVCache cache;
    for (size_t k = kCache; k < args.size(); k += 2) {
      cache.keys.push_back(args[k]);
      cache.values.push_back(args[k + 1]);
    }
    ForwardContext context{ids, args[kOffset], &cache, adapter.get()};
    LazyTensor hidden = model->hidden(context);
    if (hidden.dim(1) > 1) hidden = slice_at(hidden, args[kLast], 1, 1);
    LazyTensor logits = model->logits(hidden);
    logits = reshape(logits, {logits.dim(-1)});
    const LazyTensor history = slice_update(args[kHistory], reshape(ids, {ids.dim(1)}), std::array<int64_t, 1>{0}, {}, args[kOffset], 0);
    const LazyTensor before = ids.dim(1) > 1 ? args[kOffset] + args[kLast] : args[kOffset];
    const LazyTensor next = before + LazyTensor::scalar_int(1);
    const LazyTensor token = record(Op::sample, {logits, history, next, args[kRules], args[kCounts]});
    // The next run may be on its way before the host sees that there is no token.
    const LazyTensor next_ids = reshape(maximum(token, LazyTensor::scalar_int(0)), {1, 1});
    std::vector<LazyTensor> results = {token, next_ids, next, logits, history};
    for (size_t k = 0; k < cache.keys.size(); ++k) {
      results.push_back(std::move(cache.keys[k]));
      results.push_back(std::move(cache.values[k]));
    }
    return results;
  };
}

std::vector<TensorSpec> decode_arguments(const ModelInfo& info, int64_t tokens, int64_t capacity) {
  std::vector<TensorSpec> specs = {{DType::i32, {1, tokens}}, {DType::i32, Shape{}}, {DType::i32, Shape{}},
                                   {DType::i32, {capacity}},  {DType::f32, {4}},     {DType::i64, {4}}};
  specs.resize(kCache + 2 * static_cast<size_t>(info.layers), {info.dtype, {1, info.kv_heads, capacity, info.head_size}});
  return specs;
}

std::vector<int> decode_donations(const ModelInfo& info) {
  std::vector<int> donated = {kHistory};
  for (int64_t k = 0; k < 2 * info.layers; ++k) donated.push_back(static_cast<int>(kCache) + static_cast<int>(k));
  return donated;
}

// A prompt's last chunk is rounded to at most 64 tokens, which divides the step of capacities.
int64_t cache_capacity(int64_t positions) { return round_up(std::max<int64_t>(positions, 1), kCapacityStep); }

std::vector<int64_t> chunk_lengths(int64_t count) {
  std::vector<int64_t> lengths;
  for (; count >= kLongestChunk; count -= kLongestChunk) lengths.push_back(kLongestChunk);
  if (count == 1) {
    lengths.push_back(1);
  } else if (count > 64) {
    lengths.push_back(round_up(count, 64));
  } else if (count > 0) {
    lengths.push_back(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(count, 8)))));
  }
  return lengths;
}

DecodeSession::DecodeSession(std::shared_ptr<const LanguageModel> model, std::optional<Adapter> adapter)
    : model_(std::move(model)), adapter_(adapter ? std::make_shared<const AdapterContext>(*adapter) : nullptr), device_(default_device()) {
  forward_ = compile(decode_function(model_, adapter_), device_);
  forward_.donate(decode_donations(model_->info()));
  args_.resize(kCache + 2 * static_cast<size_t>(model_->info().layers));
  one_id_ = Tensor::zeros(DType::i32, {1, 1});
  zero_ = integer(0).to(device_);
}

void DecodeSession::reset(int64_t positions, const SamplerOptions& sampler, int64_t prompt) {
  drop_unread();
  const SampleOperands operands = operands_of(sampler, prompt);
  args_[kRules] = Tensor::from_slice(std::span<const float>(operands.rules), {4}, device_);
  args_[kCounts] = Tensor::from_slice(std::span<const int64_t>(operands.counts), {4}, device_);
  position_ = 0;
  chosen_ = false;
  const int64_t capacity = cache_capacity(positions);
  if (capacity == capacity_) return;
  drop_cache();
  const std::vector<TensorSpec> specs = decode_arguments(model_->info(), 1, capacity);
  for (const int k : decode_donations(model_->info())) {
    const auto at = static_cast<size_t>(k);
    args_[at] = Tensor::zeros(specs[at].dtype, specs[at].shape, device_);
  }
  capacity_ = capacity;
}

void DecodeSession::drop_cache() {
  capacity_ = 0;
  chosen_ = false;
  for (const int k : decode_donations(model_->info())) args_[static_cast<size_t>(k)] = Tensor();
  results_.clear();
}

void DecodeSession::require_memory(int64_t prompt, int64_t positions) {
  const int64_t capacity = cache_capacity(positions);
  size_t cache_bytes = 0;
  if (capacity != capacity_) {
    drop_unread();
    drop_cache();
    const std::vector<TensorSpec> specs = decode_arguments(model_->info(), 1, capacity);
    for (const int k : decode_donations(model_->info())) {
      const TensorSpec& spec = specs[static_cast<size_t>(k)];
      cache_bytes += allocated_bytes(static_cast<size_t>(spec.shape.numel()) * size_of(spec.dtype));
    }
  }
  std::vector<int64_t> lengths = chunk_lengths(prompt);
  lengths.push_back(1);
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  MemoryNeed most;
  for (int64_t length : lengths) {
    MemoryNeed need = forward_.plan(decode_arguments(model_->info(), length, capacity));
    need.arguments = cache_bytes + allocated_bytes(static_cast<size_t>(length) * sizeof(int32_t));
    most = larger(most, need);
  }
  lazuli::require_memory("[generate]", most, device_);
}

void DecodeSession::feed(std::span<const int32_t> ids) {
  const auto count = static_cast<int64_t>(ids.size());
  if (count == 0) throw ValueError("[generate] at least one token is expected");
  drop_unread();
  if (position_ + count > capacity_) {
    throw ValueError(fmt::format("[generate] {} tokens after the first {} exceed the cache of {} positions", count, position_, capacity_));
  }
  for (int64_t length : chunk_lengths(count)) {
    // Padding must not run over the end of the cache; then the chunk has its exact length.
    const int64_t fitting = position_ + length <= capacity_ ? length : static_cast<int64_t>(ids.size());
    const size_t used = std::min(ids.size(), static_cast<size_t>(fitting));
    Tensor& tensor = ids_of_length(fitting);
    auto data = tensor.mutable_data<int32_t>();
    std::fill(std::copy_n(ids.begin(), used, data.begin()), data.end(), 0);
    run_chunk(ids.first(used));
    ids = ids.subspan(used);
  }
  reads_.emplace_back(results_[kToken]);
}

void DecodeSession::step() {
  if (!chosen_) throw ValueError("[generate] there is no chosen token to go on from");
  if (position_ == capacity_) throw ValueError(fmt::format("[generate] a token more exceeds the cache of {} positions", capacity_));
  args_[kIds] = results_[kNextIds];
  args_[kOffset] = results_[kNextOffset];
  args_[kLast] = zero_;
  run(1);
  reads_.emplace_back(results_[kToken]);
}

int32_t DecodeSession::next_token() {
  if (reads_.empty()) throw ValueError("[generate] all chosen tokens were read");
  int32_t token = 0;
  try {
    token = reads_.front().wait().front();
  } catch (...) {
    drop_unread();
    throw;
  }
  if (token < 0) {
    drop_unread();
    throw ValueError("[generate] the logits have NaN");
  }
  reads_.pop_front();
  return token;
}

void DecodeSession::drop_unread() {
  // The oldest unread token came from tokens that the host knows, each later one from the unread token before it.
  if (reads_.size() > 1) {
    position_ -= static_cast<int64_t>(reads_.size()) - 1;
    chosen_ = false;
  }
  reads_.clear();
}

std::vector<float> DecodeSession::logits() const { return results_.at(kLogits).to_vector<float>(); }

bool DecodeSession::runs_ahead() const { return !on_host(device_); }

/// The ids argument with room for `length` tokens; that of single tokens is kept.
Tensor& DecodeSession::ids_of_length(int64_t length) {
  if (length == 1) return args_[kIds] = one_id_;
  return args_[kIds] = Tensor::empty(DType::i32, {1, length});
}

void DecodeSession::run_chunk(std::span<const int32_t> ids) {
  args_[kOffset] = integer(position_);
  args_[kLast] = integer(static_cast<int64_t>(ids.size()) - 1);
  run(static_cast<int64_t>(ids.size()));
}

void DecodeSession::run(int64_t count) {
  results_.clear();  // so that the logits of the last call do not count beside those of this one
  chosen_ = false;
  try {
    forward_.call(args_, results_);
  } catch (...) {
    capacity_ = 0;  // the cache went with the failed run
    throw;
  }
  args_[kHistory] = std::move(results_[kNewHistory]);
  for (size_t k = kCache; k < args_.size(); ++k) args_[k] = std::move(results_[k - kCache + kNewCache]);
  position_ += count;
  chosen_ = true;
}

}  // namespace lazuli
