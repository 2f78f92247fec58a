#include <algorithm>
#include <utility>

#include "graph/attrs.h"
#include "lazuli/op.h"
#include "passes/passes.h"
#include "passes/rewriter.h"

namespace lazuli {

namespace {

// Which attribute of a product says that which operand is transposed.
struct TransposeFlag {
  Op op;
  uint8_t operand;
  AttrKey attr;
};
constexpr TransposeFlag kFlags[] = {
    {Op::matmul, 0, attr::matmul::transpose_a},           {Op::matmul, 1, attr::matmul::transpose_b},
    {Op::linear, 1, attr::linear::transpose_w},           {Op::lora_fused, 1, attr::lora_fused::transpose_a},
    {Op::lora_fused, 2, attr::lora_fused::transpose_b},   {Op::lora_linear, 1, attr::lora_linear::transpose_w},
    {Op::lora_linear, 2, attr::lora_linear::transpose_a}, {Op::lora_linear, 3, attr::lora_linear::transpose_b},
};

int axis_of(int64_t permutation, int k) { return static_cast<int>(permutation >> (4 * k) & 15); }

bool swaps_last_two(const GraphNode& n) {
  int rank = n.outputs[0].shape.rank();
  if (n.op != Op::transpose || rank < 2) return false;
  for (int k = 0; k < rank - 2; ++k) {
    if (axis_of(n.attrs[attr::transpose::axes], k) != k) return false;
  }
  return axis_of(n.attrs[attr::transpose::axes], rank - 1) == rank - 2 && axis_of(n.attrs[attr::transpose::axes], rank - 2) == rank - 1;
}

bool absorb_transposes(Rewriter& rw, int32_t n) {
  bool changed = false;
  for (const TransposeFlag& flag : kFlags) {
    while (rw.node(n).op == flag.op && swaps_last_two(rw.node(rw.node(n).inputs[flag.operand]))) {
      std::vector<Value> inputs = rw.node(n).inputs;
      inputs[flag.operand] = rw.node(inputs[flag.operand]).inputs[0];
      Attrs attrs = rw.node(n).attrs;
      attrs[flag.attr] ^= 1;
      rw.become(n, flag.op, std::move(inputs), std::move(attrs));
      changed = true;
    }
  }
  return changed;
}

bool forward_to_operand(Rewriter& rw, int32_t n) {
  rw.replace({n, 0}, rw.node(n).inputs[0]);
  return true;
}

// Reads through the operand, which is of the same op.
bool skip_operand(Rewriter& rw, int32_t n, Attrs attrs) {
  rw.become(n, rw.node(n).op, {rw.node(rw.node(n).inputs[0]).inputs[0]}, std::move(attrs));
  return true;
}

// All elements are equal, so any view of them is too.
bool view_of_full(Rewriter& rw, int32_t n) {
  const GraphNode& x = rw.node(rw.node(n).inputs[0]);
  if (x.op != Op::full) return false;
  rw.become(n, Op::full, {}, x.attrs);
  return true;
}

bool simplify_reshape(Rewriter& rw, int32_t n) {
  Value x = rw.node(n).inputs[0];
  if (rw.spec(x).shape == rw.node(n).outputs[0].shape) return forward_to_operand(rw, n);
  if (rw.node(x).op == rw.node(n).op) return skip_operand(rw, n, {});
  return view_of_full(rw, n);
}

bool simplify_transpose(Rewriter& rw, int32_t n) {
  const GraphNode& node = rw.node(n);
  const GraphNode& x = rw.node(node.inputs[0]);
  int rank = node.outputs[0].shape.rank();
  bool identity = true;
  for (int k = 0; k < rank; ++k) identity = identity && axis_of(node.attrs[attr::transpose::axes], k) == k;
  if (identity) return forward_to_operand(rw, n);
  if (x.op != Op::transpose) return view_of_full(rw, n);
  Attrs both;
  for (int k = 0; k < rank; ++k) {
    both[attr::transpose::axes] |=
        static_cast<int64_t>(axis_of(x.attrs[attr::transpose::axes], axis_of(node.attrs[attr::transpose::axes], k))) << (4 * k);
  }
  return skip_operand(rw, n, both);
}

// Every value of `from` is a value of `to`.
bool holds(DType to, DType from) {
  if (to == from || from == DType::boolean) return true;
  auto bits = [](DType t) { return static_cast<int>(8 * size_of(t)); };
  if (is_integer(from) && is_integer(to)) return to != DType::u8 && bits(to) > bits(from);
  if (is_integer(from)) {
    int mantissa = to == DType::f64 ? 53 : to == DType::f32 ? 24 : to == DType::f16 ? 11 : to == DType::bf16 ? 8 : 0;
    return bits(from) <= mantissa;
  }
  if (to == DType::f64) return is_float(from);
  return to == DType::f32 && (from == DType::f16 || from == DType::bf16);
}

bool simplify_cast(Rewriter& rw, int32_t n) {
  const GraphNode& node = rw.node(n);
  Value x = node.inputs[0];
  DType to = node.outputs[0].dtype;
  if (rw.spec(x).dtype == to) return forward_to_operand(rw, n);
  if (rw.node(x).op != Op::cast) return false;
  DType middle = rw.spec(x).dtype;
  DType from = rw.spec(rw.node(x).inputs[0]).dtype;
  if (!holds(middle, from)) return false;
  // Float to integer clamps where integer to integer wraps.
  bool wraps = is_integer(from) && is_float(middle) && is_integer(to) && !holds(to, from);
  if (wraps) return false;
  if (from == to) {
    rw.replace({n, 0}, rw.node(x).inputs[0]);
    return true;
  }
  return skip_operand(rw, n, node.attrs);
}

bool simplify_involution(Rewriter& rw, int32_t n) {
  const GraphNode& x = rw.node(rw.node(n).inputs[0]);
  if (x.op != rw.node(n).op) return false;
  rw.replace({n, 0}, x.inputs[0]);
  return true;
}

// Broadcasting repeats elements by itself where another operand has the result's shape: `expand` is not needed, and a `full` needs one
// element.
bool drop_broadcast(Rewriter& rw, int32_t n) {
  const Shape& shape = rw.node(n).outputs[0].shape;
  std::vector<Value> inputs = rw.node(n).inputs;
  auto whole = std::count_if(inputs.begin(), inputs.end(), [&](Value v) { return rw.spec(v).shape == shape; });
  for (Value& v : inputs) {
    const GraphNode& x = rw.node(v);
    bool is_full = x.op == Op::full && x.outputs[0].shape.rank() > 0;
    if (!is_full && x.op != Op::expand) continue;
    if (whole == (x.outputs[0].shape == shape ? 1 : 0)) continue;
    TensorSpec scalar{x.outputs[0].dtype, {}};
    Op op = rw.node(n).op;
    v = is_full ? rw.add(Op::full, {}, x.attrs, &scalar) : x.inputs[0];
    rw.become(n, op, std::move(inputs), rw.node(n).attrs);
    return true;
  }
  return false;
}

bool simplify(Rewriter& rw, int32_t n) {
  OpClass cls = info(rw.node(n).op).cls;
  if (cls == OpClass::binary || (cls == OpClass::ternary && rw.node(n).op == Op::where)) return drop_broadcast(rw, n);
  switch (rw.node(n).op) {
    case Op::reshape:
    case Op::expand:
      return simplify_reshape(rw, n);
    case Op::transpose:
      return simplify_transpose(rw, n);
    case Op::slice:
      return view_of_full(rw, n);
    case Op::cast:
      return simplify_cast(rw, n);
    case Op::neg:
    case Op::logical_not:
      return simplify_involution(rw, n);
    case Op::matmul:
    case Op::linear:
    case Op::lora_fused:
    case Op::lora_linear:
      return absorb_transposes(rw, n);
    default:
      return false;
  }
}

class Canonicalise final : public FusionPass {
 public:
  std::string_view name() const override { return "canonicalise"; }

  int run(ComputationGraph& graph, PassContext&) const override {
    Rewriter rw(graph);
    int rewrites = 0;
    rw.visit_live([&](int32_t n) {
      // A view of a view may turn into one that changes nothing.
      while (!rw.is_dead(n) && simplify(rw, n)) ++rewrites;
    });
    rw.finish();
    return rewrites;
  }
};

}  // namespace

std::shared_ptr<const FusionPass> make_canonicalise() { return std::make_shared<Canonicalise>(); }

}  // namespace lazuli
