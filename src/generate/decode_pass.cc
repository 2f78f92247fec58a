// Implements DecodePass.
#include "generate/decode_pass.h"

#include <array>
#include <utility>

#include "generate/slot_rows.h"
#include "lazuli/error.h"
#include "lazuli/op.h"
#include "lazuli/ops.h"

namespace lazuli {

namespace {

template <class T>
auto members(DecodeValues<T>& values) {
  return std::array{&values.ids,    &values.offset, &values.last,   &values.slot,   &values.advance,
                    &values.choice, &values.rules,  &values.counts, &values.history};
}

constexpr size_t kFixed = 9;  ///< values before those of the layers

LazyTensor one() { return LazyTensor::scalar_int(1); }

bool is_only(const DecodeValues<LazyTensor>& v) { return v.history.dim(0) == 1; }

LazyTensor as_rank_0(const LazyTensor& x) { return reshape(x, Shape{}); }

/// history with ids from `offset` on.
LazyTensor with_ids(LazyTensor&& history, const LazyTensor& ids, const LazyTensor& offset) {
  const std::array<int64_t, 2> front{0, 0};
  return slice_update(std::move(history), ids, front, {}, offset, 1);
}

std::vector<LazyTensor> results_of(const LazyTensor& logits, const LazyTensor& token, const LazyTensor& next_offset,
                                   const LazyTensor& history, std::vector<LazyTensor> tensors) {
  // The next run may be on its way before the host sees that there is no token.
  const LazyTensor next_ids = reshape(maximum(token, LazyTensor::scalar_int(0)), {token.dim(0), 1});
  std::vector<LazyTensor> out{token, next_ids, next_offset, logits, history};
  for (LazyTensor& tensor : tensors) out.push_back(std::move(tensor));
  return out;
}

std::vector<LazyTensor> take_tensors(DecodingState& state) {
  std::vector<LazyTensor> out;
  for (DecodingState::Layer& layer : state.layers) {
    for (LazyTensor& tensor : layer.tensors) out.push_back(std::move(tensor));
  }
  return out;
}

}  // namespace

template <class T>
void DecodeValues<T>::move_into(std::vector<T>& out) {
  for (T* value : members(*this)) out.push_back(value == &history ? std::move(*value) : *value);
  out.insert(out.end(), starts.begin(), starts.end());
  for (T& tensor : tensors) out.push_back(std::move(tensor));
}

template <class T>
DecodeValues<T> DecodeValues<T>::from(std::span<const T> values, size_t windows) {
  DecodeValues out;
  size_t k = 0;
  for (T* value : members(out)) *value = values[k++];
  const std::span<const T> lists = values.subspan(k);
  out.starts.assign(lists.begin(), lists.begin() + static_cast<std::ptrdiff_t>(windows));
  out.tensors.assign(lists.begin() + static_cast<std::ptrdiff_t>(windows), lists.end());
  return out;
}

template struct DecodeValues<Tensor>;
template struct DecodeValues<TensorSpec>;

DecodePass::DecodePass(std::shared_ptr<const LanguageModel> model, SlotAdapters adapters)
    : model_(std::move(model)), layout_(model_->states()) {
  if (adapters.by_slot) {
    choices_ = std::move(adapters.adapters);
  } else if (adapters.adapters.size() == 1) {
    shared_ = std::make_shared<const AdapterContext>(adapters.adapters[0]);
  } else if (!adapters.adapters.empty()) {
    throw ValueError("[generate] one adapter for all texts is expected");
  }
}

std::vector<LazyTensor> DecodePass::operator()(std::span<const LazyTensor> arguments) const {
  Values v = Values::from(arguments, layout_.windows().size());
  return v.offset.rank() == 0 ? prompt(v) : step(v);
}

DecodeValues<TensorSpec> DecodePass::arguments(int64_t slots, int64_t capacity, int64_t prompt) const {
  DecodeValues<TensorSpec> s;
  s.ids = {DType::i32, prompt > 0 ? Shape{1, prompt} : Shape{slots, 1}};
  s.offset = {DType::i32, prompt > 0 ? Shape{} : Shape{slots}};
  s.last = s.slot = {DType::i32, Shape{}};
  s.advance = s.choice = {DType::i32, {slots}};
  s.rules = {DType::f32, {slots, 4}};
  s.counts = {DType::i64, {slots, 4}};
  s.history = {DType::i32, {slots, capacity}};
  s.starts.resize(layout_.windows().size(), {DType::i32, {slots}});
  s.tensors = layout_.specs(model_->info().dtype, slots, capacity);
  return s;
}

std::vector<int> DecodePass::donated() const {
  std::vector<int> out{static_cast<int>(kFixed) - 1};
  for (size_t k = 0; k < layout_.count(); ++k) out.push_back(static_cast<int>(kFixed + layout_.windows().size() + k));
  return out;
}

LazyTensor DecodePass::logits(const Values& v, const LazyTensor& choice, DecodingState& state) const {
  std::optional<AdapterContext> chosen;
  if (!choices_.empty()) chosen.emplace(choices_, choice);
  ForwardContext context{v.ids, v.offset, &state, chosen ? &*chosen : shared_.get()};
  LazyTensor hidden = model_->hidden(context);
  if (hidden.dim(1) > 1) hidden = slice_at(hidden, v.last, 1, 1);
  const LazyTensor all = model_->logits(hidden);
  return reshape(all, {all.dim(0), all.dim(-1)});
}

DecodingState DecodePass::state_with(std::span<const LazyTensor> starts, int64_t positions) const {
  DecodingState state;
  state.positions = positions;
  for (const StateLayout::Layer& layer : layout_.layers())
    state.layers.push_back({{}, layer.window ? starts[*layer.window] : LazyTensor()});
  return state;
}

std::vector<LazyTensor> DecodePass::step(Values& v) const {
  const bool only = is_only(v);
  DecodingState state = state_with(v.starts, v.history.dim(1));
  state.count = v.advance;
  for (size_t k = 0; k < state.layers.size(); ++k) {
    const StateLayout::Layer& layer = layout_.layers()[k];
    for (size_t i = 0; i < layer.count; ++i) state.layers[k].tensors.push_back(std::move(v.tensors[layer.first + i]));
  }
  const LazyTensor scores = logits(v, v.choice, state);
  const LazyTensor history = with_ids(std::move(v.history), v.ids, v.offset);
  const LazyTensor length = v.offset + one();
  const LazyTensor token = record(Op::sample, {scores, history, length, v.rules, v.counts});
  // There is no step but where some slot goes on, so an only one does.
  return results_of(scores, token, only ? length : v.offset + v.advance, history, take_tensors(state));
}

std::vector<LazyTensor> DecodePass::prompt(Values& v) const {
  // The only slot needs no copy of what it keeps.
  const bool only = is_only(v);
  const auto own = [&](LazyTensor& all) { return only ? std::move(all) : row_of(all, v.slot); };
  std::vector<LazyTensor> starts;
  for (LazyTensor& start : v.starts) starts.push_back(as_rank_0(own(start)));
  DecodingState state = state_with(starts, v.history.dim(1));
  state.count = v.last + one();
  for (size_t k = 0; k < state.layers.size(); ++k) {
    const StateLayout::Layer& layer = layout_.layers()[k];
    for (size_t i = 0; i < layer.count; ++i) state.layers[k].tensors.push_back(own(v.tensors[layer.first + i]));
  }
  const LazyTensor scores = logits(v, own(v.choice), state);
  const LazyTensor ids = with_ids(own(v.history), v.ids, v.offset);
  const LazyTensor length = reshape(v.offset + state.count, {1});
  const LazyTensor token = record(Op::sample, {scores, ids, length, own(v.rules), own(v.counts)});
  std::vector<LazyTensor> tensors = take_tensors(state);
  if (only) return results_of(scores, token, length, ids, std::move(tensors));
  for (size_t k = 0; k < tensors.size(); ++k) tensors[k] = with_row(std::move(v.tensors[k]), tensors[k], v.slot);
  return results_of(scores, token, length, with_row(std::move(v.history), ids, v.slot), std::move(tensors));
}

}  // namespace lazuli
