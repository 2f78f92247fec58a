#include "backend/cpu/elementwise/chain.h"

namespace lazuli::cpu {

namespace {

constexpr size_t kAlign = 64;
constexpr size_t kRawBytes = static_cast<size_t>(kTile) * 8;
constexpr size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

/// Addresses in thread_scratch: the slots, one number a slot, a tile of elements not yet converted, then the tiles.
struct Layout {
  Layout(void* scratch, size_t slots)
      : slot(static_cast<float**>(scratch)),
        number(static_cast<float*>(element_at(scratch, static_cast<int64_t>(aligned(slots * sizeof(float*))), 1))),
        raw(element_at(number, static_cast<int64_t>(aligned(slots * sizeof(float))), 1)),
        tiles(static_cast<float*>(element_at(raw, static_cast<int64_t>(kRawBytes), 1))) {}
  float* tile(int64_t index) const { return tiles + index * kTile; }
  float** slot;
  float* number;
  void* raw;
  float* tiles;
};

}  // namespace

size_t Chain::scratch_bytes() const {
  return aligned(slots_ * sizeof(float*)) + aligned(slots_ * sizeof(float)) + kRawBytes + buffers_ * sizeof(float) * kTile;
}

float** Chain::bind(const KernelArgs& args) const {
  const Layout at(args.thread_scratch, slots_);
  for (uint16_t slot : numbers_) at.slot[slot] = at.number + slot;
  for (uint16_t k : scalars_) {
    const Input& input = inputs_[k];
    if (input.load != nullptr) {
      input.load(args.in[k], at.slot[k], 1);
    } else {
      *at.slot[k] = *static_cast<const float*>(args.in[k]);
    }
  }
  for (const Step& s : prelude_) s.fn(at.slot[s.a], at.slot[s.b], at.slot[s.c], at.slot[s.out], 1);
  for (const Buffer& b : buffer_of_) at.slot[b.slot] = at.tile(b.index);
  for (const Fill& f : fills_) std::fill_n(at.slot[f.slot], kTile, *at.slot[f.number]);
  return at.slot;
}

void Chain::load(const Step& step, float** slots, const KernelArgs& args, int64_t first, int64_t n) const {
  const Input& input = inputs_[step.a];
  const Layout at(slots, slots_);
  const void* src = args.in[step.a];
  float* tile = at.tile(step.c);
  slots[step.out] = tile;
  const StridedRun run = run_at(input.view, first);
  if (run.length >= n && run.stride == 1) {
    src = element_at(src, run.offset, input.element_size);
    if (input.load == nullptr) {
      // Read where it is; no step writes to the slot of an input.
      slots[step.out] = const_cast<float*>(static_cast<const float*>(src));
    } else {
      input.load(src, tile, n);
    }
  } else if (input.load == nullptr) {
    gather(input.view, src, sizeof(float), first, n, tile);
  } else {
    gather(input.view, src, input.element_size, first, n, at.raw);
    input.load(at.raw, tile, n);
  }
}

void Chain::store(const Step& step, float** slots, const KernelArgs& args, int64_t first, int64_t n) const {
  const int operand = in_place_[step.out];
  const bool fresh = operand < 0 || args.in[operand] != args.out[step.out];
  const TileStore put = step.stream != nullptr && fresh ? step.stream : step.store;
  put(slots[step.a], element_at(args.out[step.out], first, output_size_[step.out]), n);
}

void Chain::run(float** slots, const KernelArgs& args, int64_t first, int64_t n) const {
  for (const Moving& m : moving_) {
    const void* base = m.output ? args.out[m.operand] : args.in[m.operand];
    slots[m.slot] = const_cast<float*>(static_cast<const float*>(base)) + first;
  }
  for (const Step& s : steps_) {
    switch (s.action) {
      case Action::compute:
        s.fn(slots[s.a], slots[s.b], slots[s.c], slots[s.out], n);
        break;
      case Action::load:
        load(s, slots, args, first, n);
        break;
      case Action::store:
        store(s, slots, args, first, n);
        break;
    }
  }
}

}  // namespace lazuli::cpu
