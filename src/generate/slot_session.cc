// Implements SlotSession.
#include "generate/slot_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "generate/decode_session.h"
#include "generate/sample_operands.h"
#include "generate/slot_rows.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "tensor/device_memory.h"

namespace lazuli {

namespace {

constexpr size_t kFixed = 9;  ///< values before those of the layers

template <class T>
auto members(T& values) {
  return std::array{&values.ids,    &values.offset, &values.last,   &values.slot,   &values.advance,
                    &values.choice, &values.rules,  &values.counts, &values.history};
}

/// The forward pass and its choice of tokens, for all slots or for one slot's prompt.
class SlotFunction {
 public:
  /// `group_of`: of each layer, as SlotState has it.
  SlotFunction(std::shared_ptr<const LanguageModel> model, std::vector<Adapter> adapters, std::vector<std::optional<size_t>> group_of,
               size_t groups, int64_t positions)
      : model_(std::move(model)), adapters_(std::move(adapters)), group_of_(std::move(group_of)), groups_(groups), positions_(positions) {}

  std::vector<LazyTensor> operator()(std::span<const LazyTensor> args) const {
    SlotValues<LazyTensor> v = SlotValues<LazyTensor>::from(args, groups_);
    return v.offset.rank() == 0 ? prompt(v) : step(v);
  }

 private:
  LazyTensor logits(const SlotValues<LazyTensor>& v, const LazyTensor& choice, KVCache& cache) const {
    std::optional<AdapterContext> adapter;
    if (!adapters_.empty()) adapter.emplace(adapters_, choice);
    ForwardContext context{v.ids, v.offset, &cache, adapter ? &*adapter : nullptr};
    LazyTensor hidden = model_->hidden(context);
    if (hidden.dim(1) > 1) hidden = slice_at(hidden, v.last, 1, 1);
    const LazyTensor all = model_->logits(hidden);
    return reshape(all, {all.dim(0), all.dim(-1)});
  }

  KVCache cache_with(const std::vector<LazyTensor>& starts) const {
    KVCache cache;
    cache.positions = positions_;
    for (const auto& group : group_of_) cache.starts.push_back(group ? starts[*group] : LazyTensor());
    return cache;
  }

  std::vector<LazyTensor> step(SlotValues<LazyTensor>& v) const {
    KVCache cache = cache_with(v.starts);
    for (size_t k = 0; k < v.kv.size(); k += 2) {
      cache.keys.push_back(std::move(v.kv[k]));
      cache.values.push_back(std::move(v.kv[k + 1]));
    }
    const LazyTensor scores = logits(v, v.choice, cache);
    const std::array<int64_t, 2> front{0, 0};
    const LazyTensor history = slice_update(std::move(v.history), v.ids, front, {}, v.offset, 1);
    const LazyTensor token = record(Op::sample, {scores, history, v.offset + LazyTensor::scalar_int(1), v.rules, v.counts});
    // The next run may be on its way before the host sees that there is no token.
    const LazyTensor next = reshape(maximum(token, LazyTensor::scalar_int(0)), {v.ids.dim(0), 1});
    return results(token, next, v.offset + v.advance, history, cache);
  }

  std::vector<LazyTensor> prompt(SlotValues<LazyTensor>& v) const {
    std::vector<LazyTensor> starts;
    for (const LazyTensor& start : v.starts) starts.push_back(reshape(row_of(start, v.slot), {}));
    KVCache cache, row = cache_with(starts);
    for (size_t k = 0; k < v.kv.size(); k += 2) {
      row.keys.push_back(row_of(v.kv[k], v.slot));
      row.values.push_back(row_of(v.kv[k + 1], v.slot));
    }
    const LazyTensor scores = logits(v, row_of(v.choice, v.slot), row);
    for (size_t k = 0; k < row.keys.size(); ++k) {
      cache.keys.push_back(with_row(std::move(v.kv[2 * k]), row.keys[k], v.slot));
      cache.values.push_back(with_row(std::move(v.kv[2 * k + 1]), row.values[k], v.slot));
    }
    const std::array<int64_t, 2> front{0, 0};
    const LazyTensor own = slice_update(row_of(v.history, v.slot), v.ids, front, {}, v.offset, 1);
    const LazyTensor length = reshape(v.offset + v.last + LazyTensor::scalar_int(1), {1});
    const LazyTensor token = record(Op::sample, {scores, own, length, row_of(v.rules, v.slot), row_of(v.counts, v.slot)});
    return results(token, token, length, with_row(std::move(v.history), own, v.slot), cache);
  }

