// Gated products (Shazeer 2020): act(x@w_gate) * (x@w_up) without the gate or the other product in memory.
#include <string>

#include "graph/attrs.h"
#include "lazuli/op.h"
#include "passes/patterns/patterns.h"

namespace lazuli::patterns {

namespace {

struct Product {
  Value w;
  int64_t transposed = 0;
  Op activation = Op::input;
};

/// A product without bias or residual.
bool read_product(Match& m, Value v, Product& out) {
  const GraphNode& n = m.node(v);
  const bool linear = n.op == Op::linear;
  if (!linear && n.attrs[attr::matmul::transpose_a] != 0) return m.refuse("the input is transposed");
  out.w = n.inputs[1];
  out.transposed = n.attrs[linear ? attr::linear::transpose_w : attr::matmul::transpose_b];
  if (linear) out.activation = static_cast<Op>(n.attrs[attr::linear::activation]);
  if (!is_weight(m, out.w)) return m.refuse("a weight is batched");
  return true;
}

/// The gate is `g`, with its activation in it or after it.
bool gate(Match& m, bool silu) {
  Product g, u;
  const Value after = m("act");
  if (!read_product(m, m("g"), g) || !read_product(m, m("u"), u)) return false;
  if (after.node >= 0) {
    if (g.activation != Op::input) return m.refuse("the gate has two activations");
    g.activation = m.node(after).op;
  }
  if (g.activation == Op::input || (g.activation == Op::silu) != silu) return false;
  if (u.activation != Op::input) return m.refuse("both products have an activation");
  if (!is_float(m.spec(m("x")).dtype)) return m.refuse("the operands are not floats");
  if (g.transposed != u.transposed) return m.refuse("one weight is given transposed and the other is not");
  if (m.spec(m("g")).shape != m.spec(m("u")).shape) return m.refuse("the products differ in shape");
  Attrs attrs;
  attrs[attr::gated_linear::transpose_w] = g.transposed;
  attrs[attr::gated_linear::activation] = static_cast<int64_t>(g.activation);
  return m.become(Op::gated_linear, {m("x"), g.w, u.w}, attrs, silu ? "SwiGLU" : "GatedLinear");
}

bool swiglu(Match& m) { return gate(m, true); }
bool gated(Match& m) { return gate(m, false); }

/// All activations but silu, which SwiGLU has, on a product that the other one is multiplied with.
const std::string& gated_pattern() {
  static const std::string text = [] {
    std::string names;
    for (const Op op : activation_ops()) {
      if (op != Op::silu) names += (names.empty() ? "" : "|") + std::string(name_of(op));
    }
    return "mul(act=" + names + "(g=matmul|linear(x, w)), u=matmul|linear(x, v))";
  }();
  return text;
}

}  // namespace

std::vector<PatternEntry> gated_linear() {
  std::vector<PatternEntry> entries;
  entries.push_back(
      {"SwiGLU",
       {Pattern("mul(g=linear(x, w), u=matmul|linear(x, v))"), Pattern("mul(act=silu(g=matmul|linear(x, w)), u=matmul|linear(x, v))")},
       swiglu});
  entries.push_back({"GatedLinear", {Pattern("mul(g=linear(x, w), u=matmul|linear(x, v))"), Pattern(gated_pattern())}, gated});
  return entries;
}

}  // namespace lazuli::patterns
