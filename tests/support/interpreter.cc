#include "support/interpreter.h"

#include <memory>
#include <utility>

#include "conformance/harness.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

class Interpreter {
 public:
  Interpreter(const ComputationGraph& g, std::span<const Tensor> inputs, std::span<const double> scalars, const InterpreterOptions& options)
      : g_(g),
        inputs_(inputs),
        scalars_(scalars),
        backend_(options.backend != nullptr ? *options.backend : reference_backend()),
        in_double_(options.in_double),
        values_(g.nodes.size()) {}

  std::vector<Tensor> run() {
    for (int32_t n : g_.topological_order()) evaluate(n);
    std::vector<Tensor> results;
    for (Value v : g_.outputs) results.push_back(value(v).contiguous());
    return results;
  }

 private:
  const Tensor& value(Value v) const { return values_[static_cast<size_t>(v.node)][static_cast<size_t>(v.out)]; }
  DType dtype(DType t) const { return in_double_ && is_float(t) ? DType::f64 : t; }

  void evaluate(int32_t n) {
    const GraphNode& node = g_.nodes[static_cast<size_t>(n)];
    auto& results = values_[static_cast<size_t>(n)];
    switch (info(node.op).cls) {
      case OpClass::leaf:
        results = {leaf(node)};
        break;
      case OpClass::view:
        results = view(node);
        break;
      default:
        results = compute(node);
    }
    for (Tensor& t : results) t = t.to(dtype(t.dtype()));
  }

  Tensor leaf(const GraphNode& node) const {
    auto k = static_cast<size_t>(node.attrs.i[0]);
    DType t = dtype(node.outputs[0].dtype);
    if (node.op == Op::input) return inputs_[k].to(t);
    if (node.op == Op::constant) return node.constant.to(t);
    // A run-time value is a value of the scalar's own dtype.
    return Tensor::from_slice(scalars_.subspan(k, 1), {}).to(node.outputs[0].dtype).to(t);
  }

  std::vector<Tensor> view(const GraphNode& node) const {
    if (node.op == Op::checkpoint) {
      std::vector<Tensor> results;
      auto first = static_cast<size_t>(node.attrs.i[0]);
      for (size_t k = 0; k < node.outputs.size(); ++k) results.push_back(value(node.inputs[first + k]));
      return results;
    }
    const Tensor& x = value(node.inputs[0]);
    const Shape& shape = node.outputs[0].shape;
    Strides strides;
    strides.resize(shape.rank());
    size_t offset = x.offset_bytes();
    switch (node.op) {
      case Op::reshape:
        return {x.reshape(shape)};
      case Op::expand:
        for (int a = 0; a < shape.rank(); ++a) {
          int from = a - (shape.rank() - x.rank());
          strides[a] = from < 0 || x.shape()[from] == 1 ? 0 : x.strides()[from];
        }
        break;
      case Op::transpose:
        for (int a = 0; a < shape.rank(); ++a) strides[a] = x.strides()[static_cast<int>(node.attrs.i[0] >> (4 * a) & 15)];
        break;
      case Op::slice:
        for (int a = 0; a < shape.rank(); ++a) {
          auto k = static_cast<size_t>(a);
          offset += static_cast<size_t>(node.attrs.list[k] * x.strides()[a]) * size_of(x.dtype());
          strides[a] = x.strides()[a] * node.attrs.list[static_cast<size_t>(shape.rank()) + k];
        }
        break;
      default:
        return {x};
    }
    return {Tensor(x.dtype(), shape, strides, x.buffer(), offset)};
  }

  // Operands that an op wants as f32 beside data of any dtype.
  static bool wants_f32(const GraphNode& node, size_t k) {
    const Op op = node.op;
    // Scales of stored weights are what the format says.
    if (op == Op::dequantize && node.attrs.i[2] != 0) return k > 0;
    return (op == Op::sdpa_backward && k == 4) || (op == Op::cross_entropy_backward && (k == 3 || k == 4));
  }

  std::vector<Tensor> compute(const GraphNode& node) const {
    conformance::OpCall call{node.op};
    call.attrs = node.attrs;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const Tensor& t = value(node.inputs[k]);
      call.inputs.push_back(wants_f32(node, k) ? t.to(DType::f32) : t);
    }
    // A known value is a value of its own dtype, like a run-time one.
    DType result = info(node.op).cls == OpClass::source ? node.outputs[0].dtype : dtype(node.outputs[0].dtype);
    call.target = TensorSpec{result, node.outputs[0].shape};
    if (const ElementwiseProgram* p = node.program()) {
      auto program = std::make_shared<ElementwiseProgram>(*p);
      for (auto& step : program->code) step.dtype = dtype(step.dtype);
      call.program = std::move(program);
    }
    if (node.op == Op::cast) call.attrs.i[0] = static_cast<int64_t>(call.target->dtype);
    if (node.op == Op::one_hot || node.op == Op::dequantize) call.attrs.i[1] = static_cast<int64_t>(call.target->dtype);
    return conformance::run(backend_, call);
  }

  const ComputationGraph& g_;
  std::span<const Tensor> inputs_;
  std::span<const double> scalars_;
  const Backend& backend_;
  bool in_double_;
  std::vector<std::vector<Tensor>> values_;
};

}  // namespace

std::vector<Tensor> interpret(const ComputationGraph& graph, std::span<const Tensor> inputs, std::span<const double> scalars,
                              const InterpreterOptions& options) {
  return Interpreter(graph, inputs, scalars, options).run();
}

}  // namespace lazuli
