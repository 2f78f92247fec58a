// Matrix products that add a bias, a residual or an activation while they write their result.
#include <string>
#include <string_view>

#include "graph/attrs.h"
#include "lazuli/op.h"
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
    return out.attrs[attr::linear::activation] == 0 || m.refuse("the product has an activation already");
  }
  if (y.attrs[attr::matmul::transpose_a] != 0) return m.refuse("the input is transposed");
  if (!is_weight(m, y.inputs[1])) return m.refuse("the weight is batched");
  out.attrs[attr::linear::transpose_w] = y.attrs[attr::matmul::transpose_b];
  return true;
}

/// A product with an activation: what it is called, without and with a residual, and the pattern that finds it.
struct Activated {
  Op activation;
  std::string alone, added, pattern;
};

/// "GeluTanh" for gelu_tanh.
std::string title(std::string_view word) {
  std::string text;
  bool first = true;
  for (const char c : word) {
    if (c != '_') text += first ? static_cast<char>(c - 'a' + 'A') : c;
    first = c == '_';
  }
  return text;
}

/// One for each activation; patterns and labels refer to their texts.
const std::vector<Activated>& activated() {
  static const std::vector<Activated> all = [] {
    std::vector<Activated> list;
    for (const Op op : activation_ops()) {
      const std::string name = title(name_of(op));
      list.push_back({op, "Linear" + name, "LinearAdd" + name, std::string(name_of(op)) + "(y=matmul|linear|quantized_linear(...))"});
    }
    return list;
  }();
  return all;
}

std::string_view label_of(const Attrs& attrs) {
  const bool residual = (attrs[attr::linear::with] & kResidual) != 0;
  for (const Activated& a : activated()) {
    if (static_cast<int64_t>(a.activation) == attrs[attr::linear::activation]) return residual ? a.added : a.alone;
  }
  return residual ? "LinearAdd" : "MatmulBias";
}

bool make_linear(Match& m, Linear linear, std::string_view label = {}) {
  if (label.empty()) label = label_of(linear.attrs);
  return m.become(linear.op, std::move(linear.inputs), std::move(linear.attrs), label);
}

bool add_bias(Match& m) {
  const Shape& bias = m.spec(m("r")).shape;
  if (bias.rank() == m.root_node().outputs[0].shape.rank()) return false;  // a residual, if anything
  Linear linear;
  if (!read_product(m, linear)) return false;
  if (bias != Shape{m.root_node().outputs[0].shape.back()}) return m.refuse("the bias is not one row of the result");
  if ((linear.attrs[attr::linear::with] & kBias) != 0) return m.refuse("the product has a bias already");
  linear.attrs[attr::linear::with] |= kBias;
  linear.inputs.insert(linear.inputs.begin() + (linear.op == Op::linear ? 2 : 3), m("r"));
  return make_linear(m, std::move(linear));
}

/// Whether the product's input is the result of attention, seen through views.
bool after_attention(const Match& m) {
  Value v = m.node(m("y")).inputs[0];
  while (m.node(v).op == Op::reshape || m.node(v).op == Op::transpose) v = m.node(v).inputs[0];
  return m.node(v).op == Op::sdpa || m.node(v).op == Op::sdpa_packed;
}

bool add_residual(Match& m, bool to_attention) {
  if (m.spec(m("r")).shape.rank() != m.root_node().outputs[0].shape.rank() || after_attention(m) != to_attention) return false;
  Linear linear;
  if (!read_product(m, linear)) return false;
  bool same = m.spec(m("r")).shape == m.root_node().outputs[0].shape && m.spec(m("y")).shape == m.root_node().outputs[0].shape;
  if (!same) return m.refuse("the residual does not have the shape of the product");
  if ((linear.attrs[attr::linear::with] & kResidual) != 0) return m.refuse("the product has a residual already");
  linear.attrs[attr::linear::with] |= kResidual;
  linear.inputs.push_back(m("r"));
  return make_linear(m, std::move(linear), to_attention ? "AttentionResidual" : "");
}
bool linear_add(Match& m) { return add_residual(m, false); }
bool attention_residual(Match& m) { return add_residual(m, true); }

/// `added`: the product has a residual.
bool activate(Match& m, bool added) {
  Linear linear;
  const GraphNode& y = m.node(m("y"));
  if ((y.op != Op::matmul && (y.attrs[attr::linear::with] & kResidual) != 0) != added || !read_product(m, linear)) return false;
  linear.attrs[attr::linear::activation] = static_cast<int64_t>(m.root_node().op);
  return make_linear(m, std::move(linear));
}
bool activate_product(Match& m) { return activate(m, false); }
bool activate_sum(Match& m) { return activate(m, true); }

}  // namespace

std::vector<Op> activation_ops() {
  std::vector<Op> ops;
  for (int k = 0; k < kOpCount; ++k) {
    if (has_trait(static_cast<Op>(k), OpTrait::activation)) ops.push_back(static_cast<Op>(k));
  }
  return ops;
}

std::vector<PatternEntry> linear() {
  std::vector<PatternEntry> entries;
  entries.push_back({"MatmulBias", {Pattern("add(y=matmul|linear|quantized_linear(...), r)")}, add_bias});
  entries.push_back({"AttentionResidual", {Pattern("add(y=matmul|linear|quantized_linear(...), r)")}, attention_residual});
  entries.push_back({"LinearAdd", {Pattern("add(y=matmul|linear|quantized_linear(...), r)")}, linear_add});
  for (const Activated& a : activated()) {
    entries.push_back({a.alone, {Pattern(a.pattern)}, activate_product});
    entries.push_back({a.added, {Pattern(a.pattern)}, activate_sum});
  }
  return entries;
}

}  // namespace lazuli::patterns