  static std::vector<LazyTensor> results(const LazyTensor& token, const LazyTensor& ids, const LazyTensor& offset,
                                         const LazyTensor& history, KVCache& cache) {
    std::vector<LazyTensor> out{token, ids, offset, history};
    for (size_t k = 0; k < cache.keys.size(); ++k) {
      out.push_back(std::move(cache.keys[k]));
      out.push_back(std::move(cache.values[k]));
    }
    return out;
  }

  std::shared_ptr<const LanguageModel> model_;
  std::vector<Adapter> adapters_;
  std::vector<std::optional<size_t>> group_of_;
  size_t groups_;
  int64_t positions_;
};

}  // namespace

template <class T>
std::vector<T> SlotValues<T>::list() const {
  std::vector<T> out;
  for (const T* value : members(*this)) out.push_back(*value);
  out.insert(out.end(), starts.begin(), starts.end());
  out.insert(out.end(), kv.begin(), kv.end());
  return out;
}

template <class T>
SlotValues<T> SlotValues<T>::from(std::span<const T> values, size_t groups) {
  SlotValues out;
  size_t k = 0;
  for (T* value : members(out)) *value = values[k++];
  const std::span<const T> lists = values.subspan(k);
  out.starts.assign(lists.begin(), lists.begin() + static_cast<std::ptrdiff_t>(groups));
  out.kv.assign(lists.begin() + static_cast<std::ptrdiff_t>(groups), lists.end());
  return out;
}

template <class T>
std::vector<int> SlotValues<T>::donated(size_t groups, size_t tensors) {
  constexpr size_t kHistory = kFixed - 1;
  std::vector<int> out{static_cast<int>(kHistory)};
  for (size_t k = 0; k < tensors; ++k) out.push_back(static_cast<int>(kFixed + groups + k));
  return out;
}

SlotSession::SlotSession(std::shared_ptr<const LanguageModel> model, std::vector<Adapter> adapters, int64_t slots, int64_t capacity,
                         int64_t longest)
    : model_(std::move(model)),
      device_(default_device()),
      state_(model_->states(), model_->info().dtype, slots, cache_capacity(capacity), device_),
      capacity_(cache_capacity(capacity)) {
  if (slots < 1) throw ValueError(fmt::format("[generate] at least one slot is expected, got {}", slots));
  slots_.resize(static_cast<size_t>(slots));
  rules_.resize(4 * slots_.size());
  counts_.resize(4 * slots_.size());
  choice_.resize(slots_.size(), -1);
  const auto layers = static_cast<size_t>(model_->info().layers);
  std::vector<std::optional<size_t>> group_of;
  for (size_t k = 0; k < layers; ++k) group_of.push_back(state_.group_of(k));
  forward_ = compile(SlotFunction(model_, std::move(adapters), std::move(group_of), state_.groups(), capacity_), device_);
  forward_.donate(SlotValues<Tensor>::donated(state_.groups(), 2 * layers));
  std::vector<int64_t> lengths = chunk_lengths(longest);
  lengths.push_back(0);
  for (const int64_t length : lengths) {
    MemoryNeed need = forward_.plan(specs(length).list());
    need.arguments += state_.bytes();
    need_ = larger(need_, need);
  }
  require_memory("[generate]", need_, device_);
  state_.allocate();
  args_.last = args_.slot = integer_tensor(0, device_);
}

SlotValues<TensorSpec> SlotSession::specs(int64_t prompt) const {
  const int64_t slots = this->slots();
  SlotValues<TensorSpec> s;
  s.ids = {DType::i32, prompt > 0 ? Shape{1, prompt} : Shape{slots, 1}};
  s.offset = {DType::i32, prompt > 0 ? Shape{} : Shape{slots}};
  s.last = s.slot = {DType::i32, Shape{}};
  s.advance = s.choice = {DType::i32, {slots}};
  s.rules = {DType::f32, {slots, 4}};
  s.counts = {DType::i64, {slots, 4}};
  s.history = {DType::i32, {slots, capacity_}};
  s.starts.resize(state_.groups(), {DType::i32, {slots}});
  s.kv = state_.specs();
  return s;
}

std::optional<int64_t> SlotSession::add(const SamplerOptions& sampler, int64_t prompt, int32_t adapter) {
  const auto free = std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.state == State::free; });
  if (free == slots_.end()) return std::nullopt;
  const auto at = static_cast<size_t>(free - slots_.begin());
  *free = {State::prompt, 0, 0, ++texts_};
  state_.clear(static_cast<int64_t>(at));
  const SampleOperands operands = operands_of(sampler, prompt);
  std::copy(operands.rules.begin(), operands.rules.end(), rules_.begin() + static_cast<std::ptrdiff_t>(4 * at));
  std::copy(operands.counts.begin(), operands.counts.end(), counts_.begin() + static_cast<std::ptrdiff_t>(4 * at));
  choice_[at] = adapter;
  stale_ = true;
  return static_cast<int64_t>(at);
}

