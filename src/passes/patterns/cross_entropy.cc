// Softmax cross entropy written as log-softmax and a gather of the target's entry, and that of logits which nobody else reads.
#include <limits>

#include "graph/attrs.h"
#include "lazuli/op.h"
#include "passes/patterns/patterns.h"

namespace lazuli::patterns {

namespace {

// log p[target] is the negated loss; a negation that the graph has itself cancels ours.
bool log_probability(Match& m) {
  const TensorSpec x = m.spec(m("x"));
  const TensorSpec result = m.root_node().outputs[0];
  const Shape targets = m.spec(m("i")).shape;
  int rank = x.shape.rank();
  bool last = m.node(m("t")).attrs[attr::take_along::axis] == rank - 1 && m.node(m("l")).attrs[attr::log_softmax::axis] == rank - 1;
  if (!last) return m.refuse("softmax or the gather is not over the last axis");
  if (x.dtype != DType::f32) return m.refuse("the loss would be computed in another dtype");
  Shape rows = x.shape;
  rows.resize(rank - 1);
  Shape expected = rows;
  expected.push_back(1);
  if (targets != expected) return m.refuse("there is not one target for each row");
  Attrs attrs;
  attrs[attr::cross_entropy::ignore_index] = std::numeric_limits<int64_t>::min();  // no target is ignored
  Value loss = m.append(Op::cross_entropy, {m("x"), m.reshape(m("i"), rows), m.factor(0.0, x.dtype)}, attrs, "SoftmaxCrossEntropy");
  if (loss.node < 0) return false;
  loss = m.reshape(loss, result.shape);
  m.rw.replace(Value{m.root(), 0}, m.rw.add(Op::neg, {loss}));
  return true;
}

bool without_logits(Match& m) {
  const Value x = m("x"), w = m("w"), logits = m.root_node().inputs[0], targets = m("t"), smoothing = m("s");
  const GraphNode& product = m.node(m("y"));
  const int32_t root = m.root();
  if (!is_float(m.spec(x).dtype)) return m.refuse("the operands are not floats");
  if (product.attrs[attr::matmul::transpose_a] != 0) return m.refuse("the states are transposed");
  if (!is_weight(m, w)) return m.refuse("the weight is batched");
  if (m.spec(logits).shape.back() != m.spec(m("y")).shape.back()) return m.refuse("the classes are not the columns of the product");
  Attrs attrs;
  attrs[attr::linear_cross_entropy::ignore_index] = m.root_node().attrs[attr::cross_entropy::ignore_index];
  attrs[attr::linear_cross_entropy::transpose_w] = product.attrs[attr::matmul::transpose_b];
  std::vector<Value> inputs{x, w, targets, smoothing};
  if (m("c").node >= 0) {
    attrs[attr::linear_cross_entropy::softcap] = 1;
    inputs.push_back(m.factor(m("c"), m.spec(x).dtype));
  }
  Shape rows = m.spec(logits).shape;
  rows[rows.rank() - 1] = m.spec(x).shape.back();
  if (rows.rank() < 2) return m.refuse("there is one row");
  inputs[0] = m.reshape(x, rows);
  const Value loss = m.append(Op::linear_cross_entropy, std::move(inputs), std::move(attrs), "LinearCrossEntropy");
  if (loss.node < 0) return false;
  m.rw.replace(Value{root, 0}, loss);
  m.rw.replace(Value{root, 1}, Value{loss.node, 1});
  return true;
}

}  // namespace

std::vector<PatternEntry> cross_entropy() {
  std::vector<PatternEntry> entries;
  entries.push_back({"LinearCrossEntropy",
                     {Pattern("cross_entropy(y=matmul(x, w), t, s[])"), Pattern("cross_entropy(reshape(y=matmul(x, w)), t, s[])"),
                      Pattern("cross_entropy(mul(tanh(div(y=matmul(x, w), c[])), c[]), t, s[])"),
                      Pattern("cross_entropy(reshape(mul(tanh(div(y=matmul(x, w), c[])), c[])), t, s[])")},
                     without_logits});
  entries.push_back({"SoftmaxCrossEntropy", {Pattern("t=take_along(l=log_softmax(x), i)")}, log_probability});
  return entries;
}

}  // namespace lazuli::patterns
