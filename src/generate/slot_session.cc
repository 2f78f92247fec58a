// Implements SlotSession.
#include "generate/slot_session.h"

#include <fmt/format.h>

#include <algorithm>

#include "generate/chunks.h"
#include "generate/sample_operands.h"
#include "generate/slot_rows.h"
#include "lazuli/error.h"
#include "tensor/device_memory.h"

namespace lazuli {

SlotSession::SlotSession(std::shared_ptr<const LanguageModel> model, SlotAdapters adapters, int64_t slots)
    : model_(std::move(model)),
      device_(default_device()),
      pass_(model_, std::move(adapters)),
      forward_(pass_, device_),
      state_(pass_.layout(), model_->info().dtype, std::max<int64_t>(slots, 0), device_) {
  if (slots < 1) throw ValueError(fmt::format("[generate] at least one slot is expected, got {}", slots));
  forward_.donate(pass_.donated());
  slots_.resize(static_cast<size_t>(slots));
  rules_.resize(4 * slots_.size());
  counts_.resize(4 * slots_.size());
  choice_.resize(slots_.size(), -1);
  args_.last = args_.slot = integer_tensor(0, device_);
}

void SlotSession::reserve(int64_t capacity, int64_t longest) {
  drop_texts();
  capacity = cache_capacity(capacity);
  const bool same = capacity == state_.capacity();
  if (!same) state_.drop();
  std::vector<int64_t> lengths = chunk_lengths(longest);
  lengths.push_back(0);
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  need_ = {};
  for (const int64_t length : lengths) {
    std::vector<TensorSpec> arguments;
    pass_.arguments(slots(), capacity, std::min(length, capacity)).move_into(arguments);
    need_ = larger(need_, forward_.plan(arguments));
  }
  MemoryNeed rest = need_;
  if (!same) rest.arguments += state_.bytes(capacity);
  require_memory("[generate]", rest, device_);
  need_.arguments += state_.bytes(capacity);
  if (!same) state_.allocate(capacity);
}

void SlotSession::drop_texts() {
  runs_.clear();
  results_.clear();
  prompt_of_.reset();
  for (Slot& slot : slots_) slot = {};
  stale_ = true;
}

std::optional<int64_t> SlotSession::add(const SamplerOptions& sampler, int64_t prompt, int32_t adapter) {
  const auto free = std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.state == State::free; });
  if (capacity() == 0) throw ValueError("[generate] there is no room for texts before `reserve`");
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
  if (std::all_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.state == State::free; })) runs_.clear();
}

bool SlotSession::can_step() const {
  return std::any_of(slots_.begin(), slots_.end(), [this](const Slot& s) { return s.state == State::decoding && s.position < capacity(); });
}

bool SlotSession::runs_ahead() const { return !on_host(device_); }