void SlotSession::remove(int64_t slot) {
  slots_.at(static_cast<size_t>(slot)).state = State::free;
  stale_ = true;
}

bool SlotSession::can_step() const {
  return std::any_of(slots_.begin(), slots_.end(), [this](const Slot& s) { return s.state == State::decoding && s.position < capacity_; });
}

bool SlotSession::runs_ahead() const { return !on_host(device_); }

void SlotSession::renew() {
  if (!runs_.empty()) throw ValueError("[generate] tokens are to be read before slots change");
  std::vector<int32_t> ids, offsets, advance;
  for (const Slot& s : slots_) {
    // A slot that does not go on writes where its next token will, which overwrites it.
    ids.push_back(s.token);
    offsets.push_back(static_cast<int32_t>(std::min(s.position, capacity_ - 1)));
    advance.push_back(s.state == State::decoding && s.position < capacity_ ? 1 : 0);
  }
  const int64_t count = slots();
  args_.ids = Tensor::from_vector(ids, {count, 1}, device_);
  args_.offset = Tensor::from_vector(offsets, {count}, device_);
  args_.advance = Tensor::from_vector(advance, {count}, device_);
  args_.choice = Tensor::from_vector(choice_, {count}, device_);
  args_.rules = Tensor::from_vector(rules_, {count, 4}, device_);
  args_.counts = Tensor::from_vector(counts_, {count, 4}, device_);
  stale_ = false;
}

void SlotSession::prefill(int64_t slot, std::span<const int32_t> ids, bool end) {
  Slot& s = slots_.at(static_cast<size_t>(slot));
  const auto count = static_cast<int64_t>(ids.size());
  if (s.state != State::prompt || count == 0) throw ValueError("[generate] tokens of a prompt that was not read whole are expected");
  if (s.position + count > capacity_) {
    throw ValueError(fmt::format("[generate] {} tokens after the first {} exceed the cache of {} positions", count, s.position, capacity_));
  }
  if (stale_) renew();
  const Tensor ids_of_step = args_.ids, offset_of_step = args_.offset;
  for (int64_t length : chunk_lengths(count)) {
    // Padding must not run over the end of the cache; then the chunk has its exact length.
    if (s.position + length > capacity_) length = static_cast<int64_t>(ids.size());
    const size_t used = std::min(ids.size(), static_cast<size_t>(length));
    std::vector<int32_t> chunk(static_cast<size_t>(length));
    std::copy_n(ids.begin(), used, chunk.begin());
    args_.ids = Tensor::from_vector(chunk, {1, length}, device_);
    args_.offset = integer_tensor(s.position, device_);
    args_.last = integer_tensor(static_cast<int64_t>(used) - 1, device_);
    args_.slot = integer_tensor(slot, device_);
    state_.make_room(slot, s.position, length);
    run();
    s.position += static_cast<int64_t>(used);
    ids = ids.subspan(used);
  }
  args_.ids = ids_of_step;
  args_.offset = offset_of_step;
  stale_ = true;
  if (!end) return;
  s.state = State::decoding;
  runs_.push_back({TokenRead(results_[SlotResults::kTokens]), {{slot, s.text}}, true});
}

