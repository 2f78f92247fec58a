// Defines SlotState: what is kept of several texts, each in a slot of its own: their ids, and keys and values of the layers of a model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lazuli/model.h"
#include "lazuli/tensor.h"
#include "lazuli/transforms.h"

namespace lazuli {

/// What one slot had when it was saved.
struct SavedState {
  std::vector<Tensor> rows;     ///< of ids and of each tensor of keys and values, with axis 0 of size 1
  std::vector<int64_t> starts;  ///< one for each group
};

/// Layers with a window keep the keys that it can still show and room for more. Where that room ends, the keys that the next token sees
/// move to the front, so a text of any length takes the memory of a short one, and a token's share of the moves is one key.
class SlotState {
 public:
  /// Nothing is allocated before `allocate`.
  SlotState(std::span<const LayerState> layers, DType dtype, int64_t slots, int64_t capacity, Device device);

  /// Of each layer keys, then values: (slots, kv_heads, positions, size).
  std::vector<TensorSpec> specs() const;
  /// What they and the ids take.
  size_t bytes() const;
  void allocate();
  ///@{
  /// The tensors, which runs take and give back: ids at their positions, (slots, capacity) i32, and keys and values as `specs` says.
  Tensor history;
  std::vector<Tensor> kv;
  ///@}

  /// Layers whose keys start at the same positions are a group; how many there are beside that of layers which keep everything.
  size_t groups() const { return groups_.size(); }
  /// The group of a layer; nothing where all keys start at position 0.
  std::optional<size_t> group_of(size_t layer) const { return group_of_[layer]; }
  /// Positions of the first keys, (slots) i32, on the device; made anew when some have changed.
  const Tensor& starts(size_t group);
  /// Position of the first key of one slot.
  int64_t start(size_t group, int64_t slot) const { return groups_[group].starts[static_cast<size_t>(slot)]; }

  /// A new text begins in the slot.
  void clear(int64_t slot);
  /// Makes room in all layers for keys of the positions [position, position + count), at most kLongestChunk.
  void make_room(int64_t slot, int64_t position, int64_t count);
  /// Of `position` tokens, how many of the last ones can be taken back: every layer then still has the keys that its window shows.
  int64_t most_rolled_back(int64_t slot, int64_t position) const;
  SavedState save(int64_t slot);
  void restore(int64_t slot, const SavedState& saved);

 private:
  struct Group {
    int64_t window, positions;  ///< kept at least, and room for
    std::vector<size_t> layers;
    std::vector<int64_t> starts;  ///< by slot
    Tensor on_device;
    bool stale = true;
    CompiledFunction move;  ///< (slot, first key that stays, tensors...) -> tensors
  };
  void move_to_front(Group& group, int64_t slot, int64_t from);

  std::vector<LayerState> layers_;
  DType dtype_;
  int64_t slots_, capacity_;
  Device device_;
  std::vector<Group> groups_;
  std::vector<std::optional<size_t>> group_of_;
  CompiledFunction take_row_, put_row_;
};

}  // namespace lazuli
