// Softmax cross entropy written as log-softmax and a gather of the target's entry.
#include <limits>

#include "passes/patterns/patterns.h"

namespace lazuli::patterns {

namespace {

// log p[target] is the negated loss; a negation that the graph has itself cancels ours.
bool log_probability(Match& m) {
  const TensorSpec x = m.spec(m("x"));
  const TensorSpec result = m.root_node().outputs[0];
  const Shape targets = m.spec(m("i")).shape;
  int rank = x.shape.rank();
  bool last = m.node(m("t")).attrs.i[0] == rank - 1 && m.node(m("l")).attrs.i[0] == rank - 1;
  if (!last) return m.refuse("softmax or the gather is not over the last axis");
  if (x.dtype != DType::f32) return m.refuse("the loss would be computed in another dtype");
  Shape rows = x.shape;
  rows.resize(rank - 1);
  Shape expected = rows;
  expected.push_back(1);
  if (targets != expected) return m.refuse("there is not one target for each row");
  Attrs attrs;
  attrs.i[0] = std::numeric_limits<int64_t>::min();  // no target is ignored
  Value loss = m.append(Op::cross_entropy, {m("x"), m.reshape(m("i"), rows), m.factor(0.0, x.dtype)}, attrs, "SoftmaxCrossEntropy");
  if (loss.node < 0) return false;
  loss = m.reshape(loss, result.shape);
  m.rw.replace(Value{m.root(), 0}, m.rw.add(Op::neg, {loss}));
  return true;
}

}  // namespace

std::vector<PatternEntry> cross_entropy() {
  std::vector<PatternEntry> entries;
  entries.push_back({"SoftmaxCrossEntropy", {Pattern("t=take_along(l=log_softmax(x), i)")}, log_probability});
  return entries;
}

}  // namespace lazuli::patterns