void SlotSession::step() {
  if (!can_step()) throw ValueError("[generate] there is no slot that goes on");
  if (stale_) renew();
  for (size_t k = 0; k < slots_.size(); ++k) {
    if (slots_[k].state != State::free) state_.make_room(static_cast<int64_t>(k), std::min(slots_[k].position, capacity_ - 1), 1);
  }
  run();
  args_.ids = results_[SlotResults::kNextIds];
  args_.offset = results_[SlotResults::kNextOffset];
  Run step{TokenRead(results_[SlotResults::kTokens]), {}, false};
  for (size_t k = 0; k < slots_.size(); ++k) {
    Slot& s = slots_[k];
    if (s.state != State::decoding || s.position == capacity_) continue;
    step.texts.emplace_back(static_cast<int64_t>(k), s.text);
    // A slot that is full now keeps its last place.
    if (++s.position == capacity_) stale_ = true;
  }
  runs_.push_back(std::move(step));
}

void SlotSession::run() {
  // The run is the only owner of what it is given to keep.
  args_.history = std::move(state_.history);
  list_.clear();
  for (Tensor* value : members(args_)) list_.push_back(value == &args_.history ? std::move(*value) : *value);
  for (size_t group = 0; group < state_.groups(); ++group) list_.push_back(state_.starts(group));
  for (Tensor& value : state_.kv) list_.push_back(std::move(value));
  results_.clear();
  forward_.call(list_, results_);
  state_.history = std::move(results_[SlotResults::kHistory]);
  for (size_t k = 0; k < state_.kv.size(); ++k) state_.kv[k] = std::move(results_[SlotResults::kCache + k]);
}

void SlotSession::roll_back(int64_t slot, int64_t count) {
  Slot& s = slots_.at(static_cast<size_t>(slot));
  const int64_t most = s.state == State::free ? 0 : most_rolled_back(slot);
  if (count < 0 || count > most || !runs_.empty()) {
    throw ValueError(fmt::format("[generate] 0 to {} tokens of slot {} can be taken back when all are read, got {}", most, slot, count));
  }
  s.position -= count;
  s.state = State::prompt;
  stale_ = true;
}

void SlotSession::restore(int64_t slot, const SavedSlot& saved) {
  Slot& s = slots_.at(static_cast<size_t>(slot));
  if (s.state != State::prompt || s.position != 0) throw ValueError("[generate] a slot whose prompt has not begun is expected");
  state_.restore(slot, saved.state);
  s.position = saved.position;
  stale_ = true;
}

std::vector<SlotSession::Chosen> SlotSession::read() {
  if (runs_.empty()) return {};
  Run oldest = std::move(runs_.front());
  runs_.pop_front();
  const std::vector<int32_t>& tokens = oldest.tokens.wait();
  std::vector<Chosen> out;
  for (const auto& [slot, text] : oldest.texts) {
    Slot& s = slots_[static_cast<size_t>(slot)];
    if (s.state != State::decoding || s.text != text) continue;
    const int32_t token = tokens[oldest.one ? 0 : static_cast<size_t>(slot)];
    s.token = std::max(token, 0);
    out.push_back({slot, token});
  }
  return out;
}

}  // namespace lazuli
