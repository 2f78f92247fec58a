// Implements SlotState.
#include "generate/slot_state.h"

#include <algorithm>
#include <array>

#include "generate/decode_session.h"
#include "generate/slot_rows.h"
#include "lazuli/memory.h"
#include "lazuli/ops.h"

namespace lazuli {

namespace {

/// Every tensor's keys [from, from + count) of one slot move to its front.
Function moving(int64_t count) {
  return [count](std::span<const LazyTensor> args) {
    const std::array<int64_t, 4> front{0, 0, 0, 0};
    std::vector<LazyTensor> out;
    for (const LazyTensor& x : args.subspan(2)) {
      const LazyTensor kept = slice_at(row_of(x, args[0]), args[1], count, 2);
      out.push_back(slice_update(LazyTensor(x), kept, front, {}, args[0], 0));
    }
    return out;
  };
}

std::vector<int> numbers_from(size_t first, size_t count) {
  std::vector<int> out;
  for (size_t k = first; k < first + count; ++k) out.push_back(static_cast<int>(k));
  return out;
}

}  // namespace

SlotState::SlotState(std::span<const LayerState> layers, DType dtype, int64_t slots, int64_t capacity, Device device)
    : layers_(layers.begin(), layers.end()), dtype_(dtype), slots_(slots), capacity_(capacity), device_(device) {
  group_of_.resize(layers_.size());
  for (size_t k = 0; k < layers_.size(); ++k) {
    const int64_t window = layers_[k].window, positions = cache_capacity(window + kLongestChunk);
    if (window == 0 || positions >= capacity_) continue;
    auto found = std::find_if(groups_.begin(), groups_.end(), [window](const Group& g) { return g.window == window; });
    if (found == groups_.end()) {
      Group group{window, positions, {}, std::vector<int64_t>(static_cast<size_t>(slots_), 0), {}, true, compile(moving(window), device_)};
      found = groups_.insert(groups_.end(), std::move(group));
    }
    found->layers.push_back(k);
    group_of_[k] = static_cast<size_t>(found - groups_.begin());
  }
  for (Group& group : groups_) group.move.donate(numbers_from(2, 2 * group.layers.size()));
  take_row_ = compile(
      [](std::span<const LazyTensor> args) {
        std::vector<LazyTensor> rows;
        for (const LazyTensor& x : args.subspan(1)) rows.push_back(row_of(x, args[0]));
        return rows;
      },
      device_);
  const size_t tensors = 1 + 2 * layers_.size();
  put_row_ = compile(
      [tensors](std::span<const LazyTensor> args) {
        std::vector<LazyTensor> out;
        for (size_t k = 1; k <= tensors; ++k) out.push_back(with_row(LazyTensor(args[k]), args[tensors + k], args[0]));
        return out;
      },
      device_);
  put_row_.donate(numbers_from(1, tensors));
}

std::vector<TensorSpec> SlotState::specs() const {
  std::vector<TensorSpec> out;
  for (size_t k = 0; k < layers_.size(); ++k) {
    const int64_t positions = group_of_[k] ? groups_[*group_of_[k]].positions : capacity_;
    out.push_back({dtype_, {slots_, layers_[k].kv_heads, positions, layers_[k].key_size}});
    out.push_back({dtype_, {slots_, layers_[k].kv_heads, positions, layers_[k].value_size}});
  }
  return out;
}

size_t SlotState::bytes() const {
  size_t sum = allocated_bytes(static_cast<size_t>(slots_ * capacity_) * sizeof(int32_t));
  for (const TensorSpec& spec : specs()) sum += allocated_bytes(static_cast<size_t>(spec.shape.numel()) * size_of(spec.dtype));
  return sum;
}

void SlotState::allocate() {
  history = Tensor::zeros(DType::i32, {slots_, capacity_}, device_);
  for (const TensorSpec& spec : specs()) kv.push_back(Tensor::zeros(spec.dtype, spec.shape, device_));
}

const Tensor& SlotState::starts(size_t group) {
  Group& g = groups_[group];
  if (g.stale) {
    const std::vector<int32_t> narrow(g.starts.begin(), g.starts.end());
    g.on_device = Tensor::from_vector(narrow, {slots_}, device_);
    g.stale = false;
  }
  return g.on_device;
}

void SlotState::clear(int64_t slot) {
  for (Group& group : groups_) {
    group.starts[static_cast<size_t>(slot)] = 0;
    group.stale = true;
  }
}

void SlotState::make_room(int64_t slot, int64_t position, int64_t count) {
  for (Group& group : groups_) {
    int64_t& start = group.starts[static_cast<size_t>(slot)];
    if (position + count - start <= group.positions) continue;
    const int64_t first = position - group.window;
    move_to_front(group, slot, first - start);
    start = first;
    group.stale = true;
  }
}

void SlotState::move_to_front(Group& group, int64_t slot, int64_t from) {
  std::vector<Tensor> args{integer_tensor(slot, device_), integer_tensor(from, device_)}, results;
  for (const size_t layer : group.layers) {
    args.push_back(std::move(kv[2 * layer]));
    args.push_back(std::move(kv[2 * layer + 1]));
  }
  group.move.call(args, results);
  for (size_t k = 0; k < group.layers.size(); ++k) {
    kv[2 * group.layers[k]] = std::move(results[2 * k]);
    kv[2 * group.layers[k] + 1] = std::move(results[2 * k + 1]);
  }
}

int64_t SlotState::most_rolled_back(int64_t slot, int64_t position) const {
  int64_t most = position;
  for (const Group& group : groups_) {
    const int64_t start = group.starts[static_cast<size_t>(slot)];
    if (start > 0) most = std::min(most, position - start - (group.window - 1));
  }
  return std::max<int64_t>(most, 0);
}

SavedState SlotState::save(int64_t slot) {
  SavedState saved;
  std::vector<Tensor> args{integer_tensor(slot, device_), history};
  args.insert(args.end(), kv.begin(), kv.end());
  take_row_.call(args, saved.rows);
  for (const Group& group : groups_) saved.starts.push_back(group.starts[static_cast<size_t>(slot)]);
  return saved;
}

void SlotState::restore(int64_t slot, const SavedState& saved) {
  std::vector<Tensor> args{integer_tensor(slot, device_), std::move(history)}, results;
  for (Tensor& x : kv) args.push_back(std::move(x));
  args.insert(args.end(), saved.rows.begin(), saved.rows.end());
  put_row_.call(args, results);
  history = std::move(results[0]);
  for (size_t k = 0; k < kv.size(); ++k) kv[k] = std::move(results[k + 1]);
  for (size_t k = 0; k < groups_.size(); ++k) {
    groups_[k].starts[static_cast<size_t>(slot)] = saved.starts[k];
    groups_[k].stale = true;
  }
}

}  // namespace lazuli
