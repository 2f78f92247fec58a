// Builds graphs of any ops, attributes and edges by hand; those that verify are optimised, planned, and small ones run.
#include <algorithm>

#include "exec/run.h"
#include "fuzz.h"
#include "lazuli/graph.h"
#include "lazuli/op.h"
#include "lazuli/optimizer.h"

namespace lazuli {
namespace {

constexpr int64_t kMostElements = 1 << 12;

Shape shape_from(fuzz::Choices& c) {
  std::vector<int64_t> dims(c.below(5));
  for (int64_t& d : dims) d = c.number();
  return Shape(dims);
}

DType dtype_from(fuzz::Choices& c) {
  constexpr DType kTypes[] = {DType::f32, DType::f32, DType::f32, DType::bf16,   DType::f16,
                              DType::i32, DType::i64, DType::u8,  DType::boolean};
  return kTypes[c.below(std::size(kTypes))];
}

Attrs attrs_from(fuzz::Choices& c) {
  Attrs attrs;
  const uint8_t which = c.byte();
  for (size_t k = 0; k < 4; ++k) {
    if ((which >> k & 1) != 0) attrs.i[k] = c.number();
  }
  if ((which & 16) != 0) {
    std::vector<int64_t> list(c.below(9));
    for (int64_t& v : list) v = c.number();
    attrs.list = IntList(std::move(list));
  }
  return attrs;
}

Value value_from(fuzz::Choices& c, const GraphBuilder& b) {
  return {static_cast<int32_t>(c.below(b.size() + 1)) - (c.byte() == 255 ? 1 : 0), c.byte() > 250 ? 1 : 0};
}

void add_node(fuzz::Choices& c, GraphBuilder& b) {
  switch (c.below(8)) {
    case 0:
      b.input(dtype_from(c), shape_from(c));
      break;
    case 1: {
      const Shape shape = shape_from(c);
      if (std::any_of(shape.begin(), shape.end(), [](int64_t d) { return d < 0 || d > 16; })) break;
      b.constant(Tensor::zeros(dtype_from(c), shape));
      break;
    }
    case 2:
      b.open_node(static_cast<Op>(c.below(static_cast<size_t>(kOpCount))), static_cast<int>(c.below(4)), {{dtype_from(c), shape_from(c)}},
                  attrs_from(c));
      break;
    case 3:
      b.edge(value_from(c, b), static_cast<int32_t>(c.below(b.size() + 1)), static_cast<int>(c.number() & 7));
      break;
    default: {
      const Op op = static_cast<Op>(c.below(static_cast<size_t>(kOpCount)));
      std::vector<Value> inputs(c.below(4));
      for (Value& v : inputs) v = value_from(c, b);
      const Attrs attrs = attrs_from(c);
      TensorSpec target;
      const bool has_target = c.below(4) == 0;
      if (has_target) target = {dtype_from(c), shape_from(c)};
      b.node(op, std::move(inputs), attrs, has_target ? &target : nullptr);
    }
  }
}

bool small(const ComputationGraph& g) {
  int64_t all = 0;
  for (const GraphNode& n : g.nodes) {
    for (const TensorSpec& s : n.outputs) {
      int64_t elements = 1;
      for (int64_t d : s.shape) {
        if (d > kMostElements || (elements *= d) > kMostElements) return false;
      }
      all += elements;
    }
  }
  return all <= 16 * kMostElements;
}

void run(const ComputationGraph& g, Device device) {
  const Plan plan = make_plan(g, device, {});
  std::vector<Tensor> inputs(static_cast<size_t>(g.input_count));
  std::vector<const void*> pointers(inputs.size());
  for (const GraphNode& n : g.nodes) {
    if (n.op != Op::input) continue;
    const auto k = static_cast<size_t>(n.attrs.i[0]);
    inputs[k] = Tensor::zeros(n.outputs[0].dtype, n.outputs[0].shape);
    pointers[k] = inputs[k].raw();
  }
  const std::vector<uint64_t> scalars(static_cast<size_t>(g.scalar_count));
  ResultMemory memory;
  memory.take(plan, [](size_t) { return nullptr; });
  execute(plan, {pointers.data(), scalars.data(), memory.pointers(), memory.donated()}, nullptr);
}

}  // namespace
}  // namespace lazuli

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lazuli;
  fuzz::Choices c(data, size);
  GraphBuilder b;
  for (int k = 0; k < 24 && !c.empty(); ++k) {
    fuzz::survive([&] { add_node(c, b); });
  }
  return fuzz::survive([&] {
    for (int k = 0; k < 2; ++k) {
      if (b.size() > 0) b.output({static_cast<int32_t>(b.size() - 1 - c.below(b.size())), 0});
    }
    const ComputationGraph g = b.build();
    GraphOptimizer optimizer = GraphOptimizer::standard();
    optimizer.set_verify(true);
    ComputationGraph optimised = g;
    if (!small(g)) return;
    optimizer.run(optimised);
    for (const Device device : {Device{}, Device{DeviceKind::reference, 0}}) {
      fuzz::survive([&] { run(optimised, device); });
    }
  });
}
