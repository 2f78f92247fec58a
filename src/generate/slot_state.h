// Defines SlotState: what is kept of several texts, each in a slot of its own: their ids, and the tensors of a model's layers.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "generate/state_layout.h"
#include "lazuli/tensor.h"
#include "lazuli/transforms.h"

namespace lazuli {

/// What one slot had when it was saved.
struct SavedState {
  std::vector<Tensor> rows;     ///< of ids and of each tensor of the layers, with axis 0 of size 1
  std::vector<int64_t> starts;  ///< one for each window
  int64_t position = 0;         ///< tokens of the text
};

/// Copies of one slot's rows of some tensors.
class RowCopies {
 public:
  /// Of lists of `count` tensors.
  RowCopies(size_t count, Device device);
  /// Rows with axis 0 of size 1.
  std::vector<Tensor> take(int64_t slot, std::span<Tensor* const> tensors);
  void put(int64_t slot, std::span<Tensor* const> tensors, std::span<const Tensor> rows);

 private:
  Device device_;
  CompiledFunction take_;  ///< (slot, tensors...) -> rows
  CompiledFunction put_;   ///< (slot, tensors..., rows...) -> tensors
};

/// Layers with a window keep the keys that it can still show and room for more. Where that room ends, the keys that the next token sees
/// move to the front, so a text of any length takes the memory of a short one, and a token's share of the moves is one key.
///
/// A recurrent layer cannot go back, so copies of its tensors are kept: of before the part of a prompt that was read last, and of after
/// it. A text that takes tokens back goes on from the last copy before them, and the tokens in between are read once more.
class SlotState {
 public:
  /// Nothing is allocated before `allocate`.
  SlotState(const StateLayout& layout, DType dtype, int64_t slots, Device device);

  /// What texts of `capacity` positions take, the copies of recurrent layers included.
  size_t bytes(int64_t capacity) const;
  /// Drops what there was. All slots are empty.
  void allocate(int64_t capacity);
  /// Nothing is kept from now on; capacity 0.
  void drop();
  int64_t capacity() const { return capacity_; }
  ///@{
  /// What runs take and give back: ids at their positions, (slots, capacity) i32, and the tensors as StateLayout::specs.
  Tensor history;
  std::vector<Tensor> tensors;
  ///@}
  /// Positions of the first keys of layers with this window, (slots) i32, on the device; made anew when some have changed.
  const Tensor& starts(size_t window);

  /// A new text begins in the slot.
  void clear(int64_t slot);
  /// Makes room in all layers for the positions [position, position + count), at most kLongestChunk.
  void make_room(int64_t slot, int64_t position, int64_t count);
  /// Keeps a copy of the recurrent layers' tensors after `position` tokens.
  void remember(int64_t slot, int64_t position);
  /// Of `position` tokens, how many of the last ones can be taken back.
  int64_t most_rolled_back(int64_t slot, int64_t position) const;
  /// Goes back to `position`, which `most_rolled_back` allows, or to a place before it, from which the tokens up to it are to be read once
  /// more. Gives that place.
  int64_t roll_back(int64_t slot, int64_t position);
  SavedState save(int64_t slot, int64_t position);
  void restore(int64_t slot, const SavedState& saved);

 private:
  struct Window {
    int64_t size, positions;  ///< keys that it shows, and that there is room for
    std::vector<size_t> tensors;
    std::vector<int64_t> starts;  ///< by slot
    Tensor on_device;
    bool stale;
    CompiledFunction move;  ///< (slot, first key that stays, tensors...) -> tensors
  };
  /// A copy of recurrent tensors.
  struct Copy {
    int64_t position;
    std::vector<Tensor> rows;
  };
  void move_to_front(Window& window, int64_t slot, int64_t from);
  std::vector<Tensor*> all();
  std::vector<Tensor*> recurrent();
  /// Of the texts' first tokens, how many must stay so that each window still has the keys that it shows.
  int64_t lowest(int64_t slot) const;

  StateLayout layout_;
  DType dtype_;
  int64_t slots_, capacity_ = 0;
  Device device_;
  std::vector<Window> windows_;
  std::vector<size_t> recurrent_;         ///< numbers of their tensors
  std::vector<Tensor> zeros_;             ///< rows of recurrent layers before the first token
  std::vector<std::deque<Copy>> copies_;  ///< by slot, at most kCopies, in the order of positions
  RowCopies rows_of_all_, rows_of_recurrent_;
};

}  // namespace lazuli
