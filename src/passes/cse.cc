#include <bit>
#include <cstdint>
#include <vector>

#include "lazuli/op.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace lazuli {

namespace {

// A barrier separates equal computations on purpose, a copy owns its memory, and inputs are told apart by their place.
bool may_merge(Op op) { return op != Op::barrier && op != Op::checkpoint && op != Op::copy && op != Op::input; }

bool same_constant(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.raw() == b.raw() && a.strides() == b.strides();
}

bool same_operands(const GraphNode& a, const GraphNode& b) {
  if (a.inputs == b.inputs) return true;
  return has_trait(a.op, OpTrait::commutes) && a.inputs[0] == b.inputs[1] && a.inputs[1] == b.inputs[0];
}

bool same(const GraphNode& a, const GraphNode& b) {
  return a.op == b.op && a.attrs == b.attrs && a.payload == b.payload && a.inputs.size() == b.inputs.size() && same_operands(a, b) &&
         a.outputs == b.outputs && same_constant(a.constant, b.constant);
}

uint64_t mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * 0x9e3779b97f4a7c15u;
  return h ^ (h >> 29);
}

uint64_t hash(const GraphNode& n) {
  uint64_t h = mix(static_cast<uint64_t>(n.op), n.inputs.size());
  for (int64_t v : n.attrs.i) h = mix(h, static_cast<uint64_t>(v));
  for (int64_t v : n.attrs.list.span()) h = mix(h, static_cast<uint64_t>(v));
  auto of = [](Value v) { return static_cast<uint64_t>(v.node) << 8 ^ static_cast<uint64_t>(v.out); };
  if (has_trait(n.op, OpTrait::commutes)) {
    h = mix(h, mix(1, of(n.inputs[0])) + mix(1, of(n.inputs[1])));
  } else {
    for (Value v : n.inputs) h = mix(h, of(v));
  }
  for (int64_t d : n.outputs[0].shape) h = mix(h, static_cast<uint64_t>(d));
  return mix(h, static_cast<uint64_t>(n.outputs[0].dtype));
}

// Open addressing over node numbers; nodes are compared in place.
class Seen {
 public:
  Seen(const Rewriter& rw, size_t nodes) : rw_(rw), mask_(std::bit_ceil(2 * nodes + 2) - 1), slots_(mask_ + 1, Slot{0, -1}) {}

  // The first node equal to `n`, which is `n` itself when there was none.
  int32_t find_or_add(int32_t n) {
    const GraphNode& node = rw_.node(n);
    uint64_t h = hash(node);
    size_t at = h & mask_;
    while (slots_[at].node >= 0) {
      if (slots_[at].hash == static_cast<uint32_t>(h >> 32) && same(rw_.node(slots_[at].node), node)) return slots_[at].node;
      at = (at + 1) & mask_;
    }
    slots_[at] = {static_cast<uint32_t>(h >> 32), n};
    return n;
  }

 private:
  struct Slot {
    uint32_t hash;
    int32_t node;
  };
  const Rewriter& rw_;
  size_t mask_;
  std::vector<Slot> slots_;
};

class CommonSubexpressions final : public FusionPass {
 public:
  std::string_view name() const override { return "cse"; }

  int run(ComputationGraph& graph, PassContext&) const override {
    Rewriter rw(graph);
    Seen seen(rw, rw.size());
    int merged = 0;
    for (size_t k = 0; k < rw.size(); ++k) {
      auto n = static_cast<int32_t>(k);
      rw.resolve_inputs(n);
      if (!may_merge(rw.node(n).op) || rw.is_dead(n)) continue;
      int32_t first = seen.find_or_add(n);
      if (first == n) continue;
      ++merged;
      for (size_t out = 0; out < rw.node(n).outputs.size(); ++out) {
        auto o = static_cast<int32_t>(out);
        rw.replace({n, o}, {first, o});
      }
    }
    rw.finish();
    return merged;
  }
};

}  // namespace

std::shared_ptr<const FusionPass> make_cse() { return std::make_shared<CommonSubexpressions>(); }

}  // namespace lazuli
