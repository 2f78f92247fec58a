// Defines Chain: an elementwise program compiled to steps over tiles that stay in the first-level cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/cpu/common/strided.h"
#include "backend/cpu/tiles/tile.h"

namespace lazuli::cpu {

/// What a chain is compiled from.
struct ChainSource {
  std::span<const OperandSpec> inputs;
  std::span<const OperandSpec> outputs;  ///< empty: the first output stays in a tile, for a reduction
  const ElementwiseProgram& program;
  Shape space;                   ///< the iteration space: the program's shape unless its axes are permuted
  std::vector<Strides> strides;  ///< of the inputs in `space`
};

/// Compiled once, run from any thread. Every value has a slot: the address of its tile, of the caller's memory or of one number.
class Chain {
 public:
  /// Whether the dtypes are ones that tiles hold: floats but f64, booleans, and integers that are only cast.
  static bool supports(const ChainSource& source);
  static Chain compile(const ChainSource& source);

  int64_t numel() const { return numel_; }
  /// Of thread_scratch.
  size_t scratch_bytes() const;
  /// in_place of the prepared op.
  std::vector<int> in_place() const { return in_place_; }
  /// Arithmetic steps, for cost estimates.
  int64_t cost() const { return cost_; }

  /// Fills the slots at the start of `scratch`; once for each range of tasks.
  float** bind(const KernelArgs& args) const;
  /// Elements from `first` on that a tile may take, at most `n`.
  int64_t tile_at(int64_t first, int64_t n) const {
    n = std::min(n, kTile);
    return row_ == 0 ? n : std::min(n, row_ - first % row_);
  }
  /// Results go past the caches: hwy::FlushStream follows the last run() of a range of tasks.
  bool streams() const { return streams_; }
  /// Computes elements [first, first + n), n as tile_at said or less.
  void run(float** slots, const KernelArgs& args, int64_t first, int64_t n) const;
  /// The tile of the first output after run(), when the source had no outputs.
  const float* result(float* const* slots) const { return slots[result_]; }

 private:
  friend class ChainBuilder;
  Chain() = default;
  enum class Action : uint8_t { compute, load, store };
  struct Step {
    Action action;
    uint16_t a, b, c, out;  ///< slots; load: a is the input and c its tile; store: a is the slot and out the output
    TileFn fn = nullptr;
    TileLoad load = nullptr;
    TileStore store = nullptr;
    TileStore stream = nullptr;  ///< instead of `store` for a result that has no operand's memory
  };
  struct Input {
    StridedView view;
    uint8_t element_size;
    TileLoad load;  ///< null for f32
  };
  /// Slots that move with the tile: inputs and outputs that are used where they are.
  struct Moving {
    uint16_t slot, operand;
    bool output;
  };
  /// A slot that always is the given tile of the scratch.
  struct Buffer {
    uint16_t slot, index;
  };
  /// A tile that repeats a number.
  struct Fill {
    uint16_t number, slot;
  };

  void store(const Step& step, float** slots, const KernelArgs& args, int64_t first, int64_t n) const;
  void load(const Step& step, float** slots, const KernelArgs& args, int64_t first, int64_t n) const;
  int64_t numel_ = 0, row_ = 0, cost_ = 0;
  bool streams_ = false;
  uint16_t slots_ = 0, buffers_ = 0, result_ = 0;
  std::vector<Input> inputs_;
  std::vector<uint16_t> numbers_;  ///< slots that are one number
  std::vector<uint16_t> scalars_;  ///< those of them that are inputs
  std::vector<Step> prelude_;      ///< arithmetic on numbers, once for each bind
  std::vector<Fill> fills_;
  std::vector<Buffer> buffer_of_;
  std::vector<Moving> moving_;
  std::vector<Step> steps_;
  std::vector<size_t> output_size_;  ///< of an element
  std::vector<int> in_place_;
};

}  // namespace lazuli::cpu
