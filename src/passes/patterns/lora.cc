// Low-rank adaptation (Hu et al. 2021): s * (x@a)@b, alone and beside the product that it adapts.
#include "graph/attrs.h"
#include "lazuli/op.h"
#include "passes/patterns/patterns.h"

namespace lazuli::patterns {

bool is_weight(const Match& m, Value v) { return m.spec(v).shape.rank() == 2; }

namespace {

bool is_lora(Match& m) {
  if (m.node(m("h")).attrs[attr::matmul::transpose_a] != 0 || m.node(m("y")).attrs[attr::matmul::transpose_a] != 0)
    return m.refuse("the input is transposed");
  if (!is_weight(m, m("a")) || !is_weight(m, m("b"))) return m.refuse("a or b is not a matrix");
  if (!is_float(m.spec(m("x")).dtype)) return m.refuse("the operands are not floats");
  return true;
}

// How a and b are stored.
Attrs factor_attrs(Match& m) {
  Attrs attrs;
  attrs[attr::lora_fused::transpose_a] = m.node(m("h")).attrs[attr::matmul::transpose_b];
  attrs[attr::lora_fused::transpose_b] = m.node(m("y")).attrs[attr::matmul::transpose_b];
  return attrs;
}

bool lora_fused(Match& m) {
  if (!is_lora(m)) return false;
  Value scale = m.factor(m("s"), m.spec(m("x")).dtype);
  return m.become(Op::lora_fused, {m("x"), m("a"), m("b"), scale}, factor_attrs(m), "LoRA");
}

// `base` is x@w, or a linear with nothing but a bias.
bool adapt(Match& m, Value base, Value a, Value b, Value scale, Attrs attrs) {
  const GraphNode& product = m.node(base);
  Value w = product.inputs[1];
  std::vector<Value> inputs{m("x"), w, a, b, scale};
  if (product.op == Op::linear) {
    if (product.attrs[attr::linear::with] != 1 || product.attrs[attr::linear::activation] != 0)
      return m.refuse("the product has a residual or an activation already");
    attrs[attr::lora_linear::transpose_w] = product.attrs[attr::linear::transpose_w];
    inputs.push_back(product.inputs[2]);
  } else {
    if (product.attrs[attr::matmul::transpose_a] != 0) return m.refuse("the input is transposed");
    attrs[attr::lora_linear::transpose_w] = product.attrs[attr::matmul::transpose_b];
  }
  if (!is_weight(m, w)) return m.refuse("the weight is batched");
  return m.become(Op::lora_linear, std::move(inputs), attrs, "LoRALinear");
}

bool lora_linear(Match& m) {
  const GraphNode& lora = m.node(m("l"));
  return adapt(m, m("base"), lora.inputs[1], lora.inputs[2], lora.inputs[3], lora.attrs);
}

bool lora_linear_unscaled(Match& m) {
  if (!is_lora(m)) return false;
  return adapt(m, m("base"), m("a"), m("b"), m.factor(1.0, m.spec(m("x")).dtype), factor_attrs(m));
}

bool lora_bias(Match& m) {
  const GraphNode& lora = m.node(m("l"));
  if (lora.inputs.size() != 5) return m.refuse("there is a bias already");
  if (m.spec(m("bias")).shape != Shape{lora.outputs[0].shape.back()}) return m.refuse("the bias is not one row");
  std::vector<Value> inputs = lora.inputs;
  inputs.push_back(m("bias"));
  return m.become(Op::lora_linear, std::move(inputs), lora.attrs, "LoRALinear");
}

}  // namespace

std::vector<PatternEntry> lora() {
  std::vector<PatternEntry> entries;
  entries.push_back({"LoRA",
                     {Pattern("mul(y=matmul(h=matmul(x, a), b), s[])"), Pattern("y=matmul(mul(h=matmul(x, a), s[]), b)"),
                      Pattern("y=matmul(h=matmul(mul(x, s[]), a), b)"), Pattern("y=matmul(h=matmul(x, mul(a, s[])), b)"),
                      Pattern("y=matmul(h=matmul(x, a), mul(b, s[]))")},
                     lora_fused});
  entries.push_back(
      {"LoRALinear",
       {Pattern("add(base=matmul(x, w), l=lora_fused(x, a, b, s))"), Pattern("add(base=linear(x, w, bias), l=lora_fused(x, a, b, s))")},
       lora_linear});
  entries.push_back({"LoRALinear",
                     {Pattern("add(base=matmul(x, w), y=matmul(h=matmul(x, a), b))"),
                      Pattern("add(base=linear(x, w, bias), y=matmul(h=matmul(x, a), b))")},
                     lora_linear_unscaled});
  entries.push_back({"LoRALinear", {Pattern("add(l=lora_linear(...), bias)")}, lora_bias});
  return entries;
}

}  // namespace lazuli::patterns
