// Defines StateLayout, which tensors the layers of a model keep between runs, in one list.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lazuli/model.h"

namespace lazuli {

/// Which tensors are whose does not depend on how many texts there are or how long they may be; only the sizes do.
class StateLayout {
 public:
  struct Layer {
    StateKind kind;
    size_t first, count;           ///< its tensors
    std::optional<size_t> window;  ///< index of its window; nothing where all keys are kept
  };
  explicit StateLayout(std::span<const LayerState> states);

  const std::vector<Layer>& layers() const { return layers_; }
  /// The windows of the layers, each once.
  const std::vector<int64_t>& windows() const { return windows_; }
  /// Of all tensors.
  size_t count() const { return count_; }
  /// The tensors of layers with this window, in order.
  std::vector<size_t> of_window(size_t window) const;
  /// The tensors of recurrent layers, in order.
  std::vector<size_t> of_recurrent() const;
  /// Keys that a layer with this window has room for where texts have `capacity` positions.
  int64_t positions(size_t window, int64_t capacity) const;
  /// Of keys, then values: (slots, kv_heads, positions, size); of recurrent layers' tensors: (slots, ...).
  std::vector<TensorSpec> specs(DType dtype, int64_t slots, int64_t capacity) const;

 private:
  std::vector<LayerState> states_;
  std::vector<Layer> layers_;
  std::vector<int64_t> windows_;
  size_t count_ = 0;
};

}  // namespace lazuli