void SlotSession::renew() {
  if (!runs_.empty()) throw ValueError("[generate] tokens are to be read before slots change");
  std::vector<int32_t> ids, offsets, advance;
  for (const Slot& s : slots_) {
    // A slot that does not go on writes where its next token will, which overwrites it.
    ids.push_back(s.token);
    offsets.push_back(static_cast<int32_t>(std::min(s.position, capacity() - 1)));
    advance.push_back(s.state == State::decoding && s.position < capacity() ? 1 : 0);
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
  if (s.position + count > capacity()) {
    throw ValueError(
        fmt::format("[generate] {} tokens after the first {} exceed the cache of {} positions", count, s.position, capacity()));
  }
  if (stale_) renew();
  state_.remember(slot, s.position);
  feed(slot, ids);
  state_.remember(slot, s.position);
  if (!end) return;
  s.state = State::decoding;
  runs_.push_back({TokenRead(results_[DecodeResults::kTokens]), {{slot, s.text}}, true});
}

void SlotSession::feed(int64_t slot, std::span<const int32_t> ids) {
  Slot& s = slots_[static_cast<size_t>(slot)];
  const Tensor ids_of_step = args_.ids, offset_of_step = args_.offset;
  const auto count = static_cast<int64_t>(ids.size());
  for (int64_t length : chunk_lengths(count)) {
    // Padding must not run over the end of the cache; then the chunk has its exact length.
    if (s.position + length > capacity()) length = static_cast<int64_t>(ids.size());
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
  prompt_of_ = slot;
  stale_ = true;
}

void SlotSession::step() {
  if (!can_step()) throw ValueError("[generate] there is no slot that goes on");
  if (stale_) renew();
  for (size_t k = 0; k < slots_.size(); ++k) {
    if (slots_[k].state != State::free) state_.make_room(static_cast<int64_t>(k), std::min(slots_[k].position, capacity() - 1), 1);
  }
  run();
  prompt_of_.reset();
  args_.ids = results_[DecodeResults::kNextIds];
  args_.offset = results_[DecodeResults::kNextOffset];
  Run step{TokenRead(results_[DecodeResults::kTokens]), {}, false};
  for (size_t k = 0; k < slots_.size(); ++k) {
    Slot& s = slots_[k];
    if (s.state != State::decoding || s.position == capacity()) continue;
    step.texts.emplace_back(static_cast<int64_t>(k), s.text);
    // A slot that is full now keeps its last place.
    if (++s.position == capacity()) stale_ = true;
  }
  runs_.push_back(std::move(step));
}

void SlotSession::run() {
  // The run is the only owner of what it is given to keep.
  args_.history = std::move(state_.history);
  args_.tensors = std::move(state_.tensors);
  args_.starts.clear();
  for (size_t k = 0; k < pass_.layout().windows().size(); ++k) args_.starts.push_back(state_.starts(k));
  list_.clear();
  args_.move_into(list_);
  results_.clear();  // so that the logits of the last run do not count beside those of this one
  try {
    forward_.call(list_, results_);
  } catch (...) {
    // What the layers kept went with the failed run.
    state_.drop();
    drop_texts();
    throw;
  }
  state_.history = std::move(results_[DecodeResults::kHistory]);
  state_.tensors = std::move(args_.tensors);
  for (size_t k = 0; k < state_.tensors.size(); ++k) state_.tensors[k] = std::move(results_[DecodeResults::kTensors + k]);
}

std::vector<float> SlotSession::logits(int64_t slot) const {
  const bool whole = !results_.empty() && !prompt_of_ && slots_.at(static_cast<size_t>(slot)).state == State::decoding;
  if (!whole && prompt_of_ != slot) throw ValueError(fmt::format("[generate] the last run was not of slot {}", slot));
  const std::vector<float> all = results_[DecodeResults::kLogits].to_vector<float>();
  const auto size = static_cast<std::ptrdiff_t>(model_->info().vocab_size);
  const auto first = all.begin() + (whole ? slot : 0) * size;
  return {first, first + size};
}

void SlotSession::roll_back(int64_t slot, int64_t count) {
  Slot& s = slots_.at(static_cast<size_t>(slot));
  const int64_t most = s.state == State::free ? 0 : most_rolled_back(slot);
  if (count < 0 || count > most || !runs_.empty()) {
    throw ValueError(fmt::format("[generate] 0 to {} tokens of slot {} can be taken back when all are read, got {}", most, slot, count));
  }
  s.state = State::prompt;
  stale_ = true;
  const int64_t target = s.position - count;
  s.position = state_.roll_back(slot, target);
  if (s.position == target) return;
  // A recurrent layer reads once more what came after the copy that it goes on from.
  const auto history = state_.history.to_vector<int32_t>();
  const std::span<const int32_t> own = std::span(history).subspan(static_cast<size_t>(slot * capacity()));
  renew();
  feed(slot, own.subspan(static_cast<size_t>(s.position), static_cast<size_t>(target - s.position)));
}

void SlotSession::restore(int64_t slot, const SavedState& saved) {
  Slot& s = slots_.at(static_cast<size_t>(slot));
  if (s.state != State::prompt || s.position != 0) throw ValueError("[generate] a slot whose prompt has not begun is expected");
  state_.restore(slot, saved);
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
