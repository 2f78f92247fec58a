// Matrix products that add a bias, a residual or an activation while they write their result.
#include "passes/patterns/patterns.h"

namespace lazuli::patterns {

namespace {

enum Part : int64_t { kBias = 1, kResidual = 2 };

struct Linear {
  std::vector<Value> inputs;
  Attrs attrs;  // of the op
  Op op = Op::linear;
};

// The product named `y` as a linear; refuses what linear cannot hold.
bool read_product(Match& m, Linear& out) {
  const GraphNode& y = m.node(m("y"));
  out.inputs = y.inputs;
  if (!is_float(y.outputs[0].dtype)) return m.refuse("the operands are not floats");
  if (y.op == Op::linear || y.op == Op::quantized_linear) {
    out.attrs = y.attrs;
    out.op = y.op;
    return out.attrs.i[2] == 0 || m.refuse("the product has an activation already");
  }
  if (y.attrs.i[0] != 0) return m.refuse("the input is transposed");
  if (!is_weight(m, y.inputs[1])) return m.refuse("the weight is batched");
  out.attrs.i[0] = y.attrs.i[1];
  return true;
}

const char* label_of(const Attrs& attrs) {
  bool residual = (attrs.i[1] & kResidual) != 0;
  switch (static_cast<Op>(attrs.i[2])) {
    case Op::gelu:
      return residual ? "LinearAddGelu" : "LinearGelu";
    case Op::gelu_tanh:
      return residual ? "LinearAddGeluTanh" : "LinearGeluTanh";
    case Op::silu:
      return residual ? "LinearAddSilu" : "LinearSilu";
    case Op::relu:
      return residual ? "LinearAddRelu" : "LinearRelu";
    case Op::sigmoid:
      return residual ? "LinearAddSigmoid" : "LinearSigmoid";
    case Op::tanh:
      return residual ? "LinearAddTanh" : "LinearTanh";
    default:
      return residual ? "LinearAdd" : "MatmulBias";
  }
}

bool make_linear(Match& m, Linear linear) {
  const char* label = label_of(linear.attrs);
  return m.become(linear.op, std::move(linear.inputs), std::move(linear.attrs), label);
}

bool add_bias(Match& m) {
  const Shape& bias = m.spec(m("r")).shape;
  if (bias.rank() == m.root_node().outputs[0].shape.rank()) return false;  // a residual, if anything
  Linear linear;
  if (!read_product(m, linear)) return false;
  if (bias != Shape{m.root_node().outputs[0].shape.back()}) return m.refuse("the bias is not one row of the result");
  if ((linear.attrs.i[1] & kBias) != 0) return m.refuse("the product has a bias already");
  linear.attrs.i[1] |= kBias;
  linear.inputs.insert(linear.inputs.begin() + (linear.op == Op::linear ? 2 : 3), m("r"));
  return make_linear(m, std::move(linear));
}

bool add_residual(Match& m) {
  if (m.spec(m("r")).shape.rank() != m.root_node().outputs[0].shape.rank()) return false;
  Linear linear;
  if (!read_product(m, linear)) return false;
  bool same = m.spec(m("r")).shape == m.root_node().outputs[0].shape && m.spec(m("y")).shape == m.root_node().outputs[0].shape;
  if (!same) return m.refuse("the residual does not have the shape of the product");
  if ((linear.attrs.i[1] & kResidual) != 0) return m.refuse("the product has a residual already");
  linear.attrs.i[1] |= kResidual;
  linear.inputs.push_back(m("r"));
  return make_linear(m, std::move(linear));
}

bool activate(Match& m) {
  Linear linear;
  if (!read_product(m, linear)) return false;
  linear.attrs.i[2] = static_cast<int64_t>(m.root_node().op);
  return make_linear(m, std::move(linear));
}

}  // namespace

std::vector<PatternEntry> linear() {
  std::vector<PatternEntry> entries;
  entries.push_back({"MatmulBias", {Pattern("add(y=matmul|linear|quantized_linear(...), r)")}, add_bias});
  entries.push_back({"LinearAdd", {Pattern("add(y=matmul|linear|quantized_linear(...), r)")}, add_residual});
  entries.push_back({"LinearGelu", {Pattern("gelu(y=matmul|linear|quantized_linear(...))")}, activate});
  entries.push_back({"LinearGeluTanh", {Pattern("gelu_tanh(y=matmul|linear|quantized_linear(...))")}, activate});
  entries.push_back({"LinearSilu", {Pattern("silu(y=matmul|linear|quantized_linear(...))")}, activate});
  entries.push_back({"LinearRelu", {Pattern("relu(y=matmul|linear|quantized_linear(...))")}, activate});
  entries.push_back({"LinearSigmoid", {Pattern("sigmoid(y=matmul|linear|quantized_linear(...))")}, activate});
  entries.push_back({"LinearTanh", {Pattern("tanh(y=matmul|linear|quantized_linear(...))")}, activate});
  return entries;
}

}  // namespace lazuli::patterns
