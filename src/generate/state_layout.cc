// Implements StateLayout.
#include "generate/state_layout.h"

#include <algorithm>

#include "generate/chunks.h"

namespace lazuli {

namespace {

size_t tensors_of(const LayerState& state) {
  switch (state.kind) {
    case StateKind::attention:
      return 2;
    case StateKind::shared:
      return 0;
    case StateKind::recurrent:
      return state.tensors.size();
  }
  return 0;
}

TensorSpec for_slots(const TensorSpec& one, int64_t slots) {
  std::vector<int64_t> dims{slots};
  dims.insert(dims.end(), one.shape.begin(), one.shape.end());
  return {one.dtype, Shape(dims)};
}

}  // namespace

StateLayout::StateLayout(std::span<const LayerState> states) : states_(states.begin(), states.end()) {
  for (const LayerState& state : states_) {
    Layer& layer = layers_.emplace_back(Layer{state.kind, count_, tensors_of(state), {}});
    count_ += layer.count;
    if (state.kind != StateKind::attention || state.window == 0) continue;
    const auto found = std::find(windows_.begin(), windows_.end(), state.window);
    layer.window = static_cast<size_t>(found - windows_.begin());
    if (found == windows_.end()) windows_.push_back(state.window);
  }
}

std::vector<size_t> StateLayout::of_window(size_t window) const {
  std::vector<size_t> out;
  for (const Layer& layer : layers_) {
    if (layer.window == window) out.insert(out.end(), {layer.first, layer.first + 1});
  }
  return out;
}

std::vector<size_t> StateLayout::of_recurrent() const {
  std::vector<size_t> out;
  for (const Layer& layer : layers_) {
    if (layer.kind != StateKind::recurrent) continue;
    for (size_t k = 0; k < layer.count; ++k) out.push_back(layer.first + k);
  }
  return out;
}

// Room for a chunk beside the window, so that a token's share of the moves to the front is one key.
int64_t StateLayout::positions(size_t window, int64_t capacity) const {
  return std::min(capacity, cache_capacity(windows_[window] + kLongestChunk));
}

std::vector<TensorSpec> StateLayout::specs(DType dtype, int64_t slots, int64_t capacity) const {
  std::vector<TensorSpec> out;
  for (size_t k = 0; k < states_.size(); ++k) {
    const LayerState& state = states_[k];
    for (const TensorSpec& tensor : state.tensors) out.push_back(for_slots(tensor, slots));
    if (state.kind != StateKind::attention) continue;
    const int64_t kept = layers_[k].window ? positions(*layers_[k].window, capacity) : capacity;
    out.push_back({dtype, {slots, state.kv_heads, kept, state.key_size}});
    out.push_back({dtype, {slots, state.kv_heads, kept, state.value_size}});
  }
  return out;
}

}  // namespace lazuli
