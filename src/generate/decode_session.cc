// Implements DecodeSession.
#include "generate/decode_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "lazuli/error.h"
#include "lazuli/memory.h"
#include "lazuli/ops.h"

namespace lazuli {

namespace {

constexpr int64_t kChunk = 512;
constexpr int64_t kCapacityStep = 256;
constexpr size_t kIds = 0, kOffset = 1, kLast = 2, kCache = 3;

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

Tensor integer(int32_t value) { return Tensor::from_slice(std::span<const int32_t>(&value, 1), Shape{}); }

}  // namespace

Function decode_function(std::shared_ptr<const LanguageModel> model, std::shared_ptr<const AdapterContext> adapter) {
  return [model = std::move(model), adapter = std::move(adapter)](std::span<const LazyTensor> args) {
    KVCache cache;
    for (size_t k = kCache; k < args.size(); k += 2) {
      cache.keys.push_back(args[k]);
      cache.values.push_back(args[k + 1]);
    }
    ForwardContext context{args[kIds], args[kOffset], &cache, adapter.get()};
    LazyTensor hidden = model->hidden(context);
    if (hidden.dim(1) > 1) hidden = slice_at(hidden, args[kLast], 1, 1);
    const LazyTensor logits = model->logits(hidden);
    std::vector<LazyTensor> results = {reshape(cast(logits, DType::f32), {logits.dim(-1)})};
    for (size_t k = 0; k < cache.keys.size(); ++k) {
      results.push_back(std::move(cache.keys[k]));
      results.push_back(std::move(cache.values[k]));
    }
    return results;
  };
}

// A prompt's last chunk is rounded to at most 64 tokens, which divides the step of capacities.
int64_t cache_capacity(int64_t positions) { return round_up(std::max<int64_t>(positions, 1), kCapacityStep); }

std::vector<int64_t> chunk_lengths(int64_t count) {
  std::vector<int64_t> lengths;
  for (; count >= kChunk; count -= kChunk) lengths.push_back(kChunk);
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
    : model_(std::move(model)), adapter_(adapter ? std::make_shared<const AdapterContext>(*adapter) : nullptr) {
  forward_ = compile(decode_function(model_, adapter_), default_device());
  const auto layers = static_cast<size_t>(model_->info().layers);
  args_.resize(kCache + 2 * layers);
  std::vector<int> cache_args;
  for (size_t k = kCache; k < args_.size(); ++k) cache_args.push_back(static_cast<int>(k));
  forward_.donate(cache_args);
  one_id_ = Tensor::zeros(DType::i32, {1, 1});
}

void DecodeSession::reset(int64_t positions) {
  const int64_t capacity = cache_capacity(positions);
  position_ = 0;
  if (capacity == capacity_) return;
  drop_cache();
  for (size_t k = kCache; k < args_.size(); ++k) args_[k] = Tensor::zeros(model_->info().dtype, cache_shape(capacity), default_device());
  capacity_ = capacity;
}

void DecodeSession::drop_cache() {
  capacity_ = 0;
  std::fill(args_.begin() + kCache, args_.end(), Tensor());
  results_.clear();
}

Shape DecodeSession::cache_shape(int64_t capacity) const {
  const ModelInfo& info = model_->info();
  return {1, info.kv_heads, capacity, info.head_size};
}

void DecodeSession::require_memory(int64_t prompt, int64_t positions) {
  const int64_t capacity = cache_capacity(positions);
  const TensorSpec cache{model_->info().dtype, cache_shape(capacity)};
  size_t cache_bytes = 0;
  if (capacity != capacity_) {
    drop_cache();
    cache_bytes = (args_.size() - kCache) * allocated_bytes(static_cast<size_t>(cache.shape.numel()) * size_of(cache.dtype));
  }
  std::vector<int64_t> lengths = chunk_lengths(prompt);
  lengths.push_back(1);
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  MemoryNeed most;
  for (int64_t length : lengths) {
    std::vector<TensorSpec> specs = {{DType::i32, {1, length}}, {DType::i32, Shape{}}, {DType::i32, Shape{}}};
    specs.resize(args_.size(), cache);
    MemoryNeed need = forward_.plan(specs);
    need.arguments = cache_bytes + allocated_bytes(static_cast<size_t>(length) * sizeof(int32_t));
    most = larger(most, need);
  }
  lazuli::require_memory("[generate]", most, default_device());
}

std::span<const float> DecodeSession::feed(std::span<const int32_t> ids) {
  const auto count = static_cast<int64_t>(ids.size());
  if (count == 0) throw ValueError("[generate] at least one token is expected");
  logits_ = Tensor();
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
  logits_ = results_[0].to(Device{});
  return logits_.data<float>();
}

/// The ids argument with room for `length` tokens; that of single tokens is kept.
Tensor& DecodeSession::ids_of_length(int64_t length) {
  if (length == 1) return args_[kIds] = one_id_;
  return args_[kIds] = Tensor::empty(DType::i32, {1, length});
}

void DecodeSession::run_chunk(std::span<const int32_t> ids) {
  args_[kOffset] = integer(static_cast<int32_t>(position_));
  args_[kLast] = integer(static_cast<int32_t>(ids.size()) - 1);
  results_.clear();  // so that the logits of the last call do not count beside those of this one
  try {
    forward_.call(args_, results_);
  } catch (...) {
    capacity_ = 0;  // the cache went with the failed run
    throw;
  }
  for (size_t k = kCache; k < args_.size(); ++k) args_[k] = std::move(results_[k - kCache + 1]);
  position_ += static_cast<int64_t>(ids.size());
}

}  // namespace lazuli
