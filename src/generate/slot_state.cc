// Implements SlotState.
#include "generate/slot_state.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "generate/slot_rows.h"
#include "lazuli/memory.h"
#include "lazuli/ops.h"

namespace lazuli {

namespace {

constexpr size_t kCopies = 2;  ///< of a recurrent layer's tensors, of each text

/// Every tensor's keys [from, from + count) of one slot move to its front.
Function moving(int64_t count) {
  return [count](std::span<const LazyTensor> args) {
    std::vector<LazyTensor> out;
    for (const LazyTensor& x : args.subspan(2)) {
      out.push_back(with_row(LazyTensor(x), slice_at(row_of(x, args[0]), args[1], count, 2), args[0]));
    }
    return out;
  };
}

std::vector<LazyTensor> taking(std::span<const LazyTensor> args) {
  std::vector<LazyTensor> rows;
  for (const LazyTensor& x : args.subspan(1)) rows.push_back(row_of(x, args[0]));
  return rows;
}

std::vector<LazyTensor> putting(std::span<const LazyTensor> args) {
  const size_t count = (args.size() - 1) / 2;
  std::vector<LazyTensor> out;
  for (size_t k = 1; k <= count; ++k) out.push_back(with_row(LazyTensor(args[k]), args[count + k], args[0]));
  return out;
}

std::vector<int> numbers_from(size_t first, size_t count) {
  std::vector<int> out(count);
  std::iota(out.begin(), out.end(), static_cast<int>(first));
  return out;
}

size_t bytes_of(const TensorSpec& spec) { return allocated_bytes(static_cast<size_t>(spec.shape.numel()) * size_of(spec.dtype)); }

}  // namespace

RowCopies::RowCopies(size_t count, Device device) : device_(device), take_(compile(taking, device)), put_(compile(putting, device)) {
  put_.donate(numbers_from(1, count));
}

std::vector<Tensor> RowCopies::take(int64_t slot, std::span<Tensor* const> tensors) {
  std::vector<Tensor> args{integer_tensor(slot, device_)}, rows;
  for (const Tensor* tensor : tensors) args.push_back(*tensor);
  take_.call(args, rows);
  return rows;
}

void RowCopies::put(int64_t slot, std::span<Tensor* const> tensors, std::span<const Tensor> rows) {
  std::vector<Tensor> args{integer_tensor(slot, device_)}, results;
  for (Tensor* tensor : tensors) args.push_back(std::move(*tensor));
  args.insert(args.end(), rows.begin(), rows.end());
  put_.call(args, results);
  for (size_t k = 0; k < tensors.size(); ++k) *tensors[k] = std::move(results[k]);
}

SlotState::SlotState(const StateLayout& layout, DType dtype, int64_t slots, Device device)
    : layout_(layout),
      dtype_(dtype),
      slots_(slots),
      device_(device),
      recurrent_(layout.of_recurrent()),
      rows_of_all_(1 + layout.count(), device),
      rows_of_recurrent_(recurrent_.size(), device) {
  copies_.resize(static_cast<size_t>(slots));
}

std::vector<Tensor*> SlotState::all() {
  std::vector<Tensor*> out{&history};
  for (Tensor& tensor : tensors) out.push_back(&tensor);
  return out;
}

std::vector<Tensor*> SlotState::recurrent() {
  std::vector<Tensor*> out;
  for (const size_t k : recurrent_) out.push_back(&tensors[k]);
  return out;
}

size_t SlotState::bytes(int64_t capacity) const {
  size_t sum = allocated_bytes(static_cast<size_t>(slots_ * capacity) * sizeof(int32_t));
  const std::vector<TensorSpec> specs = layout_.specs(dtype_, slots_, capacity);
  for (const TensorSpec& spec : specs) sum += bytes_of(spec);
  for (const size_t k : recurrent_) sum += kCopies * bytes_of(specs[k]);
  return sum;
}

void SlotState::allocate(int64_t capacity) {
  drop();
  history = Tensor::zeros(DType::i32, {slots_, capacity}, device_);
  for (const TensorSpec& spec : layout_.specs(dtype_, slots_, capacity)) tensors.push_back(Tensor::zeros(spec.dtype, spec.shape, device_));
  if (zeros_.empty() && !recurrent_.empty()) zeros_ = rows_of_recurrent_.take(0, recurrent());
  for (size_t k = 0; k < layout_.windows().size(); ++k) {
    const int64_t size = layout_.windows()[k];
    Window& window = windows_.emplace_back(Window{
        size, layout_.positions(k, capacity), layout_.of_window(k), std::vector<int64_t>(static_cast<size_t>(slots_)), {}, true, {}});
    window.move = compile(moving(size), device_);
    window.move.donate(numbers_from(2, window.tensors.size()));
  }
  capacity_ = capacity;
}

void SlotState::drop() {
  history = {};
  tensors.clear();
  windows_.clear();
  for (auto& copies : copies_) copies.clear();
  capacity_ = 0;
}

const Tensor& SlotState::starts(size_t window) {
  Window& w = windows_[window];
  if (w.stale) {
    const std::vector<int32_t> narrow(w.starts.begin(), w.starts.end());
    w.on_device = Tensor::from_vector(narrow, {slots_}, device_);
    w.stale = false;
  }
  return w.on_device;
}

void SlotState::clear(int64_t slot) {
  for (Window& window : windows_) {
    int64_t& start = window.starts[static_cast<size_t>(slot)];
    window.stale = window.stale || start != 0;
    start = 0;
  }
  if (recurrent_.empty()) return;
  copies_[static_cast<size_t>(slot)].clear();
  rows_of_recurrent_.put(slot, recurrent(), zeros_);
}

void SlotState::make_room(int64_t slot, int64_t position, int64_t count) {
  for (Window& window : windows_) {
    int64_t& start = window.starts[static_cast<size_t>(slot)];
    if (position + count - start <= window.positions) continue;
    const int64_t first = position - window.size;
    move_to_front(window, slot, first - start);
    start = first;
    window.stale = true;
  }
}

void SlotState::move_to_front(Window& window, int64_t slot, int64_t from) {
  std::vector<Tensor> args{integer_tensor(slot, device_), integer_tensor(from, device_)}, results;
  for (const size_t k : window.tensors) args.push_back(std::move(tensors[k]));
  window.move.call(args, results);
  for (size_t k = 0; k < window.tensors.size(); ++k) tensors[window.tensors[k]] = std::move(results[k]);
}

void SlotState::remember(int64_t slot, int64_t position) {
  if (recurrent_.empty()) return;
  std::deque<Copy>& copies = copies_[static_cast<size_t>(slot)];
  if (!copies.empty() && copies.back().position == position) return;
  if (copies.size() == kCopies) copies.pop_front();
  copies.push_back({position, rows_of_recurrent_.take(slot, recurrent())});
}

int64_t SlotState::lowest(int64_t slot) const {
  int64_t most = 0;
  for (const Window& window : windows_) {
    const int64_t start = window.starts[static_cast<size_t>(slot)];
    if (start > 0) most = std::max(most, start + window.size - 1);
  }
  return most;
}

int64_t SlotState::most_rolled_back(int64_t slot, int64_t position) const {
  int64_t first = lowest(slot);
  if (!recurrent_.empty()) {
    const std::deque<Copy>& copies = copies_[static_cast<size_t>(slot)];
    const auto found = std::find_if(copies.begin(), copies.end(), [first](const Copy& copy) { return copy.position >= first; });
    first = found == copies.end() ? position : found->position;
  }
  return std::max<int64_t>(position - first, 0);
}

int64_t SlotState::roll_back(int64_t slot, int64_t position) {
  if (recurrent_.empty()) return position;
  std::deque<Copy>& copies = copies_[static_cast<size_t>(slot)];
  while (copies.back().position > position) copies.pop_back();
  rows_of_recurrent_.put(slot, recurrent(), copies.back().rows);
  return copies.back().position;
}

SavedState SlotState::save(int64_t slot, int64_t position) {
  SavedState saved{rows_of_all_.take(slot, all()), {}, position};
  for (const Window& window : windows_) saved.starts.push_back(window.starts[static_cast<size_t>(slot)]);
  return saved;
}

void SlotState::restore(int64_t slot, const SavedState& saved) {
  rows_of_all_.put(slot, all(), saved.rows);
  for (size_t k = 0; k < windows_.size(); ++k) {
    windows_[k].starts[static_cast<size_t>(slot)] = saved.starts[k];
    windows_[k].stale = true;
  }
  copies_[static_cast<size_t>(slot)].clear();
  remember(slot, saved.position);
}

}  // namespace lazuli
