#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "graph/attrs.h"
#include "lazuli/op.h"
#include "passes/passes.h"
#include "passes/pattern.h"
#include "passes/rewriter.h"

namespace lazuli {

namespace {

constexpr int64_t kMaxElements = 4096;  // of a computed constant
constexpr double kMaxExact = 0x1p53;    // integers up to here are doubles

// x + 0, x - 0, x * 1, x / 1: the other operand, when it has the whole result's shape.
bool drop_neutral(Rewriter& rw, int32_t n) {
  const GraphNode& node = rw.node(n);
  bool additive = node.op == Op::add || node.op == Op::sub;
  bool either = node.op == Op::add || node.op == Op::mul;
  if (!additive && node.op != Op::mul && node.op != Op::div) return false;
  for (size_t k : {size_t{1}, size_t{0}}) {
    if (k == 0 && !either) continue;
    Known known = known_value(rw.graph(), node.inputs[k]);
    Value other = node.inputs[1 - k];
    if (!known.known || known.value != (additive ? 0.0 : 1.0) || rw.spec(other) != node.outputs[0]) continue;
    rw.replace({n, 0}, other);
    return true;
  }
  return false;
}

// Ops whose result in double, rounded once, is what their kernels give; they need no backend.
bool compute(Op op, std::span<const double> x, double& result) {
  switch (op) {
    case Op::neg:
      return result = -x[0], true;
    case Op::abs:
      return result = std::abs(x[0]), true;
    case Op::square:
      return result = x[0] * x[0], true;
    case Op::sqrt:
      return result = std::sqrt(x[0]), true;
    case Op::reciprocal:
      return result = 1 / x[0], true;
    case Op::add:
      return result = x[0] + x[1], true;
    case Op::sub:
      return result = x[0] - x[1], true;
    case Op::mul:
      return result = x[0] * x[1], true;
    case Op::div:
      return result = x[0] / x[1], true;
    default:
      return false;
  }
}

Tensor scalar_tensor(DType dtype, double value) { return Tensor::from_slice<double>(std::span(&value, 1), {}).to(dtype); }

// The same value at every element comes out as the same value everywhere, whatever the sizes.
bool fold_full(Rewriter& rw, int32_t n, PassContext& context) {
  const GraphNode& node = rw.node(n);
  if (!is_elementwise(node.op) || node.op == Op::copy) return false;
  if (!std::all_of(node.inputs.begin(), node.inputs.end(), [&](Value v) { return rw.node(v).op == Op::full; })) return false;
  std::vector<Tensor> operands;
  std::vector<double> values;
  for (Value v : node.inputs) {
    operands.push_back(scalar_tensor(rw.spec(v).dtype, known_value(rw.graph(), v).value));
    values.push_back(operands.back().item());
  }
  DType dtype = node.outputs[0].dtype;
  double result = 0;
  if (node.op == Op::cast) {
    result = operands[0].to(dtype).item();
  } else if (is_float(dtype) && compute(node.op, values, result)) {
    result = scalar_tensor(dtype, result).item();
  } else if (context.fold == nullptr) {
    return false;
  } else {
    GraphNode one;
    one.op = node.op;
    one.attrs = node.attrs;
    one.outputs = {{dtype, {}}};
    const std::vector<Tensor> folded = (*context.fold)(one, operands);
    if (folded.empty()) return false;
    result = folded[0].item();
  }
  if (is_integer(dtype) && std::abs(result) > kMaxExact) return false;
  Attrs attrs;
  attrs[attr::full::value] = std::bit_cast<int64_t>(result);
  rw.become(n, Op::full, {}, attrs);
  return true;
}

bool may_compute(const GraphNode& n) {
  if (n.inputs.empty() || n.outputs.size() != 1 || n.outputs[0].shape.numel() > kMaxElements) return false;
  OpClass c = info(n.op).cls;
  if (c == OpClass::leaf || c == OpClass::source || c == OpClass::random || c == OpClass::optimizer || c == OpClass::fused) return false;
  // An expanded constant would hold a size that another run may change.
  return n.op != Op::barrier && n.op != Op::checkpoint && n.op != Op::copy && n.op != Op::expand;
}

// An empty Tensor where the fold gives none.
Tensor materialise(const GraphNode& n, const FoldFunction& fold) {
  if (n.op == Op::constant) return n.constant;
  const std::vector<Tensor> folded = fold(n, {});
  return folded.empty() ? Tensor() : folded[0];
}

// A range or a filled shape holds a size that another run may change.
bool is_data(const GraphNode& n) {
  if (n.op == Op::constant) return n.constant.defined();
  return n.op == Op::full && n.outputs[0].shape.rank() == 0;
}

bool fold_constants(Rewriter& rw, int32_t n, PassContext& context) {
  if (context.fold == nullptr || !may_compute(rw.node(n))) return false;
  const GraphNode& node = rw.node(n);
  bool all = std::all_of(node.inputs.begin(), node.inputs.end(), [&](Value v) { return is_data(rw.node(v)); });
  if (!all) return false;
  std::vector<Tensor> operands;
  for (Value v : node.inputs) {
    operands.push_back(materialise(rw.node(v), *context.fold));
    if (!operands.back().defined()) return false;
  }
  const std::vector<Tensor> folded = (*context.fold)(node, operands);
  if (folded.empty()) return false;
  GraphNode constant;
  constant.op = Op::constant;
  constant.outputs = node.outputs;
  constant.where = node.where;
  constant.constant = folded[0];
  rw.replace({n, 0}, rw.add(std::move(constant)));
  return true;
}

bool fold(Rewriter& rw, int32_t n, PassContext& context) {
  const GraphNode& node = rw.node(n);
  if (node.op == Op::stop_gradient) {
    rw.replace({n, 0}, node.inputs[0]);
    return true;
  }
  return drop_neutral(rw, n) || fold_full(rw, n, context) || fold_constants(rw, n, context);
}

class Fold final : public FusionPass {
 public:
  std::string_view name() const override { return "fold"; }

  int run(ComputationGraph& graph, PassContext& context) const override {
    Rewriter rw(graph);
    int rewrites = 0;
    rw.visit_live([&](int32_t n) { rewrites += fold(rw, n, context) ? 1 : 0; });
    rw.finish();
    return rewrites;
  }
};

}  // namespace

std::shared_ptr<const FusionPass> make_fold() { return std::make_shared<Fold>(); }

}  // namespace lazuli
